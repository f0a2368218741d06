"""Beams: where they come from, and how leaves and jaws shape them over the meterset."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError


@dataclass(frozen=True, slots=True)
class BeamGeometry:
    """Direction of a beam in IEC 61217 angles.

    Parameters
    ----------
    name : str
        Short name, unique in a plan.
    gantry_angle_deg, collimator_angle_deg, couch_angle_deg : float
        IEC 61217 gantry, beam limiting device and patient support angles.
    isocenter_mm : tuple of float
        ``(x, y, z)`` in the patient system.
    """

    name: str
    gantry_angle_deg: float
    collimator_angle_deg: float
    couch_angle_deg: float
    isocenter_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        angles = (self.gantry_angle_deg, self.collimator_angle_deg, self.couch_angle_deg)
        if not np.all(np.isfinite(angles)) or not np.all(np.isfinite(self.isocenter_mm)):
            msg = f"beam {self.name}: expected finite angles in degrees and isocenter in mm"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class ControlPoint:
    """Leaves and jaws at one share of the beam's meterset.

    Parameters
    ----------
    cumulative_weight : float
        Share of the meterset delivered when the machine is here, 0 to 1.
    jaw_x_mm, jaw_y_mm : tuple of float
        Jaw positions (X1, X2) and (Y1, Y2) at the isocentre plane.
    leaf_positions_mm : ndarray of shape (2, N)
        Tip positions of bank X1 (row 0, negative side) and X2 (row 1), in order of y.
    gantry_angle_deg : float or None
        For arcs; None means the beam's own angle.
    """

    cumulative_weight: float
    jaw_x_mm: tuple[float, float]
    jaw_y_mm: tuple[float, float]
    leaf_positions_mm: NDArray[np.float64]
    gantry_angle_deg: float | None = None

    def __post_init__(self) -> None:
        leaves = frozen_array(self.leaf_positions_mm, np.float64)
        object.__setattr__(self, "leaf_positions_mm", leaves)
        if leaves.ndim != 2 or leaves.shape[0] != 2:
            msg = f"expected leaf positions of shape (2, leaf pairs), got {leaves.shape}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class Beam:
    """A deliverable beam.

    Parameters
    ----------
    number : int
        DICOM beam number, unique in the plan.
    geometry : BeamGeometry
        Direction and isocentre.
    control_points : tuple of ControlPoint
        At least two, cumulative weights ascending from 0 to 1; leaves move linearly between.
    meterset_mu : float
        Monitor units of one fraction.
    dose_rate_mu_min : float or None
        Dose rate that it is planned with; None means the machine's own.
    energy_mv : float or None
        Nominal energy that the plan names; None if it names none.
    fluence_mode : str
        ``STANDARD`` (flattening filter in the beam), the name of another mode (``FFF``: none), or
        empty if the plan does not say.
    """

    number: int
    geometry: BeamGeometry
    control_points: tuple[ControlPoint, ...]
    meterset_mu: float
    dose_rate_mu_min: float | None = None
    energy_mv: float | None = None
    fluence_mode: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "control_points", tuple(self.control_points))
        weights = [point.cumulative_weight for point in self.control_points]
        rises = len(weights) >= 2 and np.all(np.diff(weights) >= 0)
        if not rises or abs(weights[0]) > 1e-9 or abs(weights[-1] - 1) > 1e-6:
            msg = (
                f"beam {self.geometry.name}: expected at least two control points with "
                "cumulative weights ascending from 0 to 1"
            )
            raise InputError(msg)
        if not 0 <= self.meterset_mu < np.inf:
            msg = f"beam {self.geometry.name}: expected 0 MU or more, got {self.meterset_mu}"
            raise InputError(msg)
        if self.dose_rate_mu_min is not None and not 0 < self.dose_rate_mu_min < np.inf:
            msg = (
                f"beam {self.geometry.name}: expected a dose rate above 0 MU/min, "
                f"got {self.dose_rate_mu_min}"
            )
            raise InputError(msg)
