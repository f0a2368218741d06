"""A report goes into a DICOM object and comes out byte for byte."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pydicom
import pytest

from rerad.core import Patient
from rerad.dicom import StudyHeader, UidFactory
from rerad.dicom.encapsulated_pdf import (
    object_identity,
    read_encapsulated_pdf,
    write_encapsulated_pdf,
)
from rerad.errors import DicomError, InputError

PATIENT = Patient("P-1", "Doe^Jane", None, "F")
MADE = datetime(2026, 1, 2, 3, 4, 5)


@pytest.fixture
def header() -> StudyHeader:
    return StudyHeader(study_uid=UidFactory("pdf").new("study"), uids=UidFactory("pdf"))


@pytest.mark.parametrize("content", [b"%PDF-1.7\nodd!", b"%PDF-1.7\neven"])
def test_the_pdf_comes_back_byte_for_byte(
    tmp_path: Path, header: StudyHeader, content: bytes
) -> None:
    path = tmp_path / "report.dcm"
    plan = ("1.2.840.10008.5.1.4.1.1.481.5", "1.2.3")
    uid = write_encapsulated_pdf(
        content, "Report", PATIENT, path, study=header, made=MADE, sources=(plan,)
    )
    read = read_encapsulated_pdf(path)
    assert (read.content, read.title, read.instance_uid) == (content, "Report", uid)
    dataset = pydicom.dcmread(path)
    assert dataset.BurnedInAnnotation == "YES"
    assert dataset.SourceInstanceSequence[0].ReferencedSOPInstanceUID == "1.2.3"
    tool = Path(sys.executable).parent / "dciodvfy"
    if tool.exists():
        said = subprocess.run(
            [str(tool), str(path)], capture_output=True, text=True, check=False, timeout=60
        ).stderr
        assert [line for line in said.splitlines() if line.startswith("Error")] == []


def test_what_is_no_pdf_is_refused(tmp_path: Path, header: StudyHeader) -> None:
    with pytest.raises(InputError, match="expected a PDF, got 5 bytes"):
        write_encapsulated_pdf(b"hello", "x", PATIENT, tmp_path / "a.dcm", study=header, made=MADE)
    path = tmp_path / "a.dcm"
    write_encapsulated_pdf(b"%PDF-", "x", PATIENT, path, study=header, made=MADE)
    dataset = pydicom.dcmread(path)
    dataset.EncapsulatedDocumentLength = 99
    dataset.save_as(path)
    with pytest.raises(DicomError, match="expected 99 bytes of PDF, got 6"):
        read_encapsulated_pdf(path)
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    dataset.save_as(path)
    with pytest.raises(DicomError, match="expected an Encapsulated PDF, got DOC"):
        read_encapsulated_pdf(path)


def test_an_object_is_named_without_being_loaded(written, tmp_path: Path) -> None:
    path = written.path("rd")
    dataset = pydicom.dcmread(path)
    assert object_identity(path) == (dataset.SOPClassUID, dataset.SOPInstanceUID)
    # a dose that breaks off within its pixels can still be named
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(path.read_bytes()[:-200])
    assert object_identity(cut) == object_identity(path)
    (tmp_path / "no.dcm").write_text("no object", encoding="utf-8")
    with pytest.raises(DicomError, match=r"expected a DICOM object, but no\.dcm cannot be parsed"):
        object_identity(tmp_path / "no.dcm")
