"""Beam's-eye-view rasters and the convolution of fluence with the kernel components.

All rasters share one lattice: cell centres at ``(n + 1/2) cell`` of the isocentre plane. The
convolved fluence is the cubic B-spline on it that is nearest in the mean square; the projection is
part of the transform. (The spline that goes through the centres would dip between them.)

Fluence comes in two ways. *Cells*: it is constant in each cell, and its convolution is exact at
the centres; right for beamlets, whose edges lie on cell edges. *Tents*: it is painted on cells
four times finer and condensed with linear (tent) weights, whose known blur the transform takes
back; right for leaves and jaws, which stop anywhere, because the place of an edge within a cell
is not lost.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn, irfft2, next_fast_len, rfft2
from scipy.interpolate import CubicSpline
from scipy.special import j1

from rerad.core import Machine
from rerad.dosecalc.beam_model import KernelComponents

FINE = 4
"""Fine cells per cell, along each axis, when fluence is condensed."""

GUARD_CELLS = 3
"""Cells kept around all points, so that every cubic footprint lies inside the map."""


@dataclass(frozen=True, slots=True)
class Raster:
    """A square window of the beam's-eye-view lattice.

    Parameters
    ----------
    cell_mm : float
        Cell size at the isocentre plane.
    first_x, first_y : int
        Lattice numbers of the first column and row.
    n_x, n_y : int
        Columns and rows.
    """

    cell_mm: float
    first_x: int
    first_y: int
    n_x: int
    n_y: int

    @property
    def x_edges_mm(self) -> NDArray[np.float64]:
        """Column edges, shape (n_x + 1,)."""
        return np.asarray(
            self.cell_mm * np.arange(self.first_x, self.first_x + self.n_x + 1), dtype=np.float64
        )

    @property
    def y_edges_mm(self) -> NDArray[np.float64]:
        """Row edges, shape (n_y + 1,)."""
        return np.asarray(
            self.cell_mm * np.arange(self.first_y, self.first_y + self.n_y + 1), dtype=np.float64
        )

    @property
    def x_mm(self) -> NDArray[np.float64]:
        """Column centres, shape (n_x,)."""
        return np.asarray(
            self.cell_mm * (np.arange(self.first_x, self.first_x + self.n_x) + 0.5),
            dtype=np.float64,
        )

    @property
    def y_mm(self) -> NDArray[np.float64]:
        """Row centres, shape (n_y,)."""
        return np.asarray(
            self.cell_mm * (np.arange(self.first_y, self.first_y + self.n_y) + 0.5),
            dtype=np.float64,
        )


def raster_over(
    low_mm: tuple[float, float], high_mm: tuple[float, float], *, cell_mm: float
) -> Raster:
    """Return the smallest raster whose cells cover a rectangle of the isocentre plane.

    Parameters
    ----------
    low_mm, high_mm : tuple of float
        Opposite corners ``(x, y)``.
    cell_mm : float
        Cell size.
    """
    first = [int(np.floor(low / cell_mm + 1e-9)) for low in low_mm]
    last = [int(np.ceil(high / cell_mm - 1e-9)) for high in high_mm]
    n_x, n_y = (max(1, b - a) for a, b in zip(first, last, strict=True))
    return Raster(cell_mm, first[0], first[1], n_x, n_y)


def off_axis_map(machine: Machine, raster: Raster) -> NDArray[np.float64]:
    """Open fluence in each cell relative to the axis, shape (n_y, n_x)."""
    radius = np.hypot(raster.x_mm[None, :], raster.y_mm[:, None])
    return np.interp(radius, machine.beam.off_axis_radius_mm, machine.beam.off_axis_ratio)


def overlap(
    edges_mm: NDArray[np.float64], cell_edges_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of each cell that each interval covers.

    Parameters
    ----------
    edges_mm : ndarray of shape (n + 1,)
        Edges of the intervals, ascending.
    cell_edges_mm : ndarray of shape (m + 1,)
        Edges of the cells, ascending.

    Returns
    -------
    ndarray of shape (n, m)
        Each from 0 to 1.
    """
    low = np.maximum(edges_mm[:-1, None], cell_edges_mm[None, :-1])
    high = np.minimum(edges_mm[1:, None], cell_edges_mm[None, 1:])
    return np.asarray(np.maximum(high - low, 0.0) / np.diff(cell_edges_mm))


@dataclass(frozen=True, slots=True)
class MapWindow:
    """The part of the lattice that one beam's maps cover, holding fluence and points.

    Parameters
    ----------
    cell_mm : float
        Cell size.
    first_x, first_y : int
        Lattice numbers of the map's first column and row.
    """

    cell_mm: float
    first_x: int
    first_y: int


def map_size(fluence: Raster, points: Raster) -> tuple[int, int]:
    """Return the rows and columns that hold both windows without wrap-around.

    Parameters
    ----------
    fluence : Raster
        Where there is fluence.
    points : Raster
        Where points will be sampled, without guard cells.
    """
    sizes = []
    for first_f, n_f, first_p, n_p in (
        (fluence.first_y, fluence.n_y, points.first_y, points.n_y),
        (fluence.first_x, fluence.n_x, points.first_x, points.n_x),
    ):
        low, high = first_p - GUARD_CELLS, first_p + n_p + GUARD_CELLS
        union = max(high, first_f + n_f) - min(low, first_f)
        reach = max(high - first_f, first_f + n_f - low)
        sizes.append(max(union, 2 * reach + 1))
    return sizes[0], sizes[1]


def fast_map_size(sizes: list[tuple[int, int]]) -> tuple[int, int]:
    """Return one transform size (rows, columns) that serves all beams."""
    rows = next_fast_len(max(size[0] for size in sizes), real=False)
    columns = next_fast_len(max(size[1] for size in sizes), real=True)
    return int(rows), int(columns)


def map_window(fluence: Raster, points: Raster) -> MapWindow:
    """Return where a map starts that holds both windows."""
    return MapWindow(
        cell_mm=fluence.cell_mm,
        first_x=min(fluence.first_x, points.first_x - GUARD_CELLS),
        first_y=min(fluence.first_y, points.first_y - GUARD_CELLS),
    )


def _shell_transform(
    radius_mm: NDArray[np.float64], dose: NDArray[np.float64], frequency: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Two-dimensional Fourier transform of constant shells, shape (C, F), at f > 0 per mm."""
    disc = radius_mm * j1(2.0 * np.pi * frequency[:, None] * radius_mm) / frequency[:, None]
    return np.asarray(dose @ np.diff(disc, axis=1).T)


def condense(fine: NDArray[np.float64], raster: Raster) -> tuple[NDArray[np.float64], Raster]:
    """Condense fluence on fine cells to a raster `FINE` times coarser.

    Parameters
    ----------
    fine : ndarray of shape (FINE n_y, FINE n_x)
        Mean fluence of fine cells that cover `raster`.
    raster : Raster
        The coarse raster.

    Returns
    -------
    fluence : ndarray of shape (n_y + 2, n_x + 2)
        Fluence weighted with tents around the centres; sum and first moments are kept.
    raster : Raster
        With one more cell on each side.
    """
    wide = Raster(
        raster.cell_mm, raster.first_x - 1, raster.first_y - 1, raster.n_x + 2, raster.n_y + 2
    )
    tents = []
    for n in (raster.n_y, raster.n_x):
        fine_centres = (np.arange(FINE * n) + 0.5) / FINE - 0.5
        distance = np.abs(fine_centres[:, None] - np.arange(-1, n + 1))
        tents.append(np.maximum(1.0 - distance, 0.0) / FINE)
    return tents[0].T @ fine @ tents[1], wide


def _condensing_response(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectrum of painting on fine cells and condensing, at frequency times cell size."""
    away = (np.arange(FINE) + 0.5) / FINE
    tent = 2.0 / FINE * np.cos(2.0 * np.pi * phase[..., None] * away) @ (1.0 - away)
    return np.asarray(np.sinc(phase / FINE) * tent)


def _spline_gram(phase: NDArray[np.float64]) -> NDArray[np.float64]:
    """Spectrum of the inner products of shifted cubic B-splines (samples of degree 7)."""
    angle = 2.0 * np.pi * phase
    waves = 1191.0 * np.cos(angle) + 120.0 * np.cos(2.0 * angle) + np.cos(3.0 * angle)
    return np.asarray((2416.0 + 2.0 * waves) / 5040.0)


def _spectrum(
    components: KernelComponents,
    f_y: NDArray[np.float64],
    f_x: NDArray[np.float64],
    *,
    cell_mm: float,
    is_condensed: bool,
) -> NDArray[np.float64]:
    """Spectrum of component, blur and B-spline, corrected for how the fluence was painted."""
    sigma = min(components.blur.focal_sigma_mm)
    step = 1.0 / (24.0 * components.radius_mm[-1])
    end = min(1.5 * np.sqrt(2.0) / cell_mm, np.sqrt(16.0 / 2.0) / (np.pi * max(sigma, 1e-3)))
    frequency = np.arange(0.5 * step, end + 3 * step, step)
    shells = _shell_transform(components.radius_mm, components.shell_dose, frequency)
    table = CubicSpline(frequency, shells, axis=1)
    spectrum = np.zeros((components.n_components, f_y.size, f_x.size))
    # Of cells the frequencies beyond the lattice's are folded in, as sampling does.
    folds = (0,) if is_condensed else (-1, 0, 1)
    for fold_y in folds:
        for fold_x in folds:
            g_y, g_x = f_y + fold_y / cell_mm, f_x + fold_x / cell_mm
            g = np.sqrt(g_y**2 + g_x**2)
            # Beyond the table the blur leaves less than 2e-7.
            near = g < end
            if is_condensed:
                factor = 1.0 / (
                    _condensing_response(cell_mm * g_y) * _condensing_response(cell_mm * g_x)
                )
            else:
                factor = np.sinc(cell_mm * g_y) * np.sinc(cell_mm * g_x)
            factor *= (np.sinc(cell_mm * g_y) * np.sinc(cell_mm * g_x)) ** 4
            factor = factor * components.blur.response(g_x, g_y)
            spectrum[:, near] += table(g[near]) * factor[near]
    return spectrum


def spline_kernels(
    components: KernelComponents, n_y: int, n_x: int, *, cell_mm: float
) -> NDArray[np.float64]:
    """Return the spline coefficients that one cell of unit fluence makes of each component.

    Parameters
    ----------
    components : KernelComponents
        Radial functions.
    n_y, n_x : int
        Rows and columns of displacements, from 0 on; others follow by symmetry.
    cell_mm : float
        Cell size.

    Returns
    -------
    ndarray of shape (C, n_y, n_x)
        By displacement in cells.
    """
    # On this period no kernel comes around into the displacements that are kept.
    reach = int(np.ceil(components.radius_mm[-1] / cell_mm)) + 1
    least = [max(n, (n + reach + 1) // 2 + 8) for n in (n_y, n_x)]
    halves = [1 + int(next_fast_len(n, real=True)) for n in least]
    phases = [np.arange(half) / (2.0 * (half - 1)) for half in halves]
    spectrum = _spectrum(
        components,
        phases[0][:, None] / cell_mm,
        phases[1][None, :] / cell_mm,
        cell_mm=cell_mm,
        is_condensed=False,
    )
    spectrum /= _spline_gram(phases[0])[:, None] * _spline_gram(phases[1])
    values = dctn(spectrum, type=1, axes=(1, 2)) / (4.0 * (halves[0] - 1) * (halves[1] - 1))
    return np.ascontiguousarray(values[:, :n_y, :n_x])


def kernel_transforms(
    components: KernelComponents,
    shape: tuple[int, int],
    *,
    cell_mm: float,
    is_condensed: bool = False,
) -> NDArray[np.complex64]:
    """Return the discrete transforms that carry fluence on the raster into spline coefficients.

    Each holds the component, the Gaussian of the source, what the way of painting asks for, and
    the projection on cubic B-splines.

    Parameters
    ----------
    components : KernelComponents
        Radial functions.
    shape : tuple of int
        Rows and columns of the maps.
    cell_mm : float
        Cell size.
    is_condensed : bool
        Whether the fluence comes from `condense` instead of being constant in each cell.

    Returns
    -------
    ndarray of shape (C, rows, columns // 2 + 1)
        For `scipy.fft.rfft2` transforms.

    References
    ----------
    .. [1] Unser (1999), IEEE Signal Process. Mag. 16, 22, doi:10.1109/79.799930 (B-splines).
    """
    # Displacements reach half the map, and kernels their last shell: on this size no kernel
    # comes around into the part that is kept.
    reach = int(np.ceil(components.radius_mm[-1] / cell_mm)) + 1
    big = tuple(int(next_fast_len(max(n, (n + 1) // 2 + reach), real=True)) for n in shape)
    # Rows at -f and f are equal, so only the first half is computed.
    f_y = np.arange(big[0] // 2 + 1)[:, None] / (big[0] * cell_mm)
    f_x = np.arange(big[1] // 2 + 1)[None, :] / (big[1] * cell_mm)
    half = _spectrum(components, f_y, f_x, cell_mm=cell_mm, is_condensed=is_condensed)
    spectrum = np.concatenate([half, half[:, 1 : (big[0] + 1) // 2][:, ::-1]], axis=1)
    values = irfft2(spectrum, s=big)
    values = np.fft.fftshift(values, axes=(1, 2))
    y0, x0 = (b // 2 - n // 2 for b, n in zip(big, shape, strict=True))
    values = np.fft.ifftshift(values[:, y0 : y0 + shape[0], x0 : x0 + shape[1]], axes=(1, 2))
    spline_y = _spline_gram(np.asarray(np.fft.fftfreq(shape[0]), dtype=np.float64))
    spline_x = _spline_gram(np.asarray(np.fft.rfftfreq(shape[1]), dtype=np.float64))
    return np.asarray(rfft2(values) / (spline_y[:, None] * spline_x), dtype=np.complex64)
