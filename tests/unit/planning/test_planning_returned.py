"""A plan that comes back is judged by the goals of the case and its limits, on the sum."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseScope, Goal, Grid, RecordGrade
from rerad.errors import FrameMismatchError, InputError
from rerad.evaluation import Verdict
from rerad.planning.budget import make_budget
from rerad.planning.judgement import Judgement
from rerad.planning.returned_plan import ReturnedPlan, check_returned_plan
from rerad.radiobiology import eqd2
from rerad.structures import rasterize


@pytest.fixture(scope="module")
def judgement(make_inputs, carry, structures):
    """Return what a plan of the box of water is judged on; 45/25 everywhere before."""

    def make(**changes):
        inputs = replace(make_inputs(**changes), goals=())
        grid = inputs.image.grid
        priors = tuple(carry(item, 2.0, 2.5, 3.0, 10.0) for item in inputs.priors)
        masks = {s.name: rasterize(s, grid) for s in structures.structures}
        _, limits = make_budget(inputs, priors)
        plexus = tuple(item for item in limits if item.structure == "SacralPlex_R")
        return Judgement(inputs, priors, plexus, masks, grid)

    return make


def returned(judgement, label, gy, n_fractions):
    grid = judgement.dose_grid
    return ReturnedPlan(label, Dose(np.full(grid.shape, gy), grid), n_fractions)


def with_goals(judgement, *goals):
    return replace(judgement, inputs=replace(judgement.inputs, goals=goals))


def test_a_returned_plan_is_converted_with_its_own_fractions(judgement):
    case = judgement()
    few = check_returned_plan(returned(case, "few", 20.0, 5), case)
    many = check_returned_plan(returned(case, "many", 20.0, 20), case)
    assert few.goals[0].value - many.goals[0].value == pytest.approx(
        eqd2(20, 5, 2.0) - eqd2(20, 20, 2.0), abs=0.01
    )
    assert many.is_within_limits is True
    over = check_returned_plan(returned(case, "over", 50.0, 25), case)
    assert over.goals[0].verdict is Verdict.EXCEEDED
    assert over.is_within_limits is False
    codes = {finding.code for finding in few.findings}
    assert "returned-fractions-differ" in codes  # the case asks for 22


def test_the_case_s_own_goals_judge_it_too(judgement):
    """A cumulative goal that no rule set has, one on the plan's dose, one in percent."""
    case = with_goals(
        judgement(),
        Goal("Bladder", "Dmean", DoseScope.CUMULATIVE, "Gy", at_most=58.0, alpha_beta_gy=3.0),
        Goal("Bladder", "Dmax", DoseScope.PLAN, "Gy", at_most=18.0),
        Goal("PTV_4000", "D95%", DoseScope.PLAN, "%", at_least=95.0),
    )
    check = check_returned_plan(returned(case, "p", 20.0, 22), case)
    mean, highest, coverage, limit = check.goals
    assert mean.value == pytest.approx(eqd2(45, 25, 3.0) + eqd2(20, 22, 3.0), abs=0.01)
    assert mean.verdict is Verdict.EXCEEDED
    assert highest.verdict is Verdict.EXCEEDED
    assert coverage.value == pytest.approx(50.0, abs=0.01)  # of 40 Gy
    assert limit.verdict is Verdict.MET
    assert (mean.grade, highest.grade) == (RecordGrade.FULL_DICOM, None)


def test_a_breach_is_accepted_in_the_targets_only(judgement) -> None:
    """What comes back may be hot where the target is, not in the rest of the organ."""
    case = judgement(accepted_breaches=(("SacralPlex_R", "the target lies in it"),))
    found = check_returned_plan(returned(case, "hot", 50.0, 25), case)
    verdicts = {goal.goal.structure: goal.verdict for goal in found.goals}
    assert verdicts == {
        "SacralPlex_R": Verdict.ACCEPTED,
        "SacralPlex_R&PTV": Verdict.ACCEPTED,
        "SacralPlex_R-PTV": Verdict.EXCEEDED,
    }
    assert found.is_within_limits is False
    # A breach that is accepted is a breach: one meaning for every result.
    accepted = replace(found, goals=found.goals[:1])
    assert accepted.is_within_limits is False
    low = check_returned_plan(returned(case, "low", 5.0, 25), case)
    assert {goal.verdict for goal in low.goals} == {Verdict.MET}


def test_a_missing_course_leaves_the_verdict_open_or_exceeded(judgement):
    """Without the missing course 42.75 Gy were given; more was, nobody knows how much."""
    case = judgement()
    blank = replace(case.priors[0].course, name="elsewhere")
    history = replace(
        case.inputs.history, courses=(*case.inputs.history.courses, blank), course_orders=(1, 2)
    )
    case = replace(case, inputs=replace(case.inputs, history=history))
    check = check_returned_plan(returned(case, "p", 10.0, 10), case)
    assert check.goals[0].verdict is Verdict.UNKNOWN
    assert check.goals[0].low == pytest.approx(42.75 + eqd2(10, 10, 2.0), abs=0.01)
    assert check.is_within_limits is None
    assert check.goals[0].grade is RecordGrade.UNKNOWN
    # Exceeded without it is exceeded, and by how much at least is not lost.
    over = check_returned_plan(returned(case, "p", 50.0, 25), case).goals[0]
    assert over.verdict is Verdict.EXCEEDED
    assert over.value == pytest.approx(42.75 + 50.0, abs=0.01)
    assert over.is_lower_bound


def test_a_dose_grid_that_cuts_an_organ_is_told(judgement):
    case = judgement()
    grid = case.dose_grid
    small = grid.crop((10, 0, 0), (16, *grid.shape[1:]))
    plan = ReturnedPlan("p", Dose(np.full(small.shape, 10.0), small), 10)
    check = check_returned_plan(plan, case)
    assert "returned-dose-cuts-organ" in {f.code for f in check.findings}
    assert check.goals[0].verdict is Verdict.UNKNOWN
    other = Grid(grid.shape, grid.origin_mm, grid.spacing_mm, "9.9")
    elsewhere = ReturnedPlan("p", Dose(np.full(grid.shape, 10.0), other), 10)
    with pytest.raises(FrameMismatchError, match="frame of the planning CT"):
        check_returned_plan(elsewhere, case)
    with pytest.raises(InputError, match="1 fraction or more"):
        check_returned_plan(returned(case, "p", 10.0, 0), case)
