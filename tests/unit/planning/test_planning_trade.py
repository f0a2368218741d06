"""Trades between goals of a case, and the plan of a place on one."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.errors import InputError
from rerad.evaluation import parse_goal
from rerad.optimize import Aim, TailMean, TailSide
from rerad.planning import (
    PlanOutcome,
    PreparedCase,
    RobustSettings,
    Trade,
    TradeSettings,
    judge_case,
    make_plan,
    plan_of,
    prepare_case,
    trade_off,
)
from rerad.planning.mimic import DoseDeviation
from rerad.planning.plan_task import Listeners, prepare_task
from rerad.planning.robust_plan import in_scenarios, scenarios_of
from rerad.planning.trade_axes import Lack, axis_name, sliders_of, trade_axes, traded_goals

NAMES = ("PTV_4000 D95%", "SacralPlex_R D0.1cc")


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def finished(make_inputs: Callable) -> tuple[PreparedCase, PlanOutcome]:
    inputs = make_inputs(
        n_correction_passes=1,
        max_evaluations=60,
        accepted_breaches=(("SacralPlex_R", "the target lies in it"),),
    )
    prepared = prepare_case(inputs, silent)
    return prepared, make_plan(prepared.request, silent)


@pytest.fixture(scope="module")
def trade(finished: tuple) -> Trade:
    prepared, outcome = finished
    settings = TradeSettings(n_plans=5, give_up_percent=10.0)
    return trade_off(prepared, outcome.state, NAMES, settings, silent)


@pytest.fixture(scope="module")
def found(trade: Trade) -> tuple:
    return trade.pareto, trade.axes


def test_the_finished_plan_lies_at_the_well_covered_end(trade: Trade) -> None:
    lack, plexus = trade.finished
    assert lack < np.median(trade.pareto.values[:, 0])
    assert plexus > np.median(trade.pareto.values[:, 1])


def test_a_trade_is_one(trade: Trade) -> None:
    """Less dose to the organ costs the target; nobody falls below what may be given up."""
    pareto = trade.pareto
    assert pareto.goals == ("PTV_4000 D95%", "SacralPlex_R D0.1cc[EQD2]")
    assert pareto.units == ("Gy below 40", "Gy EQD2 outside targets")
    covered, spared = pareto.values[pareto.values.argmin(axis=0)]
    assert spared[0] > covered[0] + 0.5
    assert covered[1] > spared[1] + 1.0
    totals = pareto.values + pareto.base_values[:, None]
    assert not any(np.any(np.all(totals < total, axis=1)) for total in totals)
    assert pareto.cap_violations_gy.max() < 0.03
    given_up = pareto.values[:, 0].max() - trade.finished[0]
    assert 0.5 < given_up < 0.1 * 40.0 + 0.1


def test_the_chosen_plan_gives_what_was_promised(finished: tuple, found: tuple) -> None:
    prepared, outcome = finished
    pareto, _ = found
    wish = float(np.median(pareto.values[:, 1]))
    chosen = plan_of(prepared, pareto, outcome.state, {NAMES[1]: wish}, silent)
    judged = judge_case(prepared, chosen)
    values = {(g.goal.structure, g.goal.metric): g.value for g in judged.planned.goals}
    assert values["SacralPlex_R-PTV", "D0.1cc"] < wish + 0.5
    before = judge_case(prepared, outcome)
    was = {(g.goal.structure, g.goal.metric): g.value for g in before.planned.goals}
    assert values["PTV_4000", "D95%"] < was["PTV_4000", "D95%"]
    assert "trade between" in chosen.convergence.status
    assert not any(finding.code == "wish-not-met" for finding in chosen.findings)
    # what the state holds is this plan's: its model and its background make its final dose
    task = prepare_task(prepared.request, silent, Listeners())
    model = task.problem.delivered_gy(chosen.state.fluence_mu)
    final = task.points.sample(np.nan_to_num(chosen.dose.values))
    np.testing.assert_allclose(model + chosen.state.background_gy, final, atol=1e-3)


def test_a_wish_that_no_plan_has_is_said(finished: tuple, found: tuple) -> None:
    prepared, outcome = finished
    chosen = plan_of(prepared, found[0], outcome.state, {NAMES[1]: 1.0}, silent)
    finding = next(f for f in chosen.findings if f.code == "wish-not-met")
    assert "SacralPlex_R D0.1cc[EQD2]" in finding.text


def test_a_state_of_another_plan_is_refused(finished: tuple, found: tuple) -> None:
    prepared, outcome = finished
    other = replace(outcome.state, fluence_mu=outcome.state.fluence_mu[:-1])
    with pytest.raises(InputError, match="plan the case again"):
        plan_of(prepared, found[0], other, {}, silent)


def test_goals_that_cannot_be_traded_are_named(make_inputs: Callable) -> None:
    goals = ("PTV_4000 CI >= 0.8", "Bladder V20Gy <= 30 %", "Bladder Dmean <= 50 %")
    inputs = replace(make_inputs(), goals=tuple(parse_goal(text) for text in goals))
    prepared = prepare_case(inputs, silent)
    task = prepare_task(prepared.request, silent, Listeners())
    for name in ("PTV_4000 CI", "Bladder V20Gy"):
        with pytest.raises(InputError, match="no convex number in Gy"):
            trade_axes(prepared.judgement, task, [name])
    with pytest.raises(InputError, match=r"is no goal of the case; there are: Bladder D0\.5cc"):
        trade_axes(prepared.judgement, task, ["Rectum Dmean"])
    (mean,) = trade_axes(prepared.judgement, task, ["Bladder  Dmean"])
    assert mean.slider(50.0) == pytest.approx(20.0)
    assert sliders_of([mean], {"Bladder Dmean": 25.0}) == {"Bladder Dmean": 10.0}
    with pytest.raises(InputError, match="not among the goals of this trade"):
        sliders_of([mean], {"Bladder D2%": 25.0})
    assert axis_name(prepared.judgement.limits[0].goal).endswith("[EQD2]")


def test_one_goal_twice_is_no_trade_and_physical_goals_are_of_the_whole_organ(
    make_inputs: Callable,
) -> None:
    """A breach is accepted of cumulative limits only: a physical goal is judged on the whole."""
    goals = ("SacralPlex_R Dmean <= 50 Gy", "SacralPlex_R Dmean[EQD2] <= 90 ab=2")
    inputs = make_inputs(accepted_breaches=(("SacralPlex_R", "meant"),), dose_grid_mm=6.0)
    inputs = replace(inputs, goals=tuple(parse_goal(text) for text in goals))
    prepared = prepare_case(inputs, silent)
    task = prepare_task(prepared.request, silent, Listeners())
    names = ["SacralPlex_R Dmean", "SacralPlex_R Dmean[EQD2]"]
    whole, outside = trade_axes(prepared.judgement, task, names)
    n_shared, _ = task.points.of_mask(prepared.judgement.shared_with_targets("SacralPlex_R"))
    assert (whole.unit, outside.unit) == ("Gy", "Gy EQD2 outside targets")
    assert len(whole.term.indices) - len(outside.term.indices) == len(n_shared) > 0
    for twice in (["Bladder D0.5cc", "Bladder D0.5cc[EQD2]"], [names[0], " SacralPlex_R  Dmean"]):
        with pytest.raises(InputError, match=r"is named twice; a trade is between different"):
            traded_goals(prepared.judgement, twice)


def test_a_wish_for_a_target_is_a_lack_on_its_axis(found: tuple) -> None:
    _, axes = found
    assert axes[0].slider(90.0) == pytest.approx(40.0 - 36.0)
    assert axes[0].dose_gy(4.0) == pytest.approx(36.0)
    assert axes[1].slider(60.0) == 60.0


def test_a_trade_of_a_robust_case_holds_its_caps_in_every_place(make_inputs: Callable) -> None:
    inputs = make_inputs(
        n_correction_passes=0,
        max_evaluations=40,
        dose_grid_mm=5.0,
        accepted_breaches=(("SacralPlex_R", "the target lies in it"),),
        robustness=RobustSettings((5.0, 5.0, 5.0), (4.0, 0.0, 0.0), 0.5, 0.0),
    )
    prepared = prepare_case(inputs, silent)
    outcome = make_plan(prepared.request, silent)
    assert outcome.state is not None
    trade = trade_off(prepared, outcome.state, NAMES, TradeSettings(3, 10.0), silent)
    assert trade.pareto.cap_violations_gy.max() < 0.1
    task = prepare_task(prepared.request, silent, Listeners())
    places = scenarios_of(task, inputs.settings.robustness, silent)
    assert places.n_scenarios == 3
    problem, _ = in_scenarios(task, places, outcome.state.latest.background_gy)
    for fluence in trade.pareto.fluences_mu:
        dose = problem.dose_gy(fluence.astype(np.float64))
        assert all(np.max(dose[c.indices] - c.max_dose_gy) < 0.1 for c in problem.caps)
    chosen = plan_of(prepared, trade.pareto, outcome.state, {}, silent)
    judged = judge_case(prepared, chosen)
    assert judged.robust is not None
    assert len(judged.robust.planning.shifts_mm) == 3
    assert judged.robust.verdicts


def test_lack_and_deviation_have_the_right_gradients() -> None:
    rng = np.random.default_rng(3)
    where, volume = np.arange(30), rng.uniform(0.5, 1.0, 30)
    tail = TailMean("t", where, volume, 0.3, Aim(1.0, 1.0), TailSide.COLDEST)
    wanted = rng.uniform(10, 40, 30)
    terms = (Lack(tail, 38.0), DoseDeviation("d", where, volume, wanted, 40.0, 7.0))
    dose = rng.uniform(5, 45, 30)
    assert terms[0].value_and_gradient(np.full(30, 36.0))[0] == pytest.approx(2.0)
    assert terms[0].value_and_gradient(np.full(30, 39.0))[0] == 0.0
    assert terms[1].value_and_gradient(wanted)[0] == 0.0
    assert terms[1].value_and_gradient(wanted + 40.0)[0] == pytest.approx(7.0)
    step = 1e-5
    for term in terms:
        _, slope = term.value_and_gradient(dose)
        for n in range(0, 30, 7):
            moved = dose.copy()
            moved[n] += step
            up = term.value_and_gradient(moved)[0]
            moved[n] -= 2 * step
            down = term.value_and_gradient(moved)[0]
            assert slope[n] == pytest.approx((up - down) / (2 * step), abs=1e-7)


def test_deviation_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match="a dose for each"):
        DoseDeviation("d", np.arange(3), np.ones(3), np.ones(2), 40.0, 1.0)
    with pytest.raises(InputError, match="above 0"):
        DoseDeviation("d", np.arange(3), np.ones(3), np.ones(3), 0.0, 1.0)
