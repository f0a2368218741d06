"""Bring a dose of one frame onto a grid of another.

EQD2 is not linear in dose: convert on the grid where the dose was computed, then map. Half way
down a gradient from 50 Gy to 0 in 25 fractions the mean of EQD2 is 25.0 Gy, but EQD2 of the mean
dose is 18.75 Gy (alpha/beta 2 Gy).

`map_dose` samples at voxel centres. Onto voxels larger than those of the source that skips what
lies between: `map_dose_mean` averages evenly over each new voxel, by volume or, with the density
of the source, by mass (energy over mass), which differs where lung, gas or bone share a voxel.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import DisplacementField, Dose, Grid, Image, RigidTransform
from rerad.errors import FrameMismatchError, GridMismatchError
from rerad.imaging.resample import TO_FACES, index_map
from rerad.kernels.warp import EDGE_TOLERANCE, pull_affine
from rerad.kernels.warp_field import pull_field


def map_dose(dose: Dose, transform: RigidTransform | DisplacementField, onto: Grid) -> Dose:
    """Map a dose through a transform onto a grid by trilinear interpolation.

    Parameters
    ----------
    dose : Dose
        Dose in its own frame; EQD2 or BED for any sum to come.
    transform : RigidTransform or DisplacementField
        From the dose's frame to the frame of `onto`; ``RigidTransform.identity(frame_uid)`` if
        they share one frame.
    onto : Grid
        Wanted voxels.

    Returns
    -------
    Dose
        Same quantity; NaN (unknown) where a voxel centre lies beyond the outer faces of the dose's
        voxels or outside the displacement field, or touches an unknown voxel.

    Raises
    ------
    FrameMismatchError
        If the transform does not lead from the dose's frame to that of `onto`.
    """
    if isinstance(transform, DisplacementField):
        values = pulled(dose.values, dose.grid, transform, onto, reach=TO_FACES)
    else:
        matrix = index_map(dose.grid, onto, transform)
        values = pull_affine(dose.values, matrix, onto.shape, (1, 1, 1), np.nan, TO_FACES)
    return replace(dose, values=values, grid=onto, instance_uid="")


def pulled(
    values: NDArray[np.float32],
    grid: Grid,
    field: DisplacementField,
    onto: Grid,
    outside: float = float("nan"),
    reach: float = EDGE_TOLERANCE,
) -> NDArray[np.float32]:
    """Return values of a grid pulled through a displacement field onto another grid.

    Up to `reach` voxels beyond the outermost centres the outermost value holds.

    Raises
    ------
    FrameMismatchError
        If the field does not lead from the frame of `grid` to that of `onto`.
    """
    ends = (field.from_frame_uid, field.to_frame_uid)
    if ends != (grid.frame_uid, onto.frame_uid):
        msg = (
            f"expected a map from frame {grid.frame_uid} to {onto.frame_uid}, got one from "
            f"{ends[0]} to {ends[1]}; register the two images"
        )
        raise FrameMismatchError(msg)
    to_field = index_map(field.grid, onto, field.after)
    to_source = index_map(grid, field.grid, field.rigid)
    sx, sy, sz = field.grid.spacing_mm
    k, j, i = (
        np.ascontiguousarray(field.vectors_mm[..., axis] / np.float32(spacing))
        for axis, spacing in ((2, sz), (1, sy), (0, sx))
    )
    shape = onto.shape
    return np.asarray(pull_field(values, to_field, k, j, i, to_source, shape, outside, reach))


def map_dose_mean(
    dose: Dose,
    transform: RigidTransform | DisplacementField,
    onto: Grid,
    *,
    density: Image | None = None,
    n_per_axis: int = 2,
) -> Dose:
    """Map a dose as the mean over each new voxel, by volume or by mass.

    Parameters
    ----------
    dose : Dose
        Dose in its own frame.
    transform : RigidTransform or DisplacementField
        From the dose's frame to the frame of `onto`.
    onto : Grid
        Wanted voxels.
    density : Image or None
        Mass density on the dose's own voxels: the mean is energy over mass then.
    n_per_axis : int
        Samples of each new voxel along each axis.

    Returns
    -------
    Dose
        NaN where any sample is unknown.

    Raises
    ------
    GridMismatchError
        If the density is on other voxels than the dose.
    FrameMismatchError
        If the transform does not lead from the dose's frame to that of `onto`.
    """
    if density is not None and not density.grid.has_same_voxels(dose.grid):
        msg = "expected the density on the voxels of the dose; resample it onto the dose's grid"
        raise GridMismatchError(msg)
    weight = np.ones(dose.grid.shape, dtype=np.float32)
    if density is not None:
        weight = np.asarray(density.values, dtype=np.float32)
    energy = dose.values * weight
    sums = np.zeros((2, *onto.shape))
    for shift in np.ndindex(n_per_axis, n_per_axis, n_per_axis):
        moved = _shifted(onto, (np.array(shift) + 0.5) / n_per_axis - 0.5)
        for part, values in enumerate((energy, weight)):
            sums[part] += _pull(values, dose.grid, transform, moved)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(sums[1] > 0, sums[0] / sums[1], np.nan)
    return replace(dose, values=mean.astype(np.float32), grid=onto, instance_uid="")


def _pull(
    values: NDArray[np.float32],
    grid: Grid,
    transform: RigidTransform | DisplacementField,
    onto: Grid,
) -> NDArray[np.float32]:
    """Return values pulled through either kind of transform."""
    if isinstance(transform, DisplacementField):
        return pulled(values, grid, transform, onto, reach=TO_FACES)
    matrix = index_map(grid, onto, transform)
    return np.asarray(pull_affine(values, matrix, onto.shape, (1, 1, 1), np.nan, TO_FACES))


def _shifted(grid: Grid, by_voxels: NDArray[np.float64]) -> Grid:
    """Return a grid moved by a share of its voxels along k, j, i."""
    x, y, z = (float(v) for v in grid.points(by_voxels))
    return Grid(grid.shape, (x, y, z), grid.spacing_mm, grid.frame_uid)
