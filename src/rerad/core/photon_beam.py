"""A photon beam before it meets collimator and patient: spectrum, fluence, monitor unit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError


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
class Spectrum:
    """Energy fluence of a beam on its axis.

    Parameters
    ----------
    energy_mev : ndarray of shape (E,)
        Photon energies, ascending, above 0.
    energy_fluence : ndarray of shape (E,)
        Share of the energy fluence at each of them; scaled to sum to 1.
    """

    energy_mev: NDArray[np.float64]
    energy_fluence: NDArray[np.float64]

    def __post_init__(self) -> None:
        energy = frozen_array(self.energy_mev, np.float64)
        share = np.asarray(self.energy_fluence, dtype=np.float64)
        if energy.ndim != 1 or energy.shape != share.shape or energy.size == 0:
            msg = f"expected as many shares as energies, got {share.shape} and {energy.shape}"
            raise InputError(msg)
        if energy[0] <= 0 or np.any(np.diff(energy) <= 0):
            msg = "expected photon energies above 0 MeV, ascending"
            raise InputError(msg)
        if not np.all(np.isfinite(share)) or share.min() < 0 or share.sum() <= 0:
            msg = "expected shares of the energy fluence of 0 or more, not all 0"
            raise InputError(msg)
        object.__setattr__(self, "energy_mev", energy)
        object.__setattr__(self, "energy_fluence", frozen_array(share / share.sum(), np.float64))


@dataclass(frozen=True, slots=True)
class HeadScatter:
    """Photons scattered in the head, as a second, extended source.

    Parameters
    ----------
    share : float
        Share of the open fluence on the axis of a field without end, 0 to below 1.
    sigma_mm : float
        Standard deviation of the Gaussian by which an edge in the collimator blurs this part, at
        the isocentre plane.
    """

    share: float
    sigma_mm: float

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1 or not 0 < self.sigma_mm < np.inf:
            msg = (
                "expected a share of head scatter from 0 to below 1 and a width above 0 mm, got "
                f"{self.share} and {self.sigma_mm} mm"
            )
            raise InputError(msg)


@dataclass(frozen=True, slots=True)
class ElectronContamination:
    """Dose of the electrons that come with the photons.

    ``dose(d) = surface_share * exp(-d / depth_mm) * (A * Gaussian)`` in units of the dose on the
    axis under the reference condition; A is 1 where the collimator is open.

    Parameters
    ----------
    surface_share : float
        0 or more.
    depth_mm : float
        Radiological depth over which it falls to 1/e.
    sigma_mm : float
        Standard deviation of the blur at the isocentre plane.
    """

    surface_share: float
    depth_mm: float
    sigma_mm: float

    def __post_init__(self) -> None:
        widths = (self.depth_mm, self.sigma_mm)
        if not 0 <= self.surface_share < np.inf or not all(0 < width < np.inf for width in widths):
            msg = (
                "expected an electron contamination of 0 or more with depth and width above "
                f"0 mm, got {self.surface_share}, {self.depth_mm} mm and {self.sigma_mm} mm"
            )
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
class PhotonBeam:
    """One energy of a linear accelerator.

    The fluence at a point of the isocentre plane, relative to the axis of an open field without
    end, is ``(1 - h) (A r) * G(focal) + h A * G(head)``: A is 1 where the collimator is open, r
    the off-axis ratio, G are Gaussians, ``*`` is convolution, and h the share of head scatter.

    Parameters
    ----------
    name : str
        Short name in the machine's file, for example ``6X`` or ``6X-FFF``.
    energy_mv : float
        Nominal energy.
    is_flattened : bool
        Whether a flattening filter is in the beam.
    dose_rate_mu_min : float
        Meterset rate.
    spectrum : Spectrum
        On the axis.
    kernel : PencilKernel
        Dose in water of a narrow beam of that spectrum.
    off_axis_radius_mm : ndarray of shape (M,)
        Distances from the axis at the isocentre plane, ascending from 0.
    off_axis_ratio : ndarray of shape (M,)
        Primary energy fluence there, relative to the axis.
    off_axis_depth_scale : ndarray of shape (M,)
        How much faster the beam is attenuated there than on the axis: radiological depth is
        multiplied by it. Above 1 where the beam is softer.
    focal_sigma_mm : tuple of float
        Standard deviations along x and y of the Gaussian by which focal spot and collimator blur
        an edge, at the isocentre plane.
    head_scatter : HeadScatter
        The second source.
    electrons : ElectronContamination
        Electrons from head and air.
    reference : ReferenceCondition
        What a monitor unit is.
    """

    name: str
    energy_mv: float
    is_flattened: bool
    dose_rate_mu_min: float
    spectrum: Spectrum
    kernel: PencilKernel
    off_axis_radius_mm: NDArray[np.float64]
    off_axis_ratio: NDArray[np.float64]
    off_axis_depth_scale: NDArray[np.float64]
    focal_sigma_mm: tuple[float, float]
    head_scatter: HeadScatter
    electrons: ElectronContamination
    reference: ReferenceCondition

    def __post_init__(self) -> None:
        names = ("off_axis_radius_mm", "off_axis_ratio", "off_axis_depth_scale")
        for name in names:
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
        shapes = {getattr(self, name).shape for name in names}
        if len(shapes) != 1 or self.off_axis_radius_mm.ndim != 1:
            msg = f"beam {self.name}: expected off-axis tables of one length, got {shapes}"
            raise InputError(msg)
        if np.any(np.diff(self.off_axis_radius_mm) <= 0) or np.any(self.off_axis_depth_scale <= 0):
            msg = f"beam {self.name}: expected ascending off-axis radii and depth scales above 0"
            raise InputError(msg)
        if min(self.focal_sigma_mm) < 0:
            msg = f"beam {self.name}: expected a focal blur of 0 mm or more, got "
            raise InputError(msg + f"{self.focal_sigma_mm}")
