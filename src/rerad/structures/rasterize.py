"""From contours to masks: the share of each voxel that lies inside.

In the plane, coverage is exact along rows and sampled by sixteen lines per row across them; along
z each contour stands for its slab (see :mod:`rerad.structures.planes`) and a grid slice takes from
every slab the share by which the two overlap. So any grid will do, finer, coarser or shifted.
"""

import numpy as np
from numpy.typing import NDArray

from rerad.core import Grid, Mask, Structure
from rerad.errors import FrameMismatchError, InputError
from rerad.kernels.rasterize import rasterize_stack
from rerad.structures.planes import PlaneStack, stack_planes


def rasterize(structure: Structure, grid: Grid) -> Mask:
    """Compute which share of each voxel of `grid` lies inside a structure.

    Parameters
    ----------
    structure : Structure
        Contours; those of one plane combine by exclusive or.
    grid : Grid
        Any grid in the structure's frame of reference.

    Returns
    -------
    Mask
        Fractions 0 to 1 on the smallest crop of `grid` that holds all of the structure that
        `grid` can hold.

    Raises
    ------
    FrameMismatchError
        If the grid is in another frame of reference.
    InputError
        If the structure has no contours or lies outside the grid.

    Notes
    -----
    A contour smaller than a voxel keeps its area as a fraction; it does not vanish.
    """
    if structure.frame_uid != grid.frame_uid:
        msg = (
            f"{structure.name}: expected contours in frame of reference {grid.frame_uid}, got "
            f"{structure.frame_uid}; register the two and map through the transform"
        )
        raise FrameMismatchError(msg)
    stack = stack_planes(structure)
    crop = _crop_around(stack, grid, structure.name)
    sx, sy, _ = crop.spacing_mm
    corner = np.array([crop.origin_mm[0] - sx / 2, crop.origin_mm[1] - sy / 2])
    fraction = rasterize_stack(
        (stack.points_mm - corner) / np.array([sx, sy]),
        stack.ends,
        stack.plane_ends,
        _overlaps(stack, crop),
        crop.shape,
    )
    return Mask(structure.name, structure.kind, fraction, crop)


def _overlaps(stack: PlaneStack, grid: Grid) -> NDArray[np.float64]:
    """Return the share of each grid slice that lies in each plane's slab, shape (K, P)."""
    z_mm, thickness = grid.axes_mm[2], grid.spacing_mm[2]
    low = np.maximum((z_mm - thickness / 2)[:, None], stack.bottom_mm)
    high = np.minimum((z_mm + thickness / 2)[:, None], stack.top_mm)
    share = np.maximum(high - low, 0.0) / thickness
    # Rounding of plane heights would otherwise leave slivers of neighbouring slabs in a slice.
    return np.where(share < 1e-4, 0.0, share)


def _crop_around(stack: PlaneStack, grid: Grid, name: str) -> Grid:
    """Return the smallest crop of `grid` that holds every voxel touched by the structure."""
    low = np.array([*stack.points_mm.min(axis=0), stack.bottom_mm[0]])
    high = np.array([*stack.points_mm.max(axis=0), stack.top_mm[-1]])
    # Voxel n reaches from n - 0.5 to n + 0.5; a face that is only touched is not entered.
    first = np.floor(grid.indices(low) + 0.5 + 1e-6).astype(int)
    stop = np.ceil(grid.indices(high) + 0.5 - 1e-6).astype(int)
    start = np.maximum(first, 0)
    stop = np.minimum(np.maximum(stop, first + 1), grid.shape)
    if np.any(start >= stop):
        msg = (
            f"{name}: lies outside the grid (structure {_box(low, high)} mm, grid "
            f"{_box(np.asarray(grid.origin_mm), np.asarray(grid.end_mm))} mm); use a grid that "
            "covers it"
        )
        raise InputError(msg)
    k0, j0, i0 = (int(v) for v in start)
    k1, j1, i1 = (int(v) for v in stop)
    return grid.crop((k0, j0, i0), (k1, j1, i1))


def _box(low: NDArray[np.float64], high: NDArray[np.float64]) -> str:
    """Return a box in words."""
    ranges = (f"{a:.1f}..{b:.1f}" for a, b in zip(low, high, strict=True))
    return " x ".join(ranges)
