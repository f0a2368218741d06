"""The course ledger: a patient's history, kept for good. The only room with SQL.

Records go in and come out as the frozen types of `rerad.core.clinical_history`. Rows are only ever
added: a correction is a new revision, every change has an entry in an audit trail whose entries
are chained by their hashes, and `verify_ledger` holds every row to it.
"""

from rerad.ledger.audit import AuditEntry, Signature
from rerad.ledger.connection import Ledger, newest_schema, open_ledger, schema_of
from rerad.ledger.queries import (
    Stored,
    find_by_reference,
    patient_ids,
    read_current,
    read_history,
    read_revisions,
)
from rerad.ledger.store import Receipt, add_history, add_record, revise_record, withdraw_record
from rerad.ledger.verify import Verification, head_of, verify_ledger

__all__ = [
    "AuditEntry",
    "Ledger",
    "Receipt",
    "Signature",
    "Stored",
    "Verification",
    "add_history",
    "add_record",
    "find_by_reference",
    "head_of",
    "newest_schema",
    "open_ledger",
    "patient_ids",
    "read_current",
    "read_history",
    "read_revisions",
    "revise_record",
    "schema_of",
    "verify_ledger",
    "withdraw_record",
]
