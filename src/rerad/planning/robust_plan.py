"""The robust passes: from a plan that believes everything to one that holds in every scenario.

They begin where the trusting passes ended. Limits are those of the worst corner of alpha/beta,
recovery and place of the earlier dose; with set-up shifts they hold in each of them, and what
targets lack is judged by the worst. Then leaves, final dose, and one more pass on the difference.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import BixelGrid
from rerad.dosecalc import build_operator
from rerad.optimize import (
    Level,
    LinearDose,
    Multipliers,
    OrganRisk,
    Problem,
    RobustPrice,
    ShiftedDose,
    Solution,
    Watch,
    axis_shifts,
    robust_price_of_doses,
    robust_problem,
    shifted_dose,
)
from rerad.planning.inputs import Progress, RobustSettings
from rerad.planning.mimic import mimic_problem
from rerad.planning.plan_passes import (
    Floats,
    PlanRun,
    SolverProgress,
    Start,
    deliver,
    optimise,
    pass_agreement,
)
from rerad.planning.plan_request import PlanRequest, PlanState
from rerad.planning.plan_task import PlanTask
from rerad.planning.result import PassAgreement
from rerad.planning.robust_result import RobustPlanning
from rerad.planning.terms import OrganCap, target_terms

N_PASSES = 2
"""One robust optimisation, and one that knows what its leaves changed."""


def robust_passes(
    trusting: PlanTask, request: PlanRequest, run: PlanRun, progress: Progress
) -> tuple[PlanTask, PlanRun, RobustPlanning, ShiftedDose]:
    """Make the plan robust.

    Parameters
    ----------
    trusting : PlanTask
        That the plan so far was made of.
    request : PlanRequest
        With its robustness and the corners of its limits.
    run : PlanRun
        Where the trusting passes ended.
    progress : callable
        Told what is being done.

    Returns
    -------
    task : PlanTask
        Of the robust limits.
    run : PlanRun
        Where the robust passes ended; its state is at the points without shift. Leaves are refined
        to give the robust dose: objectives that know no shift would take it back.
    robust : RobustPlanning
        With the price.
    shifted : ShiftedDose
        The scenarios.
    """
    settings = request.robustness
    if settings is None:
        raise AssertionError(request.label)
    task = trusting.restated(request)
    shifted = _scenarios(task, settings, progress)
    wanted = {term.name for term in target_terms(task.anatomy, task.points, request.objectives)}
    state, passes, n_evaluations = run.state, list(run.passes), 0
    current = run
    for number in range(N_PASSES):
        problem, levels = _in_scenarios(task, shifted, state.background_gy, wanted)
        n_max = request.settings.max_evaluations  # more caps than before: no short correction
        held = _caps_only(current.solution) if number else None
        start = Start(state.fluence_mu, held, n_max)
        told = SolverProgress(progress, f"robust, pass {number + 1} of {N_PASSES}", n_max)
        solution, outcomes = optimise(problem, levels, start, told, _watch(task))
        n_evaluations += solution.n_evaluations
        progress(f"sequencing and recalculating, robust pass {number + 1} of {N_PASSES}", 0.9)
        delivered = deliver(task, solution.fluence_mu)
        seen = solution.dose_gy[: task.operator.n_points]
        passes.append(pass_agreement(task, seen, delivered.at_points_gy))
        state = _state(task, solution, delivered.at_points_gy)
        current = PlanRun(
            solution,
            outcomes,
            delivered,
            tuple[PassAgreement, ...](passes),
            state,
            mimic_problem(task, seen),
            None,
        )
    price = _price(task, shifted, (run, current))
    robust = RobustPlanning(settings, shifted.shifts_mm, price, n_evaluations)
    return task, current, robust, shifted


def _scenarios(task: PlanTask, settings: RobustSettings, progress: Progress) -> ShiftedDose:
    """Build the dose of every place of the isocentre."""
    shifts = axis_shifts(settings.setup_shift_mm)
    request, points = task.request, task.points
    names = {item.structure for item in request.course.prescriptions}
    names |= {cap.structure for cap in request.organ_caps}
    names |= {cap.structure for cap in request.physical_caps}
    inside = [points.of_mask(request.masks[name])[0] for name in sorted(names)]
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


def _in_scenarios(
    task: PlanTask, shifted: ShiftedDose, background_gy: Floats, wanted: set[str]
) -> tuple[Problem, tuple[Level, ...]]:
    """Return problem and levels over all scenarios; `wanted` are the objectives of targets.

    Levels are carried over as objectives of one problem, and taken out of it again.
    """
    ranked = [term for level in task.levels for term in level.terms]
    known = {term.name for term in (*task.problem.terms, *ranked)}
    nominal = replace(
        task.problem,
        terms=(*task.problem.terms, *ranked),
        background_dose_gy=background_gy if np.any(background_gy) else None,
    )
    found = robust_problem(nominal, shifted, worst_case=sorted(wanted & known))
    by_name = {term.name: term for term in found.terms}
    levels = tuple(
        replace(level, terms=tuple(by_name[term.name] for term in level.terms))
        for level in task.levels
    )
    rest = tuple(by_name[term.name] for term in task.problem.terms)
    return replace(found, terms=rest), levels


def _caps_only(solution: Solution) -> Multipliers | None:
    """Return the multipliers of caps; those of sums belong to levels that are solved anew."""
    held = solution.multipliers
    return None if held is None else replace(held, sums=(), sum_values=())


def _watch(task: PlanTask) -> Watch | None:
    """Return who is told of the dose without shift during a solve."""
    watch, n_points = task.listeners.watch, task.operator.n_points
    if watch is None:
        return None
    return lambda _, dose_gy: watch(dose_gy[:n_points], task.points)


def _state(task: PlanTask, solution: Solution, final_gy: Floats) -> PlanState:
    """Return the state at the points without shift."""
    held, n_caps = solution.multipliers, len(task.problem.caps)
    modelled = task.problem.delivered_gy(solution.fluence_mu)
    return PlanState(
        task.request.settings.n_correction_passes + 1,
        solution.fluence_mu,
        final_gy - modelled,
        () if held is None else held.values[:n_caps],
        0.0 if held is None else held.stiffness,
    )


def _price(task: PlanTask, shifted: ShiftedDose, runs: tuple[PlanRun, PlanRun]) -> RobustPrice:
    """Compare the trusting plan with the robust one: final dose, and its change by shifts."""
    request, points = task.request, task.points
    bare = robust_problem(replace(task.problem, terms=(), caps=()), shifted, worst_case=())
    where = shifted.nominal_points
    first, second = (
        bare.delivered_gy(run.state.fluence_mu) + run.state.background_gy[where] for run in runs
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
