"""Bounds on means, gEUD and tail means that hold in every shift of the patient."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.errors import InputError
from rerad.optimize import (
    Aim,
    CumulativeDose,
    DoseCap,
    Geud,
    MeanDose,
    Multipliers,
    Problem,
    ShiftedDose,
    SolveSettings,
    TailMean,
    Underdose,
    ValueCap,
    WorstCumulativeDose,
    robust_problem,
    solve,
)

SEEDS = st.integers(0, 2**32 - 1)
SHIFTS = ((0.0, 0.0, 0.0), (-4.0, 0.0, 0.0), (4.0, 0.0, 0.0))


class Dense:
    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, dtype=np.float64)
        self.n_points, self.n_beamlets = self.matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


TARGET, ORGAN, BESIDE = np.arange(0, 6), np.arange(6, 14), np.arange(14, 20)
FOLLOWED = np.concatenate([TARGET, ORGAN])


def places(seed=0):
    """Random doses of eight beamlets, different in every place."""
    rng = np.random.default_rng(seed)
    matrices = [rng.uniform(0.0, 1.0, (20, 8))]
    matrices += [rng.uniform(0.0, 1.0, (len(FOLLOWED), 8)) for _ in SHIFTS[1:]]
    return ShiftedDose(tuple(Dense(m) for m in matrices), FOLLOWED, SHIFTS)


def bounds(rng):
    """A bound of every kind that a hard goal may be, physical and cumulative."""
    n, weights = len(ORGAN), np.ones(len(ORGAN))
    plain = Aim(1.0, 30.0)
    before = CumulativeDose(rng.uniform(0, 40, n), 2.0, 22)
    corners = tuple(CumulativeDose(rng.uniform(0, 40, n), a, 22) for a in (1.5, 2.5))
    worst = WorstCumulativeDose(before.prior_eqd2_gy, 2.0, 22, corners)
    terms = (
        MeanDose("mean", ORGAN, weights, plain),
        TailMean("mean EQD2", ORGAN, weights, 1.0, plain, cumulative=worst),
        Geud("gEUD", ORGAN, weights, 3.0, plain),
        Geud("gEUD EQD2", ORGAN, weights, 3.0, plain, before),
        TailMean("V", ORGAN, weights, 0.3, plain),
        TailMean("V EQD2", ORGAN, weights, 0.3, plain, cumulative=worst),
    )
    return tuple(ValueCap(f"{term.name}, hard", (term,), 1.0) for term in terms)


def problem_of(shifted, sums):
    target = Underdose("PTV", TARGET, np.ones(len(TARGET)), 40.0, 10.0)
    return Problem(shifted.operators[0], (target,), value_caps=sums)


def test_every_bound_is_one_for_each_place_at_the_same_voxels():
    rng, shifted = np.random.default_rng(1), places()
    sums = bounds(rng)
    robust = robust_problem(problem_of(shifted, sums), shifted, worst_case=["PTV"])
    assert len(robust.value_caps) == len(SHIFTS) * len(sums)
    assert robust.value_caps[: len(sums)] == sums
    assert robust.value_caps[-1].name == "V EQD2, hard, isocentre shifted by (4, 0, 0) mm"
    x = rng.uniform(0, 9, 8)
    dose = robust.dose_gy(x)
    for number, bound in enumerate(robust.value_caps):
        scenario, kind = divmod(number, len(sums))
        here = np.zeros(20)
        where = shifted.points_in(scenario, ORGAN, "organ")
        here[ORGAN] = dose[where]
        assert bound.excess(dose) == pytest.approx(sums[kind].excess(here), rel=1e-12)
        place = slice(None) if scenario == 0 else slice(len(TARGET), None)
        expected = shifted.operators[scenario].matrix[ORGAN if scenario == 0 else place] @ x
        assert dose[where] == pytest.approx(expected)


def test_bounds_named_hold_without_shift_only_and_others_must_be_followed():
    rng, shifted = np.random.default_rng(1), places()
    sums = bounds(rng)
    problem = problem_of(shifted, sums)
    names = [bound.name for bound in sums]
    robust = robust_problem(problem, shifted, worst_case=(), without_shift=names[1:])
    shifted_names = [bound.name for bound in robust.value_caps[len(names) :]]
    assert [name.split(",")[0] for name in shifted_names] == ["mean", "mean"]
    with pytest.raises(InputError, match="expected names of bounds of the problem, got level"):
        robust_problem(problem, shifted, worst_case=(), without_shift=["level"])
    beside = MeanDose("beside", BESIDE, np.ones(len(BESIDE)), Aim(1.0, 5.0))
    far = replace(problem, value_caps=(ValueCap("beside, hard", (beside,), 1.0),))
    with pytest.raises(InputError, match=r"beside: 6 of 6 points are not among those followed"):
        robust_problem(far, shifted, worst_case=())
    robust_problem(far, shifted, worst_case=(), without_shift=["beside, hard"])


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, share=st.floats(0.01, 0.99))
def test_every_bound_is_convex_in_the_fluence(seed, share):
    """So what all of them leave is a convex set: a chord between fluences stays in it."""
    rng, shifted = np.random.default_rng(seed), places(seed)
    robust = robust_problem(problem_of(shifted, bounds(rng)), shifted, worst_case=())
    one, other = rng.uniform(0, 12, (2, 8))
    first, second, between = (
        np.array([bound.excess(robust.dose_gy(x)) for bound in robust.value_caps])
        for x in (one, other, share * one + (1 - share) * other)
    )
    assert np.all(between <= share * first + (1 - share) * second + 1e-9)


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS)
def test_the_push_of_bounds_in_all_places_is_the_slope_of_their_penalty(seed):
    """By the fluence, against finite differences, background included."""
    rng, shifted = np.random.default_rng(seed), places(seed)
    background = rng.normal(0, 0.1, 20)
    problem = replace(problem_of(shifted, bounds(rng)), background_dose_gy=background)
    robust = robust_problem(problem, shifted, worst_case=["PTV"])
    held = Multipliers.start((), 1.0, robust.value_caps, 3.0)
    held = replace(held, sum_values=tuple(rng.uniform(0, 2, len(robust.value_caps))))

    def penalty(x):
        return held.value_and_gradient(robust.dose_gy(x))[0]

    x, step = rng.uniform(1, 9, 8), 1e-6 * rng.normal(size=8)
    push = held.value_and_gradient(robust.dose_gy(x))[1]
    slope = robust.by_fluence(x, push)
    assert np.any(push[shifted.operators[0].n_points :] > 0)
    rise = (penalty(x + step) - penalty(x - step)) / 2
    assert rise == pytest.approx(slope @ step, rel=1e-4, abs=1e-9)


def one_beamlet():
    """A target that gets 1 Gy a MU; an organ 0.2, and 0.1 or 0.5 where the patient lies off.

    40 Gy are wanted, the organ's mean shall be 10 Gy at most: without shift 50 MU are allowed, in
    the worst place 20. The objective is :math:`10 ((40 - x) / 40)^2`.
    """
    rows = ([1.0] * 6 + [0.2] * 8 + [0.0] * 6, [1.0] * 6 + [0.1] * 8, [1.0] * 6 + [0.5] * 8)
    operators = tuple(Dense(np.array(row)[:, None]) for row in rows)
    shifted = ShiftedDose(operators, FOLLOWED, SHIFTS)
    mean = MeanDose("Organ Dmean", ORGAN, np.ones(len(ORGAN)), Aim(1.0, 10.0))
    return shifted, problem_of(shifted, (ValueCap("Organ Dmean, hard", (mean,), 1.0),))


def test_a_bound_that_a_shift_would_exceed_is_held_in_it():
    """Held without shift only, the plan gives the organ twice what is allowed in one place."""
    shifted, problem = one_beamlet()
    how, start = SolveSettings(5000, relative_tolerance=1e-6), np.array([30.0])
    believed = robust_problem(
        problem, shifted, worst_case=["PTV"], without_shift=["Organ Dmean, hard"]
    )
    whole = robust_problem(problem, shifted, worst_case=["PTV"])
    free, found = (solve(each, how, start=start) for each in (believed, whole))
    assert free.fluence_mu[0] == pytest.approx(40.0, rel=1e-3)
    worst = [bound.excess(whole.dose_gy(free.fluence_mu)) for bound in whole.value_caps]
    assert worst == pytest.approx([-0.2, -0.6, 1.0], abs=0.01)
    assert found.is_converged
    assert found.fluence_mu[0] == pytest.approx(20.0, rel=5e-3)
    assert found.multipliers.sum_violation(found.dose_gy) <= how.sum_tolerance


def test_the_multiplier_of_the_worst_place_is_the_price_of_the_bound():
    """10 w ((40 - x) / 40)^2 falls by 0.25 a MU at 20 MU, so by 0.5 a Gy of 0.5 Gy a MU."""
    shifted, problem = one_beamlet()
    robust = robust_problem(problem, shifted, worst_case=["PTV"])
    how = SolveSettings(5000, relative_tolerance=1e-6, sum_tolerance=1e-4)
    found = solve(robust, how, start=np.array([30.0]))
    assert found.is_converged
    price = np.array(found.multipliers.sum_values) / 10.0
    assert price == pytest.approx([0.0, 0.0, 0.5], rel=0.01)


def test_caps_and_bounds_keep_their_places_apart():
    shifted, problem = one_beamlet()
    problem = replace(problem, caps=(DoseCap("organ", ORGAN, 12.0),))
    robust = robust_problem(problem, shifted, worst_case=[])
    assert len(robust.caps) == len(robust.value_caps) == len(SHIFTS)
    for cap, bound in zip(robust.caps, robust.value_caps, strict=True):
        np.testing.assert_array_equal(cap.indices, bound.terms[0].indices)
        assert cap.name.removeprefix("organ") == bound.name.removeprefix("Organ Dmean, hard")
