"""A new plan for the rest of a course: everything asked for, what was given as background."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, DoseScope, Goal
from rerad.errors import MissingDataError
from rerad.evaluation import dvh, evaluate_metric
from rerad.planning import RobustSettings, make_plan
from rerad.planning.budget import make_budget
from rerad.planning.interruption import InterruptedPlan, solve_interruption
from rerad.planning.rest_plan import (
    RestOfCourse,
    judge_whole,
    rest_goals,
    rest_medians,
    rest_request,
)
from rerad.planning.robust_verdicts import GivenBefore, robust_verdicts
from rerad.radiobiology import eqd2
from rerad.structures import rasterize

GOALS = (
    Goal("PTV_4000", "D95%", DoseScope.PLAN, "%", at_least=95.0, priority=1),
    Goal("PTV_4000", "D98%", DoseScope.PLAN, "Gy", at_least=36.0),
    Goal("Bladder", "Dmax", DoseScope.PLAN, "Gy", at_most=30.0),
    Goal("Bladder", "V15Gy[cc]", DoseScope.PLAN, "cc", at_most=40.0, priority=2),
    Goal("Bladder", "Dmean", DoseScope.CUMULATIVE, "Gy", at_most=60.0, alpha_beta_gy=3.0,
         priority=2),
    Goal("Bladder", "D0.5cc", DoseScope.CUMULATIVE, "Gy", at_most=72.0, alpha_beta_gy=3.0,
         is_hard=True),
)  # fmt: skip


def silent(_what, _share):
    """Say nothing."""


def given_dose(grid):
    """Return the plan that stopped: 40 Gy in the target, 22 beside it, as boxes."""
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    inside = np.maximum(np.maximum(np.abs(x), np.abs(y)), np.abs(z)) <= 22
    return Dose(np.where(inside, 40.0, 22.0), grid)


@pytest.fixture(scope="module")
def make_rest(make_inputs, carry, structures):
    """Return a maker of what is left of 40 Gy in 22 after 15 fractions; before, 20 Gy in 25."""

    def make(**changes):
        inputs = make_inputs(
            prior_gy=20.0,
            max_evaluations=25,
            n_correction_passes=0,
            n_leaf_refinements=1,
            dose_rate_mu_min=200.0,
            column_width_mm=10.0,
            **changes,
        )
        inputs = replace(inputs, goals=GOALS)
        grid = inputs.image.grid
        needed = (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 10.0)
        priors = tuple(carry(item, *needed) for item in inputs.priors)
        masks = {s.name: rasterize(s, grid) for s in structures.structures}
        _, limits = make_budget(inputs, priors)
        plan = InterruptedPlan(inputs.current, 15, given_dose(grid), 10.0)
        return RestOfCourse(inputs, plan, priors, limits, masks)

    return make


def five(rest):
    """Return the way of five fractions."""
    return solve_interruption(rest.plan, [], n_choices=(5,)).options[-1]


def test_goals_on_the_course_s_own_dose_are_what_is_left_of_them(make_rest):
    """22 Gy beside the target are 15 Gy after 15 of 22 fractions."""
    rest = make_rest()
    option = five(rest)
    share = 5 * option.fraction_gy / 40.0
    percent, dose, highest, volume, *cumulative = rest_goals(rest, option)[0]
    assert percent == GOALS[0]
    assert dose.at_least == pytest.approx(36.0 * share)
    assert highest.at_most == pytest.approx(30.0 - 15.0, abs=1e-3)
    assert volume.at_most == 40.0
    assert float(volume.metric.removeprefix("V").split("Gy")[0]) == pytest.approx(15.0 * share)
    assert tuple(cumulative) == GOALS[4:]


def test_a_goal_that_is_used_up_is_said(make_rest):
    rest = make_rest()
    tight = Goal("Bladder", "Dmax", DoseScope.PLAN, "Gy", at_most=14.0)
    rest = replace(rest, inputs=replace(rest.inputs, goals=(tight,)))
    option = five(rest)
    (goal,), (finding,) = rest_goals(rest, option)
    assert finding.code == "goal-used-up"
    assert goal.at_most == pytest.approx(14.0 * 5 * option.fraction_gy / 40.0)


def test_nothing_that_the_case_asks_for_is_dropped(make_rest):
    robust = RobustSettings((3.0, 3.0, 3.0), (0.0, 0.0, 0.0), 0.5, 0.0)
    rest = make_rest(robustness=robust)
    request, _ = rest_request(rest, five(rest))
    assert request.robustness == robust
    assert request.settings.n_leaf_refinements == 1
    assert request.settings.dose_rate_mu_min == 200.0
    assert [cap.metric for cap in request.physical_caps] == ["Dmax"]
    assert len(request.goals) == 4  # three with a priority, one hard
    assert request.n_fractions == 5
    before = 20.0 * (20.0 / 25 + 2.0) / 4.0
    for cap in request.organ_caps:
        if cap.structure != "SacralPlex_R":
            continue
        inside = tuple(int(n) for n in np.rint(rest.dose.grid.indices((-10.0, 0.0, 0.0))))
        expected = before + eqd2(40 * 15 / 22, 15, 2.0)
        assert cap.alpha_beta_gy == 2.0
        assert cap.prior.values[inside] == pytest.approx(expected, abs=0.01)
        # Each corner counts what was given at its own alpha/beta.
        for corner in cap.corners:
            at = corner.alpha_beta_gy
            there = eqd2(20.0, 25, at) + eqd2(40 * 15 / 22, 15, at)
            assert corner.prior.values[inside] == pytest.approx(there, abs=0.01)
        assert {corner.alpha_beta_gy for corner in cap.corners} == {1.5, 2.5}
    mean = next(item for item in request.goals if item.goal.metric == "Dmean")
    in_bladder = tuple(int(n) for n in np.rint(rest.dose.grid.indices((20.0, -45.0, 0.0))))
    expected = eqd2(20.0, 25, 3.0) + eqd2(22 * 15 / 22, 15, 3.0)
    assert mean.prior.values[in_bladder] == pytest.approx(expected, abs=0.01)
    with pytest.raises(MissingDataError, match="plan the rest"):
        replace(rest, plan=replace(rest.plan, dose=None))


def test_a_real_plan_for_the_rest_keeps_the_cumulative_limit(make_rest, structures):
    """67 Gy to the plexus: 16 and 25.9 Gy were given, so the rest may add 25 Gy EQD2 and no more.

    Eight fractions of 4 Gy would add 48 Gy in the half that lies in the target. A plan that forgot
    the fractions given would be free to add 51 Gy: the sum would be 90 Gy there.
    """
    rest = make_rest()
    coarse = rest.dose.grid.with_spacing((6.0, 6.0, 6.0))
    inputs = replace(rest.inputs, goals=GOALS[:1], beams=rest.inputs.beams[::2])
    inputs = replace(
        inputs, settings=replace(inputs.settings, n_leaf_refinements=0, max_evaluations=150)
    )
    masks = {s.name: rasterize(s, coarse) for s in inputs.structures.structures}
    flat = {
        value: replace(dose, values=np.full(coarse.shape, dose.values.flat[0]), grid=coarse)
        for value, dose in rest.priors[0].eqd2_on_planning.items()
    }
    priors = (replace(rest.priors[0], eqd2_on_planning=flat),)
    _, limits = make_budget(inputs, priors)
    plan = replace(rest.plan, dose=given_dose(coarse))
    rest = RestOfCourse(inputs, plan, priors, limits, masks)
    request, _ = rest_request(rest, replace(five(rest), n_fractions=8, fraction_gy=4.0))
    outcome = make_plan(request, silent)
    assert outcome.plan.n_fractions_planned == 8
    total = (
        rest.given_eqd2(2.0).values
        + flat[2.0].values
        + eqd2(outcome.dose.values.astype(float), 8, 2.0)
    )
    organ = masks["SacralPlex_R"].on(coarse) > 0.5
    target = masks["PTV_4000"].on(coarse) > 0.5
    assert np.median(total[organ & target]) < 78.0
    assert np.median(outcome.dose.values[target & ~organ]) > 15.0
    # The whole course is judged by the goals as stated: on both doses, against 40 Gy.
    whole = {(g.goal.structure, g.goal.metric): g for g in judge_whole(rest, outcome.dose, 8)}
    physical = Dose(rest.given_physical.values + outcome.dose.values, coarse)
    read = evaluate_metric("D95%", dvh(physical, structures["PTV_4000"]))
    assert whole["PTV_4000", "D95%"].value == pytest.approx(100 * read / 40.0, abs=0.1)
    summed = Dose(total, coarse, DoseQuantity.EQD2, 2.0)
    read = evaluate_metric("D0.1cc", dvh(summed, structures["SacralPlex_R"]))
    assert whole["SacralPlex_R", "D0.1cc"].value == pytest.approx(read, abs=0.05)


def test_the_whole_course_is_judged_in_its_worst_case(make_rest):
    """Every corner counts the fractions given and the rest at that corner's own alpha/beta."""
    robust = RobustSettings((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.5, 0.0)
    rest = make_rest(robustness=robust)
    more = rest.dose.scaled(10.0 / 40.0)
    given = GivenBefore(rest.given_physical, rest.given_eqd2, 5)
    verdicts = robust_verdicts(rest.judgement, robust, more, [(0.0, 0.0, 0.0)], given)
    plexus = next(item for item in verdicts if item.worst.goal.structure == "SacralPlex_R")
    sums = [
        eqd2(20.0, 25, at) + eqd2(40 * 15 / 22, 15, at) + eqd2(10.0, 5, at) for at in (1.5, 2.5)
    ]
    assert plexus.worst.value == pytest.approx(max(sums), abs=0.02)
    bladder = next(item for item in verdicts if item.worst.goal.metric == "Dmax")
    assert bladder.worst.value == pytest.approx(22 * 15 / 22 + 22 * 10 / 40, abs=0.01)
    assert rest_medians(rest, more) == pytest.approx({"PTV_4000": 10.0}, abs=1e-3)
