"""Drawing on a plane: CT, dose, outlines, and what a radiologist expects around a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.lines import Line2D
from matplotlib.patheffects import AbstractPathEffect, withStroke

from rerad.core import Dose, Image, StructureKind
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.planes import Cut, Plane, Window, cut, outline

CT_WINDOW_HU = (-160.0, 240.0)
"""Level 40, width 400: soft tissue of the pelvis."""

_LIMIT_EFFECT: list[AbstractPathEffect] = [withStroke(linewidth=2.0, foreground="#1b2430")]

_TARGET_LINES: tuple[tuple[StructureKind, str, float, str], ...] = (
    (StructureKind.PTV, style.PTV, 0.7, "--"),
    (StructureKind.CTV, style.CTV, 1.0, "-"),
    (StructureKind.ITV, style.CTV, 0.8, "-."),
    (StructureKind.GTV, style.GTV, 1.2, "-"),
)
"""Drawn in this order: the GTV lies on top."""


@dataclass(frozen=True, slots=True)
class Isodoses:
    """Levels in Gy, ascending, each with its colour; perhaps a limit."""

    levels_gy: tuple[float, ...]
    colors: tuple[str, ...]
    limit_gy: float | None = None

    def colors_of(self, levels_gy: Sequence[float]) -> list[str]:
        """Return the colours of some of the levels."""
        colors = dict(zip(self.levels_gy, self.colors, strict=True))
        return [colors[level] for level in levels_gy]

    def handles(self) -> list[Line2D]:
        """Entries for a legend, highest first; the limit, drawn white, comes last."""
        pairs = zip(self.levels_gy, self.colors, strict=True)
        handles = [Line2D([], [], color=c, lw=1.6, label=f"{v:g} Gy") for v, c in pairs][::-1]
        if self.limit_gy is not None:
            label = f"limit {self.limit_gy:g} Gy"
            handles.append(
                Line2D([], [], color="white", lw=1.3, label=label, path_effects=_LIMIT_EFFECT)
            )
        return handles


def frame(axes: Axes, window: Window, *, flip: bool) -> None:
    """Prepare axes for a window of a plane, equal scale, no ticks; `flip` puts low y on top."""
    axes.set_xlim(*window.horizontal)
    low, high = window.vertical
    axes.set_ylim(*((high, low) if flip else (low, high)))
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_facecolor("black")
    for spine in axes.spines.values():
        spine.set_visible(False)


def draw_gray(
    axes: Axes, flat: Cut, low_high: tuple[float, float], cmap: str = "gray", alpha: float = 1.0
) -> None:
    """Draw values as grey levels; NaN stays black."""
    dh = 0.5 * (flat.horizontal_mm[1] - flat.horizontal_mm[0])
    dv = 0.5 * (flat.vertical_mm[1] - flat.vertical_mm[0])
    extent = (
        flat.horizontal_mm[0] - dh,
        flat.horizontal_mm[-1] + dh,
        flat.vertical_mm[0] - dv,
        flat.vertical_mm[-1] + dv,
    )
    axes.imshow(
        flat.values,
        cmap=cmap,
        vmin=low_high[0],
        vmax=low_high[1],
        extent=extent,
        origin="lower",
        interpolation="bilinear",
        aspect="equal",
        alpha=alpha,
        zorder=0,
    )


def draw_image(axes: Axes, image: Image, plane: Plane, window: Window) -> None:
    """Draw a CT in the soft-tissue window."""
    flat = cut(image.values, image.grid, plane, window)
    if flat is not None:
        draw_gray(axes, flat, CT_WINDOW_HU)


def draw_dose(axes: Axes, dose: Dose, plane: Plane, window: Window, isodoses: Isodoses) -> None:
    """Draw a light colour wash and isodose lines; hatch where the dose is unknown."""
    flat = cut(dose.values, dose.grid, plane, window)
    if flat is None:
        return
    h, v = flat.horizontal_mm, flat.vertical_mm
    known = np.ma.masked_invalid(flat.values)
    low, high = (known.min(), known.max()) if known.count() else (0.0, 0.0)
    levels = [level for level in isodoses.levels_gy if low < level < high]
    if levels:
        wash = ListedColormap(list(isodoses.colors))
        axes.contourf(
            h,
            v,
            known,
            levels=[*isodoses.levels_gy, 1e6],
            cmap=wash,
            norm=BoundaryNorm([*isodoses.levels_gy, 1e6], len(isodoses.levels_gy)),
            alpha=0.2,
            zorder=2,
        )
        axes.contour(
            h,
            v,
            known,
            levels=levels,
            colors=isodoses.colors_of(levels),
            linewidths=0.75,
            zorder=3,
        )
    limit = isodoses.limit_gy
    if limit is not None and low < limit < high:
        line = axes.contour(
            h, v, known, levels=[limit], colors=["white"], linewidths=0.9, zorder=4
        )
        line.set_path_effects(_LIMIT_EFFECT)
    unknown = np.isnan(flat.values)
    if unknown.any():
        shade = axes.contourf(
            h,
            v,
            unknown.astype(float),
            levels=[0.5, 1.5],
            colors=["none"],
            hatches=["////"],
            zorder=2,
        )
        shade.set_edgecolor("#9aa7b5")
        shade.set_linewidth(0.0)


def draw_targets(
    axes: Axes,
    result: CaseResult,
    plane: Plane,
    *,
    width: float = 1.0,
    kinds: frozenset[StructureKind] = frozenset(StructureKind),
    color: str | None = None,
) -> None:
    """Draw GTV red, CTV yellow, PTV dashed, or those of some kinds in another colour."""
    for kind, own_color, line_width, line_style in _TARGET_LINES:
        if kind not in kinds:
            continue
        for name in names_of_kind(result, kind):
            for line in outline(result, name, plane):
                axes.plot(
                    line[:, 0],
                    line[:, 1],
                    color=own_color if color is None else color,
                    lw=line_width * width,
                    ls=line_style,
                    zorder=5,
                )


def draw_organs(axes: Axes, result: CaseResult, plane: Plane, colors: Mapping[str, str]) -> None:
    """Draw organs thin."""
    for name, color in colors.items():
        for line in outline(result, name, plane):
            axes.plot(line[:, 0], line[:, 1], color=color, lw=0.6, zorder=4, alpha=0.9)


def names_of_kind(result: CaseResult, kind: StructureKind) -> list[str]:
    """Return the names of the structures of a kind, drawn or masked."""
    names = [s.name for s in result.structures.structures if s.kind is kind and not s.is_empty]
    names += [n for n, m in result.masks.items() if m.kind is kind and n not in names]
    return names


def draw_surroundings(
    axes: Axes, plane: Plane, window: Window, *, bar_mm: float = 50.0, is_cut: bool = True
) -> None:
    """Write the patient directions, the position of the plane if it is a cut, and a scale bar."""
    left, right, top, bottom = plane.view.letters
    glow = [withStroke(linewidth=1.6, foreground="black")]
    letter: dict[str, Any] = {
        "color": "#f4f6f8",
        "fontsize": 7.5,
        "weight": "bold",
        "transform": axes.transAxes,
        "path_effects": glow,
        "zorder": 9,
    }
    axes.text(0.018, 0.5, left, ha="left", va="center", **letter)
    axes.text(0.982, 0.5, right, ha="right", va="center", **letter)
    axes.text(0.5, 0.985, top, ha="center", va="top", **letter)
    axes.text(0.5, 0.015, bottom, ha="center", va="bottom", **letter)
    small = letter | {"fontsize": 5.6, "weight": "normal"}
    if is_cut:
        write_corner(axes, plane.label, line=0)
    low, high = window.horizontal
    start, share = 0.982 - bar_mm / (high - low), 0.035
    axes.plot(
        [start, 0.982],
        [share] * 2,
        transform=axes.transAxes,
        color="#f4f6f8",
        lw=1.6,
        zorder=9,
        path_effects=[withStroke(linewidth=2.6, foreground="black")],
        solid_capstyle="butt",
    )
    axes.text(
        (start + 0.982) / 2,
        share + 0.015,
        f"{bar_mm / 10:g} cm",
        ha="center",
        va="bottom",
        **small,
    )


def write_corner(axes: Axes, text: str, *, line: int) -> None:
    """Write a line of small text in the upper left corner of a picture."""
    axes.annotate(
        text,
        (0, 1),
        xycoords="axes fraction",
        xytext=(3, -3 - 8 * line),
        textcoords="offset points",
        ha="left",
        va="top",
        color="#f4f6f8",
        fontsize=6.2 if line else 5.6,
        weight="bold" if line else "normal",
        path_effects=[withStroke(linewidth=1.6, foreground="black")],
        zorder=9,
    )


def target_handles(result: CaseResult) -> list[Line2D]:
    """Entries for a legend: the kinds of target that there are."""
    handles = []
    for kind, color, width, line_style in reversed(_TARGET_LINES):
        if names_of_kind(result, kind):
            handles.append(
                Line2D([], [], color=_on_paper(color), lw=width * 1.3, ls=line_style, label=kind)
            )
    return handles


def _on_paper(color: str) -> str:
    """The same colour, dark enough for white paper."""
    return {style.CTV: "#e0b400", style.PTV: "#d9579f"}.get(color, color)
