"""Hard goals on means, gEUD and volumes in every shift, what they look at, and their price."""

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Goal, Grid
from rerad.dosecalc import build_operator
from rerad.evaluation import GoalResult, Verdict, parse_goal
from rerad.optimize import (
    DoseCap,
    MeanDose,
    Multipliers,
    Problem,
    RobustPrice,
    Solution,
    SolveSettings,
    TailMean,
    TargetPrice,
    ValueCap,
)
from rerad.optimize.robust_price import PricePair, near_minimum_gy
from rerad.planning import PlanningInputs, Points, RobustSettings, prepare_case
from rerad.planning.levels import hard_bounds
from rerad.planning.mimic import mimic_problem
from rerad.planning.plan_passes import SolverProgress, Start, optimise
from rerad.planning.plan_task import Listeners, PlanTask, plan_points, prepare_task
from rerad.planning.prices import tolerance_prices
from rerad.planning.robust_background import moved_backgrounds
from rerad.planning.robust_plan import in_scenarios, price_of, scenarios_of
from rerad.planning.robust_result import RobustOutcome, RobustPlanning, RobustVerdict
from rerad.planning.robust_verdicts import robust_findings
from rerad.planning.terms import Anatomy
from rerad.planning.trade_axes import trade_axes
from rerad.planning.trade_off import TradeSettings, _base, _corrected, _in_every_place

SHIFTED = RobustSettings((0.0, 0.0, 0.0), (0.0, 4.0, 0.0), 0.0, 0.0)
PAST = RobustSettings((5.0, 5.0, 5.0), (0.0, 4.0, 0.0), 0.5, 0.0)
HARD = ("Bladder Dmean <= 8 Gy must", "Bladder V20Gy <= 30 % must")


def silent(what: str, share: float) -> None:
    """Say nothing."""


def asked(
    make_inputs: Callable, *texts: str, robustness: RobustSettings, **changes: object
) -> PlanningInputs:
    inputs = make_inputs(robustness=robustness, dose_grid_mm=5.0, **changes)
    return replace(inputs, goals=tuple(parse_goal(text) for text in texts))


def prepared_task(inputs: PlanningInputs) -> PlanTask:
    return prepare_task(prepare_case(inputs, silent).request, silent, Listeners())


def bounds_of(inputs: PlanningInputs) -> tuple:
    task = prepared_task(inputs)
    request = task.request
    place = (task.anatomy, task.points, request.objectives, request.n_fractions)
    return (task, *hard_bounds(request.goals, *place))


def test_followed_are_capped_voxels_beside_organs_and_what_hard_goals_look_at(
    make_inputs: Callable,
) -> None:
    """Limits of umich are maxima: voxels beside the organ are capped too, in every shift.

    The body has no limit; a hard mean of it is read from voxels far from every organ.
    """
    inputs = asked(
        make_inputs,
        "Body Dmean <= 9 Gy must",
        rule_set="umich",
        compared_rule_sets=(),
        robustness=SHIFTED,
    )
    task = prepared_task(inputs)
    shifted = scenarios_of(task, SHIFTED, silent)
    request, points = task.request, task.points
    drawn = [points.of_mask(request.masks[c.structure])[0] for c in request.organ_caps]
    drawn += [points.of_mask(request.masks["PTV_4000"])[0]]
    capped = np.unique(np.concatenate([cap.indices for cap in task.problem.caps]))
    beside = np.setdiff1d(capped, np.concatenate(drawn))
    assert len(beside) > 50
    (mean,) = (term for bound in task.problem.value_caps for term in bound.terms)
    followed = np.unique(np.concatenate([*drawn, capped, mean.indices]))
    np.testing.assert_array_equal(np.sort(shifted.followed), followed)
    problem, _ = in_scenarios(task, shifted, np.zeros(task.operator.n_points))
    assert len(problem.caps) == 3 * len(task.problem.caps)
    assert [len(bound.terms[0].indices) for bound in problem.value_caps] == [len(mean.indices)] * 3
    # the dose there is that of beams whose isocentre is shifted
    x = np.random.default_rng(1).uniform(0, 20, task.operator.n_beamlets)
    where = shifted.points_in(2, beside, "beside")
    beams = [
        replace(item, geometry=replace(item.geometry, isocenter_mm=(0.0, 4.0, 0.0)))
        for item in task.operator.bixel_grids
    ]
    alone = build_operator(
        request.machine,
        request.density,
        points.indices[beside],
        request.grid,
        beams,
        request.position,
    )
    dose = shifted.forward(x)
    np.testing.assert_allclose(dose[where], alone.forward(x), rtol=2e-3, atol=1e-3)
    assert np.abs(dose[where] - dose[beside]).max() > 0.1


def test_what_the_final_dose_has_beyond_the_model_moves_with_the_isocentre() -> None:
    """A slope moved by 3 mm of 6; where half or more of what is read is no point, none moves."""
    grid = Grid((3, 4, 8), (0.0, 0.0, 0.0), (6.0, 6.0, 6.0), "1.2")
    x = np.broadcast_to(grid.axes_mm[0], grid.shape).ravel()
    inside = np.flatnonzero((x > 6) & (x < 36))
    position = np.full(grid.n_voxels, -1)
    position[inside] = np.arange(len(inside))
    points = Points(grid, inside, np.ones(len(inside)), position)
    slope = 0.1 * x[inside]
    shifts = ((0.0, 0.0, 0.0), (3.0, 0.0, 0.0), (-6.0, 0.0, 0.0), (0.0, 6.0, 0.0))
    still, half, whole, across = moved_backgrounds(points, slope, shifts)
    np.testing.assert_array_equal(still, slope)
    deep = x[inside] > 12
    np.testing.assert_allclose(half[deep], slope[deep] - 0.3)
    np.testing.assert_allclose(half[~deep], slope[~deep])  # half of the place is no point
    last = x[inside] == 30
    np.testing.assert_allclose(whole[~last], slope[~last] + 0.6)
    np.testing.assert_array_equal(whole[last], slope[last])
    np.testing.assert_allclose(across, slope)


def test_caps_and_price_of_shifts_see_the_moved_background(make_inputs: Callable) -> None:
    inputs = asked(make_inputs, robustness=SHIFTED)
    task = prepared_task(inputs)
    shifted = scenarios_of(task, SHIFTED, silent)
    rng = np.random.default_rng(2)
    background = rng.normal(0.0, 1.0, task.operator.n_points)
    problem, _ = in_scenarios(task, shifted, background)
    moved = moved_backgrounds(task.points, background, shifted.shifts_mm)
    for scenario, of_place in enumerate(moved):
        where = shifted.points_in(scenario, shifted.followed, "followed")
        assert problem.background_dose_gy is not None
        np.testing.assert_array_equal(
            problem.background_dose_gy[where], of_place[shifted.followed]
        )
    assert np.abs(moved[1] - background)[shifted.followed].max() > 0.5
    fluence = rng.uniform(0, 20, task.operator.n_beamlets)
    state = _State(fluence, background)
    price = price_of(task, shifted, (state, state))
    target, volume = task.points.of_mask(task.request.masks["PTV_4000"])
    dose = problem.dose_gy(fluence)
    worst = min(
        near_minimum_gy(dose[shifted.points_in(s, target, "PTV")], volume / volume.sum(), 0.98)
        for s in range(3)
    )
    assert price.targets[0].worst_d98.robust_gy == pytest.approx(worst)
    assert price.targets[0].worst_d98.change_gy == 0.0


def test_hard_goals_hold_in_every_shift_of_plan_and_trade(make_inputs: Callable) -> None:
    """By construction: each is a bound in every place; coverage kept in a trade is not."""
    goals = ("PTV_4000 D95% >= 95%", "Bladder D2% <= 30 Gy", *HARD)
    inputs = asked(make_inputs, *goals, robustness=SHIFTED)
    prepared = prepare_case(inputs, silent)
    task = prepare_task(prepared.request, silent, Listeners())
    shifted = scenarios_of(task, SHIFTED, silent)
    names = ["Bladder Dmean, hard", "Bladder V20Gy, hard"]
    assert [bound.name for bound in task.problem.value_caps] == names
    problem, _ = in_scenarios(task, shifted, np.zeros(task.operator.n_points))
    moved = [f"{name}, isocentre shifted by (0, {y}, 0) mm" for y in (-4, 4) for name in names]
    assert [bound.name for bound in problem.value_caps] == names + moved
    background = np.zeros(task.operator.n_points)
    state = _State(np.full(task.operator.n_beamlets, 5.0), background)
    axes = trade_axes(prepared.judgement, task, ["Bladder D2%", "SacralPlex_R D0.1cc"])
    base = _base(task, axes, state, TradeSettings(3, 10.0))
    kept = [bound.name for bound in base.value_caps[2:]]
    assert kept == ["PTV_4000 kept"]
    traded = _in_every_place(task, base, shifted, kept)
    assert [bound.name for bound in traded.value_caps] == [*names, *kept, *moved]


class _Asked(Exception):
    """Carries the problem that a solve was asked for."""


def test_a_chosen_plan_is_corrected_under_hard_goals_in_every_shift(
    make_inputs: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(problem: Problem, *how: object, **start: object) -> None:
        raise _Asked(problem)

    module = sys.modules[_corrected.__module__]  # the package has a function of its name
    monkeypatch.setattr(module, "solve", ask)
    task = prepared_task(asked(make_inputs, *HARD, robustness=SHIFTED))
    shifted = scenarios_of(task, SHIFTED, silent)
    fluence = np.full(task.operator.n_beamlets, 600.0)
    wanted = task.problem.delivered_gy(fluence)
    for places, n_places in ((None, 1), (shifted, 3)):
        with pytest.raises(_Asked) as asked_for:
            _corrected(task, fluence, wanted, places, silent)
        (problem,) = asked_for.value.args
        assert len(problem.value_caps) == n_places * len(HARD)
        assert len(problem.caps) == n_places * len(task.problem.caps)


class _State:
    """What a trade takes from a finished plan."""

    def __init__(self, fluence_mu: np.ndarray, background_gy: np.ndarray) -> None:
        self.fluence_mu, self.background_gy = fluence_mu, background_gy


def test_a_short_search_goes_on_until_hard_goals_hold_in_every_shift(
    make_inputs: Callable,
) -> None:
    """Without caps too, which hold at once: ten evaluations alone may leave the mean above."""
    accepted = (("SacralPlex_R", "the target lies in it"),)
    inputs = asked(
        make_inputs,
        "Bladder Dmean <= 2 Gy must",
        robustness=SHIFTED,
        accepted_breaches=accepted,
    )
    task = prepared_task(inputs)
    shifted = scenarios_of(task, SHIFTED, silent)
    problem, levels = in_scenarios(task, shifted, np.zeros(task.operator.n_points))
    problem = replace(problem, caps=())
    told = SolverProgress(silent, "", 10)
    start = np.full(task.operator.n_beamlets, 5.0)
    found, _ = optimise(problem, levels, Start(start, None, 10, 3000), told, None)
    allowed = SolveSettings().sum_tolerance
    worst = [bound.excess(found.dose_gy) for bound in problem.value_caps]
    assert len(worst) == 3
    assert max(worst) <= allowed


def test_a_hard_goal_is_read_from_every_voxel_of_its_organ(make_inputs: Callable) -> None:
    """An organ without a limit is looked at in samples, unless a hard goal is on it."""
    body = "Body Dmean <= 9 Gy must"
    request = prepare_case(
        asked(make_inputs, "Bladder Dmean <= 8 Gy must", body, robustness=SHIFTED), silent
    ).request
    request = replace(request, organ_caps=(), physical_caps=())
    anatomy = Anatomy.build(
        request.grid, request.masks, request.body, request.course.prescriptions
    )
    inside = np.flatnonzero(request.masks["Bladder"].on(request.grid).ravel() > 0)
    known = plan_points(request, anatomy).position
    assert np.all(known[inside] >= 0)
    sampled = plan_points(replace(request, goals=request.goals[1:]), anatomy).position
    assert np.mean(sampled[inside] >= 0) < 0.5  # the body stays a sample


def test_a_hard_near_maximum_in_percent_is_a_bound(make_inputs: Callable) -> None:
    """Caps are for near-maxima in Gy: one in percent of the prescription was held by nothing."""
    texts = ("PTV_4000 D2% <= 107% must", "Bladder D2% <= 30 Gy must")
    task, bounds, instead, findings = bounds_of(asked(make_inputs, *texts, robustness=SHIFTED))
    (bound,) = bounds
    (term,) = bound.terms
    assert isinstance(term, TailMean)
    dose = np.full(task.operator.n_points, 0.535 * 40.0)
    assert bound.excess(dose) == pytest.approx(-0.5)
    assert not instead
    assert not findings
    assert "Bladder D2% dose cap" in {cap.name for cap in task.problem.caps}


def test_a_hard_goal_that_the_earlier_dose_has_spent_becomes_an_objective(
    make_inputs: Callable,
) -> None:
    """45 Gy in 25 fractions are 42.75 Gy EQD2 at an alpha/beta of 2 Gy; 40 cannot be held."""
    text = "SacralPlex_R Dmean[EQD2] <= {} ab=2 must"
    task, bounds, instead, findings = bounds_of(
        asked(make_inputs, text.format(40), robustness=SHIFTED)
    )
    assert not bounds
    assert not task.problem.value_caps
    (finding,) = findings
    assert finding.code == "hard-goal-spent"
    assert "42.8 Gy already" in finding.text
    assert finding in task.findings
    assert [term.name for term in instead] == ["SacralPlex_R Dmean EQD2"]
    assert instead[0].name in {term.name for term in task.problem.terms}
    _, bounds, _, findings = bounds_of(asked(make_inputs, text.format(44), robustness=SHIFTED))
    assert len(bounds) == 1
    assert not findings


def test_where_only_the_worst_case_has_spent_it_what_is_believed_is_held(
    make_inputs: Callable,
) -> None:
    """At an alpha/beta of 1.5 or 2.5 Gy the 45 Gy are 42.43 and 43.0 Gy EQD2."""
    text = "SacralPlex_R Dmean[EQD2] <= {} ab=2 must"
    task, bounds, instead, findings = bounds_of(
        asked(make_inputs, text.format(42.9), robustness=PAST)
    )
    (bound,), (finding,) = bounds, findings
    assert not instead
    assert finding.code == "worst-case-not-held"
    assert "43.0 Gy in the worst case" in finding.text
    excess = bound.excess(np.zeros(task.operator.n_points))
    assert excess == pytest.approx(42.75 / 42.9 - 1.0, abs=1e-4)


def test_prices_of_hard_goals_are_summed_over_places_and_are_per_gy(
    make_inputs: Callable,
) -> None:
    """Multipliers of 4 and 2 on a mean of 8 Gy are 0.75 a Gy; on a volume at 20 Gy, 0.1 a Gy."""
    inputs = asked(make_inputs, *HARD, robustness=SHIFTED)
    task = prepared_task(inputs)
    shifted = scenarios_of(task, SHIFTED, silent)
    problem, _ = in_scenarios(task, shifted, np.zeros(task.operator.n_points))
    level = ValueCap("level priority 1", problem.value_caps[0].terms, 0.3)
    assert isinstance(problem.value_caps[0].terms[0], MeanDose)
    values = tuple(np.zeros(len(cap.indices)) for cap in problem.caps)
    held = Multipliers(
        problem.caps,
        values,
        1.0,
        (*problem.value_caps, level),
        (4.0, 0.0, 0.0, 2.0, 2.0, 0.0, 9.0),
    )
    place = task.points.indices[shifted.nominal_points]
    found = tolerance_prices(task.request, place, _solved(problem.operator.n_points, held))
    assert found is not None
    assert found.organs["Bladder Dmean"] == pytest.approx(6.0 / 8.0)
    assert found.organs["Bladder V20Gy"] == pytest.approx(2.0 / 20.0)
    assert not any("level" in name for name in found.organs)
    assert not found.is_mapped
    caps: tuple[DoseCap, ...] = ()
    alone = replace(held, caps=caps, values=())
    found = tolerance_prices(task.request, place, _solved(problem.operator.n_points, alone))
    assert found is not None
    assert set(found.organs) == {"Bladder Dmean", "Bladder V20Gy"}
    nothing = replace(alone, sums=(), sum_values=())
    assert tolerance_prices(task.request, place, _solved(1, nothing)) is None


def _solved(n_points: int, held: Multipliers) -> Solution:
    return Solution(
        np.zeros(1), np.zeros(n_points), 3.0, {}, 1, 0.0, True, "", 0.0, 0.0, {}, (), held
    )


def test_leaves_of_a_robust_plan_give_organs_of_hard_goals_no_more(make_inputs: Callable) -> None:
    """An organ that no limit is for is not left to the body's weight."""
    inputs = asked(make_inputs, "Bladder Dmean <= 8 Gy must", robustness=SHIFTED)
    task = prepared_task(inputs)
    task = replace(task, request=replace(task.request, organ_caps=(), physical_caps=()))
    wanted = np.full(task.operator.n_points, 5.0)
    names = {term.name for term in mimic_problem(task, wanted).terms}
    assert "Bladder, no more than wanted" in names


def test_a_hard_goal_that_a_shift_exceeds_is_said_and_a_wish_is_not() -> None:
    pair = PricePair(38.0, 37.0)
    price = RobustPrice((TargetPrice("PTV", pair, pair, pair, pair),), ())
    planning = RobustPlanning(SHIFTED, ((0.0, 0.0, 0.0),), price, 1)
    wish, hard = (parse_goal(text) for text in ("2: Bladder Dmean <= 8 Gy", HARD[0]))
    verdicts = tuple(
        RobustVerdict("Bladder", _exceeded(goal), "shift (0, 4, 0) mm") for goal in (wish, hard)
    )
    (finding,) = (
        f for f in robust_findings(RobustOutcome(planning, verdicts)) if f.code != "robust-plan"
    )
    assert finding.code == "limit-not-robust"
    assert "9.0" in finding.text


def _exceeded(goal: Goal) -> GoalResult:
    return GoalResult(goal, 9.0, 9.0, 9.0, Verdict.EXCEEDED, 0.0, "physical dose")
