"""Beamlets: which are active, and in which order they stand."""

import numpy as np
import pytest

from rerad.core import BeamGeometry, PatientPosition
from rerad.dosecalc import join_fluence, load_machine, make_bixel_grid, split_fluence
from rerad.errors import InputError

HFS = PatientPosition.HFS


@pytest.fixture(scope="module")
def machine():
    return load_machine("generic_6mv")


def geometry(gantry=0.0, collimator=0.0):
    return BeamGeometry("b", gantry, collimator, 0.0, (0.0, 0.0, 0.0))


def grid_for(machine, points, margin_mm=0.0, width_mm=5.0, view=None):
    return make_bixel_grid(
        view or geometry(),
        machine,
        np.asarray(points, dtype=float),
        margin_mm=margin_mm,
        column_width_mm=width_mm,
        position=HFS,
    )


def test_one_point_opens_one_beamlet_on_the_machines_rows(machine):
    # Gantry 0: collimator x is patient x, collimator y is patient z.
    grid = grid_for(machine, [[12.0, 0.0, 103.0]])
    assert grid.n_active == 1
    np.testing.assert_allclose(grid.x_edges_mm, [10.0, 15.0])
    np.testing.assert_allclose(grid.y_edges_mm, [100.0, 110.0])  # an outer, wide leaf


def test_margin_is_round_and_active_beamlets_are_those_within_it(machine):
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-20, 20, 30), np.zeros(30), rng.uniform(-15, 15, 30)])
    grid = grid_for(machine, points, margin_mm=7.0)
    u, v = points[:, 0], points[:, 2]
    for row in range(grid.is_active.shape[0]):
        for column in range(grid.is_active.shape[1]):
            x0, x1 = grid.x_edges_mm[column : column + 2]
            y0, y1 = grid.y_edges_mm[row : row + 2]
            dx = np.maximum(np.maximum(x0 - u, u - x1), 0)
            dy = np.maximum(np.maximum(y0 - v, v - y1), 0)
            near = bool(np.any(np.hypot(dx, dy) <= 7.0))
            assert grid.is_active[row, column] == near
    # Nothing active was cut off at the border of the grid.
    assert grid.x_edges_mm[0] <= u.min() - 7.0
    assert grid.x_edges_mm[-1] >= u.max() + 7.0


def test_points_near_the_source_are_magnified(machine):
    grid = grid_for(machine, [[40.0, -200.0, 0.1]])
    np.testing.assert_allclose(grid.x_edges_mm, [50.0, 55.0])


def test_targets_beyond_the_leaves_are_refused(machine):
    with pytest.raises(InputError, match="turn the collimator"):
        grid_for(machine, [[171.0, 0.0, 1.0]])
    grid = grid_for(machine, [[171.0, 0.0, 1.0]], view=geometry(collimator=90.0))
    assert grid.n_active == 1
    with pytest.raises(InputError, match="target points"):
        grid_for(machine, np.empty((0, 3)))
    with pytest.raises(InputError, match="margin"):
        grid_for(machine, [[0.0, 0.0, 0.0]], margin_mm=-1.0)


def test_margin_ends_where_the_leaves_end(machine):
    grid = grid_for(machine, [[148.0, 0.0, 0.0]], margin_mm=9.0)
    assert grid.x_edges_mm[-1] == 150.0


def test_split_and_join_are_inverse_and_row_by_row(machine):
    points = np.array([[0.0, 0.0, 0.0], [21.0, 0.0, 11.0], [-14.0, 0.0, 2.0]])
    grids = [grid_for(machine, points, margin_mm=6.0), grid_for(machine, points[:1])]
    n = sum(grid.n_active for grid in grids)
    x = np.arange(1.0, n + 1.0)
    fluences = split_fluence(grids, x)
    np.testing.assert_array_equal(join_fluence(fluences), x)
    active = grids[0].is_active
    np.testing.assert_array_equal(fluences[0].values_mu[active], np.arange(1.0, active.sum() + 1))
    assert np.all(fluences[0].values_mu[~active] == 0)
    with pytest.raises(InputError, match=f"expected {n} beamlet values"):
        split_fluence(grids, x[:-1])
    assert join_fluence(()).shape == (0,)
