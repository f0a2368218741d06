"""Voxels that had all they may have before the plan: flagged, and kept as low as the plan can."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose
from rerad.optimize import CumulativeOverdose, SolveSettings, solve
from rerad.planning import Listeners, prepare_case
from rerad.planning.plan_task import PlanTask, prepare_task

SPENT_EQD2_GY = 200.0


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def task(make_inputs: Callable) -> PlanTask:
    """A plan beside a few voxels of bladder, those nearest the target, that had far too much."""
    request = prepare_case(make_inputs(), silent).request
    first = prepare_task(request, silent, Listeners())
    inside, _ = first.points.of_mask(request.masks["Bladder"])
    distance = first.points.sample(first.anatomy.nearest_target_mm())[inside]
    nearest = first.points.indices[inside[np.argsort(distance, kind="stable")[:12]]]
    caps = []
    for cap in request.organ_caps:
        if cap.structure == "Bladder":
            values = cap.prior.values.copy()
            values.ravel()[nearest] = SPENT_EQD2_GY
            cap = replace(cap, prior=Dose(values, cap.prior.grid))
        caps.append(cap)
    weights = replace(request.objectives, organ_importance=0.0, organ_mean_importance=0.0)
    asked = replace(request, organ_caps=tuple(caps), objectives=weights)
    return prepare_task(asked, silent, Listeners())


def spent_term(task: PlanTask) -> CumulativeOverdose:
    """Return the objective of the spent voxels; there is one."""
    (found,) = [term for term in task.problem.terms if term.name.endswith(" spent")]
    return found


def test_spent_voxels_count_among_themselves(task: PlanTask) -> None:
    term = spent_term(task)
    assert len(term.indices) == 12
    assert term.weights.sum() == pytest.approx(1.0)
    assert np.all(term.prior_eqd2_gy == SPENT_EQD2_GY)
    capped = next(cap for cap in task.problem.caps if cap.name.startswith("Bladder"))
    assert not np.intersect1d(term.indices, capped.indices).size
    assert any(finding.code == "over-limit-before" for finding in task.findings)


def test_spent_voxels_get_less_than_if_they_were_dropped(task: PlanTask) -> None:
    term, settings = spent_term(task), SolveSettings(max_evaluations=200)
    without = tuple(item for item in task.problem.terms if item is not term)
    kept = solve(task.problem, settings).dose_gy[term.indices].mean()
    dropped = solve(replace(task.problem, terms=without), settings).dose_gy[term.indices].mean()
    assert kept < 0.5 * dropped


def test_nothing_spent_makes_no_objective(make_inputs: Callable) -> None:
    request = prepare_case(make_inputs(), silent).request
    names = [term.name for term in prepare_task(request, silent, Listeners()).problem.terms]
    assert not [name for name in names if name.endswith(" spent")]
