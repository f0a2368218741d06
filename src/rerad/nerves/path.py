"""Centre lines of nerves: from points, from contours, from a few clicks.

Whatever the source, the result is a smooth curve sampled evenly by arc length, from the spine
outwards. Tracking between clicks finds the path of least cost on an image, where a voxel is cheap
if it looks like the nerve at the clicks; it follows what it is shown and knows no anatomy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import CubicHermiteSpline, make_smoothing_spline
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates
from scipy.spatial import cKDTree
from skimage.graph import MCP_Geometric

from rerad.core import Finding, Grid, Image, NervePath, PathSource, Severity, Structure
from rerad.errors import FrameMismatchError, InputError
from rerad.structures import rasterize

STEP_MM = 1.0
"""Distance of the points of a path."""

TRACK_VOXEL_MM = 1.0
"""Voxels on which paths are searched."""

SMOOTHING = 8.0
"""Weight of bending against distance from the points (a cubic smoothing spline's lambda, mm³)."""

_EVEN_ROUNDS = 4

MEETING_MM = 2.5
"""Two centre lines closer than half a normal root's diameter are not of two roots side by side."""

MEETING_LENGTH_MM = 8.0
"""Over a shorter stretch roots may just cross."""

LEVEL = 0.5
"""Share of a voxel inside a contour from which it belongs to the nerve."""


@dataclass(frozen=True, slots=True)
class TrackSettings:
    """How a path is searched between clicks.

    Parameters
    ----------
    padding_mm : float
        How far beyond the box of the clicks the path may go.
    smoothing_mm : float
        Standard deviation of the Gaussian that quietens noise before costs are made.
    least_cost : float
        Cost of a voxel that looks exactly like the clicks, beside 1 for one that does not; the
        smaller, the longer a detour through alike voxels may be.
    contrast_weight : float
        Weight of being brighter or darker than the surroundings, as the clicks are.
    """

    padding_mm: float = 15.0
    smoothing_mm: float = 0.8
    least_cost: float = 0.05
    contrast_weight: float = 1.0


def path_from_points(
    points_mm: ArrayLike,
    *,
    name: str,
    frame_uid: str,
    source: PathSource = PathSource.POINTS,
    smoothing: float = 0.0,
    uncertainty_mm: float = np.nan,
) -> NervePath:
    """Lay a smooth curve through or near points, in their order.

    Parameters
    ----------
    points_mm : array_like of shape (N, 3)
        At least two, from the spine outwards.
    name, frame_uid, source, uncertainty_mm
        Of the path.
    smoothing : float
        0 passes through every point; above, bending costs this much beside distance (mm³).

    Returns
    -------
    NervePath
        Sampled every `STEP_MM`, to within rounding to whole steps.

    Raises
    ------
    InputError
        If fewer than two different points are given.
    """
    points = np.atleast_2d(np.asarray(points_mm, dtype=np.float64))
    if points.ndim != 2 or points.shape[1] != 3:
        msg = f"{name}: expected points (x, y, z), got an array of shape {points.shape}"
        raise InputError(msg)
    moved = np.linalg.norm(np.diff(points, axis=0), axis=1) > 1e-6
    points = points[np.concatenate([[True], moved])]
    if len(points) < 2:
        msg = f"{name}: expected two different points or more, got {len(points)}"
        raise InputError(msg)
    chord = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    fine = _curve(chord, points, smoothing)
    return NervePath(name, _evenly(fine), frame_uid, source, uncertainty_mm)


def path_from_structure(
    structure: Structure, *, name: str = "", is_from_right: bool | None = None
) -> NervePath:
    """Find the centre line of a nerve that the user contoured.

    The line runs through the middle of the contoured tube (greatest distance from its surface)
    between its two ends that are farthest apart, and starts at the end nearer to the head, or
    nearer to the midline if both are level.

    Parameters
    ----------
    structure : Structure
        Contours of one nerve in one piece; parts other than the largest are not followed.
    name : str
        Of the path; the structure's if empty.
    is_from_right : bool, optional
        Where to start if given: at the end with the smaller x.

    Returns
    -------
    NervePath
        Its uncertainty is that of a centre in a stack of contours: a quarter of their distance.

    Raises
    ------
    InputError
        If the structure is empty or too short to have a direction.
    """
    voxel = (TRACK_VOXEL_MM,) * 3
    points = np.concatenate(
        [
            np.column_stack([c.points_mm, np.full(len(c.points_mm), c.z_mm)])
            for c in structure.contours
        ]
        or [np.zeros((0, 3))]
    )
    if not len(points):
        msg = f"{structure.name}: expected contours to find a centre line in, got none; draw it"
        raise InputError(msg)
    pad = structure.slice_thickness_mm + 2 * TRACK_VOXEL_MM
    grid = _box(points.min(axis=0) - pad, points.max(axis=0) + pad, voxel, structure.frame_uid)
    share = gaussian_filter(rasterize(structure, grid).on(grid), 0.6)
    inside = share >= LEVEL * 0.8
    depth = distance_transform_edt(inside)
    cost = np.where(inside, 1.0 / (0.3 + depth) ** 2, -1.0)
    first, last = _far_ends(cost, depth)
    mcp = MCP_Geometric(cost)
    mcp.find_costs([first], [last])
    route = grid.points(np.asarray(mcp.traceback(last), dtype=np.float64))
    path = path_from_points(
        route,
        name=name or structure.name,
        frame_uid=structure.frame_uid,
        source=PathSource.CONTOURS,
        smoothing=SMOOTHING * 8,
        uncertainty_mm=structure.slice_thickness_mm / 4,
    )
    return outward(path, is_from_right=is_from_right)


def track_path(
    image: Image, clicks_mm: ArrayLike, *, name: str, settings: TrackSettings | None = None
) -> NervePath:
    """Track a nerve between clicked points by the path of least cost.

    Parameters
    ----------
    image : Image
        CT or MR.
    clicks_mm : array_like of shape (N, 3)
        Points on the nerve, at least two, from the spine outwards.
    name : str
        Of the path.
    settings : TrackSettings, optional
        How to search.

    Returns
    -------
    NervePath
        Smoothed; its uncertainty is half a voxel of the search joined with half a pixel of the
        image, and does not cover a track that left the nerve.

    Raises
    ------
    InputError
        If fewer than two points are given or one lies outside the image.

    Notes
    -----
    The cost of a voxel is ``c0 + (1 - c0) (1 - p)``, with p the product of two Gaussians: of the
    smoothed value against that at the clicks, and of the difference to the surroundings
    (difference of two Gaussians) against that at the clicks.
    """
    settings = settings or TrackSettings()
    clicks = np.atleast_2d(np.asarray(clicks_mm, dtype=np.float64))
    if len(clicks) < 2 or clicks.shape[1] != 3:
        msg = f"{name}: expected two clicked points (x, y, z) or more, got shape {clicks.shape}"
        raise InputError(msg)
    low, high = np.asarray(image.grid.origin_mm), np.asarray(image.grid.end_mm)
    if np.any(clicks < low) or np.any(clicks > high):
        msg = f"{name}: expected clicked points inside the image, got one outside; click again"
        raise InputError(msg)
    start = np.maximum(clicks.min(axis=0) - settings.padding_mm, low)
    stop = np.minimum(clicks.max(axis=0) + settings.padding_mm, high)
    grid = _box(start, stop, (TRACK_VOXEL_MM,) * 3, image.grid.frame_uid)
    cost = _likeness_cost(_sampled(image, grid), grid, clicks, settings)
    stations = [tuple(int(v) for v in np.rint(grid.indices(p))) for p in clicks]
    route: list[NDArray[np.float64]] = []
    for here, there in pairwise(stations):
        mcp = MCP_Geometric(cost)
        mcp.find_costs([here], [there])
        part = np.asarray(mcp.traceback(there), dtype=np.float64)
        route.extend(grid.points(part if not route else part[1:]))
    half = np.hypot(0.5 * TRACK_VOXEL_MM, 0.5 * max(image.grid.spacing_mm[:2]))
    return path_from_points(
        np.array(route),
        name=name,
        frame_uid=image.grid.frame_uid,
        source=PathSource.CLICKS,
        smoothing=SMOOTHING * 8,
        uncertainty_mm=float(half),
    )


def outward(path: NervePath, *, is_from_right: bool | None = None) -> NervePath:
    """Return a path turned to run away from the spine.

    Parameters
    ----------
    path : NervePath
        In either direction.
    is_from_right : bool, optional
        Start at the end with the smaller x; None starts at the end nearer to the head, or, if
        the ends differ less in height than sideways, at the one nearer to the midline x = 0 of
        the path's own side.

    Returns
    -------
    NervePath
    """
    first, last = path.points_mm[0], path.points_mm[-1]
    if is_from_right is not None:
        is_turned = (first[0] > last[0]) if is_from_right else (first[0] < last[0])
    elif abs(first[2] - last[2]) >= 0.5 * abs(first[0] - last[0]) or not path.side:
        is_turned = bool(first[2] < last[2])
    else:
        # Roots of the right side run towards smaller x.
        is_turned = bool((first[0] < last[0]) == (path.side == "R"))
    return replace(path, points_mm=path.points_mm[::-1]) if is_turned else path


def join_paths(paths: Sequence[NervePath], *, name: str) -> NervePath:
    """Return one path through several, in their order: a root and the nerve that it enters.

    Raises
    ------
    InputError
        If none is given.
    FrameMismatchError
        If they lie in different frames.
    """
    if not paths:
        msg = f"{name}: expected paths to join, got none"
        raise InputError(msg)
    frames = {path.frame_uid for path in paths}
    if len(frames) > 1:
        msg = f"{name}: expected paths of one frame of reference, got {len(frames)}; register them"
        raise FrameMismatchError(msg)
    points = np.concatenate([path.points_mm for path in paths])
    return path_from_points(
        points,
        name=name,
        frame_uid=paths[0].frame_uid,
        source=paths[0].source,
        smoothing=SMOOTHING,
        uncertainty_mm=max(path.uncertainty_mm for path in paths),
    )


def meeting_findings(paths: Sequence[NervePath]) -> tuple[Finding, ...]:
    """Return where two paths run so close that they may follow one nerve.

    Parameters
    ----------
    paths : sequence of NervePath
        Of one frame.

    Returns
    -------
    tuple of Finding
        One for each pair that runs within `MEETING_MM` over more than `MEETING_LENGTH_MM`: roots
        do join outside the pelvis, but a path may also have left its nerve for its neighbour.
    """
    findings = []
    for n, first in enumerate(paths):
        for second in paths[n + 1 :]:
            away, _ = cKDTree(second.points_mm).query(first.points_mm)
            arc = first.arc_mm[away < MEETING_MM]
            if len(arc) * first.arc_mm[1] <= MEETING_LENGTH_MM:
                continue
            text = (
                f"{first.name} and {second.name} run within {MEETING_MM:g} mm of each other over "
                f"{len(arc) * first.arc_mm[1]:.0f} mm, from {arc[0]:.0f} mm on: they join there, "
                "or one of the paths left its nerve and measures the other"
            )
            findings.append(Finding(Severity.CAUTION, "nerve-paths-meet", text, first.name))
    return tuple(findings)


def _curve(
    chord: NDArray[np.float64], points: NDArray[np.float64], smoothing: float
) -> NDArray[np.float64]:
    """Return a finely sampled curve: straight, or a cubic (smoothing) spline."""
    fine = np.linspace(0, chord[-1], max(3, int(chord[-1] / 0.1) + 1))
    if len(points) < 5:
        return _hermite(chord, points, fine)
    splines = [make_smoothing_spline(chord, points[:, a], lam=smoothing) for a in range(3)]
    return np.stack([spline(fine) for spline in splines], axis=1)


def _hermite(
    chord: NDArray[np.float64], points: NDArray[np.float64], fine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a cubic with finite-difference slopes through two to four points."""
    if len(points) == 2:
        return np.stack([np.interp(fine, chord, points[:, a]) for a in range(3)], axis=1)
    slope = np.gradient(points, chord, axis=0)
    return np.asarray(CubicHermiteSpline(chord, points, slope)(fine))


def _evenly(fine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return points every `STEP_MM` of arc length along a finely sampled curve."""
    points = fine
    # A chord is shorter than its arc: on what came of the first round, the second is even.
    for _ in range(_EVEN_ROUNDS):
        arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        at = np.linspace(0, arc[-1], max(3, round(arc[-1] / STEP_MM) + 1))
        points = np.stack([np.interp(at, arc, points[:, a]) for a in range(3)], axis=1)
    return points


def _box(
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    voxel: tuple[float, float, float],
    frame_uid: str,
) -> Grid:
    """Return a grid over a box."""
    i, j, k = (int(np.ceil((b - a) / s)) + 1 for a, b, s in zip(low, high, voxel, strict=True))
    return Grid((k, j, i), (float(low[0]), float(low[1]), float(low[2])), voxel, frame_uid)


def _far_ends(
    cost: NDArray[np.float64], depth: NDArray[np.float64]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the two voxels of a tube that are farthest apart within it."""
    inside = np.where(cost > 0, 1.0, -1.0)
    end = tuple(int(v) for v in np.unravel_index(np.argmax(depth), depth.shape))
    ends = []
    for _ in range(3):
        reach, _trace = MCP_Geometric(inside).find_costs([end])
        reach = np.where(np.isfinite(reach), reach, -1.0)
        end = tuple(int(v) for v in np.unravel_index(np.argmax(reach), reach.shape))
        ends.append(end)
    if ends[-1] == ends[-2]:
        msg = "expected a nerve longer than a voxel, got a single one; draw more of it"
        raise InputError(msg)
    return ends[-1], ends[-2]


def _sampled(image: Image, grid: Grid) -> NDArray[np.float64]:
    """Return values of an image on a grid, linear between voxels."""
    kji = np.meshgrid(*(np.arange(n, dtype=np.float64) for n in grid.shape), indexing="ij")
    at = image.grid.indices(grid.points(np.stack(kji, axis=-1)))
    values = map_coordinates(
        image.values, np.moveaxis(at, -1, 0), output=np.float64, order=1, mode="nearest"
    )
    # Beyond a registered image nothing is known: darkest there, so that no path is led out of it.
    return np.asarray(np.nan_to_num(values, nan=float(np.nanmin(values))))


def _likeness_cost(
    values: NDArray[np.float64],
    grid: Grid,
    clicks: NDArray[np.float64],
    settings: TrackSettings,
) -> NDArray[np.float64]:
    """Return the cost of each voxel: low where it looks like the clicks."""
    sigma = settings.smoothing_mm / TRACK_VOXEL_MM
    smooth = gaussian_filter(values, sigma)
    relief = smooth - gaussian_filter(values, 4 * sigma)
    at = np.moveaxis(grid.indices(clicks), -1, 0)
    likeness = np.zeros(values.shape)
    for field, weight in ((smooth, 1.0), (relief, settings.contrast_weight)):
        shown = map_coordinates(field, at, order=1)
        # Clicks miss the middle of a nerve a little: their own spread, or that of the image's
        # finest detail, says how much alike is alike.
        spread = max(float(np.std(shown)), 0.15 * float(np.std(field)))
        likeness += weight * ((field - np.median(shown)) / spread) ** 2
    share = np.exp(-0.5 * likeness)
    return settings.least_cost + (1 - settings.least_cost) * (1 - share)
