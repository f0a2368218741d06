"""Where the points of an operator lie on the maps of its beams, and at what depth."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, Grid, Image, Machine, PatientPosition
from rerad.dosecalc.beam_model import (
    DEPTH_END_MM,
    DEPTH_STEP_MM,
    MAGNIFICATIONS,
    KernelComponents,
    kernel_depths,
)
from rerad.dosecalc.map_levels import NodeLine
from rerad.dosecalc.projection import density_box, fan_of_rays, require_magnification
from rerad.dosecalc.raster import Raster
from rerad.geometry import patient_to_bld_rotation, source_position_mm
from rerad.kernels.beam_view import (
    measure_view,
    place_samples,
    trace_samples,
    weigh_samples,
)
from rerad.kernels.map_sampling import BLOCK

PointsOfBeam = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], float, int]

NEAR_MARGIN_CELLS = 8
"""The fine map reaches so far beyond the fluence (20 mm): there penumbra and electrons end."""

FAR_STEP_CELLS = 3
"""Cells per node of the coarse map."""


@dataclass(frozen=True, eq=False, slots=True)
class OperatorScene:
    """Patient and points.

    Parameters
    ----------
    machine : Machine
        Beam data.
    density : Image
        Mass density in g/cm³.
    grid : Grid
        Dose grid.
    voxel_indices : ndarray of int64, shape (N,)
        Flat indices of the points.
    position : PatientPosition
        How the patient lies.
    """

    machine: Machine
    density: Image
    grid: Grid
    voxel_indices: NDArray[np.int64]
    position: PatientPosition

    def seen_by(self, geometry: BeamGeometry) -> PointsOfBeam:
        """Return the points as the kernels of a beam want them."""
        rows = [
            self.grid.origin_mm,
            self.grid.spacing_mm,
            *patient_to_bld_rotation(geometry, self.position),
            geometry.isocenter_mm,
        ]
        shape = np.array(self.grid.shape, dtype=np.int64)
        return self.voxel_indices, shape, np.array(rows), float(self.machine.sad_mm), BLOCK


class Samples(NamedTuple):
    """Samples of all beams, as `rerad.kernels.map_sampling` describes them."""

    node: NDArray[np.uint32]
    place: NDArray[np.uint32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, eq=False, slots=True)
class MapNodes:
    """Nodes of the fine and the coarse map along y and x, the same for all beams."""

    near_y: NodeLine
    near_x: NodeLine
    far_y: NodeLine
    far_x: NodeLine

    @property
    def furthest(self) -> tuple[int, int]:
        """Largest distance in cells of a node from cell 0, along y and x."""
        ends = []
        for near, far in ((self.near_y, self.far_y), (self.near_x, self.far_x)):
            lows = (near.first, far.first)
            highs = tuple(line.first + line.step * (line.n - 1) for line in (near, far))
            ends.append(max(*(abs(v) for v in lows), *highs))
        return ends[0], ends[1]


def _lattice(y: NodeLine, x: NodeLine, raster: Raster) -> NDArray[np.float64]:
    """Place nodes beside one beam's fluence: first x and y, distance, columns and rows."""
    cell = raster.cell_mm
    first = (raster.first_x + 0.5 + x.first, raster.first_y + 0.5 + y.first)
    return np.array([cell * first[0], cell * first[1], cell * x.step, x.n, y.n])


def _near_line(n_cells: int) -> NodeLine:
    """Nodes of the fine map along one axis; a cubic footprint needs one node more."""
    margin = NEAR_MARGIN_CELLS + 1
    return NodeLine.over(n_cells, -margin, n_cells - 1 + margin, step=1)


def fluence_window(rasters: Sequence[Raster]) -> tuple[int, int]:
    """Return rows and columns, even, of the window into which all rasters fit."""
    n_y, n_x = (max(sizes) for sizes in zip(*((r.n_y, r.n_x) for r in rasters), strict=True))
    return n_y + n_y % 2, n_x + n_x % 2


@dataclass(frozen=True, eq=False, slots=True)
class SampledBeams:
    """Samples of all beams, still with depth and magnification in place of weights.

    Parameters
    ----------
    samples : Samples
        As `rerad.kernels.map_sampling` wants them.
    nodes : MapNodes
        Of the maps.
    used : ndarray of bool, shape (D, M)
        Which pairs of kernel depth and magnification lie around any point.
    """

    samples: Samples
    nodes: MapNodes
    used: NDArray[np.bool_]

    def weigh(self, components: KernelComponents) -> None:
        """Put component weights in the place of depth and magnification; once."""
        spacing = (
            DEPTH_STEP_MM,
            float(MAGNIFICATIONS[0]),
            float(MAGNIFICATIONS[1] - MAGNIFICATIONS[0]),
        )
        weigh_samples(components.weights, spacing, self.samples.weights)


def sample_beams(
    scene: OperatorScene,
    geometries: Sequence[BeamGeometry],
    rasters: Sequence[Raster],
    n_components: int,
) -> SampledBeams:
    """Project all points onto the maps of all beams and find their depths.

    Parameters
    ----------
    scene : OperatorScene
        Patient and points.
    geometries : sequence of BeamGeometry
        Beams in order.
    rasters : sequence of Raster
        Where the fluence of each beam lies.
    n_components : int
        Kernel components.

    Raises
    ------
    InputError
        If a point is closer to or further from the source than the tabulated kernels allow.
    """
    window_y, window_x = fluence_window(rasters)
    n_points, n_beams = len(scene.voxel_indices), len(geometries)
    n_blocks = -(-n_points // BLOCK)
    limits = np.empty((n_beams, 6))
    points = [scene.seen_by(geometry) for geometry in geometries]
    for b in range(n_beams):
        bounds = np.empty((n_blocks, 6))
        measure_view(*points[b], bounds)
        limits[b, ::2], limits[b, 1::2] = bounds[:, ::2].min(axis=0), bounds[:, 1::2].max(axis=0)
        require_magnification(geometries[b].name, scene.machine, (limits[b, 4], limits[b, 5]))
    first = [(raster.first_x + 0.5, raster.first_y + 0.5) for raster in rasters]
    places = limits[:, :4] / rasters[0].cell_mm - np.repeat(np.array(first), 2, axis=1)
    low, high = places.min(axis=0) - 1e-6, places.max(axis=0) + 1e-6
    nodes = MapNodes(
        _near_line(window_y),
        _near_line(window_x),
        NodeLine.over(window_y, low[2], high[3], step=FAR_STEP_CELLS),
        NodeLine.over(window_x, low[0], high[1], step=FAR_STEP_CELLS),
    )
    n_samples, n_groups = n_points * n_beams, -(-n_components // 4)
    samples = Samples(
        node=np.empty(n_samples, np.uint32),
        place=np.empty(n_samples, np.uint32),
        weights=np.empty((n_groups, n_samples, 4), np.float32),
    )
    n_depths, n_magnifications = int(DEPTH_END_MM), len(MAGNIFICATIONS) - 1
    is_used = np.zeros((n_depths, n_magnifications), dtype=bool)
    by_block = np.empty((n_blocks, n_depths, n_magnifications), dtype=bool)
    box = density_box(scene.density)
    scale = np.stack(
        [scene.machine.beam.off_axis_radius_mm, scene.machine.beam.off_axis_depth_scale]
    )
    for b, geometry in enumerate(geometries):
        near = _lattice(nodes.near_y, nodes.near_x, rasters[b])
        far = _lattice(nodes.far_y, nodes.far_x, rasters[b])
        place_samples(*points[b], near, far, b, samples.node, samples.place)
        rays, fan = _depth_sources(scene, geometry, box, limits[b])
        trace_samples(*points[b], b, rays, fan, scale, samples.weights, by_block)
        is_used |= by_block.any(axis=0)
    return SampledBeams(samples, nodes, _kernels_around(is_used, scene.machine))


Box = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


def _depth_sources(
    scene: OperatorScene, geometry: BeamGeometry, box: Box, limits: NDArray[np.float64]
) -> tuple[tuple[NDArray[np.generic], ...], tuple[NDArray[np.generic], ...]]:
    """Rays to points and a traced fan, which is empty if a ray to each point is less work."""
    source = source_position_mm(geometry, scene.position, sad_mm=scene.machine.sad_mm)
    fan = fan_of_rays(box, limits, geometry, scene.machine, scene.position)
    # A ray to a point ends there, one of a fan goes on: about twice the work.
    if len(scene.voxel_indices) < 2 * fan.n_rays:
        traced = np.empty((0, 0, 0), np.float32)
    else:
        traced = fan.trace()
    first = [fan.u_mm[0], fan.v_mm[0], fan.planes_mm[0], fan.pitch_mm, fan.layer_mm]
    return (*box, source), (traced, np.array(first))


def _kernels_around(is_used: NDArray[np.bool_], machine: Machine) -> NDArray[np.bool_]:
    """Which tabulated kernels surround the used depths (whole mm) and magnifications."""
    depths = kernel_depths(machine)
    used = np.zeros((len(depths), len(MAGNIFICATIONS)), dtype=bool)
    depth, column = np.nonzero(is_used)
    for end in (depth, depth + 1):
        row = np.searchsorted(depths, end).clip(1, len(depths) - 1)
        for dr in (0, 1):
            for dc in (0, 1):
                used[row - dr, column + dc] = True
    return used
