"""The body's outline, the abdominal wall and the couch (mm, anatomy coordinates)."""

from dataclasses import dataclass

import numpy as np

from rerad.phantoms.shapes import Field, Placement, solid, tube, union

COUCH_Y_MM = 104.0
"""Height of the couch top behind the hip centre in the room."""

COUCH_THICKNESS_MM = 50.0
"""Thickness of the couch: a carbon shell around foam."""

COUCH_SHELL_MM = 2.0
"""Thickness of the carbon shell."""

COUCH_HALF_WIDTH_MM = 262.0
"""Half width of the couch top (a usual top is about 53 cm wide)."""

TRUNK = {
    226.0: [
        (0, -98),
        (50, -98),
        (98, -84),
        (132, -48),
        (142, -5),
        (128, 50),
        (92, 86),
        (40, 96),
        (0, 93),
    ],
    180.0: [
        (0, -100),
        (50, -101),
        (100, -87),
        (136, -50),
        (147, -4),
        (134, 54),
        (96, 92),
        (40, 101),
        (0, 97),
    ],
    130.0: [
        (0, -101),
        (52, -102),
        (106, -88),
        (145, -52),
        (160, -2),
        (150, 56),
        (108, 96),
        (45, 107),
        (0, 103),
    ],
    95.0: [
        (0, -101),
        (54, -102),
        (110, -88),
        (152, -52),
        (170, 0),
        (162, 58),
        (120, 100),
        (52, 112),
        (0, 109),
    ],
    60.0: [
        (0, -99),
        (52, -100),
        (110, -88),
        (156, -54),
        (177, 0),
        (170, 60),
        (128, 104),
        (56, 116),
        (0, 114),
    ],
    20.0: [
        (0, -90),
        (46, -93),
        (106, -87),
        (158, -56),
        (182, 0),
        (176, 60),
        (134, 106),
        (62, 119),
        (0, 118),
    ],
    -15.0: [
        (0, -80),
        (40, -86),
        (102, -88),
        (160, -58),
        (186, 0),
        (180, 58),
        (138, 104),
        (66, 120),
        (0, 118),
    ],
    -45.0: [
        (0, -74),
        (36, -80),
        (100, -90),
        (160, -60),
        (184, -2),
        (178, 54),
        (138, 98),
        (70, 116),
        (0, 104),
    ],
    -64.0: [
        (0, -66),
        (30, -70),
        (98, -90),
        (158, -60),
        (180, -4),
        (174, 50),
        (136, 94),
        (72, 104),
        (0, 78),
    ],
    -76.0: [
        (0, -40),
        (20, -46),
        (60, -70),
        (100, -60),
        (120, -6),
        (110, 40),
        (90, 64),
        (48, 62),
        (0, 44),
    ],
}
"""Half outlines of the trunk ``(x, y)`` from the front to the back midline at each z."""

THIGH = {
    -30.0: [
        (96, -70),
        (60, -68),
        (24, -50),
        (14, -6),
        (24, 52),
        (62, 92),
        (108, 96),
        (150, 70),
        (174, 12),
        (168, -36),
        (138, -66),
    ],
    -62.0: [
        (96, -92),
        (48, -88),
        (12, -60),
        (4, -4),
        (14, 54),
        (54, 98),
        (106, 100),
        (150, 72),
        (181, 6),
        (173, -44),
        (142, -82),
    ],
    -110.0: [
        (96, -94),
        (46, -88),
        (9, -58),
        (2, -4),
        (12, 48),
        (54, 86),
        (104, 88),
        (148, 62),
        (175, 4),
        (168, -46),
        (138, -84),
    ],
    -205.0: [
        (94, -88),
        (48, -82),
        (14, -54),
        (6, -6),
        (14, 42),
        (52, 74),
        (98, 78),
        (140, 54),
        (164, 0),
        (158, -44),
        (132, -78),
    ],
}
"""Outline of the left thigh at each z."""

CAVITY = {
    226.0: [
        (0, -73),
        (44, -73),
        (84, -60),
        (108, -34),
        (115, 0),
        (104, 30),
        (78, 46),
        (40, 50),
        (0, 50),
    ],
    150.0: [
        (0, -75),
        (46, -75),
        (90, -62),
        (116, -34),
        (122, 0),
        (112, 32),
        (86, 50),
        (40, 56),
        (0, 56),
    ],
    110.0: [
        (0, -75),
        (46, -75),
        (92, -64),
        (122, -38),
        (126, -8),
        (116, 24),
        (90, 52),
        (40, 60),
        (0, 60),
    ],
    75.0: [
        (0, -73),
        (44, -74),
        (90, -66),
        (116, -50),
        (118, -30),
        (104, 0),
        (76, 40),
        (40, 66),
        (0, 74),
    ],
    40.0: [
        (0, -68),
        (40, -70),
        (80, -66),
        (98, -54),
        (98, -36),
        (84, 0),
        (64, 36),
        (34, 62),
        (0, 74),
    ],
    10.0: [
        (0, -58),
        (26, -60),
        (52, -56),
        (66, -44),
        (68, -28),
        (60, 0),
        (54, 30),
        (28, 54),
        (0, 62),
    ],
    -14.0: [
        (0, -48),
        (10, -48),
        (26, -46),
        (40, -40),
        (46, -24),
        (46, 0),
        (42, 20),
        (24, 40),
        (0, 50),
    ],
}
"""Half outline of what the abdominal wall and the pelvic floor enclose."""


@dataclass(frozen=True, eq=False)
class Envelope:
    """Outer surfaces.

    Parameters
    ----------
    body : Field
        Skin surface, flattened where it lies on the couch.
    cavity : Field
        Inner surface of the abdominal wall.
    couch : Field
        Couch top.
    """

    body: Field
    cavity: Field
    couch: Field


def build_envelope(place: Placement) -> Envelope:
    """Return the outer surfaces; the couch is horizontal in the room, whatever the pitch."""
    coarse = 6.0
    trunk = place.section(solid(TRUNK, is_half=True), reach_mm=12, coarse_mm=coarse)
    thigh = solid(THIGH)
    thighs = [
        place.section(shape, reach_mm=12, coarse_mm=coarse) for shape in (thigh, thigh.mirrored())
    ]
    body = union(trunk, *thighs, blend_mm=10.0)
    body = _cleft(place, body)
    couch = _couch(place)
    _flatten(place, body)
    cavity = place.section(solid(CAVITY, is_half=True), reach_mm=24, coarse_mm=coarse)
    return Envelope(body, cavity, couch)


def _cleft(place: Placement, body: Field) -> Field:
    """Cut the natal cleft and the navel."""
    points = [(0, 126, 62, 1.0), (0, 118, 30, 6.0), (0, 108, 0, 7.0), (0, 96, -30, 7.0)]
    ends = [(0, 78, -55, 7.0), (0, 60, -72, 8.0), (0, 60, -110, 9.0)]
    line = tube(points + ends, 5.0)
    deep = line.copy()
    deep[:, [1, 5]] += 24.0
    layers = []
    for depth, thin in ((0.0, 0.32), (6.0, 0.4), (12.0, 0.6), (18.0, 0.8), (26.0, 1.0)):
        layer = line.copy()
        layer[:, [1, 5]] += depth - 6.0
        layer[:, [3, 7]] *= thin
        layers.append(layer)
    navel = tube([(0, -108, 142, 6), (0, -99, 141, 5), (0, -91, 139, 3)])
    cut = place.tubes(*layers, navel)
    sdf = body.sdf
    mine, theirs = _shared(body, cut)
    blend = np.float32(5.0)
    outside = -cut.sdf[theirs]
    gap = np.maximum(blend - np.abs(sdf[mine] - outside), 0)
    part = np.maximum(sdf[mine], outside) + gap * gap / (4 * blend)
    near = cut.sdf[theirs] < blend
    sdf[mine] = np.where(near, part, sdf[mine])
    return body


def _shared(a: Field, b: Field) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    low = [max(p, q) for p, q in zip(a.start, b.start, strict=True)]
    high = [
        min(p + n, q + m)
        for p, n, q, m in zip(a.start, a.sdf.shape, b.start, b.sdf.shape, strict=True)
    ]
    return (
        tuple(slice(lo - p, hi - p) for lo, hi, p in zip(low, high, a.start, strict=True)),
        tuple(slice(lo - q, hi - q) for lo, hi, q in zip(low, high, b.start, strict=True)),
    )


def _flatten(place: Placement, body: Field) -> None:
    """Press the body onto the couch: a blended intersection with the half space above it."""
    y = (
        place.first_mm(body.start)[1]
        - couch_y_mm(place)
        + place.grid.spacing_mm[1] * np.arange(body.sdf.shape[1])
    )
    depth = y.astype(np.float32)[None, :, None]
    gap = np.maximum(np.float32(14.0) - np.abs(body.sdf - depth), 0)
    np.maximum(body.sdf, depth, out=body.sdf)
    body.sdf[...] += gap * gap / np.float32(56.0)


def couch_y_mm(place: Placement) -> float:
    """Return y of the couch top in the frame of the visit: it goes with the hips, never tilts."""
    return COUCH_Y_MM + float(place.from_anatomy.matrix[1, 3])


def _couch(place: Placement) -> Field:
    """Return the couch: flat above, its lower edges bevelled."""
    x, y, _ = place.grid.axes_mm
    top = couch_y_mm(place)
    start, shape = place.box(
        np.array([-1e4, top - 3, -1e4]), np.array([1e4, top + COUCH_THICKNESS_MM + 3, 1e4])
    )
    x = x[start[2] : start[2] + shape[2]]
    y = y[start[1] : start[1] + shape[1]]
    half = 0.5 * COUCH_THICKNESS_MM
    below = np.abs(y - top - half)[:, None] - half
    # The sides slope inwards by half the depth.
    edge = np.abs(x)[None, :] - (COUCH_HALF_WIDTH_MM - 0.8 * (y[:, None] - top))
    plane = np.maximum(below, edge).astype(np.float32)
    return Field(start, np.broadcast_to(plane, shape).copy())
