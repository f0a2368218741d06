"""Masks to contours and back."""

import numpy as np
import pytest

from rerad.core import Grid, StructureKind
from rerad.errors import GridMismatchError
from rerad.structures import contours_from_mask, rasterize, sample_structure

GRID = Grid((4, 33, 47), (-20.3, 11.1, -7.0), (0.9, 1.7, 2.5), "1.2.3")


def _draw(mask, grid=GRID):
    return contours_from_mask(mask, grid, name="Thing", kind=StructureKind.CTV, color=(1, 2, 3))


def _round_trip(mask, grid=GRID):
    return rasterize(_draw(mask, grid), grid).on(grid) >= 0.5


def test_random_masks_come_back_voxel_by_voxel():
    rng = np.random.default_rng(3)
    for density in (0.03, 0.3, 0.5, 0.8, 0.97):
        mask = rng.random(GRID.shape) < density
        np.testing.assert_array_equal(_round_trip(mask), mask)


def test_single_voxels_holes_and_diagonals_come_back():
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[0, 5, 5] = True
    mask[1, 10:20, 10:20] = True
    mask[1, 13, 14] = False
    mask[2, 3:30, 3:40] = True
    mask[2, 6:26, 8:30] = False
    mask[2, 10:20, 12:20] = True
    mask[3, range(10), range(10)] = True
    np.testing.assert_array_equal(_round_trip(mask), mask)


def test_masks_touching_every_edge_come_back():
    mask = np.ones(GRID.shape, dtype=bool)
    mask[:, 1, 1] = False
    np.testing.assert_array_equal(_round_trip(mask), mask)
    assert _round_trip(np.ones((1, 1, 1)), Grid((1, 1, 1), (0, 0, 0), (1, 2, 3), "1")).all()


def test_hole_and_island_are_contours_of_their_own():
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[2, 3:30, 3:40] = True
    mask[2, 6:26, 8:30] = False
    mask[2, 10:20, 12:20] = True
    structure = _draw(mask)
    assert len(structure.contours) == 3
    assert {contour.z_mm for contour in structure.contours} == {-2.0}
    assert (structure.name, structure.color) == ("Thing", (1, 2, 3))
    assert structure.slice_thickness_mm == 2.5


def test_straight_edges_need_few_points():
    mask = np.zeros(GRID.shape, dtype=bool)
    mask[1, 5:25, 5:35] = True
    assert len(_draw(mask).contours[0].points_mm) == 8


def test_volume_of_a_round_mask_is_kept():
    grid = Grid((9, 60, 60), (-29.5, -29.5, -12.0), (1.0, 1.0, 3.0), "1.2.3")
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    mask = x**2 + y**2 + 4 * z**2 < 400
    structure = _draw(mask, grid)
    voxels_cc = mask.sum() * grid.voxel_volume_cc
    assert sample_structure(structure).volume_cc == pytest.approx(voxels_cc, rel=0.01)


def test_shares_are_contoured_at_half():
    grid = Grid((1, 9, 9), (0.0, 0.0, 0.0), (1.0, 1.0, 3.0), "1.2.3")
    share = np.zeros(grid.shape)
    share[0, 3:6, 3:6] = 1.0
    share[0, 3:6, 6] = 0.75
    contour = _draw(share, grid).contours[0]
    # Between 0.75 at 6 and 0 at 7 the share is half a third of the way.
    assert contour.points_mm[:, 0].max() == pytest.approx(6 + 1 / 3)


def test_empty_mask_gives_a_structure_without_contours():
    assert _draw(np.zeros(GRID.shape, dtype=bool)).is_empty


def test_other_shape_is_refused():
    with pytest.raises(GridMismatchError, match="Thing: expected a mask of shape"):
        _draw(np.zeros((2, 2, 2)))
