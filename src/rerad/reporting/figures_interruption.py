"""Picture of the ways to go on: what the tumour gets against the fractions still given.

Above, the tumour's BED in percent of the prescription; below, the dose of each fraction. A filled
point is decided by the tumour, an open one by an organ, which is named; a star is a new plan for
the rest, red where it breaks a limit that nobody accepted. Dashed: what the tumour asks for.
"""

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rerad.planning.interruption import InterruptionPlan, ResidualOption
from rerad.reporting import style

_FONT: dict[Any, Any] = {"font.family": style.FONT["family"], "font.size": style.FONT["size"]}


def draw_interruption(solved: InterruptionPlan) -> Figure:
    """Draw coverage and dose per fraction against the fractions still to be given.

    Parameters
    ----------
    solved : InterruptionPlan
        With at least one solved way.

    Returns
    -------
    Figure
    """
    stop, same, *others = solved.options
    options = sorted(
        (item for item in others if not item.is_new_plan), key=lambda item: item.n_fractions
    )
    made = [item for item in others if item.is_new_plan]
    with matplotlib.rc_context(_FONT):
        figure = style.new_figure(3.3, 4.6)
        upper = figure.add_axes((0.13, 0.46, 0.83, 0.46))
        lower = figure.add_axes((0.13, 0.13, 0.83, 0.26))
        _draw_coverage(upper, options, stop, same)
        _draw_new_plans(upper, lower, made)
        numbers = [item.n_fractions for item in options]
        lower.plot(numbers, [item.fraction_gy for item in options], color=style.ACCENT, lw=1.0)
        if any(item.limited_by for item in options):
            asked = [item.wanted_gy for item in options]
            lower.plot(numbers, asked, color=style.AMBER, lw=0.8, ls="--")
        for item in options:
            _point(lower, item.n_fractions, item.fraction_gy, item)
        lower.set_ylabel("Gy per fraction", color=style.SLATE, fontsize=6.5)
        highest = max(item.fraction_gy for item in (*options, *made))
        lower.set_ylim(0.0, 1.2 * max(highest, same.fraction_gy))
        lower.set_xlabel("fractions still given", color=style.SLATE, fontsize=6.5)
        for axes in (upper, lower):
            axes.set_xlim(-0.4, max([*numbers, same.n_fractions]) + 0.6)
            style.quiet(axes)
        upper.tick_params(labelbottom=False)
    return figure


def _draw_coverage(
    axes: Axes, options: list[ResidualOption], stop: ResidualOption, same: ResidualOption
) -> None:
    """Draw the tumour's BED in percent of the prescription."""
    axes.axhline(100.0, color=style.AMBER, lw=0.8)
    numbers = [item.n_fractions for item in options]
    axes.plot(numbers, [item.coverage_percent for item in options], color=style.ACCENT, lw=1.0)
    for item in options:
        _point(axes, item.n_fractions, item.coverage_percent, item)
    axes.plot(0, stop.coverage_percent, "s", color=style.SLATE, ms=4)
    axes.annotate(
        "stop",
        (0, stop.coverage_percent),
        textcoords="offset points",
        xytext=(5, -2),
        fontsize=6,
        color=style.SLATE,
    )
    mark = "x" if same.breaks_unaccepted else "D"
    axes.plot(same.n_fractions, same.coverage_percent, mark, color=style.RED, ms=4.5, zorder=4)
    said = "as planned" if mark == "D" else "as planned: breaks a limit"
    axes.annotate(
        said,
        (same.n_fractions, same.coverage_percent),
        textcoords="offset points",
        xytext=(-4, 6),
        ha="right",
        fontsize=6,
        color=style.RED,
    )
    named = dict.fromkeys(item.limited_by for item in options if item.limited_by)
    title = "dose decided by the tumour"
    if named:
        title = f"open: dose decided by {', '.join(named)}; dashed: what the tumour asks for"
    axes.set_title(title, fontsize=6.5, color=style.INK, loc="left")
    axes.set_ylabel("tumour BED, % of prescribed", color=style.SLATE, fontsize=6.5)
    low = min([stop.coverage_percent, *[item.coverage_percent for item in options]])
    axes.set_ylim(max(0.0, low - 8.0), 108.0)


def _draw_new_plans(upper: Axes, lower: Axes, made: list[ResidualOption]) -> None:
    """Draw new plans for the rest by the median dose of the target."""
    for item in made:
        color = style.RED if item.breaks_unaccepted else style.ACCENT
        upper.plot(item.n_fractions, item.coverage_percent, "*", color=color, ms=8, zorder=5)
        lower.plot(item.n_fractions, item.fraction_gy, "*", color=color, ms=8, zorder=5)
        upper.annotate(
            "new plan",
            (item.n_fractions, item.coverage_percent),
            textcoords="offset points",
            xytext=(-4, -9),
            ha="right",
            fontsize=6,
            color=color,
        )
        _, top = upper.get_ylim()
        upper.set_ylim(top=max(top, item.coverage_percent + 8.0))


def _point(axes: Axes, x: float, y: float, item: ResidualOption) -> None:
    """Draw one way: open where an organ decides."""
    face = style.PAPER if item.limited_by else style.ACCENT
    axes.plot(x, y, "o", ms=4, color=style.ACCENT, markerfacecolor=face, zorder=3)


def write_interruption_figure(path: Path, solved: InterruptionPlan) -> None:
    """Write the picture as PNG, beside its place and renamed."""
    temporary = path.with_name(f".{path.name}")
    style.save(draw_interruption(solved), temporary)
    temporary.replace(path)
