"""Trilinear sampling against a slow twin and against a plane, which it must reproduce exactly."""

import numpy as np
from scipy.ndimage import map_coordinates

from rerad.kernels.interpolate import sample_trilinear


def _twin(values, indices):
    """Weigh the eight neighbours one by one, in plain Python."""
    result = np.full(len(indices), np.nan)
    top = np.asarray(values.shape) - 1
    for n, index in enumerate(indices):
        if np.any(index < 0) or np.any(index > top):
            continue
        low = np.floor(index).astype(int)
        total = 0.0
        for corner in np.ndindex(2, 2, 2):
            weight = np.prod(np.where(corner, index - low, 1 - (index - low)))
            if weight:
                total += weight * values[tuple(low + corner)]
        result[n] = total
    return result


def test_equals_the_slow_twin_and_scipy():
    rng = np.random.default_rng(1)
    values = rng.random((5, 7, 6), dtype=np.float32)
    indices = rng.uniform(-0.5, 7, (400, 3))
    found = sample_trilinear(values, indices)
    np.testing.assert_allclose(found, _twin(values, indices), rtol=2e-7)
    inside = np.isfinite(found)
    assert 50 < inside.sum() < 400
    np.testing.assert_allclose(
        found[inside], map_coordinates(values, indices[inside].T, order=1), rtol=1e-5
    )


def test_a_plane_is_reproduced():
    k, j, i = np.indices((4, 5, 6))
    values = (10 + 1 * k - 2 * j + 0.5 * i).astype(np.float32)
    indices = np.random.default_rng(2).uniform(0, 3, (100, 3))
    np.testing.assert_allclose(
        sample_trilinear(values, indices),
        10 + indices[:, 0] - 2 * indices[:, 1] + 0.5 * indices[:, 2],
        rtol=1e-6,
    )


def test_outside_the_centres_and_next_to_unknown_is_unknown():
    values = np.ones((3, 3, 3), dtype=np.float32)
    values[0, 0, 0] = np.nan
    indices = np.array(
        [
            [2.0, 2.0, 2.0],  # outermost centre: known
            [2.0 + 1e-9, 2.0, 2.0],  # rounding
            [2.01, 2.0, 2.0],
            [-0.01, 1.0, 1.0],
            [0.5, 0.5, 0.5],  # leans on the unknown voxel
            [1.0, 0.0, 0.0],  # the unknown neighbour has no weight
            [np.nan, 1.0, 1.0],
        ]
    )
    known = np.isfinite(sample_trilinear(values, indices))
    assert known.tolist() == [True, True, False, False, False, True, False]


def test_a_grid_of_one_slice_is_known_on_its_plane_only():
    values = np.full((1, 2, 2), 3.0, dtype=np.float32)
    found = sample_trilinear(values, np.array([[0.0, 0.5, 0.5], [0.1, 0.5, 0.5]]))
    assert found[0] == 3.0
    assert np.isnan(found[1])
