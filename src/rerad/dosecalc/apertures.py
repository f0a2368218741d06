"""From leaves, jaws and monitor units to the fluence that leaves the collimator.

Jaws block fully: their transmission (below 0.5 % at 6 MV, and always on top of closed leaves) is
taken as 0. Leaves let through a constant share. The rounded leaf ends are represented by the
dosimetric leaf gap: each tip is moved back by half of it. Tongue and groove are not modelled.
"""

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, Machine
from rerad.dosecalc.raster import Raster, off_axis_map, overlap, raster_over
from rerad.errors import DeliverabilityError, InputError
from rerad.kernels.leaf_exposure import leaf_exposure

JAW_STEPS = 16
"""Parts into which a segment is cut when its jaws move; within each they stand still."""


def aperture_raster(beam: Beam, *, cell_mm: float) -> Raster:
    """Return the smallest raster that covers the largest jaw opening of a beam.

    Parameters
    ----------
    beam : Beam
        Whose jaws.
    cell_mm : float
        Cell size at the isocentre plane.
    """
    x = np.array([point.jaw_x_mm for point in beam.control_points])
    y = np.array([point.jaw_y_mm for point in beam.control_points])
    return raster_over(
        (float(x[:, 0].min()), float(y[:, 0].min())),
        (float(x[:, 1].max()), float(y[:, 1].max())),
        cell_mm=cell_mm,
    )


def aperture_fluence(beam: Beam, machine: Machine, raster: Raster) -> NDArray[np.float64]:
    """Integrate a beam's open fluence over its meterset, cell by cell.

    Leaves move linearly in meterset between control points, so the share of the meterset during
    which a cell is open is a difference of two integrals that are known in closed form: nothing
    is sampled in time. Step-and-shoot, sliding window and static fields are one case.

    Parameters
    ----------
    beam : Beam
        Static gantry; one fraction's meterset.
    machine : Machine
        For leaf boundaries, transmission, leaf gap and the off-axis ratio.
    raster : Raster
        Cells at the isocentre plane; fluence beyond it is left out, so cover the jaws.

    Returns
    -------
    ndarray of shape (n_y, n_x)
        Mean fluence of each cell in MU, the off-axis ratio included.

    Raises
    ------
    InputError
        If the gantry moves, or leaf positions do not fit the collimator.
    DeliverabilityError
        If leaves of a pair overlap or jaws cross.
    """
    left, right, jaw_x, jaw_y, share = _segments(beam, machine)
    n_segments, n_rows = len(share), left.shape[1]
    opened = np.empty((n_segments, n_rows, raster.n_x))
    uncovered = np.empty((n_segments, raster.n_x))
    leaf_exposure(left, right, jaw_x, share, raster.x_edges_mm, opened, uncovered)

    transmission = machine.mlc.transmission
    seen = opened * (1.0 - transmission) + uncovered[:, None, :] * transmission
    fluence = np.zeros((raster.n_y, raster.n_x))
    # Segments that share their Y jaws are summed before the rows are painted.
    for jaws in np.unique(jaw_y, axis=0):
        same = np.all(jaw_y == jaws, axis=1)
        rows = np.clip(machine.mlc.leaf_boundaries_mm, jaws[0], jaws[1])
        painted = overlap(rows, raster.y_edges_mm)
        fluence += painted.T @ seen[same].sum(axis=0)
    return beam.meterset_mu * fluence * off_axis_map(machine, raster)


def _segments(
    beam: Beam, machine: Machine
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
]:
    """Return opened tips (S + 1, N) of both banks, X and Y jaws (S, 2) and shares (S,)."""
    points = beam.control_points
    leaves = np.array([point.leaf_positions_mm for point in points])
    _require_deliverable(beam, machine, leaves)
    jaws = np.array([(point.jaw_x_mm, point.jaw_y_mm) for point in points])
    weights = np.array([point.cumulative_weight for point in points])
    if np.ptp(jaws, axis=0).max() > 0:
        fine = np.arange((len(points) - 1) * JAW_STEPS + 1) / JAW_STEPS
        whole = np.minimum(fine.astype(int), len(points) - 2)
        part = fine - whole
        weights = weights[whole] + part * np.diff(weights)[whole]
        leaves = leaves[whole] + part[:, None, None] * np.diff(leaves, axis=0)[whole]
        jaws = jaws[whole] + part[:, None, None] * np.diff(jaws, axis=0)[whole]
    middle = 0.5 * (jaws[1:] + jaws[:-1])
    half_gap = 0.5 * machine.mlc.dosimetric_leaf_gap_mm
    return (
        leaves[:, 0] - half_gap,
        leaves[:, 1] + half_gap,
        np.ascontiguousarray(middle[:, 0]),
        np.ascontiguousarray(middle[:, 1]),
        np.diff(weights),
    )


def _require_deliverable(beam: Beam, machine: Machine, leaves: NDArray[np.float64]) -> None:
    """Raise unless the gantry stands still and leaves and jaws make sense."""
    name = beam.geometry.name
    n_pairs = machine.mlc.n_leaf_pairs
    if leaves.shape[2] != n_pairs:
        msg = f"beam {name}: expected {n_pairs} leaf pairs of {machine.name}, got "
        raise InputError(msg + f"{leaves.shape[2]}; calculate with the plan's own machine")
    gantry = beam.geometry.gantry_angle_deg
    for point in beam.control_points:
        angle = gantry if point.gantry_angle_deg is None else point.gantry_angle_deg
        if abs((angle - gantry + 180.0) % 360.0 - 180.0) > 0.05:
            msg = f"beam {name}: expected a gantry at {gantry:g} deg, got {angle:g}; arcs are not "
            raise InputError(msg + "calculated, split the arc into static beams")
        if point.jaw_x_mm[0] > point.jaw_x_mm[1] or point.jaw_y_mm[0] > point.jaw_y_mm[1]:
            msg = f"beam {name}: jaws cross at cumulative weight {point.cumulative_weight:g}"
            raise DeliverabilityError(msg)
    overlap_mm = float(np.max(leaves[:, 0] - leaves[:, 1]))
    if overlap_mm > 1e-6:
        msg = f"beam {name}: leaves of a pair overlap by {overlap_mm:.2f} mm"
        raise DeliverabilityError(msg)
