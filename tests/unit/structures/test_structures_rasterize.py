"""Contours to masks: areas, slabs of other grids, refusals."""

import numpy as np
import pytest

from rerad.core import Contour, Grid, Structure, StructureKind
from rerad.errors import FrameMismatchError, InputError
from rerad.structures import missing_planes_mm, rasterize

BOX = np.array([[-10.0, -6.0], [10.0, -6.0], [10.0, 6.0], [-10.0, 6.0]])


def _structure(planes, thickness=3.0, frame="1.2.3"):
    contours = tuple(Contour(z, points) for z, points in planes)
    return Structure("Box", StructureKind.OAR, frame, contours, thickness)


def _grid(spacing=(1.0, 1.0, 3.0), n=40):
    origin = tuple(-(n - 1) / 2 * s for s in spacing)
    return Grid((n, n, n), origin, spacing, "1.2.3")


def test_volume_is_area_times_slabs_on_any_grid():
    structure = _structure([(z, BOX) for z in (-3.0, 0.0, 3.0)])
    for spacing in ((1.0, 1.0, 3.0), (2.5, 2.5, 2.0), (0.7, 1.3, 1.1), (3.0, 3.0, 5.0)):
        mask = rasterize(structure, _grid(spacing))
        # Two edges along x may each be off by 1/32 of a row.
        tolerance = 2 / 32 * spacing[1] / 12 + 1e-4
        assert mask.volume_cc == pytest.approx(20 * 12 * 9 / 1000, rel=tolerance), spacing


def test_a_slice_takes_the_share_by_which_it_overlaps_a_slab():
    structure = _structure([(0.0, BOX)])
    grid = Grid((5, 40, 40), (-19.5, -19.5, -4.0), (1.0, 1.0, 2.0), "1.2.3")
    fraction = rasterize(structure, grid).on(grid)
    # Slab -1.5 to 1.5; slices of 2 mm centred on -4, -2, 0, 2, 4.
    np.testing.assert_allclose(fraction[:, 20, 20], [0, 0.25, 1, 0.25, 0], atol=1e-6)


def test_mask_is_a_crop_around_the_structure():
    grid = _grid()
    mask = rasterize(_structure([(1.5, BOX)]), grid)
    assert mask.grid.shape == (1, 12, 20)
    assert mask.fraction.min() == 1.0
    assert mask.on(grid).sum() == 12 * 20


def test_part_outside_the_grid_is_left_out():
    grid = Grid((3, 10, 10), (0.5, 0.5, -3.0), (1.0, 1.0, 3.0), "1.2.3")
    mask = rasterize(_structure([(0.0, BOX)]), grid)
    assert mask.fraction.sum() == pytest.approx(10 * 6)


def test_holes_islands_and_parts_side_by_side():
    planes = [
        (0.0, BOX),
        (0.0, BOX * 0.5),
        (0.0, BOX[::-1] * 0.25),
        (0.0, BOX + np.array([25.0, 0.0])),
    ]
    volume = rasterize(_structure(planes), _grid(n=80)).volume_cc
    area = 240 * (1 - 0.25 + 0.0625 + 1)
    assert volume == pytest.approx(area * 3 / 1000, rel=1e-3)


def test_contour_smaller_than_a_voxel_keeps_its_area():
    speck = BOX / 50 + np.array([3.3, 4.4])
    mask = rasterize(_structure([(0.0, speck)]), _grid((2.0, 2.0, 3.0)))
    assert mask.volume_cc == pytest.approx(0.4 * 0.24 * 3 / 1000, rel=0.05)
    assert mask.fraction.max() < 0.05


def test_missing_plane_stays_empty_and_is_told():
    structure = _structure([(z, BOX) for z in (0.0, 3.0, 9.0)])
    assert missing_planes_mm(structure) == ((3.0, 9.0),)
    assert rasterize(structure, _grid()).volume_cc == pytest.approx(240 * 9 / 1000, rel=1e-3)


def test_uneven_planes_share_the_space_between_them():
    structure = _structure([(z, BOX) for z in (0.0, 2.5, 6.0)])
    # Slabs: -1.5..1.25, 1.25..4.25, 4.25..7.5
    assert missing_planes_mm(structure) == ()
    assert rasterize(structure, _grid()).volume_cc == pytest.approx(240 * 9 / 1000, rel=1e-3)


def test_other_frame_is_refused():
    with pytest.raises(FrameMismatchError, match=r"expected contours in frame .* register"):
        rasterize(_structure([(0.0, BOX)], frame="9.9"), _grid())


def test_empty_and_outside_are_refused():
    with pytest.raises(InputError, match="Box: expected at least one contour, got none"):
        rasterize(_structure([]), _grid())
    with pytest.raises(InputError, match="Box: lies outside the grid"):
        rasterize(_structure([(500.0, BOX)]), _grid())
