"""Clinical goals against a dose-volume histogram, or against the shape of a plan's dose."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf, isnan, nan

from rerad.core import DoseScope, Goal, RecordGrade, describe_quantity
from rerad.errors import InputError, MissingDataError
from rerad.evaluation.dvh import Dvh
from rerad.evaluation.metrics import (
    Metric,
    MetricKind,
    evaluate_metric,
    metric_bounds,
    parse_metric,
)
from rerad.evaluation.plan_shape import PlanShape, shape_bounds


class Verdict(StrEnum):
    """What came of a goal."""

    MET = "met"
    EXCEEDED = "exceeded"
    ACCEPTED = "exceeded, accepted knowingly"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class GoalResult:
    """A goal, what was found, and whether it is met.

    Parameters
    ----------
    goal : Goal
        The goal.
    value : float
        In the goal's unit; NaN if it cannot be stated.
    low, high : float
        Bounds of the value; equal to it unless part of the structure has no known dose, a course
        is missing from the sum (`high` is infinite then), or a course is in it as an upper bound
        (`low` is without that course then).
    verdict : Verdict
        Met, exceeded, accepted or unknown.
    unknown_fraction : float
        Share of the structure whose dose is unknown.
    quantity : str
        What the dose is, in words.
    grade : RecordGrade or None
        Poorest record of the earlier courses in the sum; None where the goal is about this plan
        alone, or nothing was given before.
    """

    goal: Goal
    value: float
    low: float
    high: float
    verdict: Verdict
    unknown_fraction: float
    quantity: str
    grade: RecordGrade | None = None

    @property
    def is_lower_bound(self) -> bool:
        """Whether the true value may be any higher, because a course is missing from the sum."""
        return self.high == inf

    @property
    def is_upper_bound(self) -> bool:
        """Whether the true value may be lower, because a course is in the sum as a bound."""
        return self.low < self.value == self.high


def is_within_limits(results: Iterable[GoalResult]) -> bool | None:
    """Return whether no goal is exceeded, knowingly or not; None if that cannot be told.

    A breach that was accepted is still a breach: False. None means that none is known to be
    exceeded and the value of at least one is not known.
    """
    verdicts = {result.verdict for result in results}
    if verdicts & {Verdict.EXCEEDED, Verdict.ACCEPTED}:
        return False
    return None if Verdict.UNKNOWN in verdicts else True


def evaluate_goal(
    goal: Goal, dvh: Dvh, *, prescription_gy: float | None, is_accepted: bool = False
) -> GoalResult:
    """Judge a goal.

    Parameters
    ----------
    goal : Goal
        Its structure is not looked at: pass the histogram of that structure in the goal's scope.
    dvh : Dvh
        Of the structure.
    prescription_gy : float or None
        Needed where goal or metric are in percent of the prescription.
    is_accepted : bool
        Whether a clinician has accepted beforehand that this goal is exceeded.

    Returns
    -------
    GoalResult
        The verdict is `UNKNOWN` if the dose of part of the structure is unknown and could decide,
        or if the structure is smaller than the volume asked for. A goal that is exceeded whatever
        the unknown part received is exceeded, and one that is met whatever it received is met.

    Raises
    ------
    InputError
        If the metric is not understood or its unit is not the goal's.
    MissingDataError
        If a prescription is needed and not given.
    """
    metric = _in_unit_of(parse_metric(goal.metric), goal)
    scale = _to_goal_unit(metric, goal, prescription_gy)
    value = scale * evaluate_metric(metric, dvh, prescription_gy=prescription_gy)
    bounds = metric_bounds(metric, dvh, prescription_gy=prescription_gy)
    low, high = scale * bounds[0], scale * bounds[1]
    if not isnan(value) and dvh.is_complete:
        low = high = value
    verdict = _verdict(goal, low, high)
    if verdict is Verdict.EXCEEDED and is_accepted:
        verdict = Verdict.ACCEPTED
    return GoalResult(goal, value, low, high, verdict, dvh.unknown_fraction, dvh.quantity)


def evaluate_shape(goal: Goal, shape: PlanShape, *, is_accepted: bool = False) -> GoalResult:
    """Judge a goal on conformity or fall-off: CI, R50% or D2cm.

    Parameters
    ----------
    goal : Goal
        On this plan's physical dose. Its structure is not looked at.
    shape : PlanShape
        Dose, region and target.
    is_accepted : bool
        Whether a clinician has accepted beforehand that this goal is exceeded.

    Returns
    -------
    GoalResult
        The verdict is `UNKNOWN` where unknown dose could decide, and where nothing of the region
        lies as far from the target as ``D2cm`` asks.

    Raises
    ------
    InputError
        If the goal is on cumulative EQD2, or its unit is not the metric's.
    MissingDataError
        If a prescription is needed and there is none.
    """
    if goal.scope is not DoseScope.PLAN:
        msg = (
            f"goal {goal.structure} {goal.metric}: expected one on this plan's physical dose, got "
            "one on cumulative EQD2; conformity and fall-off refer to a prescription"
        )
        raise InputError(msg)
    metric = _in_unit_of(parse_metric(goal.metric), goal)
    scale = _to_goal_unit(metric, goal, shape.prescription_gy)
    low, high = (scale * bound for bound in shape_bounds(metric, shape))
    value = low if low == high else float("nan")
    verdict = _verdict(goal, low, high)
    if verdict is Verdict.EXCEEDED and is_accepted:
        verdict = Verdict.ACCEPTED
    quantity = describe_quantity(shape.dose)
    return GoalResult(goal, value, low, high, verdict, shape.unknown_fraction, quantity)


def as_lower_bound(result: GoalResult) -> GoalResult:
    """Return a result for a sum that lacks a course: more was given, nobody knows how much.

    What is exceeded without the missing course is exceeded, and keeps the value of the sum that
    is known; a lower bound on a dose that is met without it is met. Anything else is unknown, and
    `low` says what is known of it.
    """
    verdict = _verdict(result.goal, result.low, inf)
    if verdict is Verdict.EXCEEDED and result.verdict is Verdict.ACCEPTED:
        verdict = Verdict.ACCEPTED
    value = nan if verdict is Verdict.UNKNOWN else result.low
    return replace(result, value=value, high=inf, verdict=verdict)


def as_upper_bound(result: GoalResult, low: float) -> GoalResult:
    """Return a result for a sum that holds a course as an upper bound, or of unknown dose.

    An upper limit is judged on the bound: met on it is met; exceeded on it is called exceeded,
    although less may have been given. Where no value can be stated, only what is exceeded without
    the bounded course is. A lower limit is met only without it.

    Parameters
    ----------
    result : GoalResult
        Of the sum with the bound.
    low : float
        Lowest value without the bounded course, unknown earlier dose taken as none.
    """
    verdict = result.verdict
    if isnan(result.value) or result.goal.at_least is not None:
        verdict = _verdict(result.goal, low, result.high)
        if verdict is Verdict.EXCEEDED and result.verdict is Verdict.ACCEPTED:
            verdict = Verdict.ACCEPTED
    return replace(result, low=low, verdict=verdict)


def _verdict(goal: Goal, low: float, high: float) -> Verdict:
    """Return the verdict for a value between two bounds."""
    if isnan(low) or isnan(high):
        return Verdict.UNKNOWN
    if goal.at_most is not None:
        is_met, is_exceeded = high <= goal.at_most, low > goal.at_most
    elif goal.at_least is not None:
        is_met, is_exceeded = low >= goal.at_least, high < goal.at_least
    else:
        return Verdict.UNKNOWN
    if is_met:
        return Verdict.MET
    return Verdict.EXCEEDED if is_exceeded else Verdict.UNKNOWN


def _in_unit_of(metric: Metric, goal: Goal) -> Metric:
    """Return the metric with the goal's unit, if the metric itself does not state one."""
    if metric.kind is MetricKind.VOLUME_AT_DOSE:
        if goal.unit in ("cc", "%") and (goal.unit == metric.unit or not metric.is_unit_given):
            return Metric(metric.text, metric.kind, metric.size, metric.size_unit, goal.unit, True)
    elif goal.unit == metric.unit or (
        metric.unit == "Gy" and goal.unit == "%" and not metric.is_unit_given
    ):
        return metric
    expected = f"in {metric.unit}" if metric.unit else "without a unit"
    msg = (
        f"goal {goal.structure} {goal.metric}: expected a limit {expected}, got one in "
        f"{goal.unit!r}"
    )
    raise InputError(msg)


def _to_goal_unit(metric: Metric, goal: Goal, prescription_gy: float | None) -> float:
    """Return the factor from the metric's unit to the goal's."""
    if metric.unit != "Gy" or goal.unit != "%":
        return 1.0
    if prescription_gy is None or not prescription_gy > 0:
        msg = (
            f"goal {goal.structure} {goal.metric} is in percent of the prescription; give the "
            "prescription in Gy"
        )
        raise MissingDataError(msg)
    return 100 / prescription_gy
