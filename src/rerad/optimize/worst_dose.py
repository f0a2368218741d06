"""The cumulative EQD2 of each point where the earlier dose or alpha/beta is not known exactly."""

from dataclasses import dataclass

import numpy as np

from rerad.optimize.cumulative_terms import CumulativeDose
from rerad.optimize.terms import Floats


@dataclass(frozen=True, eq=False, slots=True)
class WorstCumulativeDose(CumulativeDose):
    r"""The largest of several cumulative doses at each point, :math:`E_i = \max_k E_i^k(D_i)`.

    Each is convex and rising in the new dose, so their largest is: what may be made of a
    `CumulativeDose` may be made of it. As each corner is below it at every point, a tail mean,
    gEUD or mean of it is at least that of any one corner.

    Parameters
    ----------
    others : tuple of CumulativeDose
        The other corners, beside the one that the inherited fields describe.
    """

    others: tuple[CumulativeDose, ...] = ()

    def eqd2_and_slope(self, dose_gy: Floats) -> tuple[Floats, Floats]:
        """Return :math:`E` in Gy and :math:`dE/dD`, those of the worst corner at each point.

        Parameters
        ----------
        dose_gy : ndarray of shape (N,)
            Total physical dose of the new plan.
        """
        worst, slope = CumulativeDose.eqd2_and_slope(self, dose_gy)
        for other in self.others:
            eqd2, by_dose = other.eqd2_and_slope(dose_gy)
            is_worse = eqd2 > worst
            worst = np.where(is_worse, eqd2, worst)
            slope = np.where(is_worse, by_dose, slope)
        return worst, slope

    def checked(self, name: str, n_points: int) -> "WorstCumulativeDose":
        """Return it with one value for each of `n_points`, or raise `InputError`."""
        first = CumulativeDose.checked(self, name, n_points)
        others = tuple(other.checked(name, n_points) for other in self.others)
        return WorstCumulativeDose(
            first.prior_eqd2_gy, first.alpha_beta_gy, first.n_fractions, others
        )
