"""Pictures of dose on the planning CT: this plan, the earlier courses, and their sum."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rerad.core import Dose, RecoveryBasis, StructureKind
from rerad.evaluation import MetricKind, parse_metric
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.content_plan import ISODOSE_PERCENTS
from rerad.reporting.drawing import (
    Isodoses,
    draw_dose,
    draw_image,
    draw_organs,
    draw_surroundings,
    draw_targets,
    frame,
    target_handles,
    write_corner,
)
from rerad.reporting.planes import Plane, View, Window, target_point

_PLAN_COLORS = ("#3f6fe0", "#17a9d8", "#1fbf8f", "#8fce3c", "#ff8c1a", "#ff5fd2", "#a64dff")
_TALL = 0.78
"""Height over width of the coronal and sagittal pictures."""

_HALF_MM = 110.0
"""Half the width of the close pictures."""


def planes_at(point_mm: tuple[float, float, float]) -> tuple[Plane, Plane, Plane]:
    """Return the axial, coronal and sagittal planes through a point."""
    x, y, z = point_mm
    return Plane(View.AXIAL, z), Plane(View.CORONAL, y), Plane(View.SAGITTAL, x)


def close_window(result: CaseResult, view: View, half_h_mm: float, half_v_mm: float) -> Window:
    """Return a window of fixed size around the target, moved to stay inside the CT."""
    point = target_point(result)
    grid = result.planning_image.grid
    spans = []
    for axis, half in ((view.horizontal, half_h_mm), (view.vertical, half_v_mm)):
        low_edge = grid.origin_mm[axis] - 0.5 * grid.spacing_mm[axis]
        high_edge = grid.end_mm[axis] + 0.5 * grid.spacing_mm[axis]
        center = point[axis]
        if high_edge - low_edge > 2 * half:
            center = min(max(center, low_edge + half), high_edge - half)
        else:
            center = 0.5 * (low_edge + high_edge)
        spans.append((center - half, center + half))
    return Window(*spans)


def body_window(result: CaseResult, plane: Plane, margin_mm: float = 8.0) -> Window:
    """Return the axial window that holds the body."""
    external = [m for m in result.masks.values() if m.kind is StructureKind.EXTERNAL]
    grid = external[0].grid if external else result.planned.physical.grid
    view = plane.view
    spans = [
        (grid.origin_mm[a] - margin_mm, grid.end_mm[a] + margin_mm)
        for a in (view.horizontal, view.vertical)
    ]
    return Window(*spans)


def organ_colors(result: CaseResult) -> dict[str, str]:
    """Return one colour for each organ that is judged, the same in every figure."""
    names: list[str] = []
    for row in result.summary:
        is_drawn = row.structure in result.structures or row.structure in result.masks
        if not row.is_target and is_drawn and row.structure not in names:
            names.append(row.structure)
    cycle = style.STRUCTURE_CYCLE
    return {name: cycle[n % len(cycle)] for n, name in enumerate(names)}


def plan_isodoses(result: CaseResult) -> Isodoses:
    """Return levels at shares of the highest prescription, or of what it may go up to, in Gy."""
    highest = max((p.wanted_gy for p in result.plan.prescriptions), default=0.0)
    highest = highest or result.planned.physical.max_gy
    levels = tuple(round(highest * percent / 100, 1) for percent in ISODOSE_PERCENTS)
    return Isodoses(levels, _PLAN_COLORS)


def eqd2_isodoses(dose: Dose, limit_gy: float | None) -> Isodoses:
    """Return round levels up to the highest dose, about six of them, and the limit."""
    top = dose.max_gy
    step = 10.0 if top <= 75 else 20.0
    levels = np.arange(20.0, top, step).tolist() or [0.5 * top]
    positions = np.linspace(0, 1, len(levels)) if len(levels) > 1 else np.array([0.5])
    colors = tuple(_hex(position) for position in positions)
    return Isodoses(tuple(levels), colors, limit_gy)


def raw_limit_gy(result: CaseResult, alpha_beta_gy: float) -> float | None:
    """Return the lowest limit for a raw sum at an alpha/beta, the only kind that a map shows.

    Of near-maxima only: a limit on a mean says nothing about a place.
    """
    near_maxima = {MetricKind.MAX, MetricKind.DOSE_AT_VOLUME}
    limits = [
        goal_result.goal.at_most
        for goal_result in result.planned.goals
        if goal_result.goal.recovery_basis is RecoveryBasis.RAW
        and goal_result.goal.alpha_beta_gy == alpha_beta_gy
        and goal_result.goal.unit == "Gy"
        and goal_result.goal.at_most is not None
        and parse_metric(goal_result.goal.metric).kind in near_maxima
    ]
    return min((limit for limit in limits if limit is not None), default=None)


def _hex(position: float) -> str:
    r, g, b, _ = style.ISODOSE(float(position))
    return f"#{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}"


def draw_plan(result: CaseResult) -> Figure:
    """Draw this plan: the whole axial slice, a close one, coronal and sagittal."""
    axial, coronal, sagittal = planes_at(target_point(result))
    isodoses = plan_isodoses(result)
    organs = organ_colors(result)
    whole = body_window(result, axial)
    square = close_window(result, View.AXIAL, 75, 75 * whole.aspect)
    panels = (
        (axial, whole, "Axial"),
        (axial, square, "Axial, close"),
        (coronal, close_window(result, View.CORONAL, _HALF_MM, _HALF_MM * _TALL), "Coronal"),
        (sagittal, close_window(result, View.SAGITTAL, _HALF_MM, _HALF_MM * _TALL), "Sagittal"),
    )
    panel = style.PAGE_WIDTH_IN / 2
    legend_in, gap_in = 0.52, 0.05
    first, second = panel * whole.aspect, panel * _TALL
    height = first + second + gap_in + legend_in
    figure = style.new_figure(height)
    for n, (plane, window, title) in enumerate(panels):
        row_in = first if n < 2 else second
        bottom = (legend_in + (second + gap_in if n < 2 else 0)) / height
        width = 0.5 - 0.003
        axes = figure.add_axes((0.503 * (n % 2), bottom, width, row_in / height))
        frame(axes, window, flip=plane.view is View.AXIAL)
        draw_image(axes, result.planning_image, plane, window)
        draw_dose(axes, result.planned.physical, plane, window, isodoses)
        draw_organs(axes, result, plane, organs)
        draw_targets(axes, result, plane)
        draw_surroundings(axes, plane, window)
        write_corner(axes, title, line=1)
    drawn = {name: color for name, color in organs.items() if name in result.structures}
    _legend(figure, target_handles(result), isodoses.handles(), legend_in / height, drawn)
    return figure


def draw_eqd2(result: CaseResult, doses: list[tuple[str, Dose]], isodoses: Isodoses) -> Figure:
    """Draw one row of axial, coronal and sagittal pictures for each dose, on common levels."""
    planes = planes_at(target_point(result))
    alpha_betas = {row.structure: row.alpha_beta_gy for row in result.summary}
    drawn_ab = doses[0][1].alpha_beta_gy
    nerves = {n: c for n, c in organ_colors(result).items() if alpha_betas.get(n) == drawn_ab}
    n_rows, legend_in, gap_in = len(doses), 0.4, 0.04
    panel = (style.PAGE_WIDTH_IN - 2 * gap_in) / 3
    height = n_rows * (panel + gap_in) + legend_in
    figure = style.new_figure(height)
    for row, (label, dose) in enumerate(doses):
        bottom = (legend_in + (n_rows - 1 - row) * (panel + gap_in)) / height
        for n, plane in enumerate(planes):
            window = close_window(result, plane.view, 100, 100)
            left = n * (panel + gap_in) / style.PAGE_WIDTH_IN
            axes = figure.add_axes((left, bottom, panel / style.PAGE_WIDTH_IN, panel / height))
            frame(axes, window, flip=plane.view is View.AXIAL)
            draw_image(axes, result.planning_image, plane, window)
            draw_dose(axes, dose, plane, window, isodoses)
            draw_organs(axes, result, plane, nerves)
            draw_targets(axes, result, plane, width=0.9)
            draw_surroundings(axes, plane, window)
            if n == 0:
                write_corner(axes, label, line=1)
    _legend(figure, target_handles(result), isodoses.handles(), legend_in / height, nerves)
    return figure


def _legend(
    figure: Figure,
    targets: list[Line2D],
    doses: list[Line2D],
    top: float,
    organs: dict[str, str],
) -> None:
    """Two lines below the pictures: targets and doses, then organs."""
    shared: dict[str, Any] = {
        "loc": "upper center",
        "frameon": False,
        "handlelength": 1.6,
        "columnspacing": 1.3,
        "handletextpad": 0.5,
        "borderaxespad": 0.1,
    }
    handles = [*targets, *doses]
    figure.legend(
        handles=handles, bbox_to_anchor=(0.5, top), ncols=len(handles), fontsize=6.4, **shared
    )
    if organs:
        entries = [Line2D([], [], color=c, lw=1.0, label=name) for name, c in organs.items()][:10]
        figure.legend(
            handles=entries,
            bbox_to_anchor=(0.5, top * 0.52),
            ncols=len(entries),
            fontsize=5.6,
            **shared,
        )
