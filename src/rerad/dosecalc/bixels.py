"""Beamlets: which rows and columns of the collimator may be opened, and their order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, BixelGrid, Fluence, Machine, PatientPosition
from rerad.errors import InputError
from rerad.geometry import patient_to_bld, project_to_isocenter_plane


def make_bixel_grid(
    geometry: BeamGeometry,
    machine: Machine,
    target_points_mm: NDArray[np.float64],
    *,
    margin_mm: float,
    column_width_mm: float,
    position: PatientPosition,
) -> BixelGrid:
    """Lay beamlets over a target as a beam sees it.

    Rows are the leaf rows of the collimator, columns are multiples of `column_width_mm` from
    the axis. A beamlet is active if a target point, projected onto the isocentre plane, lies in
    it or within `margin_mm` of it.

    Parameters
    ----------
    geometry : BeamGeometry
        The beam.
    machine : Machine
        For the leaves, their reach and the SAD.
    target_points_mm : ndarray of shape (n, 3)
        Points of the target, ``(x, y, z)`` in mm; its voxel centres, no further apart than a
        beamlet.
    margin_mm : float
        Distance around the projected points, at the isocentre plane, 0 or more.
    column_width_mm : float
        Width of a beamlet along the leaf motion.
    position : PatientPosition
        How the patient lies.

    Returns
    -------
    BixelGrid
        The smallest that holds all active beamlets.

    Raises
    ------
    InputError
        If there is no point, or a point projects beyond what leaves and jaws can reach.
    """
    points = np.asarray(target_points_mm, dtype=np.float64)
    if points.ndim != 2 or points.shape[1:] != (3,) or len(points) == 0:
        msg = f"beam {geometry.name}: expected target points (n, 3), got shape {points.shape}"
        raise InputError(msg)
    if not margin_mm >= 0 or not column_width_mm > 0:
        msg = f"expected margin >= 0 and width > 0 mm, got {margin_mm} and {column_width_mm}"
        raise InputError(msg)
    bld = patient_to_bld(points, geometry, position)
    plane = project_to_isocenter_plane(bld, sad_mm=machine.sad_mm)
    low, high = _reach(machine)
    if np.any(plane < low) or np.any(plane > high):
        msg = (
            f"beam {geometry.name}: target reaches from {plane.min(axis=0).round(1)} to "
            f"{plane.max(axis=0).round(1)} mm at the isocentre plane, leaves and jaws only from "
            f"{low} to {high} mm; move the isocentre or turn the collimator"
        )
        raise InputError(msg)

    first = int(np.floor((max(plane[:, 0].min() - margin_mm, low[0])) / column_width_mm))
    last = int(np.ceil((min(plane[:, 0].max() + margin_mm, high[0])) / column_width_mm))
    first = max(first, int(np.ceil(low[0] / column_width_mm - 1e-9)))
    last = max(first + 1, min(last, int(np.floor(high[0] / column_width_mm + 1e-9))))
    columns = np.asarray(column_width_mm * np.arange(first, last + 1), dtype=np.float64)
    rows = machine.mlc.leaf_boundaries_mm
    rows = rows[(rows >= low[1] - 1e-9) & (rows <= high[1] + 1e-9)]
    active = _near(plane, columns, rows, margin_mm)
    used = np.flatnonzero(active.any(axis=1))
    keep = slice(int(used[0]), int(used[-1]) + 1)
    return BixelGrid(geometry, columns, rows[keep.start : keep.stop + 1], active[keep])


def _reach(machine: Machine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of the largest field that both leaf banks and the jaws can form."""
    mlc = machine.mlc
    half = min(mlc.leaf_position_max_mm, -mlc.leaf_position_min_mm)
    low = [max(-half, machine.field_x_limits_mm[0])]
    low.append(max(float(mlc.leaf_boundaries_mm[0]), machine.jaw_y_limits_mm[0]))
    high = [min(half, machine.field_x_limits_mm[1])]
    high.append(min(float(mlc.leaf_boundaries_mm[-1]), machine.jaw_y_limits_mm[1]))
    return np.array(low), np.array(high)


def _near(
    plane_mm: NDArray[np.float64],
    columns: NDArray[np.float64],
    rows: NDArray[np.float64],
    margin_mm: float,
) -> NDArray[np.bool_]:
    """Which rectangles hold a point or have one within `margin_mm`."""
    active = np.zeros((len(rows) - 1, len(columns) - 1), dtype=bool)
    x, y = plane_mm[:, 0], plane_mm[:, 1]
    for row in range(len(rows) - 1):
        away = np.maximum(np.maximum(rows[row] - y, y - rows[row + 1]), 0.0)
        near = away <= margin_mm
        half = np.sqrt(np.maximum(margin_mm**2 - away[near] ** 2, 0.0))
        first = np.searchsorted(columns, x[near] - half, side="right") - 1
        last = np.searchsorted(columns, x[near] + half, side="left") - 1
        last = np.maximum(last, first)
        # Count opened and closed intervals along the row instead of painting each.
        change = np.zeros(len(columns) + 1, dtype=np.int64)
        np.add.at(change, np.clip(first, 0, len(columns) - 1), 1)
        np.add.at(change, np.clip(last + 1, 0, len(columns) - 1), -1)
        active[row] = np.cumsum(change)[: len(columns) - 1] > 0
    return active


def split_fluence(
    bixel_grids: Sequence[BixelGrid], x_mu: NDArray[np.float64]
) -> tuple[Fluence, ...]:
    """Give each beam its part of the optimiser's unknowns.

    Parameters
    ----------
    bixel_grids : sequence of BixelGrid
        Beams in order.
    x_mu : ndarray of shape (n_beamlets,)
        Open-beam MU of the active beamlets: beams in order, row by row.

    Returns
    -------
    tuple of Fluence
        0 MU where not active.

    Raises
    ------
    InputError
        If there are more or fewer values than active beamlets, or one is negative.
    """
    x = np.asarray(x_mu, dtype=np.float64)
    n = sum(grid.n_active for grid in bixel_grids)
    if x.shape != (n,):
        msg = f"expected {n} beamlet values, got shape {x.shape}"
        raise InputError(msg)
    fluences = []
    start = 0
    for grid in bixel_grids:
        values = np.zeros(grid.is_active.shape)
        values[grid.is_active] = x[start : start + grid.n_active]
        start += grid.n_active
        fluences.append(Fluence(grid, values))
    return tuple(fluences)


def join_fluence(fluences: Sequence[Fluence]) -> NDArray[np.float64]:
    """Return the active beamlets of all beams as one vector, the inverse of `split_fluence`.

    Parameters
    ----------
    fluences : sequence of Fluence
        Beams in order.

    Returns
    -------
    ndarray of shape (n_beamlets,)
        Open-beam MU.
    """
    if not fluences:
        return np.zeros(0)
    return np.concatenate([f.values_mu[f.grid.is_active] for f in fluences])
