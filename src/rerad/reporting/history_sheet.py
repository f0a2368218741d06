"""A patient's records as a document to read and file: every statement, every unknown, outcome."""

import datetime
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rerad import __version__
from rerad.core import TreatmentHistory
from rerad.core.clinical_history import ClinicalHistory, ClinicalRecord, CourseRecord
from rerad.core.record_documents import to_document
from rerad.errors import InputError
from rerad.reporting.content_consult import courses_table, outcome_blocks, response_blocks
from rerad.reporting.document import (
    Align,
    Bullets,
    Cell,
    Emphasis,
    Facts,
    Paragraph,
    Picture,
    ReferenceList,
    ReportContent,
    Section,
    Table,
)
from rerad.reporting.html import html_text
from rerad.reporting.pdf import pdf_bytes
from rerad.reporting.timeline import write_timeline
from rerad.reporting.wording import BANNER, TRUST_MEANINGS, UNKNOWN, Citations

FORMS = (".pdf", ".html")
"""What a sheet can be."""

HEAD_FIELDS = frozenset({"kind_of_record", "key", "order", "text", "when", "date", "unknowns"})
"""Fields of a record that stand in a column of their own, or elsewhere."""


def history_content(history: ClinicalHistory, made: datetime.date, source: str) -> ReportContent:
    """Say everything that is on record about a patient, without layout.

    Parameters
    ----------
    history : ClinicalHistory
        Every record.
    made : date
        When the sheet is made.
    source : str
        Where the records were read, in a sentence.

    Returns
    -------
    ReportContent
    """
    citations = Citations()
    courses = history.of_kind(CourseRecord)
    sections = (
        _who(history, made, source),
        Section(
            "courses",
            "Radiotherapy",
            (courses_table(history, {c.title: c.grade.value for c in courses}),)
            if courses
            else (Paragraph("No course of radiotherapy is on record."),),
        ),
        Section(
            "timeline", "Timeline", (Picture("timeline", _CAPTION, "Timeline of the record"),)
        ),
        Section("records", "Every record", (_records_table(history),)),
        Section(
            "outcome",
            "Outcome",
            (*response_blocks(history, citations), *outcome_blocks(history)),
        ),
    )
    tags = citations.tags()
    legend = tuple((tag, words) for tag, words in TRUST_MEANINGS.items() if tag in tags)
    last = Section("sources", "Sources", (ReferenceList(citations.references(), legend),))
    return ReportContent(
        title=f"Record of {history.patient.patient_id}",
        subtitle="Patient history",
        banner=BANNER,
        footer=f"rerad {__version__} · {made.isoformat()}",
        sections=(*sections, last) if citations.references() else sections,
    )


_CAPTION = (
    "In the order of the record, from top to bottom; distances between rows are not to scale. "
    "Bars: fractions delivered (filled) of planned (outline). What is not drawn was not stated."
)


def _who(history: ClinicalHistory, made: datetime.date, source: str) -> Section:
    """Return who it is, and what nobody could say."""
    patient = to_document(history.patient)
    names = ("patient_id", "name", "sex", "birth_date", "age_years")
    pairs = tuple(
        (name.replace("_", " ").capitalize(), str(patient.get(name, "not asked")))
        for name in names
    )
    open_points = history.patient.unknowns
    return Section(
        "who",
        "Who",
        (
            Paragraph(history.patient.text or UNKNOWN, Emphasis.STRONG),
            Facts((*pairs, ("Sheet made", made.isoformat()))),
            Paragraph(source, Emphasis.MUTED),
            *((Bullets("Not on record", open_points),) if open_points else ()),
        ),
    )


def _records_table(history: ClinicalHistory) -> Table:
    """Return one row for each record: when, what, the source's words, and every field."""
    return Table(
        key="records",
        title="",
        header=(Cell("When"), Cell("What", "key"), Cell("In the record's words", "as fields")),
        rows=tuple(_row(record) for record in history.records),
        align=(Align.LEFT, Align.LEFT, Align.LEFT),
        widths=(1.3, 1.5, 5.2),
        note="unknown: asked, and nobody could say. A field that is not shown was not asked for.",
    )


def _row(record: ClinicalRecord) -> tuple[Cell, ...]:
    """Return the row of a record."""
    document = to_document(record)
    when = document.get("date", UNKNOWN)
    if when in {UNKNOWN, "not applicable"}:
        when = document.get("when", "date unknown")
    kind = str(document["kind_of_record"]).replace("_", " ").capitalize()
    details = (
        f"{_label(name)}: {_value(value)}"
        for name, value in document.items()
        if name not in HEAD_FIELDS
    )
    emphasis = Emphasis.ABSENT if "unknown" in str(when) else Emphasis.NONE
    return (
        Cell(str(when), emphasis=emphasis),
        Cell(kind, record.key, Emphasis.STRONG),
        Cell(record.text or "–", "; ".join(details)),
    )


def _label(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    """Return a value in words, parts within brackets."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return ", ".join(_pairs(value))
    if isinstance(value, list | tuple):
        return " ".join(f"[{_value(part)}]" for part in value)
    return str(value)


def _pairs(part: Mapping[str, Any]) -> Iterator[str]:
    for name, value in part.items():
        yield f"{_label(name)} {_value(value)}"


def write_history_sheet(
    history: ClinicalHistory,
    story: TreatmentHistory,
    path: Path,
    *,
    made: datetime.date,
    source: str,
) -> None:
    """Write the records of a patient as one PDF or HTML file; beside and renamed.

    Parameters
    ----------
    history : ClinicalHistory
        Every record.
    story : TreatmentHistory
        The same as the timeline draws it.
    path : Path
        Ends in .pdf or .html; its folder must exist.
    made : date
        When the sheet is made.
    source : str
        Where the records were read, in a sentence.

    Raises
    ------
    InputError
        If the ending is another, or the folder is not there.
    ComputationError
        If the PDF cannot be set.
    """
    if path.suffix.lower() not in FORMS:
        msg = f"expected a sheet ending in {' or '.join(FORMS)}, got {path}"
        raise InputError(msg)
    if not path.parent.is_dir():
        msg = f"the folder {path.parent} for the sheet is not there; make it first"
        raise InputError(msg)
    content = history_content(history, made, source)
    with tempfile.TemporaryDirectory(prefix=".sheet-", dir=path.parent) as name:
        figures = {}
        if story.events or story.courses:
            figures["timeline"] = Path(name) / "timeline.png"
            write_timeline(story, figures["timeline"])
        part = Path(name) / path.name
        if path.suffix.lower() == ".pdf":
            part.write_bytes(pdf_bytes(content, figures))
        else:
            part.write_text(html_text(content, figures), encoding="utf-8")
        part.replace(path)
