"""Points as a beam sees them: position on the map, radiological depth, component weights."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, Image, ImageUnit, Machine, PatientPosition
from rerad.dosecalc.beam_model import (
    DEPTH_STEP_MM,
    MAGNIFICATIONS,
    KernelComponents,
)
from rerad.dosecalc.raster import GUARD_CELLS, MapWindow, Raster, raster_over
from rerad.errors import InputError
from rerad.geometry import (
    bld_to_patient,
    patient_to_bld,
    project_to_isocenter_plane,
    source_position_mm,
)
from rerad.kernels.pencil_beam import component_weights
from rerad.kernels.raytrace import fan_depths, path_integrals, sample_fan

AIR_DENSITY_G_CM3 = 0.005
"""Up to here air; around the patient rays do not count it (air is 0.0012 g/cm³)."""


@dataclass(frozen=True, eq=False, slots=True)
class BeamView:
    """Points of the patient in one beam's eye view.

    Parameters
    ----------
    plane_mm : ndarray of shape (N, 2)
        Position projected onto the isocentre plane, in beam-limiting-device axes.
    magnification : ndarray of shape (N,)
        Distance from the source along the axis, over SAD.
    depth_mm : ndarray of shape (N,)
        Radiological depth: density (g/cm³, relative to water's 1) times length along the ray,
        times the beam's off-axis depth scale.
    """

    plane_mm: NDArray[np.float64]
    magnification: NDArray[np.float64]
    depth_mm: NDArray[np.float64]

    def window(self, cell_mm: float) -> Raster:
        """Return the smallest raster that holds all points."""
        low, high = _corners(self.plane_mm)
        return raster_over(low, (high[0] + 1e-6, high[1] + 1e-6), cell_mm=cell_mm)


def _corners(
    plane_mm: NDArray[np.float64],
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Lowest and highest (x, y); column by column, which is many times faster than by rows."""
    x, y = plane_mm[:, 0], plane_mm[:, 1]
    return (float(x.min()), float(y.min())), (float(x.max()), float(y.max()))


def require_density(density: Image) -> None:
    """Raise `InputError` unless the image holds mass density."""
    if density.unit is not ImageUnit.DENSITY:
        msg = f"expected an image of mass density in g/cm3, got {density.unit}; convert HU first"
        raise InputError(msg)


def density_box(
    density: Image,
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Return values, outer corner and spacing of the part of the image that is not thin air.

    Air around everything that is denser than `AIR_DENSITY_G_CM3` is left out, which makes rays
    short; it would add 0.1 mm of water in 100 mm. Air within stays.
    """
    values = np.asarray(density.values, dtype=np.float32)
    spacing = np.asarray(density.grid.spacing_mm)
    corner = np.asarray(density.grid.origin_mm) - 0.5 * spacing
    # The highest value over each axis in turn: cheap, and it keeps reading memory in order.
    rows = values.max(axis=2)
    columns = np.flatnonzero(values.max(axis=0).max(axis=0) > AIR_DENSITY_G_CM3)
    if len(columns) == 0:
        return values[:1, :1, :1].copy(), corner, spacing
    i = slice(int(columns[0]), int(columns[-1]) + 1)
    j, k = (
        slice(int(used[0]), int(used[-1]) + 1)
        for used in (np.flatnonzero(rows.max(axis=a) > AIR_DENSITY_G_CM3) for a in (0, 1))
    )
    first = np.array([i.start, j.start, k.start])
    return np.ascontiguousarray(values[k, j, i]), corner + first * spacing, spacing


def radiological_depth_exact(
    density: Image,
    points_mm: NDArray[np.float64],
    source_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Trace one ray to each point through every voxel it crosses.

    Parameters
    ----------
    density : Image
        Mass density in g/cm³; outside it is vacuum.
    points_mm : ndarray of shape (N, 3)
        ``(x, y, z)`` in mm.
    source_mm : ndarray of shape (3,)
        Where the rays start.

    Returns
    -------
    ndarray of shape (N,)
        Radiological depth in mm of water.
    """
    require_density(density)
    values, corner, spacing = density_box(density)
    return np.asarray(path_integrals(values, corner, spacing, source_mm, points_mm))


def view_points(
    points_mm: NDArray[np.float64],
    geometry: BeamGeometry,
    machine: Machine,
    density: Image,
    position: PatientPosition,
) -> BeamView:
    """See points through a beam, with radiological depths from a fan of traced rays.

    Rays are traced exactly through the voxels of `density` on a raster whose pitch at the
    isocentre is half the finest voxel spacing (at least 1 mm), cumulative depth is kept on
    planes one voxel apart (at least 2 mm), and points are interpolated linearly between them.
    In a phantom of 3 mm voxels with lung and bone inserts that differs from a ray of its own for
    each point by 0.3 mm rms; 3 mm where an interface runs along the beam.

    Parameters
    ----------
    points_mm : ndarray of shape (N, 3)
        ``(x, y, z)`` in mm in the patient system.
    geometry : BeamGeometry
        The beam.
    machine : Machine
        For the SAD.
    density : Image
        Mass density in g/cm³.
    position : PatientPosition
        How the patient lies.

    Raises
    ------
    InputError
        If a point is closer to the source than the tabulated kernels allow, or if `density` is
        not a density.
    """
    require_density(density)
    bld = patient_to_bld(points_mm, geometry, position)
    sad = machine.sad_mm
    magnification = (sad - bld[:, 2]) / sad
    heights = (float(bld[:, 2].min()), float(bld[:, 2].max()))
    require_magnification(geometry.name, machine, heights)
    plane = project_to_isocenter_plane(bld, sad_mm=sad)
    depth = _fan_depth(plane, bld[:, 2], geometry, machine, density, position)
    scale = machine.beam.off_axis_depth_scale
    if np.any(scale != 1.0):
        depth *= np.interp(
            np.hypot(plane[:, 0], plane[:, 1]), machine.beam.off_axis_radius_mm, scale
        )
    return BeamView(plane_mm=plane, magnification=magnification, depth_mm=depth)


def require_magnification(
    beam_name: str, machine: Machine, heights_mm: tuple[float, float]
) -> None:
    """Raise `InputError` unless kernels are tabulated for the lowest and highest point.

    Parameters
    ----------
    beam_name : str
        For the message.
    machine : Machine
        For the SAD.
    heights_mm : tuple of float
        Lowest and highest z in beam-limiting-device axes.
    """
    sad = machine.sad_mm
    nearest, furthest = sad - heights_mm[1], sad - heights_mm[0]
    if nearest < MAGNIFICATIONS[0] * sad or furthest > MAGNIFICATIONS[-1] * sad:
        msg = (
            f"beam {beam_name}: expected points {MAGNIFICATIONS[0] * sad:.0f} to "
            f"{MAGNIFICATIONS[-1] * sad:.0f} mm from the source, got {nearest:.0f} to "
            f"{furthest:.0f} mm; check the isocentre"
        )
        raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class RayFan:
    """Rays through a raster of the isocentre plane, with planes at which depth is kept.

    Parameters
    ----------
    u_mm, v_mm : ndarray
        Columns and rows at the isocentre plane, every `pitch_mm`.
    planes_mm : ndarray
        Heights of the planes, falling, every `layer_mm`.
    density : tuple
        Values, corner and spacing, see `density_box`.
    targets_mm : ndarray of shape (V, U, 3)
        Where the rays meet the last plane, in the patient system.
    """

    u_mm: NDArray[np.float64]
    v_mm: NDArray[np.float64]
    planes_mm: NDArray[np.float64]
    pitch_mm: float
    layer_mm: float
    density: tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]
    view: tuple[BeamGeometry, PatientPosition, float]

    @property
    def n_rays(self) -> int:
        """Number of rays."""
        return len(self.u_mm) * len(self.v_mm)

    def trace(self) -> NDArray[np.float32]:
        """Return the cumulative depth of all rays at all planes, shape (V, U, P)."""
        geometry, position, sad = self.view
        last = self.planes_mm[-1]
        targets = np.empty((len(self.v_mm), len(self.u_mm), 3))
        targets[..., 0] = self.u_mm[None, :] * (sad - last) / sad
        targets[..., 1] = self.v_mm[:, None] * (sad - last) / sad
        targets[..., 2] = last
        return np.asarray(
            fan_depths(
                *self.density,
                source_position_mm(geometry, position, sad_mm=sad),
                bld_to_patient(targets, geometry, position),
                (sad - self.planes_mm) / (sad - last),
            )
        )


def fan_of_rays(
    density: tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]],
    limits_mm: NDArray[np.float64],
    geometry: BeamGeometry,
    machine: Machine,
    position: PatientPosition,
) -> RayFan:
    """Lay a fan over what a beam sees.

    Parameters
    ----------
    density : tuple
        Values, corner and spacing, see `density_box`.
    limits_mm : ndarray of shape (6,)
        Lowest and highest x and y of the points on the isocentre plane, and of their height.
    geometry, machine, position
        The beam.
    """
    finest = float(density[2].min())
    pitch, layer = max(1.0, 0.5 * finest), max(2.0, finest)
    low_u, high_u, low_v, high_v, low_z, high_z = (float(v) for v in limits_mm)
    top, bottom = high_z + layer, low_z - layer
    n_planes = max(2, int(np.ceil((top - bottom) / layer)) + 1)
    return RayFan(
        _every(pitch, low_u, int(np.ceil((high_u - low_u) / pitch)) + 2),
        _every(pitch, low_v, int(np.ceil((high_v - low_v) / pitch)) + 2),
        _every(-layer, top, n_planes),
        pitch,
        layer,
        density,
        (geometry, position, machine.sad_mm),
    )


def _every(step: float, first: float, n: int) -> NDArray[np.float64]:
    """Return `n` places from `first` on."""
    return np.asarray(first + step * np.arange(n), dtype=np.float64)


def _fan_depth(
    plane_mm: NDArray[np.float64],
    z_mm: NDArray[np.float64],
    geometry: BeamGeometry,
    machine: Machine,
    density: Image,
    position: PatientPosition,
) -> NDArray[np.float64]:
    """Radiological depth of points at `plane_mm` of the isocentre plane and height `z_mm`."""
    low, high = _corners(plane_mm)
    limits = np.array([low[0], high[0], low[1], high[1], z_mm.min(), z_mm.max()])
    fan = fan_of_rays(density_box(density), limits, geometry, machine, position)
    return np.asarray(
        sample_fan(
            fan.trace(),
            (plane_mm[:, 0] - fan.u_mm[0]) / fan.pitch_mm,
            (plane_mm[:, 1] - fan.v_mm[0]) / fan.pitch_mm,
            (fan.planes_mm[0] - z_mm) / fan.layer_mm,
        )
    )


def map_nodes(view: BeamView, window: MapWindow) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return for each point the node below it on the map and the distance past it, in cells.

    Parameters
    ----------
    view : BeamView
        The points.
    window : MapWindow
        Where the map lies.

    Returns
    -------
    node : ndarray of int32, shape (N, 2)
        Column and row of the map.
    offset : ndarray of float32, shape (N, 2)
        0 to below 1.
    """
    first = np.array([window.first_x, window.first_y])
    index = view.plane_mm / window.cell_mm - 0.5 - first
    node = np.floor(index)
    if np.any(node < GUARD_CELLS - 2):
        msg = f"expected all points inside the map, with {GUARD_CELLS} guard cells"
        raise InputError(msg)
    # Rounding to float32 may give exactly 1, which is a valid place for the spline too.
    return node.astype(np.int32), (index - node).astype(np.float32)


def point_weights(view: BeamView, components: KernelComponents) -> NDArray[np.float32]:
    """Return the weight of each kernel component at each point, shape (N, C), Gy per MU."""
    weights = np.empty((len(view.depth_mm), components.n_components), dtype=np.float32)
    spacing = (
        DEPTH_STEP_MM,
        float(MAGNIFICATIONS[0]),
        float(MAGNIFICATIONS[1] - MAGNIFICATIONS[0]),
    )
    component_weights(view.depth_mm, view.magnification, components.weights, spacing, weights)
    return weights
