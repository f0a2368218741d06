"""From a case to what its report says as a consult: statements, records, isodoses."""

from datetime import date

from rerad.case.history_records import case_history, course_record
from rerad.case.ledger_case import clinical_history_in_ledger
from rerad.case.load import LoadedCase
from rerad.case.schema import ConsultTable
from rerad.core.clinical_history import ClinicalHistory, CourseRecord
from rerad.reporting import Consult


def statements_of(table: ConsultTable) -> tuple[tuple[str, str], ...]:
    """Return what people state in words, each with its label made from the key."""
    return tuple(
        (name.replace("_", " ").capitalize(), getattr(table, name))
        for name, field in ConsultTable.model_fields.items()
        if field.annotation is str
    )


def consult_of(loaded: LoadedCase, made: date) -> Consult:
    """Return the consult of a case: its `[consult]` table and every record of its patient.

    Parameters
    ----------
    loaded : LoadedCase
        The case.
    made : date
        When the report is made.

    Returns
    -------
    Consult

    Raises
    ------
    InputError
        If a record of the history contradicts itself.
    LedgerError
        If the history is in a ledger that is not there.
    """
    table = loaded.file.consult or ConsultTable()
    history, key, source = _records(loaded)
    return Consult(
        made=made,
        history=history,
        course_key=key,
        end_slab=loaded.inputs.settings.end_slab,
        statements=statements_of(table),
        history_source=source,
        earlier_isodose_gy=table.earlier_isodose_gy,
        current_isodose_gy=table.current_isodose_gy,
        is_toxicity_a_concern=_said(table.is_toxicity_a_concern),
        is_same_organ=_said(table.is_same_organ),
    )


def _said(value: bool | str) -> bool | None:
    """Return a judgement, None where there is none."""
    return value if isinstance(value, bool) else None


def _records(loaded: LoadedCase) -> tuple[ClinicalHistory, str, str]:
    """Return every record of the patient, the key of today's course, and where they were read."""
    file, patient = loaded.file, loaded.patient
    today = course_record(file.current_course)
    if file.ledger is None:
        return case_history(file, patient.patient_id), today.key, ""
    history, head = clinical_history_in_ledger(loaded.path, file.ledger, patient.patient_id)
    source = (
        f"Records read from the ledger {file.ledger.where}, whose audit trail then ended with "
        f"{head}: `rerad ledger verify --head` holds it to that."
    )
    name = file.ledger.current_course
    for course in history.of_kind(CourseRecord):
        if name and name in {course.key, course.title}:
            return history, course.key, source
    return ClinicalHistory(history.patient, (*history.records, today)), today.key, source
