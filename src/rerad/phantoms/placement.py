"""Where anatomy lies on a grid, and the distance fields of shapes there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.core import Grid, RigidTransform
from rerad.kernels.phantom import enlarge, sample_noise, section_distance, tube_distance
from rerad.phantoms.fields import Field
from rerad.phantoms.shapes import Section, Spine

FAR_MM = 6.0
"""Distance beyond which a tube's field is not computed."""


@dataclass(frozen=True, eq=False)
class Placement:
    """A grid of a visit and how anatomy lies in it.

    Parameters
    ----------
    grid : Grid
        Voxels.
    from_anatomy : RigidTransform
        Map from anatomy coordinates to the grid's frame.
    spine : Spine
        Curve of the vertebral column.
    """

    grid: Grid
    from_anatomy: RigidTransform
    spine: Spine

    @property
    def to_anatomy(self) -> NDArray[np.float64]:
        """Matrix (3, 4) from points of the frame to anatomy coordinates."""
        return np.ascontiguousarray(self.from_anatomy.inverse().matrix[:3])

    @property
    def index_to_anatomy(self) -> NDArray[np.float64]:
        """Matrix (3, 4) from indices ``(i, j, k)`` to anatomy coordinates."""
        return np.ascontiguousarray((self.from_anatomy.inverse().matrix @ self.grid.affine)[:3])

    def box(
        self, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Return start and shape of the voxels between two corners in the frame."""
        low = np.ceil(self.grid.indices(low_mm)).astype(int)
        high = np.floor(self.grid.indices(high_mm)).astype(int) + 1
        size = np.asarray(self.grid.shape)
        low = np.clip(low, 0, size - 1)
        high = np.clip(high, low + 1, size)
        k, j, i = (int(v) for v in low)
        nk, nj, ni = (int(v) for v in high - low)
        return (k, j, i), (nk, nj, ni)

    def anatomy_points(
        self, start: tuple[int, int, int], shape: tuple[int, ...], factor: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return anatomy x, y, z of the voxels of a box, every `factor`-th in the plane."""
        k, j, i = np.indices(shape, sparse=True)
        m = self.index_to_anatomy
        x, y, z = (
            (m[a, 0] * (factor * i + start[2]) + m[a, 3])
            + (m[a, 1] * (factor * j + start[1]) + m[a, 2] * (k + start[0]))
            for a in range(3)
        )
        return x.astype(np.float32), y.astype(np.float32), z.astype(np.float32)

    def first_mm(self, start: tuple[int, int, int]) -> NDArray[np.float64]:
        """Return ``(x, y, z)`` of a voxel in the frame."""
        return np.asarray(self.grid.points(start))

    def frame(
        self, start: tuple[int, int, int], shape: tuple[int, ...], factor: int = 1
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...]]:
        """Return first voxel, spacing and shape of a box, every `factor`-th in the plane."""
        step = np.asarray(self.grid.spacing_mm) * np.array([factor, factor, 1.0])
        return self.first_mm(start), step, shape

    def moved(self, segments: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return tube segments carried from anatomy coordinates into the frame."""
        out = segments.copy()
        out[:, 0:3] = self.from_anatomy.apply(segments[:, 0:3])
        out[:, 4:7] = self.from_anatomy.apply(segments[:, 4:7])
        return out

    def tubes(self, *segments: NDArray[np.float64], reach_mm: float = FAR_MM) -> Field:
        """Return the field of the union of tubes given in anatomy coordinates."""
        moved = self.moved(np.concatenate(segments))
        ends = np.concatenate([moved[:, :4], moved[:, 4:]])
        grow = ends[:, 3:] + reach_mm
        low, high = (ends[:, :3] - grow).min(axis=0), (ends[:, :3] + grow).max(axis=0)
        start, shape = self.box(low, high)
        return Field(start, tube_distance(self.frame(start, shape), moved, reach_mm))

    def section(self, shape: Section, *, reach_mm: float = 3.0, coarse_mm: float = 2.0) -> Field:
        """Return the field of a swept section, computed at about `coarse_mm` in the plane."""
        start, size = self._section_box(shape, reach_mm)
        factor = max(1, int(coarse_mm / self.grid.spacing_mm[0] + 0.1))
        nk, nj, ni = size
        small = (nk, (nj - 1) // factor + 2, (ni - 1) // factor + 2)
        bend = self.spine.table if shape.is_bent else np.zeros((1, 1, 2))
        sdf = section_distance(
            self.frame(start, small if factor > 1 else size, factor),
            self.to_anatomy,
            (bend, self.spine.table_first_mm, 1.0),
            (shape.table, shape.first_mm, shape.step_mm, shape.is_closed),
        )
        return Field(start, enlarge(sdf, factor, size) if factor > 1 else sdf)

    def roughened(
        self, field: Field, texture: NDArray[np.float32], amount_mm: float, grain_mm: float
    ) -> Field:
        """Return a field whose surface is moved in and out by a smooth texture."""
        frame = self.frame(field.start, field.sdf.shape)
        noise = sample_noise(frame, self.to_anatomy, texture, grain_mm)
        noise *= np.float32(amount_mm)
        noise += field.sdf
        return Field(field.start, noise)

    def _section_box(
        self, shape: Section, reach_mm: float
    ) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        rows, n, _ = shape.table.shape
        at = shape.first_mm + shape.step_mm * np.arange(rows)
        points = np.stack(
            [shape.table[..., 0], shape.table[..., 1], np.broadcast_to(at[:, None], (rows, n))], -1
        )
        if shape.is_bent:
            points = self.spine.to_anatomy(points)
        radius = shape.table[..., 2].max() if not shape.is_closed else 0.0
        flat = self.from_anatomy.apply(points.reshape(-1, 3))
        grow = radius + reach_mm
        return self.box(flat.min(axis=0) - grow, flat.max(axis=0) + grow)


def make_texture(seed: int) -> NDArray[np.float32]:
    """Return a periodic cube of correlated noise of mean 0 and standard deviation 1."""
    rng = np.random.default_rng([seed, 1])
    cube = gaussian_filter(rng.standard_normal((64, 64, 64)), 0.7, mode="wrap")
    cube = (cube - cube.mean()) / cube.std()
    return np.asarray(cube, dtype=np.float32)
