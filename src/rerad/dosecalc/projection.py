"""Points as a beam sees them: position on the map, radiological depth, component weights."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, Image, ImageUnit, Machine, PatientPosition
from rerad.dosecalc.beam_model import (
    DEPTH_STEP_MM,
    MAGNIFICATIONS,
    KernelComponents,
    kernel_depths,
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


def _box(density: Image) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]:
    """Values, outer corner and spacing as the kernels want them."""
    spacing = np.asarray(density.grid.spacing_mm)
    corner = np.asarray(density.grid.origin_mm) - 0.5 * spacing
    return np.asarray(density.values, dtype=np.float32), corner, spacing


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
    values, corner, spacing = _box(density)
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
    nearest = float(magnification.min())
    if nearest < MAGNIFICATIONS[0] or float(magnification.max()) > MAGNIFICATIONS[-1]:
        msg = (
            f"beam {geometry.name}: expected points {MAGNIFICATIONS[0] * sad:.0f} to "
            f"{MAGNIFICATIONS[-1] * sad:.0f} mm from the source, got {nearest * sad:.0f} to "
            f"{float(magnification.max()) * sad:.0f} mm; check the isocentre"
        )
        raise InputError(msg)
    plane = project_to_isocenter_plane(bld, sad_mm=sad)
    depth = _fan_depth(plane, bld[:, 2], geometry, machine, density, position)
    scale = machine.beam.off_axis_depth_scale
    if np.any(scale != 1.0):
        depth *= np.interp(
            np.hypot(plane[:, 0], plane[:, 1]), machine.beam.off_axis_radius_mm, scale
        )
    return BeamView(plane_mm=plane, magnification=magnification, depth_mm=depth)


def _fan_depth(
    plane_mm: NDArray[np.float64],
    z_mm: NDArray[np.float64],
    geometry: BeamGeometry,
    machine: Machine,
    density: Image,
    position: PatientPosition,
) -> NDArray[np.float64]:
    """Radiological depth of points at `plane_mm` of the isocentre plane and height `z_mm`."""
    values, corner, spacing = _box(density)
    pitch = max(1.0, 0.5 * float(spacing.min()))
    layer = max(2.0, float(spacing.min()))
    low, high = _corners(plane_mm)
    u = low[0] + pitch * np.arange(int(np.ceil((high[0] - low[0]) / pitch)) + 2)
    v = low[1] + pitch * np.arange(int(np.ceil((high[1] - low[1]) / pitch)) + 2)
    top, bottom = float(z_mm.max()) + layer, float(z_mm.min()) - layer
    planes = top - layer * np.arange(max(2, int(np.ceil((top - bottom) / layer)) + 1))

    sad = machine.sad_mm
    stretch = (sad - planes[-1]) / sad
    targets = np.empty((len(v), len(u), 3))
    targets[..., 0] = u[None, :] * stretch
    targets[..., 1] = v[:, None] * stretch
    targets[..., 2] = planes[-1]
    fan = fan_depths(
        values,
        corner,
        spacing,
        source_position_mm(geometry, position, sad_mm=sad),
        bld_to_patient(targets, geometry, position),
        (sad - planes) / (sad - planes[-1]),
    )
    return np.asarray(
        sample_fan(
            fan,
            (plane_mm[:, 0] - low[0]) / pitch,
            (plane_mm[:, 1] - low[1]) / pitch,
            (top - z_mm) / layer,
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


def kernels_used(views: Sequence[BeamView], machine: Machine) -> NDArray[np.bool_]:
    """Return which pairs of kernel depth and magnification lie around any point, (D, M)."""
    depths = kernel_depths(machine)
    used = np.zeros((len(depths), len(MAGNIFICATIONS)), dtype=bool)
    for view in views:
        row = np.searchsorted(depths, view.depth_mm).clip(1, len(depths) - 1)
        column = np.searchsorted(MAGNIFICATIONS, view.magnification)
        column = column.clip(1, len(MAGNIFICATIONS) - 1)
        pairs = np.unique(row * len(MAGNIFICATIONS) + column)
        row, column = np.divmod(pairs, len(MAGNIFICATIONS))
        for dr in (0, 1):
            for dc in (0, 1):
                used[row - dr, column - dc] = True
    return used


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
