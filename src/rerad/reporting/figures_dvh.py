"""Dose-volume histograms, and the budget of each organ as bars."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

from rerad.core import DoseScope, RecoveryBasis
from rerad.evaluation import Dvh, MetricKind, parse_metric
from rerad.planning.result import CaseResult, SummaryRow
from rerad.reporting import style
from rerad.reporting.figures_dose import organ_colors
from rerad.reporting.wording import compact

_TARGET_COLORS: tuple[str, ...] = ("#d11f1f", "#d9a400", "#d9579f", "#7a1f1f")
_LEGEND_SHARE = 0.27


def draw_dvh_physical(result: CaseResult) -> Figure:
    """Draw the physical dose of the plan: targets and judged organs."""
    colors = _colors(result)
    wanted = {n: c for n, c in colors.items() if n in result.planned.physical_dvhs}
    later = result.delivered.physical_dvhs if result.delivered else {}
    figure, axes = _panel()
    _draw_curves(axes, result.planned.physical_dvhs, wanted, "-")
    _draw_curves(axes, later, wanted, (0, (3, 1.6)))
    for prescription in result.plan.prescriptions:
        axes.axvline(prescription.dose_gy, color=style.FAINT, lw=0.6, ls=":")
    axes.set_xlim(left=0)
    axes.set_xlabel("physical dose of this plan, Gy", color=style.SLATE)
    _legend(axes, result.planned.physical_dvhs, wanted, {}, has_later=bool(later))
    return figure


def draw_dvh_cumulative(result: CaseResult) -> Figure:
    """Draw the cumulative EQD2 of every structure at its own alpha/beta, with its limits."""
    colors = _colors(result)
    curves = result.planned.cumulative_dvhs
    names = {name: _color_of(name, colors, n) for n, name in enumerate(curves)}
    later = result.delivered.cumulative_dvhs if result.delivered else {}
    figure, axes = _panel()
    _draw_curves(axes, curves, names, "-")
    _draw_curves(axes, later, names, (0, (3, 1.6)))
    alpha_betas = {
        row.structure: f"α/β {compact(row.alpha_beta_gy)}"
        for row in result.summary
        if row.alpha_beta_gy is not None
    }
    for name, dose_gy, percent in limit_places(result):
        mark: dict[str, Any] = {"marker": "<", "ms": 5.5, "mec": "white", "mew": 0.6, "zorder": 6}
        axes.plot([dose_gy], [percent], color=names[name], clip_on=False, **mark)
    axes.set_xlim(left=0)
    axes.set_xlabel("cumulative EQD2, Gy", color=style.SLATE)
    _legend(axes, curves, names, alpha_betas, has_later=bool(later), has_limits=True)
    return figure


def _colors(result: CaseResult) -> dict[str, str]:
    """Targets in reds and yellows, organs as in the pictures."""
    targets = [p.structure for p in result.plan.prescriptions]
    targets += [
        name
        for name in result.planned.physical_dvhs
        if name in result.masks and result.masks[name].kind.is_target and name not in targets
    ]
    colors = {name: _TARGET_COLORS[n % len(_TARGET_COLORS)] for n, name in enumerate(targets)}
    colors.update(organ_colors(result))
    return colors


def _color_of(name: str, colors: Mapping[str, str], n: int) -> str:
    return colors.get(name, style.STRUCTURE_CYCLE[n % len(style.STRUCTURE_CYCLE)])


def _panel() -> tuple[Figure, Axes]:
    """A page-wide panel with room for a legend on the right."""
    figure = style.new_figure(3.25)
    axes = figure.add_axes((0.065, 0.125, 1 - 0.08 - _LEGEND_SHARE, 0.85))
    axes.set_ylabel("volume, %", color=style.SLATE)
    axes.set_ylim(0, 102)
    style.quiet(axes)
    return figure, axes


def _draw_curves(
    axes: Axes, curves: Mapping[str, Dvh], colors: Mapping[str, str], line_style: object
) -> None:
    """One line for each structure."""
    for name, color in colors.items():
        if name not in curves:
            continue
        dose_gy, volume_percent = curves[name].curve()
        is_plain = line_style == "-"
        axes.plot(
            dose_gy,
            volume_percent,
            color=color,
            lw=1.4 if is_plain else 0.9,
            ls=line_style,
            alpha=1.0 if is_plain else 0.85,
        )


def limit_places(result: CaseResult) -> list[tuple[str, float, float]]:
    """Return where limits are marked: structure, dose in Gy, volume in per cent.

    Only limits for a raw sum on a dose at a volume, at the alpha/beta of the curve, because the
    curves are raw sums. Marks at one dose are stacked so that each can be seen.
    """
    places: list[tuple[str, float, float]] = []
    drawn_with = {row.structure: row.alpha_beta_gy for row in result.summary}
    for goal in (item.goal for item in result.planned.goals):
        curve = result.planned.cumulative_dvhs.get(goal.structure)
        is_raw = goal.recovery_basis is not RecoveryBasis.DISCOUNTED
        if curve is None or goal.scope is not DoseScope.CUMULATIVE or not is_raw:
            continue
        if drawn_with.get(goal.structure, goal.alpha_beta_gy) != goal.alpha_beta_gy:
            continue
        percent = _volume_percent(goal.metric, curve)
        if goal.at_most is None or goal.unit != "Gy" or percent is None:
            continue
        n_below = sum(abs(dose - goal.at_most) < 0.5 for _, dose, _ in places)
        places.append((goal.structure, goal.at_most, max(percent, 1.2) + 3.2 * n_below))
    return places


def _volume_percent(metric: str, curve: Dvh) -> float | None:
    """The volume of a metric such as D0.1cc or D2%, in per cent of the structure."""
    parsed = parse_metric(metric)
    if parsed.kind is MetricKind.MAX:
        return 0.0
    if parsed.kind is not MetricKind.DOSE_AT_VOLUME:
        return None
    return parsed.size if parsed.size_unit == "%" else 100 * parsed.size / curve.volume_cc


def _legend(
    axes: Axes,
    curves: Mapping[str, Dvh],
    colors: Mapping[str, str],
    notes: Mapping[str, str],
    *,
    has_later: bool,
    has_limits: bool = False,
) -> None:
    """Names beside the panel, with alpha/beta and what is unknown."""
    handles = []
    for name, color in colors.items():
        if name not in curves:
            continue
        label = name if name not in notes else f"{name}  ({notes[name]})"
        if not curves[name].is_complete:
            label += f"\n{100 * curves[name].unknown_fraction:.1f} % of volume unknown"
        handles.append(Line2D([], [], color=color, lw=1.6, label=label))
    if has_later:
        handles.append(Line2D([], [], color=style.SLATE, lw=1.4, label="planned"))
        handles.append(
            Line2D([], [], color=style.SLATE, lw=0.9, ls=(0, (3, 1.6)), label="delivered")
        )
    if has_limits:
        handles.append(Line2D([], [], color=style.SLATE, marker="<", ms=5, lw=0, label="limit"))
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        frameon=False,
        fontsize=6.2,
        handlelength=1.6,
        labelspacing=0.45,
        labelcolor=style.INK,
    )


def draw_budget(result: CaseResult) -> Figure:
    """Draw prior and added EQD2 of each organ against its limit."""
    rows = [
        row
        for row in result.summary
        if not row.is_target and row.planned.goal.scope is DoseScope.CUMULATIVE
    ]
    bar_in = 0.235
    height = bar_in * max(len(rows), 1) + 0.62
    figure = style.new_figure(height)
    axes = figure.add_axes((0.27, 0.34 / height, 0.70, bar_in * max(len(rows), 1) / height))
    for n, row in enumerate(rows):
        _draw_bar(axes, n, row)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)))
    axes.set_yticklabels(
        [f"{row.structure}  {row.metric}, α/β {compact(row.alpha_beta_gy)}" for row in rows]
    )
    axes.set_xlim(left=0)
    axes.set_xlabel("EQD2, Gy", color=style.SLATE, labelpad=1)
    style.quiet(axes)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    handles = [
        Patch(color=style.FAINT, label="earlier courses"),
        Patch(color=style.ACCENT, label="this plan, as planned"),
        Line2D(
            [],
            [],
            color="white",
            marker="|",
            ms=7,
            mew=1.4,
            lw=0,
            path_effects=[withStroke(linewidth=7, foreground=style.ACCENT)],
            label="delivered fractions end here",
        ),
        Line2D([], [], color=style.INK, marker="|", ms=8, mew=1.8, lw=0, label="limit"),
    ]
    if not any(np.isfinite(row.delivered_cumulative_eqd2_gy) for row in rows):
        handles.pop(2)
    figure.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.6, 1.0),
        ncols=4,
        frameon=False,
        fontsize=6.2,
        facecolor="#dddddd",
    )
    return figure


def _draw_bar(axes: Axes, n: int, row: SummaryRow) -> None:
    """One organ: prior, added, delivered mark, limit mark; words where a dose is unknown."""
    prior, total = row.prior_eqd2_gy, row.cumulative_eqd2_gy
    limit = row.planned.goal.at_most
    if np.isfinite(total):
        start = min(prior, total) if np.isfinite(prior) else 0.0
        axes.barh(n, start, height=0.56, color=style.FAINT, lw=0)
        axes.barh(n, total - start, left=start, height=0.56, color=style.ACCENT, lw=0)
        later = row.delivered_cumulative_eqd2_gy
        if np.isfinite(later):
            axes.plot([later, later], [n - 0.28, n + 0.28], color="white", lw=1.3)
    else:
        axes.text(
            0.5,
            n,
            "unknown: part of the earlier dose is not on record",
            va="center",
            fontsize=6,
            color=style.SLATE,
            style="italic",
        )
    if limit is not None:
        axes.plot([limit, limit], [n - 0.42, n + 0.42], color=style.INK, lw=1.8)
