"""How the goals of a case stand while its plan is being made.

What the optimiser sees is ideal: its own dose at its own points. The numbers here tell a planner
whether it is worth waiting; the verdict is that of the final dose alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, DoseScope, Goal, Mask
from rerad.evaluation import Metric, MetricKind, parse_metric
from rerad.planning.agreement import dose_at_hottest
from rerad.planning.budget import discounted_prior
from rerad.planning.judgement import OUTSIDE_SUFFIX, Judgement
from rerad.planning.pass_record import PlanState
from rerad.planning.points import Points
from rerad.planning.replan import Listeners
from rerad.radiobiology import eqd2

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GoalNow:
    """A goal, and its value in the optimiser's own dose.

    Parameters
    ----------
    structure : str
        Name, or the part of it outside the targets where only that is held.
    text : str
        Metric and bound.
    value : float
        In the goal's unit; NaN where the optimiser cannot tell.
    is_met : bool or None
        None where the value is unknown.
    """

    structure: str
    text: str
    value: float
    is_met: bool | None


@dataclass(frozen=True, slots=True)
class CaseListeners:
    """Who is told of what while a case is planned; nobody has to be.

    Parameters
    ----------
    goals : callable or None
        Gets how every goal stands, every few steps.
    keep : callable or None
        Gets states to go on from.
    """

    goals: Callable[[tuple[GoalNow, ...]], None] | None = None
    keep: Callable[[PlanState], None] | None = None

    def for_case(self, judgement: Judgement) -> Listeners:
        """Return what the planner calls for this case."""
        told = self.goals
        if told is None:
            return Listeners(keep=self.keep)
        look = GoalLook(judgement)
        return Listeners(watch=lambda dose, points: told(look(dose, points)), keep=self.keep)


class GoalLook:
    """Reads goals from doses at the optimiser's points.

    Parameters
    ----------
    judgement : Judgement
        Goals, limits, earlier doses, structures.
    """

    def __init__(self, judgement: Judgement) -> None:
        self._judgement = judgement
        self._goals = [
            *((goal, self._prior(goal)) for goal in judgement.inputs.goals),
            *((limit.goal, limit.prior) for limit in judgement.limits),
        ]

    def _prior(self, goal: Goal) -> Dose | None:
        if goal.scope is DoseScope.PLAN or goal.alpha_beta_gy is None:
            return None
        return discounted_prior(self._judgement.priors, goal.alpha_beta_gy, 0.0)

    def __call__(self, dose_gy: Floats, points: Points) -> tuple[GoalNow, ...]:
        """Return how every goal stands.

        Parameters
        ----------
        dose_gy : ndarray of shape (n_points,)
            Physical dose of the whole plan.
        points : Points
            Where.
        """
        return tuple(self._now(goal, prior, dose_gy, points) for goal, prior in self._goals)

    def _now(self, goal: Goal, prior: Dose | None, dose_gy: Floats, points: Points) -> GoalNow:
        name = goal.structure
        is_limit = goal.scope is DoseScope.CUMULATIVE and goal.at_most is not None
        if is_limit and name in self._judgement.accepted:
            name += OUTSIDE_SUFFIX
        value = self._value(goal, name, prior, (dose_gy, points))
        if np.isnan(value):
            return GoalNow(name, goal.text, value, None)
        low = -np.inf if goal.at_least is None else goal.at_least
        high = np.inf if goal.at_most is None else goal.at_most
        return GoalNow(name, goal.text, value, bool(low <= value <= high))

    def _value(
        self, goal: Goal, name: str, prior: Dose | None, seen: tuple[Floats, Points]
    ) -> float:
        """Return a goal's value in its own unit, NaN where these points cannot tell."""
        dose_gy, points = seen
        metric = parse_metric(goal.metric)
        if metric.is_of_shape or goal.structure not in self._judgement.masks:
            return float("nan")
        where, volume = points.of_mask(self._mask(name))
        dose = self._read(goal, prior, np.maximum(dose_gy[where], 0.0), (where, points))
        is_known = ~np.isnan(dose)
        if not is_known.any():
            return float("nan")
        prescribed = self._judgement.prescription_of(goal.structure) or float("nan")
        voxel_cc = points.grid.voxel_volume_cc
        return _metric_value(
            metric, goal.unit, (dose[is_known], volume[is_known] * voxel_cc), prescribed
        )

    def _read(
        self,
        goal: Goal,
        prior: Dose | None,
        dose_gy: Floats,
        place: tuple[NDArray[np.int64], Points],
    ) -> Floats:
        """Return what the goal reads: physical dose, or the cumulative EQD2."""
        if goal.scope is DoseScope.PLAN or goal.alpha_beta_gy is None:
            return dose_gy
        n_fractions = self._judgement.inputs.current.n_fractions_planned or 1
        read = np.asarray(eqd2(dose_gy, n_fractions, goal.alpha_beta_gy))
        where, points = place
        return read if prior is None else read + points.sample(prior.values)[where]

    def _mask(self, name: str) -> Mask:
        if name.endswith(OUTSIDE_SUFFIX):
            return self._judgement.outside_targets(name.removesuffix(OUTSIDE_SUFFIX))
        return self._judgement.masks[name]


def _metric_value(
    metric: Metric, unit: str, known: tuple[Floats, Floats], prescribed_gy: float
) -> float:
    """Return a metric of doses with their volumes in cc."""
    dose, volume = known
    total_cc = float(volume.sum())
    if metric.kind is MetricKind.VOLUME_AT_DOSE:
        is_share = metric.size_unit == "%"
        threshold = metric.size / 100 * prescribed_gy if is_share else metric.size
        above_cc = float(volume[dose >= threshold].sum())
        return 100 * above_cc / total_cc if unit == "%" else above_cc
    value = float("nan")
    if metric.kind is MetricKind.MEAN:
        value = float(np.average(dose, weights=volume))
    elif metric.kind is MetricKind.MAX:
        value = float(dose.max())
    elif metric.kind is MetricKind.MIN:
        value = float(dose.min())
    elif metric.kind is MetricKind.DOSE_AT_VOLUME:
        share = metric.size / 100 if metric.size_unit == "%" else metric.size / total_cc
        value = dose_at_hottest(dose, volume, [min(share, 1.0)])[0]
    elif metric.kind is MetricKind.HOMOGENEITY:
        hot, median, cold = dose_at_hottest(dose, volume, [0.02, 0.5, 0.98])
        value = (hot - cold) / median if median > 0 else value
    elif metric.kind is MetricKind.GENERALIZED_MEAN:
        highest = max(float(dose.max()), 1e-9)
        mean = np.average((dose / highest) ** metric.size, weights=volume)
        value = highest * float(mean) ** (1.0 / metric.size)
    return 100 * value / prescribed_gy if unit == "%" else value
