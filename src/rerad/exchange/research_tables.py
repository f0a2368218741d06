"""Histories as CSV tables for research: one file for each kind of record, one for its parts.

An absent value is an empty cell, and a second column ``<name>_absent`` says why it is empty, so
that unknown, not applicable and not asked stay apart. Parquet is made of them where pyarrow is
installed (`parquet_tables`).
"""

import csv
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Any

from rerad.core.clinical_history import RECORD_KINDS, Absent, ClinicalHistory, kind_of
from rerad.core.record_documents import field_types
from rerad.errors import InputError

Row = dict[str, Any]


def write_research_tables(histories: Iterable[ClinicalHistory], folder: Path) -> tuple[Path, ...]:
    """Write histories as CSV files into a new folder, all or none.

    Parameters
    ----------
    histories : iterable of ClinicalHistory
        Of any number of patients; read one at a time.
    folder : Path
        Must not be there.

    Returns
    -------
    tuple of Path
        The files.

    Raises
    ------
    InputError
        If the folder is there.
    """
    if folder.exists():
        msg = f"expected {folder} not to be there, but it is; choose another folder"
        raise InputError(msg)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as name:
        part = Path(name) / "tables"
        part.mkdir()
        tables = _Tables(part)
        try:
            for history in histories:
                for record in (history.patient, *history.records):
                    tables.add(kind_of(record), record, {"patient_id": history.patient.patient_id})
        finally:
            tables.close()
        shutil.move(part, folder)
    return tuple(sorted(folder.glob("*.csv")))


class _Tables:
    """Files being written, one for each kind of record and part."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers: dict[str, Any] = {}
        self._handles: list[Any] = []

    def add(self, name: str, item: object, owner: Row) -> None:
        """Add a record or a part, and its parts after it."""
        row = owner | dict(_cells(item))
        if name not in self._writers:
            handle = (self._folder / f"{name}.csv").open("w", encoding="utf-8", newline="")
            self._handles.append(handle)
            self._writers[name] = csv.DictWriter(handle, list(row))
            self._writers[name].writeheader()
        self._writers[name].writerow(row)
        for field in fields(item):  # type: ignore[arg-type]
            value = getattr(item, field.name)
            if isinstance(value, tuple):
                mine = owner | {"record": getattr(item, "key", owner.get("record", ""))}
                for position, part in enumerate(v for v in value if is_dataclass(v)):
                    self.add(f"{name}_{field.name}", part, mine | {f"{field.name}_at": position})

    def close(self) -> None:
        """Close every file."""
        for handle in self._handles:
            handle.close()


def _cells(item: object) -> Iterator[tuple[str, Any]]:
    """Return the cells of a record or part; lists of parts have tables of their own."""
    types = field_types(type(item))
    for field in fields(item):  # type: ignore[arg-type]
        value, held = getattr(item, field.name), types[field.name]
        if held[0] is tuple:
            if not is_dataclass(held[1]):
                yield field.name, "; ".join(str(part) for part in value)
            continue
        is_absent = isinstance(value, Absent)
        plain = value.value if isinstance(value, Enum) else value
        yield field.name, "" if is_absent else plain
        if Absent in held:
            yield f"{field.name}_absent", value.value if is_absent else ""


def column_types() -> dict[str, dict[str, type]]:
    """Return what each column of each table holds: `int`, `float`, `bool` or `date`.

    A column that is not named holds text: a patient ID of digits is no number, and a muscle grade
    of ``4`` stands in one column with ``2+``.
    """
    found: dict[str, dict[str, type]] = {}
    for name, kind in RECORD_KINDS.items():
        _add_types(found, name, kind, ())
    return found


def _add_types(
    found: dict[str, dict[str, type]], name: str, kind: type, places: tuple[str, ...]
) -> None:
    """Add the columns of a record or part, and of its parts."""
    types = field_types(kind)
    found[name] = {place: int for place in places}
    for field, held in types.items():
        if held[0] is tuple:
            if is_dataclass(held[1]):
                _add_types(found, f"{name}_{field}", held[1], (*places, f"{field}_at"))
            continue
        plain = next((part for part in held if part in {bool, int, float, date}), None)
        if plain is not None:
            found[name][field] = plain
