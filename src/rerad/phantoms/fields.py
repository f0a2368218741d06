"""Signed distances on boxes of a grid: joining, cutting, and masks made from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Grid, Mask, StructureKind


@dataclass(frozen=True, eq=False)
class Field:
    """A signed distance on a box of a grid.

    Parameters
    ----------
    start : tuple of int
        Index ``(k, j, i)`` of the box in the grid.
    sdf : ndarray of shape (K, J, I)
        Signed distance in mm, negative inside.
    """

    start: tuple[int, int, int]
    sdf: NDArray[np.float32]

    @property
    def region(self) -> tuple[slice, slice, slice]:
        """Index slices of the box."""
        a, n = self.start, self.sdf.shape
        return (
            slice(a[0], a[0] + n[0]),
            slice(a[1], a[1] + n[1]),
            slice(a[2], a[2] + n[2]),
        )


def union(*fields: Field, blend_mm: float = 0.0) -> Field:
    """Return the union of fields on the smallest box around them, blended over `blend_mm`."""
    start = tuple(min(f.start[a] for f in fields) for a in range(3))
    stop = [max(f.start[a] + f.sdf.shape[a] for f in fields) for a in range(3)]
    far = np.float32(50.0)
    out = np.full([b - a for a, b in zip(start, stop, strict=True)], far, dtype=np.float32)
    whole = Field((start[0], start[1], start[2]), out)
    for f in fields:
        part = out[_inside(whole, f)]
        if blend_mm > 0:
            gap = np.maximum(blend_mm - np.abs(part - f.sdf), 0)
            np.minimum(part, f.sdf, out=part)
            part -= gap * gap / np.float32(4 * blend_mm)
        else:
            np.minimum(part, f.sdf, out=part)
    return whole


def carved(field: Field, *others: Field, gap_mm: float = 0.0) -> Field:
    """Return a field without others and a gap around them."""
    out = field.sdf.copy()
    for other in others:
        mine, theirs = _overlap(field, other)
        np.maximum(out[mine], np.float32(gap_mm) - other.sdf[theirs], out=out[mine])
    return Field(field.start, out)


def within(field: Field, other: Field, inset_mm: float = 0.0) -> Field:
    """Return the part of a field that lies inside another by at least `inset_mm`."""
    out = np.full_like(field.sdf, 50.0)
    mine, theirs = _overlap(field, other)
    out[mine] = np.maximum(field.sdf[mine], other.sdf[theirs] + np.float32(inset_mm))
    return Field(field.start, out)


def _inside(whole: Field, part: Field) -> tuple[slice, slice, slice]:
    k, j, i = (
        slice(b - a, b - a + n)
        for a, b, n in zip(whole.start, part.start, part.sdf.shape, strict=True)
    )
    return k, j, i


def _overlap(
    field: Field, other: Field
) -> tuple[tuple[slice, slice, slice], tuple[slice, slice, slice]]:
    low = [max(a, b) for a, b in zip(field.start, other.start, strict=True)]
    high = [
        max(lo, min(a + n, b + m))
        for lo, a, n, b, m in zip(
            low, field.start, field.sdf.shape, other.start, other.sdf.shape, strict=True
        )
    ]
    mine = tuple(slice(lo - a, hi - a) for lo, hi, a in zip(low, high, field.start, strict=True))
    theirs = tuple(slice(lo - b, hi - b) for lo, hi, b in zip(low, high, other.start, strict=True))
    return (mine[0], mine[1], mine[2]), (theirs[0], theirs[1], theirs[2])


def mask_of(
    name: str,
    kind: StructureKind,
    inside: NDArray[np.bool_],
    start: tuple[int, int, int],
    grid: Grid,
) -> Mask:
    """Return a mask on the tightest crop of `grid` around the true voxels of a box."""
    spans = tight_box(inside)
    crop = grid.crop(
        (start[0] + spans[0].start, start[1] + spans[1].start, start[2] + spans[2].start),
        (start[0] + spans[0].stop, start[1] + spans[1].stop, start[2] + spans[2].stop),
    )
    fraction = inside[spans].astype(np.float32)
    # Read-only already, so that the mask need not copy it.
    fraction.setflags(write=False)
    return Mask(name, kind, fraction, crop)


def tight_box(inside: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """Return the smallest box around the true voxels; one voxel if there are none."""
    k = _span(np.flatnonzero(inside.any(axis=(1, 2))))
    plane: NDArray[np.bool_] = np.asarray(inside[k].any(axis=0))
    return k, _span(np.flatnonzero(plane.any(axis=1))), _span(np.flatnonzero(plane.any(axis=0)))


def _span(at: NDArray[np.intp]) -> slice:
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 1)
