"""An objective times a weight, as levels and trade-offs use it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.optimize.terms import Bools, DoseTerm, Floats, as_local, term_at


@dataclass(frozen=True, eq=False, slots=True)
class Weighted:
    """A weight times what an objective exceeds a constant by.

    Parameters
    ----------
    term : DoseTerm
        The objective.
    weight : float
        Factor.
    offset : float
        The constant: without it a tolerance relative to the value would be one of the trade.
    """

    term: DoseTerm
    weight: float
    offset: float = 0.0

    @property
    def name(self) -> str:
        """Of the objective."""
        return self.term.name

    @property
    def indices(self) -> NDArray[np.int64]:
        """Points of the objective."""
        return self.term.indices

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the dose of each point."""
        value, slope = self.term.value_and_gradient(dose_gy)
        return self.weight * (value - self.offset), self.weight * slope

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each point."""
        return self.weight * self.term.curvature()

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return at which points the objective hardly bends within `margin_gy`."""
        local = as_local(self.term)
        if local is None:
            return np.zeros(len(self.indices), bool)
        return local.is_straight(dose_gy, margin_gy)

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "Weighted":
        """Return what it is at chosen points, which get new numbers."""
        return replace(self, term=term_at(self.term, chosen, indices))
