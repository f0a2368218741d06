"""Triggers that refuse every change of a row that is there."""

import sqlalchemy as sa
from alembic import op

_SQLITE = """
CREATE TRIGGER {name} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, 'the ledger only adds rows: {table} cannot be changed'); END
"""

_POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION ledger_only_adds() RETURNS trigger AS $$
BEGIN
  RAISE EXCEPTION 'the ledger only adds rows: % cannot be changed', TG_TABLE_NAME;
END
$$ LANGUAGE plpgsql
"""


def make_append_only(tables: list[str]) -> None:
    """Make UPDATE, DELETE and (PostgreSQL) TRUNCATE fail on these tables."""
    connection = op.get_bind()
    is_postgres = connection.dialect.name == "postgresql"
    if is_postgres:
        connection.execute(sa.text(_POSTGRES_FUNCTION))
    for table in tables:
        if is_postgres:
            statements = [
                f"CREATE TRIGGER {table}_only_adds BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION ledger_only_adds()",
                f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION ledger_only_adds()",
            ]
        else:
            statements = [
                _SQLITE.format(name=f"{table}_no_{what.lower()}", what=what, table=table)
                for what in ("UPDATE", "DELETE")
            ]
        for statement in statements:
            connection.execute(sa.text(statement))
