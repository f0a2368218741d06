"""What is written conforms: two readers that are not rerad find no fault with it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest

from rerad import dicom

OBJECTS = [
    "ct/CT_0001",
    "ct/CT_0006",
    "pt/PT_0002",
    "mr/MR_0001",
    "rs",
    "rp",
    "rp_prior",
    "rd",
    "rd_eqd2",
]
RT_OBJECTS = ["rs", "rp", "rp_prior", "rd", "rd_eqd2", "rd_prior"]
STUDY_COMPONENT_CLASS = "1.2.840.10008.3.1.2.3.1"


def _tool(name: str) -> str:
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed here")
    return found


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", OBJECTS)
def test_dciodvfy_finds_no_error(written, name):
    result = _run(_tool("dciodvfy"), str(written.path(name)))
    errors = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert errors == []
    assert result.returncode == 0


@pytest.mark.parametrize("name", OBJECTS)
def test_dcmdump_reads_it(written, name):
    result = _run(_tool("dcmdump"), str(written.path(name)))
    assert result.returncode == 0
    assert result.stderr == ""


@pytest.mark.parametrize("name", RT_OBJECTS)
def test_drtdump_reads_it_without_a_warning(written, name):
    result = _run(_tool("drtdump"), str(written.path(name)))
    assert result.returncode == 0
    assert result.stderr == ""


def test_drtdump_reads_a_dose_of_32_bits(tmp_path, written):
    path = tmp_path / "rd32.dcm"
    dicom.write_dose(
        written.dose,
        dicom.read_patient(written.path("rs")),
        path,
        study=written.header,
        plans=[written.plan],
        n_bits=32,
    )
    result = _run(_tool("drtdump"), str(path))
    assert (result.returncode, result.stderr) == (0, "")


def _references(dataset: pydicom.Dataset) -> list[tuple[str, str]]:
    """Return (class, instance) of every reference at any depth."""
    found = []
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                found += _references(item)
    if "ReferencedSOPInstanceUID" in dataset:
        found.append((dataset.ReferencedSOPClassUID, dataset.ReferencedSOPInstanceUID))
    return found


def test_every_reference_resolves_within_the_set(written):
    datasets = [pydicom.dcmread(path) for path in written.folder.rglob("*.dcm")]
    instances = {(d.SOPClassUID, d.SOPInstanceUID) for d in datasets}
    studies = {(STUDY_COMPONENT_CLASS, d.StudyInstanceUID) for d in datasets}
    series = {d.SeriesInstanceUID for d in datasets}
    frames = {d.FrameOfReferenceUID for d in datasets}
    assert len(instances) == len(datasets) == 18
    assert len(frames) == 1
    references = [pair for d in datasets for pair in _references(d)]
    assert len(references) > 20
    assert [pair for pair in references if pair not in instances | studies] == []
    rtstruct = pydicom.dcmread(written.path("rs"))
    frame = rtstruct.ReferencedFrameOfReferenceSequence[0]
    assert {frame.FrameOfReferenceUID} == frames
    referenced = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID in series
    assert {i.ReferencedFrameOfReferenceUID for i in rtstruct.StructureSetROISequence} == frames


def test_every_output_has_uids_of_its_own(written):
    datasets = [pydicom.dcmread(path) for path in written.folder.rglob("*.dcm")]
    assert len({d.SOPInstanceUID for d in datasets}) == len(datasets)
    for d in datasets:
        assert d.file_meta.MediaStorageSOPInstanceUID == d.SOPInstanceUID
    objects = [pydicom.dcmread(written.path(name)) for name in RT_OBJECTS]
    assert len({d.SeriesInstanceUID for d in objects}) == len(objects)


def test_plan_is_for_research_and_never_approved(tmp_path, written):
    from dataclasses import replace

    approved = replace(written.plan, approval="APPROVED", label="MINE")
    wrote = dicom.write_plan(
        approved,
        written.machine,
        dicom.read_patient(written.path("rs")),
        tmp_path / "rp.dcm",
        study=written.header,
        image=written.ct,
    )
    assert (wrote.approval, wrote.label) == ("UNAPPROVED", "RSCH_MINE")
    dataset = pydicom.dcmread(tmp_path / "rp.dcm")
    assert dataset.ApprovalStatus == "UNAPPROVED"
    assert dataset.PlanIntent == "RESEARCH"
    assert "Research use only" in dataset.RTPlanDescription


def test_plan_names_the_prior_dose_it_was_made_with(written):
    dataset = pydicom.dcmread(written.path("rp"))
    (item,) = dataset.ReferencedInstanceSequence
    prior = pydicom.dcmread(written.path("rd_prior"))
    assert item.ReferencedSOPInstanceUID == prior.SOPInstanceUID
    (purpose,) = item.PurposeOfReferenceCodeSequence
    assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("129212", "DCM")


def test_eqd2_says_what_it_is(written):
    dataset = pydicom.dcmread(written.path("rd_eqd2"))
    assert (dataset.DoseUnits, dataset.DoseType) == ("GY", "EFFECTIVE")
    assert dataset.DoseSummationType == "MULTI_PLAN"
    assert len(dataset.ReferencedRTPlanSequence) == 2
    assert "EQD2" in dataset.SeriesDescription
    assert dataset.DoseComment.startswith("EQD2 a/b=2.5")
    codes = [item.CodeValue for item in dataset.DerivationCodeSequence]
    assert codes == ["121371", "121377", "121378"]
    assert "linear-quadratic" in dataset.DerivationDescription
    assert "recovery: none" in dataset.DerivationDescription
