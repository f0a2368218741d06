"""Where the energy goes that a photon releases at a point in water.

The kernels are made by the project's own Monte Carlo (``tools/kernels``) and ship as data.
*Primary* is what the charged particles deposit that the photon's first interaction set free;
*scatter* is everything else. Lengths in mm of water at 1 g/cm3; energies in MeV. See
``docs/methods/point-kernels.md``.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.photon_beam import Spectrum
from rerad.dosecalc.attenuation import attenuation_per_mm
from rerad.errors import InputError
from rerad.tables.kernels_load import read_point_kernels


@dataclass(frozen=True, eq=False, slots=True)
class PointKernels:
    """Share of the energy released by photons at the origin, flying along +z, in each bin.

    Parameters
    ----------
    energy_mev : ndarray of shape (E,)
        Photon energies, ascending.
    radius_mm : ndarray of shape (R + 1,)
        Edges of the shells, ascending from 0.
    polar_angle_deg : ndarray of shape (A + 1,)
        Edges of the angle bins against the photon's direction, from 0 to 180.
    primary, scatter : ndarray of shape (E, R, A)
        Deposited share; with `escaped` all sum to 1 at each energy.
    escaped : ndarray of shape (E, 2)
        Share of the primary and of the scattered part that left the last shell.
    source : str
        Where the numbers come from.
    """

    energy_mev: NDArray[np.float64]
    radius_mm: NDArray[np.float64]
    polar_angle_deg: NDArray[np.float64]
    primary: NDArray[np.float64]
    scatter: NDArray[np.float64]
    escaped: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        names = ("energy_mev", "radius_mm", "polar_angle_deg", "primary", "scatter", "escaped")
        for name in names:
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))
        shape = (len(self.energy_mev), len(self.radius_mm) - 1, len(self.polar_angle_deg) - 1)
        if self.primary.shape != shape or self.scatter.shape != shape:
            msg = f"expected kernels of shape {shape} (energies, shells, angles), got "
            raise InputError(msg + f"{self.primary.shape} and {self.scatter.shape}")
        if self.escaped.shape != (shape[0], 2):
            msg = f"expected two escaped shares for each of {shape[0]} energies, got "
            raise InputError(msg + f"{self.escaped.shape}")

    @property
    def primary_share(self) -> NDArray[np.float64]:
        """Share of the released energy that the first charged particles take, shape (E,)."""
        return np.asarray(self.primary.sum(axis=(1, 2)) + self.escaped[:, 0])


@dataclass(frozen=True, eq=False, slots=True)
class PolyenergeticKernel:
    """Point kernel of a spectrum: primary and scatter, each of total 1.

    Parameters
    ----------
    radius_mm : ndarray of shape (R + 1,)
    polar_angle_deg : ndarray of shape (A + 1,)
        Edges of the bins.
    primary, scatter : ndarray of shape (R, A)
        Share of the primary (scattered) energy in each bin; with the escaped share it sums to 1.
    primary_escaped, scatter_escaped : float
        Share that left the last shell.
    """

    radius_mm: NDArray[np.float64]
    polar_angle_deg: NDArray[np.float64]
    primary: NDArray[np.float64]
    scatter: NDArray[np.float64]
    primary_escaped: float
    scatter_escaped: float


@cache
def load_point_kernels() -> PointKernels:
    """Read the point kernels that ship.

    Returns
    -------
    PointKernels
        For 0.1 to 10 MeV.
    """
    arrays, source = read_point_kernels()
    return PointKernels(**arrays, source=source)


def energy_weights(kernels: PointKernels, energy_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weigh the kernels' energies so that their sum is the kernel at other energies.

    Linear in the logarithm of energy; the lowest kernel serves below its energy.

    Parameters
    ----------
    kernels : PointKernels
    energy_mev : ndarray of shape (N,)

    Returns
    -------
    ndarray of shape (N, E)
        Rows sum to 1, at most two entries of each are not 0.

    Raises
    ------
    InputError
        If an energy is above the last of the kernels.
    """
    if energy_mev.max() > kernels.energy_mev[-1]:
        msg = f"expected photons up to {kernels.energy_mev[-1]:g} MeV, where the point kernels "
        raise InputError(msg + f"end, got {energy_mev.max():g} MeV")
    place = np.interp(
        np.log(energy_mev), np.log(kernels.energy_mev), np.arange(len(kernels.energy_mev))
    )
    distance = np.abs(place[:, None] - np.arange(len(kernels.energy_mev)))
    return np.asarray(np.maximum(1.0 - distance, 0.0))


def polyenergetic_kernel(
    kernels: PointKernels, spectrum: Spectrum, depth_mm: float
) -> PolyenergeticKernel:
    r"""Mix the kernels of a spectrum by the energy that it releases at a depth in water.

    .. math:: K_p = \frac{\sum_E \psi_E \mu_E e^{-\mu_E d} K_p(E)}
              {\sum_E \psi_E \mu_E e^{-\mu_E d} p(E)}

    with the primary share p(E), and likewise for scatter.

    Parameters
    ----------
    kernels : PointKernels
    spectrum : Spectrum
        At the surface.
    depth_mm : float
        Depth in water at which the spectrum is taken, 0 or more. Where one kernel serves all
        depths of a 6 MV beam, 5 mm errs least (0.6 %); 15 mm is 1.3 % low at 2 mm depth.

    Returns
    -------
    PolyenergeticKernel
    """
    mu = attenuation_per_mm(spectrum.energy_mev)
    released = spectrum.energy_fluence * mu * np.exp(-mu * depth_mm)
    weight = released @ energy_weights(kernels, spectrum.energy_mev)
    primary = np.tensordot(weight, kernels.primary, axes=1)
    scatter = np.tensordot(weight, kernels.scatter, axes=1)
    escaped = weight @ kernels.escaped
    totals = (primary.sum() + escaped[0], scatter.sum() + escaped[1])
    return PolyenergeticKernel(
        radius_mm=kernels.radius_mm,
        polar_angle_deg=kernels.polar_angle_deg,
        primary=frozen_array(primary / totals[0], np.float64),
        scatter=frozen_array(scatter / totals[1], np.float64),
        primary_escaped=float(escaped[0] / totals[0]),
        scatter_escaped=float(escaped[1] / totals[1]),
    )
