"""Intensity-modulated fluence on the rows of the multileaf collimator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.beam import BeamGeometry
from rerad.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class BixelGrid:
    """The beamlets of one beam, in beam-limiting-device coordinates at the isocentre plane.

    Parameters
    ----------
    geometry : BeamGeometry
        The beam.
    x_edges_mm : ndarray of shape (C + 1,)
        Column edges along the leaf motion, ascending.
    y_edges_mm : ndarray of shape (R + 1,)
        Row edges: consecutive leaf boundaries of the collimator, ascending.
    is_active : ndarray of bool, shape (R, C)
        Which beamlets may be opened; the optimiser's unknowns are these, row by row.
    """

    geometry: BeamGeometry
    x_edges_mm: NDArray[np.float64]
    y_edges_mm: NDArray[np.float64]
    is_active: NDArray[np.bool_]

    def __post_init__(self) -> None:
        object.__setattr__(self, "x_edges_mm", frozen_array(self.x_edges_mm, np.float64))
        object.__setattr__(self, "y_edges_mm", frozen_array(self.y_edges_mm, np.float64))
        object.__setattr__(self, "is_active", frozen_array(self.is_active, np.bool_))
        shape = (len(self.y_edges_mm) - 1, len(self.x_edges_mm) - 1)
        if self.is_active.shape != shape:
            msg = f"expected active flags of shape {shape}, got {self.is_active.shape}"
            raise InputError(msg)

    @property
    def n_active(self) -> int:
        """Number of beamlets that may be opened."""
        return int(np.count_nonzero(self.is_active))


@dataclass(frozen=True, eq=False, slots=True)
class Fluence:
    """Fluence of one beam.

    Parameters
    ----------
    grid : BixelGrid
        The beamlets.
    values_mu : ndarray of shape (R, C)
        Open-beam monitor units that each beamlet sees, over all fractions; 0 where not active.
    """

    grid: BixelGrid
    values_mu: NDArray[np.float64]

    def __post_init__(self) -> None:
        values = frozen_array(self.values_mu, np.float64)
        object.__setattr__(self, "values_mu", values)
        if values.shape != self.grid.is_active.shape:
            msg = f"expected fluence of shape {self.grid.is_active.shape}, got {values.shape}"
            raise InputError(msg)
        if not np.all(np.isfinite(values)) or np.any(values < 0):
            msg = "expected finite fluence of 0 MU or more"
            raise InputError(msg)
