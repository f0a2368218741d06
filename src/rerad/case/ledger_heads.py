"""Heads of a ledger's audit trail, noted outside it: so that entries cut off its end are missed.

Whoever owns the ledger can cut the newest entries off with their rows, and what is left is sound.
A head that was noted elsewhere says that it was longer once.
"""

from datetime import UTC, datetime
from pathlib import Path

from rerad.errors import CaseError
from rerad.ledger import Verification

HASH_DIGITS = 64
"""Hexadecimal digits of SHA-256."""


def noted_heads(path: Path) -> tuple[str, ...]:
    """Return the heads that a file notes, in order; none if it is not there.

    Raises
    ------
    CaseError
        If a line is no note.
    """
    if not path.exists():
        return ()
    heads = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split()
        is_hash = bool(words) and len(words[-1]) == HASH_DIGITS
        if not is_hash or set(words[-1]) - set("0123456789abcdef"):
            msg = (
                f"{path}, line {number}: expected the note of a head (time, number of entries, "
                f"hash of {HASH_DIGITS} digits), got {line[:80]!r}; name the file of the heads"
            )
            raise CaseError(msg)
        heads.append(words[-1])
    return tuple(heads)


def note_head(path: Path, found: Verification) -> None:
    """Add the head of a sound ledger to the file, unless it is its last line already."""
    if noted_heads(path)[-1:] == (found.head,):
        return
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {found.n_entries} entries {found.head}\n"
    with path.open("a", encoding="utf-8") as handle:
        handle.write(line)
