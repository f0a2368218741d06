"""What must hold of the linear-quadratic conversions whatever the numbers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rerad.core import Dose, Grid
from rerad.radiobiology import bed, eqd2, physical_from_eqd2, to_eqd2

doses = st.floats(0.0, 120.0)
fractions = st.integers(1, 60)
alpha_betas = st.floats(0.5, 20.0)


def single(gy):
    return Dose(np.full((1, 1, 1), gy), Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "1"))


@given(doses, doses, fractions, alpha_betas)
def test_eqd2_is_monotone_and_convex(a, b, n, alpha_beta):
    low, high = sorted((a, b))
    assert eqd2(low, n, alpha_beta) <= eqd2(high, n, alpha_beta)
    middle = eqd2(0.5 * (low + high), n, alpha_beta)
    mean = 0.5 * (eqd2(low, n, alpha_beta) + eqd2(high, n, alpha_beta))
    assert middle <= mean + 1e-9 * (1 + mean)


@given(doses, fractions, fractions, alpha_betas)
def test_equal_fractions_add(fraction_gy, n, m, alpha_beta):
    fraction_gy = fraction_gy / 10
    parts = eqd2(n * fraction_gy, n, alpha_beta) + eqd2(m * fraction_gy, m, alpha_beta)
    whole = eqd2((n + m) * fraction_gy, n + m, alpha_beta)
    np.testing.assert_allclose(parts, whole, rtol=1e-12, atol=1e-12)


@given(doses, fractions, alpha_betas)
def test_two_gray_fractions_are_their_own_eqd2(dose_gy, n, alpha_beta):
    np.testing.assert_allclose(eqd2(2.0 * n, n, alpha_beta), 2.0 * n, rtol=1e-12)
    ratio = (2.0 + alpha_beta) / alpha_beta
    np.testing.assert_allclose(
        bed(dose_gy, n, alpha_beta), ratio * eqd2(dose_gy, n, alpha_beta), rtol=1e-12
    )


@given(doses, fractions, alpha_betas)
def test_physical_dose_comes_back(dose_gy, n, alpha_beta):
    back = physical_from_eqd2(
        eqd2(dose_gy, n, alpha_beta), n_fractions=n, alpha_beta_gy=alpha_beta
    )
    np.testing.assert_allclose(back, dose_gy, rtol=1e-9, atol=1e-9)


@given(doses, doses, st.integers(1, 40), st.integers(0, 40), alpha_betas)
def test_delivered_dose_is_monotone_and_proportional_to_fractions(a, b, n, m, alpha_beta):
    low, high = sorted((a, b))

    def value(gy, delivered):
        converted = to_eqd2(
            single(gy),
            n_fractions_planned=n,
            n_fractions_delivered=delivered,
            alpha_beta_gy=alpha_beta,
        )
        return float(converted.values[0, 0, 0])

    assert value(low, m) <= value(high, m)
    np.testing.assert_allclose(value(high, m), value(high, n) * m / n, rtol=1e-5, atol=1e-6)
