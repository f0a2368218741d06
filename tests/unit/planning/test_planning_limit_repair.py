"""A finished plan above a limit: leaves move until it holds, or a finding says by how much not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Severity
from rerad.evaluation import dvh, evaluate_metric, parse_goal
from rerad.optimize import Multipliers
from rerad.planning import PlanOutcome, PlanRequest, make_plan, prepare_case
from rerad.planning.limit_repair import excesses, hold_limits
from rerad.planning.plan_goals import physical_caps
from rerad.planning.plan_passes import Delivered
from rerad.planning.plan_task import Listeners, PlanTask, prepare_task

ORGAN = "SacralPlex_R"


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def request_of_box(make_inputs: Callable) -> PlanRequest:
    inputs = make_inputs(dose_grid_mm=6.0, max_evaluations=40, n_correction_passes=0)
    request = prepare_case(inputs, silent).request
    return replace(request, beams=request.beams[::2])


@pytest.fixture(scope="module")
def made(request_of_box: PlanRequest) -> PlanOutcome:
    return make_plan(request_of_box, silent)


def at_limit(request: PlanRequest, made: PlanOutcome, limit: float) -> tuple[PlanTask, Delivered]:
    """Return the finished plan, asked to hold another limit in the plexus."""
    caps = tuple(
        replace(cap, limit_eqd2_gy=limit, aim_eqd2_gy=limit - 0.5)
        if cap.structure == ORGAN
        else cap
        for cap in request.organ_caps
    )
    task = prepare_task(replace(request, organ_caps=caps), silent, Listeners())
    at_points = task.points.sample(np.nan_to_num(made.dose.values))
    return task, Delivered(made.plan, made.dose, at_points)


def above(task: PlanTask, delivered: Delivered) -> float:
    return next(e.by_gy for e in excesses(task, delivered.dose) if e.cap.structure == ORGAN)


def held_of(task: PlanTask, made: PlanOutcome) -> Multipliers:
    assert made.state is not None
    return Multipliers.start(task.problem.caps, made.state.stiffness)


def test_the_excess_is_that_of_the_verdict(request_of_box: PlanRequest, made: PlanOutcome) -> None:
    task, delivered = at_limit(request_of_box, made, 60.0)
    other, _ = at_limit(request_of_box, made, 61.0)
    assert above(task, delivered) == pytest.approx(above(other, delivered) + 1.0, abs=1e-6)


def test_leaves_move_until_the_limit_holds(request_of_box: PlanRequest, made: PlanOutcome) -> None:
    task, delivered = at_limit(request_of_box, made, 60.0)
    limit = 60.0 + above(task, delivered) - 1.0
    task, delivered = at_limit(request_of_box, made, limit)
    assert above(task, delivered) == pytest.approx(1.0, abs=1e-3)
    held, findings = hold_limits(task, delivered, task.problem, held_of(task, made), silent)
    after = above(task, held)
    assert after < 0.5
    assert bool(findings) is (after > 0)
    assert held.plan is not delivered.plan


def test_a_limit_out_of_reach_is_said(request_of_box: PlanRequest, made: PlanOutcome) -> None:
    """45 Gy in 25 were given: 42.75 Gy EQD2. A limit of 43 leaves a quarter of a Gray."""
    task, delivered = at_limit(request_of_box, made, 43.0)
    held, findings = hold_limits(task, delivered, task.problem, held_of(task, made), silent)
    assert above(task, held) <= above(task, delivered)
    (finding,) = findings
    assert (finding.code, finding.severity) == ("limit-not-held", Severity.SERIOUS)
    assert f"{above(task, held):.2f} Gy EQD2 above the limit of 43 Gy" in finding.text


def test_a_plan_within_its_limits_is_left_alone(
    request_of_box: PlanRequest, made: PlanOutcome
) -> None:
    task, delivered = at_limit(request_of_box, made, 90.0)
    held, findings = hold_limits(task, delivered, task.problem, held_of(task, made), silent)
    assert held is delivered
    assert findings == ()


def test_leaves_move_for_a_hard_limit_of_this_plan_s_own_dose(
    make_inputs: Callable, request_of_box: PlanRequest, made: PlanOutcome
) -> None:
    inputs = make_inputs()
    reached = evaluate_metric("Dmax", dvh(made.dose, inputs.structures["Bladder"]))
    limit = round(reached - 0.7, 2)
    caps = physical_caps([parse_goal(f"Bladder Dmax <= {limit} Gy must")], inputs)
    task = prepare_task(replace(request_of_box, physical_caps=caps), silent, Listeners())
    delivered = Delivered(
        made.plan, made.dose, task.points.sample(np.nan_to_num(made.dose.values))
    )
    (own,) = (item for item in excesses(task, made.dose) if item.cap is caps[0])
    assert own.by_gy == pytest.approx(reached - limit, abs=1e-6)
    held, findings = hold_limits(task, delivered, task.problem, held_of(task, made), silent)
    after = evaluate_metric("Dmax", dvh(held.dose, inputs.structures["Bladder"])) - limit
    assert after < 0.35
    assert [f"above the limit of {limit:g} Gy" in item.text for item in findings] == [True] * (
        after > 0
    )
