"""Where a result came from: version, inputs by hash, settings, seconds."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InputRecord:
    """One input: what it is, its UID if it has one, and the SHA-256 of its bytes."""

    what: str
    uid: str
    sha256: str


@dataclass(frozen=True, slots=True)
class StepTime:
    """Wall-clock seconds of one step of a run."""

    step: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Provenance:
    """What is needed to say how a number came about and to make it again.

    Parameters
    ----------
    rerad_version : str
        Version of this package.
    library_versions : mapping of str to str
        Versions of the libraries that touch numbers.
    settings : mapping of str to (str, int, float, bool or None)
        Every setting of the run, units in the names.
    inputs : tuple of InputRecord
        What was read.
    steps : tuple of StepTime
        How long each step took.
    """

    rerad_version: str
    library_versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    inputs: tuple[InputRecord, ...] = ()
    steps: tuple[StepTime, ...] = ()
