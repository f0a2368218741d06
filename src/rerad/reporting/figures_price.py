"""Picture of the price map: where a Gy more of tolerance would buy most, on the planning CT."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rerad.errors import InputError
from rerad.optimize import PriceMap
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.drawing import (
    draw_image,
    draw_organs,
    draw_surroundings,
    draw_targets,
    frame,
    target_handles,
    write_corner,
)
from rerad.reporting.figures_dose import organ_colors, planes_at
from rerad.reporting.planes import Plane, View, Window, cut

_PRICE = LinearSegmentedColormap.from_list("price", ["#fff3b0", "#f6a821", "#dd3b1f", "#7c0f3c"])
"""From cheap to dear."""

_FREE = "#6fd3c7"
"""Limited, but the limit costs nothing there."""

_HALF_MM = 70.0
"""Half the width of the pictures, around the dearest voxel."""

_TOP_PERCENTILE = 99.0
"""Of the prices above 0; the scale ends there, so that single voxels do not darken the rest."""


def draw_price(result: CaseResult, price: PriceMap) -> Figure:
    """Draw the price of tolerance on three planes through the dearest voxel.

    Parameters
    ----------
    result : CaseResult
        For CT, targets and organs.
    price : PriceMap
        On the dose grid of the case.

    Returns
    -------
    Figure

    Raises
    ------
    FrameMismatchError
        If the map is in another frame than the planning CT.
    InputError
        If no voxel has a limit.
    """
    price.grid.require_same_frame(result.planning_image.grid, "price map")
    known = np.nan_to_num(price.values, nan=-1.0)
    if known.max() < 0:
        msg = "expected prices of at least one limited voxel, got none; there is no map to draw"
        raise InputError(msg)
    dearest = tuple(int(n) for n in np.unravel_index(int(known.argmax()), known.shape))
    x, y, z = (float(v) for v in price.grid.points(np.array(dearest)))
    scale = _scale(price)
    organs = {
        name: color for name, color in organ_colors(result).items() if name in result.structures
    }
    panel, gap, legend = (style.PAGE_WIDTH_IN - 0.08) / 3, 0.04, 0.74
    height = panel + legend
    figure = style.new_figure(height)
    for n, plane in enumerate(planes_at((x, y, z))):
        left = n * (panel + gap) / style.PAGE_WIDTH_IN
        axes = figure.add_axes(
            (left, legend / height, panel / style.PAGE_WIDTH_IN, panel / height)
        )
        window = _window(plane.view, (x, y, z))
        frame(axes, window, flip=plane.view is View.AXIAL)
        draw_image(axes, result.planning_image, plane, window)
        _draw_values(axes, price, plane, window, scale)
        draw_organs(axes, result, plane, organs)
        draw_targets(axes, result, plane, width=0.9)
        draw_surroundings(axes, plane, window)
        if n == 0:
            write_corner(axes, "Price of tolerance", line=1)
    _color_bar(figure, price, scale, 0.52 / height)
    _legend(figure, result, organs, 0.33 / height)
    return figure


def _scale(price: PriceMap) -> Normalize:
    """Return the scale of the colours, from 0 to what all but the dearest voxels cost."""
    above = price.values[price.values > 0]
    top = float(np.percentile(above, _TOP_PERCENTILE)) if above.size else 1.0
    return Normalize(0.0, top)


def _window(view: View, point_mm: tuple[float, float, float]) -> Window:
    h, v = point_mm[view.horizontal], point_mm[view.vertical]
    return Window((h - _HALF_MM, h + _HALF_MM), (v - _HALF_MM, v + _HALF_MM))


def _draw_values(
    axes: Axes, price: PriceMap, plane: Plane, window: Window, scale: Normalize
) -> None:
    """Fill limited voxels: dear ones by their price, those that cost nothing in one faint colour.

    Voxels are shown as they are: prices of neighbours differ, and a mean of them is no price.
    """
    flat = cut(price.values, price.grid, plane, window)
    if flat is None:
        return
    h, v = flat.horizontal_mm, flat.vertical_mm
    dh, dv = 0.5 * (h[1] - h[0]), 0.5 * (v[1] - v[0])
    shared: dict[str, Any] = {
        "extent": (h[0] - dh, h[-1] + dh, v[0] - dv, v[-1] + dv),
        "origin": "lower",
        "interpolation": "nearest",
        "aspect": "equal",
    }
    is_free = np.ma.masked_where(~(flat.values == 0), flat.values)
    free = LinearSegmentedColormap.from_list("free", [_FREE, _FREE])
    axes.imshow(is_free, cmap=free, vmin=0, vmax=1, alpha=0.28, zorder=2, **shared)
    dear = np.ma.masked_where(~(flat.values > 0), flat.values)
    axes.imshow(dear, cmap=_PRICE, norm=scale, alpha=0.85, zorder=2, **shared)


def _color_bar(figure: Figure, price: PriceMap, scale: Normalize, bottom: float) -> None:
    """Draw the scale with its unit below the pictures."""
    axes = figure.add_axes((0.03, bottom, 0.36, 0.035))
    axes.imshow(np.linspace(0, 1, 256)[None], cmap=_PRICE, aspect="auto", extent=(0, 1, 0, 1))
    top = float(scale.vmax or 1.0)
    shares = (0.0, 0.5, 1.0)
    labels = [f"{top * share:.2g}" for share in shares]
    labels[-1] = f"≥ {labels[-1]}"
    axes.set_xticks(shares, labels, fontsize=5.8, color=style.SLATE)
    axes.set_yticks([])
    axes.tick_params(length=1.5, pad=1.5, color=style.FAINT)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.text(
        0.41,
        bottom + 0.018,
        f"{price.unit}: what a Gy more of tolerance in a voxel would buy",
        fontsize=6.2,
        color=style.SLATE,
        va="center",
    )


def _legend(figure: Figure, result: CaseResult, organs: dict[str, str], top: float) -> None:
    """Targets and the voxels that cost nothing, then organs."""
    shared: dict[str, Any] = {
        "loc": "upper center",
        "frameon": False,
        "handlelength": 1.6,
        "columnspacing": 1.3,
        "handletextpad": 0.5,
        "borderaxespad": 0.1,
    }
    handles: list[Any] = [*target_handles(result)]
    handles.append(Patch(color=_FREE, alpha=0.5, label="limited, costs nothing"))
    figure.legend(
        handles=handles, bbox_to_anchor=(0.5, top), ncols=len(handles), fontsize=6.4, **shared
    )
    if organs:
        entries = [Line2D([], [], color=c, lw=1.0, label=name) for name, c in organs.items()][:10]
        figure.legend(
            handles=entries,
            bbox_to_anchor=(0.5, 0.48 * top),
            ncols=len(entries),
            fontsize=5.6,
            **shared,
        )
