"""Keep how far a plan has come, so that a run that stops goes on where it was."""

import os
import time
from pathlib import Path

import numpy as np

from rerad.case.pareto_file import inputs_hash
from rerad.core import InputRecord
from rerad.errors import CaseError
from rerad.planning import PlanState

STATE_FILE_NAME = "plan-state.npz"
"""Beside the case file while a plan is being made; removed when it is done."""

SCHEMA_VERSION = 1
SECONDS_BETWEEN = 5.0
"""States in the middle of an optimisation are written no more often than this."""


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
        self._n_passes = -1

    def __call__(self, state: PlanState) -> None:
        """Write a state if it is worth it."""
        now = time.monotonic()
        if state.n_passes_done == self._n_passes and now - self._written < SECONDS_BETWEEN:
            return
        save_state(state, self._path, self._hash)
        self._written, self._n_passes = now, state.n_passes_done


def state_hash(records: tuple[InputRecord, ...], case_text: str) -> str:
    """Return one hash over everything that a plan depends on."""
    return inputs_hash(records, case_text)


def save_state(state: PlanState, path: Path, input_hash: str) -> None:
    """Write a state beside its place, then put it there."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with beside.open("wb") as stream:
        np.savez(
            stream,
            schema_version=SCHEMA_VERSION,
            input_hash=input_hash,
            n_passes_done=state.n_passes_done,
            fluence_mu=state.fluence_mu,
            background_gy=state.background_gy,
            multipliers=np.concatenate([np.zeros(0), *state.multipliers]),
            sizes=np.array([len(values) for values in state.multipliers], dtype=np.int64),
            stiffness=state.stiffness,
        )
        stream.flush()
        os.fsync(stream.fileno())
    beside.replace(path)


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
            ends = np.cumsum(kept["sizes"])
            multipliers = np.split(kept["multipliers"], ends)[:-1]
            return PlanState(
                n_passes_done=int(kept["n_passes_done"]),
                fluence_mu=kept["fluence_mu"],
                background_gy=kept["background_gy"],
                multipliers=tuple(multipliers),
                stiffness=float(kept["stiffness"]),
            )
    except (OSError, ValueError, KeyError) as error:
        msg = f"{path}: expected a plan that was interrupted, got something else; delete it"
        raise CaseError(msg) from error
