"""A quick water tank for fitting: the beam model of rerad on the pencil kernel, open fields only.

Fluence of an open field is a product of error functions, so nothing has to be painted; one
two-dimensional Fourier transform a depth gives both profiles. `rerad commission` with its engines
is what checks the outcome. Lengths in mm; everything is relative to the reference condition.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.special import j1, ndtr

from rerad.core import Spectrum
from rerad.dosecalc.pencil_kernel import derive_pencil_kernel
from rerad.dosecalc.spectrum import filtered

Floats = NDArray[np.float64]

SAD_MM = 1000.0
N_CELLS = 540
"""Cells of 1 mm; the images of the field that the transform repeats are 440 mm away (10 cm)."""

PLANE_MM = np.arange(N_CELLS) - N_CELLS // 2
RING_EDGES_MM = np.concatenate(
    [np.arange(0.0, 30.0, 0.5), np.arange(30.0, 120.0, 1.0), np.arange(120.0, 460.0, 5.0)]
)
SOFTER = 1.06
"""Profiles are calculated at two depths this far apart and interpolated to that of each ray."""


def tailor_depth_scale(radius_mm: Floats) -> Floats:
    """Attenuation off the axis over that on it, by angle; constant beyond 250 mm (14 degrees).

    Tailor et al. 1998, doi:10.1118/1.598249: half value layers of beams with flattening filter.
    The abstract was read; the polynomial is from memory.
    """
    angle = np.degrees(np.arctan(np.minimum(radius_mm, 250.0) / SAD_MM))
    return 1.0 / (1.0 - 0.00181 * angle - 0.00202 * angle**2 + 0.0000942 * angle**3)


@dataclass(frozen=True, eq=False)
class TrialBeam:
    """Parameters of a beam as the fit moves them; see `rerad.core.PhotonBeam` and `Mlc`."""

    water_mm: float
    focal_mm: tuple[float, float]
    leaf_gap_mm: float
    head_share: float
    head_mm: float
    leak: tuple[float, float]
    electron_share: float
    electron_depth_mm: float
    electron_mm: float
    off_axis_mm: Floats
    off_axis_ratio: Floats


def _edge(x: Floats, half: float, leak: float, sigma: float) -> Floats:
    """Exposure across one pair of edges that let `leak` through."""
    return leak + (1.0 - leak) * (ndtr((x + half) / sigma) - ndtr((x - half) / sigma))


class QuickTank:
    """Pencil kernels of single energies, mixed for each trial."""

    def __init__(self, base: Spectrum) -> None:
        self._base = base
        kernels = [
            derive_pencil_kernel(Spectrum(np.array([energy]), np.array([1.0])))
            for energy in base.energy_mev
        ]
        self._depth = kernels[0].depth_mm
        self._radius = kernels[0].radius_mm
        self._area = np.pi * np.diff(self._radius**2)
        self._doses = np.stack([kernel.dose for kernel in kernels])
        frequency = np.fft.fftfreq(N_CELLS)
        self._plane = np.hypot(frequency[:, None], np.fft.rfftfreq(N_CELLS))
        self._table = np.linspace(1e-5, 0.72, 4000)

    def spectrum(self, trial: TrialBeam) -> Spectrum:
        """Return the spectrum of a trial."""
        return filtered(self._base, trial.water_mm)

    def discs(self, trial: TrialBeam) -> PchipInterpolator:
        """Return the kernel's integrals over discs by depth."""
        dose = np.tensordot(self.spectrum(trial).energy_fluence, self._doses, 1)
        inner = np.zeros((len(self._depth), 1))
        summed = np.concatenate([inner, np.cumsum(dose * self._area, axis=1)], axis=1)
        return PchipInterpolator(self._depth, summed, axis=0)

    def fluence(self, trial: TrialBeam, side_mm: float, x: Floats, y: Floats) -> Floats:
        """Return the photons' fluence at points of the isocentre plane."""
        half = 0.5 * side_mm
        half_x = half + 0.5 * trial.leaf_gap_mm
        ratio = np.interp(np.hypot(x, y), trial.off_axis_mm, trial.off_axis_ratio)
        target = _edge(x, half_x, trial.leak[0], trial.focal_mm[0]) * ratio
        target = target * _edge(y, half, trial.leak[1], trial.focal_mm[1])
        head = _edge(x, half_x, trial.leak[0], trial.head_mm)
        head = head * _edge(y, half, trial.leak[1], trial.head_mm)
        return (1.0 - trial.head_share) * target + trial.head_share * head

    def axis_photons(
        self, trial: TrialBeam, discs: PchipInterpolator, side_mm: float, at: tuple[float, Floats]
    ) -> Floats:
        """Return the photon dose on the axis, `at` a source-surface distance and depths."""
        ssd, depths = at
        middle = 0.5 * (RING_EDGES_MM[1:] + RING_EDGES_MM[:-1])
        angle = 2.0 * np.pi * (np.arange(128) + 0.5) / 128
        x, y = middle[:, None] * np.cos(angle), middle[:, None] * np.sin(angle)
        ring = self.fluence(trial, side_mm, x, y).mean(axis=1)
        dose = np.empty(len(depths))
        for n, (depth, disc) in enumerate(zip(depths, discs(depths), strict=True)):
            scale = (ssd + depth) / SAD_MM
            edges = np.log1p(np.minimum(RING_EDGES_MM * scale, self._radius[-1]))
            within = PchipInterpolator(np.log1p(self._radius), disc)(edges)
            dose[n] = np.diff(within) @ ring / scale**2
        return dose

    def electrons(
        self, trial: TrialBeam, side_mm: float, at: tuple[float, Floats], x: Floats, y: Floats
    ) -> Floats:
        """Return the electrons' dose over that of the reference condition (at the isocentre)."""
        ssd, depths = at
        scale = (ssd + depths) / SAD_MM
        spread = _edge(x / scale, 0.5 * (side_mm + trial.leaf_gap_mm), 0.0, trial.electron_mm)
        spread = spread * _edge(y / scale, 0.5 * side_mm, 0.0, trial.electron_mm)
        fall = np.exp(-depths / trial.electron_depth_mm) / scale**2
        return trial.electron_share * fall * spread

    def profiles(
        self,
        trial: TrialBeam,
        discs: PchipInterpolator,
        side_mm: float,
        at: tuple[float, float],
        positions_mm: tuple[Floats, Floats],
    ) -> tuple[Floats, Floats]:
        """Return the photon dose across the beam, along x and along y, at one depth."""
        ssd, depth = at
        scale = (ssd + depth) / SAD_MM
        seen = self.fluence(trial, side_mm, PLANE_MM[None], PLANE_MM[:, None].astype(float))
        seen = rfft2(np.fft.ifftshift(seen))
        lines = []
        for factor in (1.0, SOFTER):
            shells = np.diff(discs(depth * factor)) / self._area
            radius = self._radius / scale
            disc = radius * j1(2.0 * np.pi * self._table[:, None] * radius) / self._table[:, None]
            kernel = np.interp(self._plane, self._table, np.diff(disc, axis=1) @ shells)
            dose = np.fft.fftshift(irfft2(seen * kernel, s=(N_CELLS, N_CELLS)))
            lines.append((dose[N_CELLS // 2], dose[:, N_CELLS // 2]))
        results = []
        for axis, positions in enumerate(positions_mm):
            near, far = (CubicSpline(PLANE_MM, np.log(line[axis])) for line in lines)
            place = np.abs(positions / scale)
            longer = np.sqrt(1.0 + (place / SAD_MM) ** 2) * tailor_depth_scale(place)
            share = (longer - 1.0) / (SOFTER - 1.0)
            at_place = positions / scale
            results.append(np.exp((1.0 - share) * near(at_place) + share * far(at_place)))
        return results[0], results[1]
