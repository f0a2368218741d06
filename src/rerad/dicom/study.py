"""What is in this folder? Every file is named: what it is, what it refers to, why it is skipped.

Only headers are read. Images are gathered by series, other objects stand alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SpatialRegistrationStorage,
)

from rerad.core import Finding, Severity
from rerad.dicom.doses import QUANTITY_PATTERN, why_not_physical_total
from rerad.dicom.files import UNREADABLE, set_transfer_syntax
from rerad.dicom.headers import (
    UNSUPPORTED_POSITIONS,
    date_of,
    items_of,
    number_of,
    text_of,
)
from rerad.dicom.images import ENHANCED, MODALITY_OF_CLASS
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

SCANNED = [
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "FrameOfReferenceUID",
    "PatientID",
    "Modality",
    "ImageType",
    "SeriesDescription",
    "StudyDescription",
    "AcquisitionDate",
    "SeriesDate",
    "StudyDate",
    "Rows",
    "Columns",
    "NumberOfFrames",
    "BitsAllocated",
    "SamplesPerPixel",
    "PixelSpacing",
    "SliceThickness",
    "SpacingBetweenSlices",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PatientPosition",
    "RescaleSlope",
    "Units",
    "StructureSetLabel",
    "StructureSetName",
    "StructureSetDate",
    "StructureSetROISequence",
    "ReferencedFrameOfReferenceSequence",
    "RTPlanLabel",
    "RTPlanDate",
    "FractionGroupSequence",
    "ReferencedStructureSetSequence",
    "ReferencedInstanceSequence",
    "DoseReferenceSequence",
    "DoseUnits",
    "DoseType",
    "DoseSummationType",
    "DoseComment",
    "ReferencedRTPlanSequence",
    "ReferencedSeriesSequence",
]
"""Attributes that a scan reads; the rest is jumped over."""


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


@dataclass(frozen=True, slots=True)
class SkippedFile:
    """A file that is not used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class FolderScan:
    """All that a folder holds.

    Parameters
    ----------
    items : tuple of FolderItem
        Series and objects, by date and kind.
    skipped : tuple of SkippedFile
        Every other file.
    findings : tuple of Finding
        What concerns the folder as a whole.
    patient_ids : tuple of str
        All that occur.
    """

    items: tuple[FolderItem, ...]
    skipped: tuple[SkippedFile, ...] = ()
    findings: tuple[Finding, ...] = ()
    patient_ids: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[FolderItem, ...]:
        """Return the items of one kind."""
        return tuple(item for item in self.items if item.kind == kind)


@dataclass(frozen=True, eq=False, slots=True)
class _Header:
    path: Path
    dataset: Dataset
    problem: str = field(default="")


def scan_folder(folder: Path, progress: Callable[[int, int], None] | None = None) -> FolderScan:
    """List what a folder and its subfolders hold.

    Parameters
    ----------
    folder : Path
        Folder to search.
    progress : callable or None
        Called with the number of files looked at and their total.

    Returns
    -------
    FolderScan
        Series and objects, skipped files with reasons, findings.

    Raises
    ------
    InputError
        If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        msg = f"expected a folder at {folder}, found none; check the path"
        raise InputError(msg)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    headers: list[_Header] = []
    skipped: list[SkippedFile] = []
    with ThreadPoolExecutor(max_workers=4) as pool:
        for n_done, result in enumerate(pool.map(_look_at, paths), start=1):
            if isinstance(result, SkippedFile):
                skipped.append(result)
            else:
                headers.append(result)
            if progress is not None:
                progress(n_done, len(paths))
    kept = _without_duplicates(headers, skipped)
    items = sorted(_items(kept), key=lambda item: (item.date or date.min, item.kind, item.uid))
    patient_ids = tuple(sorted({item.patient_id for item in items}))
    return FolderScan(
        items=tuple(items),
        skipped=tuple(sorted(skipped, key=lambda entry: entry.path)),
        findings=_findings(items, patient_ids),
        patient_ids=patient_ids,
    )


def _look_at(path: Path) -> _Header | SkippedFile:
    """Read a header, or say why the file is skipped."""
    try:
        with path.open("rb") as handle:
            start = handle.read(132)
    except OSError as error:
        return SkippedFile(path, f"cannot be opened ({error.strerror})")
    if not start:
        return SkippedFile(path, "is empty")
    has_preamble = start[128:132] == b"DICM"
    if not has_preamble and start[:2] not in {b"\x08\x00", b"\x02\x00"}:
        return SkippedFile(path, "is not DICOM")
    try:
        dataset = pydicom.dcmread(
            path, stop_before_pixels=True, force=True, specific_tags=list(SCANNED)
        )
        sop_class = text_of(dataset, "SOPClassUID")
    except UNREADABLE as error:
        return SkippedFile(path, f"is DICOM that cannot be parsed ({error})")
    if not sop_class:
        media = text_of(getattr(dataset, "file_meta", Dataset()), "MediaStorageSOPClassUID")
        what = UID(media).name if media else "no SOP class"
        reason = f"is a {what} without content"
        if "Directory" in what:
            reason = "is a DICOMDIR, an index of other files"
        return SkippedFile(path, f"{reason}; it may be truncated" if not media else reason)
    return _judge(path, dataset, sop_class)


def _judge(path: Path, dataset: Dataset, sop_class: str) -> _Header | SkippedFile:
    if sop_class in ENHANCED:
        return SkippedFile(path, f"is {ENHANCED[sop_class]} (multi-frame), which is not read")
    if sop_class not in MODALITY_OF_CLASS and sop_class not in KIND_OF_CLASS:
        return SkippedFile(path, f"is {UID(sop_class).name}, which rerad has no use for")
    if "LOCALIZER" in [str(part).upper() for part in dataset.get("ImageType") or []]:
        return SkippedFile(path, "is a localizer (scout view)")
    return _Header(path, dataset, _truncation(path, dataset))


def _truncation(path: Path, dataset: Dataset) -> str:
    """Say whether a file is too short for its pixels; empty if not or if that cannot be known."""
    set_transfer_syntax(dataset)
    if UID(dataset.file_meta.TransferSyntaxUID).is_compressed or "Rows" not in dataset:
        return ""
    n_values = int(dataset.Rows) * int(dataset.Columns) * int(dataset.get("NumberOfFrames") or 1)
    expected = n_values * int(dataset.get("BitsAllocated") or 16) // 8
    found = path.stat().st_size
    if found >= expected:
        return ""
    return f"{path.name} is truncated: {found} bytes, but its pixels alone take {expected}"


def _without_duplicates(headers: list[_Header], skipped: list[SkippedFile]) -> list[_Header]:
    first: dict[str, Path] = {}
    kept = []
    for header in headers:
        uid = text_of(header.dataset, "SOPInstanceUID")
        if uid in first:
            reason = f"duplicates {first[uid].name} (same SOP Instance UID)"
            skipped.append(SkippedFile(header.path, reason))
            continue
        first[uid] = header.path
        kept.append(header)
    return kept


def _items(headers: Sequence[_Header]) -> Iterable[FolderItem]:
    series: dict[str, list[_Header]] = defaultdict(list)
    for header in headers:
        if text_of(header.dataset, "SOPClassUID") in MODALITY_OF_CLASS:
            series[text_of(header.dataset, "SeriesInstanceUID")].append(header)
        else:
            yield _object_item(header)
    for uid, slices in series.items():
        yield _series_item(uid, slices)


def _series_item(uid: str, slices: list[_Header]) -> FolderItem:
    first = slices[0].dataset
    rows, columns = int(first.get("Rows") or 0), int(first.get("Columns") or 0)
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


def _series_problems(slices: list[_Header]) -> tuple[str, ...]:
    problems = [header.problem for header in slices if header.problem]
    first = slices[0].dataset
    position = text_of(first, "PatientPosition")
    if not position:
        problems.append("Patient Position is missing")
    elif position in UNSUPPORTED_POSITIONS:
        problems.append(f"patient position {position} is not handled")
    if text_of(first, "Modality") == "CT" and "RescaleSlope" not in first:
        problems.append("Rescale Slope is missing")
    units = text_of(first, "Units")
    if text_of(first, "Modality") == "PT" and units != "BQML":
        problems.append(f"PET units are {units or 'not given'}, not BQML")
    try:
        sort_slices([SliceHeader.of(header.dataset, header.path.name) for header in slices])
    except (DicomError, InputError) as error:
        problems.append(str(error))
    return tuple(problems)


def _object_item(header: _Header) -> FolderItem:
    dataset = header.dataset
    kind = KIND_OF_CLASS[text_of(dataset, "SOPClassUID")]
    describe = {"RTSTRUCT": _struct, "RTPLAN": _plan, "RTDOSE": _dose, "REG": _registration}
    description, references, names, problems = describe[kind](dataset)
    if header.problem:
        problems = (*problems, header.problem)
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


def _findings(items: list[FolderItem], patient_ids: tuple[str, ...]) -> tuple[Finding, ...]:
    findings = []
    if len(patient_ids) > 1:
        counts = Counter(item.patient_id for item in items)
        text = (
            f"the folder holds {len(patient_ids)} patients "
            f"({', '.join(str(counts[p]) for p in patient_ids)} objects); keep one in a folder"
        )
        findings.append(Finding(Severity.SERIOUS, "several-patients", text))
    present = {item.uid for item in items}
    for item in items:
        absent = [uid for uid in item.references if uid not in present]
        if absent:
            text = f"{item.kind} {item.description} refers to {len(absent)} object(s) not here"
            findings.append(Finding(Severity.NOTE, "reference-not-here", text, item.uid))
    return tuple(findings)
