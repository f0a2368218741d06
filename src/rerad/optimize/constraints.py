r"""Hard caps on dose, held exactly by an augmented Lagrangian.

A cap on cumulative EQD2 is a cap on the new plan's physical dose at each point
(:func:`rerad.radiobiology.physical_from_eqd2` inverts it), and that is linear in the fluence. With
:math:`g = D - D_{max}` and multipliers :math:`\lambda \ge 0`, what is minimised is

.. math:: F(x) + \tfrac{1}{2\rho} \sum_i \big[(\lambda_i + \rho g_i)_+^2 - \lambda_i^2\big],
   \qquad \lambda_i \leftarrow (\lambda_i + \rho g_i)_+ .

At the end :math:`\lambda_i` is what a Gy of tolerance at point `i` would buy in the objective.

References
----------
.. [1] Rockafellar (1973), J. Optim. Theory Appl. 12, 555, doi:10.1007/BF00934777.
.. [2] Bertsekas (1982), Constrained Optimization and Lagrange Multiplier Methods,
   ISBN 0-12-093480-9.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.optimize.terms import Floats, checked_indices, checked_values


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
class Multipliers:
    """State of the augmented Lagrangian: one multiplier per capped point, one stiffness.

    Parameters
    ----------
    caps : tuple of DoseCap
        The caps.
    values : tuple of ndarray
        Multipliers in objective per Gy, one array for each cap.
    stiffness : float
        :math:`rho`, in objective per Gy squared, above 0.
    """

    caps: tuple[DoseCap, ...]
    values: tuple[Floats, ...]
    stiffness: float

    @classmethod
    def start(cls, caps: tuple[DoseCap, ...], stiffness: float) -> "Multipliers":
        """Return multipliers of zero."""
        return cls(caps, tuple(np.zeros(len(cap.indices)) for cap in caps), stiffness)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the penalty and its derivative by the dose of every point of the operator."""
        value = 0.0
        gradient = np.zeros_like(dose_gy)
        for cap, multiplier in zip(self.caps, self.values, strict=True):
            push = np.maximum(multiplier + self.stiffness * self._excess(cap, dose_gy), 0.0)
            value += float(np.sum(push**2 - multiplier**2)) / (2.0 * self.stiffness)
            gradient[cap.indices] += push
        return value, gradient

    def updated(self, dose_gy: Floats, growth: float) -> "Multipliers":
        """Return the multipliers for this dose, with the stiffness grown."""
        values = tuple(
            np.maximum(multiplier + self.stiffness * self._excess(cap, dose_gy), 0.0)
            for cap, multiplier in zip(self.caps, self.values, strict=True)
        )
        return Multipliers(self.caps, values, self.stiffness * growth)

    def violation_gy(self, dose_gy: Floats) -> float:
        """Return the largest excess over a cap in Gy, 0 if all hold."""
        excesses = [float(self._excess(cap, dose_gy).max()) for cap in self.caps]
        return max(0.0, *excesses) if excesses else 0.0

    def slack_cost(self, dose_gy: Floats) -> float:
        """Return sum of multiplier times slack: 0 at the optimum (complementarity)."""
        return sum(
            float(np.sum(multiplier * np.maximum(-self._excess(cap, dose_gy), 0.0)))
            for cap, multiplier in zip(self.caps, self.values, strict=True)
        )

    @staticmethod
    def _excess(cap: DoseCap, dose_gy: Floats) -> Floats:
        return np.asarray(dose_gy[cap.indices] - cap.max_dose_gy)
