"""Diameter of a nerve at each place of its path, finer than the voxels.

At each place a blurred tube (see `rerad.nerves.tube_model`) is fitted to the voxels around it, as
they are, not interpolated (`rerad.nerves.tube_fit`). A first pass finds the centres, onto which
the path is moved, and how far the noise of neighbours is alike; the second measures.

What the fit cannot see is said: no diameter is given where the contrast is not above the noise.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, gaussian_filter1d

from rerad.core import Grid, Image, ImageUnit, Modality, NervePath, Structure
from rerad.errors import FrameMismatchError, InputError
from rerad.nerves.path import path_from_points
from rerad.nerves.straighten import PathFrames, frames_along, straighten
from rerad.nerves.tube_fit import FitLimits, Neighborhood, TubeFit, fit_tube
from rerad.nerves.tube_model import Resolution, cross_spread
from rerad.structures import rasterize

_SMOOTH_MM = 3.0
_CUT_MM = 10.0
_REACH_MM = 25.0


@dataclass(frozen=True, slots=True)
class CaliberSettings:
    """How diameters are measured.

    Parameters
    ----------
    every_mm : float
        Distance of the places measured along the path.
    slab_mm : float
        Length of path whose voxels are used for one place; the nerve is taken as straight and
        even over it.
    rim_mm : float
        How much surrounding beyond the surface of the tube is used.
    first_diameter_mm : float
        Where the search starts.
    diameter_range_mm : tuple of float
        Smallest and largest diameter that can be found.
    largest_shift_mm : float
        How far the centre may lie from the path.
    least_contrast_to_noise : float
        Contrast over what the fit leaves unexplained; below this the place is not measured.
    largest_sd_mm : float
        Above this uncertainty of the diameter the place is not measured.
    soft_hu : tuple of float
        On CT, voxels beyond these values (gas, bone), and those beside them, are not used.
    fat_hu : tuple of float
        On CT, a place is measured only where the surroundings found are fat: beside muscle or
        bone the edge found may be another's.
    """

    every_mm: float = 2.0
    slab_mm: float = 6.0
    rim_mm: float = 4.0
    first_diameter_mm: float = 5.5
    diameter_range_mm: tuple[float, float] = (1.0, 20.0)
    largest_shift_mm: float = 3.0
    least_contrast_to_noise: float = 3.3
    largest_sd_mm: float = 1.5
    soft_hu: tuple[float, float] = (-300.0, 160.0)
    fat_hu: tuple[float, float] = (-150.0, -50.0)


@dataclass(frozen=True, eq=False, slots=True)
class CaliberProfile:
    """Diameters along a path; NaN where they could not be measured.

    Parameters
    ----------
    path : NervePath
        Centre line, moved onto the centres found.
    arc_mm, diameter_mm, sd_mm, contrast, background, noise : ndarray of shape (M,)
        Place on the path; diameter and its standard deviation; value inside less surroundings,
        surroundings, and noise, in the unit of the image.
    is_contoured : ndarray of bool of shape (M,)
        Where the diameter is that of the user's contours, for want of a measured one.
    """

    path: NervePath
    arc_mm: NDArray[np.float64]
    diameter_mm: NDArray[np.float64]
    sd_mm: NDArray[np.float64]
    contrast: NDArray[np.float64]
    background: NDArray[np.float64]
    noise: NDArray[np.float64]
    is_contoured: NDArray[np.bool_]


def measure_caliber(
    image: Image,
    path: NervePath,
    resolution: Resolution,
    settings: CaliberSettings | None = None,
) -> CaliberProfile:
    """Measure the diameter of a nerve along its path.

    Parameters
    ----------
    image : Image
        CT or MR in the frame of the path.
    path : NervePath
        Centre line; it is moved onto the centres found, smoothed.
    resolution : Resolution
        Of the scanner; its uncertainty enters that of the diameter, at the price of a third
        pass. A width of 0 (slices that only average) is taken as sure.
    settings : CaliberSettings, optional
        How to measure.

    Returns
    -------
    CaliberProfile

    Raises
    ------
    FrameMismatchError
        If image and path lie in different frames.
    InputError
        If the path lies outside the image.
    """
    settings = settings or CaliberSettings()
    _require_together(image, path)
    covariance = resolution.covariance(image.grid)
    image = _cropped(image, path)
    first = _fit_all(image, path, covariance, settings, None)
    moved = _recentred(path, first)
    last = _fit_all(image, moved, covariance, settings, first)
    fits = last.fits
    by_spread = np.zeros(len(fits))
    if resolution.sd_mm > 0:
        x, y, z = (f + resolution.sd_mm if f else f for f in resolution.fwhm_mm)
        wide = replace(resolution, fwhm_mm=(x, y, z))
        other = _fit_all(image, moved, wide.covariance(image.grid), settings, first)
        by_spread = np.array(
            [abs(b.diameter_mm - a.diameter_mm) for a, b in zip(fits, other.fits, strict=True)]
        )
    return CaliberProfile(
        path=moved,
        arc_mm=last.arc_mm,
        diameter_mm=np.array([fit.diameter_mm for fit in fits]),
        # Where the wider fit finds nothing, the influence is unknown, and so is the uncertainty.
        sd_mm=np.hypot([fit.sd_mm for fit in fits], by_spread),
        contrast=np.array([fit.contrast for fit in fits]),
        background=np.array([fit.background for fit in fits]),
        noise=np.array([fit.noise for fit in fits]),
        is_contoured=np.zeros(len(fits), dtype=bool),
    )


def _require_together(image: Image, path: NervePath) -> None:
    if image.grid.frame_uid != path.frame_uid:
        msg = (
            f"{path.name}: expected an image in frame {path.frame_uid}, got "
            f"{image.grid.frame_uid}; register the two and resample the image"
        )
        raise FrameMismatchError(msg)
    index = image.grid.indices(path.points_mm)
    inside = np.all((index > -0.5) & (index < np.asarray(image.grid.shape) - 0.5), axis=1)
    if not inside.any():
        msg = f"{path.name}: expected a path inside the image, got one outside; check the frame"
        raise InputError(msg)


def fill_from_contours(
    profile: CaliberProfile, structure: Structure, *, sd_mm: float
) -> CaliberProfile:
    """Take the diameter of the user's contours where none could be measured.

    The diameter is that of the circle with the area that a plane across the path cuts from the
    contoured volume.

    Parameters
    ----------
    profile : CaliberProfile
        Measured.
    structure : Structure
        Contours of the same nerve.
    sd_mm : float
        Uncertainty of a contoured diameter: what observers differ by.

    Returns
    -------
    CaliberProfile
        With `is_contoured` where it was filled.
    """
    missing = np.isnan(profile.diameter_mm)
    if not missing.any():
        return profile
    points = profile.path.points_mm
    low, high = points.min(axis=0) - _CUT_MM, points.max(axis=0) + _CUT_MM
    i, j, k = np.ceil(high - low).astype(int) + 1
    corner = (float(low[0]), float(low[1]), float(low[2]))
    grid = Grid((int(k), int(j), int(i)), corner, (1.0, 1.0, 1.0), profile.path.frame_uid)
    share = rasterize(structure, grid).on(grid)
    solid = Image(share, grid, Modality.CT, ImageUnit.ARBITRARY)
    cut = straighten(solid, profile.path, half_width_mm=_CUT_MM, step_mm=0.5).values
    area = np.nansum(cut, axis=(1, 2)) * 0.25
    drawn = np.interp(profile.arc_mm, profile.path.arc_mm, 2 * np.sqrt(area / np.pi))
    is_filled = missing & (drawn > 0.5)
    return replace(
        profile,
        diameter_mm=np.where(is_filled, drawn, profile.diameter_mm),
        sd_mm=np.where(is_filled, sd_mm, profile.sd_mm),
        is_contoured=is_filled,
    )


def voxels_around(
    image: Image,
    path: NervePath,
    frames: PathFrames,
    place: int,
    reach: tuple[float, float],
    usable: NDArray[np.bool_] | None = None,
) -> Neighborhood:
    """Return the voxels within a cylinder around a point of a path.

    Parameters
    ----------
    image : Image
        In the frame of the path.
    path : NervePath
        Centre line.
    frames : PathFrames
        Axes across it.
    place : int
        Index of the point.
    reach : tuple of float
        Radius and half length of the cylinder, in mm.
    usable : ndarray of bool of shape (K, J, I), optional
        Voxels that may be used; all if None.

    Returns
    -------
    Neighborhood
        Along a bent path offsets are taken from the parabola through its neighbours.
    """
    radius_mm, half_mm = reach
    grid, centre = image.grid, path.points_mm[place]
    box = np.hypot(radius_mm, half_mm)
    low = np.maximum(np.ceil(grid.indices(centre - box)), 0).astype(int)
    high = np.minimum(np.floor(grid.indices(centre + box)), np.asarray(grid.shape) - 1).astype(int)
    if np.any(low > high):
        return Neighborhood(np.zeros(0), np.zeros((0, 2)), np.zeros(0), np.zeros((0, 3), int))
    axes = [np.arange(a, b + 1) for a, b in zip(low, high, strict=True)]
    kji = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    away = grid.points(kji) - centre
    along = away @ frames.tangent[place]
    bend = _bend(path, frames, place)
    across = (
        np.stack([away @ frames.normal[place], away @ frames.binormal[place]], axis=1)
        - 0.5 * bend * (along**2)[:, None]
    )
    near = (np.abs(along) <= half_mm) & (np.sum(across**2, axis=1) <= radius_mm**2)
    if usable is not None:
        near &= usable[kji[:, 0], kji[:, 1], kji[:, 2]]
    kji = kji[near]
    values = image.values[kji[:, 0], kji[:, 1], kji[:, 2]].astype(np.float64)
    return Neighborhood(values, across[near], along[near], kji)


def _bend(path: NervePath, frames: PathFrames, place: int) -> NDArray[np.float64]:
    """Return the curvature vector of the path along its normal and binormal, in 1/mm."""
    reach = min(4, place, len(path.points_mm) - 1 - place)
    if reach < 1:
        return np.zeros(2)
    before, here, after = (path.points_mm[place + n] for n in (-reach, 0, reach))
    length = 0.5 * (np.linalg.norm(here - before) + np.linalg.norm(after - here))
    turn = (after - 2 * here + before) / length**2
    return np.array([turn @ frames.normal[place], turn @ frames.binormal[place]])


@dataclass(frozen=True, eq=False, slots=True)
class _Pass:
    """All places of a path, fitted once."""

    arc_mm: NDArray[np.float64]
    frames: PathFrames
    fits: list[TubeFit]

    @property
    def noise_grain(self) -> float:
        """Standard deviation in voxels of the Gaussian that would correlate the noise so."""
        shares = np.array([fit.neighbor_correlation for fit in self.fits])
        shares = shares[np.isfinite(shares)]
        share = float(np.median(shares)) if len(shares) else 0.0
        # White noise under a Gaussian of g voxels is correlated by exp(-1 / 4g²) at one voxel.
        return float(np.sqrt(-0.25 / np.log(np.clip(share, 1e-6, 0.9)))) if share > 0.02 else 0.0


def _fit_all(
    image: Image,
    path: NervePath,
    covariance: NDArray[np.float64],
    settings: CaliberSettings,
    before: _Pass | None,
) -> _Pass:
    """Fit every place; a second pass starts from the diameters of the first."""
    frames = frames_along(path)
    arc = np.arange(0.5 * settings.every_mm, path.length_mm, settings.every_mm)
    start_mm = np.full(len(arc), settings.first_diameter_mm)
    grain = 0.0
    if before is not None:
        seen = np.array([fit.diameter_mm for fit in before.fits])
        known = np.isfinite(seen)
        if known.any():
            start_mm = np.interp(arc, before.arc_mm[known], seen[known])
        grain = before.noise_grain
    places = np.clip(np.rint(arc / path.arc_mm[1]).astype(int), 0, len(path.points_mm) - 1)
    usable = _soft(image, settings)
    surroundings = settings.fat_hu if image.unit is ImageUnit.HU else (-np.inf, np.inf)
    fits = []
    for place, first_mm in zip(places, start_mm, strict=True):
        spread = cross_spread(covariance, frames.normal[place], frames.binormal[place])
        reach = (0.5 * first_mm + settings.rim_mm, 0.5 * settings.slab_mm)
        near = voxels_around(image, path, frames, int(place), reach, usable)
        limits = FitLimits(
            settings.diameter_range_mm,
            settings.largest_shift_mm,
            settings.least_contrast_to_noise,
            settings.largest_sd_mm,
            surroundings,
            grain,
        )
        fits.append(fit_tube(near, float(first_mm), spread, limits))
    return _Pass(arc, frames, fits)


def _cropped(image: Image, path: NervePath) -> Image:
    """Return the part of an image that a path can need."""
    grid = image.grid
    low = grid.indices(path.points_mm.min(axis=0) - _REACH_MM)
    high = grid.indices(path.points_mm.max(axis=0) + _REACH_MM)
    a = np.clip(np.floor(low).astype(int), 0, np.asarray(grid.shape) - 1)
    b = np.clip(np.ceil(high).astype(int) + 1, a + 1, grid.shape)
    part = grid.crop((int(a[0]), int(a[1]), int(a[2])), (int(b[0]), int(b[1]), int(b[2])))
    values = image.values[a[0] : b[0], a[1] : b[1], a[2] : b[2]]
    return replace(image, values=values, grid=part, instance_uids=())


def _soft(image: Image, settings: CaliberSettings) -> NDArray[np.bool_] | None:
    """Return which voxels of a CT are soft tissue with no bone or gas beside them."""
    if image.unit is not ImageUnit.HU:
        return None
    low, high = settings.soft_hu
    return np.asarray(~binary_dilation((image.values < low) | (image.values > high)))


def _recentred(path: NervePath, found: _Pass) -> NervePath:
    """Return a path moved onto the centres found, smoothly, and kept where none was found."""
    seen = np.array([np.isfinite(fit.diameter_mm) for fit in found.fits])
    if seen.sum() < 3:
        return path
    arc, frames = found.arc_mm[seen], found.frames
    shifts = np.array([fit.shift_mm for fit in found.fits])[seen]
    weight = 1 / np.maximum(np.array([fit.sd_mm for fit in found.fits])[seen], 0.1) ** 2
    smooth = np.empty((len(path.points_mm), 2))
    for axis in range(2):
        total = np.interp(path.arc_mm, arc, shifts[:, axis] * weight)
        share = np.interp(path.arc_mm, arc, weight)
        sigma = _SMOOTH_MM / path.arc_mm[1]
        smooth[:, axis] = gaussian_filter1d(total, sigma) / gaussian_filter1d(share, sigma)
    moved = path.points_mm + smooth[:, :1] * frames.normal + smooth[:, 1:] * frames.binormal
    return path_from_points(
        moved,
        name=path.name,
        frame_uid=path.frame_uid,
        source=path.source,
        smoothing=1.0,
        uncertainty_mm=path.uncertainty_mm,
    )
