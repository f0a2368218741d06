"""The [robustness] table: written, read back, carried into the settings, refused by name."""

from dataclasses import asdict
from pathlib import Path

import pytest

from rerad.case import case_schema, load_case, read_case, write_case
from rerad.case.run import provenance_of
from rerad.case.schema import RobustnessTable
from rerad.errors import CaseError

TABLE = RobustnessTable(
    prior_shift_mm=(5.0, 5.0, 6.0),
    setup_shift_mm=(3.0, 3.0, 0.0),
    alpha_beta_spread_gy=0.5,
    recovery_spread=0.1,
)


@pytest.fixture
def robust_path(tiny_case: Path) -> Path:
    """Return the tiny case with the table."""
    path = tiny_case / "case.toml"
    write_case(read_case(path).model_copy(update={"robustness": TABLE}), path)
    return path


def test_the_table_goes_to_disk_and_back_and_into_the_settings(robust_path: Path) -> None:
    assert read_case(robust_path).robustness == TABLE
    loaded = load_case(robust_path)
    settings = loaded.inputs.settings.robustness
    assert settings is not None
    assert asdict(settings) == TABLE.model_dump()
    record = provenance_of(loaded, ()).settings
    assert record["robustness.prior_shift_mm"] == "5.0, 5.0, 6.0"
    assert record["robustness.recovery_spread"] == 0.1


def test_without_the_table_everything_is_believed(tiny_case: Path) -> None:
    path = tiny_case / "case.toml"
    assert "[robustness]" not in path.read_text(encoding="utf-8")
    loaded = load_case(path)
    assert loaded.inputs.settings.robustness is None
    assert not any(key.startswith("robustness") for key in provenance_of(loaded, ()).settings)


def test_no_size_has_a_default(robust_path: Path) -> None:
    text = robust_path.read_text(encoding="utf-8")
    robust_path.write_text(text.replace("recovery_spread = 0.1", ""), encoding="utf-8")
    with pytest.raises(CaseError, match=r"robustness\.recovery_spread' is missing"):
        read_case(robust_path)
    required = case_schema()["$defs"]["RobustnessTable"]["required"]
    assert set(required) == set(RobustnessTable.model_fields)


def test_a_search_that_reaches_no_voxel_is_refused(robust_path: Path) -> None:
    text = robust_path.read_text(encoding="utf-8")
    robust_path.write_text(text.replace("prior_shift_mm = [5.0", "prior_shift_mm = [1.0"))
    with pytest.raises(CaseError, match=r"case\.toml: robustness\.prior_shift_mm: expected 0 or"):
        load_case(robust_path)


def notes_of(path: Path, **changes: object) -> list[str]:
    """Return what is said of a table with other values."""
    table = TABLE.model_copy(update=changes)
    write_case(read_case(path).model_copy(update={"robustness": table}), path)
    findings = load_case(path).inputs.findings
    return [f.text for f in findings if f.code == "robustness-without-effect"]


def test_an_interval_that_reaches_no_alpha_beta_names_file_and_key(robust_path: Path) -> None:
    with pytest.raises(
        CaseError, match=r"case\.toml: robustness\.alpha_beta_spread_gy: .* got 2 Gy"
    ):
        notes_of(robust_path, alpha_beta_spread_gy=2.0)


def test_sizes_that_change_nothing_are_said(robust_path: Path) -> None:
    """Limits of slevin2021 are on raw sums, where nothing is forgotten."""
    nothing = (0.0, 0.0, 0.0)
    (text,) = notes_of(robust_path)
    assert "recovery_spread of [robustness] changes nothing: no limit of slevin2021" in text
    assert notes_of(robust_path, recovery_spread=0.0) == []
    past = {"prior_shift_mm": nothing, "alpha_beta_spread_gy": 0.0, "recovery_spread": 0.0}
    assert notes_of(robust_path, **past) == []
    (text,) = notes_of(robust_path, setup_shift_mm=nothing, **past)
    assert "held against nothing" in text
    file = read_case(robust_path)
    planning = file.planning.model_copy(update={"rule_set": "umich"})
    write_case(file.model_copy(update={"planning": planning}), robust_path)
    assert notes_of(robust_path, recovery_spread=0.1) == []
