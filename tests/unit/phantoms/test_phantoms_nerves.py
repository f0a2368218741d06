"""Calibre of the roots, measured from masks as a reader would measure them."""

import numpy as np
import pytest

from rerad.core import Grid, Mask, StructureKind
from rerad.phantoms import PelvisVisit
from rerad.phantoms.fields import mask_of
from rerad.phantoms.nerves import (
    NORMAL_DIAMETER_MM,
    THICK_ARC_MM,
    THICK_DIAMETER_MM,
    build_nerves,
    involved_part,
)
from rerad.phantoms.placement import Placement
from rerad.phantoms.skeleton import make_spine


def place_of(visit: PelvisVisit, spacing_mm: tuple[float, float, float]) -> Placement:
    shape = tuple(round(s / v) for s, v in zip((160, 130, 150), spacing_mm[::-1], strict=True))
    origin = np.array([-75.0, -45.0, 25.0]) + visit.offset_mm
    grid = Grid(shape, tuple(origin), spacing_mm, visit.frame_uid)  # type: ignore[arg-type]
    return Placement(grid, visit.from_anatomy(), make_spine())


def root_mask(place: Placement, segments: np.ndarray) -> Mask:
    field = place.tubes(segments)
    return mask_of("root", StructureKind.OAR, field.sdf < 0, field.start, place.grid)


def mean_diameter_mm(mask: Mask, segments: np.ndarray) -> float:
    """Diameter of the cylinder with the volume of the mask and the length of the centre line.

    The rounded ends of the tube add a sphere.
    """
    length = np.linalg.norm(segments[:, 4:7] - segments[:, :3], axis=1).sum()
    volume = mask.volume_cc * 1000
    radii = np.linspace(0.5, 8, 7501)
    model = np.pi * radii**2 * length + 4 / 3 * np.pi * radii**3
    return float(2 * np.interp(volume, model, radii))


@pytest.mark.parametrize("name", sorted(NORMAL_DIAMETER_MM))
@pytest.mark.parametrize("side", ["L", "R"])
def test_phantoms_normal_roots_have_published_diameters(name: str, side: str) -> None:
    visit = PelvisVisit.first("1.2")
    place = place_of(visit, (0.98, 0.98, 3.0))
    segments = build_nerves(place.spine, has_lesion=False).roots[f"{name}_{side}"]
    inside = (np.abs(segments[:, 2] - 105) < 70) & (np.abs(segments[:, 0]) < 60)
    part = segments[inside]
    got = mean_diameter_mm(root_mask(place, part), part)
    # On 0.98 x 0.98 x 3 mm voxels; the smallest root is four voxels across.
    assert got == pytest.approx(NORMAL_DIAMETER_MM[name], abs=0.2)


@pytest.mark.parametrize("name", ["L5", "S1"])
def test_phantoms_involved_roots_are_thick_on_the_right_only(name: str) -> None:
    visit = PelvisVisit.second("1.3")
    place = place_of(visit, (0.98, 0.98, 3.0))
    nerves = build_nerves(place.spine, has_lesion=True)
    part = involved_part(nerves, name)
    arc = np.cumsum(np.linalg.norm(part[:, 4:7] - part[:, :3], axis=1))
    low, high = THICK_ARC_MM[name]
    assert 35 <= arc[-1] <= 45
    assert arc[-1] == pytest.approx(high - low, abs=3.0)
    plateau = part[(arc > 9) & (arc < arc[-1] - 9)]
    got = mean_diameter_mm(root_mask(place, plateau), plateau)
    assert got == pytest.approx(THICK_DIAMETER_MM[name], abs=0.3)
    assert 9.0 <= THICK_DIAMETER_MM[name] <= 10.0
    left = nerves.roots[f"{name}_L"]
    assert 2 * left[:, [3, 7]].max() == pytest.approx(NORMAL_DIAMETER_MM[name])


def test_phantoms_other_roots_are_the_same_with_and_without_lesion() -> None:
    spine = make_spine()
    before, after = (build_nerves(spine, has_lesion=has).roots for has in (False, True))
    changed = {n for n in before if not np.array_equal(before[n], after[n])}
    assert changed == {"L5_R", "S1_R"}


def test_phantoms_roots_are_mirror_images_and_reach_the_plexus() -> None:
    nerves = build_nerves(make_spine(), has_lesion=False)
    trunk = nerves.sciatic["L"]
    for name in ("L4", "L5", "S1", "S2", "S3"):
        left, right = nerves.roots[f"{name}_L"], nerves.roots[f"{name}_R"]
        np.testing.assert_allclose(left[:, [0, 4]], -right[:, [0, 4]])
        end = left[-1, 4:7]
        gap = np.linalg.norm(trunk[:, :3] - end, axis=1).min()
        assert gap < 6.0, f"{name} ends {gap:.1f} mm from the sciatic nerve"
