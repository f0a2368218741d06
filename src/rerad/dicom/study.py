"""What is in this folder? Every file is named: what it is, what it refers to, why it is skipped.

Only headers are read. Images are gathered by series, other objects stand alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import UID, RTDoseStorage

from rerad.core import Finding, Severity
from rerad.dicom.files import (
    UNCOMPRESSED,
    UNREADABLE,
    first_line,
    guard_parser,
    set_transfer_syntax,
)
from rerad.dicom.folder_items import KIND_OF_CLASS, FolderItem, ScannedHeader, folder_items
from rerad.dicom.headers import (
    count_of,
    text_of,
)
from rerad.dicom.images import ENHANCED, MODALITY_OF_CLASS
from rerad.errors import InputError

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
    "PatientOrientationCodeSequence",
    "PatientGantryRelationshipCodeSequence",
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


@guard_parser
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
    headers: list[ScannedHeader] = []
    skipped: list[SkippedFile] = []
    for n_done, path in enumerate(paths, start=1):
        result = _look_at(path)
        if isinstance(result, SkippedFile):
            skipped.append(result)
        else:
            headers.append(result)
        if progress is not None:
            progress(n_done, len(paths))
    kept = _without_duplicates(headers, skipped)
    items = sorted(
        folder_items(kept), key=lambda item: (item.date or date.min, item.kind, item.uid)
    )
    patient_ids = tuple(sorted({item.patient_id for item in items}))
    return FolderScan(
        items=tuple(items),
        skipped=tuple(sorted(skipped, key=lambda entry: entry.path)),
        findings=_findings(items, patient_ids),
        patient_ids=patient_ids,
    )


def _look_at(path: Path) -> ScannedHeader | SkippedFile:
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
        set_transfer_syntax(dataset)
        for _ in dataset.iterall():  # values are parsed when asked for: ask now
            pass
        sop_class = text_of(dataset, "SOPClassUID")
        return _judge(path, dataset, sop_class) if sop_class else _without_content(path, dataset)
    except UNREADABLE as error:
        return SkippedFile(path, f"is DICOM that cannot be parsed ({first_line(error)})")


def _without_content(path: Path, dataset: Dataset) -> SkippedFile:
    """Say what a file without SOP class is."""
    media = text_of(dataset.file_meta, "MediaStorageSOPClassUID")
    if not media:
        return SkippedFile(path, "has no SOP class; it may be truncated")
    name = UID(media).name
    if "Directory" in name:
        return SkippedFile(path, "is a DICOMDIR, an index of other files")
    return SkippedFile(path, f"is a {name} without content; it may be truncated")


def _judge(path: Path, dataset: Dataset, sop_class: str) -> ScannedHeader | SkippedFile:
    if sop_class in ENHANCED:
        return SkippedFile(path, f"is {ENHANCED[sop_class]} (multi-frame), which is not read")
    if sop_class not in MODALITY_OF_CLASS and sop_class not in KIND_OF_CLASS:
        return SkippedFile(path, f"is {UID(sop_class).name}, which rerad has no use for")
    if "LOCALIZER" in [str(part).upper() for part in dataset.get("ImageType") or []]:
        return SkippedFile(path, "is a localizer (scout view)")
    problem = _truncation(path, dataset)
    if problem and "SeriesInstanceUID" not in dataset:
        return SkippedFile(path, problem.removeprefix(f"{path.name} "))
    return ScannedHeader(path, dataset, problem)


def _truncation(path: Path, dataset: Dataset) -> str:
    """Say whether a file is too short for its pixels; empty if not or if that cannot be known."""
    has_pixels = text_of(dataset, "SOPClassUID") in {*MODALITY_OF_CLASS, str(RTDoseStorage)}
    if not has_pixels or str(dataset.file_meta.TransferSyntaxUID) not in UNCOMPRESSED:
        return ""
    if "Rows" not in dataset or "Columns" not in dataset:
        return f"{path.name} is truncated: it breaks off before its pixels"
    n_values = (
        count_of(dataset, "Rows")
        * count_of(dataset, "Columns")
        * count_of(dataset, "NumberOfFrames", 1)
    )
    expected = n_values * count_of(dataset, "BitsAllocated", 16) // 8
    found = path.stat().st_size
    if found >= expected:
        return ""
    return f"{path.name} is truncated: {found} bytes, but its pixels alone take {expected}"


def _without_duplicates(
    headers: list[ScannedHeader], skipped: list[SkippedFile]
) -> list[ScannedHeader]:
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


def _findings(items: list[FolderItem], patient_ids: tuple[str, ...]) -> tuple[Finding, ...]:
    findings = []
    if len(patient_ids) > 1:
        counts = Counter(item.patient_id for item in items)
        text = (
            f"the folder holds {len(patient_ids)} patients "
            f"({', '.join(str(counts[p]) for p in patient_ids)} objects); keep one in a folder"
        )
        findings.append(Finding(Severity.SERIOUS, "several-patients", text))
    findings += _repeated_doses(items)
    present = {item.uid for item in items}
    for item in items:
        absent = [uid for uid in item.references if uid not in present]
        if absent:
            text = f"{item.kind} {item.description} refers to {len(absent)} object(s) not here"
            findings.append(Finding(Severity.NOTE, "reference-not-here", text, item.uid))
    return tuple(findings)


def _repeated_doses(items: list[FolderItem]) -> list[Finding]:
    """Say where one plan has several physical doses: which is meant is not for rerad to guess."""
    of_plan: dict[tuple[str, ...], list[FolderItem]] = defaultdict(list)
    for item in items:
        if item.kind == "RTDOSE" and item.references and not item.problems:
            of_plan[item.references].append(item)
    return [
        Finding(
            Severity.CAUTION,
            "several-doses-of-one-plan",
            f"{len(doses)} physical doses belong to one plan ("
            + ", ".join(dose.paths[0].name for dose in doses)
            + "); name the right one in the case file",
            plan[0],
        )
        for plan, doses in of_plan.items()
        if len(doses) > 1
    ]
