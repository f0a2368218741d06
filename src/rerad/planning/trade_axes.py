"""Goals of a case as axes of a trade: one number in Gy each, convex, less being better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import DoseScope, Goal
from rerad.errors import InputError
from rerad.evaluation import MetricKind, parse_metric
from rerad.optimize import Aim, DoseTerm, TailMean, TailSide
from rerad.planning.budget import discounted_prior
from rerad.planning.judgement import Judgement
from rerad.planning.levels import goal_number
from rerad.planning.plan_passes import Floats
from rerad.planning.plan_request import PlanGoal
from rerad.planning.plan_task import PlanTask

_NO_DOSE = frozenset({MetricKind.VOLUME_AT_DOSE, MetricKind.HOMOGENEITY})
"""Metrics that are no dose."""


@dataclass(frozen=True, eq=False, slots=True)
class Lack:
    """What a cold tail lacks of a dose, in Gy; 0 where it has as much or more.

    Parameters
    ----------
    tail : TailMean
        Of the coldest part, with a plain aim of 1 Gy.
    asked_gy : float
        Dose that it is counted from.
    """

    tail: TailMean
    asked_gy: float
    is_convex: bool = True

    @property
    def name(self) -> str:
        """Of the tail."""
        return self.tail.name

    @property
    def indices(self) -> NDArray[np.int64]:
        """Points of the tail."""
        return self.tail.indices

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the lack, and its derivative by the dose of each point."""
        value, slope = self.tail.value_and_gradient(dose_gy)
        lack = self.asked_gy + value
        return (lack, slope) if lack > 0 else (0.0, np.zeros_like(slope))

    def curvature(self) -> Floats:
        """Return a typical second derivative."""
        return self.tail.curvature()


@dataclass(frozen=True, eq=False, slots=True)
class TradeAxis:
    """One goal of the case on one axis.

    Parameters
    ----------
    name : str
        Structure and metric, with ``[EQD2]`` where it is cumulative.
    goal : Goal
        Of the case or its rule set.
    term : DoseTerm
        The number: mean of the hottest part, mean, gEUD; or what the coldest part lacks.
    gy_per_unit : float
        Turns the goal's unit into Gy.
    asked_gy : float or None
        What lack is counted from: the prescription, or the goal of what has none. None where less
        dose is wanted.
    is_outside : bool
        Whether only the part of the organ outside the targets counts.
    """

    name: str
    goal: Goal
    term: DoseTerm
    gy_per_unit: float
    asked_gy: float | None
    is_outside: bool = False

    @property
    def unit(self) -> str:
        """Of the axis, for pictures; with the part of the organ that counts."""
        if self.asked_gy is not None:
            return f"Gy below {self.asked_gy:g}"
        unit = "Gy EQD2" if self.goal.scope is DoseScope.CUMULATIVE else "Gy"
        return f"{unit} outside targets" if self.is_outside else unit

    def dose_gy(self, value: float) -> float:
        """Return the dose that a value of the axis means."""
        return value if self.asked_gy is None else self.asked_gy - value

    def slider(self, wish: float) -> float:
        """Return a wish in the goal's own unit as the most that the axis may have."""
        dose = wish * self.gy_per_unit
        return dose if self.asked_gy is None else self.asked_gy - dose


def axis_name(goal: Goal) -> str:
    """Return what a goal is called in trades."""
    tag = "[EQD2]" if goal.scope is DoseScope.CUMULATIVE else ""
    return f"{goal.structure} {goal.metric}{tag}"


def trade_axes(
    judgement: Judgement, task: PlanTask, names: Sequence[str]
) -> tuple[TradeAxis, ...]:
    """Return the axes of goals of a case.

    Parameters
    ----------
    judgement : Judgement
        Goals and limits of the case, earlier doses, accepted breaches.
    task : PlanTask
        Where the numbers are read.
    names : sequence of str
        Structure and metric, as in ``PTV_4000 D95%``; with ``[EQD2]`` if the case has both.

    Returns
    -------
    tuple of TradeAxis
        In the order of the names. Of an organ whose breach is accepted, the part outside the
        targets counts for cumulative goals, as in their verdict; physical ones are of the whole.

    Raises
    ------
    InputError
        If a name is no goal of the case, is one of two, or has no convex number in Gy.
    """
    return tuple(_axis(judgement, task, item) for item in traded_goals(judgement, names))


def traded_goals(judgement: Judgement, names: Sequence[str]) -> tuple[PlanGoal, ...]:
    """Return the goals that names mean, before anything is optimised.

    Parameters
    ----------
    judgement, names
        As for :func:`trade_axes`.

    Raises
    ------
    InputError
        If a name is no goal of the case, or is one of two; if two names are one goal; or if a goal
        is a volume, an index or a fall-off.
    """
    found = [_find(judgement, name) for name in names]
    labels = [axis_name(item.goal) for item in found]
    for n, item in enumerate(found):
        metric = parse_metric(item.goal.metric)
        if labels[n] in labels[:n]:
            msg = f"{labels[n]} is named twice; a trade is between different goals"
            raise InputError(msg)
        if metric.is_of_shape or metric.kind in _NO_DOSE:
            raise InputError(_refusal(item.goal))
    return tuple(found)


def _find(judgement: Judgement, name: str) -> PlanGoal:
    """Return the goal that a name means, with its earlier dose."""
    known: dict[str, PlanGoal] = {}
    for goal in judgement.inputs.goals:
        prior = None
        if goal.scope is DoseScope.CUMULATIVE and goal.alpha_beta_gy is not None:
            prior = discounted_prior(judgement.priors, goal.alpha_beta_gy, 0.0)
        prescribed = judgement.prescription_of(goal.structure)
        known.setdefault(axis_name(goal), PlanGoal(goal, prior, prescribed))
    for limit in judgement.limits:
        prescribed = judgement.prescription_of(limit.structure)
        known.setdefault(axis_name(limit.goal), PlanGoal(limit.goal, limit.prior, prescribed))
    wanted = " ".join(name.split())
    found = [label for label in known if wanted in {label, label.removesuffix("[EQD2]")}]
    exact = [label for label in found if label == wanted] or found
    if len(exact) != 1:
        what = "is more than one goal" if exact else "is no goal"
        msg = f"{name!r} {what} of the case; there are: {', '.join(sorted(known)) or 'none'}"
        raise InputError(msg)
    return known[exact[0]]


def _axis(judgement: Judgement, task: PlanTask, item: PlanGoal) -> TradeAxis:
    """Return a goal as an axis."""
    goal = item.goal
    per_unit = (item.prescription_gy or 0.0) / 100.0 if goal.unit == "%" else 1.0
    if goal.at_least is not None:
        prescribed = judgement.prescribed_gy.get(goal.structure)
        asked = goal.at_least * per_unit if prescribed is None else prescribed
        tail = _cold_tail(task, goal)
        return TradeAxis(axis_name(goal), goal, Lack(tail, asked), per_unit, asked)
    anatomy = task.anatomy
    is_outside = goal.scope is DoseScope.CUMULATIVE and goal.structure in judgement.accepted
    if is_outside:
        outside = judgement.outside_targets(goal.structure)
        anatomy = replace(anatomy, masks={**anatomy.masks, goal.structure: outside})
    request = task.request
    term = goal_number(item, anatomy, task.points, request.objectives, request.n_fractions)
    if term is None:
        raise InputError(_refusal(goal))
    return TradeAxis(axis_name(goal), goal, term, per_unit, None, is_outside)


def _refusal(goal: Goal) -> str:
    return (
        f"goal {axis_name(goal)}: it has no convex number in Gy to trade; name a goal on a dose "
        "at a volume, a mean or a gEUD"
    )


def _cold_tail(task: PlanTask, goal: Goal) -> TailMean:
    """Return the mean of the coldest part that a goal on enough dose looks at."""
    metric = parse_metric(goal.metric)
    where, volume = task.points.of_mask(task.anatomy.masks[goal.structure])
    total_cc = float(volume.sum()) * task.anatomy.grid.voxel_volume_cc
    share = {MetricKind.MEAN: 1.0, MetricKind.MIN: float(volume.max() / volume.sum())}.get(
        metric.kind, 0.0
    )
    if metric.kind is MetricKind.DOSE_AT_VOLUME:
        part = metric.size / 100.0 if metric.size_unit == "%" else metric.size / total_cc
        share = 1.0 - part
    if goal.scope is DoseScope.CUMULATIVE or not 0 < share <= 1:
        raise InputError(_refusal(goal))
    name = f"{axis_name(goal)} in trade"
    return TailMean(name, where, volume, share, Aim(1.0, 1.0), TailSide.COLDEST)


def sliders_of(axes: Sequence[TradeAxis], wishes: Mapping[str, float]) -> dict[str, float]:
    """Return wishes in the goals' own units as sliders of the axes.

    Raises
    ------
    InputError
        If a wish is for no axis.
    """
    sliders = {}
    for name, wish in wishes.items():
        wanted = " ".join(name.split())
        found = [a for a in axes if wanted in {a.name, a.name.removesuffix("[EQD2]")}]
        if not found:
            there = ", ".join(axis.name for axis in axes)
            msg = f"{name!r} is not among the goals of this trade: {there}"
            raise InputError(msg)
        sliders[found[0].name] = found[0].slider(wish)
    return sliders
