"""From masks to contours, so that the contours give the same mask back."""

import contourpy
import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core import Contour, Grid, Structure, StructureKind
from rerad.errors import ComputationError, GridMismatchError, InputError
from rerad.kernels.rasterize import rasterize_stack

LEVEL = 0.5
"""A voxel belongs to the structure if at least half of it is inside."""

_NUDGE = 0.2
_SAFE_MARGIN = 0.02
_N_NUDGES = 5


def contours_from_mask(
    fraction: ArrayLike,
    grid: Grid,
    *,
    name: str,
    kind: StructureKind,
    color: tuple[int, int, int] = (255, 255, 255),
) -> Structure:
    """Draw contours around the voxels of a mask.

    Holes are contours of their own; contours of one plane combine by exclusive or.

    Parameters
    ----------
    fraction : array_like of shape (K, J, I)
        True or false, or the share of each voxel inside, 0 to 1.
    grid : Grid
        Where the voxels are; one plane of contours is drawn per slice.
    name, kind, color
        Of the structure.

    Returns
    -------
    Structure
        Contours at half a voxel's share, through the middle between voxel centres where the mask
        is true or false. Empty if no voxel reaches half.

    Raises
    ------
    GridMismatchError
        If mask and grid differ in shape.
    InputError
        If a share is not finite.

    Notes
    -----
    For a mask of true and false, ``rasterize(structure, grid).on(grid) >= 0.5`` is that mask,
    voxel by voxel. A line half-way between centres alone would not do: around a single voxel it
    encloses exactly half of it, and rounding would decide. Such voxels are drawn a little larger
    (or, as holes, larger holes). Corners on a straight line are left out.
    """
    values = np.asarray(fraction)
    if values.shape != grid.shape:
        msg = f"{name}: expected a mask of shape {grid.shape}, got {values.shape}"
        raise GridMismatchError(msg)
    is_binary = values.dtype == np.bool_ or bool(np.all((values == 0) | (values == 1)))
    if not is_binary and not np.all(np.isfinite(values)):
        msg = f"{name}: expected shares of 0 to 1, got a value that is not finite"
        raise InputError(msg)
    z_mm = grid.axes_mm[2]
    contours = []
    for k in np.flatnonzero(np.any(values >= LEVEL, axis=(1, 2))):
        for corners in _plane_polygons(values[k].astype(np.float64), is_binary=is_binary):
            points = np.asarray(grid.origin_mm[:2]) + corners * np.asarray(grid.spacing_mm[:2])
            contours.append(Contour(float(z_mm[k]), points))
    return Structure(name, kind, grid.frame_uid, tuple(contours), grid.spacing_mm[2], color)


def _plane_polygons(values: NDArray[np.float64], *, is_binary: bool) -> list[NDArray[np.float64]]:
    """Return the polygons ``(i, j)`` of one slice, in continuous indices."""
    rows = np.flatnonzero(np.any(values > 0, axis=1))
    columns = np.flatnonzero(np.any(values > 0, axis=0))
    j0, i0 = rows[0], columns[0]
    # A rim of outside closes contours that touch the edge of the mask.
    part = np.pad(values[j0 : rows[-1] + 1, i0 : columns[-1] + 1], 1)
    polygons = _trace(part)
    if is_binary:
        polygons = _trace_until_safe(part, polygons)
    return [polygon + np.array([i0 - 1, j0 - 1]) for polygon in polygons]


def _trace_until_safe(
    wanted: NDArray[np.float64], polygons: list[NDArray[np.float64]]
) -> list[NDArray[np.float64]]:
    """Draw again, voxels near a tie pushed away from it, until every voxel is on its side."""
    values = wanted.copy()
    is_inside = wanted >= LEVEL
    for _ in range(_N_NUDGES):
        coverage = _coverage(polygons, wanted.shape)
        doubtful = np.where(is_inside, coverage, 1 - coverage) < LEVEL + _SAFE_MARGIN
        if not doubtful.any():
            return polygons
        values[doubtful] += np.where(is_inside[doubtful], _NUDGE, -_NUDGE)
        polygons = _trace(values)
    if np.any((_coverage(polygons, wanted.shape) >= LEVEL) != is_inside):
        msg = "contours drawn around a mask do not give the mask back"
        raise ComputationError(msg)
    return polygons


def _coverage(polygons: list[NDArray[np.float64]], shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return the share of each voxel of one slice inside the polygons."""
    result: NDArray[np.float32] = rasterize_stack(
        np.concatenate(polygons) + 0.5,
        np.cumsum([len(polygon) for polygon in polygons], dtype=np.int64),
        np.array([len(polygons)], dtype=np.int64),
        np.ones((1, 1)),
        (1, shape[0], shape[1]),
    )[0]
    return result


def _trace(values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Return closed polygons at half, without the repeated last corner."""
    lines = contourpy.contour_generator(z=values).lines(LEVEL)
    polygons = (_without_straight_corners(np.asarray(line)[:-1]) for line in lines)
    return [polygon for polygon in polygons if len(polygon) >= 3]


def _without_straight_corners(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Leave out corners at which the polygon does not turn."""
    before = points - np.roll(points, 1, axis=0)
    after = np.roll(points, -1, axis=0) - points
    turn = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0])
    kept: NDArray[np.float64] = points[turn > 1e-9]
    return kept
