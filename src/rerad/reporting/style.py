"""Colours and sizes of the figures: a restrained palette, the same in every picture."""

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from rerad.reporting.wording import BANNER

PAGE_WIDTH_IN = 7.0
"""Text width of an A4 page with 16 mm margins, in inches."""

DPI = 170
"""Print quality at the size that the page shows."""

STRIP_IN = 0.13
"""Height of the strip below a figure that is written, in inches."""

INK = "#1b2430"
SLATE = "#5b6775"
FAINT = "#98a3ae"
HAIRLINE = "#d9dee4"
PAPER = "#ffffff"
ACCENT = "#1f5a8a"
ACCENT_LIGHT = "#c9dcec"
AMBER = "#b7791f"
RED = "#b3261e"

GTV = "#ff2d2d"
CTV = "#ffd400"
PTV = "#ff9ad5"

STRUCTURE_CYCLE: tuple[str, ...] = (
    "#0072b2",
    "#009e73",
    "#7b5ea7",
    "#8c564b",
    "#56b4e9",
    "#5a6b1f",
    "#e07b39",
    "#c2408f",
    "#6b7280",
    "#17a2b8",
)
"""Colours for organs that colour-blind readers tell apart; line styles repeat beyond them."""

ISODOSE = LinearSegmentedColormap.from_list(
    "isodose", ["#2b4fd8", "#15a3d6", "#19b97a", "#a6cf2a", "#f6b21b", "#ee5a24", "#c2185b"]
)
"""From low to high dose."""

FONT = {"family": "DejaVu Sans", "size": 7.0}
"""The font that matplotlib carries."""


def new_figure(height_in: float, width_in: float = PAGE_WIDTH_IN) -> Figure:
    """Return an empty figure; no global state is touched."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI)
    figure.set_facecolor(PAPER)
    return figure


def save(figure: Figure, path: Path, *, dpi: float = DPI) -> None:
    """Write a figure, with a strip below that says what it is not for.

    Pictures leave the report that they stand in; the sentence goes with them.

    Parameters
    ----------
    figure : Figure
        It gets the sentence below its own area, which stays as it is.
    path : Path
        The file, PNG or as its ending says; replaced if it is there.
    dpi : float
        Dots per inch.
    """
    width, height = figure.get_size_inches()
    for legend in figure.legends:  # they stand in pixels of the canvas, which grows downwards
        anchor = legend.get_bbox_to_anchor().transformed(figure.transFigure.inverted())
        legend.set_bbox_to_anchor(anchor.bounds, transform=figure.transFigure)
    place = (1 - 0.05 / width, -0.5 * STRIP_IN / height)
    figure.text(*place, BANNER, ha="right", va="center", fontsize=5, color=SLATE)
    area = Bbox([[0, -STRIP_IN], [width, height]])
    figure.savefig(path, dpi=dpi, bbox_inches=area)


def quiet(axes: Axes) -> None:
    """Take away what does not speak: top and right spines, dark ticks, heavy grids."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(FAINT)
        axes.spines[side].set_linewidth(0.6)
    axes.tick_params(colors=SLATE, labelsize=6.5, length=2.5, width=0.6)
    axes.grid(visible=True, color=HAIRLINE, lw=0.5)
    axes.set_axisbelow(True)
