"""CSV tables: every record a row, absence said in words, all files or none."""

import csv
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from rerad.core.clinical_history import (
    NOT_APPLICABLE,
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    Death,
    MuscleStrength,
    PatientRecord,
    PhaseVolume,
)
from rerad.errors import InputError, MissingDataError
from rerad.exchange import write_parquet_tables, write_research_tables


def history(name: str) -> ClinicalHistory:
    volumes = (
        PhaseVolume(structure="GTV", prescribed_gy=55.0),
        PhaseVolume(structure="PTV", prescribed_gy=UNKNOWN),
    )
    course = CourseRecord(
        key="c1",
        order=1,
        text='a, "quoted" text\nof two lines',
        title="C1",
        stop_reason=NOT_APPLICABLE,
        n_fractions_planned=25,
        phases=(CoursePhase(name="a", volumes=volumes), CoursePhase(name="b")),
        partial_fractions=(0.5, 0.25),
    )
    patient = PatientRecord(patient_id=name, text="x")
    return ClinicalHistory(patient, (course, Death(key="d", order=2, text="", cause=UNKNOWN)))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_every_record_is_a_row_and_absence_has_a_word(tmp_path: Path) -> None:
    files = write_research_tables((history(n) for n in ("A", "B")), tmp_path / "out")
    assert [f.name for f in files] == [
        "course.csv",
        "course_phases.csv",
        "course_phases_volumes.csv",
        "death.csv",
        "patient.csv",
    ]
    courses = rows(tmp_path / "out" / "course.csv")
    assert [(r["patient_id"], r["key"]) for r in courses] == [("A", "c1"), ("B", "c1")]
    assert courses[0]["text"] == 'a, "quoted" text\nof two lines'
    assert (courses[0]["n_fractions_planned"], courses[0]["n_fractions_planned_absent"]) == (
        "25",
        "",
    )
    assert (courses[0]["stop_reason"], courses[0]["stop_reason_absent"]) == ("", "not applicable")
    assert (courses[0]["start"], courses[0]["start_absent"]) == ("", "not asked")
    assert courses[0]["partial_fractions"] == "0.5; 0.25"
    volumes = rows(tmp_path / "out" / "course_phases_volumes.csv")
    assert [
        (r["record"], r["phases_at"], r["volumes_at"], r["structure"]) for r in volumes[:2]
    ] == [
        ("c1", "0", "0", "GTV"),
        ("c1", "0", "1", "PTV"),
    ]
    assert (volumes[1]["prescribed_gy"], volumes[1]["prescribed_gy_absent"]) == ("", "unknown")


def test_all_files_or_none(tmp_path: Path) -> None:
    def failing() -> Iterator[ClinicalHistory]:
        yield history("A")
        msg = "the power fails"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="the power fails"):
        write_research_tables(failing(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "there").mkdir()
    with pytest.raises(InputError, match=r"expected .*there not to be there"):
        write_research_tables([history("A")], tmp_path / "there")


def test_parquet_holds_the_same_with_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    files = write_research_tables((history(n) for n in ("A", "B")), tmp_path / "out")
    written = write_parquet_tables(files)
    assert [f.stem for f in written] == [f.stem for f in files]
    for source, copy in zip(files, written, strict=True):
        table = parquet.read_table(copy)
        told = rows(source)
        assert table.num_rows == len(told)
        for name in table.column_names:
            for mine, text in zip(table[name].to_pylist(), (r[name] for r in told), strict=True):
                if text == "":
                    assert mine is None
                elif isinstance(mine, float):
                    assert mine == float(text)
                elif not isinstance(mine, bool):
                    assert str(mine) == text
    fractions = parquet.read_table(tmp_path / "out" / "course.parquet")["n_fractions_planned"]
    assert fractions.to_pylist() == [25, 25]


def test_text_that_looks_like_a_number_stays_text(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    patient = PatientRecord(patient_id="00123", text="7", birth_date=date(1970, 2, 3))
    grade = MuscleStrength(key="1", order=2, text="", grade="4")
    death = Death(key="2", order=3, text="2024-01-02", date=date(2024, 1, 2), cause=UNKNOWN)
    records = (grade, death, *history("x").records[:1])
    files = write_research_tables([ClinicalHistory(patient, records)], tmp_path / "out")
    write_parquet_tables(files)

    def column(table: str, name: str) -> list[object]:
        found: list[object] = parquet.read_table(tmp_path / "out" / f"{table}.parquet")[
            name
        ].to_pylist()
        return found

    assert column("patient", "patient_id") == column("strength", "patient_id") == ["00123"]
    assert column("strength", "grade") == ["4"]
    assert column("strength", "ordinal") == [10]
    assert column("death", "date") == [date(2024, 1, 2)]
    assert column("death", "text") == ["2024-01-02"]
    assert column("death", "cause") == [None]
    assert column("course_phases_volumes", "prescribed_gy") == [55.0, None]
    assert column("course_phases_volumes", "volumes_at") == [0, 1]
    assert column("patient", "birth_date") == [date(1970, 2, 3)]


def test_parquet_without_its_library_says_what_to_do(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingDataError, match=r"install rerad\[research\]"):
        write_parquet_tables((tmp_path / "x.csv",))
