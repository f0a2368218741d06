r"""Objectives on one number of a dose distribution: tail mean, gEUD, mean dose.

Each reads a number :math:`c` from the doses :math:`q_i` of its points, physical (:math:`q = D`) or
cumulative EQD2 (:math:`q = E`, see :class:`rerad.optimize.CumulativeDose`), and an :class:`Aim`
makes an objective of it: the plain value, to be minimised, or the squared excess over a goal.

Convex in the fluence are those whose :math:`c` is convex and nondecreasing in :math:`q`, because
:math:`q` is convex in the fluence and so is a nondecreasing convex function of it [1]_: upper
:class:`TailMean`, :class:`Geud`, :class:`MeanDose`. The lower tail mean is concave in physical
dose, so *lack* of it is convex; in cumulative dose it is neither and is refused. Volumes beyond
a dose are not convex; they are in :mod:`rerad.optimize.volume_terms`. ``is_convex`` says which is
which.

References
----------
.. [1] Boyd & Vandenberghe (2004), Convex Optimization, section 3.2.4,
   doi:10.1017/CBO9780511804441.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError
from rerad.optimize.cumulative_terms import CumulativeDose
from rerad.optimize.terms import Floats, checked_indices, checked_positive, checked_shares


class TailSide(StrEnum):
    """Which end of a dose distribution."""

    HOTTEST = "hottest"
    COLDEST = "coldest"


@dataclass(frozen=True, slots=True)
class Aim:
    r"""What is wanted of one number of a dose distribution.

    Without a goal the value is :math:`w c / s`; with one it is :math:`w ((c - g)_+ / s)^2`.
    Where more is wanted (cold tails) both signs are turned round.

    Parameters
    ----------
    importance : float
        :math:`w`, above 0.
    scale_gy : float
        :math:`s`, above 0, in Gy of whatever the number is in: what counts as one.
    goal_gy : float or None
        :math:`g`, 0 or more; None for the plain value.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    importance: float
    scale_gy: float
    goal_gy: float | None = None

    def __post_init__(self) -> None:
        checked_positive("aim", "importance", self.importance)
        checked_positive("aim", "scale in Gy", self.scale_gy)
        if self.goal_gy is not None and not 0 <= self.goal_gy < np.inf:
            msg = f"expected a goal of 0 Gy or more, got {self.goal_gy}"
            raise InputError(msg)

    def value_and_slope(self, number_gy: float, side: TailSide) -> tuple[float, float]:
        """Return the objective, and its derivative by the number."""
        sign = 1.0 if side is TailSide.HOTTEST else -1.0
        if self.goal_gy is None:
            weight = sign * self.importance / self.scale_gy
            return weight * number_gy, weight
        excess = max(sign * (number_gy - self.goal_gy), 0.0)
        weight = self.importance / self.scale_gy**2
        return weight * excess**2, 2.0 * sign * weight * excess

    def curvature(self, shares: Floats, cumulative: CumulativeDose | None) -> Floats:
        """Return the typical second derivative by the dose of each point.

        Of the squared excess: the row sums of its rank-one Hessian, if any part of the volume may
        be the tail. Of a plain value: what the bend of EQD2 leaves, nothing in physical dose.
        EQD2 is taken at 2 Gy per fraction.
        """
        if cumulative is None:
            slope, bend = np.ones(1), np.zeros(1)
        else:
            alpha_beta = np.asarray(cumulative.alpha_beta_gy)
            slope = (4.0 + alpha_beta) / (2.0 + alpha_beta)
            bend = 2.0 / (cumulative.n_fractions * (2.0 + alpha_beta))
        if self.goal_gy is None:
            return np.asarray(self.importance / self.scale_gy * shares * bend)
        return np.asarray(2.0 * self.importance / self.scale_gy**2 * shares * slope**2)


@dataclass(frozen=True, eq=False, slots=True)
class TailMean:
    r"""Mean dose of the hottest or the coldest part of a volume (conditional value at risk).

    .. math:: c_\beta = \min_\eta\; \eta + \tfrac1\beta \sum_i v_i (q_i - \eta)_+

    for the hottest share :math:`\beta`. It is at least the dose :math:`D_\beta` at that volume, so
    it is a convex upper bound of near-maxima such as D0.1cc (:math:`\beta` = 0.1 cc over the
    volume) or D2% [1]_ [2]_. The mean of the coldest share is likewise a lower bound of
    near-minima (D98%: :math:`\beta` = 0.02). Piecewise linear in the doses: where two points at
    the edge of the tail have one dose the gradient is one of several.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    volume_share : float
        :math:`\beta`, above 0 and at most 1.
    aim : Aim
        Plain value or excess over a goal.
    side : TailSide
        The coldest part is for targets: more of it is wanted.
    cumulative : CumulativeDose or None
        Read cumulative EQD2; None reads physical dose.

    Raises
    ------
    InputError
        If an argument is out of range, or a cold tail of cumulative EQD2 is asked for, which is
        not convex: state targets in physical dose.

    References
    ----------
    .. [1] Rockafellar & Uryasev (2000), J. Risk 2(3), 21, doi:10.21314/JOR.2000.038 (cited from
       memory).
    .. [2] Engberg, Forsgren, Eriksson & Hårdemark (2017), arXiv:1607.01148 (its abstract was read:
       mean-tail-dose as a convex objective of IMRT).
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    volume_share: float
    aim: Aim
    side: TailSide = TailSide.HOTTEST
    cumulative: CumulativeDose | None = None

    def __post_init__(self) -> None:
        _check(self)
        if not 0 < self.volume_share <= 1:
            msg = (
                f"objective {self.name}: expected a share of the volume above 0 and up to 1, got "
                f"{self.volume_share}"
            )
            raise InputError(msg)
        if self.side is TailSide.COLDEST and self.cumulative is not None:
            msg = (
                f"objective {self.name}: wanting more cumulative EQD2 is not convex; state the "
                "target in physical dose"
            )
            raise InputError(msg)

    @property
    def is_convex(self) -> bool:
        """Whether it is convex in the fluence."""
        return True

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        read, slope = read_dose(self.cumulative, dose_gy)
        taken = tail_shares(read, self.weights, self.volume_share, self.side) / self.volume_share
        value, by_number = self.aim.value_and_slope(float(np.sum(taken * read)), self.side)
        return value, by_number * taken * slope

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each point."""
        return self.aim.curvature(self.weights, self.cumulative)


@dataclass(frozen=True, eq=False, slots=True)
class Geud:
    r"""Generalised equivalent uniform dose :math:`c = (\sum_i v_i q_i^a)^{1/a}`, :math:`a \ge 1`.

    Convex and nondecreasing for :math:`a \ge 1` [1]_; the mean at 1, towards the maximum for large
    exponents. Doses are taken relative to the highest, so that no power overflows.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    exponent : float
        :math:`a`, 1 or more.
    aim : Aim
        Plain value or excess over a goal.
    cumulative : CumulativeDose or None
        Read cumulative EQD2; None reads physical dose.

    Raises
    ------
    InputError
        If an argument is out of range; below an exponent of 1 it is not convex.

    References
    ----------
    .. [1] Choi & Deasy (2002), Phys. Med. Biol. 47, 3579, doi:10.1088/0031-9155/47/20/302 (cited
       from memory). gEUD: Niemierko (1997), Med. Phys. 24, 103, doi:10.1118/1.598063.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    exponent: float
    aim: Aim
    cumulative: CumulativeDose | None = None

    def __post_init__(self) -> None:
        _check(self)
        if not 1 <= self.exponent < np.inf:
            msg = f"objective {self.name}: expected an exponent of 1 or more, got {self.exponent}"
            raise InputError(msg)

    @property
    def is_convex(self) -> bool:
        """Whether it is convex in the fluence."""
        return True

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        read, slope = read_dose(self.cumulative, dose_gy)
        read, slope = np.maximum(read, 0.0), np.where(read < 0.0, 0.0, slope)
        highest = float(np.max(read, where=self.weights > 0, initial=0.0))
        if highest <= 0:
            number, by_dose = 0.0, self.weights  # the mean touches gEUD there from below
        else:
            # A point without volume may be hotter; it does not count and must not overflow.
            share = np.minimum(read / highest, 1.0)
            total = float(np.sum(self.weights * share**self.exponent))
            number = highest * total ** (1.0 / self.exponent)
            outer = total ** (1.0 / self.exponent - 1.0)
            by_dose = outer * self.weights * share ** (self.exponent - 1.0)
        value, by_number = self.aim.value_and_slope(number, TailSide.HOTTEST)
        return value, by_number * by_dose * slope

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each point."""
        return self.aim.curvature(self.weights, self.cumulative)


@dataclass(frozen=True, eq=False, slots=True)
class MeanDose:
    r"""Mean physical dose :math:`c = \sum_i v_i D_i`; linear.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    aim : Aim
        Plain value or excess over a goal.

    Raises
    ------
    InputError
        If an argument is out of range.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    aim: Aim

    def __post_init__(self) -> None:
        _check(self)

    @property
    def is_convex(self) -> bool:
        """Whether it is convex in the fluence."""
        return True

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        mean = float(np.sum(self.weights * dose_gy))
        value, by_number = self.aim.value_and_slope(mean, TailSide.HOTTEST)
        return value, by_number * self.weights

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each point."""
        return self.aim.curvature(self.weights, None)


def _check(term: "TailMean | Geud | MeanDose") -> None:
    """Check and freeze the fields that these objectives share."""
    indices = checked_indices(term.name, term.indices)
    object.__setattr__(term, "indices", indices)
    object.__setattr__(term, "weights", checked_shares(term.name, term.weights, len(indices)))
    if not isinstance(term, MeanDose) and term.cumulative is not None:
        checked = checked_cumulative(term.name, term.cumulative, len(indices))
        object.__setattr__(term, "cumulative", checked)


def checked_cumulative(name: str, cumulative: CumulativeDose, n_points: int) -> CumulativeDose:
    """Return it with read-only values for each of `n_points`, or raise `InputError`."""
    checked = cumulative.checked(name, n_points)
    prior = frozen_array(checked.prior_eqd2_gy, np.float64)
    alpha_beta = frozen_array(checked.alpha_beta_gy, np.float64)
    return replace(checked, prior_eqd2_gy=prior, alpha_beta_gy=alpha_beta)


def read_dose(cumulative: CumulativeDose | None, dose_gy: Floats) -> tuple[Floats, Floats]:
    """Return what the objective reads, and its derivative by physical dose."""
    if cumulative is None:
        return np.asarray(dose_gy, dtype=np.float64), np.ones(len(dose_gy))
    return cumulative.eqd2_and_slope(dose_gy)


def tail_shares(read: Floats, shares: Floats, part: float, side: TailSide) -> Floats:
    """Return how much of each point lies in the hottest or coldest `part` of the volume."""
    keys = -read if side is TailSide.HOTTEST else read
    near = np.arange(len(keys))
    n_near = int(2.0 * part * len(keys)) + 16
    if n_near < len(keys):
        # A small tail needs no sorting of the rest, unless its points are small as well.
        few = np.argpartition(keys, n_near)[:n_near]
        near = few if float(shares[few].sum()) >= part else near
    order = near[np.argsort(keys[near], kind="stable")]
    ahead = np.cumsum(shares[order]) - shares[order]
    taken = np.zeros_like(shares)
    taken[order] = np.clip(part - ahead, 0.0, shares[order])
    return taken
