r"""Hard caps on dose, held exactly by an augmented Lagrangian.

A cap on cumulative EQD2 is a cap on the new plan's physical dose at each point
(:func:`rerad.radiobiology.physical_from_eqd2` inverts it), and that is linear in the fluence. With
:math:`g = D - D_{max}` and multipliers :math:`\lambda \ge 0`, what is minimised is

.. math:: F(x) + \tfrac{1}{2\rho} \sum_i \big[(\lambda_i + \rho g_i)_+^2 - \lambda_i^2\big],
   \qquad \lambda_i \leftarrow (\lambda_i + \rho g_i)_+ .

At the end :math:`\lambda_i` is what a Gy of tolerance at point `i` would buy in the objective.

A :class:`ValueCap` bounds a sum of objectives the same way; that is how what was reached at a
higher priority is kept while lower ones are worked on.

References
----------
.. [1] Rockafellar (1973), J. Optim. Theory Appl. 12, 555, doi:10.1007/BF00934777.
.. [2] Bertsekas (1982), Constrained Optimization and Lagrange Multiplier Methods,
   ISBN 0-12-093480-9.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.optimize.terms import (
    DoseTerm,
    Floats,
    checked_indices,
    checked_positive,
    checked_values,
)


@dataclass(frozen=True, eq=False, slots=True)
class DoseCap:
    """Physical dose of the new plan that points must not exceed.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    max_dose_gy : float or ndarray of shape (N,)
        Largest total physical dose, above 0. A point that is already over its tolerance has none:
        put it into an objective and say so, a cap cannot help it.

    Raises
    ------
    InputError
        If a cap is unknown (NaN), infinite, or not above 0.
    """

    name: str
    indices: NDArray[np.int64]
    max_dose_gy: float | Floats

    def __post_init__(self) -> None:
        indices = checked_indices(self.name, self.indices)
        caps = checked_values(self.name, "cap in Gy", self.max_dose_gy, len(indices))
        n_spent = int(np.count_nonzero(caps <= 0))
        if n_spent:
            msg = (
                f"cap {self.name}: {n_spent} of {len(caps)} points have nothing left to give "
                "(cap of 0 Gy); move them into an objective and report them"
            )
            raise InputError(msg)
        object.__setattr__(self, "indices", indices)
        object.__setattr__(self, "max_dose_gy", caps)


@dataclass(frozen=True, eq=False, slots=True)
class ValueCap:
    """Sum of objectives that must not exceed what was reached before.

    Parameters
    ----------
    name : str
        What to call it.
    terms : tuple of DoseTerm
        Convex objectives on dose.
    at_most : float
        Largest sum, above 0.

    Raises
    ------
    InputError
        If there is no term, or the bound is not above 0.
    """

    name: str
    terms: tuple[DoseTerm, ...]
    at_most: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        checked_positive(self.name, "bound of a sum of objectives", self.at_most)
        if not self.terms:
            msg = f"cap {self.name}: expected at least one objective to bound, got none"
            raise InputError(msg)

    def excess(self, dose_gy: Floats) -> float:
        """Return by how much the sum exceeds its bound, as a share of it; negative below."""
        total = sum(term.value_and_gradient(dose_gy[term.indices])[0] for term in self.terms)
        return total / self.at_most - 1.0

    def add_push(self, dose_gy: Floats, push: float, gradient: Floats) -> None:
        """Add `push` times the derivative of the excess to the gradient by dose."""
        for term in self.terms:
            slope = term.value_and_gradient(dose_gy[term.indices])[1]
            gradient[term.indices] += (push / self.at_most) * slope


@dataclass(frozen=True, eq=False, slots=True)
class Multipliers:
    """State of the augmented Lagrangian: a multiplier for each capped point and capped sum.

    Parameters
    ----------
    caps : tuple of DoseCap
        Caps on dose.
    values : tuple of ndarray
        Multipliers in objective per Gy, one array for each cap.
    stiffness : float
        :math:`rho`, in objective per Gy squared, above 0.
    sums : tuple of ValueCap
        Caps on sums of objectives.
    sum_values : tuple of float
        Their multipliers, in objective per share of the bound.
    sum_stiffness : float
        Their stiffness, in objective per squared share of the bound.
    """

    caps: tuple[DoseCap, ...]
    values: tuple[Floats, ...]
    stiffness: float
    sums: tuple[ValueCap, ...] = ()
    sum_values: tuple[float, ...] = ()
    sum_stiffness: float = 1.0

    @classmethod
    def start(
        cls,
        caps: tuple[DoseCap, ...],
        stiffness: float,
        sums: tuple[ValueCap, ...] = (),
        sum_stiffness: float = 1.0,
    ) -> "Multipliers":
        """Return multipliers of zero."""
        zeros = tuple(np.zeros(len(cap.indices)) for cap in caps)
        return cls(caps, zeros, stiffness, sums, (0.0,) * len(sums), sum_stiffness)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the penalty and its derivative by the dose of every point of the operator."""
        value = 0.0
        gradient = np.zeros_like(dose_gy)
        for cap, multiplier in zip(self.caps, self.values, strict=True):
            push = np.maximum(multiplier + self.stiffness * self._excess(cap, dose_gy), 0.0)
            value += float(np.sum(push**2 - multiplier**2)) / (2.0 * self.stiffness)
            gradient[cap.indices] += push
        for bound, weight in zip(self.sums, self.sum_values, strict=True):
            force = max(weight + self.sum_stiffness * bound.excess(dose_gy), 0.0)
            value += (force**2 - weight**2) / (2.0 * self.sum_stiffness)
            if force > 0.0:
                bound.add_push(dose_gy, force, gradient)
        return value, gradient

    def updated(self, dose_gy: Floats, growth: float, sum_growth: float = 1.0) -> "Multipliers":
        """Return the multipliers for this dose, with the stiffness grown."""
        return replace(
            self,
            values=tuple(
                np.maximum(multiplier + self.stiffness * self._excess(cap, dose_gy), 0.0)
                for cap, multiplier in zip(self.caps, self.values, strict=True)
            ),
            stiffness=self.stiffness * growth,
            sum_values=tuple(
                max(weight + self.sum_stiffness * bound.excess(dose_gy), 0.0)
                for bound, weight in zip(self.sums, self.sum_values, strict=True)
            ),
            sum_stiffness=self.sum_stiffness * sum_growth,
        )

    def violation_gy(self, dose_gy: Floats) -> float:
        """Return the largest excess over a cap on dose in Gy, 0 if all hold."""
        excesses = [float(self._excess(cap, dose_gy).max()) for cap in self.caps]
        return max(0.0, *excesses) if excesses else 0.0

    def sum_violation(self, dose_gy: Floats) -> float:
        """Return the largest excess over a bound of a sum, as a share of it, 0 if all hold."""
        return max([0.0, *(bound.excess(dose_gy) for bound in self.sums)])

    def slack_cost(self, dose_gy: Floats) -> float:
        """Return sum of multiplier times slack: 0 at the optimum (complementarity)."""
        of_points = sum(
            float(np.sum(multiplier * np.maximum(-self._excess(cap, dose_gy), 0.0)))
            for cap, multiplier in zip(self.caps, self.values, strict=True)
        )
        of_sums = sum(
            weight * max(-bound.excess(dose_gy), 0.0)
            for bound, weight in zip(self.sums, self.sum_values, strict=True)
        )
        return of_points + of_sums

    @staticmethod
    def _excess(cap: DoseCap, dose_gy: Floats) -> Floats:
        return np.asarray(dose_gy[cap.indices] - cap.max_dose_gy)
