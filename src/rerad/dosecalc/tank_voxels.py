"""An open field on a tank by collapsed cones: one calculation, sampled for every curve.

Voxels stand on the axis, so that scans along the axes meet their centres. Between them the dose
is interpolated by cubic splines across the beam and monotonically in depth; linear interpolation
would blur the penumbra. Only the two planes that scans lie in are kept.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator

from rerad.core import Beam, Grid, Image, Machine, PatientPosition
from rerad.core.arrays import frozen_array
from rerad.dosecalc.cone_dose import cone_beam_dose
from rerad.errors import InputError

ACROSS_MM = 2.5
"""Voxel width. The engine takes what voxels blur off the focal blur."""

WIDE_ACROSS_MM = 3.0
"""Voxel width of fields wider than `WIDE_FIELD_MM`, to save memory."""

WIDE_FIELD_MM = 150.0
"""Side above which a field is wide."""

DEPTH_STEP_MM = 2.0
"""Voxel height."""

BEYOND_MM = 80.0
"""Water kept beyond the edge of the field and below the deepest point. With 150 mm the dose of a
100 mm field changes by less than 0.1 % of the axis, 120 mm off it and 250 mm deep too."""


@dataclass(frozen=True, eq=False, slots=True)
class TankVoxels:
    """Dose of one monitor unit in the two planes of the tank that hold the axis.

    Parameters
    ----------
    depth_mm : ndarray of shape (D,)
        Depths of the voxel centres.
    across_mm : ndarray of shape (N,)
        Distances from the axis.
    crossplane_gy, inplane_gy : ndarray of shape (D, N)
        Dose to water by depth and distance along beam-limiting-device x and y.
    """

    depth_mm: NDArray[np.float64]
    across_mm: NDArray[np.float64]
    crossplane_gy: NDArray[np.float64]
    inplane_gy: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("depth_mm", "across_mm", "crossplane_gy", "inplane_gy"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


def calculate_tank_voxels(
    beam: Beam,
    machine: Machine,
    density: Image,
    *,
    depth_mm: float,
    half_width_mm: float,
    across_mm: float = ACROSS_MM,
) -> TankVoxels:
    """Calculate a beam from above on a tank by collapsed cones.

    Parameters
    ----------
    beam : Beam
        Gantry and collimator at 0 degrees, isocentre at the origin.
    machine : Machine
        Beam data.
    density : Image
        The tank, one voxel wide, its surface being its first face along y.
    depth_mm : float
        Deepest point that will be asked for.
    half_width_mm : float
        Farthest point from the axis that will be asked for, or edge of the field.
    across_mm : float
        Voxel width.

    Returns
    -------
    TankVoxels
    """
    n = int(np.ceil((half_width_mm + BEYOND_MM) / across_mm))
    n_depth = int(np.ceil((depth_mm + BEYOND_MM) / DEPTH_STEP_MM))
    surface_mm = density.grid.origin_mm[1] - 0.5 * density.grid.spacing_mm[1]
    grid = Grid(
        (2 * n + 1, n_depth, 2 * n + 1),
        (-n * across_mm, surface_mm + 0.5 * DEPTH_STEP_MM, -n * across_mm),
        (across_mm, DEPTH_STEP_MM, across_mm),
        density.grid.frame_uid,
    )
    dose = cone_beam_dose([beam], machine, _filled(density, grid), grid, PatientPosition.HFS)
    return TankVoxels(
        depth_mm=np.asarray(DEPTH_STEP_MM * (np.arange(n_depth) + 0.5), dtype=np.float64),
        across_mm=np.asarray(across_mm * np.arange(-n, n + 1), dtype=np.float64),
        crossplane_gy=dose[n],
        inplane_gy=dose[:, :, n].T,
    )


def _filled(density: Image, grid: Grid) -> Image:
    """The tank's one column, everywhere: mean density of the layers in each voxel."""
    step_mm = density.grid.spacing_mm[1]
    faces_mm = step_mm * np.arange(density.grid.shape[1] + 1)
    passed = np.concatenate([[0.0], step_mm * np.cumsum(density.values[0, :, 0], dtype=float)])
    ours_mm = DEPTH_STEP_MM * np.arange(grid.shape[1] + 1)
    column = (np.diff(np.interp(ours_mm, faces_mm, passed)) / DEPTH_STEP_MM).astype(np.float32)
    values = np.ascontiguousarray(np.broadcast_to(column[None, :, None], grid.shape))
    return Image(values, grid, density.modality, density.unit)


def voxel_depth_dose(voxels: TankVoxels, depths_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the dose on the axis.

    Parameters
    ----------
    voxels : TankVoxels
        The field.
    depths_mm : ndarray of shape (N,)
        From 0; above the first voxel's centre (1 mm) its value holds.

    Returns
    -------
    ndarray of shape (N,)
        Gy per MU.

    Raises
    ------
    InputError
        If a depth lies outside the voxels.
    """
    middle = len(voxels.across_mm) // 2
    return _at_depth(voxels, voxels.crossplane_gy[:, middle], depths_mm)


def voxel_profile(
    voxels: TankVoxels,
    depth_mm: float,
    positions_mm: NDArray[np.float64],
    *,
    is_crossplane: bool,
) -> NDArray[np.float64]:
    """Return the dose across the beam at one depth.

    Parameters
    ----------
    voxels : TankVoxels
        The field.
    depth_mm : float
        As in `voxel_depth_dose`.
    positions_mm : ndarray of shape (N,)
        Distances from the axis.
    is_crossplane : bool
        Whether along beam-limiting-device x instead of y.

    Returns
    -------
    ndarray of shape (N,)
        Gy per MU.

    Raises
    ------
    InputError
        If a point lies outside the voxels.
    """
    plane = voxels.crossplane_gy if is_crossplane else voxels.inplane_gy
    if np.abs(positions_mm).max() > voxels.across_mm[-1]:
        msg = (
            f"expected positions within {voxels.across_mm[-1]:g} mm of the axis, got "
            f"{np.abs(positions_mm).max():g} mm"
        )
        raise InputError(msg)
    line = _at_depth(voxels, plane, np.array([depth_mm]))[0]
    return np.asarray(CubicSpline(voxels.across_mm, line)(positions_mm))


def _at_depth(
    voxels: TankVoxels, values: NDArray[np.float64], depths_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate along the first axis."""
    first, last = voxels.depth_mm[[0, -1]]
    if depths_mm.min() < 0.0 or depths_mm.max() > last:
        msg = f"expected depths of 0 to {last:g} mm, got {depths_mm.min():g} to "
        raise InputError(msg + f"{depths_mm.max():g} mm")
    spline = PchipInterpolator(voxels.depth_mm, values, axis=0)
    return np.asarray(spline(np.maximum(depths_mm, first)))
