"""Muscles of the left side, as plates and tubes in anatomy coordinates (mm).

Neighbours share the space between them: each voxel goes to the muscle whose surface is nearest,
and a thin fat plane is left where two are equally near.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rerad.kernels.phantom import compete, enlarge
from rerad.phantoms.envelope import Envelope
from rerad.phantoms.fields import Field, carved, tight_box, union
from rerad.phantoms.organs import Organs
from rerad.phantoms.placement import Placement
from rerad.phantoms.shapes import Points, chain, mirrored, tube
from rerad.phantoms.skeleton import Skeleton

PLATES: dict[str, dict[float, Points]] = {
    "GluteusMedius": {
        124.0: [(130, 22, 3), (122, 38, 4), (113, 48, 4), (103, 56, 3)],
        112.0: [(138, -4, 6), (130, 18, 9), (114, 42, 10), (94, 62, 6)],
        95.0: [(138, -26, 9), (128, 6, 13), (106, 40, 14), (84, 64, 7)],
        70.0: [(135, -32, 11), (127, -2, 15), (111, 26, 16), (90, 46, 9)],
        40.0: [(132, -26, 11), (128, -2, 15), (120, 18, 15), (104, 36, 9)],
        15.0: [(136, -14, 8), (136, 2, 10), (132, 16, 9), (122, 26, 7)],
        -8.0: [(144, -4, 4), (145, 4, 5), (144, 12, 5), (141, 20, 4)],
        -20.0: [(146, 2, 2), (146, 6, 2), (146, 10, 2), (145, 14, 2)],
    },
    "GluteusMinimus": {
        88.0: [(120, -8, 3), (112, 8, 4), (100, 22, 3)],
        72.0: [(119, -18, 6), (108, 4, 8), (95, 26, 6)],
        48.0: [(116, -24, 8), (110, -4, 10), (99, 16, 8)],
        20.0: [(116, -22, 8), (116, -6, 9), (110, 10, 8)],
        -2.0: [(124, -18, 5), (126, -8, 6), (126, 0, 5)],
        -14.0: [(130, -12, 2), (132, -8, 3), (132, -4, 2)],
    },
    "GluteusMax": {
        98.0: [(72, 84, 2), (62, 88, 3), (54, 90, 3), (48, 92, 2)],
        85.0: [(92, 74, 5), (78, 82, 7), (62, 88, 7), (46, 93, 5)],
        65.0: [(116, 62, 7), (96, 76, 12), (70, 88, 12), (40, 93, 7)],
        40.0: [(130, 48, 9), (108, 66, 17), (78, 80, 18), (38, 88, 10)],
        10.0: [(144, 34, 7), (120, 60, 20), (82, 76, 22), (36, 80, 13)],
        -20.0: [(148, 34, 5), (120, 60, 18), (82, 76, 23), (36, 78, 14)],
        -48.0: [(145, 32, 5), (118, 58, 15), (86, 72, 19), (50, 76, 13)],
        -75.0: [(138, 34, 5), (124, 50, 11), (106, 64, 12), (84, 74, 8)],
        -105.0: [(130, 34, 4), (124, 42, 6), (118, 48, 5), (110, 54, 4)],
        -125.0: [(124, 34, 2), (122, 38, 2), (120, 42, 2), (116, 46, 2)],
    },
    "Iliacus": {
        124.0: [(115, 2, 3), (108, 18, 4), (98, 34, 3)],
        112.0: [(117, -14, 6), (107, 12, 8), (88, 34, 6)],
        95.0: [(112, -34, 8), (103, -8, 10), (84, 16, 9)],
        75.0: [(105, -42, 9), (96, -20, 11), (80, 2, 10)],
        55.0: [(101, -46, 10), (93, -34, 11), (85, -22, 10)],
        35.0: [(102, -46, 10), (96, -42, 11), (90, -36, 10)],
        10.0: [(102, -44, 8), (98, -44, 9), (94, -42, 8)],
        -15.0: [(106, -32, 6), (105, -30, 7), (102, -28, 6)],
        -40.0: [(109, -6, 5), (108, -4, 5), (106, -2, 5)],
        -55.0: [(108, 10, 4), (107, 10, 4), (106, 10, 4)],
    },
    "Psoas": {
        222.0: [(30, 14, 9), (34, 20, 10), (38, 26, 7)],
        185.0: [(36, 10, 12), (40, 18, 13), (44, 26, 8)],
        150.0: [(41, 6, 14), (46, 14, 15), (50, 22, 9)],
        120.0: [(48, 0, 14), (54, 6, 15), (60, 14, 9)],
        98.0: [(56, -10, 13), (63, -4, 14), (70, 4, 8)],
        70.0: [(67, -26, 11), (74, -21, 13), (80, -15, 8)],
        40.0: [(76, -41, 9), (83, -38, 11), (90, -33, 7)],
        10.0: [(80, -46, 7), (87, -44, 9), (93, -40, 7)],
        -20.0: [(90, -34, 6), (96, -31, 7), (100, -26, 6)],
        -50.0: [(104, 4, 4), (106, 6, 4), (107, 8, 4)],
    },
    "QuadratusLumborum": {
        222.0: [(46, 34, 5), (58, 36, 6), (66, 38, 4)],
        175.0: [(54, 36, 6), (68, 38, 7), (80, 40, 4)],
        140.0: [(70, 40, 5), (84, 44, 6), (96, 46, 4)],
        126.0: [(82, 46, 3), (90, 48, 3), (96, 50, 2)],
    },
    "ObturatorInternus": {
        32.0: [(72, -16, 2), (67, -4, 3), (66, 8, 3), (66, 20, 2)],
        18.0: [(66, -18, 4), (58, -6, 5), (56, 6, 5), (58, 22, 5)],
        0.0: [(60, -24, 5), (54, -10, 6), (51, 4, 7), (54, 22, 6)],
        -22.0: [(50, -28, 6), (47, -12, 8), (46, 4, 8), (49, 20, 6)],
        -42.0: [(38, -28, 4), (40, -14, 6), (41, 0, 6), (43, 14, 4)],
        -56.0: [(36, -16, 2), (38, -8, 2), (40, 0, 2), (41, 8, 2)],
    },
    "Piriformis": {
        72.0: [(22, 52, 3), (28, 51, 3), (36, 50, 2)],
        62.0: [(20, 58, 5), (34, 54, 6), (48, 55, 3)],
        48.0: [(20, 62, 6), (40, 60, 8), (66, 54, 5)],
        36.0: [(24, 66, 5), (56, 58, 9), (92, 46, 7)],
        22.0: [(44, 62, 3), (82, 48, 8), (112, 34, 6)],
        8.0: [(84, 46, 3), (110, 34, 5), (128, 22, 4)],
        -2.0: [(118, 28, 2), (126, 22, 2), (131, 17, 2)],
    },
    "LevatorAni": {
        -6.0: [(47, 2, 1), (46, 16, 1.4), (34, 40, 1.4), (10, 52, 1.5)],
        -22.0: [(38, -8, 1.6), (36, 14, 1.8), (26, 36, 2), (6, 46, 2)],
        -40.0: [(17, -22, 2.2), (19, 4, 2.4), (17, 24, 2.6), (6, 38, 3)],
        -54.0: [(12, -16, 2), (13, 6, 2), (12, 18, 2.4), (5, 32, 2.4)],
    },
    "RectusAbdominis": {
        224.0: [(12, -79, 3.2), (34, -79, 4.6), (56, -76, 3)],
        130.0: [(9, -80, 3.4), (32, -81, 5), (56, -77, 3)],
        70.0: [(7, -79, 3.6), (28, -80, 5.4), (50, -75, 3)],
        25.0: [(6, -71, 4), (20, -71, 6), (36, -68, 3)],
        -4.0: [(7, -58, 4), (13, -58, 5), (20, -57, 3)],
        -12.0: [(9, -52, 2), (12, -52, 2), (15, -52, 2)],
    },
}
"""Left plates by name: chains ``(x, y, radius)`` at each z."""

BACK_PLATES: dict[str, dict[float, Points]] = {
    "ErectorSpinae": {
        222.0: [(21, 50, 13), (40, 47, 15), (58, 44, 10)],
        165.0: [(20, 52, 14), (38, 50, 16), (56, 47, 10)],
        135.0: [(20, 56, 14), (36, 56, 15), (52, 55, 9)],
        110.0: [(18, 66, 13), (30, 68, 12), (42, 71, 7)],
        85.0: [(13, 84, 8), (22, 84, 7), (30, 86, 4)],
        60.0: [(8, 95, 3), (14, 95, 3), (18, 95, 2)],
    },
    "Multifidus": {
        222.0: [(10, 48, 6), (11, 58, 6)],
        150.0: [(10, 50, 7), (12, 60, 7)],
        115.0: [(9, 64, 7), (13, 72, 7)],
        90.0: [(8, 78, 6), (12, 82, 6)],
        70.0: [(6, 90, 3), (8, 91, 3)],
    },
}
"""Muscles of the back, likewise."""

TUBES: dict[str, Points] = {
    "ObturatorExternus": [
        (34, -24, -40, 8),
        (54, -8, -42, 10),
        (86, 14, -32, 8),
        (116, 22, -20, 4),
    ],
    "Pectineus": [(44, -48, -6, 8), (60, -42, -32, 12), (84, -24, -64, 11), (98, -8, -84, 6)],
    "AdductorLongus": [
        (18, -42, -36, 6),
        (32, -42, -70, 11),
        (48, -32, -120, 15),
        (64, -20, -200, 13),
    ],
    "AdductorBrevis": [
        (22, -30, -46, 7),
        (44, -20, -80, 13),
        (72, -8, -130, 12),
        (92, -2, -180, 6),
    ],
    "AdductorMagnusFront": [
        (36, -4, -66, 8),
        (54, -2, -95, 16),
        (74, 8, -150, 20),
        (82, 8, -210, 18),
    ],
    "AdductorMagnusBack": [
        (50, 14, -66, 8),
        (58, 16, -100, 18),
        (66, 20, -150, 20),
        (70, 22, -210, 18),
    ],
    "Gracilis": [(12, -32, -48, 4), (20, -20, -80, 7), (30, -4, -130, 8), (36, 6, -210, 9)],
    "Sartorius": [
        (119, -56, 68, 5),
        (110, -66, 35, 7),
        (96, -74, -10, 8),
        (76, -74, -70, 9),
        (54, -56, -200, 9),
    ],
    "TensorFasciaeLatae": [
        (124, -46, 66, 5),
        (130, -46, 30, 11),
        (136, -38, -20, 13),
        (142, -28, -70, 8),
        (145, -22, -110, 3),
    ],
    "RectusFemoris": [
        (106, -46, 34, 4),
        (110, -58, 5, 9),
        (112, -66, -40, 14),
        (110, -66, -100, 17),
        (106, -64, -210, 18),
    ],
    "VastusLateralis": [
        (138, -6, -30, 5),
        (142, -10, -60, 13),
        (142, -14, -110, 19),
        (138, -14, -210, 24),
    ],
    "VastusIntermedius": [
        (124, -16, -50, 6),
        (122, -30, -90, 14),
        (118, -34, -140, 17),
        (112, -36, -210, 20),
    ],
    "VastusMedialis": [
        (104, -8, -70, 5),
        (96, -28, -110, 10),
        (88, -36, -160, 14),
        (82, -36, -210, 18),
    ],
    "Semimembranosus": [
        (58, 38, -62, 5),
        (66, 44, -90, 8),
        (68, 50, -140, 13),
        (66, 48, -210, 17),
    ],
    "Semitendinosus": [
        (54, 42, -66, 6),
        (66, 56, -100, 11),
        (74, 62, -150, 13),
        (74, 62, -210, 13),
    ],
    "BicepsFemoris": [
        (56, 44, -64, 6),
        (78, 56, -100, 11),
        (94, 54, -150, 15),
        (102, 48, -210, 16),
    ],
    "QuadratusFemoris": [(68, 26, -46, 8), (88, 26, -44, 9), (110, 22, -42, 6)],
    "Gemelli": [(62, 36, -8, 4), (86, 34, -6, 6), (114, 26, -6, 5)],
    "RoundLigament": [(62, -66, 30, 2), (40, -64, 4, 2), (24, -62, -20, 2)],
}
"""Left tubes by name: ``(x, y, z, radius)``."""

GROWTH_MM = {
    "ErectorSpinae": 4.0,
    "Multifidus": 3.0,
    "GluteusMax": 3.0,
    "GluteusMedius": 5.0,
    "GluteusMinimus": 5.0,
    "Iliacus": 2.5,
    "ObturatorInternus": 1.0,
    "ObturatorExternus": 6.0,
    "Pectineus": 5.0,
    "AdductorLongus": 6.0,
    "AdductorBrevis": 7.0,
    "AdductorMagnusFront": 8.0,
    "AdductorMagnusBack": 8.0,
    "Gracilis": 4.0,
    "Sartorius": 2.0,
    "TensorFasciaeLatae": 6.0,
    "RectusFemoris": 6.0,
    "VastusLateralis": 9.0,
    "VastusIntermedius": 9.0,
    "VastusMedialis": 7.0,
    "Semimembranosus": 7.0,
    "Semitendinosus": 7.0,
    "BicepsFemoris": 8.0,
    "QuadratusFemoris": 4.0,
    "Gemelli": 3.0,
    "RectusAbdominis": 1.0,
}
"""How much a muscle is grown before neighbours are parted half way between them, in mm."""

FAT_PLANE_MM = 1.3
"""Thickness of the fat between neighbouring muscles."""

DRAWN = ("Psoas", "Piriformis", "GluteusMax", "Iliacus", "GluteusMedius", "GluteusMinimus")
"""Muscles that are also drawn as structures."""

WALL_LAYERS_MM = ((0.3, 4.0), (4.0, 9.8), (9.8, 15.0))
"""Depths of transversus, internal and external oblique outside the cavity."""


def build_muscles(
    place: Placement,
    envelope: Envelope,
    skeleton: Skeleton,
    organs: Organs,
    texture: NDArray[np.float32],
) -> tuple[Field, dict[str, Field]]:
    """Return all muscles as one field, parted by fat planes, and the drawn ones by name and side.

    Parameters
    ----------
    place : Placement
        Grid and pose.
    envelope, skeleton, organs
        What bounds them: skin and fascia, bones, the femoral vessels.
    texture : ndarray
        Irregularity of the outlines.
    """
    body = envelope.body
    shape = body.sdf.shape
    nearest = np.full(shape, 20.0, dtype=np.float32)
    second = np.full(shape, 20.0, dtype=np.float32)
    which = np.full(shape, -1, dtype=np.int16)
    names: list[str] = []
    for name, field in _fields(place, envelope):
        start = np.asarray(field.start, dtype=np.int64) - np.asarray(body.start)
        grow = GROWTH_MM.get(name[:-2], 0.0)
        compete((nearest, second, which), start, field.sdf, grow, len(names))
        names.append(name)
    parted = np.maximum(nearest, 0.5 * (nearest - second) + np.float32(0.5 * FAT_PLANE_MM))
    del nearest, second
    muscle = place.roughened(Field(body.start, parted), texture, 0.5, 6.0)
    np.maximum(muscle.sdf, body.sdf + _fascia_depth(place, body), out=muscle.sdf)
    muscle = carved(muscle, *organs.vessels.values(), organs.other_vessels, gap_mm=1.6)
    drawn = {}
    for number, name in enumerate(names):
        if name[:-2] in DRAWN:
            drawn[name] = _drawn(muscle, which, number, skeleton)
    return muscle, drawn


def _drawn(muscle: Field, which: NDArray[np.int16], number: int, skeleton: Skeleton) -> Field:
    """Return the part of the muscles that one of them claims, without bone."""
    hit = which == number
    box = tight_box(hit)
    sdf = np.where(hit[box], muscle.sdf[box], np.float32(20.0))
    k, j, i = (a + b.start for a, b in zip(muscle.start, box, strict=True))
    bones = [*skeleton.hips.values(), *skeleton.femurs.values(), skeleton.sacrum]
    return carved(Field((k, j, i), sdf), *bones, *skeleton.vertebrae.values())


def _fields(place: Placement, envelope: Envelope) -> Iterator[tuple[str, Field]]:
    """Yield every muscle with its side as the last letter of its name."""
    for name, points in TUBES.items():
        segments = tube(points, 6.0)
        yield f"{name}_L", place.tubes(segments, reach_mm=11.0)
        yield f"{name}_R", place.tubes(mirrored(segments), reach_mm=11.0)
    for name, keys in {**BACK_PLATES, **PLATES}.items():
        shape = chain(keys)
        yield f"{name}_L", place.section(shape, reach_mm=9.0)
        yield f"{name}_R", place.section(shape.mirrored(), reach_mm=9.0)
    for number, layer in enumerate(_wall(place, envelope)):
        yield f"AbdominalWall{number}_X", layer
    anal = place.tubes(tube([(0, 30, -50, 13), (0, 36, -62, 13), (0, 42, -74, 10)]))
    perineum = place.tubes(tube([(-24, -8, -60, 3.5), (0, 8, -60, 5), (24, -8, -60, 3.5)]))
    yield "AnalSphincter_X", union(anal, perineum, blend_mm=3.0)


def _wall(place: Placement, envelope: Envelope) -> Iterator[Field]:
    """Yield the three flat muscles of the abdominal wall."""
    cavity = envelope.cavity
    x, y, z = place.anatomy_points(cavity.start, cavity.sdf.shape)
    x = np.abs(x)
    # Lateral of the semilunar line, above the inguinal ligament, in front of the lumbar fascia;
    # the sheets thin out towards these edges.
    edge = np.minimum(np.minimum(x - 60.0, 46.0 - y), z - (20.0 + 0.62 * x))
    thin = np.clip((14.0 - edge) / 7.0, 0, 12)
    for inner, outer in WALL_LAYERS_MM:
        middle, half = 0.5 * (inner + outer), 0.5 * (outer - inner)
        yield Field(
            cavity.start, np.abs(cavity.sdf - np.float32(middle)) - np.float32(half) + thin
        )


def _fascia_depth(place: Placement, body: Field) -> NDArray[np.float32]:
    """Return the thickness of the fat under the skin: most behind and beside the hips."""
    factor = 4
    nk, nj, ni = body.sdf.shape
    coarse = (nk, (nj - 1) // factor + 2, (ni - 1) // factor + 2)
    x, y, z = place.anatomy_points(body.start, coarse, factor)
    hips = np.exp(-(((z + 10.0) / 75.0) ** 2))
    behind = np.clip((y - 20.0) / 60.0, 0, 1)
    beside = np.clip((np.abs(x) - 110.0) / 40.0, 0, 1)
    depth = 11.0 + 7.0 * hips * behind + 9.0 * hips * beside + 3.0 * np.clip(z / 100.0, 0, 1)
    return np.asarray(enlarge(depth.astype(np.float32), factor, body.sdf.shape))
