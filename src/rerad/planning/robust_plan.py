"""The robust passes: from a plan that believes everything to one that holds in every scenario.

They begin where the trusting passes ended. Limits are those of the worst corner of alpha/beta,
recovery and place of the earlier dose; with set-up shifts they hold in each of them, as hard goals
on means, gEUD and volumes do, and what targets lack is judged by the worst. Then leaves, final
dose, and one more pass on the difference.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import BixelGrid
from rerad.dosecalc import build_operator
from rerad.errors import InputError
from rerad.optimize import (
    Level,
    LinearDose,
    OrganRisk,
    Problem,
    RobustPrice,
    ShiftedDose,
    Watch,
    axis_shifts,
    robust_price_of_doses,
    shifted_dose,
)
from rerad.planning.inputs import Progress, RobustSettings
from rerad.planning.mimic import mimic_problem
from rerad.planning.pass_record import PlanState
from rerad.planning.plan_passes import (
    Delivered,
    Floats,
    PlanRun,
    SolverProgress,
    Start,
    deliver,
    optimise,
    pass_agreement,
)
from rerad.planning.plan_request import PlanRequest
from rerad.planning.plan_task import PlanTask
from rerad.planning.robust_background import in_every_place
from rerad.planning.robust_result import RobustPlanning
from rerad.planning.terms import OrganCap, target_terms

N_PASSES = 2
"""One robust optimisation, and one that knows what its leaves changed."""

N_AGAIN = 5
"""The last pass may take so many times its evaluations more, while the optimiser exceeds a cap."""


def robust_passes(
    trusting: PlanTask, request: PlanRequest, state: PlanState, progress: Progress
) -> tuple[PlanTask, PlanRun, RobustPlanning, ShiftedDose]:
    """Make the plan robust, from where the robust passes stopped if they had begun.

    Parameters
    ----------
    trusting : PlanTask
        That the plan so far was made of.
    request : PlanRequest
        With its robustness and the corners of its limits.
    state : PlanState
        Where the trusting passes ended; with the state of the robust ones if they had begun.
    progress : callable
        Told what is being done.

    Returns
    -------
    task : PlanTask
        Of the robust limits.
    run : PlanRun
        Where the robust passes ended; its state holds that of the trusting ones too. Leaves are
        refined to give the robust dose: objectives that know no shift would take it back.
    robust : RobustPlanning
        With the price.
    shifted : ShiftedDose
        The scenarios.

    Raises
    ------
    InputError
        If the state belongs to another plan.
    """
    settings = request.robustness
    if settings is None:
        raise AssertionError(request.label)
    task = trusting.restated(replace(request, masks=trusting.request.masks))
    shifted = scenarios_of(task, settings, progress)
    now = state.robust or PlanState(
        0, state.fluence_mu, state.background_gy, (), 0.0, agreement=state.agreement
    )
    delivered: Delivered | None = None
    for number in range(now.n_passes_done, N_PASSES):
        now, delivered = _robust_pass(task, shifted, (state, now), number, progress)
    problem, levels = in_scenarios(task, shifted, now.background_gy)
    solution = now.solution_of(problem, levels)
    if delivered is None:
        progress("sequencing and recalculating, after the last pass", 0.9)
        delivered = deliver(task, now.fluence_mu)
    run = PlanRun(
        solution=solution,
        levels=() if now.record is None else now.record.levels,
        delivered=delivered,
        passes=now.agreement,
        state=replace(state, robust=now),
        cost=mimic_problem(task, solution.dose_gy[: task.operator.n_points]),
        held=None,
    )
    price = price_of(task, shifted, (state, now))
    is_settled = state.n_passes_done >= N_PASSES and all(
        item.record is not None and item.record.is_converged for item in (state, now)
    )
    robust = RobustPlanning(settings, shifted.shifts_mm, price, now.n_evaluations, is_settled)
    return task, run, robust, shifted


def _robust_pass(
    task: PlanTask,
    shifted: ShiftedDose,
    states: tuple[PlanState, PlanState],
    number: int,
    progress: Progress,
) -> tuple[PlanState, Delivered]:
    """Optimise in all scenarios, sequence, recalculate; `states` are trusting and robust."""
    trusting, now = states
    problem, levels = in_scenarios(task, shifted, now.background_gy)
    sizes = [len(values) for values in now.multipliers]
    if sizes not in ([], [len(cap.indices) for cap in problem.caps]):
        msg = f"the state to go on from has {len(sizes)} caps of another plan; start anew"
        raise InputError(msg)
    n_max = task.request.settings.max_evaluations  # more caps than before: no short correction
    label = f"robust, pass {number + 1} of {N_PASSES}"
    told = SolverProgress(progress, label, n_max)
    extra = N_AGAIN * n_max if number == N_PASSES - 1 else 0
    start = Start(now.fluence_mu, now.held(problem), n_max, extra)
    solution, outcomes = optimise(problem, levels, start, told, _watch(task, states))
    progress(f"sequencing and recalculating, robust pass {number + 1} of {N_PASSES}", 0.9)
    delivered = deliver(task, solution.fluence_mu)
    final = delivered.at_points_gy
    seen = pass_agreement(task, solution.dose_gy[: task.operator.n_points], final)
    modelled = task.problem.delivered_gy(solution.fluence_mu)
    now = now.after_pass(solution, outcomes, seen, final - modelled)
    if task.listeners.keep is not None:
        task.listeners.keep(replace(trusting, robust=now))
    return now, delivered


def scenarios_of(task: PlanTask, settings: RobustSettings, progress: Progress) -> ShiftedDose:
    """Build the dose of every place of the isocentre.

    Followed in all of them are targets, organs with a limit, every capped voxel (beside organs
    too) and what hard goals are read from.
    """
    shifts = axis_shifts(settings.setup_shift_mm)
    request, points = task.request, task.points
    names = {item.structure for item in request.course.prescriptions}
    names |= {cap.structure for cap in request.organ_caps}
    names |= {cap.structure for cap in request.physical_caps}
    inside = [points.of_mask(request.masks[name])[0] for name in sorted(names)]
    inside += [cap.indices for cap in task.problem.caps]  # beside organs too
    inside += [term.indices for bound in task.problem.value_caps for term in bound.terms]
    followed = np.unique(np.concatenate(inside))
    if len(shifts) > 1:
        progress(f"building the dose operators of {len(shifts) - 1} shifts", 0.0)

    def build(beams: tuple[BixelGrid, ...], where: NDArray[np.int64]) -> LinearDose:
        return build_operator(
            request.machine,
            request.density,
            points.indices[where],
            request.grid,
            list(beams),
            request.position,
        )

    return shifted_dose(
        task.operator, task.operator.bixel_grids, build, followed=followed, shifts_mm=shifts
    )


def in_scenarios(
    task: PlanTask, shifted: ShiftedDose, background_gy: Floats
) -> tuple[Problem, tuple[Level, ...]]:
    """Return problem and levels over all scenarios.

    Levels are carried over as objectives of one problem, and taken out of it again.

    Parameters
    ----------
    task : PlanTask
        Of the robust limits.
    shifted : ShiftedDose
        The scenarios.
    background_gy : ndarray of shape (n_points,)
        Final dose less that of the operator, without shift.
    """
    ranked = [term for level in task.levels for term in level.terms]
    wanted = {
        term.name for term in target_terms(task.anatomy, task.points, task.request.objectives)
    }
    known = {term.name for term in (*task.problem.terms, *ranked)}
    nominal = replace(
        task.problem,
        terms=(*task.problem.terms, *ranked),
        background_dose_gy=background_gy if np.any(background_gy) else None,
    )
    found = in_every_place(nominal, task.points, shifted, worst_case=sorted(wanted & known))
    by_name = {term.name: term for term in found.terms}
    levels = tuple(
        replace(level, terms=tuple(by_name[term.name] for term in level.terms))
        for level in task.levels
    )
    rest = tuple(by_name[term.name] for term in task.problem.terms)
    return replace(found, terms=rest), levels


def _watch(task: PlanTask, states: tuple[PlanState, PlanState]) -> Watch | None:
    """Return who is told of fluence and the dose without shift during a solve."""
    listeners, n_points = task.listeners, task.operator.n_points
    if listeners.watch is None and listeners.keep is None:
        return None
    trusting, now = states

    def tell(fluence_mu: Floats, dose_gy: Floats) -> None:
        if listeners.watch is not None:
            listeners.watch(dose_gy[:n_points], task.points)
        if listeners.keep is not None:
            listeners.keep(replace(trusting, robust=replace(now, fluence_mu=fluence_mu)))

    return tell


def price_of(
    task: PlanTask, shifted: ShiftedDose, states: tuple[PlanState, PlanState]
) -> RobustPrice:
    """Compare the trusting plan with the robust one: final dose, and its change by shifts."""
    request, points = task.request, task.points
    bare = replace(task.problem, terms=(), caps=(), value_caps=())
    first, second = (
        in_every_place(
            replace(bare, background_dose_gy=state.background_gy), points, shifted
        ).dose_gy(state.fluence_mu)
        for state in states
    )
    targets = {
        item.structure: points.of_mask(request.masks[item.structure])
        for item in request.course.prescriptions
    }
    organs = {
        cap.label: risk for cap in request.organ_caps if (risk := _risk(task, cap)) is not None
    }
    return robust_price_of_doses(shifted, (first, second), targets=targets, organs=organs)


def _risk(task: PlanTask, cap: OrganCap) -> OrganRisk | None:
    """Return an organ with its corners; None if nothing of it is limited."""
    points = task.points
    indices, _ = points.of_mask(task.request.masks[cap.structure])
    if cap.excludes_targets:
        nearest = points.sample(task.anatomy.nearest_target_mm())
        indices = indices[nearest[indices] > 0]
    if not len(indices):
        return None
    corners = [(corner.alpha_beta_gy, corner.prior) for corner in cap.corners]
    corners = corners or [(cap.alpha_beta_gy, cap.prior)]
    priors = [
        np.zeros(len(indices)) if prior is None else points.sample(prior.values)[indices]
        for _, prior in corners
    ]
    alpha_betas = [alpha_beta for alpha_beta, _ in corners]
    return OrganRisk(indices, priors, alpha_betas, cap.limit_eqd2_gy, task.request.n_fractions)
