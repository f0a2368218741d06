"""From leaves, jaws and monitor units to the exposure behind the collimator.

Exposure is the meterset during which a point of the isocentre plane sees the source, as far as
the collimator lets it. Jaws and leaves each let a constant share through, and what passes both
is the product. The rounded leaf ends are represented by the dosimetric leaf gap: each tip is
moved back by half of it. Beside each inner leaf side lies a strip, as wide as tongue and groove,
that both neighbours cover with half of their height. See ``docs/methods/fluence.md``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from rerad.core import Beam, Machine
from rerad.dosecalc.raster import Raster, off_axis_map, raster_over
from rerad.errors import DeliverabilityError, InputError
from rerad.kernels.leaf_exposure import leaf_exposure

FAR_MM = 1e5
"""Where an edge is put that bounds nothing."""

GANTRY_TOLERANCE_DEG = 0.05
"""A gantry that moves by less stands still."""


def aperture_raster(
    beam: Beam, machine: Machine | None = None, *, cell_mm: float, margin_mm: float = 0.0
) -> Raster:
    """Return the smallest raster that covers the largest opening of a beam.

    Parameters
    ----------
    beam : Beam
        Whose jaws.
    machine : Machine, optional
        If it has no jaws that move along x, the tips of the leaves that the other jaws leave
        uncovered bound the opening there; otherwise, and by default, jaws do.
    cell_mm : float
        Cell size at the isocentre plane.
    margin_mm : float
        By how much more, on each side.
    """
    x = np.array([point.jaw_x_mm for point in beam.control_points])
    y = np.array([point.jaw_y_mm for point in beam.control_points])
    low_y, high_y = float(y[:, 0].min()), float(y[:, 1].max())
    if machine is not None and machine.jaw_x_limits_mm is None:
        leaves = np.array([point.leaf_positions_mm for point in beam.control_points])
        edges = machine.mlc.leaf_boundaries_mm
        seen = (edges[1:] > low_y) & (edges[:-1] < high_y)
        if leaves.shape[2] == len(seen) and seen.any():
            half_gap = 0.5 * machine.mlc.dosimetric_leaf_gap_mm
            x = np.stack([leaves[:, 0, seen] - half_gap, leaves[:, 1, seen] + half_gap], axis=-1)
            x = x.reshape(-1, 2)
    return raster_over(
        (float(x[:, 0].min()) - margin_mm, low_y - margin_mm),
        (float(x[:, 1].max()) + margin_mm, high_y + margin_mm),
        cell_mm=cell_mm,
    )


def aperture_fluence(beam: Beam, machine: Machine, raster: Raster) -> NDArray[np.float64]:
    """Integrate a beam's primary fluence over its meterset, cell by cell, without blur.

    Parameters
    ----------
    beam : Beam
        Static gantry; one fraction's meterset.
    machine : Machine
        For collimator and off-axis ratio.
    raster : Raster
        Cells at the isocentre plane.

    Returns
    -------
    ndarray of shape (n_y, n_x)
        `aperture_exposure` times the off-axis ratio, in MU.

    Raises
    ------
    InputError
        If the gantry moves, or leaf positions do not fit the collimator.
    DeliverabilityError
        If leaves of a pair overlap or jaws cross.
    """
    return aperture_exposure(beam, machine, raster) * off_axis_map(machine, raster)


def aperture_exposure(
    beam: Beam,
    machine: Machine,
    raster: Raster,
    *,
    sigma_mm: tuple[float, float] = (0.0, 0.0),
) -> NDArray[np.float64]:
    """Integrate a beam's exposure over its meterset, sharp or blurred by a Gaussian.

    Leaves and jaws move linearly in meterset between control points, so the integral along x is
    known in closed form, blurred or not: nothing is sampled in time. Only jaws that move along y
    do so in steps, of at most half a cell. Static, step-and-shoot and sliding-window fields
    are one case; an arc is first split by `rerad.dosecalc.arcs.static_parts`.

    Parameters
    ----------
    beam : Beam
        Static gantry; one fraction's meterset.
    machine : Machine
        For jaws and leaves. If it has no jaws that move along x, the control points' values for
        them are ignored.
    raster : Raster
        Cells at the isocentre plane.
    sigma_mm : tuple of float
        Standard deviations of the blur along x and y. Along an axis where it is 0 the result is
        the mean over each cell, otherwise the value at its centre.

    Returns
    -------
    ndarray of shape (n_y, n_x)
        Exposure in MU, without the off-axis ratio. Exact up to rounding, also next to the border
        of the raster: the collimator does not end there.

    Raises
    ------
    InputError
        If the gantry moves, or leaf positions do not fit the collimator.
    DeliverabilityError
        If leaves of a pair overlap or jaws cross.

    Notes
    -----
    With the openings O of a row of leaves, t their transmission and g its root (half a leaf's
    height), a row lets through ``t + (1 - t) O``, and the strip between rows m and n
    ``(g + (1 - g) O_m) (g + (1 - g) O_n)``.
    """
    motion = _motion(beam, machine, raster.cell_mm)
    jaws, group = np.unique(motion.jaw_y_mm, axis=0, return_inverse=True)
    edges_mm = row_edges_mm(machine)
    below_edges = share_below(edges_mm, raster, sigma_mm[1])
    below_jaws = share_below(jaws, raster, sigma_mm[1])
    seen = np.empty((2 * machine.mlc.n_leaf_pairs, raster.n_x))
    exposure = np.zeros((raster.n_y, raster.n_x))
    for index, jaw_y_mm in enumerate(jaws):
        same = np.flatnonzero(group.ravel() == index)
        leaf_exposure(
            motion.tips_mm[same],
            motion.jaw_x_mm[same],
            motion.share[same],
            machine.jaw_transmission,
            raster.x_edges_mm,
            sigma_mm[0],
            seen,
        )
        side = np.searchsorted(jaw_y_mm, edges_mm)[:, None]
        between = np.where(side == 1, below_edges, below_jaws[index, side[:, 0] // 2])
        exposure += row_weights(machine, between, below_edges, below_jaws[index]).T @ seen
    return beam.meterset_mu * exposure


def row_edges_mm(machine: Machine) -> NDArray[np.float64]:
    """Edges of the rows and of the strips between them in turn, ascending, shape (2 N,)."""
    sides = machine.mlc.leaf_boundaries_mm
    half = 0.5 * machine.mlc.tongue_and_groove_mm
    edges = np.stack([sides - half, sides + half], axis=1).ravel()[1:-1]
    edges[[0, -1]] = sides[[0, -1]]
    return edges


def row_weights(
    machine: Machine,
    between_jaws: NDArray[np.float64],
    below_edges: NDArray[np.float64],
    below_jaws: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what each line that `leaf_exposure` writes adds to each row of cells.

    Of the cells, the first argument holds the share below the edges of rows and strips where
    these are pushed back between the jaws, the others the shares below edges and jaws.
    """
    closed, leak = machine.mlc.transmission, machine.jaw_transmission
    half, n_rows = closed**0.5, machine.mlc.n_leaf_pairs
    covered = np.diff((1.0 - leak) * between_jaws + leak * below_edges, axis=0)
    strips = covered[1::2]
    weights = np.empty((2 * n_rows, covered.shape[1]))
    weights[:n_rows] = (1.0 - closed) * covered[::2]
    weights[1:n_rows] += (half - closed) * strips
    weights[: n_rows - 1] += (half - closed) * strips
    weights[n_rows:-1] = (1.0 - 2.0 * half + closed) * strips
    weights[-1] = closed * (leak + (1.0 - leak) * (below_jaws[1] - below_jaws[0]))
    return weights


def share_below(
    edges_mm: NDArray[np.float64], raster: Raster, sigma_mm: float
) -> NDArray[np.float64]:
    """Share of each row of cells that lies below edges, blurred or not, shape (..., n_y)."""
    if sigma_mm > 0.0:
        return np.asarray(ndtr((edges_mm[..., None] - raster.y_mm) / sigma_mm))
    share = (edges_mm[..., None] - raster.y_edges_mm[:-1]) / raster.cell_mm
    return np.asarray(np.clip(share, 0.0, 1.0))


@dataclass(frozen=True, eq=False, slots=True)
class _Motion:
    """Openings of a beam, by segment and its start and end; Y jaws stand still in each."""

    tips_mm: NDArray[np.float64]
    jaw_x_mm: NDArray[np.float64]
    jaw_y_mm: NDArray[np.float64]
    share: NDArray[np.float64]


def _motion(beam: Beam, machine: Machine, cell_mm: float) -> _Motion:
    """Cut a beam into segments of linear motion, finely where Y jaws move."""
    leaves, jaw_x, jaw_y, weights = control_states(beam, machine)
    travel = np.abs(np.diff(jaw_y, axis=0)).max(axis=1)
    share = np.diff(weights)
    steps = np.where(share > 0.0, np.maximum(np.ceil(2.0 * travel / cell_mm), 1.0), 0.0)
    whole = np.repeat(np.arange(len(share)), steps.astype(int))
    number = np.arange(len(whole)) - np.repeat(np.cumsum(steps) - steps, steps.astype(int))

    def between(values: NDArray[np.float64], part: NDArray[np.float64]) -> NDArray[np.float64]:
        part = part.reshape(-1, *(1,) * (values.ndim - 1))
        return np.asarray((1.0 - part) * values[whole] + part * values[whole + 1])

    start, end = number / steps[whole], (number + 1.0) / steps[whole]
    return _Motion(
        tips_mm=np.stack([between(leaves, start), between(leaves, end)], axis=1),
        jaw_x_mm=np.stack([between(jaw_x, start), between(jaw_x, end)], axis=1),
        jaw_y_mm=between(jaw_y, 0.5 * (start + end)),
        share=share[whole] / steps[whole],
    )


def control_states(
    beam: Beam, machine: Machine
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return opened tips (P, 2, N), X and Y jaws (P, 2) and weights (P,) of control points."""
    points = beam.control_points
    leaves = np.array([point.leaf_positions_mm for point in points])
    jaw_x = np.array([point.jaw_x_mm for point in points])
    if machine.jaw_x_limits_mm is None:
        jaw_x = np.tile([-FAR_MM, FAR_MM], (len(points), 1))
    elif leaves.shape[2] == 0:
        # A beam without positions of the leaves is shaped by jaws, with all leaves retracted.
        leaves = np.tile(
            np.array([-FAR_MM, FAR_MM])[:, None], (len(points), 1, machine.mlc.n_leaf_pairs)
        )
    _require_deliverable(beam, machine, leaves)
    half_gap = 0.5 * machine.mlc.dosimetric_leaf_gap_mm
    return (
        leaves + half_gap * np.array([-1.0, 1.0])[:, None],
        jaw_x,
        np.array([point.jaw_y_mm for point in points]),
        np.array([point.cumulative_weight for point in points]),
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
        if abs((angle - gantry + 180.0) % 360.0 - 180.0) > GANTRY_TOLERANCE_DEG:
            msg = f"beam {name}: expected a gantry at {gantry:g} deg, got {angle:g}; "
            raise InputError(msg + "split arcs with static_parts")
        if point.jaw_x_mm[0] > point.jaw_x_mm[1] or point.jaw_y_mm[0] > point.jaw_y_mm[1]:
            msg = f"beam {name}: jaws cross at cumulative weight {point.cumulative_weight:g}"
            raise DeliverabilityError(msg)
    overlap_mm = float(np.max(leaves[:, 0] - leaves[:, 1]))
    if overlap_mm > 1e-6:
        msg = f"beam {name}: leaves of a pair overlap by {overlap_mm:.2f} mm"
        raise DeliverabilityError(msg)
