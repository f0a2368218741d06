"""Picture of what remains: each organ under each rule set and assumption, and a map.

Left, one bar for each rule set: from the assumption that leaves least to the one that leaves most,
a tick for each, the one planned with filled. Right, an axial slice of the remaining physical dose
through the organ that has least left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rerad.planning import BudgetRow
from rerad.reporting import style

_FONT: dict[Any, Any] = {"font.family": style.FONT["family"], "font.size": style.FONT["size"]}
_ROW_IN = 0.2
_MAX_ROWS = 24


@dataclass(frozen=True, eq=False, slots=True)
class RemainingSlice:
    """One axial slice of what remains.

    Parameters
    ----------
    hu : ndarray of shape (J, I)
        The planning CT there.
    remaining_gy : ndarray of shape (J, I)
        Remaining physical dose; NaN outside organs and where unknown.
    extent_mm : tuple of float
        Left, right, bottom, top in patient x and y.
    z_mm : float
        Where.
    """

    hu: NDArray[np.float32]
    remaining_gy: NDArray[np.float32]
    extent_mm: tuple[float, float, float, float]
    z_mm: float


def draw_budget(
    rows: Sequence[BudgetRow],
    n_fractions: int,
    prescription_gy: float,
    slice_: RemainingSlice | None,
) -> Figure:
    """Draw what remains.

    Parameters
    ----------
    rows : sequence of BudgetRow
        In the order of the case; the first `_MAX_ROWS` are drawn.
    n_fractions : int
        Of the course to come.
    prescription_gy : float
        Today's highest prescription, as a line; NaN for none.
    slice_ : RemainingSlice or None
        Beside the bars.

    Returns
    -------
    Figure
    """
    shown = list(rows)[:_MAX_ROWS]
    height = max(2.4, 0.75 + _ROW_IN * max(1, len(shown)))
    with matplotlib.rc_context(_FONT):
        figure = style.new_figure(height)
        width = 0.5 if slice_ is not None else 0.76
        axes = figure.add_axes((0.2, 0.42 / height, width - 0.02, 1 - 0.72 / height))
        _draw_bars(axes, shown, n_fractions, prescription_gy)
        if slice_ is not None:
            right = figure.add_axes((0.74, 0.42 / height, 0.25, 1 - 0.72 / height))
            _draw_slice(figure, right, slice_, prescription_gy)
    return figure


def _draw_bars(
    axes: Axes, rows: Sequence[BudgetRow], n_fractions: int, prescription_gy: float
) -> None:
    """Draw one bar for each organ and rule set."""
    last = ""
    labels = []
    for place, row in enumerate(rows):
        left = np.array([s.remaining_physical_gy for s in row.scenarios])
        known = left[np.isfinite(left)]
        if known.size:
            axes.plot(
                [known.min(), known.max()],
                [place, place],
                color=style.ACCENT_LIGHT,
                lw=5,
                solid_capstyle="butt",
                zorder=2,
            )
        else:
            most = np.array([s.remaining_at_most_physical_gy for s in row.scenarios])
            text = "unknown"
            if np.isfinite(most).any():
                text = f"unknown; at most {np.nanmax(most):.1f} Gy under any assumption"
            axes.text(0.3, place, text, va="center", color=style.RED, fontsize=6)
        for scenario in row.scenarios:
            if np.isfinite(scenario.remaining_physical_gy):
                is_chosen = scenario.is_planned_with
                axes.plot(
                    scenario.remaining_physical_gy,
                    place,
                    marker="o" if is_chosen else "|",
                    ms=4.5 if is_chosen else 6,
                    color=style.ACCENT,
                    zorder=3,
                )
        bound = ", at least" if any(s.is_upper_bound for s in row.scenarios) else ""
        labels.append(f"{row.structure if row.structure != last else ''}  {row.rule_set}{bound}")
        last = row.structure
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(left=0)
    if np.isfinite(prescription_gy):
        axes.axvline(prescription_gy, color=style.AMBER, lw=0.9, zorder=1)
        axes.text(
            prescription_gy,
            -0.75,
            f"prescribed {prescription_gy:g} Gy",
            color=style.AMBER,
            fontsize=6,
            ha="center",
            va="bottom",
        )
    axes.set_xlabel(
        f"remaining physical dose in {n_fractions} fractions, Gy (o: planned with)",
        fontsize=6.5,
        color=style.SLATE,
    )
    style.quiet(axes)


def _draw_slice(
    figure: Figure, axes: Axes, slice_: RemainingSlice, prescription_gy: float
) -> None:
    """Draw the map over the CT."""
    axes.imshow(
        slice_.hu, extent=slice_.extent_mm, cmap="gray", vmin=-160, vmax=240, origin="lower"
    )
    known = slice_.remaining_gy[np.isfinite(slice_.remaining_gy)]
    top = float(np.nanmax([prescription_gy, known.max() if known.size else 1.0]))
    drawn = axes.imshow(
        np.ma.masked_invalid(slice_.remaining_gy),
        extent=slice_.extent_mm,
        cmap=style.ISODOSE.reversed(),
        vmin=0,
        vmax=top,
        alpha=0.8,
        origin="lower",
        interpolation="nearest",
    )
    axes.set_ylim(slice_.extent_mm[3], slice_.extent_mm[2])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"z {slice_.z_mm:.0f} mm", fontsize=6.5, color=style.SLATE)
    bar = figure.colorbar(drawn, ax=axes, orientation="horizontal", fraction=0.06, pad=0.03)
    bar.ax.tick_params(labelsize=6, length=2, colors=style.SLATE)
    bar.set_label("Gy left", fontsize=6, color=style.SLATE)
    bar.outline.set_visible(False)


def write_budget_figure(
    path: Path,
    rows: Sequence[BudgetRow],
    n_fractions: int,
    prescription_gy: float,
    slice_: RemainingSlice | None,
) -> None:
    """Write the picture as PNG; parameters as in :func:`draw_budget`."""
    figure = draw_budget(rows, n_fractions, prescription_gy, slice_)
    temporary = path.with_name(f".{path.name}")
    style.save(figure, temporary)
    temporary.replace(path)
