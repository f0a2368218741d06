"""Interruptions: calendar, time factor, options; numbers by hand."""

import pytest

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import (
    Interruption,
    bed,
    load_time_factors,
    solve_gap,
    time_factor_for,
    treatment_days,
)


@pytest.mark.parametrize(
    ("n", "weekday", "days"),
    # Calendar by hand: 35 fractions from a Monday end on the Friday of week 7.
    [(35, 0, 46), (5, 0, 4), (6, 0, 7), (2, 4, 3), (1, 3, 0), (25, 2, 34)],
)
def test_days_of_treatment(n, weekday, days):
    assert treatment_days(n, weekday) == days


def test_a_week_lost_in_the_head_and_neck_by_hand():
    """70 Gy in 35, a week lost after 20: K 0.9 Gy/day after 28 days, alpha/beta 10 Gy."""
    factor = time_factor_for("head and neck")
    assert (factor.loss_gy_per_day, factor.delay_days) == (0.9, 28)
    result = solve_gap(
        Interruption(70, 35, 20, gap_days=7),
        tumor_alpha_beta_gy=10,
        factor=factor,
        late_alpha_betas_gy=(3.0,),
    )
    assert result.bed_prescribed_gy == pytest.approx(84 - 0.9 * (46 - 28))
    assert result.bed_lost_to_gap_gy == pytest.approx(6.3)
    stop, late, solved = result.options
    assert late.overall_days == 53
    assert late.tumor_bed_deficit_gy == pytest.approx(6.3)
    # 15 fractions must make 84 - 48 + 6.3 = 42.3 Gy10: d^2 + 10 d - 28.2 = 0.
    assert solved.fraction_gy == pytest.approx(-5 + (25 + 28.2) ** 0.5)
    assert solved.tumor_bed_deficit_gy == pytest.approx(0, abs=1e-9)
    given = bed(40, 20, 3)
    assert solved.late_bed_gy[0][1] == pytest.approx(given + bed(solved.total_gy, 15, 3))
    assert stop.tumor_bed_deficit_gy == pytest.approx(84 - 16.2 - 48)


def test_making_it_up_in_few_fractions_warns_of_late_tissue():
    result = solve_gap(
        Interruption(70, 35, 20, gap_days=7),
        tumor_alpha_beta_gy=10,
        factor=time_factor_for("larynx"),
        late_alpha_betas_gy=(3.0,),
        n_fractions_choices=(8,),
    )
    codes = {(f.code, f.where) for f in result.findings}
    # By hand: 15 of 2.262 Gy make 126.2 Gy3 of 116.7 (+8.2 %); 8 of 3.246 Gy, sooner, 120.7.
    assert {where for code, where in codes if code == "late-bed-excess"} == {"made up in 15"}
    assert "no-time-factor" not in {code for code, _ in codes}


def test_the_days_are_bed_and_not_physical_dose():
    """A public guide adds K times days as physical Gy; 6.3 Gy10 are fewer physical Gy."""
    factor = time_factor_for("head and neck")
    solved = solve_gap(
        Interruption(70, 35, 20, gap_days=7), tumor_alpha_beta_gy=10, factor=factor
    ).options[-1]
    assert solved.total_gy - 30.0 < 6.3 - 1.0


def test_the_cervix_has_no_time_factor_here():
    """Its delay is known from memory only; nothing shipped may rest on that."""
    assert not any("cervix" in item.tumor for item in load_time_factors())
    for words in ("cervix", "", "carcinoma"):
        with pytest.raises(MissingDataError, match="sourced time factor"):
            time_factor_for(words)


def test_bad_interruptions_are_refused():
    for bad in [(0, 5, 1, 0), (10, 5, 5, 0), (10, 5, 0, 0), (10, 5, 1, -1)]:
        with pytest.raises(InputError, match="at least one fraction given"):
            Interruption(*bad)
    with pytest.raises(InputError, match="stated for alpha/beta 10"):
        solve_gap(
            Interruption(70, 35, 20, 7),
            tumor_alpha_beta_gy=3,
            factor=time_factor_for("larynx"),
        )
