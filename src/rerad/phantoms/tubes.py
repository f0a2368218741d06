"""A digital phantom of bent tubes on CT and PET, thin as nerves.

A tube of known diameter runs along a circular arc through an even background. It is drawn on
voxels of a few tenths of a millimetre, blurred by the scanner's point spread, averaged into the
scanner's voxels, and given correlated noise: by sums over fine voxels, not by the formula that
measures it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.core import Grid, Image, ImageUnit, Modality
from rerad.errors import InputError

FINE_MM = 0.34
"""Largest fine voxel that the tube is drawn on."""

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
"""Full width at half maximum of a Gaussian of unit standard deviation."""


@dataclass(frozen=True, slots=True)
class TubeShape:
    """A tube along a circular arc around a point far away.

    Parameters
    ----------
    diameter_mm : float
        Of the tube, above 0.
    bend_radius_mm : float
        Of its centre line.
    tilt_deg : float
        Between the middle of the tube and the z axis.
    turn_deg : float
        Rotation of the whole about z.
    offset_mm : tuple of float
        Where its middle lies, so that it need not fall on voxel centres.
    """

    diameter_mm: float
    bend_radius_mm: float = 100.0
    tilt_deg: float = 30.0
    turn_deg: float = 20.0
    offset_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        if not self.diameter_mm > 0 or not self.bend_radius_mm > self.diameter_mm:
            msg = (
                "expected a tube thinner than its bend, got a diameter of "
                f"{self.diameter_mm} mm and a bend radius of {self.bend_radius_mm} mm"
            )
            raise InputError(msg)

    @property
    def axes(self) -> NDArray[np.float64]:
        """Unit vectors (3, 3): to the centre of the bend, across, and along the middle."""
        tilt, turn = np.deg2rad(self.tilt_deg), np.deg2rad(self.turn_deg)
        along = np.array([np.sin(tilt), 0.0, np.cos(tilt)])
        inward = np.array([np.cos(tilt), 0.0, -np.sin(tilt)])
        about_z = np.array(
            [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
        )
        return np.asarray(np.stack([inward, np.cross(along, inward), along]) @ about_z.T)

    def centre_line(self, half_length_mm: float, step_mm: float = 1.0) -> NDArray[np.float64]:
        """Return points (N, 3) along the true centre line, in mm."""
        arc = np.arange(-half_length_mm, half_length_mm + 0.5 * step_mm, step_mm)
        angle = arc / self.bend_radius_mm
        local = np.stack(
            [
                self.bend_radius_mm * (1 - np.cos(angle)),
                np.zeros_like(angle),
                self.bend_radius_mm * np.sin(angle),
            ],
            axis=1,
        )
        return np.asarray(local @ self.axes + np.asarray(self.offset_mm))

    def inside(self, grid: Grid) -> NDArray[np.float32]:
        """Return 1 where a voxel centre lies in the tube, 0 elsewhere, softened over a voxel."""
        x, y, z = grid.axes_mm
        points = np.stack(np.meshgrid(z, y, x, indexing="ij")[::-1], axis=-1)
        local = (points - np.asarray(self.offset_mm)) @ self.axes.T
        bend = self.bend_radius_mm
        ring = np.hypot(local[..., 0] - bend, local[..., 2]) - bend
        depth = 0.5 * self.diameter_mm - np.hypot(ring, local[..., 1])
        return np.asarray(np.clip(depth / max(grid.spacing_mm) + 0.5, 0, 1), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class TubeScan:
    """How a tube is scanned.

    Parameters
    ----------
    grid : Grid
        Voxels of the scanner.
    fwhm_mm : tuple of float
        Point spread along x, y, z, before voxels average.
    background, contrast : float
        Value of the surroundings, and how much more the tube has, in HU or SUV.
    noise : float
        Standard deviation of the noise, in the same unit.
    noise_grain : float
        Standard deviation in voxels of the Gaussian that correlates the noise in the plane.
    seed : int
        Of the noise.
    """

    grid: Grid
    fwhm_mm: tuple[float, float, float]
    background: float
    contrast: float
    noise: float
    noise_grain: float = 0.6
    seed: int = 1


def scan_tube(shape: TubeShape, scan: TubeScan, modality: Modality) -> Image:
    """Return a tube as a scanner shows it.

    Parameters
    ----------
    shape : TubeShape
        What is scanned.
    scan : TubeScan
        How.
    modality : Modality
        CT (values in HU) or PET (in SUV).

    Returns
    -------
    Image
        float32.
    """
    signal = blurred_tube(shape, scan.grid, scan.fwhm_mm)
    values = scan.background + scan.contrast * signal + tube_noise(scan)
    unit = ImageUnit.HU if modality is Modality.CT else ImageUnit.SUVBW
    return Image(values.astype(np.float32), scan.grid, modality, unit, description="tube phantom")


def blurred_tube(
    shape: TubeShape, grid: Grid, fwhm_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Return the share of the tube's contrast in each voxel of a grid, without noise."""
    parts = np.maximum(1, np.ceil(np.asarray(grid.spacing_mm) / FINE_MM)).astype(int)
    fine = _divided(grid, parts)
    sigma = np.asarray(fwhm_mm) / FWHM_PER_SIGMA / np.asarray(fine.spacing_mm)
    blurred = gaussian_filter(shape.inside(fine), sigma[::-1], mode="nearest")
    (k, j, i), (ni, nj, nk) = grid.shape, parts
    return np.asarray(blurred.reshape(k, nk, j, nj, i, ni).mean(axis=(1, 3, 5), dtype=np.float32))


def tube_noise(scan: TubeScan) -> NDArray[np.float32]:
    """Return the noise of a scan, correlated in the plane, of its standard deviation."""
    rng = np.random.default_rng([scan.seed, 7])
    white = rng.standard_normal(scan.grid.shape, dtype=np.float32)
    grain = (0.0, scan.noise_grain, scan.noise_grain)
    noise = gaussian_filter(white, grain, mode="wrap")
    return np.asarray(noise * np.float32(scan.noise / noise.std()))


def tube_grid(
    spacing_mm: tuple[float, float, float], size_mm: tuple[float, float, float], frame_uid: str
) -> Grid:
    """Return a grid centred on the origin."""
    i, j, k = (max(3, round(size / s)) for size, s in zip(size_mm, spacing_mm, strict=True))
    x, y, z = (-0.5 * (n - 1) * s for n, s in zip((i, j, k), spacing_mm, strict=True))
    return Grid((k, j, i), (x, y, z), spacing_mm, frame_uid)


def _divided(grid: Grid, parts: NDArray[np.intp]) -> Grid:
    """Return a grid with every voxel divided."""
    spacing = np.asarray(grid.spacing_mm) / parts
    first = np.asarray(grid.origin_mm) - 0.5 * np.asarray(grid.spacing_mm) + 0.5 * spacing
    k, j, i = (int(n * p) for n, p in zip(grid.shape, parts[::-1], strict=True))
    x, y, z = (float(v) for v in first)
    sx, sy, sz = (float(v) for v in spacing)
    return Grid((k, j, i), (x, y, z), (sx, sy, sz), grid.frame_uid)
