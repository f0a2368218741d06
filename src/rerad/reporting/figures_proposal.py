"""Paths proposed from bone points, on projections of the bones: from the front and the side."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from rerad.core import Image, NervePath
from rerad.reporting import style
from rerad.reporting.drawing import draw_gray, draw_surroundings, frame
from rerad.reporting.planes import Cut, Plane, View, Window

_COLORS = {"R": "#ff6b5e", "L": "#4fb3ff"}
_WINDOW_HU = (0.0, 900.0)
_PAD_MM = 30.0
_HEAD_IN, _FOOT_IN, _GAP_IN = 0.22, 0.3, 0.04

Point = tuple[float, float, float]


def draw_proposal(
    image: Image, paths: Mapping[str, NervePath], points: Mapping[str, Point]
) -> Figure:
    """Draw proposed paths and the bone points that they came from.

    Parameters
    ----------
    image : Image
        CT in HU.
    paths : mapping of str to NervePath
        At least one.
    points : mapping of str to point
        Bone points, mm.

    Returns
    -------
    Figure
        Highest values along the line of sight; right red, left blue, both dashed.
    """
    everything = np.concatenate(
        [np.array(list(points.values())), *(path.points_mm for path in paths.values())]
    )
    low, high = everything.min(axis=0) - _PAD_MM, everything.max(axis=0) + _PAD_MM
    windows = [
        Window((low[v.horizontal], high[v.horizontal]), (low[v.vertical], high[v.vertical]))
        for v in (View.CORONAL, View.SAGITTAL)
    ]
    spans = [w.horizontal[1] - w.horizontal[0] for w in windows]
    per_mm = (style.PAGE_WIDTH_IN - _GAP_IN) / sum(spans)
    panel_in = (windows[0].vertical[1] - windows[0].vertical[0]) * per_mm
    height = panel_in + _HEAD_IN + _FOOT_IN
    figure = style.new_figure(height)
    left_in = 0.0
    for view, window, span in zip((View.CORONAL, View.SAGITTAL), windows, spans, strict=True):
        size = (span * per_mm / style.PAGE_WIDTH_IN, panel_in / height)
        axes = figure.add_axes((left_in / style.PAGE_WIDTH_IN, _FOOT_IN / height, *size))
        left_in += span * per_mm + _GAP_IN
        frame(axes, window, flip=False)
        _draw_bones(axes, image, view, (low, high))
        _draw_lines(axes, view, paths, points)
        draw_surroundings(axes, Plane(view, 0.0), window, bar_mm=50.0, is_cut=False)
    _words(figure, height)
    return figure


def _draw_bones(axes: Axes, image: Image, view: View, box: tuple[np.ndarray, np.ndarray]) -> None:
    """Draw the highest value along the line of sight within a box."""
    grid = image.grid
    first = np.clip(np.floor(grid.indices(box[0])), 0, None).astype(int)
    last = np.minimum(np.ceil(grid.indices(box[1])).astype(int) + 1, grid.shape)
    part = image.values[tuple(slice(int(a), int(b)) for a, b in zip(first, last, strict=True))]
    flat = part.max(axis=2 - view.normal).astype(np.float32)
    starts = grid.points(first)
    h = starts[view.horizontal] + np.arange(flat.shape[1]) * grid.spacing_mm[view.horizontal]
    v = starts[view.vertical] + np.arange(flat.shape[0]) * grid.spacing_mm[view.vertical]
    draw_gray(axes, Cut(flat, h, v), _WINDOW_HU)


def _draw_lines(
    axes: Axes, view: View, paths: Mapping[str, NervePath], points: Mapping[str, Point]
) -> None:
    """Draw paths dashed, their names at their start, and bone points as dots."""
    for name, path in paths.items():
        color = _COLORS.get(path.side, "white")
        h, v = path.points_mm[:, view.horizontal], path.points_mm[:, view.vertical]
        axes.plot(h, v, color=color, lw=1.1, ls=(0, (4, 1.5)), zorder=5,
                  path_effects=[withStroke(linewidth=2.0, foreground="black")])  # fmt: skip
        if view is View.CORONAL:
            axes.text(
                h[0], v[0] + 4.0, name.split("_")[0], color=color, fontsize=6, ha="center",
                zorder=9, path_effects=[withStroke(linewidth=1.6, foreground="black")],
            )  # fmt: skip
    for name, point in points.items():
        axes.plot(point[view.horizontal], point[view.vertical], "o", ms=2.6, mew=0.4,
                  mfc=_COLORS.get(name[-1], "white"), mec="white", zorder=6)  # fmt: skip


def _words(figure: Figure, height: float) -> None:
    """Write what this is, and what it is not."""
    figure.text(0.0, 1 - 0.09 / height, "First proposal of the roots' course from bone points: "
                "for review, not validated, not measured", ha="left", va="center", fontsize=7.5,
                color=style.INK)  # fmt: skip
    low, high = _WINDOW_HU
    figure.text(0.0, 0.14 / height, f"highest CT value along the line of sight, {low:g} to "
                f"{high:g} HU; dots: bone points", ha="left", va="center", fontsize=6,
                color=style.SLATE)  # fmt: skip
    handles = [
        Line2D([], [], color=color, lw=1.4, ls="--", label={"R": "right", "L": "left"}[side])
        for side, color in _COLORS.items()
    ]
    figure.legend(handles=handles, loc="lower right", ncols=2, fontsize=6.5, frameon=False)
