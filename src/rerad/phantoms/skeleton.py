"""The bones of the female pelvis, as shapes in anatomy and spine coordinates (mm).

Sizes are those of an adult woman of about 168 cm: femoral heads of 45 mm, 174 mm apart,
pelvic incidence of about 50 degrees, lumbar vertebrae of 27 mm height and 10 mm discs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.phantoms.fields import Field, carved, union, within
from rerad.phantoms.placement import Placement
from rerad.phantoms.shapes import Points, Section, Spine, chain, mirrored, solid, tube

SPINE_KNOTS = (
    (49, -20),
    (61, -5),
    (71, 11),
    (73, 30),
    (67, 51),
    (53, 73),
    (37, 93),
    (25, 109),
    (14, 127),
    (4, 162),
    (5, 199),
    (10, 236),
    (16, 272),
)
"""``(y, z)`` of the centres of coccyx (2), S5 to S1, the L5/S1 disc, L5, L4, L3, L2, L1 in mm."""

LUMBAR_CENTRES = {"L5": (14, 127), "L4": (4, 162), "L3": (5, 199), "L2": (10, 236)}
"""``(y, z)`` of the centres of the lumbar vertebral bodies in mm."""

ILIUM: dict[float, Points] = {
    131.0: [
        (119, 20, 2),
        (117, 26, 3),
        (114, 32, 3.5),
        (111, 37, 3.5),
        (107, 42, 3),
        (103, 46, 2),
    ],
    126.0: [(122, 6, 3), (121, 16, 4.5), (117, 28, 5), (111, 38, 5), (103, 48, 4.5), (95, 55, 3)],
    115.0: [(127, -16, 4), (126, 2, 4), (118, 20, 3.2), (104, 38, 3), (87, 54, 4), (72, 66, 5)],
    100.0: [(126, -36, 5), (121, -14, 4), (106, 10, 2.8), (85, 32, 3.6), (66, 54, 7), (49, 78, 7)],
    85.0: [
        (122, -44, 5.5),
        (116, -20, 4.2),
        (101, 2, 3),
        (81, 24, 4.2),
        (62, 49, 7.5),
        (46, 77, 7),
    ],
    70.0: [(117, -48, 6), (109, -25, 4.5), (96, -3, 3.6), (79, 19, 5), (62, 44, 7.5), (48, 70, 6)],
    58.0: [(112, -46, 6), (105, -28, 5), (95, -10, 5), (84, 8, 6.5), (72, 26, 7), (60, 46, 5)],
    50.0: [(108, -42, 6), (102, -28, 6), (94, -13, 6.5), (86, 1, 8), (78, 15, 8), (70, 29, 6)],
    38.0: [(103, -37, 6), (98, -26, 8), (93, -14, 10), (87, -2, 11), (81, 10, 10), (75, 22, 8)],
    26.0: [(99, -31, 7), (95, -21, 10), (91, -9, 13), (86, 2, 14), (81, 13, 12), (74, 26, 9)],
    14.0: [(101, -25, 5), (84, -28, 7), (67, -17, 6), (60, 0, 4.5), (66, 20, 8), (86, 28, 7)],
    0.0: [(97, -26, 4), (82, -30, 7), (64, -18, 5), (59, 0, 3.5), (65, 21, 9), (84, 29, 6)],
    -10.0: [(86, -28, 4), (77, -29, 6), (64, -19, 5), (60, -2, 3.5), (64, 18, 9), (82, 27, 6)],
    -17.0: [(72, -24, 2), (69, -20, 3), (64, -12, 3), (61, 2, 3), (63, 18, 8), (74, 26, 5)],
}
"""Left ilium and acetabulum: chains ``(x, y, radius)`` from the front to the back at each z."""

ISCHIUM: dict[float, Points] = {
    6.0: [(68, 18, 5), (70, 23, 7), (74, 28, 5)],
    -8.0: [(64, 14, 7), (66, 22, 9), (68, 30, 7)],
    -22.0: [(64, 8, 7), (63, 19, 9.5), (61, 31, 8.5)],
    -36.0: [(60, 6, 7), (59, 20, 9.5), (58, 33, 9.5)],
    -50.0: [(55, 6, 8), (54, 20, 11), (54, 33, 10.5)],
    -62.0: [(52, 8, 7), (51, 18, 9), (51, 28, 8)],
    -70.0: [(51, 12, 2), (50, 18, 3), (50, 23, 2)],
}
"""Left ischium, from the acetabulum to the tuberosity, likewise."""

SHAFT = [(123, 6, -62, 8), (121, 4, -78, 12.6), (119, 2, -110, 13.2), (114, 0, -210, 13.2)]
"""Compact bone of the left femoral shaft: ``(x, y, z, radius)``."""

SHAFT_CAVITY = [(124, 8, -48, 4), (121, 4, -75, 7), (119, 2, -110, 7.5), (114, 0, -210, 7)]
"""Marrow cavity of the left femur: ``(x, y, z, radius)``."""

HEAD = (87.0, 0.0, 0.0, 22.5)
"""Centre and radius of the left femoral head in mm."""


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Distance fields of the bones, cartilage spaces already cut.

    Parameters
    ----------
    hips, femurs, heads : dict of str to Field
        By side, "L" and "R".
    sacrum : Field
        With the coccyx.
    vertebrae : dict of str to Field
        L2 to L5 (L2 reaches into the scan with its lowest part only).
    discs : Field
        Intervertebral discs.
    canal : Field
        Spinal and sacral canal.
    cartilage : Field
        Hip joints and symphysis.
    shafts : dict of str to Field
        Thick cortex of the femoral shafts.
    marrow : dict of str to Field
        Cavity of the femoral shafts.
    """

    hips: dict[str, Field]
    femurs: dict[str, Field]
    heads: dict[str, Field]
    sacrum: Field
    vertebrae: dict[str, Field]
    discs: Field
    canal: Field
    cartilage: Field
    shafts: dict[str, Field]
    marrow: dict[str, Field]


def make_spine() -> Spine:
    """Return the curve of the vertebral column."""
    return Spine.through(SPINE_KNOTS)


def build_skeleton(place: Placement, roots: Field, texture: NDArray[np.float32]) -> Skeleton:
    """Return the bones, with channels for the nerve roots.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    roots : Field
        Nerve roots; bone keeps 1.5 mm away from them, which makes the foramina.
    texture : ndarray
        Irregularity of the outlines.
    """

    def rough(shape: Field) -> Field:
        return place.roughened(shape, texture, 0.45, 7.0)

    canal, nuclei = _canal(place), _nuclei(place)
    vertebrae = {
        name: carved(rough(_vertebra(place, name)), canal, nuclei, roots, gap_mm=0.8)
        for name in LUMBAR_CENTRES
    }
    hips = {side: rough(_hip(place, side)) for side in "LR"}
    sacrum = carved(rough(_sacrum(place)), canal, roots, _foramina(place), gap_mm=1.2)
    sacrum = carved(sacrum, hips["L"], hips["R"], gap_mm=2.6)
    heads = {side: place.tubes(_sided(tube([HEAD]), side)) for side in "LR"}
    capsules = [Field(f.start, f.sdf - np.float32(3.4)) for f in heads.values()]
    symphysis = place.tubes(tube([(0, -43, -4, 6), (0, -41, -22, 6), (0, -35, -38, 5)]))
    return Skeleton(
        hips,
        {side: rough(_femur(place, side, heads[side])) for side in "LR"},
        heads,
        sacrum,
        vertebrae,
        _discs(place),
        canal,
        union(symphysis, *capsules),
        {side: place.tubes(_sided(tube(SHAFT), side)) for side in "LR"},
        {side: place.tubes(_sided(tube(SHAFT_CAVITY), side)) for side in "LR"},
    )


def _sided(segments: NDArray[np.float64], side: str) -> NDArray[np.float64]:
    return segments if side == "L" else mirrored(segments)


def _side_of(shape: Section, side: str) -> Section:
    return shape if side == "L" else shape.mirrored()


def _hip(place: Placement, side: str) -> Field:
    shape = chain(ILIUM)
    plate = place.section(_side_of(shape, side), coarse_mm=1.0)
    ramus = tube([(82, -29, 2, 8), (62, -37, -3, 6.5), (42, -43, -8, 6), (22, -46, -12, 7)])
    body = tube([(13, -44, -8, 7.5), (11, -43, -22, 7.5), (12, -38, -36, 7)])
    deep = tube([(20, -38, -9, 7), (14, -34, -24, 7), (15, -30, -36, 6)])
    lower = tube([(13, -36, -38, 6.5), (25, -20, -54, 5), (40, 0, -66, 6), (50, 14, -68, 9)])
    column = place.section(_side_of(chain(ISCHIUM), side), coarse_mm=1.0)
    spina = tube([(62, 27, -2, 6), (52, 38, -8, 2.5)])
    front = place.tubes(*(_sided(t, side) for t in (ramus, body, lower, spina)))
    behind = place.tubes(_sided(deep, side))
    hip = union(plate, column, front, behind, blend_mm=6.0)
    x, y, z, r = HEAD
    socket = place.tubes(_sided(tube([(x, y, z, r + 3.2)]), side))
    mouth = place.tubes(_sided(tube([(x, y, z, r + 3), (x + 40, y + 4, z - 26, r + 8)]), side))
    return carved(hip, socket, mouth)


def _femur(place: Placement, side: str, head: Field) -> Field:
    neck = tube([(90, 1, -2, 18), (104, 3, -14, 14.5), (120, 8, -28, 16)])
    trochanter = tube([(130, 16, -12, 11), (132, 14, -26, 14), (126, 10, -42, 14)])
    tip = tube([(126, 22, -3, 6), (131, 18, -14, 10)])
    lesser = tube([(108, 16, -54, 7), (114, 12, -56, 10)])
    shaft = tube(
        [(126, 8, -38, 17), (122, 6, -65, 14.5), (119, 2, -110, 13.5), (114, 0, -200, 13.5)]
    )
    rest = place.tubes(*(_sided(t, side) for t in (neck, trochanter, tip, lesser, shaft)))
    return union(head, rest, blend_mm=5.0)


def _vertebra(place: Placement, name: str) -> Field:
    s = place.spine.arc_at(*LUMBAR_CENTRES[name])
    wide = 1.08 if name == "L5" else 1.0
    ring = np.array(
        [(0, -17.5), (10, -16.5), (19, -11), (23.5, -1), (22, 8), (15, 14), (7, 14.2), (0, 12.6)]
    )
    scale = {-13.0: 1.0, -9.0: 0.95, 0.0: 0.88, 9.0: 0.95, 13.0: 1.0}
    keys = {s + ds: ring * f * np.array([wide, 1.0]) for ds, f in scale.items()}
    body = place.section(solid(keys, is_bent=True, is_half=True), coarse_mm=1.0)
    arch = []
    for t in _arch(wide):
        local = np.array(t, dtype=np.float64)
        local[:, 2] += s
        local[:, :3] = place.spine.to_anatomy(local[:, :3])
        arch.extend([tube(local), mirrored(tube(local))])
    return union(body, place.tubes(*arch), blend_mm=3.0)


def _arch(wide: float) -> list[list[tuple[float, float, float, float]]]:
    """Left half of a neural arch in spine coordinates relative to the body's centre."""
    return [
        [(14 * wide, 10, 6, 6), (16 * wide, 22, 5, 5)],
        [(17 * wide, 25, 6, 5), (20 * wide, 28, 13, 4.5), (20.5 * wide, 31, 19, 4)],
        [(15 * wide, 29, 0, 5), (13 * wide, 34, -9, 5), (11 * wide, 34, -21, 4.5)],
        [(16 * wide, 28, 2, 4.5), (8, 35, -3, 4), (0, 40, -6, 4)],
        [(12, 32, -8, 4), (6, 36, -11, 3.5), (0, 41, -13, 3.5)],
        [(17 * wide, 22, 5, 5), (30 * wide, 26, 6, 4), (43 * wide, 31, 8, 3)],
        [(0, 38, -5, 4), (0, 52, -7, 3.2), (0, 66, -9, 3.8)],
        [(0, 40, -13, 3.5), (0, 54, -15, 3.2), (0, 68, -16, 4.0)],
        [(0, 52, -11, 3), (0, 67, -12, 3.5)],
    ]


def _sacrum(place: Placement) -> Field:
    at = {
        n: place.spine.arc_at(*SPINE_KNOTS[i]) for i, n in enumerate(("x2", "x1", 5, 4, 3, 2, 1))
    }
    top = at[1] + 12.5

    def ring(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return list(points)

    keys = {
        top: ring((0, -18), (20, -15), (26, -3), (25, 7), (20, 13), (14, 14.5), (7, 15), (0, 14)),
        top - 3: ring(
            (0, -18), (21, -15), (29, -3), (33, 8), (30, 16), (20, 19), (9, 17), (0, 16)
        ),
        top - 8: ring(
            (0, -17), (22, -14), (42, -3), (58, 10), (50, 26), (26, 34), (10, 36), (0, 38)
        ),
        at[1]: ring((0, -17), (22, -13), (44, -3), (68, 8), (66, 28), (34, 31), (15, 36), (0, 45)),
        at[2]: ring((0, -10), (20, -8), (40, -3), (60, 6), (58, 24), (32, 26), (13, 29), (0, 38)),
        at[3]: ring((0, -8), (18, -6), (33, -2), (46, 5), (40, 17), (22, 20), (9, 22), (0, 29)),
        at[4]: ring((0, -7), (15, -6), (26, -3), (35, 3), (30, 11), (17, 14), (7, 16), (0, 20)),
        at[5]: ring((0, -6), (11, -5), (20, -3), (25, 2), (20, 8), (12, 9), (6, 10), (0, 10)),
        at[5] - 10: ring((0, -5), (6, -5), (10, -3), (12, 1), (9, 5), (6, 6), (3, 6), (0, 6)),
        at["x1"]: ring((0, -5), (5, -4), (8, -2), (9, 1), (6, 4), (4, 4), (2, 5), (0, 5)),
        at["x2"] + 2: ring((0, -4), (2, -3), (4, -2), (4, 0), (3, 3), (2, 3), (1, 3), (0, 3)),
    }
    return place.section(solid(keys, is_bent=True, is_half=True), coarse_mm=1.0)


def _foramina(place: Placement) -> Field:
    """Dorsal foramina, and the mouths of the ventral ones."""
    holes = []
    for upper, x, r in ((6, 23, 4.4), (5, 20, 3.8), (4, 17, 3.2), (3, 14.5, 2.4)):
        (y0, z0), (y1, z1) = SPINE_KNOTS[upper], SPINE_KNOTS[upper - 1]
        s = place.spine.arc_at((y0 + y1) / 2, (z0 + z1) / 2)
        front = [(12, 16, s + 2, r), (x - 1, 2, s, r + 0.6), (x + 4, -14, s - 2, r + 2.5)]
        back = [(13, 18, s + 2, r - 0.6), (x, 44, s - 1, r - 0.6)]
        for hole in (front, back):
            local = np.array(hole, dtype=np.float64)
            local[:, :3] = place.spine.to_anatomy(local[:, :3])
            holes.extend([tube(local), mirrored(tube(local))])
    return place.tubes(*holes)


def _canal(place: Placement) -> Field:
    spine = place.spine
    s1, s4 = spine.arc_at(37, 93), spine.arc_at(73, 30)
    s5, top = spine.arc_at(71, 11), spine.arc_at(16, 272)
    l5, l3 = spine.arc_at(14, 127), spine.arc_at(5, 199)
    keys = {
        s5: [(0, 4, 1.2), (2, 4, 1.2), (3, 4, 1)],
        s4: [(0, 9, 2.2), (4, 9, 2), (6, 9, 1.5)],
        s1: [(0, 24, 7), (7, 22, 5), (12, 20, 3.5)],
        l5: [(0, 24, 8.5), (6, 22, 6.5), (11, 20, 4)],
        l3: [(0, 23, 8.5), (5, 22, 7), (8, 20, 4.5)],
        top: [(0, 23, 8.5), (4, 22, 7), (7, 20, 5)],
    }
    left = chain(keys, is_bent=True)
    return union(place.section(left, coarse_mm=1.0), place.section(left.mirrored(), coarse_mm=1.0))


def _nuclei(place: Placement) -> Field:
    """Return lenses between the vertebral bodies, which make their end plates concave."""
    s = {name: place.spine.arc_at(*at) for name, at in LUMBAR_CENTRES.items()}
    s1 = place.spine.arc_at(37, 93) + 12.5
    bounds = [(s1, s["L5"] - 13), (s["L5"] + 13, s["L4"] - 13), (s["L4"] + 13, s["L3"] - 13)]
    bounds.append((s["L3"] + 13, s["L2"] - 13))
    ring = np.array(
        [(0, -15), (10, -14), (18, -9), (21, -1), (19, 6), (13, 11), (6, 11.5), (0, 10.5)]
    )
    lenses = []
    for low, high in bounds:
        keys = {}
        for depth, size in ((-2.6, 0.25), (-1.8, 0.7), (-0.6, 0.98), (0.5, 1.0)):
            keys[low + depth], keys[high - depth] = ring * size, ring * size
        lenses.append(place.section(solid(keys, is_bent=True, is_half=True), coarse_mm=1.0))
    return union(*lenses)


def _discs(place: Placement) -> Field:
    s1 = place.spine.arc_at(37, 93)
    top = place.spine.arc_at(10, 236)
    ring = np.array(
        [(0, -18.5), (11, -17), (21, -11), (25, -1), (23, 8), (15, 14.5), (7, 15), (0, 13.5)]
    )
    column = place.section(
        solid({s1 + 8: ring * 0.98, top: ring}, is_bent=True, is_half=True), coarse_mm=1.0
    )
    # A disc is what the bodies leave free of the column between them.
    low = place.section(solid({s1 + 12: ring * 1.2, top: ring * 1.2}, is_bent=True, is_half=True))
    return within(column, low)
