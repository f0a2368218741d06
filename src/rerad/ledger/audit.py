"""The audit trail: one entry for each change, each holding the hash of the one before."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from rerad.core.record_documents import canonical_json, content_hash
from rerad.errors import InputError
from rerad.ledger.schema import audit

FIRST_HASH = "0" * 64
"""What the first entry holds in place of the hash before it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who changes something, when and why.

    Parameters
    ----------
    actor : str
        Name or account; not empty.
    utc : datetime
        With time zone.
    reason : str
        May be empty where something is added; a revision needs one.
    """

    actor: str
    utc: datetime
    reason: str = ""

    def __post_init__(self) -> None:
        if not self.actor.strip():
            msg = "expected the name of who makes the change, got none; name the actor"
            raise InputError(msg)
        if self.utc.tzinfo is None:
            msg = f"expected a time with its time zone, got {self.utc.isoformat()}; give UTC"
            raise InputError(msg)

    @property
    def utc_text(self) -> str:
        """Time as text that sorts by time."""
        return self.utc.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change.

    Parameters
    ----------
    seq : int
        Place in the chain, from 1.
    utc, actor, action, object : str
        When, who, what (``add``, ``revise``, ``withdraw``), and to which record
        (JSON text of patient, kind and key).
    revision : int
        Of the record after the change.
    before, after : str or None
        Canonical JSON of the record.
    reason : str
        Why.
    row_hash : str
        Of the revision that was written.
    prev_hash, hash : str
        Of the entry before, and of this one.
    """

    seq: int
    utc: str
    actor: str
    action: str
    object: str
    revision: int
    before: str | None
    after: str | None
    reason: str
    row_hash: str
    prev_hash: str
    hash: str = ""

    def expected_hash(self) -> str:
        """Return the hash of everything else in the entry."""
        content = asdict(self)
        del content["hash"]
        return content_hash(content)


def object_text(patient_id: str, kind: str, key: str) -> str:
    """Return which record an entry speaks of."""
    return canonical_json({"patient_id": patient_id, "kind": kind, "key": key})


def object_names(text: str) -> tuple[str, str, str]:
    """Return patient, kind and key of an entry's object; the text itself if it is none."""
    try:
        content = json.loads(text)
        return str(content["patient_id"]), str(content["kind"]), str(content["key"])
    except (ValueError, KeyError, TypeError):
        return text, "", ""


def last_entry(connection: sa.Connection) -> tuple[int, str]:
    """Return number and hash of the last entry; 0 and zeros before the first."""
    query = sa.select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return (0, FIRST_HASH) if row is None else (int(row[0]), str(row[1]))


def append_entry(
    connection: sa.Connection, signature: Signature, change: Mapping[str, Any]
) -> str:
    """Add an entry to the chain; only the one writer calls this.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the writer.
    signature : Signature
        Who, when and why.
    change : mapping
        ``action``, ``object``, ``revision``, ``before``, ``after``, ``row_hash``.

    Returns
    -------
    str
        Hash of the entry.
    """
    seq, prev_hash = last_entry(connection)
    entry = AuditEntry(
        seq=seq + 1,
        utc=signature.utc_text,
        actor=signature.actor,
        reason=signature.reason,
        prev_hash=prev_hash,
        **change,
    )
    entry = replace(entry, hash=entry.expected_hash())
    connection.execute(sa.insert(audit).values(**asdict(entry)))
    return entry.hash
