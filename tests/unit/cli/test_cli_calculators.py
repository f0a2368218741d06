"""The small calculators: numbers, formula and source on the screen, refusals in one sentence."""

import json

import pytest
from typer.testing import CliRunner

from rerad.cli.console import ExitCode
from rerad.cli.main import app

RUNNER = CliRunner()


def run(*words):
    return RUNNER.invoke(app, [str(word) for word in words])


def test_eqd2_of_the_readme():
    result = run("eqd2", "--dose", 45, "--fractions", 25, "--alpha-beta", 2)
    assert result.exit_code == ExitCode.DONE
    assert "BED   85.50 Gy   EQD2   42.75 Gy" in result.stdout
    for word in ("formula", "Withers", "1 to 6 Gy per fraction"):
        assert word in result.stdout


def test_eqd2_json_of_several_tissues_and_a_stopped_course():
    words = ("--alpha-beta", 2, "--alpha-beta", 10, "--delivered", 15, "--json")
    document = json.loads(run("eqd2", "--dose", 40, "--fractions", 22, *words).stdout)
    assert document["dose_gy"] == pytest.approx(27.27, abs=0.005)
    # Fractions are scaled, the dose per fraction stays 40/22.
    assert document["converted"][0]["eqd2_gy"] == pytest.approx(38.1818 * 15 / 22, abs=1e-3)
    assert document["converted"][1]["bed_gy"] == pytest.approx(47.2727 * 15 / 22, abs=1e-3)


def test_eqd2_refuses_large_fractions_unless_told():
    words = ("eqd2", "--dose", 12.4, "--fractions", 1, "--alpha-beta", 2)
    refused = run(*words)
    assert refused.exit_code == ExitCode.FAILED
    assert "1 to 6 Gy per fraction" in refused.stderr
    told = run(*words, "--beyond-validity")
    assert "EQD2   44.64 Gy" in told.stdout
    assert "read EQD2 with care" in told.stdout


def test_eqd2_with_the_models_that_are_asked_for():
    """46 days of 70 Gy in 35 to a larynx: 84 Gy10 less 0.8 Gy for each of 25 days."""
    words = ("eqd2", "--dose", 70, "--fractions", 35, "--alpha-beta", 10)
    (time,) = json.loads(run(*words, "--tumour", "larynx", "--days", 46, "--json").stdout)[
        "models"
    ]
    assert time["bed_gy"] == pytest.approx(64.0)
    assert "Roberts" in time["source"]
    text = run(*words, "--per-day", 2, "--hours-apart", 6, "--repair-half-time-h", 3).stdout
    # h is 2^-2: 70 (1 + 1.25 x 2 / 10)
    assert "incomplete repair, alpha/beta 10 Gy: 87.50 Gy BED" in text
    sbrt = ("eqd2", "--dose", 30, "--fractions", 3, "--alpha-beta", 3, "--linear-beyond-gy", 6)
    assert "linear-quadratic-linear, alpha/beta 3 Gy: 114.00 Gy BED" in run(*sbrt).stdout
    for more in (("--tumour", "larynx"), ("--days", 46), ("--per-day", 2)):
        refused = run(*words, *more)
        assert refused.exit_code == ExitCode.FAILED
        assert "together" in refused.stderr


def test_eqd2_of_a_tissue_shows_every_source_with_its_interval():
    """30 Gy in 5 to the cord: 0.87, 2, 4 and 3.7 (2.2 to 8.2) Gy are on record."""
    words = ("eqd2", "--dose", 30, "--fractions", 5, "--tissue", "spinal cord")
    rows = json.loads(run(*words, "--json").stdout)["tissues"]
    by_value = {row["alpha_beta_gy"]: row for row in rows}
    assert set(by_value) == {0.87, 2.0, 3.7, 4.0}
    jin = by_value[3.7]
    assert jin["alpha_beta_interval_gy"] == [2.2, 8.2]
    # 30 (6 + a) / (2 + a)
    assert jin["eqd2_interval_gy"] == pytest.approx([30 * 14.2 / 10.2, 30 * 8.2 / 4.2])
    assert "10.1007/s13566-015-0212-9" in jin["source"]
    text = run(*words).stdout
    assert "3.7 (2.2-8.2) Gy, EQD2" in text
    assert "no interval stated" in text
    assert run("eqd2", "--dose", 30, "--fractions", 5).exit_code == ExitCode.USAGE
    unknown = run("eqd2", "--dose", 30, "--fractions", 5, "--tissue", "spleen")
    assert unknown.exit_code == ExitCode.FAILED
    assert "telangiectasia" in unknown.stderr


def test_eqd2_of_centigray_is_told():
    refused = run("eqd2", "--dose", 4500, "--fractions", 25, "--alpha-beta", 2)
    assert refused.exit_code == ExitCode.FAILED
    assert "got 180 Gy; doses are in Gy, not cGy" in refused.stderr


def test_remaining_is_a_table_over_intervals_when_the_interval_is_unknown():
    words = ("remaining", "--organ", "SacralPlex_R", "--prior", "45/25", "--fractions", 22)
    document = json.loads(run(*words, "--recovery", "umich", "--planned", 40, "--json").stdout)
    umich = [row for row in document["rows"] if row["rule_set"] == "umich"]
    # Section 0 of the worked case: 31.06, 34.59, 39.53, 47.05 Gy in 22 fractions.
    got = [row["remaining_physical_gy"] for row in umich]
    assert got == pytest.approx([31.06, 34.59, 39.53, 47.05, 47.05], abs=0.00501)
    assert {row["planned_fits"] for row in umich} == {"from 12 months"}
    slevin = {row["limit_gy"]: row for row in document["rows"] if row["rule_set"] == "slevin2021"}
    assert set(slevin) == {67.0, 85.0}
    assert all(row["recovery_fraction"] == 0 for row in slevin.values())
    assert slevin[67.0]["planned_fits"] == "does not fit"  # 80.93 Gy
    assert slevin[85.0]["planned_fits"] == "fits"


def test_remaining_with_a_known_interval_keeps_one_row_of_a_table():
    words = ("remaining", "--organ", "SacralPlex_R", "--prior", "45/25", "--fractions", 22)
    more = ("--recovery", "umich", "--rule-set", "umich", "--interval-months", 8, "--json")
    (row,) = json.loads(run(*words, *more).stdout)["rows"]
    assert row["remaining_physical_gy"] == pytest.approx(39.53, abs=0.00501)


def test_remaining_prints_sources_and_that_silence_is_no_permission():
    words = ("remaining", "--organ", "Bladder", "--prior", "45/25", "--fractions", 20)
    text = run(*words, "--recovery", "none").stdout
    assert "Slevin" in text
    assert "no permission" in text


@pytest.mark.parametrize("prior", ["45", "45/x", "0/25", "45/0", "nan/3"])
def test_remaining_refuses_what_is_no_course(prior):
    words = ("remaining", "--organ", "Bladder", "--fractions", 20, "--recovery", "none")
    result = run(*words, "--prior", prior)
    assert result.exit_code == ExitCode.FAILED
    assert "such as 45/25" in result.stderr


def test_remaining_of_an_organ_without_limit_is_refused():
    result = run(
        "remaining",
        "--organ",
        "Spleen",
        "--prior",
        "45/25",
        "--fractions",
        20,
        "--recovery",
        "none",
    )
    assert result.exit_code == ExitCode.FAILED
    assert "no permission" in result.stderr


def test_gap_of_the_published_case():
    words = ("gap", "--dose", 40, "--fractions", 22, "--delivered", 15, "--delivered-dose", 27)
    more = ("--tumour", "none", "--alpha-beta", 10, "--into", 5, "--into", 4, "--into", 1)
    document = json.loads(run(*words, *more, "--json").stdout)
    assert document["bed_missing_gy"] == pytest.approx(15.41, abs=0.00501)
    solved = {o["n_fractions"]: o["fraction_gy"] for o in document["options"][2:]}
    assert solved[7] == pytest.approx(1.857, abs=0.000501)
    assert solved[5] == pytest.approx(2.472, abs=0.000501)
    assert solved[4] == pytest.approx(2.971, abs=0.000501)
    assert solved[1] == pytest.approx(8.38, abs=0.00501)
    assert "No time factor" in document["findings"][0]["text"]
    text = run(*words, *more).stdout
    assert "7 x 1.857 Gy" in text
    assert "missing 15.41 Gy" in text


def test_gap_refuses_a_tumour_without_sourced_time_factor():
    words = ("gap", "--dose", 50, "--fractions", 25, "--delivered", 10, "--gap-days", 7)
    result = run(*words, "--tumour", "cervix")
    assert result.exit_code == ExitCode.FAILED
    assert "larynx" in result.stderr
    assert run(*words, "--tumour", "none").exit_code == ExitCode.USAGE


def test_the_cord_is_scored_on_both_sides_of_six_months():
    """45/25 and 40/22: 161.9 Gy2, 5 points; 4.5 more below six months."""
    words = ("remaining", "--organ", "SpinalCord", "--prior", "45/25", "--fractions", 22)
    more = ("--recovery", "umich", "--planned", 40, "--json")
    document = json.loads(run(*words, *more, "--level", "thoracic").stdout)
    points = {row["interval"]: (row["points"], row["risk"]) for row in document["nieder"]}
    assert points["6 months or more"] == (5, "intermediate")
    assert points["below 6 months"] == (9.5, "high")
    assert document["nieder"][0]["cumulative_bed_gy"] == pytest.approx(161.9, abs=0.05)
    refused = run(*words, *more[:-1], "--level", "below the conus")
    assert refused.exit_code == ExitCode.FAILED
    assert "where there is none" in refused.stderr
    assert json.loads(run(*words, *more).stdout)["nieder"] == []


def test_remaining_says_which_limits_are_not_among_the_rows_and_why():
    words = ("remaining", "--prior", "18/10", "--fractions", 10, "--interval-months", 8)
    kidney = run(*words, "--organ", "Kidney_L", "--recovery", "umich")
    assert kidney.exit_code == ExitCode.FAILED
    assert "at least 200 cc below 23 Gy" in kidney.stderr
    assert "not on a dose" in kidney.stderr
    sac = run(*words, "--organ", "ThecalSac", "--recovery", "umich")
    assert "state the level with --level" in sac.stderr
    below = run(
        *words, "--organ", "ThecalSac", "--recovery", "umich", "--level", "below the conus"
    )
    assert below.exit_code == ExitCode.FAILED
    assert "no cord below the conus" in below.stderr
    plexus = run(*words, "--organ", "SacralPlex_R", "--recovery", "price")
    assert "'price' does not state 8 months" in plexus.stdout


def test_remaining_binds_each_row_to_its_condition_and_version():
    words = ("remaining", "--organ", "SpinalCord", "--prior", "45/25", "--fractions", 10)
    more = ("--recovery", "umich", "--interval-months", 8, "--level", "thoracic")
    rows = json.loads(run(*words, *more, "--json").stdout)["rows"]
    conditions = {(row["rule_set"], row["limit_gy"]): row["condition"] for row in rows}
    assert "less than 2 mm" in conditions["umich", 55.0]
    assert all(row["version"] and row["citation"] for row in rows)
    paradis = next(row for row in rows if row["rule_set"] == "paradis2019")
    assert paradis["interval_months"] == [6, 12]
    assert "less than 2 mm from the target" in run(*words, *more).stdout
    assert "myelopathy in" in run(*words, *more, "--planned", 20).stdout


def test_remaining_under_a_limit_of_ones_own():
    words = ("remaining", "--organ", "Spleen", "--prior", "45/25", "--fractions", 3)
    document = json.loads(
        run(*words, "--recovery", "none", "--limit", "60/3/raw", "--json").stdout
    )
    (row,) = document["rows"]
    # 43.2 Gy are spent of 60; 16.8 Gy EQD2 in 3: d^2 + 3 d - 28 = 0, d = 4.
    assert row["remaining_physical_gy"] == pytest.approx(12.0)
    large = run(*words, "--recovery", "none", "--limit", "100/3/raw")
    assert "Gy per fraction lies outside 1 to 6 Gy" in large.stdout
    for text in ("60", "60/3", "60/0/raw", "60/3/half", "-1/3/raw"):
        refused = run(*words, "--recovery", "none", "--limit", text)
        assert refused.exit_code == ExitCode.FAILED
        assert "such as 60/2.5/raw" in refused.stderr


def test_gap_notices_what_the_record_contradicts():
    words = ("gap", "--dose", 40, "--fractions", 22, "--delivered", 15, "--tumour", "none")
    text = run(*words, "--alpha-beta", 10, "--delivered-dose", 27).stdout
    assert "27.27" in text
    assert "Ask which is right" in text
    assert "Ask which is right" not in run(*words, "--alpha-beta", 10).stdout
    over = run(*words, "--alpha-beta", 10, "--delivered-dose", 41)
    assert over.exit_code == ExitCode.FAILED
    assert "below the prescribed 40 Gy" in over.stderr
    centigray = run("gap", "--dose", 4000, *words[3:], "--alpha-beta", 10)
    assert centigray.exit_code == ExitCode.FAILED
    assert "not cGy" in centigray.stderr


def test_gap_never_says_minus_zero():
    words = ("gap", "--dose", 70, "--fractions", 35, "--delivered", 20, "--tumour", "larynx")
    assert "-0.00" not in run(*words, "--gap-days", 7, "--into", 12, "--into", 13).stdout


def test_hytec_factors_stand_beside_the_limits_of_the_thecal_sac():
    """45 Gy in 25 (42.75 Gy2), then 20.3 Gy in 3 (44.49 Gy2): three factors do not hold."""
    words = ("remaining", "--organ", "ThecalSac", "--prior", "45/25", "--fractions", 3)
    more = ("--recovery", "umich", "--planned", 20.3, "--level", "thoracic", "--beyond-validity")
    document = json.loads(run(*words, *more, "--interval-months", 8, "--json").stdout)
    found = {row["name"].split(",")[0]: (row["found"], row["holds"]) for row in document["hytec"]}
    assert found["cumulative thecal sac Dmax"] == (pytest.approx(87.24, abs=0.01), False)
    assert found["SBRT course Dmax"] == (pytest.approx(44.49, abs=0.01), False)
    assert found["SBRT share of the cumulative dose"] == (pytest.approx(0.51, abs=0.005), False)
    assert found["interval"] == (8, True)
    assert "cannot be said" in run(*words, *more).stdout
    # 22 fractions are no SBRT: the factors say nothing of them.
    usual = ("remaining", "--organ", "ThecalSac", "--prior", "45/25", "--fractions", 22)
    document = json.loads(run(*usual, *more, "--json").stdout)
    assert document["hytec"] == []
