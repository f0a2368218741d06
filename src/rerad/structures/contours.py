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
    held = values >= LEVEL if is_binary else values > 0
    slices = np.flatnonzero(np.any(values >= LEVEL, axis=(1, 2)))
    if not len(slices):
        return Structure(name, kind, grid.frame_uid, (), grid.spacing_mm[2], color)
    rows = np.flatnonzero(held.any(axis=(0, 2)))
    columns = np.flatnonzero(held.any(axis=(0, 1)))
    part = values[slices, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    # A rim of outside closes contours that touch the edge of the mask.
    padded = np.pad(part.astype(np.float64), ((0, 0), (1, 1), (1, 1)))
    drawn = [_trace(plane) for plane in padded]
    if is_binary:
        drawn = _drawn_safely(padded, drawn, name)
    corner = np.array(grid.origin_mm[:2]) + grid.spacing_mm[:2] * np.array(
        [columns[0] - 1.0, rows[0] - 1.0]
    )
    z_mm = grid.axes_mm[2]
    contours = tuple(
        Contour(float(z_mm[k]), corner + polygon * np.asarray(grid.spacing_mm[:2]))
        for k, polygons in zip(slices, drawn, strict=True)
        for polygon in polygons
    )
    return Structure(name, kind, grid.frame_uid, contours, grid.spacing_mm[2], color)


def _drawn_safely(
    wanted: NDArray[np.float64], drawn: list[list[NDArray[np.float64]]], name: str
) -> list[list[NDArray[np.float64]]]:
    """Draw again, voxels near a tie pushed away from it, until every voxel is on its side."""
    values = wanted.copy()
    safe = list(drawn)
    open_slices = np.arange(len(wanted))
    for _ in range(_N_NUDGES):
        is_inside = wanted[open_slices] >= LEVEL
        coverage = _coverage([safe[k] for k in open_slices], wanted.shape[1:])
        doubtful = np.where(is_inside, coverage, 1 - coverage) < LEVEL + _SAFE_MARGIN
        push = np.where(is_inside, _NUDGE, -_NUDGE) * doubtful
        is_open = doubtful.any(axis=(1, 2))
        values[open_slices] += push
        open_slices = open_slices[is_open]
        if not len(open_slices):
            return safe
        for k in open_slices:
            safe[k] = _trace(values[k])
    if np.any((_coverage(safe, wanted.shape[1:]) >= LEVEL) != (wanted >= LEVEL)):
        msg = f"{name}: contours drawn around the mask do not give the mask back"
        raise ComputationError(msg)
    return safe


def _coverage(
    drawn: list[list[NDArray[np.float64]]], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return the share of each voxel of several slices inside the polygons of each."""
    polygons = [polygon for of_slice in drawn for polygon in of_slice]
    result: NDArray[np.float32] = rasterize_stack(
        np.concatenate(polygons) + 0.5,
        np.cumsum([len(polygon) for polygon in polygons], dtype=np.int64),
        np.cumsum([len(of_slice) for of_slice in drawn], dtype=np.int64),
        np.eye(len(drawn)),
        (len(drawn), shape[0], shape[1]),
    )
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
