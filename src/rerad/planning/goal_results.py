"""Judging the goals of a case and the limits of its rule set, part by part where it matters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from math import isnan

import numpy as np

from rerad.core import Dose, DoseScope, Goal, StructureKind, StructureSet
from rerad.evaluation import (
    Dvh,
    GoalResult,
    MetricKind,
    as_upper_bound,
    evaluate_goal,
    evaluate_shape,
    parse_metric,
)
from rerad.evaluation import as_lower_bound as as_lower_bound
from rerad.planning.budget import discounted_prior
from rerad.planning.history import recorded_priors
from rerad.planning.judgement import (
    OUTSIDE_SUFFIX,
    SHARED_SUFFIX,
    Judgement,
    organ_of_part,
    other_side,
)

_NEVER_HARD = frozenset({MetricKind.HOMOGENEITY, MetricKind.MIN})
"""Metrics without a convex number that an upper bound could hold."""


@dataclass(frozen=True, eq=False, slots=True)
class GivenDose:
    """The dose of a number of fractions of the plan.

    Parameters
    ----------
    physical : Dose
        Of the fractions counted.
    dvhs : mapping of str to Dvh
        Its histograms in the drawn structures.
    eqd2 : mapping of float to Dose
        The same as EQD2, by alpha/beta in Gy.
    share : float
        Fractions counted over fractions planned.
    """

    physical: Dose
    dvhs: Mapping[str, Dvh]
    eqd2: Mapping[float, Dose]
    share: float


def goal_problem(goal: Goal, structures: StructureSet, prescribed: Sequence[str]) -> str | None:
    """Say why a goal could not be judged on any plan, before one is made; None if it can.

    Parameters
    ----------
    goal : Goal
        Of the case.
    structures : StructureSet
        Drawn on the planning CT.
    prescribed : sequence of str
        Targets with a prescription.
    """
    metric, name = parse_metric(goal.metric), goal.structure
    is_prescribed = name in prescribed
    missing = _missing(name, structures)
    if missing is not None:
        return missing
    if structures[name].kind is StructureKind.SUPPORT:
        return f"{name} is a support, not a part of the patient"
    if metric.kind is MetricKind.CONFORMITY and not is_prescribed:
        return f"{metric.name} is of a prescribed target, and {name} is none"
    is_target = structures[name].kind.is_target
    is_relative = metric.size_unit == "%" and metric.kind in {
        MetricKind.VOLUME_AT_DOSE,
        MetricKind.SPILLAGE,
    }
    is_relative |= metric.unit == "Gy" and goal.unit == "%"
    if is_relative and is_target and not is_prescribed:
        return (
            f"{goal.text} is in percent of the prescription, and the target {name} has none; "
            "name a prescribed target, or write Gy"
        )
    return _hard_problem(goal) if goal.is_hard else None


def _missing(name: str, structures: StructureSet) -> str | None:
    """Say that a structure is not drawn, with the nearest that is; None if it is drawn."""
    if name in structures:
        return f"nothing is drawn for {name}" if structures[name].is_empty else None
    organ = organ_of_part(name)
    if organ != name and organ in structures:
        return (
            f"{name} is a part of {organ}; parts are judged by the goals of the whole organ where "
            "[[accepted_breach]] names it, so write the goal for the organ"
        )
    by_lower = {known.lower(): known for known in structures.names}
    near = get_close_matches(name.lower(), list(by_lower), n=1)
    hint = f"did you mean {by_lower[near[0]]}" if near else f"it has {', '.join(structures.names)}"
    return f"{name} is not in the structure set {structures.label!r}; {hint}"


def _hard_problem(goal: Goal) -> str | None:
    """Say why a goal cannot be held as a hard limit, whatever the plan; None if it may be."""
    metric, instead = parse_metric(goal.metric), "give it a priority instead of must"
    if goal.at_most is None:
        return (
            "only an upper bound can be a hard limit, since a dose that a target must have may be "
            f"impossible; {instead}"
        )
    is_volume = metric.kind is MetricKind.VOLUME_AT_DOSE
    if goal.at_most <= 0 or (is_volume and metric.size <= 0):
        return f"nothing can be held at {goal.metric} <= {goal.at_most:g}; write a number above 0"
    if is_volume and goal.unit == "%" and goal.at_most >= 100:
        return "100 % of the volume is no limit; write less"
    is_concave = metric.kind is MetricKind.GENERALIZED_MEAN and metric.size < 1
    if is_concave or metric.is_of_shape or metric.kind in _NEVER_HARD:
        return f"{metric.name} cannot be held as a hard limit; {instead}"
    return None


def goal_results(judgement: Judgement, given: GivenDose) -> tuple[GoalResult, ...]:
    """Judge the goals of the case, then the limits of the rule set.

    Parameters
    ----------
    judgement : Judgement
        What is judged on.
    given : GivenDose
        What was given, or is planned.

    Returns
    -------
    tuple of GoalResult
        In the same order for any number of fractions. A cumulative limit of an organ whose breach
        is accepted is followed by the same limit on the part shared with the targets, on the
        rest, and on the other side if nothing else judges that by it.
    """
    results: list[GoalResult] = []
    for goal in judgement.inputs.goals:
        if goal.scope is DoseScope.PLAN:
            results.append(_plan_goal(judgement, goal, given))
        elif goal.alpha_beta_gy is not None:
            prior = discounted_prior(judgement.priors, goal.alpha_beta_gy, 0.0)
            earlier = _Earlier(prior, _recorded(judgement, goal, 0.0))
            results.extend(_with_parts(judgement, goal, earlier, given.eqd2))
    for limit in judgement.limits:
        recorded = _recorded(judgement, limit.goal, limit.recovery_fraction)
        earlier = _Earlier(limit.prior, recorded)
        results.extend(_with_parts(judgement, limit.goal, earlier, given.eqd2))
    return tuple(results)


@dataclass(frozen=True, eq=False, slots=True)
class _Earlier:
    """Earlier EQD2 as believed; where a course of it is a bound, a tuple of it without that one.

    The tuple is empty where no course is a bound, and holds None where every course is.
    """

    believed: Dose | None
    recorded: tuple[Dose | None, ...]


def _recorded(judgement: Judgement, goal: Goal, recovery: float) -> tuple[Dose | None, ...]:
    """Return the earlier EQD2 that is on record voxel by voxel; empty if all of it is."""
    known = recorded_priors(judgement.priors)
    if len(known) == len(judgement.priors) or goal.alpha_beta_gy is None:
        return ()
    return (discounted_prior(known, goal.alpha_beta_gy, recovery),)


def _plan_goal(judgement: Judgement, goal: Goal, given: GivenDose) -> GoalResult:
    """Judge a goal on the plan's own dose."""
    if parse_metric(goal.metric).is_of_shape:
        return evaluate_shape(goal, judgement.plan_shape(goal, given.physical, given.share))
    prescribed = judgement.prescription_of(goal.structure)
    return evaluate_goal(
        goal,
        given.dvhs[goal.structure],
        prescription_gy=None if prescribed is None else prescribed * given.share,
    )


def _with_parts(
    judgement: Judgement, goal: Goal, earlier: _Earlier, own_eqd2: Mapping[float, Dose]
) -> list[GoalResult]:
    """Judge a cumulative goal, and its parts where the breach in the targets is accepted."""
    organ = goal.structure
    results = [_cumulative_goal(judgement, goal, earlier, own_eqd2)]
    if organ not in judgement.accepted or goal.at_most is None:
        return results
    names = [name for name, cc in part_volumes_cc(judgement, organ).items() if _fits(goal, cc)]
    opposite = other_side(organ)
    if opposite is not None and opposite in judgement.masks:
        names += [] if _is_judged(judgement, opposite, goal) else [opposite]
    for name in names:
        part = replace(goal, structure=name)
        results.append(_cumulative_goal(judgement, part, earlier, own_eqd2))
    return results


def part_volumes_cc(judgement: Judgement, organ: str) -> dict[str, float]:
    """Return the volume of the part of an organ shared with the targets, and of the rest."""
    return {
        f"{organ}{SHARED_SUFFIX}": judgement.shared_with_targets(organ).volume_cc,
        f"{organ}{OUTSIDE_SUFFIX}": judgement.outside_targets(organ).volume_cc,
    }


def _fits(goal: Goal, volume_cc: float) -> bool:
    """Return whether a part is as large as the volume that the goal's metric asks for."""
    metric = parse_metric(goal.metric)
    least_cc = metric.size if metric.size_unit == "cc" else 0.0
    return volume_cc > 0 and volume_cc >= least_cc


def _is_judged(judgement: Judgement, name: str, goal: Goal) -> bool:
    """Return whether the case or the rule set has the same limit for another structure."""
    others = [*judgement.inputs.goals, *(limit.goal for limit in judgement.limits)]
    return any(other.structure == name and is_same_limit(other, goal) for other in others)


def is_same_limit(first: Goal, second: Goal) -> bool:
    """Return whether two goals ask the same, of whatever structure."""
    return all(
        getattr(first, key) == getattr(second, key)
        for key in ("metric", "scope", "unit", "at_most", "alpha_beta_gy", "recovery_basis")
    )


def _cumulative_goal(
    judgement: Judgement, goal: Goal, earlier: _Earlier, own_eqd2: Mapping[float, Dose]
) -> GoalResult:
    """Judge one cumulative goal of a structure or a part; only outside is nothing accepted."""
    if goal.alpha_beta_gy is None:  # excluded by Goal itself
        raise AssertionError(goal.text)
    own = own_eqd2[goal.alpha_beta_gy]
    total = own if earlier.believed is None else earlier.believed + own
    result = evaluate_goal(
        goal,
        judgement.histogram(total, goal.structure),
        prescription_gy=None,
        is_accepted=goal.structure.removesuffix(SHARED_SUFFIX) in judgement.accepted,
    )
    result = replace(result, grade=judgement.grade)
    open_ended = (earlier.believed,) if isnan(result.value) else ()
    for recorded in earlier.recorded or open_ended:
        known = own
        if recorded is not None:  # unknown earlier dose was nothing at least
            known = own + replace(recorded, values=np.nan_to_num(recorded.values))
        histogram = judgement.histogram(known, goal.structure)
        low = evaluate_goal(goal, histogram, prescription_gy=None).low
        result = as_upper_bound(result, low)
    return as_lower_bound(result) if judgement.inputs.courses_without_dose else result
