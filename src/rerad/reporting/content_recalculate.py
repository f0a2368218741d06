"""What the report of a dose check says: one pure object for HTML and PDF."""

import math

from rerad.evaluation import Dvh
from rerad.planning.dose_check import DoseCheck, criterion_text
from rerad.planning.dose_comparison import DoseComparison, StructureComparison
from rerad.planning.recalculation import BeamRecord
from rerad.reporting.document import (
    Align,
    Block,
    Bullets,
    Cell,
    Emphasis,
    Facts,
    FindingItem,
    FindingList,
    Paragraph,
    Picture,
    ReportContent,
    Section,
    SignatureLines,
    Table,
)
from rerad.reporting.figures_recalculate import curve_colors
from rerad.reporting.wording import BANNER, NOT_APPLICABLE, UNKNOWN, compact, number

METRICS: tuple[tuple[str, float | None], ...] = (
    ("mean", None),
    ("D95", 95.0),
    ("D98", 98.0),
    ("D2", 2.0),
)
"""Doses of each structure that are compared: the mean, and percentages of the volume."""


def dose_of(curve: Dvh, percent: float | None) -> float:
    """Return the mean dose, or the dose at a percentage of the volume; NaN if unknown.

    Parameters
    ----------
    curve : Dvh
        Of a structure.
    percent : float or None
        Of the volume; None for the mean dose.
    """
    if percent is None:
        return curve.mean_gy if curve.is_complete else math.nan
    return curve.dose_at_volume(percent=percent)


def gamma_table(comparison: DoseComparison, pass_percent: float) -> Table:
    """Return the pass rate under every criterion.

    Parameters
    ----------
    comparison : DoseComparison
        Its first criterion decides.
    pass_percent : float
        Pass rate asked for.
    """
    rows = []
    for n, gamma in enumerate(comparison.gammas):
        rate = 100.0 * gamma.pass_rate
        verdict = Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED)
        if n == 0:
            is_met = rate >= pass_percent
            words = f"{'at least' if is_met else 'below'} {pass_percent:g} %"
            verdict = Cell(words, emphasis=Emphasis.MET if is_met else Emphasis.EXCEEDED)
        rows.append(
            (
                Cell(criterion_text(gamma)),
                Cell(number(rate, 2)),
                Cell(str(gamma.n_judged)),
                verdict,
            )
        )
    return Table(
        key="gamma",
        title="Gamma",
        header=(Cell("Criterion"), Cell("Pass", "%"), Cell("Voxels"), Cell("Asked for")),
        rows=tuple(rows),
        align=(Align.LEFT, Align.RIGHT, Align.RIGHT, Align.CENTER),
        widths=(3.4, 0.8, 1.0, 1.4),
    )


def structure_table(check: DoseCheck) -> Table:
    """Return the doses of every structure in both, and the difference.

    Parameters
    ----------
    check : DoseCheck
        Doses in Gy; the difference is recalculated less planned.
    """
    header = [Cell("Structure", "cm³")]
    header += [Cell(name, "planned · recalculated, Gy") for name, _ in METRICS]
    return Table(
        key="structures",
        title="Structures",
        header=tuple(header),
        rows=tuple(_structure_row(item) for item in check.compared),
        align=(Align.LEFT, *(Align.RIGHT for _ in METRICS)),
        widths=(1.5, *(1.4 for _ in METRICS)),
        note="Below each pair: recalculated less planned, in Gy and in per cent of the planned.",
    )


def _structure_row(item: StructureComparison) -> tuple[Cell, ...]:
    kind = Emphasis.TARGET if item.kind.is_target else Emphasis.STRONG
    cells = [Cell(item.name, f"{item.recalculated.volume_cc:.1f}", kind)]
    for _, percent in METRICS:
        again = dose_of(item.recalculated, percent)
        first = math.nan if item.planned is None else dose_of(item.planned, percent)
        cells.append(
            Cell(f"{number(first, 2)} · {number(again, 2)}", difference_text(first, again))
        )
    return tuple(cells)


def difference_text(planned: float, recalculated: float) -> str:
    """Return the difference in Gy and percent, or unknown.

    Parameters
    ----------
    planned, recalculated : float
        In Gy; NaN if unknown.
    """
    change = recalculated - planned
    if not math.isfinite(change):
        return UNKNOWN
    text = f"{change:+.2f} Gy"
    if planned > 0:
        text += f", {100 * change / planned:+.1f} %"
    return text.replace("-", "−")


def beam_table(check: DoseCheck) -> Table:
    """Return monitor units and point doses of every beam.

    Parameters
    ----------
    check : DoseCheck
        Doses of one fraction.
    """
    columns = (
        ("Beam", "machine", Align.LEFT, 1.7),
        ("Direction", "IEC 61217", Align.LEFT, 1.5),
        ("MU", "a fraction", Align.RIGHT, 0.8),
        ("Isocentre", "calculated, Gy", Align.RIGHT, 1.0),
        ("Stated dose", "of the plan, Gy", Align.RIGHT, 1.0),
        ("There", "calculated, Gy", Align.RIGHT, 1.2),
    )
    return Table(
        key="beams",
        title="Beams",
        header=tuple(Cell(title, sub) for title, sub, _, _ in columns),
        rows=tuple(_beam_row(beam) for beam in check.recalculation.beams),
        align=tuple(align for _, _, align, _ in columns),
        widths=tuple(width for _, _, _, width in columns),
        note="Point doses of one fraction, between voxel centres linear. Stated: Beam Dose of the "
        "RTPLAN at its specification point.",
    )


def _beam_row(beam: BeamRecord) -> tuple[Cell, ...]:
    stated = math.nan if beam.stated_gy is None else beam.stated_gy
    has_point = beam.stated_gy is not None and beam.stated_at_mm is not None
    absent = Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED)
    there = beam.calculated_at_stated_gy
    return (
        Cell(f"{beam.number} {beam.name}", beam.machine),
        Cell(beam.gantry_text, f"{beam.n_control_points} control points"),
        Cell(number(beam.meterset_mu, 1)),
        Cell(number(beam.isocenter_gy, 3)),
        Cell(number(stated, 3)) if beam.stated_gy is not None else absent,
        Cell(number(there, 3), difference_text(stated, there)) if has_point else absent,
    )


def check_tables(check: DoseCheck) -> tuple[Table, ...]:
    """Return the tables of a check, for a terminal.

    Parameters
    ----------
    check : DoseCheck
        What it found.
    """
    tables = (structure_table(check), beam_table(check))
    if check.comparison is None:
        return tables
    return (gamma_table(check.comparison, check.pass_percent), *tables)


def check_content(check: DoseCheck) -> ReportContent:
    """Say everything about a check, without layout.

    Parameters
    ----------
    check : DoseCheck
        What it found.
    """
    sections = (
        _result_section(check),
        _structures_section(check),
        Section("beams", "Beams", (beam_table(check),)),
        _findings_section(check),
        _record_section(check),
    )
    return ReportContent(
        title=f"Plan {check.plan.label or 'without label'}, calculated again",
        subtitle="Independent dose check, for research: not approved, no clinical use",
        banner=BANNER,
        footer=f"rerad {check.provenance.rerad_version} · dose check · unapproved",
        sections=sections,
    )


def _result_section(check: DoseCheck) -> Section:
    blocks: list[Block] = []
    comparison = check.comparison
    if comparison is None:
        text = "There is no planned dose to compare with: the dose below is calculated only."
        blocks.append(Paragraph(text, Emphasis.CAUTION))
    else:
        rate, asked = comparison.pass_percent, check.pass_percent
        ratio = number(100 * comparison.ratio, 1)
        words = "reaches" if check.is_passed else "does not reach"
        text = (
            f"{number(rate, 2)} % of the voxels pass, which {words} the {asked:g} % asked for. "
            f"Where the planned dose is high the recalculated one is {ratio} % of it (median)."
        )
        blocks += [Paragraph(text, Emphasis.STRONG), gamma_table(comparison, asked)]
        caption = (
            "Planned and recalculated dose, their difference and gamma under the first criterion, "
            "in three planes through the isocentre, on the CT. Gamma above 1 fails."
        )
        blocks.append(Picture("planes", caption, "Both doses, difference and gamma in planes"))
        caption = "Gamma and difference over all voxels that were judged (logarithmic counts)."
        blocks.append(Picture("histograms", caption, "Histograms of gamma and of the difference"))
    blocks.append(Facts(_facts(check)))
    blocks.append(Paragraph(f"Engine: {check.engine}. {check.accuracy}", Emphasis.CAUTION))
    return Section("result", "Result", tuple(blocks))


def _facts(check: DoseCheck) -> tuple[tuple[str, str], ...]:
    plan, dose = check.plan, check.recalculation.dose
    spacing = " × ".join(compact(round(v, 3)) for v in dose.grid.spacing_mm)
    pairs = [
        ("Plan", f"{plan.label}, {len(plan.beams)} beams, {plan.n_fractions_planned} fractions"),
        ("Approval", plan.approval or UNKNOWN),
        ("Monitor units", f"{number(plan.meterset_mu, 1)} a fraction"),
        ("Machine", ", ".join(dict.fromkeys(b.machine for b in check.recalculation.beams))),
        ("Voxels", f"{spacing} mm, {dose.grid.n_voxels}"),
        ("Highest dose", f"{number(dose.max_gy, 2)} Gy in all fractions"),
    ]
    if check.planned_text:
        pairs.append(("Planned dose", check.planned_text))
    return tuple(pairs)


def _structures_section(check: DoseCheck) -> Section:
    blocks: list[Block] = [structure_table(check)]
    if curve_colors(check):
        caption = "Dose-volume histograms: planned solid, recalculated dashed."
        if check.comparison is None:
            caption = "Dose-volume histograms of the recalculated dose."
        blocks.insert(0, Picture("dvh", caption, "Dose-volume histograms of both doses"))
    return Section("structures", "Structures", tuple(blocks))


def _findings_section(check: DoseCheck) -> Section:
    if not check.findings:
        return Section("findings", "Findings", (Paragraph("The check raised no finding."),))
    items = tuple(FindingItem(f.severity, f.where, f.text, f.code) for f in check.findings)
    return Section("findings", "Findings", (FindingList(items),))


def _record_section(check: DoseCheck) -> Section:
    provenance = check.provenance
    inputs = tuple(
        f"{item.what}: {item.uid or 'no UID'}, SHA-256 {item.sha256[:16]}…"
        for item in provenance.inputs
    )
    settings = tuple(
        f"{key.replace('_', ' ')}: {value}"
        for key, value in provenance.settings.items()
        if value is not None
    )
    seconds = ", ".join(f"{item.step} {item.seconds:.1f} s" for item in provenance.steps)
    blocks: tuple[Block, ...] = (
        Bullets("Settings", settings),
        Bullets("What was read", inputs),
        Paragraph(f"Time: {seconds}.", Emphasis.MUTED),
        SignatureLines(("Medical physicist", "Second check")),
    )
    return Section("record", "How it was calculated", blocks)
