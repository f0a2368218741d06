"""Checking the ledger: the chain of the audit trail, and every row against it.

What this finds: an audit entry that was edited, taken out or put in; a revision that was edited,
taken out or added without an entry. What it cannot find on its own: that the newest entries are
missing together with their rows. For that, keep the head (number and hash of the last entry)
somewhere else and pass it; `head_of` reads it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from rerad.core.clinical_history import ClinicalRecord
from rerad.core.record_documents import canonical_json, to_document
from rerad.ledger.audit import (
    FIRST_HASH,
    AuditEntry,
    last_entry,
    object_names,
    object_text,
)
from rerad.ledger.connection import Ledger, reading
from rerad.ledger.rows import Row, records_of_rows, row_hash
from rerad.ledger.schema import audit, patients, record_tables, records

BATCH = 2000
"""Rows read at a time."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What a check found.

    Parameters
    ----------
    n_entries, n_revisions : int
        Checked.
    head : str
        Hash of the last audit entry; zeros in an empty ledger.
    problems : tuple of str
        One sentence each; empty if all is well.
    """

    n_entries: int
    n_revisions: int
    head: str
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_ledger(ledger: Ledger, *, expected_heads: Sequence[str] = ()) -> Verification:
    """Walk the chain, recompute every hash, and hold every row to its entry.

    Parameters
    ----------
    ledger : Ledger
        Open.
    expected_heads : sequence of str
        Hashes that were the head when they were noted; all must still be in the chain.

    Returns
    -------
    Verification
    """
    with reading(ledger) as connection:
        chain = _Chain()
        for entry in _entries(connection):
            chain.take(entry)
        problems = chain.problems
        problems.extend(
            f"the audit trail no longer holds the head {head}: entries were taken away or changed "
            "since it was noted"
            for head in expected_heads
            if head not in chain.hashes
        )
        n_revisions = 0
        for kind in record_tables:
            for row, record in _revisions(connection, kind):
                n_revisions += 1
                problems.extend(chain.check(kind, row, record))
        problems.extend(chain.left_over())
        problems.extend(_edited_patients(connection))
    return Verification(chain.n_entries, n_revisions, chain.head, tuple(problems))


def head_of(ledger: Ledger) -> str:
    """Return the hash of the last audit entry; zeros in an empty ledger."""
    with reading(ledger) as connection:
        return last_entry(connection)[1]


def _entries(connection: sa.Connection) -> Iterator[AuditEntry]:
    """Return the audit entries in order, in pieces."""
    last = -1
    while True:
        query = sa.select(audit).where(audit.c.seq > last).order_by(audit.c.seq).limit(BATCH)
        rows = list(connection.execute(query).mappings())
        if not rows:
            return
        for row in rows:
            yield AuditEntry(**row)
        last = rows[-1]["seq"]


def _revisions(
    connection: sa.Connection, kind: str
) -> Iterator[tuple[Row, ClinicalRecord | Exception]]:
    """Return every revision of one kind with its record, in pieces."""
    table, last = record_tables[kind], -1
    while True:
        query = (
            sa.select(table, records.c.patient_id, records.c.key, records.c.kind.label("of_kind"))
            .join_from(table, records, records.c.record_id == table.c.record_id, isouter=True)
            .where(table.c.row_id > last)
            .order_by(table.c.row_id)
            .limit(BATCH)
        )
        rows = [dict(row) for row in connection.execute(query).mappings()]
        if not rows:
            return
        yield from zip(rows, records_of_rows(connection, kind, rows), strict=True)
        last = rows[-1]["row_id"]


def _edited_patients(connection: sa.Connection) -> Iterator[str]:
    """Say which patients were not added with their first record."""
    details = record_tables["patient"]
    firsts = (
        sa.select(records.c.patient_id, details.c.recorded_utc)
        .join(details, details.c.record_id == records.c.record_id)
        .where(details.c.revision == 1)
        .subquery()
    )
    query = (
        sa.select(patients.c.patient_id)
        .join(firsts, firsts.c.patient_id == patients.c.patient_id, isouter=True)
        .where(
            sa.or_(firsts.c.recorded_utc.is_(None), firsts.c.recorded_utc != patients.c.added_utc)
        )
    )
    for patient_id in connection.execute(query).scalars():
        yield f"patient {patient_id!r} was added or edited from outside"


class _Chain:
    """The audit trail while it is walked, and what it says of each revision."""

    def __init__(self) -> None:
        self.n_entries = 0
        self.head = FIRST_HASH
        self.hashes: set[str] = {FIRST_HASH}
        self.problems: list[str] = []
        self._rows: dict[tuple[str, int], tuple[str, str | None]] = {}

    def take(self, entry: AuditEntry) -> None:
        """Check one entry against the one before it."""
        self.n_entries += 1
        if entry.seq != self.n_entries:
            self.problems.append(
                f"audit entry {self.n_entries} is missing: the next in the chain is {entry.seq}"
            )
            self.n_entries = entry.seq
        if entry.prev_hash != self.head:
            self.problems.append(
                f"audit entry {entry.seq} does not follow the one before it: the chain is broken"
            )
        if entry.expected_hash() != entry.hash:
            self.problems.append(f"audit entry {entry.seq} was edited: its hash is not its own")
        self.head = entry.hash
        self.hashes.add(entry.hash)
        self._rows[entry.object, entry.revision] = (entry.row_hash, entry.after)

    def check(self, kind: str, row: Row, record: ClinicalRecord | Exception) -> list[str]:
        """Hold one revision to its entry."""
        name = (
            f"{kind} {row['key']!r} of patient {row['patient_id']!r}, revision {row['revision']}"
        )
        place = (object_text(str(row["patient_id"]), kind, str(row["key"])), row["revision"])
        said = self._rows.pop(place, None)
        if said is None:
            return [f"{name} has no audit entry: it was added, or its names edited, from outside"]
        if isinstance(record, Exception):
            return [f"{name} was edited: {record}"]
        if row["of_kind"] != kind:
            return [f"{name} was edited: its record is said to be a {row['of_kind']}"]
        digest = row_hash(record, row["patient_id"], row)
        document = canonical_json(to_document(record))
        if digest != said[0] or row["row_hash"] != said[0]:
            return [f"{name} was edited: its hash is not the one in the audit trail"]
        if said[1] is not None and said[1] != document:
            return [f"{name} differs from what its audit entry says"]
        return []

    def left_over(self) -> list[str]:
        """Return what the trail knows and no table holds."""
        sentences = []
        for (text, revision), _ in self._rows.items():
            patient_id, kind, key = object_names(text)
            sentences.append(
                f"{kind} {key!r} of patient {patient_id!r}, revision {revision}, is in the audit "
                "trail but not in the ledger: it was taken away, or its names edited"
            )
        return sentences
