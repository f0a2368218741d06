"""Any record goes through documents, TOML, JSON and the ledger and comes out as it was."""

import tempfile
from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rerad.case.history_files import read_history_file, write_history_file
from rerad.core.clinical_history import (
    RECORD_KINDS,
    SIDES,
    Absent,
    ClinicalHistory,
    ClinicalRecord,
    CourseRecord,
    Death,
    OpioidUse,
    PatientRecord,
    PointDose,
)
from rerad.core.record_documents import canonical_json, field_types, from_document, to_document
from rerad.ledger import Signature, add_history, open_ledger, read_history, verify_ledger

WORDS = {kind.value for kind in Absent}
LETTERS = st.characters(exclude_categories=("Cs", "Cc"))
TEXTS = st.text(LETTERS, min_size=1, max_size=12).filter(
    lambda text: text.strip().lower() not in WORDS
)
NUMBERS = st.floats(0, 200, allow_nan=False).map(abs)
SHARES = st.floats(0.01, 0.99)
DATES = st.dates(date(1900, 1, 1), date(2100, 1, 1))


def values(types: Sequence[type], name: str) -> st.SearchStrategy[Any]:
    """Return what a field may hold."""
    if types[0] is tuple:
        part = types[1]
        inner = items(part) if is_dataclass(part) else (TEXTS if part is str else SHARES)
        return st.lists(inner, max_size=3).map(tuple)
    kinds: list[st.SearchStrategy[Any]] = []
    for held in types:
        if held is Absent:
            kinds.append(st.sampled_from(list(Absent)))
        elif issubclass(held, Enum):
            kinds.append(st.sampled_from(list(held)))
        elif held is bool:
            kinds.append(st.booleans())
        elif held is int:
            kinds.append(st.integers(0, 200))
        elif held is float:
            kinds.append(NUMBERS)
        elif held is date:
            kinds.append(DATES)
        else:
            kinds.append(st.sampled_from(SIDES) if name == "side" else TEXTS)
    return st.one_of(*kinds)


SKIPPED = {"ordinal", "key", "order", "end", "highest"}
"""Fields that others decide or that must not contradict them."""


def items(kind: type) -> st.SearchStrategy[Any]:
    """Return records, or parts, of a class."""
    types = field_types(kind)
    if kind is PointDose:  # a file wants both
        types = types | {"max_gy": (float,), "source": (str,)}
    content = {
        f.name: values(types[f.name], f.name) for f in fields(kind) if f.name not in SKIPPED
    }
    return st.fixed_dictionaries(content).map(lambda values: kind(**values))


def records() -> st.SearchStrategy[list[ClinicalRecord]]:
    """Return a few records of any kinds, with keys of their own."""
    kinds = [kind for kind in RECORD_KINDS.values() if kind is not PatientRecord]
    one = st.sampled_from(kinds).flatmap(
        lambda kind: st.fixed_dictionaries(
            {
                f.name: values(field_types(kind)[f.name], f.name)
                for f in fields(kind)
                if f.name not in SKIPPED
            }
        ).map(lambda content: (kind, content))
    )
    return st.lists(one, max_size=4).map(
        lambda drawn: [
            kind(key=f"record-{number}", order=number, **content)
            for number, (kind, content) in enumerate(drawn)
            # nobody dies twice
            if kind is not Death or Death not in [other for other, _ in drawn[:number]]
        ]
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(records())
def test_any_record_survives_its_document(drawn: list[ClinicalRecord]) -> None:
    for record in drawn:
        document = to_document(record)
        assert from_document(document) == record
        assert canonical_json(to_document(from_document(document))) == canonical_json(document)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(records())
def test_any_history_survives_files_and_the_ledger(drawn: list[ClinicalRecord]) -> None:
    history = ClinicalHistory(PatientRecord(patient_id="P", text="x"), tuple(drawn))
    with tempfile.TemporaryDirectory() as folder:
        for name in ("history.json", "history.toml"):
            write_history_file(history, Path(folder) / name)
            assert _graded(read_history_file(Path(folder) / name), history) == history
        ledger = open_ledger(Path(folder) / "ledger.db")
        add_history(ledger, history, Signature("x", datetime(2026, 1, 1, tzinfo=UTC)))
        assert read_history(ledger, "P") == history
        assert verify_ledger(ledger).is_sound
        ledger.close()


def _graded(read: ClinicalHistory, written: ClinicalHistory) -> ClinicalHistory:
    """Take grades from what was written: TOML has none, they follow from what is on record.

    An opioid whose dose is known gets an equivalent when it is read, if it had none.
    """
    records = []
    for record in read.records:
        before = next(r for r in written.records if r.key == record.key)
        changes: dict[str, Any] = {}
        if isinstance(record, CourseRecord) and isinstance(before, CourseRecord):
            changes = {"grade": before.grade}
        if isinstance(record, OpioidUse) and isinstance(before, OpioidUse):
            names = ("oral_morphine_mg_day", "conversion_table")
            changes = {name: getattr(before, name) for name in names}
        records.append(replace(record, **changes))
    return ClinicalHistory(read.patient, tuple(records))
