"""Point kernels and their Monte Carlo against published coefficients of water."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rerad.dosecalc.point_kernels import load_point_kernels
from rerad.tables.kernels_load import read_photon_water

TOOLS = Path(__file__).resolve().parents[2] / "tools" / "kernels"


@pytest.fixture(scope="module")
def water_physics() -> Iterator[ModuleType]:
    """Interaction tables of the Monte Carlo, which is a script and not part of the package."""
    sys.path.insert(0, str(TOOLS))
    yield importlib.import_module("water_physics")
    sys.path.remove(str(TOOLS))


@pytest.mark.parametrize(
    ("energy_mev", "share"),
    [(0.5, 0.3414), (1.0, 0.4396), (2.0, 0.5272), (4.0, 0.6077), (6.0, 0.6530)],
)
def test_primary_share_of_an_independent_calculation(energy_mev: float, share: float) -> None:
    kernels = load_point_kernels()
    i = int(np.flatnonzero(kernels.energy_mev == energy_mev)[0])
    assert kernels.primary_share[i] == pytest.approx(share, rel=0.0025)


def test_primary_share_is_energy_absorption_over_attenuation() -> None:
    # What the first charged particles deposit is mu_en E, Hubbell and Seltzer (1995), NISTIR 5632,
    # doi:10.18434/T4D01F. Below 0.2 MeV the binding of electrons, neglected here, tells.
    table = read_photon_water()
    kernels = load_point_kernels()
    at = np.isin(kernels.energy_mev, table["energy_mev"])
    rows = np.searchsorted(table["energy_mev"], kernels.energy_mev[at])
    absorbed = table["energy_absorption"] / (table["total"] - table["coherent"])
    difference = np.abs(kernels.primary_share[at] / absorbed[rows] - 1.0)
    energy = kernels.energy_mev[at]
    assert difference[energy >= 0.6].max() < 0.0015
    assert difference[energy >= 0.2].max() < 0.004
    assert difference.max() < 0.013


@pytest.mark.parametrize(("energy_mev", "forward"), [(0.5, 0.817), (6.0, 0.973)])
def test_forward_share_of_an_independent_calculation(energy_mev: float, forward: float) -> None:
    kernels = load_point_kernels()
    i = int(np.flatnonzero(kernels.energy_mev == energy_mev)[0])
    total = kernels.primary[i] + kernels.scatter[i]
    half = total.shape[1] // 2
    assert total[:, :half].sum() / total.sum() == pytest.approx(forward, abs=0.003)


def test_attenuation_of_the_monte_carlo_is_that_of_nist(water_physics: ModuleType) -> None:
    tables = water_physics.photon_tables()
    nist = read_photon_water()
    total = sum(tables[name] for name in ("compton", "photo", "pair")) * 10.0
    ours = np.exp(
        np.interp(np.log(nist["energy_mev"]), np.log(water_physics.PHOTON_GRID_MEV), np.log(total))
    )
    difference = np.abs((ours + nist["coherent"]) / nist["total"] - 1.0)
    assert difference[nist["energy_mev"] >= 0.3].max() < 0.0025
    assert difference[nist["energy_mev"] >= 0.1].max() < 0.013


def test_stopping_power_of_the_monte_carlo_is_that_of_estar(water_physics: ModuleType) -> None:
    table = water_physics.water_table(water_physics.ELECTRON_TABLE)
    ours = 10.0 * water_physics.restricted_collision(table["energy_mev"], np.inf)
    np.testing.assert_allclose(ours, table["collision"], rtol=5e-4)


def test_klein_nishina_limits(water_physics: ModuleType) -> None:
    # Thomson: 8 pi/3 r_e^2 = 0.6652 barn; at 1 MeV 0.2112 barn per electron (Evans 1955).
    electrons = water_physics.ELECTRONS_PER_MM3
    low, one = water_physics.klein_nishina(np.array([1e-4, 1.0])) / electrons * 1e22
    assert low == pytest.approx(0.6652 * (1 - 2 * 1e-4 / 0.511), rel=1e-3)
    assert one == pytest.approx(0.2112, rel=1e-3)


@pytest.mark.slow
def test_monte_carlo_keeps_its_energy_and_repeats(water_physics: ModuleType) -> None:
    transport = importlib.import_module("transport")
    photons = water_physics.photon_tables()
    tables = (
        np.stack([photons[name] for name in ("compton", "photo", "pair")]),
        photons["sharing"],
        np.stack(list(water_physics.electron_tables().values())),
    )
    edges = np.concatenate([[0.0], np.geomspace(0.05, 600.0, 90)])
    first = transport.simulate(4.0, 300, 1, tables, edges, 48)
    again = transport.simulate(4.0, 300, 1, tables, edges, 48)
    assert first.energy.sum() + first.escaped.sum() == pytest.approx(4.0, rel=1e-9)
    np.testing.assert_array_equal(first.energy, again.energy)
    shipped = load_point_kernels()
    i = int(np.flatnonzero(shipped.energy_mev == 4.0)[0])
    # The spread of one history's primary share is about 0.3.
    share = first.energy[0].sum() / 4.0
    assert share == pytest.approx(shipped.primary_share[i], abs=4 * 0.3 / np.sqrt(300))
