"""Deformable registration on a small digital body, and the numbers that judge it."""

import numpy as np
import pytest
from scipy import ndimage

from rerad.core import (
    DisplacementField,
    Grid,
    Image,
    ImageUnit,
    Mask,
    Modality,
    RigidTransform,
    StructureKind,
)
from rerad.errors import InputError
from rerad.registration import (
    DeformableSettings,
    assess_deformable,
    register_deformable,
    source_points,
)

GRID = Grid((20, 26, 30), (-58.0, -50.0, -38.0), (4.0, 4.0, 4.0), "today")
THERE = Grid(GRID.shape, GRID.origin_mm, GRID.spacing_mm, "earlier")
RIGID = RigidTransform(np.eye(4), "earlier", "today")
QUICK = DeformableSettings(4.0, (2, 1), (25, 20), 4.0)


def body(grid, shift_mm, radius_mm=14.0):
    """A body of fat with a ball of muscle and two bones; the ball is moved and resized."""
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    hu = np.full(grid.shape, -1000.0)
    hu[(x / 52) ** 2 + (y / 44) ** 2 < 1] = -90.0
    ball = (x - shift_mm) ** 2 + y**2 + z**2 < radius_mm**2
    hu[ball] = 60.0
    for side in (-32, 32):
        hu[(x - side) ** 2 + (y - 18) ** 2 < 9**2] = 500.0
    hu = ndimage.gaussian_filter(hu, 0.6)
    image = Image(hu.astype(np.float32), grid, Modality.CT, ImageUnit.HU)
    return image, Mask("Ball", StructureKind.OAR, ball.astype(np.float32), grid)


@pytest.fixture(scope="module")
def pair():
    fixed, here = body(GRID, 0.0)
    moving, there = body(THERE, 8.0)
    return fixed, here, moving, there


@pytest.fixture(scope="module")
def field(pair):
    fixed, _, moving, _ = pair
    return register_deformable(moving, fixed, RIGID, settings=QUICK)


def test_a_moved_organ_is_followed(pair, field):
    _, here, _, there = pair
    quality = assess_deformable(field, here, guides=[(there, here)])
    assert dict(quality.guide_dice)["Ball"] > 0.85
    assert quality.n_folded == 0
    assert quality.is_acceptable
    middle = source_points(field, [[0.0, 0.0, 0.0]])[0]
    assert middle == pytest.approx((8.0, 0.0, 0.0), abs=2.5)


def test_the_same_images_give_the_same_field(pair, field):
    fixed, _, moving, _ = pair
    again = register_deformable(moving, fixed, RIGID, settings=QUICK)
    assert np.array_equal(again.vectors_mm, field.vectors_mm)


def test_guides_lead_where_images_say_nothing():
    """A ball that cannot be told from fat: only its contours know that it moved."""
    flat, _ = body(GRID, 0.0)
    z, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    plain = np.where((x / 52) ** 2 + (y / 44) ** 2 < 1, -90.0, -1000.0).astype(np.float32)
    del flat
    fixed = Image(plain, GRID, Modality.CT, ImageUnit.HU)
    moving = Image(plain, THERE, Modality.CT, ImageUnit.HU)
    here = Mask("B", StructureKind.OAR, (x**2 + y**2 + z**2 < 14**2).astype(np.float32), GRID)
    moved = ((x - 8) ** 2 + y**2 + z**2 < 14**2).astype(np.float32)
    there = Mask("B", StructureKind.OAR, moved, THERE)
    blind = register_deformable(moving, fixed, RIGID, settings=QUICK)
    led = register_deformable(moving, fixed, RIGID, guides=[(there, here)], settings=QUICK)
    pairs = [(there, here)]
    dice = [assess_deformable(f, here, guides=pairs).guide_dice[0][1] for f in (blind, led)]
    assert dice[0] < 0.7
    assert dice[1] > 0.85


def test_nothing_is_assured_without_landmarks_or_structures(pair, field):
    quality = assess_deformable(field, pair[1])
    assert not quality.is_acceptable
    assert {f.code for f in quality.findings} == {"deformable-not-validated"}


def test_landmarks_and_folding_decide(pair, field):
    here = pair[1]
    good = [((8.0, 0.0, 0.0), (0.0, 0.0, 0.0))]
    assert assess_deformable(field, here, landmarks_mm=good).is_acceptable
    bad = [((20.0, 0.0, 0.0), (0.0, 0.0, 0.0))]
    quality = assess_deformable(field, here, landmarks_mm=bad)
    assert not quality.is_acceptable
    assert "landmarks lie" in quality.findings[0].text
    x = GRID.axes_mm[0][None, None, :, None] * np.array([-1.5, 0, 0])
    folded = DisplacementField(np.broadcast_to(x, (*GRID.shape, 3)).copy(), GRID, RIGID)
    quality = assess_deformable(folded, here, landmarks_mm=good)
    assert quality.n_folded > 0
    assert not quality.is_acceptable


@pytest.mark.parametrize(("radius_mm", "accepted"), [(22.0, True), (36.0, False)])
def test_a_structure_that_reaches_beyond_todays_counts_in_full(radius_mm, accepted):
    """A mask ends at its own box: what the field maps beyond it must lower the Dice as well."""
    still = DisplacementField(np.zeros((*GRID.shape, 3), np.float32), GRID, RIGID)
    z, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    small, large = (r < 21.0).astype(np.float32), (r < radius_mm).astype(np.float32)
    k, j, i = (slice(a.min(), a.max() + 1) for a in np.nonzero(small))
    crop = GRID.crop((k.start, j.start, i.start), (k.stop, j.stop, i.stop))
    here = Mask("Ball", StructureKind.OAR, small[k, j, i].copy(), crop)
    there = Mask("Ball", StructureKind.OAR, large, THERE)
    quality = assess_deformable(still, here, guides=[(there, here)])
    expected = 2 * small.sum() / (small.sum() + large.sum())
    assert dict(quality.guide_dice)["Ball"] == pytest.approx(expected, abs=1e-5)
    # Concentric balls: their surfaces lie apart by the difference of radii, to half a voxel.
    gap = dict(quality.guide_surface_mm)["Ball"]
    assert gap == pytest.approx(radius_mm - 21.0, abs=2.0)
    assert quality.is_acceptable is accepted


def test_there_and_back(pair, field):
    fixed, here, moving, _ = pair
    back = register_deformable(fixed, moving, RIGID.inverse(), settings=QUICK)
    quality = assess_deformable(field, here, backward=back)
    assert quality.inverse_median_mm < 2.0
    with pytest.raises(InputError, match="to go back by"):
        assess_deformable(field, here, backward=field)


def test_bad_requests_are_refused(pair, field):
    fixed, here, moving, _ = pair
    with pytest.raises(InputError, match="one number of iterations"):
        DeformableSettings(shrink_factors=(2, 1), n_iterations=(3,))
    mr = Image(moving.values, THERE, Modality.MR, ImageUnit.ARBITRARY)
    with pytest.raises(InputError, match="expects CTs"):
        register_deformable(mr, fixed, RIGID)
    empty = Mask("E", StructureKind.OAR, np.zeros(GRID.shape, np.float32), GRID)
    with pytest.raises(InputError, match="some voxels"):
        assess_deformable(field, empty)
    del here
