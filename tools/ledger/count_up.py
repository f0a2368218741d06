"""Raise a number in the ledger by one, again and again, while others do the same.

    python tools/ledger/count_up.py LEDGER NAME TIMES

The number is the performance status of record ``visit`` of patient ``P``. A change that another
writer was faster with is refused by the ledger; it is then made again from what stands there.
Prints how often that happened.
"""

import sys
from dataclasses import replace
from datetime import UTC, datetime

from rerad.core.clinical_history import FollowUp
from rerad.errors import LedgerError
from rerad.ledger import Ledger, Signature, open_ledger, read_revisions, revise_record


def raise_once(ledger: Ledger, name: str) -> bool:
    """Read, add one, write; return False if another writer was faster."""
    last = read_revisions(ledger, "P", "visit")[-1]
    record = last.record
    if not isinstance(record, FollowUp) or not isinstance(record.ecog, int):
        msg = "expected a visit with a performance status"
        raise TypeError(msg)
    signature = Signature(name, datetime.now(UTC), "one more")
    more = replace(record, ecog=record.ecog + 1)
    try:
        revise_record(ledger, "P", more, signature, expected_revision=last.revision)
    except LedgerError as error:
        if "read it again" not in str(error):
            raise
        return False
    return True


def main() -> None:
    """Run from the command line."""
    where, name, times = sys.argv[1:]
    ledger = open_ledger(where)
    n_done = n_refused = 0
    while n_done < int(times):
        if raise_once(ledger, name):
            n_done += 1
        else:
            n_refused += 1
    ledger.close()
    print(n_refused)


if __name__ == "__main__":
    main()
