"""The way through: from earlier courses and today's images to a judged, deliverable plan."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rerad.core import (
    Finding,
    Grid,
    Image,
    Mask,
    Provenance,
    StepTime,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.errors import InputError, MissingDataError
from rerad.planning.budget import (
    OrganLimit,
    make_budget,
    required_alpha_betas_gy,
    spelling_findings,
)
from rerad.planning.checks import (
    goal_findings,
    limit_findings,
    model_findings,
    overlap_findings,
    record_findings,
)
from rerad.planning.escalation import escalation_findings
from rerad.planning.goal_watch import CaseListeners
from rerad.planning.history import carry_priors, prior_findings
from rerad.planning.inputs import PlanningInputs, Progress
from rerad.planning.inputs import external_of as external_of
from rerad.planning.judge import (
    Judgement,
    delivery_state,
    physical_dvhs,
    summary_rows,
    target_deliveries,
)
from rerad.planning.medium import Medium, make_medium
from rerad.planning.pass_record import PlanState
from rerad.planning.plan_goals import (
    hard_cumulative_caps,
    limit_caps,
    physical_caps,
    plan_goals,
)
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_request import PlanRequest, PlanSettings
from rerad.planning.replan import make_plan
from rerad.planning.result import (
    BudgetRow,
    CaseResult,
    DeliveryState,
    PriorCourse,
    ReturnedCheck,
)
from rerad.planning.returned_plan import check_returned_plan
from rerad.planning.robust_result import RobustOutcome
from rerad.planning.robust_verdicts import robust_findings, robust_outcome
from rerad.planning.target_in_body import outside_body_findings
from rerad.sequencing import least_column_mm
from rerad.structures import rasterize

BODY_MARGIN_MM = 10.0
"""Air kept around the body on the dose grid, so that the skin is inside it."""


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each step, in order."""

    steps: list[StepTime] = field(default_factory=list)
    _since: float = field(default_factory=time.perf_counter)

    def lap(self, step: str) -> None:
        """Close a step."""
        now = time.perf_counter()
        self.steps.append(StepTime(step, round(now - self._since, 3)))
        self._since = now


def dose_grid_for(image: Image, body: Structure, spacing_mm: float) -> Grid:
    """Return the dose grid: over the body in the plane, over the whole CT along z.

    Where the spacing does not divide the CT's length, the grid is the longer one: an organ drawn
    to the last slice must not reach out of it.
    """
    x = np.concatenate([contour.points_mm[:, 0] for contour in body.contours])
    y = np.concatenate([contour.points_mm[:, 1] for contour in body.contours])
    low = image.grid.indices((x.min() - BODY_MARGIN_MM, y.min() - BODY_MARGIN_MM, 0.0))
    high = image.grid.indices((x.max() + BODY_MARGIN_MM, y.max() + BODY_MARGIN_MM, 0.0))
    _, n_rows, n_columns = image.grid.shape
    start = (0, max(0, int(low[1])), max(0, int(low[2])))
    stop = (
        image.grid.shape[0],
        min(n_rows, int(np.ceil(high[1])) + 1),
        min(n_columns, int(np.ceil(high[2])) + 1),
    )
    whole = image.grid.crop(start, stop)
    grid = whole.with_spacing((spacing_mm, spacing_mm, spacing_mm))
    n_slices, n_needed = whole.shape[0], grid.shape[0]
    if n_needed * spacing_mm < n_slices * whole.spacing_mm[2] - 1e-6:
        x0, y0, z0 = grid.origin_mm
        shape = (n_needed + 1, *grid.shape[1:])
        grid = Grid(shape, (x0, y0, z0 - 0.5 * spacing_mm), grid.spacing_mm, grid.frame_uid)
    return grid


def rasterize_all(structures: StructureSet, grid: Grid) -> dict[str, Mask]:
    """Return the drawn structures as masks on crops of `grid`."""
    return {
        structure.name: rasterize(structure, grid)
        for structure in structures.structures
        if not structure.is_empty and structure.kind is not StructureKind.SUPPORT
    }


def require_structures(inputs: PlanningInputs) -> None:
    """Raise unless everything that the case names is there, and the machine can open columns."""
    names = [item.structure for item in inputs.current.prescriptions]
    names += [goal.structure for goal in inputs.goals]
    names += [name for name, _ in inputs.settings.accepted_breaches]
    for name in names:
        if inputs.structures[name].is_empty:
            msg = f"structure {name!r} is named in the case but nothing is drawn for it"
            raise InputError(msg)
    if not inputs.current.prescriptions:
        msg = f"{inputs.current.name}: expected at least one prescription; name target and dose"
        raise MissingDataError(msg)
    if not inputs.current.n_fractions_planned:
        msg = f"{inputs.current.name}: expected the planned number of fractions, got none"
        raise MissingDataError(msg)
    width_mm, least_mm = inputs.settings.column_width_mm, least_column_mm(inputs.machine)
    if width_mm < least_mm:
        msg = (
            f"beams.column_width_mm is {width_mm:g}, narrower than the smallest gap of "
            f"{inputs.machine.name}, which looks {least_mm:.2f} mm wide; take at least "
            f"{np.ceil(10 * least_mm) / 10:.1f}"
        )
        raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class PreparedCase:
    """A case with everything worked out that comes before planning.

    Parameters
    ----------
    inputs : PlanningInputs
        What it was made of.
    masks : mapping of str to Mask
        Structures on crops of the dose grid.
    priors : tuple of PriorCourse
        Earlier courses on the dose grid.
    budget : tuple of BudgetRow
        What remains of every limit.
    limits : tuple of OrganLimit
        Limits to plan and judge under.
    medium : Medium
        What beams pass; its patient's grid is the dose grid.
    request : PlanRequest
        The plan that is wanted.
    """

    inputs: PlanningInputs
    masks: dict[str, Mask]
    priors: tuple[PriorCourse, ...]
    budget: tuple[BudgetRow, ...]
    limits: tuple[OrganLimit, ...]
    medium: Medium
    request: PlanRequest

    @property
    def judgement(self) -> Judgement:
        """What a plan of this case is judged on."""
        grid = self.request.grid
        return Judgement(self.inputs, self.priors, self.limits, self.masks, grid)


def prepare_case(
    inputs: PlanningInputs, progress: Progress, *, watch: Stopwatch | None = None
) -> PreparedCase:
    """Carry earlier courses onto today's CT, work out what is left, and state the plan wanted.

    Parameters
    ----------
    inputs : PlanningInputs
        Data, choices and goals.
    progress : callable
        Told what is being done.
    watch : Stopwatch or None
        Gets the seconds of each step.
    """
    watch = watch or Stopwatch()
    require_structures(inputs)
    body = external_of(inputs.structures)
    grid = dose_grid_for(inputs.image, body, inputs.settings.dose_grid_mm)
    progress("drawing structures on the dose grid", 0.0)
    masks = rasterize_all(inputs.structures, grid)
    watch.lap("structures on the dose grid")
    alpha_betas = required_alpha_betas_gy(inputs)
    priors = carry_priors(inputs, grid, alpha_betas, progress)
    watch.lap("earlier courses: registration, EQD2, mapping")
    progress("working out what tolerance is left", 0.0)
    budget, limits = make_budget(inputs, priors)
    watch.lap("remaining tolerance")
    medium = make_medium(inputs.image, inputs.structures, masks[body.name], grid, inputs.medium)
    request = plan_request_of(inputs, medium, masks, limits, priors)
    return PreparedCase(inputs, masks, priors, budget, limits, medium, request)


def run_pipeline(
    inputs: PlanningInputs,
    progress: Progress,
    *,
    listeners: CaseListeners | None = None,
    resume: PlanState | None = None,
) -> CaseResult:
    """Carry a case from its history to a judged plan.

    Parameters
    ----------
    inputs : PlanningInputs
        Data, choices and goals.
    progress : callable
        Told what is being done and the share of it done.
    listeners : CaseListeners or None
        Told how the goals stand while the plan is made, and of states to keep.
    resume : PlanState or None
        Of the same inputs, to go on from.

    Returns
    -------
    CaseResult
        Its provenance holds the steps; versions and inputs are added by whoever read the files.

    Raises
    ------
    ReradError
        With one sentence on what is missing or wrong.
    """
    watch = Stopwatch()
    prepared = prepare_case(inputs, progress, watch=watch)
    told = (listeners or CaseListeners()).for_case(prepared.judgement)
    outcome = make_plan(prepared.request, progress, listeners=told, resume=resume)
    watch.lap("plan: optimise, sequence, recalculate")
    progress("judging the plan", 0.0)
    result = judge_case(prepared, outcome)
    watch.lap("DVHs and goals")
    return replace(result, provenance=Provenance(rerad_version="", steps=tuple(watch.steps)))


def judge_case(prepared: PreparedCase, outcome: PlanOutcome) -> CaseResult:
    """Judge a plan of a prepared case; the provenance is left to the caller.

    Parameters
    ----------
    prepared : PreparedCase
        The case.
    outcome : PlanOutcome
        The plan and its final dose on the dose grid.
    """
    inputs, judgement = prepared.inputs, prepared.judgement
    planned_n = inputs.current.n_fractions_planned or 0
    delivered_n = inputs.current.n_fractions_delivered
    plan_dvhs = physical_dvhs(judgement, outcome.dose)
    planned = delivery_state(judgement, outcome.dose, plan_dvhs, planned_n)
    delivered = None
    if delivered_n is not None and delivered_n < planned_n:
        delivered = delivery_state(judgement, outcome.dose, plan_dvhs, delivered_n)
    states = (planned, delivered)
    robust = robust_outcome(judgement, outcome)
    return CaseResult(
        title=inputs.title,
        history=inputs.history,
        current=inputs.current,
        current_order=inputs.current_order,
        planning_image=inputs.image,
        structures=inputs.structures,
        masks=prepared.masks,
        pet_suv=inputs.pet_suv,
        mr=inputs.mr,
        priors=prepared.priors,
        budget=prepared.budget,
        machine=inputs.machine,
        plan=outcome.plan,
        planned=planned,
        delivered=delivered,
        summary=summary_rows(judgement, planned, delivered),
        targets=target_deliveries(inputs),
        convergence=outcome.convergence,
        complexity=outcome.complexity,
        assumptions=inputs.assumptions,
        findings=_findings(prepared, outcome, states, robust),
        provenance=Provenance(rerad_version="", steps=()),
        prices=outcome.prices,
        robust=robust,
        returned=_returned(prepared),
    )


def _returned(prepared: PreparedCase) -> ReturnedCheck | None:
    """Judge the plan that came back from elsewhere, if there is one."""
    plan = prepared.inputs.returned
    return None if plan is None else check_returned_plan(plan, prepared.judgement)


def plan_request_of(
    inputs: PlanningInputs,
    medium: Medium,
    masks: dict[str, Mask],
    limits: Sequence[OrganLimit],
    priors: tuple[PriorCourse, ...],
) -> PlanRequest:
    """State the plan that is wanted, with everything that the case asks for.

    Parameters
    ----------
    inputs : PlanningInputs
        Data, choices and goals.
    medium : Medium
        What beams pass; its patient's grid is the dose grid.
    masks : dict of str to Mask
        Structures on crops of the dose grid.
    limits : sequence of OrganLimit
        Limits of the rule set, with the earlier dose.
    priors : tuple of PriorCourse
        Earlier courses on the dose grid.
    """
    settings = inputs.settings
    return PlanRequest(
        label="ReRT",
        course=inputs.current,
        grid=medium.patient.grid,
        density=medium.density,
        masks=masks,
        body=masks[external_of(inputs.structures).name],
        machine=inputs.machine,
        beams=inputs.beams,
        organ_caps=(
            *limit_caps(inputs, limits, priors, masks),
            *hard_cumulative_caps(inputs, priors, masks),
        ),
        physical_caps=physical_caps(inputs.goals, inputs),
        goals=plan_goals(inputs, priors, masks),
        objectives=inputs.objectives,
        settings=PlanSettings(
            column_width_mm=settings.column_width_mm,
            field_margin_mm=settings.field_margin_mm,
            n_correction_passes=settings.n_correction_passes,
            max_evaluations=settings.max_evaluations,
            seed=settings.seed,
            n_leaf_refinements=settings.n_leaf_refinements,
            dose_rate_mu_min=settings.dose_rate_mu_min,
        ),
        robustness=settings.robustness,
    )


def _findings(
    prepared: PreparedCase,
    outcome: PlanOutcome,
    states: tuple[DeliveryState, DeliveryState | None],
    robust: RobustOutcome | None,
) -> tuple[Finding, ...]:
    """Gather everything a clinician must weigh, most serious first."""
    inputs, judgement, request = prepared.inputs, prepared.judgement, prepared.request
    targets = [item.structure for item in inputs.current.prescriptions]
    findings = [
        *inputs.findings,
        *record_findings(inputs),
        *outside_body_findings(request.masks, request.body, targets, request.grid),
        *prior_findings(judgement.priors, request.body.on(request.grid)),
        *spelling_findings(inputs),
        *limit_findings(inputs, judgement.limits),
        *overlap_findings(judgement),
        *outcome.findings,
        *escalation_findings(judgement, states[0]),
        *robust_findings(robust),
        *prepared.medium.findings,
        *model_findings(inputs, prepared.medium.patient),
    ]
    for state in states:
        if state is not None:
            findings.extend(goal_findings(judgement, state))
    order = {"serious": 0, "caution": 1, "note": 2}
    return tuple(sorted(dict.fromkeys(findings), key=lambda item: order[item.severity]))
