"""A plan's request with everything that is made once for it: points, operator, problem, levels."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Finding, Goal, Plan
from rerad.dosecalc import (
    PencilBeamOperator,
    build_operator,
    dose_in_body,
    final_dose,
    make_bixel_grid,
)
from rerad.evaluation import MetricKind, parse_metric
from rerad.optimize import (
    DoseCap,
    FluenceSmoothness,
    FluenceTerm,
    Level,
    MonitorUnits,
    Problem,
    SweepLeakage,
    uniform_start_mu,
)
from rerad.planning.caps import read_doses_gy
from rerad.planning.inputs import Progress
from rerad.planning.leaves import leakage_of
from rerad.planning.levels import goal_levels, hard_bounds
from rerad.planning.pass_record import PlanState
from rerad.planning.plan_request import PlanRequest
from rerad.planning.points import Points, choose_points
from rerad.planning.target_in_body import cut_to_body
from rerad.planning.terms import (
    Anatomy,
    normal_tissue_term,
    organ_caps,
    organ_terms,
    physical_hard_caps,
    physical_terms,
    target_terms,
)

SHELL_MM = 10.0
"""Around the targets every voxel is looked at; most of the fall-off happens here."""

KEEP_ONE_IN = 32
"""Share of the remaining body voxels that the optimiser looks at."""

LEAST_CAP_GY = 0.05
"""Where readings leave less than this, in Gy of physical dose, the voxel's own cap holds."""


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
class PlanTask:
    """A request with all that is prepared once for it.

    Parameters
    ----------
    request : PlanRequest
        What is wanted.
    anatomy : Anatomy
        What the objectives are drawn on.
    points : Points
        What the optimiser looks at.
    operator : PencilBeamOperator
        Fluence to dose at the points.
    problem : Problem
        Objectives and caps; what has a priority is in the levels instead.
    levels : tuple of Level
        First priority first.
    findings : tuple of Finding
        What could not be limited or worked on.
    listeners : Listeners
        Who is told.
    """

    request: PlanRequest
    anatomy: Anatomy
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

    @property
    def has_maxima(self) -> bool:
        """Whether a capped limit is for the highest dose anywhere."""
        names = {cap.name for cap in self.problem.caps}
        return any(
            f"{cap.label} cap" in names and cap.drawn is not None and cap.drawn.is_maximum
            for cap in self.request.organ_caps
        )

    def caps_at(self, dose_gy: NDArray[np.float64]) -> tuple[DoseCap, ...]:
        """Return the caps where a dose is known: limits hold as they are read, between voxels.

        Parameters
        ----------
        dose_gy : ndarray of shape (n_points,)
            Dose of the new plan: final, or what the optimiser sees.
        """
        request, points = self.request, self.points
        drawn = {f"{cap.label} cap": cap for cap in request.organ_caps if cap.drawn is not None}
        now = np.full(points.grid.n_voxels, np.nan)
        now[points.indices] = np.maximum(dose_gy, 0.0)
        now = now.reshape(points.grid.shape)
        caps = []
        for hard in self.problem.caps:
            limit = drawn.get(hard.name)
            if limit is not None:
                read = read_doses_gy(limit, points.grid, now, request.n_fractions).ravel()
                doses = read[points.indices[hard.indices]]
                doses = np.where(doses > LEAST_CAP_GY, doses, hard.max_dose_gy)
                if request.robustness is not None:  # what is read is believed, not the worst
                    doses = np.minimum(doses, hard.max_dose_gy)
                hard = replace(hard, max_dose_gy=doses)
            caps.append(hard)
        return tuple(caps)

    def restated(self, request: PlanRequest) -> "PlanTask":
        """Return the task of a request with other limits on the same anatomy and beams."""
        place = (self.anatomy, self.points, self.operator)
        return _stated(request, place, self.problem.leakage, self.listeners)


def prepare_task(request: PlanRequest, progress: Progress, listeners: Listeners) -> PlanTask:
    """Choose points, trace rays, state the problem.

    Parameters
    ----------
    request : PlanRequest
        What is wanted.
    progress : callable
        Told what is being done.
    listeners : Listeners
        Kept in the task.
    """
    targets = [item.structure for item in request.course.prescriptions]
    masks = cut_to_body(request.masks, request.body, targets, request.grid)
    request = replace(request, masks=masks)
    anatomy = Anatomy.build(request.grid, masks, request.body, request.course.prescriptions)
    points = plan_points(request, anatomy)
    progress("tracing rays and building the dose operator", 0.0)
    operator = plan_operator(request, anatomy, points)
    leakage = leakage_of(request, operator)
    return _stated(request, (anatomy, points, operator), leakage, listeners)


def _stated(
    request: PlanRequest,
    place: tuple[Anatomy, Points, PencilBeamOperator],
    leakage: SweepLeakage | None,
    listeners: Listeners,
) -> PlanTask:
    """State objectives, caps and levels."""
    anatomy, points, operator = place
    problem, findings = _problem(request, anatomy, points, operator, leakage)
    weights = request.objectives
    levels, judged = goal_levels(request.goals, anatomy, points, weights, request.n_fractions)
    if levels:
        ranked = {term.name for level in levels for term in level.terms}
        rest = tuple(term for term in problem.terms if term.name not in ranked)
        problem = replace(problem, terms=rest)
    return PlanTask(request, *place, problem, levels, (*findings, *judged), listeners)


def plan_points(request: PlanRequest, anatomy: Anatomy) -> Points:
    """Choose the voxels that the optimiser looks at."""
    names = {item.structure for item in request.course.prescriptions}
    names |= {cap.structure for cap in request.organ_caps}
    names |= {cap.structure for cap in request.physical_caps}
    # A bound on a sample is none, and of a sample the hottest part is not the hottest.
    whole = {item.goal.structure for item in request.goals if _needs_all_voxels(item.goal)}
    names |= (whole & set(request.masks)) - {request.body.name}
    leaned_on = [
        cap.drawn.leaned_on(request.masks[cap.structure], request.grid)
        for cap in request.organ_caps
        if cap.drawn is not None and cap.drawn.is_maximum
    ]
    return choose_points(
        request.grid,
        body=request.body,
        complete=[*(request.masks[name] for name in sorted(names)), *leaned_on],
        shell_distance_mm=anatomy.nearest_target_mm(),
        shell_mm=SHELL_MM,
        keep_one_in=KEEP_ONE_IN,
        seed=request.settings.seed,
    )


def _needs_all_voxels(goal: Goal) -> bool:
    """Return whether a goal is of no use on a sample of the voxels of its structure."""
    hottest = {MetricKind.MAX, MetricKind.DOSE_AT_VOLUME}
    is_of_hottest = goal.at_most is not None and parse_metric(goal.metric).kind in hottest
    return goal.is_hard or is_of_hottest


def plan_operator(request: PlanRequest, anatomy: Anatomy, points: Points) -> PencilBeamOperator:
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
        caps = organ_caps(
            anatomy,
            points,
            request.organ_caps,
            n_fractions,
            with_edges=request.robustness is None,
        )
    caps = (*caps, *physical_hard_caps(anatomy, points, request.physical_caps))
    bounds, spent, said = hard_bounds(request.goals, anatomy, points, weights, n_fractions)
    terms += [term for term in spent if term.name not in {other.name for other in terms}]
    problem = Problem(operator, tuple(terms), caps=caps, value_caps=bounds, leakage=leakage)
    problem = replace(problem, fluence_terms=_fluence_terms(request, problem, operator))
    return problem, [*findings, *said]


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
