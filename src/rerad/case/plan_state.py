"""Keep how far a plan has come, so that a run that stops goes on where it was."""

import json
import os
import time
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerad.case.pareto_file import inputs_hash
from rerad.core import InputRecord
from rerad.errors import CaseError
from rerad.optimize import LevelOutcome
from rerad.planning import PassAgreement, PassRecord, PlanState

STATE_FILE_NAME = "plan-state.npz"
"""Beside the case file while a plan is being made; removed when it is done."""

SCHEMA_VERSION = 2
ROBUST = "robust."
"""Before the names of what belongs to the robust passes."""

SECONDS_BETWEEN = 5.0
"""States in the middle of an optimisation are written no more often than this."""

_PLAIN = (
    "objective",
    "term_values",
    "status",
    "is_converged",
    "n_evaluations",
    "n_evaluations_so_far",
    "violations",
    "sum_values",
    "sum_stiffness",
)


class StateKeeper:
    """Writes states beside a case; whole passes at once, others now and then.

    Parameters
    ----------
    path : Path
        The file.
    input_hash : str
        Of everything that the plan depends on.
    """

    def __init__(self, path: Path, input_hash: str) -> None:
        self._path, self._hash = path, input_hash
        self._written = -SECONDS_BETWEEN
        self._n_passes = (-1, -1)

    def __call__(self, state: PlanState) -> None:
        """Write a state if it is worth it."""
        now = time.monotonic()
        n_robust = 0 if state.robust is None else state.robust.n_passes_done
        n_passes = (state.n_passes_done, n_robust)
        if n_passes == self._n_passes and now - self._written < SECONDS_BETWEEN:
            return
        save_state(state, self._path, self._hash)
        self._written, self._n_passes = now, n_passes


def state_hash(records: tuple[InputRecord, ...], case_text: str) -> str:
    """Return one hash over everything that a plan depends on."""
    return inputs_hash(records, case_text)


def save_state(state: PlanState, path: Path, input_hash: str) -> None:
    """Write a state beside its place, then put it there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    content = _flat(state, "")
    if state.robust is not None:
        content |= _flat(state.robust, ROBUST)
    try:
        with beside.open("wb") as stream:
            np.savez(
                stream,
                schema_version=SCHEMA_VERSION,
                input_hash=input_hash,
                **content,
            )
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def load_state(path: Path, input_hash: str) -> PlanState | None:
    """Read a state of the same inputs; None where there is none, or inputs have changed since.

    Raises
    ------
    CaseError
        If the file is not a state that this version can read.
    """
    if not path.is_file():
        return None
    try:
        with np.load(path, allow_pickle=False) as kept:
            if int(kept["schema_version"]) != SCHEMA_VERSION:
                msg = f"{path}: written by another version of rerad; delete it to start anew"
                raise CaseError(msg)
            if str(kept["input_hash"]) != input_hash:
                return None
            content = {name: kept[name] for name in kept.files}
        robust = _state(content, ROBUST, None) if f"{ROBUST}fluence_mu" in content else None
        return _state(content, "", robust)
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        msg = f"{path}: expected a plan that was interrupted, got something else; delete it"
        raise CaseError(msg) from error


def _flat(state: PlanState, prefix: str) -> dict[str, Any]:
    """Return a state as arrays and texts; what it holds of robust passes is left out."""
    record = state.record
    told: dict[str, Any] = {"agreement": [asdict(item) for item in state.agreement]}
    dose, history = np.zeros(0), np.zeros((0, 2))
    if record is not None:
        dose = record.dose_gy
        history = np.asarray(record.history, dtype=np.float64).reshape(-1, 2)
        told |= {name: getattr(record, name) for name in _PLAIN}
        told["levels"] = [asdict(item) for item in record.levels]
    content = {
        "n_passes_done": state.n_passes_done,
        "fluence_mu": state.fluence_mu,
        "background_gy": state.background_gy,
        "multipliers": np.concatenate([np.zeros(0), *state.multipliers]),
        "sizes": np.array([len(values) for values in state.multipliers], dtype=np.int64),
        "stiffness": state.stiffness,
        "has_record": record is not None,
        "seen_gy": dose,
        "history": history,
        "told": json.dumps(told),
    }
    return {f"{prefix}{name}": value for name, value in content.items()}


def _state(
    content: Mapping[str, NDArray[Any]], prefix: str, robust: PlanState | None
) -> PlanState:
    """Return the state of what :func:`_flat` made."""
    read = {
        name.removeprefix(prefix): value
        for name, value in content.items()
        if name.startswith(prefix)
    }
    told = json.loads(str(read["told"]))
    record = None
    if bool(read["has_record"]):
        record = PassRecord(
            dose_gy=read["seen_gy"],
            history=tuple((int(n), float(value)) for n, value in read["history"]),
            levels=tuple(LevelOutcome(**item) for item in told["levels"]),
            **{name: _tuple(told[name]) for name in _PLAIN},
        )
    ends = np.cumsum(read["sizes"])
    return PlanState(
        n_passes_done=int(read["n_passes_done"]),
        fluence_mu=read["fluence_mu"],
        background_gy=read["background_gy"],
        multipliers=tuple(np.split(read["multipliers"], ends)[:-1]),
        stiffness=float(read["stiffness"]),
        agreement=tuple(PassAgreement(**item) for item in told["agreement"]),
        record=record,
        robust=robust,
    )


def _tuple(value: Any) -> Any:
    """Return a list of JSON as the tuple that it was."""
    return tuple(value) if isinstance(value, list) else value
