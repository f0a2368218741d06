"""Pictures of a recalculated plan beside the planned one: planes, histograms, DVH."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from rerad.core import Grid, StructureKind
from rerad.planning.dose_check import DoseCheck, criterion_text
from rerad.planning.dose_comparison import DoseComparison
from rerad.reporting import style
from rerad.reporting.drawing import draw_image, draw_surroundings, frame
from rerad.reporting.planes import Plane, View, Window, cut, cut_contours

DIFFERENCE_PERCENT = 5.0
"""Ends of the colour scale of dose differences, in percent of the highest planned dose."""

N_CURVES = 14
"""Structures drawn in a DVH; more cannot be told apart."""

_TARGET_COLORS = ("#d11f1f", "#d9a400", "#d9579f", "#7a1f1f")
_GAMMA_LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
_GAMMA_COLORS = ListedColormap(
    ["#e8f2ec", "#c3e0cf", "#93c7a9", "#5aa880", "#f2b04a", "#e0662f", "#b3261e"]
)
_LIGHT_SHARE = 0.05
"""Below this share of the highest dose no colour is laid over the CT."""

_VIEWS = (View.AXIAL, View.CORONAL, View.SAGITTAL)
_COLUMN_TITLES = ("planned", "recalculated", "difference", "gamma")
_FONT: dict[Any, Any] = {"font.family": style.FONT["family"], "font.size": style.FONT["size"]}


def draw_check_dvh(check: DoseCheck) -> Figure:
    """Draw the DVH of both doses: planned solid, recalculated dashed.

    Parameters
    ----------
    check : DoseCheck
        With at least one structure; the outline of the patient is left out.
    """
    figure = style.new_figure(3.1)
    axes = figure.add_axes((0.065, 0.13, 0.64, 0.84))
    handles = []
    for name, color in curve_colors(check).items():
        item = next(s for s in check.compared if s.name == name)
        if item.planned is not None:
            axes.plot(*item.planned.curve(), color=color, lw=1.1)
        dashes = (0, (3, 1.5)) if item.planned is not None else "-"
        axes.plot(*item.recalculated.curve(), color=color, lw=1.1, ls=dashes)
        handles.append(Line2D([], [], color=color, lw=1.4, label=name))
    if check.comparison is not None:
        handles.append(Line2D([], [], color=style.SLATE, lw=1.0, label="planned"))
        handles.append(
            Line2D([], [], color=style.SLATE, lw=1.0, ls=(0, (3, 1.5)), label="recalculated")
        )
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_ylabel("volume, %", color=style.SLATE)
    axes.set_xlabel("dose, Gy", color=style.SLATE)
    style.quiet(axes)
    axes.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.01, 1.02),
        frameon=False,
        fontsize=6.2,
        handlelength=1.8,
        labelspacing=0.45,
        labelcolor=style.INK,
    )
    return figure


def curve_colors(check: DoseCheck) -> dict[str, str]:
    """Return the structures that a DVH shows, targets first, each with its colour."""
    colors: dict[str, str] = {}
    n_targets = 0
    for item in check.compared:
        if item.kind is StructureKind.EXTERNAL or len(colors) >= N_CURVES:
            continue
        if item.kind.is_target:
            colors[item.name] = _TARGET_COLORS[n_targets % len(_TARGET_COLORS)]
            n_targets += 1
        else:
            place = (len(colors) - n_targets) % len(style.STRUCTURE_CYCLE)
            colors[item.name] = style.STRUCTURE_CYCLE[place]
    return colors


def draw_check_planes(check: DoseCheck, comparison: DoseComparison) -> Figure:
    """Draw both doses, their difference and gamma in three planes through the isocentre.

    Parameters
    ----------
    check : DoseCheck
        For CT, outlines and place.
    comparison : DoseComparison
        The doses.
    """
    grid = comparison.planned.grid
    planes = _planes(check, comparison)
    windows = [_window(grid, plane.view) for plane in planes]
    gap_in, legend_in, title_in = 0.03, 0.42, 0.17
    width_in = (style.PAGE_WIDTH_IN - 3 * gap_in) / 4
    heights = [min(width_in * window.aspect, 2.4) for window in windows]
    total = sum(heights) + gap_in * 3 + legend_in + title_in
    figure = style.new_figure(total)
    top = total - title_in
    shown = _shown_values(comparison)
    for row, (plane, window) in enumerate(zip(planes, windows, strict=True)):
        top -= heights[row] + (gap_in if row else 0.0)
        for column, (values, cmap, norm) in enumerate(shown):
            left = column * (width_in + gap_in) / style.PAGE_WIDTH_IN
            box = (left, top / total, width_in / style.PAGE_WIDTH_IN, heights[row] / total)
            axes = figure.add_axes(box)
            frame(axes, window, flip=plane.view is View.AXIAL)
            draw_image(axes, check.image, plane, window)
            _draw_values(axes, values, grid, plane, window, cmap, norm)
            _draw_outlines(axes, check, plane)
            if column == 0:
                draw_surroundings(axes, plane, window)
            if row == 0:
                figure.text(
                    left + 0.5 * box[2],
                    1 - 0.5 * title_in / total,
                    _COLUMN_TITLES[column],
                    ha="center",
                    va="center",
                    fontsize=7,
                    color=style.INK,
                )
    _color_bars(figure, shown, legend_in / total, width_in, gap_in)
    return figure


_Shown = tuple[NDArray[np.float32], Colormap, Any]


def _shown_values(comparison: DoseComparison) -> list[_Shown]:
    """Return what each column shows, with colours and their scale."""
    planned = np.asarray(comparison.planned.values, dtype=np.float32)
    again = np.asarray(comparison.recalculated.values, dtype=np.float32)
    highest = float(np.nanmax(planned))
    top = max(highest, float(np.nanmax(again)))
    scale = matplotlib.colors.Normalize(0.0, top)
    low = _LIGHT_SHARE * top
    ends = matplotlib.colors.Normalize(-DIFFERENCE_PERCENT, DIFFERENCE_PERCENT)
    difference = 100.0 * (again - planned) / np.float32(highest)
    gamma = np.asarray(comparison.gammas[0].values, dtype=np.float32)
    steps = BoundaryNorm(_GAMMA_LEVELS, _GAMMA_COLORS.N)
    return [
        (np.where(planned >= low, planned, np.nan), style.ISODOSE, scale),
        (np.where(again >= low, again, np.nan), style.ISODOSE, scale),
        (difference, matplotlib.colormaps["RdBu_r"], ends),
        (gamma, _GAMMA_COLORS, steps),
    ]


def _planes(check: DoseCheck, comparison: DoseComparison) -> list[Plane]:
    """Return planes through the isocentre of the first beam, or the highest dose if it is off."""
    grid = comparison.planned.grid
    point = np.asarray(check.plan.beams[0].geometry.isocenter_mm)
    nearest = np.rint(grid.indices(point)).astype(int)
    values = np.asarray(comparison.planned.values)
    is_inside = np.all((nearest >= 0) & (nearest < grid.shape))
    if not is_inside or not np.isfinite(values[tuple(nearest)]):
        nearest = np.asarray(np.unravel_index(int(np.nanargmax(values)), values.shape))
    point = grid.points(nearest)  # a slice of voxels: nothing is interpolated across it
    return [Plane(view, float(point[view.normal])) for view in _VIEWS]


def _window(grid: Grid, view: View, margin_mm: float = 6.0) -> Window:
    """Return the window that holds the compared voxels."""
    (h0, h1), (v0, v1) = (
        (grid.origin_mm[axis] - margin_mm, grid.end_mm[axis] + margin_mm)
        for axis in (view.horizontal, view.vertical)
    )
    return Window((h0, h1), (v0, v1))


def _draw_values(
    axes: Axes,
    values: NDArray[np.float32],
    grid: Grid,
    plane: Plane,
    window: Window,
    cmap: Colormap,
    norm: Any,
) -> None:
    """Lay values over the CT; nothing where they are unknown."""
    flat = cut(values, grid, plane, window)
    if flat is None:
        return
    h, v = flat.horizontal_mm, flat.vertical_mm
    dh, dv = 0.5 * (h[1] - h[0]), 0.5 * (v[1] - v[0])
    axes.imshow(
        np.ma.masked_invalid(flat.values),
        cmap=cmap,
        norm=norm,
        extent=(h[0] - dh, h[-1] + dh, v[0] - dv, v[-1] + dv),
        origin="lower",
        interpolation="nearest",
        aspect="equal",
        alpha=0.72,
        zorder=2,
    )


def _draw_outlines(axes: Axes, check: DoseCheck, plane: Plane) -> None:
    """Draw the targets and the patient's outline thin."""
    colors = curve_colors(check)
    for structure in check.structures.structures:
        is_body = structure.kind is StructureKind.EXTERNAL
        if structure.is_empty or not (structure.kind.is_target or is_body):
            continue
        color = "#f4f6f8" if is_body else colors.get(structure.name, "white")
        for line in cut_contours(structure, plane):
            axes.plot(line[:, 0], line[:, 1], color=color, lw=0.5 if is_body else 0.8, zorder=5)


def _color_bars(
    figure: Figure, shown: list[_Shown], top: float, width_in: float, gap_in: float
) -> None:
    """One scale below each column; the two doses share one."""
    labels = ("Gy", "", "% of highest planned", "")
    for column, (_, cmap, norm) in enumerate(shown):
        if column == 1:
            continue
        left = column * (width_in + gap_in) / style.PAGE_WIDTH_IN
        n_columns = 2 if column == 0 else 1
        width = (n_columns * width_in + (n_columns - 1) * gap_in) / style.PAGE_WIDTH_IN
        axes = figure.add_axes((left + 0.06 * width, 0.62 * top, 0.88 * width, 0.16 * top))
        bar = figure.colorbar(
            matplotlib.cm.ScalarMappable(norm=norm, cmap=cmap), cax=axes, orientation="horizontal"
        )
        bar.ax.tick_params(labelsize=5.5, length=2, width=0.5, colors=style.SLATE)
        bar.outline.set_visible(False)
        bar.set_label(labels[column], fontsize=5.8, color=style.SLATE, labelpad=1)


def draw_check_histograms(check: DoseCheck, comparison: DoseComparison) -> Figure:
    """Draw how gamma and the dose difference are distributed over the judged voxels.

    Parameters
    ----------
    check : DoseCheck
        For the pass rate asked for.
    comparison : DoseComparison
        Gamma under the first criterion.
    """
    gamma = comparison.gammas[0]
    judged = ~np.isnan(gamma.values)
    height = 2.1
    figure = style.new_figure(height)
    left = figure.add_axes((0.07, 0.19, 0.41, 0.68))
    values = gamma.values[judged]
    edges = np.linspace(0.0, gamma.criterion.max_gamma, 41)
    for low, high, color in ((0.0, 1.0, style.ACCENT), (1.0, np.inf, style.RED)):
        chosen = values[(values > low) & (values <= high) | ((values == 0) & (low == 0))]
        left.hist(chosen, bins=edges.tolist(), color=color, lw=0)
    left.axvline(1.0, color=style.INK, lw=0.7)
    left.set_yscale("log")
    left.set_xlabel(f"gamma, {criterion_text(gamma)}", color=style.SLATE, fontsize=6.3)
    left.set_ylabel("voxels", color=style.SLATE)
    title = f"{comparison.pass_percent:.2f} % pass, {check.pass_percent:g} % asked"
    left.set_title(title, fontsize=7, color=style.INK, pad=3)
    right = figure.add_axes((0.57, 0.19, 0.41, 0.68))
    highest = float(np.nanmax(comparison.planned.values))
    difference = (comparison.recalculated.values - comparison.planned.values)[judged]
    percent = 100.0 * difference / highest
    percent = percent[np.isfinite(percent)]
    reach = 2 * DIFFERENCE_PERCENT
    right.hist(
        np.clip(percent, -reach, reach),
        bins=np.linspace(-reach, reach, 61).tolist(),
        color=style.ACCENT,
        lw=0,
    )
    right.axvline(0.0, color=style.INK, lw=0.7)
    right.set_yscale("log")
    right.set_xlabel(
        "recalculated less planned, % of highest planned (ends: and beyond)",
        color=style.SLATE,
        fontsize=6.3,
    )
    mean = float(percent.mean()) if percent.size else float("nan")
    right.set_title(f"mean {mean:+.2f} %".replace("-", "−"), fontsize=7, color=style.INK, pad=3)
    for axes in (left, right):
        style.quiet(axes)
    return figure


def draw_check_figures(check: DoseCheck, folder: Path) -> dict[str, Path]:
    """Draw every picture of a check as PNG.

    Parameters
    ----------
    check : DoseCheck
        What to show.
    folder : Path
        Where the files go; it must exist.

    Returns
    -------
    dict of str to Path
        Files by the key of their picture.
    """
    makers: dict[str, Callable[[], Figure]] = {}
    comparison = check.comparison
    if comparison is not None:
        makers["planes"] = lambda: draw_check_planes(check, comparison)
        makers["histograms"] = lambda: draw_check_histograms(check, comparison)
    if curve_colors(check):
        makers["dvh"] = lambda: draw_check_dvh(check)
    paths = {}
    with matplotlib.rc_context(_FONT):
        for key, make in makers.items():
            paths[key] = folder / f"{key}.png"
            style.save(make(), paths[key])
    return paths
