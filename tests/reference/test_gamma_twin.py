"""Gamma index against slow searches in NumPy and SciPy, and against closed formulas."""

from dataclasses import replace

import numba
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from rerad.evaluation import GammaCriterion, gamma_curve, gamma_plane
from rerad.evaluation.gamma import _samples

CRITERION = GammaCriterion(
    dose_percent=3, distance_mm=3, is_local=False, lower_cutoff_percent=10, normalization_gy=1
)


def _twin(axes_r, reference, axes_e, evaluated, criterion, offsets_mm):
    """Try every offset around every point, without any shortcut."""
    interpolate = RegularGridInterpolator(axes_e, evaluated, bounds_error=False)
    points = np.stack(np.meshgrid(*axes_r, indexing="ij"), axis=-1)
    squared = np.full(reference.shape, np.inf)
    scale = reference if criterion.is_local else criterion.normalization_gy
    for offset in offsets_mm:
        difference = (interpolate(points + offset) - reference) / (
            criterion.dose_percent / 100 * scale
        )
        squared = np.fmin(squared, difference**2 + offset @ offset / criterion.distance_mm**2)
    gamma = np.minimum(np.sqrt(squared), criterion.max_gamma)
    cutoff = criterion.lower_cutoff_percent / 100 * criterion.normalization_gy
    return np.where((reference >= cutoff) & np.isfinite(squared), gamma, np.nan)


def _random_case(lengths_r, lengths_e, is_even):
    rng = np.random.default_rng(len(lengths_r) + 10 * is_even)
    axes_r = tuple(1.3 + 2.5 * np.arange(n) for n in lengths_r)
    if is_even:
        axes_e = tuple(1.3 + 2.5 * np.arange(n) for n in lengths_e)
    else:
        axes_e = tuple(np.cumsum(rng.uniform(0.4, 4.5, n)) for n in lengths_e)
    return axes_r, rng.random(lengths_r), axes_e, rng.random(lengths_e)


@pytest.mark.parametrize("is_even", [True, False])
@pytest.mark.parametrize("is_local", [True, False])
@pytest.mark.parametrize(
    ("lengths_r", "lengths_e"), [((40,), (38,)), ((12, 9), (10, 12)), ((5, 4, 6), (6, 5, 4))]
)
def test_equals_a_search_of_every_sample(lengths_r, lengths_e, is_local, is_even):
    case = _random_case(lengths_r, lengths_e, is_even)
    criterion = replace(CRITERION, is_local=is_local, max_gamma=1.3, steps_per_distance=5)
    n = len(lengths_r)
    whole = (*(np.zeros(1),) * (3 - n), *case[2])
    offsets_mm = _samples(criterion, whole)[0][:, 3 - n :]
    found = gamma_plane(*case, criterion).values
    expected = _twin(*case, criterion, offsets_mm)
    if is_even:
        # A ring point that rounding puts 1e-16 mm outside the grid is on it for us, not for SciPy.
        inside = (slice(2, -4),) * n if n < 3 else (slice(2, 3), slice(2, 3), slice(2, 3))
        found, expected = found[inside], expected[inside]
    assert np.isfinite(found).any()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_samples_are_as_dense_as_promised():
    offsets_mm, near_squared, starts, boxes_mm = _samples(CRITERION, (np.arange(9.0),) * 3)
    np.testing.assert_allclose(
        np.linalg.norm(offsets_mm, axis=1) / 3, np.sqrt(near_squared), atol=1e-12
    )
    assert starts[0] == 0
    assert starts[-1] == len(offsets_mm)
    for start, stop, box in zip(starts[:-1], starts[1:], boxes_mm, strict=True):
        np.testing.assert_array_equal(offsets_mm[start:stop].min(axis=0), box[:3])
        np.testing.assert_array_equal(offsets_mm[start:stop].max(axis=0), box[3:])
        assert np.all(np.diff(near_squared[start:stop]) >= 0)
    assert np.all(np.diff(near_squared[starts[:-1]]) >= 0)
    rng = np.random.default_rng(3)
    for direction in rng.normal(size=(200, 3)):
        place = direction / np.linalg.norm(direction) * rng.uniform(0.3, 6)
        # Half a step across the shells, and half the diagonal of a step along them.
        nearest = np.linalg.norm(offsets_mm - place, axis=1).min()
        assert nearest < 0.3 * np.sqrt(3) / 2 * 1.02


def test_close_to_a_dense_search_in_a_smooth_dose():
    axes = (np.arange(0.0, 40, 2.5), np.arange(0.0, 36, 2))
    y, x = np.meshgrid(*axes, indexing="ij")
    reference = 1 + 0.15 * np.sin(x / 6) * np.cos(y / 8)
    evaluated = 1.01 + 0.15 * np.sin((x - 1.5) / 6) * np.cos((y + 0.8) / 8)
    fine = np.arange(-3.0, 3.01, 0.06)
    offsets_mm = np.stack(np.meshgrid(fine, fine, indexing="ij"), axis=-1).reshape(-1, 2)
    criterion = replace(CRITERION, max_gamma=1.4)
    dense = _twin(axes, reference, axes, evaluated, criterion, offsets_mm)
    found = gamma_plane(axes, reference, axes, evaluated, criterion).values
    inside = (slice(2, -2), slice(2, -2))
    # Half a step of 0.3 mm times the gradient, 0.03 a mm, is 0.15 of the dose criterion: at gamma
    # 0.2 and above it adds at most sqrt(0.2^2 + 0.15^2) - 0.2 = 0.05.
    assert np.abs(found - dense)[inside][dense[inside] > 0.2].max() < 0.05
    assert 0.1 < np.mean(found > 0.3) < 0.9


@pytest.mark.parametrize("shift_mm", [-2.0, 0.5, 1.7])
@pytest.mark.parametrize("gradient_per_mm", [0.002, 0.01, 0.05])
@pytest.mark.parametrize("n_dimensions", [1, 2, 3])
def test_a_shift_in_a_linear_gradient(n_dimensions, gradient_per_mm, shift_mm):
    x = np.arange(-12.0, 12.1, 2)
    axes = (*(np.arange(0.0, 17, 2),) * (n_dimensions - 1), x)
    shape = tuple(axis.size for axis in axes)
    reference = np.broadcast_to(2 + gradient_per_mm * x, shape)
    evaluated = np.broadcast_to(2 + gradient_per_mm * (x - shift_mm), shape)
    found = gamma_plane(axes, reference, axes, evaluated, CRITERION).values[..., 3:-3]
    dose_gy, distance_mm = 0.03, 3.0
    # The smallest of u^2/d^2 + g^2 (u - s)^2/D^2 over u.
    exact = abs(shift_mm) / np.sqrt(distance_mm**2 + (dose_gy / gradient_per_mm) ** 2)
    # Samples d/10 apart along the gradient miss the best place by at most d/20.
    curvature = 1 / distance_mm**2 + (gradient_per_mm / dose_gy) ** 2
    highest = np.sqrt(exact**2 + (distance_mm / 20) ** 2 * curvature)
    assert np.all(found >= exact - 1e-9)
    assert np.all(found <= min(highest, CRITERION.max_gamma) + 1e-9)


def test_a_shifted_step_is_found_at_its_distance():
    x = np.arange(-20.0, 20.5, 1)
    criterion = replace(CRITERION, distance_mm=4, dose_percent=0.01, lower_cutoff_percent=0)
    found = gamma_curve(x, x >= 0, x, x >= 2, criterion).values
    expected = np.where(x == 0, 2, np.where(x == 1, 1, 0)) / 4
    # 1 mm is 2.5 shells: found on the third.
    expected[x == 1] = 0.3
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_same_bits_with_one_and_two_threads():
    case = _random_case((6, 7, 8), (6, 7, 8), is_even=True)
    n_threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = gamma_plane(*case, CRITERION).values
        numba.set_num_threads(min(2, n_threads))
        two = gamma_plane(*case, CRITERION).values
    finally:
        numba.set_num_threads(n_threads)
    np.testing.assert_array_equal(one, two)
