"""Minimise a fluence problem: quasi-Newton in scaled unknowns, caps by an augmented Lagrangian."""

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.optimize.constraints import Multipliers
from rerad.optimize.problem import Problem, uniform_start_mu
from rerad.optimize.search import Progress, Search, SolveSettings, Watch, first_multipliers
from rerad.optimize.terms import Floats


@dataclass(frozen=True, eq=False, slots=True)
class Solution:
    """What a solve found.

    Parameters
    ----------
    fluence_mu : ndarray of shape (n_beamlets,)
        Fluence over all fractions.
    dose_gy : ndarray of shape (n_points,)
        Physical dose of the new plan, background included.
    objective : float
        Sum of all objectives, without caps.
    term_values : dict of str to float
        Value of each objective.
    n_evaluations : int
        Evaluations used.
    seconds : float
        Wall-clock time.
    is_converged : bool
        Whether the criterion was met (and the caps hold), not the budget.
    status : str
        In words.
    cap_violation_gy : float
        Largest excess over a hard cap; 0 without caps.
    sum_violation : float
        Largest excess over a bound of a sum of objectives, as a share of it; 0 without.
    cap_multipliers : dict of str to ndarray
        For each cap the fall of the objective per Gy of tolerance at each point.
    history : tuple of (int, float)
        Evaluations and what was minimised after each iteration: the objective, and with hard
        caps their penalty too.
    multipliers : Multipliers or None
        Of the caps, to start the next solve from; None without caps.
    """

    fluence_mu: Floats
    dose_gy: Floats
    objective: float
    term_values: dict[str, float]
    n_evaluations: int
    seconds: float
    is_converged: bool
    status: str
    cap_violation_gy: float = 0.0
    sum_violation: float = 0.0
    cap_multipliers: dict[str, Floats] = field(default_factory=dict)
    history: tuple[tuple[int, float], ...] = ()
    multipliers: Multipliers | None = None


def solve(
    problem: Problem,
    settings: SolveSettings,
    *,
    start: NDArray[np.float64] | None = None,
    multipliers: Multipliers | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Solution:
    """Find the fluence of least objective that respects bounds and caps.

    Parameters
    ----------
    problem : Problem
        What to minimise.
    settings : SolveSettings
        When to stop.
    start : ndarray of shape (n_beamlets,) or None
        First fluence, for a warm start; None takes the uniform one of :func:`uniform_start_mu`.
    multipliers : Multipliers or None
        Those of an earlier solution with the same caps, for a warm start.
    progress : callable or None
        Called after each iteration with evaluations so far and objective.
    watch : callable or None
        Called every few iterations with fluence and dose, to show or keep them; if it answers
        True, what is there is good enough and the search ends.

    Returns
    -------
    Solution
        Also where the budget ran out: see `is_converged` and `status`.

    Raises
    ------
    InputError
        If `start` or `multipliers` do not fit.
    ConvergenceError
        If the objective is not a number: the operator or a term is broken.
    """
    began = time.perf_counter()
    search = Search(problem, settings, _first_fluence(problem, start), (progress, watch))
    is_bounded = bool(problem.caps or problem.value_caps)
    held = first_multipliers(search, multipliers) if is_bounded else None
    is_settled = search.run(held)
    fluence, dose = search.fluence_mu, search.dose_gy
    values = problem.term_values(fluence)
    held = search.multipliers
    violation = 0.0 if held is None else held.violation_gy(dose)
    sum_violation = 0.0 if held is None else held.sum_violation(dose)
    holds = violation <= settings.cap_tolerance_gy and sum_violation <= settings.sum_tolerance
    return Solution(
        fluence_mu=fluence,
        dose_gy=dose,
        objective=sum(values.values()),
        term_values=values,
        n_evaluations=search.n_evaluations,
        seconds=time.perf_counter() - began,
        is_converged=is_settled and holds,
        status=_status(search.ended(is_settled), (violation, sum_violation), holds),
        cap_violation_gy=violation,
        sum_violation=sum_violation,
        cap_multipliers={}
        if held is None
        else {c.name: v for c, v in zip(held.caps, held.values, strict=True)},
        history=tuple(search.history),
        multipliers=held,
    )


def _status(end: str, violations: tuple[float, float], holds: bool) -> str:
    caps = "" if violations[0] == 0 else f"; largest excess over a cap {violations[0]:.3f} Gy"
    if violations[1] > 0:
        caps += f"; largest excess over a hard goal or earlier level {100 * violations[1]:.2f} %"
    missed = "" if holds else " (more than allowed)"
    return f"{end}{caps}{missed}"


def _first_fluence(problem: Problem, start: NDArray[np.float64] | None) -> Floats:
    n_beamlets = problem.operator.n_beamlets
    if start is None:
        return np.full(n_beamlets, uniform_start_mu(problem))
    first = np.array(start, dtype=np.float64)
    if first.shape != (n_beamlets,) or not np.all(np.isfinite(first)) or np.any(first < 0):
        msg = f"expected a start of {n_beamlets} fluences of 0 MU or more, got {first.shape}"
        raise InputError(msg)
    return first if problem.upper_mu is None else np.minimum(first, problem.upper_mu)
