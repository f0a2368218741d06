"""Goals as levels, hard bounds and caps; plans that stop and go on; prices; how goals stand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Goal
from rerad.errors import InputError
from rerad.evaluation import parse_goal
from rerad.optimize import Geud, MeanDose, Overdose, TailMean, Underdose
from rerad.planning import CaseListeners, PlanState, make_plan, prepare_case, run_pipeline
from rerad.planning.leaves import leakage_of, sequence, wanted_fluence
from rerad.planning.levels import goal_levels, hard_bounds, is_near_maximum
from rerad.planning.plan_goals import physical_caps, plan_goals
from rerad.planning.plan_passes import SolverProgress, Start, optimise
from rerad.planning.plan_task import Listeners, plan_operator, plan_points, prepare_task
from rerad.planning.terms import Anatomy


def silent(what: str, share: float) -> None:
    """Say nothing."""


COVERAGE = "1: PTV_4000 D95% >= 95%"


def with_goals(make_inputs: Callable, *texts: str, **changes: object):
    goals = tuple(parse_goal(text) for text in texts)
    return replace(make_inputs(**changes), goals=goals)


def stage(make_inputs: Callable, *texts: str):
    """Return what `goal_levels` takes, on the box of water."""
    prepared = prepare_case(with_goals(make_inputs, *texts), silent)
    request = prepared.request
    anatomy = Anatomy.build(
        request.grid, request.masks, request.body, request.course.prescriptions
    )
    points = plan_points(request, anatomy)
    return request.goals, anatomy, points, request.objectives, request.n_fractions


def test_each_metric_becomes_its_convex_objective(make_inputs: Callable) -> None:
    levels, findings = goal_levels(
        *stage(
            make_inputs,
            COVERAGE,
            "2: Bladder Dmean <= 15 Gy",
            "2: Bladder D0.5cc <= 30 Gy",
            "2: SacralPlex_R D0.1cc[EQD2] <= 70 ab=2.5",
            "3: Bladder V20Gy <= 30 %",
            "3: Bladder gEUD8 <= 25 Gy",
            "4: Body D2cm <= 60 %",
            "4: PTV_4000 CI >= 0.7",
        )
    )
    assert [level.name for level in levels] == [f"priority {n}" for n in (1, 2, 3, 4)]
    kinds = [[type(term) for term in level.terms] for level in levels]
    assert kinds[0] == [Underdose, Overdose]
    assert kinds[1] == [MeanDose, TailMean, TailMean]
    assert kinds[2] == [TailMean, Geud]
    assert kinds[3] == [Overdose]
    mean, hot, plexus = levels[1].terms
    assert mean.aim.goal_gy == 15.0
    # the bladder is 50 x 21 x 42 mm (14 slices): 44.1 cc
    assert hot.volume_share == pytest.approx(0.5 / 44.1, rel=0.03)
    assert plexus.cumulative is not None
    assert plexus.cumulative.prior_eqd2_gy == pytest.approx(45.0 * 4.3 / 4.5, rel=1e-6)
    assert levels[3].terms[0].dose_gy == pytest.approx(24.0)  # 60 % of 40 Gy
    assert not findings  # the conformity goal is the target's own


def test_what_cannot_be_worked_on_is_said(make_inputs: Callable) -> None:
    levels, findings = goal_levels(*stage(make_inputs, COVERAGE, "2: Body R50% <= 5"))
    assert [level.name for level in levels] == ["priority 1"]
    assert [item.code for item in findings] == ["goal-only-judged"]
    assert "Body" in findings[0].text


def test_hard_goals_are_caps_or_bounds_and_never_a_wish_for_more(make_inputs: Callable) -> None:
    inputs = with_goals(
        make_inputs, "Bladder D0.5cc <= 30 Gy must", "Bladder Dmean <= 8 Gy must", COVERAGE
    )
    caps = physical_caps(inputs.goals)
    assert [(cap.structure, cap.limit_gy, cap.is_hard) for cap in caps] == [
        ("Bladder", 30.0, True)
    ]
    goals, *rest = stage(make_inputs, "Bladder Dmean <= 8 Gy must")
    bounds, instead, findings = hard_bounds(goals, *rest)
    assert [bound.at_most for bound in bounds] == [1.0]
    assert not instead
    assert not findings
    dose = np.full(len(rest[1].indices), 4.0)
    assert bounds[0].excess(dose) == pytest.approx(4.0 / 8.0 - 1.0)
    wish, *rest = stage(make_inputs, "PTV_4000 D95% >= 95% must")
    with pytest.raises(InputError, match="only an upper bound can be a hard limit"):
        hard_bounds(wish, *rest)
    vague, *rest = stage(make_inputs, "Body R50% <= 5 must")
    with pytest.raises(InputError, match="cannot be held as a hard limit"):
        hard_bounds(vague, *rest)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Bladder D0.1cc <= 30 Gy", True),
        ("Bladder Dmax <= 30 Gy", True),
        ("Bladder D2% <= 30 Gy", True),
        ("Bladder D50% <= 30 Gy", False),
        ("Bladder Dmean <= 30 Gy", False),
        ("PTV_4000 D98% >= 38 Gy", False),
    ],
)
def test_near_maxima_are_told_from_other_goals(text: str, expected: bool) -> None:
    assert is_near_maximum(parse_goal(text)) is expected


def test_goals_with_priorities_are_worked_on_in_their_order(make_inputs: Callable) -> None:
    """The bladder's mean falls as far as coverage lets it, and no further."""
    coarse = {"prior_gy": None, "dose_grid_mm": 5.0, "max_evaluations": 200}
    free = run_pipeline(with_goals(make_inputs, "PTV_4000 D95% >= 95%", **coarse), silent)
    ranked = run_pipeline(
        with_goals(make_inputs, COVERAGE, "2: Bladder Dmean <= 1 Gy", **coarse), silent
    )

    def value(result, structure: str, metric: str) -> float:
        return (
            result.planned.physical_dvhs[structure].mean_gy
            if metric == "Dmean"
            else next(g.value for g in result.planned.goals if g.goal.structure == structure)
        )

    assert value(ranked, "Bladder", "Dmean") < 0.8 * value(free, "Bladder", "Dmean")
    assert value(ranked, "PTV_4000", "D95%") > 95.0
    names = [level.name for level in ranked.convergence.levels]
    assert names == ["priority 1", "priority 2"]
    for level in ranked.convergence.levels:
        assert level.final <= 1.01 * level.bound


@pytest.fixture(scope="module")
def request_of_box(make_inputs: Callable):
    accepted = (("SacralPlex_R", "the target lies in it"),)
    return prepare_case(
        make_inputs(accepted_breaches=accepted, max_evaluations=60), silent
    ).request


@pytest.fixture(scope="module")
def made(request_of_box):
    """Return the plan, and the states that were kept on the way."""
    states: list[PlanState] = []
    outcome = make_plan(request_of_box, silent, listeners=Listeners(keep=states.append))
    return outcome, states


def test_a_short_search_with_priorities_goes_on_until_its_caps_hold(make_inputs: Callable) -> None:
    inputs = with_goals(make_inputs, COVERAGE, "2: PTV_4000 D2% <= 107%", accepted_breaches=())
    task = prepare_task(prepare_case(inputs, silent).request, silent, Listeners())
    told = SolverProgress(silent, "", 12)
    found, levels = optimise(task.problem, task.levels, Start(None, None, 12, 400), told, None)
    assert task.problem.caps
    assert found.cap_violation_gy <= 0.03
    for level, outcome in zip(task.levels, levels, strict=True):
        assert outcome.final == pytest.approx(level.value(found.dose_gy))


def test_a_plan_that_stopped_goes_on_where_it_was(request_of_box, made) -> None:
    outcome, states = made
    after_first = next(state for state in states if state.n_passes_done == 1)
    steps: list[str] = []
    resumed = make_plan(request_of_box, lambda what, _: steps.append(what), resume=after_first)
    assert not any("pass 1 of 2" in step for step in steps)
    assert any("pass 2 of 2" in step for step in steps)
    np.testing.assert_allclose(resumed.dose.values, outcome.dose.values, atol=0.02)


def test_a_state_of_another_plan_is_refused(request_of_box, made) -> None:
    foreign = replace(made[1][-1], fluence_mu=np.ones(7))
    with pytest.raises(InputError, match="has 7 beamlets"):
        make_plan(request_of_box, silent, resume=foreign)


def test_sequence_takes_the_monitor_units_that_the_optimiser_counted(request_of_box, made) -> None:
    _, states = made
    request = request_of_box
    anatomy = Anatomy.build(
        request.grid, request.masks, request.body, request.course.prescriptions
    )
    operator = plan_operator(request, anatomy, plan_points(request, anatomy))
    leakage = leakage_of(request, operator)
    assert leakage is not None
    open_mu = next(state.fluence_mu for state in states if state.n_passes_done == 1)
    counted = leakage.metersets_mu(open_mu) / request.n_fractions
    wanted = wanted_fluence(request, operator, leakage, open_mu)
    given = np.array([beam.meterset_mu for beam in sequence(request, wanted)[0].beams])
    # Counted: the way over all columns that may be opened, and the smoothed greatest row. The
    # sweep leaves out columns that nobody wants, so it takes somewhat less and never more.
    assert np.all(given <= 1.01 * counted)
    assert np.all(given >= 0.88 * counted)
    for fluence, mu in zip(wanted, counted, strict=True):
        opened = fluence.values_mu[fluence.values_mu > 0]
        assert opened.min() >= leakage.transmission * mu * request.n_fractions


def test_leaf_refinement_lowers_the_objective_of_the_final_dose(request_of_box, made) -> None:
    settings = replace(request_of_box.settings, n_leaf_refinements=1)
    refined = make_plan(replace(request_of_box, settings=settings), silent)
    before, *after = refined.convergence.refinement
    assert after == [] or after[0] < before
    assert len(refined.convergence.refinement) == 2  # it pays here


def test_prices_are_where_limits_bind(request_of_box, made) -> None:
    prices = made[0].prices
    assert prices is not None
    assert prices.organs["SacralPlex_R"] > 0
    known = ~np.isnan(prices.map.values)
    assert np.all(prices.map.values[known] >= 0)
    total = float(prices.map.values[known].sum())
    assert total == pytest.approx(sum(prices.organs.values()), rel=1e-5)


def test_more_tolerance_buys_what_its_price_says(request_of_box, made) -> None:
    """0.5 Gy EQD2 more for the plexus, planned again: the objective falls by its price."""
    first = replace(
        request_of_box,
        settings=replace(request_of_box.settings, n_correction_passes=0, max_evaluations=1500),
    )
    caps = tuple(
        replace(cap, aim_eqd2_gy=cap.aim_eqd2_gy + 0.5) if cap.structure == "SacralPlex_R" else cap
        for cap in first.organ_caps
    )
    weights = replace(first.objectives, organ_importance=0.0)
    here = make_plan(replace(first, objectives=weights), silent).prices
    there = make_plan(replace(first, objectives=weights, organ_caps=caps), silent).prices
    assert here is not None
    assert there is not None
    fall = here.objective - there.objective
    mean_price = 0.5 * (here.organs["SacralPlex_R"] + there.organs["SacralPlex_R"])
    assert fall == pytest.approx(0.5 * mean_price, rel=0.15)


def test_goals_are_told_as_they_stand(make_inputs: Callable) -> None:
    seen = []
    inputs = with_goals(
        make_inputs,
        "PTV_4000 D95% >= 95%",
        "Bladder Dmean <= 15 Gy",
        "Bladder V20Gy <= 10 cc",
        "SacralPlex_R Dmean[EQD2] <= 80 ab=2.5",
        "PTV_4000 CI >= 0.5",
        dose_grid_mm=5.0,
        max_evaluations=60,
    )
    result = run_pipeline(inputs, silent, listeners=CaseListeners(goals=seen.append))
    assert len(seen) >= 3
    last = {(now.structure, now.text): now for now in seen[-1]}
    for judged in result.planned.goals[:4]:
        now = last[judged.goal.structure, judged.goal.text]
        scale = 100.0 if judged.goal.unit == "%" else 40.0
        assert now.value == pytest.approx(judged.value, abs=0.05 * scale)
        assert now.is_met is (judged.verdict == "met")
    conformity = last["PTV_4000", inputs.goals[4].text]
    assert np.isnan(conformity.value)
    assert conformity.is_met is None


def test_only_ranked_and_hard_goals_steer(make_inputs: Callable) -> None:
    inputs = with_goals(
        make_inputs, COVERAGE, "Bladder Dmean <= 15 Gy", "Bladder Dmax <= 30 Gy must"
    )
    steering = plan_goals(inputs, ())
    assert [item.goal.structure for item in steering] == ["PTV_4000", "Bladder"]
    assert steering[0].prescription_gy == 40.0
    assert isinstance(steering[1].goal, Goal)


@pytest.mark.parametrize(
    ("metric", "is_whole"), [("D10%", True), ("Dmax", True), ("Dmean", False)]
)
def test_an_organ_is_looked_at_in_whole_where_its_hottest_part_matters(
    make_inputs: Callable, metric: str, is_whole: bool
) -> None:
    """Of a sample the hottest part is not the hottest; a mean is a mean."""
    request = prepare_case(
        with_goals(make_inputs, f"1: Bladder {metric} <= 10 Gy"), silent
    ).request
    task = prepare_task(replace(request, organ_caps=()), silent, Listeners())
    bladder = np.flatnonzero(request.masks["Bladder"].on(request.grid).ravel() > 0)
    n_seen = np.isin(bladder, task.points.indices).sum()
    assert (n_seen == len(bladder)) == is_whole
    assert n_seen > 0


def test_two_bounds_on_one_metric_are_two_objectives(make_inputs: Callable) -> None:
    """As a wish behind what must be reached first; the second was dropped as not workable."""
    levels, findings = goal_levels(
        *stage(make_inputs, "1: Bladder V20Gy <= 60 %", "2: Bladder V20Gy <= 20 %", COVERAGE)
    )
    names = [[term.name for term in level.terms] for level in levels]
    assert names[0][0] == "Bladder V20Gy"
    assert names[1] == ["Bladder V20Gy <= 20 %"]
    assert not findings
    twice, _ = goal_levels(*stage(make_inputs, *["1: Bladder V20Gy <= 20 %"] * 2))
    assert [term.name for level in twice for term in level.terms] == ["Bladder V20Gy"]


def test_a_hard_maximum_in_percent_caps_every_voxel(make_inputs: Callable) -> None:
    inputs = with_goals(make_inputs, "Bladder Dmax <= 85% must", "PTV_4000 Dmax <= 110% must")
    caps = {cap.label: cap for cap in physical_caps(inputs.goals, inputs)}
    assert caps["Bladder Dmax"].limit_gy == pytest.approx(34.0)
    assert caps["PTV_4000 Dmax"].limit_gy == pytest.approx(44.0)
    assert all(cap.is_hard and cap.reading is not None for cap in caps.values())
    soft = with_goals(make_inputs, "Bladder Dmax <= 85%", "Bladder D2% <= 85% must")
    assert physical_caps(soft.goals, soft) == ()
