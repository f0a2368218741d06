"""Scan-line coverage against slow twins: matplotlib's point-in-polygon and skimage's masks."""

import numpy as np
import pytest
from matplotlib.path import Path as Polygon
from skimage.draw import polygon2mask

from rerad.kernels.rasterize import (
    points_in_plane,
    rasterize_stack,
    scan_crossings,
    scanned_area,
)


def _star(center, inner, outer, n, turn=0.1):
    angles = turn + np.arange(2 * n) * np.pi / n
    radii = np.where(np.arange(2 * n) % 2, inner, outer)
    return np.column_stack(
        [center[0] + radii * np.cos(angles), center[1] + radii * np.sin(angles)]
    )


def _coverage(polygons, shape):
    return rasterize_stack(
        np.concatenate(polygons),
        np.cumsum([len(p) for p in polygons], dtype=np.int64),
        np.array([len(polygons)], dtype=np.int64),
        np.ones((1, 1)),
        (1, *shape),
    )[0]


def _twin(polygons, shape, n=20):
    """Count n x n points per voxel inside an odd number of polygons."""
    rows = (np.arange(shape[0] * n) + 0.5) / n
    columns = (np.arange(shape[1] * n) + 0.5) / n
    y, x = np.meshgrid(rows, columns, indexing="ij")
    points = np.column_stack([x.ravel(), y.ravel()])
    inside = np.zeros(len(points), dtype=bool)
    for polygon in polygons:
        inside ^= Polygon(polygon).contains_points(points)
    return inside.reshape(shape[0], n, shape[1], n).mean(axis=(1, 3))


@pytest.mark.parametrize(
    "polygons",
    [
        [_star((9.3, 7.1), 3.0, 6.5, 5)],
        [_star((10.0, 8.0), 7.0, 7.2, 12), _star((9.0, 8.5), 3.0, 4.0, 4)],
        [_star((6.0, 6.0), 4.0, 5.0, 9), _star((9.0, 8.0), 4.0, 5.0, 7)],
        [_star((5.2, 5.3), 0.2, 0.3, 4)],
        [_star((1.0, 1.0), 3.0, 4.0, 6)],
    ],
    ids=["star", "hole", "overlap", "sub-voxel", "beyond the edge"],
)
def test_coverage_is_that_of_the_slow_twin(polygons):
    found = _coverage(polygons, (16, 20))
    expected = _twin(polygons, (16, 20))
    # Each side samples: 8 lines here, 20 x 20 points there.
    assert np.abs(found - expected).max() < 0.06
    assert abs(found.sum() - expected.sum()) < 0.01 * expected.sum() + 0.01


def test_boxes_are_covered_exactly():
    box = np.array([[1.25, 2.5], [4.0, 2.5], [4.0, 5.0], [1.25, 5.0]])
    expected = np.zeros((7, 6))
    expected[2:5, 1:4] = [[0.5 * 0.75, 0.5, 0.5], [0.75, 1, 1], [0.75, 1, 1]]
    np.testing.assert_allclose(_coverage([box], (7, 6)), expected, atol=1e-6)


def test_half_coverage_agrees_with_skimage():
    polygon = _star((32.3, 29.8), 20, 26, 7)
    ours = _coverage([polygon], (64, 64)) >= 0.5
    theirs = polygon2mask((64, 64), polygon[:, ::-1] - 0.5)
    agree = 2 * np.sum(ours & theirs) / (ours.sum() + theirs.sum())
    assert agree > 0.99


def test_direction_of_a_polygon_does_not_matter():
    polygon = _star((8, 8), 4, 6, 5)
    np.testing.assert_allclose(
        _coverage([polygon], (16, 16)), _coverage([polygon[::-1]], (16, 16)), atol=1e-7
    )


def test_slices_take_their_share_of_each_plane():
    low, high = _star((8, 8), 5, 6, 6), _star((9, 7), 3, 4, 6)
    points = np.concatenate([low, high])
    ends = np.array([len(low), len(points)], dtype=np.int64)
    planes = np.array([1, 2], dtype=np.int64)
    overlaps = np.array([[1.0, 0.0], [0.25, 0.75], [0.0, 0.5], [0.0, 0.0]])
    found = rasterize_stack(points, ends, planes, overlaps, (4, 16, 16))
    a, b = _coverage([low], (16, 16)), _coverage([high], (16, 16))
    np.testing.assert_allclose(
        found, np.stack([a, 0.25 * a + 0.75 * b, 0.5 * b, 0 * a]), atol=1e-6
    )


def test_nothing_is_left_beyond_the_contour():
    """Rounding of the running sum must not make voxels beside a structure part of it."""
    angle = np.linspace(0.0, 2.0 * np.pi, 73)[:-1]
    ring = np.stack([20.0 + 11.3 * np.cos(angle), 20.0 + 11.3 * np.sin(angle)], axis=1)
    planes = np.array([1], dtype=np.int64)
    for weight in (1.0, 1.0 / 3.0, 0.7):
        overlaps = np.array([[weight]])
        found = rasterize_stack(ring, np.array([72]), planes, overlaps, (1, 40, 40))[0]
        # a voxel whose four corners all lie beyond the circle and whose middle is far from it
        middle = np.hypot(*(np.indices((40, 40)) + 0.5 - 20.0))
        assert np.all(found[middle > 11.3 + 0.8] == 0.0)
        assert found.sum() == pytest.approx(weight * scanned_area_of(ring), rel=2e-3)


def scanned_area_of(ring):
    return 0.5 * abs(
        np.sum(np.cross(*(_with_depth([p])[0] for p in (ring, np.roll(ring, -1, 0)))))
    )


def test_crossings_come_in_pairs_even_through_corners():
    diamond = np.array([[0.0, -2.0], [2.0, 0.0], [0.0, 2.0], [-2.0, 0.0]])
    lines = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0])
    offsets, crossings = scan_crossings(diamond, np.array([4]), lines)
    assert np.diff(offsets).tolist() == [0, 2, 2, 2, 2, 0]
    np.testing.assert_allclose(crossings[offsets[3] : offsets[4]], [-2.0, 2.0])


def test_points_lie_inside_and_their_lengths_add_up():
    ring = [_star((0, 0), 9, 10, 20), _star((1, 1), 3, 4, 9)]
    points = np.concatenate(ring)
    ends = np.array([len(ring[0]), len(points)], dtype=np.int64)
    lines = np.linspace(-9.9, 9.9, 199)
    found, lengths = points_in_plane(points, ends, lines, 0.2, 0.3)
    inside = Polygon(ring[0]).contains_points(found) ^ Polygon(ring[1]).contains_points(found)
    assert inside.mean() > 0.999
    assert lengths.max() <= 0.2
    areas = [0.5 * abs(np.sum(np.cross(p, np.roll(p, -1, axis=0)))) for p in _with_depth(ring)]
    assert scanned_area(points, ends, lines) == pytest.approx(areas[0] - areas[1], rel=2e-3)
    assert lengths.sum() * 0.1 == pytest.approx(areas[0] - areas[1], rel=2e-3)


def _with_depth(polygons):
    return [np.column_stack([p, np.zeros(len(p))]) for p in polygons]
