"""From the tables of a history file, or of a case file, to records, and the other way.

Keys that are left out are made from kind and place in the story. The oral morphine equivalent of
an opioid is worked out where drug and dose are known and the source does not state it; the table
that was used is named in the record.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from rerad.case.history_schema import (
    NOT_ASKED,
    CourseTable,
    EventTable,
    HistoryFile,
    HistoryTables,
    PriorCourseTable,
    RecordTable,
)
from rerad.case.schema import CaseFile
from rerad.core import EventKind, RecordGrade
from rerad.core.clinical_history import (
    RECORD_KINDS,
    UNKNOWN,
    Absent,
    ClinicalHistory,
    ClinicalRecord,
    CourseRecord,
    MuscleStrength,
    OpioidUse,
    PatientRecord,
    Statement,
    SymptomScore,
    known,
)
from rerad.core.record_documents import from_item_document, item_document
from rerad.outcome import opioid_table, oral_morphine_mg_day

OPIOID_TABLE = "cdc-2022"
"""Version that equivalents are worked out with; it is written into every record that has one."""

WHOLE_COURSE = "whole course"
"""Name of the phase of a course whose record speaks of no phases."""

RENAMED = {"name": "title", "note": "text", "start_date": "start", "end_date": "end"}
"""Keys of a course's table, and the fields of its record."""

OF_THE_CASE = frozenset({
    "ct_series_uid", "structure_set_uid", "plan_uid", "dose_uid", "interval_months",
    "registration_uid", "registration", "guides", "landmarks",
    "treated_regions", "treatment_records",
})  # fmt: skip
"""Keys of a course that say how its files are used today; UIDs become references."""

REFERENCES = {
    "ct_series_uid": "CT",
    "structure_set_uid": "RTSTRUCT",
    "plan_uid": "RTPLAN",
    "dose_uid": "RTDOSE",
}
"""Kind of object that each UID of a course names."""


def clinical_history(file: HistoryFile) -> ClinicalHistory:
    """Return the history of a history file.

    Parameters
    ----------
    file : HistoryFile
        As read.

    Returns
    -------
    ClinicalHistory

    Raises
    ------
    InputError
        If a record contradicts itself, or two have the same key.
    """
    table = file.patient
    content = table.model_dump() | {"text": table.summary, "unknowns": file.unknowns}
    del content["summary"]
    patient = from_item_document(PatientRecord, _asked(content))
    courses = (course_record(course) for course in file.course)
    return ClinicalHistory(patient, (*records_of(file), *courses))


def case_history(file: CaseFile, patient_id: str) -> ClinicalHistory:
    """Return the history part of a case file, today's course included.

    Parameters
    ----------
    file : CaseFile
        As read.
    patient_id : str
        A case file has none: it stands in the DICOM files.

    Returns
    -------
    ClinicalHistory

    Raises
    ------
    InputError
        If a record contradicts itself, or two have the same key.
    """
    content = {
        "patient_id": patient_id,
        "text": file.patient.summary,
        "age_years": file.patient.age_years,
        "unknowns": file.unknowns,
    }
    priors = sorted(file.prior_course, key=lambda table: table.order)
    current = course_record(file.current_course)
    if priors and not known(current.months_since_previous):
        interval = priors[-1].interval_months
        months = UNKNOWN if isinstance(interval, str) else float(interval)
        current = replace(current, months_since_previous=months)
    courses = (*(course_record(table) for table in priors), current)
    patient = from_item_document(PatientRecord, content)
    return ClinicalHistory(patient, (*records_of(file), *courses))


def records_of(tables: HistoryTables) -> Iterator[ClinicalRecord]:
    """Return the records of every table but courses."""
    for kind in HistoryTables.model_fields:
        for table in getattr(tables, kind):
            if isinstance(table, EventTable):
                yield event_record(table)
            else:
                yield _record(kind, table)


def _record(kind: str, table: RecordTable) -> ClinicalRecord:
    """Return the record of a table that has the fields of its kind."""
    content = _asked(table.model_dump())
    content["key"] = table.key or f"{kind.replace('_', '-')}-{table.order}"
    record: ClinicalRecord = from_item_document(RECORD_KINDS[kind], content)
    return with_equivalent(record) if isinstance(record, OpioidUse) else record


def _asked(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table without what nobody has asked, in its inner tables too."""
    found: dict[str, Any] = {}
    for name, value in content.items():
        if value == NOT_ASKED:
            continue
        if isinstance(value, list | tuple):
            value = [_asked(part) if isinstance(part, Mapping) else part for part in value]
        found[name] = value
    return found


def with_equivalent(record: OpioidUse) -> OpioidUse:
    """Return an opioid with its oral morphine equivalent, if it can be worked out.

    By the table that the record names, else by the newest.
    """
    dose, hours = record.dose_mg, record.every_hours
    route = record.route if isinstance(record.route, str) else "oral"
    named = record.conversion_table
    if known(record.oral_morphine_mg_day) or isinstance(dose, Absent) or isinstance(hours, Absent):
        return record
    table = opioid_table(named if isinstance(named, str) else OPIOID_TABLE)
    if hours <= 0 or route.lower() != "oral" or record.drug.strip().lower() not in table.oral:
        return record
    equivalent = oral_morphine_mg_day(record.drug, dose, hours, table)
    return replace(record, oral_morphine_mg_day=equivalent, conversion_table=table.name)


def event_record(table: EventTable) -> ClinicalRecord:
    """Return an event as the record that its numbers make it: pain, strength, opioid, or words."""
    words = {
        "key": table.key or f"event-{table.order}",
        "order": table.order,
        "text": table.text,
        "when": table.when or NOT_ASKED,
        "date": table.date,
        "source": table.source,
    }
    content = _asked(words)
    if table.pain_score != "unknown":
        low, high = table.pain_score
        content |= {"symptom": "pain", "lowest": float(low), "highest": float(high)}
        content["text"] = _titled(table)
        return from_item_document(SymptomScore, content)
    if table.muscle_grade:
        content |= {"grade": table.muscle_grade, "text": _titled(table)}
        return from_item_document(MuscleStrength, content)
    if table.oral_morphine_mg_day != "unknown":
        content |= {"drug": table.title}
        content["oral_morphine_mg_day"] = float(table.oral_morphine_mg_day)
        return from_item_document(OpioidUse, content)
    content |= {"kind": EventKind(table.kind), "title": table.title}
    return from_item_document(Statement, content)


def _titled(table: EventTable) -> str:
    """Return title and text of an event whose record has no place for a title."""
    return table.text if table.title in table.text else f"{table.title}. {table.text}"


def course_record(table: CourseTable) -> CourseRecord:
    """Return the record of a course, of either file."""
    content = {
        RENAMED.get(name, name): value
        for name, value in _asked(table.model_dump()).items()
        if name not in OF_THE_CASE
    }
    content["key"] = table.key or key_of(table.name)
    for name in ("site", "technique", "stop_reason"):
        if content.get(name) == "":
            del content[name]
    prescriptions = content.pop("prescriptions")
    if prescriptions:
        content["phases"] = [_whole_course(table)]
    content["references"] = [*content.get("references", []), *_references(table)]
    content["grade"] = grade_of(table)
    return from_item_document(CourseRecord, content)


def _whole_course(table: CourseTable) -> dict[str, Any]:
    """Return the one phase of a course whose levels are given for the whole of it."""
    return {
        "name": WHOLE_COURSE,
        "n_fractions_planned": table.n_fractions_planned,
        "n_fractions_delivered": table.n_fractions_delivered,
        "volumes": [
            {"structure": level.structure, "prescribed_gy": level.dose_gy}
            for level in table.prescriptions
        ],
    }


def _references(table: CourseTable) -> Iterator[dict[str, str]]:
    """Return the objects that the UIDs of an earlier course name."""
    if isinstance(table, PriorCourseTable):
        for field, kind in REFERENCES.items():
            if uid := getattr(table, field):
                yield {"kind": kind, "uid": uid}


def grade_of(table: CourseTable) -> RecordGrade:
    """Return how much of a course is on record: by its objects, else by what is written."""
    kinds = {reference["kind"] for reference in _references(table)}
    kinds |= {reference.kind for reference in table.references}
    if "RTDOSE" in kinds:
        is_full = {"RTSTRUCT", "RTPLAN"} <= kinds
        return RecordGrade.FULL_DICOM if is_full else RecordGrade.DOSE_GRID
    if isinstance(table, PriorCourseTable) and table.point_doses:
        return RecordGrade.DVH_OR_POINTS
    return RecordGrade.PAPER if table.prescriptions or table.phases else RecordGrade.UNKNOWN


def key_of(name: str) -> str:
    """Return a key made from a name.

    Examples
    --------
    >>> key_of("Course 1")
    'course-1'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:64] or "course"


def table_of(record: ClinicalRecord) -> dict[str, Any]:
    """Return a record as a table of a history file: what was not asked is left out.

    Parameters
    ----------
    record : ClinicalRecord
        Of any kind but the patient.

    Returns
    -------
    dict
        As TOML wants it: dates are dates.
    """
    document = item_document(record)
    if isinstance(record, CourseRecord):
        document = _course_document(record, document)
    if isinstance(record, Statement):
        document.setdefault("date", NOT_ASKED)
    return {name: _toml(value) for name, value in document.items()}


def _course_document(record: CourseRecord, document: dict[str, Any]) -> dict[str, Any]:
    """Return a course with the names that its table uses."""
    document = dict(document)
    document.pop("grade")
    names = {field: key for key, field in RENAMED.items()}
    renamed = {names.get(name, name): value for name, value in document.items()}
    for name in (
        "n_fractions_planned",
        "n_fractions_delivered",
        "delivered_dose_gy",
        "start_date",
        "end_date",
    ):
        renamed.setdefault(name, NOT_ASKED)
    return renamed


def _toml(value: Any) -> Any:
    """Return a value with ISO dates as dates."""
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        return date.fromisoformat(value)
    if isinstance(value, list):
        return [_toml(part) for part in value]
    if isinstance(value, dict):
        return {name: _toml(part) for name, part in value.items()}
    return value
