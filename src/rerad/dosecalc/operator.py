"""Fluence to dose and its adjoint without a matrix, for the optimiser.

Per beam: beamlets are painted onto a raster of the isocentre plane by area, convolved with the
kernel components by FFT over the whole field of view (no lateral cutoff), and every point
samples the maps at its own place with the weights of its own radiological depth and distance.
The adjoint runs the same steps backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

from rerad.core import BixelGrid, Grid, Image, Machine, PatientPosition
from rerad.dosecalc.beam_model import decompose_kernel
from rerad.dosecalc.projection import kernels_used, map_nodes, point_weights, view_points
from rerad.dosecalc.raster import (
    MapWindow,
    Raster,
    fast_map_size,
    kernel_transforms,
    map_size,
    map_window,
    off_axis_map,
    overlap,
    raster_over,
)
from rerad.errors import InputError
from rerad.kernels.pencil_beam import gather_dose, scatter_dose

FFT_WORKERS = 2
"""Threads of the Fourier transforms; the sums of one transform do not depend on it."""


class DoseOperator(Protocol):
    """A linear map from beamlet fluence to dose at points, and its adjoint."""

    @property
    def n_beamlets(self) -> int:
        """Number of unknowns."""
        ...

    @property
    def n_points(self) -> int:
        """Number of points."""
        ...

    def forward(self, fluence_mu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the dose in Gy at the points, shape (n_points,)."""
        ...

    def adjoint(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the transposed map applied to `weights`, shape (n_beamlets,), Gy per MU."""
        ...


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Numerical settings of the operator.

    Parameters
    ----------
    cell_mm : float
        Raster cell at the isocentre plane; beamlet edges on multiples of it are exact.
    n_components : int
        Kernel components.
    """

    cell_mm: float = 2.5
    n_components: int = 4

    def __post_init__(self) -> None:
        if not 0.5 <= self.cell_mm <= 5.0:
            msg = f"expected a raster cell of 0.5 to 5 mm, got {self.cell_mm}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class _BeamPaint:
    """How one beam's beamlets and its map go together."""

    grid: BixelGrid
    rows: slice
    columns: slice
    row_share: NDArray[np.float64]
    column_share: NDArray[np.float64]
    off_axis: NDArray[np.float64]

    def paint(self, x_mu: NDArray[np.float64], target: NDArray[np.float32]) -> None:
        """Write the fluence of the active beamlets onto the map."""
        values = np.zeros(self.grid.is_active.shape)
        values[self.grid.is_active] = x_mu
        target[self.rows, self.columns] = (
            self.row_share.T @ values @ self.column_share
        ) * self.off_axis

    def collect(self, source: NDArray[np.float32]) -> NDArray[np.float64]:
        """Adjoint of `paint`."""
        values = source[self.rows, self.columns] * self.off_axis
        spread = self.row_share @ values @ self.column_share.T
        return np.asarray(spread[self.grid.is_active])


def _beam_paint(
    grid: BixelGrid, machine: Machine, raster: Raster, window: MapWindow
) -> _BeamPaint:
    """Prepare painting of `grid` onto the map at `window`."""
    row, column = raster.first_y - window.first_y, raster.first_x - window.first_x
    return _BeamPaint(
        grid=grid,
        rows=slice(row, row + raster.n_y),
        columns=slice(column, column + raster.n_x),
        row_share=overlap(grid.y_edges_mm, raster.y_edges_mm),
        column_share=overlap(grid.x_edges_mm, raster.x_edges_mm),
        off_axis=off_axis_map(machine, raster),
    )


@final
class PencilBeamOperator:
    """Matrix-free pencil-beam operator; make it with `build_operator`.

    Beamlets are in the order of `rerad.dosecalc.split_fluence`: beams in order, active beamlets
    row by row. Calls do not change it, so one operator may serve many solvers in turn.

    Parameters
    ----------
    paints : tuple
        Beamlets and map of each beam.
    transforms : ndarray of complex64, shape (C, rows, columns // 2 + 1)
        Kernel components.
    shape : tuple of int
        Rows and columns of the maps.
    node, offset, weights : ndarray
        Of all beams, as `rerad.kernels.pencil_beam.gather_dose` wants them.
    """

    def __init__(
        self,
        paints: tuple[_BeamPaint, ...],
        transforms: NDArray[np.complex64],
        shape: tuple[int, int],
        points: tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]],
    ) -> None:
        self._paints = paints
        self._transforms = transforms
        self._shape = shape
        self._node, self._offset, self._weights = points
        counts = [paint.grid.n_active for paint in paints]
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        # Enough tasks for many cores, few enough maps to add up; it never depends on threads.
        self._n_chunks = max(1, -(-8 // len(paints)))

    @property
    def n_beamlets(self) -> int:
        """Number of active beamlets of all beams."""
        return int(self._starts[-1])

    @property
    def n_points(self) -> int:
        """Number of points."""
        return int(self._node.shape[1])

    @property
    def bixel_grids(self) -> tuple[BixelGrid, ...]:
        """Beamlet grids, beams in order."""
        return tuple(paint.grid for paint in self._paints)

    @property
    def n_bytes(self) -> int:
        """Memory that the operator holds."""
        arrays = (self._transforms, self._node, self._offset, self._weights)
        return sum(array.nbytes for array in arrays)

    def forward(self, fluence_mu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the dose at the points.

        Parameters
        ----------
        fluence_mu : ndarray of shape (n_beamlets,)
            Open-beam MU of each beamlet.

        Returns
        -------
        ndarray of shape (n_points,)
            Dose to water in Gy.
        """
        x = np.asarray(fluence_mu, dtype=np.float64)
        if x.shape != (self.n_beamlets,):
            msg = f"expected {self.n_beamlets} beamlet values, got shape {x.shape}"
            raise InputError(msg)
        fluence = np.zeros((len(self._paints), *self._shape), dtype=np.float32)
        for index, paint in enumerate(self._paints):
            paint.paint(x[self._starts[index] : self._starts[index + 1]], fluence[index])
        spectrum = rfft2(fluence, workers=FFT_WORKERS)[:, None] * self._transforms[None]
        maps = irfft2(spectrum, s=self._shape, workers=FFT_WORKERS, overwrite_x=True)
        dose = np.empty(self.n_points)
        gather_dose(maps, self._node, self._offset, self._weights, dose)
        return dose

    def adjoint(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the transpose of `forward` applied to `weights`.

        Parameters
        ----------
        weights : ndarray of shape (n_points,)
            For a gradient: derivative of the objective by dose.

        Returns
        -------
        ndarray of shape (n_beamlets,)
            In Gy per MU times the unit of `weights`.
        """
        y = np.asarray(weights, dtype=np.float64)
        if y.shape != (self.n_points,):
            msg = f"expected {self.n_points} point weights, got shape {y.shape}"
            raise InputError(msg)
        n_components = self._weights.shape[2]
        shape = (len(self._paints), self._n_chunks, n_components, *self._shape)
        maps = np.empty(shape, dtype=np.float32)
        scatter_dose(y, self._node, self._offset, self._weights, maps)
        spectrum = rfft2(maps.sum(axis=1), workers=FFT_WORKERS, overwrite_x=True)
        spectrum *= np.conj(self._transforms)
        fluence = irfft2(spectrum.sum(axis=1), s=self._shape, workers=FFT_WORKERS)
        return np.concatenate(
            [paint.collect(fluence[index]) for index, paint in enumerate(self._paints)]
        )


def build_operator(
    machine: Machine,
    density: Image,
    voxel_indices: NDArray[np.int64],
    grid: Grid,
    bixel_grids: Sequence[BixelGrid],
    position: PatientPosition,
    *,
    settings: OperatorSettings | None = None,
) -> PencilBeamOperator:
    """Prepare the map from beamlets to voxels.

    Parameters
    ----------
    machine : Machine
        Beam data.
    density : Image
        Mass density in g/cm³, in the frame of `grid`.
    voxel_indices : ndarray of shape (n_points,)
        Flat indices of the voxels of `grid` whose centres are the points.
    grid : Grid
        Dose grid.
    bixel_grids : sequence of BixelGrid
        Beams in order.
    position : PatientPosition
        How the patient lies.
    settings : OperatorSettings, optional
        Raster and kernel rank.

    Returns
    -------
    PencilBeamOperator
        Dose per fraction or per course, as the fluence is.

    Raises
    ------
    InputError
        If there is no beam or no voxel, or an index is out of range.
    FrameMismatchError
        If `density` is in another frame.
    """
    chosen = settings or OperatorSettings()
    density.grid.require_same_frame(grid, "density of the dose operator")
    indices = np.asarray(voxel_indices)
    if not bixel_grids or indices.ndim != 1 or indices.size == 0:
        msg = "expected at least one beam and one voxel index"
        raise InputError(msg)
    if indices.min() < 0 or indices.max() >= grid.n_voxels:
        msg = f"expected voxel indices from 0 to {grid.n_voxels - 1}, got {indices.min()} to "
        raise InputError(msg + f"{indices.max()}")
    points_mm = grid.points(np.stack(np.unravel_index(indices, grid.shape), axis=-1))
    views = [
        view_points(points_mm, bixels.geometry, machine, density, position)
        for bixels in bixel_grids
    ]
    components = decompose_kernel(
        machine, n_components=chosen.n_components, used=kernels_used(views, machine)
    )
    n_beams, n_points = len(bixel_grids), len(points_mm)
    node = np.empty((n_beams, n_points, 2), dtype=np.int32)
    offset = np.empty((n_beams, n_points, 2), dtype=np.float32)
    weights = np.empty((n_beams, n_points, components.n_components), dtype=np.float32)
    sizes: list[tuple[int, int]] = []
    paints: list[_BeamPaint] = []
    for b, (bixels, view) in enumerate(zip(bixel_grids, views, strict=True)):
        raster = raster_over(
            (float(bixels.x_edges_mm[0]), float(bixels.y_edges_mm[0])),
            (float(bixels.x_edges_mm[-1]), float(bixels.y_edges_mm[-1])),
            cell_mm=chosen.cell_mm,
        )
        seen = view.window(chosen.cell_mm)
        sizes.append(map_size(raster, seen))
        window = map_window(raster, seen)
        node[b], offset[b] = map_nodes(view, window)
        weights[b] = point_weights(view, components)
        paints.append(_beam_paint(bixels, machine, raster, window))
    shape = fast_map_size(sizes)
    transforms = kernel_transforms(components, shape, cell_mm=chosen.cell_mm)
    return PencilBeamOperator(tuple(paints), transforms, shape, (node, offset, weights))
