"""Numbers of a SUV image: least, mean, largest, percentiles, and the peak of a small sphere."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve
from scipy.signal import oaconvolve

from rerad.core import Grid, Image
from rerad.errors import InputError

PEAK_VOLUME_CC = 1.0
"""Volume of the sphere of SUVpeak (PERCIST: Wahl et al. 2009, J. Nucl. Med. 50 Suppl. 1, 122S,
doi:10.2967/jnumed.108.057307)."""

PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0, 99.0)
"""Percentiles that are given."""

_SUB = 8
_SMALL_KERNEL = 400


@dataclass(frozen=True, slots=True)
class SuvStatistics:
    """Numbers over a region.

    Parameters
    ----------
    n_voxels : int
        Voxels counted.
    minimum, mean, maximum : float
        Of the voxels.
    percentiles : tuple of (float, float)
        Percent and value.
    peak : float
        Largest mean over a sphere of `PEAK_VOLUME_CC` centred on a voxel of the region whose
        sphere lies wholly in the image; NaN if the image is too small for one.
    maximum_at_mm, peak_at_mm : tuple of float
        Where, ``(x, y, z)``.
    """

    n_voxels: int
    minimum: float
    mean: float
    maximum: float
    percentiles: tuple[tuple[float, float], ...]
    peak: float
    maximum_at_mm: tuple[float, float, float]
    peak_at_mm: tuple[float, float, float]


def suv_statistics(image: Image, region: NDArray[np.bool_] | None = None) -> SuvStatistics:
    """Return the numbers of a SUV image.

    Parameters
    ----------
    image : Image
        In SUV.
    region : ndarray of bool of shape (K, J, I), optional
        Voxels to count; the whole image if None.

    Returns
    -------
    SuvStatistics

    Raises
    ------
    InputError
        If the region has another shape, holds no voxel, or values are not finite.
    """
    inside = np.ones(image.grid.shape, dtype=bool) if region is None else np.asarray(region)
    if inside.shape != image.grid.shape or not inside.any():
        msg = f"expected a region of shape {image.grid.shape} with voxels, got {inside.shape}"
        raise InputError(msg)
    values = image.values[inside].astype(np.float64)
    if not np.all(np.isfinite(values)):
        msg = "expected finite SUV, got values that are not; fill them or leave them out"
        raise InputError(msg)
    hottest = np.argmax(np.where(inside, image.values, -np.inf))
    means = sphere_means(image, PEAK_VOLUME_CC)
    candidates = np.where(inside, means, np.nan)
    peak, peak_at = np.nan, (np.nan, np.nan, np.nan)
    if np.any(np.isfinite(candidates)):
        at = np.nanargmax(candidates)
        peak, peak_at = float(candidates.flat[at]), _point(image.grid, at)
    shares = np.percentile(values, PERCENTILES)
    return SuvStatistics(
        n_voxels=len(values),
        minimum=float(values.min()),
        mean=float(values.mean()),
        maximum=float(values.max()),
        percentiles=tuple((p, float(v)) for p, v in zip(PERCENTILES, shares, strict=True)),
        peak=peak,
        maximum_at_mm=_point(image.grid, hottest),
        peak_at_mm=peak_at,
    )


def sphere_means(image: Image, volume_cc: float) -> NDArray[np.float64]:
    """Return the mean over a sphere around every voxel.

    Parameters
    ----------
    image : Image
        Any values.
    volume_cc : float
        Volume of the sphere, above 0.

    Returns
    -------
    ndarray of shape (K, J, I)
        NaN where the sphere reaches beyond the image.
    """
    weights = sphere_weights(image.grid.spacing_mm, volume_cc)
    values = image.values.astype(np.float64)
    half = [n // 2 for n in weights.shape]
    if any(n <= 2 * h for n, h in zip(values.shape, half, strict=True)):
        return np.full(values.shape, np.nan)
    # The sphere is symmetric, so convolution and correlation are the same.
    if weights.size <= _SMALL_KERNEL:
        means = convolve(values, weights, mode="nearest")
    else:
        means = oaconvolve(values, weights, mode="same")
    rim = np.ones(values.shape, dtype=bool)
    rim[tuple(slice(h, n - h) for h, n in zip(half, values.shape, strict=True))] = False
    means[rim] = np.nan
    return np.asarray(means)


def sphere_weights(
    spacing_mm: tuple[float, float, float], volume_cc: float
) -> NDArray[np.float64]:
    """Return the share of each voxel in a sphere centred on one, summing to 1.

    Parameters
    ----------
    spacing_mm : tuple of float
        ``(x, y, z)`` voxel size.
    volume_cc : float
        Volume of the sphere.

    Returns
    -------
    ndarray of shape (k, j, i), all odd
    """
    radius_mm = (3 * volume_cc * 1000 / (4 * np.pi)) ** (1 / 3)
    step = np.asarray(spacing_mm[::-1])
    half = np.floor(radius_mm / step + 0.5).astype(int)
    squares = []
    for n, s in zip(half, step, strict=True):
        places = (np.arange((2 * n + 1) * _SUB) + 0.5) / _SUB - 0.5 - n
        squares.append((places * s) ** 2)
    inside = (
        squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :]
        <= radius_mm**2
    )
    k, j, i = 2 * half + 1
    shares = inside.reshape(k, _SUB, j, _SUB, i, _SUB).mean(axis=(1, 3, 5))
    return np.asarray(shares / shares.sum())


def _point(grid: Grid, flat_index: np.intp) -> tuple[float, float, float]:
    x, y, z = (float(v) for v in grid.points(np.unravel_index(flat_index, grid.shape)))
    return x, y, z
