"""Gamma index: what is judged, what is not, and what must not matter."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, Grid
from rerad.errors import (
    FrameMismatchError,
    GridMismatchError,
    InputError,
    QuantityMismatchError,
)
from rerad.evaluation import GammaCriterion, gamma_curve, gamma_index, gamma_plane

GLOBAL = GammaCriterion(dose_percent=2, distance_mm=2, is_local=False, lower_cutoff_percent=10)
LOCAL = replace(GLOBAL, is_local=True)
GRID = Grid((6, 7, 8), (-3.0, 5.0, 10.0), (2.0, 2.5, 3.0), "1.2.3")


def _dose(values, grid=GRID, **more):
    return Dose(np.asarray(values, dtype=np.float32), grid, **more)


def _random(seed):
    return np.random.default_rng(seed).uniform(1, 2, GRID.shape)


@pytest.mark.parametrize("criterion", [GLOBAL, LOCAL])
def test_a_dose_agrees_with_itself(criterion):
    dose = _dose(_random(1))
    found = gamma_index(dose, dose, criterion)
    np.testing.assert_array_equal(found.values, 0)
    assert (found.pass_rate, found.n_judged) == (1, GRID.n_voxels)
    assert (found.n_unknown, found.n_below_cutoff) == (0, 0)


@pytest.mark.parametrize(("percent", "gamma"), [(1, 0.5), (2, 1), (3, 1.5), (7, 2)])
def test_uniform_doses_differ_by_dose_alone(percent, gamma):
    flat = np.full(GRID.shape, 8.0)
    for criterion in (GLOBAL, LOCAL, replace(LOCAL, normalization_gy=16.0)):
        found = gamma_index(_dose(flat), _dose(flat * (1 + percent / 100)), criterion)
        np.testing.assert_allclose(found.values, gamma, rtol=1e-5)
    halved = gamma_index(
        _dose(flat),
        _dose(flat * (1 + percent / 100)),
        replace(GLOBAL, normalization_gy=16.0, max_gamma=10),
    )
    np.testing.assert_allclose(halved.values, percent / 4, rtol=1e-5)


def test_points_below_the_cutoff_are_not_judged():
    x = np.arange(11.0)
    found = gamma_curve(x, x, x, x, replace(GLOBAL, lower_cutoff_percent=30))
    np.testing.assert_array_equal(np.isnan(found.values), x < 3)
    assert (found.n_judged, found.n_below_cutoff, found.n_unknown) == (8, 3, 0)
    assert found.normalization_gy == 10


def test_a_local_criterion_does_not_judge_zero_dose():
    x = np.arange(5.0)
    found = gamma_curve(x, x, x, x, replace(LOCAL, lower_cutoff_percent=0))
    np.testing.assert_array_equal(np.isnan(found.values), x == 0)
    assert found.n_below_cutoff == 1


def test_unknown_dose_is_not_judged_and_counted():
    reference, evaluated = _random(1), _random(1)
    reference[1, 2, 3] = np.nan
    evaluated[4, 4, 4] = np.nan
    found = gamma_index(_dose(reference), _dose(evaluated), GLOBAL)
    assert found.n_unknown == 2
    assert found.n_judged == GRID.n_voxels - 2
    assert np.isnan(found.values[1, 2, 3])
    assert np.isnan(found.values[4, 4, 4])
    np.testing.assert_array_equal(found.values[~np.isnan(found.values)], 0)


def test_out_of_reach_of_the_evaluated_dose_is_unknown():
    x = np.arange(0.0, 21)
    found = gamma_curve(x, np.ones(21), x[:11], np.ones(11), replace(GLOBAL, max_gamma=1.5))
    np.testing.assert_allclose(found.values[:11], 0)
    np.testing.assert_allclose(found.values[11:14], [0.5, 1, 1.5])
    assert np.isnan(found.values[14:]).all()
    assert (found.n_judged, found.n_unknown) == (14, 7)
    assert found.pass_rate == pytest.approx(13 / 14)


def test_nothing_judged_has_no_pass_rate():
    x = np.arange(5.0)
    found = gamma_curve(x, np.ones(5), x + 100, np.ones(5), GLOBAL)
    assert found.n_judged == 0
    assert np.isnan(found.pass_rate)


def test_mirror_and_place_and_unit_do_not_matter():
    rng = np.random.default_rng(5)
    axes = (np.arange(15) * 1.5, np.arange(12) * 2.0)
    y, x = np.meshgrid(*axes, indexing="ij")
    reference = 1 + 0.3 * np.sin(x / 5) * np.cos(y / 7)
    evaluated = reference + rng.normal(0, 0.02, reference.shape)
    first = gamma_plane(axes, reference, axes, evaluated, GLOBAL).values
    # Samples on a circle start on the first axis: they are their own mirror image along the other.
    mirrored = gamma_plane(axes, reference[:, ::-1], axes, evaluated[:, ::-1], GLOBAL).values
    np.testing.assert_allclose(mirrored[:, ::-1], first, atol=1e-9)
    assert first.max() > 0.5
    moved_axes = tuple(axis + 4096.0 for axis in axes)
    moved = gamma_plane(moved_axes, reference, moved_axes, evaluated, GLOBAL).values
    np.testing.assert_allclose(moved, first, atol=1e-6)
    in_cgy = gamma_plane(axes, 100 * reference, axes, 100 * evaluated, GLOBAL).values
    np.testing.assert_allclose(in_cgy, first, atol=1e-9)


def test_a_single_plane_is_compared_in_two_dimensions():
    grid = Grid((1, 7, 8), (0.0, 0.0, 5.0), (2.0, 2.0, 3.0), "1.2.3")
    rng = np.random.default_rng(2)
    first, second = (_dose(rng.uniform(1, 2, grid.shape), grid) for _ in range(2))
    found = gamma_index(first, second, GLOBAL).values
    y, x = grid.axes_mm[1], grid.axes_mm[0]
    expected = gamma_plane((y, x), first.values[0], (y, x), second.values[0], GLOBAL).values
    np.testing.assert_array_equal(found[0], expected)
    volume = _dose(_random(1))
    with pytest.raises(GridMismatchError, match="exchange the two or resample"):
        gamma_index(volume, second, GLOBAL)


def test_doses_that_cannot_be_compared():
    dose = _dose(_random(1))
    elsewhere = Grid(GRID.shape, GRID.origin_mm, GRID.spacing_mm, "9.9")
    with pytest.raises(FrameMismatchError, match="gamma index"):
        gamma_index(dose, _dose(_random(1), elsewhere), GLOBAL)
    eqd2 = _dose(_random(1), quantity=DoseQuantity.EQD2, alpha_beta_gy=3.0)
    with pytest.raises(QuantityMismatchError):
        gamma_index(dose, eqd2, GLOBAL)
    with pytest.raises(InputError, match="highest reference dose above 0"):
        gamma_index(_dose(np.zeros(GRID.shape)), dose, GLOBAL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dose_percent": 0}, "dose_percent"),
        ({"distance_mm": float("nan")}, "distance_mm"),
        ({"normalization_gy": -1.0}, "normalization_gy"),
        ({"lower_cutoff_percent": -1}, "lower_cutoff_percent"),
        ({"max_gamma": 0.5}, "max_gamma"),
        ({"steps_per_distance": 0}, "steps_per_distance"),
    ],
)
def test_criteria_out_of_range(change, message):
    with pytest.raises(InputError, match=message):
        replace(GLOBAL, **change)


def test_curves_that_are_not_curves():
    x = np.arange(5.0)
    with pytest.raises(InputError, match="shape of their axes"):
        gamma_curve(x, np.ones(4), x, np.ones(5), GLOBAL)
    with pytest.raises(InputError, match="ascend strictly"):
        gamma_curve(x, np.ones(5), x[::-1], np.ones(5), GLOBAL)
    with pytest.raises(InputError, match="finite evaluated doses"):
        gamma_curve(x, np.ones(5), x, np.full(5, np.inf), GLOBAL)
    with pytest.raises(GridMismatchError, match="same number of dimensions"):
        gamma_plane((x,), np.ones(5), (x, x), np.ones((5, 5)), GLOBAL)
