"""Bring voxels of any axis-aligned order into the order of :class:`rerad.core.Grid`.

DICOM stores an image by the directions of its rows, its columns and its planes. A patient who
lies prone or feet first, or an image cut in sagittal planes, has them along -x, or along z; they
are permuted and flipped here so that i runs along +x, j along +y and k along +z. No value is
interpolated.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerad.errors import DicomError

ALIGNED_COSINE_TOLERANCE = 1e-4
"""A direction cosine this far from 0 or 1 is still axis-aligned: 0.05 mm over 500 mm, well below
a voxel; scanners write rounding errors of about 1e-6."""

PERPENDICULAR_TOLERANCE = 1e-2
"""Direction cosines are rounded to as few as three decimals; they are made unit vectors here."""


@dataclass(frozen=True, eq=False, slots=True)
class StoredVoxels:
    """Voxels as a file holds them.

    Parameters
    ----------
    values : ndarray of shape (K, J, I)
        Planes, rows, columns as stored.
    first_mm : ndarray of shape (3,)
        Centre of voxel ``[0, 0, 0]``, patient system.
    directions : ndarray of shape (3, 3)
        Unit vectors along which i, j and k grow, one a row.
    spacing_mm : tuple of float
        Distance of voxel centres along i, j and k.
    """

    values: NDArray[Any]
    first_mm: NDArray[np.float64]
    directions: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]

    @property
    def is_axis_aligned(self) -> bool:
        """Whether each direction is a patient axis, up to sign."""
        return are_patient_axes(self.directions)


def are_patient_axes(directions: NDArray[np.float64]) -> bool:
    """Return whether unit vectors, one a row, are the patient axes in some order and sign."""
    nearest = np.abs(np.rint(directions))
    close = np.abs(np.abs(directions) - nearest) < ALIGNED_COSINE_TOLERANCE
    return bool(np.all(close)) and bool(np.all(nearest.sum(axis=0) == 1))


def row_and_column_directions(orientation: Sequence[float], where: str) -> NDArray[np.float64]:
    """Return unit vectors along i, j and their normal from Image Orientation (Patient).

    Raises
    ------
    DicomError
        If the six numbers are not two perpendicular unit vectors.
    """
    along_i = np.asarray(orientation[:3], dtype=np.float64)
    along_j = np.asarray(orientation[3:], dtype=np.float64)
    products = np.array([along_i @ along_i, along_j @ along_j, along_i @ along_j])
    if not np.all(np.abs(products - (1, 1, 0)) < PERPENDICULAR_TOLERANCE):
        msg = (
            f"{where}: expected two perpendicular unit vectors as Image Orientation, got "
            f"{', '.join(f'{v:g}' for v in orientation)}; export it again"
        )
        raise DicomError(msg)
    along_i = along_i / np.linalg.norm(along_i)
    along_j = along_j / np.linalg.norm(along_j)
    return np.stack([along_i, along_j, np.cross(along_i, along_j)])


def to_patient_axes(
    stored: StoredVoxels,
) -> tuple[NDArray[Any], tuple[float, float, float], tuple[float, float, float]]:
    """Permute and flip axis-aligned voxels into ``[k, j, i]`` along +z, +y, +x.

    Parameters
    ----------
    stored : StoredVoxels
        Must be axis-aligned.

    Returns
    -------
    values : ndarray of shape (K, J, I)
        Reordered, contiguous.
    origin_mm : tuple of float
        Centre of the new voxel ``[0, 0, 0]``.
    spacing_mm : tuple of float
        Along x, y and z.
    """
    axis_of = np.argmax(np.abs(stored.directions), axis=1)  # patient axis of i, j, k
    direction_of = np.argsort(axis_of)  # which of i, j, k runs along x, y, z
    values = stored.values.transpose([2 - int(direction_of[axis]) for axis in (2, 1, 0)])
    origin = np.array(stored.first_mm, dtype=np.float64)
    sizes = stored.values.shape[::-1]
    spacing = [0.0, 0.0, 0.0]
    for axis in range(3):
        along = int(direction_of[axis])
        spacing[axis] = float(stored.spacing_mm[along])
        if stored.directions[along, axis] < 0:
            values = np.flip(values, axis=2 - axis)
            origin[axis] -= spacing[axis] * (sizes[along] - 1)
    x, y, z = (float(v) for v in origin)
    return np.ascontiguousarray(values), (x, y, z), (spacing[0], spacing[1], spacing[2])
