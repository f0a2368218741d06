"""The consult part of the report: every item of the consensus, blanks, types and outcome."""

import math
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from rerad.case.consult import statements_of
from rerad.case.schema import ConsultTable
from rerad.core.clinical_history import (
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    Death,
    MuscleStrength,
    OpioidUse,
    PatientRecord,
    PhaseVolume,
    SymptomScore,
    Toxicity,
)
from rerad.evaluation import dvh, evaluate_metric
from rerad.planning.result import CaseResult
from rerad.reporting import Consult, ReportContent, report_content
from rerad.reporting.checklist import ITEMS
from rerad.reporting.consult import BLANK
from rerad.reporting.document import SignatureLines, Table, texts_of
from rerad.reporting.wording import BANNER
from rerad.structures import EndSlab


def records() -> ClinicalHistory:
    """Two courses, the second stopped; pain, strength, one opioid, death without a date."""
    boost = CoursePhase(
        name="whole",
        n_fractions_planned=25,
        volumes=(PhaseVolume(structure="GTVp", prescribed_gy=55.0),),
    )
    return ClinicalHistory(
        PatientRecord(patient_id="P", text="A woman of 47.", age_years=47),
        (
            CourseRecord(
                key="c1", order=10, text="", title="Course 1", n_fractions_planned=25,
                n_fractions_delivered=UNKNOWN, institution=UNKNOWN, phases=(boost,),
            ),
            SymptomScore(key="a", order=20, text="", symptom="pain", lowest=8.0, highest=9.0),
            MuscleStrength(key="b", order=21, text="", grade="2+"),
            OpioidUse(
                key="o", order=22, text="", drug="oxycodone", dose_mg=60.0, every_hours=12.0,
                oral_morphine_mg_day=180.0, when=UNKNOWN, date=UNKNOWN,
            ),
            CourseRecord(
                key="c2", order=30, text="", title="Course 2", n_fractions_planned=22,
                n_fractions_delivered=15, delivered_dose_gy=27.0, stop_reason=UNKNOWN,
                start=date(2026, 1, 5), months_since_previous=UNKNOWN,
            ),
            SymptomScore(key="d", order=40, text="", symptom="pain", lowest=5.0, highest=5.0),
            MuscleStrength(key="e", order=41, text="", grade="4"),
            Death(key="f", order=50, text="", date=date(2026, 4, 5), when="three months after"),
        ),
    )  # fmt: skip


@pytest.fixture
def consult() -> Consult:
    return Consult(
        made=date(2026, 5, 6),
        history=records(),
        course_key="c2",
        end_slab=EndSlab.FLAT,
        statements=statements_of(ConsultTable(reason="pain", performance_status="unknown")),
        earlier_isodose_gy=20.0,
        current_isodose_gy=20.0,
    )


def section_text(content: ReportContent, key: str) -> str:
    return "\n".join(texts_of(next(s for s in content.sections if s.key == key)))


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.text)
def test_every_item_of_the_checklist_is_where_it_says(
    item, case_result: CaseResult, consult: Consult
) -> None:
    content = report_content(case_result, consult)
    assert item.words in section_text(content, item.section)


def test_the_checklist_numbers_the_sections_of_this_report(
    case_result: CaseResult, consult: Consult
) -> None:
    content = report_content(case_result, consult)
    table = next(t for t in content.tables if t.key == "checklist")
    titles = {f"{n}  {s.title}" for n, s in enumerate(content.sections, 1)}
    assert {row[1].text for row in table.rows} <= titles
    assert {row[2].text for row in table.rows} == {"☐"}


def test_what_nobody_said_is_a_line_and_what_nobody_knows_is_unknown(
    case_result: CaseResult, consult: Consult
) -> None:
    facts = dict(
        pair
        for block in report_content(case_result, consult).sections[1].blocks
        if hasattr(block, "pairs")
        for pair in block.pairs
    )
    assert facts["Reason"] == "pain"
    assert facts["Performance status"] == "unknown"
    assert facts["Requested by"] == facts["Physicist"] == BLANK
    assert set(BLANK) == {"_"}


def test_signatures_are_blank_and_last(case_result: CaseResult, consult: Consult) -> None:
    last = report_content(case_result, consult).sections[-1].blocks[-1]
    assert isinstance(last, SignatureLines)
    assert len(last.roles) == 3


def table_of(content: ReportContent, key: str) -> Table:
    return next(t for t in content.tables if t.key == key)


def test_the_type_comes_from_the_doses(case_result: CaseResult, consult: Consult) -> None:
    row = table_of(report_content(case_result, consult), "reirradiation_type").rows[0]
    assert row[1].text == "re-irradiation type 1"
    assert "share" in row[2].text
    apart = replace(consult, earlier_isodose_gy=200.0, is_toxicity_a_concern=True)
    row = table_of(report_content(case_result, apart), "reirradiation_type").rows[0]
    assert row[1].text in {"re-irradiation type 2", "unknown"}
    unsaid = replace(consult, earlier_isodose_gy=None)
    row = table_of(report_content(case_result, unsaid), "reirradiation_type").rows[0]
    assert (row[1].text, "nobody has said which isodoses" in row[2].text) == ("unknown", True)


def test_every_course_stands_as_recorded(case_result: CaseResult, consult: Consult) -> None:
    rows = table_of(report_content(case_result, consult), "courses").rows
    assert [row[0].text for row in rows] == ["Course 1", "Course 2"]
    assert "institution unknown" in rows[0][0].sub
    assert rows[0][4].text == "unknown given"
    assert "GTVp 55 Gy" in rows[0][3].sub
    assert (rows[1][4].text, rows[1][4].sub) == (
        "15 given",
        "dose 27 Gy; stopped, reason unknown",
    )
    assert "unknown" in rows[1][1].sub


def test_outcome_has_response_strength_survival_and_toxicity(
    case_result: CaseResult, consult: Consult
) -> None:
    text = section_text(report_content(case_result, consult), "outcome")
    assert "indeterminate response" in text
    assert "the earlier opioid dose is unknown" in text
    assert "strength: better; grade 2+ to 4" in text
    assert "From start of Course 2 to death: 90 days" in text
    assert "end of Course 1; end of Course 2 to death: unknown (the record says: three" in text
    assert "that is unknown, not none" in text
    graded = Toxicity(key="t", order=45, text="", term="Brachial plexopathy", grade=2)
    more = replace(consult, history=ClinicalHistory(
        consult.history.patient, (*consult.history.records, graded)))  # fmt: skip
    text = section_text(report_content(case_result, more), "outcome")
    assert "Brachial plexopathy, grade 2" in text


def test_the_response_is_one_statement_with_its_reason_and_comes_first(
    case_result: CaseResult, consult: Consult
) -> None:
    section = next(s for s in report_content(case_result, consult).sections if s.key == "outcome")
    assert section.blocks[0].title == "Response"  # type: ignore[union-attr]
    text = "\n".join(texts_of(section))
    assert "No response class is stated" not in text
    assert text.count("indeterminate response") == 1
    assert "so that it could be partial response or none of the classes" in text


def test_what_is_not_on_record_after_a_course_is_said_to_be_unknown(
    case_result: CaseResult, consult: Consult
) -> None:
    kinds = (SymptomScore, MuscleStrength, Death)
    records = tuple(r for r in consult.history.records if not isinstance(r, kinds))
    bare = replace(consult, history=ClinicalHistory(consult.history.patient, records))
    text = section_text(report_content(case_result, bare), "outcome")
    assert "Pain or strength before and after a course is not on record: unknown." in text
    assert "Neither a death nor a dated visit has a record of its own: unknown." in text


def test_the_first_course_has_no_interval_before_it(
    case_result: CaseResult, consult: Consult
) -> None:
    rows = table_of(report_content(case_result, consult), "courses").rows
    assert rows[0][1].sub == "the first on record"
    assert rows[1][1].sub == "months since the one before: unknown"


def test_an_item_that_the_report_does_not_have_is_not_claimed(
    case_result: CaseResult, consult: Consult
) -> None:
    without = replace(case_result, priors=())
    rows = table_of(report_content(without, consult), "checklist").rows
    said = {row[0].text: row[1].text for row in rows}
    assert said["Cumulative dose, EQD2, alpha/beta"] == "not in this report"
    assert said["Patient and tumour"] == "1  Who and why"


def test_a_history_from_the_ledger_names_the_end_of_its_audit_trail(
    case_result: CaseResult, consult: Consult
) -> None:
    source = f"Records read from the ledger x, whose audit trail then ended with {'a' * 64}."
    told = replace(consult, history_source=source)
    assert source in section_text(report_content(case_result, told), "consult")
    assert "audit trail" not in section_text(report_content(case_result, consult), "consult")


def test_the_html_keeps_banner_and_columns_on_paper() -> None:
    sheet = files("rerad.reporting").joinpath("templates/style.css").read_text(encoding="utf-8")
    page, paper = sheet.split("@page {")[1].split("@media print {")
    assert f'content: "{BANNER}"' in page
    # a box that scrolls on the screen would cut the last columns off on paper
    assert ".scroll { overflow: visible; }" in paper
    # a banner that is fixed would lie on the text of every page
    assert ".banner { position: static; }" in paper


def test_the_page_lists_every_item_of_the_checklist() -> None:
    page = Path(__file__).resolve().parents[3] / "docs" / "methods" / "consult.md"
    rows = [line for line in page.read_text(encoding="utf-8").splitlines() if line[:2] == "| "]
    listed = {tuple(cell.strip() for cell in row.split("|")[1:3]) for row in rows}
    assert {(item.text, f"{item.section}: {item.words}") for item in ITEMS} <= listed


def test_organs_stand_course_by_course(case_result: CaseResult, consult: Consult) -> None:
    table = table_of(report_content(case_result, consult), "organs_by_course")
    organs = [row for row in case_result.summary if not row.is_target and row.alpha_beta_gy]
    sums = [row for row in table.rows if row[1].text == "all courses, planned"]
    assert len(sums) == len(organs)
    for row, summary in zip(sums, organs, strict=True):
        value = summary.cumulative_eqd2_gy
        expected = "unknown" if math.isnan(value) else f"{value:.1f}"
        assert row[4].text == expected
        assert row[3].text == "–"  # physical doses of courses are never added


def test_organs_by_course_reach_as_far_beyond_their_ends_as_goals_do(
    case_result: CaseResult, consult: Consult
) -> None:
    organ = next(row for row in case_result.summary if not row.is_target and row.alpha_beta_gy)
    organ = replace(organ, metric="V20Gy")
    case = replace(case_result, summary=(organ,))
    dose, drawn = case.priors[0].physical_on_planning, case.structures[organ.structure]
    shown = []
    for end_slab in EndSlab:
        content = report_content(case, replace(consult, end_slab=end_slab))
        shown.append(table_of(content, "organs_by_course").rows[0][3].text)
        value = evaluate_metric(organ.metric, dvh(dose, drawn, end_slab=end_slab))
        assert shown[-1] == f"{value:.1f}"
    assert shown[0] != shown[1]


def test_parts_of_organs_have_no_lines_of_their_own(
    case_result: CaseResult, consult: Consult
) -> None:
    whole = table_of(report_content(case_result, consult), "organs_by_course")
    organ = next(row for row in case_result.summary if not row.is_target)
    part = replace(organ, structure=f"{organ.structure}-PTV")
    case = replace(case_result, summary=(*case_result.summary, part))
    assert table_of(report_content(case, consult), "organs_by_course") == whole


def test_without_a_consult_the_report_has_none_of_it(case_result: CaseResult) -> None:
    keys = {section.key for section in report_content(case_result).sections}
    assert not keys & {"consult", "checklist"}
