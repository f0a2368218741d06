"""Targets of both courses, drawn as a radiation oncologist would from the anatomy (mm)."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from rerad.core import Grid, Mask, StructureKind
from rerad.phantoms.compose import Anatomy
from rerad.phantoms.fields import Field, carved, mask_of, union, within
from rerad.phantoms.nerves import THICK_DIAMETER_MM, involved_part
from rerad.phantoms.organs import ARTERIES, RIGHT_COMMON_VEIN, VEINS, ellipsoid
from rerad.phantoms.shapes import mirrored, tube

NODAL_MARGIN_MM = 7.0
"""Margin around the iliac vessels for nodal volumes."""

PTV_MARGIN_MM = {"PTV_5500": 5.0, "PTV_4500": 7.0, "PTV_4000": 5.0, "PTV_3600": 5.0}
"""Margin from the clinical (or gross tumour) to the planning target volume."""

NERVE_MARGIN_MM = 6.0
"""Margin around the right roots in the second course's clinical target volume."""


def first_course_targets(anatomy: Anatomy) -> dict[str, Mask]:
    """Return GTVp_5500, CTVn_4500, PTV_5500 and PTV_4500 on the grid of the visit."""
    gtv = _primary(anatomy)
    nodal = [_nodal(anatomy, side) for side in "LR"]
    cuff = anatomy.organs.cuff
    cuff = Field(cuff.start, cuff.sdf - np.float32(4.0))
    ctv = _outside_bone(anatomy, union(*nodal, _presacral(anatomy, "LR"), cuff, gtv))
    ctv = carved(ctv, anatomy.organs.bladder, gap_mm=1.0)
    ctv = union(ctv, gtv)
    ptv_high = _grown(anatomy, gtv, PTV_MARGIN_MM["PTV_5500"])
    ptv_low = _joined(_grown(anatomy, ctv, PTV_MARGIN_MM["PTV_4500"]), ptv_high)
    return _masks(
        anatomy,
        {
            "GTVp_5500": (StructureKind.GTV, _inside(gtv)),
            "CTVn_4500": (StructureKind.CTV, _inside(ctv)),
            "PTV_5500": (StructureKind.PTV, ptv_high),
            "PTV_4500": (StructureKind.PTV, ptv_low),
        },
    )


def second_course_targets(anatomy: Anatomy) -> dict[str, Mask]:
    """Return GTVn_4000, CTV_3600, PTV_4000 and PTV_3600 on the grid of the visit."""
    place, nerves = anatomy.place, anatomy.nerves
    gtv = place.tubes(*(involved_part(nerves, name) for name in THICK_DIAMETER_MM), reach_mm=8.0)
    roots = [nerves.roots[f"{name}_R"] for name in ("L4", "L5", "S1", "S2")]
    outside = [segments[8:] for segments in roots]
    near = place.tubes(*outside, reach_mm=10.0)
    near = Field(near.start, near.sdf - np.float32(NERVE_MARGIN_MM))
    drainage = union(_nodal(anatomy, "R", external=False), _presacral(anatomy, "R"))
    ctv = union(_outside_bone(anatomy, drainage), near, gtv)
    ptv_high = _grown(anatomy, gtv, PTV_MARGIN_MM["PTV_4000"])
    ptv_low = _joined(_grown(anatomy, ctv, PTV_MARGIN_MM["PTV_3600"]), ptv_high)
    return _masks(
        anatomy,
        {
            "GTVn_4000": (StructureKind.GTV, _inside(gtv)),
            "CTV_3600": (StructureKind.CTV, _inside(ctv)),
            "PTV_4000": (StructureKind.PTV, ptv_high),
            "PTV_3600": (StructureKind.PTV, ptv_low),
        },
    )


Voxels = tuple[tuple[int, int, int], NDArray[np.bool_]]


def _inside(shape: Field) -> Voxels:
    return shape.start, shape.sdf < 0


def _masks(anatomy: Anatomy, targets: dict[str, tuple[StructureKind, Voxels]]) -> dict[str, Mask]:
    grid: Grid = anatomy.place.grid
    skin = Field(anatomy.envelope.body.start, anatomy.envelope.body.sdf)
    out = {}
    for name, (kind, (start, inside)) in targets.items():
        # Targets end 4 mm below the skin.
        deep = within(Field(start, np.full(inside.shape, -1, dtype=np.float32)), skin, 4.0)
        out[name] = mask_of(name, kind, inside & (deep.sdf < 0), start, grid)
    return out


def _primary(anatomy: Anatomy) -> Field:
    """Gross tumour: right half of the vault and the right parametrium, to the pelvic wall."""
    place = anatomy.place
    shape = union(
        ellipsoid(place, (-8.0, 20.0, 5.0), (22.0, 13.0, 15.0)),
        ellipsoid(place, (-36.0, 15.0, 9.0), (18.0, 17.0, 18.0)),
        ellipsoid(place, (-45.0, 10.0, 16.0), (10.0, 14.0, 15.0)),
        blend_mm=8.0,
    )
    organs = anatomy.organs
    return carved(shape, organs.bladder, organs.colon["Rectum"], gap_mm=1.0)


def _nodal(anatomy: Anatomy, side: str, *, external: bool = True) -> Field:
    """Iliac vessels of one side with a margin, from the aortic bifurcation to the femoral head."""
    paths = []
    for name, points in {**ARTERIES, **VEINS}.items():
        if "Ext" in name and not external:
            continue
        segments = tube(points)
        if side == "R":
            segments = tube(RIGHT_COMMON_VEIN) if name == "V_Iliac_Cmn" else mirrored(segments)
        middle = 0.5 * (segments[:, 2] + segments[:, 6])
        paths.append(segments[(middle > 18.0) & (middle < 146.0)])
    if external:
        obturator = tube([(56, -18, 40, 3), (52, -8, 22, 4), (50, 4, 12, 3)])
        paths.append(obturator if side == "L" else mirrored(obturator))
    grown = np.concatenate(paths)
    grown[:, [3, 7]] += NODAL_MARGIN_MM
    return anatomy.place.tubes(grown, reach_mm=4.0)


def _presacral(anatomy: Anatomy, sides: str) -> Field:
    """Presacral space from S1 to S3."""
    spine = anatomy.place.spine
    knots = [((37, 93), -22), ((53, 73), -16), ((67, 51), -13)]
    low, high = (-26.0 if "R" in sides else 0.0), (26.0 if "L" in sides else 0.0)
    paths = []
    for x in np.arange(low, high + 1, 3.25):
        local = np.array([(x, n, spine.arc_at(*p), 6.5) for p, n in knots])
        local[:, :3] = spine.to_anatomy(local[:, :3])
        paths.append(tube(local))
    return anatomy.place.tubes(*paths, reach_mm=4.0)


def _outside_bone(anatomy: Anatomy, shape: Field) -> Field:
    """Trim a volume at bone, psoas and bowel."""
    bones, organs = anatomy.skeleton, anatomy.organs
    solid = [*bones.hips.values(), bones.sacrum, *bones.vertebrae.values(), bones.discs]
    solid += [anatomy.muscles[f"Psoas_{side}"] for side in "LR"]
    return carved(shape, *solid, organs.loops, *organs.colon.values())


def _grown(anatomy: Anatomy, shape: Field, margin_mm: float) -> Voxels:
    """Return the voxels within a margin of a volume, by Euclidean distance."""
    grid = anatomy.place.grid
    sx, sy, sz = grid.spacing_mm
    hit = np.argwhere(shape.sdf < 0)
    pad = np.ceil(margin_mm / np.array([sz, sy, sx])).astype(int) + 1
    low = np.maximum(hit.min(axis=0) + shape.start - pad, 0)
    high = np.minimum(hit.max(axis=0) + shape.start + 1 + pad, grid.shape)
    inside = np.zeros(high - low, dtype=bool)
    at = hit + shape.start - low
    inside[at[:, 0], at[:, 1], at[:, 2]] = True
    distance = distance_transform_edt(~inside, sampling=(sz, sy, sx))
    return (int(low[0]), int(low[1]), int(low[2])), distance <= margin_mm


def _joined(first: Voxels, second: Voxels) -> Voxels:
    """Return the union of two sets of voxels."""
    low = np.minimum(first[0], second[0])
    high = np.maximum(np.add(first[0], first[1].shape), np.add(second[0], second[1].shape))
    inside = np.zeros(high - low, dtype=bool)
    for start, part in (first, second):
        a = np.asarray(start) - low
        region = tuple(slice(p, p + n) for p, n in zip(a, part.shape, strict=True))
        inside[region] |= part
    return (int(low[0]), int(low[1]), int(low[2])), inside
