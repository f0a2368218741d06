"""Published and independently computed numbers for BED, EQD2, recovery and limits."""

import numpy as np
import pytest

from rerad.core import Dose, Grid
from rerad.radiobiology import (
    MyelopathyRisk,
    SpineLevel,
    bed,
    eqd2,
    limits_for,
    nieder_score,
    physical_from_bed,
    physical_from_eqd2,
    recovery_scenarios,
    to_eqd2,
    tolerance_increase,
)


def one_voxel(gy: float) -> Dose:
    return Dose(np.full((1, 1, 1), gy), Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "1.2.3"))


@pytest.mark.parametrize(
    ("total", "n", "bed2", "e2", "e25", "e3", "bed10", "e10"),
    [
        (55, 25, 115.50, 57.75, 57.44, 57.20, 67.10, 55.92),
        (45, 25, 85.50, 42.75, 43.00, 43.20, 53.10, 44.25),
        (40, 22, 76.36, 38.18, 38.38, 38.55, 47.27, 39.39),
        (27, 15, 51.30, 25.65, 25.80, 25.92, 31.86, 26.55),
    ],
)
def test_motivating_case(total, n, bed2, e2, e25, e3, bed10, e10):
    got = [bed(total, n, 2.0), eqd2(total, n, 2.0), eqd2(total, n, 2.5), eqd2(total, n, 3.0)]
    got += [bed(total, n, 10.0), eqd2(total, n, 10.0)]
    # Half a unit of the last printed digit.
    np.testing.assert_allclose(got, [bed2, e2, e25, e3, bed10, e10], atol=0.00501, rtol=0)


@pytest.mark.parametrize(
    ("prior", "second", "expected"),
    [
        ((45, 25), (40, 22), (80.93, 76.66, 70.24, 59.56)),
        ((45, 25), (27, 15), (68.40, 64.12, 57.71, 47.02)),
        ((55, 25), (40, 22), (95.93, 90.16, 81.49, 67.06)),
        ((55, 25), (27, 15), (83.40, 77.62, 68.96, 54.52)),
    ],
)
def test_motivating_case_cumulative(prior, second, expected):
    got = [
        (1 - recovery) * eqd2(*prior, 2.0) + eqd2(*second, 2.0)
        for recovery in (0, 0.10, 0.25, 0.50)
    ]
    np.testing.assert_allclose(got, expected, atol=0.00501, rtol=0)


@pytest.mark.parametrize(
    ("prior_gy", "expected"),
    [(45, (31.06, 34.59, 39.53, 47.05)), (55, (17.21, 23.17, 30.99, 42.09))],
)
def test_remaining_tolerance_in_22_fractions_from_the_tables(prior_gy, expected):
    (limit,) = limits_for("SacralPlex_R", "umich", None)
    assert (limit.limit_gy, limit.alpha_beta_gy) == (70.0, 2.5)
    scenarios = recovery_scenarios("umich", "SacralPlex_R")
    fractions = sorted({scenario.fraction for scenario in scenarios})
    assert fractions == [0, 0.10, 0.25, 0.50]
    prior_eqd2 = eqd2(prior_gy, 25, limit.alpha_beta_gy)
    got = [
        physical_from_eqd2(
            limit.limit_gy - (1 - r) * prior_eqd2, n_fractions=22, alpha_beta_gy=2.5
        )
        for r in fractions
    ]
    np.testing.assert_allclose(got, expected, atol=0.00501, rtol=0)


def test_michigan_plexus_fails_by_six_tenths_at_a_quarter_recovery():
    total = 0.75 * eqd2(45, 25, 2.5) + eqd2(40, 22, 2.5)
    assert total == pytest.approx(70.6, abs=0.05)


@pytest.mark.parametrize(
    ("total", "n", "expected"),
    [(12.4, 1, 44.64), (17, 2, 44.62), (20.3, 3, 44.49), (23, 4, 44.56), (25.3, 5, 44.65)],
)
def test_hytec_single_course_doses(total, n, expected):
    """HyTEC Table 3, doi:10.1016/j.ijrobp.2019.09.038 (published as about 44.5)."""
    # 17 Gy in 2 is 44.625 exactly, printed 44.62.
    assert eqd2(total, n, 2.0) == pytest.approx(expected, abs=0.00501)


def test_nieder_2006_bed():
    """PMID 17084560: 50 Gy in 25 is 100 Gy2, and 75 Gy at alpha/beta 4."""
    assert bed(50, 25, 2.0) == pytest.approx(100.0)
    assert bed(50, 25, 4.0) == pytest.approx(75.0)


def test_doi_2021_second_course_allowance():
    """doi:10.1007/s00066-021-01772-7: 50 Gy tolerance, full first course, 18 months: 25 Gy."""
    tolerance = 50.0
    assert tolerance * (1 + tolerance_increase("doi-simple", 18)) - 50 == pytest.approx(25)
    assert 1 + tolerance_increase("doi-simple", 8) == pytest.approx(1.25)
    assert tolerance_increase("doi-simple", 3) == 0


@pytest.mark.parametrize(
    ("total", "n", "alpha_beta", "expected"),
    [(60, 30, 10, 72), (60, 30, 3, 100), (60, 25, 10, 74.4)],
)
def test_hall_chapter_22_bed(total, n, alpha_beta, expected):
    assert bed(total, n, alpha_beta) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("total", "n", "beds", "eqd2s"),
    [
        (60, 30, (120, 72, 100), (60, 60, 60)),
        (40, 10, (120, 56, 93.33), (60, 46.67, 56)),
        (30, 5, (120, 48, 90), (60, 40, 54)),
        (45, 25, (85.5, 53.1, 72), (42.75, 44.25, 43.2)),
        (50, 25, (100, 60, 83.33), (50, 50, 50)),
    ],
)
def test_teaching_sheet(total, n, beds, eqd2s):
    alpha_betas = (2.0, 10.0, 3.0)
    np.testing.assert_allclose([bed(total, n, a) for a in alpha_betas], beds, atol=0.00501)
    np.testing.assert_allclose([eqd2(total, n, a) for a in alpha_betas], eqd2s, atol=0.00501)


def test_dvhmetrics_example():
    """CRAN DVHmetrics: 50 Gy at 2.5 Gy a fraction."""
    alpha_betas = (2.0, 3.0, 4.0)
    got = [eqd2(50, 20, a) for a in alpha_betas]
    np.testing.assert_allclose(got, (56.25, 55.0, 54.167), atol=0.000501)
    got = [bed(50, 20, a) for a in alpha_betas]
    np.testing.assert_allclose(got, (112.5, 91.667, 81.25), atol=0.000501)


def test_nieder_score_worked():
    first = nieder_score([(45, 25), (40, 22)], interval_months=12, level=SpineLevel.THORACIC)
    assert first.cumulative_bed_gy == pytest.approx(161.9, abs=0.05)
    assert (first.points, first.risk) == (5, MyelopathyRisk.INTERMEDIATE)
    second = nieder_score([(55, 25), (40, 22)], interval_months=12, level=SpineLevel.THORACIC)
    assert second.cumulative_bed_gy == pytest.approx(191.9, abs=0.05)
    assert (second.points, second.risk) == (12.5, MyelopathyRisk.HIGH)


def test_partial_delivery_scales_fractions_not_dose_per_fraction():
    planned = one_voxel(40.0)
    stopped = to_eqd2(planned, n_fractions_planned=22, n_fractions_delivered=15, alpha_beta_gy=2.0)
    assert float(stopped.values[0, 0, 0]) == pytest.approx(38.1818 * 15 / 22, abs=1e-3)
    # 15 fractions keep 40/22 Gy each.
    assert float(stopped.values[0, 0, 0]) == pytest.approx(eqd2(15 * 40 / 22, 15, 2.0), abs=1e-4)
    scaled_dose = to_eqd2(one_voxel(40.0 * 15 / 22), n_fractions_planned=22, alpha_beta_gy=2.0)
    assert float(scaled_dose.values[0, 0, 0]) < float(stopped.values[0, 0, 0]) - 3.0


@pytest.mark.parametrize(
    ("n", "fraction_gy", "total_gy"),
    [(7, 1.857, 13.0), (5, 2.472, 12.36), (4, 2.971, 11.88), (1, 8.38, 8.38)],
)
def test_deficit_after_the_early_stop(n, fraction_gy, total_gy):
    """15.41 Gy10 are missing after 15 of 22 fractions; what would make them up."""
    deficit = bed(40, 22, 10.0) - bed(27, 15, 10.0)
    assert deficit == pytest.approx(15.41, abs=0.00501)
    total = physical_from_bed(deficit, n_fractions=n, alpha_beta_gy=10.0)
    assert total / n == pytest.approx(fraction_gy, abs=0.00501 if n == 1 else 0.000501)
    assert total == pytest.approx(total_gy, abs=0.00501)
