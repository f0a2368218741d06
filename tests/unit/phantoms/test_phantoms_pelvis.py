"""The digital pelvis: repeatable, plausible, and what a reader would expect to find in it."""

import numpy as np
import pytest
from scipy import ndimage

from rerad.core import ImageUnit, Mask, Modality, StructureKind
from rerad.errors import InputError
from rerad.phantoms import PelvisPhantom, PelvisVisit, make_pelvis

FRAME_1, FRAME_2 = "1.2.826.1", "1.2.826.2"


def coarse(visit: PelvisVisit, seed: int = 7) -> PelvisPhantom:
    return make_pelvis(visit, seed=seed, in_plane_mm=4.0, slice_mm=6.0, shape_ji=(128, 128))


@pytest.fixture(scope="module")
def first() -> PelvisPhantom:
    return coarse(PelvisVisit.first(FRAME_1))


@pytest.fixture(scope="module")
def second() -> PelvisPhantom:
    return coarse(PelvisVisit.second(FRAME_2, first_frame_uid=FRAME_1))


def values_in(phantom: PelvisPhantom, name: str) -> np.ndarray:
    mask = phantom.masks[name]
    return phantom.ct.values[phantom.ct.grid.region_of(mask.grid)][mask.fraction > 0.5]


def test_phantoms_same_seed_same_voxels(first: PelvisPhantom) -> None:
    again = coarse(PelvisVisit.first(FRAME_1))
    np.testing.assert_array_equal(again.ct.values, first.ct.values)
    for name, mask in first.masks.items():
        np.testing.assert_array_equal(again.masks[name].fraction, mask.fraction)
    other = coarse(PelvisVisit.first(FRAME_1), seed=8)
    assert not np.array_equal(other.ct.values, first.ct.values)
    np.testing.assert_array_equal(other.masks["Sacrum"].fraction, first.masks["Sacrum"].fraction)


def test_phantoms_ct_is_int16_hu_from_l3_to_mid_thigh(first: PelvisPhantom) -> None:
    ct = first.ct
    assert ct.values.dtype == np.int16
    assert (ct.modality, ct.unit) == (Modality.CT, ImageUnit.HU)
    low, high = ct.grid.origin_mm[2], ct.grid.end_mm[2]
    assert 370 < high - low < 410
    assert first.pet is None
    assert first.mr is None


def test_phantoms_masks_are_whole_voxels_on_crops_of_the_ct(
    first: PelvisPhantom, second: PelvisPhantom
) -> None:
    for phantom in (first, second):
        for name, mask in phantom.masks.items():
            phantom.ct.grid.region_of(mask.grid)
            assert mask.name == name
            assert set(np.unique(mask.fraction)) <= {0.0, 1.0}
            assert mask.volume_cc > 0.2, name


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("Bladder", -5, 30),
        ("Psoas_L", 30, 70),
        ("GluteusMax_R", 30, 65),
        ("Femur_Head_L", 180, 400),
        ("VB_L4", 150, 350),
        ("Sacrum", 80, 300),
        ("Bone_Ilium_R", 250, 550),
        ("ThecalSac", 0, 60),
        ("Rectum", -500, 60),
        ("Body", -80, 20),
    ],
)
def test_phantoms_mean_hu_of_organs(
    first: PelvisPhantom, name: str, low: float, high: float
) -> None:
    assert low < values_in(first, name).mean() < high


def test_phantoms_air_outside_body_and_couch(first: PelvisPhantom) -> None:
    grid = first.ct.grid
    inside = first.masks["Body"].on(grid) + first.masks["CouchSurface"].on(grid)
    near = ndimage.binary_dilation(inside > 0, iterations=2)
    assert first.ct.values[~near].mean() == pytest.approx(-1000, abs=3)
    assert first.masks["CouchSurface"].kind is StructureKind.SUPPORT
    assert first.masks["Body"].kind is StructureKind.EXTERNAL


@pytest.mark.parametrize(
    ("name", "low_cc", "high_cc"),
    [
        ("Body", 18000, 26000),
        ("Rectum", 50, 130),
        ("Colon_Sigmoid", 90, 260),
        ("Bowel_Small", 350, 1200),
        ("Bag_Bowel", 1000, 4000),
        ("Femur_Head_L", 44, 52),
        ("VB_L4", 30, 60),
        ("Sacrum", 180, 300),
        ("Psoas_R", 90, 220),
        ("GluteusMax_L", 400, 900),
        ("ThecalSac", 15, 40),
        ("SacralPlex_L", 15, 45),
        ("GTVp_5500", 25, 40),
        ("PTV_5500", 40, 110),
        ("PTV_4500", 600, 1600),
    ],
)
def test_phantoms_volumes_are_plausible(
    first: PelvisPhantom, name: str, low_cc: float, high_cc: float
) -> None:
    assert low_cc < first.masks[name].volume_cc < high_cc


def test_phantoms_bladder_is_filled_as_asked(first: PelvisPhantom, second: PelvisPhantom) -> None:
    assert first.masks["Bladder"].volume_cc == pytest.approx(250, rel=0.1)
    assert second.masks["Bladder"].volume_cc == pytest.approx(110, rel=0.1)


def test_phantoms_organs_are_in_one_piece(first: PelvisPhantom) -> None:
    solid = ["Body", "Bladder", "Rectum", "Colon_Sigmoid", "Sacrum", "Bone_Ilium_L", "Femur_R"]
    solid += ["VB_L4", "Psoas_L", "GluteusMax_R", "SacralPlex_R", "ThecalSac", "PTV_4500"]
    for name in solid:
        parts, n = ndimage.label(first.masks[name].fraction > 0, np.ones((3, 3, 3)))
        sizes = np.bincount(parts.ravel())[1:]
        assert n == 1 or sizes.max() > 0.97 * sizes.sum(), f"{name}: pieces of {sizes} voxels"


def contains(outer: Mask, inner: Mask, phantom: PelvisPhantom) -> bool:
    grid = phantom.ct.grid
    return bool(np.all(outer.on(grid)[inner.on(grid) > 0] > 0))


def test_phantoms_targets_are_nested_and_inside_the_body(
    first: PelvisPhantom, second: PelvisPhantom
) -> None:
    chains = {
        first: [("PTV_5500", "GTVp_5500"), ("PTV_4500", "CTVn_4500"), ("PTV_4500", "PTV_5500")],
        second: [("PTV_4000", "GTVn_4000"), ("PTV_3600", "CTV_3600"), ("PTV_3600", "PTV_4000")],
    }
    for phantom, pairs in chains.items():
        for outer, inner in pairs:
            assert contains(phantom.masks[outer], phantom.masks[inner], phantom)
        for mask in phantom.masks.values():
            if mask.kind.is_target:
                assert contains(phantom.masks["Body"], mask, phantom)


def test_phantoms_second_course_is_on_the_right(second: PelvisPhantom) -> None:
    mask = second.masks["GTVn_4000"]
    x = mask.grid.points(np.argwhere(mask.fraction > 0))[:, 0]
    assert x.max() < PelvisVisit.second(FRAME_2).offset_mm[0]


def test_phantoms_bones_match_through_the_true_transform(
    first: PelvisPhantom, second: PelvisPhantom
) -> None:
    transform = second.from_first_visit
    assert (transform.from_frame_uid, transform.to_frame_uid) == (FRAME_1, FRAME_2)
    angle = np.rad2deg(np.arccos((np.trace(transform.matrix[:3, :3]) - 1) / 2))
    assert 2.5 < angle < 4.5
    for name in ("Sacrum", "Bone_Ilium_L", "VB_L4", "Femur_Head_R"):
        centre = []
        for phantom in (first, second):
            mask = phantom.masks[name]
            centre.append(mask.grid.points(np.argwhere(mask.fraction > 0)).mean(axis=0))
        error = np.linalg.norm(transform.apply(centre[0]) - centre[1])
        assert error < 0.6, f"{name}: centres {error:.2f} mm apart"


def test_phantoms_bone_voxels_map_onto_bone(first: PelvisPhantom, second: PelvisPhantom) -> None:
    mask = first.masks["Bone_Ilium_L"]
    points = mask.grid.points(np.argwhere(ndimage.binary_erosion(mask.fraction > 0)))
    assert len(points) > 100
    moved = second.from_first_visit.apply(points)
    grid = second.ct.grid
    there = second.masks["Bone_Ilium_L"].on(grid)
    inside = ndimage.map_coordinates(there, grid.indices(moved).T, order=1)
    assert inside.mean() > 0.97
    unmoved = points + np.array(PelvisVisit.second(FRAME_2).offset_mm)
    without_tilt = ndimage.map_coordinates(there, grid.indices(unmoved).T, order=1)
    assert without_tilt.mean() < inside.mean() - 0.02


def test_phantoms_first_visit_maps_onto_itself(first: PelvisPhantom) -> None:
    np.testing.assert_allclose(first.from_first_visit.matrix, np.eye(4), atol=1e-12)
    assert first.from_first_visit.to_frame_uid == FRAME_1


def test_phantoms_couch_stays_horizontal(second: PelvisPhantom) -> None:
    couch = second.masks["CouchSurface"]
    top = couch.fraction[:, :, couch.grid.shape[2] // 2].argmax(axis=1)
    assert len(set(top.tolist())) == 1
    body = second.masks["Body"]
    assert body.grid.end_mm[1] <= couch.grid.origin_mm[1] + 0.5 * couch.grid.spacing_mm[1]


def suv_of(phantom: PelvisPhantom) -> np.ndarray:
    assert phantom.pet is not None
    pet = phantom.pet.pet
    assert pet is not None
    assert phantom.pet.unit is ImageUnit.BQML
    assert pet.decay_correction == "START"
    decayed = pet.injected_activity_bq * 2 ** (-pet.injection_to_reference_s / pet.half_life_s)
    return phantom.pet.values * pet.patient_weight_kg * 1000 / decayed


def test_phantoms_lesion_is_avid_and_its_mirror_image_is_not(second: PelvisPhantom) -> None:
    visit, pet = PelvisVisit.second(FRAME_2), second.pet
    assert pet is not None
    assert pet.grid.frame_uid == FRAME_2
    suv = suv_of(second)
    mask = second.masks["GTVn_4000"]
    points = mask.grid.points(np.argwhere(mask.fraction > 0))
    in_anatomy = visit.from_anatomy().inverse().apply(points)
    mirror = visit.from_anatomy().apply(in_anatomy * np.array([-1.0, 1, 1]))
    lesion = ndimage.map_coordinates(suv, pet.grid.indices(points).T, order=1)
    other = ndimage.map_coordinates(suv, pet.grid.indices(mirror).T, order=1)
    # True uptake 5.6; point spread and partial volume take the rest.
    assert lesion.max() > 3.0
    assert lesion.mean() > 1.8 * other.mean()
    bladder = second.masks["Bladder"]
    deep = bladder.grid.points(np.argwhere(ndimage.binary_erosion(bladder.fraction > 0)))
    assert ndimage.map_coordinates(suv, pet.grid.indices(deep).T, order=1).mean() > 10


def test_phantoms_mr_shows_nothing_at_the_lesion(second: PelvisPhantom) -> None:
    visit, mr = PelvisVisit.second(FRAME_2), second.mr
    assert mr is not None
    assert mr.modality is Modality.MR
    assert mr.grid.frame_uid == FRAME_2
    mask = second.masks["GTVn_4000"]
    points = mask.grid.points(np.argwhere(mask.fraction > 0))
    in_anatomy = visit.from_anatomy().inverse().apply(points)
    mirror = visit.from_anatomy().apply(in_anatomy * np.array([-1.0, 1, 1]))
    sides = [
        ndimage.map_coordinates(mr.values, mr.grid.indices(p).T, order=1).mean()
        for p in (points, mirror)
    ]
    assert sides[0] == pytest.approx(sides[1], rel=0.15)
    assert mr.values.min() >= 0


@pytest.mark.parametrize(
    "wrong", [{"bladder_volume_cc": 5.0}, {"pitch_deg": 30.0}, {"frame_uid": ""}]
)
def test_phantoms_visit_refuses_the_impossible(wrong: dict[str, float | str]) -> None:
    with pytest.raises(InputError, match=r"expected|needs"):
        PelvisVisit(**{"frame_uid": FRAME_1, **wrong})  # type: ignore[arg-type]


def test_phantoms_progress_runs_from_start_to_end() -> None:
    shares: list[float] = []
    make_pelvis(
        PelvisVisit.first(FRAME_1),
        seed=1,
        in_plane_mm=8.0,
        slice_mm=12.0,
        shape_ji=(64, 64),
        progress=lambda _what, share: shares.append(share),
    )
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
