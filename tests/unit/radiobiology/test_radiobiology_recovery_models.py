import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import (
    assumptions_for,
    break_even_interval,
    break_even_months,
    eqd2,
    exponential_recovery,
    limits_for,
    model_scenarios,
    power_recovery,
    recovery_needed,
)


def test_exponential_model():
    assert exponential_recovery("SpinalCord", 0) == 0
    assert exponential_recovery("SpinalCord", 24) == pytest.approx(0.40)
    assert exponential_recovery("SpinalCord", 1e4) == pytest.approx(0.80)


def test_power_model_meets_its_calibration():
    """Ang 1993 (rhesus): 44 of 76.1 Gy, two years later at least 66 of 76.1 Gy."""
    left = power_recovery("SpinalCord", 44 / 76.1, 24)
    assert left == pytest.approx(66 / 76.1, abs=5e-4)


@given(st.floats(0, 1), st.floats(0, 36), st.floats(0, 36))
def test_power_model_is_monotone(used, first, second):
    early, late = sorted((first, second))
    assert power_recovery("SpinalCord", 0.0, early) == 1.0
    assert power_recovery("SpinalCord", used, 2.0) == pytest.approx(1 - used)
    assert power_recovery("SpinalCord", used, early) <= power_recovery("SpinalCord", used, late)
    more = min(1.0, used + 0.1)
    assert power_recovery("SpinalCord", more, early) <= power_recovery("SpinalCord", used, early)


def test_models_refuse_what_they_were_not_made_for():
    with pytest.raises(MissingDataError, match="stated for spinal cord"):
        exponential_recovery("SacralPlex_R", 12)
    with pytest.raises(MissingDataError, match="ends at 3 years"):
        power_recovery("SpinalCord", 0.5, 40)
    with pytest.raises(InputError, match="used share"):
        power_recovery("SpinalCord", 1.5, 12)
    with pytest.raises(InputError, match="0 months or more"):
        exponential_recovery("SpinalCord", -1)


def test_break_even_of_the_published_case():
    """Michigan sacral plexus, 70 Gy at alpha/beta 2.5: both levels pass only from 12 months on."""
    today = eqd2(40, 22, 2.5)
    for prior_gy, expected in ((45, 0.265), (55, 0.4495)):
        needed = recovery_needed(
            earlier_eqd2_gy=eqd2(prior_gy, 25, 2.5), today_eqd2_gy=today, limit_gy=70
        )
        assert needed == pytest.approx(expected, abs=5e-4)
        assert break_even_months("umich", "SacralPlex_R", needed) == 12
        assert break_even_months("noel", "SacralPlex_R", needed) == (72 if prior_gy == 45 else 108)
        assert break_even_months("none", "SacralPlex_R", needed) is None


def test_recovery_needed_at_the_ends():
    assert recovery_needed(earlier_eqd2_gy=20, today_eqd2_gy=20, limit_gy=50) == 0
    assert recovery_needed(earlier_eqd2_gy=20, today_eqd2_gy=60, limit_gy=50) == pytest.approx(1.5)
    assert recovery_needed(earlier_eqd2_gy=0, today_eqd2_gy=60, limit_gy=50) == np.inf
    assert break_even_months("umich", "Bladder", 1.5) is None
    with pytest.raises(InputError, match="limit above 0"):
        recovery_needed(earlier_eqd2_gy=1, today_eqd2_gy=1, limit_gy=0)


def test_models_stand_in_the_place_of_a_table():
    """Cord, 45 Gy in 25 under 50 Gy at alpha/beta 2.5: 43 Gy, a share of 0.86, are used."""
    for name in ("exponential", "power"):
        found = assumptions_for("SpinalCord", "umich", name, 24, courses=[(45.0, 25)])
        left = [
            (item.limit.limit_gy, item.limit.limit_gy - (1 - item.recovery_fraction) * 43.0)
            for item in found
        ]
        for limit_gy, eqd2_left in left:
            used = 43.0 / limit_gy
            share = {
                "exponential": limit_gy - 0.6 * 43.0,
                "power": limit_gy * power_recovery("SpinalCord", used, 24),
            }[name]
            assert eqd2_left == pytest.approx(share)
    unknown = assumptions_for("SpinalCord", "umich", "power", None, courses=[(45.0, 25)])
    fractions = [item.recovery_fraction for item in unknown if item.limit.limit_gy == 50]
    assert len(fractions) == 5
    assert fractions[0] == pytest.approx(0.0)
    assert fractions == sorted(fractions)


def test_break_even_of_a_model_is_where_it_grants_just_enough():
    limit = limits_for("SpinalCord", "umich", None)[0]
    today = eqd2(20, 10, limit.alpha_beta_gy)
    for name in ("exponential", "power"):
        months = break_even_interval(
            limit, name, "SpinalCord", prior_eqd2_gy=43.0, today_eqd2_gy=today
        )
        (at, *_) = assumptions_for("SpinalCord", "umich", name, months, courses=[(45.0, 25)])
        total = (1 - at.recovery_fraction) * 43.0 + today
        assert total == pytest.approx(limit.limit_gy, abs=0.02)
    far = break_even_interval(
        limit, "exponential", "SpinalCord", prior_eqd2_gy=43, today_eqd2_gy=48
    )
    assert far is None


def test_models_say_nothing_of_other_organs_or_of_more_than_tolerance():
    with pytest.raises(MissingDataError, match="stated for spinal cord"):
        assumptions_for("SacralPlex_R", "umich", "exponential", 24, courses=[(45.0, 25)])
    with pytest.raises(MissingDataError, match="it grants nothing beyond"):
        assumptions_for("SpinalCord", "umich", "power", 24, courses=[(60.0, 25)])
    with pytest.raises(MissingDataError, match="choose one of exponential, power"):
        model_scenarios("woolley", "SpinalCord", 24, used_share=0.5)
