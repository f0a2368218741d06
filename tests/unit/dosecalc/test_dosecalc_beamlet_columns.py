"""Explicit beamlet columns equal the operator and say what they leave out."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Modality,
    PatientPosition,
)
from rerad.dosecalc import beam_dose, build_operator, load_machine, make_bixel_grid
from rerad.dosecalc.beamlet_columns import beamlet_columns
from rerad.errors import InputError

HFS = PatientPosition.HFS


@pytest.fixture(scope="module")
def operator():
    machine = load_machine("generic_6mv")
    grid = Grid((16, 24, 24), (-92.0, -92.0, -60.0), (8.0, 8.0, 8.0), "1.2.3")
    density = Image(np.ones(grid.shape, np.float32), grid, Modality.CT, ImageUnit.DENSITY)
    target = np.random.default_rng(0).uniform(-12, 12, (300, 3))
    bixels = [
        make_bixel_grid(
            BeamGeometry(f"b{angle}", angle, 0.0, 0.0, (0.0, 0.0, 0.0)),
            machine,
            target,
            margin_mm=0.0,
            column_width_mm=5.0,
            position=HFS,
        )
        for angle in (0.0, 100.0)
    ]
    return build_operator(machine, density, np.arange(grid.n_voxels), grid, bixels, HFS)


def test_without_threshold_they_are_the_operator(operator):
    columns = beamlet_columns(operator, threshold=0.0)
    assert columns.matrix.shape == (operator.n_points, operator.n_beamlets)
    np.testing.assert_allclose(columns.kept_share, 1.0)
    x = np.random.default_rng(1).random(operator.n_beamlets)
    dose = operator.forward(x)
    np.testing.assert_allclose(columns.matrix @ x, dose, atol=2e-6 * dose.max())
    y = np.random.default_rng(2).random(operator.n_points)
    back = operator.adjoint(y)
    np.testing.assert_allclose(columns.matrix.T @ y, back, atol=2e-6 * back.max())


def test_what_a_threshold_drops_is_reported(operator):
    chosen = [3, operator.n_beamlets - 1]
    columns = beamlet_columns(operator, beamlets=chosen, threshold=0.01)
    whole = beamlet_columns(operator, beamlets=chosen, threshold=0.0)
    assert columns.matrix.nnz < 0.5 * whole.matrix.nnz
    for number in range(2):
        kept = columns.matrix[:, [number]].toarray()
        everything = whole.matrix[:, [number]].toarray()
        assert kept[kept > 0].min() >= 0.0099 * everything.max()
        share = kept.sum() / everything.sum()
        assert columns.kept_share[number] == pytest.approx(share, rel=1e-5)
        assert 0.5 < share < 0.97
    assert list(columns.beamlets) == chosen


def test_columns_check_their_arguments(operator):
    with pytest.raises(InputError, match="threshold from 0 to below 1"):
        beamlet_columns(operator, threshold=1.0)
    with pytest.raises(InputError, match="beamlets from 0 to"):
        beamlet_columns(operator, beamlets=[operator.n_beamlets], threshold=0.0)
    with pytest.raises(InputError, match="a beamlet from 0"):
        operator.beamlet_dose(-1)
    assert beamlet_columns(operator, beamlets=[], threshold=0.0).matrix.shape[1] == 0


def test_all_beamlets_make_the_open_field():
    # The pencil-beam dose of jaws alone, on a raster twice as fine, with eight components.
    machine = load_machine("generic_6mv")
    tight = replace(
        machine.mlc, transmission=0.0, dosimetric_leaf_gap_mm=0.0, tongue_and_groove_mm=0.0
    )
    machine = replace(machine, mlc=tight, jaw_transmission=0.0)
    grid = Grid((24, 44, 24), (-115.0, -97.5, -115.0), (10.0, 5.0, 10.0), "1.2.3")
    density = Image(np.ones(grid.shape, np.float32), grid, Modality.CT, ImageUnit.DENSITY)
    block = np.stack(np.meshgrid(*[np.arange(-29.0, 30.0, 2.0)] * 3), axis=-1).reshape(-1, 3)
    geometry = BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    bixels = make_bixel_grid(
        geometry, machine, block, margin_mm=0.0, column_width_mm=5.0, position=HFS
    )
    assert bixels.is_active.all()
    voxels = np.arange(0, grid.n_voxels, 3)
    operator = build_operator(machine, density, voxels, grid, [bixels], HFS)
    together = operator.forward(np.full(operator.n_beamlets, 100.0))
    x_mm, y_mm = ((float(e[0]), float(e[-1])) for e in (bixels.x_edges_mm, bixels.y_edges_mm))
    leaves = np.tile([[-150.0], [150.0]], (1, machine.mlc.n_leaf_pairs))
    points = tuple(ControlPoint(w, x_mm, y_mm, leaves) for w in (0.0, 1.0))
    points_mm = grid.points(np.stack(np.unravel_index(voxels, grid.shape), axis=-1))
    one = beam_dose(Beam(1, geometry, points, 100.0), machine, density, points_mm, HFS)
    difference = np.abs(together - one)
    assert difference.max() < 0.005 * one.max()
    inside = (points_mm[:, 1] > -90.0) & (one > 0.5 * one.max())
    assert inside.sum() > 100
    assert np.max(difference[inside] / one[inside]) < 0.005


def test_some_points_get_the_same_dose_and_give_the_same_back(operator):
    points = np.flatnonzero(np.random.default_rng(3).random(operator.n_points) < 0.3)
    some = operator.at_points(points)
    assert some.n_points == len(points)
    x = np.random.default_rng(4).random(operator.n_beamlets)
    np.testing.assert_array_equal(some.forward(x), operator.forward(x)[points])
    y = np.zeros(operator.n_points)
    y[points] = np.random.default_rng(5).random(len(points))
    back = operator.adjoint(y)
    np.testing.assert_allclose(some.adjoint(y[points]), back, atol=2e-6 * back.max())
