"""Volumes of interest: planar contours as drawn, and masks on a grid."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.core.grid import Grid
from rerad.errors import GridMismatchError, InputError


class StructureKind(StrEnum):
    """What a structure is for; the values are DICOM RT ROI Interpreted Types where one exists."""

    GTV = "GTV"
    CTV = "CTV"
    ITV = "ITV"
    PTV = "PTV"
    OAR = "ORGAN"
    PRV = "AVOIDANCE"
    EXTERNAL = "EXTERNAL"
    SUPPORT = "SUPPORT"
    CONTROL = "CONTROL"
    OTHER = ""

    @property
    def is_target(self) -> bool:
        """Whether dose is wanted here."""
        return self in {StructureKind.GTV, StructureKind.CTV, StructureKind.ITV, StructureKind.PTV}


@dataclass(frozen=True, eq=False, slots=True)
class Contour:
    """One closed polygon in an axial plane.

    Parameters
    ----------
    z_mm : float
        Height of the plane.
    points_mm : ndarray of shape (N, 2)
        ``(x, y)`` of the corners in mm, N at least 3; the last joins the first.

    Raises
    ------
    InputError
        If there are fewer than three points or one is not finite.
    """

    z_mm: float
    points_mm: NDArray[np.float64]

    def __post_init__(self) -> None:
        points = frozen_array(self.points_mm, np.float64)
        object.__setattr__(self, "points_mm", points)
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
            msg = f"expected at least three (x, y) points in a contour, got shape {points.shape}"
            raise InputError(msg)
        if not np.all(np.isfinite(points)) or not np.isfinite(self.z_mm):
            msg = "expected finite contour coordinates in mm"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class Structure:
    """A volume of interest as a stack of planar contours.

    Contours of one plane combine by exclusive or: a polygon inside another is a hole, one inside
    a hole is an island, one beside another is a second part.

    Parameters
    ----------
    name : str
        TG-263 name where there is one.
    kind : StructureKind
        What it is for.
    frame_uid : str
        Frame of reference of the contours.
    contours : tuple of Contour
        In any order; may be empty only for a structure that is named and not drawn.
    slice_thickness_mm : float
        Distance of the planes that the contours were drawn on; each contour stands for a slab of
        this thickness around its plane.
    color : tuple of int
        Display colour, red green blue, 0-255.
    """

    name: str
    kind: StructureKind
    frame_uid: str
    contours: tuple[Contour, ...]
    slice_thickness_mm: float
    color: tuple[int, int, int] = (255, 255, 255)

    def __post_init__(self) -> None:
        object.__setattr__(self, "contours", tuple(self.contours))
        if not self.name:
            msg = "a structure needs a name"
            raise InputError(msg)
        if not self.slice_thickness_mm > 0:
            msg = (
                f"{self.name}: expected a slice thickness above 0 mm, "
                f"got {self.slice_thickness_mm}"
            )
            raise InputError(msg)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is drawn."""
        return not self.contours


@dataclass(frozen=True, eq=False, slots=True)
class Mask:
    """How much of each voxel belongs to a volume.

    Parameters
    ----------
    name : str
        Name of the structure.
    kind : StructureKind
        What it is for.
    fraction : ndarray of shape (K, J, I)
        Share of each voxel inside the volume, 0 to 1.
    grid : Grid
        Usually a crop of the dose or image grid around the structure
        (see :meth:`rerad.core.Grid.region_of`).
    """

    name: str
    kind: StructureKind
    fraction: NDArray[np.float32]
    grid: Grid

    def __post_init__(self) -> None:
        object.__setattr__(self, "fraction", frozen_array(self.fraction, np.float32))
        if self.fraction.shape != self.grid.shape:
            msg = (
                f"{self.name}: expected fractions of shape {self.grid.shape}, "
                f"got {self.fraction.shape}"
            )
            raise GridMismatchError(msg)

    @property
    def volume_cc(self) -> float:
        """Volume in cubic centimetres."""
        return float(np.sum(self.fraction, dtype=np.float64)) * self.grid.voxel_volume_cc

    def on(self, grid: Grid) -> NDArray[np.float32]:
        """Return the fractions on the whole of `grid`, of which this mask's grid is a crop."""
        full = np.zeros(grid.shape, dtype=np.float32)
        full[grid.region_of(self.grid)] = self.fraction
        return full
