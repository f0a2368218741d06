"""Uptake along a nerve, with what the scanner's resolution took from it given back.

A root of 5 mm is thinner than the point spread of a PET: its image is fainter and wider than the
root. If the diameter is known from CT and the point spread from the scanner, the uptake that the
root must have follows from a fit of the blurred tube to the PET voxels around it (contrast and
background linear, nothing else free). The uncertainty joins noise, diameter, point spread and the
place of the root; where it is large, nothing is claimed.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Image, ImageUnit, Mask, NervePath
from rerad.errors import FrameMismatchError, InputError
from rerad.nerves.caliber import CaliberProfile, voxels_around
from rerad.nerves.straighten import PathFrames, frames_along
from rerad.nerves.tube_fit import Neighborhood
from rerad.nerves.tube_model import (
    CrossSpread,
    Resolution,
    blurred_disc,
    cross_spread,
    recovery_at_centre,
)

SUV_UNITS = frozenset(
    {
        ImageUnit.SUVBW,
        ImageUnit.SUVLBM_JANMAHASATIAN,
        ImageUnit.SUVLBM_JAMES,
        ImageUnit.SUVBSA,
    }
)
"""Units in which uptake is measured."""

WHOLE = 0.99
"""Share of a voxel inside a reference region from which it counts."""

_N_ROUNDS = 4
_TUKEY = 4.7


@dataclass(frozen=True, slots=True)
class UptakeSettings:
    """How uptake is measured and when it is claimed.

    Parameters
    ----------
    every_mm, slab_mm : float
        Distance of the places, and length of path used for each.
    rim_mm : float
        How much surrounding beyond the surface of the nerve is used.
    centre_sd_mm : float
        How far the nerve may lie from its path on the PET: motion and registration.
    claimed_share : float
        The recovered uptake is claimed where two standard deviations are within this share of it.
    least_recovery : float
        Below this share of the contrast left at the centre nothing is claimed.
    noise_grain : float
        Standard deviation in voxels of the Gaussian that correlates the noise.
    """

    every_mm: float = 2.0
    slab_mm: float = 12.0
    rim_mm: float = 9.0
    centre_sd_mm: float = 0.7
    claimed_share: float = 0.15
    least_recovery: float = 0.2
    noise_grain: float = 0.6


@dataclass(frozen=True, eq=False, slots=True)
class UptakeProfile:
    """Uptake along a path; NaN where it could not be measured.

    Parameters
    ----------
    path : NervePath
        Centre line.
    arc_mm : ndarray of shape (M,)
        Places.
    observed : ndarray of shape (M,)
        SUV that the image shows at the centre.
    recovered, sd : ndarray of shape (M,)
        SUV of the nerve itself, and its standard deviation.
    background : ndarray of shape (M,)
        SUV of the surroundings.
    recovery : ndarray of shape (M,)
        Share of the contrast left at the centre.
    is_claimed : ndarray of bool of shape (M,)
        Whether the recovered value is good enough to be claimed.
    """

    path: NervePath
    arc_mm: NDArray[np.float64]
    observed: NDArray[np.float64]
    recovered: NDArray[np.float64]
    sd: NDArray[np.float64]
    background: NDArray[np.float64]
    recovery: NDArray[np.float64]
    is_claimed: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ReferenceUptake:
    """Uptake of a tissue to compare with.

    Parameters
    ----------
    name : str
        Muscle, blood pool or liver, or the structure's name.
    mean, sd : float
        Over its voxels.
    n_voxels : int
        How many lie wholly inside.
    """

    name: str
    mean: float
    sd: float
    n_voxels: int


@dataclass(frozen=True, slots=True)
class TubeSize:
    """Radius and centre shift that a fit assumes, in mm."""

    radius_mm: float
    shift_mm: tuple[float, float] = (0.0, 0.0)


def diameters_at(
    profile: CaliberProfile, arc_mm: NDArray[np.float64], *, otherwise: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return diameters and their uncertainty at places of a path.

    Parameters
    ----------
    profile : CaliberProfile
        From CT.
    arc_mm : ndarray of shape (M,)
        Places.
    otherwise : tuple of float
        Diameter and standard deviation where none could be measured within 4 mm.

    Returns
    -------
    tuple of ndarray of shape (M,)
        Diameter and standard deviation in mm.
    """
    known = np.isfinite(profile.diameter_mm)
    diameter = np.full(len(arc_mm), otherwise[0], dtype=np.float64)
    sd = np.full(len(arc_mm), otherwise[1], dtype=np.float64)
    if not known.any():
        return diameter, sd
    arc = profile.arc_mm[known]
    nearest = np.abs(arc_mm[:, None] - arc[None, :]).min(axis=1)
    is_near = nearest <= 4.0
    diameter[is_near] = np.interp(arc_mm[is_near], arc, profile.diameter_mm[known])
    sd[is_near] = np.interp(arc_mm[is_near], arc, profile.sd_mm[known])
    return diameter, sd


def measure_uptake(
    pet: Image,
    caliber: CaliberProfile,
    resolution: Resolution,
    *,
    otherwise: tuple[float, float],
    settings: UptakeSettings | None = None,
) -> UptakeProfile:
    """Measure the uptake of a nerve along its path.

    Parameters
    ----------
    pet : Image
        In SUV, in the frame of the path.
    caliber : CaliberProfile
        Path and diameters from CT.
    resolution : Resolution
        Of the PET, with its uncertainty.
    otherwise : tuple of float
        Diameter and standard deviation to use where CT gave none: the normal root's.
    settings : UptakeSettings, optional
        How to measure.

    Returns
    -------
    UptakeProfile

    Raises
    ------
    InputError
        If the image is not in SUV.
    FrameMismatchError
        If image and path lie in different frames.
    """
    settings = settings or UptakeSettings()
    path = caliber.path
    if pet.unit not in SUV_UNITS:
        msg = f"{path.name}: expected a PET in SUV, got {pet.unit}; convert it first"
        raise InputError(msg)
    if pet.grid.frame_uid != path.frame_uid:
        msg = (
            f"{path.name}: expected a PET in frame {path.frame_uid}, got {pet.grid.frame_uid}; "
            "register the two and resample the PET"
        )
        raise FrameMismatchError(msg)
    frames = frames_along(path)
    arc = np.arange(0.5 * settings.every_mm, path.length_mm, settings.every_mm)
    diameter, diameter_sd = diameters_at(caliber, arc, otherwise=otherwise)
    rows = []
    known = np.isfinite(pet.values)
    places = np.clip(np.rint(arc / path.arc_mm[1]).astype(int), 0, len(path.points_mm) - 1)
    for place, size, size_sd in zip(places, diameter, diameter_sd, strict=True):
        reach = (0.5 * float(size) + settings.rim_mm, 0.5 * settings.slab_mm)
        near = voxels_around(pet, path, frames, int(place), reach, known)
        at = _Place(near, frames, int(place), resolution, pet)
        rows.append(_uptake(at, (float(size), float(size_sd)), settings))
    table = np.array(rows).T
    observed, recovered, sd, background, recovery = table
    with np.errstate(invalid="ignore"):
        claimed = (2 * sd <= settings.claimed_share * np.abs(recovered)) & (
            recovery >= settings.least_recovery
        )
    return UptakeProfile(path, arc, observed, recovered, sd, background, recovery, claimed)


def reference_uptake(pet: Image, mask: Mask, *, name: str = "") -> ReferenceUptake:
    """Return mean and spread of uptake over the voxels that lie wholly in a structure.

    Voxels that are unknown (NaN, beyond a registered PET) are left out.

    Raises
    ------
    InputError
        If no known voxel does.
    """
    inside = (mask.on(pet.grid) >= WHOLE) & np.isfinite(pet.values)
    values = pet.values[inside].astype(np.float64)
    if not len(values):
        msg = (
            f"{mask.name}: expected PET voxels wholly inside, found none; draw a region that is "
            "larger than two voxels"
        )
        raise InputError(msg)
    return ReferenceUptake(
        name or mask.name, float(values.mean()), float(values.std()), len(values)
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Place:
    """Voxels around a place, and how the scanner blurs there."""

    near: Neighborhood
    frames: PathFrames
    place: int
    resolution: Resolution
    pet: Image

    def spread(self, wider_mm: float = 0.0) -> CrossSpread:
        """Return the spread across the path, the point spread wider by so much."""
        x, y, z = (max(f + wider_mm, 0.0) for f in self.resolution.fwhm_mm)
        covariance = replace(self.resolution, fwhm_mm=(x, y, z)).covariance(self.pet.grid)
        normal, binormal = self.frames.normal[self.place], self.frames.binormal[self.place]
        return cross_spread(covariance, normal, binormal)


def _uptake(
    at: _Place, size: tuple[float, float], settings: UptakeSettings
) -> tuple[float, float, float, float, float]:
    """Return observed, recovered, its uncertainty, background and recovery of one place."""
    nothing = (np.nan,) * 5
    if len(at.near.values) < 12:
        return nothing
    radius_mm, radius_sd_mm = 0.5 * size[0], 0.5 * size[1]
    spread = at.spread()
    coefficients, weights, noise = _robust(at.near, TubeSize(radius_mm), spread)
    if not np.isfinite(noise):
        return nothing
    value = float(coefficients[0] + coefficients[3])

    def again(tube: TubeSize, other: CrossSpread) -> float:
        found = _solve(at.near, tube, other, weights)
        return float(found[0] + found[3])

    by_noise = noise * _noise_gain(at.near, (TubeSize(radius_mm), spread, weights), settings)
    thick, thin = (max(radius_mm + s * radius_sd_mm, 0.3) for s in (1, -1))
    by_size = 0.5 * abs(again(TubeSize(thick), spread) - again(TubeSize(thin), spread))
    psf_sd = at.resolution.sd_mm
    by_psf = 0.5 * abs(
        again(TubeSize(radius_mm), at.spread(psf_sd))
        - again(TubeSize(radius_mm), at.spread(-psf_sd))
    )
    off = settings.centre_sd_mm
    by_place = max(
        abs(again(TubeSize(radius_mm, shift), spread) - value)
        for shift in ((off, 0.0), (-off, 0.0), (0.0, off), (0.0, -off))
    )
    sd = float(np.sqrt(by_noise**2 + by_size**2 + by_psf**2 + by_place**2))
    share = recovery_at_centre(radius_mm, spread)
    observed = float(coefficients[0] + share * coefficients[3])
    return observed, value, sd, float(coefficients[0]), share


def _design(near: Neighborhood, tube: TubeSize, spread: CrossSpread) -> NDArray[np.float64]:
    disc = blurred_disc(near.offsets_mm - np.asarray(tube.shift_mm), tube.radius_mm, spread)
    return np.column_stack([np.ones(len(disc)), near.offsets_mm, disc])


def _solve(
    near: Neighborhood, tube: TubeSize, spread: CrossSpread, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    root = np.sqrt(weights)
    design = _design(near, tube, spread)
    found = np.linalg.lstsq(design * root[:, None], near.values * root, rcond=None)[0]
    return np.asarray(found)


def _robust(
    near: Neighborhood, tube: TubeSize, spread: CrossSpread
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return coefficients, weights and noise; voxels of other avid things are weighed down."""
    design = _design(near, tube, spread)
    weights = np.ones(len(near.values))
    found = _solve(near, tube, spread, weights)
    for _ in range(_N_ROUNDS):
        residual = near.values - design @ found
        noise = 1.4826 * float(np.median(np.abs(residual - np.median(residual))))
        limit = _TUKEY * max(noise, 0.02 * abs(float(found[3])), 1e-9)
        weights = (1 - np.minimum(np.abs(residual) / limit, 1.0) ** 2) ** 2
        found = _solve(near, tube, spread, weights)
    residual = near.values - design @ found
    n_free = float(weights.sum()) - 4
    noise = float(np.sqrt((weights * residual**2).sum() / n_free)) if n_free > 4 else np.nan
    return found, weights, noise


def _noise_gain(
    near: Neighborhood,
    fit: tuple[TubeSize, CrossSpread, NDArray[np.float64]],
    settings: UptakeSettings,
) -> float:
    """Return the standard deviation of the recovered value for noise of 1, correlated."""
    tube, spread, weights = fit
    design = _design(near, tube, spread)
    weighted = design * weights[:, None]
    inverse = np.linalg.pinv(design.T @ weighted)
    gain = weighted @ (inverse[0] + inverse[3])
    if settings.noise_grain <= 0:
        return float(np.sqrt(gain @ gain))
    kji = near.indices.astype(np.float64)
    squares = np.sum((kji[:, None, :] - kji[None, :, :]) ** 2, axis=2)
    share = np.exp(-0.25 * squares / settings.noise_grain**2)
    return float(np.sqrt(max(gain @ share @ gain, 0.0)))
