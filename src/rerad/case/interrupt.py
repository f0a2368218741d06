"""A case whose course stopped: what was lost, the ways to go on, and a new plan for the rest."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rerad import dicom
from rerad.accumulation import map_dose
from rerad.case.budget import CaseBudget, budget_case
from rerad.case.files import case_path
from rerad.core import Course, Dose, Finding, RigidTransform
from rerad.dicom.treatment_records import DeliveredFractions, read_treatment_records
from rerad.errors import CaseError, InputError, MissingDataError
from rerad.evaluation import GoalResult
from rerad.planning import PlanningInputs, PlanOutcome, Progress, RobustOutcome, make_plan
from rerad.planning.interrupted_organs import organs_at_points
from rerad.planning.interruption import (
    InterruptedPlan,
    InterruptionPlan,
    ResidualOption,
    new_plan_option,
    solve_interruption,
)
from rerad.planning.rest_plan import (
    RestOfCourse,
    judge_whole,
    rest_medians,
    rest_request,
    whole_robust_outcome,
)
from rerad.planning.returned_plan import require_planning_frame
from rerad.planning.robust_verdicts import robust_findings
from rerad.radiobiology import TimeFactor
from rerad.radiobiology.records import RECORD_ROUNDING_GY

MADE_PLAN = Path("result") / "dicom" / "RTPLAN.dcm"
"""Where `rerad run` leaves its plan."""

PLANNED_DOSE = Path("result") / "dicom" / "RTDOSE_physical_planned.dcm"
"""Where `rerad run` leaves the dose of its plan."""


@dataclass(frozen=True, eq=False, slots=True)
class InterruptRequest:
    """What the user says of an interruption.

    Parameters
    ----------
    delivered : float or None
        Fractions given; 13.5 are 13 whole ones and one broken off at half its monitor units. None
        takes what treatment records count, else what the case states.
    dose_path : Path or None
        RTDOSE of the interrupted plan, all planned fractions; None looks for that of `rerad run`.
    factor : TimeFactor or None
        Of the tumour.
    gap_days : int
        Days by which the rest is late.
    n_choices : tuple of int
        Numbers of further fractions to solve for; empty for one to as many as are left.
    recorded_gy : float or None
        Dose that the record states as given; None takes the case's, if it is of as many fractions.
    records : Path or None
        Folder with the RT Beams Treatment Records of the interrupted plan.
    plan_path : Path or None
        Its RTPLAN, which records are compared with; None looks for that of `rerad run`.
    """

    delivered: float | None
    dose_path: Path | None = None
    factor: TimeFactor | None = None
    gap_days: int = 0
    n_choices: tuple[int, ...] = ()
    recorded_gy: float | None = None
    records: Path | None = None
    plan_path: Path | None = None


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
        What it came to, as one of the ways to go on.
    asked : ResidualOption
        What it was asked to give: the tumour's whole dose, whatever the old plan's organs allow.
    outcome : PlanOutcome
        The plan of the rest and its dose.
    goals : tuple of GoalResult
        Of the whole course: earlier courses, the fractions given and the rest.
    robust : RobustOutcome or None
        The goals of the whole course in their worst scenario; None if the case asks for none.
    findings : tuple of Finding
        What the reader must weigh.
    """

    option: ResidualOption
    asked: ResidualOption
    outcome: PlanOutcome
    goals: tuple[GoalResult, ...]
    robust: RobustOutcome | None
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
    plan = stopped_plan(case, request, inputs)
    plan.require_stopped()
    plan = replace(plan, dose=_dose(case, request, budget))
    choices = request.n_choices or tuple(range(1, max(plan.n_left, 1) + 1))
    progress("solving the ways to go on", 0.8)
    organs = organs_at_points(
        plan,
        budget.limits,
        {limit.structure: inputs.structures[limit.structure] for limit in budget.limits},
        end_slab=inputs.settings.end_slab,
        accepted=frozenset(name for name, _ in inputs.settings.accepted_breaches),
        is_lower_bound=bool(inputs.courses_without_dose),
    )
    return CaseInterruption(budget, solve_interruption(plan, organs, n_choices=choices))


def stopped_plan(case: Path, request: InterruptRequest, inputs: PlanningInputs) -> InterruptedPlan:
    """Return what stopped, as user, records and case say it; without its dose.

    Raises
    ------
    CaseError
        If they contradict each other, or records lack their plan.
    MissingDataError
        If nobody says how many fractions were given.
    DicomError
        If a record or plan cannot be used.
    """
    course = inputs.current
    whole, partial = _counted(request.delivered, course)
    if request.records is not None:
        found = _from_records(case, request)
        if request.delivered is not None and (whole, len(partial)) != (
            found.n_whole,
            len(found.partial),
        ):
            msg = (
                f"{course.name}: --delivered says {request.delivered:g} fractions, the treatment "
                f"records count {found.n_whole} whole ones and {len(found.partial)} broken off; "
                "leave --delivered out, or correct it"
            )
            raise CaseError(msg)
        whole, partial = found.n_whole, found.partial
    plan = InterruptedPlan(
        course=course,
        n_delivered=whole,
        dose=None,
        alpha_beta_gy=inputs.settings.tumor_alpha_beta_gy,
        factor=request.factor,
        gap_days=request.gap_days,
        partial_fractions=partial,
        has_records=request.records is not None,
    )
    return replace(plan, recorded_gy=_recorded(request, plan))


def _counted(delivered: float | None, course: Course) -> tuple[int, tuple[float, ...]]:
    """Return whole fractions and shares of broken ones as stated."""
    if delivered is None:
        return course.n_fractions_delivered or 0, course.partial_fractions
    whole = math.floor(delivered)
    share = round(delivered - whole, 6)
    return whole, (share,) if share else ()


def _from_records(case: Path, request: InterruptRequest) -> DeliveredFractions:
    """Return the fractions that treatment records count."""
    folder = request.records or Path()
    paths = sorted(folder.rglob("*.dcm")) if folder.is_dir() else []
    path = request.plan_path or case_path(case).parent / MADE_PLAN
    if not paths or not path.is_file():
        msg = (
            f"{folder}: expected .dcm treatment records and the RTPLAN that they belong to, found "
            f"{len(paths)} and {'a' if path.is_file() else 'no'} plan at {path}; name it with "
            "--plan"
        )
        raise CaseError(msg)
    plan = dicom.read_plan(path)
    metersets = {beam.number: beam.meterset_mu for beam in plan.beams}
    return read_treatment_records(paths, metersets, plan.instance_uid)


def _recorded(request: InterruptRequest, plan: InterruptedPlan) -> float | None:
    """Return the dose to the highest prescription that the record states, if it differs.

    A record of several levels may state the dose of any: it is read as that of the nearest one.
    """
    course, stated = plan.course, request.recorded_gy
    is_of_case = course.n_fractions_delivered == plan.n_delivered and not plan.partial_fractions
    if stated is None and is_of_case and not plan.has_records:
        stated = course.delivered_dose_gy
    if stated is None or not plan.n_begun:
        return None
    share = plan.n_effective / plan.n_planned
    nearest = min(
        (item.dose_gy * share for item in course.prescriptions), key=lambda gy: abs(gy - stated)
    )
    if abs(nearest - stated) <= RECORD_ROUNDING_GY:
        return None
    return plan.level.dose_gy * share * stated / nearest


def _dose(case: Path, request: InterruptRequest, budget: CaseBudget) -> Dose | None:
    """Return the dose of the interrupted plan on the dose grid; None if there is none."""
    path = request.dose_path
    if path is None:
        path = case_path(case).parent / PLANNED_DOSE
        if not path.is_file():
            return None
    dose = dicom.read_dose(path)
    frame = budget.grid.frame_uid
    require_planning_frame(path.name, dose.grid.frame_uid, frame)
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
    asked = replace(option, fraction_gy=option.wanted_gy)
    request, findings = rest_request(rest, asked)
    outcome = make_plan(request, progress)
    progress("judging the whole course", 0.95)
    robust = whole_robust_outcome(rest, outcome, option.n_fractions)
    return ReplannedRest(
        option=new_plan_option(
            found.solved, option.n_fractions, rest_medians(rest, outcome.dose), outcome.dose
        ),
        asked=asked,
        outcome=outcome,
        goals=judge_whole(rest, outcome.dose, option.n_fractions),
        robust=robust,
        findings=(*findings, *outcome.findings, *robust_findings(robust)),
    )


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


def fractions_of(numbers: Sequence[int]) -> tuple[int, ...]:
    """Return numbers of fractions, largest first and once."""
    return tuple(sorted(set(numbers), reverse=True))
