"""Interaction tables of photons and electrons in water for the point-kernel Monte Carlo.

Lengths in mm, energies in MeV, water of 1 g/cm3. Everything a transport loop looks up is laid out
here on logarithmic energy grids: photon attenuation, restricted stopping powers, rates of the hard
events of electrons and the strength of their soft scattering.
"""

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

ELECTRON_MASS_MEV = 0.51099895
CLASSICAL_RADIUS_MM = 2.8179403e-12
FINE_STRUCTURE = 1.0 / 137.035999
BOHR_RADIUS_MM = 5.29177211e-8
REDUCED_COMPTON_MM = 3.8615927e-10
"""Reduced Compton wavelength of the electron."""
MOLECULES_PER_MM3 = 6.02214076e23 / 18.01528 / 1000.0
ELECTRONS_PER_MM3 = 10.0 * MOLECULES_PER_MM3
ATOMS = ((8.0, 1.0), (1.0, 2.0))
"""Atomic number and atoms per molecule."""
MEAN_EXCITATION_MEV = 75.0e-6
"""Mean excitation energy of liquid water (ICRU Report 37)."""

DELTA_CUT_MEV = 0.1
"""Knock-on electrons above this energy are transported."""
PHOTON_CUT_MEV = 0.01
"""Photons below this energy are absorbed where they are."""
ELECTRON_CUT_MEV = 0.03
"""Electrons below this energy stop where they are: their range is under 0.02 mm."""
SCATTER_ELECTRON_CUT_MEV = 0.15
"""The same for electrons of scattered photons, whose dose varies over centimetres: 0.3 mm."""
HARD_PER_TRANSPORT_LENGTH = 10.0
"""Elastic collisions sampled one by one, per transport mean free path."""
STEP_LOSS = 0.05
"""Share of the energy lost in the longest step."""

PHOTON_GRID_MEV = np.geomspace(PHOTON_CUT_MEV, 10.0, 800)
ELECTRON_GRID_MEV = np.geomspace(0.02, 10.0, 500)
PAIR_QUANTILES = 65
PHOTON_TABLE = Path(__file__).parents[2] / "src" / "rerad" / "tables" / "photon_water.toml"
ELECTRON_TABLE = Path(__file__).parent / "electron_water.toml"


def water_table(path: Path) -> dict[str, Array]:
    """Read coefficients of water by energy."""
    raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {name: np.asarray(column) for name, column in raw["water"].items()}


def _on_grid(energy: Array, value: Array) -> Array:
    return np.exp(np.interp(np.log(PHOTON_GRID_MEV), np.log(energy), np.log(value)))


def klein_nishina(energy: Array) -> Array:
    """Attenuation by Compton scattering off free electrons, 1/mm."""
    k = energy / ELECTRON_MASS_MEV
    log = np.log1p(2 * k)
    area = (1 + k) / k**2 * (2 * (1 + k) / (1 + 2 * k) - log / k)
    area += log / (2 * k) - (1 + 3 * k) / (1 + 2 * k) ** 2
    return np.asarray(2 * np.pi * CLASSICAL_RADIUS_MM**2 * area * ELECTRONS_PER_MM3)


def born_pair_spectrum(photon_mev: float, positron_share: Array) -> Array:
    """Unscreened Born cross section of pair production by share of kinetic energy, per Z^2, mm2.

    Bethe and Heitler 1934; `positron_share` is the positron's share of the kinetic energy.
    """
    k = photon_mev / ELECTRON_MASS_MEV
    ep = 1 + positron_share * (k - 2)
    em = k - ep
    pp, pm = np.sqrt(ep**2 - 1), np.sqrt(em**2 - 1)
    lp, lm = 2 * np.log(ep + pp), 2 * np.log(em + pm)
    log = 2 * np.log((ep * em + pp * pm + 1) / k)
    inner = (ep * em - pm**2) / pm**3 * lm + (ep * em - pp**2) / pp**3 * lp
    inner += 2 * k * ep * em / (pp**2 * pm**2)
    bracket = -4 / 3 - 2 * ep * em * (pp**2 + pm**2) / (pp**2 * pm**2)
    bracket += lm * ep / pm**3 + lp * em / pp**3 - lp * lm / (pp * pm)
    bracket += log * (
        k**2 / (pp * pm) ** 3 * ((ep * em) ** 2 + (pp * pm) ** 2)
        - 8 / 3 * ep * em / (pp * pm)
        - k / (2 * pp * pm) * inner
    )
    scale = FINE_STRUCTURE * CLASSICAL_RADIUS_MM**2 * pp * pm / k**3 * (k - 2)
    return np.asarray(np.maximum(scale * bracket, 0.0))


def born_pair(energy: Array) -> Array:
    """Attenuation by pair production in the Born approximation, 1/mm, electrons as nuclei of 1."""
    share = (np.arange(200) + 0.5) / 200
    weight = MOLECULES_PER_MM3 * sum(n * z * (z + 1) for z, n in ATOMS)
    return np.array(
        [
            weight * born_pair_spectrum(e, share).mean() if e > 2.001 * ELECTRON_MASS_MEV else 0.0
            for e in energy
        ]
    )


def photon_tables() -> dict[str, Array]:
    """Attenuation by each process on `PHOTON_GRID_MEV`, 1/mm, and the pairs' energy sharing."""
    table = water_table(PHOTON_TABLE)
    energy = table["energy_mev"]
    compton = klein_nishina(PHOTON_GRID_MEV)
    photo = _on_grid(energy, table["photoelectric"]) / 10
    # What NIST's total leaves beside the other processes is pair production: the Born result
    # gives the shape between the tabulated energies and near the threshold, where the
    # difference of two large numbers would be noise.
    high = energy >= 2.0
    rest = (table["total"] - table["coherent"] - table["photoelectric"])[high] / 10
    rest -= klein_nishina(energy[high])
    ratio = rest / born_pair(energy[high])
    born = born_pair(PHOTON_GRID_MEV)
    pair = born * np.interp(np.log(PHOTON_GRID_MEV), np.log(energy[high]), ratio)
    share = (np.arange(400) + 0.5) / 400
    quantile = np.linspace(0, 1, PAIR_QUANTILES)
    sharing = np.tile(quantile, (len(PHOTON_GRID_MEV), 1))
    for i, e in enumerate(PHOTON_GRID_MEV):
        if e > 2.01 * ELECTRON_MASS_MEV:
            total = np.concatenate([[0.0], np.cumsum(born_pair_spectrum(e, share))])
            sharing[i] = np.interp(quantile, total / total[-1], np.linspace(0, 1, 401))
    return {"compton": compton, "photo": photo, "pair": pair, "sharing": sharing, "ratio": ratio}


def _momentum(kinetic: Array) -> tuple[Array, Array]:
    """Squared momentum in electron masses, squared speed."""
    tau = kinetic / ELECTRON_MASS_MEV
    p2 = tau * (tau + 2)
    return p2, p2 / (tau + 1) ** 2


def restricted_collision(kinetic: Array, cut_mev: float) -> Array:
    """Collision stopping power for losses below the cut, MeV/mm (Berger and Seltzer 1982)."""
    tau = kinetic / ELECTRON_MASS_MEV
    _, beta2 = _momentum(kinetic)
    eta = np.minimum(cut_mev / kinetic, 0.5)
    table = water_table(ELECTRON_TABLE)
    delta = np.interp(np.log(kinetic), np.log(table["energy_mev"]), table["density_effect"])
    g = -1 - beta2 + np.log(4 * (1 - eta) * eta) + 1 / (1 - eta)
    g += (1 - beta2) * (tau**2 * eta**2 / 2 + (2 * tau + 1) * np.log(1 - eta))
    excitation = 2 * np.log(kinetic / MEAN_EXCITATION_MEV) + np.log1p(tau / 2)
    scale = 2 * np.pi * CLASSICAL_RADIUS_MM**2 * ELECTRON_MASS_MEV * ELECTRONS_PER_MM3
    return np.asarray(scale / beta2 * (excitation + g - delta))


def moller_rate(kinetic: Array, cut_mev: float) -> Array:
    """Rate of knock-on electrons above the cut, 1/mm."""
    tau = kinetic / ELECTRON_MASS_MEV
    _, beta2 = _momentum(kinetic)

    def integral(w: Array) -> Array:
        mixed = (2 * tau + 1) / (tau + 1) ** 2 / kinetic * np.log(w / (kinetic - w))
        return np.asarray(
            -1 / w + 1 / (kinetic - w) + w * (tau / (tau + 1)) ** 2 / kinetic**2 - mixed
        )

    low = np.minimum(cut_mev, kinetic / 2)
    scale = 2 * np.pi * CLASSICAL_RADIUS_MM**2 * ELECTRON_MASS_MEV * ELECTRONS_PER_MM3 / beta2
    return np.asarray(scale * (integral(kinetic / 2) - integral(low)))


def annihilation_rate(kinetic: Array) -> Array:
    """Rate at which a positron annihilates in flight, 1/mm (Heitler 1954)."""
    g = 1 + kinetic / ELECTRON_MASS_MEV
    p = np.sqrt(g**2 - 1)
    area = (g**2 + 4 * g + 1) / p**2 * np.log(g + p) - (g + 3) / p
    return np.asarray(np.pi * CLASSICAL_RADIUS_MM**2 * area / (g + 1) * ELECTRONS_PER_MM3)


def bremsstrahlung(kinetic: Array) -> tuple[Array, Array]:
    """Rate of photons above `PHOTON_CUT_MEV`, 1/mm, and loss to softer ones, MeV/mm.

    The spectrum is taken as (1 - x + 0.35 x^2) / k with x = k / T, scaled to the radiative
    stopping power.
    """
    table = water_table(ELECTRON_TABLE)
    logarithm = np.interp(np.log(kinetic), np.log(table["energy_mev"]), np.log(table["radiative"]))
    radiative = np.exp(logarithm) / 10
    x = np.minimum(PHOTON_CUT_MEV / kinetic, 1.0)
    whole = 1 - 0.5 + 0.35 / 3
    scale = radiative / kinetic / whole
    rate = scale * (-np.log(x) - (1 - x) + 0.35 * (1 - x**2) / 2)
    soft = scale * kinetic * (x - x**2 / 2 + 0.35 * x**3 / 3)
    return rate, soft


def elastic(kinetic: float) -> tuple[float, float, float, float]:
    """Split elastic scattering in hard and soft collisions.

    Screened Rutherford scattering (Moliere's screening angle) by the nuclei, with the spin factor
    of McKinley and Feshbach 1948, and by atomic electrons up to the deflection that belongs to
    `DELTA_CUT_MEV` (beyond it the knock-on events deflect).

    Returns
    -------
    tuple of float
        Rate of hard collisions 1/mm, smallest (1 - cos)/2 of a hard one, largest of a collision
        with an electron, inverse transport length of the soft ones 1/mm.
    """
    p2, beta2 = (float(v[0]) for v in _momentum(np.array([kinetic])))
    beta = np.sqrt(beta2)
    loss = min(DELTA_CUT_MEV, kinetic / 2)
    left, double = kinetic - loss, 2 * ELECTRON_MASS_MEV
    by_electron = 0.5 * (1 - np.sqrt(left * (kinetic + double) / (kinetic * (left + double))))
    mu = np.concatenate([[0.0], np.geomspace(1e-14, 1.0, 6000)])
    middle = 0.5 * (mu[1:] + mu[:-1])
    density = np.zeros_like(middle)
    scale = np.pi * CLASSICAL_RADIUS_MM**2 * (1 - beta2) / beta2**2 * MOLECULES_PER_MM3
    for z, n in ATOMS:
        radius = 0.885 * BOHR_RADIUS_MM * z ** (-1 / 3)
        screening = 1.13 + 3.76 * (FINE_STRUCTURE * z) ** 2 / beta2
        screening *= REDUCED_COMPTON_MM**2 / (4 * p2 * radius**2)
        root = np.sqrt(middle)
        spin = 1 - beta2 * middle + np.pi * FINE_STRUCTURE * z * beta * root * (1 - root)
        shape = 1 / ((mu[1:] + screening) * (mu[:-1] + screening))
        density += scale * n * shape * (z**2 * spin + z * (middle < by_electron))
    rate = density * np.diff(mu)
    transport = 2 * np.sum(rate * middle)
    above = np.concatenate([np.cumsum(rate[::-1])[::-1], [0.0]])
    cut = float(np.interp(-HARD_PER_TRANSPORT_LENGTH * transport, -above, mu))
    hard = float(np.interp(cut, mu, above))
    soft = 2 * float(np.sum((rate * middle)[mu[1:] <= cut]))
    return hard, cut, by_electron, soft


def electron_tables() -> dict[str, Array]:
    """Everything an electron looks up on `ELECTRON_GRID_MEV`."""
    kinetic = ELECTRON_GRID_MEV
    brems, soft_loss = bremsstrahlung(kinetic)
    hard, cut, by_electron, soft = np.array([elastic(t) for t in kinetic]).T
    moller = moller_rate(kinetic, DELTA_CUT_MEV)
    annihilation = annihilation_rate(kinetic)
    rate = hard + moller + brems + annihilation
    # Rates rise while an electron slows down: the largest within one step serves as the majorant.
    reach = 0.9 * kinetic
    majorant = np.array(
        [
            max(rate[(kinetic >= low) & (kinetic <= high)].max(), np.interp(low, kinetic, rate))
            for low, high in zip(reach, kinetic, strict=True)
        ]
    )
    return {
        "stopping": restricted_collision(kinetic, DELTA_CUT_MEV) + soft_loss,
        "majorant": majorant,
        "hard": hard,
        "moller": moller,
        "brems": brems,
        "cut": cut,
        "by_electron": by_electron,
        "soft": soft,
        "annihilation": annihilation,
    }
