r"""What an organ has under each way to go on, read off its contours as by every other command.

Earlier EQD2, what was given, and the planned fraction are interpolated once at the points of the
organ. EQD2 of `n` fractions of `s` times the planned dose `d` is a sum of `d` and of its square,

.. math:: n (s\,d\,\alpha/\beta + s^2 d^2) / (2 + \alpha/\beta),

so interpolating both gives what a histogram of the converted dose gives. Doses in Gy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from rerad.core import Dose, Mask, RecordGrade, Structure
from rerad.evaluation import (
    Dvh,
    dose_at,
    dvh_of_points,
    evaluate_metric,
    metric_bounds,
    parse_metric,
    points_of,
)
from rerad.planning.budget import OrganLimit
from rerad.planning.history import BOUNDED
from rerad.planning.interrupted_plan import InterruptedPlan
from rerad.structures import EndSlab

_TOLERANCE_GY = 1e-6


@dataclass(frozen=True, slots=True)
class OrganState:
    """One organ under one way to go on: cumulative EQD2 at the limit's metric, and the limit.

    Parameters
    ----------
    structure, metric : str
        Organ, and what the limit is for.
    value_gy, limit_gy : float
        EQD2; NaN where it is not known.
    is_accepted : bool
        Whether a breach is accepted by the case: it stays a breach.
    grade : RecordGrade or None
        Poorest record of the earlier courses in the value; None if there were none.
    is_lower_bound : bool
        Whether a course on record is missing from the value.
    at_least_gy : float
        What is known of the value where it is not; else the same.
    """

    structure: str
    metric: str
    value_gy: float
    limit_gy: float
    is_accepted: bool = False
    grade: RecordGrade | None = None
    is_lower_bound: bool = False
    at_least_gy: float = float("nan")

    @property
    def is_upper_bound(self) -> bool:
        """Whether a course is in the value as a bound: less may have been given."""
        return self.grade in BOUNDED and not self.is_lower_bound

    @property
    def is_within(self) -> bool | None:
        """Whether the limit is kept; None where that cannot be told."""
        if np.isnan(self.value_gy):
            return False if self.at_least_gy > self.limit_gy + _TOLERANCE_GY else None
        if self.value_gy > self.limit_gy + _TOLERANCE_GY:
            return False
        return None if self.is_lower_bound else True


@dataclass(frozen=True, eq=False, slots=True)
class OrganAtPoints:
    """An organ as points: what each had, what a planned fraction gives there, and the limit.

    Parameters
    ----------
    limit : OrganLimit
        Cumulative limit.
    points_mm : ndarray of shape (n, 3)
    volumes_cc : ndarray of shape (n,)
        Volume of each point.
    had_gy : ndarray of shape (n,)
        EQD2 of earlier courses and of the fractions given; NaN where unknown.
    given_gy : ndarray of shape (n,)
        EQD2 of the fractions given alone.
    fraction_gy, squared_gy2 : ndarray of shape (n,)
        Planned dose of one fraction, and its square.
    is_accepted, is_lower_bound : bool
        As in `OrganState`.
    """

    limit: OrganLimit
    points_mm: NDArray[np.float64]
    volumes_cc: NDArray[np.float64]
    had_gy: NDArray[np.float64]
    given_gy: NDArray[np.float64]
    fraction_gy: NDArray[np.float64]
    squared_gy2: NDArray[np.float64]
    is_accepted: bool = False
    is_lower_bound: bool = False

    def state(self, scale: float, n: int) -> OrganState:
        """Return the metric after n more fractions of `scale` times the planned one."""
        goal = self.limit.goal
        ratio = goal.alpha_beta_gy or np.nan
        each = scale * ratio * self.fraction_gy + scale**2 * self.squared_gy2
        return self._state_with(n * each / (2.0 + ratio))

    def state_with(self, more: Dose) -> OrganState:
        """Return the metric with the EQD2 of a new plan for the rest added."""
        return self._state_with(dose_at(more, self.points_mm))

    def _state_with(self, more_gy: NDArray[np.floating]) -> OrganState:
        """Return the metric with an EQD2 at the points added."""
        goal = self.limit.goal
        metric = parse_metric(goal.metric)
        histogram = self._histogram(self.had_gy + more_gy)
        value = at_least = evaluate_metric(metric, histogram)
        if np.isnan(value):
            # Where earlier dose is unknown, or only a bound of it is known, this course counts.
            is_open = np.isnan(self.had_gy) | (self.limit.grade in BOUNDED)
            known = np.where(is_open, self.given_gy, self.had_gy)
            at_least = metric_bounds(metric, self._histogram(known + more_gy))[0]
        return OrganState(
            self.limit.structure,
            goal.metric,
            value,
            goal.at_most if goal.at_most is not None else np.nan,
            self.is_accepted,
            self.limit.grade,
            self.is_lower_bound,
            at_least,
        )

    def _histogram(self, total_gy: NDArray[np.floating]) -> Dvh:
        values = total_gy.astype(np.float32)
        return dvh_of_points(self.limit.structure, "EQD2", values, self.volumes_cc)

    def largest_scale(self, n: int, highest: float) -> float:
        """Return the largest scale that keeps the limit; NaN if unknown, 0 if none does."""
        limit = self.limit.goal.at_most or 0.0

        def over(scale: float) -> float:
            return self.state(scale, n).value_gy - limit

        at_none, at_most = over(0.0), over(highest)
        if np.isnan(at_none) or np.isnan(at_most):
            return float("nan")
        if at_none >= 0:
            return 0.0
        if at_most <= 0:
            return highest
        found = float(brentq(over, 0.0, highest, xtol=1e-9, rtol=1e-12))
        # The root may lie a rounding above the limit: step back until it is kept.
        while found > 0 and self.state(found, n).is_within is False:
            found = max(0.0, found - 1e-7)
        return found


def organs_at_points(
    plan: InterruptedPlan,
    limits: Sequence[OrganLimit],
    regions: Mapping[str, Structure | Mask],
    *,
    end_slab: EndSlab,
    accepted: frozenset[str] = frozenset(),
    is_lower_bound: bool = False,
) -> tuple[OrganAtPoints, ...]:
    """Return every organ that has an upper limit with what it had.

    Parameters
    ----------
    plan : InterruptedPlan
        What stopped.
    limits : sequence of OrganLimit
        With the EQD2 of earlier courses after recovery.
    regions : mapping of str to Structure or Mask
        Organs as drawn, in the frame of the doses.
    end_slab : EndSlab
        As in every histogram of the case.
    accepted : frozenset of str
        Organs whose limit may be exceeded knowingly.
    is_lower_bound : bool
        Whether a course on record is in no limit's earlier dose.
    """
    found = []
    for limit in limits:
        alpha_beta = limit.goal.alpha_beta_gy
        if limit.goal.at_most is None or alpha_beta is None:
            continue
        points, volumes = points_of(regions[limit.structure], end_slab=end_slab)
        if plan.dose is None:
            fraction = np.full(len(points), plan.fraction_gy)
            squared = fraction**2
            had = np.full(len(points), plan.given_eqd2_everywhere(alpha_beta))
        else:
            each = plan.dose.values / np.float32(plan.n_planned)
            fraction = dose_at(replace(plan.dose, values=each), points).astype(np.float64)
            squared = dose_at(replace(plan.dose, values=each**2), points).astype(np.float64)
            had = dose_at(plan.given_eqd2(plan.dose, alpha_beta), points).astype(np.float64)
        given = had
        if limit.prior is not None:
            had = had + dose_at(limit.prior, points)
        is_accepted = limit.structure in accepted
        found.append(
            OrganAtPoints(
                limit, points, volumes, had, given, fraction, squared, is_accepted, is_lower_bound
            )
        )
    return tuple(found)
