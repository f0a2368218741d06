"""A new plan for the rest of a course that stopped, with the fractions given as background.

The rest is asked for everything that the whole course was asked for: goals with their priorities,
bounds on the plan's own dose, cumulative limits, robustness, leaf refinements and dose rate.
Cumulative limits count the fractions given at their own dose per fraction and without recovery.
Goals on the course's own dose are divided between what was given and the rest:

- in percent of the prescription, and of shape: unchanged, of the prescription of the rest;
- an upper bound on a dose in Gy: less what the fractions given have of it, at the same metric;
- a lower bound in Gy, and the dose level of a volume: the share of the prescription that the rest
  gives.

The whole course is judged afterwards on the sum, by the goals as they were stated. Doses in Gy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Dose, DoseScope, Finding, Goal, Mask, Severity
from rerad.errors import MissingDataError
from rerad.evaluation import GoalResult, MetricKind, evaluate_metric, parse_metric
from rerad.planning.budget import OrganLimit
from rerad.planning.goal_results import GivenDose, goal_results
from rerad.planning.inputs import PlanningInputs
from rerad.planning.interruption import InterruptedPlan, ResidualOption, residual_course
from rerad.planning.judge import judged_alpha_betas, physical_dvhs
from rerad.planning.judgement import Judgement
from rerad.planning.medium import make_medium
from rerad.planning.pipeline import external_of, plan_request_of
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_request import PlanGoal, PlanRequest
from rerad.planning.result import PriorCourse
from rerad.planning.robust_result import RobustOutcome
from rerad.planning.robust_verdicts import GivenBefore, robust_outcome
from rerad.planning.terms import CapCorner, OrganCap
from rerad.radiobiology import to_eqd2


@dataclass(frozen=True, eq=False, slots=True)
class RestOfCourse:
    """What a plan for the rest is made on and judged by.

    Parameters
    ----------
    inputs : PlanningInputs
        Of the whole course.
    plan : InterruptedPlan
        What stopped; its dose is needed.
    priors : tuple of PriorCourse
        Earlier courses on the dose grid, at every alpha/beta that is needed.
    limits : tuple of OrganLimit
        Cumulative limits with the earlier dose after recovery, without the fractions given.
    masks : mapping of str to Mask
        Structures on crops of the dose grid.

    Raises
    ------
    MissingDataError
        If the dose of the interrupted plan is not known.
    """

    inputs: PlanningInputs
    plan: InterruptedPlan
    priors: tuple[PriorCourse, ...]
    limits: tuple[OrganLimit, ...]
    masks: Mapping[str, Mask]

    def __post_init__(self) -> None:
        if self.plan.dose is None:
            name = self.plan.course.name
            msg = f"{name}: the dose of its plan is needed to plan the rest; give it"
            raise MissingDataError(msg)

    @property
    def dose(self) -> Dose:
        """Physical dose of all planned fractions of the plan that stopped."""
        if self.plan.dose is None:  # excluded on making
            raise AssertionError(self.plan.course.name)
        return self.plan.dose

    @property
    def given_physical(self) -> Dose:
        """Physical dose of the fractions given."""
        return self.plan.given_physical(self.dose)

    def given_eqd2(self, alpha_beta_gy: float) -> Dose:
        """Return the EQD2 of the fractions given; fractions count, not their dose."""
        return self.plan.given_eqd2(self.dose, alpha_beta_gy)

    @property
    def judgement(self) -> Judgement:
        """What the whole course is judged on."""
        grid = self.dose.grid
        return Judgement(self.inputs, self.priors, self.limits, self.masks, grid)


def rest_request(
    rest: RestOfCourse, option: ResidualOption
) -> tuple[PlanRequest, tuple[Finding, ...]]:
    """State the plan for the rest, on top of what was given.

    Parameters
    ----------
    rest : RestOfCourse
        What it is made on.
    option : ResidualOption
        Fractions and dose per fraction of the rest.

    Returns
    -------
    request : PlanRequest
        With everything that the whole course was asked for.
    findings : tuple of Finding
        Goals that the fractions given have used up.

    Raises
    ------
    InputError
        If the way is to stop.
    """
    whole = rest.inputs
    goals, findings = rest_goals(rest, option)
    inputs = replace(whole, current=residual_course(rest.plan, option), goals=goals)
    body = rest.masks[external_of(whole.structures).name]
    medium = make_medium(whole.image, whole.structures, body, rest.dose.grid, whole.medium)
    request = plan_request_of(inputs, medium, dict(rest.masks), rest.limits, rest.priors)
    return (
        replace(
            request,
            label="ReRT rest",
            organ_caps=tuple(_cap_on_top(cap, rest) for cap in request.organ_caps),
            goals=tuple(_goal_on_top(goal, rest) for goal in request.goals),
        ),
        (*findings, *medium.findings),
    )


def _cap_on_top(cap: OrganCap, rest: RestOfCourse) -> OrganCap:
    """Return a cumulative limit that counts the fractions given."""
    prior = _with_given(cap.prior, cap.alpha_beta_gy, rest)
    return replace(cap, prior=prior, corners=_corners_on_top(cap.corners, rest))


def _goal_on_top(item: PlanGoal, rest: RestOfCourse) -> PlanGoal:
    """Return a goal that counts the fractions given, if it is cumulative."""
    if item.goal.scope is DoseScope.PLAN or item.goal.alpha_beta_gy is None:
        return item
    prior = _with_given(item.prior, item.goal.alpha_beta_gy, rest)
    return replace(item, prior=prior, corners=_corners_on_top(item.corners, rest))


def _corners_on_top(corners: Sequence[CapCorner], rest: RestOfCourse) -> tuple[CapCorner, ...]:
    """Return the corners with the fractions given at each corner's own alpha/beta."""
    return tuple(
        CapCorner(item.alpha_beta_gy, _with_given(item.prior, item.alpha_beta_gy, rest))
        for item in corners
    )


def _with_given(prior: Dose | None, alpha_beta_gy: float, rest: RestOfCourse) -> Dose:
    given = rest.given_eqd2(alpha_beta_gy)
    return given if prior is None else prior + given


def rest_goals(
    rest: RestOfCourse, option: ResidualOption
) -> tuple[tuple[Goal, ...], tuple[Finding, ...]]:
    """Return what is left of each goal for the rest of the course.

    Parameters
    ----------
    rest : RestOfCourse
        With the fractions given.
    option : ResidualOption
        Fractions and dose per fraction of the rest.

    Returns
    -------
    goals : tuple of Goal
        In the order of the case; cumulative goals unchanged, because what was given is counted
        with them.
    findings : tuple of Finding
        Goals that the fractions given have used up.
    """
    share = option.n_fractions * option.fraction_gy / rest.plan.level.dose_gy
    given = physical_dvhs(rest.judgement, rest.given_physical)
    goals, findings = [], []
    for goal in rest.inputs.goals:
        metric = parse_metric(goal.metric)
        if goal.scope is DoseScope.CUMULATIVE or (goal.unit == "%" and metric.unit == "Gy"):
            goals.append(goal)
        elif metric.kind is MetricKind.VOLUME_AT_DOSE and metric.size_unit == "Gy":
            goals.append(replace(goal, metric=_at_level(goal.metric, metric.size, share)))
        elif goal.unit != "Gy":
            goals.append(goal)
        elif goal.at_most is None:
            goals.append(replace(goal, at_least=(goal.at_least or 0.0) * share))
        else:
            had = np.nan
            if not metric.is_of_shape and goal.structure in given:
                had = evaluate_metric(metric, given[goal.structure])
            left = goal.at_most * share
            if had >= goal.at_most:
                findings.append(_used_up(goal, had))
            elif np.isfinite(had):
                left = goal.at_most - had
            goals.append(replace(goal, at_most=left))
    return tuple(goals), tuple(findings)


def _at_level(text: str, size_gy: float, share: float) -> str:
    """Return a metric of volume at the share of its dose: ``V45Gy[cc]`` to ``V15Gy[cc]``."""
    tail = text[text.index("[") :] if "[" in text else ""
    return f"V{size_gy * share:.6f}".rstrip("0").rstrip(".") + f"Gy{tail}"


def _used_up(goal: Goal, had_gy: float) -> Finding:
    text = (
        f"{goal.structure} {goal.text}: the fractions given have {had_gy:.2f} Gy of it already, "
        "so the whole course cannot meet it; the rest was planned as if its share were left."
    )
    return Finding(Severity.SERIOUS, "goal-used-up", text, goal.structure)


def judge_whole(rest: RestOfCourse, dose: Dose, n_fractions: int) -> tuple[GoalResult, ...]:
    """Judge the whole course: the fractions given, and a plan for the rest.

    Parameters
    ----------
    rest : RestOfCourse
        With goals and limits as they were stated for the whole course.
    dose : Dose
        Physical dose of all fractions of the plan for the rest, on the dose grid.
    n_fractions : int
        Of the rest.

    Returns
    -------
    tuple of GoalResult
        Goals in percent are of what was prescribed for the whole course.
    """
    judgement = rest.judgement
    eqd2 = {
        alpha_beta: rest.given_eqd2(alpha_beta)
        + to_eqd2(dose, n_fractions_planned=n_fractions, alpha_beta_gy=alpha_beta)
        for alpha_beta in judged_alpha_betas(judgement)
    }
    given = rest.given_physical
    # One course: its physical doses add; what counts biologically is in `eqd2`.
    physical = replace(given, values=given.values + dose.values, instance_uid="")
    dvhs = physical_dvhs(judgement, physical)
    return goal_results(judgement, GivenDose(physical, dvhs, eqd2, 1.0))


def whole_robust_outcome(
    rest: RestOfCourse, outcome: PlanOutcome, n_fractions: int
) -> RobustOutcome | None:
    """Judge the whole course in its worst scenario: the fractions given, and a plan for the rest.

    The fractions given stay where they were planned; earlier doses, alpha/beta and recovery are
    taken to every corner, and the rest is shifted.

    Parameters
    ----------
    rest : RestOfCourse
        With goals and limits as they were stated for the whole course.
    outcome : PlanOutcome
        The plan for the rest, on the dose grid.
    n_fractions : int
        Of the rest.

    Returns
    -------
    RobustOutcome or None
        None for a plan that believes everything.
    """
    given = GivenBefore(rest.given_physical, rest.given_eqd2, n_fractions)
    return robust_outcome(rest.judgement, outcome, given)


def rest_medians(rest: RestOfCourse, dose: Dose) -> dict[str, float]:
    """Return the median physical dose of a plan for the rest in each prescribed target."""
    judgement = rest.judgement
    return {
        name: judgement.histogram(dose, name).dose_at_volume(percent=50)
        for name in judgement.prescribed_gy
    }
