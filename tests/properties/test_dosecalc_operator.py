"""The operator is linear, its adjoint is its transpose, and threads do not change its sums."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.core import BeamGeometry, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc import build_operator, load_machine, make_bixel_grid
from rerad.errors import InputError


def make_operator(position=PatientPosition.HFS):
    machine = load_machine("generic_6mv")
    grid = Grid((14, 16, 20), (-57.0, -45.0, -39.0), (6.0, 6.0, 6.0), "1.2.3")
    rng = np.random.default_rng(0)
    values = (0.3 + rng.random(grid.shape)).astype(np.float32)
    density = Image(values, grid, Modality.CT, ImageUnit.DENSITY)
    target = rng.uniform(-20, 20, (200, 3))
    bixels = [
        make_bixel_grid(
            BeamGeometry(f"b{angle}", angle, 15.0, 5.0, (2.0, -3.0, 4.0)),
            machine,
            target,
            margin_mm=4.0,
            column_width_mm=5.0,
            position=position,
        )
        for angle in (0.0, 75.0, 200.0)
    ]
    voxels = np.flatnonzero(rng.random(grid.n_voxels) < 0.6)
    return build_operator(machine, density, voxels, grid, bixels, position)


@pytest.fixture(scope="module")
def operator():
    return make_operator()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_adjoint_is_the_transpose(operator, seed):
    rng = np.random.default_rng(seed)
    x = rng.random(operator.n_beamlets)
    y = rng.random(operator.n_points)
    forward, adjoint = operator.forward(x) @ y, operator.adjoint(y) @ x
    assert forward == pytest.approx(adjoint, rel=1e-6)
    signed = rng.standard_normal(operator.n_points)
    dose = operator.forward(x)
    error = abs(dose @ signed - operator.adjoint(signed) @ x)
    assert error < 1e-6 * np.linalg.norm(dose) * np.linalg.norm(signed)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), factor=st.floats(0.01, 100.0))
def test_it_is_linear(operator, seed, factor):
    rng = np.random.default_rng(seed)
    first, second = rng.random((2, operator.n_beamlets))
    whole = operator.forward(first + factor * second)
    parts = operator.forward(first) + factor * operator.forward(second)
    np.testing.assert_allclose(whole, parts, atol=2e-6 * whole.max())


def test_a_beamlet_is_a_column_of_the_adjoint(operator):
    unit = np.zeros(operator.n_beamlets)
    unit[operator.n_beamlets // 2] = 1.0
    column = operator.forward(unit)
    for point in (0, operator.n_points // 3, operator.n_points - 1):
        weights = np.zeros(operator.n_points)
        weights[point] = 1.0
        row = operator.adjoint(weights)
        assert row[operator.n_beamlets // 2] == pytest.approx(
            column[point], abs=1e-6 * column.max()
        )


def painted(operator, x):
    """Paint beamlets on the rasters by area, cell by cell."""
    rasters, start = [], 0
    for grid, raster in zip(operator.bixel_grids, operator.rasters, strict=True):
        mu = np.zeros(grid.is_active.shape)
        mu[grid.is_active] = x[start : start + grid.n_active]
        start += grid.n_active
        cells = np.zeros((raster.n_y, raster.n_x))
        for (row, column), value in np.ndenumerate(mu):
            low_y, high_y = grid.y_edges_mm[row : row + 2]
            low_x, high_x = grid.x_edges_mm[column : column + 2]
            y, x_ = raster.y_edges_mm, raster.x_edges_mm
            high = np.minimum(high_y, y[1:]), np.minimum(high_x, x_[1:])
            low = np.maximum(low_y, y[:-1]), np.maximum(low_x, x_[:-1])
            share = [
                np.maximum(b - a, 0.0) / raster.cell_mm for a, b in zip(low, high, strict=True)
            ]
            cells += value * np.outer(*share)
        rasters.append(cells)
    return rasters


def test_beamlets_painted_on_cells_give_the_dose_of_the_beamlets(operator):
    x = np.random.default_rng(3).random(operator.n_beamlets)
    dose = operator.forward(x)
    np.testing.assert_allclose(
        operator.forward_rasters(painted(operator, x)), dose, atol=2e-6 * dose.max()
    )


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_adjoint_by_cells_is_the_transpose(operator, seed):
    rng = np.random.default_rng(seed)
    cells = [rng.random((raster.n_y, raster.n_x)) for raster in operator.rasters]
    y = rng.standard_normal(operator.n_points)
    dose, back = operator.forward_rasters(cells), operator.adjoint_rasters(y)
    assert [part.shape for part in back] == [part.shape for part in cells]
    through = sum(np.sum(a * b) for a, b in zip(cells, back, strict=True))
    assert abs(dose @ y - through) < 1e-6 * np.linalg.norm(dose) * np.linalg.norm(y)
    # Beamlets collect what their cells hold.
    unit = np.zeros(operator.n_beamlets)
    unit[seed % operator.n_beamlets] = 1.0
    collected = sum(np.sum(a * b) for a, b in zip(painted(operator, unit), back, strict=True))
    gradient = operator.adjoint(y)
    assert collected == pytest.approx(
        gradient[seed % operator.n_beamlets], abs=1e-6 * np.abs(gradient).max()
    )


def test_rasters_of_another_shape_are_refused(operator):
    cells = [np.zeros((raster.n_y, raster.n_x)) for raster in operator.rasters]
    with pytest.raises(InputError, match="expected 3 rasters"):
        operator.forward_rasters(cells[:2])
    with pytest.raises(InputError, match="beam 1: expected a raster of"):
        operator.forward_rasters([cells[0], cells[1][:-1], cells[2]])


def test_sums_do_not_depend_on_threads_and_repeat_bit_by_bit(operator):
    rng = np.random.default_rng(9)
    x, y = rng.random(operator.n_beamlets), rng.standard_normal(operator.n_points)
    dose, gradient = operator.forward(x), operator.adjoint(y)
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        np.testing.assert_array_equal(operator.forward(x), dose)
        np.testing.assert_array_equal(operator.adjoint(y), gradient)
    finally:
        numba.set_num_threads(threads)
    again = make_operator()
    np.testing.assert_array_equal(again.forward(x), dose)


def test_dose_is_positive_where_there_is_fluence(operator):
    dose = operator.forward(np.full(operator.n_beamlets, 1.0))
    assert dose.min() > 0.0
