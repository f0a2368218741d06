"""The solver against exact answers of small problems."""

import numpy as np
import pytest
from scipy import optimize

from rerad.errors import ConvergenceError, InputError
from rerad.optimize import (
    CumulativeMean,
    CumulativeOverdose,
    DoseCap,
    Overdose,
    Problem,
    SolveSettings,
    Underdose,
    ValueCap,
    solve,
)


class Dense:
    def __init__(self, matrix):
        self.matrix = matrix
        self.n_points, self.n_beamlets = matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


def slice_of_a_patient():
    """Dose of 5 beams of 12 beamlets on a disc; a ring target around a core, both notched."""
    axis = np.arange(-50.0, 51.0, 5.0)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    points = points[(points**2).sum(axis=1) < 50.0**2]
    columns = []
    for angle in 0.1 + 2 * np.pi / 5 * np.arange(5):
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        for offset in np.linspace(-24.0, 24.0, 12):
            lateral = np.exp(-0.5 * ((points @ across - offset) / 3.5) ** 2)
            columns.append(0.02 * lateral * np.exp(-0.005 * (points @ along + 50.0)))
    radius = np.hypot(*points.T)
    core = radius < 10
    target = (radius >= 15) & (radius <= 24) & (points[:, 0] > -8)
    parts = (np.flatnonzero(mask) for mask in (target, core, ~core & ~target))
    return np.array(columns).T, *parts


MATRIX, TARGET, CORE, REST = slice_of_a_patient()
N_FRACTIONS, ALPHA_BETA_GY = 22, 3.0
PRIOR_GY = np.random.default_rng(1).uniform(44.0, 47.5, len(CORE))


def problem(caps=(), with_core=True):
    core = np.ones(len(CORE))
    terms = [
        Underdose("PTV", TARGET, np.ones(len(TARGET)), 40.0, 100.0),
        Overdose("PTV max", TARGET, np.ones(len(TARGET)), 42.0, 50.0),
        Overdose("normal tissue", REST, np.ones(len(REST)), 20.0, 5.0),
        CumulativeMean("core mean", CORE, core, PRIOR_GY, ALPHA_BETA_GY, N_FRACTIONS, 50.0, 0.5),
    ]
    if with_core:
        limit = CumulativeOverdose(
            "core", CORE, core, PRIOR_GY, ALPHA_BETA_GY, N_FRACTIONS, 48.0, 20.0
        )
        terms.append(limit)
    return Problem(Dense(MATRIX), tuple(terms), caps=caps)


def exact(of, constraints=()):
    found = optimize.minimize(
        of.value_and_gradient,
        np.full(MATRIX.shape[1], 20.0),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, None)] * MATRIX.shape[1],
        constraints=constraints,
        options={"maxiter": 3000, "ftol": 1e-12},
    )
    assert found.success
    return found.fun


def test_least_squares_is_that_of_nonnegative_least_squares():
    wanted = np.where(np.arange(30) < 12, 40.0, 0.0)
    matrix = np.random.default_rng(3).uniform(0.0, 0.1, (30, 10))
    target, rest = np.arange(12), np.arange(12, 30)
    of = Problem(
        Dense(matrix),
        (
            Underdose("low", target, np.ones(12), 40.0, 12.0),
            Overdose("high", target, np.ones(12), 40.0, 12.0),
            Overdose("rest", rest, np.ones(18), 0.0, 18.0, scale_gy=40.0),
        ),
    )
    expected, residual = optimize.nnls(matrix, wanted)
    solution = solve(of, SolveSettings(relative_tolerance=1e-9, max_evaluations=3000))
    assert solution.objective == pytest.approx(residual**2 / 40.0**2, rel=1e-6)
    assert solution.fluence_mu == pytest.approx(expected, abs=1e-3 * expected.max())


def test_default_settings_come_within_half_a_percent_of_the_optimum():
    of = problem()
    solution = solve(of, SolveSettings())
    assert solution.is_converged
    assert solution.objective == pytest.approx(exact(of), rel=5e-3)
    assert solution.objective == pytest.approx(sum(solution.term_values.values()))
    assert solution.dose_gy == pytest.approx(MATRIX @ solution.fluence_mu)
    assert np.all(solution.fluence_mu >= 0)


def caps():
    left = 48.0 - PRIOR_GY
    a, n = ALPHA_BETA_GY, N_FRACTIONS
    return (DoseCap("core cap", CORE, n / 2 * (-a + np.sqrt(a * a + 4 * (2 + a) * left / n))),)


def test_hard_caps_hold_and_cost_no_more_than_they_must():
    hard = caps()
    of = problem(hard, with_core=False)
    free = solve(problem(with_core=False), SolveSettings())
    assert np.max(free.dose_gy[CORE] - hard[0].max_dose_gy) > 5.0
    solution = solve(of, SolveSettings(max_evaluations=2000))
    assert solution.is_converged
    assert solution.cap_violation_gy <= 0.02
    best = exact(
        of,
        {
            "type": "ineq",
            "fun": lambda x: hard[0].max_dose_gy - MATRIX[CORE] @ x,
            "jac": lambda _: -MATRIX[CORE],
        },
    )
    assert solution.objective == pytest.approx(best, rel=5e-3)
    # in the quantity that matters: cumulative EQD2
    dose = solution.dose_gy[CORE]
    eqd2 = PRIOR_GY + dose * (dose / N_FRACTIONS + ALPHA_BETA_GY) / (2 + ALPHA_BETA_GY)
    assert eqd2.max() <= 48.03


def test_multipliers_are_the_price_of_tolerance():
    hard = caps()
    settings = SolveSettings(max_evaluations=5000, relative_tolerance=1e-6, cap_tolerance_gy=1e-3)
    solution = solve(problem(hard, with_core=False), settings)
    price = solution.cap_multipliers["core cap"]
    assert np.all(price >= 0)

    def objective(more_gy):
        moved = (DoseCap("core cap", CORE, hard[0].max_dose_gy + more_gy),)
        return solve(problem(moved, with_core=False), settings).objective

    assert (objective(-0.1) - objective(0.1)) / 0.2 == pytest.approx(price.sum(), rel=0.05)


def test_bounds_background_and_progress():
    seen = []
    of = problem()
    background = np.full(len(MATRIX), 2.0)
    bounded = Problem(of.operator, of.terms, background_dose_gy=background, upper_mu=400.0)
    solution = solve(bounded, SolveSettings(), progress=lambda n, value: seen.append((n, value)))
    assert solution.fluence_mu.max() <= 400.0
    assert solution.dose_gy == pytest.approx(MATRIX @ solution.fluence_mu + 2.0)
    counts, values = zip(*seen, strict=True)
    assert list(counts) == sorted(counts)
    assert values[-1] == min(values) == pytest.approx(solution.objective)


def test_warm_start_is_quicker_and_budget_is_kept():
    of = problem()
    cold = solve(of, SolveSettings())
    warm = solve(of, SolveSettings(), start=cold.fluence_mu)
    assert warm.n_evaluations < cold.n_evaluations
    assert warm.objective <= cold.objective * (1 + 1e-9)
    short = solve(of, SolveSettings(max_evaluations=5))
    assert short.n_evaluations <= 25  # one line search may be under way
    assert not short.is_converged
    assert "budget" in short.status


def test_a_broken_operator_is_named():
    broken = MATRIX.copy()
    broken[TARGET[0], 0] = np.nan
    of = problem()
    with pytest.raises((ConvergenceError, InputError)):
        solve(Problem(Dense(broken), of.terms), SolveSettings(), start=np.ones(MATRIX.shape[1]))
    with pytest.raises(InputError, match="start of 60 fluences"):
        solve(of, SolveSettings(), start=np.ones(3))
    with pytest.raises(InputError, match="counts of 1 or more"):
        SolveSettings(max_evaluations=0)


def test_sum_of_objectives_is_held_while_another_falls():
    """A bound on the targets' objectives, against sequential quadratic programming."""
    of = problem(with_core=False)
    targets, others = of.terms[:2], of.terms[2:]
    first = solve(Problem(of.operator, targets), SolveSettings(max_evaluations=2000))
    bound = first.objective + 0.05
    second = Problem(of.operator, others, value_caps=(ValueCap("targets", tuple(targets), bound),))
    solution = solve(second, SolveSettings(max_evaluations=3000), start=first.fluence_mu)
    assert solution.is_converged
    assert solution.sum_violation <= 2e-3
    kept = Problem(of.operator, targets)
    best = exact(
        second,
        {
            "type": "ineq",
            "fun": lambda x: bound - kept.value_and_gradient(x)[0],
            "jac": lambda x: -kept.value_and_gradient(x)[1],
        },
    )
    assert solution.objective == pytest.approx(best, rel=5e-3)


def test_watch_sees_fluence_and_dose():
    seen = []
    solve(problem(), SolveSettings(), watch=lambda fluence, dose: seen.append((fluence, dose)))
    assert len(seen) >= 3
    for fluence, dose in seen:
        assert dose == pytest.approx(MATRIX @ fluence)
