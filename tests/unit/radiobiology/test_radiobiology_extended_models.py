import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerad.errors import InputError
from rerad.radiobiology import (
    bed,
    bed_linear_quadratic_linear,
    bed_with_incomplete_repair,
    bed_with_repopulation,
    incomplete_repair_factor,
    load_time_factors,
)

HEAD_AND_NECK = load_time_factors()[0]


def test_repopulation_starts_after_the_delay():
    """70 Gy in 35: 84 Gy10, less 0.9 Gy for each day after day 28."""
    assert HEAD_AND_NECK.source.trust == "R2"
    assert bed_with_repopulation(70, 35, HEAD_AND_NECK, elapsed_days=28) == pytest.approx(84.0)
    assert bed_with_repopulation(70, 35, HEAD_AND_NECK, elapsed_days=46) == pytest.approx(67.8)
    # Days are not Gy of physical dose: one day lost is 0.9 Gy of BED, 0.75 Gy at 2 Gy a fraction.
    lost = bed_with_repopulation(70, 35, HEAD_AND_NECK, elapsed_days=47)
    assert 67.8 - lost == pytest.approx(0.9)
    assert bed_with_repopulation(2, 1, HEAD_AND_NECK, elapsed_days=400) == 0.0


@given(st.floats(0.1, 48), st.floats(0.1, 12))
def test_two_fractions_a_day_leave_theta(interval_h, half_time_h):
    factor = incomplete_repair_factor(
        fractions_per_day=2, interval_h=interval_h, half_time_h=half_time_h
    )
    np.testing.assert_allclose(factor, 2 ** (-interval_h / half_time_h), rtol=1e-12)


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_incomplete_repair_between_its_ends(m):
    """No repair: m fractions act as one. Full repair: the plain model. Between: Thames' form."""
    d, n, alpha_beta = 1.2, 10 * m, 3.0
    none = incomplete_repair_factor(fractions_per_day=m, interval_h=1e-9, half_time_h=5.0)
    as_one = bed(n * d, n // m, alpha_beta)
    got = bed_with_incomplete_repair(n * d, n, alpha_beta, repair_factor=none)
    assert got == pytest.approx(as_one)
    full = incomplete_repair_factor(fractions_per_day=m, interval_h=1e4, half_time_h=5.0)
    got = bed_with_incomplete_repair(n * d, n, alpha_beta, repair_factor=full)
    assert got == pytest.approx(bed(n * d, n, alpha_beta))
    theta = 2 ** (-6 / 4.0)
    closed = 2 / m * theta / (1 - theta) * (m - (1 - theta**m) / (1 - theta))
    some = incomplete_repair_factor(fractions_per_day=m, interval_h=6.0, half_time_h=4.0)
    assert some == pytest.approx(closed)


@given(st.floats(0.5, 30), st.integers(1, 8), st.floats(1, 12), st.floats(2, 20))
def test_linear_tail_is_the_tangent(fraction_gy, n, alpha_beta, transition):
    total = n * fraction_gy
    plain = bed(total, n, alpha_beta)
    got = bed_linear_quadratic_linear(total, n, alpha_beta, transition_gy=transition)
    if fraction_gy <= transition:
        np.testing.assert_allclose(got, plain, rtol=1e-14)  # the same, but for rounding
    else:
        # The parabola lies above its tangent by the square of the distance.
        gap = n * (fraction_gy - transition) ** 2 / alpha_beta
        np.testing.assert_allclose(plain - got, gap, rtol=1e-6, atol=1e-6)


def test_bad_numbers_are_refused():
    with pytest.raises(InputError, match="0 days or more"):
        bed_with_repopulation(70, 35, HEAD_AND_NECK, elapsed_days=-1)
    with pytest.raises(InputError, match="1 fraction a day"):
        incomplete_repair_factor(fractions_per_day=0, interval_h=6, half_time_h=4)
    with pytest.raises(InputError, match="repair factor"):
        bed_with_incomplete_repair(60, 30, 3.0, repair_factor=-0.1)
    with pytest.raises(InputError, match="transition dose"):
        bed_linear_quadratic_linear(24, 3, 3.0, transition_gy=0)
