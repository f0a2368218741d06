r"""Objectives on the physical dose of the new plan: convex, each with its analytic gradient.

Physical dose :math:`D` is in Gy over all fractions and linear in the fluence; what is asked of
cumulative EQD2 is in :mod:`rerad.optimize.cumulative_terms`. No objective has a clinical number
of its own: doses and importances come from the caller.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.errors import InputError
from rerad.kernels.squared_excess import add_squared_excess, squared_excess
from rerad.optimize.terms import (
    Bools,
    Floats,
    checked_indices,
    checked_positive,
    checked_shares,
    checked_values,
    part_of,
)


@dataclass(frozen=True, eq=False, slots=True)
class Underdose:
    r"""Squared lack of physical dose: :math:`w \sum_i v_i ((P - D_i)_+ / P)^2`.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    dose_gy : float
        Dose :math:`P` wanted everywhere, above 0.
    importance : float
        :math:`w`, above 0: the value when all of the volume gets no dose.

    Raises
    ------
    InputError
        If an argument is out of range.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    dose_gy: float
    importance: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", checked_indices(self.name, self.indices))
        shares = checked_shares(self.name, self.weights, len(self.indices))
        object.__setattr__(self, "weights", shares)
        checked_positive(self.name, "dose in Gy", self.dose_gy)
        checked_positive(self.name, "importance", self.importance)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the dose of each point."""
        wanted = np.full(len(self.weights), self.dose_gy, dtype=np.float64)
        return _squared(self, dose_gy, wanted, self.importance / self.dose_gy**2, sign=-1.0)

    def add_to(self, dose_gy: Floats, gradient: Floats) -> float:
        """Return the value for the doses of all points, and add its derivative to `gradient`."""
        wanted = np.broadcast_to(np.float64(self.dose_gy), self.weights.shape)
        factor = self.importance / self.dose_gy**2
        return _added(self, dose_gy, (wanted, factor, -1.0), gradient)

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return which points get enough, by a margin."""
        return np.asarray(dose_gy >= self.dose_gy + margin_gy)

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "Underdose":
        """Return what it is at chosen points, which get new numbers."""
        shares, importance = part_of(self, chosen)
        return replace(self, indices=indices, weights=shares, importance=importance)

    def curvature(self) -> Floats:
        """Return the second derivative where dose is lacking."""
        return 2.0 * self.importance / self.dose_gy**2 * self.weights


@dataclass(frozen=True, eq=False, slots=True)
class Overdose:
    r"""Squared excess of physical dose: :math:`w \sum_i v_i ((D_i - L_i)_+ / s)^2`.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    dose_gy : float or ndarray of shape (N,)
        Dose :math:`L` to stay below; one value for each point gives a fall-off around the target
        (see :func:`falloff_threshold`).
    importance : float
        :math:`w`, above 0: the value when the excess is `scale_gy` everywhere.
    scale_gy : float or None
        :math:`s`, the dose relative to which the excess counts; None takes the largest threshold.

    Raises
    ------
    InputError
        If an argument is out of range, or all thresholds are 0 and no scale is given.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    dose_gy: float | Floats
    importance: float
    scale_gy: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "indices", checked_indices(self.name, self.indices))
        n_points = len(self.indices)
        shares = checked_shares(self.name, self.weights, n_points)
        limits = checked_values(self.name, "dose in Gy", self.dose_gy, n_points)
        scale = float(limits.max()) if self.scale_gy is None else self.scale_gy
        checked_positive(self.name, "scale in Gy", scale)
        checked_positive(self.name, "importance", self.importance)
        object.__setattr__(self, "weights", shares)
        object.__setattr__(self, "dose_gy", limits)
        object.__setattr__(self, "scale_gy", scale)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the dose of each point."""
        factor = self.importance / float(np.float64(self.scale_gy)) ** 2
        return _squared(self, dose_gy, np.asarray(self.dose_gy), factor, sign=1.0)

    def add_to(self, dose_gy: Floats, gradient: Floats) -> float:
        """Return the value for the doses of all points, and add its derivative to `gradient`."""
        factor = self.importance / np.float64(self.scale_gy) ** 2
        return _added(self, dose_gy, (np.asarray(self.dose_gy), factor, 1.0), gradient)

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return which points stay below their threshold, by a margin."""
        return np.asarray(dose_gy <= np.asarray(self.dose_gy) - margin_gy)

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "Overdose":
        """Return what it is at chosen points, which get new numbers."""
        shares, importance = part_of(self, chosen)
        limits = np.asarray(self.dose_gy)[chosen]
        return replace(
            self, indices=indices, weights=shares, dose_gy=limits, importance=importance
        )

    def curvature(self) -> Floats:
        """Return the second derivative where dose is in excess."""
        return 2.0 * self.importance / np.float64(self.scale_gy) ** 2 * self.weights


def falloff_threshold(
    distance_mm: ArrayLike,
    prescription_gy: float,
    *,
    start_share: float,
    end_share: float,
    decay_per_mm: float,
    start_mm: float = 0.0,
) -> Floats:
    r"""Return the dose that normal tissue may get at a distance from the target.

    .. math:: L(r) = P [f_\infty + (f_0 - f_\infty) e^{-k (r - r_0)}], \qquad r \ge r_0

    and :math:`P f_0` nearer than :math:`r_0`.

    Parameters
    ----------
    distance_mm : array_like
        Distance :math:`r` from the union of the targets, 0 or more.
    prescription_gy : float
        :math:`P`, above 0.
    start_share, end_share : float
        :math:`f_0` and :math:`f_\infty`, shares of the prescription near and far.
    decay_per_mm : float
        :math:`k`, above 0.
    start_mm : float
        :math:`r_0`, where the fall begins.

    Returns
    -------
    ndarray
        Thresholds in Gy, of the shape of `distance_mm`.

    Raises
    ------
    InputError
        If a parameter is out of range.
    """
    distance = np.asarray(distance_mm, dtype=np.float64)
    in_range = 0 <= end_share <= start_share and decay_per_mm > 0 and prescription_gy > 0
    if not in_range or not np.all(distance >= 0):
        msg = (
            "expected 0 <= end_share <= start_share, decay and prescription above 0 and distances "
            f"of 0 mm or more, got {end_share}, {start_share}, {decay_per_mm}, {prescription_gy}"
        )
        raise InputError(msg)
    falling = np.exp(-decay_per_mm * np.maximum(distance - start_mm, 0.0))
    share = end_share + (start_share - end_share) * falling
    return np.asarray(prescription_gy * share, dtype=np.float64)


def _squared(
    term: Underdose | Overdose,
    dose_gy: Floats,
    threshold_gy: Floats,
    factor: float,
    *,
    sign: float,
) -> tuple[float, Floats]:
    """Return value and slope of what is over (sign 1) or under (sign -1) the thresholds."""
    slope = np.empty(len(term.weights))
    dose = np.asarray(dose_gy, dtype=np.float64)
    value = squared_excess(dose, threshold_gy, term.weights, factor, sign, slope)
    return float(value), slope


def _added(
    term: Underdose | Overdose,
    dose_gy: Floats,
    how: tuple[Floats, float, float],
    gradient: Floats,
) -> float:
    """Return the value at the doses of all points; `how` is thresholds, factor and sign."""
    threshold, factor, sign = how
    found = add_squared_excess(
        dose_gy, term.indices, threshold, term.weights, factor, sign, gradient
    )
    return float(found)
