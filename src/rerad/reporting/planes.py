"""Cutting images, doses and structures with axial, coronal and sagittal planes.

A picture has a horizontal and a vertical axis in mm of the patient system: axial (x, y), coronal
(x, z), sagittal (y, z).
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from contourpy import LineType, contour_generator
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, map_coordinates

from rerad.core import Grid, Image, Mask, RigidTransform, Structure, StructureKind
from rerad.planning.result import CaseResult

_SAMPLE_MM = 0.5
"""Distance of the samples along the line where a contour is cut."""


class View(Enum):
    """A direction to look in: (normal, horizontal, vertical) as axes of (x, y, z)."""

    AXIAL = (2, 0, 1)
    CORONAL = (1, 0, 2)
    SAGITTAL = (0, 1, 2)

    @property
    def normal(self) -> int:
        """Axis across the plane."""
        return self.value[0]

    @property
    def horizontal(self) -> int:
        """Axis along the picture's width."""
        return self.value[1]

    @property
    def vertical(self) -> int:
        """Axis along the picture's height."""
        return self.value[2]

    @property
    def letters(self) -> tuple[str, str, str, str]:
        """Patient directions at left, right, top and bottom of the picture."""
        return {
            View.AXIAL: ("R", "L", "A", "P"),
            View.CORONAL: ("R", "L", "S", "I"),
            View.SAGITTAL: ("A", "P", "S", "I"),
        }[self]


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane across the patient at `position_mm` along the view's normal."""

    view: View
    position_mm: float

    @property
    def label(self) -> str:
        """Name of the coordinate with its value."""
        return f"{'xyz'[self.view.normal]} = {self.position_mm:.0f} mm".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Window:
    """Part of a plane, in mm: low and high of the horizontal and of the vertical axis."""

    horizontal: tuple[float, float]
    vertical: tuple[float, float]

    @property
    def aspect(self) -> float:
        """Height over width."""
        return (self.vertical[1] - self.vertical[0]) / (self.horizontal[1] - self.horizontal[0])


@dataclass(frozen=True, eq=False, slots=True)
class Cut:
    """Values on a plane, ``[vertical, horizontal]``, with the coordinates of their centres."""

    values: NDArray[np.float32]
    horizontal_mm: NDArray[np.float64]
    vertical_mm: NDArray[np.float64]


def target_point(result: CaseResult) -> tuple[float, float, float]:
    """Return the point (x, y, z) in mm that the pictures are cut through.

    The point of the GTV nearest to its centroid, so that every plane meets the GTV even if it is
    bent or in parts; CTV, PTV or the hottest voxel where there is no GTV.
    """
    for kind in (StructureKind.GTV, StructureKind.CTV, StructureKind.PTV):
        masks = [m for m in result.masks.values() if m.kind is kind and m.volume_cc > 0]
        if masks:
            return _nearest_to_centroid(masks)
    dose = result.planned.physical
    hottest = np.unravel_index(np.nanargmax(dose.values), dose.values.shape)
    x, y, z = (float(v) for v in dose.grid.points(hottest))
    return x, y, z


def _nearest_to_centroid(masks: list[Mask]) -> tuple[float, float, float]:
    points, weights = [], []
    for mask in masks:
        inside = np.argwhere(mask.fraction > 0)
        points.append(mask.grid.points(inside))
        weights.append(mask.fraction[tuple(inside.T)].astype(np.float64))
    point, weight = np.concatenate(points), np.concatenate(weights)
    centroid = np.average(point, axis=0, weights=weight)
    core = point[weight >= 0.5 * weight.max()]
    x, y, z = (float(v) for v in core[np.argmin(np.sum((core - centroid) ** 2, axis=1))])
    return x, y, z


def cut(values: NDArray[np.generic], grid: Grid, plane: Plane, window: Window) -> Cut | None:
    """Cut voxel values with a plane, linearly between the two nearest layers.

    Returns
    -------
    Cut or None
        Only what lies in `window`; None where the plane or the window misses the grid.
    """
    view = plane.view
    h = _range(grid, view.horizontal, window.horizontal)
    v = _range(grid, view.vertical, window.vertical)
    n = grid.shape[2 - view.normal]
    at = (plane.position_mm - grid.origin_mm[view.normal]) / grid.spacing_mm[view.normal]
    if h is None or v is None or not -0.5 <= at <= n - 0.5:
        return None
    at = min(max(at, 0.0), n - 1.0)
    below = min(int(at), max(n - 2, 0))
    share = at - below

    def layer(index: int) -> NDArray[np.float32]:
        key: list[slice | int] = [slice(None)] * 3
        key[2 - view.normal], key[2 - view.horizontal], key[2 - view.vertical] = index, h, v
        return np.asarray(values[tuple(key)], dtype=np.float32)

    flat = layer(below)
    if share > 1e-6:
        flat = np.float32(1 - share) * flat + np.float32(share) * layer(below + 1)
    axes = grid.axes_mm
    return Cut(flat, axes[view.horizontal][h], axes[view.vertical][v])


def _range(grid: Grid, axis: int, low_high: tuple[float, float]) -> slice | None:
    """Indices along one axis that cover an interval in mm."""
    low, high = ((v - grid.origin_mm[axis]) / grid.spacing_mm[axis] for v in low_high)
    start = max(int(np.floor(low)), 0)
    stop = min(int(np.ceil(high)) + 1, grid.shape[2 - axis])
    return slice(start, stop) if stop - start >= 2 else None


def cut_mapped(
    image: Image, transform: RigidTransform, plane: Plane, window: Window, step_mm: float
) -> Cut:
    """Cut an image of another frame with a plane of the frame that `transform` leads to.

    Returns
    -------
    Cut
        Linear in the voxels; NaN outside the image.
    """
    view = plane.view
    h = np.arange(*window.horizontal, step_mm)
    v = np.arange(*window.vertical, step_mm)
    points = np.empty((len(v), len(h), 3))
    points[..., view.normal] = plane.position_mm
    points[..., view.horizontal] = h
    points[..., view.vertical] = v[:, None]
    indices = image.grid.indices(transform.inverse().apply(points))
    values = map_coordinates(
        image.values,
        np.moveaxis(indices, -1, 0),
        output=np.float32,
        order=1,
        mode="constant",
        cval=np.nan,
    )
    return Cut(np.asarray(values, dtype=np.float32), h, v)


def outline(result: CaseResult, name: str, plane: Plane) -> list[NDArray[np.float64]]:
    """Return where a plane cuts the surface of a structure, as lines (N, 2) in mm.

    The contours as drawn are cut where there are any; the mask of the dose grid otherwise.
    """
    if name in result.structures and not result.structures[name].is_empty:
        return cut_contours(result.structures[name], plane)
    mask = result.masks.get(name)
    return [] if mask is None else _cut_mask(mask, plane)


def cut_contours(structure: Structure, plane: Plane) -> list[NDArray[np.float64]]:
    """Lines of a structure that is drawn as axial polygons."""
    if plane.view is View.AXIAL:
        heights = np.array([contour.z_mm for contour in structure.contours])
        nearest = heights[np.argmin(np.abs(heights - plane.position_mm))]
        if abs(nearest - plane.position_mm) > 0.5 * structure.slice_thickness_mm + 1e-3:
            return []
        return [
            np.vstack([c.points_mm, c.points_mm[:1]])
            for c in structure.contours
            if abs(c.z_mm - nearest) < 1e-3
        ]
    along, across = (0, 1) if plane.view is View.CORONAL else (1, 0)
    lines = _chords(structure, plane.position_mm, along, across)
    return _stack_outline(lines, structure.slice_thickness_mm)


def _chords(
    structure: Structure, position_mm: float, along: int, across: int
) -> dict[float, list[float]]:
    """Where a line at `position_mm` enters and leaves the polygons, by height of their plane."""
    found: dict[float, list[float]] = {}
    for contour in structure.contours:
        start, end = contour.points_mm, np.roll(contour.points_mm, -1, axis=0)
        crosses = (start[:, across] > position_mm) != (end[:, across] > position_mm)
        a, b = start[crosses], end[crosses]
        share = (position_mm - a[:, across]) / (b[:, across] - a[:, across])
        at = a[:, along] + share * (b[:, along] - a[:, along])
        found.setdefault(round(contour.z_mm, 3), []).extend(at.tolist())
    return {z: sorted(at) for z, at in found.items() if at}


def _stack_outline(
    chords: dict[float, list[float]], thickness_mm: float
) -> list[NDArray[np.float64]]:
    """Outline of a stack of chords, rounded between planes by their distance to the surface."""
    if not chords:
        return []
    heights = sorted(chords)
    n_layers = round((heights[-1] - heights[0]) / thickness_mm) + 5
    z = np.asarray(heights[0] + thickness_mm * (np.arange(n_layers) - 2), dtype=np.float64)
    low = min(at[0] for at in chords.values()) - 3
    high = max(at[-1] for at in chords.values()) + 3
    h = np.arange(low, high + _SAMPLE_MM, _SAMPLE_MM)
    inside = np.zeros((n_layers, len(h)), dtype=bool)
    for height, at in chords.items():
        k = round((height - heights[0]) / thickness_mm) + 2
        inside[k] ^= np.searchsorted(np.asarray(at), h) % 2 == 1
    sampling = (thickness_mm, _SAMPLE_MM)
    depth = distance_transform_edt(inside, sampling) - distance_transform_edt(~inside, sampling)
    return _level_lines(h, z, np.asarray(depth, dtype=np.float64), 0.0)


def _cut_mask(mask: Mask, plane: Plane) -> list[NDArray[np.float64]]:
    """Lines of half occupancy of a mask; a rim of empty voxels closes them."""
    far = (-1e9, 1e9)
    flat = cut(mask.fraction, mask.grid, plane, Window(far, far))
    if flat is None or not np.any(flat.values >= 0.5):
        return []
    values = np.pad(flat.values, 1).astype(np.float64)
    return _level_lines(_extended(flat.horizontal_mm), _extended(flat.vertical_mm), values, 0.5)


def _extended(axis_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """One more coordinate at each end."""
    first, last = 2 * axis_mm[0] - axis_mm[1], 2 * axis_mm[-1] - axis_mm[-2]
    return np.concatenate([[first], axis_mm, [last]])


def _level_lines(
    h: NDArray[np.float64], v: NDArray[np.float64], values: NDArray[np.float64], level: float
) -> list[NDArray[np.float64]]:
    generator = contour_generator(h, v, values, line_type=LineType.Separate)
    return [np.asarray(line) for line in generator.lines(level)]
