"""Margins, distances and booleans of masks."""

import numpy as np
import pytest

from rerad.core import Grid, Mask, StructureKind
from rerad.errors import FrameMismatchError, GridMismatchError, InputError
from rerad.structures import (
    Margin6,
    distance_from,
    intersect,
    margin,
    subtract,
    unite,
)


def _grid(spacing=(1.0, 1.0, 3.0), size_mm=66.0, frame="1.2.3"):
    n = [int(size_mm / s) for s in spacing]
    origin = tuple(-(m - 1) / 2 * s for m, s in zip(n, spacing, strict=True))
    return Grid(tuple(n[::-1]), origin, spacing, frame)


def _ball(grid, radius, center=(0.0, 0.0, 0.0), name="Ball"):
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    squares = (x - center[0]) ** 2 + (y - center[1]) ** 2 + (z - center[2]) ** 2
    return Mask(name, StructureKind.CTV, (squares <= radius**2).astype(np.float32), grid)


@pytest.mark.parametrize(
    ("spacing", "tolerance"),
    [((1.0, 1.0, 3.0), 0.03), ((2.0, 2.0, 2.0), 0.045), ((3.0, 3.0, 3.0), 0.075)],
)
@pytest.mark.parametrize(("radius", "margin_mm"), [(20, 5), (20, -5), (10, 10), (8, 3)])
def test_spheres_grow_and_shrink_to_spheres(spacing, tolerance, radius, margin_mm):
    grid = _grid(spacing)
    center = np.array([0.21, -0.37, 0.43]) * spacing
    found = margin(_ball(grid, radius, center), grid, float(margin_mm))
    expected = 4 / 3 * np.pi * (radius + margin_mm) ** 3 / 1000
    assert found.volume_cc == pytest.approx(expected, rel=tolerance)


def test_six_margins_go_where_they_say():
    grid = _grid((1.0, 1.0, 1.0), 41.0)
    fraction = np.zeros(grid.shape)
    fraction[20, 20, 20] = 1
    point = Mask("Point", StructureKind.CTV, fraction, grid)
    found = margin(point, grid, Margin6(1, 2, 3, 4, 5, 6))
    k, j, i = np.nonzero(found.on(grid))
    assert (i.max() - 20, 20 - i.min()) == (1, 2)
    assert (j.max() - 20, 20 - j.min()) == (3, 4)
    assert (k.max() - 20, 20 - k.min()) == (5, 6)
    dz, dy, dx = k - 20, j - 20, i - 20
    reach = [np.where(d > 0, a, b) for d, a, b in ((dx, 1, 2), (dy, 3, 4), (dz, 5, 6))]
    assert np.all((dx / reach[0]) ** 2 + (dy / reach[1]) ** 2 + (dz / reach[2]) ** 2 <= 1 + 1e-4)


def test_expansion_on_fine_voxels_is_the_euclidean_distance():
    grid = _grid((1.0, 0.8, 0.9), 30.0)
    mask = _ball(grid, 4.0, (2.0, 1.0, 0.0))
    found = margin(mask, grid, 3.7).on(grid) > 0
    np.testing.assert_array_equal(found, distance_from(mask, grid) <= 3.7)


def test_a_voxel_that_stands_alone_keeps_its_margin():
    """Divided in two along each axis, its parts hold 0.42 each by interpolation: none inside."""
    grid = _grid((2.0, 2.0, 2.0), 40.0)
    fraction = np.zeros(grid.shape)
    fraction[4, 4, 4] = 1
    fraction[12:16, 12:16, 12:16] = 1
    found = margin(Mask("Two", StructureKind.CTV, fraction, grid), grid, 4.0).on(grid) >= 0.5
    assert found[4, 4, 4]
    assert found[4, 4, 2:7].all()
    assert found[14, 14, 10:18].all()


def test_contraction_takes_from_the_side_it_names():
    grid = _grid((1.0, 1.0, 1.0), 31.0)
    fraction = np.zeros(grid.shape)
    fraction[10:20, 10:20, 10:20] = 1
    box = Mask("Box", StructureKind.CTV, fraction, grid)
    found = margin(box, grid, Margin6(-3, 0, -2, 0, -1, 0)).on(grid)
    k, j, i = np.nonzero(found)
    # A margin of 3 mm leaves out the voxels whose centres are less than 3 mm from one outside.
    assert (i.min(), i.max()) == (10, 17)
    assert (j.min(), j.max()) == (10, 18)
    assert (k.min(), k.max()) == (10, 19)


def test_expansion_stops_at_the_parent_grid():
    grid = _grid((2.0, 2.0, 2.0), 20.0)
    assert margin(_ball(grid, 8.0), grid, 10.0).grid.shape == grid.shape


def test_no_margin_keeps_a_fine_mask():
    grid = _grid((1.0, 1.0, 1.0), 30.0)
    ball = _ball(grid, 7.0)
    np.testing.assert_array_equal(margin(ball, grid, 0.0).on(grid), ball.fraction)


def test_nothing_left_and_mixed_signs_are_refused():
    grid = _grid((2.0, 2.0, 2.0), 30.0)
    with pytest.raises(InputError, match="Ball: nothing is left after a margin of -9"):
        margin(_ball(grid, 5.0), grid, -9.0)
    with pytest.raises(InputError, match="all expanding or all contracting"):
        Margin6(1, -1, 0, 0, 0, 0)


def test_distance_is_in_mm_and_zero_inside():
    grid = _grid((1.0, 2.0, 3.0), 30.0)
    fraction = np.zeros(grid.shape)
    fraction[5, 7, 15] = 1
    distance = distance_from(Mask("Point", StructureKind.OAR, fraction, grid), grid)
    assert distance[5, 7, 15] == 0
    assert distance[6, 9, 16] == pytest.approx(np.sqrt(1 + 16 + 9))
    assert distance.dtype == np.float32
    nothing = Mask("None", StructureKind.OAR, np.zeros(grid.shape), grid)
    assert np.all(np.isinf(distance_from(nothing, grid)))


def test_booleans_on_different_crops():
    grid = _grid((1.0, 1.0, 1.0), 40.0)
    a, b = _ball(grid, 8.0, (-4, 0, 0), "A"), _ball(grid, 6.0, (5, 0, 0), "B")
    small = margin(b, grid, 0.0)
    inside_a, inside_b = a.fraction > 0, b.fraction > 0
    for combine, expected in (
        (unite, inside_a | inside_b),
        (intersect, inside_a & inside_b),
        (subtract, inside_a & ~inside_b),
    ):
        found = combine(a, small, name="C")
        assert found.name == "C"
        np.testing.assert_array_equal(found.on(grid) > 0, expected)


def test_masks_that_do_not_meet_have_an_empty_intersection():
    grid = _grid((1.0, 1.0, 1.0), 40.0)
    a = margin(_ball(grid, 3.0, (-10, 0, 0)), grid, 0.0)
    b = margin(_ball(grid, 3.0, (10, 0, 0)), grid, 0.0)
    assert intersect(a, b).volume_cc == 0
    assert unite(a, b).volume_cc == pytest.approx(a.volume_cc + b.volume_cc)
    assert subtract(a, b).volume_cc == pytest.approx(a.volume_cc)


def test_masks_of_other_grids_are_refused():
    a = _ball(_grid((1.0, 1.0, 1.0), 20.0), 5.0)
    with pytest.raises(FrameMismatchError):
        unite(a, _ball(_grid((1.0, 1.0, 1.0), 20.0, frame="9"), 5.0))
    with pytest.raises(GridMismatchError):
        unite(a, _ball(_grid((2.0, 2.0, 2.0), 20.0), 5.0))
