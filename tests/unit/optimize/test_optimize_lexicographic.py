"""Levels of priority against programs solved exactly."""

import numpy as np
import pytest
from scipy import optimize

from rerad.errors import InputError
from rerad.optimize import (
    DoseCap,
    Level,
    Overdose,
    Problem,
    SolveSettings,
    Underdose,
    solve_levels,
)


class Dense:
    def __init__(self, matrix):
        self.matrix = matrix
        self.n_points, self.n_beamlets = matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


MATRIX = np.random.default_rng(0).uniform(0.0, 0.1, (40, 12))
TARGET, ORGAN, REST = np.arange(10), np.arange(10, 20), np.arange(20, 40)
SETTINGS = SolveSettings(max_evaluations=3000, relative_tolerance=1e-6)


def terms():
    target = (
        Underdose("target", TARGET, np.ones(10), 40.0, 10.0),
        Overdose("hot", TARGET, np.ones(10), 42.0, 10.0),
    )
    organ = (Overdose("organ", ORGAN, np.ones(10), 20.0, 1.0),)
    rest = (Overdose("rest", REST, np.ones(20), 0.0, 1.0, scale_gy=40.0),)
    return target, organ, rest


def exact(of, constraints):
    found = optimize.minimize(
        of.value_and_gradient,
        np.full(12, 50.0),
        jac=True,
        method="SLSQP",
        bounds=[(0.0, None)] * 12,
        constraints=constraints,
        options={"maxiter": 2000, "ftol": 1e-13},
    )
    assert found.success
    return found.fun


def at_most(of, bound):
    return {
        "type": "ineq",
        "fun": lambda x: bound - of.value_and_gradient(x)[0],
        "jac": lambda x: -of.value_and_gradient(x)[1],
    }


def test_each_level_is_as_good_as_those_before_allow():
    target, organ, rest = terms()
    operator = Dense(MATRIX)
    caps = (DoseCap("cap", ORGAN, 30.0),)
    levels = (Level("target", target, 0.02, 1e-4), Level("organ", organ, 0.02, 1e-4))
    found = solve_levels(Problem(operator, rest, caps=caps), levels, SETTINGS)
    hard = {"type": "ineq", "fun": lambda x: 30.0 - MATRIX[ORGAN] @ x}
    of_target, of_organ, of_rest = (Problem(operator, part) for part in (target, organ, rest))
    first = exact(of_target, [hard])
    assert found.levels[0].best == pytest.approx(first, rel=0.01)
    second = exact(of_organ, [hard, at_most(of_target, found.levels[0].bound)])
    assert found.levels[1].best == pytest.approx(second, rel=0.02)
    bounds = [at_most(of_target, found.levels[0].bound), at_most(of_organ, found.levels[1].bound)]
    third = exact(of_rest, [hard, *bounds])
    assert found.solution.objective == pytest.approx(third, rel=0.01)
    for level in found.levels:
        assert level.final <= level.bound * 1.002
    assert found.solution.cap_violation_gy <= 0.02


def test_what_is_reached_is_not_held_to_perfection():
    target = (Underdose("target", TARGET, np.ones(10), 40.0, 10.0),)
    _, organ, rest = terms()
    levels = (Level("target", target, 0.02, 1e-3),)
    found = solve_levels(Problem(Dense(MATRIX), (*organ, *rest)), levels, SETTINGS)
    assert found.levels[0].best < found.levels[0].bound == 1e-3
    assert found.levels[0].final == pytest.approx(1e-3, rel=5e-3)


def test_order_of_levels_decides():
    target, organ, rest = terms()
    problem = Problem(Dense(MATRIX), rest)
    one, two = Level("target", target, 0.0, 1e-4), Level("organ", organ, 0.0, 1e-4)
    first, second = (
        solve_levels(problem, (one, two), SETTINGS),
        solve_levels(problem, (two, one), SETTINGS),
    )
    assert first.levels[0].final < second.levels[1].final
    assert second.levels[0].final < first.levels[1].final


def test_level_without_objectives_is_refused():
    with pytest.raises(InputError, match="level empty: expected objectives"):
        Level("empty", (), 0.0, 1.0)
    with pytest.raises(InputError, match="counts as reached"):
        Level("zero", terms()[0], 0.0, 0.0)
