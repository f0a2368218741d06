"""Points spread over a structure, dense enough to read a dose from.

The points come from the contours alone, never from a dose grid, so a nerve of 5 mm is seen as
finely as a bladder. They are laid on scan lines inside the contours of each plane and repeated at
several heights of the plane's slab; every point knows the volume that it stands for.

The ends of the stack are a convention, and programs differ in it: see :class:`EndSlab`.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core import Structure
from rerad.kernels.rasterize import points_in_plane, scanned_area
from rerad.structures.planes import PlaneStack, stack_planes
from rerad.units import CC_PER_MM3

N_POINTS_LEAST = 40_000
"""Small structures get about this many points, whatever their size."""

N_POINTS_MOST = 1_000_000
"""The patient's outline gets about this many points, at most."""

LARGEST_PITCH_MM = 1.0
"""Distance of points that is not exceeded until a structure has `N_POINTS_MOST` of them."""


class EndSlab(StrEnum):
    """How far a stack of contours reaches beyond its first and its last plane.

    The contours say only that the structure reaches its last plane and not the next one.

    ``FLAT``: half a slice, with the last contour unchanged. Every contour then stands for a slab
    of equal thickness, as in masks, and the volume is Cavalieri's estimate, which is right on
    average wherever the planes happen to cut. The default.
    ``POINTED``: half a slice, closing to a point, so that a third of the outer half slab is held.
    This is how the tables of Eclipse read (see docs/methods/dvh.md); it makes small structures
    smaller than they are.
    """

    FLAT = "flat"
    POINTED = "pointed"


@dataclass(frozen=True, eq=False, slots=True)
class StructureSamples:
    """Points inside a structure and the volumes that they stand for.

    Parameters
    ----------
    points_mm : ndarray of shape (n, 3)
        Points ``(x, y, z)``.
    volumes_cc : ndarray of shape (n,)
        Volume of each point; they add up to the structure's volume.
    """

    points_mm: NDArray[np.float64]
    volumes_cc: NDArray[np.float64]

    @property
    def volume_cc(self) -> float:
        """Volume of the structure."""
        return float(np.sum(self.volumes_cc))


def sample_structure(
    structure: Structure, *, end_slab: EndSlab = EndSlab.FLAT
) -> StructureSamples:
    """Spread points over the inside of a structure.

    Parameters
    ----------
    structure : Structure
        At least one contour with an area.
    end_slab : EndSlab
        How far the stack reaches beyond its first and its last plane.

    Returns
    -------
    StructureSamples
        About 40 000 points for a small structure, 1 mm apart in a larger one, about a million at
        most; equal on every run.

    Raises
    ------
    InputError
        If the structure has no contours.
    """
    stack = stack_planes(structure)
    areas_mm2 = np.array([_plane_area_mm2(stack, p) for p in range(len(stack.z_mm))])
    pitch_mm = _pitch_mm(float(np.sum(areas_mm2 * (stack.top_mm - stack.bottom_mm))))
    points, volumes = [], []
    for plane, area_mm2 in enumerate(areas_mm2):
        heights, weights_mm = _layers(stack, plane, pitch_mm, end_slab)
        # Slabs thinner than the pitch are seen at more heights, and at each by fewer points.
        height_mm = float(stack.top_mm[plane] - stack.bottom_mm[plane]) / len(heights)
        flat_pitch_mm = pitch_mm * max(1.0, np.sqrt(pitch_mm / height_mm))
        flat, weights_mm2 = _points_of_plane(stack, plane, flat_pitch_mm, float(area_mm2))
        block = np.empty((len(heights), len(flat), 3))
        block[..., :2] = flat
        block[..., 2] = heights[:, None]
        points.append(block.reshape(-1, 3))
        volumes.append((weights_mm[:, None] * weights_mm2).ravel())
    return StructureSamples(np.concatenate(points), np.concatenate(volumes) * CC_PER_MM3)


def _pitch_mm(volume_mm3: float) -> float:
    """Return the distance of points that suits a volume."""
    fine = (max(volume_mm3, 1e-9) / N_POINTS_LEAST) ** (1 / 3)
    coarse = (volume_mm3 / N_POINTS_MOST) ** (1 / 3)
    return float(max(min(fine, LARGEST_PITCH_MM), coarse))


def _lines(low: float, high: float, pitch_mm: float, at_least: int) -> NDArray[np.float64]:
    """Return the middles of equal strips between `low` and `high`, no wider than `pitch_mm`."""
    n = max(at_least, int(np.ceil((high - low) / pitch_mm)))
    return low + (np.arange(n, dtype=np.float64) + 0.5) * ((high - low) / n)


def _plane_area_mm2(stack: PlaneStack, plane: int) -> float:
    """Return the area of one plane, from 500 scan lines."""
    points, ends = stack.polygons(plane)
    low, high = float(points[:, 1].min()), float(points[:, 1].max())
    if high <= low:
        return 0.0
    return float(scanned_area(points, ends, _lines(low, high, np.inf, 500)))


def _points_of_plane(
    stack: PlaneStack, plane: int, pitch_mm: float, area_mm2: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points ``(x, y)`` in one plane and the areas they stand for."""
    points, ends = stack.polygons(plane)
    low, high = float(points[:, 1].min()), float(points[:, 1].max())
    if area_mm2 <= 0:
        return np.empty((0, 2)), np.empty(0)
    flat, lengths = points_in_plane(points, ends, _lines(low, high, pitch_mm, 8), pitch_mm)
    total = float(lengths.sum())
    # Few lines misjudge the area of a round contour; the finer scan knows it.
    return flat, lengths * (area_mm2 / total) if total > 0 else lengths


def _layers(
    stack: PlaneStack, plane: int, pitch_mm: float, end_slab: EndSlab
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the heights at which a plane is repeated and the thicknesses they stand for."""
    z_mm = float(stack.z_mm[plane])
    is_end = (plane == 0, plane == len(stack.z_mm) - 1)
    edges_mm = (float(stack.bottom_mm[plane]), float(stack.top_mm[plane]))
    heights, weights = [], []
    for edge_mm, is_outermost in zip(edges_mm, is_end, strict=True):
        half_mm = abs(edge_mm - z_mm)
        n = max(1, int(np.ceil(half_mm / pitch_mm)))
        steps = np.arange(n + 1, dtype=np.float64) / n
        heights.append(z_mm + (steps[:-1] + 0.5 / n) * (edge_mm - z_mm))
        if is_outermost and end_slab is EndSlab.POINTED:
            # Sections of a cone shrink with the square of the way left to its tip.
            weights.append(half_mm * -np.diff((1 - steps) ** 3) / 3)
        else:
            weights.append(np.full(n, half_mm / n))
    return np.concatenate(heights), np.concatenate(weights)
