"""Pictures of a Pareto set: the trade between two goals, or the three pairs of three."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rerad.errors import InputError
from rerad.optimize import ParetoSet, knee
from rerad.reporting import style

_PLAN = {"marker": "o", "ms": 4.0, "mec": "white", "mew": 0.5, "ls": "none", "zorder": 4}
_KNEE = {"marker": "D", "ms": 6.5, "mfc": "none", "mec": style.AMBER, "mew": 1.3, "ls": "none"}
_CURRENT = {"marker": "o", "ms": 9.5, "mfc": "none", "mec": style.RED, "mew": 1.6, "ls": "none"}


def draw_pareto(pareto: ParetoSet, *, current: Sequence[float] | None = None) -> Figure:
    """Draw every plan, what their combinations reach, the knee and the plan chosen.

    Parameters
    ----------
    pareto : ParetoSet
        Plans of two or three goals.
    current : sequence of float or None
        Goals of the plan to highlight: of a plan of the set, or of a combination.

    Returns
    -------
    Figure

    Raises
    ------
    InputError
        If `current` has another number of goals.
    """
    if current is not None and len(current) != len(pareto.goals):
        msg = f"expected {len(pareto.goals)} goals of the current plan, got {len(current)}"
        raise InputError(msg)
    if len(pareto.goals) == 2:
        return _curve(pareto, current)
    return _matrix(pareto, current)


def _curve(pareto: ParetoSet, current: Sequence[float] | None) -> Figure:
    """One panel: the second goal over the first."""
    figure = style.new_figure(3.25)
    axes = figure.add_axes((0.105, 0.125, 0.57, 0.85))
    _panel(axes, pareto, (0, 1), current)
    figure.legend(
        handles=_handles(pareto, current, is_curve=True),
        loc="upper left",
        bbox_to_anchor=(0.69, 0.985),
        frameon=False,
        fontsize=6.4,
        labelcolor=style.INK,
    )
    figure.text(0.70, 0.125, _caption(pareto), fontsize=6.2, color=style.SLATE, va="bottom")
    return figure


def _matrix(pareto: ParetoSet, current: Sequence[float] | None) -> Figure:
    """Lower triangle of panels; a plan's colour is the goal that a panel does not show."""
    figure = style.new_figure(5.2)
    for (x, y), (left, bottom) in {
        (0, 1): (0.09, 0.565),
        (0, 2): (0.09, 0.085),
        (1, 2): (0.585, 0.085),
    }.items():
        axes = figure.add_axes((left, bottom, 0.375, 0.405))
        (third,) = {0, 1, 2} - {x, y}
        _panel(axes, pareto, (x, y), current, color_by=third)
    figure.legend(
        handles=_handles(pareto, current, is_curve=False),
        loc="upper left",
        bbox_to_anchor=(0.565, 0.975),
        frameon=False,
        fontsize=6.4,
        labelcolor=style.INK,
    )
    figure.text(0.575, 0.575, _caption(pareto), fontsize=6.2, color=style.SLATE, va="bottom")
    _color_key(figure)
    return figure


def _panel(
    axes: Axes,
    pareto: ParetoSet,
    pair: tuple[int, int],
    current: Sequence[float] | None,
    *,
    color_by: int | None = None,
) -> None:
    """Draw plans, knee and current plan for two of the goals."""
    x, y = pareto.values[:, pair[0]], pareto.values[:, pair[1]]
    style.quiet(axes)
    if color_by is None:
        line = _lower_hull(x, y)
        axes.plot(x[line], y[line], color=style.ACCENT, lw=1.2, zorder=3)
        axes.plot(x, y, color=style.ACCENT, **_plain(_PLAN))
    else:
        third = pareto.values[:, color_by]
        place = (third - third.min()) / pareto.ranges[color_by]
        for a, b, share in zip(x, y, place, strict=True):
            axes.plot(a, b, color=style.ISODOSE(float(share)), **_plain(_PLAN))
    best = knee(pareto)
    if best is not None:
        axes.plot(x[best], y[best], zorder=5, **_plain(_KNEE))
    if current is not None:
        axes.plot(current[pair[0]], current[pair[1]], zorder=6, **_plain(_CURRENT))
    axes.set_xlabel(_label(pareto, pair[0]), color=style.SLATE, fontsize=7)
    axes.set_ylabel(_label(pareto, pair[1]), color=style.SLATE, fontsize=7)
    axes.margins(0.06)


def _plain(look: dict[str, Any]) -> dict[str, Any]:
    return dict(look)


def _label(pareto: ParetoSet, goal: int) -> str:
    unit = pareto.units[goal]
    return f"{pareto.goals[goal]}, {unit}" if unit else pareto.goals[goal]


def _lower_hull(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> list[int]:
    """Return the plans at the corners of what combinations reach, from left to right."""
    corners: list[int] = []
    for n in np.lexsort((y, x)).tolist():
        if corners and y[n] >= y[corners[-1]]:
            continue
        while len(corners) > 1:
            a, b = corners[-2], corners[-1]
            if (x[b] - x[a]) * (y[n] - y[a]) - (y[b] - y[a]) * (x[n] - x[a]) > 0:
                break
            corners.pop()
        corners.append(n)
    return corners


def _handles(
    pareto: ParetoSet, current: Sequence[float] | None, *, is_curve: bool
) -> list[Line2D]:
    """Entries of the legend: only what is drawn."""
    color = style.ACCENT if is_curve else style.SLATE
    handles = [Line2D([], [], color=color, label="plan", **_plain(_PLAN))]
    if is_curve:
        handles.append(
            Line2D([], [], color=style.ACCENT, lw=1.2, label="combinations: at most this")
        )
    if knee(pareto) is not None:
        label = "knee, computed: least sum of\ngoals, each in its range"
        handles.append(Line2D([], [], label=label, **_plain(_KNEE)))
    if current is not None:
        handles.append(Line2D([], [], label="current plan", **_plain(_CURRENT)))
    return handles


def _caption(pareto: ParetoSet) -> str:
    """How many plans, how far the true surface may lie below them, and how caps are kept."""
    lines = [
        f"{pareto.n_plans} plans of the optimiser's fluence; less is",
        "better in every goal. A D of a volume is the",
        "mean of that hottest (targets: coldest) part;",
        "the plan made is judged by the D itself.",
    ]
    if np.isfinite(pareto.gap):
        lines.append(f"The true surface lies at most {100 * pareto.gap:.1f} % of")
        lines += [
            "the goals' ranges below combinations of",
            "plans, as exactly as each was solved.",
        ]
    else:
        lines.append("Distance from the true surface: unknown.")
    worst_gy = float(pareto.cap_violations_gy.max())
    lines.append(f"Hard caps are exceeded by {worst_gy:.2f} Gy at most.")
    return "\n".join(lines)


def _color_key(figure: Figure) -> None:
    """A bar that says what the colours of the plans mean."""
    axes = figure.add_axes((0.575, 0.53, 0.2, 0.012))
    axes.imshow(np.linspace(0, 1, 200)[None], cmap=style.ISODOSE, aspect="auto")
    axes.set_xticks([0, 199], ["least", "most"], fontsize=5.8, color=style.SLATE)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=1.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.text(0.785, 0.533, "goal not on the axes", fontsize=6.0, color=style.SLATE, va="center")
