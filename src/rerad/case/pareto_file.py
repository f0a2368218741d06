"""A Pareto set beside its case: one .npz, written beside its place and renamed.

The file says which inputs it was made from. A set of other inputs, of another schema, or a file
that is none is refused in one sentence; nothing in it is ever executed.
"""

import hashlib
import os
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rerad.core import InputRecord
from rerad.errors import CaseError, InputError
from rerad.optimize import ParetoSet

PARETO_FILE_NAME = "pareto.npz"
"""Name of the file in a case folder."""

PARETO_SCHEMA = 1
"""Version of the file's layout."""

_ARRAYS = (
    "fluences_mu",
    "values",
    "base_values",
    "weights",
    "bounds",
    "cap_violations_gy",
    "n_evaluations",
)
_TEXTS = ("goals", "units")


def inputs_hash(records: Sequence[InputRecord], *settings: str) -> str:
    """Return what identifies the inputs of a plan: a SHA-256 over files and settings.

    Parameters
    ----------
    records : sequence of InputRecord
        Files with their own SHA-256, in any order.
    *settings : str
        All else that changes the plan, as text: the case file, the goals.
    """
    digest = hashlib.sha256()
    for part in (*sorted(record.sha256 for record in records), *settings):
        encoded = part.encode("utf-8")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


def save_pareto(pareto: ParetoSet, path: Path, *, input_hash: str) -> None:
    """Write a set, whole or not at all.

    Parameters
    ----------
    pareto : ParetoSet
        Plans.
    path : Path
        The file; its folder must exist. What was there is replaced.
    input_hash : str
        Of the inputs, see :func:`inputs_hash`.
    """
    content = {name: getattr(pareto, name) for name in _ARRAYS}
    content |= {name: np.array(getattr(pareto, name), dtype=np.str_) for name in _TEXTS}
    content["gap"] = np.float64(pareto.gap)
    content["schema"] = np.int64(PARETO_SCHEMA)
    content["input_hash"] = np.array(input_hash, dtype=np.str_)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez_compressed(stream, **content)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_pareto(path: Path, *, input_hash: str) -> ParetoSet:
    """Read a set that was made from the same inputs.

    Parameters
    ----------
    path : Path
        The file.
    input_hash : str
        Of today's inputs.

    Returns
    -------
    ParetoSet

    Raises
    ------
    CaseError
        If there is no such file, it is no Pareto set or of another schema, or was made from other
        inputs.
    """
    if not path.is_file():
        msg = f"expected a Pareto set at {path}, found none; compute one first"
        raise CaseError(msg)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        msg = f"{path} is not a Pareto set that can be read ({error}); compute it again"
        raise CaseError(msg) from error
    schema = content.get("schema")
    if schema is None or schema.shape != () or int(schema) != PARETO_SCHEMA:
        msg = f"{path}: expected a Pareto set of schema {PARETO_SCHEMA}, got {schema}; compute it "
        raise CaseError(msg + "again")
    if str(content.get("input_hash")) != input_hash:
        msg = f"{path} was made from other inputs than the case has now; compute it again"
        raise CaseError(msg)
    try:
        fields: dict[str, Any] = {name: content[name] for name in _ARRAYS}
        for name in _TEXTS:
            fields[name] = tuple(str(item) for item in content[name])
        return ParetoSet(**fields, gap=float(content["gap"]))
    except (KeyError, InputError, TypeError, ValueError) as error:
        msg = f"{path} is a damaged Pareto set ({error}); compute it again"
        raise CaseError(msg) from error
