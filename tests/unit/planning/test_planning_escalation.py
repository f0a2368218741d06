"""As much as the limits allow: what is asked for, what comes out, what is said."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import DoseScope, Goal, Prescription, Severity
from rerad.errors import InputError
from rerad.evaluation import Verdict, evaluate_metric
from rerad.optimize import Overdose, Underdose
from rerad.planning import (
    CaseResult,
    Listeners,
    PlanningInputs,
    prepare_case,
    run_pipeline,
)
from rerad.planning.escalation import contradiction
from rerad.planning.plan_task import prepare_task
from rerad.radiobiology import eqd2

UP_TO_GY = 60.0


def silent(what: str, share: float) -> None:
    """Say nothing."""


def going_up(make_inputs: Callable, **changes: object) -> PlanningInputs:
    """Return the box of water with a target of 40 Gy that is to get up to 60 Gy."""
    accepted = (("SacralPlex_R", "the target lies in it"),)
    inputs: PlanningInputs = make_inputs(accepted_breaches=accepted, **changes)
    wanted = (Prescription("PTV_4000", 40.0, UP_TO_GY),)
    return replace(
        inputs,
        current=replace(inputs.current, prescriptions=wanted, n_fractions_delivered=None),
        goals=(Goal("Bladder", "D2%", DoseScope.PLAN, "Gy", at_most=30.0, priority=1),),
    )


@pytest.fixture(scope="module")
def result(make_inputs: Callable) -> CaseResult:
    return run_pipeline(going_up(make_inputs, max_evaluations=200), silent)


def test_the_target_is_asked_for_what_it_may_go_up_to(make_inputs: Callable) -> None:
    request = prepare_case(going_up(make_inputs), silent).request
    terms = {item.name: item for item in prepare_task(request, silent, Listeners()).problem.terms}
    least, most = terms["PTV_4000 too little"], terms["PTV_4000 too much"]
    assert isinstance(least, Underdose)
    assert np.all(least.dose_gy == UP_TO_GY)
    assert isinstance(most, Overdose)
    assert np.all(most.dose_gy == 1.05 * UP_TO_GY)


def test_the_target_gets_more_than_prescribed_and_limits_hold(result: CaseResult) -> None:
    """Nothing near has a limit but the plexus outside the target and the bladder."""
    d98 = evaluate_metric("D98%", result.planned.physical_dvhs["PTV_4000"])
    assert 40.0 < d98 < UP_TO_GY
    limits = [g for g in result.planned.goals if g.goal.scope is DoseScope.CUMULATIVE]
    beside = next(g for g in limits if g.goal.structure == "SacralPlex_R-PTV")
    assert beside.value <= beside.goal.at_most + 0.5


def test_the_finding_says_what_came_out_and_what_held_it_back(result: CaseResult) -> None:
    (found,) = [item for item in result.findings if item.code == "as-much-as-limits-allow"]
    read = result.planned.physical_dvhs["PTV_4000"]
    d98, d50 = (evaluate_metric(metric, read) for metric in ("D98%", "D50%"))
    assert found.severity is Severity.SERIOUS
    assert f"D98 % is {d98:.1f} Gy ({float(eqd2(d98, 22, 10.0)):.1f} Gy EQD2" in found.text
    assert f"{d50 / 22:.2f} Gy per fraction" in found.text
    assert "Closest to their limits: SacralPlex_R-PTV D0.1cc" in found.text
    whole = next(g for g in result.planned.goals if g.verdict is Verdict.ACCEPTED)
    assert (
        "No cumulative limit held it back inside what is knowingly exceeded: SacralPlex_R"
        in found.text
    )
    assert f"{whole.goal.metric} {whole.value:.1f} of 67 Gy" in found.text


@pytest.mark.parametrize(
    ("goal", "allowed"),
    [
        (Goal("PTV", "D2%", DoseScope.PLAN, "%", at_most=107.0), "42.8 Gy"),
        (Goal("PTV", "Dmax", DoseScope.PLAN, "Gy", at_most=59.0), "59 Gy"),
        (Goal("PTV", "D2%", DoseScope.PLAN, "Gy", at_most=64.0), None),
        (Goal("PTV", "D95%", DoseScope.PLAN, "%", at_least=95.0), None),
    ],
)
def test_a_goal_that_forbids_what_is_asked_for_is_told(goal: Goal, allowed: str | None) -> None:
    found = contradiction(goal, Prescription("PTV", 40.0, UP_TO_GY))
    if allowed is None:
        assert found is None
    else:
        assert found == (
            f"it allows PTV {allowed}, but the target is to go up to 60 Gy (up_to_gy); leave the "
            "goal out, or state it in Gy above that"
        )
    assert contradiction(goal, Prescription("PTV", 40.0)) is None


@pytest.mark.parametrize("up_to_gy", [40.0, 30.0, 200.0, float("nan")])
def test_a_dose_to_go_up_to_is_above_the_prescription(up_to_gy: float) -> None:
    with pytest.raises(InputError, match="expected a dose to go up to between the prescribed 40"):
        Prescription("PTV", 40.0, up_to_gy)


def test_a_hard_goal_on_the_plan_s_own_dose_bounds_what_an_accepted_breach_leaves_open(
    make_inputs: Callable,
) -> None:
    inputs = going_up(make_inputs)
    hard = Goal("SacralPlex_R", "Dmax", DoseScope.PLAN, "Gy", at_most=48.0, is_hard=True)
    request = prepare_case(replace(inputs, goals=(hard,)), silent).request
    task = prepare_task(request, silent, Listeners())
    (cap,) = [item for item in task.problem.caps if item.name.endswith("dose cap")]
    inside, _ = task.points.of_mask(request.masks["SacralPlex_R"])
    target, _ = task.points.of_mask(request.masks["PTV_4000"])
    assert np.intersect1d(inside, target).size
    assert set(inside) <= set(cap.indices)
    assert np.all(cap.max_dose_gy <= 48.0)
