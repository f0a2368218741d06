"""A report as a DICOM object: Encapsulated PDF, so that it lies beside the plan it speaks of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pydicom
from pydicom.uid import EncapsulatedPDFStorage

from rerad.core import Patient
from rerad.dicom.files import UNREADABLE, first_line, guard_parser, read_dataset, write_dataset
from rerad.dicom.headers import (
    StudyHeader,
    dicom_date,
    items,
    new_dataset,
    reference,
    require_text_length,
    text_of,
)
from rerad.errors import DicomError, InputError

PDF_START = b"%PDF-"


@dataclass(frozen=True, slots=True)
class EncapsulatedPdf:
    """A PDF that was read.

    Parameters
    ----------
    title : str
        Document Title.
    content : bytes
        The PDF, byte for byte as it was put in.
    instance_uid : str
        SOP Instance UID.
    """

    title: str
    content: bytes
    instance_uid: str


def write_encapsulated_pdf(
    content: bytes,
    title: str,
    patient: Patient,
    path: Path,
    *,
    study: StudyHeader,
    made: datetime,
    sources: Sequence[tuple[str, str]] = (),
) -> str:
    """Write a PDF as a DICOM object.

    Parameters
    ----------
    content : bytes
        The PDF.
    title : str
        At most 64 characters.
    patient : Patient
        Whom it is about; its pages name the patient too, which is said in the object.
    path : Path
        Where to; written beside and renamed.
    study : StudyHeader
        Of the plan that it speaks of.
    made : datetime
        When the report was made.
    sources : sequence of (str, str)
        SOP Class and Instance UID of the objects that it was made from, the plan for example.

    Returns
    -------
    str
        SOP Instance UID.

    Raises
    ------
    InputError
        If `content` is no PDF.
    """
    if not content.startswith(PDF_START):
        msg = f"expected a PDF, got {len(content)} bytes that begin with {content[:8]!r}"
        raise InputError(msg)
    new = new_dataset(str(EncapsulatedPDFStorage), "DOC", patient, study)
    new.InstanceNumber = 1
    new.ConversionType = "WSD"
    new.ContentDate = dicom_date(made.date())
    new.ContentTime = f"{made:%H%M%S}"
    new.AcquisitionDateTime = ""
    new.BurnedInAnnotation = "YES"
    new.DocumentTitle = require_text_length(title, 64, "document title")
    new.ConceptNameCodeSequence = items()
    new.MIMETypeOfEncapsulatedDocument = "application/pdf"
    new.EncapsulatedDocumentLength = len(content)
    # the standard wants an even number of bytes; the length above says where the PDF ends
    new.EncapsulatedDocument = content + b"\0" * (len(content) % 2)
    if sources:
        new.SourceInstanceSequence = items(*(reference(*source) for source in sources))
    write_dataset(new, path)
    return str(new.SOPInstanceUID)


@guard_parser
def read_encapsulated_pdf(path: Path) -> EncapsulatedPdf:
    """Read a PDF from a DICOM object.

    Parameters
    ----------
    path : Path
        Encapsulated PDF.

    Returns
    -------
    EncapsulatedPdf

    Raises
    ------
    DicomError
        If it is another object, or holds no PDF.
    """
    dataset = read_dataset(path)
    if text_of(dataset, "SOPClassUID") != EncapsulatedPDFStorage:
        msg = f"{path.name}: expected an Encapsulated PDF, got {text_of(dataset, 'Modality')}"
        raise DicomError(msg)
    held = bytes(dataset.get("EncapsulatedDocument", b""))
    length = int(dataset.get("EncapsulatedDocumentLength", 0) or len(held))
    if not held.startswith(PDF_START) or length > len(held):
        msg = f"{path.name}: expected {length} bytes of PDF, got {len(held)} of something else"
        raise DicomError(msg)
    return EncapsulatedPdf(
        title=text_of(dataset, "DocumentTitle"),
        content=held[:length],
        instance_uid=text_of(dataset, "SOPInstanceUID"),
    )


@guard_parser
def object_identity(path: Path) -> tuple[str, str]:
    """Return SOP Class and Instance UID of any DICOM object, as `sources` takes them.

    Only the two are read: a dose need not be loaded to be named.

    Raises
    ------
    DicomError
        If the file is no DICOM object.
    """
    wanted = ["SOPClassUID", "SOPInstanceUID"]
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted)
    except UNREADABLE as error:
        msg = f"expected a DICOM object, but {path.name} cannot be parsed ({first_line(error)})"
        raise DicomError(msg) from error
    return text_of(dataset, "SOPClassUID"), text_of(dataset, "SOPInstanceUID")
