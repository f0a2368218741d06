"""Reading and writing a patient's history: ``history.toml``, and JSON documents."""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import ValidationError

from rerad.case.files import first_problem, write_json, write_text
from rerad.case.history_records import clinical_history, table_of
from rerad.case.history_schema import HISTORY_VERSION, HistoryFile
from rerad.core.clinical_history import ClinicalHistory, PatientRecord, kind_of
from rerad.core.record_documents import from_document, item_document, to_document
from rerad.errors import CaseError, InputError


def read_history_file(path: Path) -> ClinicalHistory:
    """Read a history from ``history.toml``, or from the JSON that `write_history_file` writes.

    Parameters
    ----------
    path : Path
        Its suffix says which of the two it is.

    Returns
    -------
    ClinicalHistory

    Raises
    ------
    CaseError
        If the file is absent, is not what its suffix says, is of another version, or holds an
        unknown key or a value out of range; the message names file and key.
    """
    if not path.is_file():
        msg = f"expected a history at {path}, found no file; name a .toml or .json file"
        raise CaseError(msg)
    try:
        text = path.read_text(encoding="utf-8")
        is_json = path.suffix.lower() == ".json"
        content = json.loads(text) if is_json else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not valid {'JSON' if path.suffix == '.json' else 'TOML'}: {error}"
        raise CaseError(msg) from error
    if not isinstance(content, dict) or content.get("history_version") != HISTORY_VERSION:
        version = content.get("history_version") if isinstance(content, dict) else None
        msg = f"{path}: expected history_version = {HISTORY_VERSION}, got {version!r}"
        raise CaseError(msg)
    try:
        if "records" in content:
            return _from_documents(content["records"])
        return clinical_history(HistoryFile.model_validate(content))
    except ValidationError as error:
        raise CaseError(first_problem(path, error)) from error
    except InputError as error:
        msg = f"{path}: {error}"
        raise CaseError(msg) from error


def _from_documents(documents: Any) -> ClinicalHistory:
    """Return the history of a list of documents."""
    if not isinstance(documents, list) or not all(isinstance(d, Mapping) for d in documents):
        msg = "expected records to be a list of tables"
        raise InputError(msg)
    records = [from_document(document) for document in documents]
    patients = [record for record in records if isinstance(record, PatientRecord)]
    if len(patients) != 1:
        msg = f"expected records of one patient, got {len(patients)} patients"
        raise InputError(msg)
    return ClinicalHistory(patients[0], tuple(r for r in records if r is not patients[0]))


def history_document(history: ClinicalHistory) -> dict[str, Any]:
    """Return a history as one document, as the JSON file holds it."""
    records = [to_document(record) for record in (history.patient, *history.records)]
    return {"history_version": HISTORY_VERSION, "records": records}


def write_history_file(history: ClinicalHistory, path: Path) -> None:
    """Write a history as ``.toml`` or ``.json``; beside and renamed.

    Parameters
    ----------
    history : ClinicalHistory
        What to write; reading the file gives the same again.
    path : Path
        The file; its suffix decides the form, its folder must exist.

    Raises
    ------
    CaseError
        If the suffix is neither.
    """
    suffix = path.suffix.lower()
    if suffix == ".json":
        write_json(path, history_document(history))
    elif suffix == ".toml":
        write_text(path, history_toml(history))
    else:
        msg = f"expected a file ending in .toml or .json, got {path}"
        raise CaseError(msg)


def history_toml(history: ClinicalHistory) -> str:
    """Return a history as the text of a ``history.toml``."""
    document = tomlkit.document()
    document.add(tomlkit.comment("A rerad history. What nobody knows: unknown."))
    document.add("history_version", HISTORY_VERSION)
    document.add("unknowns", _value(list(history.patient.unknowns)))
    document.add("patient", _table(_patient_table(history.patient)))
    kinds: dict[str, list[dict[str, Any]]] = {}
    for record in history.records:
        name = kind_of(record)
        kinds.setdefault("event" if name == "statement" else name, []).append(table_of(record))
    for name, tables in kinds.items():
        array = tomlkit.aot()
        for table in tables:
            array.append(_table(table))
        document.add(name, array)
    return tomlkit.dumps(document)


def _patient_table(patient: PatientRecord) -> dict[str, Any]:
    """Return who the history belongs to, as its table has it."""
    document = item_document(patient)
    document["summary"] = document.pop("text")
    for name in ("key", "order", "unknowns", "when", "date", "source"):
        document.pop(name, None)
    return document


def _table(content: Mapping[str, Any]) -> Any:
    """Return a table whose lists of tables are written inline."""
    table = tomlkit.table()
    for name, value in content.items():
        table.add(name, _value(value))
    return table


def _value(value: Any) -> Any:
    """Return a value as TOML writes it."""
    if isinstance(value, dict):
        inline = tomlkit.inline_table()
        for name, part in value.items():
            inline.add(name, _value(part))
        return inline
    if isinstance(value, list):
        array = tomlkit.array()
        for part in value:
            array.append(_value(part))
        return array.multiline(multiline=len(value) > 1)
    return value
