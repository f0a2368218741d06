"""An objective on the monitor units themselves: time under leakage, and how much is modulated."""

from dataclasses import dataclass

import numpy as np

from rerad.optimize.delivery import SweepLeakage
from rerad.optimize.terms import Floats, checked_positive


@dataclass(frozen=True, eq=False, slots=True)
class MonitorUnits:
    r"""Monitor units of all beams: :math:`w \sum_b M_b(x) / s`, convex in the open times.

    The fewer rises a beam's fluence has along the leaves' way, the fewer monitor units a sweep
    takes; unlike a penalty on steps it costs nothing where a row is not the slowest of its beam.

    Parameters
    ----------
    name : str
        What to call it.
    leakage : SweepLeakage
        Knows how many monitor units open times take.
    scale_mu : float
        :math:`s`, above 0: the sum at which the value is `importance`.
    importance : float
        :math:`w`, above 0.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    name: str
    leakage: SweepLeakage
    scale_mu: float
    importance: float

    def __post_init__(self) -> None:
        checked_positive(self.name, "scale in MU", self.scale_mu)
        checked_positive(self.name, "importance", self.importance)

    def value_and_gradient(self, fluence_mu: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by each beamlet's open time."""
        metersets, by_open = self.leakage.metersets_and_slopes(fluence_mu)
        factor = self.importance / self.scale_mu
        return factor * float(metersets.sum()), factor * by_open

    def curvature(self) -> Floats:
        """Return zeros: it is made of straight pieces."""
        return np.zeros(self.leakage.n_unknowns)
