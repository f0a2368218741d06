"""Pictures of nerves and targets: MRI, PET over CT, targets on CT, straightened views, a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from rerad.core import Image, NervePath, Structure, StructureKind, StructureSet
from rerad.nerves import NerveComparison, NerveMeasurement
from rerad.reporting import style
from rerad.reporting.drawing import (
    CT_WINDOW_HU,
    draw_gray,
    draw_image,
    draw_surroundings,
    frame,
)
from rerad.reporting.figures_nerve_table import draw_table
from rerad.reporting.figures_proposal import draw_proposal
from rerad.reporting.figures_straight import draw_straight
from rerad.reporting.planes import Cut, Plane, View, Window, cut, cut_contours

_HALF_MM = {View.AXIAL: 75.0, View.CORONAL: 75.0}
_ASPECT = 0.86
_GAP_IN, _HEAD_IN, _FOOT_IN = 0.04, 0.22, 0.36
_LINES = {
    StructureKind.PTV: (style.PTV, 0.7, "--"),
    StructureKind.CTV: (style.CTV, 1.0, "-"),
    StructureKind.GTV: (style.GTV, 1.2, "-"),
}
_PTV_DASHES = ("--", ":", "-.")
_OUTLINE_COLOR = "#ff5be0"
_NERVE_COLOR = "#35e0ff"


@dataclass(frozen=True, eq=False, slots=True)
class NervePictures:
    """What is drawn.

    Parameters
    ----------
    image : Image
        Planning CT.
    pet_suv, mr : Image or None
        In the same frame.
    structures : StructureSet
        Targets and organs as contours.
    measurements : mapping of str to NerveMeasurement
        By root and side.
    comparisons : tuple of NerveComparison
        Of the same roots.
    proposals : mapping of str to NervePath
        Paths proposed from bone points, not measured.
    bone_points : mapping of str to point
        Where they came from.
    outlines : tuple of Structure
        Proposed on PET, not accepted.
    """

    image: Image
    pet_suv: Image | None
    mr: Image | None
    structures: StructureSet
    measurements: Mapping[str, NerveMeasurement]
    comparisons: tuple[NerveComparison, ...]
    proposals: Mapping[str, NervePath] = field(default_factory=dict)
    bone_points: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    outlines: tuple[Structure, ...] = ()

    def of_kind(self, kind: StructureKind) -> list[Structure]:
        """Return the drawn structures of a kind."""
        return [s for s in self.structures.structures if s.kind is kind and not s.is_empty]


def write_nerve_figures(pictures: NervePictures, folder: Path) -> dict[str, Path]:
    """Draw every picture that there is data for, as PNG.

    Parameters
    ----------
    pictures : NervePictures
        What to show.
    folder : Path
        Where the files go; it must exist.

    Returns
    -------
    dict of str to Path
        Files by name: ``mri``, ``fusion``, ``target``, ``straight_L5``, ``nerve_table``,
        ``proposal``.
    """
    settings: dict[Any, Any] = {
        "font.family": style.FONT["family"],
        "font.size": style.FONT["size"],
        "axes.linewidth": 0.6,
        "savefig.facecolor": style.PAPER,
    }
    paths = {}
    with matplotlib.rc_context(settings):
        for name, make in nerve_makers(pictures).items():
            paths[name] = folder / f"{name}.png"
            style.save(make(), paths[name], dpi=220)
    return paths


def nerve_makers(pictures: NervePictures) -> dict[str, Callable[[], Figure]]:
    """Return, by name, what draws each picture that there is data for."""
    point = picture_point(pictures)
    makers: dict[str, Callable[[], Figure]] = {}
    if pictures.mr is not None:
        makers["mri"] = lambda: draw_mri(pictures, point)
    if pictures.pet_suv is not None:
        makers["fusion"] = lambda: draw_fusion(pictures, point)
    makers["target"] = lambda: draw_target(pictures, point)
    images = (pictures.image, pictures.pet_suv, pictures.mr)
    for root in roots_of(pictures):
        sides = (
            pictures.measurements.get(f"{root}_R"),
            pictures.measurements.get(f"{root}_L"),
        )
        makers[f"straight_{root}"] = partial(draw_straight, root, sides, images)
    if pictures.comparisons:
        makers["nerve_table"] = lambda: draw_table(pictures.comparisons)
    if pictures.proposals:
        makers["proposal"] = lambda: draw_proposal(
            pictures.image, pictures.proposals, pictures.bone_points
        )
    return makers


def roots_of(pictures: NervePictures) -> tuple[str, ...]:
    """Return the roots that were measured, sides aside, in order."""
    return tuple(dict.fromkeys(m.root for m in pictures.measurements.values()))


def picture_point(pictures: NervePictures) -> tuple[float, float, float]:
    """Return the point that the pictures are cut through: in the GTV, or on a flagged nerve."""
    for kind in (StructureKind.GTV, StructureKind.CTV, StructureKind.PTV):
        drawn = pictures.of_kind(kind)
        if drawn:
            contours = [c for s in drawn for c in s.contours]
            areas: dict[float, float] = {}
            for contour in contours:
                areas[contour.z_mm] = areas.get(contour.z_mm, 0.0) + _area(contour.points_mm)
            z = max(areas, key=lambda key: areas[key])
            here = max((c for c in contours if c.z_mm == z), key=lambda c: _area(c.points_mm))
            x, y = here.points_mm.mean(axis=0)
            return float(x), float(y), float(z)
    for comparison in sorted(pictures.comparisons, key=lambda c: not c.is_flagged):
        path = pictures.measurements[comparison.name].caliber.path
        x, y, z = path.at(path.length_mm / 2)
        return float(x), float(y), float(z)
    x, y, z = (
        0.5 * (a + b)
        for a, b in zip(pictures.image.grid.origin_mm, pictures.image.grid.end_mm, strict=True)
    )
    return x, y, z


def _area(points: Any) -> float:
    x, y = points[:, 0], points[:, 1]
    return 0.5 * abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1)))


@dataclass(frozen=True, slots=True)
class _Panel:
    """One picture of a row: where it is cut and what is shown of it."""

    axes: Axes
    plane: Plane
    window: Window


def _panels(
    point: tuple[float, float, float], *, foot_in: float = _FOOT_IN
) -> tuple[Figure, list[_Panel]]:
    """Return a figure with an axial and a coronal panel through a point."""
    width = (style.PAGE_WIDTH_IN - _GAP_IN) / 2
    height = width * _ASPECT + _HEAD_IN + foot_in
    figure = style.new_figure(height)
    panels = []
    for n, view in enumerate((View.AXIAL, View.CORONAL)):
        plane = Plane(view, point[view.normal])
        half = _HALF_MM[view]
        # The midline is shown, so that right can be held against left.
        centre = 0.3 * point[view.horizontal] if view.horizontal == 0 else point[view.horizontal]
        v = point[view.vertical]
        window = Window((centre - half, centre + half), (v - half * _ASPECT, v + half * _ASPECT))
        left = n * (width + _GAP_IN) / style.PAGE_WIDTH_IN
        size = (width / style.PAGE_WIDTH_IN, width * _ASPECT / height)
        axes = figure.add_axes((left, foot_in / height, *size))
        frame(axes, window, flip=view is View.AXIAL)
        panels.append(_Panel(axes, plane, window))
    return figure, panels


def _title(figure: Figure, text: str) -> None:
    height = figure.get_size_inches()[1]
    figure.text(
        0.0, 1 - 0.09 / height, text, ha="left", va="center", fontsize=7.5, color=style.INK
    )


def _window_note(figure: Figure, text: str, *, x: float = 0.0) -> None:
    height = figure.get_size_inches()[1]
    figure.text(x, 0.2 / height, text, ha="left", va="center", fontsize=6, color=style.SLATE)


def draw_mri(pictures: NervePictures, point: tuple[float, float, float]) -> Figure:
    """Draw the MRI as it is, axial and coronal, with nothing on it."""
    assert pictures.mr is not None
    figure, panels = _panels(point)
    for panel in panels:
        flat = cut(pictures.mr.values, pictures.mr.grid, panel.plane, panel.window)
        if flat is not None and np.any(np.isfinite(flat.values)):
            low, high = np.nanpercentile(flat.values, [1, 99.3])
            draw_gray(panel.axes, flat, (float(low), float(max(high, low + 1))))
        draw_surroundings(panel.axes, panel.plane, panel.window, bar_mm=30.0)
    what = f" ({pictures.mr.description})" if pictures.mr.description else ""
    _title(figure, f"MRI{what}: axial and coronal plane")
    _window_note(figure, "window: 1st to 99th percentile of each plane")
    return figure


def draw_fusion(pictures: NervePictures, point: tuple[float, float, float]) -> Figure:
    """Draw PET over CT with the measured nerves marked."""
    assert pictures.pet_suv is not None
    figure, panels = _panels(point)
    peak = _peak(pictures.pet_suv, panels)
    for panel in panels:
        draw_image(panel.axes, pictures.image, panel.plane, panel.window)
        flat = cut(pictures.pet_suv.values, pictures.pet_suv.grid, panel.plane, panel.window)
        if flat is not None:
            draw_hot(panel.axes, flat, peak)
        for comparison in pictures.comparisons:
            path = pictures.measurements[comparison.name].caliber.path
            _draw_nerve(panel, path, comparison)
        _draw_outlines(panel, pictures.outlines)
        _plate(panel.axes, 30.0 / (2 * _HALF_MM[panel.plane.view]))
        draw_surroundings(panel.axes, panel.plane, panel.window, bar_mm=30.0)
    more = "; proposed outlines dashed, not accepted" if pictures.outlines else ""
    _title(figure, f"PET over CT; centre lines of the roots, bold where flagged{more}")
    _window_note(figure, f"CT {CT_WINDOW_HU[0]:g} to {CT_WINDOW_HU[1]:g} HU".replace("-", "−"))
    suv_bar(figure, peak, (0.62, 0.2, 0.3))
    return figure


def _draw_outlines(panel: _Panel, outlines: tuple[Structure, ...]) -> None:
    """Draw what was proposed on PET, dashed."""
    for structure in outlines:
        for line in cut_contours(structure, panel.plane):
            panel.axes.plot(
                line[:, 0], line[:, 1], color=_OUTLINE_COLOR, lw=0.9, ls=(0, (3, 1.2)), zorder=5
            )


def _plate(axes: Axes, share: float) -> None:
    """Darken where the scale bar will stand, so that no line runs through it."""
    axes.add_patch(
        Rectangle(
            (0.982 - share - 0.015, 0.012), share + 0.03, 0.085, transform=axes.transAxes,
            facecolor="black", alpha=0.8, lw=0, zorder=8,
        )
    )  # fmt: skip


def _peak(suv: Image, panels: list[_Panel]) -> float:
    """Return the top of the SUV scale: what lies in the middle of the pictures decides."""
    highest = 3.0
    for panel in panels:
        flat = cut(suv.values, suv.grid, panel.plane, panel.window)
        if flat is not None:
            n, m = flat.values.shape
            middle = flat.values[n // 4 : n - n // 4, m // 4 : m - m // 4]
            known = middle[np.isfinite(middle)]
            highest = max(highest, float(np.percentile(known, 99.95)) if len(known) else highest)
    return float(np.clip(np.ceil(highest), 3.0, 15.0))


def draw_hot(axes: Axes, flat: Cut, peak: float) -> None:
    """Draw PET as a hot colour over CT, clearer where it is weak."""
    share = np.clip(np.nan_to_num(flat.values) / peak, 0, 1)
    rgba = ScalarMappable(Normalize(0, 1), "hot").to_rgba(share)
    rgba[..., 3] = np.clip((share - 0.18) * 2.4, 0, 0.8)
    dh = 0.5 * (flat.horizontal_mm[1] - flat.horizontal_mm[0])
    dv = 0.5 * (flat.vertical_mm[1] - flat.vertical_mm[0])
    h, v = flat.horizontal_mm, flat.vertical_mm
    axes.imshow(
        rgba,
        extent=(h[0] - dh, h[-1] + dh, v[0] - dv, v[-1] + dv),
        origin="lower",
        interpolation="bilinear",
        zorder=1,
        aspect="equal",
    )


def _draw_nerve(panel: _Panel, path: NervePath, comparison: NerveComparison) -> None:
    """Draw the part of a path near the plane: a ring where it crosses, a line where it runs."""
    view = panel.plane.view
    points = path.points_mm
    depth = np.abs(points[:, view.normal] - panel.plane.position_mm)
    near = depth <= (2.0 if view is View.AXIAL else 9.0)
    if not near.any():
        return
    h, v = points[:, view.horizontal], points[:, view.vertical]
    width = 1.3 if comparison.is_flagged else 0.7
    glow = [withStroke(linewidth=width + 1.0, foreground="#06222a")]
    if view is View.AXIAL:
        n = int(np.argmin(depth))
        panel.axes.plot(
            h[n], v[n], "o", ms=11 if comparison.is_flagged else 6, mfc="none",
            mec=_NERVE_COLOR, mew=width, zorder=6, path_effects=glow,
        )  # fmt: skip
        at = (h[n], v[n])
    else:
        line = np.where(near, v, np.nan)
        panel.axes.plot(h, line, color=_NERVE_COLOR, lw=width, zorder=6, path_effects=glow)
        n = int(np.flatnonzero(near)[len(np.flatnonzero(near)) // 2])
        at = (h[n], v[n])
    if not comparison.is_flagged:
        return
    outward = -9.0 if at[0] < 0 else 9.0
    panel.axes.annotate(
        comparison.name.replace("_", " "), at, xytext=(at[0] + outward, at[1]),
        ha="right" if outward < 0 else "left", va="center", color="white", fontsize=6.5,
        weight="bold", zorder=9, path_effects=[withStroke(linewidth=1.8, foreground="black")],
        annotation_clip=True,
    )  # fmt: skip


def draw_target(pictures: NervePictures, point: tuple[float, float, float]) -> Figure:
    """Draw GTV red, CTV yellow and PTV dashed on the planning CT."""
    figure, panels = _panels(point)
    drawn = {kind: pictures.of_kind(kind) for kind in _LINES}
    for panel in panels:
        draw_image(panel.axes, pictures.image, panel.plane, panel.window)
        for kind, (color, width, _) in _LINES.items():
            for n, structure in enumerate(drawn[kind]):
                dash = _dash(kind, n)
                for line in cut_contours(structure, panel.plane):
                    panel.axes.plot(
                        line[:, 0], line[:, 1], color=color, lw=width, ls=dash, zorder=5
                    )
        _plate(panel.axes, 30.0 / (2 * _HALF_MM[panel.plane.view]))
        draw_surroundings(panel.axes, panel.plane, panel.window, bar_mm=30.0)
    _title(figure, "Targets on the planning CT")
    _window_note(figure, f"CT {CT_WINDOW_HU[0]:g} to {CT_WINDOW_HU[1]:g} HU".replace("-", "−"))
    handles = [
        Line2D([], [], color=_on_paper(color), lw=width * 1.3, ls=_dash(kind, n), label=s.name)
        for kind, (color, width, _) in reversed(_LINES.items())
        for n, s in enumerate(drawn[kind])
    ]
    if handles:
        figure.legend(
            handles=handles, loc="lower right", ncols=len(handles), fontsize=6.5, frameon=False
        )
    return figure


def _dash(kind: StructureKind, n: int) -> str:
    """Return the line style of the n-th structure of a kind: several PTVs differ."""
    return _PTV_DASHES[n % len(_PTV_DASHES)] if kind is StructureKind.PTV else _LINES[kind][2]


def _on_paper(color: str) -> str:
    """Return the same colour, dark enough for white paper."""
    return {style.CTV: "#e0b400", style.PTV: "#d9579f"}.get(color, color)


def suv_bar(figure: Figure, peak: float, place: tuple[float, float, float]) -> None:
    """Draw the scale of the PET: left share, height in inches, width share."""
    height = figure.get_size_inches()[1]
    axes = figure.add_axes((place[0], place[1] / height, place[2], 0.08 / height))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, peak), "hot"), cax=axes, orientation="horizontal"
    )
    bar.outline.set_linewidth(0.4)
    bar.set_ticks([0, peak / 2, peak])
    bar.ax.tick_params(labelsize=6, length=2, width=0.4, pad=1.5, colors=style.SLATE)
    axes.text(
        -0.02, 0.5, "SUVbw, g/ml", ha="right", va="center", fontsize=6, color=style.SLATE,
        transform=axes.transAxes,
    )  # fmt: skip
