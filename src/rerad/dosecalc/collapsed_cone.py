"""Collapsed cone convolution/superposition: the final dose of photon beams.

Energy is released where photons interact for the first time, and carried from there along cones
through what lies on the way, stretched by density. See ``docs/methods/collapsed-cone.md``.

Dose to water. Limits: tissue is water of another density; charged particles run straight along
their cone; energy that leaves the grid is lost; cones are parallel to those of the beam axis and
only their strength follows the local ray.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, Grid, Image, Machine, PatientPosition
from rerad.dosecalc.cone_kernels import ConeKernels, ConeSettings, RingSet
from rerad.dosecalc.projection import require_density
from rerad.dosecalc.raster import Raster
from rerad.errors import InputError
from rerad.geometry import bld_to_patient, patient_to_bld, source_position_mm
from rerad.kernels.collapsed_cone import add_refined, released_energy, share_out, sweep_cones
from rerad.kernels.raytrace import fan_depths

N_GROUPS = 8
"""Groups of cones that may run at the same time, each with a volume for what it deposits."""

LEAST_DISTANCE_MM = 100.0
"""No voxel may be nearer to the source: the collimator is there."""


@dataclass(frozen=True, eq=False, slots=True)
class _Scene:
    """One beam on one grid, in the order [k, j, i] and patient axes unless said otherwise."""

    grid: Grid
    geometry: BeamGeometry
    position: PatientPosition
    machine: Machine
    density: NDArray[np.float32]

    source_mm: NDArray[np.float64] = field(init=False)
    cone_frame: NDArray[np.float64] = field(init=False)
    """Rows: beam-limiting-device x and y, and the direction of the beam, in patient axes."""

    def __post_init__(self) -> None:
        source = source_position_mm(self.geometry, self.position, sad_mm=self.machine.sad_mm)
        frame = bld_to_patient(np.diag([1.0, 1.0, -1.0]), self.geometry, self.position)
        object.__setattr__(self, "source_mm", source)
        object.__setattr__(self, "cone_frame", frame - np.asarray(self.geometry.isocenter_mm))

    @property
    def bld_axes_mm(self) -> NDArray[np.float64]:
        """Centre of voxel [0, 0, 0] and steps along k, j and i, in beam-limiting-device axes."""
        corner = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float64)
        points = patient_to_bld(self.grid.points(corner), self.geometry, self.position)
        points[1:] -= points[0]
        return points


def grid_blur_variance_mm2(spacing_mm: float, *, fluence_parts: int = 2) -> float:
    """Return the variance that a voxel grid adds to an edge along one axis.

    Energy is taken to be released evenly in a voxel (h²/12), and dose is the mean of a voxel
    (h²/12): lines through the nearest voxels do just that on average. Fluence is averaged over n
    points of a voxel along each axis, which adds ``(1 - 1/n²) h²/12``.

    Parameters
    ----------
    spacing_mm : float
        Voxel spacing h.
    fluence_parts : int
        n, see `ConeSettings`.

    Returns
    -------
    float
        Variance in mm² at the voxel; divide by the squared magnification for the isocentre plane.
    """
    return spacing_mm**2 * (2.0 + 1.0 - fluence_parts**-2) / 12.0


def collapsed_cone_dose(
    photons: NDArray[np.float64],
    raster: Raster,
    geometry: BeamGeometry,
    machine: Machine,
    density: Image,
    grid: Grid,
    position: PatientPosition,
    kernels: ConeKernels,
    settings: ConeSettings,
) -> NDArray[np.float32]:
    """Calculate the dose of one fluence map.

    Parameters
    ----------
    photons : ndarray of shape (n_y, n_x)
        Energy fluence at the isocentre plane in the cells of `raster`; 0 beyond it.
    raster : Raster
        Cells, in beam-limiting-device axes.
    geometry : BeamGeometry
        The beam.
    machine : Machine
        For the source's distance and how fast the beam softens off its axis.
    density : Image
        Mass density in g/cm³ on `grid`; outside it is vacuum.
    grid : Grid
        Where the dose is wanted. It has to hold what scatters.
    position : PatientPosition
        How the patient lies.
    kernels : ConeKernels
        Of the machine's spectrum.
    settings : ConeSettings
        Numerical settings.

    Returns
    -------
    ndarray of float32, shape ``grid.shape``
        Dose to water in Gy per unit energy fluence; in air too, where it means little.

    Raises
    ------
    InputError
        If map and raster differ in shape, `density` is no density or reaches the source.
    GridMismatchError
        If `density` is not on `grid`.
    """
    require_density(density)
    density.grid.require_same_voxels(grid, "density of the collapsed cone")
    if photons.shape != (raster.n_y, raster.n_x):
        msg = f"expected a map of shape {(raster.n_y, raster.n_x)}, got {photons.shape}"
        raise InputError(msg)
    solid = np.maximum(np.asarray(density.values, np.float32), settings.least_density_g_cm3)
    scene = _Scene(grid, geometry, position, machine, np.asarray(solid, np.float32))
    primary, scatter = _released(photons, raster, scene, kernels, settings)
    dose = _transport(primary, scene.density, scene, grid, kernels.primary)
    if settings.scatter_coarsening == 1:
        dose += _transport(scatter, scene.density, scene, grid, kernels.scatter)
        return dose
    n = settings.scatter_coarsening
    wide = _coarse_grid(grid, n)
    coarse = _transport(
        _block_mean(scatter, n, is_padded_with_zeros=True),
        _block_mean(scene.density, n, is_padded_with_zeros=False),
        scene,
        wide,
        kernels.scatter,
    )
    add_refined(coarse, n, dose)
    return dose


def _released(
    photons: NDArray[np.float64],
    raster: Raster,
    scene: _Scene,
    kernels: ConeKernels,
    settings: ConeSettings,
) -> NDArray[np.float32]:
    """Energy released per volume, primary and scatter, shape (2, K, J, I)."""
    axes = scene.bld_axes_mm
    sad = scene.machine.sad_mm
    corners = axes[0, 2] + np.array(
        [
            (k * axes[1] + j * axes[2] + i * axes[3])[2]
            for k in (0, scene.grid.shape[0] - 1)
            for j in (0, scene.grid.shape[1] - 1)
            for i in (0, scene.grid.shape[2] - 1)
        ]
    )
    if corners.max() > sad - LEAST_DISTANCE_MM:
        msg = (
            f"beam {scene.geometry.name}: expected a grid at least {LEAST_DISTANCE_MM:.0f} mm "
            f"from the source, got {sad - corners.max():.0f} mm; check the isocentre"
        )
        raise InputError(msg)
    fan, fan_place = _fan(raster, scene, float(corners.max()), float(corners.min()))
    n = settings.fluence_parts
    middles = (np.arange(n) + 0.5) / n - 0.5
    steps = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1)
    beam = scene.machine.beam
    return np.asarray(
        released_energy(
            scene.density,
            axes,
            steps.reshape(-1, 3) @ axes[1:],
            fan,
            fan_place,
            np.ascontiguousarray(photons, dtype=np.float64),
            np.array([raster.x_mm[0], raster.y_mm[0], raster.cell_mm]),
            kernels.released,
            (beam.off_axis_radius_mm, beam.off_axis_depth_scale),
        )
    )


def _fan(
    raster: Raster, scene: _Scene, top_mm: float, bottom_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Radiological depth on a fan of rays through the raster, and where its nodes are."""
    spacing = np.asarray(scene.grid.spacing_mm)
    pitch = max(1.0, 0.5 * float(spacing.min()))
    layer = float(spacing.min())
    u, v = (
        edges[0] + pitch * np.arange(int(np.ceil((edges[-1] - edges[0]) / pitch)) + 2)
        for edges in (raster.x_edges_mm, raster.y_edges_mm)
    )
    planes = top_mm + layer - layer * np.arange(int(np.ceil((top_mm - bottom_mm) / layer)) + 3)
    sad = scene.machine.sad_mm
    stretch = (sad - planes[-1]) / sad
    targets = np.empty((len(v), len(u), 3))
    targets[..., 0] = u[None, :] * stretch
    targets[..., 1] = v[:, None] * stretch
    targets[..., 2] = planes[-1]
    fan = fan_depths(
        scene.density,
        np.asarray(scene.grid.origin_mm) - 0.5 * spacing,
        spacing,
        scene.source_mm,
        bld_to_patient(targets, scene.geometry, scene.position),
        (sad - planes) / (sad - planes[-1]),
    )
    return np.asarray(fan), np.array([u[0], v[0], pitch, planes[0], layer, sad])


def _transport(
    released: NDArray[np.float32],
    density: NDArray[np.float32],
    scene: _Scene,
    grid: Grid,
    rings: RingSet,
) -> NDArray[np.float32]:
    """Carry released energy along all cones of a ring set; dose on `grid`."""
    directions = rings.directions() @ scene.cone_frame
    spacing = np.asarray(grid.spacing_mm)[::-1]
    sweep = np.argmax(np.abs(directions[..., ::-1]) / spacing, axis=-1)
    base = _share_out(released, directions, scene, grid, rings)
    largest = float(base[0].max(initial=0.0))
    dose = np.zeros(grid.shape, np.float32)
    for axis in range(3):
        if not np.any(sweep == axis) or largest == 0.0:
            continue
        order = (axis, *(n for n in range(3) if n != axis))
        heavy, amount, inverse = (
            np.ascontiguousarray(v.transpose(order)) for v in (density, *base)
        )
        pitch = spacing[list(order)]
        picked = [
            (int(r), directions[r, a]) for r, a in zip(*np.nonzero(sweep == axis), strict=True)
        ]
        along = [direction[::-1][list(order)] for _, direction in picked]
        lengths = [pitch[0] / abs(u[0]) for u in along]
        deposits = np.zeros((min(N_GROUPS, len(picked)), *heavy.shape), np.float32)
        sweep_cones(
            heavy,
            amount,
            _spans(amount),
            inverse,
            deposits,
            np.stack([_visits(u / pitch, len(heavy)) for u in along]),
            np.stack(
                [_cone(rings, r, n, largest) for (r, _), n in zip(picked, lengths, strict=True)]
            ),
            np.stack([_cosine(direction, scene, grid, order) for _, direction in picked]),
        )
        deposit = deposits.sum(axis=0)
        deposit /= heavy
        dose += deposit.transpose(np.argsort(order))
    return dose


def _share_out(
    released: NDArray[np.float32],
    directions: NDArray[np.float64],
    scene: _Scene,
    grid: Grid,
    rings: RingSet,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Energy that each cone takes before its tilt, and the inverse distance from the source."""
    slope = rings.log_slope[:, None, None] * directions
    n_cones = rings.n_rings * rings.n_azimuths
    tilt = (
        scene.cone_frame[2],
        slope.mean(axis=(0, 1)),
        np.einsum("rax,ray->xy", slope, slope) / n_cones,
    )
    scaled, inverse = np.empty(grid.shape, np.float32), np.empty(grid.shape, np.float32)
    place = np.array([grid.origin_mm, grid.spacing_mm])
    share_out(released, place, scene.source_mm, tilt, scaled, inverse)
    scaled /= np.float32(n_cones)
    return scaled, inverse


def _spans(released: NDArray[np.float32]) -> NDArray[np.int32]:
    """First and one past the last voxel of each row that releases energy."""
    some = released != 0
    first = np.argmax(some, axis=2)
    last = some.shape[2] - np.argmax(some[:, :, ::-1], axis=2)
    last[~some.any(axis=2)] = 0
    return np.stack([first, last], axis=-1).astype(np.int32)


def _cone(rings: RingSet, ring: int, length_mm: float, largest: float) -> NDArray[np.float32]:
    """Numbers of one cone as `sweep_cone` wants them."""
    rate = rings.rate_per_mm[ring] * length_mm
    return np.array(
        [*rate, *rings.shares[ring], rings.log_slope[ring], rings.cosine[ring], largest],
        dtype=np.float32,
    )


def _visits(step: NDArray[np.float64], n_planes: int) -> NDArray[np.int64]:
    """Planes in the order of the sweep, and how far lines have moved there in whole voxels."""
    n = np.arange(n_planes)
    planes = n if step[0] > 0 else n_planes - 1 - n
    moved = np.rint(n[:, None] * (step[1:] / abs(step[0])))
    return np.concatenate([planes[:, None], moved.astype(np.int64)], axis=1)


def _cosine(
    direction: NDArray[np.float64], scene: _Scene, grid: Grid, order: tuple[int, ...]
) -> NDArray[np.float64]:
    """Cosine to the ray times distance: at the first voxel, and per step along each axis."""
    first = direction @ (np.asarray(grid.origin_mm) - scene.source_mm)
    steps = (direction * np.asarray(grid.spacing_mm))[::-1][list(order)]
    return np.array([first, *steps])


def _coarse_grid(grid: Grid, n: int) -> Grid:
    """Grid of blocks of n voxels from the first corner, over at least the same box."""
    shape = tuple(-(-size // n) for size in grid.shape)
    origin = grid.points((0.5 * (n - 1),) * 3)
    x, y, z = (n * s for s in grid.spacing_mm)
    return Grid(
        (shape[0], shape[1], shape[2]),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        (x, y, z),
        grid.frame_uid,
    )


def _block_mean(
    values: NDArray[np.float32], n: int, *, is_padded_with_zeros: bool
) -> NDArray[np.float32]:
    """Mean over blocks of n voxels a side; the last blocks are filled up."""
    pad = [(0, -size % n) for size in values.shape]
    full = np.pad(values, pad) if is_padded_with_zeros else np.pad(values, pad, mode="edge")
    k, j, i = (size // n for size in full.shape)
    blocks = full.reshape(k, n, j, n, i, n)
    return np.asarray(blocks.mean(axis=(1, 3, 5), dtype=np.float32))
