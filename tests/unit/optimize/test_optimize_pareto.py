"""Pareto sets: against a surface known in closed form, and what navigating them guarantees."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.errors import ComputationError, InputError
from rerad.optimize import (
    Aim,
    CumulativeDose,
    CumulativeMean,
    DoseCap,
    Overdose,
    ParetoGoal,
    ParetoSet,
    ParetoSettings,
    Problem,
    SolveSettings,
    TailMean,
    Underdose,
    VolumeAbove,
    combine,
    knee,
    navigate,
    pareto_set,
    solve,
)
from rerad.optimize.pareto_facets import least_beyond, lower_facets

SEEDS = st.integers(0, 2**32 - 1)
TIGHT = SolveSettings(relative_tolerance=1e-9, max_evaluations=500)


class Dense:
    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, dtype=float)
        self.n_points, self.n_beamlets = self.matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


def one_beamlet(n_plans, solver=TIGHT):
    """One beamlet, target and organ at the same dose D: (1 - D/40)^2 against (D/40)^2."""
    target = Underdose("t", np.array([0]), np.ones(1), 40.0, 1.0)
    organ = Overdose("o", np.array([1]), np.ones(1), 0.0, 1.0, scale_gy=40.0)
    goals = (ParetoGoal("target", (target,)), ParetoGoal("organ", (organ,)))
    problem = Problem(Dense([[1.0], [1.0]]), ())
    choice = ParetoSettings(n_plans=n_plans, gap=1e-7, least_weight=0.001, solve=solver)
    return pareto_set(problem, goals, choice, start=np.array([20.0]))


@pytest.fixture(scope="module")
def known():
    return one_beamlet(14)


def test_plans_lie_on_the_known_curve(known):
    root = np.sqrt(known.values)
    assert root.sum(axis=1) == pytest.approx(np.ones(known.n_plans), abs=1e-4)
    assert known.n_plans == 14
    # each plan is the minimum for its weights: D/40 = w_target, value w_t w_o
    assert known.bounds == pytest.approx(np.prod(known.weights, axis=1), rel=1e-5)


def test_bounds_hold_for_every_plan_there_could_be(known):
    dose = np.linspace(0, 60, 300) / 40
    every = np.column_stack([np.maximum(1 - dose, 0) ** 2, dose**2])
    assert np.all(every @ known.weights.T >= known.bounds - 1e-6)


def test_the_gap_is_that_between_the_hull_and_the_supports(known):
    """From the closed form: the largest height of a supports' corner below the chord it faces."""
    place = np.argsort(known.values[:, 0])
    extent = np.ptp(known.values[:2], axis=0)
    points = (known.values[place] - known.values[:2].min(axis=0)) / extent
    weights = known.weights[place] * extent
    worst = 0.0
    for n in range(known.n_plans - 1):
        corner = np.linalg.solve(
            weights[n : n + 2], (weights[n : n + 2] * points[n : n + 2]).sum(1)
        )
        normal = np.array([points[n, 1] - points[n + 1, 1], points[n + 1, 0] - points[n, 0]])
        normal /= normal.sum()
        worst = max(worst, normal @ points[n] - normal @ corner)
    assert known.gap == pytest.approx(worst, rel=0.05, abs=1e-6)
    assert known.gap < one_beamlet(7).gap < one_beamlet(4).gap


def test_it_stops_when_the_gap_is_small_enough():
    target = Underdose("t", np.array([0]), np.ones(1), 40.0, 1.0)
    organ = Overdose("o", np.array([1]), np.ones(1), 0.0, 1.0, scale_gy=40.0)
    goals = (ParetoGoal("target", (target,)), ParetoGoal("organ", (organ,)))
    seen = []
    found = pareto_set(
        Problem(Dense([[1.0], [1.0]]), ()),
        goals,
        ParetoSettings(n_plans=50, gap=0.02, solve=TIGHT),
        start=np.array([20.0]),
        progress=lambda n, wanted, gap: seen.append((n, wanted, gap)),
    )
    assert found.gap <= 0.02
    assert found.n_plans < 10
    assert [row[0] for row in seen][-1] == found.n_plans
    assert seen[-1][2] == found.gap
    assert seen[-2][2] > 0.02


AXIS = np.arange(-50.0, 51.0, 5.0)
POINTS = np.stack(np.meshgrid(AXIS, AXIS), axis=-1).reshape(-1, 2)
RADIUS = np.hypot(*POINTS.T)
CORE = np.flatnonzero(RADIUS < 10)
TARGET = np.flatnonzero((RADIUS >= 15) & (RADIUS <= 26) & (POINTS[:, 0] > -8))
SIDE = np.flatnonzero((RADIUS > 30) & (POINTS[:, 0] > 0))
N_FRACTIONS, PRIOR = 22, np.random.default_rng(1).uniform(40.0, 47.5, len(CORE))


def slice_matrix():
    columns = []
    for angle in 0.1 + 2 * np.pi / 5 * np.arange(5):
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        for offset in np.linspace(-27.0, 27.0, 12):
            lateral = np.exp(-0.5 * ((POINTS @ across - offset) / 3.5) ** 2)
            columns.append(0.02 * lateral * np.exp(-0.005 * (POINTS @ along + 50.0)))
    return np.array(columns).T


CAP = DoseCap("core cap", CORE, 16.0)
CORE_DOSE = CumulativeDose(PRIOR, 2.0, N_FRACTIONS)


def slice_goals(n_goals):
    under = Underdose("PTV", TARGET, np.ones(len(TARGET)), 40.0, 100.0)
    tail = TailMean("core", CORE, np.ones(len(CORE)), 0.1, Aim(1.0, 1.0), cumulative=CORE_DOSE)
    side = CumulativeMean("side", SIDE, np.ones(len(SIDE)), 10.0, 3.0, N_FRACTIONS, 1.0, 1.0)
    goals = (
        ParetoGoal("target", (under,)),
        ParetoGoal("core near-maximum", (tail,), "Gy EQD2"),
        ParetoGoal("side mean", (side,), "Gy EQD2"),
    )
    return goals[:n_goals]


def slice_set(n_goals, n_plans):
    base = (Overdose("PTV max", TARGET, np.ones(len(TARGET)), 42.0, 50.0),)
    problem = Problem(Dense(slice_matrix()), base, caps=(CAP,))
    goals = slice_goals(n_goals)
    middle = Problem(problem.operator, (*base, goals[0].terms[0]), caps=(CAP,))
    start = solve(middle, SolveSettings()).fluence_mu
    # Goals with corners settle slowly: far more evaluations than it takes where they are smooth.
    how = replace(ParetoSettings().solve, max_evaluations=2000, relative_tolerance=1e-5)
    choice = ParetoSettings(n_plans=n_plans, gap=0.002, solve=how)
    return problem, goals, pareto_set(problem, goals, choice, start=start)


@pytest.fixture(scope="module")
def two():
    return slice_set(2, 10)


@pytest.fixture(scope="module")
def three():
    return slice_set(3, 14)


def test_no_plan_beats_another_in_everything(two, three):
    for _, _, found in (two, three):
        totals = found.values + found.base_values[:, None]
        slack = 0.01 * np.ptp(totals, axis=0)
        for n, plan in enumerate(totals):
            others = np.delete(totals, n, axis=0)
            assert not np.any(np.all(others < plan - slack, axis=1))


def test_each_plan_is_within_two_percent_of_a_cold_tight_solve(two):
    problem, goals, found = two
    for number in (0, 1, 4, found.n_plans - 1):
        weights = found.weights[number]
        first, second = goals[0].terms[0], goals[1].terms[0]
        terms = (
            *problem.terms,
            Underdose("PTV", TARGET, first.weights, 40.0, 100.0 * weights[0]),
            TailMean(
                "core", CORE, second.weights, 0.1, Aim(weights[1], 1.0), cumulative=CORE_DOSE
            ),
        )
        exact = solve(
            Problem(problem.operator, terms, caps=problem.caps),
            SolveSettings(relative_tolerance=1e-6, max_evaluations=4000),
            start=np.full(problem.operator.n_beamlets, 20.0),
        )
        least = min(exact.objective, found.bounds[number])
        assert found.bounds[number] <= least + 0.02 * abs(least)


def test_values_are_those_of_the_stored_fluences(three):
    problem, goals, found = three
    assert found.fluences_mu.dtype == np.float32
    for fluence, values in zip(found.fluences_mu, found.values, strict=True):
        dose = problem.dose_gy(fluence.astype(float))
        assert [goal.value(dose) for goal in goals] == pytest.approx(values, rel=1e-12)
    assert found.cap_violations_gy.max() <= 0.02
    assert not found.values.flags.writeable


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_combinations_keep_caps_and_promises(three, seed):
    """Caps are linear and EQD2 convex: a mixture is never worse than its mixed numbers."""
    problem, goals, found = three
    shares = np.random.default_rng(seed).dirichlet(np.full(found.n_plans, 0.3))
    plan = combine(found, shares)
    dose = problem.dose_gy(plan.fluence_mu)
    assert dose[CORE].max() <= 16.0 + plan.cap_violation_at_most_gy + 1e-4
    assert plan.cap_violation_at_most_gy <= found.cap_violations_gy.max()
    for goal, promised in zip(goals, plan.values_at_most, strict=True):
        assert goal.value(dose) <= promised + 1e-9
    # at every voxel, too
    doses = found.fluences_mu.astype(float) @ problem.operator.matrix.T
    each = np.array([CORE_DOSE.eqd2_and_slope(d[CORE])[0] for d in doses])
    assert np.all(CORE_DOSE.eqd2_and_slope(dose[CORE])[0] <= plan.shares @ each + 1e-9)


def test_sliders_are_kept_where_they_can_be(three):
    _, _, found = three
    low, high = found.values.min(axis=0), found.values.max(axis=0)
    targets = []
    for place in (0.9, 0.6, 0.3, 0.1):
        wish = {"side mean": (1 - place) * low[2] + place * high[2]}
        plan = navigate(found, wish)
        assert plan.excess == 0.0
        assert plan.values_at_most[2] <= wish["side mean"] + 1e-6
        assert plan.shares.sum() == pytest.approx(1.0)
        targets.append(plan.values_at_most[0])
    assert targets == sorted(targets)  # less for the side is paid by the target
    assert targets[-1] > 5 * targets[0]
    assert navigate(found, {}).excess == 0.0


def test_sliders_that_contradict_each_other_share_the_excess(two):
    _, _, found = two
    wish = dict(zip(found.goals, found.values.min(axis=0), strict=True))
    plan = navigate(found, wish)
    over = (plan.values_at_most - found.values.min(axis=0)) / found.ranges
    assert plan.excess == pytest.approx(over.max(), abs=1e-6)
    assert over[0] == pytest.approx(over[1], abs=1e-3)
    assert plan.excess > 0.01


def test_navigation_refuses_what_it_does_not_know(two):
    _, _, found = two
    with pytest.raises(InputError, match="goals among target, core near-maximum, got"):
        navigate(found, {"bowel": 3.0})
    with pytest.raises(InputError, match="finite values"):
        navigate(found, {"target": float("nan")})
    with pytest.raises(InputError, match=f"expected {found.n_plans} shares of 0 or more"):
        combine(found, np.full(found.n_plans, -1.0))


def some_set(values):
    values = np.asarray(values, dtype=float)
    n_plans, n_goals = values.shape
    return ParetoSet(
        goals=tuple("abc"[:n_goals]),
        units=("",) * n_goals,
        fluences_mu=np.ones((n_plans, 4)),
        values=values,
        base_values=np.zeros(n_plans),
        weights=np.full((n_plans, n_goals), 1 / n_goals),
        bounds=np.zeros(n_plans),
        cap_violations_gy=np.zeros(n_plans),
        n_evaluations=np.ones(n_plans, dtype=int),
        gap=0.1,
    )


def test_knee_has_the_least_sum_of_goals_in_their_ranges():
    assert knee(some_set([[0, 10], [5, 0], [1, 6], [1.5, 2], [4, 0.5]])) == 3
    assert knee(some_set([[0, 1, 1], [1, 0, 1], [1, 1, 0], [0.4, 0.4, 0.4], [0.7, 0.6, 0.5]])) == 3
    assert knee(some_set([[0, 10], [5, 0], [4, 9]])) is None  # the best sum is an extreme plan
    assert knee(some_set([[0, 0], [5, 3]])) is None


def test_facets_of_a_corner():
    """Three plans, two facets: their normals and offsets by hand."""
    facets = lower_facets(np.array([[0.0, 1.0], [0.25, 0.25], [1.0, 0.0]]))
    found = {tuple(members): (normal, offset) for normal, offset, members in facets}
    assert set(found) == {(0, 1), (1, 2)}
    normal, offset = found[0, 1]
    assert normal == pytest.approx([0.75, 0.25])
    assert offset == pytest.approx(0.25)
    # two supports through (0, 0.5) and (0.5, 0): along (1/2, 1/2) they leave 0.25
    least = least_beyond(
        np.array([0.5, 0.5]), np.array([[0.5, 0.5]]), np.array([0.25]), np.array([1.0, 1.0])
    )
    assert least == pytest.approx(0.25)


def test_what_is_no_pareto_problem_is_refused():
    problem, goals, _ = Problem(Dense(slice_matrix()), ()), slice_goals(3), None
    start = np.full(60, 20.0)
    with pytest.raises(InputError, match="two or three goals of different names, got target"):
        pareto_set(problem, goals[:1], ParetoSettings(), start=start)
    with pytest.raises(InputError, match="different names"):
        pareto_set(problem, (goals[0], goals[0]), ParetoSettings(), start=start)
    bent = VolumeAbove("V20", CORE, np.ones(len(CORE)), 20.0, 0.1, 1.0)
    with pytest.raises(InputError, match="goal core: expected convex objectives, got V20"):
        ParetoGoal("core", (bent,))
    with pytest.raises(InputError, match="at least one objective"):
        ParetoGoal("core", ())
    with pytest.raises(InputError, match="at least 2 plans"):
        ParetoSettings(n_plans=1)
    with pytest.raises(
        ComputationError, match="goals that change when the first fluence falls by 5 %"
    ):
        pareto_set(problem, goals, ParetoSettings(), start=np.full(60, np.nan))
    with pytest.raises(InputError, match="expected 2 plans of 2 goals"):
        ParetoSet(
            goals=("a", "b"),
            units=("", ""),
            fluences_mu=np.ones((2, 3)),
            values=np.ones((2, 3)),
            base_values=np.ones(2),
            weights=np.ones((2, 2)),
            bounds=np.ones(2),
            cap_violations_gy=np.ones(2),
            n_evaluations=np.ones(2, dtype=int),
            gap=0.0,
        )
