"""case.toml: strict on the way in, commented on the way out."""

import json
from pathlib import Path

import pytest

from rerad.case import case_schema, read_case, write_case
from rerad.case.schema import CaseFile
from rerad.errors import CaseError


@pytest.fixture
def path(tiny_case: Path) -> Path:
    return tiny_case / "case.toml"


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_what_is_written_is_read_back(path: Path) -> None:
    case = read_case(path)
    write_case(case, path)
    assert read_case(path) == case
    assert read_case(path.parent) == case


def test_every_key_carries_a_comment(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        is_key = "=" in line and not line.startswith(("#", "[", " "))
        if is_key:
            assert lines[number - 1].startswith("#"), line


def test_an_unknown_key_names_file_and_key(path: Path) -> None:
    edit(path, "dose_grid_mm", "dose_gird_mm")
    with pytest.raises(CaseError, match=r"case\.toml: unknown key 'planning\.dose_gird_mm'"):
        read_case(path)


def test_a_value_out_of_range_names_the_key(path: Path) -> None:
    edit(path, "dose_grid_mm = 3.0", "dose_grid_mm = 99.0")
    with pytest.raises(CaseError, match=r"planning\.dose_grid_mm: .*less than or equal to 10"):
        read_case(path)


def test_broken_toml_is_said_to_be_broken(path: Path) -> None:
    edit(path, "title = ", "title ")
    with pytest.raises(CaseError, match="is not valid TOML"):
        read_case(path)


def test_another_version_is_refused(path: Path) -> None:
    edit(path, "schema_version = 1", "schema_version = 2")
    with pytest.raises(CaseError, match="expected schema_version = 1, got 2"):
        read_case(path)


def test_a_missing_case_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(CaseError, match="rerad import FOLDER --case"):
        read_case(tmp_path / "nowhere")


def test_unknown_is_a_value_and_nothing_else_is_text(path: Path) -> None:
    edit(path, "n_fractions_planned = 22", 'n_fractions_planned = "unknown"')
    assert read_case(path).current_course.n_fractions_planned == "unknown"
    edit(path, 'n_fractions_planned = "unknown"', 'n_fractions_planned = "some"')
    with pytest.raises(CaseError, match="n_fractions_planned"):
        read_case(path)


def test_schema_covers_every_table() -> None:
    schema = case_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert set(CaseFile.model_fields) == set(schema["properties"])
    assert schema["additionalProperties"] is False
