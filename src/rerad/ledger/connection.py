"""Opening a ledger: SQLite file or PostgreSQL, at the schema that this program knows.

A SQLite file is used in WAL mode with ``synchronous=FULL``: what was acknowledged is on the disk.
WAL needs a local disk; for several machines use PostgreSQL. Writers come one after another, on
both engines: on SQLite by its write lock, on PostgreSQL by an advisory lock of the transaction.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from rerad.errors import LedgerError

LOCK_WAIT_S = 30
"""How long a writer waits for another before it gives up."""

_ADVISORY_LOCK = 0x7265726164  # "rerad"
_SQLITE_HEADER = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Ledger:
    """An open ledger.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        How to reach it.
    name : str
        Path or URL without password, for messages.
    """

    engine: sa.Engine
    name: str

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def open_ledger(where: str | Path, *, may_create: bool = True) -> Ledger:
    """Open a ledger, make it if it is not there, and bring an older schema forward.

    Parameters
    ----------
    where : str or Path
        Path of a SQLite file, or a URL ``postgresql://user@host/database``.
    may_create : bool
        Whether a file that is not there is made; reading commands say no.

    Returns
    -------
    Ledger

    Raises
    ------
    LedgerError
        If it is not there, is no ledger, cannot be reached, or has a newer schema.
    """
    text = str(where)
    try:
        ledger = _postgres(text) if "://" in text else _sqlite(Path(text), may_create)
        _bring_forward(ledger)
    except sa.exc.DBAPIError as error:
        msg = f"{_shown(text)} cannot be opened as a ledger: {_reason(error)}"
        raise LedgerError(msg) from error
    return ledger


def _reason(error: sa.exc.DBAPIError) -> str:
    """Return the first line of what the database says."""
    said = str(error.orig).strip()
    return said.splitlines()[0] if said else "no reason given"


def _shown(text: str) -> str:
    """Return path or URL without password."""
    if "://" not in text:
        return text
    return sa.make_url(text).render_as_string(hide_password=True)


def _sqlite(path: Path, may_create: bool) -> Ledger:
    """Open a SQLite file."""
    if not path.exists() and not may_create:
        msg = f"expected a ledger at {path}, found none; `rerad ledger add` or `import` makes one"
        raise LedgerError(msg)
    if path.exists() and path.stat().st_size:
        with path.open("rb") as handle:
            if handle.read(len(_SQLITE_HEADER)) != _SQLITE_HEADER:
                msg = f"{path} is not a ledger: expected a SQLite file; name another"
                raise LedgerError(msg)
    elif not path.parent.is_dir():
        msg = f"the folder {path.parent} of the ledger is not there; make it first"
        raise LedgerError(msg)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": LOCK_WAIT_S}
    )
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return Ledger(engine, str(path))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    """Set durability and foreign keys; let the ledger itself begin transactions."""
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """Begin a transaction; a writer takes the lock at once instead of failing half way."""
    is_writing = connection.get_execution_options().get("rerad_is_writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")


def _postgres(text: str) -> Ledger:
    """Open a PostgreSQL database."""
    url = sa.make_url(text)
    if url.get_backend_name() != "postgresql":
        msg = f"expected a path or a URL postgresql://..., got {_shown(text)}"
        raise LedgerError(msg)
    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args={"options": "-c synchronous_commit=on -c timezone=UTC"},
            pool_pre_ping=True,
        )
    except ModuleNotFoundError as error:
        msg = "a ledger on PostgreSQL needs psycopg: pip install 'rerad[postgres]'"
        raise LedgerError(msg) from error
    return Ledger(engine, _shown(text))


@contextmanager
def reading(ledger: Ledger) -> Iterator[sa.Connection]:
    """Give a connection whose reads see one state of the ledger."""
    engine = ledger.engine
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection, connection.begin():
        yield connection


@contextmanager
def writing(ledger: Ledger) -> Iterator[sa.Connection]:
    """Give the connection of the one writer; what it does is kept as a whole or not at all.

    Raises
    ------
    LedgerError
        If another writer holds the ledger for too long, or the database refuses.
    """
    engine = ledger.engine.execution_options(rerad_is_writing=True)
    try:
        with engine.connect() as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                connection.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WAIT_S}s'"))
                connection.execute(
                    sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK}
                )
            yield connection
    except sa.exc.DBAPIError as error:
        msg = f"{ledger.name} refused the change, and nothing was written: {_reason(error)}"
        raise LedgerError(msg) from error


def _alembic() -> Config:
    """Return where the steps are."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def newest_schema() -> str:
    """Return the schema that this program writes."""
    head = ScriptDirectory.from_config(_alembic()).get_current_head()
    return str(head)


def schema_of(ledger: Ledger) -> str:
    """Return the schema that a ledger has; empty before the first step."""
    with ledger.engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def _bring_forward(ledger: Ledger) -> None:
    """Run the steps that are missing in one transaction, or refuse what is newer or foreign."""
    # tables first: another process may be making the ledger between the two looks
    tables = sa.inspect(ledger.engine).get_table_names()
    current, newest = schema_of(ledger), newest_schema()
    if current == newest:
        return
    known = {step.revision for step in ScriptDirectory.from_config(_alembic()).walk_revisions()}
    if current and current not in known:
        msg = (
            f"{ledger.name} has schema {current}, made by a newer rerad; this one knows schemas "
            f"up to {newest}: update rerad (nothing was changed)"
        )
        raise LedgerError(msg)
    if not current and tables:
        msg = f"{ledger.name} holds other tables and is no ledger; name an empty database"
        raise LedgerError(msg)
    upgrade(ledger, newest)


def upgrade(ledger: Ledger, schema: str) -> None:
    """Bring a ledger forward to a schema, in one transaction.

    Parameters
    ----------
    ledger : Ledger
        Of an older schema, or empty.
    schema : str
        For example ``0002``.
    """
    config = _alembic()
    with writing(ledger) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, schema)
