"""Collapsed-cone loops against slow, obvious twins in double precision."""

import numpy as np
import pytest

from rerad.kernels.collapsed_cone import (
    add_refined,
    released_energy,
    share_out,
    sweep_cones,
)

SHAPE = (9, 6, 7)


def sweep_twin(density, released, inverse_distance, visits, cone, cosine):
    """Follow each line by itself; closed forms of the three amounts, voxel by voxel."""
    rate, rate_3, *shares, slope, cosine_0, _ = (float(v) for v in cone)
    deposit = np.zeros(density.shape)
    n_planes, n_rows, n_columns = density.shape
    for start_row in range(-n_planes, n_rows + n_planes):
        for start_column in range(-n_planes, n_columns + n_planes):
            carried = np.zeros(3)
            for s, down, right in visits:
                row, column = start_row + down, start_column + right
                if not (0 <= row < n_rows and 0 <= column < n_columns):
                    continue
                at = (s, row, column)
                far = cosine @ np.array([1.0, *at])
                x = slope * (far * inverse_distance[at] - cosine_0)
                source = released[at] * (1.0 + x + 0.5 * x * x)
                y, z = rate * density[at], rate_3 * density[at]
                # Released evenly over the voxel: the mean over all places of release.
                mean, mean_3 = -np.expm1(-y) / y, -np.expm1(-z) / z
                out = np.array(
                    [
                        carried[0] * np.exp(-y) + shares[0] * source * mean,
                        (carried[1] + y * carried[0]) * np.exp(-y)
                        + shares[1] * source * mean
                        + shares[0] * source * (1.0 - np.exp(-y) * (1.0 + y)) / y,
                        carried[2] * np.exp(-z) + shares[2] * source * mean_3,
                    ]
                )
                deposit[at] += carried.sum() + sum(shares) * source - out.sum()
                carried = out
    return deposit


def visits_of(direction, n_planes):
    n = np.arange(n_planes)
    planes = n if direction[0] > 0 else n_planes - 1 - n
    moved = np.rint(n[:, None] * np.asarray(direction[1:]) / abs(direction[0]))
    return np.column_stack([planes, moved]).astype(np.int64)


def sweep(density, released, inverse_distance, visits, cone, cosine):
    """One cone through the kernel."""
    deposits = np.zeros((1, *density.shape), np.float32)
    sweep_cones(
        density,
        released,
        spans_of(released),
        inverse_distance,
        deposits,
        visits[None],
        cone[None],
        cosine[None],
    )
    return deposits[0]


def spans_of(released):
    spans = np.zeros((*released.shape[:2], 2), np.int32)
    for s, row in np.ndindex(released.shape[:2]):
        hit = np.flatnonzero(released[s, row])
        if hit.size:
            spans[s, row] = hit[0], hit[-1] + 1
    return spans


@pytest.mark.parametrize(
    "direction", [(1.0, 0.0, 0.0), (1.0, 0.4, -0.7), (-1.0, -0.9, 0.2), (-1.0, 1.0, 1.0)]
)
def test_sweep_follows_each_line(direction):
    rng = np.random.default_rng(3)
    density = rng.uniform(0.05, 2.0, SHAPE).astype(np.float32)
    released = (rng.uniform(size=SHAPE) * (rng.uniform(size=SHAPE) < 0.3)).astype(np.float32)
    released[:, 2] = 0.0
    inverse = rng.uniform(0.9e-3, 1.1e-3, SHAPE).astype(np.float32)
    cosine = np.array([800.0, 2.0, -1.0, 1.5])
    cone = np.array([0.6, 3.0, -0.3, 0.9, 0.4, 4.0, 0.8, released.max()], np.float32)
    visits = visits_of(direction, SHAPE[0])
    deposit = sweep(density, released, inverse, visits, cone, cosine)
    expected = sweep_twin(density, released, inverse, visits, cone, cosine)
    np.testing.assert_allclose(deposit, expected, rtol=0, atol=3e-5 * np.abs(expected).max())


def test_sweep_visits_every_voxel_once_and_keeps_all_energy():
    """Through a dense last half nothing leaves; everything released is deposited."""
    density = np.ones((30, 40, 40), np.float32)
    released = np.zeros_like(density)
    released[3:6, 18:22, 18:22] = 1.0
    cone = np.array([1.0, 2.0, 0.2, 0.5, 0.3, 0.0, 1.0, 1.0], np.float32)
    visits = visits_of((1.0, 0.3, -0.2), 30)
    inverse = np.full_like(density, 1e-3)
    deposit = sweep(density, released, inverse, visits, cone, np.zeros(4))
    assert deposit.sum(dtype=np.float64) == pytest.approx(released.sum(), rel=1e-5)
    assert deposit[:3].max() == 0.0


def test_thin_and_thick_voxels_stay_exact():
    """One voxel after one that releases: what passes is exp(-y), from air to bone and metal."""
    cone = np.array([1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0], np.float32)
    for y in (1e-5, 1e-3, 0.1, 1.0, 3.0, 8.0, 30.0):
        density = np.array([1.0, y, 1.0], np.float32).reshape(3, 1, 1)
        released = np.array([1.0, 0.0, 0.0], np.float32).reshape(3, 1, 1)
        straight = visits_of((1.0, 0.0, 0.0), 3)
        cosine = np.array([1.0, 0.0, 0.0, 0.0])
        deposit = sweep(density, released, np.ones_like(density), straight, cone, cosine)
        entered = -np.expm1(-1.0)
        # Amounts are differences of float32 of order 1.
        assert deposit[1, 0, 0] == pytest.approx(-np.expm1(-y) * entered, rel=3e-4, abs=1.2e-7)
        left = deposit[2, 0, 0] / -np.expm1(-1.0)
        assert left == pytest.approx(np.exp(-y) * entered, rel=1e-3, abs=3e-4)


def test_groups_of_cones_add_up():
    """Three cones in two groups deposit what they deposit one by one."""
    rng = np.random.default_rng(8)
    density = rng.uniform(0.2, 1.5, SHAPE).astype(np.float32)
    released = rng.uniform(size=SHAPE).astype(np.float32)
    inverse = np.full(SHAPE, 1e-3, np.float32)
    directions = ((1.0, 0.2, 0.3), (-1.0, 0.5, 0.0), (1.0, -0.9, -0.4))
    visits = np.stack([visits_of(u, SHAPE[0]) for u in directions])
    cones = np.array([[0.6, 3.0, -0.3, 0.9, 0.4, 4.0, 0.8, 1.0]] * 3, np.float32)
    cones[1, 0] = 0.2
    cosines = np.tile([800.0, 2.0, -1.0, 1.5], (3, 1))
    deposits = np.zeros((2, *SHAPE), np.float32)
    sweep_cones(density, released, spans_of(released), inverse, deposits, visits, cones, cosines)
    singles = [
        sweep(density, released, inverse, *one) for one in zip(visits, cones, cosines, strict=True)
    ]
    np.testing.assert_allclose(deposits[0], singles[0] + singles[2], rtol=1e-5)
    np.testing.assert_allclose(deposits[1], singles[1], rtol=1e-6)


def test_share_out_divides_by_the_mean_amplitude():
    rng = np.random.default_rng(4)
    released = rng.uniform(size=SHAPE).astype(np.float32)
    released[0] = 0.0
    origin, spacing, source = (-10.0, 5.0, 20.0), (3.0, 4.0, 5.0), np.array([0.0, -900.0, 100.0])
    axis, slope = np.array([0.0, 1.0, 0.0]), np.array([0.4, 1.5, -0.3])
    root = rng.uniform(-1.0, 1.0, (3, 3))
    curve = root @ root.T
    scaled, inverse = np.empty_like(released), np.empty_like(released)
    share_out(released, np.array([origin, spacing]), source, (axis, slope, curve), scaled, inverse)
    for k, j, i in np.ndindex(SHAPE):
        ray = np.array(origin) + np.array([i, j, k]) * spacing - source
        assert inverse[k, j, i] == pytest.approx(1.0 / np.linalg.norm(ray), rel=1e-6)
        away = ray / np.linalg.norm(ray) - axis
        mean = 1.0 + slope @ away + 0.5 * away @ curve @ away
        assert scaled[k, j, i] == pytest.approx(released[k, j, i] / mean, rel=1e-5)


def test_released_energy_is_density_times_table_times_fluence():
    rng = np.random.default_rng(5)
    density = rng.uniform(0.2, 1.5, SHAPE).astype(np.float32)
    axes = np.array([[-9.0, -12.0, 40.0], [0.5, 4.0, 0.3], [3.0, -0.5, 0.2], [0.1, 0.2, -4.0]])
    parts = np.array([[0.7, 0.2, -0.4], [-0.7, -0.2, 0.4]])
    sad = 1000.0
    # A fan whose depth is linear in its coordinates, so that interpolation is exact.
    fan_place = np.array([-60.0, -60.0, 4.0, 60.0, 5.0, sad])
    v, u, n = np.meshgrid(np.arange(31), np.arange(31), np.arange(21), indexing="ij")
    fan = (40.0 + 0.1 * u - 0.2 * v + 5.0 * n).astype(np.float32)
    photons = rng.uniform(0.5, 1.0, (12, 16))
    place = np.array([-14.0, -11.0, 2.0])
    tables = np.exp(-0.005 * np.arange(400.0))[:, None] * [0.6, 0.4]
    radii, scales = np.array([0.0, 10.0, 100.0]), np.array([1.0, 1.0, 1.3])
    result = released_energy(
        density, axes, parts, fan, fan_place, photons, place, tables, (radii, scales)
    )

    padded = np.pad(photons, 1)

    def fluence(point):
        scale = sad / (sad - point[2])
        x = (point[0] * scale - place[0]) / place[2] + 1.0
        y = (point[1] * scale - place[1]) / place[2] + 1.0
        if not (0.0 <= x < padded.shape[1] - 1 and 0.0 <= y < padded.shape[0] - 1):
            return 0.0
        i, j = int(x), int(y)
        a, b = x - i, y - j
        low = (1 - a) * padded[j, i] + a * padded[j, i + 1]
        high = (1 - a) * padded[j + 1, i] + a * padded[j + 1, i + 1]
        return scale**2 * ((1 - b) * low + b * high)

    n_lit = 0
    for k, j, i in np.ndindex(SHAPE):
        centre = axes[0] + k * axes[1] + j * axes[2] + i * axes[3]
        mean = np.mean([fluence(centre + part) for part in parts])
        plane = centre[:2] * sad / (sad - centre[2])
        depth = 40.0 + 0.1 * (plane[0] + 60.0) / 4.0 - 0.2 * (plane[1] + 60.0) / 4.0
        depth += 60.0 - centre[2]
        depth *= np.interp(np.hypot(*plane), radii, scales)
        for part in range(2):
            mass = np.interp(depth, np.arange(400.0), tables[:, part])
            expected = density[k, j, i] * mass * mean
            assert result[part, k, j, i] == pytest.approx(expected, rel=2e-5, abs=1e-9)
        n_lit += mean > 0.0
    assert 50 < n_lit < density.size


@pytest.mark.parametrize("shape", [(6, 8, 10), (5, 7, 9), (1, 2, 3)])
def test_add_refined_is_linear_between_coarse_centres(shape):
    factor = 2
    coarse_shape = tuple(-(-n // factor) for n in shape)
    coarse = np.random.default_rng(6).uniform(size=coarse_shape).astype(np.float32)
    fine = np.ones(shape, np.float32)
    add_refined(coarse, factor, fine)
    for at in np.ndindex(shape):
        value = 0.0
        places = [
            min(max((a + 0.5) / factor - 0.5, 0.0), n - 1.0)
            for a, n in zip(at, coarse_shape, strict=True)
        ]
        for node in np.ndindex(coarse_shape):
            weight = np.prod(
                [max(1.0 - abs(p - n), 0.0) for p, n in zip(places, node, strict=True)]
            )
            value += weight * coarse[node]
        assert fine[at] == pytest.approx(1.0 + value, rel=1e-5)
