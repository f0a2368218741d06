"""Every edit from outside is found and named."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from rerad.core.clinical_history import ClinicalHistory
from rerad.ledger import Ledger, Signature, add_history, open_ledger, verify_ledger


def edit(ledger: Ledger, statement: str) -> int:
    """Change rows as somebody would who owns the database: triggers and keys put to sleep."""
    with ledger.engine.begin() as connection:
        if ledger.engine.dialect.name == "postgresql":
            connection.execute(sa.text("SET LOCAL session_replication_role = replica"))
        else:
            names = connection.execute(
                sa.text("SELECT name FROM sqlite_master WHERE type = 'trigger'")
            ).scalars()
            for name in list(names):
                connection.execute(sa.text(f"DROP TRIGGER {name}"))
        return int(connection.execute(sa.text(statement)).rowcount)


@pytest.fixture
def filled(ledger: Ledger, history: ClinicalHistory, signature: Signature) -> Ledger:
    """A ledger with one patient."""
    add_history(ledger, history, signature)
    return ledger


def test_a_sound_ledger_is_sound(filled: Ledger, history: ClinicalHistory) -> None:
    found = verify_ledger(filled)
    assert found.is_sound
    assert found.n_entries == len(history.records) + 1
    assert verify_ledger(filled, expected_heads=[found.head]).is_sound


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            "UPDATE courses SET n_fractions_delivered = 25 WHERE title = 'Course 2'",
            "course 'course-2' of patient 'P-1', revision 1 was edited",
        ),
        (
            "UPDATE phase_volumes SET prescribed_gy = 54 WHERE structure = 'GTVp'",
            "course 'course-1' of patient 'P-1', revision 1 was edited",
        ),
        ("DELETE FROM systemic_drugs WHERE drug = 'carboplatin'", "systemic_therapy 'chemo' of"),
        (
            "UPDATE deaths SET is_withdrawn = true",
            "death 'death' of patient 'P-1', revision 1 was",
        ),
        ("UPDATE deaths SET absent = '{}'", "death 'death' of patient 'P-1', revision 1 was"),
        ("UPDATE courses SET grade = 'perfect'", "cannot be read: 'perfect' is not a valid"),
        ("UPDATE muscle_strengths SET recorded_utc = '2020'", "muscle|strength 'strength' of pat"),
        ("DELETE FROM toxicities", "toxicity 'tox' of patient 'P-1', revision 1, is in the audit"),
        (
            "INSERT INTO deaths (row_id, record_id, revision, recorded_utc, is_withdrawn, "
            "row_hash, text, story_order, absent) SELECT 99, record_id, 2, recorded_utc, "
            "is_withdrawn, row_hash, text, story_order, absent FROM deaths",
            "death 'death' of patient 'P-1', revision 2 has no audit entry",
        ),
        ("UPDATE records SET key = 'dead' WHERE key = 'death'", "'dead' of patient 'P-1', revi"),
        ("UPDATE patients SET added_utc = '2020'", "patient 'P-1' was added or edited from out"),
        ("UPDATE audit SET actor = 'somebody' WHERE seq = 3", "audit entry 3 was edited"),
        ("DELETE FROM audit WHERE seq = 3", "audit entry 3 is missing"),
        ("UPDATE audit SET after = '{}' WHERE seq = 2", "audit entry 2 was edited"),
    ],
)
def test_an_edited_row_is_found_and_named(filled: Ledger, statement: str, expected: str) -> None:
    assert edit(filled, statement) >= 1
    found = verify_ledger(filled)
    assert not found.is_sound
    assert any(part in problem for problem in found.problems for part in expected.split("|")), (
        found.problems
    )


def test_an_entry_rehashed_by_its_editor_breaks_the_chain(filled: Ledger) -> None:
    from dataclasses import replace

    from rerad.ledger.audit import AuditEntry

    with filled.engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM audit WHERE seq = 3")).mappings().one()
    entry = replace(AuditEntry(**row), actor="somebody")
    edit(
        filled,
        f"UPDATE audit SET actor = 'somebody', hash = '{entry.expected_hash()}' WHERE seq = 3",
    )
    assert any("audit entry 4 does not follow" in text for text in verify_ledger(filled).problems)


def test_a_missing_end_is_found_by_the_head_that_was_noted(filled: Ledger) -> None:
    head = verify_ledger(filled).head
    last = "SELECT max(record_id) FROM records"
    edit(filled, f"DELETE FROM statements WHERE record_id = ({last})")
    edit(filled, f"DELETE FROM records WHERE record_id = ({last})")
    edit(filled, "DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)")
    assert verify_ledger(filled).is_sound
    found = verify_ledger(filled, expected_heads=[head])
    assert [text for text in found.problems if "no longer holds the head" in text]


def test_a_copy_of_the_file_is_as_good(
    tmp_path: Path, history: ClinicalHistory, signature: Signature
) -> None:
    ledger = open_ledger(tmp_path / "a.db")
    add_history(ledger, history, signature)
    ledger.close()
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")
    copied = open_ledger(tmp_path / "b.db")
    assert verify_ledger(copied).is_sound
    copied.close()
