"""Kernels that draw the phantom against slow twins and closed formulas."""

import numpy as np
import pytest

from rerad.kernels.phantom import (
    compete,
    enlarge,
    packed_tubes,
    paint,
    sample_noise,
    section_distance,
    tube_distance,
)

FIRST = np.array([-9.0, -8.0, -6.0])
STEP = np.array([1.5, 2.0, 3.0])
SHAPE = (5, 9, 13)
FRAME = (FIRST, STEP, SHAPE)
STRAIGHT = (np.zeros((1, 1, 2)), np.zeros(2), 1.0)
IDENTITY = np.eye(4)[:3]


def points() -> np.ndarray:
    k, j, i = np.indices(SHAPE)
    return FIRST + STEP * np.stack([i, j, k], axis=-1)


def slow_segment(p: np.ndarray, seg: np.ndarray) -> np.ndarray:
    a, b = seg[:3], seg[4:7]
    d = b - a
    t = np.clip((p - a) @ d / max(d @ d, 1e-12), 0, 1)
    nearest = a + t[..., None] * d
    return np.linalg.norm(p - nearest, axis=-1) - (seg[3] + t * (seg[7] - seg[3]))


def test_phantoms_tube_distance_equals_slow_twin() -> None:
    rng = np.random.default_rng(3)
    segments = np.abs(rng.normal(2, 1, (6, 8)))
    segments[:, [0, 1, 2, 4, 5, 6]] = rng.uniform(-6, 6, (6, 6))
    reach = 4.0
    expected = np.minimum(reach, np.min([slow_segment(points(), s) for s in segments], axis=0))
    got = tube_distance(FRAME, segments, reach)
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_phantoms_packed_tubes_give_nearest_and_second() -> None:
    rng = np.random.default_rng(4)
    segments = np.abs(rng.normal(1.5, 0.3, (6, 8)))
    segments[:, [0, 1, 2, 4, 5, 6]] = rng.uniform(-6, 6, (6, 6))
    owner = np.array([0, 0, 1, 1, 2, 2], dtype=np.int32)
    near, second, which = packed_tubes(FRAME, segments, owner, 30.0)
    each = np.array([slow_segment(points(), s) for s in segments])
    per_owner = np.sort([each[owner == n].min(axis=0) for n in range(3)], axis=0)
    np.testing.assert_allclose(near, per_owner[0], atol=1e-4)
    np.testing.assert_allclose(second, per_owner[1], atol=1e-4)
    np.testing.assert_array_equal(
        which, np.argmin([each[owner == n].min(axis=0) for n in range(3)], axis=0)
    )


def test_phantoms_section_of_a_square_prism() -> None:
    ring = np.array([(-4.0, -3, 0), (4, -3, 0), (4, 3, 0), (-4, 3, 0)])
    table = np.ascontiguousarray(np.broadcast_to(ring, (17, 4, 3)))
    got = section_distance(FRAME, IDENTITY, STRAIGHT, (table, -4.0, 0.5, True))
    x, y, z = np.moveaxis(points(), -1, 0)
    gap = np.stack([np.abs(x) - 4, np.abs(y) - 3])
    flat = np.linalg.norm(np.maximum(gap, 0), axis=0) + np.minimum(gap.max(axis=0), 0)
    np.testing.assert_allclose(got, np.maximum(flat, np.abs(z) - 4), atol=1e-5)


def test_phantoms_section_of_a_chain_is_a_rounded_bar() -> None:
    row = np.array([(-3.0, 1.0, 2.0), (3.0, 1.0, 2.0)])
    table = np.ascontiguousarray(np.broadcast_to(row, (61, 2, 3)))
    got = section_distance(FRAME, IDENTITY, STRAIGHT, (table, -15.0, 0.5, False))
    x, y, _ = np.moveaxis(points(), -1, 0)
    expected = np.hypot(np.maximum(np.abs(x) - 3, 0), y - 1) - 2
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize("factor", [2, 3])
def test_phantoms_enlarge_reproduces_a_plane(factor: int) -> None:
    k, j, i = np.indices((2, 6, 7)).astype(np.float32)
    got = enlarge((k + factor * (2 * j - 3 * i)).astype(np.float32), factor, (2, 9, 11))
    k, j, i = np.indices((2, 9, 11))
    np.testing.assert_allclose(got, k + 2 * j - 3 * i, atol=1e-4)


def test_phantoms_noise_is_interpolated_and_periodic() -> None:
    noise = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    first, step = np.array([-3.0, 5.0, 14.0]), np.ones(3)
    got = sample_noise((first, step, (3, 4, 5)), IDENTITY, noise, 1.0)
    k, j, i = np.indices((3, 4, 5))
    np.testing.assert_allclose(got, noise[(k + 14) % 8, (j + 5) % 8, (i - 3) % 8], atol=1e-6)


def test_phantoms_paint_covers_by_share_and_keeps_the_rest() -> None:
    image = np.full((1, 1, 9), -1000.0, dtype=np.float32)
    sdf = np.array([-5.0, -2.5, 0.0, 0.25, 3.0], dtype=np.float32).reshape(1, 1, 5)
    tissue = np.array([50.0, 0, 1, 300.0, 1.5, 0, -100.0, 0.0, 1.0])
    noise = np.zeros((4, 4, 4), dtype=np.float32)
    paint(image, np.array([0, 0, 2]), sdf, tissue, noise, IDENTITY)
    # deep: core; the middle of the edge is half shell, half air; outside untouched
    expected = [-1000, -1000, 50, 50, -350, 0.25 * 300 - 750, -1000, -1000, -1000]
    np.testing.assert_allclose(image[0, 0], expected)


def test_phantoms_compete_keeps_nearest_second_and_winner() -> None:
    rng = np.random.default_rng(5)
    fields = rng.normal(size=(4, 3, 4, 5)).astype(np.float32)
    near = np.full((3, 4, 5), 20, dtype=np.float32)
    second, which = near.copy(), np.full((3, 4, 5), -1, dtype=np.int16)
    for n, field in enumerate(fields):
        compete((near, second, which), np.zeros(3, dtype=np.int64), field, 0.5, n)
    order = np.sort(fields, axis=0) - np.float32(0.5)
    np.testing.assert_allclose(near, order[0])
    np.testing.assert_allclose(second, order[1])
    np.testing.assert_array_equal(which, fields.argmin(axis=0))
