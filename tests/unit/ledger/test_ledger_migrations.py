"""Older ledgers come forward without loss; newer and foreign ones are refused in a sentence."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from rerad.core.clinical_history import NOT_ASKED, ClinicalHistory, ImagingStudy
from rerad.errors import LedgerError
from rerad.ledger import (
    Ledger,
    Signature,
    add_history,
    find_by_reference,
    newest_schema,
    open_ledger,
    patient_ids,
    read_history,
    schema_of,
    verify_ledger,
)
from rerad.ledger.connection import _postgres, upgrade
from rerad.ledger.schema import metadata

OLDER = Path(__file__).parent / "data" / "ledger_0001.sql"


@pytest.fixture
def older_file(tmp_path: Path) -> Path:
    """A ledger file as the first schema left it."""
    path = tmp_path / "older.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLDER.read_text(encoding="utf-8"))
    connection.close()
    return path


def test_migrations_make_the_tables_that_the_code_speaks_of(ledger: Ledger) -> None:
    with ledger.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert schema_of(ledger) == newest_schema() == "0002"


def test_an_older_file_comes_forward_without_loss(
    older_file: Path, tool: Callable[[str], ModuleType], signature: Signature
) -> None:
    connection = sqlite3.connect(older_file)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(courses)")}
    connection.close()
    assert "institution" not in columns
    ledger = open_ledger(older_file)
    expected: ClinicalHistory = tool("make_older_file").older_history()
    read = read_history(ledger, "OLD")
    assert read == expected
    assert read.course("course-1").institution is NOT_ASKED
    assert read.of_kind(ImagingStudy)[0].study_uid is NOT_ASKED
    assert find_by_reference(ledger, "1.2.840.1") == (("OLD", "course-1"),)
    assert verify_ledger(ledger).is_sound
    with pytest.raises(sa.exc.DBAPIError, match="only adds rows"), ledger.engine.begin() as edited:
        edited.execute(sa.text("UPDATE courses SET institution = 'here'"))
    ledger.close()


def test_an_older_postgres_ledger_comes_forward(
    postgres_url: str,
    tool: Callable[[str], ModuleType],
    signature: Signature,
    on_postgres: Callable[[str, str], None],
) -> None:
    on_postgres(postgres_url, "CREATE DATABASE older")
    url = postgres_url.removesuffix("postgres") + "older"
    first = _postgres(url)
    upgrade(first, "0001")
    expected = tool("make_older_file").older_history()
    add_history(first, expected, signature)
    first.close()
    ledger = open_ledger(url)
    assert schema_of(ledger) == "0002"
    assert read_history(ledger, "OLD") == expected
    assert verify_ledger(ledger).is_sound
    ledger.close()


def test_a_newer_schema_is_refused_in_a_sentence(older_file: Path) -> None:
    connection = sqlite3.connect(older_file)
    connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.commit()
    connection.close()
    before = older_file.read_bytes()
    with pytest.raises(
        LedgerError, match=r"has schema 0099, made by a newer rerad; .* up to 0002"
    ):
        open_ledger(older_file)
    assert older_file.read_bytes()[100:] == before[100:]


def test_a_step_that_fails_leaves_the_older_ledger(
    older_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from alembic.operations import Operations

    def failing(*_: object, **__: object) -> None:
        msg = "the power fails"
        raise RuntimeError(msg)

    monkeypatch.setattr(Operations, "create_index", failing)
    with pytest.raises(RuntimeError, match="the power fails"):
        open_ledger(older_file)
    monkeypatch.undo()
    connection = sqlite3.connect(older_file)
    columns = {row[1] for row in connection.execute("PRAGMA table_info(courses)")}
    connection.close()
    assert "institution" not in columns
    ledger = open_ledger(older_file)
    assert patient_ids(ledger) == ("OLD",)
    ledger.close()


def test_what_is_no_ledger_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("these are notes, and long enough", encoding="utf-8")
    with pytest.raises(LedgerError, match="is not a ledger: expected a SQLite file"):
        open_ledger(text)
    with pytest.raises(LedgerError, match=r"expected a ledger at .*none.db, found none"):
        open_ledger(tmp_path / "none.db", may_create=False)
    with pytest.raises(LedgerError, match=r"the folder .* of the ledger is not there"):
        open_ledger(tmp_path / "no" / "none.db")
    foreign = tmp_path / "foreign.db"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE cats (name TEXT)")
    connection.close()
    with pytest.raises(LedgerError, match="holds other tables and is no ledger"):
        open_ledger(foreign)
    with pytest.raises(LedgerError, match=r"expected a path or a URL postgresql://"):
        open_ledger("mysql://user:secret@host/base")
    with pytest.raises(LedgerError, match="cannot be opened as a ledger") as caught:
        open_ledger("postgresql://user:secret@127.0.0.1:1/base")
    assert "secret" not in str(caught.value)
