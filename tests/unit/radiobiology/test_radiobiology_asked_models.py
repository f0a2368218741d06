"""Each model names formula, source and range, and refuses outside it."""

import math

import numpy as np
import pytest

from rerad.errors import InputError
from rerad.radiobiology import (
    bed,
    linear_beyond,
    load_lkb_parameters,
    load_tcp_parameters,
    organ_ntcp,
    several_a_day,
    time_factor_for,
    tumor_control,
    with_time,
)


def rectum():
    return next(row for row in load_lkb_parameters() if row.organ == "rectum")


def asked():
    """One answer of each model."""
    return [
        linear_beyond(30, 3, 3.0, transition_gy=6.0),
        several_a_day(69.6, 58, 3.0, fractions_per_day=2, interval_h=6.0, half_time_h=4.4),
        with_time(70, 35, time_factor_for("larynx"), elapsed_days=46),
        organ_ntcp([60.0, 70.0], [1.0, 1.0], rectum(), alpha_beta_gy=3.0),
        tumor_control(12.0, 1, load_tcp_parameters()[0]),
    ]


def test_every_answer_says_formula_source_and_range():
    for answer in asked():
        assert answer.formula
        assert answer.validity
        assert any(f"[{tag}:" in answer.source for tag in ("R", "R2", "M", "C"))
        assert answer.unit == "Gy BED" or 0 <= answer.value <= 1


def test_numbers_by_hand():
    lql, twice, time, ntcp, tcp = (answer.value for answer in asked())
    # 3 (6 (1 + 6/3) + (1 + 12/3) 4) = 3 (18 + 20)
    assert lql == pytest.approx(114.0)
    h = 2 ** (-6 / 4.4)
    assert twice == pytest.approx(69.6 * (1 + (1 + h) * 1.2 / 3.0))
    # 84 Gy10 less 0.8 Gy for each of 25 days.
    assert time == pytest.approx(84 - 0.8 * 25)
    mean_power = (0.5 * (60 ** (1 / 0.09) + 70 ** (1 / 0.09))) ** 0.09
    z = (mean_power - 76.9) / (0.13 * 76.9)
    assert ntcp == pytest.approx(0.5 * (1 + math.erf(z / math.sqrt(2))))
    assert 100 * tcp == pytest.approx(91.2, abs=0.0501)  # HyTEC (Soltys), 12 Gy once


def test_linear_quadratic_linear_is_refused_outside_and_warned_of():
    (finding,) = linear_beyond(30, 3, 3.0, transition_gy=6.0).findings
    assert "should not be used for clinical purposes" in finding.text
    with pytest.raises(InputError, match="transition of 1 to 6 Gy"):
        linear_beyond(60, 3, 5.0, transition_gy=10.0)
    with pytest.raises(InputError, match="the plain model holds"):
        linear_beyond(30, 10, 3.0, transition_gy=6.0)
    # Continuous where it begins.
    near = linear_beyond(3 * 6.000001, 3, 3.0, transition_gy=6.0).value
    assert near == pytest.approx(bed(18, 3, 3.0), abs=1e-4)


def test_repair_must_be_complete_over_night():
    """Brain necrosis: 38 h (Bender 2012); over night two thirds would be left."""
    with pytest.raises(InputError, match="left after 18 h with a half-time of 38 h"):
        several_a_day(60, 50, 2.0, fractions_per_day=2, interval_h=6, half_time_h=38)
    with pytest.raises(InputError, match="leaves no longer night"):
        several_a_day(60, 60, 2.0, fractions_per_day=3, interval_h=9, half_time_h=1)
    with pytest.raises(InputError, match="2 fractions a day or more"):
        several_a_day(60, 60, 2.0, fractions_per_day=1, interval_h=9, half_time_h=1)
    with pytest.raises(InputError, match="1 to 6 Gy per fraction"):
        several_a_day(30, 3, 2.0, fractions_per_day=2, interval_h=6, half_time_h=1)


def test_complications_are_for_one_course_at_their_own_alpha_beta():
    dose, volume = np.array([60.0]), np.array([1.0])
    with pytest.raises(InputError, match="expected EQD2 at alpha/beta 3 Gy"):
        organ_ntcp(dose, volume, rectum(), alpha_beta_gy=10.0)
    with pytest.raises(InputError, match="expected the dose of one course, got 2"):
        organ_ntcp(dose, volume, rectum(), alpha_beta_gy=3.0, n_courses=2)


def test_control_is_refused_for_schedules_it_was_not_fitted_to():
    with pytest.raises(InputError, match="expected 1 to 5 fractions"):
        tumor_control(40.0, 22, load_tcp_parameters()[0])


def test_a_course_of_nothing_is_refused():
    for dose_gy, n_fractions in ((0.0, 3), (30.0, 0), (math.nan, 3)):
        with pytest.raises(InputError, match="1 fraction or more"):
            linear_beyond(dose_gy, n_fractions, 3.0, transition_gy=6.0)
        with pytest.raises(InputError, match="1 fraction or more"):
            with_time(dose_gy, n_fractions, time_factor_for("larynx"), elapsed_days=3)
        with pytest.raises(InputError, match="1 fraction or more"):
            several_a_day(
                dose_gy, n_fractions, 3.0, fractions_per_day=2, interval_h=6, half_time_h=3
            )
