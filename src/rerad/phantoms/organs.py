"""Vessels, bowel, bladder and the operated vaginal vault (mm, anatomy coordinates)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.kernels.phantom import packed_tubes
from rerad.phantoms.fields import Field, carved, union, within
from rerad.phantoms.placement import Placement
from rerad.phantoms.shapes import Points, mirrored, tube

ARTERIES = {
    "A_Iliac_Cmn": [(2, -24, 152, 6.5), (16, -20, 138, 5.2), (30, -12, 118, 5), (41, 0, 100, 5)],
    "A_Iliac_Ext": [
        (41, 0, 100, 4.4),
        (52, -12, 86, 4.3),
        (60, -24, 66, 4.3),
        (66, -38, 42, 4.3),
        (72, -52, 16, 4.4),
        (74, -60, -6, 4.4),
        (74, -60, -40, 4.2),
        (73, -56, -90, 4),
        (70, -50, -150, 3.8),
        (64, -44, -210, 3.6),
    ],
    "A_Iliac_Int": [(41, 0, 100, 4), (46, 10, 88, 3.8), (50, 24, 72, 3.4), (54, 36, 56, 2.8)],
}
"""Left arteries: ``(x, y, z, radius)``."""

VEINS = {
    "V_Iliac_Cmn": [(-12, -12, 138, 8.5), (4, -12, 128, 7), (24, -4, 114, 6.5), (38, 8, 98, 6.2)],
    "V_Iliac_Ext": [
        (38, 8, 98, 5.4),
        (48, -2, 82, 5.4),
        (55, -15, 62, 5.4),
        (59, -31, 38, 5.4),
        (62, -46, 14, 5.4),
        (62, -54, -8, 5.4),
        (64, -53, -40, 5),
        (66, -48, -90, 4.6),
        (65, -41, -150, 4.4),
        (60, -36, -210, 4.2),
    ],
    "V_Iliac_Int": [(38, 8, 98, 5), (43, 18, 86, 4.6), (48, 32, 68, 4), (54, 43, 52, 3.2)],
}
"""Left veins; the right common vein starts at the cava, so it is drawn on its own."""

RIGHT_COMMON_VEIN = [
    (-16, -12, 140, 8.5),
    (-24, -6, 124, 7),
    (-32, 0, 112, 6.5),
    (-38, 8, 98, 6.2),
]
AORTA = [(6, -26, 240, 8), (5, -27, 190, 8), (3, -26, 152, 8)]
CAVA = [(-18, -18, 240, 10), (-18, -19, 190, 10), (-15, -13, 140, 10)]
BRANCHES = (
    [(54, 36, 56, 2.4), (62, 40, 40, 2.2), (78, 52, 26, 2)],
    [(50, 24, 72, 2.2), (54, 10, 40, 1.8), (46, 0, 14, 1.6)],
    [(74, -58, -20, 3), (86, -44, -50, 2.8), (98, -26, -110, 2.4), (96, -20, -200, 2)],
    [(66, -66, -30, 2.4), (50, -72, -90, 2.2), (38, -60, -200, 2.2)],
    [(66, -45, 28, 1.8), (50, -70, 60, 1.6), (42, -74, 130, 1.4), (40, -74, 210, 1.2)],
)
"""Smaller branches of the left side: gluteal, uterine stump, deep femoral, saphenous."""

RECTUM = [
    (0, 33, -50, 9),
    (0, 34, -30, 12),
    (2, 38, -8, 15.5),
    (4, 42, 16, 17),
    (-4, 44, 38, 15),
    (2, 36, 58, 14),
]
SIGMOID = [
    (2, 36, 58, 13),
    (10, 22, 76, 13),
    (-4, 6, 88, 13),
    (-30, -6, 84, 14),
    (-34, -26, 74, 14),
    (-6, -40, 76, 14),
    (26, -30, 82, 14),
    (50, -20, 92, 14),
    (76, -22, 106, 14),
]
DESCENDING = [(76, -22, 106, 13), (94, -6, 124, 14), (98, 6, 160, 14), (98, 10, 234, 15)]
CECUM = [
    (-72, -40, 74, 12),
    (-82, -34, 90, 24),
    (-86, -24, 116, 26),
    (-90, -8, 160, 23),
    (-92, 2, 234, 22),
]
TRANSVERSE = [
    (-70, -50, 234, 18),
    (-40, -58, 214, 17),
    (0, -58, 204, 16),
    (40, -56, 212, 17),
    (70, -48, 234, 17),
]


URETER = [
    (34, -4, 230, 2),
    (38, -8, 170, 2),
    (40, -10, 110, 2),
    (52, 10, 76, 2),
    (54, 22, 40, 2),
    (34, 12, 14, 2),
    (22, -2, 4, 2),
]


@dataclass(frozen=True, eq=False)
class Organs:
    """Distance fields of the soft organs.

    Parameters
    ----------
    vessels : dict of str to Field
        By TG-263 name.
    other_vessels : Field
        Aorta, cava, branches.
    bladder : Field
        Outer surface.
    colon : dict of str to Field
        "Rectum", "Colon_Sigmoid", "Colon" (the rest).
    colon_gas : dict of str to tuple of float
        How rare gas is in each piece, and where its texture is looked up (mm).
    cuff, vagina : Field
        Vaginal vault after hysterectomy, and the vagina below it.
    ureters : Field
        Both.
    loops : Field
        Small bowel, outer surface.
    loop_gas : Field
        Gas in the small bowel.
    mesentery : Field
        Small vessels in the mesentery.
    """

    vessels: dict[str, Field]
    other_vessels: Field
    bladder: Field
    colon: dict[str, Field]
    colon_gas: dict[str, tuple[float, float]]
    cuff: Field
    vagina: Field
    ureters: Field
    loops: Field
    loop_gas: Field
    mesentery: Field


def build_organs(
    place: Placement,
    bladder_cc: float,
    cavity: Field,
    irregular: tuple[np.random.Generator, NDArray[np.float32]],
) -> Organs:
    """Return the soft organs of a visit.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    bladder_cc : float
        Volume inside the bladder's outer surface.
    cavity : Field
        Inner surface of the abdominal wall.
    irregular : tuple
        Generator of the arrangement of the bowel, and texture of its outlines.
    """
    rng, texture = irregular
    vessels = {}
    for name, points in {**ARTERIES, **VEINS}.items():
        left = tube(points)
        right = tube(RIGHT_COMMON_VEIN) if name == "V_Iliac_Cmn" else mirrored(left)
        vessels[f"{name}_L"], vessels[f"{name}_R"] = place.tubes(left), place.tubes(right)
    small = [tube(points) for points in BRANCHES]
    other = place.tubes(tube(AORTA), tube(CAVA), *small, *(mirrored(t) for t in small))
    bladder = _bladder(place, bladder_cc)
    colon = _colon(place, bladder, rng, texture)
    ureter = tube(URETER)
    near = [bladder, *colon.values()]
    loops, gas = _small_bowel(place, rng)
    loops = place.roughened(loops, texture, 0.9, 9.0)
    loops = carved(within(loops, cavity, 1.5), *near, other, gap_mm=1.5)
    return Organs(
        vessels,
        other,
        bladder,
        colon,
        {name: (rng.uniform(0.35, 0.8), 13.0 * rng.uniform(0, 64)) for name in colon},
        carved(_cuff(place), bladder, colon["Rectum"], gap_mm=1.0),
        place.tubes(tube([(0, 16, -2, 8), (0, 10, -30, 8), (0, -4, -62, 7)])),
        place.tubes(ureter, mirrored(ureter)),
        loops,
        within(gas, loops, 2.6),
        within(carved(_mesentery(place, rng), *near), cavity, 3.0),
    )


def clear_of_wall(organs: Organs, wall: Sequence[Field]) -> Organs:
    """Return the organs with the bowel moved out of muscles, bones and the great vessels."""
    vessels = [organs.other_vessels, *organs.vessels.values()]
    loops = carved(organs.loops, *wall, *vessels, gap_mm=1.5)
    colon = {name: carved(shape, *wall, gap_mm=1.0) for name, shape in organs.colon.items()}
    return replace(organs, loops=loops, loop_gas=within(organs.loop_gas, loops, 2.6), colon=colon)


def _colon(
    place: Placement, bladder: Field, rng: np.random.Generator, texture: NDArray[np.float32]
) -> dict[str, Field]:
    rest = (
        _haustra(DESCENDING, 0.14, 26.0, rng),
        _haustra(CECUM, 0.13, 36.0, rng),
        _haustra(TRANSVERSE, 0.14, 32.0, rng),
    )
    tubes = {
        "Rectum": place.tubes(_haustra(RECTUM, 0.07, 34.0, rng), reach_mm=16.0),
        "Colon_Sigmoid": place.tubes(_haustra(SIGMOID, 0.14, 24.0, rng), reach_mm=16.0),
        "Colon": place.tubes(*rest, reach_mm=16.0),
    }
    rough = {
        name: place.roughened(shape, texture, amount, 11.0)
        for (name, shape), amount in zip(tubes.items(), (1.0, 1.3, 2.4), strict=True)
    }
    # The bladder stays as it is and the bowel gives way, sigmoid before rectum.
    rough["Rectum"] = carved(rough["Rectum"], bladder, gap_mm=1.5)
    rough["Colon_Sigmoid"] = carved(rough["Colon_Sigmoid"], bladder, rough["Rectum"], gap_mm=0.5)
    return rough


def _mesentery(place: Placement, rng: np.random.Generator) -> Field:
    """Return vessels that fan out from the root of the mesentery."""
    twigs = []
    for _ in range(70):
        root = np.array([rng.uniform(-25, 20), rng.uniform(-34, -26), rng.uniform(110, 226)])
        tip = np.array([rng.uniform(-80, 85), rng.uniform(-66, -20), root[2] + rng.normal(0, 22)])
        bend = 0.5 * (root + tip) + rng.normal(0, 7, 3)
        points = np.stack([root, bend, tip])
        twigs.append(tube(np.column_stack([points, [1.7, 1.3, 0.9]]), 5.0))
    for _ in range(26):
        side = rng.choice([-1.0, 1.0])
        root = np.array([side * rng.uniform(8, 40), rng.uniform(20, 50), rng.uniform(5, 70)])
        tip = root + rng.normal(0, 18, 3)
        twigs.append(tube([(*root, 1.4), (*tip, 0.8)], 5.0))
    return place.tubes(*twigs, reach_mm=3.0)


def _haustra(
    points: Points,
    depth: float,
    length_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    segments = tube(points, 2.5)
    arc = 2.5 * np.arange(len(segments))
    wave = 1 + depth * np.sin(2 * np.pi * (arc / length_mm + rng.random()))
    wave *= 1 + 0.08 * np.sin(2 * np.pi * (arc / (2.7 * length_mm) + rng.random()))
    segments[:, 3] *= wave
    segments[:, 7] = np.append(segments[1:, 3], segments[-1, 3])
    return segments


def ellipsoid(
    place: Placement,
    centre_mm: tuple[float, float, float],
    half_axes_mm: tuple[float, float, float],
) -> Field:
    """Return an approximate distance to an axis-parallel ellipsoid in anatomy coordinates."""
    middle = place.from_anatomy.apply(centre_mm)
    grow = max(half_axes_mm) * 1.1 + 6.0
    start, shape = place.box(middle - grow, middle + grow)
    level = np.zeros(shape, dtype=np.float32)
    slope = np.zeros(shape, dtype=np.float32)
    points = place.anatomy_points(start, shape)
    for p, c, half in zip(points, centre_mm, half_axes_mm, strict=True):
        u = (p - np.float32(c)) / np.float32(half)
        level += u * u
        slope += (u / np.float32(half)) ** 2
    level, slope = np.sqrt(level), np.sqrt(slope)
    return Field(start, (level * (level - 1) / np.maximum(slope, 1e-6)).astype(np.float32))


def _bladder(place: Placement, volume_cc: float) -> Field:
    """Return a bladder of a volume: dome that rises with filling, base on the pelvic floor."""
    fill = (volume_cc / 250.0) ** (1 / 3)
    a, b, c = 47 * fill**0.9, 34 * fill**0.7, 38 * fill**1.4
    centre = (0.0, -47 + b + 1.0, -20 + c)
    body = ellipsoid(place, centre, (a, b, c))
    neck = ellipsoid(place, (0.0, -22.0, -18.0), (16.0, 14.0, 12.0))
    side = 0.8 * a
    wide = ellipsoid(place, (0.0, centre[1], -20 + 0.75 * c), (side * 1.2, b * 0.8, 0.6 * c))
    shape = union(body, neck, wide, blend_mm=10.0)
    # The level of the field that encloses the wanted volume.
    n = round(volume_cc / place.grid.voxel_volume_cc)
    flat = np.sort(shape.sdf, axis=None)
    return Field(shape.start, shape.sdf - flat[min(n, len(flat) - 1)])


def _cuff(place: Placement) -> Field:
    vault = ellipsoid(place, (0.0, 20.0, 4.0), (24.0, 9.0, 12.0))
    bands = place.tubes(
        tube([(16, 19, 4, 6), (34, 16, 6, 4), (50, 12, 4, 2.5)]),
        tube([(-16, 19, 4, 6), (-34, 16, 6, 4), (-50, 12, 4, 2.5)]),
    )
    return union(vault, bands, blend_mm=5.0)


def _small_bowel(place: Placement, rng: np.random.Generator) -> tuple[Field, Field]:
    """Return packed loops of small bowel, parted by thin fat, and the gas in them."""
    paths = _loops(rng)
    segments = [place.moved(tube(path, 5.0)) for path in paths]
    owner = np.concatenate([np.full(len(s), n, dtype=np.int32) for n, s in enumerate(segments)])
    flat = np.concatenate(segments)
    low = np.minimum(flat[:, :3], flat[:, 4:7]).min(axis=0) - 20
    high = np.maximum(flat[:, :3], flat[:, 4:7]).max(axis=0) + 20
    start, shape = place.box(low, high)
    near, second, which = packed_tubes(place.frame(start, shape), flat, owner, 9.0)
    loops = np.maximum(near, 0.5 * (near - second) + np.float32(0.7))
    middle = np.array([s[:, 1].mean() for s in segments] + [0.0])
    has_gas = np.append(rng.random(len(paths)) < 0.3, False)
    level = np.where(has_gas, middle + rng.uniform(-6, 4, len(middle)), -1e3)
    y = place.first_mm(start)[1] + place.grid.spacing_mm[1] * np.arange(shape[1])
    above = y[None, :, None] - level[which]
    gas = np.maximum(loops + np.float32(2.6), above.astype(np.float32))
    return Field(start, loops), Field(start, gas)


def _loops(rng: np.random.Generator) -> list[Points]:
    """Return about thirty curved pieces of gut spread through the front of the cavity."""
    centres: list[NDArray[np.float64]] = []
    for _ in range(4000):
        p = np.array([rng.uniform(-74, 74), rng.uniform(-60, -8), rng.uniform(62, 226)])
        if p[2] < 100 and abs(p[0]) > 48:
            continue
        if p[0] < -50 and p[2] > 60:
            continue
        if all(np.hypot(np.hypot(*(p - q)[:2]), 0.9 * (p - q)[2]) > 29 for q in centres):
            centres.append(p)
        if len(centres) >= 34:
            break
    paths: list[Points] = []
    for centre in centres:
        heading = rng.uniform(0, 2 * np.pi)
        along = np.array([np.cos(heading), 0.35 * np.sin(heading), 0.6 * rng.uniform(-1, 1)])
        along /= np.linalg.norm(along)
        across = np.cross(along, [rng.normal(), rng.normal(), rng.normal()])
        across /= np.linalg.norm(across)
        half = rng.uniform(20, 34)
        radius = rng.uniform(10.5, 14.0)
        path = []
        for t in (-1.0, -0.5, 0.0, 0.5, 1.0):
            p = centre + half * t * along + 12 * (t * t - 0.4) * across
            p[0], p[1] = np.clip(p[0], -80, 82), np.clip(p[1], -62, -2)
            path.append((*(float(v) for v in p), float(radius * rng.uniform(0.9, 1.1))))
        paths.append(path)
    return paths
