"""Records to rows and back: rows become core objects here and stop here."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from enum import Enum
from typing import Any

import sqlalchemy as sa

from rerad.core.clinical_history import RECORD_KINDS, Absent, ClinicalRecord, kind_of
from rerad.core.record_documents import content_hash, field_types, to_document
from rerad.errors import InputError, LedgerError
from rerad.ledger.schema import column_name, part_fields, part_tables, record_tables

Row = Mapping[str, Any]


def row_hash(record: ClinicalRecord, patient_id: str, envelope: Row) -> str:
    """Return the hash of a revision: its content, whose it is, which it is, when it was written.

    Parameters
    ----------
    record : ClinicalRecord
        Content.
    patient_id : str
        Whose.
    envelope : mapping
        ``revision``, ``is_withdrawn`` and ``recorded_utc``.
    """
    return content_hash(
        {
            "patient_id": patient_id,
            "revision": envelope["revision"],
            "is_withdrawn": bool(envelope["is_withdrawn"]),
            "recorded_utc": envelope["recorded_utc"],
            "document": to_document(record),
        }
    )


def values_of(item: object) -> dict[str, Any]:
    """Return the columns of a record, or of a part: values that are there, and why others not."""
    parts = part_fields(type(item))
    values: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for field in fields(item):  # type: ignore[arg-type]
        value = getattr(item, field.name)
        if field.name in parts or field.name in {"key", "patient_id"}:
            continue
        if isinstance(value, Absent):
            if value is not Absent.NOT_ASKED:
                absent[field.name] = value.value
        elif value == ():
            continue
        elif isinstance(value, tuple):
            values[column_name(field.name)] = json.dumps(value, ensure_ascii=False)
        else:
            plain = value.value if isinstance(value, Enum) else value
            values[column_name(field.name)] = plain
    return values | {"absent": json.dumps(absent, sort_keys=True)}


def insert_parts(connection: sa.Connection, item: object, row_id: int) -> None:
    """Add the rows of all parts of a record, and of their parts."""
    for name, part in part_fields(type(item)).items():
        table = part_tables[part]
        for position, value in enumerate(getattr(item, name)):
            row = {"parent_row": row_id, "position": position, **values_of(value)}
            inserted = connection.execute(sa.insert(table), row)
            if part_fields(part):
                insert_parts(connection, value, _new_id(inserted))


def insert_record(connection: sa.Connection, record: ClinicalRecord, envelope: Row) -> None:
    """Add one revision with all its parts.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        Of the writer.
    record : ClinicalRecord
        Content.
    envelope : mapping
        ``record_id``, ``revision``, ``recorded_utc``, ``is_withdrawn``, ``row_hash``.
    """
    table = record_tables[kind_of(record)]
    inserted = connection.execute(sa.insert(table), {**envelope, **values_of(record)})
    insert_parts(connection, record, _new_id(inserted))


def _new_id(result: sa.CursorResult[Any]) -> int:
    """Return the number of the row that was added."""
    key = result.inserted_primary_key
    if key is None:
        msg = "the database did not number a new row; nothing was written"
        raise LedgerError(msg)
    return int(key[0])


def read_parts(
    connection: sa.Connection, kind: type, row_ids: Sequence[int]
) -> dict[int, dict[str, tuple[Any, ...]]]:
    """Return the parts of rows of one kind, by row and field."""
    found: dict[int, dict[str, tuple[Any, ...]]] = {row_id: {} for row_id in row_ids}
    for name, part in part_fields(kind).items():
        table = part_tables[part]
        rows = _rows_in(connection, table, table.c.parent_row, row_ids)
        deeper = read_parts(connection, part, [row["row_id"] for row in rows])
        for row in sorted(rows, key=lambda item: item["position"]):
            item = _item(part, row, deeper[row["row_id"]])
            earlier = found[row["parent_row"]].get(name, ())
            found[row["parent_row"]][name] = (*earlier, item)
    return found


def _rows_in(
    connection: sa.Connection, table: sa.Table, column: sa.Column[Any], numbers: Iterable[int]
) -> list[Row]:
    """Return the rows of a table whose column is among some numbers, in pieces SQLite can take."""
    wanted = list(numbers)
    rows: list[Row] = []
    for start in range(0, len(wanted), 500):
        piece = wanted[start : start + 500]
        query = sa.select(table).where(column.in_(piece))
        rows.extend(dict(row) for row in connection.execute(query).mappings())
    return rows


def records_of_rows(
    connection: sa.Connection, kind: str, rows: Sequence[Row]
) -> list[ClinicalRecord | InputError]:
    """Return the records of rows of one kind; where a row makes no record, the reason.

    Parameters
    ----------
    connection : sqlalchemy.Connection
        To read the parts.
    kind : str
        Name of the kind.
    rows : sequence of mapping
        Columns of the kind's table, with ``patient_id`` and ``key``.
    """
    record_class = RECORD_KINDS[kind]
    parts = read_parts(connection, record_class, [row["row_id"] for row in rows])
    found: list[ClinicalRecord | InputError] = []
    for row in rows:
        try:
            found.append(_item(record_class, row, parts[row["row_id"]]))
        except (InputError, ValueError, TypeError, KeyError) as error:
            found.append(InputError(f"{kind} {row['key']!r} cannot be read: {error}"))
    return found


def _item(kind: type, row: Row, parts: Mapping[str, tuple[Any, ...]]) -> Any:
    """Return a record, or a part of one, from its columns."""
    absent = json.loads(row["absent"])
    types = field_types(kind)
    part_names = part_fields(kind)
    values: dict[str, Any] = {}
    for field in fields(kind):
        name = field.name
        if name in part_names:
            values[name] = parts.get(name, ())
            continue
        value = row[name] if name in {"key", "patient_id"} else row[column_name(name)]
        if name in absent:
            if value is not None:
                msg = f"{name} has a value and is said to be {absent[name]}"
                raise InputError(msg)
            values[name] = Absent(absent[name])
        elif value is not None:
            values[name] = _value(value, types[name])
    return kind(**values)


def _value(value: Any, types: tuple[type, ...]) -> Any:
    """Return a column's value as the field holds it."""
    if types[0] is tuple:
        return tuple(json.loads(value))
    if issubclass(types[0], Enum):
        return types[0](value)
    return value
