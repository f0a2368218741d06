"""From objectives to a deliverable plan: optimise, sequence, recalculate, correct, repeat.

The optimiser works on a fast operator; what is reported is the final dose of the leaf sequence.
The difference between the two is held as a constant background in the next optimisation, so the
plan is optimised on the dose that it will really give. Closed leaves that leak are part of the
optimisation itself; at the end the leaves are refined on the dose of their own apertures.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, Dose, Finding, Machine, Mask, Plan, Severity
from rerad.dosecalc import (
    PencilBeamOperator,
    build_operator,
    dose_in_body,
    final_dose,
    make_bixel_grid,
)
from rerad.errors import InputError
from rerad.optimize import (
    DoseCap,
    FluenceSmoothness,
    FluenceTerm,
    LeafSettings,
    Level,
    LevelOutcome,
    MonitorUnits,
    Multipliers,
    Problem,
    Solution,
    SolveSettings,
    SweepLeakage,
    Watch,
    delivered_dose,
    refine_leaves,
    solve,
    solve_levels,
    uniform_start_mu,
)
from rerad.planning.agreement import agreement
from rerad.planning.inputs import Progress
from rerad.planning.leaves import leakage_of, sequence, wanted_fluence
from rerad.planning.levels import goal_levels, hard_bounds
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_request import PlanRequest, PlanState
from rerad.planning.points import Points, choose_points
from rerad.planning.prices import tolerance_prices
from rerad.planning.result import Convergence, PassAgreement
from rerad.planning.terms import (
    Anatomy,
    normal_tissue_term,
    organ_caps,
    organ_terms,
    physical_hard_caps,
    physical_terms,
    target_terms,
)
from rerad.sequencing import check_deliverable, complexity

SHELL_MM = 10.0
"""Around the targets every voxel is looked at; most of the fall-off happens here."""

KEEP_ONE_IN = 32
"""Share of the remaining body voxels that the optimiser looks at."""


def coplanar_beams(
    gantry_angles_deg: tuple[float, ...],
    collimator_angle_deg: float,
    isocenter_mm: tuple[float, float, float],
) -> tuple[BeamGeometry, ...]:
    """Return coplanar beams about one isocentre, named after their gantry angles."""
    return tuple(
        BeamGeometry(f"G{angle:05.1f}", angle, collimator_angle_deg, 0.0, isocenter_mm)
        for angle in gantry_angles_deg
    )


def isocenter_of(mask: Mask) -> tuple[float, float, float]:
    """Return the middle of a target's bounding box, to 0.1 mm."""
    inside = np.argwhere(mask.fraction > 0)
    if not len(inside):
        msg = f"{mask.name} is empty on the dose grid, so no isocentre can be put into it"
        raise InputError(msg)
    middle = mask.grid.points(0.5 * (inside.min(axis=0) + inside.max(axis=0)))
    x, y, z = (round(float(v), 1) for v in middle)
    return x, y, z


Keep = Callable[[PlanState], None]
"""Called with how far the plan has come, to be kept."""


@dataclass(frozen=True, slots=True)
class Listeners:
    """Who is told of what while a plan is made; nobody has to be.

    Parameters
    ----------
    watch : callable or None
        Gets the dose of the whole plan at the optimiser's points and the points, every few steps.
    keep : callable or None
        Gets a state from which the plan can be gone on with, whenever there is a better one.
    """

    watch: Callable[[NDArray[np.float64], Points], None] | None = None
    keep: Keep | None = None


@dataclass(frozen=True, eq=False, slots=True)
class _Task:
    """A request with all that is prepared once for it."""

    request: PlanRequest
    points: Points
    operator: PencilBeamOperator
    problem: Problem
    levels: tuple[Level, ...]
    findings: tuple[Finding, ...]
    listeners: Listeners

    def recalculate(self, plan: Plan) -> tuple[Dose, NDArray[np.float64]]:
        """Return the final dose of a plan, on the grid and at the points."""
        request = self.request
        dose = final_dose(plan, request.machine, request.density, request.grid)
        dose = dose_in_body(dose, request.body)
        return dose, self.points.sample(np.nan_to_num(dose.values))


def make_plan(
    request: PlanRequest,
    progress: Progress,
    *,
    listeners: Listeners | None = None,
    resume: PlanState | None = None,
) -> PlanOutcome:
    """Make a deliverable plan.

    Parameters
    ----------
    request : PlanRequest
        What is wanted and on what.
    progress : callable
        Told what is being done and the share done.
    listeners : Listeners or None
        Told of the dose as it comes, and of states to keep.
    resume : PlanState or None
        Of the same request, to go on from.

    Returns
    -------
    PlanOutcome
        The dose is that of the leaf sequence, never of ideal fluence.

    Raises
    ------
    StructureNotFoundError, InputError
        If a target is missing or empty, or `resume` belongs to another request.
    DeliverabilityError
        If the machine cannot deliver the sequence.
    """
    task = _prepare(request, progress, listeners or Listeners())
    n_passes = request.settings.n_correction_passes + 1
    state = _first_state(task, resume)
    passes: list[PassAgreement] = []
    levels: tuple[LevelOutcome, ...] = ()
    for number in range(min(state.n_passes_done, n_passes - 1), n_passes):
        solution, levels = _optimise(task, state, number, progress)
        progress(f"sequencing and recalculating, pass {number + 1} of {n_passes}", 0.9)
        wanted = wanted_fluence(task.operator, task.problem.leakage, solution.fluence_mu)
        plan, unused = sequence(request, wanted)
        dose, final = task.recalculate(plan)
        passes.append(_agreement(request, task.points, solution.dose_gy, final))
        modelled = task.problem.delivered_gy(solution.fluence_mu)
        state = _state(number + 1, solution, final - modelled)
        _keep(task, state)
    plan, dose, refined = _refine(task, plan, (dose, final), solution, progress)
    check_deliverable(plan, request.machine)
    return PlanOutcome(
        plan=plan,
        dose=dose,
        convergence=_convergence(solution, tuple(passes), levels, refined),
        complexity=_complexity(plan, request.machine),
        findings=(*task.findings, *unused, *_unsettled(solution)),
        prices=tolerance_prices(request, task.points, solution),
        state=state,
    )


def _prepare(request: PlanRequest, progress: Progress, listeners: Listeners) -> _Task:
    """Choose points, trace rays, state the problem."""
    anatomy = Anatomy.build(
        request.grid, request.masks, request.body, request.course.prescriptions
    )
    points = _points(request, anatomy)
    progress("tracing rays and building the dose operator", 0.0)
    operator = _operator(request, anatomy, points)
    leakage = leakage_of(request, operator)
    problem, findings = _problem(request, anatomy, points, operator, leakage)
    weights = request.objectives
    levels, judged = goal_levels(request.goals, anatomy, points, weights, request.n_fractions)
    if levels:
        ranked = {term.name for level in levels for term in level.terms}
        rest = tuple(term for term in problem.terms if term.name not in ranked)
        problem = replace(problem, terms=rest)
    return _Task(request, points, operator, problem, levels, (*findings, *judged), listeners)


def _first_state(task: _Task, resume: PlanState | None) -> PlanState:
    """Return where to begin: at the state given, or with nothing done."""
    operator = task.operator
    if resume is None:
        nothing = np.zeros(operator.n_points)
        return PlanState(0, np.zeros(0), nothing, (), 0.0)
    sizes = (len(resume.fluence_mu), len(resume.background_gy))
    caps = tuple(len(values) for values in resume.multipliers)
    wanted = tuple(len(cap.indices) for cap in task.problem.caps)
    fits = sizes == (operator.n_beamlets, operator.n_points) and caps in ((), wanted)
    if not fits:
        msg = (
            f"the state to go on from has {sizes[0]} beamlets and {sizes[1]} points, this plan "
            f"{operator.n_beamlets} and {operator.n_points}; start anew"
        )
        raise InputError(msg)
    return resume


def _state(n_done: int, solution: Solution, background: NDArray[np.float64]) -> PlanState:
    held = solution.multipliers
    return PlanState(
        n_done,
        solution.fluence_mu,
        background,
        () if held is None else held.values,
        0.0 if held is None else held.stiffness,
    )


def _keep(task: _Task, state: PlanState) -> None:
    if task.listeners.keep is not None:
        task.listeners.keep(state)


def _optimise(
    task: _Task, state: PlanState, number: int, progress: Progress
) -> tuple[Solution, tuple[LevelOutcome, ...]]:
    """Find the fluence of one pass, level by level where goals have priorities."""
    settings = task.request.settings
    budget = settings.max_evaluations // (1 if number == 0 else 2)
    n_passes = settings.n_correction_passes + 1
    label = f"optimising, pass {number + 1} of {n_passes}"
    background = state.background_gy if np.any(state.background_gy) else None
    problem = replace(task.problem, background_dose_gy=background)
    start = state.fluence_mu if len(state.fluence_mu) else None
    multipliers = None
    if state.multipliers:
        multipliers = Multipliers(problem.caps, state.multipliers, state.stiffness)
    watch = _watch(task, state)
    how = SolveSettings(max_evaluations=budget)
    total = budget * (len(task.levels) + 1)
    told = SolverProgress(progress, label, total)
    if not task.levels:
        found = solve(
            problem, how, start=start, multipliers=multipliers, progress=told, watch=watch
        )
        return found, ()
    found_levels = solve_levels(
        problem,
        task.levels,
        how,
        start=start,
        multipliers=multipliers,
        progress=told,
        watch=watch,
    )
    return found_levels.solution, found_levels.levels


def _watch(task: _Task, state: PlanState) -> Watch | None:
    """Return who is told of fluence and dose during a solve."""
    listeners = task.listeners
    if listeners.watch is None and listeners.keep is None:
        return None

    def tell(fluence_mu: NDArray[np.float64], dose_gy: NDArray[np.float64]) -> None:
        if listeners.watch is not None:
            listeners.watch(dose_gy, task.points)
        _keep(task, replace(state, fluence_mu=fluence_mu))

    return tell


def _refine(
    task: _Task,
    plan: Plan,
    doses: tuple[Dose, NDArray[np.float64]],
    solution: Solution,
    progress: Progress,
) -> tuple[Plan, Dose, tuple[float, ...]]:
    """Move leaves on the dose of their own apertures, as often as asked for."""
    request, operator = task.request, task.operator
    dose, final = doses
    values: list[float] = []

    def cost(dose_gy: NDArray[np.float64]) -> float:
        """Objectives, and what caps and earlier levels push with where they are exceeded."""
        held = solution.multipliers
        value = task.problem.value_by_dose(dose_gy)[0]
        return value + (0.0 if held is None else held.value_and_gradient(dose_gy)[0])

    for number in range(request.settings.n_leaf_refinements):
        progress(f"refining leaf positions, {number + 1}", 0.95)
        background = final - delivered_dose(plan, request.machine, operator)
        found = refine_leaves(
            plan,
            request.machine,
            operator,
            task.problem,
            settings=LeafSettings(),
            background_dose_gy=background,
            multipliers=solution.multipliers,
        )
        candidate, at_points = task.recalculate(found.plan)
        before, after = cost(final), cost(at_points)
        values = values or [before]
        if after >= before:
            break
        plan, dose, final = found.plan, candidate, at_points
        values.append(after)
    return plan, dose, tuple(values)


def _convergence(
    solution: Solution,
    passes: tuple[PassAgreement, ...],
    levels: tuple[LevelOutcome, ...],
    refined: tuple[float, ...],
) -> Convergence:
    return Convergence(
        objective=tuple(value for _, value in solution.history),
        term_values=dict(solution.term_values),
        status=solution.status,
        passes=passes,
        cap_violation_gy=solution.cap_violation_gy,
        levels=levels,
        refinement=refined,
    )


def _unsettled(solution: Solution) -> tuple[Finding, ...]:
    """Say where the optimiser stopped before its time."""
    if solution.is_converged:
        return ()
    text = (
        f"The optimiser stopped before it had settled ({solution.status}). The verdicts are "
        "of the final dose all the same; more evaluations may improve the plan."
    )
    return (Finding(Severity.NOTE, "optimiser-not-settled", text),)


def _agreement(
    request: PlanRequest,
    points: Points,
    seen_gy: NDArray[np.float64],
    final_gy: NDArray[np.float64],
) -> PassAgreement:
    """Compare what the optimiser saw with the final dose in targets and limited organs."""
    targets = {item.structure for item in request.course.prescriptions}
    organs = {cap.structure for cap in request.organ_caps}
    organs = (organs | {cap.structure for cap in request.physical_caps}) - targets
    return agreement(
        seen_gy,
        final_gy,
        points,
        targets={name: request.masks[name] for name in sorted(targets)},
        organs={name: request.masks[name] for name in sorted(organs)},
    )


def _points(request: PlanRequest, anatomy: Anatomy) -> Points:
    """Choose the voxels that the optimiser looks at."""
    names = {item.structure for item in request.course.prescriptions}
    names |= {cap.structure for cap in request.organ_caps}
    names |= {cap.structure for cap in request.physical_caps}
    return choose_points(
        request.grid,
        body=request.body,
        complete=[request.masks[name] for name in sorted(names)],
        shell_distance_mm=anatomy.nearest_target_mm(),
        shell_mm=SHELL_MM,
        keep_one_in=KEEP_ONE_IN,
        seed=request.settings.seed,
    )


def _operator(request: PlanRequest, anatomy: Anatomy, points: Points) -> PencilBeamOperator:
    """Build the fluence-to-dose operator of all beams."""
    inside = np.argwhere(anatomy.nearest_target_mm() <= 0)
    target_points = request.grid.points(inside)
    bixels = [
        make_bixel_grid(
            geometry,
            request.machine,
            target_points,
            margin_mm=request.settings.field_margin_mm,
            column_width_mm=request.settings.column_width_mm,
            position=request.position,
        )
        for geometry in request.beams
    ]
    return build_operator(
        request.machine, request.density, points.indices, request.grid, bixels, request.position
    )


def _problem(
    request: PlanRequest,
    anatomy: Anatomy,
    points: Points,
    operator: PencilBeamOperator,
    leakage: SweepLeakage | None,
) -> tuple[Problem, list[Finding]]:
    """State what is wanted."""
    weights, n_fractions = request.objectives, request.n_fractions
    organs, findings = organ_terms(anatomy, points, request.organ_caps, weights, n_fractions)
    terms = [
        *target_terms(anatomy, points, weights),
        *normal_tissue_term(anatomy, points, weights),
        *organs,
        *physical_terms(anatomy, points, request.physical_caps, weights),
    ]
    caps: tuple[DoseCap, ...] = ()
    if weights.organ_limits_are_hard:
        caps = organ_caps(anatomy, points, request.organ_caps, n_fractions)
    caps = (*caps, *physical_hard_caps(anatomy, points, request.physical_caps))
    bounds = hard_bounds(request.goals, anatomy, points, weights, n_fractions)
    problem = Problem(operator, tuple(terms), caps=caps, value_caps=bounds, leakage=leakage)
    return replace(problem, fluence_terms=_fluence_terms(request, problem, operator)), findings


def _fluence_terms(
    request: PlanRequest, problem: Problem, operator: PencilBeamOperator
) -> tuple[FluenceTerm, ...]:
    """Return what keeps a plan simple to deliver."""
    weights = request.objectives
    start_mu = uniform_start_mu(problem)
    terms: list[FluenceTerm] = []
    if weights.smoothness_importance > 0:
        importance = weights.smoothness_importance
        grids = operator.bixel_grids
        terms.append(FluenceSmoothness("smoothness", grids, start_mu, importance))
    if weights.monitor_unit_importance > 0 and problem.leakage is not None:
        # Relative to the units that the uniform open fields would take.
        open_mu = np.full(operator.n_beamlets, start_mu)
        scale = float(problem.leakage.metersets_mu(open_mu).sum())
        importance = weights.monitor_unit_importance
        terms.append(MonitorUnits("monitor units", problem.leakage, scale, importance))
    return tuple(terms)


def _complexity(plan: Plan, machine: Machine) -> dict[str, float]:
    """Return the plan's own measures of complexity by name."""
    measured = complexity(plan, machine)
    values = {item.name: getattr(measured, item.name) for item in fields(measured)}
    return {name: float(v) for name, v in values.items() if isinstance(v, int | float)}


@dataclass(frozen=True, slots=True)
class SolverProgress:
    """Tells how far an optimisation is."""

    progress: Progress
    label: str
    n_evaluations: int

    def __call__(self, n_done: int, objective: float) -> None:
        """Pass on the number of evaluations and the objective."""
        share = min(1.0, n_done / self.n_evaluations)
        self.progress(f"{self.label}: objective {objective:.4g}", share)
