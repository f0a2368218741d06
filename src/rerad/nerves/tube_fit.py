"""Fit a blurred tube to the voxels around one place of a path.

Gauss-Newton on radius, centre, background, slope of the background, and contrast, all together.
Voxels that fit neither tube nor background (muscle beside the nerve, a vessel) are weighed down
(Tukey). The covariance allows for noise that is correlated within a slice: neighbouring voxels of
a reconstruction are not independent.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.nerves.tube_model import CrossSpread, blurred_disc

_TUKEY = 4.7
_MOST_STEPS = 16
_SMALL_STEP_MM = 2e-3
_LARGEST_STEP_MM = 0.8
_DIFFERENCE_MM = 0.03
_FLOOR = 0.02
_LEAST_VOXELS = 30
_LEAST_FREE = 10.0


@dataclass(frozen=True, slots=True)
class FitLimits:
    """What a fit may find, and when it is believed.

    Parameters
    ----------
    diameter_range_mm : tuple of float
        Smallest and largest diameter.
    largest_shift_mm : float
        How far the centre may lie from the path.
    least_contrast_to_noise : float
        Below this nothing is believed.
    largest_sd_mm : float
        Above this uncertainty of the diameter nothing is believed.
    surroundings : tuple of float
        Nothing is believed where the background found lies beyond.
    noise_grain : float
        Standard deviation in voxels of the Gaussian that correlates the noise in a slice.
    """

    diameter_range_mm: tuple[float, float]
    largest_shift_mm: float
    least_contrast_to_noise: float
    largest_sd_mm: float
    surroundings: tuple[float, float]
    noise_grain: float


@dataclass(frozen=True, eq=False, slots=True)
class TubeFit:
    """One place of a path; NaN what could not be measured.

    Parameters
    ----------
    shift_mm : ndarray of shape (2,)
        Of the centre from the path, along normal and binormal.
    diameter_mm, sd_mm : float
        Diameter and its standard deviation.
    contrast, background, noise : float
        In the unit of the image.
    neighbor_correlation : float
        Of the residuals of neighbours in a slice.
    """

    shift_mm: NDArray[np.float64]
    diameter_mm: float
    sd_mm: float
    contrast: float
    background: float
    noise: float
    neighbor_correlation: float = np.nan


@dataclass(frozen=True, eq=False, slots=True)
class Neighborhood:
    """Voxels around a place of a path.

    Parameters
    ----------
    values : ndarray of shape (N,)
        Of the image.
    offsets_mm : ndarray of shape (N, 2)
        Across the path, along normal and binormal.
    along_mm : ndarray of shape (N,)
        Along the path, from the place.
    indices : ndarray of shape (N, 3)
        ``[k, j, i]`` of each voxel.
    """

    values: NDArray[np.float64]
    offsets_mm: NDArray[np.float64]
    along_mm: NDArray[np.float64]
    indices: NDArray[np.intp]


def fit_tube(
    near: Neighborhood, first_mm: float, spread: CrossSpread, limits: FitLimits
) -> TubeFit:
    """Fit a blurred tube to voxels.

    Parameters
    ----------
    near : Neighborhood
        Voxels around the place.
    first_mm : float
        Diameter to start from.
    spread : CrossSpread
        Point spread across the tube.
    limits : FitLimits
        What may be found and when it is believed.

    Returns
    -------
    TubeFit
    """
    nothing = TubeFit(np.zeros(2), np.nan, np.nan, np.nan, np.nan, np.nan)
    if len(near.values) < _LEAST_VOXELS:
        return nothing
    low, high = limits.diameter_range_mm
    p = np.array([np.clip(0.5 * first_mm, 0.5 * low, 0.5 * high), 0.0, 0.0])
    linear: NDArray[np.float64] = np.zeros(4)
    weights = np.ones(len(near.values))
    for n_steps in range(_MOST_STEPS):
        design = _design(p, near, spread)
        root = np.sqrt(weights)
        linear = _solved(design, near.values, root)
        residual = near.values - design @ linear
        weights = _tukey(residual, abs(float(linear[3]))) if n_steps > 1 else weights
        step = _step(p, near, spread, (design, linear, residual, weights))
        moved = p + np.clip(step, -_LARGEST_STEP_MM, _LARGEST_STEP_MM)
        moved[0] = np.clip(moved[0], 0.5 * low, 0.5 * high)
        moved[1:] = np.clip(moved[1:], -limits.largest_shift_mm, limits.largest_shift_mm)
        is_still = n_steps > 2 and float(np.max(np.abs(moved - p))) < _SMALL_STEP_MM
        p = moved
        if is_still:
            break
    return _judged(p, near, spread, (weights, limits, nothing))


def _design(
    p: NDArray[np.float64], near: Neighborhood, spread: CrossSpread
) -> NDArray[np.float64]:
    """Return columns: 1, slope along both axes across, the blurred disc."""
    disc = blurred_disc(near.offsets_mm - p[1:], float(p[0]), spread)
    return np.column_stack([np.ones(len(disc)), near.offsets_mm, disc])


def _solved(
    design: NDArray[np.float64], values: NDArray[np.float64], root: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the coefficients of weighted least squares."""
    found = np.linalg.lstsq(design * root[:, None], values * root, rcond=None)[0]
    return np.asarray(found, dtype=np.float64)


def _tukey(residual: NDArray[np.float64], contrast: float) -> NDArray[np.float64]:
    """Return weights that fall to zero for voxels far from the model."""
    noise = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
    limit = _TUKEY * max(noise, _FLOOR * contrast, 1e-9)
    return np.asarray((1 - np.minimum(np.abs(residual) / limit, 1.0) ** 2) ** 2)


def _jacobian(
    p: NDArray[np.float64],
    near: Neighborhood,
    spread: CrossSpread,
    design: NDArray[np.float64],
    contrast: float,
) -> NDArray[np.float64]:
    """Return derivatives of the model by radius, shift, and the linear coefficients."""
    columns = []
    for n in range(3):
        moved = p.copy()
        moved[n] += _DIFFERENCE_MM
        change = blurred_disc(near.offsets_mm - moved[1:], float(moved[0]), spread) - design[:, 3]
        columns.append(contrast * change / _DIFFERENCE_MM)
    return np.column_stack([*columns, design])


def _step(
    p: NDArray[np.float64],
    near: Neighborhood,
    spread: CrossSpread,
    state: tuple[
        NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
    ],
) -> NDArray[np.float64]:
    """Return the Gauss-Newton step of radius and shift."""
    design, linear, residual, weights = state
    jacobian = _jacobian(p, near, spread, design, float(linear[3]))
    weighted = jacobian * weights[:, None]
    normal = jacobian.T @ weighted
    # A touch of damping keeps a tube without contrast from flying away.
    normal[np.diag_indices(7)] *= 1 + 1e-3
    try:
        full = np.linalg.solve(normal, weighted.T @ residual)
    except np.linalg.LinAlgError:
        return np.zeros(3)
    return np.asarray(full[:3])


def _judged(
    p: NDArray[np.float64],
    near: Neighborhood,
    spread: CrossSpread,
    how: tuple[NDArray[np.float64], FitLimits, TubeFit],
) -> TubeFit:
    """Return a fit with its uncertainty, or nothing where it cannot be believed."""
    weights, limits, nothing = how
    n_free = float(weights.sum()) - 7
    if n_free < _LEAST_FREE:
        return nothing
    design = _design(p, near, spread)
    root = np.sqrt(weights)
    linear = _solved(design, near.values, root)
    residual = near.values - design @ linear
    noise = float(np.sqrt((weights * residual**2).sum() / n_free))
    contrast = float(linear[3])
    sd_mm = noise * _sd_per_noise(
        _jacobian(p, near, spread, design, contrast), weights, near, limits
    )
    low, high = limits.diameter_range_mm
    found = replace(
        nothing,
        contrast=contrast,
        background=float(linear[0]),
        noise=noise,
        neighbor_correlation=_neighbor_correlation(residual * root, near.indices),
    )
    is_seen = (
        abs(contrast) > limits.least_contrast_to_noise * noise
        and sd_mm < limits.largest_sd_mm
        and limits.surroundings[0] <= linear[0] <= limits.surroundings[1]
        and 1.02 * low < 2 * p[0] < 0.98 * high
        and float(np.max(np.abs(p[1:]))) < 0.98 * limits.largest_shift_mm
    )
    return (
        replace(found, shift_mm=p[1:], diameter_mm=float(2 * p[0]), sd_mm=sd_mm)
        if is_seen
        else found
    )


def _sd_per_noise(
    jacobian: NDArray[np.float64],
    weights: NDArray[np.float64],
    near: Neighborhood,
    limits: FitLimits,
) -> float:
    """Return the standard deviation of the diameter for noise of 1, correlated in slices."""
    weighted = jacobian * weights[:, None]
    try:
        inverse = np.linalg.inv(jacobian.T @ weighted)
    except np.linalg.LinAlgError:
        return np.inf
    gain = weighted @ inverse[0]
    variance = float(gain @ gain)
    if limits.noise_grain > 0:
        k = near.indices[:, 0]
        variance = 0.0
        for plane in np.unique(k):
            inside = k == plane
            ji = near.indices[inside, 1:].astype(np.float64)
            squares = np.sum((ji[:, None, :] - ji[None, :, :]) ** 2, axis=2)
            share = np.exp(-0.25 * squares / limits.noise_grain**2)
            variance += float(gain[inside] @ share @ gain[inside])
    return 2 * float(np.sqrt(max(variance, 0.0)))


def _neighbor_correlation(residual: NDArray[np.float64], indices: NDArray[np.intp]) -> float:
    """Return the correlation of residuals of neighbours in a slice."""
    first = indices.min(axis=0)
    box = np.zeros(indices.max(axis=0) - first + 1)
    box[tuple((indices - first).T)] = residual
    held = np.zeros(box.shape, dtype=bool)
    held[tuple((indices - first).T)] = True
    products = n_pairs = 0.0
    for axis in (1, 2):
        here, there = np.moveaxis(box, axis, 0), np.moveaxis(held, axis, 0)
        pairs = there[1:] & there[:-1]
        products += float((here[1:] * here[:-1])[pairs].sum())
        n_pairs += float(pairs.sum())
    variance = float(np.mean(residual**2))
    return products / n_pairs / variance if n_pairs > 0 and variance > 0 else np.nan
