"""Writers that are killed lose nothing that was acknowledged; two at once lose no update."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

from rerad.core.clinical_history import FollowUp, PatientRecord
from rerad.ledger import Signature, add_record, open_ledger, read_revisions, verify_ledger

COUNT_UP = Path(__file__).resolve().parents[3] / "tools" / "ledger" / "count_up.py"

N_KILLS, SEED = 24, 6
"""More than 200 writes, whatever the machine; tools/ledger/kill_writes.py is for more."""

N_WRITES = 200

N_EDITS = 12


def test_a_killed_writer_loses_nothing_acknowledged(
    ledger_url: str, tool: Callable[[str], ModuleType]
) -> None:
    result = tool("kill_writes").kill_writes(ledger_url, N_KILLS, SEED)
    assert result.n_kills == N_KILLS
    assert result.n_acknowledged >= N_WRITES
    assert result.n_lost == 0
    assert result.problems == ()


def test_two_writers_at_once_lose_no_update(ledger_url: str) -> None:
    ledger = open_ledger(ledger_url)
    signature = Signature("first", datetime.now(UTC))
    add_record(ledger, "P", PatientRecord(patient_id="P", text="x"), signature)
    add_record(ledger, "P", FollowUp(key="visit", order=1, text="x", ecog=0), signature)
    ledger.close()
    writers = [
        subprocess.Popen(
            [sys.executable, str(COUNT_UP), ledger_url, name, str(N_EDITS)],
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("a", "b")
    ]
    said = [writer.communicate(timeout=60)[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    ledger = open_ledger(ledger_url)
    revisions = read_revisions(ledger, "P", "visit")
    found = verify_ledger(ledger)
    ledger.close()
    assert revisions[-1].revision == 2 * N_EDITS + 1
    assert revisions[-1].record.ecog == 2 * N_EDITS  # type: ignore[attr-defined]
    assert all(text.strip().isdigit() for text in said)
    assert found.is_sound


def test_processes_that_open_a_new_ledger_at_once_make_one(tmp_path: Path) -> None:
    where = str(tmp_path / "new.db")
    script = "import sys; from rerad.ledger import open_ledger; open_ledger(sys.argv[1]).close()"
    openers = [subprocess.Popen([sys.executable, "-c", script, where]) for _ in range(4)]
    assert [opener.wait(60) for opener in openers] == [0] * 4
    ledger = open_ledger(where)
    assert verify_ledger(ledger).is_sound
    ledger.close()
