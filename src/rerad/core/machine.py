"""What a linear accelerator can do, and its beam data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.photon_beam import PhotonBeam, ReferenceCondition
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
    tip_radius_mm : float
        Radius of the rounded leaf ends.
    tongue_and_groove_mm : float
        Width at the isocentre plane of the strip beside a leaf that its tongue (or groove) still
        covers; 0 if leaves have none.
    is_interdigitation_allowed : bool
        Whether a tip may pass the opposing tips of the neighbouring pairs.
    is_dynamic : bool
        Whether leaves may move while the beam is on. If not, a beam is a row of still segments.
    """

    leaf_boundaries_mm: NDArray[np.float64]
    leaf_position_min_mm: float
    leaf_position_max_mm: float
    leaf_span_max_mm: float
    leaf_speed_max_mm_s: float
    leaf_gap_min_mm: float
    transmission: float
    dosimetric_leaf_gap_mm: float
    tip_radius_mm: float
    tongue_and_groove_mm: float
    is_interdigitation_allowed: bool
    is_dynamic: bool = True

    def __post_init__(self) -> None:
        edges = frozen_array(self.leaf_boundaries_mm, np.float64)
        object.__setattr__(self, "leaf_boundaries_mm", edges)
        if edges.ndim != 1 or len(edges) < 2 or np.any(np.diff(edges) <= 0):
            msg = "expected ascending leaf boundaries, one more than there are leaf pairs"
            raise InputError(msg)
        if not 0 <= self.transmission < 1:
            msg = f"expected a leaf transmission from 0 to below 1, got {self.transmission}"
            raise InputError(msg)
        if not 0 <= self.tongue_and_groove_mm < np.diff(edges).min():
            msg = "expected a tongue and groove narrower than a leaf, 0 mm or more, got "
            raise InputError(msg + f"{self.tongue_and_groove_mm} mm")

    @property
    def n_leaf_pairs(self) -> int:
        """Number of leaf pairs."""
        return len(self.leaf_boundaries_mm) - 1


@dataclass(frozen=True, eq=False, slots=True)
class Machine:
    """A linear accelerator, set to one of its photon beams, as rerad models it.

    Parameters
    ----------
    name : str
        Goes into RTPLAN as the treatment machine name (at most 16 characters).
    manufacturer, model : str
        As written into RTPLAN.
    sad_mm : float
        Source to isocentre distance.
    jaw_x_limits_mm : tuple of float or None
        Furthest positions (min, max) at the isocentre plane of the jaws that move along x; None
        if the machine has none and leaves alone bound the field there.
    jaw_y_limits_mm : tuple of float
        Furthest positions of the jaws that move along y.
    jaw_transmission : float
        Share of the open fluence behind a jaw, 0 to below 1.
    mlc : Mlc
        The multileaf collimator.
    beam : PhotonBeam
        Energy, spectrum, fluence and what a monitor unit is.
    is_commissioned : bool
        Whether a user says that measured data stand behind it. The machines that ship are not.
    source : str
        Where the numbers come from.
    """

    name: str
    manufacturer: str
    model: str
    sad_mm: float
    jaw_x_limits_mm: tuple[float, float] | None
    jaw_y_limits_mm: tuple[float, float]
    jaw_transmission: float
    mlc: Mlc
    beam: PhotonBeam
    is_commissioned: bool
    source: str

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 16:
            msg = f"expected a machine name of 1 to 16 characters, got {self.name!r}"
            raise InputError(msg)
        if not 0 <= self.jaw_transmission < 1:
            msg = f"expected a jaw transmission from 0 to below 1, got {self.jaw_transmission}"
            raise InputError(msg)

    @property
    def energy_mv(self) -> float:
        """Nominal energy of the beam."""
        return self.beam.energy_mv

    @property
    def dose_rate_mu_min(self) -> float:
        """Meterset rate of the beam."""
        return self.beam.dose_rate_mu_min

    @property
    def reference(self) -> ReferenceCondition:
        """What a monitor unit of the beam is."""
        return self.beam.reference

    @property
    def field_x_limits_mm(self) -> tuple[float, float]:
        """Furthest edges of a field along x: of the jaws, or of the leaves if there are none."""
        if self.jaw_x_limits_mm is not None:
            return self.jaw_x_limits_mm
        return (-self.mlc.leaf_position_max_mm, self.mlc.leaf_position_max_mm)
