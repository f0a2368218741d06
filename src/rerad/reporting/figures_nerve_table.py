"""One table of every root that was measured, as a picture."""

import numpy as np
from matplotlib.figure import Figure

from rerad.nerves import NerveComparison, Verdict
from rerad.reporting import style

_COLUMNS = (
    ("root", 0.0, "left"),
    ("diameter, mm", 0.19, "right"),
    ("other side", 0.27, "right"),
    ("normal", 0.38, "right"),
    ("z", 0.43, "right"),
    ("SUV seen", 0.52, "right"),
    ("SUV recovered", 0.65, "right"),
    ("other side", 0.78, "right"),
    ("thick", 0.86, "center"),
    ("avid", 0.92, "center"),
    ("flag", 0.98, "center"),
)


def draw_table(comparisons: tuple[NerveComparison, ...]) -> Figure:
    """Draw one table of every root: numbers with their uncertainty, and what was flagged."""
    rows = sorted(comparisons, key=lambda c: (c.name[:-1], c.name[-1] == "L"))
    step_in, head_in, foot_in = 0.19, 0.46, 0.42
    height = head_in + step_in * len(rows) + foot_in
    figure = style.new_figure(height)
    axes = figure.add_axes((0.01, 0, 0.98, 1))
    axes.set(xlim=(0, 1), ylim=(0, height))
    axes.set_axis_off()
    title = "Nerve roots: right and left, against normal roots and blood pool"
    figure.text(
        0.0, 1 - 0.09 / height, title, ha="left", va="center", fontsize=7.5, color=style.INK
    )
    top = height - head_in
    for text, x, align in _COLUMNS:
        axes.text(x, top + 0.08, text, ha=align, va="center", fontsize=6.3, color=style.SLATE)
    axes.plot([0, 1], [top, top], color=style.FAINT, lw=0.6)
    for n, row in enumerate(rows):
        y = top - (n + 0.55) * step_in
        if row.is_flagged:
            axes.axhspan(y - 0.45 * step_in, y + 0.5 * step_in, color="#fbe3e1", lw=0)
        for (_, x, align), text in zip(_COLUMNS, _cells(row), strict=True):
            axes.text(
                x, y, text, ha=align, va="center", fontsize=6.8,
                color=style.RED if row.is_flagged else style.INK,
                weight="bold" if row.is_flagged and x in (0.0, 0.98) else "normal",
            )  # fmt: skip
    axes.plot([0, 1], [foot_in - 0.04] * 2, color=style.FAINT, lw=0.6)
    note = (
        "± one standard deviation. * diameter in part from the user's contours. ( ) recovered SUV "
        "not claimed: uncertainty above 15 % or point spread too wide.\nthick: beyond mean + 2 SD "
        "of normal roots and beyond the other side; avid: beyond 2 × mean + 2 SD of blood pool. "
        "None of these rules is validated; no flag is a diagnosis."
    )
    axes.text(0, foot_in - 0.1, note, ha="left", va="top", fontsize=5.6, color=style.SLATE)
    return figure


def _cells(c: NerveComparison) -> tuple[str, ...]:
    def number(value: float, digits: int = 1) -> str:
        return f"{value:.{digits}f}".replace("-", "−") if np.isfinite(value) else "–"

    star = "*" if c.is_diameter_contoured else ""
    normal = "–" if c.normal is None else f"{c.normal.mean_mm:.1f} ± {c.normal.sd_mm:.1f}"
    recovered = f"{number(c.uptake.value)} ± {number(c.uptake.sd)}"
    if not c.is_uptake_claimed:
        recovered = f"({recovered})"
    return (
        c.name.replace("_", " "),
        f"{number(c.diameter.value)} ± {number(c.diameter.sd, 2)}{star}",
        number(c.other_diameter.value),
        normal,
        number(c.z),
        number(c.observed_uptake),
        recovered,
        f"{number(c.other_uptake.value)} ± {number(c.other_uptake.sd)}",
        answer(c, is_uptake=False),
        answer(c, is_uptake=True),
        "●" if c.is_flagged else "",
    )


def answer(c: NerveComparison, *, is_uptake: bool) -> str:
    """Return whether a root is thick, or avid: yes, no, or not measured."""
    outcomes = [o for o in c.outcomes if o.rule.startswith("uptake") is is_uptake]
    if c.is_avid if is_uptake else c.is_thick:
        return "yes"
    # Thick needs both rules: one that is not met settles it. Avid needs one of them.
    judged = [o.verdict for o in outcomes if o.verdict is not Verdict.UNMEASURED]
    is_settled = bool(judged) and (is_uptake or len(judged) == len(outcomes))
    return "no" if is_settled or Verdict.NOT_MET in judged else "not measured"
