"""A first proposal of where roots run, from points that a person set on bones, and from CT bone.

Nothing here sees a nerve. A root starts in its foramen, L4 and L5 pass the ala of the sacrum
beside the sacroiliac joint, all meet where the sciatic nerve leaves the pelvis; the distances are
published means (table ``nerve_course``), of other people. A path is for a person to look at and
to correct: it is not measured, and no volume is made along it.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates

from rerad.core import Finding, Grid, Image, Modality, NervePath, PathSource, Severity
from rerad.errors import InputError, MissingDataError
from rerad.nerves.path import path_from_points
from rerad.tables import load_table

Point = tuple[float, float, float]

BONE_POINTS: Mapping[str, str] = {
    "foramen_L4": "middle of the intervertebral foramen L4/5, below the pedicle of L4",
    "foramen_L5": "middle of the intervertebral foramen L5/S1",
    "foramen_S1": "middle of the mouth of the first anterior sacral foramen",
    "foramen_S2": "of the second",
    "foramen_S3": "of the third",
    "sacroiliac": "most anterior point of the sacroiliac joint where the pelvic brim crosses it",
    "psis": "posterior superior iliac spine",
    "ischial_tuberosity": "lowest point of the ischial tuberosity",
    "sciatic_notch": "deepest point of the greater sciatic notch",
    "ischial_spine": "tip of the ischial spine",
    "sciatic_exit": "the sciatic nerve below piriformis, where it is seen, instead of these four",
}
"""Points of one side; a name ends in ``_R`` or ``_L``, such as ``foramen_L5_R``."""

FOR_SCIATIC = ("psis", "ischial_tuberosity", "sciatic_notch", "ischial_spine")
"""Points that every path of a side needs besides its foramen."""

TRUNK = ("L4", "L5")
"""Roots that pass the ala."""

BONE_HU = 150.0
"""Edge of bone: above soft tissue, below cancellous bone with its thin shell."""

_VOXEL_MM = 1.5
_PAD_MM = 25.0
_SEARCH_MM = 25.0
_BEHIND_MM = 6.0
_ROUNDS = 30


def propose_paths(image: Image, points: Mapping[str, Point]) -> dict[str, NervePath]:
    """Propose the course of every root whose foramen was set.

    Parameters
    ----------
    image : Image
        Planning CT in HU.
    points : mapping of str to point
        Bone points (`BONE_POINTS`) in mm in the frame of the image.

    Returns
    -------
    dict of str to NervePath
        ``L5_R`` and so on, from the foramen to where the sciatic nerve leaves the pelvis; source
        `PathSource.LANDMARKS`, uncertainty NaN: nobody can say.

    Raises
    ------
    InputError
        If a name is unknown, a point lies outside the image, or the points of the two sides or
        of one hip bone contradict each other.
    MissingDataError
        If a point is missing that a path needs; the message names it.
    """
    if image.modality is not Modality.CT:
        msg = f"bone points: expected a CT to find bone on, got {image.modality}"
        raise InputError(msg)
    _require_sensible(image, points)
    paths = {}
    for side in "RL":
        own = {n[:-2]: np.asarray(p) for n, p in points.items() if n.endswith(f"_{side}")}
        roots = [n.removeprefix("foramen_") for n in BONE_POINTS if n in own and "foramen" in n]
        if not roots:
            continue
        if "sciatic_exit" not in own:
            _require(own, FOR_SCIATIC, side)
        if set(roots) & set(TRUNK):
            _require(own, ("sacroiliac",), side)
        bone = _Bone(image, np.array(list(own.values())))
        for root in roots:
            name = f"{root}_{side}"
            paths[name] = _path(name, own, bone, image.grid.frame_uid)
    return paths


def proposal_findings(paths: Sequence[NervePath]) -> tuple[Finding, ...]:
    """Return what must be said of paths that were proposed."""
    if not paths:
        return ()
    names = ", ".join(path.name for path in paths)
    text = (
        f"{names}: first proposal from bone points and published mean distances, for review. It "
        "sees no nerve and is not validated: nothing is measured and no volume is made along it "
        "until a person has corrected it and given its points as clicks"
    )
    return (Finding(Severity.CAUTION, "nerve-path-proposed", text),)


def _require(own: Mapping[str, object], names: Sequence[str], side: str) -> None:
    """Raise naming the first point of a side that is missing."""
    for name in names:
        if name not in own:
            msg = (
                f"bone points: expected {name}_{side} ({BONE_POINTS[name]}) for the paths of this "
                "side, it is missing; set it"
            )
            raise MissingDataError(msg)


def _require_sensible(image: Image, points: Mapping[str, Point]) -> None:
    """Raise if a point cannot be what its name says."""
    low, high = np.asarray(image.grid.origin_mm), np.asarray(image.grid.end_mm)
    for name, point in points.items():
        if name[:-2] not in BONE_POINTS or name[-2:] not in {"_L", "_R"}:
            known = ", ".join(BONE_POINTS)
            msg = f"bone points: expected a name of {known} with _R or _L, got {name}"
            raise InputError(msg)
        if not (np.all(np.asarray(point) >= low) and np.all(np.asarray(point) <= high)):
            x, y, z = point
            msg = (
                f"bone points: {name} at {x:g}, {y:g}, {z:g} mm lies outside the CT; set it again"
            )
            raise InputError(msg)
    for name, point in points.items():
        other = points.get(f"{name[:-2]}_L")
        if name.endswith("_R") and other is not None and point[0] >= other[0]:
            msg = (
                f"bone points: expected {name} to the right (smaller x) of {name[:-2]}_L, got x "
                f"{point[0]:g} and {other[0]:g} mm; the sides may be swapped"
            )
            raise InputError(msg)
    order = [n for n in BONE_POINTS if n.startswith("foramen")] + ["ischial_tuberosity"]
    for side in "RL":
        there = [f"{n}_{side}" for n in order if f"{n}_{side}" in points]
        for above, below in pairwise(there):
            if points[above][2] <= points[below][2]:
                msg = (
                    f"bone points: expected {above} above {below}, got z {points[above][2]:g} "
                    f"and {points[below][2]:g} mm; set them again"
                )
                raise InputError(msg)


def _path(
    name: str, own: Mapping[str, NDArray[np.float64]], bone: "_Bone", frame_uid: str
) -> NervePath:
    """Return one path: foramen, ala where the root passes it, exit; kept off bone."""
    root, side = name.split("_")
    medial = 1.0 if side == "R" else -1.0
    stations = [own[f"foramen_{root}"]]
    if root in TRUNK:
        stations.append(_beside_joint(own["sacroiliac"], medial, bone))
    stations.append(sciatic_exit(own))
    course = {"name": name, "frame_uid": frame_uid, "source": PathSource.LANDMARKS}
    path = path_from_points(np.array(stations), **course)  # type: ignore[arg-type]
    kept = bone.pushed_out(
        path.points_mm, load_table("nerve_course")["course_radius"]["radius_mm"]
    )
    return path_from_points(kept, smoothing=60.0, **course)  # type: ignore[arg-type]


def sciatic_exit(own: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return where the sciatic nerve is taken to leave the pelvis.

    Seen from behind it lies on the line from the posterior superior iliac spine to the ischial
    tuberosity; its depth is a little behind the border of bone between notch and ischial spine.

    Parameters
    ----------
    own : mapping of str to ndarray
        Points `FOR_SCIATIC` of one side, names without the side; or ``sciatic_exit``, which is
        then taken as it is.
    """
    if "sciatic_exit" in own:
        return own["sciatic_exit"]
    table = load_table("nerve_course")
    line = table["sciatic_share"]
    share = line["from_psis_cm"] / (line["from_psis_cm"] + line["from_tuberosity_cm"])
    x, _, z = own["psis"] + share * (own["ischial_tuberosity"] - own["psis"])
    notch, spine = own["sciatic_notch"], own["ischial_spine"]
    along = np.clip((notch[2] - z) / max(notch[2] - spine[2], 1.0), 0.0, 1.0)
    border_y = notch[1] + along * (spine[1] - notch[1])
    return np.array([x, border_y + table["sciatic_depth"]["behind_border_mm"], z])


def _beside_joint(joint: NDArray[np.float64], medial: float, bone: "_Bone") -> NDArray[np.float64]:
    """Return where the trunk crosses the brim: medial of the joint, on the bone of the ala."""
    table = load_table("nerve_course")
    off_mm = table["trunk_on_bone"]["gap_mm"] + table["course_radius"]["radius_mm"]
    x, y, z = joint + np.array([medial * table["trunk_beside_joint"]["medial_mm"], 0.0, 0.0])
    face_y = bone.face_y(x, y, z)
    return np.array([x, (y if face_y is None else face_y) - off_mm, z])


class _Bone:
    """Bone of a CT around some points: how far off it a point lies, and which way leads out.

    Parameters
    ----------
    image : Image
        CT in HU.
    points : ndarray of shape (N, 3)
        What the box holds.
    """

    def __init__(self, image: Image, points: NDArray[np.float64]) -> None:
        low = np.maximum(points.min(axis=0) - _PAD_MM, image.grid.origin_mm)
        high = np.minimum(points.max(axis=0) + _PAD_MM, image.grid.end_mm)
        i, j, k = (int(n) + 1 for n in np.floor((high - low) / _VOXEL_MM))
        x, y, z = (float(v) for v in low)
        self._grid = Grid((k, j, i), (x, y, z), (_VOXEL_MM,) * 3, image.grid.frame_uid)
        axes = np.meshgrid(*(np.arange(n, dtype=float) for n in (k, j, i)), indexing="ij")
        at = image.grid.indices(self._grid.points(np.stack(axes, axis=-1)))
        hu = map_coordinates(image.values.astype(np.float32), np.moveaxis(at, -1, 0), order=1)
        is_bone = gaussian_filter(hu, 0.6) > BONE_HU
        self._is_bone = is_bone
        outside = distance_transform_edt(~is_bone) if is_bone.any() else np.full(hu.shape, 1e3)
        inside = distance_transform_edt(is_bone)
        self._off_mm = np.asarray((outside - inside) * _VOXEL_MM)
        # The way out of trabecular holes must not lead deeper in: a smooth field does not.
        self._way = np.gradient(gaussian_filter(self._off_mm, 1.5))

    def face_y(self, x: float, y: float, z: float) -> float | None:
        """Return the depth of the first bone from the front near a point; None if none."""
        # Medial of the joint the ala lies before it, not behind: bone farther back is another.
        depths = np.arange(y - _SEARCH_MM, y + _BEHIND_MM, 0.5)
        line = np.stack([np.full_like(depths, x), depths, np.full_like(depths, z)], axis=-1)
        is_bone = self._sampled(self._off_mm, line) <= 0.0
        return float(depths[np.argmax(is_bone)]) if is_bone.any() else None

    def pushed_out(self, points: NDArray[np.float64], radius_mm: float) -> NDArray[np.float64]:
        """Return points moved off bone to a distance, the shortest way; both ends stay."""
        moved = points.copy()
        for _ in range(_ROUNDS):
            lack = np.clip(radius_mm - self._sampled(self._off_mm, moved), 0.0, 2.0)
            lack[0] = lack[-1] = 0.0
            if not lack.any():
                break
            way = np.stack([self._sampled(g, moved) for g in self._way[::-1]], axis=-1)
            size = np.linalg.norm(way, axis=1, keepdims=True)
            moved = moved + 0.5 * lack[:, None] * way / np.maximum(size, 1e-6)
        return moved

    def _sampled(
        self, values: NDArray[np.float64], points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        at = np.moveaxis(self._grid.indices(points), -1, 0)
        return np.asarray(map_coordinates(values, at, order=1, mode="nearest"))
