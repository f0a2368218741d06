"""Quasi-Newton steps between bounds, against exact answers."""

import numpy as np
import pytest
from scipy import optimize

from rerad.optimize.lbfgs import CurvatureMemory, Place, bounded_step


def walk(evaluate, start, upper, n_steps, size=20):
    memory = CurvatureMemory(size, len(start))
    place = Place(start, *evaluate(start))
    for _ in range(n_steps):
        reached = bounded_step(place, evaluate, memory, upper)
        if reached is None:
            break
        assert reached.value < place.value
        assert np.all(reached.unknowns >= 0)
        assert np.all(reached.unknowns <= upper)
        place = reached
    return place


def quadratic(n, seed):
    rng = np.random.default_rng(seed)
    half = rng.standard_normal((n, n))
    matrix = half @ half.T + 0.1 * np.eye(n)
    wanted = rng.standard_normal(n)

    def evaluate(x):
        away = x - wanted
        return 0.5 * away @ matrix @ away, matrix @ away

    return evaluate, matrix, wanted


@pytest.mark.parametrize("seed", range(5))
def test_quadratic_between_bounds_reaches_the_exact_minimum(seed):
    evaluate, matrix, wanted = quadratic(12, seed)
    upper = 0.8
    root = np.linalg.cholesky(matrix).T
    exact = optimize.lsq_linear(root, root @ wanted, bounds=(0.0, upper), tol=1e-14)
    found = walk(evaluate, np.full(12, 0.4), upper, 400)
    assert found.value == pytest.approx(exact.cost, rel=1e-8)
    assert found.unknowns == pytest.approx(exact.x, abs=1e-5)


def test_memory_makes_newton_steps_of_a_quadratic():
    evaluate, _, wanted = quadratic(6, 3)
    start = np.abs(wanted) + 5.0

    def shifted(x):
        return evaluate(x - 10.0)

    found = walk(shifted, start + 10.0, np.inf, 40)
    assert found.unknowns - 10.0 == pytest.approx(wanted, abs=1e-6)


def test_held_unknowns_stay_and_no_step_is_left_at_the_minimum():
    evaluate = lambda x: (float(np.sum(x)), np.ones(3))  # noqa: E731
    memory = CurvatureMemory(3, 3)
    zero = np.zeros(3)
    assert bounded_step(Place(zero, *evaluate(zero)), evaluate, memory, np.inf) is None


def test_pairs_without_curvature_are_forgotten():
    memory = CurvatureMemory(2, 3)
    memory.learn(np.array([1.0, 0.0, 0.0]), np.array([-1.0, 0.0, 0.0]))
    gradient = np.array([1.0, 2.0, 3.0])
    assert memory.direction(gradient, np.ones(3, dtype=bool)) == pytest.approx(-gradient)


def test_where_nothing_bends_a_step_has_an_end():
    """Nearly straight: the quasi-Newton step would be some 1e9 long, and doses with it."""
    tried = []

    def evaluate(x):
        tried.append(x)
        return float(-x.sum() + 5e-10 * (x**2).sum()), -1.0 + 1e-9 * x

    memory = CurvatureMemory(5, 4)
    memory.learn(np.ones(4), 1e-9 * np.ones(4))
    start = np.full(4, 2.0)
    value, gradient = evaluate(start)
    reached = bounded_step(Place(start, value, gradient), evaluate, memory, np.inf)
    assert reached is not None
    assert reached.value < value
    assert np.linalg.norm(tried[1] - start) <= 10.0 * np.linalg.norm(start) * (1 + 1e-12)
