"""Point kernels, released energy and spectra: energy balance, mixtures, limits, errors."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core.photon_beam import Spectrum
from rerad.dosecalc.attenuation import (
    GY_PER_MEV_MM3,
    attenuation_per_mm,
    released_energy,
    released_energy_table,
)
from rerad.dosecalc.point_kernels import (
    energy_weights,
    load_point_kernels,
    polyenergetic_kernel,
)
from rerad.dosecalc.spectrum import ali_rogers_spectrum, filtered, mean_energy_mev
from rerad.errors import InputError, MissingDataError

KERNELS = load_point_kernels()
TWO_LINES = Spectrum(np.array([1.0, 4.0]), np.array([0.25, 0.75]))


def test_energy_of_every_kernel_adds_up() -> None:
    total = KERNELS.primary.sum(axis=(1, 2)) + KERNELS.scatter.sum(axis=(1, 2))
    np.testing.assert_allclose(total + KERNELS.escaped.sum(axis=1), 1.0, atol=1e-5)
    assert KERNELS.primary.min() >= 0
    assert KERNELS.scatter.min() >= 0
    assert KERNELS.escaped[:, 0].max() == 0.0
    assert KERNELS.escaped[:, 1].max() < 0.08


def test_first_electrons_stay_within_their_range() -> None:
    # CSDA range of the fastest electron, NIST ESTAR: 4.37 mm at 1 MeV, 30.5 mm at 6 MeV.
    for energy, range_mm in ((1.0, 4.37), (6.0, 30.52)):
        i = int(np.flatnonzero(KERNELS.energy_mev == energy)[0])
        beyond = KERNELS.radius_mm[:-1] > 1.1 * range_mm
        assert KERNELS.primary[i, beyond].sum() < 1e-4


def test_scatter_falls_with_distance_as_its_attenuation_demands() -> None:
    # Beyond a few mean free paths a decade in radius cannot hold more than what is left to travel.
    i = int(np.flatnonzero(KERNELS.energy_mev == 1.0)[0])
    shells = KERNELS.scatter[i].sum(axis=1)
    outside = shells[KERNELS.radius_mm[:-1] >= 300.0].sum() + KERNELS.escaped[i, 1]
    assert 0.1 < outside < 0.4


def test_mixture_of_one_line_is_its_kernel() -> None:
    mixed = polyenergetic_kernel(KERNELS, Spectrum(np.array([2.0]), np.array([1.0])), 15.0)
    i = int(np.flatnonzero(KERNELS.energy_mev == 2.0)[0])
    np.testing.assert_allclose(mixed.primary * KERNELS.primary_share[i], KERNELS.primary[i])
    assert mixed.primary.sum() + mixed.primary_escaped == pytest.approx(1.0)
    assert mixed.scatter.sum() + mixed.scatter_escaped == pytest.approx(1.0)


def test_mixture_weighs_by_released_energy() -> None:
    depth = 30.0
    mu = attenuation_per_mm(TWO_LINES.energy_mev)
    weight = TWO_LINES.energy_fluence * mu * np.exp(-mu * depth)
    rows = [int(np.flatnonzero(KERNELS.energy_mev == e)[0]) for e in TWO_LINES.energy_mev]
    expected = sum(w * KERNELS.scatter[i] for w, i in zip(weight, rows, strict=True))
    share = 1.0 - KERNELS.primary_share[rows]
    mixed = polyenergetic_kernel(KERNELS, TWO_LINES, depth)
    np.testing.assert_allclose(
        mixed.scatter * np.sum(weight * share), expected, rtol=1e-5, atol=1e-12
    )


def test_energies_between_kernels_are_interpolated() -> None:
    weights = energy_weights(KERNELS, np.array([0.05, 1.0, np.sqrt(5.0 * 6.0)]))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert weights[0, 0] == 1.0
    five, six = (int(np.flatnonzero(KERNELS.energy_mev == e)[0]) for e in (5.0, 6.0))
    np.testing.assert_allclose(weights[2, [five, six]], 0.5)
    with pytest.raises(InputError, match="up to 10 MeV"):
        energy_weights(KERNELS, np.array([12.0]))


def test_kernels_refuse_unlike_shapes() -> None:
    with pytest.raises(InputError, match="expected kernels of shape"):
        replace(KERNELS, scatter=KERNELS.scatter[:, 1:])
    with pytest.raises(InputError, match="escaped"):
        replace(KERNELS, escaped=KERNELS.escaped[:, :1])


def test_attenuation_is_that_of_the_table() -> None:
    # NISTIR 5632 at 1 and 6 MeV; coherent scattering (less than 0.1 %) is left out.
    at = attenuation_per_mm(np.array([1.0, 6.0]))
    np.testing.assert_allclose(at, [0.007072, 0.002770], rtol=1e-3)
    with pytest.raises(InputError, match=r"0\.01 to 10 MeV"):
        attenuation_per_mm(np.array([0.005]))


def test_released_energy_of_one_line_is_exponential() -> None:
    line = Spectrum(np.array([2.0]), np.array([1.0]))
    mu = attenuation_per_mm(line.energy_mev)[0]
    depth = np.array([0.0, 12.3, 456.7, 900.0])
    primary, scatter = released_energy(line, depth)
    np.testing.assert_allclose(primary + scatter, GY_PER_MEV_MM3 * mu * np.exp(-mu * depth))
    i = int(np.flatnonzero(KERNELS.energy_mev == 2.0)[0])
    np.testing.assert_allclose(primary / (primary + scatter), KERNELS.primary_share[i])


def test_absolute_released_energy() -> None:
    # 1 MeV/mm2 = 100 MeV/cm2; times 0.04942 cm2/g at 2 MeV; 1 MeV/g is 1.602e-10 Gy.
    primary, scatter = released_energy(Spectrum(np.array([2.0]), np.array([1.0])), np.zeros(1))
    assert primary[0] + scatter[0] == pytest.approx(100 * 0.04942 * 1.602177e-10, rel=1e-3)


def test_beam_hardens_with_depth() -> None:
    table = released_energy_table(ali_rogers_spectrum("elekta-6mv"))
    slope = -np.diff(np.log(table.primary + table.scatter))
    assert np.all(np.diff(slope) < 0)
    share = table.primary / (table.primary + table.scatter)
    assert np.all(np.diff(share) > 0)


@pytest.mark.parametrize("depth", [-1.0, 901.0, np.nan])
def test_depths_outside_the_table_are_refused(depth: float) -> None:
    with pytest.raises(InputError, match="0 to 900 mm"):
        released_energy(TWO_LINES, np.array([depth]))


def test_spectrum_has_the_mean_energy_of_its_authors_form() -> None:
    # pyRadMC 0.2.1 from the same form, 100 bins from 0.15 MeV: 1.600 and 1.781 MeV; it counts
    # photons within bins, here they stand at the middle.
    for name, mean in (("varian-6mv", 1.600), ("elekta-6mv", 1.7813)):
        spectrum = ali_rogers_spectrum(name, n_energies=100, lowest_mev=0.15)
        assert mean_energy_mev(spectrum) == pytest.approx(mean, rel=1e-3)


def test_few_energies_describe_the_same_beam() -> None:
    depth = np.array([0.0, 100.0, 300.0])
    fine = np.sum(released_energy(ali_rogers_spectrum("elekta-6mv", n_energies=400), depth), 0)
    few = np.sum(released_energy(ali_rogers_spectrum("elekta-6mv"), depth), 0)
    np.testing.assert_allclose(few, fine, rtol=1e-3)


def test_filtration_hardens_and_is_undone() -> None:
    beam = ali_rogers_spectrum("elekta-6mv")
    harder = filtered(beam, 40.0)
    assert mean_energy_mev(harder) > mean_energy_mev(beam) > mean_energy_mev(filtered(beam, -40.0))
    np.testing.assert_allclose(filtered(harder, -40.0).energy_fluence, beam.energy_fluence)


def test_unknown_beams_and_bins_are_refused() -> None:
    with pytest.raises(MissingDataError, match="elekta-6mv"):
        ali_rogers_spectrum("elekta-7mv")
    with pytest.raises(InputError, match=r"0\.511 MeV"):
        ali_rogers_spectrum("elekta-6mv", lowest_mev=0.01)
