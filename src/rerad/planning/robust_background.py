"""What the final dose has beyond the optimiser's moves with the isocentre, as the beams do."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rerad.optimize import Problem, ShiftedDose, robust_problem
from rerad.planning.points import Points
from rerad.planning.robust_result import Shift

Floats = NDArray[np.float64]

LEAST_KNOWN = 0.5
"""Share of the voxels around a place that must be points for their mean to count there."""


def moved_backgrounds(
    points: Points, background_gy: Floats, shifts_mm: Sequence[Shift]
) -> tuple[Floats, ...]:
    """Return a background for every place of the isocentre.

    It is made by beams: by their leaves and by what the model leaves out of them. So it is moved
    as a whole, read by trilinear interpolation of the points around.

    Parameters
    ----------
    points : Points
        What the optimiser looks at.
    background_gy : ndarray of shape (n_points,)
        Final dose less that of the model, without shift.
    shifts_mm : sequence of Shift
        Of the isocentre, (x, y, z).

    Returns
    -------
    tuple of ndarray of shape (n_points,)
        A point that would be read mostly from voxels that are no points keeps its own.
    """
    grid = points.grid
    known, values = np.zeros(grid.n_voxels), np.zeros(grid.n_voxels)
    known[points.indices], values[points.indices] = 1.0, background_gy
    moved = []
    for shift in shifts_mm:
        steps = [s / d for s, d in zip(shift, grid.spacing_mm, strict=True)][::-1]
        share, total = (
            ndimage.shift(item.reshape(grid.shape), steps, order=1, mode="nearest").ravel()
            for item in (known, values)
        )
        share, total = share[points.indices], total[points.indices]
        is_read = (share >= LEAST_KNOWN) & any(shift)
        moved.append(np.where(is_read, total / np.maximum(share, LEAST_KNOWN), background_gy))
    return tuple(moved)


def in_every_place(
    nominal: Problem,
    points: Points,
    shifted: ShiftedDose,
    *,
    worst_case: Sequence[str] = (),
    without_shift: Sequence[str] = (),
) -> Problem:
    """Return the robust problem in which the background moves with the isocentre.

    Parameters
    ----------
    nominal : Problem
        At the points, without shift.
    points : Points
        Of its operator.
    shifted : ShiftedDose
        Places of the isocentre.
    worst_case, without_shift : sequence of str
        As for :func:`rerad.optimize.robust_problem`.
    """
    background = nominal.background_dose_gy
    moved = None
    if background is not None:
        moved = moved_backgrounds(points, background, shifted.shifts_mm)
    return robust_problem(
        nominal,
        shifted,
        worst_case=worst_case,
        without_shift=without_shift,
        backgrounds_gy=moved,
    )
