"""The case's own goals as the planner needs them: hard caps, and goals with their earlier dose."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rerad.core import Dose, DoseScope, Goal, Mask
from rerad.planning.budget import OrganLimit, discounted_prior
from rerad.planning.inputs import PlanningInputs
from rerad.planning.levels import is_near_maximum
from rerad.planning.limit_reading import LimitReading
from rerad.planning.plan_request import PlanGoal
from rerad.planning.result import PriorCourse
from rerad.planning.robust_corners import corners_of
from rerad.planning.terms import CapCorner, OrganCap, PhysicalCap


def plan_goals(
    inputs: PlanningInputs,
    priors: Sequence[PriorCourse],
    masks: Mapping[str, Mask] | None = None,
) -> tuple[PlanGoal, ...]:
    """Return the goals that steer the optimiser: those with a priority, and hard ones.

    The user's cumulative goals are on the raw sum, as they are judged; in a robust plan with the
    worst that may have been given before within each structure of `masks`.
    """
    prescribed = {item.structure: item.dose_gy for item in inputs.current.prescriptions}
    highest = max(prescribed.values(), default=None)
    accepted = dict(inputs.settings.accepted_breaches)
    return tuple(
        PlanGoal(
            goal,
            _prior(goal, priors),
            prescribed.get(goal.structure, highest),
            _corners(inputs, goal, priors, masks or {}),
            excludes_targets=goal.structure in accepted
            and goal.scope is DoseScope.CUMULATIVE
            and goal.at_most is not None,
        )
        for goal in inputs.goals
        if goal.is_hard or goal.priority is not None
    )


def _prior(goal: Goal, priors: Sequence[PriorCourse]) -> Dose | None:
    if goal.scope is DoseScope.PLAN or goal.alpha_beta_gy is None:
        return None
    return discounted_prior(priors, goal.alpha_beta_gy, 0.0)


def _corners(
    inputs: PlanningInputs,
    goal: Goal,
    priors: Sequence[PriorCourse],
    masks: Mapping[str, Mask],
) -> tuple[CapCorner, ...]:
    """Return what may have been given before where a cumulative goal looks."""
    if goal.scope is DoseScope.PLAN or goal.alpha_beta_gy is None or goal.structure not in masks:
        return ()
    robustness, organ = inputs.settings.robustness, masks[goal.structure]
    return corners_of(robustness, priors, organ, goal.alpha_beta_gy, 0.0)


def limit_caps(
    inputs: PlanningInputs,
    limits: Sequence[OrganLimit],
    priors: Sequence[PriorCourse],
    masks: Mapping[str, Mask],
) -> tuple[OrganCap, ...]:
    """Return the limits of the rule set as the optimiser sees them."""
    accepted = dict(inputs.settings.accepted_breaches)
    return tuple(
        OrganCap(
            structure=limit.structure,
            limit_eqd2_gy=limit.goal.at_most,
            aim_eqd2_gy=limit.goal.at_most - inputs.objectives.organ_limit_margin_gy,
            alpha_beta_gy=limit.goal.alpha_beta_gy,
            prior=limit.prior,
            excludes_targets=limit.structure in accepted,
            corners=corners_of(
                inputs.settings.robustness,
                priors,
                masks[limit.structure],
                limit.goal.alpha_beta_gy,
                limit.recovery_fraction,
            ),
            reading=reading_of(inputs, limit.goal),
        )
        for limit in limits
        if limit.goal.at_most is not None and limit.goal.alpha_beta_gy is not None
    )


def hard_cumulative_caps(
    inputs: PlanningInputs, priors: Sequence[PriorCourse], masks: Mapping[str, Mask]
) -> tuple[OrganCap, ...]:
    """Return the case's own hard near-maxima of cumulative EQD2 as caps on every voxel."""
    accepted = dict(inputs.settings.accepted_breaches)
    return tuple(
        OrganCap(
            structure=goal.structure,
            limit_eqd2_gy=goal.at_most,
            aim_eqd2_gy=goal.at_most - inputs.objectives.organ_limit_margin_gy,
            alpha_beta_gy=goal.alpha_beta_gy,
            prior=discounted_prior(priors, goal.alpha_beta_gy, 0.0),
            excludes_targets=goal.structure in accepted,
            tag=goal.metric,
            corners=corners_of(
                inputs.settings.robustness,
                priors,
                masks[goal.structure],
                goal.alpha_beta_gy,
                0.0,
            ),
            reading=reading_of(inputs, goal),
        )
        for goal in inputs.goals
        if goal.is_hard
        and goal.scope is DoseScope.CUMULATIVE
        and goal.at_most is not None
        and goal.alpha_beta_gy is not None
        and is_near_maximum(goal)
    )


def physical_caps(
    goals: Sequence[Goal], inputs: PlanningInputs | None = None
) -> tuple[PhysicalCap, ...]:
    """Return the goals that bound a near-maximum of this plan's own dose, hard or not.

    Goals with a priority are worked on at their level instead. Where a structure has several on
    one metric, such as a wish below a hard limit, the later ones are told apart by their number;
    what is said twice counts once. With `inputs` the caps know how they will be read, and what
    hard maxima in percent are in Gy; without them those are held as bounds only.
    """
    caps: dict[str, PhysicalCap] = {}
    metrics: dict[str, Goal] = {}
    for stated in goals:
        goal = stated if inputs is None else _in_gy(stated, inputs)
        is_of_plan = goal.scope is DoseScope.PLAN and goal.unit == "Gy" and goal.priority is None
        if goal.at_most is None or not is_of_plan or not is_near_maximum(goal):
            continue
        cap = PhysicalCap(goal.structure, goal.at_most, goal.is_hard, goal.metric)
        first = caps.setdefault(cap.label, cap)
        if first != cap:
            hard = ", hard" if goal.is_hard else ""
            cap = replace(cap, metric=f"{goal.text}{hard}")
            caps.setdefault(cap.label, cap)
        metrics.setdefault(cap.label, goal)
    if inputs is None:
        return tuple(caps.values())
    return tuple(
        replace(cap, reading=reading_of(inputs, metrics[label])) for label, cap in caps.items()
    )


def _in_gy(goal: Goal, inputs: PlanningInputs) -> Goal:
    """Return a hard maximum in percent of the prescription as one in Gy; others as they are."""
    is_maximum = goal.metric == "Dmax" and goal.is_hard and goal.at_most is not None
    prescribed = {item.structure: item.dose_gy for item in inputs.current.prescriptions}
    if goal.unit != "%" or not is_maximum or not prescribed:
        return goal
    whole_gy = prescribed.get(goal.structure, max(prescribed.values()))
    return replace(goal, unit="Gy", at_most=(goal.at_most or 0.0) / 100.0 * whole_gy)


def reading_of(inputs: PlanningInputs, goal: Goal) -> LimitReading | None:
    """Return how a limit will be read from a dose; None for an organ that is not drawn."""
    if goal.structure not in inputs.structures:
        return None
    structure = inputs.structures[goal.structure]
    return LimitReading(structure, goal.metric, inputs.settings.end_slab)
