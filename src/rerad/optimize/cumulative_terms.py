r"""Objectives on cumulative EQD2: convex in the fluence, each with its analytic gradient.

:math:`E = B + D (D/n + a) / (2 + a)`, with the prior EQD2 :math:`B` and alpha/beta :math:`a` of
the tissue at each point and the physical dose :math:`D` of the new plan over all `n` fractions, is
convex and rising for :math:`D \ge 0`; every convex rising function of it (over-dose, mean) is
convex in :math:`D`, and :math:`D` is linear in the fluence [1]_. Wanting *more* cumulative dose is
not convex; targets are therefore stated in physical dose.

References
----------
.. [1] Boyd & Vandenberghe (2004), Convex Optimization, section 3.2.4 (composition),
   doi:10.1017/CBO9780511804441. The linear-quadratic EQD2: Withers, Thames & Peters (1983),
   Radiother. Oncol. 1, 187.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError
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

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return which points stay below the limit, by a margin of physical dose."""
        eqd2 = _cumulative(self).eqd2_and_slope(dose_gy + margin_gy)[0]
        return np.asarray(eqd2 <= self.limit_eqd2_gy)

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "CumulativeOverdose":
        """Return what it is at chosen points, which get new numbers."""
        return _cumulative_at(self, chosen, indices)

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

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return True for all points: the slope of EQD2 follows dose but slowly."""
        return np.ones(len(self.weights), bool)

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "CumulativeMean":
        """Return what it is at chosen points, which get new numbers."""
        return _cumulative_at(self, chosen, indices)

    def curvature(self) -> Floats:
        """Return the second derivative by dose, which is constant for EQD2."""
        bend = 2.0 / (self.n_fractions * (2.0 + np.asarray(self.alpha_beta_gy)))
        return self.importance / self.scale_eqd2_gy * self.weights * bend


T = TypeVar("T", "CumulativeOverdose", "CumulativeMean")


def _cumulative_at(term: T, chosen: Bools, indices: NDArray[np.int64]) -> T:
    """Return a cumulative objective at chosen points."""
    shares, importance = part_of(term, chosen)
    return replace(
        term,
        indices=indices,
        weights=shares,
        prior_eqd2_gy=np.asarray(term.prior_eqd2_gy)[chosen],
        alpha_beta_gy=np.asarray(term.alpha_beta_gy)[chosen],
        importance=importance,
    )


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
