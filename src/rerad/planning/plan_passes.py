"""The steps that every way of making a plan shares: optimise, sequence, recalculate, compare."""

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Finding, Machine, Plan, Severity
from rerad.optimize import (
    Level,
    LevelOutcome,
    Multipliers,
    Problem,
    Solution,
    SolveSettings,
    ValueCap,
    Watch,
    solve,
    solve_levels,
)
from rerad.planning.agreement import agreement
from rerad.planning.inputs import Progress
from rerad.planning.leaves import sequence, wanted_fluence
from rerad.planning.levels import HARD
from rerad.planning.pass_record import PlanState
from rerad.planning.plan_task import PlanTask
from rerad.planning.result import PassAgreement
from rerad.sequencing import complexity

Floats = NDArray[np.float64]

SLACK_GY = 0.1
"""A point so far below its cap is not held by it."""

STIFFER = 10.0
"""Factor on the stiffness of caps that still do not hold, each time."""

STIFFENED_AFTER = 45
"""Evaluations at least before caps become stiffer once more: three updates of multipliers."""


@dataclass(frozen=True, eq=False, slots=True)
class Delivered:
    """A leaf sequence and the dose that it really gives.

    Parameters
    ----------
    plan : Plan
        Leaves.
    dose : Dose
        Final physical dose on the dose grid.
    at_points_gy : ndarray of shape (n_points,)
        The same at the optimiser's points.
    findings : tuple of Finding
        Beams that are not in it.
    """

    plan: Plan
    dose: Dose
    at_points_gy: Floats
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class PlanRun:
    """Where the passes of an optimisation ended.

    Parameters
    ----------
    solution : Solution
        Of the last pass.
    levels : tuple of LevelOutcome
        Of the last pass.
    delivered : Delivered
        Its leaf sequence.
    passes : tuple of PassAgreement
        Of all passes.
    state : PlanState
        To go on from.
    cost : Problem
        What leaves are refined on, at the points without shift.
    held : Multipliers or None
        Caps of `cost` with what they push.
    """

    solution: Solution
    levels: tuple[LevelOutcome, ...]
    delivered: Delivered
    passes: tuple[PassAgreement, ...]
    state: PlanState
    cost: Problem
    held: Multipliers | None


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


@dataclass(frozen=True, eq=False, slots=True)
class Start:
    """Where an optimisation begins, and how far it may go.

    Parameters
    ----------
    fluence_mu : ndarray of shape (n_beamlets,) or None
        First open times.
    multipliers : Multipliers or None
        Of the caps of the problem.
    n_evaluations : int
        At most, at every level.
    n_more : int
        At most so many beyond, as long as a cap or a hard goal is exceeded; with levels, at the
        last of them.
    """

    fluence_mu: Floats | None
    multipliers: Multipliers | None
    n_evaluations: int
    n_more: int = 0


@dataclass(slots=True)
class _UntilHeld:
    """Lets a search go on beyond its evaluations until the caps hold; passes on what is told."""

    problem: Problem
    how: SolveSettings
    n_least: int
    told: SolverProgress
    watch: Watch | None
    n_done: int = 0
    is_ended: bool = False

    def progress(self, n_done: int, objective: float) -> None:
        """Count evaluations."""
        self.n_done = n_done
        self.told(n_done, objective)

    def look(self, fluence_mu: Floats, dose_gy: Floats) -> bool:
        """Return whether the search may end."""
        is_enough = bool(self.watch(fluence_mu, dose_gy)) if self.watch is not None else False
        is_held = _holds(self.problem, self.how, dose_gy)
        self.is_ended = self.n_done >= self.n_least and is_held
        return is_enough or self.is_ended


def optimise(
    problem: Problem,
    levels: tuple[Level, ...],
    start: Start,
    told: SolverProgress,
    watch: Watch | None,
) -> tuple[Solution, tuple[LevelOutcome, ...]]:
    """Find the fluence, level by level where goals have priorities.

    Parameters
    ----------
    problem : Problem
        What is wanted.
    levels : tuple of Level
        May be empty.
    start : Start
        Where to begin.
    told : SolverProgress
        Told how it goes.
    watch : callable or None
        Told of fluence and dose.
    """
    how = SolveSettings(max_evaluations=start.n_evaluations)
    told = replace(told, n_evaluations=start.n_evaluations * (len(levels) + 1))
    start = _without_slack(problem, start)
    if not levels:
        return _until_held(problem, how, start, told, watch), ()
    by_level = solve_levels(
        problem,
        levels,
        how,
        start=start.fluence_mu,
        multipliers=start.multipliers,
        progress=told,
        watch=watch,
    )
    found, outcomes = by_level.solution, by_level.levels
    if not start.n_more or _holds(problem, how, found.dose_gy):
        return found, outcomes
    more = _held_with_levels(problem, levels, outcomes, (found, how, start.n_more), (told, watch))
    pairs = zip(levels, outcomes, strict=True)
    outcomes = tuple(replace(b, final=a.value(more.dose_gy)) for a, b in pairs)
    return _counted(more, found.n_evaluations + more.n_evaluations), outcomes


def _without_slack(problem: Problem, start: Start) -> Start:
    """Forget multipliers of points that are below their cap where the search begins.

    Caps that rose since the multipliers were found would go on holding dose down: multipliers
    fall in proportion to the slack only, more slowly than searches last.
    """
    held, fluence = start.multipliers, start.fluence_mu
    if held is None or fluence is None:
        return start
    dose = problem.dose_gy(fluence)
    values = tuple(
        np.where(dose[cap.indices] < cap.max_dose_gy - SLACK_GY, 0.0, pushed)
        for cap, pushed in zip(problem.caps, held.values, strict=True)
    )
    return replace(start, multipliers=replace(held, values=values))


def _held_with_levels(
    problem: Problem,
    levels: tuple[Level, ...],
    outcomes: tuple[LevelOutcome, ...],
    so_far: tuple[Solution, SolveSettings, int],
    listeners: tuple[SolverProgress, Watch | None],
) -> Solution:
    """Go on at the last of the levels until the caps hold; those before keep what they reached.

    A level that ran out of evaluations while a cap was exceeded may have reached what the caps do
    not allow. Where half of the evaluations do not hold them, the levels become objectives that
    are only wanted, for the other half: limits come before goals.
    """
    found, how, n_more = so_far
    pairs = zip(levels, outcomes, strict=True)
    bounds = (
        *problem.value_caps,
        *(ValueCap(f"level {a.name}", a.terms, b.bound) for a, b in pairs),
    )
    first = Start(found.fluence_mu, found.multipliers, 0, max(1, n_more // 2))
    more = _until_held(replace(problem, value_caps=bounds), how, first, *listeners)
    if _holds(problem, how, more.dose_gy):
        return more
    wanted = (*(term for level in levels for term in level.terms), *problem.terms)
    second = Start(more.fluence_mu, None, 0, n_more)
    last = _until_held(replace(problem, terms=wanted), how, second, *listeners)
    held = last.multipliers
    if held is not None:
        forces = (*held.sum_values, *(0.0 for _ in levels))
        held = replace(held, sums=bounds, sum_values=forces)
    last = replace(last, multipliers=held)
    return _counted(last, more.n_evaluations + last.n_evaluations)


def _until_held(
    problem: Problem,
    how: SolveSettings,
    start: Start,
    told: SolverProgress,
    watch: Watch | None,
) -> Solution:
    """Solve, and go on beyond the evaluations as long as a cap is exceeded and more are left.

    A cap far below what the rest of the plan gives there is slow to hold: its multiplier grows
    with the excess. Where half of what is left does not do it, what is exceeded becomes stiffer:
    caps, or bounds.
    """
    told_of = (told, watch)
    if not start.n_more:
        return _searched(problem, how, start, told_of)
    first = replace(start, n_more=max(1, start.n_more // 2))
    found = _searched(problem, how, first, told_of)
    held, n_done = found.multipliers, found.n_evaluations
    while held is not None and not _holds(problem, how, found.dose_gy):
        n_left = start.n_evaluations + start.n_more - n_done
        if n_left < 1:
            break
        if found.cap_violation_gy > how.cap_tolerance_gy:
            held = replace(held, stiffness=STIFFER * held.stiffness)
        else:
            held = replace(held, sum_stiffness=STIFFER * held.sum_stiffness)
        n_next = min(n_left, max(STIFFENED_AFTER, first.n_more // 2))
        again = _searched(problem, how, Start(found.fluence_mu, held, 0, n_next), told_of)
        n_done += again.n_evaluations
        found, held = _counted(again, n_done), again.multipliers
    return found


def _holds(problem: Problem, how: SolveSettings, dose_gy: Floats) -> bool:
    """Return whether caps and hard goals hold; what levels of priority reached is a wish."""
    hard = tuple(bound for bound in problem.value_caps if HARD in bound.name)
    held = Multipliers.start(problem.caps, 1.0, hard)
    is_held = held.violation_gy(dose_gy) <= how.cap_tolerance_gy
    return is_held and held.sum_violation(dose_gy) <= how.sum_tolerance


def _counted(found: Solution, n_evaluations: int) -> Solution:
    """Return a solution that counts the evaluations of the searches before it too."""
    own, all_of = f"after {found.n_evaluations} ", f"after {n_evaluations} "
    status = found.status.replace(own, all_of)
    return replace(found, n_evaluations=n_evaluations, status=status)


def _searched(
    problem: Problem,
    how: SolveSettings,
    start: Start,
    told_of: tuple[SolverProgress, Watch | None],
) -> Solution:
    """Solve once; with more evaluations allowed, until the caps hold."""
    told, watch = told_of
    if not start.n_more:
        return solve(
            problem,
            how,
            start=start.fluence_mu,
            multipliers=start.multipliers,
            progress=told,
            watch=watch,
        )
    how = replace(how, max_evaluations=start.n_evaluations + start.n_more)
    until = _UntilHeld(problem, how, start.n_evaluations, told, watch)
    found = solve(
        problem,
        how,
        start=start.fluence_mu,
        multipliers=start.multipliers,
        progress=until.progress,
        watch=until.look,
    )
    if until.is_ended:
        status = found.status.replace("good enough", "budget of evaluations spent")
        found = replace(found, is_converged=False, status=status)
    return found


def deliver(task: PlanTask, open_mu: Floats) -> Delivered:
    """Turn open times into leaves and calculate what these really give.

    Parameters
    ----------
    task : PlanTask
        Beams, machine and points.
    open_mu : ndarray of shape (n_beamlets,)
        Open times over all fractions.
    """
    wanted = wanted_fluence(task.request, task.operator, task.problem.leakage, open_mu)
    plan, unused = sequence(task.request, wanted)
    dose, final = task.recalculate(plan)
    return Delivered(plan, dose, final, tuple(unused))


def pass_agreement(task: PlanTask, seen_gy: Floats, final_gy: Floats) -> PassAgreement:
    """Compare what the optimiser saw with the final dose in targets and limited organs."""
    request = task.request
    targets = {item.structure for item in request.course.prescriptions}
    organs = {cap.structure for cap in request.organ_caps}
    organs = (organs | {cap.structure for cap in request.physical_caps}) - targets
    return agreement(
        seen_gy,
        final_gy,
        task.points,
        targets={name: request.masks[name] for name in sorted(targets)},
        organs={name: request.masks[name] for name in sorted(organs)},
    )


def unsettled(solution: Solution) -> tuple[Finding, ...]:
    """Say where the optimiser stopped before its time."""
    if solution.is_converged:
        return ()
    text = (
        f"The optimiser stopped before it had settled ({solution.status}). The verdicts are "
        "of the final dose all the same; more evaluations may improve the plan."
    )
    return (Finding(Severity.NOTE, "optimiser-not-settled", text),)


def complexity_of(plan: Plan, machine: Machine) -> dict[str, float]:
    """Return the plan's own measures of complexity by name."""
    measured = complexity(plan, machine)
    values = {item.name: getattr(measured, item.name) for item in fields(measured)}
    return {name: float(v) for name, v in values.items() if isinstance(v, int | float)}
