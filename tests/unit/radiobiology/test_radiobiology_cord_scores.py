import pytest

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import MyelopathyRisk, SpineLevel, hytec_factors, nieder_score


def test_cord_rules_are_refused_below_the_conus():
    with pytest.raises(InputError, match="below the conus"):
        nieder_score([(45, 25), (40, 22)], interval_months=12, level=SpineLevel.BELOW_CONUS)
    with pytest.raises(InputError, match="below the conus"):
        hytec_factors(
            cumulative_eqd2_gy=60,
            sbrt_eqd2_gy=20,
            interval_months=12,
            level=SpineLevel.BELOW_CONUS,
        )


@pytest.mark.parametrize(
    ("second_gy", "months", "points", "risk"),
    [
        # 30/15 is 60 Gy2; with 30/15 the sum is exactly 120 Gy2: no points.
        (30, 12, 0.0, MyelopathyRisk.LOW),
        (30, 5.9, 4.5, MyelopathyRisk.INTERMEDIATE),
    ],
)
def test_nieder_edges(second_gy, months, points, risk):
    score = nieder_score(
        [(30, 15), (second_gy, 15)], interval_months=months, level=SpineLevel.CERVICAL
    )
    assert (score.points, score.risk) == (points, risk)


def test_nieder_uses_alpha_beta_four_in_the_lumbar_cord():
    score = nieder_score(
        [(50, 25), (50, 25)], interval_months=12, level=SpineLevel.LUMBAR_ABOVE_CONUS_END
    )
    assert score.alpha_beta_gy == 4.0
    assert score.cumulative_bed_gy == pytest.approx(150.0)
    assert score.points == 3


def test_nieder_points_are_capped():
    score = nieder_score([(50, 25)] * 3, interval_months=24, level=SpineLevel.THORACIC)
    assert score.points == 9.0  # 300 Gy2, no single course of 102 Gy2


def test_nieder_needs_courses_and_interval():
    with pytest.raises(MissingDataError, match="six months"):
        nieder_score([(45, 25), (40, 22)], interval_months=None, level=SpineLevel.THORACIC)
    with pytest.raises(InputError, match="two courses"):
        nieder_score([(45, 25)], interval_months=12, level=SpineLevel.THORACIC)


def test_hytec_factors():
    good = hytec_factors(
        cumulative_eqd2_gy=65, sbrt_eqd2_gy=20, interval_months=6, level=SpineLevel.THORACIC
    )
    assert [factor.holds for factor in good] == [True, True, True, True]
    bad = hytec_factors(
        cumulative_eqd2_gy=71, sbrt_eqd2_gy=40, interval_months=None, level=SpineLevel.THORACIC
    )
    assert [factor.holds for factor in bad] == [False, False, False, None]
    assert [factor.asked for factor in bad] == [70.0, 25.0, 0.5, 5.0]
