"""What a user gives to the ledger: a file, or a kind with keys and values, to records."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError

from rerad.case.files import first_problem, read_case
from rerad.case.history_files import read_history_file
from rerad.case.history_records import case_history, course_record, records_of, table_of
from rerad.case.history_schema import (
    HISTORY_VERSION,
    HistoryFile,
    HistoryTables,
    PriorCourseTable,
)
from rerad.core.clinical_history import (
    ClinicalHistory,
    ClinicalRecord,
    PatientRecord,
    kind_of,
)
from rerad.core.record_documents import from_document, to_document
from rerad.errors import CaseError, InputError
from rerad.exchange import courses_of_bundle
from rerad.outcome import opioid_tables


def history_of_path(path: Path, patient_id: str) -> tuple[ClinicalHistory, tuple[str, ...]]:
    """Return the history that a file holds, and what whoever reads it in should know.

    Parameters
    ----------
    path : Path
        ``history.toml``, its JSON, a FHIR bundle as JSON, a ``case.toml``, or a case folder.
    patient_id : str
        Needed for a case file, which has none; empty for the others.

    Returns
    -------
    history : ClinicalHistory
    notes : tuple of str
        One sentence each: what a bundle breaks of the guide's recommendations, and what of it has
        no place in a record.

    Raises
    ------
    CaseError
        If the file is not right, or a case file comes without patient ID.
    """
    bundle = _bundle(path)
    if bundle is not None:
        return _history_of_bundle(path, bundle)
    is_case = path.is_dir() or path.name == "case.toml"
    if not is_case:
        return read_history_file(path), ()
    if not patient_id:
        msg = f"{path} is a case, which names no patient: give the ID with --patient"
        raise CaseError(msg)
    return case_history(read_case(path), patient_id), ()


def _bundle(path: Path) -> dict[str, Any] | None:
    """Return a FHIR resource as parsed JSON, None for any other file."""
    is_named_so = path.name.lower().endswith(".fhir.json")
    if path.suffix.lower() != ".json" or not (is_named_so or path.is_file()):
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        if not is_named_so:
            return None  # the reader of history files says what is wrong
        msg = f"{path} cannot be read as FHIR JSON: {error}"
        raise CaseError(msg) from error
    is_resource = isinstance(content, dict) and "resourceType" in content
    if not is_resource and not is_named_so:
        return None
    return content if isinstance(content, dict) else {}


def _history_of_bundle(
    path: Path, bundle: dict[str, Any]
) -> tuple[ClinicalHistory, tuple[str, ...]]:
    """Return patient and courses of a FHIR bundle."""
    try:
        imported = courses_of_bundle(bundle)
        history = ClinicalHistory(imported.patient, imported.courses)
    except InputError as error:
        msg = f"{path}: {error}"
        raise CaseError(msg) from error
    notes = [f"{problem.where}: {problem.text}" for problem in imported.warnings]
    notes += [
        f"{metric.course}, {metric.structure}: the sender's {metric.value_gy:g} {metric.unit} has "
        "no place in a record; rerad computes its own"
        for metric in imported.metrics
    ]
    return history, tuple(notes)


def record_of_words(kind: str, words: Sequence[str]) -> ClinicalRecord:
    """Return the record that a kind and ``key=value`` words describe.

    Parameters
    ----------
    kind : str
        As the table of the history file: ``symptom``, ``course`` ...
    words : sequence of str
        Values as TOML writes them; what is no TOML value is text.

    Returns
    -------
    ClinicalRecord

    Raises
    ------
    CaseError
        If the kind, a key or a value does not fit.
    """
    content = _pairs(kind, words)
    kinds = [*HistoryTables.model_fields, "course"]
    if kind not in kinds:
        msg = f"expected a kind of record among {', '.join(kinds)}, got {kind!r}"
        raise CaseError(msg)
    try:
        if kind == "course":
            return course_record(PriorCourseTable.model_validate(content))
        return next(iter(records_of(HistoryTables.model_validate({kind: [content]}))))
    except ValidationError as error:
        raise CaseError(first_problem(Path(kind), error, inside=f"{kind}.0.")) from error


def changed_record(record: ClinicalRecord, words: Sequence[str]) -> ClinicalRecord:
    """Return a record with other values.

    Parameters
    ----------
    record : ClinicalRecord
        As it stands.
    words : sequence of str
        ``key=value``; a value ``"not asked"`` takes one away.

    Returns
    -------
    ClinicalRecord
        Of the same kind, under the same key.

    Raises
    ------
    CaseError
        If nothing changes, or a key or value does not fit.
    """
    changes = _pairs(kind_of(record), words)
    if "key" in changes:
        msg = f"{record.key!r}: the key of a record stays; withdraw it and add another"
        raise CaseError(msg)
    new = _patient(record, changes) if isinstance(record, PatientRecord) else None
    if new is None:
        table = table_of(record)
        _forget_what_is_worked_out(table, changes)
        new = _record_of_table(kind_of(record), table | changes)
    if new == record:
        msg = f"{record.key!r}: nothing would change; give key=value"
        raise CaseError(msg)
    return new


def _forget_what_is_worked_out(table: dict[str, Any], changes: dict[str, Any]) -> None:
    """Take away what is worked out again from what changes."""
    if "grade" in changes:
        table.pop("ordinal", None)
    decides = {"drug", "dose_mg", "every_hours", "conversion_table"}
    if decides & set(changes) and "conversion_table" in table:
        table.pop("oral_morphine_mg_day", None)
        if table["conversion_table"] not in {item.name for item in opioid_tables()}:
            table.pop("conversion_table")


def _record_of_table(kind: str, table: dict[str, Any]) -> ClinicalRecord:
    """Return the record of one table, through a whole file so that every check runs."""
    name = "event" if kind == "statement" else kind
    content = {
        "history_version": HISTORY_VERSION,
        "patient": {"patient_id": "x", "summary": ""},
        name: [table],
    }
    try:
        file = HistoryFile.model_validate(content)
    except ValidationError as error:
        raise CaseError(first_problem(Path(kind), error, inside=f"{name}.0.")) from error
    if kind == "course":
        return course_record(file.course[0])
    return next(iter(records_of(file)))


def _patient(record: PatientRecord, changes: dict[str, Any]) -> ClinicalRecord:
    """Return who the patient is with other values."""
    if "patient_id" in changes:
        msg = "the patient ID of a ledger entry stays; it is what everything else hangs on"
        raise CaseError(msg)
    document = to_document(record)
    for name, value in changes.items():
        key = "text" if name == "summary" else name
        document[key] = value.isoformat() if hasattr(value, "isoformat") else value
    try:
        return from_document(document)
    except InputError as error:
        raise CaseError(str(error)) from error


def _pairs(kind: str, words: Sequence[str]) -> dict[str, Any]:
    """Return keys and values of words; where a key holds text, numbers are text too."""
    name = "event" if kind == "statement" else kind
    field = HistoryTables.model_fields.get(name)
    table = get_args(field.annotation)[0] if field is not None else PriorCourseTable
    texts = {key for key, held in table.model_fields.items() if held.annotation is str}
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key.strip():
            msg = f"expected key=value, got {word!r}"
            raise CaseError(msg)
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        is_plain = key.strip() not in texts or isinstance(value, str)
        found[key.strip()] = value if is_plain else text
    return found
