"""Objectives: values that can be said in closed form, and refusals that name the cause."""

import numpy as np
import pytest

from rerad.errors import InputError
from rerad.optimize import (
    CumulativeMean,
    CumulativeOverdose,
    Overdose,
    Underdose,
    falloff_threshold,
)

POINTS = np.array([4, 7, 9])
SHARES = np.array([1.0, 1.0, 2.0])


def test_underdose_is_importance_without_dose_and_zero_with_enough():
    term = Underdose("PTV", POINTS, SHARES, 40.0, 7.0)
    assert term.value_and_gradient(np.zeros(3))[0] == pytest.approx(7.0)
    value, slope = term.value_and_gradient(np.full(3, 40.5))
    assert value == 0.0
    assert not slope.any()
    # half of the dose on half of the volume: 7 * 0.5 * 0.5**2
    assert term.value_and_gradient(np.array([40.0, 40.0, 20.0]))[0] == pytest.approx(0.875)


def test_overdose_counts_relative_to_its_scale():
    term = Overdose("ring", POINTS, SHARES, np.array([10.0, 20.0, 30.0]), 3.0)
    value, slope = term.value_and_gradient(np.array([40.0, 0.0, 30.0]))
    assert value == pytest.approx(3.0 * 0.25 * (30.0 / 30.0) ** 2)
    assert slope == pytest.approx([2 * 3.0 * 0.25 * 30.0 / 30.0**2, 0.0, 0.0])
    given = Overdose("ring", POINTS, SHARES, 0.0, 3.0, scale_gy=20.0)
    assert given.value_and_gradient(np.full(3, 20.0))[0] == pytest.approx(3.0)


def test_importance_means_the_same_for_any_sampling_of_a_volume():
    few = Overdose("a", POINTS, SHARES, 20.0, 3.0)
    many = Overdose("b", np.arange(30), np.repeat(SHARES, 10), 20.0, 3.0)
    dose = np.array([25.0, 21.0, 37.0])
    assert many.value_and_gradient(np.repeat(dose, 10))[0] == pytest.approx(
        few.value_and_gradient(dose)[0]
    )


def test_cumulative_overdose_of_a_known_course():
    # 30 Gy in 10 fractions at alpha/beta 3 is 36 Gy EQD2; with 24 Gy before it is 60 Gy
    term = CumulativeOverdose("cord", POINTS, SHARES, 24.0, 3.0, 10, 50.0, 4.0)
    value, slope = term.value_and_gradient(np.full(3, 30.0))
    assert value == pytest.approx(4.0 * (10.0 / 50.0) ** 2)
    # dE/dD = (2 * 3 + 3) / 5
    assert slope.sum() == pytest.approx(2 * 4.0 * 10.0 / 50.0**2 * 9.0 / 5.0)


def test_cumulative_mean_of_a_known_course():
    term = CumulativeMean("bowel", POINTS, SHARES, np.array([24.0, 4.0, 14.0]), 3.0, 10, 25.0, 2.0)
    value, _ = term.value_and_gradient(np.full(3, 30.0))
    assert value == pytest.approx(2.0 * (36.0 + 14.0) / 25.0)


def test_a_point_over_the_limit_before_still_pushes_down():
    term = CumulativeOverdose("plexus", POINTS, SHARES, 80.0, 2.0, 22, 70.0, 1.0)
    value, slope = term.value_and_gradient(np.zeros(3))
    assert value == pytest.approx((10.0 / 70.0) ** 2)
    assert np.all(slope > 0)


def test_unknown_prior_dose_is_refused():
    prior = np.array([1.0, np.nan, 3.0])
    with pytest.raises(InputError, match=r"cord: prior EQD2 in Gy is unknown \(NaN\) at 1 of 3"):
        CumulativeOverdose("cord", POINTS, SHARES, prior, 2.0, 22, 50.0, 1.0)
    with pytest.raises(InputError, match="unknown is not zero"):
        CumulativeMean("cord", POINTS, SHARES, prior, 2.0, 22, 50.0, 1.0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"indices": np.array([], dtype=int)}, "at least one point index"),
        ({"indices": np.array([0.0, 1.0, 2.0])}, "at least one point index"),
        ({"indices": np.array([-1, 1, 2])}, "indices of 0 or more"),
        ({"weights": np.array([1.0, -1.0, 1.0])}, "shares of 0 or more"),
        ({"weights": np.zeros(3)}, "has no volume"),
        ({"weights": np.ones(2)}, "expected 3 finite volume shares"),
        ({"dose_gy": 0.0}, "dose in Gy above 0"),
        ({"importance": float("nan")}, "importance above 0"),
    ],
)
def test_arguments_out_of_range_are_refused_by_name(change, says):
    arguments = {"indices": POINTS, "weights": SHARES, "dose_gy": 40.0, "importance": 1.0}
    with pytest.raises(InputError, match=says) as caught:
        Underdose("PTV", **(arguments | change))
    assert "PTV" in str(caught.value)


def test_alpha_beta_of_zero_is_refused():
    with pytest.raises(InputError, match="alpha/beta above 0 Gy"):
        CumulativeMean("x", POINTS, SHARES, 0.0, np.array([3.0, 0.0, 3.0]), 10, 25.0, 2.0)


def test_falloff_has_its_end_points_and_half_way():
    shape = {"start_share": 1.0, "end_share": 0.4, "decay_per_mm": 0.1, "start_mm": 3.0}
    got = falloff_threshold([0.0, 3.0, 3.0 + np.log(2) / 0.1, 1e4], 50.0, **shape)
    assert got == pytest.approx([50.0, 50.0, 35.0, 20.0])
    with pytest.raises(InputError, match="end_share <= start_share"):
        falloff_threshold(1.0, 50.0, start_share=0.4, end_share=1.0, decay_per_mm=0.1)
