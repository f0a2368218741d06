"""What the report says about registration, budget, plan and judgement: pure."""

import re

from rerad.planning.breach import CODE as BREACH_CODE
from rerad.planning.result import BudgetRow, BudgetScenario, CaseResult, DeliveryState
from rerad.radiobiology import bed, rule_sets
from rerad.reporting.closing import delivered_note, eqd2_cell
from rerad.reporting.content_returned import returned_blocks
from rerad.reporting.document import (
    Align,
    Block,
    Bullets,
    Cell,
    Emphasis,
    FindingItem,
    FindingList,
    Paragraph,
    Picture,
    Section,
    Table,
)
from rerad.reporting.wording import (
    SEVERITY_ORDER,
    UNKNOWN,
    Citations,
    bound_text,
    compact,
    goal_rank,
    goal_scope,
    goal_text,
    goal_value_cell,
    grade_sentence,
    gray,
    joined,
    number,
    number_cell,
    typeset,
    verdict_cell,
)

ISODOSE_PERCENTS: tuple[float, ...] = (30.0, 50.0, 70.0, 90.0, 95.0, 100.0, 107.0)
"""Isodose lines of the plan, in per cent of the highest prescription; 95 and 107 are ICRU's."""


def budget_section(result: CaseResult, citations: Citations) -> Section:
    """Return the remaining tolerance of each organ under every assumption about recovery."""
    n = result.plan.n_fractions_planned
    if not result.budget:
        nothing = Paragraph("No cumulative limit was given, so there is no budget to show.")
        return Section("budget", "What is left: the budget", (nothing,))
    lead = Paragraph(
        "What each limit leaves for this course at the limit's own metric. One column for every "
        "assumption about recovery that cannot be excluded; the shaded column is the one that "
        f"was planned with. Large figure: remaining physical dose in {n} fractions at that "
        "metric; below it, the same as EQD2, out of the limit. A limit for a raw sum is never "
        "compared with a discounted one. " + grade_sentence(row.grade for row in result.budget)
    )
    blocks: list[Block] = [
        lead,
        Picture(
            "budget",
            "Cumulative EQD2 of each organ at its limit's metric, counted as the limit counts: "
            "earlier courses (grey), added by this plan (blue, as planned; the line inside marks "
            "the delivered fractions), against the limit (black mark).",
            "Bars of prior and added EQD2 against the limit for each organ",
        ),
    ]
    blocks.extend(
        _budget_table(rows, index, citations) for index, rows in enumerate(_budget_groups(result))
    )
    return Section("budget", "What is left: the budget", tuple(blocks))


def _budget_groups(result: CaseResult) -> list[list[BudgetRow]]:
    """Rows that share a rule set and the same columns belong in one table."""
    groups: dict[tuple[str, tuple[str, ...]], list[BudgetRow]] = {}
    for row in result.budget:
        key = (row.rule_set, tuple(scenario.label for scenario in row.scenarios))
        groups.setdefault(key, []).append(row)
    return list(groups.values())


def _budget_table(rows: list[BudgetRow], index: int, citations: Citations) -> Table:
    """One table of a rule set: organs down, assumptions across."""
    scenarios = rows[0].scenarios
    header = [Cell("Organ", "limit, source")]
    for k, scenario in enumerate(scenarios):
        is_chosen = all(row.scenarios[k].is_planned_with for row in rows)
        sub = _recovery_text(rows, k)
        if is_chosen:
            sub = f"{sub} · planned with"
        header.append(
            Cell(_span(scenario.label), sub, Emphasis.CHOSEN if is_chosen else Emphasis.NONE)
        )
    sources = sorted({s.citation for row in rows for s in row.scenarios} - {""})
    marks = ", ".join(citations.mark(source) for source in sources)
    body = tuple(
        (
            Cell(
                row.structure,
                f"{goal_text(row.limit)} EQD2 α/β {compact(row.limit.alpha_beta_gy)} · "
                f"{citations.mark(row.limit.citation, row.limit.trust)}",
                Emphasis.STRONG,
            ),
            *(_scenario_cell(scenario) for scenario in row.scenarios),
        )
        for row in rows
    )
    return Table(
        key=f"budget_{index}",
        title=_budget_title(rows[0]),
        header=tuple(header),
        rows=body,
        align=(Align.LEFT, *(Align.RIGHT,) * len(scenarios)),
        widths=(2.2, *(1.2,) * len(scenarios)),
        note=f"Sources of the assumptions: {marks}." if marks else "",
    )


def _span(label: str) -> str:
    """A label with the dash that spans have in print."""
    return re.sub(r"(?<=\d)-(?=\d)", "–", typeset(label))


def _budget_title(row: BudgetRow) -> str:
    """The rule set and what its limits are compared with."""
    titles = {rules.name: rules.title for rules in rule_sets()}
    title = titles.get(row.rule_set, row.rule_set)
    basis = row.limit.recovery_basis
    return title if basis is None else f"{title} · limits for a {basis}"


def _recovery_text(rows: list[BudgetRow], k: int) -> str:
    """The recovery of a column, or its range over the organs."""
    percents = [100 * row.scenarios[k].recovery_fraction for row in rows]
    low, high = min(percents), max(percents)
    if high == 0:
        return "no recovery"
    span = f"{low:.0f}" if low == high else f"{low:.0f}–{high:.0f}"
    return f"recovery {span} %"


def _scenario_cell(scenario: BudgetScenario) -> Cell:
    """Remaining physical dose, and the EQD2 behind it."""
    text = number(scenario.remaining_physical_gy, 1)
    if text == UNKNOWN:
        most = number(scenario.remaining_at_most_physical_gy, 1)
        sub = "prior dose unknown" if most == UNKNOWN else f"at most {most} Gy"
        return Cell(UNKNOWN, sub, Emphasis.ABSENT)
    sub = f"EQD2 {number(scenario.remaining_eqd2_gy)} of {compact(scenario.limit_eqd2_gy)}"
    if scenario.remaining_eqd2_gy <= 0:
        at_most = "at most " if scenario.is_upper_bound else ""
        prior = f"prior {at_most}{number(scenario.prior_eqd2_gy)}"
        return Cell("nothing left", prior, Emphasis.EXCEEDED)
    if scenario.is_upper_bound:
        sub = f"at least; {sub}"
    emphasis = Emphasis.CHOSEN if scenario.is_planned_with else Emphasis.NONE
    return Cell(f"{text} Gy", sub, emphasis)


def plan_section(result: CaseResult, nerve_alpha_beta_gy: float | None) -> Section:
    """Return the plan in pictures."""
    blocks: list[Block] = [
        Picture(
            "plan",
            f"Dose of this plan, {result.planned.label}, on the planning CT, through "
            "the point of the GTV nearest its centroid. GTV red, CTV yellow, PTV dashed; isodose "
            f"lines and colour wash at {_percents()} % of the highest prescription. Patient's "
            "right is on the viewer's left; window 400 HU, level 40 HU.",
            "Axial, coronal and sagittal CT with targets and isodoses",
        )
    ]
    if nerve_alpha_beta_gy is not None:
        name = f"EQD2 (α/β {nerve_alpha_beta_gy:g} Gy)"
        if result.priors:
            blocks.append(
                Picture(
                    "prior",
                    f"Earlier courses as delivered, {name}, mapped onto today's CT, without "
                    "recovery, in the same planes. White: the lowest limit for a raw sum at this "
                    "α/β. Hatched: the earlier dose is unknown.",
                    "Earlier dose on today's CT",
                )
            )
        blocks.append(
            Picture(
                "cumulative",
                f"Cumulative {name}, earlier courses and this plan, without recovery, in the same "
                "planes and colours. White: the lowest limit for a raw sum at this α/β. Hatched: "
                "unknown.",
                "Cumulative dose on today's CT",
            )
        )
    if result.pet_suv is not None or result.mr is not None:
        blocks.append(
            Picture(
                "fusion",
                "The target on the other images, at one location: CT, PET over CT and MRI where "
                "available. The arrow points at the GTV, outlined thin (red, on PET cyan).",
                "CT, PET/CT and MRI at the target",
            )
        )
    return Section("plan", "The plan in pictures", tuple(blocks))


def _percents() -> str:
    return ", ".join(f"{percent:g}" for percent in ISODOSE_PERCENTS)


def dvh_section(result: CaseResult) -> Section:
    """Return the dose-volume histograms."""
    delivered = " Dashed: the fractions delivered." if result.delivered else ""
    physical = Picture(
        "dvh_physical",
        f"This plan, physical dose, as planned (solid).{delivered} Volume is relative to each "
        "structure.",
        "Dose-volume histograms of the physical dose",
    )
    cumulative = Picture(
        "dvh_cumulative",
        f"All courses, EQD2 at each structure's own α/β, without recovery; as planned (solid)."
        f"{delivered} Triangles mark limits for raw sums at their dose, stacked where they "
        "coincide. Where part of a structure has an unknown dose, the curve is of the known part "
        "and the legend says so.",
        "Dose-volume histograms of the cumulative EQD2",
    )
    blocks: tuple[Block, ...] = (physical,)
    if result.planned.cumulative_dvhs:
        blocks = (physical, cumulative)
    return Section("dvh", "Dose-volume histograms", blocks)


def goals_section(result: CaseResult, citations: Citations) -> Section:
    """Return every goal with its value, verdict and source."""
    if not result.planned.goals:
        nothing = Paragraph("No goal was given.")
        return Section("goals", "Goals", (nothing, *returned_blocks(result, citations)))
    delivered = result.delivered.goals if result.delivered else ()
    rows = []
    for index, planned in enumerate(result.planned.goals):
        goal = planned.goal
        sub = joined((goal_rank(goal), goal_scope(goal), typeset(goal.note)), "; ")
        cells = [
            Cell(goal.structure, emphasis=Emphasis.STRONG),
            Cell(f"{goal.metric} {bound_text(goal)}", sub),
            Cell(citations.mark(goal.citation, goal.trust), emphasis=Emphasis.MUTED),
            goal_value_cell(planned),
            verdict_cell(planned),
        ]
        if delivered:
            cells += [goal_value_cell(delivered[index]), verdict_cell(delivered[index])]
        rows.append(tuple(cells))
    header = [Cell("Structure"), Cell("Goal"), Cell("Source"), Cell("Planned"), Cell("Verdict")]
    align = [Align.LEFT, Align.LEFT, Align.LEFT, Align.RIGHT, Align.CENTER]
    widths = [2.0, 2.6, 0.8, 1.0, 1.25]
    if delivered:
        header += [Cell("Delivered"), Cell("Verdict")]
        align += [Align.RIGHT, Align.CENTER]
        widths += [1.0, 1.25]
    columns = (tuple(align), tuple(widths))
    table = Table("goals", "", tuple(header), tuple(rows), *columns, note=delivered_note(result))
    return Section(
        "goals", "Goals", (*_breaches(result), table, *returned_blocks(result, citations))
    )


def _breaches(result: CaseResult) -> tuple[Bullets, ...]:
    """Which limits are knowingly exceeded, by how much, where, and what holds all the same."""
    items = tuple(typeset(f.text) for f in result.findings if f.code == BREACH_CODE)
    return (Bullets("Knowingly exceeded", items),) if items else ()


def findings_section(result: CaseResult) -> Section:
    """Return every finding, the most serious first."""
    if not result.findings:
        none = Paragraph("The run raised no finding.")
        return Section("findings", "Findings", (none,))
    ordered = sorted(result.findings, key=lambda f: SEVERITY_ORDER.index(f.severity))
    items = tuple(FindingItem(f.severity, f.where, typeset(f.text), f.code) for f in ordered)
    return Section("findings", "Findings", (FindingList(items),))


def interruption_section(result: CaseResult, citations: Citations) -> Section:
    """Return planned against delivered: what the target lacks and what the organs were spared."""
    delivered = result.delivered
    if delivered is None:
        text = "Every planned fraction counts as delivered, or none is recorded."
        return Section("interruption", "Planned and delivered", (Paragraph(text),))
    n, m = result.planned.n_fractions, delivered.n_fractions
    reason = result.current.stop_reason or "no reason is on record"
    lead = Paragraph(f"{m} of {n} fractions were delivered ({reason}).")
    blocks: list[Block] = [lead]
    if result.targets:
        blocks.append(_deficit_table(result, citations))
    blocks.append(_organ_table(result, delivered))
    return Section("interruption", "Planned and delivered", tuple(blocks))


def _deficit_table(result: CaseResult, citations: Citations) -> Table:
    """What each target was to get, got and lacks, as BED."""
    rows = tuple(
        (
            Cell(t.prescription.structure, emphasis=Emphasis.TARGET),
            Cell(gray(t.prescription.dose_gy)),
            Cell(gray(t.dose_delivered_gy)),
            number_cell(t.bed_planned_gy, 2),
            number_cell(t.bed_delivered_gy, 2),
            Cell(number(t.bed_deficit_gy, 2), emphasis=Emphasis.STRONG),
            Cell(f"{compact(t.alpha_beta_gy)} Gy {citations.mark(t.citation)}"),
        )
        for t in result.targets
    )
    header = (
        Cell("Target"),
        Cell("Planned", "physical"),
        Cell("Delivered", "physical"),
        Cell("BED planned", "Gy"),
        Cell("BED delivered", "Gy"),
        Cell("BED missing", "Gy"),
        Cell("α/β"),
    )
    return Table(
        key="deficit",
        title="What the targets lack",
        header=header,
        rows=rows,
        align=(Align.LEFT, *(Align.RIGHT,) * 5, Align.LEFT),
        widths=(1.6, 1.1, 1.1, 1.1, 1.1, 1.1, 1.2),
        note=(
            "BED = D (1 + d / (α/β)), without a term for repopulation during the pause. "
            + _recorded_deficit(result)
        ).strip(),
    )


def _recorded_deficit(result: CaseResult) -> str:
    """What is missing if the dose that the record states is the right one."""
    recorded, given = result.current.delivered_dose_gy, result.current.n_fractions_delivered
    if recorded is None or not given:
        return ""
    top = max(result.targets, key=lambda target: target.prescription.dose_gy)
    if abs(top.dose_delivered_gy - recorded) < 0.05:
        return ""
    bed_gy = bed(recorded, given, top.alpha_beta_gy)
    return (
        f"The record states {compact(recorded)} Gy in {given} fractions: with it, "
        f"{top.prescription.structure} has BED {number(bed_gy, 2)} Gy and lacks "
        f"{number(top.bed_planned_gy - bed_gy, 2)} Gy."
    )


def _organ_table(result: CaseResult, delivered: DeliveryState) -> Table:
    """Cumulative EQD2 of the organs for all and for the delivered fractions."""
    rows = tuple(
        (
            Cell(
                row.structure,
                f"{row.metric}, α/β {compact(row.alpha_beta_gy)} Gy",
                Emphasis.STRONG,
            ),
            eqd2_cell(row.prior_eqd2_gy, row),
            eqd2_cell(row.cumulative_eqd2_gy, row, row.planned),
            verdict_cell(row.planned),
            eqd2_cell(row.delivered_cumulative_eqd2_gy, row, row.delivered),
            verdict_cell(row.delivered),
        )
        for row in result.summary
        if not row.is_target and row.alpha_beta_gy is not None
    )
    header = (
        Cell("Organ"),
        Cell("Prior", "EQD2 Gy"),
        Cell("Cumulative planned", f"EQD2 Gy, {result.planned.n_fractions} fractions"),
        Cell("Verdict"),
        Cell("Cumulative delivered", f"EQD2 Gy, {delivered.n_fractions} fractions"),
        Cell("Verdict"),
    )
    return Table(
        key="organs_delivered",
        title="What the organs have received",
        header=header,
        rows=rows,
        align=(Align.LEFT, *(Align.RIGHT, Align.RIGHT, Align.CENTER, Align.RIGHT, Align.CENTER)),
        widths=(2.0, 1.0, 1.4, 1.0, 1.4, 1.0),
    )
