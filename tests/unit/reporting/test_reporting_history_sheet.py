"""The records of a patient as a sheet: every statement, every unknown, the outcome once."""

from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path

import pytest

from rerad.case.history_files import read_history_file
from rerad.case.ledger_history import treatment_history
from rerad.core.clinical_history import Absent, ClinicalHistory, PatientRecord
from rerad.errors import InputError
from rerad.reporting import write_history_sheet
from rerad.reporting.document import texts_of
from rerad.reporting.history_sheet import history_content

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "published_case" / "history.toml"
MADE = date(2026, 1, 2)


@pytest.fixture(scope="module")
def published() -> ClinicalHistory:
    return read_history_file(EXAMPLE)


def absences(item: object) -> int:
    """Count the fields of a record, and of its parts, that are marked unknown."""
    if item is Absent.UNKNOWN:
        return 1
    if isinstance(item, tuple):
        return sum(absences(part) for part in item)
    if is_dataclass(item):
        return sum(absences(getattr(item, field.name)) for field in fields(item))
    return 0


def test_every_statement_and_every_unknown_of_the_published_case_is_on_it(
    published: ClinicalHistory,
) -> None:
    content = history_content(published, MADE, "from a file")
    table = next(t for t in content.tables if t.key == "records")
    assert len(table.rows) == len(published.records) == 17
    for record, row in zip(published.records, table.rows, strict=True):
        assert row[1].sub == record.key
        assert row[2].text == record.text
        # date and when have a column of their own
        n_own = (record.date is Absent.UNKNOWN) + (record.when is Absent.UNKNOWN)
        assert row[2].sub.count("unknown") >= absences(record) - n_own, record.key
    said = "\n".join(texts_of(content))
    for point in published.patient.unknowns:
        assert point in said
    assert published.patient.text in said
    assert said.count("indeterminate response") == 1
    for number in ("dose mg: 60", "every hours: 12", "GTV 40 Gy", "oral morphine mg day: 180"):
        assert number in said, number
    assert "from a file" in said


def test_a_patient_without_records_has_a_sheet_too(tmp_path: Path) -> None:
    empty = ClinicalHistory(PatientRecord(patient_id="P", text=""), ())
    content = history_content(empty, MADE, "from a file")
    said = "\n".join(texts_of(content))
    assert "No course of radiotherapy is on record." in said
    assert "not asked" in said
    path = tmp_path / "sheet.pdf"
    write_history_sheet(empty, treatment_history(empty), path, made=MADE, source="from a file")
    assert path.read_bytes().startswith(b"%PDF")


def test_the_sheet_is_written_whole_or_refused(published: ClinicalHistory, tmp_path: Path) -> None:
    story = treatment_history(published)
    for name in ("sheet.pdf", "sheet.html"):
        write_history_sheet(published, story, tmp_path / name, made=MADE, source="x")
    assert "Nerve root metastases" in (tmp_path / "sheet.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sheet.html", "sheet.pdf"]
    with pytest.raises(InputError, match=r"expected a sheet ending in \.pdf or \.html"):
        write_history_sheet(published, story, tmp_path / "x.doc", made=MADE, source="x")
    with pytest.raises(InputError, match="for the sheet is not there"):
        write_history_sheet(published, story, tmp_path / "no" / "x.pdf", made=MADE, source="x")
