"""Spectra of clinical photon beams: a published functional form, and one knob to harden it."""

import numpy as np
from numpy.typing import NDArray

from rerad.core.photon_beam import Spectrum
from rerad.dosecalc.attenuation import attenuation_per_mm
from rerad.errors import InputError
from rerad.tables.kernels_load import read_ali_rogers_parameters

ANNIHILATION_MEV = 0.51099895
LOWEST_MEV = 0.0695
"""K edge of tungsten, below which the form does not hold."""
_TUNGSTEN = ((6.575, -3.623e1, -1.578), (1.0, 9.667, 7.132e-1, -3.778e-4))
_ALUMINIUM = (
    (6.107e-2, 1.694e-2, -2.390e-3, 3.116e-4, 5.286e-4, 2.507e-5),
    (1.0, 7.769e-1, 2.434e-1, 3.838e-2, 3.042e-3, 9.686e-5),
)
_PANELS = 16
"""Midpoints over which each energy bin is integrated."""


def _polynomial_ratio(
    x: NDArray[np.float64], coefficients: tuple[tuple[float, ...], tuple[float, ...]]
) -> NDArray[np.float64]:
    above, below = (np.polynomial.polynomial.polyval(x, c) for c in coefficients)
    return np.asarray(above / below)


def ali_rogers_spectrum(
    name: str, *, n_energies: int = 60, lowest_mev: float = 0.1, electron_mev: float | None = None
) -> Spectrum:
    r"""Build the energy fluence of a clinical beam from the form of Ali and Rogers.

    .. math:: \psi(E) = \left[1 + C_3 \frac{E}{E_e} + \frac{E^2}{E_e^2}\right]
              \left[\ln\left(\frac{E_e (E_e - E)}{E} + 1.65\right) - 0.5\right]
              e^{-\mu_W C_1^2 - \mu_{Al} C_2^2}

    plus the annihilation line :math:`C_4` behind the same filtration.

    Parameters
    ----------
    name : str
        Beam of ``tables/photon_spectra.toml``, such as ``"elekta-6mv"``.
    n_energies : int, optional
        Equal energy bins; each stands at its middle.
    lowest_mev : float, optional
        Lower end of the first bin, 0.0695 MeV at least.
    electron_mev : float, optional
        Electron energy on the target in place of the published one.

    Returns
    -------
    Spectrum
        Energy fluence on the axis, summing to 1.

    Raises
    ------
    MissingDataError
        If no spectrum has this name.
    InputError
        If the bins do not fit between the lowest and the electrons' energy.

    References
    ----------
    .. [1] Ali & Rogers (2012), Phys. Med. Biol. 57, 31-50, doi:10.1088/0031-9155/57/1/31,
       tables 2 (form), 3 (attenuation of tungsten and aluminium) and 5 (parameters).
    """
    beam = read_ali_rogers_parameters(name)
    end = beam["electron_mev"] if electron_mev is None else electron_mev
    if not LOWEST_MEV <= lowest_mev < ANNIHILATION_MEV < end or n_energies < 1:
        msg = f"expected bins from {LOWEST_MEV} to below 0.511 MeV up to electrons above it, got "
        raise InputError(msg + f"{n_energies} from {lowest_mev} to {end} MeV")

    def transmission(energy: NDArray[np.float64]) -> NDArray[np.float64]:
        tungsten = np.exp(_polynomial_ratio(energy, _TUNGSTEN))
        aluminium = _polynomial_ratio(np.log(energy), _ALUMINIUM)
        path = tungsten * beam["tungsten"] ** 2 + aluminium * beam["aluminium"] ** 2
        return np.asarray(np.exp(-path))

    edges = np.linspace(lowest_mev, end, n_energies + 1)
    width = np.diff(edges)
    fine = edges[:-1, None] + width[:, None] * (np.arange(_PANELS) + 0.5) / _PANELS
    ratio = fine / end
    thin = np.log(end * (end - fine) / fine + 1.65) - 0.5
    density = (1.0 + beam["shape"] * ratio + ratio**2) * thin * transmission(fine)
    fluence = density.mean(axis=1) * width
    line = np.searchsorted(edges, ANNIHILATION_MEV, side="right") - 1
    fluence[line] += beam["annihilation_mev"] * transmission(np.array([ANNIHILATION_MEV]))[0]
    return Spectrum(0.5 * (edges[1:] + edges[:-1]), fluence)


def filtered(spectrum: Spectrum, water_mm: float) -> Spectrum:
    r"""Harden a spectrum as so much water would, or soften it if negative.

    .. math:: \psi'_E \propto \psi_E \, e^{-\mu_E t}

    One parameter for fitting: a depth dose decides how hard a beam is, hardly in which way.

    Parameters
    ----------
    spectrum : Spectrum
    water_mm : float
        Thickness t of water; negative takes filtration away.

    Returns
    -------
    Spectrum
        On the same energies, summing to 1.
    """
    mu = attenuation_per_mm(spectrum.energy_mev)
    left = np.exp(-(mu - mu.min()) * water_mm)
    return Spectrum(spectrum.energy_mev, spectrum.energy_fluence * left)


def mean_energy_mev(spectrum: Spectrum) -> float:
    """Mean energy of the photons (each photon counts once).

    Parameters
    ----------
    spectrum : Spectrum

    Returns
    -------
    float
        MeV.
    """
    photons = spectrum.energy_fluence / spectrum.energy_mev
    return float(spectrum.energy_fluence.sum() / photons.sum())
