"""Find where two bone images lie on each other, from nowhere: every shift, a few tilts.

For each of a few rotations, masked normalised cross-correlation over all shifts at once by
Fourier transform. Only the region that both images show is compared, so that scans of different
length do not pull towards their ends.

References
----------
.. [1] Padfield (2012), IEEE Trans. Image Process. 21, 2706-2718, doi:10.1109/TIP.2011.2181402.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.spatial.transform import Rotation

from rerad.core import Grid
from rerad.kernels.warp import pull_affine

TILTS_DEG = ((0, 0, 0), (7, 0, 0), (-7, 0, 0), (0, 7, 0), (0, -7, 0), (0, 0, 7), (0, 0, -7))
"""Rotations about x (pitch), y (roll) and z (yaw) that the search starts from, in degrees."""

MIN_OVERLAP = 0.25
"""Share of the smaller image that both must show: less is compared on too little bone."""


@dataclass(frozen=True, eq=False, slots=True)
class Start:
    """A candidate: rotation and shift from fixed to moving, and its correlation.

    ``p_moving = rotation @ (p_fixed - center_mm) + target_mm``.
    """

    rotation: NDArray[np.float64]
    center_mm: NDArray[np.float64]
    target_mm: NDArray[np.float64]
    correlation: float


def search_starts(
    fixed: NDArray[np.float32], fixed_grid: Grid, moving: NDArray[np.float32], moving_grid: Grid
) -> list[Start]:
    """Return one candidate for each tilt, best correlation first.

    Parameters
    ----------
    fixed, moving : ndarray of shape (K, J, I)
        Bone contrast on isotropic grids of the same spacing.
    fixed_grid, moving_grid : Grid
        Where they are.
    """
    spacing = fixed_grid.spacing_mm[0]
    centre = 0.5 * (np.array(moving_grid.origin_mm) + np.array(moving_grid.end_mm))
    # A cube-like box that holds the moving image at every tilt.
    margin = int(np.ceil(np.sin(np.radians(7.0)) * 0.5 * max(moving.shape))) + 1
    shape = tuple(n + 2 * margin for n in moving.shape)
    size = [
        fft.next_fast_len(a + b - 1, real=True) for a, b in zip(fixed.shape, shape, strict=True)
    ]
    of_fixed = _transforms(fixed, np.ones_like(fixed), size)
    starts = []
    for tilt in TILTS_DEG:
        rotation = Rotation.from_euler("xyz", tilt, degrees=True).as_matrix()
        turned, seen = _turned(moving, rotation, shape)
        correlation = _masked_correlation(of_fixed, _transforms(turned, seen, size), size)
        best = np.unravel_index(int(np.argmax(correlation)), correlation.shape)
        lag = np.array(
            [b if b < n else b - s for b, n, s in zip(best, fixed.shape, size, strict=True)]
        )
        # Voxel 0 of the turned image lies on voxel `lag` of the fixed one.
        middle_of_turned = 0.5 * (np.array(shape) - 1.0)
        fixed_point = np.array(fixed_grid.origin_mm) + spacing * (lag + middle_of_turned)[::-1]
        starts.append(Start(rotation, fixed_point, centre, float(correlation[best])))
    return sorted(starts, key=lambda start: -start.correlation)


def _turned(
    moving: NDArray[np.float32], rotation: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the moving image turned about its middle, and where it has values."""
    reverse = [2, 1, 0]
    matrix = np.empty((3, 4))
    matrix[:, :3] = rotation[reverse][:, reverse]
    matrix[:, 3] = 0.5 * (np.array(moving.shape) - 1.0) - matrix[:, :3] @ (
        0.5 * (np.array(shape) - 1.0)
    )
    values = pull_affine(moving, matrix, shape, (1, 1, 1), -1.0)
    seen = (values >= 0).astype(np.float32)
    return values * seen, seen


def _transforms(
    values: NDArray[np.float32], seen: NDArray[np.float32], size: list[int]
) -> tuple[NDArray[np.complex128], ...]:
    """Return Fourier transforms of image, its square and its mask."""
    stack = (values, values**2, seen)
    return tuple(fft.rfftn(part.astype(np.float64), s=size) for part in stack)


def _masked_correlation(
    of_fixed: tuple[NDArray[np.complex128], ...],
    of_turned: tuple[NDArray[np.complex128], ...],
    size: list[int],
) -> NDArray[np.float64]:
    """Return the correlation coefficient within the overlap for every cyclic shift."""
    f, f2, in_f = of_fixed
    t, t2, in_t = (np.conj(part) for part in of_turned)

    def product(a: NDArray[np.complex128], b: NDArray[np.complex128]) -> NDArray[np.float64]:
        return np.asarray(fft.irfftn(a * b, s=size))

    n = np.maximum(np.rint(product(in_f, in_t)), 1.0)
    sum_f, sum_t = product(f, in_t), product(in_f, t)
    covariance = product(f, t) - sum_f * sum_t / n
    spread_f = product(f2, in_t) - sum_f**2 / n
    spread_t = product(in_f, t2) - sum_t**2 / n
    scale = np.sqrt(np.maximum(spread_f, 0.0) * np.maximum(spread_t, 0.0))
    enough = n >= MIN_OVERLAP * min(float(in_f.flat[0].real), float(in_t.flat[0].real))
    usable = enough & (scale > 1e-6 * scale.max())
    return np.where(usable, covariance / np.where(usable, scale, 1.0), -1.0)
