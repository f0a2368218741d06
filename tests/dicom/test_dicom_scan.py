"""A scan says of every file what it is, or why it is skipped."""

import shutil

import pydicom
import pytest

from rerad import dicom
from rerad.core import Severity
from rerad.errors import InputError


def test_a_whole_study(written):
    seen = []
    scan = dicom.scan_folder(
        written.folder, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(n, 18) for n in range(1, 19)]
    assert scan.skipped == ()
    assert scan.findings == ()
    assert scan.patient_ids == ("TINY-1",)
    kinds = [item.kind for item in scan.items]
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "CT": 1, "PT": 1, "MR": 1, "RTSTRUCT": 1, "RTPLAN": 2, "RTDOSE": 3,
    }  # fmt: skip
    (ct,) = scan.of_kind("CT")
    assert (ct.uid, ct.n_files, ct.problems) == (written.ct.series_uid, 6, ())
    assert ct.frame_uid == written.ct.grid.frame_uid
    assert ct.date == written.header.study_date
    assert ct.description == "planning CT, 28x20, 6 slices"
    (structures,) = scan.of_kind("RTSTRUCT")
    assert structures.structure_names == ("Ring", "GTV", "Seed", "SacralPlex_R")
    assert structures.references == (written.ct.series_uid,)
    plan = next(i for i in scan.of_kind("RTPLAN") if i.uid == written.plan.instance_uid)
    assert plan.references[0] == written.structures.instance_uid
    assert plan.description == "RSCH_TINY, 40/33 Gy, 22 fractions"
    doses = {item.uid: item for item in scan.of_kind("RTDOSE")}
    assert doses[written.dose.instance_uid].references == (written.plan.instance_uid,)
    assert doses[written.dose.instance_uid].problems == ()
    eqd2 = doses[written.eqd2.instance_uid]
    assert "EQD2 (alpha/beta 2.5 Gy)" in eqd2.description
    assert "DoseType PHYSICAL, got EFFECTIVE" in eqd2.problems[0]


def test_what_is_found_can_be_read(written):
    scan = dicom.scan_folder(written.folder)
    (ct,) = scan.of_kind("CT")
    assert dicom.read_image(ct.paths).grid.has_same_voxels(written.ct.grid)


def _spoil(tiny, edit):
    shutil.copy(tiny.ct_paths[0], tiny.folder / "zz_copy.dcm")
    (tiny.folder / "readme.txt").write_text("hello")
    (tiny.folder / "empty").write_bytes(b"")
    scout = tiny.folder / "scout.dcm"
    shutil.copy(tiny.ct_paths[0], scout)
    edit(scout, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"], SOPInstanceUID="2.25.7")
    capture = tiny.folder / "capture.dcm"
    shutil.copy(tiny.ct_paths[0], capture)
    edit(capture, SOPClassUID="1.2.840.10008.5.1.4.1.1.7", SOPInstanceUID="2.25.8")
    stub = tiny.folder / "stub.dcm"
    stub.write_bytes(tiny.ct_paths[0].read_bytes()[:150])


def test_skipped_files_say_why(tiny, edit):
    _spoil(tiny, edit)
    scan = dicom.scan_folder(tiny.folder)
    reasons = {entry.path.name: entry.reason for entry in scan.skipped}
    assert reasons.pop("zz_copy.dcm") == "duplicates CT_0001.dcm (same SOP Instance UID)"
    assert reasons.pop("readme.txt") == "is not DICOM"
    assert reasons.pop("empty") == "is empty"
    assert reasons.pop("scout.dcm") == "is a localizer (scout view)"
    assert "Secondary Capture" in reasons.pop("capture.dcm")
    assert "truncated" in reasons.pop("stub.dcm")
    assert reasons == {}
    n_used = sum(item.n_files for item in scan.items)
    assert n_used + len(scan.skipped) == len([p for p in tiny.folder.rglob("*") if p.is_file()])


def test_problems_are_named(tiny, edit):
    tiny.ct_paths[2].unlink()
    last = tiny.ct_paths[-1]
    last.write_bytes(last.read_bytes()[:1000])
    struct = tiny.path("rs")
    struct.write_bytes(struct.read_bytes()[:-40])
    edit(tiny.path("rd"), DoseUnits="RELATIVE")
    scan = dicom.scan_folder(tiny.folder)
    (ct,) = scan.of_kind("CT")
    text = " | ".join(ct.problems)
    assert "CT_0006.dcm is truncated" in text
    assert "missing between z=-37.00 and z=-31.00 mm" in text
    (structures,) = scan.of_kind("RTSTRUCT")
    assert "truncated" in structures.problems[0]
    dose = next(i for i in scan.of_kind("RTDOSE") if i.uid == tiny.dose.instance_uid)
    assert "RELATIVE" in dose.problems[0]


def test_mixed_series_is_a_problem(tiny, edit):
    edit(tiny.ct_paths[1], FrameOfReferenceUID="1.2.3")
    (ct,) = dicom.scan_folder(tiny.folder).of_kind("CT")
    assert "expected slices of one frame of reference" in ct.problems[0]


def test_two_patients_are_a_serious_finding(tiny, edit):
    edit(tiny.path("rd"), PatientID="SOMEONE-ELSE")
    scan = dicom.scan_folder(tiny.folder)
    assert scan.patient_ids == ("SOMEONE-ELSE", "TINY-1")
    (finding,) = [f for f in scan.findings if f.code == "several-patients"]
    assert finding.severity is Severity.SERIOUS


def test_reference_to_an_absent_object_is_noted(tiny):
    tiny.path("rs").unlink()
    scan = dicom.scan_folder(tiny.folder)
    codes = [finding.code for finding in scan.findings]
    assert codes == ["reference-not-here", "reference-not-here"]


def test_absent_folder(tmp_path):
    with pytest.raises(InputError, match="expected a folder"):
        dicom.scan_folder(tmp_path / "nowhere")


def test_real_plans_are_listed(shared_data):
    scan = dicom.scan_folder(shared_data / "elekta_6mv_water")
    plans = scan.of_kind("RTPLAN")
    assert len(plans) == 2
    assert all(plan.problems == () for plan in plans)
    assert {"is not DICOM"} == {entry.reason for entry in scan.skipped}


def test_scan_reads_no_pixels(written, monkeypatch):
    read = pydicom.dcmread
    calls = []

    def spy(path, **settings):
        calls.append(settings.get("stop_before_pixels", False))
        return read(path, **settings)

    monkeypatch.setattr(pydicom, "dcmread", spy)
    dicom.scan_folder(written.folder / "ct")
    assert calls == [True] * 6


def test_two_doses_of_one_plan_are_a_finding(tiny):
    patient = dicom.read_patient(tiny.path("rs"))
    dicom.write_dose(
        tiny.dose, patient, tiny.path("rd_again"), study=tiny.header, plans=[tiny.plan]
    )
    (finding,) = dicom.scan_folder(tiny.folder).findings
    assert finding.code == "several-doses-of-one-plan"
    assert "2 physical doses belong to one plan (rd" in finding.text
    assert finding.where == tiny.plan.instance_uid
