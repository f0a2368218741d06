"""A plan that comes back from another system, judged by the goals and limits of a case.

The remaining tolerance went out as volumes and doses; what comes back is the other system's own
plan and dose. Its EQD2 is made on its own grid with its own fractions, mapped onto the case's dose
grid and added to what was given before; it is judged as a plan made here is, goal by goal. Nothing
of the plan is changed.
"""

import numpy as np

from rerad.accumulation import map_dose
from rerad.core import Finding, RigidTransform, Severity
from rerad.errors import FrameMismatchError, InputError
from rerad.planning.goal_results import GivenDose, goal_results
from rerad.planning.inputs import ReturnedPlan as ReturnedPlan
from rerad.planning.judge import judged_alpha_betas, physical_dvhs
from rerad.planning.judgement import Judgement
from rerad.planning.result import ReturnedCheck as ReturnedCheck
from rerad.radiobiology import fraction_size_finding, to_eqd2


def require_planning_frame(label: str, dose_frame_uid: str, frame_uid: str) -> None:
    """Raise unless a dose is in the frame of the planning CT.

    Raises
    ------
    FrameMismatchError
        If it is not.
    """
    if dose_frame_uid != frame_uid:
        msg = (
            f"{label}: expected a dose in the frame of the planning CT {frame_uid}, got "
            f"{dose_frame_uid}; give a dose that was planned on this CT"
        )
        raise FrameMismatchError(msg)


def check_returned_plan(plan: ReturnedPlan, judgement: Judgement) -> ReturnedCheck:
    """Judge a plan made elsewhere by everything that a plan made here is judged by.

    Parameters
    ----------
    plan : ReturnedPlan
        With its total physical dose.
    judgement : Judgement
        Goals, limits and earlier dose of the case.

    Raises
    ------
    FrameMismatchError
        If the dose is not in the frame of the planning CT.
    InputError
        If there is no goal or limit to judge by, or no fraction.
    """
    n_goals = len(judgement.limits) + len(judgement.inputs.goals)
    if plan.n_fractions < 1 or not n_goals:
        msg = (
            f"{plan.label}: expected 1 fraction or more and at least one goal or limit, got "
            f"{plan.n_fractions} and {n_goals}"
        )
        raise InputError(msg)
    frame = judgement.dose_grid.frame_uid
    require_planning_frame(plan.label, plan.dose.grid.frame_uid, frame)
    same = RigidTransform.identity(frame)
    eqd2 = {
        alpha_beta: map_dose(
            to_eqd2(plan.dose, n_fractions_planned=plan.n_fractions, alpha_beta_gy=alpha_beta),
            same,
            judgement.dose_grid,
        )
        for alpha_beta in judged_alpha_betas(judgement)
    }
    physical = map_dose(plan.dose, same, judgement.dose_grid)
    given = GivenDose(physical, physical_dvhs(judgement, physical), eqd2, 1.0)
    return ReturnedCheck(plan, goal_results(judgement, given), _findings(plan, judgement))


def _findings(plan: ReturnedPlan, judgement: Judgement) -> tuple[Finding, ...]:
    """Say what the verdicts do not."""
    findings = []
    fraction = fraction_size_finding(plan.dose.max_gy / plan.n_fractions, plan.label)
    if fraction is not None:
        findings.append(fraction)
    asked = judgement.inputs.current.n_fractions_planned
    if asked is not None and asked != plan.n_fractions:
        text = (
            f"{plan.label} gives {plan.n_fractions} fractions, the case asks for {asked}. It was "
            "judged at its own fractions; limits exported as physical dose hold for the "
            "fractions of the case only."
        )
        findings.append(Finding(Severity.CAUTION, "returned-fractions-differ", text, plan.label))
    if judgement.inputs.courses_without_dose:
        text = (
            "A course is on record whose dose is not: every sum is a lower bound, and a limit "
            "that is met here may be exceeded."
        )
        findings.append(Finding(Severity.SERIOUS, "sum-is-lower-bound", text, plan.label))
    names = dict.fromkeys(
        (
            *(limit.structure for limit in judgement.limits),
            *(goal.structure for goal in judgement.inputs.goals),
        )
    )
    unknown = [name for name in names if _is_cut(name, plan, judgement)]
    if unknown:
        text = (
            f"{', '.join(unknown)} reach beyond the dose grid of {plan.label}: what lies outside "
            "has an unknown dose, not none."
        )
        findings.append(Finding(Severity.CAUTION, "returned-dose-cuts-organ", text, plan.label))
    return tuple(findings)


def _is_cut(name: str, plan: ReturnedPlan, judgement: Judgement) -> bool:
    """Return whether a structure reaches beyond the plan's dose grid."""
    structure = judgement.inputs.structures[name]
    points = np.concatenate(
        [np.c_[c.points_mm, np.full(len(c.points_mm), c.z_mm)] for c in structure.contours]
    )
    index = plan.dose.grid.indices(points)
    return bool(np.any((index < -0.5) | (index > np.array(plan.dose.grid.shape) - 0.5)))
