"""Pictures that compare images: how well two CTs fit, and the target on CT, PET and MRI."""

from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.accumulation.map_dose import pulled
from rerad.core import Image, RigidTransform, StructureKind
from rerad.imaging import AIR_HU
from rerad.planning.result import CaseResult, PriorCourse
from rerad.reporting import style
from rerad.reporting.drawing import (
    CT_WINDOW_HU,
    draw_gray,
    draw_image,
    draw_surroundings,
    draw_targets,
    frame,
)
from rerad.reporting.figures_dose import close_window
from rerad.reporting.planes import Cut, Plane, View, Window, cut, cut_mapped, target_point

_BONE_HU = 180.0
"""Edge of bone in the overlay: between soft tissue and cortical bone."""

_TILE_MM = 35.0
"""Size of a field of the checkerboard."""

_STEP_MM = 1.0
_ON_PET = "#35e0ff"
_PET_MAX_SUV = 8.0


def draw_registration(result: CaseResult, prior: PriorCourse) -> Figure:
    """Draw today's CT, the earlier CT mapped onto it, their checkerboard and bone edges."""
    point = target_point(result)
    rows = (
        (Plane(View.AXIAL, point[2]), close_window(result, View.AXIAL, 150, 110)),
        (Plane(View.SAGITTAL, point[0]), close_window(result, View.SAGITTAL, 150, 110)),
    )
    titles = ("Today", "Earlier, mapped", "Checkerboard", "Bone edges of the earlier CT")
    gap_in, head_in = 0.035, 0.2
    panel = (style.PAGE_WIDTH_IN - 3 * gap_in) / 4
    panel_height = panel * rows[0][1].aspect
    height = 2 * panel_height + gap_in + head_in
    figure = style.new_figure(height)
    for row, (plane, window) in enumerate(rows):
        today, earlier = _both(result.planning_image, prior, plane, window)
        bottom = ((1 - row) * (panel_height + gap_in)) / height
        for column in range(4):
            left = column * (panel + gap_in) / style.PAGE_WIDTH_IN
            size = (panel / style.PAGE_WIDTH_IN, panel_height / height)
            axes = figure.add_axes((left, bottom, *size))
            frame(axes, window, flip=plane.view is View.AXIAL)
            _draw_comparison(axes, column, today, earlier)
            draw_surroundings(axes, plane, window)
            if row == 0:
                figure.text(
                    left + 0.5 * panel / style.PAGE_WIDTH_IN,
                    1 - 0.35 * head_in / height,
                    titles[column],
                    ha="center",
                    va="center",
                    fontsize=6.6,
                    color=style.INK,
                )
    return figure


def _both(today: Image, prior: PriorCourse, plane: Plane, window: Window) -> tuple[Cut, Cut]:
    """Both CTs on the same points of a plane."""
    image, transform = prior.study.image, prior.transform
    if prior.deformation is not None:
        field = prior.deformation
        values = np.asarray(image.values, dtype=np.float32)
        mapped = pulled(values, image.grid, field, field.grid, outside=AIR_HU)
        image = replace(image, values=mapped, grid=field.grid)
        transform = RigidTransform.identity(field.grid.frame_uid)
    earlier = cut_mapped(image, transform, plane, window, _STEP_MM)
    flat = cut(today.values, today.grid, plane, window)
    values = np.full(earlier.values.shape, np.nan, dtype=np.float32)
    if flat is not None:
        rows = np.array(
            [
                np.interp(earlier.horizontal_mm, flat.horizontal_mm, r, np.nan, np.nan)
                for r in flat.values
            ]
        )
        columns = [
            np.interp(earlier.vertical_mm, flat.vertical_mm, c, np.nan, np.nan) for c in rows.T
        ]
        values = np.array(columns, dtype=np.float32).T
    return Cut(values, earlier.horizontal_mm, earlier.vertical_mm), earlier


def _draw_comparison(axes: Axes, column: int, today: Cut, earlier: Cut) -> None:
    """One of the four ways to look at two images."""
    if column == 1:
        draw_gray(axes, earlier, CT_WINDOW_HU)
        return
    if column == 2:
        is_today = _tiles(today)
        mixed = np.where(is_today, today.values, earlier.values)
        draw_gray(axes, Cut(mixed, today.horizontal_mm, today.vertical_mm), CT_WINDOW_HU)
        tint = np.zeros((*is_today.shape, 4))
        tint[~is_today & (earlier.values > -500.0)] = (1.0, 0.75, 0.2, 0.16)
        axes.imshow(
            tint,
            extent=_extent(today),
            origin="lower",
            zorder=1,
            aspect="equal",
            interpolation="nearest",
        )
        return
    draw_gray(axes, today, CT_WINDOW_HU)
    if column == 3:
        smooth = gaussian_filter(np.nan_to_num(earlier.values, nan=-1000.0), 0.8)
        if smooth.max() > _BONE_HU:
            axes.contour(
                earlier.horizontal_mm,
                earlier.vertical_mm,
                smooth,
                levels=[_BONE_HU],
                colors=["#ffb627"],
                linewidths=0.6,
                zorder=3,
            )


def _tiles(flat: Cut) -> NDArray[np.bool_]:
    """True where the checkerboard shows the first image."""
    h = np.floor((flat.horizontal_mm - flat.horizontal_mm[0]) / _TILE_MM).astype(int)
    v = np.floor((flat.vertical_mm - flat.vertical_mm[0]) / _TILE_MM).astype(int)
    return np.asarray((h[None, :] + v[:, None]) % 2 == 0)


def _extent(flat: Cut) -> tuple[float, float, float, float]:
    h, v = flat.horizontal_mm, flat.vertical_mm
    return (
        h[0] - 0.5 * _STEP_MM,
        h[-1] + 0.5 * _STEP_MM,
        v[0] - 0.5 * _STEP_MM,
        v[-1] + 0.5 * _STEP_MM,
    )


def draw_fusion(result: CaseResult) -> Figure:
    """Draw CT, PET over CT and MRI at the target, axial above and coronal below."""
    point = target_point(result)
    columns = ["CT"]
    columns += ["PET over CT"] if result.pet_suv is not None else []
    columns += ["MRI"] if result.mr is not None else []
    planes = (Plane(View.AXIAL, point[2]), Plane(View.CORONAL, point[1]))
    gap_in, head_in, foot_in = 0.04, 0.2, 0.34
    panel = (style.PAGE_WIDTH_IN - (len(columns) - 1) * gap_in) / len(columns)
    panel = min(panel, 2.6)
    height = 2 * panel * 0.82 + gap_in + head_in + foot_in
    figure = style.new_figure(height)
    start = (style.PAGE_WIDTH_IN - len(columns) * panel - (len(columns) - 1) * gap_in) / 2
    peak = _pet_scale(result, point)
    for row, plane in enumerate(planes):
        window = close_window(result, plane.view, 80, 80 * 0.82)
        bottom = (foot_in + (1 - row) * (panel * 0.82 + gap_in)) / height
        for n, name in enumerate(columns):
            left = (start + n * (panel + gap_in)) / style.PAGE_WIDTH_IN
            size = (panel / style.PAGE_WIDTH_IN, panel * 0.82 / height)
            axes = figure.add_axes((left, bottom, *size))
            frame(axes, window, flip=plane.view is View.AXIAL)
            _draw_modality(axes, result, name, plane, window, peak)
            gtv = frozenset({StructureKind.GTV})
            color = _ON_PET if name == "PET over CT" else None
            draw_targets(axes, result, plane, width=0.6, kinds=gtv, color=color)
            _draw_arrow(axes, point, plane, window)
            draw_surroundings(axes, plane, window, bar_mm=30.0)
            if row == 0:
                figure.text(
                    left + size[0] / 2,
                    1 - 0.4 * head_in / height,
                    name,
                    ha="center",
                    va="center",
                    fontsize=6.6,
                    color=style.INK,
                )
    if result.pet_suv is not None:
        _suv_bar(figure, peak, height)
    return figure


def _pet_scale(result: CaseResult, point: tuple[float, float, float]) -> float:
    """Top of the SUV scale: what is near the target decides, not the bladder."""
    if result.pet_suv is None:
        return _PET_MAX_SUV
    flats = [
        cut(result.pet_suv.values, result.pet_suv.grid, plane, window)
        for plane, window in (
            (Plane(View.AXIAL, point[2]), _around(point, View.AXIAL, 20.0)),
            (Plane(View.CORONAL, point[1]), _around(point, View.CORONAL, 20.0)),
        )
    ]
    known = [flat.values[np.isfinite(flat.values)] for flat in flats if flat is not None]
    peaks = [float(values.max()) for values in known if len(values)]
    return float(np.clip(np.ceil(max(peaks, default=_PET_MAX_SUV)), 3.0, 15.0))


def _around(point: tuple[float, float, float], view: View, half_mm: float) -> Window:
    h, v = point[view.horizontal], point[view.vertical]
    return Window((h - half_mm, h + half_mm), (v - half_mm, v + half_mm))


def _draw_modality(
    axes: Axes, result: CaseResult, name: str, plane: Plane, window: Window, peak: float
) -> None:
    """CT alone, PET over CT, or MRI."""
    if name == "MRI" and result.mr is not None:
        flat = cut(result.mr.values, result.mr.grid, plane, window)
        if flat is not None and np.any(np.isfinite(flat.values)):
            low, high = np.nanpercentile(flat.values, [1, 99.5])
            draw_gray(axes, flat, (float(low), float(max(high, low + 1))))
        return
    draw_image(axes, result.planning_image, plane, window)
    if name == "PET over CT" and result.pet_suv is not None:
        flat = cut(result.pet_suv.values, result.pet_suv.grid, plane, window)
        if flat is not None:
            _draw_hot(axes, flat, peak)


def _draw_hot(axes: Axes, flat: Cut, peak: float) -> None:
    """PET as a hot colour over CT, clearer where it is weak."""
    share = np.clip(np.nan_to_num(flat.values) / peak, 0, 1)
    rgba = ScalarMappable(Normalize(0, 1), "hot").to_rgba(share)
    rgba[..., 3] = np.clip((share - 0.18) * 2.4, 0, 0.8)
    dh = 0.5 * (flat.horizontal_mm[1] - flat.horizontal_mm[0])
    dv = 0.5 * (flat.vertical_mm[1] - flat.vertical_mm[0])
    extent = (
        flat.horizontal_mm[0] - dh,
        flat.horizontal_mm[-1] + dh,
        flat.vertical_mm[0] - dv,
        flat.vertical_mm[-1] + dv,
    )
    axes.imshow(
        rgba, extent=extent, origin="lower", interpolation="bilinear", zorder=1, aspect="equal"
    )


def _draw_arrow(
    axes: Axes, point: tuple[float, float, float], plane: Plane, window: Window
) -> None:
    """An arrow from outside that ends short of the target."""
    at = np.array([point[plane.view.horizontal], point[plane.view.vertical]])
    size = window.horizontal[1] - window.horizontal[0]
    down = 1 if plane.view is View.AXIAL else -1
    direction = np.array([-1.0, down * 0.75]) / np.hypot(1.0, 0.75)
    axes.annotate(
        "",
        xy=tuple(at + 0.055 * size * direction),
        xytext=tuple(at + 0.19 * size * direction),
        arrowprops={
            "arrowstyle": "-|>",
            "color": "#ffffff",
            "lw": 1.1,
            "mutation_scale": 7,
            "path_effects": [withStroke(linewidth=2.2, foreground="black")],
        },
        zorder=8,
    )


def _suv_bar(figure: Figure, peak: float, height: float) -> None:
    """The scale of the PET."""
    axes = figure.add_axes((0.33, 0.2 / height, 0.34, 0.075 / height))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, peak), "hot"), cax=axes, orientation="horizontal"
    )
    bar.outline.set_linewidth(0.4)
    bar.set_ticks([0, peak / 2, peak])
    bar.ax.tick_params(labelsize=5.8, length=2, width=0.4, pad=1.5, colors=style.SLATE)
    axes.text(
        -0.02,
        0.5,
        "SUVbw, g/ml",
        ha="right",
        va="center",
        fontsize=6,
        color=style.SLATE,
        transform=axes.transAxes,
    )
