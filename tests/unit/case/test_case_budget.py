"""`rerad budget` and `rerad export-limits` on the tiny patient."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from rerad import dicom
from rerad.case import import_folder, read_case, write_case
from rerad.case.budget import budget_case
from rerad.case.budget_outputs import worst_slice
from rerad.case.export_limits import export_limits, volume_name
from rerad.case.files import CASE_FILE_NAME
from rerad.case.history_schema import PointDoseTable, PriorCourseTable
from rerad.case.load import load_case
from rerad.case.returned import read_returned
from rerad.case.schema import AcceptedBreachTable, ReturnedPlanTable
from rerad.cli.console import ExitCode
from rerad.cli.main import app
from rerad.core import Dose, DoseScope, Patient, RecordGrade
from rerad.dicom import PlanReference, StudyHeader
from rerad.errors import CaseError, DicomError, FrameMismatchError, InputError
from rerad.evaluation import Verdict
from rerad.planning import prepare_case
from rerad.planning.remaining_map import remaining_map
from rerad.planning.returned_plan import check_returned_plan
from rerad.radiobiology import bed, eqd2, physical_from_eqd2

RUNNER = CliRunner()


def quiet(_what, _share):
    """Say nothing."""


@pytest.fixture
def point_case(tiny_case) -> Path:
    """The tiny case with its earlier course known from the highest dose of the plexus only."""
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    blank = {"dose_uid": "", "plan_uid": "", "structure_set_uid": "", "ct_series_uid": ""}
    point = PointDoseTable(structure="SacralPlex_R", max_gy=45.0, source="summary sheet")
    old = file.prior_course[0].model_dump()
    prior = PriorCourseTable(**{**old, **blank, "point_doses": (point,)})
    planning = file.planning.model_copy(
        update={
            "rule_set": "umich",
            "compared_rule_sets": ("slevin2021",),
            "recovery_table": "umich",
            "limit_choice": "strictest",
        }
    )
    write_case(file.model_copy(update={"prior_course": (prior,), "planning": planning}), path)
    return tiny_case


def check_returned(budget, dose, plan, fractions):
    found = read_returned(budget.loaded.whose, dose, plan, fractions)
    return check_returned_plan(found, budget.judgement)


def returned(path: Path, image, gy, plan="1.2.3.77", patient="TINY-1"):
    dicom.write_dose(
        Dose(np.full(image.grid.shape, gy), image.grid),
        Patient(patient),
        path,
        study=StudyHeader(study_uid="1.2.3.8"),
        plans=(PlanReference(plan, image.grid.frame_uid),),
    )
    return path


def test_the_published_numbers_over_intervals(point_case):
    """45 Gy in 25 to the plexus, 22 fractions to come: 31.06, 34.59, 39.53, 47.05 Gy."""
    budget = budget_case(point_case, progress=quiet)
    umich = next(row for row in budget.rows if row.rule_set == "umich")
    got = [s.remaining_physical_gy for s in umich.scenarios]
    assert got == pytest.approx([31.06, 34.59, 39.53, 47.05, 47.05], abs=0.00501)
    slevin = next(row for row in budget.rows if row.rule_set == "slevin2021")
    assert {s.recovery_fraction for s in slevin.scenarios} == {0.0}
    # Voxel by voxel under the assumption that leaves least.
    (organ,) = budget.remaining.organs
    assert organ.least_gy == pytest.approx(31.06, abs=0.01)
    assert organ.n_unknown == organ.n_exhausted == 0
    (even,) = budget.break_even
    assert (even.structure, even.rule_set, even.months) == ("SacralPlex_R", "umich", 12)
    codes = {finding.code for finding in budget.findings}
    assert {"rule-sets-disagree", "course-bounded-by-points"} <= codes


def test_a_returned_plan_is_judged_on_the_sum(point_case, tiny, tmp_path):
    budget = budget_case(point_case, progress=quiet)
    fits = returned(tmp_path / "fits.dcm", tiny.today, 30.0)
    check = check_returned(budget, fits, None, 22)
    result = limit_result(check)
    expected = eqd2(45, 25, 2.5) + eqd2(30, 22, 2.5)
    assert result.value == pytest.approx(expected, abs=0.02)
    assert result.verdict is Verdict.MET
    assert result.grade is RecordGrade.DVH_OR_POINTS
    over = check_returned(budget, returned(tmp_path / "over.dcm", tiny.today, 33.0), None, 22)
    assert limit_result(over).verdict is Verdict.EXCEEDED
    # The same dose in half the fractions counts for more: the dose per fraction is its own.
    half = check_returned(budget, fits, None, 11)
    assert limit_result(half).value > expected + 2
    with pytest.raises(CaseError, match="got neither"):
        check_returned(budget, fits, None, None)


def limit_result(check):
    """Return the cumulative limit; goals on the plan's own dose come before it."""
    (found,) = [r for r in check.goals if r.goal.scope is DoseScope.CUMULATIVE]
    return found


def test_files_of_another_patient_frame_or_plan_are_refused(point_case, tiny, tmp_path):
    budget = budget_case(point_case, progress=quiet)
    other = returned(tmp_path / "other.dcm", tiny.today, 30.0, patient="SOMEONE")
    with pytest.raises(CaseError, match="patient ID is not that of the planning CT") as error:
        check_returned(budget, other, None, 22)
    assert "SOMEONE" not in str(error.value)
    there = returned(tmp_path / "there.dcm", tiny.prior, 30.0)
    with pytest.raises(FrameMismatchError, match="frame of the planning CT"):
        check_returned(budget, there, None, 22)
    with pytest.raises(CaseError, match="does not refer to the plan"):
        check_returned(
            budget, returned(tmp_path / "d.dcm", tiny.today, 30.0), tiny.folder / "rp1.dcm", None
        )
    uid = tiny.prior_plan.instance_uid
    of_prior = returned(tmp_path / "e.dcm", tiny.today, 30.0, plan=uid)
    with pytest.raises(CaseError, match="expected a plan in the frame"):
        check_returned(budget, of_prior, tiny.folder / "rp1.dcm", None)


def test_the_case_file_names_the_plan_that_came_back(tiny_case, tiny):
    """`rerad run` judges it beside its own plan; `rerad budget` needs no option."""
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    back = returned(tiny.folder / "back.dcm", tiny.today, 30.0)
    uid = str(pydicom.dcmread(back).SOPInstanceUID)
    table = ReturnedPlanTable(dose_uid=uid, n_fractions=22)
    write_case(file.model_copy(update={"returned_plan": table}), path)
    budget = budget_case(tiny_case, progress=quiet)
    plan = budget.loaded.inputs.returned
    assert (plan.label, plan.n_fractions) == ("back.dcm", 22)
    inputs = budget.loaded.inputs
    prepared = prepare_case(inputs, quiet)
    check = check_returned_plan(inputs.returned, prepared.judgement)
    # Her CTs cannot be registered: the highest dose of the course in its own plexus, 45/25.
    result = limit_result(check)
    ab = result.goal.alpha_beta_gy
    assert result.value == pytest.approx(eqd2(45, 25, ab) + eqd2(30, 22, ab), abs=0.03)
    assert result.grade is RecordGrade.DVH_OR_POINTS
    words = ["budget", str(tiny_case), "--json", "-q"]
    document = json.loads(RUNNER.invoke(app, words).stdout)
    assert document["returned_plan"]["plan"] == "back.dcm"
    with pytest.raises(ValidationError, match="give its plan_uid, or n_fractions"):
        ReturnedPlanTable(dose_uid=uid)
    gone = ReturnedPlanTable(dose_uid="1.2.3.4", n_fractions=22)
    write_case(file.model_copy(update={"returned_plan": gone}), path)
    with pytest.raises(CaseError, match=r"returned_plan\.dose_uid: no RTDOSE"):
        load_case(tiny_case)


def test_budget_on_the_command_line(point_case, tiny, tmp_path):
    over = returned(tmp_path / "over.dcm", tiny.today, 40.0)
    words = ["budget", str(point_case), "--out", str(tmp_path / "out"), "--json", "-q"]
    result = RUNNER.invoke(app, [*words, "--dose", str(over), "--fractions", "22"])
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED, result.stderr
    document = json.loads(result.stdout)
    assert document["returned_plan"]["is_within_limits"] is False
    assert document["courses"][0]["grade"] == "DVH or point doses only"
    assert (tmp_path / "out" / "budget.png").stat().st_size > 10_000
    text = RUNNER.invoke(app, [*words[:-2], "-q"]).stdout
    assert "break-even" in text
    assert "31.06" in text


def test_limits_are_exported_nested_and_readable(point_case, tmp_path):
    budget = budget_case(point_case, progress=quiet)
    written = export_limits(budget, [35.0, 20.0, 32.0], tmp_path / "limits")
    names = {item.name: item for item in written.volumes}
    # 31.06 Gy are left: below 32 and 35, not below 20.
    assert set(names) == {"zLt32_Any", "zLt35_Any", "zLt32_SacralPl_R", "zLt35_SacralPl_R"}
    assert all(len(name) <= 16 for name in names)
    read = dicom.read_structure_set(written.structures)
    assert set(read.names) == set(names)
    inner, outer = names["zLt32_SacralPl_R"], names["zLt35_SacralPl_R"]
    assert inner.volume_cc <= outer.volume_cc
    combined = pydicom.dcmread(written.doses[0].path)
    assert combined.DoseType == "PHYSICAL"
    assert "LEFT in 22 fx" in combined.DoseComment
    values = combined.pixel_array * float(combined.DoseGridScaling)
    expected = physical_from_eqd2(70 - eqd2(45, 25, 2.5), n_fractions=22, alpha_beta_gy=2.5)
    inside = np.zeros(budget.grid.shape, dtype=bool)
    organ = budget.masks["SacralPlex_R"]
    inside[budget.grid.region_of(organ.grid)] = organ.fraction > 0
    assert np.allclose(values[inside], expected, atol=0.01)
    # Where no organ with a limit lies the ceiling stands, above all that is left.
    assert np.allclose(values[~inside], 100.0, atol=0.01)
    assert "100 Gy=no limit" in combined.DoseComment
    # It belongs to a plan that is there, has no beam and is for research.
    plan = pydicom.dcmread(written.plan)
    (referred,) = combined.ReferencedRTPlanSequence
    assert referred.ReferencedSOPInstanceUID == plan.SOPInstanceUID
    (group,) = plan.FractionGroupSequence
    assert (group.NumberOfFractionsPlanned, group.NumberOfBeams) == (22, 0)
    assert (plan.ApprovalStatus, plan.PlanIntent) == ("UNAPPROVED", "RESEARCH")
    assert "BeamSequence" not in plan
    drawn = pydicom.dcmread(written.structures)
    # Nobody takes it for a dose that was planned or given.
    with pytest.raises(DicomError, match="got the remaining tolerance"):
        dicom.read_dose(written.doses[0].path)
    (of_plan,) = plan.ReferencedStructureSetSequence
    assert of_plan.ReferencedSOPInstanceUID == drawn.SOPInstanceUID


def test_unknown_spent_and_unlimited_are_told_apart(point_case, tmp_path):
    """Half the plexus unknown, a limit below what was given: 0, counted apart; no limit: 100."""
    budget = budget_case(point_case, progress=quiet)
    (limit,) = budget.limits
    values = np.array(limit.prior.values)
    k = values.shape[0] // 2
    values[:k] = np.nan
    cut = replace(
        limit,
        prior=replace(limit.prior, values=values),
        goal=replace(limit.goal, at_most=20.0),
    )
    remaining = remaining_map([cut], budget.masks, budget.grid, n_fractions=22)
    written = export_limits(
        replace(budget, limits=(cut,), remaining=remaining), [35.0], tmp_path / "lim"
    )
    whole, organ = written.doses
    assert whole.n_unknown == organ.n_unknown > 0
    assert organ.n_spent == organ.n_limited - organ.n_unknown > 0
    combined = pydicom.dcmread(whole.path)
    assert f"unknown={whole.n_unknown} as 0" in combined.DoseComment
    stored = combined.pixel_array * float(combined.DoseGridScaling)
    assert np.count_nonzero(stored == 0) == organ.n_limited
    assert np.allclose(stored[stored > 0], 100.0, atol=0.01)
    assert {item.name for item in written.volumes} >= {"zUnk_SacralPle_R", "zLt35_SacralPl_R"}


def test_exported_limits_are_never_imported_as_a_course(point_case, tiny, tmp_path):
    budget = budget_case(point_case, progress=quiet)
    export_limits(budget, [35.0], tiny.folder / "limits")
    found = import_folder(tiny.folder, tmp_path / "again")
    file = read_case(found.case_file)
    assert file.data.planning_ct_series_uid == budget.loaded.file.data.planning_ct_series_uid
    (prior,) = file.prior_course
    assert prior.dose_uid == tiny.prior_dose.instance_uid
    assert prior.plan_uid == tiny.prior_plan.instance_uid


def test_doses_hang_on_the_users_own_plan(point_case, tiny, tmp_path):
    budget = budget_case(point_case, progress=quiet)
    with pytest.raises(CaseError, match="expected a plan in the frame"):
        export_limits(budget, [35.0], tmp_path / "lim", plan=tiny.folder / "rp1.dcm")
    assert not (tmp_path / "lim").exists()
    dataset = pydicom.dcmread(tiny.folder / "rp1.dcm")
    dataset.FrameOfReferenceUID = tiny.today.grid.frame_uid
    dataset.save_as(tmp_path / "own.dcm")
    written = export_limits(budget, [35.0], tmp_path / "lim", plan=tmp_path / "own.dcm")
    assert written.plan is None
    (referred,) = pydicom.dcmread(written.doses[0].path).ReferencedRTPlanSequence
    assert referred.ReferencedSOPInstanceUID == dataset.SOPInstanceUID


def test_export_on_the_command_line_with_its_page(point_case, tmp_path):
    words = ["export-limits", str(point_case), "--level-gy", "35", "--out", str(tmp_path / "lim")]
    result = RUNNER.invoke(app, [*words, "--json", "-q"])
    assert result.exit_code == ExitCode.DONE, result.stderr
    document = json.loads(result.stdout)
    assert document["grades"] == {"SacralPlex_R": "DVH or point doses only"}
    files = [Path(name) for name in document["files"]]
    assert all(path.is_file() for path in files)
    page = next(path for path in files if path.suffix == ".pdf").read_bytes()
    assert page.startswith(b"%PDF")


def test_nothing_is_exported_while_a_course_is_unknown(point_case, tmp_path):
    path = point_case / CASE_FILE_NAME
    file = read_case(path)
    blank = file.prior_course[0].model_copy(
        update={"name": "Elsewhere", "key": "", "point_doses": (), "order": 1}
    )
    write_case(file.model_copy(update={"prior_course": (blank, *file.prior_course)}), path)
    budget = budget_case(point_case, progress=quiet)
    (organ,) = budget.remaining.organs
    assert organ.n_unknown == organ.n_voxels
    with pytest.raises(CaseError, match="nobody knows what Elsewhere gave"):
        export_limits(budget, [35.0], tmp_path / "limits")
    assert not (tmp_path / "limits").exists()


def test_levels_that_draw_nothing_and_bad_levels_are_refused(point_case, tmp_path):
    budget = budget_case(point_case, progress=quiet)
    with pytest.raises(CaseError, match="no volume to draw"):
        export_limits(budget, [20.0], tmp_path / "limits")
    with pytest.raises(InputError, match="levels above 0 Gy"):
        export_limits(budget, [0.0], tmp_path / "limits")
    assert not (tmp_path / "limits").exists()


def test_names_are_short_and_keep_the_side():
    assert volume_name("SacralPlex_R", 30.0) == "zLt30_SacralPl_R"
    assert volume_name("SacralPlex_L", None) == "zUnk_SacralPle_L"
    assert volume_name("Bladder", 7.5) == "zLt7.5_Bladder"
    assert all(len(volume_name("Bowel_Large_PRV05_R", level)) <= 16 for level in (5.0, 32.5))


def test_the_map_shows_the_slice_with_least_left(point_case):
    budget = budget_case(point_case, progress=quiet)
    found = worst_slice(budget)
    assert np.nanmin(found.remaining_gy) == pytest.approx(31.06, abs=0.01)
    assert found.hu.shape == found.remaining_gy.shape


def test_interruption_on_the_command_line(point_case, tiny, tmp_path):
    """40/22 stopped after 15; the plexus had 45/25 and the full prescription since."""
    dose = returned(tmp_path / "plan.dcm", tiny.today, 40.0)
    words = ["interrupt", str(point_case), "--delivered", "15", "--dose", str(dose), "-q"]
    words += ["--into", "7", "--into", "3", "--out", str(tmp_path / "stop")]
    result = RUNNER.invoke(app, [*words, "--json"])
    assert result.exit_code == ExitCode.DONE, result.stderr
    document = json.loads(result.stdout)
    assert document["bed_deficit_gy"] == pytest.approx(bed(40, 22, 10) * 7 / 22, abs=1e-6)
    stop, _same, seven, three = document["options"]
    had = eqd2(45, 25, 2.5) + eqd2(40, 22, 2.5) * 15 / 22
    assert stop["organs"][0]["value_gy"] == pytest.approx(had, abs=0.02)
    assert stop["organs"][0]["grade"] == "DVH or point doses only"
    for option in (seven, three):
        more = eqd2(option["n_fractions"] * option["fraction_gy"], option["n_fractions"], 2.5)
        assert option["limited_by"] == "SacralPlex_R"
        assert had + more == pytest.approx(70.0, abs=0.02)
    assert (tmp_path / "stop" / "interruption.png").stat().st_size > 10_000
    text = RUNNER.invoke(app, words).stdout
    assert "decided by SacralPlex_R" in text
    assert "missing 15.04 Gy" in text


def test_what_was_given_may_be_a_broken_fraction_or_what_the_record_states(
    point_case, tiny, tmp_path
):
    dose = returned(tmp_path / "plan.dcm", tiny.today, 40.0)
    words = ["interrupt", str(point_case), "--dose", str(dose), "-q", "--json"]
    words += ["--into", "7", "--out", str(tmp_path / "stop"), "--delivered"]
    half = json.loads(RUNNER.invoke(app, [*words, "13.5"]).stdout)
    each = 40 / 22
    assert half["partial_fractions"] == [0.5]
    assert half["bed_given_gy"] == pytest.approx(bed(13 * each, 13, 10) + bed(each / 2, 1, 10))
    assert {f["code"] for f in half["findings"]} >= {"fractions-broken-off", "given-as-planned"}
    stated = json.loads(RUNNER.invoke(app, [*words, "15", "--delivered-dose", "27"]).stdout)
    assert stated["bed_deficit_gy"] == pytest.approx(15.41, abs=0.005)
    assert stated["options"][2]["wanted_fraction_gy"] == pytest.approx(1.857, abs=5e-4)
    assert "delivered-dose-differs" in {f["code"] for f in stated["findings"]}


def test_what_was_given_is_counted_from_treatment_records(
    point_case, tiny, tmp_path, write_record
):
    """Two whole fractions and one cut at 40 %, as the records of the plan's beams say."""
    uid = tiny.prior_plan.instance_uid
    (plan,) = [
        path
        for path in tiny.folder.rglob("*.dcm")
        if pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID == uid
    ]
    for fraction, share in ((1, 1.0), (2, 1.0), (3, 0.4)):
        write_record(tmp_path / "records", fraction, tiny.prior_plan, share)
    words = ["interrupt", str(point_case), "-q", "--json", "--out", str(tmp_path / "stop")]
    words += ["--into", "7", "--records", str(tmp_path / "records")]
    document = json.loads(RUNNER.invoke(app, [*words, "--plan", str(plan)]).stdout)
    assert document["is_from_treatment_records"]
    assert document["n_delivered"] == 2
    assert document["partial_fractions"] == pytest.approx([0.4])
    assert "given-as-planned" not in {f["code"] for f in document["findings"]}
    wrong = RUNNER.invoke(app, [*words, "--plan", str(plan), "--delivered", "3"])
    assert "records count 2 whole ones and 1 broken off" in wrong.stdout
    lost = RUNNER.invoke(app, words)
    assert "no plan at" in lost.stdout


def test_interruption_without_the_plan_says_so(point_case, tmp_path):
    words = ["interrupt", str(point_case), "--delivered", "15", "--out", str(tmp_path / "stop")]
    document = json.loads(RUNNER.invoke(app, [*words, "--json", "-q"]).stdout)
    assert "organs-at-full-prescription" in {f["code"] for f in document["findings"]}
    assert len(document["options"]) == 2 + 7
    refused = RUNNER.invoke(app, [*words, "-q", "--replan", "5"])
    assert refused.exit_code == ExitCode.FAILED
    assert "plan the rest" in refused.stderr


def test_words_that_lead_nowhere_are_refused_before_the_work(point_case, tmp_path):
    case = str(point_case)
    refused = {
        ("interrupt", case, "--delivered", "22"): "expected fewer than the 22 planned fractions",
        ("budget", case, "--plan", "plan.dcm"): "give its dose too",
        ("budget", case, "--fractions", "5"): "give its dose too",
        ("accumulate", "nowhere", "-o", "x.dcm", "--alpha-beta", "2"): "there is no nowhere",
        ("accumulate", str(point_case / CASE_FILE_NAME), str(point_case / CASE_FILE_NAME),
         "-o", "x.dcm", "--fractions", "5", "--fractions", "5"): "alpha/beta of the tissue",
    }  # fmt: skip
    for words, said in refused.items():
        result = RUNNER.invoke(app, [*words, "-q"])
        assert result.exit_code in {ExitCode.FAILED, ExitCode.USAGE}, words
        assert said in " ".join(result.stderr.split()), words


def test_an_accepted_breach_is_marked_among_the_ways_to_go_on(point_case, tiny, tmp_path):
    path = point_case / CASE_FILE_NAME
    file = read_case(path)
    accepted = AcceptedBreachTable(structure="SacralPlex_R", reason="the target lies in it")
    write_case(file.model_copy(update={"accepted_breach": (accepted,)}), path)
    dose = returned(tmp_path / "plan.dcm", tiny.today, 40.0)
    words = ["interrupt", str(point_case), "--delivered", "15", "--dose", str(dose), "-q"]
    text = RUNNER.invoke(app, [*words, "--into", "7", "--out", str(tmp_path / "stop")]).stdout
    assert "breaks an accepted limit" in text
    assert "BREAKS A LIMIT" not in text
    assert "breach accepted" in text
