"""Maps from one frame of reference to another: rigid, and deformable on top of rigid."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core.arrays import frozen_array
from rerad.core.grid import Grid
from rerad.errors import FrameMismatchError, GridMismatchError, InputError


@dataclass(frozen=True, eq=False, slots=True)
class RigidTransform:
    """A rotation and a translation that carry points of one frame into another.

    Parameters
    ----------
    matrix : ndarray of shape (4, 4)
        Homogeneous matrix; ``p_to = matrix @ p_from`` with points ``(x, y, z, 1)`` in mm.
    from_frame_uid, to_frame_uid : str
        Frames of reference.

    Raises
    ------
    InputError
        If the matrix is not a proper rotation with translation (to 1e-5).
    """

    matrix: NDArray[np.float64]
    from_frame_uid: str
    to_frame_uid: str

    def __post_init__(self) -> None:
        matrix = frozen_array(self.matrix, np.float64)
        object.__setattr__(self, "matrix", matrix)
        if matrix.shape != (4, 4) or not np.allclose(matrix[3], (0, 0, 0, 1), atol=1e-9):
            msg = "expected a homogeneous 4x4 matrix with last row 0 0 0 1"
            raise InputError(msg)
        rotation = matrix[:3, :3]
        is_rotation = np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
        if not is_rotation or np.linalg.det(rotation) < 0:
            msg = "expected a proper rotation, got a matrix that scales, shears or mirrors"
            raise InputError(msg)

    def apply(self, points_mm: ArrayLike) -> NDArray[np.float64]:
        """Carry points ``(..., 3)`` in mm from `from_frame_uid` to `to_frame_uid`."""
        points = np.asarray(points_mm, dtype=np.float64)
        return points @ self.matrix[:3, :3].T + self.matrix[:3, 3]

    def inverse(self) -> Self:
        """Return the transform the other way."""
        rotation = self.matrix[:3, :3].T
        matrix = np.eye(4)
        matrix[:3, :3] = rotation
        matrix[:3, 3] = -rotation @ self.matrix[:3, 3]
        return type(self)(matrix, self.to_frame_uid, self.from_frame_uid)

    def then(self, after: "RigidTransform") -> Self:
        """Return this transform followed by `after`.

        Raises
        ------
        FrameMismatchError
            If `after` does not start where this one ends.
        """
        if after.from_frame_uid != self.to_frame_uid:
            msg = (
                f"expected a transform from frame {self.to_frame_uid}, "
                f"got one from {after.from_frame_uid}"
            )
            raise FrameMismatchError(msg)
        return type(self)(after.matrix @ self.matrix, self.from_frame_uid, after.to_frame_uid)

    @classmethod
    def identity(cls, frame_uid: str) -> Self:
        """Return the transform of a frame onto itself."""
        return cls(np.eye(4), frame_uid, frame_uid)


@dataclass(frozen=True, eq=False, slots=True)
class DisplacementField:
    """A deformable map: a field of displacements in today's frame on top of a rigid transform.

    A point p of the frame `to_frame_uid` comes from the point
    ``rigid.inverse().apply(p + u(p))`` of the frame `from_frame_uid`, with u the displacement
    interpolated trilinearly. Outside its grid the field is not known.

    Parameters
    ----------
    vectors_mm : ndarray of shape (K, J, I, 3)
        Displacement ``(x, y, z)`` in mm at each voxel of `grid`.
    grid : Grid
        Where the vectors are, in the frame that the rigid transform leads to.
    rigid : RigidTransform
        From the moving to today's frame.
    after : RigidTransform or None
        A motion of today's frame applied last (for ensembles); None for none.

    Raises
    ------
    GridMismatchError
        If vectors and grid differ in shape.
    FrameMismatchError
        If the grid is not in the frame that `rigid` leads to.
    InputError
        If a vector is not finite.
    """

    vectors_mm: NDArray[np.float32]
    grid: Grid
    rigid: RigidTransform
    after: RigidTransform | None = None

    def __post_init__(self) -> None:
        vectors = frozen_array(self.vectors_mm, np.float32)
        object.__setattr__(self, "vectors_mm", vectors)
        if vectors.shape != (*self.grid.shape, 3):
            msg = f"expected vectors of shape {(*self.grid.shape, 3)}, got {vectors.shape}"
            raise GridMismatchError(msg)
        if self.rigid.to_frame_uid != self.grid.frame_uid:
            msg = (
                f"expected a displacement field in frame {self.rigid.to_frame_uid}, got one in "
                f"{self.grid.frame_uid}"
            )
            raise FrameMismatchError(msg)
        if not np.isfinite(vectors).all():
            msg = "expected finite displacements; crop the field to where it is known"
            raise InputError(msg)

    @property
    def from_frame_uid(self) -> str:
        """Frame that points come from."""
        return self.rigid.from_frame_uid

    @property
    def to_frame_uid(self) -> str:
        """Today's frame."""
        return self.rigid.to_frame_uid

    def then(self, after: RigidTransform) -> Self:
        """Return the map followed by a motion of today's frame onto itself.

        Raises
        ------
        FrameMismatchError
            If `after` leaves today's frame.
        """
        if (after.from_frame_uid, after.to_frame_uid) != (self.to_frame_uid, self.to_frame_uid):
            msg = (
                f"expected a motion within frame {self.to_frame_uid}, got one from "
                f"{after.from_frame_uid} to {after.to_frame_uid}"
            )
            raise FrameMismatchError(msg)
        whole = after if self.after is None else self.after.then(after)
        return replace(self, after=whole)

    def jacobian(self) -> NDArray[np.float64]:
        """Return the determinant of the gradient of ``p + u(p)`` at each voxel; 0 or less folds.

        Returns
        -------
        ndarray of shape (K, J, I)
        """
        spacing = self.grid.spacing_mm[::-1]
        matrix = np.empty((*self.grid.shape, 3, 3))
        for component in range(3):
            values = self.vectors_mm[..., component].astype(np.float64)
            for axis in range(3):
                is_flat = self.grid.shape[axis] == 1
                slope = 0.0 if is_flat else np.gradient(values, spacing[axis], axis=axis)
                matrix[..., component, 2 - axis] = slope
        matrix += np.eye(3)
        return np.asarray(np.linalg.det(matrix))


Transform = RigidTransform | DisplacementField
"""Either map from an earlier frame to today's."""
