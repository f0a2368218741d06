"""What the report says about the nerve roots that were measured: pure."""

import numpy as np

from rerad.nerves import Measured, NerveComparison
from rerad.reporting.document import (
    Align,
    Block,
    Bullets,
    Cell,
    Emphasis,
    Paragraph,
    Picture,
    Section,
    Table,
)
from rerad.reporting.figures_nerve import NervePictures, roots_of
from rerad.reporting.figures_nerve_table import answer
from rerad.reporting.wording import Citations

PREFIX = "nerve_"
"""Of the pictures of this section among those of the report."""

_LEAD = (
    "Each root along its centre line: diameter from CT by a fitted tube, SUV with the PET's point "
    "spread taken out, right against left and against normal roots. None of the rules is "
    "validated; a flag points out what to look at and is no diagnosis, and a root without one is "
    "not thereby normal."
)

_NOTE = (
    "± one standard deviation. * diameter in part from the user's contours. ( ) recovered SUV not "
    "claimed: uncertainty above 15 % or point spread too wide. Thick: beyond mean + 2 SD of "
    "normal roots and beyond the other side. Avid: beyond the uptake rule. Flagged: both."
)


def nerve_section(pictures: NervePictures | None, citations: Citations) -> Section | None:
    """Return the section of the nerve roots; None if none was measured.

    Parameters
    ----------
    pictures : NervePictures or None
        What was measured, and on what.
    citations : Citations
        Gets the sources of the rules.

    Returns
    -------
    Section or None
    """
    if pictures is None or not (pictures.comparisons or pictures.proposals):
        return None
    blocks: list[Block] = []
    if pictures.comparisons:
        blocks += [Paragraph(_LEAD), _table(pictures.comparisons)]
    rules = _rules(pictures.comparisons, citations)
    if rules.items:
        blocks.append(rules)
    blocks.extend(_pictures(pictures))
    return Section("nerves", "Nerve roots: thickness and uptake", tuple(blocks))


def _table(comparisons: tuple[NerveComparison, ...]) -> Table:
    """One row for each root and side."""
    header = ("Root", "Diameter, mm", "Other side", "Normal", "z", "SUV seen", "SUV recovered",
              "Other side", "Thick", "Avid", "Flagged")  # fmt: skip
    rows = sorted(comparisons, key=lambda c: (c.name[:-1], c.name[-1] == "L"))
    return Table(
        key="nerves",
        title="",
        header=tuple(Cell(text) for text in header),
        rows=tuple(_row(c) for c in rows),
        align=(Align.LEFT, *(Align.RIGHT,) * 7, *(Align.CENTER,) * 3),
        widths=(0.8, 1.4, 0.8, 1.2, 0.6, 0.7, 1.3, 1.0, 1.0, 1.0, 0.8),
        note=_NOTE,
    )


def _row(c: NerveComparison) -> tuple[Cell, ...]:
    mark = Emphasis.CAUTION if c.is_flagged else Emphasis.NONE
    normal = "–" if c.normal is None else f"{c.normal.mean_mm:.1f} ± {c.normal.sd_mm:.1f}"
    star = "*" if c.is_diameter_contoured else ""
    recovered = _with_sd(c.uptake, 1)
    if c.uptake.is_known and not c.is_uptake_claimed:
        recovered = f"({recovered})"
    return (
        Cell(c.name.replace("_", " "), emphasis=Emphasis.STRONG),
        Cell(_with_sd(c.diameter, 2) + star),
        Cell(_number(c.other_diameter.value)),
        Cell(normal),
        Cell(_number(c.z)),
        Cell(_number(c.observed_uptake)),
        Cell(recovered, _ratios(c)),
        Cell(_with_sd(c.other_uptake, 1)),
        Cell(answer(c, is_uptake=False)),
        Cell(answer(c, is_uptake=True)),
        Cell("yes" if c.is_flagged else "no", emphasis=mark),
    )


def _ratios(c: NerveComparison) -> str:
    """Return the recovered uptake over that of muscle, blood pool and liver, as far as known."""
    known = [f"{value:.1f} × {name}" for name, value in c.ratios if np.isfinite(value)]
    return ", ".join(known).replace("-", "−")


def _with_sd(measured: Measured, digits: int) -> str:
    if not measured.is_known:
        return "–"
    return f"{_number(measured.value)} ± {measured.sd:.{digits}f}"


def _number(value: float) -> str:
    return f"{value:.1f}".replace("-", "−") if np.isfinite(value) else "–"


def _rules(comparisons: tuple[NerveComparison, ...], citations: Citations) -> Bullets:
    """Every rule of the roots that were flagged: value, interval, threshold, source."""
    items = tuple(
        f"{c.name.replace('_', ' ')}, {o.text} {citations.mark(o.citation)}"
        for c in comparisons
        if c.is_flagged
        for o in c.outcomes
    )
    return Bullets("Rules of the roots that are flagged", items)


def _pictures(pictures: NervePictures) -> list[Picture]:
    """Places for MRI, fusion, targets, and every root straightened."""
    found = []
    if pictures.mr is not None:
        found.append(Picture(f"{PREFIX}mri", "MRI as it is, axial and coronal.", "MRI"))
    if pictures.pet_suv is not None:
        caption = "PET over CT with the centre lines of the roots, bold and named where flagged."
        found.append(Picture(f"{PREFIX}fusion", caption, "PET over CT, nerves marked"))
    caption = "GTV red, CTV yellow, PTV dashed, on the planning CT in the same planes."
    found.append(Picture(f"{PREFIX}target", caption, "Targets on the planning CT"))
    for root in roots_of(pictures):
        caption = (
            f"{root} as if it were straight, right and left side by side, from the spine "
            "outwards; beneath, diameter and recovered SUV, with two standard deviations."
        )
        found.append(Picture(f"{PREFIX}straight_{root}", caption, f"{root} straightened"))
    if pictures.proposals:
        caption = (
            "Course proposed from bone points for roots that nobody has drawn or clicked: for "
            "review, not validated; nothing is measured along it."
        )
        found.append(Picture(f"{PREFIX}proposal", caption, "Proposed course on bones"))
    return found
