"""Further worked numbers of the published sources, each test naming its own.

Tables and fits here; BED, EQD2 and the published case are in test_radiobiology_published.
"""

import math

import numpy as np
import pytest

from rerad.core import RecoveryBasis
from rerad.outcome import opioid_table
from rerad.radiobiology import (
    bed,
    break_even_months,
    eqd2,
    exponential_recovery,
    limits_for,
    load_time_factors,
    log_logistic_probability,
    nieder_score,
    physical_from_bed,
    power_recovery,
    recovery_fraction,
    recovery_needed,
    tolerance_increase,
)
from rerad.radiobiology.cord_scores import SpineLevel
from rerad.tables import load_table

HALF_A_DIGIT = 0.00501


# --------------------------------------------------------------------- verdicts on the case


def raw_sum(prior, second):
    return eqd2(*prior, 2.0) + eqd2(*second, 2.0)


@pytest.mark.parametrize("prior", [(45, 25), (55, 25)])
@pytest.mark.parametrize("second", [(40, 22), (27, 15)])
def test_the_published_case_exceeds_slevin_without_recovery(prior, second):
    """Slevin 2021, D0.1cc 67 Gy at alpha/beta 2: planned and delivered, at both levels."""
    (limit,) = limits_for("SacralPlex_R", "slevin2021", 6)
    assert (limit.limit_gy, limit.alpha_beta_gy) == (67.0, 2.0)
    assert raw_sum(prior, second) > limit.limit_gy


def test_the_published_case_under_slevin_from_twelve_months():
    """85 Gy raw: the plan passes only where the nerve saw no more than 45 Gy in 25."""
    late = limits_for("SacralPlex_R", "slevin2021", 12)[1]
    assert late.limit_gy == 85.0
    assert raw_sum((45, 25), (40, 22)) <= late.limit_gy < raw_sum((55, 25), (40, 22))


@pytest.mark.parametrize(
    ("prior_gy", "passes"),
    [(45, {0: False, 0.10: False, 0.25: False, 0.50: True}),
     (55, {0: False, 0.10: False, 0.25: False, 0.50: True})],
)  # fmt: skip
def test_the_published_case_under_michigan(prior_gy, passes):
    """70 Gy at alpha/beta 2.5, earlier course discounted: only with half of it forgotten."""
    (limit,) = limits_for("SacralPlex_R", "umich", None)
    today = eqd2(40, 22, limit.alpha_beta_gy)
    prior = eqd2(prior_gy, 25, limit.alpha_beta_gy)
    found = {r: (1 - r) * prior + today <= limit.limit_gy for r in passes}
    assert found == passes
    needed = recovery_needed(earlier_eqd2_gy=prior, today_eqd2_gy=today, limit_gy=limit.limit_gy)
    assert break_even_months("umich", "SacralPlex_R", needed) == 12


# ----------------------------------------------------------------------------- recovery tables


@pytest.mark.parametrize(
    ("table", "organ", "by_month"),
    [
        ("umich", "SacralPlex_R", {1: 0, 4: 10, 8: 25, 24: 50, 40: 50}),
        ("umich", "Bowel_Small", {1: 0, 4: 0, 8: 25, 24: 40, 40: 50}),
        ("umich", "Stomach", {1: 0, 4: 0, 8: 25, 24: 40, 40: 50}),
        ("umich", "Duodenum", {1: 0, 4: 0, 8: 25, 24: 25, 40: 50}),
        ("umich", "Kidney_L", {1: 0, 4: 0, 8: 0, 24: 0, 40: 0}),
        ("umich", "Lung_R", {1: 0, 4: 0, 12: 25, 23: 25, 25: 50}),
        ("umich", "Liver", {1: 0, 4: 0, 12: 50, 23: 50, 25: 100}),
        ("abusaris", "Bladder", {1: 0, 5: 0, 8: 25, 24: 50, 40: 50}),
        (
            "nieder-interpolated",
            "SpinalCord",
            {3: 0, 4: 17, 5: 25, 6: 28, 7: 33, 8: 37, 9: 40, 10: 45, 11: 50, 60: 50},
        ),
        ("noel", "SpinalCord", {11: 0} | {12 * y: 5 * y for y in range(1, 11)} | {240: 50}),
        ("price", "SpinalCord", {5: 0, 13: 50}),
    ],
)
def test_recovery_tables_as_transcribed(table, organ, by_month):
    """Michigan, Abusaris, Nieder interpolated, Noel: transcriptions (R2); Price 2021 (R)."""
    got = {month: 100 * recovery_fraction(table, organ, month) for month in by_month}
    assert got == pytest.approx(by_month)


def test_the_cord_model_forgets_four_fifths_with_a_half_time_of_two_years():
    """Maximum-likelihood cord model (Cureus abstract 1406): 24 months, 20 % never."""
    assert exponential_recovery("SpinalCord", 1e5) == pytest.approx(0.80)
    for months in (6, 24, 48):
        left = 0.80 - exponential_recovery("SpinalCord", months)
        later = 0.80 - exponential_recovery("SpinalCord", months + 24)
        assert later == pytest.approx(left / 2)


def test_ang_1993_bounds_the_power_law():
    """44 Gy of an ED50 of 76.1 Gy, 66 Gy or more two years later: exponent at most 0.165."""
    used, left = 44 / 76.1, 66 / 76.1
    assert (used, left) == (pytest.approx(0.578, abs=5e-4), pytest.approx(0.867, abs=5e-4))
    exponent = math.log(left) / math.log(1 - used)
    assert exponent == pytest.approx(0.165, abs=5e-4)
    shipped = load_table("recovery")["power"]["r_at_calibration"]
    assert shipped == pytest.approx(1 / exponent - 1, abs=0.01)
    assert power_recovery("SpinalCord", used, 24) == pytest.approx(left, abs=5e-4)
    # Properties asked of any such law.
    assert power_recovery("SpinalCord", 0.0, 24) == 1.0
    assert power_recovery("SpinalCord", 0.4, 70 / 30.4375) == pytest.approx(0.6)


@pytest.mark.parametrize(("n", "points"), [(25, 0.0), (26, 4.5)])
def test_doi_2021_course_risk_is_the_nieder_course_limit(n, points):
    """Doi: one course of 51 Gy EQD2 or more; Nieder: 102 Gy2: one number at alpha/beta 2."""
    limit = load_table("tolerances")["nieder_score"]["high_course_bed_gy"]
    assert limit == 51.0 * (1 + 2 / 2.0)
    # 50 Gy is 100 Gy2, 52 Gy is 104 Gy2; 4 Gy more keep the sum at 120 Gy2 or below.
    courses = [(4.0, 2), (2.0 * n, n)]
    score = nieder_score(courses, interval_months=12, level=SpineLevel.THORACIC)
    assert score.cumulative_bed_gy <= 120
    assert score.points == points


def test_aapm_2013_raises_cord_tolerance_by_a_quarter_after_six_months():
    """Geraghty, AAPM 2013, SU-E-T-307: 50 Gy in 2 Gy fractions; times 1.25 after six months."""
    tolerance = bed(50, 25, 2.0)
    assert tolerance * (1 + tolerance_increase("doi-simple", 6)) == pytest.approx(125.0)


# --------------------------------------------------------------------------------- dose-response


def test_schultheiss_2008_cord():
    """D50 69.4, D5 59.3 Gy fix the curve; 45 Gy 0.03 %, 50 Gy 0.2 % are read off it."""
    k = math.log(19.0) / math.log(69.4 / 59.3)

    def percent(gy):
        return 100 * log_logistic_probability(gy, d50_gy=69.4, k=k)

    assert percent(45.0) == pytest.approx(0.03, abs=0.00501)
    assert percent(50.0) == pytest.approx(0.2, abs=0.0501)
    # QUANTEC (Kirkpatrick 2010), alpha/beta 0.87: 0.2, 6 and 50 % at 50, 60 and 69 Gy.
    assert percent(60.0) == pytest.approx(6, abs=0.501)
    assert percent(69.0) == pytest.approx(50, abs=3)


@pytest.mark.parametrize(
    ("group", "td5", "td50", "k", "gamma", "m"),
    [("female", 67, 84, 13.0, 3.26, 0.123), ("male", 55, 72, 10.9, 2.73, 0.144)],
)
def test_cauda_equina_fits(group, td5, td50, k, gamma, m):
    """PMID 15993548: TD5/5 and TD50/5; slope of the log-logistic curve and Lyman's m."""
    fitted = math.log(19.0) / math.log(td50 / td5)
    assert fitted == pytest.approx(k, abs=0.0501)
    assert fitted / 4 == pytest.approx(gamma, abs=HALF_A_DIGIT)
    assert (1 - td5 / td50) / 1.6449 == pytest.approx(m, abs=0.000501)
    row = next(r for r in load_table("response")["log_logistic"] if r["group"] == group)
    assert (row["d50_gy"], row["k"]) == (td50, k)


@pytest.mark.parametrize(("bed3", "expected"), [(104, 62.4), (98, 58.8), (113, 67.8)])
def test_abusaris_2012_medians(bed3, expected):
    """doi:10.7785/tcrt.2012.500261: median cumulative maxima of rectum, bowel, bladder."""
    assert bed3 * 3.0 / (3.0 + 2.0) == pytest.approx(expected, abs=0.0501)
    n = 20
    total = physical_from_bed(bed3, n_fractions=n, alpha_beta_gy=3.0)
    assert eqd2(total, n, 3.0) == pytest.approx(expected, abs=0.0501)


@pytest.mark.parametrize(
    ("structure", "printed", "without"),
    [
        ("SpinalCord", 56.25, 45),
        ("Esophagus", 90.6, 72.5),
        ("Bronchus", 90.6, 72.5),
        ("BrachialPlex_R", 85, 68),
        ("GreatVes", 123, 98.4),
        ("Skin", 105, 84),
        ("Heart", 85, 68),
    ],
)
def test_rulach_2021_table_4_prints_paradis_with_a_quarter(structure, printed, without):
    """PMC8022147, Table 4 and footnote: 6 to 12 months, 25 % contained, so a raw sum."""
    (limit,) = limits_for(structure, "paradis2019", 8)
    assert limit.limit_gy == printed
    assert limit.recovery_basis is RecoveryBasis.RAW
    assert limit.limit_gy / 1.25 == pytest.approx(without, abs=0.0501)
    assert limits_for(structure, "paradis2019", 13) == ()
    # The list of today is another: versions are rule sets of their own.
    assert {item.limit_gy for item in limits_for(structure, "umich", 8)} != {without}


# ------------------------------------------------------------------------ time, inverse, opioids


def test_time_factors_as_published():
    """RadResume presets after RCR; Withers 1995; Roberts 1994."""
    found = {f.tumor: (f.loss_gy_per_day, f.delay_days) for f in load_time_factors()}
    assert found == {
        "squamous cell carcinoma of head and neck": (0.9, 28),
        "carcinoma of the tonsil": (0.73, 30),
        "carcinoma of the larynx": (0.8, 21),
    }


@pytest.mark.parametrize(
    ("wanted", "alpha_beta", "fraction", "total"),
    [
        (100, 3, 2.00, 60.00),
        (120, 3, 2.27, 68.25),
        (140, 3, 2.53, 75.93),
        (80, 2, 1.52, 45.50),
        (80, 3, 1.70, 51.05),
        (80, 10, 2.19, 65.64),
    ],
)
def test_teaching_sheet_from_bed_back_to_dose(wanted, alpha_beta, fraction, total):
    """Public teaching sheet (spreadsheet "BED, EQD2"): dose in 30 fractions for a wanted BED."""
    got = physical_from_bed(wanted, n_fractions=30, alpha_beta_gy=alpha_beta)
    assert got == pytest.approx(total, abs=HALF_A_DIGIT)
    assert got / 30 == pytest.approx(fraction, abs=HALF_A_DIGIT)


def test_teaching_sheet_single_fraction():
    """The same sheet: 8 Gy once is 14.40 Gy10 and 29.33 Gy3, EQD2 12.00 and 17.60 Gy."""
    got = [bed(8, 1, 10), bed(8, 1, 3), eqd2(8, 1, 10), eqd2(8, 1, 3)]
    np.testing.assert_allclose(got, [14.40, 29.33, 12.00, 17.60], atol=HALF_A_DIGIT)


@pytest.mark.parametrize(
    ("total", "n", "expected"), [(50.4, 28, 95.76), (30, 10, 75), (30, 15, 60)]
)
def test_spine_teaching_exercise(total, n, expected):
    """Public teaching exercise on treating a spine again: BED at alpha/beta 2."""
    assert bed(total, n, 2.0) == pytest.approx(expected)


def test_opioid_factors_as_transcribed():
    """CDC 2016 and 2022, which disagree on hydromorphone and tramadol."""
    new, old = load_opioids("cdc-2022"), load_opioids("cdc-2016")
    same = {"morphine": 1, "oxycodone": 1.5, "hydrocodone": 1, "codeine": 0.15,
            "tapentadol": 0.4, "oxymorphone": 3}  # fmt: skip
    for drug, factor in same.items():
        assert new[drug] == old[drug] == factor
    assert (old["hydromorphone"], new["hydromorphone"]) == (4, 5)
    assert (old["tramadol"], new["tramadol"]) == (0.1, 0.2)
    assert new["methadone"] == 4.7
    assert opioid_table("cdc-2022").source.trust == "R2"


def load_opioids(name):
    rows = load_table("opioids")["table"]
    return next(row["oral"] for row in rows if row["name"] == name)
