"""Tail terms: gradients against finite differences, convexity where claimed and only there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.optimize import (
    Aim,
    CumulativeDose,
    Geud,
    MeanDose,
    TailMean,
    TailSide,
    VolumeAbove,
    VolumeBelow,
)

N = 24
SEEDS = st.integers(0, 2**32 - 1)
CONVEX = (
    "hot tail",
    "cold tail",
    "cumulative tail",
    "geud",
    "cumulative geud",
    "mean",
)
KINDS = (*CONVEX, "above", "cumulative above", "below")


def make_term(kind, rng, goal):
    points, shares = rng.permutation(100)[:N], rng.uniform(0.1, 1.0, N)
    course = CumulativeDose(rng.uniform(0, 50, N), rng.uniform(1, 10, N), 22)
    aim = Aim(3.0, 50.0, rng.uniform(20.0, 40.0) if goal else None)
    part, exponent = rng.uniform(0.02, 0.9), rng.uniform(1.0, 30.0)
    return {
        "hot tail": lambda: TailMean(kind, points, shares, part, aim),
        "cold tail": lambda: TailMean(kind, points, shares, part, aim, TailSide.COLDEST),
        "cumulative tail": lambda: TailMean(kind, points, shares, part, aim, cumulative=course),
        "geud": lambda: Geud(kind, points, shares, exponent, aim),
        "cumulative geud": lambda: Geud(kind, points, shares, exponent, aim, course),
        "mean": lambda: MeanDose(kind, points, shares, aim),
        "above": lambda: VolumeAbove(kind, points, shares, 25.0, part, 3.0),
        "cumulative above": lambda: VolumeAbove(kind, points, shares, 45.0, part, 3.0, course),
        "below": lambda: VolumeBelow(kind, points, shares, 35.0, part, 3.0),
    }[kind]()


def value(term, dose):
    return term.value_and_gradient(dose)[0]


@pytest.mark.parametrize("goal", [True, False])
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_gradient_against_finite_differences(kind, goal, seed):
    rng = np.random.default_rng(seed)
    term = make_term(kind, rng, goal)
    dose = rng.uniform(1.0, 60.0, N)
    _, slope = term.value_and_gradient(dose)
    step = 1e-6
    differences = np.empty(N)
    for j in range(N):
        change = np.zeros(N)
        change[j] = step
        differences[j] = (value(term, dose + change) - value(term, dose - change)) / (2 * step)
    # Within a step of a kink (two doses at the edge of the tail) differences are of no use.
    read = dose if getattr(term, "cumulative", None) is None else None
    if read is None:
        read = term.cumulative.eqd2_and_slope(dose)[0]
    if np.min(np.diff(np.sort(read))) > 1e-4:
        assert slope == pytest.approx(differences, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("goal", [True, False])
@pytest.mark.parametrize("kind", CONVEX)
@settings(deadline=None, max_examples=60)
@given(seed=SEEDS, share=st.floats(0.01, 0.99))
def test_claimed_convex_lies_below_chords_and_above_tangents(kind, goal, seed, share):
    rng = np.random.default_rng(seed)
    term = make_term(kind, rng, goal)
    assert term.is_convex
    one, other = rng.uniform(0.0, 70.0, (2, N)) * rng.uniform(0, 1, (2, 1))
    first, slope = term.value_and_gradient(one)
    second = value(term, other)
    between = value(term, share * one + (1 - share) * other)
    assert between <= share * first + (1 - share) * second + 1e-10
    assert second >= first + slope @ (other - one) - 1e-10


@pytest.mark.parametrize("kind", ["above", "cumulative above", "below"])
def test_what_is_not_claimed_convex_is_not(kind):
    """Some chord of random doses lies below each partial-volume penalty."""
    below_by = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        term = make_term(kind, rng, True)
        assert not term.is_convex
        one, other = rng.uniform(0.0, 70.0, (2, N))
        chord = 0.5 * (value(term, one) + value(term, other))
        below_by.append(value(term, 0.5 * (one + other)) - chord)
    assert max(below_by) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=20)
@given(seed=SEEDS)
def test_more_dose_is_never_better_for_an_organ_nor_worse_for_a_target(kind, seed):
    """Without this a convex function of EQD2 would not be convex in the fluence."""
    rng = np.random.default_rng(seed)
    term = make_term(kind, rng, True)
    dose = rng.uniform(0.0, 60.0, N)
    more = dose + rng.uniform(0.0, 20.0, N)
    sign = -1.0 if kind in {"cold tail", "below"} else 1.0
    assert sign * (value(term, more) - value(term, dose)) >= -1e-12
    assert np.all(sign * term.value_and_gradient(dose)[1] >= 0)


@pytest.mark.parametrize("kind", ["hot tail", "geud", "mean", "cumulative tail"])
def test_curvature_is_of_the_size_of_the_true_one(kind):
    """Along a change of all doses alike, typical and true second derivative agree in size."""
    rng = np.random.default_rng(3)
    term = make_term(kind, rng, True)
    dose, step = np.full(N, 45.0), 1e-3
    values = [value(term, dose + change) for change in (-step, 0.0, step)]
    true = (values[0] - 2 * values[1] + values[2]) / step**2
    assert 0.3 < term.curvature().sum() / true < 3.0
