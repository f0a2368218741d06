"""Where the voxels are: shape, origin, spacing and frame of reference.

Arrays are indexed ``[k, j, i]`` (slice, row, column); points are ``(x, y, z)`` in mm in the DICOM
patient system (LPS: x to the patient's left, y to the back, z to the head). Only :class:`Grid`
converts between the two. A grid is axis-aligned with i along +x, j along +y and k along +z;
readers bring every image into this order, oblique images are resampled or refused at the rim.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.errors import FrameMismatchError, GridMismatchError, InputError

ALIGNMENT_TOLERANCE_MM = 0.01
"""Two voxel centres closer than this are the same voxel centre: DICOM writes positions as
decimal strings of 16 characters, so differences below a hundredth of a millimetre are rounding."""


@dataclass(frozen=True, eq=False)
class Grid:
    """Voxel centres of an axis-aligned box in one frame of reference.

    Parameters
    ----------
    shape : tuple of int
        ``(K, J, I)``: number of slices, rows and columns, each at least 1.
    origin_mm : tuple of float
        ``(x, y, z)`` of the centre of voxel ``[0, 0, 0]``.
    spacing_mm : tuple of float
        ``(x, y, z)`` distance of voxel centres, each above 0.
    frame_uid : str
        DICOM Frame of Reference UID.

    Raises
    ------
    InputError
        If a size or spacing is not positive, a coordinate is not finite, or the frame is empty.
    """

    shape: tuple[int, int, int]
    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    frame_uid: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        object.__setattr__(self, "origin_mm", tuple(float(v) for v in self.origin_mm))
        object.__setattr__(self, "spacing_mm", tuple(float(v) for v in self.spacing_mm))
        if len(self.shape) != 3 or min(self.shape) < 1:
            msg = f"expected a grid shape of three sizes of at least 1, got {self.shape}"
            raise InputError(msg)
        if len(self.spacing_mm) != 3 or not all(0 < s < np.inf for s in self.spacing_mm):
            msg = f"expected three voxel spacings above 0 mm, got {self.spacing_mm}"
            raise InputError(msg)
        if len(self.origin_mm) != 3 or not np.all(np.isfinite(self.origin_mm)):
            msg = f"expected a finite (x, y, z) origin in mm, got {self.origin_mm}"
            raise InputError(msg)
        if not self.frame_uid:
            msg = "a grid needs a frame of reference UID; pass the one of its image"
            raise InputError(msg)

    @cached_property
    def affine(self) -> NDArray[np.float64]:
        """4x4 matrix from homogeneous ``(i, j, k, 1)`` to ``(x, y, z, 1)`` in mm."""
        matrix = np.diag((*self.spacing_mm, 1.0))
        matrix[:3, 3] = self.origin_mm
        matrix.setflags(write=False)
        return matrix

    @property
    def n_voxels(self) -> int:
        """Number of voxels."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def voxel_volume_cc(self) -> float:
        """Volume of one voxel in cubic centimetres."""
        sx, sy, sz = self.spacing_mm
        return sx * sy * sz * 1e-3

    @property
    def end_mm(self) -> tuple[float, float, float]:
        """``(x, y, z)`` of the centre of the last voxel."""
        x, y, z = self.axes_mm
        return float(x[-1]), float(y[-1]), float(z[-1])

    @cached_property
    def axes_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Coordinates of the voxel centres along x, y and z (lengths I, J, K), in mm."""
        k, j, i = self.shape
        ox, oy, oz = self.origin_mm
        sx, sy, sz = self.spacing_mm
        return (
            ox + sx * np.arange(i, dtype=np.float64),
            oy + sy * np.arange(j, dtype=np.float64),
            oz + sz * np.arange(k, dtype=np.float64),
        )

    def indices(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Return continuous indices ``(k, j, i)`` of points.

        Parameters
        ----------
        points_mm : array_like of shape (..., 3)
            Points ``(x, y, z)`` in mm, in this grid's frame.

        Returns
        -------
        ndarray of shape (..., 3)
            Continuous ``(k, j, i)``; whole numbers are voxel centres.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        ijk = (points - np.asarray(self.origin_mm)) / np.asarray(self.spacing_mm)
        return np.asarray(ijk[..., ::-1])

    def points(self, indices_kji: ArrayLike) -> NDArray[np.float64]:
        """Return points ``(x, y, z)`` in mm of continuous indices ``(k, j, i)``.

        Parameters
        ----------
        indices_kji : array_like of shape (..., 3)
            Indices, not necessarily whole.

        Returns
        -------
        ndarray of shape (..., 3)
            Points in mm.
        """
        ijk = np.asarray(indices_kji, dtype=np.float64)[..., ::-1]
        return np.asarray(np.asarray(self.origin_mm) + ijk * np.asarray(self.spacing_mm))

    def has_same_voxels(self, other: "Grid") -> bool:
        """Return whether `other` has the same frame and the same voxel centres."""
        return (
            self.frame_uid == other.frame_uid
            and self.shape == other.shape
            and bool(
                np.allclose(self.origin_mm, other.origin_mm, atol=ALIGNMENT_TOLERANCE_MM, rtol=0)
            )
            and bool(np.allclose(self.end_mm, other.end_mm, atol=ALIGNMENT_TOLERANCE_MM, rtol=0))
        )

    def require_same_frame(self, other: "Grid", what: str) -> None:
        """Raise `FrameMismatchError` unless both grids share one frame of reference."""
        if self.frame_uid != other.frame_uid:
            msg = (
                f"{what}: expected frame of reference {self.frame_uid}, got {other.frame_uid}; "
                "register the two and map through the transform"
            )
            raise FrameMismatchError(msg)

    def require_same_voxels(self, other: "Grid", what: str) -> None:
        """Raise unless both grids share frame and voxels."""
        self.require_same_frame(other, what)
        if not self.has_same_voxels(other):
            msg = (
                f"{what}: expected voxels {self.shape} at {self.origin_mm} mm every "
                f"{self.spacing_mm} mm, got {other.shape} at {other.origin_mm} mm every "
                f"{other.spacing_mm} mm; resample one onto the other"
            )
            raise GridMismatchError(msg)

    def crop(self, start_kji: tuple[int, int, int], stop_kji: tuple[int, int, int]) -> Self:
        """Return the part of this grid from index `start_kji` up to, not including, `stop_kji`."""
        for start, stop, n in zip(start_kji, stop_kji, self.shape, strict=True):
            if not 0 <= start < stop <= n:
                msg = f"expected a box within grid shape {self.shape}, got {start_kji}:{stop_kji}"
                raise InputError(msg)
        x, y, z = (float(v) for v in self.points(start_kji))
        shape = tuple(b - a for a, b in zip(start_kji, stop_kji, strict=True))
        return type(self)(shape, (x, y, z), self.spacing_mm, self.frame_uid)  # type: ignore[arg-type]

    def region_of(self, part: "Grid") -> tuple[slice, slice, slice]:
        """Return the index slices that `part`, a crop of this grid, occupies in it.

        Raises
        ------
        FrameMismatchError, GridMismatchError
            If `part` is in another frame, has other voxels or reaches beyond this grid.
        """
        self.require_same_frame(part, "region of a grid")
        start = self.indices(part.origin_mm)
        whole = np.rint(start)
        spacing = np.asarray(self.spacing_mm)[::-1]
        stop = whole + np.asarray(part.shape)
        if (
            np.any(np.abs(start - whole) * spacing > ALIGNMENT_TOLERANCE_MM)
            or not np.allclose(part.spacing_mm, self.spacing_mm, rtol=1e-5)
            or np.any(whole < 0)
            or np.any(stop > np.asarray(self.shape))
        ):
            msg = "the part's voxels are not voxels of this grid; resample it first"
            raise GridMismatchError(msg)
        k, j, i = (slice(int(a), int(b)) for a, b in zip(whole, stop, strict=True))
        return k, j, i

    def with_spacing(self, spacing_mm: tuple[float, float, float]) -> Self:
        """Return a grid over the same box (outer voxel faces) with about `spacing_mm`.

        The box is kept to within half a new voxel: sizes are rounded to whole voxels and the
        new grid is centred on the old one.
        """
        old = np.asarray(self.spacing_mm)
        size_mm = old * np.asarray(self.shape[::-1])
        new = np.asarray(spacing_mm, dtype=np.float64)
        n = np.maximum(1, np.rint(size_mm / new)).astype(int)
        centre = np.asarray(self.origin_mm) + 0.5 * (size_mm - old)
        origin = centre - 0.5 * (n - 1) * new
        return type(self)(
            (int(n[2]), int(n[1]), int(n[0])),
            (float(origin[0]), float(origin[1]), float(origin[2])),
            (float(new[0]), float(new[1]), float(new[2])),
            self.frame_uid,
        )


def _are_close_mm(first: tuple[float, ...], second: tuple[float, ...]) -> bool:
    """Return whether two points are the same to within rounding of DICOM decimal strings."""
    return bool(np.allclose(first, second, atol=ALIGNMENT_TOLERANCE_MM, rtol=0))
