"""Tables of the ledger, made from the records that core defines.

Every kind of record has a table of revisions; parts of a record (drugs of a regimen, phases of a
course) have tables of their own, tied to the revision they belong to. Rows are only ever added:
triggers on both engines refuse anything else. A column is null where a value is absent; why it is
absent stands in `absent`, and no entry there means that nobody has asked.

Migrations write these tables step by step; a test holds both to each other.
"""

import datetime
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum

import sqlalchemy as sa

from rerad.core.clinical_history import (
    RECORD_KINDS,
    ClinicalRecord,
    CoursePhase,
    DicomReference,
    DrugDose,
    ImagingFinding,
    PhaseVolume,
    PointDose,
)
from rerad.core.record_documents import field_types

metadata = sa.MetaData()
"""All tables of the ledger."""

COLUMN_NAMES = {
    "date": "on_date",
    "order": "story_order",
    "when": "when_said",
    "start": "start_date",
    "end": "end_date",
}
"""Columns that are named otherwise than their field, because SQL has the word for itself."""

TABLE_NAMES = {
    "patient": "patient_details",
    "diagnosis": "diagnoses",
    "surgery": "surgeries",
    "systemic_therapy": "systemic_therapies",
    "imaging": "imaging_studies",
    "course": "courses",
    "symptom": "symptoms",
    "strength": "muscle_strengths",
    "opioid": "opioids",
    "toxicity": "toxicities",
    "follow_up": "follow_ups",
    "death": "deaths",
    "statement": "statements",
}
"""Table of each kind of record."""

PART_NAMES: dict[type, str] = {
    DrugDose: "systemic_drugs",
    ImagingFinding: "imaging_findings",
    CoursePhase: "course_phases",
    PhaseVolume: "phase_volumes",
    PointDose: "course_point_doses",
    DicomReference: "course_references",
}
"""Table of each kind of part."""

_TYPES: dict[type, type[sa.types.TypeEngine]] = {  # type: ignore[type-arg]
    str: sa.Text,
    float: sa.Double,
    int: sa.Integer,
    bool: sa.Boolean,
    datetime.date: sa.Date,
}


def column_name(field: str) -> str:
    """Return the column that holds a field."""
    return COLUMN_NAMES.get(field, field)


def part_fields(kind: type) -> dict[str, type]:
    """Return the fields of a record, or of a part, that hold parts, with their class."""
    return {
        name: types[1]
        for name, types in field_types(kind).items()
        if types[0] is tuple and types[1] in PART_NAMES
    }


def _columns(kind: type) -> Iterator[sa.Column[object]]:
    """Return the columns of the fields of a record or part."""
    parts = part_fields(kind)
    for field in fields(kind):
        if field.name in parts or field.name in {"key", "patient_id"}:
            continue
        held = field_types(kind)[field.name][0]
        # tuples of text are kept as one JSON text, enumerations as their word
        column_type = sa.Text if held is tuple or issubclass(held, Enum) else _TYPES[held]
        yield sa.Column(column_name(field.name), column_type)
    yield sa.Column("absent", sa.Text, nullable=False)


patients = sa.Table(
    "patients",
    metadata,
    sa.Column("patient_id", sa.Text, primary_key=True),
    sa.Column("added_utc", sa.Text, nullable=False),
)

records = sa.Table(
    "records",
    metadata,
    sa.Column("record_id", sa.Integer, primary_key=True),
    sa.Column("patient_id", sa.Text, sa.ForeignKey("patients.patient_id"), nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.UniqueConstraint("patient_id", "key", name="one_key_per_patient"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("utc", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("object", sa.Text, nullable=False),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("before", sa.Text),
    sa.Column("after", sa.Text),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("row_hash", sa.Text, nullable=False),
    sa.Column("prev_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)


def _record_table(name: str, kind: type[ClinicalRecord]) -> sa.Table:
    """Return the table of revisions of one kind of record."""
    return sa.Table(
        name,
        metadata,
        sa.Column("row_id", sa.Integer, primary_key=True),
        sa.Column("record_id", sa.Integer, sa.ForeignKey("records.record_id"), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("recorded_utc", sa.Text, nullable=False),
        sa.Column("is_withdrawn", sa.Boolean, nullable=False),
        sa.Column("row_hash", sa.Text, nullable=False),
        *_columns(kind),
        sa.UniqueConstraint("record_id", "revision", name=f"one_revision_{name}"),
    )


def _part_table(name: str, kind: type, parent: str) -> sa.Table:
    """Return the table of one kind of part."""
    return sa.Table(
        name,
        metadata,
        sa.Column("row_id", sa.Integer, primary_key=True),
        sa.Column("parent_row", sa.Integer, sa.ForeignKey(f"{parent}.row_id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        *_columns(kind),
        sa.UniqueConstraint("parent_row", "position", name=f"one_place_{name}"),
    )


record_tables: dict[str, sa.Table] = {
    kind: _record_table(TABLE_NAMES[kind], RECORD_KINDS[kind]) for kind in RECORD_KINDS
}
"""Table of revisions of each kind of record."""


def _part_tables() -> dict[type, sa.Table]:
    """Return the tables of parts, each tied to the table of what it is part of."""
    found: dict[type, sa.Table] = {}
    waiting = [(table.name, RECORD_KINDS[kind]) for kind, table in record_tables.items()]
    while waiting:
        parent, kind = waiting.pop(0)
        for part in part_fields(kind).values():
            found[part] = _part_table(PART_NAMES[part], part, parent)
            waiting.append((PART_NAMES[part], part))
    return found


part_tables: dict[type, sa.Table] = _part_tables()
"""Table of each kind of part."""

sa.Index("references_by_uid", part_tables[DicomReference].c.uid)
