"""Keys of machine files that may be left out."""

import tomllib

import pytest

from rerad.dosecalc import load_machine
from rerad.tables.machines_load import MACHINES, machine_names


@pytest.mark.parametrize("name", machine_names())
def test_shipped_machines_say_that_their_leaves_move_in_the_beam(name):
    table = tomllib.loads((MACHINES / f"{name}.toml").read_text(encoding="utf-8"))
    assert table["mlc"]["is_dynamic"] is True
    assert load_machine(name).mlc.is_dynamic


@pytest.mark.parametrize(("line", "expected"), [("", True), ("is_dynamic = false", False)])
def test_a_file_without_the_key_means_leaves_that_move_in_the_beam(tmp_path, line, expected):
    text = (MACHINES / "generic_6mv.toml").read_text(encoding="utf-8")
    lines = [row for row in text.splitlines() if not row.startswith("is_dynamic")]
    place = next(n for n, row in enumerate(lines) if row.startswith("leaf_gap_min_mm"))
    lines.insert(place, line)
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    assert load_machine(path).mlc.is_dynamic is expected
