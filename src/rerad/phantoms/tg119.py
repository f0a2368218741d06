r"""Two targets after AAPM Task Group 119, in a block of water: C-shape and multi-target.

The plan benchmarks are made on these. Shapes are polygons and slabs, so every volume has a closed
form. Sizes are given in mm, the middle of the target is at (0, 0, 0).

What the shapes are taken from (trust tags as in the tables: M memory, C computed):

- radii, lengths, gap between core and target, stacking and doses of the multi-target: from memory
  of the report [1]_ (M);
- how far the C reaches round the core: computed (C) from the target of the phantom that ships with
  pyRadPlan 0.5.0, whose area is 56.6 % of the ring, with the opening to one side. Here the opening
  is to the back, and the ends are radial; those of the report may be rounded;
- the block of water: chosen here; the report asks for slabs of water-equivalent plastic.

The published contours themselves are not used, so results here and in the report are alike, not
the same.

References
----------
.. [1] Ezzell et al. (2009), Med. Phys. 36, 5359, doi:10.1118/1.3238104.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import (
    Contour,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Prescription,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.errors import InputError

CORE_RADIUS_MM, CORE_LENGTH_MM = 10.0, 100.0
"""Avoidance structure of the C-shape (M)."""

SHELL_RADII_MM, SHELL_LENGTH_MM = (15.0, 37.0), 80.0
"""Inner and outer radius and length of the C-shaped target (M)."""

SHELL_ARC_DEG = 204.0
"""Angle over which the C reaches round the core, 360 x 0.566 (C, see above)."""

CYLINDER_RADIUS_MM, CYLINDER_LENGTH_MM = 20.0, 40.0
"""Each of the three stacked cylinders of the multi-target (M)."""

BLOCK_MM = (300.0, 150.0, 280.0)
"""Width, height and length of the water (chosen here)."""

AIR_MARGIN_MM = 20.0
"""Air in the image beside and above the water."""

N_CORNERS = 180
"""Of a whole circle drawn as a polygon; its area is that of the circle."""

WATER_HU, AIR_HU = 0.0, -1000.0


@dataclass(frozen=True, eq=False, slots=True)
class Tg119Case:
    """A test case: image, structures, doses.

    Parameters
    ----------
    name : str
        What to call it.
    image : Image
        CT in HU.
    structures : StructureSet
        ``Body``, targets and, for the C-shape, ``Core``.
    prescriptions : tuple of Prescription
        Highest dose first.
    """

    name: str
    image: Image
    structures: StructureSet
    prescriptions: tuple[Prescription, ...]


def make_c_shape(frame_uid: str, *, in_plane_mm: float = 2.5, slice_mm: float = 2.5) -> Tg119Case:
    """Return the C-shape: a target that wraps round a core which is to be spared.

    Parameters
    ----------
    frame_uid : str
        Frame of reference of image and structures.
    in_plane_mm, slice_mm : float
        Voxels of the image; contours are drawn on its slices. 10 mm must be a whole number of
        slices, so that half of every length is one too.

    Returns
    -------
    Tg119Case
        50 Gy to ``PTV_5000``.

    Raises
    ------
    InputError
        If the voxels do not fit.
    """
    planes = _Planes(frame_uid, slice_mm)
    half = 0.5 * np.deg2rad(SHELL_ARC_DEG)
    structures = (
        planes.block(),
        planes.stack(
            "PTV_5000", StructureKind.PTV, _ring_sector(SHELL_RADII_MM, half), SHELL_LENGTH_MM
        ),
        planes.stack("Core", StructureKind.OAR, _circle(CORE_RADIUS_MM), CORE_LENGTH_MM),
    )
    return Tg119Case(
        "TG-119 C-shape",
        _water_block(frame_uid, in_plane_mm, slice_mm),
        StructureSet("TG-119 C-shape", structures),
        (Prescription("PTV_5000", 50.0),),
    )


def make_multi_target(
    frame_uid: str, *, in_plane_mm: float = 2.5, slice_mm: float = 2.5
) -> Tg119Case:
    """Return the multi-target: three cylinders end to end that are to get different doses.

    Parameters
    ----------
    frame_uid, in_plane_mm, slice_mm
        As for :func:`make_c_shape`.

    Returns
    -------
    Tg119Case
        50 Gy to the central ``PTV_5000``, 25 Gy to the superior ``PTV_2500``, 12.5 Gy to the
        inferior ``PTV_1250``.

    Raises
    ------
    InputError
        If the voxels do not fit.
    """
    planes = _Planes(frame_uid, slice_mm)
    circle, length = _circle(CYLINDER_RADIUS_MM), CYLINDER_LENGTH_MM
    places = {"PTV_5000": 0.0, "PTV_2500": length, "PTV_1250": -length}
    targets = [
        planes.stack(name, StructureKind.PTV, circle, length, middle_mm)
        for name, middle_mm in places.items()
    ]
    return Tg119Case(
        "TG-119 multi-target",
        _water_block(frame_uid, in_plane_mm, slice_mm),
        StructureSet("TG-119 multi-target", (planes.block(), *targets)),
        (
            Prescription("PTV_5000", 50.0),
            Prescription("PTV_2500", 25.0),
            Prescription("PTV_1250", 12.5),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Planes:
    """Axial planes half a slice off the middle, at the heights of the image's slices."""

    frame_uid: str
    slice_mm: float

    def __post_init__(self) -> None:
        if self.slice_mm <= 0 or abs(10.0 / self.slice_mm - round(10.0 / self.slice_mm)) > 1e-9:
            msg = f"expected slices that divide 10 mm (1, 2, 2.5, 5 mm), got {self.slice_mm} mm"
            raise InputError(msg)

    def stack(
        self,
        name: str,
        kind: StructureKind,
        polygon_mm: NDArray[np.float64],
        length_mm: float,
        middle_mm: float = 0.0,
    ) -> Structure:
        """Return one polygon repeated over a length."""
        n = round(length_mm / self.slice_mm)
        heights = middle_mm + self.slice_mm * (np.arange(n) - 0.5 * (n - 1))
        contours = tuple(Contour(float(z), polygon_mm) for z in heights)
        return Structure(name, kind, self.frame_uid, contours, self.slice_mm)

    def block(self) -> Structure:
        """Return the outline of the water."""
        x, y = 0.5 * BLOCK_MM[0], 0.5 * BLOCK_MM[1]
        corners = np.array([(-x, -y), (x, -y), (x, y), (-x, y)])
        return self.stack("Body", StructureKind.EXTERNAL, corners, BLOCK_MM[2])


def _arc(radius_mm: float, half_angle: float, n_steps: int) -> NDArray[np.float64]:
    """Return points on an arc about the front, radius raised so that chords keep the area."""
    step = 2.0 * half_angle / n_steps
    angle = np.linspace(-half_angle, half_angle, n_steps + 1)
    radius = radius_mm * np.sqrt(step / np.sin(step))
    return np.asarray(radius * np.stack([np.sin(angle), -np.cos(angle)], axis=1))


def _circle(radius_mm: float) -> NDArray[np.float64]:
    """Return a polygon of the circle's area."""
    return _arc(radius_mm, np.pi, N_CORNERS)[:-1]


def _ring_sector(radii_mm: tuple[float, float], half_angle: float) -> NDArray[np.float64]:
    """Return a polygon between two radii, open to the back, of the area of the shape."""
    n_steps = round(N_CORNERS * half_angle / np.pi)
    inner, outer = (_arc(radius, half_angle, n_steps) for radius in radii_mm)
    return np.concatenate([outer, inner[::-1]])


def _water_block(frame_uid: str, in_plane_mm: float, slice_mm: float) -> Image:
    """Return the CT; voxels that the surface cuts hold the share of water."""
    if not 0.5 <= in_plane_mm <= 10:
        msg = f"expected voxels of 0.5 to 10 mm in the plane, got {in_plane_mm} mm"
        raise InputError(msg)
    n_x, n_y = (2 * round(0.5 * (size + 2 * AIR_MARGIN_MM) / in_plane_mm) for size in BLOCK_MM[:2])
    shape = (round(BLOCK_MM[2] / slice_mm), n_y, n_x)
    spacing = (in_plane_mm, in_plane_mm, slice_mm)
    x, y, z = (-0.5 * (n - 1) * s for n, s in zip(shape[::-1], spacing, strict=True))
    grid = Grid(shape, (x, y, z), spacing, frame_uid)
    share = [
        np.clip((0.5 * size - np.abs(axis)) / s + 0.5, 0.0, 1.0)
        for axis, size, s in zip(grid.axes_mm, BLOCK_MM, spacing, strict=True)
    ]
    water = share[2][:, None, None] * share[1][:, None] * share[0]
    values = np.rint(AIR_HU + (WATER_HU - AIR_HU) * water).astype(np.int16)
    return Image(values, grid, Modality.CT, ImageUnit.HU, description="water block")
