"""Maps from one frame of reference to another."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import FrameMismatchError, InputError


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
