"""Picture of a machine in a tank: each curve with the measured points and the difference."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rerad.reporting import style

_COLUMNS = 3
_PANEL_IN = 1.95
_FONT: dict[Any, Any] = {"font.family": style.FONT["family"], "font.size": style.FONT["size"]}


@dataclass(frozen=True, eq=False, slots=True)
class CurvePanel:
    """One curve of the picture.

    Parameters
    ----------
    title : str
        What it is.
    position_label : str
        Of the horizontal axis, with its unit.
    positions_mm : ndarray of shape (N,)
        Ascending.
    calculated_percent : ndarray of shape (N,)
        Normalised dose.
    measured_percent : ndarray of shape (N,) or None
        Normalised reading at the same positions.
    difference_percent : ndarray of shape (N,) or None
        Calculated less measured, of the largest measured value.
    """

    title: str
    position_label: str
    positions_mm: NDArray[np.float64]
    calculated_percent: NDArray[np.float64]
    measured_percent: NDArray[np.float64] | None = None
    difference_percent: NDArray[np.float64] | None = None


def draw_commission(panels: Sequence[CurvePanel], caption: str) -> Figure:
    """Draw every curve in a panel of its own, differences below it.

    Parameters
    ----------
    panels : sequence of CurvePanel
        At least one.
    caption : str
        Machine and set-up, above all panels.

    Returns
    -------
    Figure
    """
    n_columns = min(_COLUMNS, len(panels))
    n_rows = -(-len(panels) // n_columns)
    height = n_rows * _PANEL_IN + 0.3
    figure = style.new_figure(height)
    figure.text(0.01, 1.0 - 0.17 / height, caption, fontsize=7.5, color=style.INK, va="center")
    for n, panel in enumerate(panels):
        row, column = divmod(n, n_columns)
        left = (column + 0.17) / n_columns
        bottom = (n_rows - 1 - row) * _PANEL_IN / height
        width = 0.8 / n_columns
        upper = figure.add_axes((left, bottom + 0.78 / height, width, 0.97 / height))
        _draw_curves(upper, panel)
        if panel.difference_percent is not None:
            lower = figure.add_axes((left, bottom + 0.36 / height, width, 0.34 / height))
            _draw_difference(lower, panel, panel.difference_percent)
            upper.tick_params(labelbottom=False)
        else:
            upper.set_xlabel(panel.position_label, fontsize=6, color=style.SLATE)
    return figure


def _draw_curves(axes: Axes, panel: CurvePanel) -> None:
    """The calculated line and the measured points."""
    if panel.measured_percent is not None:
        axes.plot(
            panel.positions_mm,
            panel.measured_percent,
            ls="none",
            marker="o",
            ms=1.6,
            mec="none",
            color=style.AMBER,
            label="measured",
        )
    axes.plot(
        panel.positions_mm,
        panel.calculated_percent,
        color=style.ACCENT,
        lw=0.9,
        label="calculated",
    )
    axes.set_ylim(bottom=0.0)
    axes.set_title(panel.title, fontsize=6.5, color=style.INK, pad=3)
    axes.set_ylabel("%", fontsize=6, color=style.SLATE)
    axes.yaxis.set_label_coords(-0.15, 0.5)
    axes.legend(fontsize=5, frameon=False, loc="best")
    style.quiet(axes)


def _draw_difference(axes: Axes, panel: CurvePanel, difference: NDArray[np.float64]) -> None:
    """Calculated less measured."""
    axes.plot(panel.positions_mm, difference, color=style.RED, lw=0.8)
    axes.axhline(0.0, color=style.FAINT, lw=0.5)
    axes.set_ylabel("Δ %", fontsize=6, color=style.SLATE)
    axes.yaxis.set_label_coords(-0.15, 0.5)
    axes.set_xlabel(panel.position_label, fontsize=6, color=style.SLATE)
    style.quiet(axes)


def write_commission_figure(panels: Sequence[CurvePanel], caption: str, path: Path) -> None:
    """Draw the curves into a PNG file.

    Parameters
    ----------
    panels : sequence of CurvePanel
        At least one.
    caption : str
        Machine and set-up.
    path : Path
        The file; replaced if it is there.
    """
    with matplotlib.rc_context(_FONT):
        style.save(draw_commission(panels, caption), path)
