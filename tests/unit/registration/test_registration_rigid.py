"""Rigid registration on made bones; real anatomy is in tests/reference."""

import numba
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.transform import Rotation

from rerad.core import Grid, Image, ImageUnit, Modality, RigidTransform
from rerad.errors import InputError, RegistrationError
from rerad.imaging import resample_image
from rerad.registration import register_rigid

pytestmark = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="millions of voxels: kernels must be compiled"
)

GRID = Grid((44, 60, 80), (-158.0, -118.0, -86.0), (4.0, 4.0, 4.0), "fixed")


def bones(seed=5):
    """A body with a spine, two hips and some ribs, nothing symmetric."""
    x, y, z = GRID.axes_mm
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    hu = np.full(GRID.shape, -1000.0)
    hu[(xx / 145) ** 2 + (yy / 100) ** 2 < 1] = 40
    parts = [
        (0, 40, -20, 18, 15, 80),
        (-80, 5, -30, 30, 45, 35),
        (78, 10, -22, 26, 40, 44),
        (5, 60, 60, 60, 10, 8),
        (-40, -55, -60, 35, 9, 12),
        (30, 45, 20, 40, 8, 8),
    ]
    for cx, cy, cz, rx, ry, rz in parts:
        inside = ((xx - cx) / rx) ** 2 + ((yy - cy) / ry) ** 2 + ((zz - cz) / rz) ** 2 < 1
        hu[inside] = 700
    hu = ndimage.gaussian_filter(hu, 0.7)
    hu += np.random.default_rng(seed).normal(0, 15, hu.shape)
    return Image(hu.astype(np.float32), GRID, Modality.CT, ImageUnit.HU)


def moved(image, degrees, shift_mm, seed=6):
    """The image in another frame, and the transform that leads there."""
    centre = 0.5 * (np.array(GRID.origin_mm) + np.array(GRID.end_mm))
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = centre - matrix[:3, :3] @ centre + shift_mm
    there = RigidTransform(matrix, "fixed", "moving")
    origin = np.array(GRID.origin_mm) + np.array(shift_mm) + (1.0, -1.5, 0.5)
    grid = Grid(GRID.shape, tuple(origin), GRID.spacing_mm, "moving")
    values = resample_image(image, grid, there, outside=-1000).values
    noise = np.random.default_rng(seed).normal(0, 15, values.shape)
    return Image((values + noise).astype(np.float32), grid, Modality.CT, ImageUnit.HU), there


@pytest.fixture(scope="module")
def pair():
    fixed = bones()
    moving, there = moved(fixed, (6.0, -5.0, 4.0), (30.0, -45.0, 20.0))
    return fixed, moving, there


@pytest.fixture(scope="module")
def found(pair):
    fixed, moving, _ = pair
    steps = []
    result = register_rigid(
        moving, fixed, seed=3, progress=lambda step, share: steps.append((step, share))
    )
    return result, steps


def test_known_transform_is_found_and_judged_good(pair, found):
    fixed, _, there = pair
    result, steps = found
    points = GRID.points(np.argwhere(fixed.values > 300))
    error_mm = np.linalg.norm(result.transform.apply(there.apply(points)) - points, axis=1)
    assert error_mm.max() < 0.5
    assert (result.transform.from_frame_uid, result.transform.to_frame_uid) == ("moving", "fixed")
    quality = result.quality
    assert quality.is_acceptable
    assert quality.findings == ()
    assert quality.bone_dice > 0.9
    assert quality.mean_surface_mm < 1.0
    assert quality.mean_surface_mm <= quality.surface_95_mm < 3.0
    assert quality.bone_overlap > 0.9
    assert "10.1002/mp.12256" in quality.citation
    assert steps[-1] == ("registered", 1.0)
    assert [share for _, share in steps] == sorted(share for _, share in steps)


def test_same_seed_gives_the_same_bits(pair, found):
    fixed, moving, _ = pair
    first, _ = found
    second = register_rigid(moving, fixed, seed=3)
    np.testing.assert_array_equal(first.transform.matrix, second.transform.matrix)
    assert first.quality == second.quality


def test_another_seed_and_the_other_direction_agree(pair, found):
    fixed, moving, _ = pair
    points = GRID.points(np.argwhere(fixed.values > 300))
    there = register_rigid(fixed, moving, seed=1).transform
    back = found[0].transform
    error_mm = np.linalg.norm(there.then(back).apply(points) - points, axis=1)
    assert error_mm.max() < 0.5


def test_other_anatomy_is_returned_as_not_acceptable(pair):
    fixed, _, _ = pair
    mirrored = Image(fixed.values[::-1, ::-1].copy(), GRID, Modality.CT, ImageUnit.HU)
    quality = register_rigid(mirrored, fixed, seed=3).quality
    assert not quality.is_acceptable
    (finding,) = (f for f in quality.findings if f.code == "registration-not-acceptable")
    assert f"{quality.mean_surface_mm:.1f} mm" in finding.text


def test_images_without_body_or_bone_are_refused(pair):
    fixed, _, _ = pair
    air = Image(np.full(GRID.shape, -1000.0), GRID, Modality.CT, ImageUnit.HU, description="air")
    with pytest.raises(RegistrationError, match="air shows no body"):
        register_rigid(air, fixed, seed=0)
    flesh = Image(np.minimum(fixed.values, 60.0), GRID, Modality.CT, ImageUnit.HU)
    with pytest.raises(RegistrationError, match="at least 50 cc above 150 HU"):
        register_rigid(fixed, flesh, seed=0)


def test_other_modalities_are_refused(pair):
    fixed, _, _ = pair
    mr = Image(fixed.values, GRID, Modality.MR, ImageUnit.ARBITRARY)
    with pytest.raises(InputError, match="expects a CT"):
        register_rigid(mr, fixed, seed=0)
