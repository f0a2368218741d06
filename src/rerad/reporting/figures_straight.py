"""Straightened nerves, right beside left, with their diameters and uptake beneath."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from rerad.core import Image
from rerad.nerves import NerveMeasurement, normal_root, straighten
from rerad.reporting import style
from rerad.reporting.drawing import CT_WINDOW_HU

_HALF_MM = 15.0
_STEP_MM = 0.5
_SIDES = ("right", "left")
_COLORS = (style.RED, style.ACCENT)
_BAR_MM = 10.0


def draw_straight(
    root: str,
    sides: tuple[NerveMeasurement | None, NerveMeasurement | None],
    images: tuple[Image, Image | None, Image | None],
) -> Figure:
    """Draw a root of both sides as if it were straight.

    Parameters
    ----------
    root : str
        Its name.
    sides : tuple of NerveMeasurement or None
        Right and left.
    images : tuple
        CT, PET in SUV, MR; the latter two may be None.

    Returns
    -------
    Figure
        A column for each side; rows CT, PET over CT, MR; beneath, diameter and recovered SUV.
    """
    ct, pet, mr = images
    rows = ["CT", *(["PET"] if pet is not None else []), *(["MR"] if mr is not None else [])]
    length = max((m.caliber.path.length_mm for m in sides if m is not None), default=1.0)
    width_in = (style.PAGE_WIDTH_IN - 0.75) / 2
    row_in = max(width_in * 2 * _HALF_MM / length, 0.55)
    plots_in, head_in, foot_in = 1.15, 0.42, 0.42
    n_plots = 2 if pet is not None else 1
    height = head_in + len(rows) * (row_in + 0.05) + n_plots * (plots_in + 0.12) + foot_in
    figure = style.new_figure(height)
    _heads(figure, root, height)
    peak = _peak(pet, sides)
    for column, measured in enumerate(sides):
        if measured is None:
            continue
        left = (0.4 + column * (width_in + 0.3)) / style.PAGE_WIDTH_IN
        share = width_in / style.PAGE_WIDTH_IN
        for n, what in enumerate(rows):
            bottom = height - head_in - (n + 1) * (row_in + 0.05)
            axes = figure.add_axes((left, bottom / height, share, row_in / height))
            image = {"CT": ct, "PET": pet, "MR": mr}[what]
            _draw_row(axes, what, (ct, image), measured, (length, peak))
    top = height - head_in - len(rows) * (row_in + 0.05) - 0.12
    _draw_profiles(figure, root, sides, (length, top, plots_in, height))
    if pet is not None:
        _suv_scale(figure, peak, height)
    return figure


def _heads(figure: Figure, root: str, height: float) -> None:
    figure.text(
        0.0,
        1 - 0.09 / height,
        f"{root}: straightened, from the spine (left) outwards; anterior is up at the start",
        ha="left", va="center", fontsize=7.5, color=style.INK,
    )  # fmt: skip
    width_in = (style.PAGE_WIDTH_IN - 0.75) / 2
    for column, side in enumerate(_SIDES):
        left = (0.4 + column * (width_in + 0.3)) / style.PAGE_WIDTH_IN
        figure.text(
            left, 1 - 0.3 / height, side, ha="left", va="center", fontsize=7, weight="bold",
            color=_COLORS[column],
        )  # fmt: skip


def _peak(pet: Image | None, sides: tuple[NerveMeasurement | None, ...]) -> float:
    seen = [
        float(np.nanmax(m.uptake.observed))
        for m in sides
        if m is not None and m.uptake is not None and np.any(np.isfinite(m.uptake.observed))
    ]
    return float(np.clip(np.ceil(max(seen, default=3.0)), 3.0, 15.0)) if pet is not None else 3.0


def _draw_row(
    axes: Axes,
    what: str,
    images: tuple[Image, Image | None],
    measured: NerveMeasurement,
    scale: tuple[float, float],
) -> None:
    """Draw one modality along one side; the horizontal axis is arc length."""
    ct, image = images
    length, peak = scale
    path = measured.caliber.path
    extent = (0.0, path.length_mm, -_HALF_MM, _HALF_MM)
    if what in {"CT", "PET"}:
        _gray(axes, _plane(ct, measured), extent, CT_WINDOW_HU)
    if what == "PET" and image is not None:
        share = np.clip(np.nan_to_num(_plane(image, measured)) / peak, 0, 1)
        rgba = ScalarMappable(Normalize(0, 1), "hot").to_rgba(share)
        rgba[..., 3] = np.clip((share - 0.1) * 2.2, 0, 0.85)
        axes.imshow(rgba, extent=extent, origin="lower", aspect="auto", interpolation="bilinear")
    if what == "MR" and image is not None:
        values = _plane(image, measured)
        known = values[np.isfinite(values)]
        low, high = np.percentile(known, [1, 99]) if len(known) else (0.0, 1.0)
        _gray(axes, values, extent, (float(low), float(high)))
    if what == "CT":
        half = 0.5 * measured.caliber.diameter_mm
        for sign in (-1, 1):
            axes.plot(measured.caliber.arc_mm, sign * half, color="#ffd400", lw=0.7)
    axes.set(xlim=(0, length), ylim=(-_HALF_MM, _HALF_MM))
    axes.set_facecolor("black")
    axes.set_xticks([])
    axes.set_yticks([])
    glow = [withStroke(linewidth=1.6, foreground="black")]
    axes.text(
        0.008, 0.95, what if what != "PET" else "PET over CT", transform=axes.transAxes,
        ha="left", va="top", fontsize=6, color="white", path_effects=glow,
    )  # fmt: skip
    if what == "CT":
        start = length - 3 - _BAR_MM
        axes.plot([start, start + _BAR_MM], [-_HALF_MM + 2] * 2, color="white", lw=1.4,
                  path_effects=glow, solid_capstyle="butt")  # fmt: skip
        axes.text(start + _BAR_MM / 2, -_HALF_MM + 3, "1 cm", ha="center", va="bottom",
                  color="white", fontsize=5.6, path_effects=glow)  # fmt: skip


def _plane(image: Image, measured: NerveMeasurement) -> NDArray[np.float64]:
    """Return the plane of the normal along the path, [across, along]."""
    cut = straighten(image, measured.caliber.path, half_width_mm=_HALF_MM, step_mm=_STEP_MM)
    return np.asarray(cut.values[:, len(cut.across_mm) // 2, :].T, dtype=np.float64)


def _gray(
    axes: Axes,
    values: NDArray[np.float64],
    extent: tuple[float, float, float, float],
    window: tuple[float, float],
) -> None:
    axes.imshow(
        values, cmap="gray", vmin=window[0], vmax=window[1], extent=extent, origin="lower",
        aspect="auto", interpolation="bilinear",
    )  # fmt: skip


def _draw_profiles(
    figure: Figure,
    root: str,
    sides: tuple[NerveMeasurement | None, ...],
    place: tuple[float, float, float, float],
) -> None:
    """Draw diameter, and recovered uptake where there is a PET, of both sides over arc length."""
    length, top, plot_in, height = place
    left, width = 0.4 / style.PAGE_WIDTH_IN, (style.PAGE_WIDTH_IN - 0.45) / style.PAGE_WIDTH_IN
    has_pet = any(m is not None and m.uptake is not None for m in sides)
    names = ["diameter, mm", *(["recovered SUV"] if has_pet else [])]
    for n, name in enumerate(names):
        bottom = top - (n + 1) * plot_in - n * 0.12
        axes = figure.add_axes((left, bottom / height, width, plot_in / height))
        style.quiet(axes)
        for measured, color, side in zip(sides, _COLORS, _SIDES, strict=True):
            if measured is None:
                continue
            if n == 0:
                _line(axes, measured, color, side)
            elif measured.uptake is not None:
                _uptake_line(axes, measured, color)
        if n == 0:
            _normal_band(axes, root)
        axes.set_xlim(0, length)
        axes.set_ylim(_bottom(sides) if n > 0 else 0.0, _top(sides, is_uptake=n > 0))
        axes.text(0.005, 0.96, name, transform=axes.transAxes, ha="left", va="top", fontsize=6.5,
                  color=style.INK)  # fmt: skip
        if n < len(names) - 1:
            axes.tick_params(labelbottom=False)
        else:
            axes.set_xlabel("distance along the root, mm", fontsize=6.5, color=style.SLATE)


def _top(sides: tuple[NerveMeasurement | None, ...], *, is_uptake: bool) -> float:
    """Return the upper end of a profile's axis, with room for its legend."""
    highest = 2.0
    for measured in sides:
        if measured is None:
            continue
        values = measured.caliber.diameter_mm
        if is_uptake:
            values = np.zeros(0) if measured.uptake is None else measured.uptake.recovered
        known = values[np.isfinite(values)]
        if len(known):
            highest = max(highest, float(np.percentile(known, 96)))
            # A diameter's curve stays below the legend; recovered uptake runs wild at the ends.
            highest = highest if is_uptake else max(highest, 0.95 * float(known.max()))
    return 1.35 * highest


def _bottom(sides: tuple[NerveMeasurement | None, ...]) -> float:
    """Return the lower end of the uptake's axis: recovered values below 0 are shown."""
    lowest = 0.0
    for measured in sides:
        if measured is None or measured.uptake is None:
            continue
        known = measured.uptake.recovered[np.isfinite(measured.uptake.recovered)]
        if len(known):
            lowest = min(lowest, float(np.percentile(known, 4)))
    return 1.2 * lowest


def _line(axes: Axes, measured: NerveMeasurement, color: str, side: str) -> None:
    caliber = measured.caliber
    sure = np.where(caliber.is_contoured, np.nan, caliber.diameter_mm)
    axes.fill_between(
        caliber.arc_mm, sure - 2 * caliber.sd_mm, sure + 2 * caliber.sd_mm, color=color,
        alpha=0.18, lw=0,
    )  # fmt: skip
    axes.plot(caliber.arc_mm, caliber.diameter_mm, color=color, lw=0.8, ls=":")
    axes.plot(caliber.arc_mm, sure, color=color, lw=1.2, label=f"{side} (dotted: contours)")
    axes.legend(loc="upper right", fontsize=5.8, frameon=False, ncols=3)


def _uptake_line(axes: Axes, measured: NerveMeasurement, color: str) -> None:
    uptake = measured.uptake
    assert uptake is not None
    low, high = uptake.recovered - 2 * uptake.sd, uptake.recovered + 2 * uptake.sd
    axes.fill_between(uptake.arc_mm, low, high, color=color, alpha=0.15, lw=0)
    axes.plot(uptake.arc_mm, uptake.recovered, color=color, lw=0.8, ls=":")
    claimed = np.where(uptake.is_claimed, uptake.recovered, np.nan)
    axes.plot(uptake.arc_mm, claimed, color=color, lw=1.3)
    axes.plot(uptake.arc_mm, uptake.observed, color=color, lw=0.6, ls="--")
    axes.text(
        0.995, 0.95, "solid: claimed; dotted: not claimed; dashed: as the image shows; band: 2 SD",
        transform=axes.transAxes, ha="right", va="top", fontsize=5.6, color=style.SLATE,
    )  # fmt: skip


def _normal_band(axes: Axes, root: str) -> None:
    normal = normal_root(root)
    if normal is None:
        return
    low, high = normal.mean_mm - 2 * normal.sd_mm, normal.mean_mm + 2 * normal.sd_mm
    axes.axhspan(low, high, color="#dfe7e0", alpha=0.7, lw=0, zorder=0, label="normal ± 2 SD")
    axes.legend(loc="upper right", fontsize=5.8, frameon=False, ncols=3)


def _suv_scale(figure: Figure, peak: float, height: float) -> None:
    axes = figure.add_axes((0.72, 0.14 / height, 0.26, 0.07 / height))
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, peak), "hot"), cax=axes, orientation="horizontal"
    )
    bar.outline.set_linewidth(0.4)
    bar.set_ticks([0, peak])
    bar.ax.tick_params(labelsize=5.8, length=2, width=0.4, pad=1.2, colors=style.SLATE)
    axes.text(-0.02, 0.5, "SUVbw, g/ml", ha="right", va="center", fontsize=5.8,
              color=style.SLATE, transform=axes.transAxes)  # fmt: skip
