"""Swept shapes in anatomy coordinates, and their distance fields on a visit's grid.

Anatomy coordinates are mm in the sense of LPS with the origin midway between the centres of the
femoral heads: x to the left, y to the back, z to the head. Spine coordinates straighten the
curve of the vertebral column: x, offset behind the curve, arc length along it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

from rerad.core import Grid, Mask, RigidTransform, StructureKind
from rerad.kernels.phantom import enlarge, sample_noise, section_distance, tube_distance

Points = Sequence[Sequence[float]] | NDArray[np.float64]

FAR_MM = 6.0
"""Distance beyond which a tube's field is not computed."""


@dataclass(frozen=True, eq=False)
class Spine:
    """The sagittal curve of the vertebral column.

    Parameters
    ----------
    curve_mm : ndarray of shape (N, 2)
        ``(y, z)`` along the centres of the vertebral bodies, from below upwards, finely sampled.
    arc_mm : ndarray of shape (N,)
        Arc length at each.
    normal : ndarray of shape (N, 2)
        Unit vector to the back at each.
    table : ndarray of shape (Y, Z, 2)
        (offset, arc length) over the sagittal plane.
    table_first_mm : ndarray of shape (2,)
        ``(y, z)`` of the table's first entry; its spacing is 1 mm.
    """

    curve_mm: NDArray[np.float64]
    arc_mm: NDArray[np.float64]
    normal: NDArray[np.float64]
    table: NDArray[np.float64]
    table_first_mm: NDArray[np.float64]

    @classmethod
    def through(cls, knots_mm: Points) -> "Spine":
        """Return the curve through ``(y, z)`` knots given from below upwards."""
        knots = np.asarray(knots_mm, dtype=np.float64)
        chord = np.concatenate(([0.0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))))
        spline = _smooth_curve(chord, knots)
        t = np.arange(-30.0, chord[-1] + 30.0, 0.25)
        curve = spline(np.clip(t, 0, chord[-1]))
        slope = spline(np.clip(t, 0, chord[-1]), 1)
        slope /= np.hypot(*slope.T)[:, None]
        beyond = t - np.clip(t, 0, chord[-1])
        curve += beyond[:, None] * slope
        step = np.hypot(*np.diff(curve, axis=0).T)
        arc = np.concatenate(([0.0], np.cumsum(step))) + t[0]
        normal = np.stack([slope[:, 1], -slope[:, 0]], axis=1)
        y, z = np.arange(-70.0, 141.0), np.arange(-80.0, 281.0)
        plane = np.stack(np.meshgrid(y, z, indexing="ij"), axis=-1)
        _, nearest = cKDTree(curve).query(plane)
        offset = np.sum((plane - curve[nearest]) * normal[nearest], axis=-1)
        table = np.stack([offset, arc[nearest]], axis=-1)
        return cls(curve, arc, normal, table, np.array([y[0], z[0]]))

    def arc_at(self, y_mm: float, z_mm: float) -> float:
        """Return the arc length nearest to a point of the sagittal plane."""
        distance = np.hypot(self.curve_mm[:, 0] - y_mm, self.curve_mm[:, 1] - z_mm)
        return float(self.arc_mm[np.argmin(distance)])

    def to_anatomy(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry (x, offset, arc length, ...) to (x, y, z, ...)."""
        out = np.array(points, dtype=np.float64)
        at = points[..., 2]
        for axis in range(2):
            centre = np.interp(at, self.arc_mm, self.curve_mm[:, axis])
            out[..., 1 + axis] = centre + points[..., 1] * np.interp(
                at, self.arc_mm, self.normal[:, axis]
            )
        return out


@dataclass(frozen=True, eq=False)
class Section:
    """A shape given by cross sections along z, or along the spine.

    Parameters
    ----------
    table : ndarray of shape (S, N, 3)
        Points (u, v, radius) of each section.
    first_mm, step_mm : float
        Axis coordinate of the first section, and spacing.
    is_closed : bool
        Polygon, or chain of discs.
    is_bent : bool
        Along the spine (true) or along z.
    """

    table: NDArray[np.float64]
    first_mm: float
    step_mm: float
    is_closed: bool
    is_bent: bool = False

    def mirrored(self) -> "Section":
        """Return the shape of the other side."""
        table = self.table * np.array([-1.0, 1.0, 1.0])
        return Section(table, self.first_mm, self.step_mm, self.is_closed, self.is_bent)


def chain(keys: Mapping[float, Points], *, is_bent: bool = False) -> Section:
    """Return a plate: at each key height a chain of discs ``(x, y, radius)``."""
    heights = np.array(sorted(keys))
    stack = np.array([keys[h] for h in heights], dtype=np.float64)
    return _interpolated(heights, stack, is_closed=False, is_bent=is_bent)


def solid(
    keys: Mapping[float, Points], *, is_bent: bool = False, is_half: bool = False
) -> Section:
    """Return a solid: at each key height a smooth closed curve through ``(x, y)`` points.

    With `is_half` the points run from the front midline along the left to the back midline and
    the right half is their mirror image.
    """
    heights = np.array(sorted(keys))
    rings = []
    for height in heights:
        ring = np.asarray(keys[height], dtype=np.float64)
        if is_half:
            other = ring[::-1] * np.array([-1.0, 1.0])
            ring = np.concatenate([ring, other[1:-1]])
        rings.append(_smooth_ring(ring))
    stack = np.array(rings)
    stack = np.concatenate([stack, np.zeros((*stack.shape[:2], 1))], axis=-1)
    return _interpolated(heights, stack, is_closed=True, is_bent=is_bent)


def _smooth_ring(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    closed = np.concatenate([ring, ring[:1]])
    chord = np.sqrt(np.maximum(np.hypot(*np.diff(closed, axis=0).T), 1e-3))
    t = np.concatenate(([0.0], np.cumsum(chord)))
    # Slopes at the seam come from one turn more on either side.
    around = np.concatenate([closed[-3:-1], closed, closed[1:3]])
    before, after = t[-3:-1] - t[-1], t[1:3] + t[-1]
    spline = _smooth_curve(np.concatenate([before, t, after]), around)
    # The same number of samples between neighbouring points keeps points of one key with those
    # of the next.
    parts = [np.linspace(a, b, 4, endpoint=False) for a, b in pairwise(t)]
    fine = np.concatenate(parts)
    return np.asarray(spline(fine))


def _interpolated(
    heights: NDArray[np.float64], stack: NDArray[np.float64], *, is_closed: bool, is_bent: bool
) -> Section:
    step = 0.5
    at = np.arange(heights[0], heights[-1] + 0.5 * step, step)
    table = PchipInterpolator(heights, stack)(np.minimum(at, heights[-1]))
    return Section(np.ascontiguousarray(table), float(at[0]), step, is_closed, is_bent)


def tube(points: Points, spacing_mm: float = 3.0) -> NDArray[np.float64]:
    """Return segments (M, 8) of a smooth tube through ``(x, y, z, radius)`` points."""
    knots = np.atleast_2d(np.asarray(points, dtype=np.float64))
    if len(knots) == 1:
        return np.concatenate([knots, knots], axis=1)
    chord = np.linalg.norm(np.diff(knots[:, :3], axis=0), axis=1)
    t = np.concatenate(([0.0], np.cumsum(chord)))
    n = max(2, round(t[-1] / spacing_mm) + 1)
    fine = np.linspace(0, t[-1], n)
    path = _smooth_curve(t, knots[:, :3])(fine)
    radius = PchipInterpolator(t, knots[:, 3])(fine)
    samples = np.concatenate([path, radius[:, None]], axis=1)
    return np.concatenate([samples[:-1], samples[1:]], axis=1)


def _smooth_curve(t: NDArray[np.float64], knots: NDArray[np.float64]) -> CubicHermiteSpline:
    """Return the cubic through knots whose slopes are those of the parabolas through three."""
    step = np.diff(t)[:, None]
    rise = np.diff(knots, axis=0) / step
    slope = np.empty_like(knots)
    slope[0], slope[-1] = rise[0], rise[-1]
    total = step[:-1] + step[1:]
    slope[1:-1] = (step[1:] * rise[:-1] + step[:-1] * rise[1:]) / total
    return CubicHermiteSpline(t, knots, slope)


def mirrored(segments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the tube of the other side."""
    return segments * np.array([-1.0, 1, 1, 1, -1.0, 1, 1, 1])


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


@dataclass(frozen=True, eq=False)
class Placement:
    """A grid of a visit and how anatomy lies in it.

    Parameters
    ----------
    grid : Grid
        Voxels.
    from_anatomy : RigidTransform
        Map from anatomy coordinates to the grid's frame.
    spine : Spine
        Curve of the vertebral column.
    """

    grid: Grid
    from_anatomy: RigidTransform
    spine: Spine

    @property
    def to_anatomy(self) -> NDArray[np.float64]:
        """Matrix (3, 4) from points of the frame to anatomy coordinates."""
        return np.ascontiguousarray(self.from_anatomy.inverse().matrix[:3])

    @property
    def index_to_anatomy(self) -> NDArray[np.float64]:
        """Matrix (3, 4) from indices ``(i, j, k)`` to anatomy coordinates."""
        return np.ascontiguousarray((self.from_anatomy.inverse().matrix @ self.grid.affine)[:3])

    def box(
        self, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Return start and shape of the voxels between two corners in the frame."""
        low = np.ceil(self.grid.indices(low_mm)).astype(int)
        high = np.floor(self.grid.indices(high_mm)).astype(int) + 1
        size = np.asarray(self.grid.shape)
        low = np.clip(low, 0, size - 1)
        high = np.clip(high, low + 1, size)
        k, j, i = (int(v) for v in low)
        nk, nj, ni = (int(v) for v in high - low)
        return (k, j, i), (nk, nj, ni)

    def first_mm(self, start: tuple[int, int, int]) -> NDArray[np.float64]:
        """Return ``(x, y, z)`` of a voxel in the frame."""
        return np.asarray(self.grid.points(start))

    def moved(self, segments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return tube segments carried from anatomy coordinates into the frame."""
        out = segments.copy()
        out[:, 0:3] = self.from_anatomy.apply(segments[:, 0:3])
        out[:, 4:7] = self.from_anatomy.apply(segments[:, 4:7])
        return out

    def tubes(self, *segments: NDArray[np.float64], reach_mm: float = FAR_MM) -> Field:
        """Return the field of the union of tubes given in anatomy coordinates."""
        moved = self.moved(np.concatenate(segments))
        ends = np.concatenate([moved[:, :4], moved[:, 4:]])
        grow = ends[:, 3:] + reach_mm
        low, high = (ends[:, :3] - grow).min(axis=0), (ends[:, :3] + grow).max(axis=0)
        start, shape = self.box(low, high)
        step = np.asarray(self.grid.spacing_mm)
        return Field(start, tube_distance(self.first_mm(start), step, shape, moved, reach_mm))

    def section(self, shape: Section, *, reach_mm: float = 3.0, coarse_mm: float = 2.0) -> Field:
        """Return the field of a swept section, computed at about `coarse_mm` in the plane."""
        start, size = self._section_box(shape, reach_mm)
        factor = max(1, int(coarse_mm / self.grid.spacing_mm[0] + 0.1))
        nk, nj, ni = size
        small = (nk, (nj - 1) // factor + 2, (ni - 1) // factor + 2)
        step = np.asarray(self.grid.spacing_mm) * np.array([factor, factor, 1])
        bend = self.spine.table if shape.is_bent else np.zeros((1, 1, 2))
        sdf = section_distance(
            self.first_mm(start),
            step,
            small if factor > 1 else size,
            self.to_anatomy,
            bend,
            self.spine.table_first_mm,
            1.0,
            shape.table,
            shape.first_mm,
            shape.step_mm,
            shape.is_closed,
        )
        return Field(start, enlarge(sdf, factor, size) if factor > 1 else sdf)

    def roughened(
        self, field: Field, texture: NDArray[np.float32], amount_mm: float, grain_mm: float
    ) -> Field:
        """Return a field whose surface is moved in and out by a smooth texture."""
        noise = sample_noise(
            self.first_mm(field.start),
            np.asarray(self.grid.spacing_mm),
            field.sdf.shape,
            self.to_anatomy,
            texture,
            grain_mm,
        )
        noise *= np.float32(amount_mm)
        noise += field.sdf
        return Field(field.start, noise)

    def _section_box(
        self, shape: Section, reach_mm: float
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        rows, n, _ = shape.table.shape
        at = shape.first_mm + shape.step_mm * np.arange(rows)
        points = np.stack(
            [shape.table[..., 0], shape.table[..., 1], np.broadcast_to(at[:, None], (rows, n))], -1
        )
        if shape.is_bent:
            points = self.spine.to_anatomy(points)
        radius = shape.table[..., 2].max() if not shape.is_closed else 0.0
        flat = self.from_anatomy.apply(points.reshape(-1, 3))
        grow = radius + reach_mm
        return self.box(flat.min(axis=0) - grow, flat.max(axis=0) + grow)


def make_texture(seed: int) -> NDArray[np.float32]:
    """Return a periodic cube of correlated noise of mean 0 and standard deviation 1."""
    rng = np.random.default_rng([seed, 1])
    cube = gaussian_filter(rng.standard_normal((64, 64, 64)), 0.7, mode="wrap")
    cube = (cube - cube.mean()) / cube.std()
    return np.asarray(cube, dtype=np.float32)


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
    k = _span(inside.any(axis=(1, 2)))
    plane = inside[k].any(axis=0)
    return k, _span(plane.any(axis=1)), _span(plane.any(axis=0))


def _span(hit: NDArray[np.bool_]) -> slice:
    at = np.flatnonzero(hit)
    return slice(int(at[0]), int(at[-1]) + 1) if len(at) else slice(0, 1)
