r"""The points that bend the objective now; all others are left to a tangent.

Most points of a patient are where nothing is asked for (healthy tissue that gets little, organs
far below their limit) or where an objective is all but linear in dose (a mean EQD2). Between two
looks at the whole patient the sum over such points `R` is replaced by its tangent,

.. math:: \sum_{i \in R} f_i(D_i) \ge \sum_{i \in R} f_i(D_i^0) + f_i'(D_i^0) (D_i - D_i^0),

and :math:`\sum f_i' D_i` is one linear function of the fluence, so that the dose of a third of
the points suffices. Value and gradient are exact at the look itself, hence what a search ends at
is an optimum of the whole problem and not of a part. The tangent lies below what it replaces
(objectives are convex); by how much is seen at the next look, and `Search` then takes all points
if the objective has not really fallen.

The small problem is a :class:`Problem` like any other: its operator gives the dose of the points
that are left, and after them sums of dose, each as one more point.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.optimize.constraints import DoseCap, Multipliers, ValueCap
from rerad.optimize.problem import DividedDose, LinearDose, Problem
from rerad.optimize.tail_terms import MeanDose
from rerad.optimize.terms import Bools, DoseTerm, Floats, as_local, term_at
from rerad.optimize.weighted import Weighted

MOST = 0.75
"""With a larger share of points a small problem is not worth its making."""

SPARE, FAR_TOO_MANY = 1.5, 1.3
"""Points are chosen with so much more margin than they are asked to have
afterwards, and anew when so many times as many are kept as are needed."""


@dataclass(frozen=True, eq=False, slots=True)
class PointsAndSums:
    """Dose at points, and after them sums of the dose of others.

    Parameters
    ----------
    points : LinearDose
        Dose at points.
    sums : ndarray of shape (n_sums, n_beamlets)
        Derivative of each sum by the fluence.
    """

    points: LinearDose
    sums: Floats

    @property
    def n_beamlets(self) -> int:
        """Number of unknowns."""
        return self.points.n_beamlets

    @property
    def n_points(self) -> int:
        """Number of points and sums."""
        return self.points.n_points + len(self.sums)

    def forward(self, fluence_mu: Floats) -> Floats:
        """Return the dose at points, and the sums."""
        sums = np.einsum("rn,n->r", self.sums, fluence_mu)
        return np.concatenate([self.points.forward(fluence_mu), sums])

    def adjoint(self, weight_per_gy: Floats) -> Floats:
        """Return the transpose of `forward` applied to weights."""
        of_points, of_sums = np.split(weight_per_gy, [self.points.n_points])
        gradient = np.asarray(self.points.adjoint(of_points), dtype=np.float64)
        return np.asarray(gradient + np.einsum("rn,r->n", self.sums, of_sums))


@dataclass(frozen=True, eq=False, slots=True)
class Tangent:
    """What a sum of objectives over points left out is taken for: linear in one sum of dose.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (1,)
        Where the operator gives the sum.
    constant : float
        Value where the sum is 0.
    """

    name: str
    indices: NDArray[np.int64]
    constant: float

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the sum."""
        return self.constant + float(dose_gy[0]), np.ones(1)

    def curvature(self) -> Floats:
        """Return 0."""
        return np.zeros(1)


class WorkingSets:
    """Makes small problems of one whole problem, as the search goes on.

    Parameters
    ----------
    problem : Problem
        The whole problem.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._means: dict[int, Floats] = {}
        self._is_kept = np.zeros(0, bool)
        self._points: LinearDose | None = None

    def choose(
        self, dose_gy: Floats, margin_gy: float, held: Multipliers | None
    ) -> tuple[Problem, Multipliers | None] | None:
        """Return the small problem, and the multipliers of its caps.

        Parameters
        ----------
        dose_gy : ndarray of shape (n_points,)
            Where the search is; the small problem has value and gradient of the whole one there.
        margin_gy : float
            By how much doses may change before the next look.
        held : Multipliers or None
            Of the whole problem.

        Returns
        -------
        tuple or None
            None if too many points bend, or the operator cannot be divided.
        """
        operator = self.problem.operator
        if not isinstance(operator, DividedDose):
            return None
        if not self._suffices(dose_gy, margin_gy, held):
            self._is_kept = self._bends(dose_gy, SPARE * margin_gy, held)
            self._points = None
        points = np.flatnonzero(self._is_kept)
        if not 0 < len(points) <= MOST * len(self._is_kept):
            self._is_kept = np.zeros(0, bool)
            return None
        if self._points is None:
            self._points = operator.at_points(points)
        return _Part(self.problem, self._is_kept, dose_gy, self._means).problem(self._points, held)

    def _suffices(self, dose_gy: Floats, margin_gy: float, held: Multipliers | None) -> bool:
        """Return whether the points chosen before are enough, and not far too many."""
        if len(self._is_kept) == 0:
            return False
        needed = self._bends(dose_gy, margin_gy, held)
        is_more = bool(np.any(needed & ~self._is_kept))
        n_kept, n_needed = np.count_nonzero(self._is_kept), np.count_nonzero(needed)
        return not is_more and bool(n_kept < FAR_TOO_MANY * n_needed)

    def _bends(self, dose_gy: Floats, margin_gy: float, held: Multipliers | None) -> Bools:
        """Return the points at which something bends within a margin."""
        bends = np.zeros(len(dose_gy), bool)
        for term in _all_terms(self.problem):
            if _mean_of(term) is not None:
                continue
            where, local = term.indices, as_local(term)
            if local is not None:
                where = where[~local.is_straight(dose_gy[where], margin_gy)]
            bends[where] = True
        if held is not None:
            for cap, values in zip(held.caps, held.values, strict=True):
                is_near = dose_gy[cap.indices] > cap.max_dose_gy - margin_gy
                bends[cap.indices[is_near | (values > 0.0)]] = True
        return bends


class _Part:
    """One small problem in the making: points kept, and sums of dose over the others."""

    def __init__(
        self, whole: Problem, is_kept: Bools, dose_gy: Floats, means: dict[int, Floats]
    ) -> None:
        self.whole, self.is_kept, self.dose_gy = whole, is_kept, dose_gy
        self.means = means
        self.number = np.cumsum(is_kept) - 1
        self.n_kept = int(self.number[-1]) + 1
        self.by_dose: list[Floats] = []
        self.rows: list[Floats] = []

    def problem(
        self, points: LinearDose, held: Multipliers | None
    ) -> tuple[Problem, Multipliers | None]:
        """Return the small problem, and its multipliers."""
        whole, kept = self.whole, self.is_kept
        terms = self.reduced(whole.terms, "points left out")
        value_caps = tuple(
            replace(cap, terms=self.reduced(cap.terms, f"points left out of {cap.name}"))
            for cap in whole.value_caps
        )
        sums = np.array(self.rows).reshape(-1, whole.operator.n_beamlets)
        by_dose = np.array(self.by_dose).reshape(-1, len(kept))
        background, leakage = whole.background_dose_gy, whole.leakage
        if background is not None:
            of_sums = np.einsum("rn,n->r", by_dose, background)
            background = np.concatenate([background[kept], of_sums])
        if leakage is not None:
            of_points = leakage.dose_per_mu_gy[:, kept]
            # Not a product by a linear algebra library: its threads would wait beside ours.
            per_mu = np.einsum("bn,rn->br", leakage.dose_per_mu_gy, by_dose.astype(np.float32))
            leakage = replace(leakage, dose_per_mu_gy=np.hstack([of_points, per_mu]))
        small_held = None if held is None else self.multipliers(held, value_caps)
        small = replace(
            whole,
            operator=PointsAndSums(points, sums),
            terms=terms,
            caps=() if small_held is None else small_held.caps,
            value_caps=value_caps,
            background_dose_gy=background,
            leakage=leakage,
        )
        return small, small_held

    def multipliers(self, held: Multipliers, sums: tuple[ValueCap, ...]) -> Multipliers:
        """Return those of points that are kept."""
        caps: list[DoseCap] = []
        values: list[Floats] = []
        for cap, of_cap in zip(held.caps, held.values, strict=True):
            chosen = self.is_kept[cap.indices]
            if chosen.any():
                limits = np.broadcast_to(cap.max_dose_gy, chosen.shape)[chosen]
                where = self.number[cap.indices[chosen]]
                caps.append(DoseCap(cap.name, where, limits))
                values.append(of_cap[chosen])
        return replace(held, caps=tuple(caps), values=tuple(values), sums=sums)

    def reduced(self, terms: Iterable[DoseTerm], name: str) -> tuple[DoseTerm, ...]:
        """Return objectives at points kept, and one tangent of what they are elsewhere."""
        small: list[DoseTerm] = []
        slope, constant = np.zeros(len(self.is_kept)), 0.0
        for term in terms:
            mean = _mean_of(term)
            if mean is not None:
                small.append(_of_sum(term, self.mean_row(mean)))
                continue
            where = term.indices
            chosen = self.is_kept[where]
            if chosen.any():
                part = term_at(term, chosen, self.number[where[chosen]])
                small.append(part)
            if chosen.all():
                continue
            value, by_dose = term.value_and_gradient(self.dose_gy[where])
            left_out = where[~chosen]
            slope[left_out] += by_dose[~chosen]
            if chosen.any():
                value -= part.value_and_gradient(self.dose_gy[where[chosen]])[0]
            constant += value - float(np.sum(by_dose[~chosen] * self.dose_gy[left_out]))
        if constant != 0.0 or slope.any():
            row = np.asarray(self.whole.operator.adjoint(slope), dtype=np.float64)
            small.append(Tangent(name, self.sum_row(slope, row), constant))
        return tuple(small)

    def mean_row(self, mean: MeanDose) -> NDArray[np.int64]:
        """Return where the operator gives a mean dose; its derivative is made once."""
        by_dose = np.zeros(len(self.is_kept))
        by_dose[mean.indices] = mean.weights
        if id(mean) not in self.means:
            row = self.whole.operator.adjoint(by_dose)
            self.means[id(mean)] = np.asarray(row, dtype=np.float64)
        return self.sum_row(by_dose, self.means[id(mean)])

    def sum_row(self, by_dose: Floats, row: Floats) -> NDArray[np.int64]:
        """Add a sum of dose; return where the operator gives it."""
        self.by_dose.append(by_dose)
        self.rows.append(row)
        return np.array([self.n_kept + len(self.rows) - 1])


def _all_terms(problem: Problem) -> Sequence[DoseTerm]:
    return [*problem.terms, *(term for cap in problem.value_caps for term in cap.terms)]


def _mean_of(term: DoseTerm) -> MeanDose | None:
    """Return the mean dose of which the term is a function, if it is one."""
    inner = term.term if isinstance(term, Weighted) else term
    return inner if isinstance(inner, MeanDose) else None


def _of_sum(term: DoseTerm, where: NDArray[np.int64]) -> DoseTerm:
    """Return a function of a mean dose that the operator gives as one point."""
    if isinstance(term, Weighted):
        return replace(term, term=_of_sum(term.term, where))
    return replace(term, indices=where, weights=np.ones(1))  # type: ignore[type-var]
