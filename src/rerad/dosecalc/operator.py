"""Fluence to dose and its adjoint without a matrix, for the optimiser.

Per beam: beamlets are painted onto a raster of the isocentre plane by area, convolved with the
kernel components over the whole field of view (no lateral cutoff), and every point samples the
maps at its own place with the weights of its own radiological depth and distance. The adjoint
runs the same steps backwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, final

import numpy as np
from numpy.typing import NDArray

from rerad.core import BixelGrid, Grid, Image, Machine, PatientPosition
from rerad.dosecalc.beam_model import decompose_kernel
from rerad.dosecalc.beam_samples import OperatorScene, Samples, fluence_window, sample_beams
from rerad.dosecalc.map_levels import MapLevel, SeparableKernels, map_level
from rerad.dosecalc.painting import Paint
from rerad.dosecalc.projection import require_density
from rerad.dosecalc.raster import Raster, raster_over
from rerad.errors import InputError
from rerad.kernels.map_sampling import gather_maps, pick_samples, scatter_maps

FFT_WORKERS = 2
"""Threads of Fourier transforms elsewhere; the sums of one transform do not depend on it."""


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


@final
class PencilBeamOperator:
    """Matrix-free pencil-beam operator; make it with `build_operator`.

    Beamlets are in the order of `rerad.dosecalc.split_fluence`: beams in order, active beamlets
    row by row. Calls do not change it, so one operator may serve many solvers in turn.

    Parameters
    ----------
    paint : Paint
        Beamlets on the rasters of all beams.
    near, far : MapLevel
        From fluence to the fine and the coarse maps.
    samples : Samples
        Points on the maps of all beams.
    n_points : int
        Number of points.
    """

    def __init__(
        self,
        paint: Paint,
        near: MapLevel,
        far: MapLevel,
        samples: Samples,
        n_points: int,
    ) -> None:
        self._paint = paint
        self._near, self._far = near, far
        self._samples = samples
        self._n_points = n_points
        # Enough tasks for many cores, few enough maps to add up; it never depends on threads.
        self._n_chunks = max(1, -(-16 // len(paint.grids)))

    @property
    def n_beamlets(self) -> int:
        """Number of active beamlets of all beams."""
        return int(self._paint.collect.shape[0])

    @property
    def n_points(self) -> int:
        """Number of points."""
        return self._n_points

    @property
    def bixel_grids(self) -> tuple[BixelGrid, ...]:
        """Beamlet grids, beams in order."""
        return self._paint.grids

    @property
    def rasters(self) -> tuple[Raster, ...]:
        """Where the fluence of each beam lies: cells of the isocentre plane, beams in order."""
        return self._paint.rasters

    @property
    def n_bytes(self) -> int:
        """Memory that the operator holds."""
        samples = sum(array.nbytes for array in self._samples)
        return int(samples + self._near.n_bytes + self._far.n_bytes)

    def at_points(self, points: NDArray[np.int64]) -> "PencilBeamOperator":
        """Return the dose at some of the points, equal to the bit and for less than all cost.

        Parameters
        ----------
        points : ndarray of int, shape (M,)
            Rising numbers of points.

        Returns
        -------
        PencilBeamOperator
            Of the same beamlets; maps are shared, samples are copied.
        """
        chosen = np.asarray(points, dtype=np.int64)
        node, place, weights = self._samples
        n_beams = len(self._paint.grids)
        n_samples = len(chosen) * n_beams
        samples = Samples(
            np.empty(n_samples, node.dtype),
            np.empty(n_samples, place.dtype),
            np.empty((weights.shape[0], n_samples, 4), weights.dtype),
        )
        pick_samples(*self._samples, self.n_points, chosen, *samples)
        return PencilBeamOperator(self._paint, self._near, self._far, samples, len(chosen))

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
        return self._dose(self._paint.beamlets(x))

    def forward_rasters(self, rasters_mu: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the dose of fluence given on the cells of `rasters`, such as leaves let through.

        Beyond 20 mm from the fluence, columns of cells are condensed by three; what changes from
        cell to cell is blurred there, its sum and first moments are kept.

        Parameters
        ----------
        rasters_mu : sequence of ndarray of shape (n_y, n_x)
            For each beam, MU times the open share of each cell. The off-axis ratio is applied
            here, as it is to beamlets.

        Returns
        -------
        ndarray of shape (n_points,)
            Dose to water in Gy.

        Raises
        ------
        InputError
            If number or shapes are not those of `rasters`.
        """
        return self._dose(self._paint.cells(rasters_mu))

    def beamlet_dose(self, beamlet: int) -> NDArray[np.float64]:
        """Return a column: the dose of one MU of one beamlet; only its beam is calculated.

        Parameters
        ----------
        beamlet : int
            Number of the beamlet.

        Returns
        -------
        ndarray of shape (n_points,)
            Dose to water in Gy per MU.
        """
        if not 0 <= beamlet < self.n_beamlets:
            msg = f"expected a beamlet from 0 to {self.n_beamlets - 1}, got {beamlet}"
            raise InputError(msg)
        beam, fluence = self._paint.beamlet(beamlet)
        return self._dose(fluence, first_beam=beam)

    def _dose(self, fluence: NDArray[np.float32], *, first_beam: int = 0) -> NDArray[np.float64]:
        """Dose at the points of fluences (B, Y, X) of some beams, from `first_beam` on."""
        dose = np.empty(self.n_points)
        near, far = (level.convolve(fluence) for level in (self._near, self._far))
        gather_maps(near, far, first_beam, *self._samples, dose)
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
        return np.asarray(self._paint.collect @ self._fluence_adjoint(weights).ravel())

    def adjoint_rasters(self, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return the transpose of `forward_rasters` applied to `weights`.

        Parameters
        ----------
        weights : ndarray of shape (n_points,)
            For a gradient: derivative of the objective by dose.

        Returns
        -------
        list of ndarray of shape (n_y, n_x)
            For each beam, in Gy per MU times the unit of `weights`.

        Raises
        ------
        InputError
            If there is not one weight for each point.
        """
        return self._paint.back_to_cells(self._fluence_adjoint(weights))

    def _fluence_adjoint(self, weights: NDArray[np.float64]) -> NDArray[np.float32]:
        """Transpose of `_dose` for all beams: (B, Y, X)."""
        y = np.asarray(weights, dtype=np.float64)
        if y.shape != (self.n_points,):
            msg = f"expected {self.n_points} point weights, got shape {y.shape}"
            raise InputError(msg)
        near, far = (
            np.empty((self._n_chunks, *level.map_shape(len(self.rasters))), dtype=np.float32)
            for level in (self._near, self._far)
        )
        scatter_maps(y, *self._samples, near, far)
        fluence = self._near.convolve_back(near)
        fluence += self._far.convolve_back(far)
        return fluence


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
    require_density(density)
    rasters = [_raster_of(bixels, chosen.cell_mm) for bixels in bixel_grids]
    scene = OperatorScene(machine, density, grid, np.asarray(indices, dtype=np.int64), position)
    geometries = [bixels.geometry for bixels in bixel_grids]
    sampled = sample_beams(scene, geometries, rasters, chosen.n_components)
    components = decompose_kernel(machine, n_components=chosen.n_components, used=sampled.used)
    sampled.weigh(components)
    nodes, window = sampled.nodes, fluence_window(rasters)
    # Nodes and condensed columns lie at most so far apart.
    reach_y, reach_x = (a + b + 16 for a, b in zip(nodes.furthest, window, strict=True))
    kernels = SeparableKernels.of(components, reach_y, reach_x, cell_mm=chosen.cell_mm)
    near = map_level(kernels, nodes.near_y, nodes.near_x)
    far = map_level(kernels.at_nodes(), nodes.far_y, nodes.far_x)
    paint = Paint.of(bixel_grids, rasters, machine, window)
    return PencilBeamOperator(paint, near, far, sampled.samples, len(indices))


def _raster_of(bixels: BixelGrid, cell_mm: float) -> Raster:
    """Return the raster that holds all beamlets."""
    return raster_over(
        (float(bixels.x_edges_mm[0]), float(bixels.y_edges_mm[0])),
        (float(bixels.x_edges_mm[-1]), float(bixels.y_edges_mm[-1])),
        cell_mm=cell_mm,
    )
