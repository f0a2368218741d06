"""Lumbosacral roots and plexus as tubes, and their calibres.

Normal diameters are means measured on MR neurography, coronal, 5 mm distal to the ganglion:
L3 4.29, L4 5.13, L5 5.29, S1 5.38 mm (Clin Anat 2018;31:782). S2 and S3 are assumed somewhat
smaller, 4.6 and 3.8 mm: no measurement was found.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.phantoms.shapes import Spine, mirrored, tube

NORMAL_DIAMETER_MM = {"L3": 4.29, "L4": 5.13, "L5": 5.29, "S1": 5.38, "S2": 4.6, "S3": 3.8}
"""Diameter of the normal root in mm (S2 and S3: assumption, see the module)."""

THICK_DIAMETER_MM = {"L5": 9.2, "S1": 9.6}
"""Greatest diameter of the involved right roots at the second visit in mm."""

THICK_ARC_MM = {"L5": (17.0, 59.0), "S1": (13.0, 53.0)}
"""Arc length from the canal over which the involved roots are thickened, in mm."""

ROOTS = ("L4", "L5", "S1", "S2", "S3")
"""Roots of the lumbosacral plexus that are drawn as structures."""

# Left roots: (x, offset, arc length above the named body centre) inside the foramen, then
# (x, y, z) in anatomy coordinates outside it.
_INSIDE = {
    "L3": ("L3", [(7, 21, 12), (12, 20, 0), (20, 16, -9), (26, 10, -16)]),
    "L4": ("L4", [(7, 21, 12), (12, 20, 0), (20, 16, -9), (26, 10, -16)]),
    "L5": ("L5", [(7, 21, 12), (12, 20, 0), (21, 15, -9), (28, 8, -17)]),
    "S1": ("S1", [(7, 21, 16), (11, 19, 2), (18, 8, -9), (24, -5, -16)]),
    "S2": ("S2", [(6, 15, 14), (10, 14, 2), (16, 6, -8), (22, -4, -15)]),
    "S3": ("S3", [(4, 12, 12), (8, 11, 2), (13, 5, -6), (18, -3, -12)]),
}
_CENTRE = {
    "L3": (5, 199),
    "L4": (4, 162),
    "L5": (14, 127),
    "S1": (37, 93),
    "S2": (53, 73),
    "S3": (67, 51),
}
_OUTSIDE = {
    "L3": [(38, 20, 160), (50, 10, 130), (66, -6, 95), (84, -36, 50), (88, -52, 0)],
    "L4": [(36, 22, 130), (40, 24, 116), (44, 28, 98), (46, 38, 76), (50, 46, 56)],
    "L5": [(38, 22, 101), (43, 29, 90), (47, 38, 74), (51, 46, 56)],
    "S1": [(36, 45, 66), (44, 47, 57), (51, 48, 48)],
    "S2": [(33, 53, 51), (43, 52, 45), (52, 50, 39)],
    "S3": [(28, 60, 36), (42, 55, 35), (55, 50, 34)],
}
_SCIATIC = [
    (51, 47, 54, 5.0),
    (55, 49, 40, 6.0),
    (63, 49, 22, 6.0),
    (72, 46, 0, 6.0),
    (80, 42, -30, 5.5),
    (84, 38, -70, 5.0),
    (84, 34, -130, 5.0),
    (82, 32, -200, 5.0),
]


@dataclass(frozen=True, eq=False)
class Nerves:
    """Tubes (M, 8) in anatomy coordinates.

    Parameters
    ----------
    roots : dict of str to ndarray
        "L4_R" and so on, L3 to S3.
    sciatic : dict of str to ndarray
        By side.
    """

    roots: dict[str, NDArray[np.float64]]
    sciatic: dict[str, NDArray[np.float64]]


def build_nerves(spine: Spine, *, has_lesion: bool) -> Nerves:
    """Return the roots of both sides; the right L5 and S1 thickened if there is a lesion."""
    roots = {}
    for name in _INSIDE:
        for side in "LR":
            is_thick = has_lesion and side == "R" and name in THICK_DIAMETER_MM
            segments = _root(spine, name, is_thick=is_thick)
            roots[f"{name}_{side}"] = segments if side == "L" else mirrored(segments)
    sciatic = tube(_SCIATIC)
    return Nerves(roots, {"L": sciatic, "R": mirrored(sciatic)})


def involved_part(nerves: Nerves, name: str) -> NDArray[np.float64]:
    """Return the segments of a right root that a lesion thickens ("L5" or "S1")."""
    segments = nerves.roots[f"{name}_R"]
    arc = _arc(segments)
    low, high = THICK_ARC_MM[name]
    return segments[(arc > low) & (arc < high)]


def _arc(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(segments[:, 4:7] - segments[:, :3], axis=1)
    return np.asarray(np.cumsum(length) - 0.5 * length)


def _root(spine: Spine, name: str, *, is_thick: bool) -> NDArray[np.float64]:
    level, inside = _INSIDE[name]
    local = np.array(inside, dtype=np.float64)
    local[:, 2] += spine.arc_at(*_CENTRE[level])
    path = np.concatenate([spine.to_anatomy(local), np.array(_OUTSIDE[name], dtype=np.float64)])
    radius = 0.5 * NORMAL_DIAMETER_MM[name]
    segments = tube(np.concatenate([path, np.full((len(path), 1), radius)], axis=1), 1.5)
    if is_thick:
        low, high = THICK_ARC_MM[name]
        arc = _arc(segments)
        # A plateau with shoulders of 6 mm.
        rise = np.clip(np.minimum(arc - low, high - arc) / 6.0, 0, 1)
        swell = 0.5 * (1 - np.cos(np.pi * rise))
        grown = radius + swell * (0.5 * THICK_DIAMETER_MM[name] - radius)
        segments[:, 3] = segments[:, 7] = grown
    return segments
