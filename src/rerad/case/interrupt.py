"""A case whose course stopped: what was lost, the ways to go on, and a new plan for the rest."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rerad import dicom
from rerad.accumulation import map_dose
from rerad.case.budget import CaseBudget, budget_case
from rerad.case.budget_outputs import known
from rerad.case.files import case_path, write_json
from rerad.case.goal_records import goal_record
from rerad.core import Dose, Finding, RigidTransform
from rerad.dicom import StudyHeader, UidFactory
from rerad.errors import CaseError, InputError, MissingDataError
from rerad.evaluation import GoalResult, is_within_limits
from rerad.planning import PlanOutcome, Progress, make_plan
from rerad.planning.interruption import (
    InterruptedPlan,
    InterruptionPlan,
    ResidualOption,
    solve_interruption,
)
from rerad.planning.rest_plan import RestOfCourse, judge_whole, rest_request
from rerad.radiobiology import TimeFactor
from rerad.reporting.figures_interruption import write_interruption_figure

PLANNED_DOSE = Path("result") / "dicom" / "RTDOSE_physical_planned.dcm"
"""Where `rerad run` leaves the dose of its plan."""


@dataclass(frozen=True, eq=False, slots=True)
class InterruptRequest:
    """What the user says of an interruption.

    Parameters
    ----------
    n_delivered : int
        Fractions given.
    dose_path : Path or None
        RTDOSE of the interrupted plan, all planned fractions; None looks for that of `rerad run`.
    factor : TimeFactor or None
        Of the tumour.
    gap_days : int
        Days by which the rest is late.
    n_choices : tuple of int
        Numbers of further fractions to solve for; empty for one to as many as are left.
    """

    n_delivered: int
    dose_path: Path | None = None
    factor: TimeFactor | None = None
    gap_days: int = 0
    n_choices: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class CaseInterruption:
    """An interruption of a case, solved.

    Parameters
    ----------
    budget : CaseBudget
        Earlier courses and limits.
    solved : InterruptionPlan
        What was lost and the ways to go on.
    """

    budget: CaseBudget
    solved: InterruptionPlan


@dataclass(frozen=True, eq=False, slots=True)
class ReplannedRest:
    """A new plan for the rest of a course.

    Parameters
    ----------
    option : ResidualOption
        What it was asked to give.
    outcome : PlanOutcome
        The plan of the rest and its dose.
    goals : tuple of GoalResult
        Of the whole course: earlier courses, the fractions given and the rest.
    findings : tuple of Finding
        What the reader must weigh.
    """

    option: ResidualOption
    outcome: PlanOutcome
    goals: tuple[GoalResult, ...]
    findings: tuple[Finding, ...]


def interrupt_case(
    case: Path, request: InterruptRequest, *, progress: Progress
) -> CaseInterruption:
    """Solve an interruption of a case's course.

    Parameters
    ----------
    case : Path
        Case folder or file.
    request : InterruptRequest
        What happened.
    progress : callable
        Told what is done.

    Raises
    ------
    CaseError, MissingDataError, InputError
        If something that is needed is unknown or out of range.
    """
    budget = budget_case(case, progress=progress)
    inputs = budget.loaded.inputs
    factor = request.factor
    alpha_beta = inputs.settings.tumor_alpha_beta_gy
    if factor is not None and factor.alpha_beta_gy != alpha_beta:
        msg = (
            f"the time factor of {factor.tumor} is stated for alpha/beta {factor.alpha_beta_gy:g} "
            f"Gy, the case plans with {alpha_beta:g} Gy; leave it out or change the case"
        )
        raise InputError(msg)
    planned = inputs.current.n_fractions_planned or 0
    if planned and request.n_delivered >= planned:
        msg = (
            f"expected fewer than the {planned} planned fractions to have been given, got "
            f"{request.n_delivered}; nothing is left of this course"
        )
        raise InputError(msg)
    choices = request.n_choices or tuple(range(1, planned - request.n_delivered + 1))
    plan = InterruptedPlan(
        course=inputs.current,
        n_delivered=request.n_delivered,
        dose=_dose(case, request, budget),
        alpha_beta_gy=alpha_beta,
        factor=factor,
        gap_days=request.gap_days,
    )
    progress("solving the ways to go on", 0.8)
    solved = solve_interruption(
        plan,
        budget.limits,
        budget.masks,
        n_choices=choices,
        accepted=frozenset(name for name, _ in inputs.settings.accepted_breaches),
    )
    return CaseInterruption(budget, solved)


def _dose(case: Path, request: InterruptRequest, budget: CaseBudget) -> Dose | None:
    """Return the dose of the interrupted plan on the dose grid; None if there is none."""
    path = request.dose_path
    if path is None:
        path = case_path(case).parent / PLANNED_DOSE
        if not path.is_file():
            return None
    dose = dicom.read_dose(path)
    frame = budget.grid.frame_uid
    if dose.grid.frame_uid != frame:
        msg = (
            f"{path.name}: expected a dose in the frame of the planning CT {frame}, got "
            f"{dose.grid.frame_uid}; give the dose of the plan that was interrupted"
        )
        raise CaseError(msg)
    return map_dose(dose, RigidTransform.identity(frame), budget.grid)


def replan_rest(
    found: CaseInterruption, option: ResidualOption, *, progress: Progress
) -> ReplannedRest:
    """Plan the rest anew, with earlier courses and the fractions given as background.

    Goals, caps, robustness, leaf refinements and dose rate are those of the case.

    Parameters
    ----------
    found : CaseInterruption
        Solved, with the dose of the interrupted plan.
    option : ResidualOption
        Fractions and dose per fraction of the rest.
    progress : callable
        Told what is done.

    Raises
    ------
    MissingDataError
        If the dose of the interrupted plan is not known.
    """
    budget = found.budget
    rest = RestOfCourse(
        inputs=budget.loaded.inputs,
        plan=found.solved.plan,
        priors=budget.priors,
        limits=budget.limits,
        masks=budget.masks,
    )
    request, findings = rest_request(rest, option)
    outcome = make_plan(request, progress)
    progress("judging the whole course", 0.95)
    goals = judge_whole(rest, outcome.dose, option.n_fractions)
    return ReplannedRest(option, outcome, goals, (*findings, *outcome.findings))


def option_with(found: CaseInterruption, n_fractions: int) -> ResidualOption:
    """Return the solved way of so many further fractions.

    Raises
    ------
    MissingDataError
        If it was not solved for.
    """
    for option in found.solved.options[2:]:
        if option.n_fractions == n_fractions:
            return option
    solved = ", ".join(str(option.n_fractions) for option in found.solved.options[2:])
    msg = (
        f"{n_fractions} further fractions were not solved for, but {solved}; name them among the "
        "choices (--into)"
    )
    raise MissingDataError(msg)


def interruption_document(found: CaseInterruption) -> dict[str, object]:
    """Return an interruption as JSON; unknown is null."""
    solved = found.solved
    factor = solved.plan.factor
    return {
        "status": "done",
        "n_planned": solved.plan.n_planned,
        "n_delivered": solved.plan.n_delivered,
        "gap_days": solved.plan.gap_days,
        "tumor_alpha_beta_gy": solved.plan.alpha_beta_gy,
        "time_factor": None if factor is None else f"{factor.tumor}; {factor.source.text}",
        "bed_prescribed_gy": solved.bed_prescribed_gy,
        "bed_given_gy": solved.bed_given_gy,
        "bed_deficit_gy": solved.bed_deficit_gy,
        "options": [_option(option) for option in solved.options],
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text}
            for f in (*solved.findings, *found.budget.findings)
        ],
    }


def _option(option: ResidualOption) -> dict[str, object]:
    """Return one way to go on."""
    return {
        "label": option.label,
        "n_fractions": option.n_fractions,
        "fraction_gy": option.fraction_gy,
        "tumor_bed_gy": option.tumor_bed_gy,
        "coverage_percent": option.coverage_percent,
        "limited_by": option.limited_by or None,
        "is_within_limits": option.is_within_limits,
        "overall_days": option.overall_days,
        "levels_gy": dict(option.levels_gy),
        "organs": [
            {
                "structure": organ.structure,
                "metric": organ.metric,
                "value_gy": known(organ.value_gy),
                "limit_gy": organ.limit_gy,
                "is_within": organ.is_within,
                "is_accepted": organ.is_accepted,
                "grade": organ.grade,
            }
            for organ in option.organs
        ],
    }


def write_interruption(found: CaseInterruption, folder: Path) -> tuple[Path, Path]:
    """Write ``interruption.json`` and ``interruption.png`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    record, picture = folder / "interruption.json", folder / "interruption.png"
    write_json(record, interruption_document(found))
    write_interruption_figure(picture, found.solved)
    return record, picture


def rest_document(rest: ReplannedRest) -> dict[str, object]:
    """Return the plan for the rest and the judgement of the whole course as JSON."""
    return {
        "n_fractions": rest.option.n_fractions,
        "fraction_gy": rest.option.fraction_gy,
        "is_within_limits": is_within_limits(rest.goals),
        "goals": [goal_record(result) for result in rest.goals],
        "optimisation": {
            "status": rest.outcome.convergence.status,
            "cap_violation_gy": known(rest.outcome.convergence.cap_violation_gy),
        },
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text} for f in rest.findings
        ],
    }


def write_rest(found: CaseInterruption, rest: ReplannedRest, folder: Path) -> tuple[Path, ...]:
    """Write the plan for the rest as RTPLAN and RTDOSE, and ``rest.json`` beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = found.budget.loaded.inputs
    image = inputs.image
    header = StudyHeader(
        study_uid=image.study_uid, uids=UidFactory(), study_description="Rest of a course, rerad"
    )
    doses = tuple(
        prior.study.dose.instance_uid
        for prior in inputs.priors
        if prior.study.dose is not None and prior.study.dose.instance_uid
    )
    paths = tuple(folder / name for name in ("RTPLAN_rest.dcm", "RTDOSE_rest.dcm", "rest.json"))
    plan = replace(rest.outcome.plan, structure_set_uid=inputs.structures.instance_uid)
    plan = dicom.write_plan(
        plan,
        inputs.machine,
        found.budget.loaded.patient,
        paths[0],
        study=replace(header, series_number=401),
        image=image,
        prior=dicom.PriorReference(dose_uids=doses) if doses else None,
    )
    dicom.write_dose(
        rest.outcome.dose,
        found.budget.loaded.patient,
        paths[1],
        study=replace(header, series_number=402),
        plans=(plan,),
    )
    write_json(paths[2], rest_document(rest))
    return paths


def fractions_of(text: Sequence[int]) -> tuple[int, ...]:
    """Return numbers of fractions, largest first and once."""
    return tuple(int(n) for n in np.unique(np.asarray(text, dtype=int))[::-1])
