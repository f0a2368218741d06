"""Photons in water before their first interaction: attenuation and the energy they release.

Lengths in mm of water at 1 g/cm3 (radiological depth), energy fluence in MeV/mm2, released energy
per mass in Gy. Coherent scattering counts as no interaction: it neither releases energy nor turns
photons of therapy beams noticeably.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.photon_beam import Spectrum
from rerad.errors import InputError
from rerad.tables.kernels_load import read_photon_water, read_point_kernels

GY_PER_MEV_MM3 = 1.602176634e-7
"""Dose in water of 1 g/cm3 that holds 1 MeV in each mm3 (CODATA 2018 elementary charge)."""
MAX_DEPTH_MM = 900.0
"""Depth up to which released energy is tabulated."""
DEPTH_STEP_MM = 1.0
"""Step of the table; between its entries the logarithm is interpolated."""


@dataclass(frozen=True, eq=False, slots=True)
class ReleasedEnergy:
    """Energy released per mass by depth in water, in Gy per energy fluence of 1 MeV/mm2.

    Parameters
    ----------
    depth_mm : ndarray of shape (D,)
        Radiological depths, equal steps from 0.
    primary, scatter : ndarray of shape (D,)
        Released at that depth to be deposited by the first charged particles, and by all else.
    """

    depth_mm: NDArray[np.float64]
    primary: NDArray[np.float64]
    scatter: NDArray[np.float64]


@cache
def _water_logarithms() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = read_photon_water()
    return np.log(table["energy_mev"]), np.log(table["total"] - table["coherent"])


@cache
def _primary_shares() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    arrays, _ = read_point_kernels()
    share = arrays["primary"].sum(axis=(1, 2)) + arrays["escaped"][:, 0]
    return np.log(arrays["energy_mev"]), share


def attenuation_per_mm(energy_mev: NDArray[np.float64]) -> NDArray[np.float64]:
    """Attenuation coefficient of water at 1 g/cm3 without coherent scattering.

    Parameters
    ----------
    energy_mev : ndarray
        From 0.01 to 10.

    Returns
    -------
    ndarray
        1/mm, of the same shape; logarithms are interpolated.

    Raises
    ------
    InputError
        If an energy lies outside the table.

    References
    ----------
    .. [1] Hubbell & Seltzer (1995), NISTIR 5632, doi:10.18434/T4D01F.
    """
    energy, coefficient = _water_logarithms()
    at = np.log(energy_mev)
    if at.min() < energy[0] - 1e-12 or at.max() > energy[-1] + 1e-12:
        msg = "expected photon energies of 0.01 to 10 MeV, got "
        raise InputError(msg + f"{np.min(energy_mev):g} to {np.max(energy_mev):g} MeV")
    # cm2/g of water at 1 g/cm3 is 1/cm.
    return np.asarray(0.1 * np.exp(np.interp(at, energy, coefficient)))


def released_energy_table(spectrum: Spectrum) -> ReleasedEnergy:
    r"""Tabulate the energy that a beam releases in water, hardening included.

    .. math:: T_p(d) = \Psi \sum_E \psi_E \, \mu_E \, p_E \, e^{-\mu_E d}

    with the primary share p of the point kernels; the rest is released as scatter.

    Parameters
    ----------
    spectrum : Spectrum
        Energy fluence at the surface.

    Returns
    -------
    ReleasedEnergy
        From 0 to 900 mm in steps of 1 mm.
    """
    mu = attenuation_per_mm(spectrum.energy_mev)
    share = np.interp(np.log(spectrum.energy_mev), *_primary_shares())
    depth = np.arange(0.0, MAX_DEPTH_MM + DEPTH_STEP_MM, DEPTH_STEP_MM)
    left = np.exp(-np.outer(depth, mu))
    released = GY_PER_MEV_MM3 * spectrum.energy_fluence * mu
    return ReleasedEnergy(
        depth_mm=frozen_array(depth, np.float64),
        primary=frozen_array(left @ (released * share), np.float64),
        scatter=frozen_array(left @ (released * (1.0 - share)), np.float64),
    )


def released_energy(
    spectrum: Spectrum, depth_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Energy released per mass at radiological depths in water.

    Parameters
    ----------
    spectrum : Spectrum
        Energy fluence at the surface.
    depth_mm : ndarray
        Radiological depths, 0 to 900 mm of water.

    Returns
    -------
    primary, scatter : ndarray
        Gy per energy fluence of 1 MeV/mm2 at the surface, of the same shape, without inverse
        square.

    Raises
    ------
    InputError
        If a depth lies outside the table.
    """
    depth = np.asarray(depth_mm, dtype=np.float64)
    if depth.size and not (depth.min() >= 0.0 and depth.max() <= MAX_DEPTH_MM):
        msg = f"expected radiological depths of 0 to {MAX_DEPTH_MM:g} mm, got "
        raise InputError(msg + f"{depth.min():g} to {depth.max():g} mm")
    table = released_energy_table(spectrum)
    primary = np.exp(np.interp(depth, table.depth_mm, np.log(table.primary)))
    scatter = np.exp(np.interp(depth, table.depth_mm, np.log(table.scatter)))
    return np.asarray(primary), np.asarray(scatter)
