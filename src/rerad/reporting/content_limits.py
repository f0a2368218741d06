"""One page on how exported limits were made: for whoever plans with them in another system."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rerad import __version__
from rerad.core import Finding, Severity
from rerad.planning.remaining_map import OrganRemaining, RemainingMap
from rerad.reporting.document import (
    Align,
    Bullets,
    Cell,
    Facts,
    Paragraph,
    ReportContent,
    Section,
    Table,
)
from rerad.reporting.pdf import pdf_bytes
from rerad.reporting.wording import BANNER, grade_sentence

_MAX_FINDINGS = 3


@dataclass(frozen=True, slots=True)
class LimitVolume:
    """One volume of the exported structure set.

    Parameters
    ----------
    name : str
        As written.
    organ : str
        Whose; ``Any`` for all together.
    level_gy : float or None
        Physical dose that it must stay below; None for the part of unknown earlier dose.
    volume_cc : float
        On the dose grid.
    """

    name: str
    organ: str
    level_gy: float | None
    volume_cc: float


@dataclass(frozen=True, slots=True)
class LimitDose:
    """One exported dose.

    Parameters
    ----------
    path : Path
        File.
    organ : str
        Whose; ``Any`` for all together.
    ceiling_gy : float
        Written where no organ with a limit lies.
    n_limited, n_unknown, n_spent : int
        Voxels with a limit; of these, those of unknown earlier dose and those with nothing left,
        both written as 0.
    """

    path: Path
    organ: str
    ceiling_gy: float
    n_limited: int
    n_unknown: int
    n_spent: int


def limits_content(
    title: str,
    remaining: RemainingMap,
    volumes: Sequence[LimitVolume],
    doses: Sequence[LimitDose],
    findings: Sequence[Finding],
) -> ReportContent:
    """Say how exported limits were made, and how to plan with them.

    Parameters
    ----------
    title : str
        Of the case.
    remaining : RemainingMap
        What was exported.
    volumes : sequence of LimitVolume
        Of the structure set.
    doses : sequence of LimitDose
        As written, all organs together first.
    findings : sequence of Finding
        Of the budget; the most serious are printed.
    """
    n, whole = remaining.n_fractions, doses[0]
    what = f"physical Gy that may still be given in {n} fractions"
    zero = (
        f"nothing may be given: spent ({whole.n_spent} of {whole.n_limited} voxels with a limit) "
        f"or earlier dose unknown ({whole.n_unknown}); the unknown part is zUnk"
    )
    ceiling = (
        "no limit of this rule set holds there; it does not say that any dose may be given. "
        "Beside an organ a system that interpolates mixes it in: plan with the volumes"
    )
    names = (
        "zLtL_Organ: must stay below L Gy in every voxel; zUnk_Organ: earlier dose unknown, so "
        "nothing is known to be left"
    )
    whom = f"a course of {n} fractions, planned in another system on the same CT"
    facts = Facts(
        (
            ("For", whom),
            ("Doses", what),
            ("0 Gy", zero),
            (f"{whole.ceiling_gy:g} Gy", ceiling),
            ("Volumes", names),
            ("Records", grade_sentence(organ.limit.grade for organ in remaining.organs) or "none"),
        )
    )
    how = Bullets(
        "How",
        (
            "Earlier courses: EQD2 on their own grid with the fractions delivered, mapped by "
            "registration, added; recovery only where the limit is stated for a discounted sum.",
            "Left: limit less earlier EQD2, voxel by voxel; turned into physical dose with "
            "D = n/2 (-a/b + sqrt((a/b)^2 + 4 (2 + a/b) EQD2/n)). Two organs: the smaller.",
            "A near-maximum limit (D0.1cc) is held in every voxel: stricter than the limit.",
            "Set for each zLt volume a maximum of its level. Another number of fractions needs "
            "another export.",
            "The doses hang on a plan without beams (RSCH_LIMITS), or on the plan named with "
            "--plan; they are of no plan that was treated.",
            "Check the plan that comes back: rerad budget CASE --plan RTPLAN --dose RTDOSE, or "
            "[returned_plan] in case.toml and rerad run.",
        ),
    )
    weighed = [item for item in findings if item.code != "rule-sets-disagree"]
    said = sorted(weighed, key=lambda item: item.severity is not Severity.SERIOUS)
    text = " ".join(f"{item.text.rstrip('.')}." for item in said[:_MAX_FINDINGS])
    blocks = (
        facts,
        _limits_table(remaining),
        _volumes_table(volumes),
        how,
        Paragraph(f"Findings: {text}" if said else "No findings."),
    )
    return ReportContent(
        title=title,
        subtitle="Remaining tolerance for planning elsewhere",
        banner=BANNER,
        footer=f"rerad {__version__} · remaining tolerance · not a prescription",
        sections=(Section("limits", "How these limits were made", blocks),),
    )


def _limits_table(remaining: RemainingMap) -> Table:
    """Return the limit and the least remaining dose of each organ."""
    rows = tuple(
        (
            Cell(organ.structure),
            Cell(_limit_text(organ)),
            Cell(f"{organ.least_gy:.1f}" if organ.least_gy == organ.least_gy else "unknown"),
            Cell(f"{organ.n_exhausted} / {organ.n_unknown} of {organ.n_voxels}"),
        )
        for organ in remaining.organs
    )
    header = ("Organ", "Limit", "Least left, Gy", "Voxels with nothing left / unknown")
    align = (Align.LEFT, Align.LEFT, Align.RIGHT, Align.RIGHT)
    sources = dict.fromkeys(organ.limit.goal.citation for organ in remaining.organs)
    note = f"Sources: {'; '.join(sources)}"
    cells = tuple(Cell(text) for text in header)
    return Table("limits", "Limits", cells, rows, align, (1.4, 3.2, 1, 2), note)


def _limit_text(organ: OrganRemaining) -> str:
    """Return a limit with the recovery that earlier courses were granted."""
    return f"{organ.limit.goal.text}, {100 * organ.limit.recovery_fraction:g} % recovery"


def _volumes_table(volumes: Sequence[LimitVolume]) -> Table:
    """Return every volume with its level and size, a line for each organ."""
    organs = dict.fromkeys(item.organ for item in volumes)
    rows = tuple(
        (
            Cell(organ),
            Cell(
                ", ".join(
                    f"{item.name} ({item.volume_cc:.1f} cc)"
                    for item in volumes
                    if item.organ == organ
                )
            ),
        )
        for organ in organs
    )
    header = (Cell("Organ"), Cell("Volumes"))
    return Table("volumes", "Volumes", header, rows, (Align.LEFT, Align.LEFT), (1, 5))


def write_limits_page(content: ReportContent, path: Path) -> None:
    """Write the page as PDF, beside its place and renamed."""
    temporary = path.with_name(f".{path.name}")
    temporary.write_bytes(pdf_bytes(content, {}))
    temporary.replace(path)
