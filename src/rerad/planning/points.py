"""Which voxels the optimiser looks at: all that matter, and a sample of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Grid, Mask
from rerad.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class Points:
    """Voxels of a dose grid that stand for the whole.

    Parameters
    ----------
    grid : Grid
        The dose grid.
    indices : ndarray of int, shape (N,)
        Flat voxel indices, ascending.
    voxel_counts : ndarray of shape (N,)
        How many voxels each point stands for, at least 1.
    position : ndarray of int, shape (K * J * I,)
        Place of each voxel in `indices`; -1 where it is not among them.
    """

    grid: Grid
    indices: NDArray[np.int64]
    voxel_counts: NDArray[np.float64]
    position: NDArray[np.int64]

    def of_mask(self, mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the points inside a mask and their volume shares, not normalised."""
        fraction = mask.on(self.grid).ravel()[self.indices]
        inside = np.flatnonzero(fraction > 0)
        return inside, fraction[inside].astype(np.float64) * self.voxel_counts[inside]

    def sample(self, values: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the values of a (K, J, I) array at the points."""
        return values.ravel()[self.indices].astype(np.float64)


def choose_points(
    grid: Grid,
    *,
    body: Mask,
    complete: Sequence[Mask],
    shell_distance_mm: NDArray[np.float32],
    shell_mm: float,
    keep_one_in: int,
    seed: int,
) -> Points:
    """Choose the voxels for the optimiser.

    Every voxel of the masks in `complete` is kept, every body voxel within `shell_mm` of the
    targets too, and of the other body voxels a random one in `keep_one_in`.

    Parameters
    ----------
    grid : Grid
        The dose grid.
    body : Mask
        Outline of the patient.
    complete : sequence of Mask
        Targets and organs with a limit.
    shell_distance_mm : ndarray of shape (K, J, I)
        Distance from the targets.
    shell_mm : float
        Thickness of the shell kept whole.
    keep_one_in : int
        At least 1.
    seed : int
        Of the random choice.

    Returns
    -------
    Points

    Raises
    ------
    InputError
        If nothing is left to look at.
    """
    inside_body = body.on(grid).ravel() > 0.5
    whole = np.zeros(grid.n_voxels, dtype=bool)
    for mask in complete:
        whole.reshape(grid.shape)[grid.region_of(mask.grid)] |= mask.fraction > 0
    whole |= inside_body & (shell_distance_mm.ravel() <= shell_mm)
    rest = np.flatnonzero(inside_body & ~whole)
    chosen = np.random.default_rng(seed).choice(
        rest, size=len(rest) // keep_one_in, replace=False, shuffle=False
    )
    counts = np.zeros(grid.n_voxels, dtype=np.float64)
    counts[whole] = 1.0
    counts[chosen] = len(rest) / max(1, len(chosen))
    indices = np.flatnonzero(counts)
    if not len(indices):
        msg = "no voxel of the dose grid lies in the body, a target or an organ"
        raise InputError(msg)
    position = np.full(grid.n_voxels, -1, dtype=np.int64)
    position[indices] = np.arange(len(indices))
    return Points(grid, indices, counts[indices], position)
