"""Refine a rigid alignment of two bone images by robust Gauss-Newton steps.

Points in and around the fixed bones are carried into the moving image; six numbers change until
the bone contrast there agrees best. Points that no alignment can satisfy (a femur that turned,
contrast medium, a new implant) lose their weight. No random steps, one thread: the same images
give the same transform, bit by bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from rerad.core import Grid

MAX_STEPS = 40
"""Gauss-Newton steps of one level; it converges in about ten from a good start."""

STEP_TOLERANCE_MM = 2e-3
"""A step that moves no point further than this ends a level."""

RESIDUAL_SCALE = 0.15
"""Difference of bone contrast at which a point has lost three quarters of its weight."""


MAX_DAMPING = 1e4
"""Damping at which no useful step is left."""

MAX_CONDITION = 1e14
"""Condition number beyond which the points do not fix all six numbers."""


@dataclass(frozen=True, eq=False, slots=True)
class Pose:
    """``p_moving = rotation @ (p_fixed - center_mm) + target_mm``."""

    rotation: NDArray[np.float64]
    center_mm: NDArray[np.float64]
    target_mm: NDArray[np.float64]

    def about(self, center_mm: NDArray[np.float64]) -> "Pose":
        """Return the same map written about another centre."""
        target = self.rotation @ (center_mm - self.center_mm) + self.target_mm
        return Pose(self.rotation, center_mm, target)

    def apply(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Carry fixed points into the moving frame."""
        return (points_mm - self.center_mm) @ self.rotation.T + self.target_mm


@dataclass(frozen=True, eq=False, slots=True)
class Level:
    """One resolution: points of the fixed image, and the moving image with its gradient.

    Parameters
    ----------
    points_mm : ndarray of shape (N, 3)
        Fixed points.
    wanted : ndarray of shape (N,)
        Fixed bone contrast there.
    moving : ndarray of shape (K, J, I)
        Smoothed moving bone contrast.
    gradient : ndarray of shape (3, K, J, I)
        Its derivatives along x, y, z per mm.
    grid : Grid
        Grid of `moving`.
    margin : float
        Voxels at the edge of `moving` that are not compared.
    """

    points_mm: NDArray[np.float64]
    wanted: NDArray[np.float64]
    moving: NDArray[np.float32]
    gradient: NDArray[np.float32]
    grid: Grid
    margin: float

    def is_inside(self, index_kji: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which points of the moving grid are trusted: smoothing blurs in its edges."""
        last = np.array(self.grid.shape) - 1 - self.margin
        return np.asarray(np.all((index_kji >= self.margin) & (index_kji <= last), axis=-1))


def make_level(
    fixed: tuple[NDArray[np.float32], NDArray[np.bool_], Grid],
    moving: tuple[NDArray[np.float32], Grid],
    *,
    sigma_mm: float,
    n_points: int,
    rng: np.random.Generator,
) -> Level:
    """Smooth both images, differentiate the moving one, and choose the fixed points.

    Parameters
    ----------
    fixed : tuple
        Bone contrast, mask of where points may lie, grid.
    moving : tuple
        Bone contrast and grid.
    sigma_mm : float
        Standard deviation of the Gaussian that both are smoothed with.
    n_points : int
        At most this many points, chosen without replacement.
    rng : Generator
        Chooses the points.
    """
    contrast, region, grid = fixed
    smooth_fixed = ndimage.gaussian_filter(contrast, sigma_mm / grid.spacing_mm[0])
    margin = _margin_voxels(sigma_mm, grid.spacing_mm[0])
    kept = np.zeros_like(region)
    middle = tuple(slice(margin, n - margin) for n in region.shape)
    kept[middle] = region[middle]
    index = np.flatnonzero(kept)
    if len(index) > n_points:
        index = np.sort(rng.choice(index, n_points, replace=False))
    kji = np.stack(np.unravel_index(index, grid.shape), axis=-1)
    moving_values, moving_grid = moving
    spacing = moving_grid.spacing_mm[0]
    smooth_moving = ndimage.gaussian_filter(moving_values, sigma_mm / spacing)
    along_z, along_y, along_x = np.gradient(smooth_moving, spacing)
    return Level(
        points_mm=grid.points(kji),
        wanted=smooth_fixed.ravel()[index].astype(np.float64),
        moving=smooth_moving,
        gradient=np.stack([along_x, along_y, along_z]).astype(np.float32),
        grid=moving_grid,
        margin=float(_margin_voxels(sigma_mm, spacing)),
    )


def _margin_voxels(sigma_mm: float, spacing_mm: float) -> int:
    """Return how many voxels at an edge are spoilt by smoothing and by half-filled voxels."""
    return 1 + int(np.ceil(sigma_mm / spacing_mm))


def _sampled(
    level: Level, points_mm: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return moving contrast (N,), its gradient (N, 3) and which points are inside."""
    index = level.grid.indices(points_mm)
    where = index.T
    value = ndimage.map_coordinates(level.moving, where, order=1, mode="nearest")
    slope = np.stack(
        [ndimage.map_coordinates(part, where, order=1, mode="nearest") for part in level.gradient],
        axis=-1,
    )
    return value.astype(np.float64), slope.astype(np.float64), level.is_inside(index)


def _costs(pose: Pose, level: Level) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the robust cost of every point, 0 (perfect) to 1, and which points are inside."""
    index = level.grid.indices(pose.apply(level.points_mm))
    value = ndimage.map_coordinates(level.moving, index.T, order=1, mode="nearest")
    squared = ((value - level.wanted) / RESIDUAL_SCALE) ** 2
    return squared / (1.0 + squared), level.is_inside(index)


def cost_of(pose: Pose, level: Level) -> float:
    """Return the mean robust cost of a pose, 0 (perfect) to 1; points outside count in full."""
    costs, inside = _costs(pose, level)
    return float(np.mean(np.where(inside, costs, 1.0)))


def refine(pose: Pose, level: Level) -> Pose:
    """Return the pose after robust Gauss-Newton steps at one level.

    Parameters
    ----------
    pose : Pose
        Start.
    level : Level
        Points and images.
    """
    pose = pose.about(level.points_mm.mean(axis=0))
    radius_mm = float(np.percentile(np.linalg.norm(level.points_mm - pose.center_mm, axis=1), 95))
    damping = 1e-3
    for _ in range(MAX_STEPS):
        step = _step(pose, level, damping)
        if step is None:
            break
        turn = Rotation.from_rotvec(step[:3]).as_matrix()
        tried = Pose(turn @ pose.rotation, pose.center_mm, pose.target_mm + step[3:])
        moved_mm = float(np.linalg.norm(step[3:]) + np.linalg.norm(step[:3]) * radius_mm)
        if _is_better(tried, pose, level):
            pose, damping = tried, max(damping / 4, 1e-6)
        else:
            damping *= 8
        if moved_mm < STEP_TOLERANCE_MM or damping > MAX_DAMPING:
            break
    return pose


def _step(pose: Pose, level: Level, damping: float) -> NDArray[np.float64] | None:
    """Return rotation vector and shift of a damped Gauss-Newton step; None if undetermined."""
    arm = (level.points_mm - pose.center_mm) @ pose.rotation.T
    value, slope, inside = _sampled(level, arm + pose.target_mm)
    residual = value - level.wanted
    weight = inside / (1.0 + (residual / RESIDUAL_SCALE) ** 2) ** 2
    jacobian = np.concatenate([np.cross(arm, slope), slope], axis=1)
    weighted = jacobian * weight[:, None]
    normal = weighted.T @ jacobian
    normal[np.diag_indices(6)] *= 1.0 + damping
    if np.linalg.cond(normal) > MAX_CONDITION:
        return None
    return np.asarray(-np.linalg.solve(normal, weighted.T @ residual))


def _is_better(tried: Pose, pose: Pose, level: Level) -> bool:
    """Return whether a pose agrees better on the points that both poses see.

    Comparing one set of points only: else a step that pushes a few points over the edge of a
    short scan would be refused although it fits better.
    """
    new, is_in_new = _costs(tried, level)
    old, is_in_old = _costs(pose, level)
    both = is_in_new & is_in_old
    return bool(both.any() and new[both].mean() <= old[both].mean())
