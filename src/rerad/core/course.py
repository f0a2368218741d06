"""What was done to the patient before: courses, and everything else that happened.

Unknown is a value of its own here: None means that nobody could say, never zero.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from rerad.core.patient import Patient
from rerad.core.plan import Prescription
from rerad.errors import CourseNotFoundError, InputError


class RecordGrade(StrEnum):
    """How much of a course is on record; it travels into every result made from it."""

    FULL_DICOM = "full DICOM (CT, structures, plan, dose)"
    DOSE_GRID = "dose grid only"
    DVH_OR_POINTS = "DVH or point doses only"
    PAPER = "paper record only"
    UNKNOWN = "unknown"


def poorest_grade(grades: Iterable[RecordGrade]) -> RecordGrade | None:
    """Return the grade that a result made from several courses has; None of no course.

    Examples
    --------
    >>> poorest_grade([RecordGrade.PAPER, RecordGrade.FULL_DICOM])
    <RecordGrade.PAPER: 'paper record only'>
    """
    order = list(RecordGrade)
    return max(grades, key=order.index, default=None)


@dataclass(frozen=True, slots=True)
class Course:
    """One course of radiotherapy as planned and as delivered.

    Parameters
    ----------
    name : str
        What to call it.
    site, technique : str
        Free text; empty for unknown.
    prescriptions : tuple of Prescription
        Levels of a simultaneous integrated boost are separate entries.
    n_fractions_planned, n_fractions_delivered : int or None
        None means unknown.
    delivered_dose_gy : float or None
        Dose recorded as delivered, if the record states one of its own.
    start, end : date or None
        First and last fraction; None means unknown.
    grade : RecordGrade
        How much is on record.
    stop_reason : str
        Why it ended early; empty if it did not or if nobody said.
    note : str
        Anything else on the record.
    partial_fractions : tuple of float
        Share of the monitor units given in each fraction that was broken off for good, above 0
        and below 1; these are not among the delivered ones.
    """

    name: str
    site: str
    technique: str
    prescriptions: tuple[Prescription, ...]
    n_fractions_planned: int | None
    n_fractions_delivered: int | None
    delivered_dose_gy: float | None = None
    start: datetime.date | None = None
    end: datetime.date | None = None
    grade: RecordGrade = RecordGrade.UNKNOWN
    stop_reason: str = ""
    note: str = ""
    partial_fractions: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "prescriptions", tuple(self.prescriptions))
        if not all(0 < share < 1 for share in self.partial_fractions):
            msg = (
                f"course {self.name}: expected shares of a fraction above 0 and below 1, got "
                f"{self.partial_fractions}"
            )
            raise InputError(msg)
        for count in (self.n_fractions_planned, self.n_fractions_delivered):
            if count is not None and count < 0:
                msg = f"course {self.name}: expected 0 or more fractions, got {count}"
                raise InputError(msg)
        if self.start is not None and self.end is not None and self.end < self.start:
            msg = f"course {self.name}: ends on {self.end}, before it starts on {self.start}"
            raise InputError(msg)

    @property
    def is_stopped_early(self) -> bool:
        """Whether fewer fractions were delivered than planned, as far as is known."""
        planned, delivered = self.n_fractions_planned, self.n_fractions_delivered
        return planned is not None and delivered is not None and delivered < planned


class EventKind(StrEnum):
    """What kind of thing happened."""

    DIAGNOSIS = "diagnosis"
    SURGERY = "surgery"
    SYSTEMIC = "systemic therapy"
    IMAGING = "imaging"
    SYMPTOM = "symptom"
    FUNCTION = "function"
    DRUG = "drug"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """One thing that happened, in the order of the record.

    Parameters
    ----------
    order : int
        Place in the story; courses take their places among the events.
    kind : EventKind
        What kind of thing.
    title : str
        A few words.
    text : str
        The record's statement.
    when : str
        As the record says it ("one month after course 2"); empty for unknown.
    date : date or None
        None means unknown.
    pain_score : tuple of float or None
        Lowest and highest of a 0-10 score.
    muscle_grade : str
        Verbatim ("2+"); empty if not stated.
    oral_morphine_mg_day : float or None
        Daily oral morphine equivalent, if it can be stated.
    """

    order: int
    kind: EventKind
    title: str
    text: str
    when: str = ""
    date: datetime.date | None = None
    pain_score: tuple[float, float] | None = None
    muscle_grade: str = ""
    oral_morphine_mg_day: float | None = None


@dataclass(frozen=True, slots=True)
class TreatmentHistory:
    """Everything on record about a patient.

    Parameters
    ----------
    patient : Patient
        Who.
    summary : str
        One sentence: who and why.
    courses : tuple of Course
        Earlier courses in order; today's course is not among them.
    course_orders : tuple of int
        Place of each course among the events.
    events : tuple of HistoryEvent
        Surgery, drugs, imaging, symptoms, outcome.
    unknowns : tuple of str
        What nobody could say, in words.
    """

    patient: Patient
    summary: str
    courses: tuple[Course, ...]
    course_orders: tuple[int, ...]
    events: tuple[HistoryEvent, ...]
    unknowns: tuple[str, ...]

    def course(self, name: str) -> Course:
        """Return the course of that name, or raise `CourseNotFoundError`."""
        for course in self.courses:
            if course.name == name:
                return course
        known = ", ".join(course.name for course in self.courses) or "none"
        msg = f"course {name!r} is not in the history; it holds {known}"
        raise CourseNotFoundError(msg)
