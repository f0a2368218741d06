"""Dose kernels against slow, obvious NumPy twins."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.interpolate import BSpline, RegularGridInterpolator

from rerad.core import BeamGeometry, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc import load_machine, radiological_depth_exact
from rerad.dosecalc.projection import view_points
from rerad.geometry import source_position_mm
from rerad.kernels.pencil_beam import component_weights, gather_dose, scatter_dose
from rerad.kernels.raytrace import fan_depths, path_integrals, sample_fan


def siddon_twin(values, corner, spacing, start, end):
    """All crossings sorted, midpoints looked up: Siddon 1985, as on paper."""
    direction = end - start
    alphas = [np.array([0.0, 1.0])]
    for axis, n in enumerate(values.shape[::-1]):
        if direction[axis] != 0:
            planes = corner[axis] + spacing[axis] * np.arange(n + 1)
            alphas.append((planes - start[axis]) / direction[axis])
    alpha = np.unique(np.concatenate(alphas))
    alpha = alpha[(alpha >= 0) & (alpha <= 1)]
    total = 0.0
    for low, high in pairwise(alpha):
        middle = start + 0.5 * (low + high) * direction
        i, j, k = np.floor((middle - corner) / spacing).astype(int)
        if 0 <= k < values.shape[0] and 0 <= j < values.shape[1] and 0 <= i < values.shape[2]:
            total += values[k, j, i] * (high - low)
    return total * np.linalg.norm(direction)


def random_box(seed):
    rng = np.random.default_rng(seed)
    values = rng.random((5, 6, 7)).astype(np.float32)
    return rng, values, np.array([-11.0, 4.0, -2.5]), np.array([3.0, 2.0, 4.5])


def test_path_integrals_equal_siddon():
    rng, values, corner, spacing = random_box(0)
    start = np.array([40.0, -30.0, 60.0])
    ends = np.concatenate(
        [
            corner + spacing * np.array([7, 6, 5]) * rng.random((40, 3)),
            rng.uniform(-60, 60, (20, 3)),
        ]
    )
    got = path_integrals(values, corner, spacing, start, ends)
    expected = [siddon_twin(values, corner, spacing, start, end) for end in ends]
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_path_along_an_axis_through_voxel_faces(axis):
    # A ray in a face between voxels counts each voxel layer once.
    values = np.ones((4, 4, 4), dtype=np.float32)
    start = np.full(3, 4.0)
    start[axis] = -10.0
    end = np.full((1, 3), 4.0)
    end[0, axis] = 30.0
    length = path_integrals(values, np.zeros(3), np.full(3, 2.0), start, end)
    assert length[0] == pytest.approx(8.0)


def test_fan_is_cumulative_siddon():
    _, values, corner, spacing = random_box(1)
    start = np.array([3.0, -50.0, 5.0])
    x, z = np.meshgrid(np.linspace(-15, 15, 4), np.linspace(-5, 25, 3))
    targets = np.stack([x, np.full_like(x, 40.0), z], axis=-1)
    fractions = np.linspace(0.3, 1.0, 9)
    fan = fan_depths(values, corner, spacing, start, targets, fractions)
    for v in range(3):
        for u in range(4):
            for n, fraction in enumerate(fractions):
                end = start + fraction * (targets[v, u] - start)
                expected = siddon_twin(values, corner, spacing, start, end)
                assert fan[v, u, n] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_sample_fan_is_trilinear_and_holds_its_ends():
    rng = np.random.default_rng(2)
    depths = rng.random((4, 5, 6)).astype(np.float32)
    u, v, p = rng.uniform(-1, 5, 30), rng.uniform(-1, 4, 30), rng.uniform(-1, 6, 30)
    twin = RegularGridInterpolator([np.arange(n) for n in depths.shape], depths.astype(float))
    inside = np.stack([v.clip(0, 3), u.clip(0, 4), p.clip(0, 5)], axis=-1)
    np.testing.assert_allclose(sample_fan(depths, u, v, p), twin(inside), atol=1e-6)


def test_traced_fan_agrees_with_exact_rays_in_a_heterogeneous_phantom():
    # An ellipse with a lung-like and a bone-like insert; the fan interpolates between rays, so
    # points within a voxel of an interface that runs along the beam may differ by about a voxel.
    grid = Grid((30, 60, 80), (-118.5, -88.5, -43.5), (3.0, 3.0, 3.0), "1.2.3")
    x, y, _ = np.meshgrid(*grid.axes_mm, indexing="ij")
    x, y = x.transpose(2, 1, 0), y.transpose(2, 1, 0)
    values = np.where((x / 110) ** 2 + (y / 80) ** 2 < 1, 1.0, 0.001)
    values[((x + 50) ** 2 + y**2) < 30**2] = 0.26
    values[((x - 40) ** 2 + (y - 20) ** 2) < 15**2] = 1.6
    density = Image(values.astype(np.float32), grid, Modality.CT, ImageUnit.DENSITY)
    points = grid.points(np.stack(np.nonzero(values > 0.1), axis=-1))[::7]
    beam = BeamGeometry("oblique", 55.0, 20.0, 10.0, (5.0, 3.0, 0.0))
    machine = load_machine("generic_6mv")
    flat = replace(machine.beam, off_axis_depth_scale=np.ones_like(machine.beam.off_axis_ratio))
    machine = replace(machine, beam=flat)
    source = source_position_mm(beam, PatientPosition.HFS, sad_mm=machine.sad_mm)
    view = view_points(points, beam, machine, density, PatientPosition.HFS)
    error = view.depth_mm - radiological_depth_exact(density, points, source)
    assert abs(error.mean()) < 0.05
    assert error.std() < 0.4
    assert np.percentile(np.abs(error), 95) < 0.8


def spline(t):
    return BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)(t)


def random_footprints(seed, n_components=3):
    rng = np.random.default_rng(seed)
    maps = rng.random((2, n_components, 9, 11)).astype(np.float32)
    node = np.stack([rng.integers(1, 9, (2, 50)), rng.integers(1, 7, (2, 50))], axis=-1)
    offset = rng.random((2, 50, 2)).astype(np.float32)
    weights = rng.random((2, 50, n_components)).astype(np.float32)
    return rng, maps, node.astype(np.int32), offset, weights


def dense_matrix(maps, node, offset, weights):
    """Write the sampling out as one matrix from all map values to all points."""
    n_beams, _, n_v, n_u = maps.shape
    rows = []
    for n in range(node.shape[1]):
        row = np.zeros(maps.shape)
        for b in range(n_beams):
            wx = np.nan_to_num(spline(np.arange(n_u) - node[b, n, 0] - offset[b, n, 0]))
            wy = np.nan_to_num(spline(np.arange(n_v) - node[b, n, 1] - offset[b, n, 1]))
            row[b] = weights[b, n][:, None, None] * wy[:, None] * wx
        rows.append(row.ravel())
    return np.array(rows)


def test_gather_samples_a_cubic_b_spline():
    _, maps, node, offset, weights = random_footprints(3)
    dose = np.empty(50)
    gather_dose(maps, node, offset, weights, dose)
    matrix = dense_matrix(maps, node, offset, weights)
    np.testing.assert_allclose(dose, matrix @ maps.ravel(), rtol=2e-6)


@pytest.mark.parametrize("n_chunks", [1, 3])
def test_scatter_is_the_transpose_of_gather(n_chunks):
    rng, maps, node, offset, weights = random_footprints(4)
    values = rng.standard_normal(50)
    values[::9] = 0.0
    chunks = np.empty((2, n_chunks, *maps.shape[1:]), dtype=np.float32)
    scatter_dose(values, node, offset, weights, chunks)
    expected = dense_matrix(maps, node, offset, weights).T @ values
    np.testing.assert_allclose(chunks.sum(axis=1).ravel(), expected, atol=5e-6)


def test_component_weights_are_bilinear():
    rng = np.random.default_rng(6)
    table = rng.random((8, 4, 3))
    depth, magnification = rng.uniform(-1, 18, 40), rng.uniform(0.6, 1.3, 40)
    weights = np.empty((40, 3), dtype=np.float32)
    component_weights(depth, magnification, table, (2.0, 0.7, 0.15), weights)
    axes = (2.0 * np.arange(8), 0.7 + 0.15 * np.arange(4))
    twin = RegularGridInterpolator(axes, table)
    points = np.stack([depth.clip(0, 14), magnification.clip(0.7, 1.15)], axis=-1)
    np.testing.assert_allclose(weights, twin(points), rtol=1e-6)
