"""What a linear accelerator can do, and its beam data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Mlc:
    """A multileaf collimator whose leaves move along IEC 61217 beam-limiting-device x.

    Parameters
    ----------
    leaf_boundaries_mm : ndarray of shape (N + 1,)
        y of the leaf sides at the isocentre plane, ascending.
    leaf_position_min_mm, leaf_position_max_mm : float
        Furthest positions that a leaf tip reaches, at the isocentre plane. Bank X1 (negative
        side) reaches from min to -min mirrored: both banks share the interval.
    leaf_span_max_mm : float
        Largest distance between the tips of two leaves of one bank at one moment.
    leaf_speed_max_mm_s : float
        Fastest leaf at the isocentre plane.
    leaf_gap_min_mm : float
        Smallest gap between opposing tips while the beam is on.
    transmission : float
        Share of the open fluence behind closed leaves, averaged over interleaf leakage.
    dosimetric_leaf_gap_mm : float
        Width by which a gap looks wider than the tips say, from the rounded leaf ends.
    """

    leaf_boundaries_mm: NDArray[np.float64]
    leaf_position_min_mm: float
    leaf_position_max_mm: float
    leaf_span_max_mm: float
    leaf_speed_max_mm_s: float
    leaf_gap_min_mm: float
    transmission: float
    dosimetric_leaf_gap_mm: float

    def __post_init__(self) -> None:
        edges = frozen_array(self.leaf_boundaries_mm, np.float64)
        object.__setattr__(self, "leaf_boundaries_mm", edges)
        if edges.ndim != 1 or len(edges) < 2 or np.any(np.diff(edges) <= 0):
            msg = "expected ascending leaf boundaries, one more than there are leaf pairs"
            raise InputError(msg)
        if not 0 <= self.transmission < 1:
            msg = f"expected a leaf transmission from 0 to below 1, got {self.transmission}"
            raise InputError(msg)

    @property
    def n_leaf_pairs(self) -> int:
        """Number of leaf pairs."""
        return len(self.leaf_boundaries_mm) - 1


@dataclass(frozen=True, eq=False, slots=True)
class PencilKernel:
    """Dose in water of an infinitely narrow beam, per unit of energy fluence at the isocentre.

    Parameters
    ----------
    depth_mm : ndarray of shape (D,)
        Depths of the tabulated kernels, ascending, from the surface.
    radius_mm : ndarray of shape (R + 1,)
        Edges of the radial shells, ascending from 0.
    dose : ndarray of shape (D, R)
        Mean dose in each shell, per unit fluence and mm², for parallel incidence; the scale is
        fixed by the machine's reference condition.
    source : str
        Where the numbers come from.
    """

    depth_mm: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    dose: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        for name in ("depth_mm", "radius_mm", "dose"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
        if self.dose.shape != (len(self.depth_mm), len(self.radius_mm) - 1):
            msg = f"expected a kernel of shape (depths, shells), got {self.dose.shape}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class ReferenceCondition:
    """The condition under which one monitor unit gives a stated dose in water.

    Parameters
    ----------
    field_mm : float
        Side of the square field at the isocentre.
    ssd_mm : float
        Distance from source to water surface.
    depth_mm : float
        Depth of the reference point.
    dose_per_mu_gy : float
        Dose there for one monitor unit.
    """

    field_mm: float
    ssd_mm: float
    depth_mm: float
    dose_per_mu_gy: float


@dataclass(frozen=True, eq=False, slots=True)
class Machine:
    """A linear accelerator as rerad models it.

    Parameters
    ----------
    name : str
        Goes into RTPLAN as the treatment machine name (at most 16 characters).
    manufacturer, model : str
        As written into RTPLAN.
    energy_mv : float
        Nominal beam energy.
    sad_mm : float
        Source to isocentre distance.
    dose_rate_mu_min : float
        Meterset rate.
    jaw_x_limits_mm, jaw_y_limits_mm : tuple of float
        Furthest jaw positions at the isocentre plane, (min, max).
    mlc : Mlc
        The multileaf collimator.
    kernel : PencilKernel
        Beam data.
    source_sigma_mm : float
        Standard deviation of the Gaussian focal spot seen at the isocentre plane (geometric
        penumbra and lateral blur not in the kernel).
    off_axis_radius_mm, off_axis_ratio : ndarray of shape (M,)
        Open fluence relative to the axis against distance from it at the isocentre.
    reference : ReferenceCondition
        What a monitor unit is.
    is_commissioned : bool
        Whether a user says that measured data stand behind it. The machines that ship are not.
    source : str
        Where the numbers come from.
    """

    name: str
    manufacturer: str
    model: str
    energy_mv: float
    sad_mm: float
    dose_rate_mu_min: float
    jaw_x_limits_mm: tuple[float, float]
    jaw_y_limits_mm: tuple[float, float]
    mlc: Mlc
    kernel: PencilKernel
    source_sigma_mm: float
    off_axis_radius_mm: NDArray[np.float64]
    off_axis_ratio: NDArray[np.float64]
    reference: ReferenceCondition
    is_commissioned: bool
    source: str

    def __post_init__(self) -> None:
        for name in ("off_axis_radius_mm", "off_axis_ratio"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
        if not self.name or len(self.name) > 16:
            msg = f"expected a machine name of 1 to 16 characters, got {self.name!r}"
            raise InputError(msg)
