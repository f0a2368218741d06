"""The body's outline, the abdominal wall and the couch (mm, anatomy coordinates)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.phantoms.fields import Field, union
from rerad.phantoms.placement import Placement
from rerad.phantoms.shapes import solid, tube

COUCH_Y_MM = 104.0
"""Height of the couch top behind the hip centre in the room."""

COUCH_THICKNESS_MM = 50.0
"""Thickness of the couch: a carbon shell around foam."""

COUCH_HALF_WIDTH_MM = 262.0
"""Half width of the couch top (a usual top is about 53 cm wide)."""

TRUNK = (
    (226, 138, -97, 90, -4, 2.45, 2.7),
    (180, 144, -101, 95, -4, 2.45, 2.7),
    (130, 159, -102, 103, 0, 2.45, 2.7),
    (95, 171, -101, 109, 2, 2.45, 2.7),
    (60, 178, -98, 114, 4, 2.45, 2.7),
    (20, 183, -92, 118, 4, 2.35, 2.7),
    (-15, 186, -88, 118, 2, 2.3, 2.6),
    (-45, 184, -84, 108, 0, 2.3, 2.5),
    (-64, 178, -72, 90, -2, 2.4, 2.4),
    (-76, 100, -30, 44, 0, 2.2, 2.2),
)
"""Trunk by height: z, half width, y of front, back and flanks, and the exponents of the
superellipses in front of and behind the flanks."""

THIGH = {
    -24.0: [
        (96, -50),
        (66, -48),
        (40, -34),
        (34, -4),
        (40, 40),
        (70, 70),
        (106, 74),
        (140, 56),
        (154, 8),
        (148, -28),
        (126, -50),
    ],
    -62.0: [
        (96, -90),
        (48, -86),
        (13, -59),
        (5, -4),
        (15, 54),
        (54, 97),
        (106, 99),
        (149, 71),
        (178, 6),
        (169, -44),
        (137, -78),
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
        (44, -72),
        (80, -58),
        (102, -32),
        (109, 0),
        (100, 30),
        (78, 46),
        (40, 50),
        (0, 50),
    ],
    150.0: [
        (0, -75),
        (46, -74),
        (86, -60),
        (110, -33),
        (117, 0),
        (110, 32),
        (86, 50),
        (40, 56),
        (0, 56),
    ],
    110.0: [
        (0, -75),
        (46, -74),
        (90, -62),
        (120, -37),
        (126, -8),
        (116, 24),
        (90, 52),
        (40, 60),
        (0, 60),
    ],
    75.0: [
        (0, -73),
        (44, -73),
        (88, -64),
        (114, -49),
        (118, -30),
        (104, 0),
        (76, 40),
        (40, 66),
        (0, 74),
    ],
    40.0: [
        (0, -68),
        (40, -69),
        (80, -64),
        (98, -53),
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
    trunk = place.section(solid(_trunk(), is_half=True), reach_mm=12, coarse_mm=coarse)
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


def _trunk() -> dict[float, NDArray[np.float64]]:
    """Return half outlines of the trunk from the front to the back midline."""
    keys = {}
    turn = np.linspace(0, np.pi, 13)
    for z, width, front, back, flank, n_front, n_back in TRUNK:
        n = np.where(turn <= np.pi / 2, n_front, n_back)
        depth = np.where(turn <= np.pi / 2, flank - front, back - flank)
        x = width * np.abs(np.sin(turn)) ** (2 / n)
        y = flank - depth * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** (2 / n)
        keys[float(z)] = np.stack([x, y], axis=1)
    return keys


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
