"""A case whose history is kept in the ledger instead of its own file."""

from pathlib import Path

from rerad.case.history_schema import HistoryTables
from rerad.case.ledger_history import history_from_ledger
from rerad.case.schema import CaseFile, LedgerTable
from rerad.core import Patient, TreatmentHistory
from rerad.core.clinical_history import ClinicalHistory
from rerad.errors import CaseError
from rerad.ledger import head_of, open_ledger, read_history


def history_in_ledger(case_file: Path, file: CaseFile, patient: Patient) -> TreatmentHistory:
    """Return the history of the patient of a case from the ledger that the case names.

    Parameters
    ----------
    case_file : Path
        For messages, and where a relative path of the ledger starts.
    file : CaseFile
        With a `ledger` table.
    patient : Patient
        From the planning CT.

    Returns
    -------
    TreatmentHistory
        Its courses are told from those of the case by their names.

    Raises
    ------
    CaseError
        If the case tells a history of its own as well, the ledger's patient is another one, or an
        earlier course of the case is not in the ledger.
    LedgerError
        If ledger or patient is not there.
    """
    table = file.ledger
    if table is None:
        msg = f"{case_file}: expected a ledger table, got none"
        raise CaseError(msg)
    told = [name for name in HISTORY_KEYS if getattr(file, name)]
    if told:
        msg = (
            f"{case_file}: the history is read from the ledger, but {', '.join(told)} tell "
            "another; move them into the ledger (rerad ledger import) or take out the ledger table"
        )
        raise CaseError(msg)
    if patient.patient_id != (table.patient_id or patient.patient_id):
        msg = (
            f"{case_file}: ledger.patient_id is {table.patient_id!r}, the planning CT belongs to "
            f"{patient.patient_id!r}; two patients cannot be in one case"
        )
        raise CaseError(msg)
    history = history_from_ledger(
        _place(case_file, table), patient.patient_id, current_course=table.current_course
    )
    known = {course.name for course in history.courses}
    for course in file.prior_course:
        if course.name not in known:
            names = ", ".join(sorted(known)) or "none"
            msg = (
                f"{case_file}: prior course {course.name!r} is not in the ledger, which has "
                f"{names}; add it there or name it alike"
            )
            raise CaseError(msg)
    return history


def clinical_history_in_ledger(
    case_file: Path, table: LedgerTable, patient_id: str
) -> tuple[ClinicalHistory, str]:
    """Return every record of a patient from the ledger that a case names, and the ledger's head.

    Raises
    ------
    LedgerError
        If ledger or patient is not there.
    """
    ledger = open_ledger(_place(case_file, table), may_create=False)
    try:
        return read_history(ledger, patient_id), head_of(ledger)
    finally:
        ledger.close()


HISTORY_KEYS = tuple(HistoryTables.model_fields)
"""Tables of a case file that tell a history."""


def _place(case_file: Path, table: LedgerTable) -> str:
    """Return a URL as it is, a path as seen from the case file."""
    if "://" in table.where:
        return table.where
    return str((case_file.parent / table.where).resolve())
