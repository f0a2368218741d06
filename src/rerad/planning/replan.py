"""From objectives to a deliverable plan: optimise, sequence, recalculate, correct, repeat.

The optimiser works on a fast operator; what is reported is the final dose of the leaf sequence.
The difference between the two is held as a constant background in the next optimisation, so the
plan is optimised on the dose that it will really give. Closed leaves that leak are part of the
optimisation itself; at the end the leaves are refined on the dose of their own apertures.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import BeamGeometry, Mask
from rerad.errors import InputError
from rerad.optimize import LevelOutcome, Multipliers, Solution, Watch
from rerad.planning.inputs import Progress
from rerad.planning.leaf_refinement import refine
from rerad.planning.limit_repair import hold_limits
from rerad.planning.pass_record import PlanState
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_passes import (
    Delivered,
    PlanRun,
    SolverProgress,
    Start,
    complexity_of,
    deliver,
    optimise,
    pass_agreement,
    unsettled,
)
from rerad.planning.plan_request import PlanRequest
from rerad.planning.plan_task import Listeners as Listeners
from rerad.planning.plan_task import PlanTask, prepare_task
from rerad.planning.prices import tolerance_prices
from rerad.planning.result import Convergence
from rerad.planning.robust_plan import robust_passes
from rerad.sequencing import check_deliverable

N_AGAIN = 10
"""The last pass may take so many times its evaluations more, while the optimiser exceeds a cap."""


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
    task = prepare_task(request.trusting, progress, listeners or Listeners())
    state = _first_state(task, resume)
    robust, place = None, task.points.indices
    if request.robustness is None:
        run = _passes(task, state, progress)
    else:
        if state.n_passes_done <= request.settings.n_correction_passes:
            state = _passes(task, state, progress).state
        task, run, robust, shifted = robust_passes(task, request, state, progress)
        place = place[shifted.nominal_points]
    delivered, refined = refine(task, run.delivered, run.cost, run.held, progress)
    delivered, not_held = hold_limits(task, delivered, run.cost, _caps_of(task, run), progress)
    check_deliverable(delivered.plan, request.machine)
    return PlanOutcome(
        plan=delivered.plan,
        dose=delivered.dose,
        convergence=_convergence(run, refined),
        complexity=complexity_of(delivered.plan, request.machine),
        findings=(
            *task.findings,
            *delivered.findings,
            *unsettled(run.solution),
            *not_held,
        ),
        prices=tolerance_prices(request, place, run.solution),
        state=run.state,
        robust=robust,
    )


def _caps_of(task: PlanTask, run: PlanRun) -> Multipliers | None:
    """Return the caps at the points without shift; those of a robust plan push nothing yet."""
    found = run.solution.multipliers
    if run.held is not None or found is None:
        return run.held
    return Multipliers.start(task.problem.caps, found.stiffness)


def _first_state(task: PlanTask, resume: PlanState | None) -> PlanState:
    """Return where to begin: at the state given, or with nothing done."""
    operator = task.operator
    if resume is None:
        nothing = np.zeros(operator.n_points)
        return PlanState(0, np.zeros(0), nothing, (), 0.0)
    for state in (resume, resume.latest):
        sizes = (len(state.fluence_mu), len(state.background_gy))
        if sizes != (operator.n_beamlets, operator.n_points):
            msg = (
                f"the state to go on from has {sizes[0]} beamlets and {sizes[1]} points, this "
                f"plan {operator.n_beamlets} and {operator.n_points}; start anew"
            )
            raise InputError(msg)
    caps = tuple(len(values) for values in resume.multipliers)
    wanted = tuple(len(cap.indices) for cap in task.problem.caps)
    if caps not in ((), wanted):
        msg = f"the state to go on from has caps of {caps} points, this plan {wanted}; start anew"
        raise InputError(msg)
    return resume


def _passes(task: PlanTask, state: PlanState, progress: Progress) -> PlanRun:
    """Optimise, sequence and recalculate until all correction passes are done."""
    n_passes = task.request.settings.n_correction_passes + 1
    if state.n_passes_done >= n_passes:
        progress("sequencing and recalculating, after the last pass", 0.9)
        solution = state.solution_of(task.problem, task.levels)
        levels = () if state.record is None else state.record.levels
        return _run(task, solution, levels, deliver(task, state.fluence_mu), state)
    run: PlanRun | None = None
    for number in range(state.n_passes_done, n_passes):
        solution, levels = _optimise(task, state, number, progress)
        progress(f"sequencing and recalculating, pass {number + 1} of {n_passes}", 0.9)
        delivered = deliver(task, solution.fluence_mu)
        final = delivered.at_points_gy
        seen = pass_agreement(task, solution.dose_gy, final)
        modelled = task.problem.delivered_gy(solution.fluence_mu)
        state = state.after_pass(solution, levels, seen, final - modelled)
        _keep(task, state)
        run = _run(task, solution, levels, delivered, state)
    if run is None:  # there is always a pass
        raise AssertionError(n_passes)
    return run


def _run(
    task: PlanTask,
    solution: Solution,
    levels: tuple[LevelOutcome, ...],
    delivered: Delivered,
    state: PlanState,
) -> PlanRun:
    """Return where the passes ended; leaves are refined on the task's own objectives."""
    held = solution.multipliers
    return PlanRun(solution, levels, delivered, state.agreement, state, task.problem, held)


def _keep(task: PlanTask, state: PlanState) -> None:
    if task.listeners.keep is not None:
        task.listeners.keep(state)


def _optimise(
    task: PlanTask, state: PlanState, number: int, progress: Progress
) -> tuple[Solution, tuple[LevelOutcome, ...]]:
    """Find the fluence of one pass.

    Where a limit is for the highest dose anywhere, what voxels at the organ's edge may get depends
    on what their neighbours have: the search begins again once, from what it found. The last pass
    goes on until the caps hold, a few times at most.
    """
    settings = task.request.settings
    n_more = settings.max_evaluations // 2
    budget = settings.max_evaluations if number == 0 else n_more
    label = f"optimising, pass {number + 1} of {settings.n_correction_passes + 1}"
    background = state.background_gy if np.any(state.background_gy) else None
    problem = replace(task.problem, background_dose_gy=background)
    watch = _watch(task, state)

    told = SolverProgress(progress, label, budget)
    is_last = number == settings.n_correction_passes
    extra = N_AGAIN * n_more if is_last else 0
    if number > 0 and len(state.fluence_mu):
        problem = replace(problem, caps=task.caps_at(problem.dose_gy(state.fluence_mu)))
    fluence = state.fluence_mu if len(state.fluence_mu) else None
    if not task.has_maxima:
        start = Start(fluence, state.held(problem), budget, extra)
        return optimise(problem, task.levels, start, told, watch)
    first, _ = optimise(
        problem, task.levels, Start(fluence, state.held(problem), budget), told, watch
    )
    held = first.multipliers
    if held is None:
        raise AssertionError(label)
    problem = replace(problem, caps=task.caps_at(first.dose_gy))
    held = Multipliers(problem.caps, held.values, held.stiffness)
    start = Start(first.fluence_mu, held, n_more, extra)
    found, levels = optimise(problem, task.levels, start, told, watch)
    return replace(found, n_evaluations=first.n_evaluations + found.n_evaluations), levels


def _watch(task: PlanTask, state: PlanState) -> Watch | None:
    """Return who is told of fluence and dose during a solve."""
    listeners = task.listeners
    if listeners.watch is None and listeners.keep is None:
        return None

    def tell(fluence_mu: NDArray[np.float64], dose_gy: NDArray[np.float64]) -> None:
        if listeners.watch is not None:
            listeners.watch(dose_gy, task.points)
        _keep(task, replace(state, fluence_mu=fluence_mu))

    return tell


def _convergence(run: PlanRun, refined: tuple[float, ...]) -> Convergence:
    solution = run.solution
    return Convergence(
        objective=tuple(value for _, value in solution.history),
        term_values=dict(solution.term_values),
        status=solution.status,
        passes=run.passes,
        cap_violation_gy=solution.cap_violation_gy,
        levels=run.levels,
        refinement=refined,
    )
