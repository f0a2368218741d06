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
from scipy.spatial import cKDTree

Points = Sequence[Sequence[float]] | NDArray[np.float64]


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
        table = np.asarray(self.table * np.array([-1.0, 1.0, 1.0]))
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
    radius = np.interp(fine, t, knots[:, 3])
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
    return np.asarray(segments * np.array([-1.0, 1, 1, 1, -1.0, 1, 1, 1]))
