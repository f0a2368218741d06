"""What the ledger's commands print and write: plain documents, lines, and files."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from rerad.case.files import write_json
from rerad.case.history_files import write_history_file
from rerad.case.ledger_history import treatment_history
from rerad.core.clinical_history import ClinicalHistory, CourseRecord, kind_of
from rerad.core.record_documents import to_document
from rerad.errors import CaseError
from rerad.exchange import (
    fhir_bundle,
    require_parquet,
    write_parquet_tables,
    write_research_tables,
)
from rerad.ledger import Receipt, Verification
from rerad.outcome import course_outcome, history_findings, survival_times
from rerad.reporting import write_history_sheet

FORMS = "FILE.toml, .json, .fhir.json, .pdf, .html, or a new folder for CSV tables."
"""What can be written."""


def receipt(item: Receipt) -> dict[str, Any]:
    """Return a receipt as a document."""
    return asdict(item)


def verification(found: Verification) -> dict[str, Any]:
    """Return what a check found as a document."""
    return {
        "status": "done" if found.is_sound else "failed",
        "n_entries": found.n_entries,
        "n_revisions": found.n_revisions,
        "head": found.head,
        "problems": list(found.problems),
    }


def show_document(history: ClinicalHistory, revisions: Mapping[str, int]) -> dict[str, Any]:
    """Return a history with revision numbers and outcomes as a document.

    Parameters
    ----------
    history : ClinicalHistory
        Of one patient.
    revisions : mapping of str to int
        Revision of each record, by key.
    """
    records = [
        to_document(record) | {"revision": revisions[record.key]}
        for record in (history.patient, *history.records)
    ]
    outcomes = []
    for course in history.of_kind(CourseRecord):
        outcome = course_outcome(history, course.key)
        pain, motor = outcome.pain, outcome.motor
        outcomes.append(
            {
                "course": course.key,
                "pain_response": None if pain is None else pain.category,
                "pain_reason": None if pain is None else pain.reason,
                "motor_change": None if motor is None else motor.direction,
                "motor_reason": None if motor is None else motor.reason,
            }
        )
    survival = [
        {
            "landmark": time.landmark,
            "days": "unknown" if time.days is None else time.days,
            "is_death": time.is_death,
            "said": time.said,
        }
        for time in survival_times(history)
    ]
    findings = [
        {"severity": item.severity, "code": item.code, "text": item.text}
        for item in history_findings(history)
    ]
    return {
        "records": records,
        "outcomes": outcomes,
        "survival": survival,
        "findings": findings,
    }


def show_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Return the document of `show_document` as lines to read."""
    for record in document["records"]:
        when = record.get("date", "unknown")
        when = record.get("when", "date unknown") if when == "unknown" else when
        kind = record["kind_of_record"].replace("_", " ")
        head = f"{record['order']:>4}  {kind:<17} {record['key']:<24} r{record['revision']:<3}"
        yield f"{head} {when}"
        yield f"      {record['text']}"
        for line in _details(record):
            yield f"        {line}"
    for outcome in document["outcomes"]:
        for name in ("pain", "motor"):
            kind = "pain_response" if name == "pain" else "motor_change"
            if outcome[kind] is not None:
                reason = outcome[f"{name}_reason"]
                yield f"outcome of {outcome['course']}: {outcome[kind]} ({reason})"
    for time in document["survival"]:
        ending = "death" if time["is_death"] else "last seen alive"
        said = f" (the record says: {time['said']})" if time["said"] else ""
        days = time["days"] if time["days"] == "unknown" else f"{time['days']} days"
        yield f"from {time['landmark']} to {ending}: {days}{said}"
    for finding in document["findings"]:
        yield f"{finding['severity']}: {finding['text']}"


def left_out_of_fhir(history: ClinicalHistory) -> dict[str, int]:
    """Return how many records of each kind FHIR does not take: all but patient and courses.

    Parameters
    ----------
    history : ClinicalHistory
        Of one patient.
    """
    others = [r for r in history.records if not isinstance(r, CourseRecord)]
    return dict(Counter(kind_of(record).replace("_", " ") for record in others))


def _details(record: Mapping[str, Any]) -> Iterator[str]:
    """Return the fields of a record beyond what its first lines show."""
    shown = {"kind_of_record", "key", "order", "text", "when", "date", "revision"}
    for name, value in record.items():
        if name in shown:
            continue
        if isinstance(value, list):
            for part in value:
                words = part
                if isinstance(part, Mapping):
                    words = ", ".join(f"{key} {_words(item)}" for key, item in part.items())
                yield f"{name}: {words}"
        else:
            yield f"{name}: {value}"


def _words(value: Any) -> str:
    """Return a value within a part in a few words."""
    if isinstance(value, list):
        return "; ".join(
            " ".join(f"{key} {item}" for key, item in part.items())
            if isinstance(part, Mapping)
            else str(part)
            for part in value
        )
    return str(value)


def write_export(
    histories: Iterable[ClinicalHistory],
    out: Path,
    *,
    is_one: bool,
    alpha_betas_gy: tuple[float, ...] = (),
    as_parquet: bool = False,
    source: str = "",
) -> tuple[Path, ...]:
    """Write one history as a file, or all as a folder of tables.

    Parameters
    ----------
    histories : iterable of ClinicalHistory
        One, or all.
    out : Path
        File whose ending says the form, or a folder that is not there.
    is_one : bool
        Whether one patient was named.
    alpha_betas_gy : tuple of float
        Of the EQD2 that FHIR holds as radiobiologic metric.
    as_parquet : bool
        Whether tables are written as Parquet too.
    source : str
        Where the histories were read, in a sentence; for a sheet to read.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    CaseError
        If the ending says no form, or one file is wanted as Parquet.
    MissingDataError
        If Parquet cannot be written here.
    """
    if not is_one and out.suffix:
        msg = f"{out} is one file, and all patients were asked for: name a patient, or a folder"
        raise CaseError(msg)
    if as_parquet and out.suffix:
        msg = f"{out} is one file; Parquet is for tables: name a folder"
        raise CaseError(msg)
    if as_parquet:
        require_parquet()
    if not out.suffix:
        tables = write_research_tables(histories, out)
        return (*tables, *write_parquet_tables(tables)) if as_parquet else tables
    history = next(iter(histories))
    if out.name.lower().endswith(".fhir.json"):
        write_json(out, fhir_bundle(history, alpha_betas_gy=alpha_betas_gy))
    elif out.suffix.lower() in {".pdf", ".html"}:
        story = treatment_history(history)
        write_history_sheet(history, story, out, made=date.today(), source=source)
    else:
        write_history_file(history, out)
    return (out,)
