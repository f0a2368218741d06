"""What the ledger keeps about a patient: one frozen record for each thing on record.

Absence has three kinds, and none of them is zero or empty: somebody asked and nobody could say
(`Absent.UNKNOWN`), the question makes no sense here (`Absent.NOT_APPLICABLE`), or nobody has
asked yet (`Absent.NOT_ASKED`, the default of every field that may be absent).

A record has a `key` that stays the same through all its revisions and an `order`, its place in
the patient's story, because dates are often the first thing that a record lacks. What a record
says in words is kept beside what was read from it. Doses in Gy, drugs in mg.
"""

import datetime
import re
from collections import Counter
from dataclasses import dataclass, fields
from enum import Enum
from typing import TypeVar

from rerad.core.course import EventKind, RecordGrade
from rerad.errors import CourseNotFoundError, InputError


class Absent(Enum):
    """Why a value is not there."""

    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"
    NOT_ASKED = "not asked"


UNKNOWN, NOT_APPLICABLE, NOT_ASKED = Absent.UNKNOWN, Absent.NOT_APPLICABLE, Absent.NOT_ASKED

MaybeText = str | Absent
MaybeNumber = float | Absent
MaybeCount = int | Absent
MaybeDate = datetime.date | Absent
MaybeBool = bool | Absent

SIDES = ("right", "left", "both", "midline")
"""Sides of the body."""

MUSCLE_GRADES = (
    "0", "1", "1+", "2-", "2", "2+", "3-", "3", "3+", "4-", "4", "4+", "5-", "5",
)  # fmt: skip
"""Muscle grades from none to full strength, after MRC and Kendall: an order, not a measure."""


def known(value: object) -> bool:
    """Return whether a value is there."""
    return not isinstance(value, Absent)


def muscle_ordinal(grade: str) -> int | Absent:
    """Return the place of a muscle grade among `MUSCLE_GRADES`, or unknown for other words.

    Places may be compared and nothing else: steps between them are not equal.

    Examples
    --------
    >>> muscle_ordinal("2+") < muscle_ordinal("4")
    True
    """
    text = grade.strip().replace("−", "-")
    return MUSCLE_GRADES.index(text) if text in MUSCLE_GRADES else Absent.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalRecord:
    """What every record has.

    Parameters
    ----------
    key : str
        Name of the record within the patient: letters, digits, ``-``, ``_`` and ``.``.
    order : int
        Place in the story, among all records.
    text : str
        What the source says, in its words or in a summary.
    when : str or Absent
        When, in the source's words ("one month after course 2").
    date : date or Absent
        Day, if it is known.
    source : str or Absent
        Where the statement was read.
    """

    key: str
    order: int
    text: str
    when: MaybeText = NOT_ASKED
    date: MaybeDate = NOT_ASKED
    source: MaybeText = NOT_ASKED

    def __post_init__(self) -> None:
        check_record(self)


def check_record(record: ClinicalRecord) -> None:
    """Raise `InputError` if a record breaks what all records promise."""
    where = f"{type(record).__name__} {record.key!r}"
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", record.key):
        msg = f"{where}: expected a key of 1 to 64 letters, digits, '-', '_' and '.'"
        raise InputError(msg)
    _check_texts(record, where)


def _check_texts(item: object, where: str) -> None:
    """Refuse words for absence as text, and numbers that are none or negative."""
    words = {kind.value for kind in Absent}
    for field in fields(item):  # type: ignore[arg-type]
        value = getattr(item, field.name)
        if isinstance(value, Enum):
            continue
        if isinstance(value, str) and value.strip().lower() in words:
            msg = f"{where}: {field.name} is the text {value!r}; use a value of Absent"
            raise InputError(msg)
        if isinstance(value, str) and "\x00" in value:
            msg = f"{where}: {field.name} holds a zero character; take it out"
            raise InputError(msg)
        if isinstance(value, float | int) and not (0 <= value < float("inf")):
            msg = f"{where}: expected {field.name} to be 0 or more, got {value}"
            raise InputError(msg)
        if field.name == "side" and isinstance(value, str) and value not in SIDES:
            msg = f"{where}: expected side to be one of {', '.join(SIDES)}, got {value!r}"
            raise InputError(msg)
        if isinstance(value, tuple):
            for part in value:
                if not isinstance(part, str | float | int):
                    _check_texts(part, f"{where}: {field.name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRecord(ClinicalRecord):
    """Who the patient is; `text` is one sentence on who and why."""

    key: str = "patient"
    order: int = 0
    patient_id: str
    name: MaybeText = NOT_ASKED
    birth_date: MaybeDate = NOT_ASKED
    sex: MaybeText = NOT_ASKED
    age_years: MaybeCount = NOT_ASKED
    unknowns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_record(self)
        if not self.patient_id.strip():
            msg = "a patient needs a patient ID, got an empty one"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis(ClinicalRecord):
    """A disease with its stage and histology."""

    title: str
    site: MaybeText = NOT_ASKED
    histology: MaybeText = NOT_ASKED
    stage: MaybeText = NOT_ASKED
    stage_system: MaybeText = NOT_ASKED
    is_metastatic: MaybeBool = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Surgery(ClinicalRecord):
    """An operation."""

    operation: MaybeText = NOT_ASKED
    site: MaybeText = NOT_ASKED
    findings: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class DrugDose:
    """One drug of a regimen: dose of one administration in mg, days between administrations."""

    drug: str
    dose_mg: MaybeNumber = NOT_ASKED
    every_days: MaybeNumber = NOT_ASKED
    route: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemicTherapy(ClinicalRecord):
    """A regimen with its cycles; `concurrent_with` is the key of a radiotherapy course."""

    title: str
    setting: MaybeText = NOT_ASKED
    n_cycles_planned: MaybeCount = NOT_ASKED
    n_cycles_given: MaybeCount = NOT_ASKED
    concurrent_with: MaybeText = NOT_ASKED
    drugs: tuple[DrugDose, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingFinding:
    """What an imaging study shows at one place."""

    statement: str
    site: MaybeText = NOT_ASKED
    side: MaybeText = NOT_ASKED
    is_abnormal: MaybeBool = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingStudy(ClinicalRecord):
    """An imaging study with its findings."""

    modality: str
    region: MaybeText = NOT_ASKED
    study_uid: MaybeText = NOT_ASKED
    findings: tuple[ImagingFinding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseVolume:
    """Dose to one volume in one phase: prescribed, planned and delivered are three things."""

    structure: str
    prescribed_gy: MaybeNumber = NOT_ASKED
    planned_gy: MaybeNumber = NOT_ASKED
    delivered_gy: MaybeNumber = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursePhase:
    """One phase of a course; levels of an integrated boost are volumes of one phase."""

    name: str
    n_fractions_planned: MaybeCount = NOT_ASKED
    n_fractions_delivered: MaybeCount = NOT_ASKED
    start: MaybeDate = NOT_ASKED
    end: MaybeDate = NOT_ASKED
    volumes: tuple[PhaseVolume, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomReference:
    """A DICOM object or series that belongs to a course, by UID and hash of its bytes."""

    kind: str
    uid: str
    sha256: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDose:
    """Highest physical dose of one organ, where no dose distribution is on record."""

    structure: str
    max_gy: MaybeNumber = NOT_ASKED
    source: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseRecord(ClinicalRecord):
    """A course of radiotherapy; `months_since_previous` from the course before."""

    title: str
    site: MaybeText = NOT_ASKED
    technique: MaybeText = NOT_ASKED
    modality: MaybeText = NOT_ASKED
    intent: MaybeText = NOT_ASKED
    institution: MaybeText = NOT_ASKED
    is_reirradiation: MaybeBool = NOT_ASKED
    n_fractions_planned: MaybeCount = NOT_ASKED
    n_fractions_delivered: MaybeCount = NOT_ASKED
    delivered_dose_gy: MaybeNumber = NOT_ASKED
    start: MaybeDate = NOT_ASKED
    end: MaybeDate = NOT_ASKED
    months_since_previous: MaybeNumber = NOT_ASKED
    stop_reason: MaybeText = NOT_ASKED
    grade: RecordGrade = RecordGrade.UNKNOWN
    phases: tuple[CoursePhase, ...] = ()
    partial_fractions: tuple[float, ...] = ()
    point_doses: tuple[PointDose, ...] = ()
    references: tuple[DicomReference, ...] = ()

    def __post_init__(self) -> None:
        check_record(self)
        if not all(0 < share < 1 for share in self.partial_fractions):
            msg = f"course {self.key!r}: expected shares of a fraction above 0 and below 1, got "
            msg += f"{self.partial_fractions}"
            raise InputError(msg)
        spans = [(self.start, self.end), *((phase.start, phase.end) for phase in self.phases)]
        for start, end in spans:
            if isinstance(start, datetime.date) and isinstance(end, datetime.date) and end < start:
                msg = f"course {self.key!r}: ends on {end}, before it starts on {start}"
                raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class SymptomScore(ClinicalRecord):
    """A symptom on a scale, as a range where the record gives one."""

    symptom: str
    scale: MaybeText = NOT_ASKED
    lowest: MaybeNumber = NOT_ASKED
    highest: MaybeNumber = NOT_ASKED
    site: MaybeText = NOT_ASKED
    side: MaybeText = NOT_ASKED
    is_treated_site: MaybeBool = NOT_ASKED

    def __post_init__(self) -> None:
        check_record(self)
        low, high = self.lowest, self.highest
        if not isinstance(low, Absent) and not isinstance(high, Absent) and low > high:
            msg = f"symptom {self.key!r}: lowest score {low} is above the highest, {high}"
            raise InputError(msg)

    @property
    def is_from_0_to_10(self) -> bool:
        """Whether the scores can be read on a scale from 0 to 10: no other scale is stated."""
        scores = [s for s in (self.lowest, self.highest) if not isinstance(s, Absent)]
        is_longer = isinstance(self.scale, str) and "100" in self.scale
        return not is_longer and all(0 <= score <= 10 for score in scores)


@dataclass(frozen=True, slots=True, kw_only=True)
class MuscleStrength(ClinicalRecord):
    """Muscle strength: the grade as written, and its place in the order of grades."""

    grade: MaybeText = NOT_ASKED
    ordinal: MaybeCount = NOT_ASKED
    scale: MaybeText = NOT_ASKED
    side: MaybeText = NOT_ASKED
    muscle_group: MaybeText = NOT_ASKED

    def __post_init__(self) -> None:
        if isinstance(self.grade, str):
            ordinal = muscle_ordinal(self.grade)
            if self.ordinal not in {NOT_ASKED, ordinal}:
                msg = f"strength {self.key!r}: grade {self.grade!r} has ordinal {ordinal}, "
                msg += f"got {self.ordinal}; leave the ordinal out"
                raise InputError(msg)
            object.__setattr__(self, "ordinal", ordinal)
        check_record(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpioidUse(ClinicalRecord):
    """An opioid as prescribed, and as daily oral morphine equivalent by a named table."""

    drug: str
    dose_mg: MaybeNumber = NOT_ASKED
    every_hours: MaybeNumber = NOT_ASKED
    route: MaybeText = NOT_ASKED
    oral_morphine_mg_day: MaybeNumber = NOT_ASKED
    conversion_table: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Toxicity(ClinicalRecord):
    """An adverse event with its grade; `course` is the key of the course it is put down to."""

    term: str
    system: MaybeText = NOT_ASKED
    grade: MaybeCount = NOT_ASKED
    attribution: MaybeText = NOT_ASKED
    course: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp(ClinicalRecord):
    """A visit: whether the patient lives, and the ECOG performance status."""

    is_alive: MaybeBool = NOT_ASKED
    ecog: MaybeCount = NOT_ASKED
    disease_status: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Death(ClinicalRecord):
    """Death with its cause."""

    cause: MaybeText = NOT_ASKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement(ClinicalRecord):
    """What the source says and no other record has a place for."""

    kind: EventKind
    title: str


RECORD_KINDS: dict[str, type[ClinicalRecord]] = {
    "patient": PatientRecord,
    "diagnosis": Diagnosis,
    "surgery": Surgery,
    "systemic_therapy": SystemicTherapy,
    "imaging": ImagingStudy,
    "course": CourseRecord,
    "symptom": SymptomScore,
    "strength": MuscleStrength,
    "opioid": OpioidUse,
    "toxicity": Toxicity,
    "follow_up": FollowUp,
    "death": Death,
    "statement": Statement,
}
"""Every kind of record by the name that files, tables and commands use."""

_Kind = TypeVar("_Kind", bound=ClinicalRecord)


def kind_of(record: ClinicalRecord) -> str:
    """Return the name of a record's kind."""
    return next(name for name, kind in RECORD_KINDS.items() if kind is type(record))


@dataclass(frozen=True, slots=True)
class ClinicalHistory:
    """Everything on record about one patient, in the order of the story.

    Parameters
    ----------
    patient : PatientRecord
        Who.
    records : tuple of ClinicalRecord
        Everything else; sorted by `order`, keys are unique.
    """

    patient: PatientRecord
    records: tuple[ClinicalRecord, ...]

    def __post_init__(self) -> None:
        counts = Counter(record.key for record in (self.patient, *self.records))
        twice = sorted(key for key, count in counts.items() if count > 1)
        if twice:
            msg = f"expected every record to have a key of its own, but {', '.join(twice)} is "
            msg += "used more than once; give the others another key"
            raise InputError(msg)
        ordered = tuple(sorted(self.records, key=lambda record: (record.order, record.key)))
        object.__setattr__(self, "records", ordered)

    def of_kind(self, kind: type[_Kind]) -> tuple[_Kind, ...]:
        """Return the records of one kind, in order."""
        return tuple(record for record in self.records if isinstance(record, kind))

    def course(self, key: str) -> CourseRecord:
        """Return the course of that key, or raise `CourseNotFoundError`."""
        courses = self.of_kind(CourseRecord)
        for course in courses:
            if course.key == key:
                return course
        names = ", ".join(course.key for course in courses) or "none"
        msg = f"course {key!r} is not in the history of this patient; it holds {names}"
        raise CourseNotFoundError(msg)
