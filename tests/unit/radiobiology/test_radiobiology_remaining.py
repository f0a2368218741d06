"""What limits leave: each with its own kind of sum, a table where the interval is unknown."""

import math

import pytest

from rerad.core import RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import (
    SpineLevel,
    assumptions_for,
    break_even_interval,
    convert_course,
    eqd2,
    eqd2_interval,
    limits_for,
    remaining_after,
    remaining_tolerance,
)


def test_unknown_interval_keeps_every_class_and_known_one_keeps_one():
    assert len(assumptions_for("SacralPlex_R", "umich", "umich", None)) == 5
    (only,) = assumptions_for("SacralPlex_R", "umich", "umich", 13)
    assert only.recovery_fraction == 0.5


def test_raw_limits_never_meet_a_recovery_factor():
    found = assumptions_for("SacralPlex_R", "slevin2021", "umich", 24)
    assert {item.limit.limit_gy for item in found} == {67, 85}
    assert all(item.recovery_fraction == 0 for item in found)
    assert all(item.limit.recovery_basis is RecoveryBasis.RAW for item in found)


def test_cord_limits_need_a_level_and_are_none_below_the_conus():
    assert assumptions_for("ThecalSac", "hytec2021", "none", 12) == ()
    below = SpineLevel.BELOW_CONUS
    assert assumptions_for("ThecalSac", "hytec2021", "none", 12, level=below) == ()
    above = assumptions_for("ThecalSac", "hytec2021", "none", 12, level=SpineLevel.THORACIC)
    assert above[0].limit.limit_gy == 70


def test_doi_2021_full_first_course_leaves_nothing_without_recovery():
    """doi:10.1007/s00066-021-01772-7: 50 Gy tolerance, 50 Gy given."""
    (item, *_) = assumptions_for("SpinalCord", "umich", "none", 1, level=SpineLevel.THORACIC)
    left = remaining_tolerance(item, 50.0, n_fractions=10)
    assert item.limit.limit_gy == 50
    assert left.remaining_eqd2_gy == 0
    assert left.remaining_physical_gy == 0


def test_excess_is_told_and_unknown_stays_unknown():
    (item,) = assumptions_for("SacralPlex_R", "umich", "none", 1)
    over = remaining_tolerance(item, 75.0, n_fractions=5)
    assert (over.remaining_eqd2_gy, over.excess_eqd2_gy) == (0, 5)
    unknown = remaining_tolerance(item, math.nan, n_fractions=5)
    assert math.isnan(unknown.remaining_eqd2_gy)
    assert math.isnan(unknown.remaining_physical_gy)


def test_break_even_of_the_published_case():
    (limit,) = limits_for("SacralPlex_R", "umich", None)
    today = eqd2(40, 22, 2.5)
    for prior in (eqd2(45, 25, 2.5), eqd2(55, 25, 2.5)):
        months = break_even_interval(
            limit, "umich", "SacralPlex_R", prior_eqd2_gy=prior, today_eqd2_gy=today
        )
        assert months == 12
    raw = limits_for("SacralPlex_R", "slevin2021", 24)[0]
    with pytest.raises(InputError, match="raw sum"):
        break_even_interval(raw, "umich", "LSP", prior_eqd2_gy=40, today_eqd2_gy=30)


def test_no_limit_is_no_permission():
    with pytest.raises(MissingDataError, match="no permission"):
        remaining_after("Spleen", [(45, 25)], (), n_fractions=20)


@pytest.mark.parametrize("bad", [(0, 5, [2.0]), (10, 0, [2.0]), (10, 5, [])])
def test_bad_conversions_are_refused(bad):
    with pytest.raises(InputError, match="expected a dose above 0 Gy"):
        convert_course(*bad)


def test_small_fractions_are_noted_and_not_refused():
    course = convert_course(10, 25, [2.0])
    assert [f.severity for f in course.findings] == ["note"]


def test_an_interval_of_alpha_beta_gives_an_interval_of_eqd2():
    """Cord 0.87 to 3.7 Gy: every value between lies between the ends, above and below 2 Gy."""
    for dose, n in ((30.0, 5), (45.0, 30)):
        low, high = eqd2_interval(dose, n, 0.87, 3.7)
        between = [eqd2(dose, n, ab) for ab in (0.87, 1.5, 2.0, 3.0, 3.7)]
        assert low == pytest.approx(min(between))
        assert high == pytest.approx(max(between))
    with pytest.raises(InputError, match="lower one first"):
        eqd2_interval(30.0, 5, 3.0, 2.0)
