"""Plans on a Pareto surface, as they are kept, shown and saved."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError
from rerad.optimize.terms import Floats


@dataclass(frozen=True, eq=False, slots=True)
class ParetoSet:
    """Plans on the Pareto surface of two or three goals.

    Parameters
    ----------
    goals, units : tuple of str
        Names and units of the K goals.
    fluences_mu : ndarray of float32, shape (P, n_beamlets)
        Fluence of each plan over all fractions.
    values : ndarray of shape (P, K)
        Goals of each plan.
    base_values : ndarray of shape (P,)
        What is always wanted, of each plan.
    weights : ndarray of shape (P, K)
        Weights that each plan was solved for; they sum to 1.
    bounds : ndarray of shape (P,)
        The least weighted sum of goals, with what is always wanted, that any plan has for these
        weights: no plan could have less, to within the tolerance of the solves.
    cap_violations_gy : ndarray of shape (P,)
        Largest excess over a hard cap.
    n_evaluations : ndarray of int, shape (P,)
        Evaluations that each plan took.
    gap : float
        Largest distance of inner and outer approximation, in ranges of the goals; NaN if it could
        not be computed.

    Raises
    ------
    InputError
        If shapes do not fit.
    """

    goals: tuple[str, ...]
    units: tuple[str, ...]
    fluences_mu: NDArray[np.float32]
    values: Floats
    base_values: Floats
    weights: Floats
    bounds: Floats
    cap_violations_gy: Floats
    n_evaluations: NDArray[np.int64]
    gap: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "goals", tuple(self.goals))
        object.__setattr__(self, "units", tuple(self.units))
        for name, dtype in _ARRAYS.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))
        n_plans, n_goals = len(self.fluences_mu), len(self.goals)
        wanted: dict[str, tuple[int, ...]] = {name: (n_plans,) for name in _ARRAYS}
        wanted |= {"values": (n_plans, n_goals), "weights": (n_plans, n_goals)}
        del wanted["fluences_mu"]
        shapes = {name: getattr(self, name).shape for name in wanted}
        is_plane = self.fluences_mu.ndim == 2 and n_plans > 0 and len(self.units) == n_goals
        if not is_plane or shapes != wanted:
            msg = f"expected {n_plans} plans of {n_goals} goals, got arrays of shapes {shapes}"
            raise InputError(msg)

    @property
    def n_plans(self) -> int:
        """Number of plans."""
        return len(self.values)

    @property
    def ranges(self) -> Floats:
        """How far each goal extends over the plans, shape (K,); never 0."""
        return ranges_of(self.values)


_ARRAYS = {
    "fluences_mu": np.float32,
    "values": np.float64,
    "base_values": np.float64,
    "weights": np.float64,
    "bounds": np.float64,
    "cap_violations_gy": np.float64,
    "n_evaluations": np.int64,
}
"""Arrays of a set with their types."""


def ranges_of(values: Floats) -> Floats:
    """Return the extent of each column (plans, goals), or a trifle where goals do not conflict."""
    trifle = 1e-9 * np.maximum(np.abs(values).max(axis=0), 1e-9)
    return np.asarray(np.maximum(np.ptp(values, axis=0), trifle), dtype=np.float64)
