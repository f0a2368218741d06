"""The report says what record a sum stands on, how a course was mapped, what came back."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import DisplacementField, Dose, Finding, RecordGrade, RigidTransform, Severity
from rerad.evaluation import Verdict, as_lower_bound
from rerad.planning.inputs import ReturnedPlan
from rerad.planning.result import NOT_ASSURED, CaseResult, ReturnedCheck
from rerad.registration import Landmark, landmark_fit
from rerad.reporting.closing import closing_table
from rerad.reporting.content_returned import returned_blocks
from rerad.reporting.document import FindingList, Paragraph, Picture, Table
from rerad.reporting.figures import figure_makers
from rerad.reporting.registration_text import registration_section
from rerad.reporting.wording import Citations, goal_value_cell, grade_sentence


def sum_of(result: CaseResult):
    return next(g for g in result.planned.goals if g.goal.alpha_beta_gy is not None)


def with_prior(result: CaseResult, **changes):
    return replace(result, priors=(replace(result.priors[0], **changes),))


def test_a_poor_record_is_said_at_the_number(case_result):
    paper = replace(sum_of(case_result), grade=RecordGrade.PAPER)
    assert goal_value_cell(paper).sub == "bound, from paper"
    assert goal_value_cell(replace(paper, grade=RecordGrade.FULL_DICOM)).sub == ""
    sentence = grade_sentence([RecordGrade.FULL_DICOM, RecordGrade.PAPER, None])
    assert "paper record only" in sentence
    assert "upper bounds" in sentence
    assert grade_sentence([None]) == ""
    rows = tuple(
        replace(row, planned=replace(row.planned, grade=RecordGrade.DVH_OR_POINTS))
        for row in case_result.summary
    )
    table = closing_table(replace(case_result, summary=rows))
    assert "DVH or point doses only" in table.note
    assert any(cell.sub == "bound, from points" for row in table.rows for cell in row)


def test_what_is_exceeded_without_a_missing_course_keeps_its_number(case_result):
    found = sum_of(case_result)
    limit = replace(found.goal, at_most=found.value - 5.0)
    low = as_lower_bound(replace(found, goal=limit, verdict=Verdict.EXCEEDED))
    cell = goal_value_cell(low)
    assert cell.text == f"{found.value:.1f}"
    assert cell.sub == "at least; a course is missing"
    open_ = as_lower_bound(replace(found, goal=replace(found.goal, at_most=found.value + 5.0)))
    assert goal_value_cell(open_).sub == f"at least {found.value:.1f}"


def blocks_of(result, kind):
    section = registration_section(result, Citations())
    return [block for block in section.blocks if isinstance(block, kind)]


def test_a_registration_as_given_is_not_called_the_same_frame(case_result):
    given = with_prior(case_result, registration=None)
    text = " ".join(block.text for block in blocks_of(given, Paragraph))
    assert "as given" in text
    assert "shares today's frame" not in text
    assert {block.key for block in blocks_of(given, Picture)} == {"registration_1"}
    assert "registration_1" in figure_makers(given)


def test_landmarks_stand_in_a_table(case_result):
    prior = case_result.priors[0]
    point = (10.0, 20.0, 0.0)
    there = tuple(float(v) for v in prior.transform.inverse().apply(point))
    fit = landmark_fit(prior.transform, [Landmark("promontory", there, (10.0, 20.0, 2.0))])
    (table,) = [
        t for t in blocks_of(with_prior(case_result, landmarks=fit), Table)
        if t.key == "landmarks_1"
    ]  # fmt: skip
    assert [cell.text for cell in table.rows[0]] == ["Mean distance", "2.0 mm", "≤ 3.0 mm", "met"]
    assert table.rows[1][0].text == "promontory"


def test_a_course_that_was_not_mapped_shows_no_picture_of_a_map(case_result):
    frame = case_result.planning_image.grid.frame_uid
    said = Finding(Severity.SERIOUS, NOT_ASSURED, "It is not assured.", "Course 1")
    refused = with_prior(case_result, transform=RigidTransform.identity(frame), findings=(said,))
    assert blocks_of(refused, Picture) == []
    assert "registration_1" not in figure_makers(refused)
    assert any("not assured" in item.text for b in blocks_of(refused, FindingList)
               for item in b.items)  # fmt: skip


def test_a_deformation_is_drawn_and_is_what_the_picture_shows(case_result):
    prior = case_result.priors[0]
    grid = case_result.planning_image.grid.with_spacing((12.0, 12.0, 12.0))
    field = DisplacementField(np.zeros((*grid.shape, 3)), grid, prior.transform)
    deformed = with_prior(case_result, deformation=field)
    assert {b.key for b in blocks_of(deformed, Picture)} == {"registration_1", "deformable_1"}
    assert len(figure_makers(deformed)["deformable_1"]().axes) == 7


def test_a_plan_made_elsewhere_stands_beside_the_one_made_here(case_result):
    assert returned_blocks(case_result, Citations()) == ()
    goals = tuple(replace(g, verdict=Verdict.MET) for g in case_result.planned.goals)
    grid = case_result.planned.physical.grid
    plan = ReturnedPlan("Eclipse 3", Dose(np.zeros(grid.shape), grid), 22)
    note = Finding(Severity.CAUTION, "returned-fractions-differ", "It gives 22.", "Eclipse 3")
    check = ReturnedCheck(plan, goals, (note,))
    lead, table, findings = returned_blocks(replace(case_result, returned=check), Citations())
    assert "No goal or limit is exceeded" in lead.text
    assert len(table.rows) == len(goals)
    here = case_result.planned.goals[0]
    assert table.rows[0][5].text == goal_value_cell(here).text
    assert findings.items[0].text == "It gives 22."


def test_landmarks_need_a_point():
    with pytest.raises(ValueError, match="at least one landmark"):
        landmark_fit(RigidTransform.identity("1.2"), [])
