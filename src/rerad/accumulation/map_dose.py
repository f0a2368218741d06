"""Bring a dose of one frame onto a grid of another.

EQD2 is not linear in dose: convert on the grid where the dose was computed, then map. Half way
down a gradient from 50 Gy to 0 in 25 fractions the mean of EQD2 is 25.0 Gy, but EQD2 of the mean
dose is 18.75 Gy (alpha/beta 2 Gy).
"""

from dataclasses import replace

import numpy as np

from rerad.core import Dose, Grid, RigidTransform
from rerad.imaging.resample import index_map
from rerad.kernels.warp import pull_affine


def map_dose(dose: Dose, transform: RigidTransform, onto: Grid) -> Dose:
    """Map a dose through a rigid transform onto a grid by trilinear interpolation.

    Parameters
    ----------
    dose : Dose
        Dose in its own frame; EQD2 or BED for any sum to come.
    transform : RigidTransform
        From the dose's frame to the frame of `onto`; ``RigidTransform.identity(frame_uid)`` if
        they share one frame.
    onto : Grid
        Wanted voxels.

    Returns
    -------
    Dose
        Same quantity; NaN (unknown) where a voxel centre lies outside the box of the dose's voxel
        centres or touches an unknown voxel.

    Raises
    ------
    FrameMismatchError
        If the transform does not lead from the dose's frame to that of `onto`.
    """
    matrix = index_map(dose.grid, onto, transform)
    values = pull_affine(dose.values, matrix, onto.shape, (1, 1, 1), np.nan)
    return replace(dose, values=values, grid=onto, instance_uid="")
