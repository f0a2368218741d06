"""What every objective is made of: checked voxel lists and volume shares.

An objective sees the dose of its own points only. Its volume shares sum to one and its excess is
counted relative to a dose of its own, so that an importance means the same for a small organ and
a large one, for 20 Gy and for 60. Sums are numpy's own and not those of a linear algebra library:
they are the same on every run, and threads that wait for each other do not slow them down.
"""

from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class DoseTerm(Protocol):
    """An objective on the dose at some points of the operator."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def indices(self) -> NDArray[np.int64]:
        """Points that it looks at."""

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each of its points."""

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each of its points, for scaling."""


class LocalTerm(Protocol):
    """A sum over points, so that some of them may be left to a tangent."""

    @property
    def name(self) -> str:
        """What to call it."""

    @property
    def indices(self) -> NDArray[np.int64]:
        """Points that it looks at."""

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each of its points."""

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each of its points, for scaling."""

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return at which points it hardly bends while doses stay within `margin_gy`."""

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "LocalTerm":
        """Return what it is at chosen points of its own (one at least), which get new numbers."""


def as_local(term: DoseTerm) -> LocalTerm | None:
    """Return the term if it is a sum over points (as `isinstance` would tell, but much sooner)."""
    return cast(LocalTerm, term) if hasattr(term, "is_straight") else None


@dataclass(frozen=True, eq=False, slots=True)
class _Renumbered:
    """An objective whose points have other numbers, in the same order."""

    term: DoseTerm
    indices: NDArray[np.int64]

    @property
    def name(self) -> str:
        return self.term.name

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        return self.term.value_and_gradient(dose_gy)

    def curvature(self) -> Floats:
        return self.term.curvature()


def term_at(term: DoseTerm, chosen: Bools, indices: NDArray[np.int64]) -> DoseTerm:
    """Return an objective at chosen points of its own; at all of them if it is not a sum."""
    local = as_local(term)
    return _Renumbered(term, indices) if local is None else local.at(chosen, indices)


class FluenceTerm(Protocol):
    """An objective on the fluence itself."""

    @property
    def name(self) -> str:
        """What to call it."""

    def value_and_gradient(self, fluence_mu: Floats) -> tuple[float, Floats]:
        """Return the value and its derivative by the fluence of each beamlet."""

    def curvature(self) -> Floats:
        """Return the second derivative by the fluence of each beamlet, for scaling."""


def checked_indices(name: str, indices: ArrayLike) -> NDArray[np.int64]:
    """Return `indices` as a read-only integer vector, or raise `InputError`."""
    array = np.asarray(indices)
    if array.ndim != 1 or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        msg = f"objective {name}: expected a list of at least one point index"
        raise InputError(msg)
    is_rising = bool(np.all(array[1:] > array[:-1]))
    if not is_rising and len(np.unique(array)) != array.size:
        msg = f"objective {name}: expected every point index once, got repeated ones"
        raise InputError(msg)
    if array.min() < 0:
        msg = f"objective {name}: expected point indices of 0 or more, got {array.min()}"
        raise InputError(msg)
    return frozen_array(array, np.int64)


def checked_shares(name: str, weights: ArrayLike, n_points: int) -> Floats:
    """Return volume shares scaled to a sum of one, or raise `InputError`."""
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (n_points,) or not np.all(np.isfinite(array)) or np.any(array < 0):
        msg = (
            f"objective {name}: expected {n_points} finite volume shares of 0 or more, one for "
            f"each point, got an array of shape {array.shape}"
        )
        raise InputError(msg)
    total = float(array.sum())
    if total <= 0:
        msg = f"objective {name}: all volume shares are 0, so it has no volume; leave it out"
        raise InputError(msg)
    return frozen_array(array / total, np.float64)


def checked_values(name: str, what: str, values: ArrayLike, n_points: int) -> Floats:
    """Return one finite value of 0 or more for each point (a single one is repeated).

    Raises
    ------
    InputError
        If a value is missing, unknown (NaN), infinite or negative.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim and array.shape != (n_points,):
        msg = (
            f"objective {name}: expected one {what} or {n_points} of them, got shape {array.shape}"
        )
        raise InputError(msg)
    n_unknown = int(np.count_nonzero(np.isnan(array)))
    if n_unknown:
        msg = (
            f"objective {name}: {what} is unknown (NaN) at {n_unknown} of {n_points} points; "
            "unknown is not zero, so supply it or leave these points out and say so"
        )
        raise InputError(msg)
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        msg = f"objective {name}: expected a finite {what} of 0 or more at every point"
        raise InputError(msg)
    return frozen_array(np.broadcast_to(array, (n_points,)), np.float64)


def checked_positive(name: str, what: str, value: float) -> float:
    """Return `value`, or raise `InputError` unless it is finite and above zero."""
    if not 0 < value < np.inf:
        msg = f"objective {name}: expected {what} above 0, got {value}"
        raise InputError(msg)
    return float(value)


class _Shared(Protocol):
    """What objectives on shares of a volume have."""

    @property
    def weights(self) -> Floats: ...
    @property
    def importance(self) -> float: ...


def part_of(term: _Shared, chosen: Bools) -> tuple[Floats, float]:
    """Return shares and importance at chosen points, so that each point counts as before."""
    shares = term.weights[chosen]
    total = float(shares.sum())
    if total <= 0.0:
        return np.ones(len(shares)), np.finfo(np.float64).tiny
    return shares, term.importance * total
