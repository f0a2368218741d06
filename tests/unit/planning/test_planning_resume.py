"""Plans that are stopped at any moment and gone on with: the same plan as without a stop."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rerad.case.plan_state import StateKeeper, load_state, save_state
from rerad.errors import InputError
from rerad.evaluation import parse_goal
from rerad.planning import (
    Listeners,
    PlanOutcome,
    PlanRequest,
    PlanState,
    RobustSettings,
    make_plan,
    prepare_case,
)

ROBUST = RobustSettings((5.0, 5.0, 5.0), (4.0, 0.0, 0.0), 0.5, 0.0)
ACCEPTED = (("SacralPlex_R", "the target lies in it"),)


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def make_request(make_inputs: Callable) -> Callable[..., PlanRequest]:
    """Return a maker of requests of a quick plan: coarse, four beams, two levels of priority."""

    def make(robustness: RobustSettings | None) -> PlanRequest:
        inputs = make_inputs(
            robustness=robustness,
            accepted_breaches=ACCEPTED,
            dose_grid_mm=5.0,
            max_evaluations=20,
            n_correction_passes=1,
            n_leaf_refinements=1,
        )
        goals = ("1: PTV_4000 D95% >= 95%", "2: Bladder Dmean <= 6 Gy")
        asked = replace(inputs, goals=tuple(parse_goal(text) for text in goals))
        request = prepare_case(asked, silent).request
        return replace(request, beams=request.beams[::2])

    return make


class Stopper:
    """Keeps states like a case does, and stops the plan as Ctrl-C would when it is time."""

    def __init__(self, path: Path, is_time: Callable[[PlanState], bool]) -> None:
        self.keeper = StateKeeper(path, "same inputs")
        self.is_time = is_time

    def __call__(self, state: PlanState) -> None:
        self.keeper(state)
        if self.is_time(state):
            raise KeyboardInterrupt


def stop_and_go_on(
    request: PlanRequest, folder: Path, is_time: Callable[[PlanState], bool]
) -> tuple[PlanOutcome, list[str]]:
    """Stop a plan, read what was kept, go on; return the plan and what was done after the stop."""
    path = folder / "plan-state.npz"
    with pytest.raises(KeyboardInterrupt):
        make_plan(request, silent, listeners=Listeners(keep=Stopper(path, is_time)))
    kept = load_state(path, "same inputs")
    steps: list[str] = []
    return make_plan(request, lambda what, _: steps.append(what), resume=kept), steps


def same_leaves(first: PlanOutcome, second: PlanOutcome) -> bool:
    """Return whether two plans are one, to the last leaf and monitor unit."""
    return all(
        a.meterset_mu == b.meterset_mu
        and len(a.control_points) == len(b.control_points)
        and all(
            np.array_equal(p.leaf_positions_mm, q.leaf_positions_mm)
            for p, q in zip(a.control_points, b.control_points, strict=True)
        )
        for a, b in zip(first.plan.beams, second.plan.beams, strict=True)
    )


def robust_passes(state: PlanState) -> int:
    return -1 if state.robust is None else state.robust.n_passes_done


@pytest.fixture(scope="module")
def robust_request(make_request: Callable) -> PlanRequest:
    return make_request(ROBUST)


@pytest.fixture(scope="module")
def uninterrupted(robust_request: PlanRequest) -> PlanOutcome:
    return make_plan(robust_request, silent)


@pytest.mark.parametrize(
    ("n_trusting", "n_robust", "is_done", "is_left"),
    [
        (1, -1, "optimising, pass 1 of 2", "optimising, pass 2 of 2"),
        (2, -1, "optimising, pass", "robust, pass 1 of 2"),
        (2, 1, "robust, pass 1", "robust, pass 2 of 2"),
        (2, 2, "robust, pass", "refining leaf positions"),
    ],
)
def test_a_robust_plan_stopped_after_any_pass_is_the_same_plan(
    robust_request: PlanRequest,
    uninterrupted: PlanOutcome,
    tmp_path: Path,
    n_trusting: int,
    n_robust: int,
    is_done: str,
    is_left: str,
) -> None:
    outcome, steps = stop_and_go_on(
        robust_request,
        tmp_path,
        lambda state: state.n_passes_done == n_trusting and robust_passes(state) == n_robust,
    )
    assert not any(is_done in step for step in steps)
    assert any(is_left in step for step in steps)
    assert same_leaves(outcome, uninterrupted)
    np.testing.assert_array_equal(outcome.dose.values, uninterrupted.dose.values)
    assert outcome.convergence == uninterrupted.convergence
    assert outcome.findings == uninterrupted.findings
    assert outcome.robust is not None
    assert uninterrupted.robust is not None
    assert outcome.robust.price == uninterrupted.robust.price
    assert outcome.robust.n_evaluations == uninterrupted.robust.n_evaluations
    assert outcome.prices is not None
    assert uninterrupted.prices is not None
    assert outcome.prices.organs == uninterrupted.prices.organs


def test_a_robust_plan_stopped_within_a_pass_goes_on_from_there(
    robust_request: PlanRequest, tmp_path: Path
) -> None:
    """The fluence reached is kept; only what the search had learned of the slope is lost."""
    path = tmp_path / "plan-state.npz"
    looks: list[PlanState] = []

    def stop_at_third_look(state: PlanState) -> None:
        looks.extend([state] if robust_passes(state) == 0 else [])
        if len(looks) == 3:
            save_state(state, path, "same inputs")
            raise KeyboardInterrupt

    steps: list[str] = []

    def stop_after_a_step(state: PlanState) -> None:
        looks.append(state)
        if any("robust, pass 1 of 2" in step for step in steps):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_plan(robust_request, silent, listeners=Listeners(keep=stop_at_third_look))
    kept = load_state(path, "same inputs")
    assert kept is not None
    np.testing.assert_array_equal(kept.latest.fluence_mu, looks[2].latest.fluence_mu)
    with pytest.raises(KeyboardInterrupt):
        make_plan(
            robust_request,
            lambda what, _: steps.append(what),
            listeners=Listeners(keep=stop_after_a_step),
            resume=kept,
        )
    assert not any("optimising, pass" in step for step in steps)
    first_steps = looks[-1].latest.fluence_mu
    gone_on = np.linalg.norm(first_steps - kept.latest.fluence_mu)
    gone_back = np.linalg.norm(first_steps - kept.fluence_mu)
    assert gone_on < 0.5 * gone_back


def test_a_plan_stopped_while_leaves_are_refined_is_not_optimised_again(
    make_request: Callable, tmp_path: Path
) -> None:
    request = make_request(None)
    once = make_plan(request, silent)
    again, steps = stop_and_go_on(request, tmp_path, lambda state: state.n_passes_done == 2)
    assert not any("optimising" in step for step in steps)
    assert same_leaves(again, once)
    assert again.convergence == once.convergence


def test_robust_states_of_another_plan_are_refused(
    robust_request: PlanRequest, uninterrupted: PlanOutcome
) -> None:
    state = uninterrupted.state
    assert state is not None
    assert state.robust is not None
    foreign = replace(state.robust, fluence_mu=np.ones(7))
    with pytest.raises(InputError, match="has 7 beamlets"):
        make_plan(robust_request, silent, resume=replace(state, robust=foreign))
    halfway = replace(state.robust, n_passes_done=1, multipliers=(np.ones(3),))
    with pytest.raises(InputError, match="1 caps of another plan"):
        make_plan(robust_request, silent, resume=replace(state, robust=halfway))
    bare = replace(state.robust, record=None)
    with pytest.raises(InputError, match="does not hold its last pass"):
        make_plan(robust_request, silent, resume=replace(state, robust=bare))
