"""Parts of a header that all objects share: patient, study, series, equipment, frame."""

import logging
from dataclasses import dataclass, field
from datetime import date, time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from rerad.core import Patient, PatientPosition
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.uids import UidFactory
from rerad.errors import DicomError, InputError

_log = logging.getLogger(__name__)

RESEARCH_NOTE = "Research use only; recalculate and check in a commissioned planning system."
"""Written into every plan and into the series of every dose."""

CHARACTER_SET = "ISO_IR 192"
"""UTF-8."""

UNSUPPORTED_POSITIONS = {
    "HFDR": "head first, right side down",
    "HFDL": "head first, left side down",
    "FFDR": "feet first, right side down",
    "FFDL": "feet first, left side down",
}
"""Patient positions that DICOM knows and rerad refuses."""

POSITION_CODES = {
    "102540008": "HF",
    "F-10470": "HF",
    "102541007": "FF",
    "F-10480": "FF",
    "40199007": "S",
    "F-10340": "S",
    "1240000": "P",
    "F-10310": "P",
}
"""SNOMED CT codes of patient position (Context Groups 20 and 21), and their older SRT forms."""


@dataclass(frozen=True, slots=True)
class StudyHeader:
    """What the objects of one study share in their headers.

    Parameters
    ----------
    study_uid : str
        Study Instance UID.
    study_date : date or None
        None means unknown and is written as an empty value.
    study_time : time or None
        Likewise.
    study_description, study_id, accession_number : str
        Free text; may be empty.
    manufacturer : str
        Who made the objects.
    series_number : int
        Number of the series about to be written.
    series_description : str
        Used where the object itself does not say more.
    uids : UidFactory
        Where new UIDs come from.
    """

    study_uid: str
    study_date: date | None = None
    study_time: time | None = None
    study_description: str = ""
    study_id: str = ""
    accession_number: str = ""
    manufacturer: str = "rerad"
    series_number: int = 1
    series_description: str = ""
    uids: UidFactory = field(default_factory=UidFactory)

    def __post_init__(self) -> None:
        if not self.study_uid:
            msg = "a study header needs a Study Instance UID; make one with UidFactory().new"
            raise InputError(msg)


@guard_parser
def read_patient(path: Path) -> Patient:
    """Read who a DICOM file belongs to.

    Parameters
    ----------
    path : Path
        Any DICOM file.

    Returns
    -------
    Patient
        Unknown values empty or None.

    Raises
    ------
    DicomError
        If the file cannot be read.
    """
    return patient_of(read_dataset(path))


def patient_of(dataset: Dataset) -> Patient:
    """Return the patient that a data set names."""
    sex = text_of(dataset, "PatientSex").upper()
    return Patient(
        patient_id=text_of(dataset, "PatientID"),
        name=text_of(dataset, "PatientName"),
        birth_date=date_of(dataset, "PatientBirthDate"),
        sex=sex if sex in {"F", "M", "O"} else "",
    )


def patient_position_of(value: str, where: str) -> PatientPosition:
    """Return the patient position, or refuse one that is absent or not handled, by name.

    Raises
    ------
    DicomError
        If `value` is empty, decubitus, sitting or unknown.
    """
    if value in {position.value for position in PatientPosition}:
        return PatientPosition(value)
    if not value:
        msg = f"{where}: expected a Patient Position (0018,5100), found none; export it again"
        raise DicomError(msg)
    meaning = UNSUPPORTED_POSITIONS.get(value, "not supported")
    msg = f"{where}: expected patient position HFS, FFS, HFP or FFP, got {value} ({meaning})"
    raise DicomError(msg)


def position_text(dataset: Dataset) -> str:
    """Return the patient position as a data set says it, directly or in codes; empty if neither.

    Emission images say by codes how the patient lay (PS3.3 C.8.4.6).
    """
    stated = text_of(dataset, "PatientPosition").upper()
    recumbent = items_of(dataset, "PatientOrientationCodeSequence")
    gantry = items_of(dataset, "PatientGantryRelationshipCodeSequence")
    if stated or not recumbent or not gantry:
        return stated
    facing = items_of(recumbent[0], "PatientOrientationModifierCodeSequence")
    first = POSITION_CODES.get(text_of(gantry[0], "CodeValue"), "")
    side = POSITION_CODES.get(text_of(facing[0], "CodeValue"), "") if facing else ""
    return first + side if first and side else ""


def set_position_codes(dataset: Dataset, position: PatientPosition) -> None:
    """Say in codes how the patient lies."""
    recumbent = code("102538003", "recumbent", "SCT")
    is_supine = position in {PatientPosition.HFS, PatientPosition.FFS}
    facing = ("40199007", "supine") if is_supine else ("1240000", "prone")
    recumbent.PatientOrientationModifierCodeSequence = items(code(*facing, "SCT"))
    dataset.PatientOrientationCodeSequence = items(recumbent)
    is_head_first = position in {PatientPosition.HFS, PatientPosition.HFP}
    entry = ("102540008", "headfirst") if is_head_first else ("102541007", "feet-first")
    dataset.PatientGantryRelationshipCodeSequence = items(code(*entry, "SCT"))


def text_of(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as text; empty if absent or empty."""
    try:
        value = dataset.get(keyword)
    except (TypeError, ValueError):
        return ""
    return "" if value is None else str(value).strip()


def raw_text_of(dataset: Dataset, keyword: str) -> str:
    """Return an attribute as the file writes it, also where it breaks its own rules."""
    try:
        item = dataset.get_item(keyword)
    except (KeyError, TypeError, ValueError):
        return ""
    value = None if item is None else item.value
    if isinstance(value, bytes):
        return value.decode("latin-1").strip(" \0")
    return "" if value is None else str(value).strip()


def date_of(dataset: Dataset, keyword: str) -> date | None:
    """Return a DA attribute as a date; None if absent, empty or not a date."""
    text = text_of(dataset, keyword).replace(".", "").replace("-", "")[:8]
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def number_of(dataset: Dataset, keyword: str) -> float | None:
    """Return a numeric attribute; None if absent, empty or not a number."""
    try:
        value = dataset.get(keyword)
        return None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def count_of(dataset: Dataset, keyword: str, otherwise: int = 0) -> int:
    """Return a whole-number attribute; `otherwise` if absent, empty, zero or not a number."""
    value = number_of(dataset, keyword)
    return int(value) if value else otherwise


def numbers_of(dataset: Dataset, keyword: str) -> list[float]:
    """Return a numeric attribute of any multiplicity; empty if absent or not numeric."""
    element = dataset.get_item(keyword)
    if element is None or element.value is None:
        return []
    try:
        if isinstance(element, RawDataElement) and element.VR in {"DS", None}:
            raw = bytes(element.value).rstrip(b" \0")
            return [float(part) for part in raw.split(b"\\")] if raw else []
        return [float(v) for v in np.atleast_1d(dataset[keyword].value)]
    except (TypeError, ValueError):
        return []


def items_of(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence; an empty list if it is absent, empty or no sequence."""
    value = dataset.get(keyword)
    return list(value) if isinstance(value, DicomSequence) else []


def ds(value: float) -> DSfloat:
    """Return a number as a decimal string of at most 16 characters, as exact as those allow."""
    return DSfloat(float(value), auto_format=True)


def set_decimals(dataset: Dataset, keyword: str, values: ArrayLike, digits: int = 4) -> None:
    """Set a long DS attribute from an array, rounded to `digits` decimals.

    The bytes are made here, because validating each of some hundred thousand contour
    coordinates on its own takes longer than all the rest of writing.
    """
    flat = np.asarray(values, dtype=np.float64).ravel()
    rounded = np.round(flat, digits) + 0.0  # adding zero turns -0 into 0
    raw = "\\".join([f"{value:.10g}" for value in rounded.tolist()]).encode("ascii")
    raw += b" " * (len(raw) % 2)
    dataset[keyword] = RawDataElement(Tag(keyword), "DS", len(raw), raw, 0, False, True)
    dataset.set_original_encoding(
        is_implicit_vr=False, is_little_endian=True, character_encoding=default_encoding
    )


def items(*datasets: Dataset) -> DicomSequence:
    """Return a sequence of items."""
    return DicomSequence(datasets)


def make_item(**attributes: Any) -> Dataset:
    """Return a sequence item with these attributes."""
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return item


def reference(sop_class_uid: str, instance_uid: str) -> Dataset:
    """Return an item that refers to an instance."""
    return make_item(ReferencedSOPClassUID=sop_class_uid, ReferencedSOPInstanceUID=instance_uid)


def code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    """Return a code sequence item."""
    return make_item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def dicom_date(day: date | None) -> str:
    """Return a date as DA; empty for unknown."""
    return "" if day is None else f"{day:%Y%m%d}"


def dicom_time(moment: time | None) -> str:
    """Return a time as TM; empty for unknown."""
    return "" if moment is None else f"{moment:%H%M%S}"


def new_dataset(
    sop_class_uid: str, modality: str, patient: Patient, study: StudyHeader
) -> Dataset:
    """Return a data set with the modules that all objects share, under new UIDs.

    Holds SOP Common, Patient, General Study, General Series and General Equipment; the series
    is new too.
    """
    new = Dataset()
    new.SpecificCharacterSet = CHARACTER_SET
    new.SOPClassUID = sop_class_uid
    new.SOPInstanceUID = study.uids.new(f"{modality} instance")
    new.PatientName = patient.name
    new.PatientID = patient.patient_id
    new.PatientBirthDate = dicom_date(patient.birth_date)
    new.PatientSex = patient.sex
    new.StudyInstanceUID = study.study_uid
    new.StudyDate = dicom_date(study.study_date)
    new.StudyTime = dicom_time(study.study_time)
    new.StudyID = require_text_length(study.study_id, 16, "study ID")
    new.AccessionNumber = require_text_length(study.accession_number, 16, "accession number")
    new.ReferringPhysicianName = ""
    if study.study_description:
        new.StudyDescription = require_text_length(
            study.study_description, 64, "study description"
        )
    new.Modality = modality
    new.SeriesInstanceUID = study.uids.new(f"{modality} series")
    new.SeriesNumber = study.series_number
    if study.series_description:
        new.SeriesDescription = require_text_length(
            study.series_description, 64, "series description"
        )
    new.Manufacturer = study.manufacturer
    new.ManufacturerModelName = "rerad"
    new.SoftwareVersions = version("rerad")
    return new


def require_text_length(text: str, longest: int, what: str) -> str:
    """Return `text`, or raise `DicomError` if DICOM has no room for it."""
    if len(text) > longest:
        msg = f"{what}: expected at most {longest} characters, got {len(text)}; shorten it"
        raise DicomError(msg)
    return text
