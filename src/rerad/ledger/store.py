"""Writing: add, revise, withdraw. Every change is one transaction with its audit entry."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from rerad.core.clinical_history import (
    ClinicalHistory,
    ClinicalRecord,
    Death,
    PatientRecord,
    kind_of,
)
from rerad.core.record_documents import canonical_json, to_document
from rerad.errors import InputError, LedgerError
from rerad.ledger.audit import Signature, append_entry, object_text
from rerad.ledger.connection import Ledger, writing
from rerad.ledger.queries import Stored, stored_record
from rerad.ledger.rows import insert_record, row_hash
from rerad.ledger.schema import patients, records


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the ledger acknowledges.

    Parameters
    ----------
    patient_id, key : str
        Which record.
    revision : int
        Its number, from 1.
    audit_hash : str
        Hash of the audit entry.
    """

    patient_id: str
    key: str
    revision: int
    audit_hash: str


def add_record(
    ledger: Ledger, patient_id: str, record: ClinicalRecord, signature: Signature
) -> Receipt:
    """Add a record that was not there.

    Parameters
    ----------
    ledger : Ledger
        Open.
    patient_id : str
        Must be there, unless `record` is the patient.
    record : ClinicalRecord
        Its key must be new within the patient.
    signature : Signature
        Who, when, why.

    Returns
    -------
    Receipt
        Once this is returned the record is on the disk.

    Raises
    ------
    LedgerError
        If the patient is not there, the key is, or a death is on record already.
    """
    with writing(ledger) as connection:
        return _add(connection, patient_id, record, signature)


def add_history(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> tuple[Receipt, ...]:
    """Add a patient with all records, as a whole or not at all.

    Raises
    ------
    LedgerError
        If the patient, or a key, is there already.
    """
    patient_id = history.patient.patient_id
    with writing(ledger) as connection:
        return tuple(
            _add(connection, patient_id, record, signature)
            for record in (history.patient, *history.records)
        )


def revise_record(
    ledger: Ledger,
    patient_id: str,
    record: ClinicalRecord,
    signature: Signature,
    *,
    expected_revision: int,
) -> Receipt:
    """Add a revision to a record; the earlier ones stay.

    Parameters
    ----------
    ledger : Ledger
        Open.
    patient_id : str
        Whose.
    record : ClinicalRecord
        New content under the same key.
    signature : Signature
        With a reason.
    expected_revision : int
        The revision that the change was made from: if another writer was faster, this one is
        refused instead of undoing the other's work.

    Returns
    -------
    Receipt

    Raises
    ------
    LedgerError
        If the record is not there, is of another kind, or has moved on.
    """
    with writing(ledger) as connection:
        before = _before(connection, patient_id, record.key, expected_revision)
        if kind_of(record) != kind_of(before.record):
            msg = (
                f"{patient_id} {record.key!r} is a {kind_of(before.record)}, and cannot become a "
                f"{kind_of(record)}; withdraw it and add another"
            )
            raise LedgerError(msg)
        return _next(connection, before, record, signature, is_withdrawn=False)


def withdraw_record(
    ledger: Ledger, patient_id: str, key: str, signature: Signature, *, expected_revision: int
) -> Receipt:
    """Withdraw a record: a revision that says so. What was there stays readable.

    Raises
    ------
    LedgerError
        If the record is not there, is the patient, or has moved on.
    """
    with writing(ledger) as connection:
        before = _before(connection, patient_id, key, expected_revision)
        if isinstance(before.record, PatientRecord):
            msg = f"{patient_id}: the patient cannot be withdrawn; withdraw what is wrong about it"
            raise LedgerError(msg)
        return _next(connection, before, before.record, signature, is_withdrawn=True)


def _add(
    connection: sa.Connection, patient_id: str, record: ClinicalRecord, signature: Signature
) -> Receipt:
    """Add a record in the writer's transaction."""
    if isinstance(record, PatientRecord):
        if record.patient_id != patient_id:
            msg = f"the patient record is of {record.patient_id!r}, not of {patient_id!r}"
            raise InputError(msg)
        _add_patient(connection, patient_id, signature)
    known_patient = sa.select(patients.c.patient_id).where(patients.c.patient_id == patient_id)
    if connection.execute(known_patient).first() is None:
        msg = f"patient {patient_id!r} is not in the ledger; add the patient first"
        raise LedgerError(msg)
    same = sa.select(records.c.kind).where(
        records.c.patient_id == patient_id, records.c.key == record.key
    )
    taken = connection.execute(same).scalar()
    if taken is not None:
        msg = (
            f"{patient_id}: key {record.key!r} is taken by a {taken}; choose another, or revise it"
        )
        raise LedgerError(msg)
    if isinstance(record, Death):
        _require_no_other_death(connection, patient_id)
    inserted = connection.execute(
        sa.insert(records).values(patient_id=patient_id, key=record.key, kind=kind_of(record))
    )
    assert inserted.inserted_primary_key is not None
    stored = Stored(int(inserted.inserted_primary_key[0]), patient_id, record, 0, "", False)
    return _next(connection, stored, record, signature, is_withdrawn=False)


def _require_no_other_death(connection: sa.Connection, patient_id: str) -> None:
    """Raise if the death of a patient is on record already, and was not withdrawn."""
    query = sa.select(records.c.key).where(
        records.c.patient_id == patient_id, records.c.kind == "death"
    )
    for key in connection.execute(query).scalars():
        found = stored_record(connection, patient_id, key)
        if not found.is_withdrawn:
            msg = (
                f"{patient_id}: a death is on record already, as {key!r} at revision "
                f"{found.revision}; revise or withdraw it"
            )
            raise LedgerError(msg)


def _add_patient(connection: sa.Connection, patient_id: str, signature: Signature) -> None:
    """Add the patient that records will belong to."""
    known_patient = sa.select(patients.c.patient_id).where(patients.c.patient_id == patient_id)
    if connection.execute(known_patient).first() is not None:
        msg = f"patient {patient_id!r} is in the ledger already; add records, or revise 'patient'"
        raise LedgerError(msg)
    connection.execute(
        sa.insert(patients).values(patient_id=patient_id, added_utc=signature.utc_text)
    )


def _before(
    connection: sa.Connection, patient_id: str, key: str, expected_revision: int
) -> Stored:
    """Return the record as it stands, or refuse a change made from an older revision."""
    before = stored_record(connection, patient_id, key)
    if before.revision != expected_revision:
        msg = (
            f"{patient_id} {key!r} is at revision {before.revision}, but the change was made from "
            f"revision {expected_revision}; read it again and repeat the change"
        )
        raise LedgerError(msg)
    return before


def _next(
    connection: sa.Connection,
    before: Stored,
    record: ClinicalRecord,
    signature: Signature,
    *,
    is_withdrawn: bool,
) -> Receipt:
    """Write the next revision and its audit entry."""
    if before.revision and not signature.reason.strip():
        msg = f"{before.patient_id} {record.key!r}: a change of what is on record needs a reason"
        raise LedgerError(msg)
    envelope: dict[str, Any] = {
        "record_id": before.record_id,
        "revision": before.revision + 1,
        "recorded_utc": signature.utc_text,
        "is_withdrawn": is_withdrawn,
    }
    envelope["row_hash"] = row_hash(record, before.patient_id, envelope)
    insert_record(connection, record, envelope)
    changed = "revise" if before.revision else "add"
    was = canonical_json(to_document(before.record)) if before.revision else None
    digest = append_entry(
        connection,
        signature,
        {
            "action": "withdraw" if is_withdrawn else changed,
            "object": object_text(before.patient_id, kind_of(record), record.key),
            "revision": before.revision + 1,
            "before": was,
            "after": None if is_withdrawn else canonical_json(to_document(record)),
            "row_hash": envelope["row_hash"],
        },
    )
    return Receipt(before.patient_id, record.key, before.revision + 1, digest)
