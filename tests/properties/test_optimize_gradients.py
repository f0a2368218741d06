"""Gradients against finite differences, and the convexity that the solver rests on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.core import BeamGeometry, BixelGrid
from rerad.optimize import (
    CumulativeMean,
    CumulativeOverdose,
    DoseCap,
    FluenceSmoothness,
    Multipliers,
    Overdose,
    Problem,
    Underdose,
)

N_POINTS = 40
SEEDS = st.integers(0, 2**32 - 1)
KINDS = ("under", "over", "falloff", "cumulative", "mean")


class Dense:
    """A dose operator that is a matrix."""

    def __init__(self, matrix):
        self.matrix = matrix
        self.n_points, self.n_beamlets = matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


def make_term(kind, rng):
    points = rng.permutation(N_POINTS)[:25]
    shares = rng.uniform(0.1, 1.0, 25)
    if kind == "under":
        return Underdose(kind, points, shares, 40.0, 3.0)
    if kind == "over":
        return Overdose(kind, points, shares, 25.0, 3.0)
    if kind == "falloff":
        return Overdose(kind, points, shares, rng.uniform(5.0, 40.0, 25), 3.0)
    prior, alpha_beta = rng.uniform(0.0, 60.0, 25), rng.uniform(1.0, 10.0, 25)
    if kind == "cumulative":
        return CumulativeOverdose(kind, points, shares, prior, alpha_beta, 22, 50.0, 3.0)
    return CumulativeMean(kind, points, shares, prior, alpha_beta, 22, 50.0, 3.0)


def slope_by_differences(function, at, step=1e-5):
    slope = np.empty_like(at)
    for j in range(len(at)):
        up, down = at.copy(), at.copy()
        up[j] += step
        down[j] -= step
        slope[j] = (function(up) - function(down)) / (2 * step)
    return slope


def grids():
    geometry = BeamGeometry("g", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    first = np.array([[1, 1, 0], [1, 1, 1]], dtype=bool)
    second = np.array([[0, 1], [1, 1], [1, 0]], dtype=bool)
    return tuple(
        BixelGrid(
            geometry, np.arange(flags.shape[1] + 1.0), np.arange(flags.shape[0] + 1.0), flags
        )
        for flags in (first, second)
    )


def make_problem(rng, kinds=KINDS):
    terms = tuple(make_term(kind, rng) for kind in kinds)
    smooth = FluenceSmoothness("smooth", grids(), 30.0, 0.7)
    operator = Dense(rng.uniform(0.0, 0.2, (N_POINTS, 9)))
    return Problem(operator, terms, (smooth,), background_dose_gy=rng.uniform(0, 3, N_POINTS))


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)  # the first example compiles
@given(seed=SEEDS)
def test_gradient_of_each_term(kind, seed):
    rng = np.random.default_rng(seed)
    term = make_term(kind, rng)
    dose = rng.uniform(1.0, 60.0, 25)
    _, slope = term.value_and_gradient(dose)
    expected = slope_by_differences(lambda d: term.value_and_gradient(d)[0], dose)
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-8)


@given(seed=SEEDS)
def test_gradient_of_a_whole_problem(seed):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng)
    fluence = rng.uniform(1.0, 60.0, 9)
    _, slope = problem.value_and_gradient(fluence)
    expected = slope_by_differences(lambda x: problem.value_and_gradient(x)[0], fluence)
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-8)


@given(seed=SEEDS)
def test_gradient_of_the_cap_penalty(seed):
    rng = np.random.default_rng(seed)
    cap = DoseCap("cap", rng.permutation(N_POINTS)[:25], rng.uniform(5.0, 50.0, 25))
    multipliers = Multipliers((cap,), (rng.uniform(0.0, 3.0, 25),), 0.3)
    dose = rng.uniform(0.0, 60.0, N_POINTS)
    _, slope = multipliers.value_and_gradient(dose)
    expected = slope_by_differences(lambda d: multipliers.value_and_gradient(d)[0], dose)
    assert slope == pytest.approx(expected, rel=1e-5, abs=1e-7)


@given(seed=SEEDS, share=st.floats(0.01, 0.99))
def test_objective_is_convex_in_the_fluence(seed, share):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng)
    one, other = rng.uniform(0.0, 90.0, (2, 9))
    between = problem.value_and_gradient(share * one + (1 - share) * other)[0]
    chord = (
        share * problem.value_and_gradient(one)[0]
        + (1 - share) * problem.value_and_gradient(other)[0]
    )
    assert between <= chord * (1 + 1e-12) + 1e-12


@given(seed=SEEDS)
def test_objective_lies_above_its_tangents(seed):
    rng = np.random.default_rng(seed)
    problem = make_problem(rng)
    one, other = rng.uniform(0.0, 90.0, (2, 9))
    value, slope = problem.value_and_gradient(one)
    tangent = value + slope @ (other - one)
    assert problem.value_and_gradient(other)[0] >= tangent - 1e-9 * abs(value)


def test_asking_for_cumulative_dose_would_not_be_convex():
    # the reason why targets are stated in physical dose: (60 - E)^2 bends down near D = 0
    def lack(dose_gy):
        return max(0.0, 60.0 - dose_gy * (dose_gy / 5 + 3.0) / 5.0) ** 2

    assert lack(1.0) > 0.5 * (lack(0.0) + lack(2.0))


@pytest.mark.parametrize(("cls", "inside"), [(Underdose, 30.0), (Overdose, 10.0)])
def test_slope_is_exactly_zero_where_nothing_is_asked(cls, inside):
    """The operator's adjoint passes over such points, and unknown dose stays unknown."""
    term = cls("one", np.arange(3), np.ones(3), 20.0, 5.0)
    _, slope = term.value_and_gradient(np.array([inside, 20.0, 40.0 - inside]))
    np.testing.assert_array_equal(slope[:2], 0.0)
    assert slope[2] != 0.0
    assert np.isnan(term.value_and_gradient(np.array([inside, np.nan, inside]))[0])
