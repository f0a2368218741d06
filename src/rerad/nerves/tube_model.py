r"""A tube as a scanner shows it: a disc convolved with the point spread, seen along its axis.

Blurring along a straight tube changes nothing, so only the point spread across it counts. A disc
of radius R under a round Gaussian of standard deviation s has the closed form

.. math:: D(r) = P\!\left[\chi'^2_2\!\left(r^2/s^2\right) \le R^2/s^2\right],

the distribution of a non-central chi-square. If the spread is wider along one axis, the rest of it
is added by Gauss-Hermite quadrature along that axis.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chndtr

from rerad.core import Grid
from rerad.errors import InputError
from rerad.kernels.nerve_tube import blurred_disc_lookup

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
"""Full width at half maximum of a Gaussian of unit standard deviation."""

ROUND_ENOUGH = 1.1
"""Below this ratio of the two axes a spread counts as round."""

_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_SHARES = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, slots=True)
class Resolution:
    """Point spread of a scanner, before its voxels average.

    Parameters
    ----------
    fwhm_mm : tuple of float
        Full width at half maximum along x, y and z, at least 0. No default: it belongs to the
        scanner and the reconstruction.
    sd_mm : float
        Uncertainty of these, one standard deviation.

    Raises
    ------
    InputError
        If a width or the uncertainty is negative or not finite.
    """

    fwhm_mm: tuple[float, float, float]
    sd_mm: float = 0.0

    def __post_init__(self) -> None:
        values = np.array([*self.fwhm_mm, self.sd_mm], dtype=np.float64)
        if len(values) != 4 or not np.all(np.isfinite(values)) or np.any(values < 0):
            msg = f"expected widths of 0 mm or more along x, y and z, got {self.fwhm_mm}"
            raise InputError(msg)

    def covariance(self, grid: Grid) -> NDArray[np.float64]:
        """Return the covariance (3, 3) of point spread and voxel average together, in mm².

        A voxel averages over a box, whose variance is a twelfth of its width squared.
        """
        spread = (np.asarray(self.fwhm_mm) / FWHM_PER_SIGMA) ** 2
        return np.diag(spread + np.asarray(grid.spacing_mm) ** 2 / 12)


@dataclass(frozen=True, eq=False, slots=True)
class CrossSpread:
    """Point spread in the plane across a tube.

    Parameters
    ----------
    narrow_mm, wide_mm : float
        Standard deviations along the two principal axes.
    wide_axis : ndarray of shape (2,)
        Direction of the wider one, in the plane's own axes.
    """

    narrow_mm: float
    wide_mm: float
    wide_axis: NDArray[np.float64]


def cross_spread(
    covariance: NDArray[np.float64], first: NDArray[np.float64], second: NDArray[np.float64]
) -> CrossSpread:
    """Project a point spread onto the plane of two unit vectors.

    Parameters
    ----------
    covariance : ndarray of shape (3, 3)
        In mm².
    first, second : ndarray of shape (3,)
        Unit vectors across the tube.
    """
    axes = np.stack([first, second])
    values, vectors = np.linalg.eigh(axes @ covariance @ axes.T)
    narrow, wide = np.sqrt(np.maximum(values, 1e-12))
    return CrossSpread(float(narrow), float(wide), vectors[:, 1])


def blurred_disc(
    offsets_mm: NDArray[np.float64], radius_mm: float, spread: CrossSpread
) -> NDArray[np.float64]:
    """Return the value of a disc of height 1 under a point spread.

    Parameters
    ----------
    offsets_mm : ndarray of shape (N, 2)
        Places in the plane, from the centre of the disc.
    radius_mm : float
        Of the disc, above 0.
    spread : CrossSpread
        Point spread in the plane.

    Returns
    -------
    ndarray of shape (N,)
        0 to 1, from a table within 1e-4 of the closed form (2e-3 where the spread is oval).
    """
    sigma, shifts, shares = spread.narrow_mm, np.zeros((1, 2)), np.ones(1)
    if spread.wide_mm < ROUND_ENOUGH * sigma:
        sigma = float(np.sqrt(spread.narrow_mm * spread.wide_mm))
    else:
        rest = np.sqrt(spread.wide_mm**2 - sigma**2)
        shifts, shares = rest * _NODES[:, None] * spread.wide_axis, _SHARES
    size = radius_mm / sigma
    if size > _TABLE_SIZE:
        shifted = offsets_mm[None, :, :] - shifts[:, None, :]
        distances = np.hypot(shifted[..., 0], shifted[..., 1])
        return np.asarray(shares @ round_disc(distances, radius_mm, sigma))
    steps = np.array([_TABLE_SIZE_STEP, _TABLE_STEP, _TABLE_REACH])
    places = np.ascontiguousarray(offsets_mm, dtype=np.float64)
    found = blurred_disc_lookup(places, size, sigma, shifts, shares, _disc_table(), steps)
    return np.asarray(found)


def round_disc(
    distances_mm: NDArray[np.float64], radius_mm: float, sigma_mm: float
) -> NDArray[np.float64]:
    """Return the closed form of the module for a round spread, exact and slow."""
    limit = (radius_mm / sigma_mm) ** 2
    return np.asarray(chndtr(limit, 2.0, (distances_mm / sigma_mm) ** 2))


_TABLE_SIZE = 16.0
_TABLE_SIZE_STEP = 0.02
_TABLE_REACH = 6.0
_TABLE_STEP = 0.025


@cache
def _disc_table() -> NDArray[np.float64]:
    """Return the closed form by radius and by distance from the edge, in standard deviations."""
    sizes = np.arange(0.0, _TABLE_SIZE + 2 * _TABLE_SIZE_STEP, _TABLE_SIZE_STEP)
    edge = np.arange(-_TABLE_REACH, _TABLE_REACH + _TABLE_STEP, _TABLE_STEP)
    distances = np.maximum(sizes[:, None] + edge[None, :], 0.0)
    return np.asarray(chndtr(sizes[:, None] ** 2, 2.0, distances**2))


def recovery_at_centre(radius_mm: float, spread: CrossSpread) -> float:
    r"""Return the share of a tube's contrast that is left at its centre.

    For a round spread, :math:`1 - e^{-R^2 / 2 s^2}`.
    """
    return float(blurred_disc(np.zeros((1, 2)), radius_mm, spread)[0])
