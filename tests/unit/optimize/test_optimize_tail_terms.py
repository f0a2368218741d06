"""Tail means, gEUD, means and volumes: values that can be said in closed form, and refusals."""

import numpy as np
import pytest

from rerad.errors import InputError
from rerad.optimize import (
    Aim,
    CumulativeDose,
    CumulativeMean,
    Geud,
    MeanDose,
    TailMean,
    TailSide,
    VolumeAbove,
    VolumeBelow,
)
from rerad.optimize.tail_terms import tail_shares

POINTS = np.arange(4)
SHARES = np.array([1.0, 1.0, 1.0, 1.0])
DOSE = np.array([10.0, 40.0, 20.0, 30.0])
PLAIN = Aim(1.0, 1.0)
# 30 Gy in 10 fractions at alpha/beta 3 is 36 Gy EQD2
COURSE = CumulativeDose(np.array([24.0, 4.0, 14.0, 0.0]), 3.0, 10)


def value(term, dose=DOSE):
    return term.value_and_gradient(np.asarray(dose, dtype=float))[0]


@pytest.mark.parametrize(
    ("share", "side", "expected"),
    [
        (0.25, TailSide.HOTTEST, 40.0),
        (0.5, TailSide.HOTTEST, 35.0),
        (0.375, TailSide.HOTTEST, (40.0 + 0.5 * 30.0) / 1.5),
        (1.0, TailSide.HOTTEST, 25.0),
        (0.1, TailSide.HOTTEST, 40.0),
        (0.25, TailSide.COLDEST, -10.0),
        (0.5, TailSide.COLDEST, -15.0),
    ],
)
def test_tail_mean_takes_the_part_of_a_point_that_fits(share, side, expected):
    assert value(TailMean("t", POINTS, SHARES, share, PLAIN, side)) == pytest.approx(expected)


def test_tail_mean_is_the_least_of_its_definition():
    """The published form: the minimum over eta of eta plus the mean excess over the share."""
    rng = np.random.default_rng(5)
    shares, dose, part = rng.uniform(0.1, 1, 30), rng.uniform(0, 60, 30), 0.17
    term = TailMean("t", np.arange(30), shares, part, PLAIN)
    of_eta = [
        eta + np.sum(term.weights * np.maximum(dose - eta, 0)) / part
        for eta in np.concatenate([dose, np.linspace(0, 60, 500)])
    ]
    assert value(term, dose) == pytest.approx(min(of_eta), rel=1e-12)


@pytest.mark.parametrize("side", list(TailSide))
@pytest.mark.parametrize("skew", [0.0, 4.0])
def test_a_small_tail_of_many_points_is_that_of_a_full_sort(side, skew):
    """Slow twin: take points in order of dose, one by one, until the part is full."""
    rng = np.random.default_rng(7)
    dose = rng.uniform(0, 60, 2000)
    sign = -1.0 if side is TailSide.HOTTEST else 1.0
    shares = np.exp(skew * sign * dose / 60)  # skewed: points of the tail are the smallest
    shares /= shares.sum()
    for part in (1e-5, 0.01, 0.2, 1.0):
        left, expected = part, np.zeros(2000)
        for n in np.argsort(sign * dose):
            expected[n] = min(shares[n], left)
            left -= expected[n]
        assert tail_shares(dose, shares, part, side) == pytest.approx(expected, abs=1e-12)


def test_tail_mean_bounds_the_dose_at_its_volume():
    rng = np.random.default_rng(6)
    for part in (0.02, 0.1, 0.5):
        dose = rng.gamma(2.0, 10.0, 100)
        hot = TailMean("t", np.arange(100), np.ones(100), part, PLAIN)
        cold = TailMean("t", np.arange(100), np.ones(100), part, PLAIN, TailSide.COLDEST)
        ordered = np.sort(dose)
        assert value(hot, dose) >= ordered[100 - round(100 * part)]
        assert -value(cold, dose) <= ordered[round(100 * part) - 1]


def test_goal_counts_the_square_of_what_is_beyond():
    hot = TailMean("t", POINTS, SHARES, 0.5, Aim(3.0, 50.0, 30.0))
    assert value(hot) == pytest.approx(3.0 * (5.0 / 50.0) ** 2)
    assert value(TailMean("t", POINTS, SHARES, 0.5, Aim(3.0, 50.0, 35.0))) == 0.0
    cold = TailMean("t", POINTS, SHARES, 0.5, Aim(3.0, 50.0, 20.0), TailSide.COLDEST)
    assert value(cold) == pytest.approx(3.0 * (5.0 / 50.0) ** 2)
    assert value(cold, np.full(4, 20.0)) == 0.0


def test_cumulative_tail_of_a_known_course():
    term = TailMean("t", POINTS, SHARES, 0.25, PLAIN, cumulative=COURSE)
    assert value(term, np.full(4, 30.0)) == pytest.approx(60.0)
    _, slope = term.value_and_gradient(np.full(4, 30.0))
    assert slope == pytest.approx([9.0 / 5.0, 0, 0, 0])  # dE/dD = (2 * 3 + 3) / 5


def test_whole_tail_and_exponent_one_are_the_cumulative_mean():
    mean = CumulativeMean("m", POINTS, SHARES, COURSE.prior_eqd2_gy, 3.0, 10, 1.0, 1.0)
    for term in (
        TailMean("t", POINTS, SHARES, 1.0, PLAIN, cumulative=COURSE),
        Geud("g", POINTS, SHARES, 1.0, PLAIN, COURSE),
    ):
        expected, slope = mean.value_and_gradient(DOSE)
        got, got_slope = term.value_and_gradient(DOSE)
        assert got == pytest.approx(expected)
        assert got_slope == pytest.approx(slope)
        assert term.curvature() == pytest.approx(mean.curvature())


def test_geud_in_closed_form_and_at_its_ends():
    assert value(Geud("g", POINTS, SHARES, 2.0, PLAIN)) == pytest.approx(np.sqrt(750.0))
    assert value(Geud("g", POINTS, SHARES, 400.0, PLAIN)) == pytest.approx(40.0, rel=0.004)
    uniform = Geud("g", POINTS, SHARES, 7.0, Aim(2.0, 50.0, 20.0))
    assert value(uniform, np.full(4, 30.0)) == pytest.approx(2.0 * (10 / 50) ** 2)


@pytest.mark.parametrize("exponent", [1.0, 12.0, 1e4])
def test_geud_overflows_nowhere(exponent):
    shares = np.array([0.0, 1.0, 1.0, 1.0])
    term = Geud("g", POINTS, shares, exponent, PLAIN)
    for dose in ([500.0, 300.0, 1e-9, 0.0], [0.0] * 4, [-3.0] * 4, [1e-300, 0.0, 0.0, 0.0]):
        got, slope = term.value_and_gradient(np.array(dose))
        assert np.isfinite(got)
        assert np.all(np.isfinite(slope))
        assert got <= 300.0 + 1e-9


def test_mean_dose():
    term = MeanDose("m", POINTS, [1.0, 0.0, 0.0, 3.0], PLAIN)
    assert value(term) == pytest.approx(25.0)
    assert term.value_and_gradient(DOSE)[1] == pytest.approx([0.25, 0, 0, 0.75])
    assert not term.curvature().any()


def test_volume_above_is_zero_exactly_where_the_goal_is_met():
    term = VolumeAbove("V25", POINTS, SHARES, 25.0, 0.5, 2.0)
    assert value(term) == 0.0  # half of the volume is above 25 Gy, and may be
    tighter = VolumeAbove("V25", POINTS, SHARES, 25.0, 0.25, 2.0)
    # the hottest quarter is free; the point at 30 Gy is 5 Gy too hot
    assert value(tighter) == pytest.approx(2.0 * 0.25 * (5.0 / 25.0) ** 2)
    half = VolumeAbove("V25", POINTS, SHARES, 25.0, 0.375, 2.0)
    assert value(half) == pytest.approx(2.0 * 0.125 * (5.0 / 25.0) ** 2)


def test_volume_below_is_the_d95_of_a_target():
    dose = np.full(100, 40.0)
    dose[:5] = 1.0
    term = VolumeBelow("D95%", np.arange(100), np.ones(100), 38.0, 0.05, 2.0)
    assert value(term, dose) == 0.0
    dose[5] = 19.0
    assert value(term, dose) == pytest.approx(2.0 * 0.01 * 0.5**2)


@pytest.mark.parametrize("seed", range(20))
def test_surrogate_met_means_goal_met(seed):
    rng = np.random.default_rng(seed)
    above = VolumeAbove("v", POINTS, rng.uniform(0.1, 1, 4), 20.0, 0.3, 1.0, COURSE)
    below = VolumeBelow("v", POINTS, rng.uniform(0.1, 1, 4), 20.0, 0.3, 1.0)
    for dose in rng.uniform(0, 40, (50, 4)):
        for term in (above, below):
            surrogate = term.convex_surrogate()
            assert surrogate.is_convex
            assert not term.is_convex
            if value(surrogate, dose) == 0:
                assert value(term, dose) == 0


def test_unconvex_means_a_chord_lies_below_it():
    """Two plans that meet the goal, and a mixture that does not: no convex function does that."""
    term = VolumeAbove("V20", np.arange(2), np.ones(2), 20.0, 0.5, 1.0)
    one, other = np.array([50.0, 0.0]), np.array([0.0, 50.0])
    assert value(term, one) == value(term, other) == 0.0
    assert value(term, 0.5 * (one + other)) > 0
    cold = VolumeBelow("D50%", np.arange(2), np.ones(2), 30.0, 0.5, 1.0)
    assert value(cold, one) == value(cold, other) == 0.0
    assert value(cold, 0.5 * (one + other)) > 0


def test_a_cold_tail_of_cumulative_dose_is_refused():
    with pytest.raises(InputError, match="PTV: wanting more cumulative EQD2 is not convex"):
        TailMean("PTV", POINTS, SHARES, 0.02, PLAIN, TailSide.COLDEST, COURSE)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: TailMean("t", POINTS, SHARES, 0.0, PLAIN), "share of the volume above 0"),
        (lambda: TailMean("t", POINTS, SHARES, 1.1, PLAIN), "share of the volume above 0"),
        (lambda: VolumeAbove("t", POINTS, SHARES, 20.0, 1.0, 1.0), "above 0 and below 1"),
        (lambda: VolumeBelow("t", POINTS, SHARES, 0.0, 0.1, 1.0), "dose in Gy above 0"),
        (lambda: Geud("t", POINTS, SHARES, 0.5, PLAIN), "exponent of 1 or more, got 0.5"),
        (lambda: Aim(0.0, 1.0), "importance above 0"),
        (lambda: Aim(1.0, np.nan), "scale in Gy above 0"),
        (lambda: Aim(1.0, 1.0, -1.0), "goal of 0 Gy or more"),
        (
            lambda: Geud("t", POINTS, SHARES, 2.0, PLAIN, CumulativeDose(np.nan, 3.0, 10)),
            "unknown is not zero",
        ),
        (lambda: MeanDose("t", POINTS, np.zeros(4), PLAIN), "has no volume"),
    ],
)
def test_arguments_out_of_range_are_refused(make, says):
    with pytest.raises(InputError, match=says):
        make()
