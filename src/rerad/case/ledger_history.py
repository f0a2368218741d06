"""The history of a patient as planning and report want it, from records or from the ledger."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from rerad.core import (
    Course,
    EventKind,
    HistoryEvent,
    Patient,
    Prescription,
    TreatmentHistory,
)
from rerad.core.clinical_history import (
    Absent,
    ClinicalHistory,
    ClinicalRecord,
    CourseRecord,
    Death,
    Diagnosis,
    DrugDose,
    FollowUp,
    ImagingStudy,
    MuscleStrength,
    OpioidUse,
    Statement,
    Surgery,
    SymptomScore,
    SystemicTherapy,
    Toxicity,
)
from rerad.errors import CaseError
from rerad.ledger import open_ledger, read_history

LONGEST_TITLE = 60
"""Characters of a title that is made from a statement."""


def history_from_ledger(
    where: str | Path, patient_id: str, *, current_course: str = ""
) -> TreatmentHistory:
    """Read a patient's history from the ledger as planning wants it.

    Parameters
    ----------
    where : str or Path
        Path or URL of the ledger; it must be there.
    patient_id : str
        Whose.
    current_course : str
        Key or title of today's course, which is not among the earlier ones; empty if it is not
        in the ledger.

    Returns
    -------
    TreatmentHistory

    Raises
    ------
    LedgerError
        If ledger or patient is not there.
    CaseError
        If `current_course` names no course of the patient.
    """
    ledger = open_ledger(where, may_create=False)
    try:
        history = read_history(ledger, patient_id)
    finally:
        ledger.close()
    if current_course:
        names = {name for c in history.of_kind(CourseRecord) for name in (c.key, c.title)}
        if current_course not in names:
            msg = f"patient {patient_id!r} has no course {current_course!r} in {where}; "
            msg += f"there are {', '.join(sorted(names)) or 'none'}"
            raise CaseError(msg)
    return treatment_history(history, current_course=current_course)


def treatment_history(history: ClinicalHistory, *, current_course: str = "") -> TreatmentHistory:
    """Return a history of records as planning and report want it.

    Parameters
    ----------
    history : ClinicalHistory
        Everything on record.
    current_course : str
        Key or title of today's course; left out of the earlier ones.

    Returns
    -------
    TreatmentHistory
        What planning has no place for stands in the text of its event.
    """
    courses = [
        course
        for course in history.of_kind(CourseRecord)
        if current_course not in {course.key, course.title}
    ]
    return TreatmentHistory(
        patient=patient_of(history),
        summary=history.patient.text,
        courses=tuple(course_of_record(course) for course in courses),
        course_orders=tuple(course.order for course in courses),
        events=tuple(events_of(history.records)),
        unknowns=history.patient.unknowns,
    )


def patient_of(history: ClinicalHistory) -> Patient:
    """Return who a history belongs to, as DICOM says it."""
    patient = history.patient
    return Patient(
        patient_id=patient.patient_id,
        name=_text(patient.name),
        birth_date=_date(patient.birth_date),
        sex=_text(patient.sex),
    )


def course_of_record(record: CourseRecord) -> Course:
    """Return a course as planning wants it: levels of all phases, added up by volume."""
    totals: dict[str, float] = {}
    for phase in record.phases:
        for volume in phase.volumes:
            if isinstance(volume.prescribed_gy, float | int) and volume.prescribed_gy > 0:
                so_far = totals.get(volume.structure, 0.0)
                totals[volume.structure] = so_far + volume.prescribed_gy
    return Course(
        name=record.title,
        site=_text(record.site),
        technique=_text(record.technique),
        prescriptions=tuple(Prescription(name, gy) for name, gy in totals.items()),
        n_fractions_planned=_number(record.n_fractions_planned),
        n_fractions_delivered=_number(record.n_fractions_delivered),
        delivered_dose_gy=_number(record.delivered_dose_gy),
        start=_date(record.start),
        end=_date(record.end),
        grade=record.grade,
        stop_reason=_text(record.stop_reason),
        note=record.text,
        partial_fractions=record.partial_fractions,
    )


def events_of(records: tuple[ClinicalRecord, ...]) -> Iterator[HistoryEvent]:
    """Return the events of records that are no courses, in order."""
    for record in records:
        if isinstance(record, CourseRecord):
            continue
        kind, title = _kind_and_title(record)
        yield HistoryEvent(
            order=record.order,
            kind=kind,
            title=title,
            text=record.text,
            when=_text(record.when),
            date=_date(record.date),
            **_measures(record),
        )


def _kind_and_title(record: ClinicalRecord) -> tuple[EventKind, str]:
    """Return what kind of event a record is, and a few words for it."""
    match record:
        case Diagnosis():
            return EventKind.DIAGNOSIS, record.title
        case Surgery():
            return EventKind.SURGERY, _text(record.operation) or "Surgery"
        case SystemicTherapy():
            return EventKind.SYSTEMIC, record.title
        case ImagingStudy():
            return EventKind.IMAGING, record.modality[:1].upper() + record.modality[1:]
        case SymptomScore():
            return EventKind.SYMPTOM, _placed(record.symptom, record.site)
        case MuscleStrength():
            return EventKind.FUNCTION, _placed("muscle strength", record.muscle_group)
        case OpioidUse():
            return EventKind.DRUG, _opioid_title(record)
        case Statement():
            return record.kind, record.title
        case Toxicity():
            return EventKind.OUTCOME, _graded(record)
        case FollowUp():
            return EventKind.OUTCOME, "Follow-up"
        case Death():
            return EventKind.OUTCOME, "Death"
    return EventKind.OUTCOME, record.text[:LONGEST_TITLE]


def _placed(what: str, where: object) -> str:
    """Return what and, if it is known, where."""
    place = _text(where)
    return what.capitalize() + (f", {place}" if place else "")


def _graded(record: Toxicity) -> str:
    """Return an adverse event with its grade."""
    grade = record.grade.value if isinstance(record.grade, Absent) else str(record.grade)
    return f"{record.term}, grade {grade}"


def _opioid_title(record: OpioidUse) -> str:
    """Return an opioid as prescribed."""
    dose = DrugDose(drug=record.drug, dose_mg=record.dose_mg)
    if isinstance(dose.dose_mg, Absent) or isinstance(record.every_hours, Absent):
        return record.drug.capitalize()
    return f"{record.drug.capitalize()} {dose.dose_mg:g} mg every {record.every_hours:g} h"


def _measures(record: ClinicalRecord) -> dict[str, Any]:
    """Return pain, strength and opioid of a record, as far as it has them."""
    if isinstance(record, SymptomScore) and record.symptom.strip().lower() == "pain":
        if not record.is_from_0_to_10:
            return {}
        low, high = _number(record.lowest), _number(record.highest)
        return {} if low is None or high is None else {"pain_score": (float(low), float(high))}
    if isinstance(record, MuscleStrength):
        return {"muscle_grade": _text(record.grade)}
    if isinstance(record, OpioidUse):
        return {"oral_morphine_mg_day": _number(record.oral_morphine_mg_day)}
    return {}


def _text(value: object) -> str:
    """Return a text, empty where it is absent."""
    return value if isinstance(value, str) else ""


def _date(value: object) -> date | None:
    """Return a date, None where it is absent."""
    return value if isinstance(value, date) else None


def _number(value: Any) -> Any:
    """Return a number, None where it is absent."""
    return None if isinstance(value, Absent) else value
