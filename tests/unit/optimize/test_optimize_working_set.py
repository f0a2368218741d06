"""Small problems: exact where they are made, below the whole near it, and to the same optimum."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import BeamGeometry, BixelGrid
from rerad.optimize import (
    Aim,
    CumulativeDose,
    CumulativeMean,
    CumulativeOverdose,
    DoseCap,
    MeanDose,
    Overdose,
    Problem,
    ShiftedDose,
    SolveSettings,
    TailMean,
    Underdose,
    robust_problem,
    solve,
)
from rerad.optimize import working_set as module
from rerad.optimize.constraints import Multipliers, ValueCap
from rerad.optimize.delivery import SweepLeakage
from rerad.optimize.weighted import Weighted
from rerad.optimize.working_set import PointsAndSums, WorkingSets

N_POINTS, N_BEAMLETS = 400, 24
PLACE = np.linspace(-100.0, 100.0, N_POINTS)
TARGET = np.flatnonzero(np.abs(PLACE) < 20)
ORGAN = np.flatnonzero((PLACE > 15) & (PLACE < 60))
REST = np.flatnonzero(np.abs(PLACE) > 25)
N_FRACTIONS = 20


class Matrix:
    """A dose matrix that can be had at some points."""

    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, dtype=np.float64)

    n_points = property(lambda self: self.matrix.shape[0])
    n_beamlets = property(lambda self: self.matrix.shape[1])

    def forward(self, x):
        return self.matrix @ x

    def adjoint(self, y):
        return self.matrix.T @ y

    def at_points(self, points):
        return Matrix(self.matrix[points])


def matrix(shift=0.0):
    """Two beams of overlapping beamlets, one broader than the other."""
    centres = np.linspace(-30.0, 30.0, N_BEAMLETS // 2)
    columns = [
        0.05 * np.exp(-0.5 * ((PLACE - shift - c) / width) ** 2) + 0.001
        for width in (5.0, 8.0)
        for c in centres
    ]
    return Matrix(np.array(columns).T)


def shares(points, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 1.5, len(points))


def terms():
    prior = np.random.default_rng(3).uniform(20.0, 40.0, len(ORGAN))
    return (
        Underdose("too little", TARGET, shares(TARGET), 40.0, 100.0),
        Overdose("too much", TARGET, shares(TARGET), 42.0, 50.0),
        Overdose("rest", REST, shares(REST, 1), np.linspace(5.0, 25.0, len(REST)), 3.0),
        CumulativeOverdose("limit", ORGAN, shares(ORGAN), prior, 3.0, N_FRACTIONS, 50.0, 4.0),
        CumulativeMean("mean", ORGAN, shares(ORGAN), prior, 3.0, N_FRACTIONS, 40.0, 0.5),
        TailMean(
            "tail",
            ORGAN[:60],
            shares(ORGAN[:60]),
            0.1,
            Aim(0.2, 40.0, 30.0),
            cumulative=CumulativeDose(prior[:60], 3.0, N_FRACTIONS),
        ),
    )


def leakage():
    grids = []
    for angle in (0.0, 90.0):
        edges = np.linspace(-30.0, 30.0, N_BEAMLETS // 2 + 1)
        grids.append(
            BixelGrid(
                BeamGeometry(f"b{angle}", angle, 0.0, 0.0, (0.0, 0.0, 0.0)),
                edges,
                np.array([0.0, 5.0]),
                np.ones((1, N_BEAMLETS // 2), bool),
            )
        )
    dose = np.random.default_rng(5).uniform(0.001, 0.02, (2, N_POINTS))
    return SweepLeakage(tuple(grids), 0.02, 0.1, dose, 1.0)


def whole_problem():
    """Return a problem with everything that a plan may ask for."""
    cap = DoseCap("organ cap", ORGAN, np.linspace(20.0, 45.0, len(ORGAN)))
    mean = MeanDose("organ dose", ORGAN, shares(ORGAN), Aim(1.0, 10.0))
    aimed = Weighted(MeanDose("aimed", REST, shares(REST), Aim(1.0, 5.0, 4.0)), 0.3, 0.1)
    level = (mean, Overdose("level rest", REST, shares(REST), 3.0, 1.0))
    return Problem(
        matrix(),
        (*terms(), aimed),
        background_dose_gy=np.random.default_rng(6).uniform(-0.5, 0.5, N_POINTS),
        caps=(cap,),
        value_caps=(ValueCap("level", level, 0.9),),
        leakage=leakage(),
    )


def fluence(seed=7):
    return np.random.default_rng(seed).uniform(0.0, 90.0, N_BEAMLETS)


def multipliers(problem):
    held = Multipliers.start(problem.caps, 0.01, problem.value_caps, 3.0)
    values = np.where(np.arange(len(ORGAN)) % 7 == 0, 0.02, 0.0)
    return replace(held, values=(values,), sum_values=(0.4,))


def everything(problem, held, x):
    """Return value and gradient as the search takes them."""
    dose = problem.dose_gy(x)
    value, by_dose = problem.value_by_dose(dose)
    penalty, push = held.value_and_gradient(dose)
    return value + penalty, problem.by_fluence(x, by_dose + push)


def small_of(problem, held, x, margin_gy=0.5):
    chosen = WorkingSets(problem).choose(problem.dose_gy(x), margin_gy, held)
    assert chosen is not None
    return chosen


def test_value_and_gradient_are_those_of_the_whole_where_it_is_made():
    problem, x = whole_problem(), fluence()
    held = multipliers(problem)
    small, small_held = small_of(problem, held, x)
    assert small.operator.n_points < 0.75 * N_POINTS
    value, gradient = everything(problem, held, x)
    found, slope = everything(small, small_held, x)
    assert found == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(slope, gradient, rtol=1e-5, atol=1e-7 * np.abs(gradient).max())


def test_it_lies_below_the_whole_by_what_bends_there():
    problem, x = replace(whole_problem(), leakage=None), fluence()
    held = multipliers(problem)
    small, small_held = small_of(problem, held, x)
    gaps = []
    for step in (1.0, 2.0, 4.0):
        y = x + step * np.random.default_rng(8).uniform(-0.5, 0.5, N_BEAMLETS)
        gaps.append(everything(problem, held, y)[0] - everything(small, small_held, y)[0])
    assert min(gaps) > -1e-9
    # second order: a step twice as long misses four times as much
    assert gaps[1] == pytest.approx(4 * gaps[0], rel=0.1)
    assert gaps[2] == pytest.approx(4 * gaps[1], rel=0.1)
    assert gaps[2] < 1e-3 * everything(problem, held, x)[0]


def test_thresholds_that_are_not_reached_within_the_margin_cost_nothing():
    wanted = tuple(t for t in terms() if isinstance(t, Underdose | Overdose))
    problem, x = Problem(matrix(), wanted), fluence()
    small, _ = small_of(problem, None, x, margin_gy=1.0)
    change = np.random.default_rng(9).uniform(-1.0, 1.0, N_BEAMLETS)
    change /= np.abs(problem.operator.forward(change)).max()
    for y in (x, np.maximum(x + change, 0.0)):
        value, gradient = problem.value_and_gradient(y)
        found, slope = small.value_and_gradient(y)
        assert found == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(slope, gradient, rtol=1e-9, atol=1e-12)


def test_points_that_push_a_cap_are_never_left_out():
    problem, x = whole_problem(), fluence()
    held = multipliers(problem)
    _, small_held = small_of(problem, held, x)
    assert sum(values.sum() for values in small_held.values) == pytest.approx(
        sum(values.sum() for values in held.values)
    )


def test_a_mean_dose_is_one_sum_over_all_its_points():
    mean = MeanDose("m", REST, shares(REST), Aim(1.0, 5.0, 1.0))
    problem, x = Problem(matrix(), (*terms()[:2], mean)), fluence()
    small, _ = small_of(problem, None, x)
    y = fluence(11)
    dose = problem.dose_gy(y)
    found = small.terms[-1].value_and_gradient(small.dose_gy(y)[small.terms[-1].indices])[0]
    assert found == pytest.approx(mean.value_and_gradient(dose[REST])[0], rel=1e-12)


def test_sums_have_the_exact_transpose():
    random = np.random.default_rng(12)
    operator = PointsAndSums(matrix().at_points(TARGET), random.random((3, N_BEAMLETS)))
    x, y = random.random(N_BEAMLETS), random.random(operator.n_points)
    assert len(operator.forward(x)) == operator.n_points == len(TARGET) + 3
    assert y @ operator.forward(x) == pytest.approx(x @ operator.adjoint(y), rel=1e-12)


def robust(problem):
    followed = np.union1d(TARGET, ORGAN)
    others = tuple(matrix(shift).at_points(followed) for shift in (-3.0, 3.0))
    shifts = ((0.0, 0.0, 0.0), (-3.0, 0.0, 0.0), (3.0, 0.0, 0.0))
    shifted = ShiftedDose((problem.operator, *others), followed, shifts)
    return robust_problem(problem, shifted, worst_case=["too little"])


def test_the_worst_scenario_counts_as_in_the_whole():
    problem, x = robust(replace(whole_problem(), value_caps=())), fluence()
    held = Multipliers.start(problem.caps, 0.01)
    small, small_held = small_of(problem, held, x)
    value, gradient = everything(problem, held, x)
    found, slope = everything(small, small_held, x)
    assert found == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(slope, gradient, rtol=1e-5, atol=1e-7 * np.abs(gradient).max())


def test_an_operator_that_cannot_be_divided_is_taken_whole():
    class Undivided:
        n_points, n_beamlets = N_POINTS, N_BEAMLETS
        forward, adjoint = matrix().forward, matrix().adjoint

    problem = Problem(Undivided(), terms())
    assert WorkingSets(problem).choose(problem.dose_gy(fluence()), 0.5, None) is None


def test_it_gives_way_where_most_points_bend():
    every = Overdose("all", np.arange(N_POINTS), np.ones(N_POINTS), 0.0, 1.0, scale_gy=10.0)
    problem = Problem(matrix(), (every,))
    assert WorkingSets(problem).choose(problem.dose_gy(fluence()), 0.5, None) is None


@pytest.mark.parametrize("is_capped", [False, True])
def test_the_search_ends_at_the_optimum_of_the_whole(monkeypatch, is_capped):
    wanted = tuple(t for t in terms() if not isinstance(t, TailMean))
    ridge = Overdose("ridge", REST, shares(REST), 0.0, 0.02, scale_gy=10.0)
    caps = (DoseCap("organ cap", ORGAN, np.linspace(25.0, 45.0, len(ORGAN))),)
    problem = Problem(matrix(), (*wanted, ridge), caps=caps if is_capped else ())
    # the ridge bends everywhere: take it as straight, so that tangents matter
    monkeypatch.setattr(
        Overdose,
        "is_straight",
        lambda term, dose, margin: (
            np.ones(len(dose), bool)
            if term.name == "ridge"
            else np.asarray(dose <= term.dose_gy - margin)
        ),
    )
    settings = SolveSettings(relative_tolerance=1e-9, max_evaluations=5000, cap_tolerance_gy=1e-4)
    made = []
    choose = WorkingSets.choose
    monkeypatch.setattr(
        WorkingSets, "choose", lambda *args: made.append(choose(*args)) or made[-1]
    )
    small = solve(problem, settings)
    assert any(item is not None for item in made)
    monkeypatch.setattr(module, "MOST", 0.0)
    whole = solve(problem, settings)
    assert small.is_converged
    assert whole.is_converged
    assert small.objective == pytest.approx(whole.objective, rel=1e-5)


def test_what_tangents_missed_does_not_end_the_search():
    """An organ that began far below its limit is found above it at the next look."""
    problem = Problem(
        matrix(),
        (
            Underdose("too little", TARGET, shares(TARGET), 40.0, 100.0),
            Overdose("beside", ORGAN, shares(ORGAN), 8.0, 3000.0),
            Overdose("rest", REST, shares(REST, 1), 25.0, 3.0),
        ),
    )
    start = np.full(N_BEAMLETS, 1.0)
    found = solve(problem, SolveSettings(max_evaluations=2000), start=start)
    exact = solve(
        problem,
        SolveSettings(max_evaluations=4000, patience=400, relative_tolerance=1e-9),
        start=start,
    )
    assert found.is_converged
    assert found.objective <= 1.02 * exact.objective
