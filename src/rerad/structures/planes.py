"""A structure as a stack of planes, each standing for a slab.

Every part of rerad that turns contours into a volume starts here, so that masks and
dose-volume histograms speak of the same body.

* Contours within `SAME_PLANE_MM` of one height are one plane; they combine by exclusive or.
* A plane stands for the slab from half-way to the plane below to half-way to the plane above.
* A neighbour farther away than `GAP_FACTOR` slice thicknesses is no neighbour: at the ends of the
  stack and at a gap the slab reaches half a slice thickness. Planes missing inside a structure
  stay empty; nothing is interpolated across them (see :func:`missing_planes_mm`).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Structure
from rerad.errors import InputError

SAME_PLANE_MM = 0.01
"""Contours closer in height than this lie in one plane: DICOM heights are decimal strings."""

GAP_FACTOR = 1.5
"""Planes farther apart than this many slice thicknesses have a gap between them."""


@dataclass(frozen=True, eq=False, slots=True)
class PlaneStack:
    """Contours sorted into planes, ready for kernels.

    Parameters
    ----------
    z_mm : ndarray of shape (P,)
        Height of each plane, rising.
    bottom_mm, top_mm : ndarray of shape (P,)
        Slab that each plane stands for.
    points_mm : ndarray of shape (N, 2)
        Corners ``(x, y)`` of all contours, plane by plane.
    ends : ndarray of shape (M,)
        Index after the last corner of each contour.
    plane_ends : ndarray of shape (P,)
        Index after the last contour of each plane.
    """

    z_mm: NDArray[np.float64]
    bottom_mm: NDArray[np.float64]
    top_mm: NDArray[np.float64]
    points_mm: NDArray[np.float64]
    ends: NDArray[np.int64]
    plane_ends: NDArray[np.int64]

    def polygons(self, plane: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Return corners and contour ends of one plane, counted from its own first corner."""
        first = int(self.plane_ends[plane - 1]) if plane else 0
        start = int(self.ends[first - 1]) if first else 0
        ends = self.ends[first : int(self.plane_ends[plane])]
        return self.points_mm[start : int(ends[-1])], ends - start


def stack_planes(structure: Structure) -> PlaneStack:
    """Sort the contours of a structure into planes and give each plane its slab.

    Parameters
    ----------
    structure : Structure
        At least one contour.

    Returns
    -------
    PlaneStack
        Planes in rising order of z.

    Raises
    ------
    InputError
        If the structure has no contours.
    """
    if structure.is_empty:
        msg = (
            f"{structure.name}: expected at least one contour, got none; "
            "draw the structure or leave it out"
        )
        raise InputError(msg)
    contours = sorted(structure.contours, key=lambda contour: contour.z_mm)
    heights = np.array([contour.z_mm for contour in contours])
    is_new = np.diff(heights, prepend=-np.inf) > SAME_PLANE_MM
    plane_of = np.cumsum(is_new) - 1
    z_mm = heights[is_new]
    bottom_mm, top_mm = _slabs(z_mm, structure.slice_thickness_mm)
    return PlaneStack(
        z_mm=z_mm,
        bottom_mm=bottom_mm,
        top_mm=top_mm,
        points_mm=np.concatenate([contour.points_mm for contour in contours]),
        ends=np.cumsum([len(contour.points_mm) for contour in contours], dtype=np.int64),
        plane_ends=np.cumsum(np.bincount(plane_of), dtype=np.int64),
    )


def missing_planes_mm(structure: Structure) -> tuple[tuple[float, float], ...]:
    """Return the gaps inside a structure: pairs of neighbouring planes with a plane missing.

    Parameters
    ----------
    structure : Structure
        At least one contour.

    Returns
    -------
    tuple of (float, float)
        Heights below and above each gap, in mm; empty if the structure is whole.
    """
    z_mm = stack_planes(structure).z_mm
    is_gap = np.diff(z_mm) > GAP_FACTOR * structure.slice_thickness_mm
    return tuple(
        (float(low), float(high))
        for low, high in zip(z_mm[:-1][is_gap], z_mm[1:][is_gap], strict=True)
    )


def _slabs(
    z_mm: NDArray[np.float64], thickness_mm: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return bottom and top of each plane's slab."""
    distance = np.diff(z_mm)
    half = np.where(distance > GAP_FACTOR * thickness_mm, thickness_mm, distance) / 2
    end = [thickness_mm / 2]
    return z_mm - np.concatenate([end, half]), z_mm + np.concatenate([half, end])
