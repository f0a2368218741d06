"""What the report says."""

import math
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace

import pytest

from rerad.core import Finding, Goal, Prescription, Severity
from rerad.evaluation import Verdict, parse_goal
from rerad.planning.result import CaseResult
from rerad.reporting import closing_table, report_content
from rerad.reporting.content import nerve_alpha_beta_gy
from rerad.reporting.content_plan import goals_section
from rerad.reporting.content_record import written_label
from rerad.reporting.document import (
    Align,
    Cell,
    Emphasis,
    FindingList,
    ReferenceList,
    SignatureLines,
    Table,
)
from rerad.reporting.wording import (
    Citations,
    bound_text,
    goal_text,
    goal_value_cell,
    number,
    verdict_cell,
)

ORDER = [
    "who",
    "before",
    "timeline",
    "unknown",
    "registration",
    "budget",
    "plan",
    "dvh",
    "goals",
    "findings",
    "interruption",
    "outcome",
    "beams",
    "provenance",
    "sources",
]


def texts(value: object) -> Iterator[str]:
    """Every text inside a content object."""
    if isinstance(value, str):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for item in value:
            yield from texts(item)


def table_of(result: CaseResult, key: str) -> Table:
    return next(t for t in report_content(result).tables if t.key == key)


def test_sections_stand_in_clinical_order(case_result: CaseResult) -> None:
    assert [section.key for section in report_content(case_result).sections] == ORDER


def test_content_is_the_same_every_time(case_result: CaseResult) -> None:
    assert report_content(case_result) == report_content(case_result)


def test_no_number_is_written_as_nan_or_infinity(case_result: CaseResult) -> None:
    rows = tuple(
        replace(row, prior_eqd2_gy=math.nan, cumulative_eqd2_gy=math.nan, physical_gy=math.inf)
        for row in case_result.summary
    )
    result = replace(case_result, summary=rows)
    for text in texts(report_content(result)):
        assert not re.search(r"\b(nan|inf|None)\b", text), text


def test_unknown_dose_is_written_unknown_and_never_zero(case_result: CaseResult) -> None:
    row = replace(case_result.summary[2], prior_eqd2_gy=math.nan, cumulative_eqd2_gy=math.nan)
    table = closing_table(replace(case_result, summary=(row,)))
    prior, cumulative = table.rows[0][3], table.rows[0][4]
    assert (prior.text, prior.emphasis) == ("unknown", Emphasis.ABSENT)
    assert (cumulative.text, cumulative.emphasis) == ("unknown", Emphasis.ABSENT)


def test_what_nobody_could_say_is_all_listed(case_result: CaseResult) -> None:
    said = "\n".join(texts(report_content(case_result).sections[3]))
    for statement in (*case_result.history.unknowns, *case_result.assumptions):
        assert statement in said


def test_every_finding_is_shown_the_most_serious_first(case_result: CaseResult) -> None:
    section = next(s for s in report_content(case_result).sections if s.key == "findings")
    (shown,) = [b for b in section.blocks if isinstance(b, FindingList)]
    assert {item.text for item in shown.items} == {f.text for f in case_result.findings}
    order = [item.severity for item in shown.items]
    assert order == [Severity.SERIOUS, Severity.SERIOUS, Severity.CAUTION, Severity.NOTE]


def test_nothing_is_ever_called_approved(case_result: CaseResult) -> None:
    for text in texts(report_content(case_result)):
        assert "approved" not in text.lower().replace("unapproved", "").replace(
            "nothing here has been approved", ""
        )


def test_closing_table_has_a_row_for_each_goal_of_the_summary(case_result: CaseResult) -> None:
    table = closing_table(case_result)
    assert len(table.rows) == len(case_result.summary)
    assert [row[0].text for row in table.rows] == [row.structure for row in case_result.summary]
    plexus = next(row for row in table.rows if row[0].text == "SacralPlex_R")
    assert plexus[0].sub == "α/β 2 Gy"
    assert plexus[6].text == "≤ 67 Gy"
    assert plexus[6].sub == "raw sum · Slevin et al. 2021 [R2]"
    assert plexus[7] == Cell("exceeded", "knowingly", Emphasis.CAUTION)


def test_closing_table_numbers_are_those_of_the_summary(case_result: CaseResult) -> None:
    for cells, row in zip(closing_table(case_result).rows, case_result.summary, strict=True):
        for cell, value in (
            (cells[2], row.physical_gy),
            (cells[3], row.prior_eqd2_gy),
            (cells[4], row.cumulative_eqd2_gy),
            (cells[5], row.delivered_cumulative_eqd2_gy),
        ):
            assert cell.text == (f"{value:.1f}" if math.isfinite(value) else "unknown")


def test_what_the_delivered_fractions_are_judged_against_is_said(
    case_result: CaseResult,
) -> None:
    """15 of 22 fractions can meet D95% >= 95 % although a third of the dose is missing."""
    assert case_result.delivered is not None
    n, m = case_result.planned.n_fractions, case_result.delivered.n_fractions
    said = f"There, 100 % is what was prescribed for them, {m} of {n} of the prescription"
    assert said not in closing_table(case_result).note  # its goals are in Gy
    first, *rest = case_result.planned.goals
    for line in ("PTV_4000 D95% >= 95%", "PTV_4000 V95% >= 98%", "PTV_4000 CI >= 0.7"):
        goals = (replace(first, goal=parse_goal(line)), *rest)
        relative = replace(case_result, planned=replace(case_result.planned, goals=goals))
        assert said in closing_table(relative).note
        blocks = goals_section(relative, Citations()).blocks
        assert any(said in block.note for block in blocks if isinstance(block, Table))


def test_the_label_is_the_one_that_the_other_system_shows(case_result: CaseResult) -> None:
    plan = replace(case_result.plan, label="ReRT")
    content = report_content(replace(case_result, plan=plan))
    assert "plan RSCH_ReRT · unapproved" in content.footer
    assert "RTPLAN label RSCH_ReRT." in " ".join(texts(content))
    assert written_label(replace(plan, label="RSCH_ReRT")) == "RSCH_ReRT"


def test_closing_table_of_a_complete_course_has_no_delivered_columns(
    case_result: CaseResult,
) -> None:
    rows = tuple(
        replace(row, delivered=None, delivered_cumulative_eqd2_gy=math.nan)
        for row in case_result.summary
    )
    table = closing_table(replace(case_result, delivered=None, summary=rows))
    assert [cell.text for cell in table.header].count("Delivered") == 0


def test_levels_convert_the_published_schedules(case_result: CaseResult) -> None:
    table = table_of(case_result, "levels")
    assert [cell.sub for cell in table.header[5:]] == ["α/β 2 Gy", "α/β 3 Gy", "α/β 10 Gy"]
    by_level = {row[1].text: [cell.text for cell in row[2:]] for row in table.rows}
    # 55 Gy and 45 Gy in 25, and 27 Gy in 15 as recorded: EQD2 at 2, 3 and 10 Gy.
    assert by_level["GTV"] == ["55 in 25", "2.20", "55.0 in 25", "57.75", "57.20", "55.92"]
    assert by_level["PTV"] == ["45 in 25", "1.80", "45.0 in 25", "42.75", "43.20", "44.25"]
    assert by_level["GTV_Nerve"] == ["40 in 22", "1.82", "27.0 in 15", "25.65", "25.92", "26.55"]


def test_a_course_without_fractions_on_record_has_unknown_eqd2(case_result: CaseResult) -> None:
    course = replace(
        case_result.history.courses[0], n_fractions_planned=None, n_fractions_delivered=None
    )
    history = replace(case_result.history, courses=(course,))
    row = table_of(replace(case_result, history=history), "levels").rows[0]
    assert [cell.text for cell in row[2:]] == ["55 in unknown", *("unknown",) * 5]


def test_interruption_states_the_deficit_in_bed(case_result: CaseResult) -> None:
    row = table_of(case_result, "deficit").rows[0]
    assert [cell.text for cell in row[3:6]] == ["47.27", "31.86", "15.41"]


def test_budget_shows_every_assumption_and_marks_the_one_planned_with(
    case_result: CaseResult,
) -> None:
    table = table_of(case_result, "budget_0")
    labels = [cell.text for cell in table.header[1:]]
    assert labels == ["0–3 months", "3–6 months", "6–12 months", "over 12 months"]
    chosen = [cell.emphasis is Emphasis.CHOSEN for cell in table.header]
    assert chosen == [False, True, False, False, False]
    for cells, row in zip(table.rows, case_result.budget, strict=False):
        for cell, scenario in zip(cells[1:], row.scenarios, strict=True):
            left = scenario.remaining_physical_gy
            if math.isnan(left):
                assert cell.text == "unknown"
            elif scenario.remaining_eqd2_gy > 0:
                assert cell.text == f"{left:.1f} Gy"


def test_budget_with_nothing_left_says_so(case_result: CaseResult) -> None:
    row = case_result.budget[2]
    spent = replace(row.scenarios[0], remaining_eqd2_gy=0.0, remaining_physical_gy=0.0)
    result = replace(case_result, budget=(replace(row, scenarios=(spent,)),))
    assert table_of(result, "budget_0").rows[0][1].text == "nothing left"


def test_every_source_is_numbered_once_with_its_trust(case_result: CaseResult) -> None:
    content = report_content(case_result)
    block = next(b for b in content.sections[-1].blocks if isinstance(b, ReferenceList))
    assert [r.number for r in block.references] == list(range(1, len(block.references) + 1))
    citations = {r.citation: r.trust for r in block.references}
    for result in case_result.planned.goals:
        goal: Goal = result.goal
        if goal.citation != "user":
            assert citations[goal.citation] == goal.trust
    assert dict(block.trust_legend)["R2"].startswith("read in a secondary transcription")


def test_signature_lines_are_blank_and_last(case_result: CaseResult) -> None:
    last = report_content(case_result).sections[-1].blocks[-1]
    assert isinstance(last, SignatureLines)
    assert "Medical physicist" in last.roles


def test_no_response_class_without_the_analgesic_dose(case_result: CaseResult) -> None:
    said = " ".join(texts(report_content(case_result).sections[11]))
    assert "Pain before this course 8–9, after it 5 of 10." in said
    assert "Muscle grade before 2+, after 4." in said
    assert "No response class is stated" in said


def test_a_recorded_dose_that_differs_from_the_fractions_is_shown(case_result: CaseResult) -> None:
    levels = (Prescription("PTV_4000", 40.0), Prescription("PTV_3600", 36.0))
    current = replace(case_result.current, prescriptions=levels)
    rows = table_of(replace(case_result, current=current), "levels").rows
    assert rows[2][4] == Cell("27.3 in 15", "record states 27", Emphasis.STRONG)
    assert rows[3][4] == Cell("24.5 in 15", "", Emphasis.STRONG)


def test_registration_shows_numbers_and_thresholds(case_result: CaseResult) -> None:
    table = table_of(case_result, "registration_1")
    assert [cell.text for cell in table.rows[0]] == [
        "Mean distance of bone surfaces",
        "0.71 mm",
        "≤ 2.00 mm",
        "met",
    ]
    rotation = next(row for row in table.rows if row[0].text.startswith("Rotation"))
    assert rotation[1].text == "3.2°"


def test_a_first_course_makes_a_report_without_earlier_parts(case_result: CaseResult) -> None:
    history = replace(case_result.history, courses=(), course_orders=(), events=(), unknowns=())
    result = replace(
        case_result,
        history=history,
        priors=(),
        budget=(),
        findings=(),
        delivered=None,
        assumptions=(),
        pet_suv=None,
        mr=None,
    )
    content = report_content(result)
    assert [section.key for section in content.sections] == ORDER
    said = "\n".join(texts(content))
    assert "No earlier course of radiotherapy is on record." in said
    assert "fusion" not in [picture.key for picture in content.pictures]


def test_pictures_of_dose_use_the_alpha_beta_of_nerve(case_result: CaseResult) -> None:
    assert nerve_alpha_beta_gy(case_result) == 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "unknown"),
        (math.nan, "unknown"),
        (math.inf, "unknown"),
        (-0.01, "0.0"),
        (-2.34, "−2.3"),
        (67.0, "67.0"),
    ],
)
def test_numbers_as_text(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_worded(case_result: CaseResult, verdict: Verdict) -> None:
    cell = verdict_cell(replace(case_result.planned.goals[0], verdict=verdict))
    assert cell.text
    assert cell.emphasis in {Emphasis.MET, Emphasis.EXCEEDED, Emphasis.CAUTION, Emphasis.UNKNOWN}


def test_a_value_beside_its_limit_shows_on_which_side_it_lies(case_result: CaseResult) -> None:
    goal = replace(case_result.planned.goals[4], value=80.02, verdict=Verdict.EXCEEDED)
    assert goal_value_cell(goal).text == "80.02"
    assert goal_value_cell(replace(goal, value=80.0)).text == "80.0"
    assert goal_value_cell(replace(goal, value=80.0004)).text == "80.000"


def test_goals_show_their_rank_and_what_is_breached_stands_above(case_result: CaseResult) -> None:
    breach = Finding(
        Severity.SERIOUS,
        "limit-knowingly-exceeded",
        "planned: the limit D0.1cc <= 67 Gy of X is knowingly exceeded by 2.00 Gy in X&PTV",
        "X",
    )
    first, second, *others = case_result.planned.goals
    ranked = replace(first, goal=replace(first.goal, priority=2))
    hard = replace(second, goal=replace(second.goal, is_hard=True))
    planned = replace(case_result.planned, goals=(ranked, hard, *others))
    result = replace(case_result, planned=planned, findings=(breach,))
    section = next(s for s in report_content(result).sections if s.key == "goals")
    above, table = section.blocks
    assert list(texts(above))[:2] == [
        "Knowingly exceeded",
        "planned: the limit D0.1cc ≤ 67 Gy of X is knowingly exceeded by 2.00 Gy in X&PTV",
    ]
    assert isinstance(table, Table)
    goals = [row[1].sub for row in table.rows]
    assert goals[0].startswith("priority 2; this plan")
    assert goals[1].startswith("hard limit; this plan")
    assert "priority" not in "".join(goals[2:])


def test_an_index_has_two_decimals_and_no_unit(case_result: CaseResult) -> None:
    first = case_result.planned.goals[0]
    goal = Goal("GTV_Nerve", "CI", first.goal.scope, "", at_least=0.7)
    result = replace(first, goal=goal, value=0.5512, low=0.5512, high=0.5512)
    assert goal_value_cell(result).text == "0.55"
    assert bound_text(goal) == "≥ 0.7"
    assert goal_text(goal) == "CI ≥ 0.7"
    assert goal.text == "CI >= 0.7"
    close = replace(result, value=0.6996)
    assert goal_value_cell(close).text == "0.700"


def test_findings_are_typeset_and_never_show_nan(case_result: CaseResult) -> None:
    finding = Finding(Severity.SERIOUS, "x", "D0.5cc <= 70 Gy is not met: nan Gy (R2).", "Bowel")
    content = report_content(replace(case_result, findings=(finding,)))
    assert "D0.5cc ≤ 70 Gy is not met: unknown (R2)." in list(texts(content))


def test_first_page_names_case_findings_and_counts_the_others(case_result: CaseResult) -> None:
    first = "\n".join(texts(report_content(case_result).sections[0]))
    assert "The interval since the earlier course is unknown" in first
    assert "1 more serious finding about single structures or courses." in first


def test_the_deficit_with_the_recorded_dose_is_stated_beside(case_result: CaseResult) -> None:
    target = replace(case_result.targets[0], dose_delivered_gy=27.27, bed_delivered_gy=32.23)
    note = table_of(replace(case_result, targets=(target,)), "deficit").note
    assert "The record states 27 Gy in 15 fractions" in note
    assert "BED 31.86 Gy and lacks 15.41 Gy" in note


def test_a_tag_inside_a_source_is_its_trust() -> None:
    citations = Citations()
    assert citations.mark("A 2020 [M: expert memory, not read]") == "[1] M"
    assert citations.mark("A 2020", "M") == "[1] M"
    assert [r.citation for r in citations.references()] == ["A 2020"]


def test_the_same_source_keeps_its_number() -> None:
    citations = Citations()
    assert citations.mark("A 2020", "R") == "[1] R"
    assert citations.mark("B 2021", "M") == "[2] M"
    assert citations.mark("A 2020", "R") == "[1] R"
    assert citations.mark("user") == "user"
    assert citations.tags() == {"R", "M"}


def test_a_table_with_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="one cell for each column"):
        Table("x", "", (Cell("a"), Cell("b")), ((Cell("1"),),), (Align.LEFT,) * 2, (1.0, 1.0))
