"""Importing a folder: everything is named, nothing is guessed, nothing is half written."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest

from rerad.case import check_case, import_folder, load_case, read_case
from rerad.core import Patient
from rerad.errors import CaseError, MissingDataError, ReradError, StructureNotFoundError


def edit(case: Path, old: str, new: str) -> None:
    path = case / "case.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_every_object_is_named_with_its_use(tiny, tmp_path: Path) -> None:
    report = import_folder(tiny.folder, tmp_path / "case")
    uses = {line.uid: line.use for line in report.lines}
    assert uses[tiny.today.series_uid] == "today's planning CT"
    assert uses[tiny.prior.series_uid] == "CT of Earlier course 1"
    assert uses[tiny.prior_plan.instance_uid] == "plan of Earlier course 1"
    assert uses[tiny.prior_dose.instance_uid] == "dose of Earlier course 1"
    assert len(report.lines) == 6
    assert any("n_fractions_planned" in text for text in report.missing)


def test_the_proposal_takes_what_the_files_say(tiny, tmp_path: Path) -> None:
    report = import_folder(tiny.folder, tmp_path / "case")
    case = read_case(report.case_file)
    assert case.prior_course[0].n_fractions_planned == 25
    assert case.prior_course[0].n_fractions_delivered == "unknown"
    assert case.prior_course[0].interval_months == "unknown"
    assert case.current_course.prescriptions[0].structure == "PTV_4000"
    assert case.current_course.prescriptions[0].dose_gy == 40.0
    assert case.current_course.n_fractions_planned == "unknown"


def test_an_import_does_not_overwrite(tiny, tmp_path: Path) -> None:
    import_folder(tiny.folder, tmp_path / "case")
    with pytest.raises(CaseError, match="is there already"):
        import_folder(tiny.folder, tmp_path / "case")


def test_two_patients_in_one_folder_are_refused(write_tiny: Callable, tmp_path: Path) -> None:
    tiny = write_tiny(prior_patient=Patient("OTHER-2"))
    with pytest.raises(CaseError, match="holds 2 patients"):
        import_folder(tiny.folder, tmp_path / "case")
    assert not (tmp_path / "case").exists()


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CaseError, match="planning CT"):
        import_folder(tmp_path / "empty", tmp_path / "case")


def test_files_that_are_not_dicom_are_said_to_be_skipped(tiny, tmp_path: Path) -> None:
    (tiny.folder / "notes.txt").write_text("hello", encoding="utf-8")
    report = import_folder(tiny.folder, tmp_path / "case")
    assert [Path(path).name for path, _ in report.skipped] == ["notes.txt"]


def rewrite(folder: Path, change: Callable[[pydicom.Dataset], None]) -> None:
    """Change every DICOM file of a folder."""
    for path in sorted(folder.rglob("*.dcm")):
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path, enforce_file_format=True)


def one_frame(dataset: pydicom.Dataset) -> None:
    """Put an object into the one frame of reference of all."""
    dataset.FrameOfReferenceUID = "1.2.3.4"
    for item in dataset.get("ReferencedFrameOfReferenceSequence", ()):
        item.FrameOfReferenceUID = "1.2.3.4"
    for item in dataset.get("StructureSetROISequence", ()):
        item.ReferencedFrameOfReferenceUID = "1.2.3.4"


def second_dose(tiny, name: str, *, plan_uid: str = "") -> str:
    """Write the earlier dose once more, of a plan of its own unless one is named."""
    dose = pydicom.dcmread(tiny.folder / "rd1.dcm")
    dose.SOPInstanceUID = dose.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{len(name)}"
    if not plan_uid:
        plan = pydicom.dcmread(tiny.folder / "rp1.dcm")
        plan.SOPInstanceUID = plan.file_meta.MediaStorageSOPInstanceUID = plan_uid = "1.2.3.99"
        plan.FractionGroupSequence[0].NumberOfFractionsPlanned = 5
        plan.save_as(tiny.folder / "rp2.dcm", enforce_file_format=True)
    dose.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = plan_uid
    dose.save_as(tiny.folder / name, enforce_file_format=True)
    return str(dose.SOPInstanceUID)


def test_two_cts_of_one_frame_keep_what_was_drawn_and_planned_on_each(tiny, tmp_path) -> None:
    rewrite(tiny.folder, one_frame)
    case = read_case(import_folder(tiny.folder, tmp_path / "case").case_file)
    assert case.data.planning_ct_series_uid == tiny.today.series_uid
    assert case.current_course.prescriptions[0].structure == "PTV_4000"
    assert [item.ct_series_uid for item in case.prior_course] == [tiny.prior.series_uid]


def test_every_dose_given_on_a_ct_is_a_course_of_its_own(tiny, tmp_path: Path) -> None:
    boost = second_dose(tiny, "boost.dcm")
    case = read_case(import_folder(tiny.folder, tmp_path / "case").case_file)
    found = {item.dose_uid: item.n_fractions_planned for item in case.prior_course}
    assert found == {tiny.prior_dose.instance_uid: 25, boost: 5}
    assert {item.ct_series_uid for item in case.prior_course} == {tiny.prior.series_uid}


def test_two_doses_of_one_plan_are_one_course_and_said(tiny, tmp_path: Path) -> None:
    again = second_dose(tiny, "rd1-again.dcm", plan_uid=tiny.prior_plan.instance_uid)
    report = import_folder(tiny.folder, tmp_path / "case")
    doses = [item.dose_uid for item in read_case(report.case_file).prior_course]
    assert len(doses) == 1
    left_out = ({again, tiny.prior_dose.instance_uid} - set(doses)).pop()
    assert any(f"RTDOSE {left_out}: a second dose of plan" in text for text in report.missing)


def test_the_only_ct_is_todays_and_its_dose_was_given_before(tiny, tmp_path: Path) -> None:
    for path in (tiny.folder / "today", tiny.folder / "rs2.dcm"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    report = import_folder(tiny.folder, tmp_path / "case")
    case = read_case(report.case_file)
    assert case.data.planning_ct_series_uid == tiny.prior.series_uid
    assert case.prior_course[0].ct_series_uid == tiny.prior.series_uid
    uses = {line.uid: line.use for line in report.lines}
    assert uses[tiny.prior.series_uid] == "today's planning CT; CT of Earlier course 1"
    assert "the only CT has a dose already" in report.missing[0]


def test_a_filled_case_can_be_checked(tiny_case: Path, tiny) -> None:
    loaded = check_case(tiny_case).loaded
    assert loaded.inputs.priors[0].course.n_fractions_delivered == 25
    assert loaded.inputs.priors[0].interval_months is None
    assert loaded.inputs.image.series_uid == tiny.today.series_uid
    assert {record.uid for record in loaded.records} >= {tiny.prior_dose.instance_uid}
    assert all(len(record.sha256) == 64 for record in loaded.records)


def test_an_unknown_structure_is_named_with_those_there_are(tiny_case: Path) -> None:
    edit(tiny_case, 'structure = "PTV_4000"', 'structure = "PTV_9999"')
    with pytest.raises(StructureNotFoundError, match=r"'PTV_9999' is not in .* it holds Body"):
        check_case(tiny_case)


def test_a_uid_that_is_not_there_names_its_key(tiny_case: Path, tiny) -> None:
    edit(tiny_case, tiny.prior_dose.instance_uid, "1.2.3")
    with pytest.raises(CaseError, match=r"prior_course\.0\.dose_uid: no RTDOSE with UID"):
        load_case(tiny_case)


def test_a_uid_of_another_kind_is_refused(tiny_case: Path, tiny) -> None:
    edit(tiny_case, tiny.prior_dose.instance_uid, tiny.prior_plan.instance_uid)
    with pytest.raises(CaseError, match="expected a RTDOSE, got the RTPLAN"):
        load_case(tiny_case)


def test_a_dose_of_another_frame_is_refused(tiny_case: Path, tiny) -> None:
    edit(
        tiny_case,
        f'ct_series_uid = "{tiny.prior.series_uid}"',
        f'ct_series_uid = "{tiny.today.series_uid}"',
    )
    with pytest.raises(ReradError, match="frame of reference"):
        load_case(tiny_case)


def test_fractions_that_contradict_the_plan_are_refused(tiny_case: Path) -> None:
    edit(tiny_case, "n_fractions_planned = 25", "n_fractions_planned = 20")
    with pytest.raises(CaseError, match="is 20, but its RTPLAN says 25"):
        load_case(tiny_case)


def test_unknown_delivered_fractions_stop_the_check(tiny_case: Path) -> None:
    edit(tiny_case, "n_fractions_delivered = 25", 'n_fractions_delivered = "unknown"')
    with pytest.raises(ReradError, match="cannot be turned into EQD2 without both"):
        check_case(tiny_case)


def test_half_a_fraction_is_told_where_it_belongs(tiny_case: Path) -> None:
    edit(tiny_case, "n_fractions_delivered = 25", "n_fractions_delivered = 13.5")
    with pytest.raises(CaseError, match=r"write the whole fractions.*partial_fractions"):
        check_case(tiny_case)


def test_unknown_planned_fractions_of_today_stop_the_check(tiny_case: Path) -> None:
    edit(tiny_case, "n_fractions_planned = 22", 'n_fractions_planned = "unknown"')
    with pytest.raises(MissingDataError, match="planned number of fractions"):
        check_case(tiny_case)


def test_unknown_rule_sets_list_what_there_is(tiny_case: Path) -> None:
    edit(tiny_case, 'rule_set = "slevin2021"', 'rule_set = "mine"')
    with pytest.raises(MissingDataError, match="choose one of"):
        load_case(tiny_case)


def test_interval_comes_from_dates_where_it_is_not_stated(tiny_case: Path) -> None:
    text = (tiny_case / "case.toml").read_text(encoding="utf-8")
    head, tail = text.split("[[prior_course]]")
    head = head.replace('start_date = "unknown"', "start_date = 2024-07-01")
    tail = tail.replace('end_date = "unknown"', "end_date = 2023-07-01")
    (tiny_case / "case.toml").write_text(f"{head}[[prior_course]]{tail}", encoding="utf-8")
    interval = load_case(tiny_case).inputs.priors[0].interval_months
    assert interval == pytest.approx(366 / 30.4375)
