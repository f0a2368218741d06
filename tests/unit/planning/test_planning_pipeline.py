"""The way through on a box of water: limits held, verdicts right, findings said."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, RecordGrade, Severity, StructureSet
from rerad.errors import InputError, MissingDataError, StructureNotFoundError
from rerad.evaluation import Verdict
from rerad.planning import CaseResult, prepare_case, run_pipeline
from rerad.planning.pipeline import dose_grid_for, external_of, require_structures
from rerad.planning.returned_plan import ReturnedPlan, check_returned_plan
from rerad.radiobiology import eqd2


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def result(make_inputs: Callable) -> CaseResult:
    accepted = (("SacralPlex_R", "the target lies in it"),)
    return run_pipeline(make_inputs(accepted_breaches=accepted, n_leaf_refinements=1), silent)


def goals(result: CaseResult) -> dict:
    return {(g.goal.structure, g.goal.metric): g for g in result.planned.goals}


def test_the_plan_s_own_cap_is_held(result: CaseResult) -> None:
    assert goals(result)["Bladder", "Dmax"].value < 30.0


def test_the_target_is_covered_where_nothing_was_given_before(make_inputs: Callable) -> None:
    done = run_pipeline(make_inputs(prior_gy=None), silent)
    assert goals(done)["PTV_4000", "D95%"].verdict is Verdict.MET
    assert done.is_within_limits


def test_a_limit_beside_the_target_costs_coverage(
    result: CaseResult, make_inputs: Callable
) -> None:
    """The plexus goes on where the target ends: both cannot be had, and the limit goes first."""
    free = run_pipeline(make_inputs(prior_gy=None, n_leaf_refinements=1), silent)
    with_prior = goals(result)["PTV_4000", "D95%"].value
    assert 80 < with_prior < goals(free)["PTV_4000", "D95%"].value


def test_the_breach_inside_the_target_is_accepted_and_said(result: CaseResult) -> None:
    inside = goals(result)["SacralPlex_R", "D0.1cc"]
    assert inside.verdict is Verdict.ACCEPTED
    assert inside.value == pytest.approx(42.75 + float(eqd2(41.0, 22, 2.0)), abs=3.0)
    finding = next(f for f in result.findings if f.code == "limit-knowingly-exceeded")
    assert finding.severity is Severity.SERIOUS
    assert "the target lies in it" in finding.text
    assert not result.is_within_limits


def test_the_part_outside_is_judged_on_its_own(result: CaseResult) -> None:
    outside = goals(result)["SacralPlex_R-PTV", "D0.1cc"]
    assert outside.value < goals(result)["SacralPlex_R", "D0.1cc"].value
    assert outside.value <= 67.0 + 2.0


def test_delivered_fractions_count_fractions_not_dose_per_fraction(result: CaseResult) -> None:
    assert result.delivered is not None
    planned = result.planned.cumulative[2.0].values - eqd2(45.0, 25, 2.0)
    delivered = result.delivered.cumulative[2.0].values - eqd2(45.0, 25, 2.0)
    known = ~np.isnan(planned)
    np.testing.assert_allclose(delivered[known], planned[known] * 15 / 22, atol=1e-3)
    assert result.delivered.physical.max_gy == pytest.approx(
        result.planned.physical.max_gy * 15 / 22
    )


def test_the_deficit_of_the_target(result: CaseResult) -> None:
    target = result.targets[0]
    assert target.bed_planned_gy == pytest.approx(47.27, abs=0.01)
    assert target.bed_deficit_gy == pytest.approx(47.27 * 7 / 22, abs=0.01)


def test_a_plan_that_comes_back_is_judged_as_the_same_plan_made_here(
    result: CaseResult, make_inputs: Callable
) -> None:
    """The plan's own dose, returned: every verdict and value as for the plan itself."""
    inputs = make_inputs(accepted_breaches=(("SacralPlex_R", "the target lies in it"),))
    own = ReturnedPlan("own", result.planned.physical, 22)
    check = check_returned_plan(own, prepare_case(inputs, silent).judgement)
    assert [(g.goal.structure, g.verdict, g.grade) for g in check.goals] == [
        (g.goal.structure, g.verdict, g.grade) for g in result.planned.goals
    ]
    for back, here in zip(check.goals, result.planned.goals, strict=True):
        assert back.value == pytest.approx(here.value, abs=1e-3)
    assert check.is_within_limits is result.is_within_limits is False
    assert check.findings == ()


def test_findings_come_most_serious_first(result: CaseResult) -> None:
    order = [Severity.SERIOUS, Severity.CAUTION, Severity.NOTE]
    ranks = [order.index(finding.severity) for finding in result.findings]
    assert ranks == sorted(ranks)
    codes = {finding.code for finding in result.findings}
    assert {"interval-unknown", "stopped-early", "target-in-organ", "dose-model"} <= codes


def test_every_step_is_timed(result: CaseResult) -> None:
    assert len(result.provenance.steps) == 5
    assert all(step.seconds >= 0 for step in result.provenance.steps)


def test_the_plan_is_deterministic(result: CaseResult, make_inputs: Callable) -> None:
    accepted = (("SacralPlex_R", "the target lies in it"),)
    inputs = make_inputs(accepted_breaches=accepted, n_leaf_refinements=1)
    again = run_pipeline(inputs, silent)
    np.testing.assert_array_equal(again.planned.physical.values, result.planned.physical.values)


def test_unknown_earlier_dose_is_counted_and_not_limited(make_inputs: Callable) -> None:
    inputs = make_inputs()
    values = np.full(inputs.image.grid.shape, 45.0)
    small = inputs.image.grid.crop((0, 0, 0), (26, 50, 24))  # nothing is known on the left
    prior = inputs.priors[0]
    dose = Dose(values[:, :, :24], small)
    prior = replace(prior, study=replace(prior.study, dose=dose))
    done = run_pipeline(replace(inputs, priors=(prior,)), silent)
    codes = {finding.code for finding in done.findings}
    assert {"prior-dose-outside-grid", "limit-not-set", "goal-unknown"} <= codes
    bladder = goals(done)["Bladder", "D0.5cc"]
    assert bladder.verdict is Verdict.UNKNOWN
    assert np.isnan(bladder.value)
    assert np.isnan(done.planned.cumulative[3.0].values).any()


def test_voxels_over_the_limit_before_the_plan_are_reported(make_inputs: Callable) -> None:
    done = run_pipeline(make_inputs(prior_gy=80.0), silent)
    finding = next(f for f in done.findings if f.code == "over-limit-before")
    assert finding.severity is Severity.SERIOUS
    assert goals(done)["Bladder", "D0.5cc"].verdict is Verdict.EXCEEDED


def test_missing_things_are_named(make_inputs: Callable, structures: StructureSet) -> None:
    inputs = make_inputs()
    without = replace(inputs, structures=StructureSet("x", structures.structures[:1]))
    with pytest.raises(StructureNotFoundError, match="PTV_4000"):
        require_structures(without)
    empty = replace(structures["PTV_4000"], contours=())
    others = tuple(s for s in structures.structures if s.name != "PTV_4000")
    undrawn = replace(inputs, structures=StructureSet("x", (*others, empty)))
    with pytest.raises(InputError, match="nothing is drawn"):
        require_structures(undrawn)
    no_outline = replace(inputs, structures=StructureSet("x", structures.structures[1:]))
    with pytest.raises(MissingDataError, match="EXTERNAL"):
        run_pipeline(no_outline, silent)
    unknown = replace(inputs.priors[0].course, n_fractions_delivered=None)
    undelivered = replace(inputs, priors=(replace(inputs.priors[0], course=unknown),))
    with pytest.raises(MissingDataError, match="n_fractions_delivered is unknown"):
        run_pipeline(undelivered, silent)


def test_a_course_without_a_dose_makes_every_sum_a_lower_bound(
    make_inputs: Callable, result: CaseResult
) -> None:
    """A course known from paper only was given all the same: nothing is met, nothing is left."""
    inputs = make_inputs(prior_gy=66.0)  # alone above the plexus' limit
    paper = replace(inputs.priors[0].course, name="Paper", grade=RecordGrade.PAPER)
    history = replace(inputs.history, courses=(*inputs.history.courses, paper))
    done = run_pipeline(replace(inputs, history=history), silent)
    assert goals(done)["Bladder", "D0.5cc"].verdict is Verdict.UNKNOWN
    assert goals(done)["SacralPlex_R", "D0.1cc"].verdict is Verdict.EXCEEDED
    for row in done.budget:
        assert all(np.isnan(item.prior_eqd2_gy) for item in row.scenarios)
        assert all(np.isnan(item.remaining_eqd2_gy) for item in row.scenarios)
    organs = [row for row in done.summary if not row.is_target]
    for row in organs:
        # What is exceeded all the same keeps its number, as what it is at least.
        is_exceeded = row.planned.verdict is Verdict.EXCEEDED
        assert np.isfinite(row.cumulative_eqd2_gy) == is_exceeded
        assert row.planned.is_lower_bound
        assert row.planned.grade is RecordGrade.UNKNOWN
    finding = next(f for f in done.findings if f.code == "course-without-dose")
    assert finding.where == "Paper"
    assert "lower bound" in finding.text


@pytest.mark.parametrize("spacing_mm", [2.5, 4.0, 5.0, 7.0])
def test_no_dose_grid_is_shorter_than_the_ct(make_inputs: Callable, spacing_mm: float) -> None:
    """26 slices of 3 mm are no whole number of most spacings; the last slice is an organ's too."""
    inputs = make_inputs()
    grid = dose_grid_for(inputs.image, external_of(inputs.structures), spacing_mm)
    ct = inputs.image.grid
    assert grid.axes_mm[2][0] - spacing_mm / 2 <= ct.axes_mm[2][0] - 1.5 + 1e-9
    assert grid.axes_mm[2][-1] + spacing_mm / 2 >= ct.axes_mm[2][-1] + 1.5 - 1e-9
    assert grid.shape[0] * spacing_mm - 26 * 3.0 < spacing_mm
