"""What two or three goals of a case cost each other, and a plan anywhere on that trade.

Around a finished plan, plans are found between which nothing can be won without losing something.
All keep the hard limits. Coverage of targets that are not traded is kept as it is; of those that
are, as far below the finished plan as the search is told to look.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Finding, Severity
from rerad.errors import InputError
from rerad.optimize import (
    DoseTerm,
    Multipliers,
    NavigatedPlan,
    ParetoGoal,
    ParetoProgress,
    ParetoSet,
    ParetoSettings,
    Problem,
    ShiftedDose,
    SolveSettings,
    ValueCap,
    Weighted,
    navigate,
    pareto_set,
    solve,
)
from rerad.planning.inputs import Progress
from rerad.planning.leaf_refinement import refine
from rerad.planning.levels import LEVEL_SLACK, REACHED_SHARE
from rerad.planning.limit_repair import hold_limits
from rerad.planning.mimic import mimic_problem
from rerad.planning.pass_record import PlanState
from rerad.planning.pipeline import PreparedCase
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_passes import Delivered, Floats, complexity_of, deliver, pass_agreement
from rerad.planning.plan_task import Listeners, PlanTask, prepare_task
from rerad.planning.result import Convergence
from rerad.planning.robust_background import in_every_place
from rerad.planning.robust_plan import price_of, scenarios_of
from rerad.planning.robust_result import RobustPlanning
from rerad.planning.terms import target_terms
from rerad.planning.trade_axes import Lack, TradeAxis, sliders_of, trade_axes
from rerad.sequencing import check_deliverable

BASE_SHARE = 0.1
"""A finished plan's whole objective counts as much as this share of the prescription in Gy."""

ROBUST_EFFORT = 10
"""Evaluations a plan of a robust case may take, over those of others: its caps settle later."""


@dataclass(frozen=True, slots=True)
class TradeSettings:
    """How a trade is searched; none of it is a clinical limit.

    Parameters
    ----------
    n_plans : int
        Plans at most.
    give_up_percent : float
        How far below the finished plan the coverage of a traded target is searched, in percent of
        its prescription.
    """

    n_plans: int
    give_up_percent: float

    def __post_init__(self) -> None:
        if self.n_plans < 2 or not 0 < self.give_up_percent < 100:
            msg = f"expected at least 2 plans and a give_up_percent of 0 to 100, got {self}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class Trade:
    """What two or three goals cost each other.

    Parameters
    ----------
    pareto : ParetoSet
        Plans as open times; its goals are the axes.
    axes : tuple of TradeAxis
        What the numbers mean.
    finished : tuple of float
        Where the plan that it was made from lies.
    """

    pareto: ParetoSet
    axes: tuple[TradeAxis, ...]
    finished: tuple[float, ...]


def trade_off(
    prepared: PreparedCase,
    state: PlanState,
    names: Sequence[str],
    settings: TradeSettings,
    progress: Progress,
) -> Trade:
    """Find plans over the trade between two or three goals of a case.

    Parameters
    ----------
    prepared : PreparedCase
        The case.
    state : PlanState
        Of its finished plan: fluence to start from, and correction by the final dose.
    names : sequence of str
        Two or three goals (see :func:`trade_axes`).
    settings : TradeSettings
        How many plans, how far.
    progress : callable
        Told what is being done.

    Returns
    -------
    Trade

    Raises
    ------
    InputError
        If a goal cannot be traded, or the state belongs to another plan.
    """
    state = state.latest
    task, axes = _task(prepared, state, names, progress)
    hard = [bound.name for bound in task.problem.value_caps]
    base = _base(task, axes, state, settings)
    kept = [bound.name for bound in base.value_caps if bound.name not in hard]
    problem = _in_every_place(task, base, _places(task, progress), kept)
    goals = [ParetoGoal(axis.name, (_renamed(axis.term),), axis.unit) for axis in axes]
    how = ParetoSettings(n_plans=settings.n_plans)
    if task.request.robustness is not None:
        n_max = ROBUST_EFFORT * how.solve.max_evaluations
        how = replace(how, solve=replace(how.solve, max_evaluations=n_max))
    found = pareto_set(problem, goals, how, start=state.fluence_mu, progress=_told(progress))
    dose = problem.dose_gy(state.fluence_mu)
    return Trade(found, axes, tuple(goal.value(dose) for goal in goals))


def plan_of(
    prepared: PreparedCase,
    pareto: ParetoSet,
    state: PlanState,
    wishes: Mapping[str, float],
    progress: Progress,
) -> PlanOutcome:
    """Make the deliverable plan of a place on a trade.

    Parameters
    ----------
    prepared : PreparedCase
        The case.
    pareto : ParetoSet
        From :func:`trade_off`.
    state : PlanState
        The same that it was made from.
    wishes : mapping of str to float
        Goal to the most (for targets: the least) that it should have, in the goal's own unit.
    progress : callable
        Told what is being done.

    Returns
    -------
    PlanOutcome
        Navigated, sequenced, its leaves refined to give the navigated dose, and recalculated.

    Raises
    ------
    InputError
        If a wish is for no goal of the trade.
    """
    trusting, state = state, state.latest
    task, axes = _task(prepared, state, pareto.goals, progress)
    places = _places(task, progress)
    chosen = navigate(pareto, sliders_of(axes, wishes))
    problem = replace(task.problem, background_dose_gy=state.background_gy)
    wanted = problem.dose_gy(chosen.fluence_mu)
    progress("sequencing and recalculating the chosen plan", 0.5)
    delivered = _corrected(task, chosen.fluence_mu, wanted, places, progress)
    cost = mimic_problem(task, wanted)
    delivered, refined = refine(task, delivered, cost, None, progress)
    held = None
    if task.problem.caps and state.stiffness > 0:
        held = Multipliers.start(task.problem.caps, state.stiffness)
    delivered, not_held = hold_limits(task, delivered, cost, held, progress)
    check_deliverable(delivered.plan, task.request.machine)
    seen = pass_agreement(task, wanted, delivered.at_points_gy)
    used = int(np.count_nonzero(chosen.shares > 1e-6))
    status = f"combination of {used} plans of a trade between {' and '.join(pareto.goals)}"
    convergence = Convergence(
        objective=(problem.value_by_dose(wanted)[0],),
        term_values=problem.term_values(chosen.fluence_mu),
        status=status,
        passes=(seen,),
        cap_violation_gy=chosen.cap_violation_at_most_gy,
        refinement=refined,
    )
    final = delivered.at_points_gy - task.problem.delivered_gy(chosen.fluence_mu)
    now = replace(state, fluence_mu=chosen.fluence_mu, background_gy=final)
    return PlanOutcome(
        plan=delivered.plan,
        dose=delivered.dose,
        convergence=convergence,
        complexity=complexity_of(delivered.plan, task.request.machine),
        findings=(*task.findings, *delivered.findings, *_unmet(axes, chosen), *not_held),
        state=now,
        robust=_robust(task, places, (trusting, now)),
    )


def _corrected(
    task: PlanTask,
    fluence_mu: Floats,
    wanted_gy: Floats,
    places: ShiftedDose | None,
    progress: Progress,
) -> Delivered:
    """Sequence a fluence; once more, if passes are asked for, with what its leaves changed.

    The second fluence is to give the wanted dose under the hard caps and bounds, with the
    difference between final dose and model held as background.
    """
    delivered = deliver(task, fluence_mu)
    settings = task.request.settings
    if settings.n_correction_passes < 1:
        return delivered
    problem = replace(
        mimic_problem(task, wanted_gy),
        caps=task.problem.caps,
        value_caps=task.problem.value_caps,
        leakage=task.problem.leakage,
        background_dose_gy=delivered.at_points_gy - task.problem.delivered_gy(fluence_mu),
    )
    progress("correcting the chosen plan by its final dose", 0.6)
    how = SolveSettings(max_evaluations=settings.max_evaluations)
    found = solve(_in_every_place(task, problem, places), how, start=fluence_mu)
    return deliver(task, found.fluence_mu)


def _unmet(axes: Sequence[TradeAxis], chosen: NavigatedPlan) -> tuple[Finding, ...]:
    """Say where no plan of the trade is what was wished for."""
    if chosen.excess <= 1e-6:
        return ()
    nearest = zip(axes, chosen.values_at_most, strict=True)
    doses = ", ".join(f"{axis.name} {axis.dose_gy(float(v)):.2f} Gy" for axis, v in nearest)
    text = (
        "No plan of the trade has all that was wished for; the nearest was made, with tail means "
        f"of {doses} in the optimiser."
    )
    return (Finding(Severity.CAUTION, "wish-not-met", text),)


def _places(task: PlanTask, progress: Progress) -> ShiftedDose | None:
    """Return the places of the isocentre that a robust case is planned for; None for others."""
    settings = task.request.robustness
    return None if settings is None else scenarios_of(task, settings, progress)


def _in_every_place(
    task: PlanTask, problem: Problem, places: ShiftedDose | None, kept: Sequence[str] = ()
) -> Problem:
    """Return the problem with its hard caps and bounds in every place.

    Objectives, and the coverage that is `kept`, stay without shift.
    """
    if places is None:
        return problem
    return in_every_place(problem, task.points, places, without_shift=kept)


def _robust(
    task: PlanTask, places: ShiftedDose | None, states: tuple[PlanState, PlanState]
) -> RobustPlanning | None:
    """Return what a plan on a robust case's trade was held against, and its price."""
    settings = task.request.robustness
    if settings is None or places is None:
        return None
    price = price_of(task, places, states)
    return RobustPlanning(settings, places.shifts_mm, price, n_evaluations=0)


def _task(
    prepared: PreparedCase, state: PlanState, names: Sequence[str], progress: Progress
) -> tuple[PlanTask, tuple[TradeAxis, ...]]:
    """Prepare the case's plan again, and read the goals."""
    task = prepare_task(prepared.request, progress, Listeners())
    sizes = (len(state.fluence_mu), len(state.background_gy))
    wanted = (task.operator.n_beamlets, task.operator.n_points)
    if sizes != wanted:
        msg = (
            f"expected the finished plan's {wanted[0]} beamlets and {wanted[1]} points, got "
            f"{sizes[0]} and {sizes[1]}; plan the case again"
        )
        raise InputError(msg)
    return task, trade_axes(prepared.judgement, task, names)


def _base(
    task: PlanTask, axes: Sequence[TradeAxis], state: PlanState, settings: TradeSettings
) -> Problem:
    """Return what every plan of the trade wants and keeps."""
    ranked = [term for level in task.levels for term in level.terms]
    problem = replace(
        task.problem,
        terms=(*task.problem.terms, *ranked),
        background_dose_gy=state.background_gy,
    )
    dose = problem.dose_gy(state.fluence_mu)
    bounds, gone = _kept(task, axes, dose, settings)
    steering = {axis.term.name for axis in axes}
    terms = [t for t in problem.terms if t.name not in gone | steering]
    size = problem.value_by_dose(dose)[0]  # of the finished plan, traded coverage included
    highest = max(item.dose_gy for item in task.request.course.prescriptions)
    weight = BASE_SHARE * highest / max(size, 1e-3)
    return replace(
        problem,
        terms=tuple(Weighted(term, weight) for term in terms),
        fluence_terms=tuple(
            replace(term, importance=weight * term.importance)  # type: ignore[type-var,attr-defined]
            for term in problem.fluence_terms
        ),
        value_caps=(*problem.value_caps, *bounds),
    )


def _kept(
    task: PlanTask, axes: Sequence[TradeAxis], dose_gy: Floats, settings: TradeSettings
) -> tuple[list[ValueCap], set[str]]:
    """Return what coverage is kept, and the objectives that traded coverage replaces."""
    request = task.request
    traded = {axis.goal.structure for axis in axes if axis.asked_gy is not None}
    wanted = target_terms(task.anatomy, task.points, request.objectives)
    bounds: list[ValueCap] = []
    gone: set[str] = set()
    for item in request.course.prescriptions:
        name = f"{item.structure} too little"
        term = next((term for term in wanted if term.name == name), None)
        if term is None:
            continue
        if item.structure in traded:
            gone.add(name)
            continue
        value = (1.0 + LEVEL_SLACK) * term.value_and_gradient(dose_gy[term.indices])[0]
        least = REACHED_SHARE * request.objectives.target_importance
        bounds.append(ValueCap(f"{item.structure} kept", (term,), max(value, least)))
    for axis in axes:
        if isinstance(axis.term, Lack):
            lack = axis.term.value_and_gradient(dose_gy[axis.term.indices])[0]
            most = lack + settings.give_up_percent / 100.0 * axis.term.asked_gy
            bounds.append(ValueCap(f"{axis.name} not below", (axis.term,), most))
    return bounds, gone


def _renamed(term: DoseTerm) -> DoseTerm:
    """Return an axis under a name that no objective of the problem has."""
    if isinstance(term, Lack):
        return term
    return replace(term, name=f"{term.name} in trade")  # type: ignore[type-var]


def _told(progress: Progress) -> ParetoProgress:
    """Return who is told after every plan."""

    def tell(n_plans: int, n_wanted: int, gap: float) -> None:
        left = "" if np.isnan(gap) else f", {100 * gap:.1f} % of the ranges left"
        progress(f"trading: {n_plans} plans{left}", min(1.0, n_plans / n_wanted))

    return tell
