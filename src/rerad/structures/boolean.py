"""Union, intersection and difference of masks on crops of one grid.

Shares are combined voxel by voxel: the larger for a union, the smaller for an intersection, and
for a difference what the second leaves of the voxel. For shares of 0 and 1 this is exact; where
both surfaces cross one voxel it is a bound of what the shares alone allow.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Grid, Mask
from rerad.structures.margin import cropped


def unite(first: Mask, second: Mask, *, name: str | None = None) -> Mask:
    """Return what is in either mask.

    Parameters
    ----------
    first, second : Mask
        On crops of one grid.
    name : str or None
        Of the result; None keeps the name of `first`.

    Returns
    -------
    Mask
        Of the kind of `first`, on the smallest grid that holds it.

    Raises
    ------
    FrameMismatchError, GridMismatchError
        If the two are not on crops of one grid.
    """
    box, a, b = _together(first, second)
    return _result(first, np.maximum(a, b), box, name)


def intersect(first: Mask, second: Mask, *, name: str | None = None) -> Mask:
    """Return what is in both masks; all shares are 0 if they do not meet.

    Parameters, result and errors are those of :func:`unite`.
    """
    box, a, b = _together(first, second)
    return _result(first, np.minimum(a, b), box, name)


def subtract(first: Mask, second: Mask, *, name: str | None = None) -> Mask:
    """Return what is in the first mask and not in the second.

    Parameters, result and errors are those of :func:`unite`.
    """
    box, a, b = _together(first, second)
    return _result(first, np.minimum(a, 1 - b), box, name)


def _together(first: Mask, second: Mask) -> tuple[Grid, NDArray[np.float32], NDArray[np.float32]]:
    """Return the smallest grid that holds both masks, and their shares on it."""
    first.grid.require_same_frame(second.grid, f"{first.name} and {second.name}")
    offset = np.rint(first.grid.indices(second.grid.origin_mm)).astype(int)
    start = np.minimum(0, offset)
    stop = np.maximum(first.grid.shape, offset + second.grid.shape)
    x, y, z = (float(v) for v in first.grid.points(start))
    k, j, i = (int(n) for n in stop - start)
    box = Grid((k, j, i), (x, y, z), first.grid.spacing_mm, first.grid.frame_uid)
    return box, first.on(box), second.on(box)


def _result(like: Mask, fraction: NDArray[np.float32], box: Grid, name: str | None) -> Mask:
    """Return the mask of a combination."""
    return cropped(replace(like, name=name or like.name, fraction=fraction, grid=box))
