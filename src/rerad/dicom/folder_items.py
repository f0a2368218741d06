"""What a file's header says it is: one entry per image series or RT object."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.uid import (
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SpatialRegistrationStorage,
)

from rerad.dicom.doses import QUANTITY_PATTERN, why_not_physical_total
from rerad.dicom.files import read_dataset
from rerad.dicom.headers import (
    count_of,
    date_of,
    items_of,
    number_of,
    patient_position_of,
    position_text,
    text_of,
)
from rerad.dicom.images import MODALITY_OF_CLASS
from rerad.dicom.orientation import are_patient_axes
from rerad.dicom.pet_units import PET_UNITS
from rerad.dicom.series import SliceHeader, sort_slices
from rerad.dicom.structure_sets import referenced_series_of
from rerad.errors import DicomError, InputError

KIND_OF_CLASS = {
    str(RTStructureSetStorage): "RTSTRUCT",
    str(RTPlanStorage): "RTPLAN",
    str(RTDoseStorage): "RTDOSE",
    str(SpatialRegistrationStorage): "REG",
}
"""Objects other than images that a scan lists."""


@dataclass(frozen=True, slots=True)
class FolderItem:
    """One series or one RT object.

    Parameters
    ----------
    kind : str
        CT, PT, MR, RTSTRUCT, RTPLAN, RTDOSE or REG.
    uid : str
        Series UID of images, instance UID of everything else.
    paths : tuple of Path
        Its files; slices in any order.
    description : str
        Series description, label or dose type, in words.
    date : date or None
        Of acquisition or making.
    frame_uid, patient_id, study_uid : str
        As in the file; empty if absent.
    references : tuple of str
        UIDs that it refers to: series, structure set, plans, prior doses.
    structure_names : tuple of str
        Of an RTSTRUCT.
    problems : tuple of str
        Why it cannot be used as it is; empty if it can.
    """

    kind: str
    uid: str
    paths: tuple[Path, ...]
    description: str
    date: date | None
    frame_uid: str
    patient_id: str
    study_uid: str = ""
    references: tuple[str, ...] = ()
    structure_names: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def n_files(self) -> int:
        """Number of files."""
        return len(self.paths)


@dataclass(frozen=True, eq=False, slots=True)
class ScannedHeader:
    """A file with its header, and what is wrong with the file itself."""

    path: Path
    dataset: Dataset
    problem: str = ""


def folder_items(headers: Sequence[ScannedHeader]) -> Iterable[FolderItem]:
    """Gather slices into series; everything else stands alone."""
    series: dict[str, list[ScannedHeader]] = defaultdict(list)
    for header in headers:
        if text_of(header.dataset, "SOPClassUID") in MODALITY_OF_CLASS:
            series[text_of(header.dataset, "SeriesInstanceUID")].append(header)
        else:
            yield _object_item(header)
    for uid, slices in series.items():
        yield _series_item(uid, slices)


def _series_item(uid: str, slices: list[ScannedHeader]) -> FolderItem:
    first = slices[0].dataset
    rows, columns = count_of(first, "Rows"), count_of(first, "Columns")
    description = text_of(first, "SeriesDescription") or "no description"
    return FolderItem(
        kind=str(MODALITY_OF_CLASS[text_of(first, "SOPClassUID")]),
        uid=uid,
        paths=tuple(header.path for header in slices),
        description=f"{description}, {columns}x{rows}, {len(slices)} slices",
        date=_first_date(first, "AcquisitionDate", "SeriesDate", "StudyDate"),
        frame_uid=text_of(first, "FrameOfReferenceUID"),
        patient_id=text_of(first, "PatientID"),
        study_uid=text_of(first, "StudyInstanceUID"),
        problems=_series_problems(slices),
    )


def _series_problems(slices: list[ScannedHeader]) -> tuple[str, ...]:
    broken = [header for header in slices if header.problem]
    problems = [header.problem for header in broken[:1]]
    if len(broken) > 1:
        problems.append(f"{len(broken)} of {len(slices)} files are truncated like that")
    whole = [header for header in slices if not header.problem]
    if not whole:
        return tuple(problems)
    first = whole[0].dataset
    try:
        if text_of(first, "Modality") == "CT":
            patient_position_of(position_text(first), whole[0].path.name)
    except DicomError as error:
        problems.append(str(error))
    if text_of(first, "Modality") == "CT" and "RescaleSlope" not in first:
        problems.append("Rescale Slope is missing")
    units = text_of(first, "Units")
    if text_of(first, "Modality") == "PT" and units not in PET_UNITS:
        problems.append(f"PET units are {units or 'not given'}, not {', '.join(PET_UNITS)}")
    try:
        order = sort_slices([SliceHeader.of(h.dataset, h.path.name) for h in whole])
        if text_of(first, "Modality") == "CT" and not are_patient_axes(order.directions):
            problems.append("the CT is oblique or tilted; resample it to axial slices")
    except (DicomError, InputError) as error:
        problems.append(str(error))
    return tuple(problems)


def _object_item(header: ScannedHeader) -> FolderItem:
    dataset = header.dataset
    kind = KIND_OF_CLASS[text_of(dataset, "SOPClassUID")]
    describe = {"RTSTRUCT": _struct, "RTPLAN": _plan, "RTDOSE": _dose, "REG": _registration}
    description, references, names, problems = describe[kind](dataset)
    problems = (*problems, *_file_problems(header))
    return FolderItem(
        kind=kind,
        uid=text_of(dataset, "SOPInstanceUID"),
        paths=(header.path,),
        description=description,
        date=_first_date(dataset, "StructureSetDate", "RTPlanDate", "SeriesDate", "StudyDate"),
        frame_uid=_frame_of(dataset),
        patient_id=text_of(dataset, "PatientID"),
        study_uid=text_of(dataset, "StudyInstanceUID"),
        references=references,
        structure_names=names,
        problems=problems,
    )


_Description = tuple[str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


def _file_problems(header: ScannedHeader) -> tuple[str, ...]:
    """Say whether an RT object breaks off: the rest of a header does not show it."""
    if header.problem:
        return (header.problem,)
    try:
        read_dataset(header.path)
    except DicomError as error:
        return (str(error),)
    return ()


def _struct(dataset: Dataset) -> _Description:
    names = tuple(text_of(roi, "ROIName") for roi in items_of(dataset, "StructureSetROISequence"))
    label = text_of(dataset, "StructureSetName") or text_of(dataset, "StructureSetLabel")
    series = referenced_series_of(dataset)
    problems = () if names else ("it holds no structure",)
    return f"{label}, {len(names)} structures", (series,) if series else (), names, problems


def _plan(dataset: Dataset) -> _Description:
    groups = items_of(dataset, "FractionGroupSequence")
    n_fractions = number_of(groups[0], "NumberOfFractionsPlanned") if groups else None
    doses = [
        number_of(i, "TargetPrescriptionDose") for i in items_of(dataset, "DoseReferenceSequence")
    ]
    prescribed = sorted({dose for dose in doses if dose}, reverse=True)
    parts = [text_of(dataset, "RTPlanLabel")]
    if prescribed:
        parts.append("/".join(f"{dose:g}" for dose in prescribed) + " Gy")
    if n_fractions:
        parts.append(f"{n_fractions:g} fractions")
    references = _referenced(dataset, "ReferencedStructureSetSequence")
    references += _referenced(dataset, "ReferencedInstanceSequence")
    problems = () if n_fractions else ("the number of fractions is missing",)
    return ", ".join(parts), references, (), problems


def _dose(dataset: Dataset) -> _Description:
    stated = QUANTITY_PATTERN.match(text_of(dataset, "DoseComment"))
    kind = [text_of(dataset, k) or "?" for k in ("DoseType", "DoseSummationType", "DoseUnits")]
    text = " ".join(kind)
    if stated:
        text = f"{stated.group(1)} (alpha/beta {stated.group(2)} Gy), {text}"
    label = text_of(dataset, "SeriesDescription")
    problem = why_not_physical_total(dataset)
    references = _referenced(dataset, "ReferencedRTPlanSequence")
    references += _referenced(dataset, "ReferencedStructureSetSequence")
    return f"{label}, {text}" if label else text, references, (), (problem,) if problem else ()


def _registration(dataset: Dataset) -> _Description:
    series = [
        text_of(i, "SeriesInstanceUID") for i in items_of(dataset, "ReferencedSeriesSequence")
    ]
    text = text_of(dataset, "SeriesDescription") or "spatial registration"
    return text, tuple(uid for uid in series if uid), (), ("registrations are listed, not read",)


def _referenced(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    uids = (text_of(item, "ReferencedSOPInstanceUID") for item in items_of(dataset, keyword))
    return tuple(uid for uid in uids if uid)


def _frame_of(dataset: Dataset) -> str:
    frames = items_of(dataset, "ReferencedFrameOfReferenceSequence")
    stated = text_of(dataset, "FrameOfReferenceUID")
    return stated or (text_of(frames[0], "FrameOfReferenceUID") if frames else "")


def _first_date(dataset: Dataset, *keywords: str) -> date | None:
    days = (date_of(dataset, keyword) for keyword in keywords)
    return next((day for day in days if day is not None), None)
