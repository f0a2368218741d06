"""Points spread over a structure, dense enough to read a dose from.

The points come from the contours alone, never from a dose grid, so a nerve of 5 mm is seen as
finely as a bladder. They are laid on scan lines inside the contours of each plane, layer by layer
of the plane's slab, shifted from line to line and from layer to layer so that no direction is seen
in steps; every point knows the volume that it stands for.

The ends of the stack are a convention, and programs differ in it: see :class:`EndSlab`.
"""

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rerad.core import Structure
from rerad.kernels.rasterize import PHASE_STEPS, points_in_plane, scanned_area
from rerad.structures.planes import PlaneStack, stack_planes
from rerad.units import CC_PER_MM3

N_POINTS_LEAST = 150_000
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
    ``SHORT``: `SHORT_REACH` of that. This is how the tables of Eclipse read (see
    docs/methods/dvh.md); it makes small structures smaller than they are.
    """

    FLAT = "flat"
    SHORT = "short"


SHORT_REACH = 0.3
"""Share of half a slice by which end contours reach out in Eclipse: fitted to volumes and doses of
the six structures of an Eclipse 8.1 plan (docs/methods/dvh.md). Trust: C, one data set."""


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
        About 150 000 points for a small structure, 1 mm apart in a larger one, at most about
        a million; equal on every run.

    Raises
    ------
    InputError
        If the structure has no contours.
    """
    stack = stack_planes(structure)
    areas_mm2 = np.array([_plane_area_mm2(stack, p) for p in range(len(stack.z_mm))])
    pitch_mm = _pitch_mm(float(np.sum(areas_mm2 * (stack.top_mm - stack.bottom_mm))))
    points, volumes = [], []
    n_layers = 0
    for plane, area_mm2 in enumerate(areas_mm2):
        for layer in _layers(stack, plane, pitch_mm, end_slab):
            n_layers += 1
            flat, weights_mm2 = _points_of_layer(stack, plane, layer, pitch_mm, n_layers)
            points.append(flat)
            volumes.append(weights_mm2 * (layer.thickness_mm * area_mm2))
    return StructureSamples(np.concatenate(points), np.concatenate(volumes) * CC_PER_MM3)


def _pitch_mm(volume_mm3: float) -> float:
    """Return the distance of points that suits a volume."""
    fine = (max(volume_mm3, 1e-9) / N_POINTS_LEAST) ** (1 / 3)
    coarse = (volume_mm3 / N_POINTS_MOST) ** (1 / 3)
    return float(max(min(fine, LARGEST_PITCH_MM), coarse))


@dataclass(frozen=True, slots=True)
class _Layer:
    """Part of a slab."""

    bottom_mm: float
    thickness_mm: float


def _layers(stack: PlaneStack, plane: int, pitch_mm: float, end_slab: EndSlab) -> list[_Layer]:
    """Return the layers of a plane's slab, none thicker than the pitch."""
    z_mm = float(stack.z_mm[plane])
    is_end = (plane == 0, plane == len(stack.z_mm) - 1)
    edges_mm = (float(stack.bottom_mm[plane]), float(stack.top_mm[plane]))
    layers = []
    for edge_mm, is_outermost in zip(edges_mm, is_end, strict=True):
        is_short = is_outermost and end_slab is EndSlab.SHORT
        reach_mm = (edge_mm - z_mm) * (SHORT_REACH if is_short else 1.0)
        n = max(1, int(np.ceil(abs(reach_mm) / pitch_mm)))
        bounds = z_mm + reach_mm * np.arange(n + 1) / n
        layers += [_Layer(min(a, b), abs(b - a)) for a, b in pairwise(bounds.tolist())]
    return layers


def _plane_area_mm2(stack: PlaneStack, plane: int) -> float:
    """Return the area of one plane, from 500 scan lines."""
    points, ends = stack.polygons(plane)
    lines = _lines(points, 500, 0.5)
    return float(scanned_area(points, ends, lines)) if lines[-1] > lines[0] else 0.0


def _lines(points: NDArray[np.float64], n: int, phase: float) -> NDArray[np.float64]:
    """Return the y of n scan lines over polygons, each at the same place of its strip."""
    low, high = float(points[:, 1].min()), float(points[:, 1].max())
    return low + (np.arange(n, dtype=np.float64) + phase) * ((high - low) / n)


def _points_of_layer(
    stack: PlaneStack, plane: int, layer: _Layer, pitch_mm: float, number: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points in one layer and their shares of it; `number` sets this layer's pattern."""
    polygons, ends = stack.polygons(plane)
    # A layer thinner than the pitch needs fewer points for the same density.
    flat_pitch_mm = pitch_mm * max(1.0, float(np.sqrt(pitch_mm / layer.thickness_mm)))
    n_lines = max(8, int(np.ceil(np.ptp(polygons[:, 1]) / flat_pitch_mm)))
    lines = _lines(polygons, n_lines, (number * PHASE_STEPS[1]) % 1.0)
    if not lines[-1] > lines[0]:
        return np.empty((0, 3)), np.empty(0)
    phase = (number * PHASE_STEPS[0]) % 1.0
    flat, lengths = points_in_plane(polygons, ends, lines, flat_pitch_mm, phase)
    ways = (np.arange(len(flat)) * PHASE_STEPS[2] + phase) % 1.0
    points = np.column_stack([flat, layer.bottom_mm + ways * layer.thickness_mm])
    # The area of a round contour comes from the finer scan, its distribution from these lines.
    total = float(lengths.sum())
    return points, lengths / total if total > 0 else lengths
