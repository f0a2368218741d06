"""Kill writers of a ledger at random moments, and count what was acknowledged and is not there.

    python tools/ledger/kill_writes.py LEDGER [--kills 200] [--seed 1]

A process writes records and says each one's key as soon as the ledger has acknowledged it; after
a random number of writes and a random few milliseconds it is killed (SIGKILL), again and again. At
the end every acknowledged record must be there and the audit trail must verify. This tests the
loss of a process, not of power.
"""

import argparse
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count

from rerad.core.clinical_history import CoursePhase, CourseRecord, PatientRecord, PhaseVolume
from rerad.ledger import (
    Signature,
    add_record,
    open_ledger,
    patient_ids,
    read_history,
    verify_ledger,
)

PATIENT = "KILL"
LONGEST_WAIT_S = 0.03
"""From the last write waited for until the kill: spans one or two writes on both engines."""

FEWEST_WRITES, MOST_WRITES = 2, 15
"""Acknowledged before the clock starts: a random number, the same on every machine."""


@dataclass(frozen=True)
class KillCount:
    """What came of it."""

    n_kills: int
    n_acknowledged: int
    n_lost: int
    n_unacknowledged: int
    n_in_flight: int
    problems: tuple[str, ...]


def course(key: str, order: int) -> CourseRecord:
    """Return a course with parts, so that a write has more than one row to lose."""
    volumes = tuple(PhaseVolume(structure=f"PTV{n}", prescribed_gy=40.0 + n) for n in range(3))
    phases = tuple(CoursePhase(name=f"phase {n}", volumes=volumes) for n in range(2))
    return CourseRecord(key=key, order=order, text="written under fire", title=key, phases=phases)


def signature() -> Signature:
    """Return who writes, now."""
    return Signature("kill test", datetime.now(UTC))


def write_until_killed(where: str, run: int, pipe: int) -> None:
    """Write records without end; say ``>`` before and the key after each."""
    ledger = open_ledger(where)
    for number in count():
        key = f"run{run}-{number}"
        os.write(pipe, b">")
        add_record(ledger, PATIENT, course(key, number + 1), signature())
        os.write(pipe, f"{key}\n".encode())


def acknowledged_keys(said: str) -> Iterator[str]:
    """Return the keys that were said in full."""
    for line in said.split("\n")[:-1]:
        yield line.removeprefix(">")


def killed_run(where: str, run: int, chance: random.Random) -> tuple[set[str], bool]:
    """Start a writer, kill it; return what it acknowledged and whether a write was under way."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        try:
            write_until_killed(where, run, write_end)
        finally:
            os._exit(1)
    os.close(write_end)
    said = b""
    n_wanted = chance.randint(FEWEST_WRITES, MOST_WRITES)
    while said.count(b"\n") < n_wanted and (piece := os.read(read_end, 4096)):
        said += piece
    time.sleep(chance.uniform(0, LONGEST_WAIT_S))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    while piece := os.read(read_end, 65536):
        said += piece
    os.close(read_end)
    if not os.WIFSIGNALED(status):
        msg = f"run {run}: the writer ended by itself"
        raise RuntimeError(msg)
    return set(acknowledged_keys(said.decode())), said.endswith(b">")


def kill_writes(where: str, n_kills: int, seed: int) -> KillCount:
    """Kill writers `n_kills` times and count.

    Parameters
    ----------
    where : str
        Ledger; made if it is not there.
    n_kills : int
        At least 1.
    seed : int
        Of the moments.
    """
    ledger = open_ledger(where)
    if PATIENT not in patient_ids(ledger):
        patient = PatientRecord(patient_id=PATIENT, text="nobody")
        add_record(ledger, PATIENT, patient, signature())
    ledger.close()
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    n_in_flight = 0
    for run in range(n_kills):
        keys, was_writing = killed_run(where, run, chance)
        acknowledged |= keys
        n_in_flight += was_writing
    ledger = open_ledger(where)
    there = {record.key for record in read_history(ledger, PATIENT).records}
    found = verify_ledger(ledger)
    ledger.close()
    return KillCount(
        n_kills=n_kills,
        n_acknowledged=len(acknowledged),
        n_lost=len(acknowledged - there),
        n_unacknowledged=len(there - acknowledged),
        n_in_flight=n_in_flight,
        problems=found.problems,
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Kill writers of a ledger at random moments.")
    parser.add_argument("ledger", help="path of a new SQLite file, or postgresql://...")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    result = kill_writes(arguments.ledger, arguments.kills, arguments.seed)
    print(
        f"{result.n_kills} kills, {result.n_in_flight} of them during a write; "
        f"{result.n_acknowledged} acknowledged, {result.n_lost} of them lost; "
        f"{result.n_unacknowledged} written but not yet acknowledged; "
        f"{len(result.problems)} problems in the audit trail"
    )
    return 1 if result.n_lost or result.problems else 0


if __name__ == "__main__":
    sys.exit(main())
