import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial.transform import Rotation

from rerad.core import Grid, Image, ImageUnit, Modality, RigidTransform
from rerad.errors import FrameMismatchError, InputError
from rerad.imaging.resample import index_map, resample_image
from rerad.kernels.warp import pull_affine

GRID = Grid((9, 8, 10), (-20.0, 5.0, 30.0), (2.0, 2.5, 3.0), "1.2.3")


def transform(degrees=(4.0, -3.0, 5.0), shift=(3.0, -2.0, 4.0), ends=("1.2.3", "4.5.6")):
    centre = 0.5 * (np.array(GRID.origin_mm) + np.array(GRID.end_mm))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + shift
    return RigidTransform(matrix, *ends)


def points_of(grid):
    x, y, z = grid.axes_mm
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    return np.stack([xx, yy, zz], axis=-1)


def linear_field(points):
    return 100 + 3 * points[..., 0] - 2 * points[..., 1] + 0.5 * points[..., 2]


def image(values, grid=GRID):
    return Image(values, grid, Modality.CT, ImageUnit.HU, series_uid="9")


def slow_pull(values, matrix, shape, outside):
    """The obvious way: sample every target voxel with SciPy."""
    index = np.indices(shape).reshape(3, -1)
    source = matrix[:, :3] @ index + matrix[:, 3:]
    last = np.array(values.shape)[:, None] - 1
    inside = np.all((source >= -1e-4) & (source <= last + 1e-4), axis=0)
    sampled = map_coordinates(values, np.clip(source, 0, last), order=1)
    return np.where(inside, sampled, outside).reshape(shape)


def test_kernel_agrees_with_its_slow_twin():
    values = np.random.default_rng(1).normal(size=GRID.shape).astype(np.float32)
    onto = Grid((7, 9, 8), (-18.0, 6.0, 33.0), (2.2, 1.9, 3.1), "4.5.6")
    matrix = index_map(GRID, onto, transform())
    fast = pull_affine(values, matrix, onto.shape, (1, 1, 1), -5.0)
    slow = slow_pull(values.astype(np.float64), matrix, onto.shape, -5.0)
    assert np.count_nonzero(fast == -5.0) == np.count_nonzero(slow == -5.0) > 0
    np.testing.assert_allclose(fast, slow, atol=2e-6)


def test_linear_field_is_exact_through_a_rigid_transform():
    moved = transform()
    onto = Grid((6, 7, 8), (-14.0, 9.0, 38.0), (1.7, 2.1, 2.9), "4.5.6")
    result = resample_image(image(linear_field(points_of(GRID))), onto, moved, outside=-1000)
    expected = linear_field(moved.inverse().apply(points_of(onto)))
    inside = result.values != -1000
    assert inside.mean() > 0.5
    np.testing.assert_allclose(result.values[inside], expected[inside], atol=2e-4)
    assert result.grid is onto
    assert result.series_uid == ""


def test_same_voxels_come_back_bit_by_bit():
    values = np.random.default_rng(2).integers(-1000, 2000, GRID.shape).astype(np.int16)
    result = resample_image(image(values), GRID, outside=-1000)
    assert result.values.dtype == np.int16
    np.testing.assert_array_equal(result.values, values)


def test_coarser_voxels_are_block_means():
    values = np.random.default_rng(3).normal(size=(6, 8, 10)).astype(np.float32)
    fine = Grid((6, 8, 10), (0, 0, 0), (1, 1, 1), "1.2.3")
    coarse = fine.with_spacing((2, 2, 2))
    result = resample_image(image(values, fine), coarse, outside=0)
    blocks = values.astype(float).reshape(3, 2, 4, 2, 5, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(result.values, blocks, atol=1e-6)


def test_unknown_neighbour_does_not_spoil_a_voxel_centre():
    values = np.zeros((1, 1, 3), dtype=np.float32)
    values[0, 0, 1] = np.nan
    result = pull_affine(values, np.eye(4)[:3], (1, 1, 3), (1, 1, 1), -1.0)
    np.testing.assert_array_equal(result[0, 0], [0, np.nan, 0])


def test_frames_are_checked():
    with pytest.raises(FrameMismatchError, match="register the two"):
        resample_image(
            image(np.zeros(GRID.shape)), Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "7"), outside=0
        )
    backwards = transform(ends=("4.5.6", "1.2.3"))
    with pytest.raises(FrameMismatchError, match="invert it"):
        resample_image(
            image(np.zeros(GRID.shape)),
            Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "4.5.6"),
            backwards,
            outside=0,
        )
    with pytest.raises(InputError, match="-32768"):
        resample_image(image(np.zeros(GRID.shape, dtype=np.int16)), GRID, outside=-1e6)
