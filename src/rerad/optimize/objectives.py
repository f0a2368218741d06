r"""Objectives: convex in the fluence, each with its analytic gradient.

Physical dose of the new plan is :math:`D` in Gy over all `n` fractions. Cumulative dose is
:math:`E = B + D (D/n + a) / (2 + a)`, with the prior EQD2 :math:`B` and alpha/beta :math:`a` of
the tissue at each point. As :math:`E` is convex and rising for :math:`D \ge 0`, every convex
rising function of it (over-dose, mean) is convex in :math:`D`, and :math:`D` is linear in the
fluence [1]_. Wanting *more* cumulative dose is not convex; targets are therefore stated in
physical dose.

No objective here has a clinical number of its own: doses, alpha/beta and importances come from
the caller.

References
----------
.. [1] Boyd & Vandenberghe (2004), Convex Optimization, section 3.2.4 (composition),
   doi:10.1017/CBO9780511804441. The linear-quadratic EQD2: Withers, Thames & Peters (1983),
   Radiother. Oncol. 1, 187.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError
from rerad.kernels.squared_excess import add_squared_excess, squared_excess
from rerad.optimize.terms import (
    Floats,
    checked_indices,
    checked_positive,
    checked_shares,
    checked_values,
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

    def curvature(self) -> Floats:
        """Return the second derivative where dose is in excess."""
        return 2.0 * self.importance / np.float64(self.scale_gy) ** 2 * self.weights


@dataclass(frozen=True, eq=False, slots=True)
class CumulativeDose:
    r"""The cumulative EQD2 of some points as a function of the new plan's physical dose.

    Parameters
    ----------
    prior_eqd2_gy : float or ndarray of shape (N,)
        EQD2 already given, in Gy, after whatever recovery the caller assumes.
    alpha_beta_gy : float or ndarray of shape (N,)
        Alpha/beta of the tissue at each point, above 0; that of the prior EQD2 too.
    n_fractions : int
        Fractions of the new plan, at least 1.
    """

    prior_eqd2_gy: float | Floats
    alpha_beta_gy: float | Floats
    n_fractions: int

    def eqd2_and_slope(self, dose_gy: Floats) -> tuple[Floats, Floats]:
        """Return :math:`E` in Gy and :math:`dE/dD` for physical doses (clipped at 0 from below).

        Parameters
        ----------
        dose_gy : ndarray of shape (N,)
            Total physical dose of the new plan.
        """
        dose = np.maximum(dose_gy, 0.0)
        alpha_beta = np.asarray(self.alpha_beta_gy)
        fraction = dose / self.n_fractions
        cumulative = self.prior_eqd2_gy + dose * (fraction + alpha_beta) / (2.0 + alpha_beta)
        slope = (2.0 * fraction + alpha_beta) / (2.0 + alpha_beta)
        return cumulative, slope

    def checked(self, name: str, n_points: int) -> "CumulativeDose":
        """Return it with one value for each of `n_points`, or raise `InputError`."""
        prior = checked_values(name, "prior EQD2 in Gy", self.prior_eqd2_gy, n_points)
        alpha_beta = checked_values(name, "alpha/beta in Gy", self.alpha_beta_gy, n_points)
        if np.any(alpha_beta <= 0) or self.n_fractions < 1:
            msg = (
                f"objective {name}: expected alpha/beta above 0 Gy and at least 1 fraction, got "
                f"{float(alpha_beta.min())} Gy and {self.n_fractions}"
            )
            raise InputError(msg)
        return CumulativeDose(prior, alpha_beta, int(self.n_fractions))


@dataclass(frozen=True, eq=False, slots=True)
class CumulativeOverdose:
    r"""Squared excess of cumulative EQD2: :math:`w \sum_i v_i ((E_i - L)_+ / L)^2`.

    Points that are already over the limit from the prior courses stay in: their excess cannot
    reach zero, and the objective keeps what is added there low.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    prior_eqd2_gy : float or ndarray of shape (N,)
        EQD2 already given; NaN (unknown) is refused.
    alpha_beta_gy : float or ndarray of shape (N,)
        Alpha/beta of the tissue at each point, above 0.
    n_fractions : int
        Fractions of the new plan.
    limit_eqd2_gy : float
        Cumulative EQD2 :math:`L` to stay below, above 0.
    importance : float
        :math:`w`, above 0: the value when all of the volume is at twice the limit.

    Raises
    ------
    InputError
        If an argument is out of range or a prior dose is unknown.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    prior_eqd2_gy: float | Floats
    alpha_beta_gy: float | Floats
    n_fractions: int
    limit_eqd2_gy: float
    importance: float

    def __post_init__(self) -> None:
        _check_cumulative(self)
        checked_positive(self.name, "limit in Gy EQD2", self.limit_eqd2_gy)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        eqd2, slope = _cumulative(self).eqd2_and_slope(dose_gy)
        excess = np.maximum(eqd2 - self.limit_eqd2_gy, 0.0)
        weighted = (self.importance / self.limit_eqd2_gy**2) * self.weights * excess
        return float(np.sum(weighted * excess)), 2.0 * weighted * slope

    def curvature(self) -> Floats:
        """Return the second derivative at the limit, for points that get 2 Gy per fraction."""
        alpha_beta = np.asarray(self.alpha_beta_gy)
        slope = (4.0 + alpha_beta) / (2.0 + alpha_beta)
        return 2.0 * self.importance / self.limit_eqd2_gy**2 * self.weights * slope**2


@dataclass(frozen=True, eq=False, slots=True)
class CumulativeMean:
    r"""Mean cumulative EQD2: :math:`w \sum_i v_i E_i / s`.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    prior_eqd2_gy : float or ndarray of shape (N,)
        EQD2 already given; NaN (unknown) is refused.
    alpha_beta_gy : float or ndarray of shape (N,)
        Alpha/beta of the tissue at each point, above 0.
    n_fractions : int
        Fractions of the new plan.
    scale_eqd2_gy : float
        :math:`s`, above 0: the mean at which the value is `importance`.
    importance : float
        :math:`w`, above 0.

    Raises
    ------
    InputError
        If an argument is out of range or a prior dose is unknown.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    prior_eqd2_gy: float | Floats
    alpha_beta_gy: float | Floats
    n_fractions: int
    scale_eqd2_gy: float
    importance: float

    def __post_init__(self) -> None:
        _check_cumulative(self)
        checked_positive(self.name, "scale in Gy EQD2", self.scale_eqd2_gy)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        eqd2, slope = _cumulative(self).eqd2_and_slope(dose_gy)
        weighted = self.importance / self.scale_eqd2_gy * self.weights
        return float(np.sum(weighted * eqd2)), weighted * slope

    def curvature(self) -> Floats:
        """Return the second derivative by dose, which is constant for EQD2."""
        bend = 2.0 / (self.n_fractions * (2.0 + np.asarray(self.alpha_beta_gy)))
        return self.importance / self.scale_eqd2_gy * self.weights * bend


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


def _check_cumulative(term: CumulativeOverdose | CumulativeMean) -> None:
    """Check and freeze the fields that cumulative objectives share."""
    indices = checked_indices(term.name, term.indices)
    checked_positive(term.name, "importance", term.importance)
    cumulative = _cumulative(term).checked(term.name, len(indices))
    object.__setattr__(term, "indices", indices)
    object.__setattr__(term, "weights", checked_shares(term.name, term.weights, len(indices)))
    object.__setattr__(term, "prior_eqd2_gy", frozen_array(cumulative.prior_eqd2_gy, np.float64))
    object.__setattr__(term, "alpha_beta_gy", frozen_array(cumulative.alpha_beta_gy, np.float64))


def _cumulative(term: CumulativeOverdose | CumulativeMean) -> CumulativeDose:
    return CumulativeDose(term.prior_eqd2_gy, term.alpha_beta_gy, term.n_fractions)
