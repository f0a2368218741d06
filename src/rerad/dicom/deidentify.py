"""De-identifying a folder: every object cleaned, checked for what must not be left, and written.

Nothing is written unless everything can be. After cleaning, each object is searched for the
patient's names, numbers, dates and UIDs as they were; a find stops the run. Pixels are not looked
at: objects that say that text is burned in, and kinds of objects that usually have it, are left
out by name.
"""

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
    RTBeamsTreatmentRecordStorage,
    RTDoseStorage,
    RTPlanStorage,
    RTStructureSetStorage,
    SpatialRegistrationStorage,
)

from rerad.core import Finding, Severity
from rerad.dicom.deidentify_key import STANDARD_UIDS, PseudonymKey
from rerad.dicom.deidentify_rules import Rules, clean
from rerad.dicom.deidentify_terms import is_own
from rerad.dicom.deidentify_times import spellings
from rerad.dicom.files import UNREADABLE, first_line, guard_parser, write_dataset
from rerad.dicom.headers import code, items, text_of
from rerad.dicom.study import SkippedFile
from rerad.errors import DicomError

HANDLED = {
    str(CTImageStorage): "CT",
    str(MRImageStorage): "MR",
    str(PositronEmissionTomographyImageStorage): "PT",
    str(RTStructureSetStorage): "RTSTRUCT",
    str(RTPlanStorage): "RTPLAN",
    str(RTDoseStorage): "RTDOSE",
    str(RTBeamsTreatmentRecordStorage): "RTRECORD",
    str(SpatialRegistrationStorage): "REG",
}
"""Kinds of objects that are cleaned; others are left out."""

METHOD = "rerad: PS3.15 Basic Profile by allow-list, moments shifted"

SHORTEST_WORD = 3
"""Letters of a part of a name that is looked for; shorter ones are in every other word."""

NAMES = (
    "PatientID", "PatientName", "OtherPatientIDs", "OtherPatientNames", "PatientBirthName",
    "AccessionNumber", "PatientMotherBirthName", "MedicalRecordLocator", "OperatorsName",
    "ReferringPhysicianName", "PhysiciansOfRecord", "PerformingPhysicianName", "ReviewerName",
    "ROIInterpreter",
)  # fmt: skip
"""Where words stand that must not be left anywhere."""

PHRASES = (
    "PatientAddress", "PatientTelephoneNumbers", "InstitutionName", "StationName",
    "DeviceSerialNumber", "InstitutionAddress",
)  # fmt: skip
"""Where texts stand that must not be left as a whole; their words are everybody's."""


@dataclass(frozen=True, slots=True)
class DeidentifiedFolder:
    """What was written.

    Parameters
    ----------
    files : tuple of Path
        New files.
    patients : tuple of str
        Pseudonyms.
    skipped : tuple of SkippedFile
        Left out, each with the reason.
    findings : tuple of Finding
        What whoever passes the files on must weigh.
    """

    files: tuple[Path, ...]
    patients: tuple[str, ...]
    skipped: tuple[SkippedFile, ...]
    findings: tuple[Finding, ...]


def deidentify_folder(
    folder: Path,
    out: Path,
    key: PseudonymKey,
    *,
    keep_characteristics: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DeidentifiedFolder:
    """Clean every object of a folder into a new folder, whole or not at all.

    Parameters
    ----------
    folder : Path
        Read with everything below it.
    out : Path
        Must not be there.
    key : PseudonymKey
        The same key gives the same pseudonyms, UIDs and offsets again.
    keep_characteristics : bool
        Keep sex, age, size and weight (option 113108); SUV needs the weight.
    progress : callable or None
        Called with the number of files done, and of all.

    Returns
    -------
    DeidentifiedFolder

    Raises
    ------
    DicomError
        If `out` is there, no object can be cleaned, or an object still holds what must not be
        left; nothing is written then.
    """
    if out.exists():
        msg = f"expected {out} not to be there, but it is; choose another folder"
        raise DicomError(msg)
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    readable, skipped = _readable(paths)
    if not readable:
        msg = f"{folder} holds no object that can be de-identified; there are {len(paths)} files"
        raise DicomError(msg)
    rules = _rules_of(readable, key, keep_characteristics)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}.", suffix=".part"))
    try:
        names = []
        for number, path in enumerate(readable):
            names.append(_write_clean(path, rules, part))
            if progress is not None:
                progress(number + 1, len(readable))
        part.chmod(0o755)
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return DeidentifiedFolder(
        files=tuple(out / name for name in names),
        patients=tuple(sorted({key.patient_id(p) for p in rules})),
        skipped=tuple(skipped),
        findings=_findings(skipped),
    )


def _readable(paths: Sequence[Path]) -> tuple[list[Path], list[SkippedFile]]:
    """Return the files that can be cleaned, and the others with the reason."""
    kept, skipped = [], []
    for path in paths:
        reason = _why_not(path)
        if reason:
            skipped.append(SkippedFile(path, reason))
        else:
            kept.append(path)
    return kept, skipped


def _why_not(path: Path) -> str:
    """Say why a file is left out; empty if it is not."""
    try:
        header = _read(path, stop_before_pixels=True)
    except DicomError as error:
        return str(error)
    kind = text_of(header, "SOPClassUID")
    if kind not in HANDLED:
        name = pydicom.uid.UID(kind).name if kind else "no SOP class"
        return f"{name}: this kind of object is not cleaned, because it may show or say anything"
    if text_of(header, "BurnedInAnnotation").upper() == "YES":
        return "it says that text is burned into its pixels, and pixels are not cleaned"
    if not text_of(header, "PatientID"):
        return "it has no Patient ID, so that its dates cannot be moved with the others"
    if header.file_meta.get("TransferSyntaxUID") == ExplicitVRBigEndian:
        return "it is big endian, which is not written again"
    return ""


@guard_parser
def _read(path: Path, *, stop_before_pixels: bool = False) -> Dataset:
    """Read a file with every value."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=stop_before_pixels)
    except UNREADABLE as error:
        msg = f"not readable as DICOM ({first_line(error)})"
        raise DicomError(msg) from error
    return dataset


def _rules_of(
    paths: Sequence[Path], key: PseudonymKey, keep_characteristics: bool
) -> dict[str, Rules]:
    """Return the rules of each patient, with the words of all their objects."""
    words: dict[str, set[str]] = {}
    for path in paths:
        header = _read(path, stop_before_pixels=True)
        found = words.setdefault(text_of(header, "PatientID"), set())
        for item in (header, *_items_in(header)):
            for keyword in NAMES:
                found |= set(_words(text_of(item, keyword)))
            phrases = (text_of(item, keyword).lower() for keyword in PHRASES)
            found |= {phrase for phrase in phrases if len(phrase) >= SHORTEST_WORD}
            found |= set(_dates_in(item))
    return {
        patient_id: Rules(key, patient_id, frozenset(found), keep_characteristics)
        for patient_id, found in words.items()
    }


def _items_in(dataset: Dataset) -> Iterator[Dataset]:
    """Return the items of all sequences, at every depth."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield item
                yield from _items_in(item)


def _dates_in(dataset: Dataset) -> Iterator[str]:
    """Return the dates of one data set in every way that people write them."""
    for element in dataset:
        if element.VR in {"DA", "DT"} and element.value:
            for part in (
                element.value if isinstance(element.value, MultiValue) else [element.value]
            ):
                yield from spellings(str(part).replace(".", "")[:8])


def _words(text: str) -> Iterator[str]:
    """Return the words of a name or number that are long enough to be looked for."""
    for word in (text, *re.split(r"[\^=\s,;\\]+", text)):
        plain = word.strip("^=[]' ").lower()
        if len(plain) >= SHORTEST_WORD:
            yield plain


def _write_clean(path: Path, rules: dict[str, Rules], folder: Path) -> str:
    """Clean one object and write it; return its name within the folder."""
    dataset = _read(path)
    kind = HANDLED[text_of(dataset, "SOPClassUID")]
    mine = rules[text_of(dataset, "PatientID")]
    before = _traces(dataset)
    clean(dataset, mine)
    _say_so(dataset, mine)
    _require_clean(dataset, before, mine, path)
    name = f"{text_of(dataset, 'PatientID')}/{kind}_{text_of(dataset, 'SOPInstanceUID')}.dcm"
    write_dataset(_fresh(dataset, path), folder / name)
    return name


def _fresh(dataset: Dataset, path: Path) -> Dataset:
    """Return the data set without the file meta information that it came with.

    Raises
    ------
    DicomError
        If its pixels are compressed: they are written uncompressed or not at all.
    """
    syntax = dataset.file_meta.get("TransferSyntaxUID", "")
    if getattr(syntax, "is_compressed", False) and "PixelData" in dataset:
        try:
            dataset.decompress()
        except (RuntimeError, *UNREADABLE) as error:
            msg = f"{path.name}: its pixels cannot be decompressed ({first_line(error)}); "
            msg += "store it uncompressed first (nothing was written)"
            raise DicomError(msg) from error
    fresh = Dataset()
    fresh.update(dataset)
    return fresh


def _say_so(dataset: Dataset, rules: Rules) -> None:
    """Record in the object what was done, and that a plan is no longer the approved one."""
    dataset.PatientIdentityRemoved = "YES"
    dataset.DeidentificationMethod = METHOD
    options = [
        code("113100", "Basic Application Confidentiality Profile"),
        code("113105", "Clean Descriptors Option"),
        code("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    ]
    if rules.keep_characteristics:
        options.append(code("113108", "Retain Patient Characteristics Option"))
    dataset.DeidentificationMethodCodeSequence = items(*options)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED"
    if "ApprovalStatus" in dataset:
        dataset.ApprovalStatus = "UNAPPROVED"


@dataclass(frozen=True, slots=True)
class _Traces:
    """What an object held and must not hold any more."""

    uids: frozenset[str]
    dates: frozenset[str]


def _values(dataset: Dataset) -> Iterator[tuple[str, str, str]]:
    """Return keyword, representation and text of every value that is text, at every depth."""
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        elif element.VR not in {"OB", "OW", "OF", "OD", "OL", "OV", "UN"}:
            value: Any = element.value
            parts = value if isinstance(value, MultiValue | list) else [value]
            for part in parts:
                yield element.keyword, element.VR, "" if part is None else str(part)


def _traces(dataset: Dataset) -> _Traces:
    """Return UIDs and dates of an object as it came."""
    uids, dates = set(), set()
    for _, kind, text in _values(dataset):
        if kind == "UI" and text and not text.startswith(STANDARD_UIDS):
            uids.add(text)
        elif kind in {"DA", "DT"} and len(text) >= 8:
            dates.add(text.replace(".", "")[:8])
    return _Traces(frozenset(uids), frozenset(dates))


def _require_clean(dataset: Dataset, before: _Traces, rules: Rules, path: Path) -> None:
    """Raise if a text still holds a name, number, date or UID of what came.

    Numbers and times are not searched: ``20240305`` may well be a coordinate. Nor are pseudonyms,
    what cleaning wrote itself, and terms of the standard: a patient may be called Plan.
    """
    for keyword, kind, text in _values(dataset):
        what = ""
        if kind in {"UI"} and text in before.uids:
            what = "UID"
        elif kind in {"DA", "DT"} and text[:8] in before.dates:
            what = "date"
        elif kind in _SEARCHED and not is_own(keyword, kind, text):
            is_dated = any(day in text for day in before.dates)
            what = "date" if is_dated else ("" if rules.is_safe(text) else "name or number")
        if what:
            msg = f"{path.name}: after cleaning, {keyword} still holds a {what} of the patient's; "
            msg += "nothing was written: report which system made the file"
            raise DicomError(msg)


_SEARCHED = frozenset({"AE", "AS", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"})
"""Representations that may hold words."""


def _findings(skipped: Sequence[SkippedFile]) -> tuple[Finding, ...]:
    """Return what must be weighed before files are passed on."""
    found = [
        Finding(
            Severity.CAUTION,
            "pixels-not-inspected",
            "Pixels were not looked at: text drawn into images stays, and a face can be made from "
            "a scan of the head. Burned In Annotation is left as the sender stated it.",
        ),
        Finding(
            Severity.NOTE,
            "intervals-kept",
            "Dates and times of day are moved by one offset for each patient; intervals, anatomy "
            "and dose stay, and can be unique enough to recognise a patient.",
        ),
    ]
    if skipped:
        found.append(
            Finding(
                Severity.CAUTION,
                "files-left-out",
                f"{len(skipped)} files were left out and are not in the output; see the reasons.",
            )
        )
    return tuple(found)
