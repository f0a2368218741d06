"""States of interrupted plans: whole or not at all, and only for the inputs they belong to."""

import sys

import numpy as np
import pytest

from rerad.case import load_case, plan_case, run_case
from rerad.case.plan_state import (
    SCHEMA_VERSION,
    StateKeeper,
    load_state,
    save_state,
    state_hash,
)
from rerad.case.run import forget_state, planned
from rerad.core import InputRecord
from rerad.errors import CaseError
from rerad.planning import PlanState


def state(n_done: int = 1, caps: tuple[int, ...] = (3, 2)) -> PlanState:
    rng = np.random.default_rng(n_done)
    return PlanState(n_done, rng.random(5), rng.random(7), tuple(rng.random(n) for n in caps), 2.5)


@pytest.mark.parametrize("caps", [(), (4,), (3, 0, 2)])
def test_round_trip(tmp_path, caps) -> None:
    path = tmp_path / "plan-state.npz"
    kept = state(2, caps)
    save_state(kept, path, "abc")
    read = load_state(path, "abc")
    assert read is not None
    assert (read.n_passes_done, read.stiffness) == (2, 2.5)
    np.testing.assert_array_equal(read.fluence_mu, kept.fluence_mu)
    np.testing.assert_array_equal(read.background_gy, kept.background_gy)
    assert len(read.multipliers) == len(caps)
    for a, b in zip(read.multipliers, kept.multipliers, strict=True):
        np.testing.assert_array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_inputs_that_changed_start_anew(tmp_path) -> None:
    path = tmp_path / "plan-state.npz"
    records = (InputRecord("data.planning_ct (CT)", "1.2", "00ff"),)
    save_state(state(), path, state_hash(records, "a = 1"))
    assert load_state(path, state_hash(records, "a = 2")) is None
    other = (InputRecord("data.planning_ct (CT)", "1.2", "00fe"),)
    assert load_state(path, state_hash(other, "a = 1")) is None
    assert load_state(path, state_hash(records, "a = 1")) is not None
    assert load_state(tmp_path / "none.npz", "x") is None


def test_something_else_under_its_name_is_refused(tmp_path) -> None:
    path = tmp_path / "plan-state.npz"
    path.write_bytes(b"not a state")
    with pytest.raises(CaseError, match="plan that was interrupted"):
        load_state(path, "abc")
    np.savez(path, schema_version=SCHEMA_VERSION)
    with pytest.raises(CaseError, match="plan that was interrupted"):
        load_state(path, "abc")
    np.savez(path, schema_version=99, input_hash="abc")
    with pytest.raises(CaseError, match="another version"):
        load_state(path, "abc")


def test_keeper_writes_whole_passes_at_once_and_others_now_and_then(tmp_path) -> None:
    path = tmp_path / "plan-state.npz"
    keep = StateKeeper(path, "abc")
    keep(state(0))
    first = path.stat().st_mtime_ns
    keep(state(0))  # too soon
    assert path.stat().st_mtime_ns == first
    keep(state(1))
    read = load_state(path, "abc")
    assert read is not None
    assert read.n_passes_done == 1


def test_how_far_a_plan_has_come_is_kept_until_the_plan_is_written(tiny_case, monkeypatch) -> None:
    """A disk that is full at the end costs the writing, not the plan."""
    loaded = load_case(tiny_case)
    path = tiny_case / "plan-state.npz"
    monkeypatch.setattr("rerad.case.run.run_pipeline", lambda *_, **__: "the plan")
    told: list[str] = []
    save_state(state(), path, "of another case")
    assert planned(loaded, None, lambda what, _: told.append(what)) == "the plan"
    assert told == ["starting anew, for the case has changed since a plan of it was stopped"]
    save_state(state(1), path, loaded.inputs_hash)
    planned(loaded, None, lambda what, _: told.append(what))
    assert told[-1] == "going on after 1 finished passes"
    assert path.is_file()
    forget_state(loaded)
    assert not path.exists()


@pytest.mark.parametrize("make", [plan_case, run_case])
def test_a_folder_that_cannot_take_the_plan_is_refused_before_it_is_made(
    tiny_case, tmp_path, monkeypatch, make
) -> None:
    def too_late(*_: object) -> None:
        pytest.fail("the case is read before the folder is looked at")

    for room in ("rerad.case.plan_case", "rerad.case.run"):
        monkeypatch.setattr(sys.modules[room], "read_to_plan", too_late)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "letter.txt").touch()
    with pytest.raises(CaseError, match="is not an earlier result of rerad; name another folder"):
        make(tiny_case, out=theirs, progress=lambda *_: None)
    below_a_file = theirs / "letter.txt" / "plan"
    with pytest.raises(CaseError, match="nothing can be written there"):
        make(tiny_case, out=below_a_file, progress=lambda *_: None)
    assert [item.name for item in theirs.iterdir()] == ["letter.txt"]
