"""Reading: a patient's history as it stands or stood, revisions of a record, finding patients."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from rerad.core.clinical_history import (
    ClinicalHistory,
    ClinicalRecord,
    DicomReference,
    PatientRecord,
)
from rerad.errors import LedgerError
from rerad.ledger.connection import Ledger, reading
from rerad.ledger.rows import Row, records_of_rows
from rerad.ledger.schema import part_tables, patients, record_tables, records


@dataclass(frozen=True, slots=True)
class Stored:
    """A revision as it is stored.

    Parameters
    ----------
    record_id : int
        Number of the record.
    patient_id : str
        Whose.
    record : ClinicalRecord
        Content.
    revision : int
        From 1.
    recorded_utc : str
        When it was written.
    is_withdrawn : bool
        Whether this revision takes the record back.
    """

    record_id: int
    patient_id: str
    record: ClinicalRecord
    revision: int
    recorded_utc: str
    is_withdrawn: bool


def stored_record(connection: sa.Connection, patient_id: str, key: str) -> Stored:
    """Return the last revision of a record, or raise `LedgerError`."""
    found = _revisions(connection, patient_id, key, "")
    if not found:
        msg = f"patient {patient_id!r} has no record {key!r} in the ledger"
        raise LedgerError(msg)
    return found[-1]


def read_revisions(ledger: Ledger, patient_id: str, key: str) -> tuple[Stored, ...]:
    """Return every revision of a record, oldest first.

    Raises
    ------
    LedgerError
        If there is none.
    """
    with reading(ledger) as connection:
        found = _revisions(connection, patient_id, key, "")
    if not found:
        msg = f"patient {patient_id!r} has no record {key!r} in {ledger.name}"
        raise LedgerError(msg)
    return found


def read_history(
    ledger: Ledger, patient_id: str, *, as_of: datetime | None = None
) -> ClinicalHistory:
    """Return a patient's history as it stands, or as it was known at a time.

    Parameters
    ----------
    ledger : Ledger
        Open.
    patient_id : str
        Whose.
    as_of : datetime or None
        With time zone: what was on record then. None means now.

    Returns
    -------
    ClinicalHistory
        Without what is withdrawn.

    Raises
    ------
    LedgerError
        If the patient is not there, or was not then.
    """
    latest = {stored.record_id: stored for stored in read_current(ledger, patient_id, as_of=as_of)}
    standing = [stored.record for stored in latest.values() if not stored.is_withdrawn]
    patient = next((r for r in standing if isinstance(r, PatientRecord)), None)
    if patient is None:
        then = "" if as_of is None else f" at {as_of.isoformat()}"
        msg = f"patient {patient_id!r} is not in {ledger.name}{then}"
        raise LedgerError(msg)
    return ClinicalHistory(patient, tuple(r for r in standing if r is not patient))


def read_current(
    ledger: Ledger, patient_id: str, *, as_of: datetime | None = None
) -> tuple[Stored, ...]:
    """Return the last revision of every record of a patient, withdrawn ones too."""
    until = "" if as_of is None else as_of.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    with reading(ledger) as connection:
        revisions = _revisions(connection, patient_id, "", until)
    return tuple({stored.record_id: stored for stored in revisions}.values())


def _revisions(
    connection: sa.Connection, patient_id: str, key: str, until: str
) -> tuple[Stored, ...]:
    """Return revisions of one record, or of all, in order of record and revision."""
    query = sa.select(records).where(records.c.patient_id == patient_id)
    if key:
        query = query.where(records.c.key == key)
    heads = {row["record_id"]: row for row in connection.execute(query).mappings()}
    found: list[Stored] = []
    for kind in sorted({row["kind"] for row in heads.values()}):
        table = record_tables[kind]
        numbers = [number for number, row in heads.items() if row["kind"] == kind]
        wanted = sa.select(table).where(table.c.record_id.in_(numbers))
        if until:
            wanted = wanted.where(table.c.recorded_utc <= until)
        rows: list[Row] = [
            dict(row) | {"patient_id": patient_id, "key": heads[row["record_id"]]["key"]}
            for row in connection.execute(wanted.order_by(table.c.revision)).mappings()
        ]
        found.extend(_stored(connection, kind, rows))
    return tuple(sorted(found, key=lambda stored: (stored.record_id, stored.revision)))


def _stored(connection: sa.Connection, kind: str, rows: Sequence[Row]) -> list[Stored]:
    """Return rows as revisions; refuse what makes no record."""
    found = []
    for row, record in zip(rows, records_of_rows(connection, kind, rows), strict=True):
        if not isinstance(record, ClinicalRecord):
            msg = f"{record}; run `rerad ledger verify`"
            raise LedgerError(msg) from record
        found.append(
            Stored(
                record_id=row["record_id"],
                patient_id=row["patient_id"],
                record=record,
                revision=row["revision"],
                recorded_utc=row["recorded_utc"],
                is_withdrawn=bool(row["is_withdrawn"]),
            )
        )
    return found


def patient_ids(ledger: Ledger) -> tuple[str, ...]:
    """Return the IDs of all patients, sorted."""
    with reading(ledger) as connection:
        query = sa.select(patients.c.patient_id).order_by(patients.c.patient_id)
        return tuple(connection.execute(query).scalars())


def find_by_reference(ledger: Ledger, uid: str) -> tuple[tuple[str, str], ...]:
    """Return patient and key of every course that names a DICOM object or series as it stands.

    Parameters
    ----------
    ledger : Ledger
        Open.
    uid : str
        SOP or series instance UID of a plan, dose, structure set or image.
    """
    references, courses = part_tables[DicomReference], record_tables["course"]
    later = courses.alias()
    is_last = ~sa.exists().where(
        later.c.record_id == courses.c.record_id, later.c.revision > courses.c.revision
    )
    query = (
        sa.select(records.c.patient_id, records.c.key)
        .distinct()
        .select_from(references)
        .join(courses, courses.c.row_id == references.c.parent_row)
        .join(records, records.c.record_id == courses.c.record_id)
        .where(references.c.uid == uid, is_last, courses.c.is_withdrawn.is_(False))
        .order_by(records.c.patient_id, records.c.key)
    )
    with reading(ledger) as connection:
        return tuple((row[0], row[1]) for row in connection.execute(query))
