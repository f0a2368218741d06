r"""Minimise a fluence problem: L-BFGS-B in scaled unknowns, caps by an augmented Lagrangian.

The unknowns are :math:`y = x / S` with :math:`S_j = (A^T W A 1)_j^{-1/2}`, where `W` holds the
typical second derivatives of the objectives by dose: a diagonal that costs one forward and one
adjoint product and saves a third to two thirds of the iterations.

References
----------
.. [1] Byrd, Lu, Nocedal & Zhu (1995), SIAM J. Sci. Comput. 16, 1190, doi:10.1137/0916069.
"""

import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from rerad.errors import ConvergenceError, InputError
from rerad.optimize.constraints import Multipliers
from rerad.optimize.problem import Problem, uniform_start_mu
from rerad.optimize.terms import Floats

logger = logging.getLogger(__name__)

Progress = Callable[[int, float], None]
"""Called with the number of evaluations so far and the objective."""


@dataclass(frozen=True, slots=True)
class SolveSettings:
    """When to stop, and how much to remember; none of it is a clinical number.

    Parameters
    ----------
    max_evaluations : int
        Evaluations of objective and gradient (one forward and one adjoint product each).
    relative_tolerance : float
        Stop when the objective fell by less than this share over `patience` iterations.
    patience : int
        Iterations over which the fall is judged.
    memory : int
        Pairs that L-BFGS keeps.
    cap_tolerance_gy : float
        Largest excess over a hard cap, in Gy of physical dose.
    cap_stiffness : float
        First stiffness of the caps, relative to the mean curvature of the objectives at points
        that any of them looks at.
    cap_growth : float
        Factor on the stiffness where an outer iteration did not cut the excess to a quarter.
    max_cap_updates : int
        Updates of the multipliers.
    """

    max_evaluations: int = 500
    relative_tolerance: float = 1e-4
    patience: int = 10
    memory: int = 30
    cap_tolerance_gy: float = 0.02
    cap_stiffness: float = 20.0
    cap_growth: float = 2.0
    max_cap_updates: int = 30

    def __post_init__(self) -> None:
        counts = (self.max_evaluations, self.patience, self.memory, self.max_cap_updates)
        sizes = (self.relative_tolerance, self.cap_tolerance_gy, self.cap_stiffness)
        if min(counts) < 1 or min(sizes) <= 0 or self.cap_growth < 1:
            msg = f"expected counts of 1 or more and tolerances above 0, got {self}"
            raise InputError(msg)


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
    search = _Search(problem, settings, _first_fluence(problem, start), progress)
    multipliers = _capped(search, multipliers) if problem.caps else None
    is_settled = search.settled if multipliers is not None else search.minimise(None)
    fluence = search.fluence_mu
    dose = problem.dose_gy(fluence)
    values = problem.term_values(fluence)
    violation = 0.0 if multipliers is None else multipliers.violation_gy(dose)
    holds = violation <= settings.cap_tolerance_gy
    is_converged = is_settled and holds
    return Solution(
        fluence_mu=fluence,
        dose_gy=dose,
        objective=sum(values.values()),
        term_values=values,
        n_evaluations=search.n_evaluations,
        seconds=time.perf_counter() - began,
        is_converged=is_converged,
        status=_status(is_settled, violation, holds, search.n_evaluations),
        cap_violation_gy=violation,
        cap_multipliers={}
        if multipliers is None
        else {c.name: v for c, v in zip(multipliers.caps, multipliers.values, strict=True)},
        history=tuple(search.history),
        multipliers=multipliers,
    )


def _status(is_settled: bool, violation_gy: float, holds: bool, n_evaluations: int) -> str:
    end = "objective settled" if is_settled else "budget of evaluations spent"
    caps = "" if violation_gy == 0 else f"; largest excess over a cap {violation_gy:.3f} Gy"
    missed = "" if holds else " (more than allowed)"
    return f"{end} after {n_evaluations} evaluations{caps}{missed}"


def _first_fluence(problem: Problem, start: NDArray[np.float64] | None) -> Floats:
    n_beamlets = problem.operator.n_beamlets
    if start is None:
        return np.full(n_beamlets, uniform_start_mu(problem))
    first = np.array(start, dtype=np.float64)
    if first.shape != (n_beamlets,) or not np.all(np.isfinite(first)) or np.any(first < 0):
        msg = f"expected a start of {n_beamlets} fluences of 0 MU or more, got {first.shape}"
        raise InputError(msg)
    return first if problem.upper_mu is None else np.minimum(first, problem.upper_mu)


def _scale(problem: Problem) -> Floats:
    """Return S: the inverse root of the row sums of the Hessian, floored where it is flat."""
    ones = np.ones(problem.operator.n_beamlets)
    spread = problem.curvature_by_dose() * problem.operator.forward(ones)
    diagonal = np.asarray(problem.operator.adjoint(spread), dtype=np.float64)
    for term in problem.fluence_terms:
        diagonal = diagonal + term.curvature()
    floor = 1e-6 * float(diagonal.max(initial=0.0))
    if floor <= 0:
        return ones
    return np.asarray(1.0 / np.sqrt(np.maximum(diagonal, floor)))


class _Search:
    """One minimisation in scaled unknowns; knows how often it evaluated and where it is."""

    def __init__(
        self, problem: Problem, settings: SolveSettings, first: Floats, progress: Progress | None
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.progress = progress
        self.scale = _scale(problem)
        self.fluence_mu = first
        self.n_evaluations = 0
        self.settled = False
        self.history: list[tuple[int, float]] = []

    def minimise(self, multipliers: Multipliers | None, tolerance: float | None = None) -> bool:
        """Run L-BFGS-B from where it is; return whether the objective settled."""
        settings = self.settings
        budget = settings.max_evaluations - self.n_evaluations
        if budget < 1:
            return False
        window: deque[float] = deque(maxlen=settings.patience + 1)
        limit = settings.relative_tolerance if tolerance is None else tolerance
        upper = None if self.problem.upper_mu is None else self.problem.upper_mu / self.scale

        def after_iteration(intermediate_result: optimize.OptimizeResult) -> None:
            value = float(intermediate_result.fun)
            window.append(value)
            self.history.append((self.n_evaluations, value))
            if self.progress is not None:
                self.progress(self.n_evaluations, value)
            if len(window) > settings.patience and window[0] - value <= limit * abs(value):
                raise StopIteration

        result = optimize.minimize(
            lambda y: self._evaluate(y, multipliers),
            self.fluence_mu / self.scale,
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(0.0, np.inf if upper is None else upper),
            callback=after_iteration,
            options={
                "maxcor": settings.memory,
                "maxfun": budget,
                "maxiter": budget,
                "ftol": 1e-15,
                "gtol": 1e-14,
            },
        )
        self.fluence_mu = np.maximum(result.x * self.scale, 0.0)
        if self.problem.upper_mu is not None:
            self.fluence_mu = np.minimum(self.fluence_mu, self.problem.upper_mu)
        logger.debug("L-BFGS-B: %s after %d evaluations", result.message, self.n_evaluations)
        return self.n_evaluations < settings.max_evaluations

    def _evaluate(self, scaled: Floats, multipliers: Multipliers | None) -> tuple[float, Floats]:
        self.n_evaluations += 1
        problem, fluence = self.problem, scaled * self.scale
        dose = problem.dose_gy(fluence)
        value, by_dose = problem.value_by_dose(dose)
        if multipliers is not None:
            penalty, push = multipliers.value_and_gradient(dose)
            value, by_dose = value + penalty, by_dose + push
        gradient = np.asarray(problem.operator.adjoint(by_dose), dtype=np.float64)
        for term in problem.fluence_terms:
            term_value, slope = term.value_and_gradient(fluence)
            value, gradient = value + term_value, gradient + slope
        if not np.isfinite(value):
            msg = (
                f"the objective became {value} after {self.n_evaluations} evaluations; check the "
                "dose operator for values that are not finite"
            )
            raise ConvergenceError(msg)
        return value, gradient * self.scale


def _first_multipliers(search: _Search, given: Multipliers | None) -> Multipliers:
    """Return the multipliers to begin with: those given, or zero at the first stiffness."""
    problem = search.problem
    if given is not None:
        sizes = [len(values) for values in given.values]
        if sizes != [len(cap.indices) for cap in problem.caps]:
            msg = f"expected multipliers for {len(problem.caps)} caps of this problem, got {sizes}"
            raise InputError(msg)
        return Multipliers(problem.caps, given.values, given.stiffness)
    curvature = problem.curvature_by_dose()
    seen = curvature[curvature > 0]
    unit = float(seen.mean()) if len(seen) else 1.0
    return Multipliers.start(problem.caps, search.settings.cap_stiffness * unit)


def _capped(search: _Search, given: Multipliers | None) -> Multipliers:
    """Outer iterations of the augmented Lagrangian; stops when caps hold and nothing moves."""
    problem, settings = search.problem, search.settings
    multipliers = _first_multipliers(search, given)
    violation = np.inf
    tolerance = (30 if given is None else 4) * settings.relative_tolerance
    for _ in range(settings.max_cap_updates):
        in_budget = search.minimise(multipliers, tolerance)
        dose = problem.dose_gy(search.fluence_mu)
        objective = abs(problem.value_by_dose(dose)[0])
        now = multipliers.violation_gy(dose)
        growth = 1.0 if now <= 0.25 * violation else settings.cap_growth
        is_held = now <= settings.cap_tolerance_gy
        multipliers = multipliers.updated(dose, 1.0 if is_held else growth)
        is_tight = multipliers.slack_cost(dose) <= 10 * settings.relative_tolerance * objective
        is_fine = tolerance <= settings.relative_tolerance * (1 + 1e-9)
        if is_held and is_tight and is_fine:
            search.settled = in_budget
            break
        if not in_budget:
            break
        violation = now
        tolerance = max(settings.relative_tolerance, tolerance / 4)
    return multipliers
