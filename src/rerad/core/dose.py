"""Absorbed dose, and what is made of it; quantities never mix by accident."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.grid import Grid
from rerad.errors import GridMismatchError, InputError, QuantityMismatchError


class DoseQuantity(StrEnum):
    """What the numbers of a dose mean."""

    PHYSICAL = "physical dose"
    EQD2 = "EQD2"
    BED = "BED"


@dataclass(frozen=True, eq=False, slots=True)
class Dose:
    """A dose distribution in Gy.

    A voxel whose dose is not known (outside the grid that the dose was mapped from) is NaN:
    unknown is never zero, and it stays unknown through every sum.

    Parameters
    ----------
    values : ndarray of shape (K, J, I)
        Total dose in Gy, not negative; NaN where unknown. Kept as read-only float32.
    grid : Grid
        Where the voxels are.
    quantity : DoseQuantity
        Physical dose, EQD2 or BED.
    alpha_beta_gy : float or None
        Of EQD2 and BED, in Gy, above 0; None for physical dose.
    label : str
        What a reader should call it.
    instance_uid : str
        SOP Instance UID of the RTDOSE it came from; empty if it was computed here.

    Raises
    ------
    GridMismatchError
        If `values` and `grid` differ in shape.
    QuantityMismatchError
        If EQD2 or BED comes without alpha/beta, or physical dose with one.
    InputError
        If a value is negative or infinite.
    """

    values: NDArray[np.float32]
    grid: Grid
    quantity: DoseQuantity = DoseQuantity.PHYSICAL
    alpha_beta_gy: float | None = None
    label: str = ""
    instance_uid: str = ""

    def __post_init__(self) -> None:
        values = frozen_array(self.values, np.float32)
        object.__setattr__(self, "values", values)
        if values.shape != self.grid.shape:
            msg = f"expected dose values of shape {self.grid.shape}, got {values.shape}"
            raise GridMismatchError(msg)
        if (self.quantity is DoseQuantity.PHYSICAL) != (self.alpha_beta_gy is None):
            msg = (
                f"{self.quantity} with alpha/beta {self.alpha_beta_gy}: physical dose has none, "
                "EQD2 and BED need one in Gy"
            )
            raise QuantityMismatchError(msg)
        if self.alpha_beta_gy is not None and not 0 < self.alpha_beta_gy < np.inf:
            msg = f"expected alpha/beta above 0 Gy, got {self.alpha_beta_gy}"
            raise InputError(msg)
        lowest = float(np.fmin.reduce(values, axis=None))
        highest = float(np.fmax.reduce(values, axis=None))
        if lowest < 0 or np.isinf(highest):
            msg = f"expected doses of 0 Gy or more, got {lowest:.4g} to {highest:.4g}"
            raise InputError(msg)

    @property
    def n_unknown(self) -> int:
        """Number of voxels whose dose is unknown."""
        return int(np.count_nonzero(np.isnan(self.values)))

    @property
    def max_gy(self) -> float:
        """Highest known voxel value in Gy; NaN if nothing is known."""
        return float(np.fmax.reduce(self.values, axis=None))

    def require_same_quantity(self, other: "Dose") -> None:
        """Raise `QuantityMismatchError` unless `other` measures the same thing."""
        if (self.quantity, self.alpha_beta_gy) != (other.quantity, other.alpha_beta_gy):
            msg = (
                f"expected {describe_quantity(self)}, got {describe_quantity(other)}; "
                "convert both to EQD2 of one alpha/beta with rerad.radiobiology.to_eqd2"
            )
            raise QuantityMismatchError(msg)

    def __add__(self, other: Self) -> Self:
        """Add two doses of the same quantity on the same voxels; unknown stays unknown."""
        self.require_same_quantity(other)
        self.grid.require_same_voxels(other.grid, "sum of doses")
        return replace(self, values=self.values + other.values, label="", instance_uid="")

    def scaled(self, factor: float) -> Self:
        """Return this dose times a factor of 0 or more."""
        if not 0 <= factor < np.inf:
            msg = f"expected a dose factor of 0 or more, got {factor}"
            raise InputError(msg)
        return replace(self, values=self.values * np.float32(factor), instance_uid="")


def describe_quantity(dose: Dose) -> str:
    """Return the quantity in words, with its alpha/beta."""
    if dose.alpha_beta_gy is None:
        return str(dose.quantity)
    return f"{dose.quantity} (alpha/beta {dose.alpha_beta_gy:g} Gy)"
