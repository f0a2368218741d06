"""Carry the uncertainty of a registration into the mapped dose by sampling transforms.

The interval is taken from order statistics: with n members that are as likely as the truth, the
r-th lowest and the r-th highest enclose it with probability (n + 1 - 2r) / (n + 1), whatever the
shape of the dose. How uncertain the registration is, the caller says; no number is assumed.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from scipy.spatial.transform import Rotation

from rerad.core import DisplacementField, Dose, RigidTransform
from rerad.errors import InputError

Moved = TypeVar("Moved", RigidTransform, DisplacementField, RigidTransform | DisplacementField)
"""What is drawn is of the kind of what it is drawn around."""


@dataclass(frozen=True, slots=True)
class RegistrationSpread:
    """Standard deviations of a rigid registration.

    Parameters
    ----------
    shift_sd_mm : tuple of float
        Along x, y, z, 0 or more.
    rotation_sd_deg : tuple of float
        About x, y, z, 0 or more.

    Raises
    ------
    InputError
        If a number is negative or not finite.
    """

    shift_sd_mm: tuple[float, float, float]
    rotation_sd_deg: tuple[float, float, float]

    def __post_init__(self) -> None:
        if not all(0 <= sd < np.inf for sd in (*self.shift_sd_mm, *self.rotation_sd_deg)):
            msg = (
                "expected standard deviations of 0 or more, got "
                f"{self.shift_sd_mm} mm and {self.rotation_sd_deg} degrees"
            )
            raise InputError(msg)


def sample_transforms(
    transform: Moved,
    spread: RegistrationSpread,
    *,
    center_mm: tuple[float, float, float],
    n: int,
    rng: np.random.Generator,
) -> tuple[Moved, ...]:
    """Draw transforms around a registration.

    Parameters
    ----------
    transform : RigidTransform or DisplacementField
        The registration; a field is moved as a whole.
    spread : RegistrationSpread
        Its uncertainty, normally distributed, axes independent.
    center_mm : tuple of float
        Point of the target frame about which the rotations are uncertain, usually the middle of
        the treated region.
    n : int
        Number of draws, at least 1.
    rng : Generator
        Source of randomness.

    Raises
    ------
    InputError
        If `n` is below 1.
    """
    if n < 1:
        msg = f"expected 1 draw or more, got {n}"
        raise InputError(msg)
    center = np.asarray(center_mm, dtype=np.float64)
    frame = transform.to_frame_uid
    drawn = []
    for _ in range(n):
        angles = rng.normal(0.0, spread.rotation_sd_deg)
        shift = rng.normal(0.0, spread.shift_sd_mm)
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        matrix[:3, 3] = center - matrix[:3, :3] @ center + shift
        drawn.append(transform.then(RigidTransform(matrix, frame, frame)))
    return tuple(drawn)


def ensemble_interval(doses: Sequence[Dose], *, level: float) -> tuple[Dose, Dose]:
    """Return the voxelwise interval that holds the true dose with at least probability `level`.

    Parameters
    ----------
    doses : sequence of Dose
        One dose mapped through each drawn transform, on one grid (a crop around the organ: all
        members are held at once).
    level : float
        Probability, above 0 and below 1.

    Returns
    -------
    low, high : Dose
        Bounds; NaN where any member is unknown.

    Raises
    ------
    InputError
        If the level is out of range or there are too few members for it.
    QuantityMismatchError, FrameMismatchError, GridMismatchError
        If the members differ in quantity or voxels.
    """
    if not 0 < level < 1:
        msg = f"expected a level between 0 and 1, got {level}"
        raise InputError(msg)
    n = len(doses)
    rank = int(np.floor((1.0 - level) / 2.0 * (n + 1) + 1e-9))
    if rank < 1:
        least = int(np.ceil(2.0 / (1.0 - level) - 1.0 - 1e-9))
        msg = f"a level of {level:g} needs {least} members or more, got {n}; draw more transforms"
        raise InputError(msg)
    first = doses[0]
    for dose in doses[1:]:
        first.require_same_quantity(dose)
        first.grid.require_same_voxels(dose.grid, "ensemble of doses")
    stack = np.stack([dose.values for dose in doses])
    unknown = np.isnan(stack).any(axis=0)
    ranked = np.partition(stack, (rank - 1, n - rank), axis=0)
    low, high = ranked[rank - 1].copy(), ranked[n - rank].copy()
    low[unknown] = np.nan
    high[unknown] = np.nan
    return (
        replace(first, values=low, instance_uid=""),
        replace(first, values=high, instance_uid=""),
    )
