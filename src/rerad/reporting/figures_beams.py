"""Pictures of the beams as delivered, and of how the optimiser came down."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rerad.core import Beam, Machine
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.planes import Window

_X_STEP_MM = 2.0
_FLUENCE_MAP = "magma"
_SUBSTEPS = 8
"""Leaves are followed at this many moments between two control points."""


def open_meterset(beam: Beam, machine: Machine, x_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the monitor units during which each point of the isocentre plane is open.

    Parameters
    ----------
    beam : Beam
        Leaves move linearly in meterset between its control points.
    machine : Machine
        Its collimator gives the leaf sides.
    x_mm : ndarray of shape (C,)
        Points along the leaf travel.

    Returns
    -------
    ndarray of shape (N, C)
        One row for each leaf pair, in MU of one fraction; without transmission.
    """
    leaves = np.array([point.leaf_positions_mm for point in beam.control_points])
    jaws = np.array([point.jaw_x_mm for point in beam.control_points])
    weights = np.array([point.cumulative_weight for point in beam.control_points])
    edges = machine.mlc.leaf_boundaries_mm
    centers = 0.5 * (edges[1:] + edges[:-1])
    is_in_jaw = _rows_in_jaws(beam, centers)
    total = np.zeros((leaves.shape[2], len(x_mm)))
    for k in range(len(weights) - 1):
        share = (weights[k + 1] - weights[k]) * beam.meterset_mu / _SUBSTEPS
        if share <= 0:
            continue
        for moment in (np.arange(_SUBSTEPS) + 0.5) / _SUBSTEPS:
            tips = (1 - moment) * leaves[k] + moment * leaves[k + 1]
            jaw = (1 - moment) * jaws[k] + moment * jaws[k + 1]
            low = np.maximum(tips[0], jaw[0])[:, None]
            high = np.minimum(tips[1], jaw[1])[:, None]
            total += share * ((x_mm >= low) & (x_mm < high))
    total[~is_in_jaw] = 0.0
    return total


def _rows_in_jaws(beam: Beam, centers_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Leaf pairs that the widest y jaws leave open."""
    low = min(point.jaw_y_mm[0] for point in beam.control_points)
    high = max(point.jaw_y_mm[1] for point in beam.control_points)
    return np.asarray((centers_mm > low) & (centers_mm < high))


def draw_beams(result: CaseResult) -> Figure:
    """Draw the fluence of every beam on one scale, in rows of five."""
    beams = result.plan.beams
    window = _common_window(beams)
    (x_low, x_high), (y_low, y_high) = window.horizontal, window.vertical
    x = np.arange(x_low, x_high, _X_STEP_MM)
    maps = [open_meterset(beam, result.machine, x) for beam in beams]
    top = _scale(maps)
    n_columns = min(5, max(1, len(beams)))
    n_rows = -(-len(beams) // n_columns)
    panel = min(style.PAGE_WIDTH_IN / n_columns, 1.6)
    panel_in = min(panel * 0.9 * (y_high - y_low) / (x_high - x_low), 1.25) + 0.2
    foot_in = 0.34
    height = n_rows * panel_in + foot_in
    figure = style.new_figure(height)
    edges = result.machine.mlc.leaf_boundaries_mm
    for n, (beam, values) in enumerate(zip(beams, maps, strict=True)):
        row, column = divmod(n, n_columns)
        bottom = (foot_in + (n_rows - 1 - row) * panel_in) / height
        place = ((column + 0.04) / n_columns, bottom, 0.92 / n_columns, (panel_in - 0.2) / height)
        axes = figure.add_axes(place)
        sides = np.append(x, x[-1] + _X_STEP_MM) - _X_STEP_MM / 2
        axes.pcolormesh(sides, edges, values, cmap=_FLUENCE_MAP, vmin=0, vmax=top)
        _finish_panel(axes, window)
        title = f"{beam.geometry.name} · {beam.meterset_mu:.0f} MU"
        axes.set_title(title, fontsize=6, color=style.INK, pad=2.5)
    _draw_bar(figure, top, height)
    return figure


def _scale(maps: list[NDArray[np.float64]]) -> float:
    """Top of the common scale: single hot beamlets do not darken the rest."""
    values = np.concatenate([m[m > 0] for m in maps]) if maps else np.zeros(0)
    return float(np.percentile(values, 99.7)) if len(values) else 1.0


def _common_window(beams: tuple[Beam, ...]) -> Window:
    """The widest opening of the jaws over all beams, with a rim."""
    points = [point for beam in beams for point in beam.control_points]
    x = (min(p.jaw_x_mm[0] for p in points) - 8, max(p.jaw_x_mm[1] for p in points) + 8)
    y = (min(p.jaw_y_mm[0] for p in points) - 8, max(p.jaw_y_mm[1] for p in points) + 8)
    return Window(x, y)


def _finish_panel(axes: Axes, window: Window) -> None:
    """Axis cross, equal scale, no ticks."""
    axes.set_xlim(*window.horizontal)
    axes.set_ylim(*window.vertical)
    axes.set_aspect("equal")
    axes.set_facecolor("black")
    axes.axhline(0, color="white", lw=0.3, alpha=0.5)
    axes.axvline(0, color="white", lw=0.3, alpha=0.5)
    axes.set_xticks([])
    axes.set_yticks([])


def _draw_bar(figure: Figure, top: float, height: float) -> None:
    """The scale of the fluence."""
    axes = figure.add_axes((0.36, 0.21 / height, 0.28, 0.07 / height))
    scale = ScalarMappable(Normalize(0, top), _FLUENCE_MAP)
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal", extend="max")
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=5.8, length=2, width=0.4, pad=1.5, colors=style.SLATE)
    axes.text(
        -0.02,
        0.5,
        "MU open",
        ha="right",
        va="center",
        fontsize=6,
        color=style.SLATE,
        transform=axes.transAxes,
    )


def draw_convergence(result: CaseResult) -> Figure:
    """Draw the objective against the number of evaluations."""
    figure = style.new_figure(1.7, 4.3)
    axes = figure.add_axes((0.17, 0.2, 0.8, 0.74))
    values = np.asarray(result.convergence.objective, dtype=float)
    axes.plot(np.arange(1, len(values) + 1), values, color=style.ACCENT, lw=1.3)
    if len(values) and np.all(values > 0) and values.max() / values.min() > 20:
        axes.set_yscale("log")
    axes.set_xlabel("evaluation", color=style.SLATE)
    axes.set_ylabel("objective", color=style.SLATE)
    style.quiet(axes)
    return figure
