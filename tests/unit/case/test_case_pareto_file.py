"""Pareto sets on disk: what comes back, and what is refused."""

from dataclasses import fields

import numpy as np
import pytest

from rerad.case.pareto_file import inputs_hash, load_pareto, save_pareto
from rerad.core import InputRecord
from rerad.errors import CaseError
from rerad.optimize import ParetoSet


@pytest.fixture
def pareto():
    rng = np.random.default_rng(1)
    return ParetoSet(
        goals=("target", "Plexus D0.1cc"),
        units=("", "Gy EQD2"),
        fluences_mu=rng.uniform(0, 50, (3, 17)),
        values=rng.uniform(0, 9, (3, 2)),
        base_values=rng.uniform(0, 9, 3),
        weights=np.full((3, 2), 0.5),
        bounds=rng.uniform(0, 9, 3),
        cap_violations_gy=np.array([0.0, 0.01, 0.02]),
        n_evaluations=np.array([40, 30, 20]),
        gap=0.0125,
    )


def test_a_set_comes_back_as_it_was(pareto, tmp_path):
    path = tmp_path / "pareto.npz"
    save_pareto(pareto, path, input_hash="abc")
    again = load_pareto(path, input_hash="abc")
    for item in fields(ParetoSet):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(pareto, item.name))
    assert [p.name for p in tmp_path.iterdir()] == ["pareto.npz"]


def test_a_set_of_other_inputs_is_refused(pareto, tmp_path):
    path = tmp_path / "pareto.npz"
    save_pareto(pareto, path, input_hash="abc")
    with pytest.raises(CaseError, match="made from other inputs than the case has now"):
        load_pareto(path, input_hash="abd")


def test_a_failed_write_leaves_what_was_there(pareto, tmp_path, monkeypatch):
    path = tmp_path / "pareto.npz"
    save_pareto(pareto, path, input_hash="abc")
    before = path.read_bytes()

    def broken(stream, **_):
        stream.write(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(np, "savez_compressed", broken)
    with pytest.raises(OSError, match="disk full"):
        save_pareto(pareto, path, input_hash="abc")
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["pareto.npz"]


def damaged(tmp_path, pareto, change):
    path = tmp_path / "pareto.npz"
    save_pareto(pareto, path, input_hash="abc")
    with np.load(path) as file:
        content = dict(file)
    change(content)
    np.savez(path, **content)
    return path


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.update(schema=np.int64(2)), "expected a Pareto set of schema 1, got 2"),
        (lambda c: c.pop("schema"), "schema 1, got None"),
        (lambda c: c.pop("values"), "damaged Pareto set"),
        (lambda c: c.update(weights=np.ones((3, 5))), "damaged Pareto set"),
        (lambda c: c.update(gap=np.ones(4)), "damaged Pareto set"),
        (lambda c: c.update(units=np.array(7)), "damaged Pareto set"),
        (
            lambda c: c.update(values=np.array([{"a": 1}], dtype=object)),
            "not a Pareto set that can be read",
        ),
    ],
)
def test_damage_is_named_in_one_sentence(pareto, tmp_path, change, says):
    path = damaged(tmp_path, pareto, change)
    with pytest.raises(CaseError, match=says) as caught:
        load_pareto(path, input_hash="abc")
    assert "compute it again" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken", b"\x93NUMPY"])
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "pareto.npz"
    path.write_bytes(content)
    with pytest.raises(CaseError, match="not a Pareto set that can be read"):
        load_pareto(path, input_hash="abc")
    with pytest.raises(CaseError, match="found none"):
        load_pareto(tmp_path / "other.npz", input_hash="abc")


def test_a_cut_off_file_is_refused(pareto, tmp_path):
    path = tmp_path / "pareto.npz"
    save_pareto(pareto, path, input_hash="abc")
    whole = path.read_bytes()
    for n in (10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:n])
        with pytest.raises(CaseError, match="compute it again"):
            load_pareto(path, input_hash="abc")


def test_hash_depends_on_files_and_settings_not_on_order():
    one, other = InputRecord("CT", "1", "aa"), InputRecord("dose", "2", "bb")
    base = inputs_hash([one, other], "goals")
    assert base == inputs_hash([other, one], "goals")
    assert base != inputs_hash([one, other], "goal", "s")
    assert base != inputs_hash([one], "goals")
    assert len(base) == 64
