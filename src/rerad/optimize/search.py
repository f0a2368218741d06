r"""The search behind :func:`rerad.optimize.solve`: steps, multipliers, looks at the whole patient.

The unknowns are :math:`y = x / S` with :math:`S_j = (A^T W A 1)_j^{-1/2}`, where `W` holds the
typical second derivatives of the objectives by dose: a diagonal that costs one forward and one
adjoint product and saves a third to two thirds of the iterations. Multipliers are updated every
few steps, long before the penalised problem is solved; what was learned of the curvature is kept.

Every few steps the dose is calculated at all points; between, at those that bend the objective
(:mod:`rerad.optimize.working_set`).
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from rerad.errors import ConvergenceError, InputError
from rerad.optimize.constraints import Multipliers
from rerad.optimize.lbfgs import CurvatureMemory, Place, bounded_step
from rerad.optimize.problem import Problem
from rerad.optimize.terms import Floats
from rerad.optimize.working_set import WorkingSets

STIFFEST = 3.0
"""Where growth of the caps' stiffness ends, in units of the scaled problem's own bend."""

SUM_STIFFNESS, STIFFEST_SUM = 5.0, 100.0
"""Stiffness of bounds on sums of objectives, first and last, relative to the objective at the
start."""

N_PROBES = 6
"""Random fluences that tell how strongly capped points feel the beamlets."""

SLOW = 0.6
"""An update of the multipliers that leaves more than this share of the excess calls for stiffer
caps. Stiffness is dear: it bends the problem, and the search crawls long before the optimum."""

STILL = 2.0
"""The objective is at rest between updates of the multipliers when it moves by no more than so
many times the relative tolerance."""

FREE_STEPS = 20
"""Steps between looks at the whole patient where no multipliers have to be updated."""

MARGIN_SHARE, MOST_MARGIN_GY = 0.25, 0.2
LEAST_MARGIN_GY = 0.05
"""Doses are never expected to change by less until the next look at the whole patient. This
chooses which points are calculated meanwhile, not what is found."""

Progress = Callable[[int, float], None]
"""Called with the number of evaluations so far and the objective."""

Watch = Callable[[Floats, Floats], bool | None]
"""Called with the fluence in MU and the dose in Gy where the search is; True ends it there."""


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
        Pairs of steps and changes of the gradient that are kept.
    cap_tolerance_gy : float
        Largest excess over a hard cap, in Gy of physical dose.
    sum_tolerance : float
        Largest excess over a bound of a sum of objectives, as a share of it.
    cap_stiffness : float
        First stiffness of the caps, relative to that at which one capped point bends the scaled
        problem as much as the objectives do.
    cap_growth : float
        Factor on the stiffness where an update left the excess nearly as it was; see `STIFFEST`.
    cap_interval : int
        Steps between updates of the multipliers.
    keeps_stiffness : bool
        Whether multipliers to start from bring the stiffness that they were found at. Without, it
        begins at `cap_stiffness`: right where they belong to a problem of other weights, since
        caps that are stiff from the first step hold a search where it is.
    """

    max_evaluations: int = 500
    relative_tolerance: float = 7e-4
    patience: int = 10
    memory: int = 50
    cap_tolerance_gy: float = 0.02
    sum_tolerance: float = 2e-3
    cap_stiffness: float = 0.05
    cap_growth: float = 1.5
    cap_interval: int = 15
    keeps_stiffness: bool = True

    def __post_init__(self) -> None:
        counts = (self.max_evaluations, self.patience, self.memory, self.cap_interval)
        tolerances = (self.relative_tolerance, self.cap_tolerance_gy, self.sum_tolerance)
        sizes = (*tolerances, self.cap_stiffness)
        if min(counts) < 1 or min(sizes) <= 0 or self.cap_growth < 1:
            msg = f"expected counts of 1 or more and tolerances above 0, got {self}"
            raise InputError(msg)


def _scale(problem: Problem, size: float) -> Floats:
    """Return S: the inverse root of the row sums of the Hessian, floored where it is flat.

    Bounds on sums bend the problem as their objectives do, with a weight that is known only at the
    end; until then each counts as if its bound were worth the objective's own `size`.
    """
    ones = np.ones(problem.operator.n_beamlets)
    curvature = problem.curvature_by_dose()
    for bound in problem.value_caps:
        for part in bound.terms:
            curvature[part.indices] += size / bound.at_most * part.curvature()
    spread = curvature * problem.operator.forward(ones)
    diagonal = np.asarray(problem.operator.adjoint(spread), dtype=np.float64)
    for term in problem.fluence_terms:
        diagonal = diagonal + term.curvature()
    floor = 1e-6 * float(diagonal.max(initial=0.0))
    if floor <= 0:
        return ones
    return np.asarray(1.0 / np.sqrt(np.maximum(diagonal, floor)))


class Search:
    """One minimisation in scaled unknowns; knows how often it evaluated and where it is.

    Parameters
    ----------
    problem : Problem
        What to minimise.
    settings : SolveSettings
        When to stop.
    first : ndarray of shape (n_beamlets,)
        First fluence.
    listeners : tuple of (Progress or None, Watch or None)
        Who is told.
    """

    def __init__(
        self,
        problem: Problem,
        settings: SolveSettings,
        first: Floats,
        listeners: tuple[Progress | None, Watch | None],
    ) -> None:
        self.problem = problem
        self.settings = settings
        self.progress, self.watch = listeners
        self.fluence_mu = first
        self.dose_gy = problem.dose_gy(first)
        self.size = max(abs(problem.value_by_dose(self.dose_gy)[0]), 1e-12)
        self.scale = _scale(problem, self.size)
        self.n_evaluations = 0
        self.multipliers: Multipliers | None = None
        self.is_enough = False
        self.stiffest = self.stiffest_sum = np.inf
        self.history: list[tuple[int, float]] = []
        self._memory = CurvatureMemory(settings.memory, len(first))
        self._upper = np.inf if problem.upper_mu is None else problem.upper_mu / self.scale
        self._sets = WorkingSets(problem)
        self._small: tuple[Problem, Multipliers | None] | None = None
        self._change_gy = np.inf
        self._is_divided = True

    def run(self, multipliers: Multipliers | None) -> bool:
        """Search until nothing moves and the caps hold; return whether it came to that."""
        self.multipliers = multipliers
        place = self._look(self.fluence_mu / self.scale)
        return self._free(place) if multipliers is None else self._capped(place)

    def ended(self, is_settled: bool) -> str:
        """Return why and after how many evaluations the search ended, in words."""
        end = "objective settled" if is_settled else "budget of evaluations spent"
        if self.is_enough:
            end = "good enough"
        return f"{end} after {self.n_evaluations} evaluations"

    def _walk(self, place: Place, n_steps: int, values: deque[float]) -> tuple[Place, bool]:
        """Take steps until the objective settles; True if it did within steps and budget."""
        settings = self.settings
        for _ in range(n_steps):
            if self.n_evaluations >= settings.max_evaluations:
                return place, False
            reached = bounded_step(place, self._evaluate, self._memory, self._upper)
            if reached is None:
                # Where an objective has corners, what was learned on one side may mislead.
                if self._memory.forget():
                    continue
                return place, True
            place = reached
            values.append(place.value)
            self.history.append((self.n_evaluations, place.value))
            if self.progress is not None:
                self.progress(self.n_evaluations, place.value)
            is_full = len(values) > settings.patience
            fall = values[0] - place.value
            if is_full and fall <= settings.relative_tolerance * abs(place.value):
                return place, True
        return place, False

    def _free(self, place: Place) -> bool:
        """Walk without caps, and look at the whole patient every few steps."""
        settings = self.settings
        values = self._window(place)
        while self.n_evaluations < settings.max_evaluations:
            start = place
            place, is_still = self._walk(start, FREE_STEPS, values)
            if self._arrive(place):
                return True
            hoped, place = place.value, self._look(place.unknowns)
            if self._has_risen(start, place.value):
                place, values = self._go_back(start), self._window(start)
                continue
            missed = abs(place.value - hoped)
            if is_still and missed <= settings.relative_tolerance * abs(place.value):
                return True
            # What the look found beyond the tangents is no rise of the search's own.
            values = deque((value + place.value - hoped for value in values), values.maxlen)
        return False

    def _capped(self, place: Place) -> bool:
        """Walk a few steps, update the multipliers, and again."""
        settings, worst, sums = self.settings, np.inf, np.inf
        objectives: deque[float] = deque(maxlen=3)
        n_held = 0
        while self.n_evaluations < settings.max_evaluations and self.multipliers is not None:
            before, start = self.n_evaluations, place
            place, _ = self._walk(start, settings.cap_interval, self._window(start))
            if self._arrive(place):
                return True
            held, dose = self.multipliers, self.dose_gy
            objective = self._objective()
            if self._has_risen(start, objective + held.value_and_gradient(dose)[0]):
                place = self._go_back(start)
                continue
            now, now_sum = held.violation_gy(dose), held.sum_violation(dose)
            is_held = now <= settings.cap_tolerance_gy and now_sum <= settings.sum_tolerance
            growth = 1.0 if is_held or now <= SLOW * worst else settings.cap_growth
            sum_growth = 1.0 if is_held or now_sum <= SLOW * sums else settings.cap_growth
            worst, sums = now, now_sum
            objectives.append(objective)
            n_held = n_held + 1 if is_held else 0
            if n_held >= 2 and self._is_still(objectives, held.slack_cost(dose)):
                return True
            growth = min(growth, max(1.0, self.stiffest / held.stiffness))
            if held.sum_stiffness > self.stiffest_sum:
                sum_growth = 1.0
            self.multipliers = held.updated(dose, growth, sum_growth)
            place = self._look(place.unknowns)
            if self.n_evaluations <= before + 1 and n_held >= 2:
                return True  # no step is left
        return False

    def _has_risen(self, start: Place, value: float) -> bool:
        """Return whether what was minimised rose on the whole, though not at the points chosen."""
        allowed = 0.1 * self.settings.relative_tolerance * abs(start.value)
        return self._is_divided and value > start.value + allowed

    def _go_back(self, start: Place) -> Place:
        """Return to where the tangents were made, and go on with all points from now on."""
        self._is_divided = False
        self._arrive(start)
        return self._look(start.unknowns)

    def _window(self, place: Place) -> deque[float]:
        """Return the values over which the fall is judged."""
        return deque([place.value], maxlen=self.settings.patience + 1)

    def _is_still(self, objectives: deque[float], slack_cost: float) -> bool:
        """Return whether the objective moves no more and multipliers belong to tight caps."""
        size = abs(objectives[-1])
        limit = STILL * self.settings.relative_tolerance * size
        moved = max(objectives) - min(objectives)
        return len(objectives) == 3 and moved <= limit and slack_cost <= limit

    def _arrive(self, place: Place) -> bool:
        """Take over where the search is, with the dose at all points; True if it is enough."""
        self.fluence_mu = place.unknowns * self.scale
        if self.problem.upper_mu is not None:
            self.fluence_mu = np.minimum(self.fluence_mu, self.problem.upper_mu)
        before, self.dose_gy = self.dose_gy, self.problem.dose_gy(self.fluence_mu)
        self._change_gy = float(np.abs(self.dose_gy - before).max())
        if self.watch is not None:
            self.is_enough = bool(self.watch(self.fluence_mu, self.dose_gy))
        return self.is_enough

    def _objective(self) -> float:
        """Return the sum of all objectives where the search is, without caps."""
        value = self.problem.value_by_dose(self.dose_gy)[0]
        for term in self.problem.fluence_terms:
            value += term.value_and_gradient(self.fluence_mu)[0]
        return value

    def _look(self, scaled: Floats) -> Place:
        """Evaluate where the search has arrived, and choose the points to go on with."""
        self._small = None
        if self._is_divided:
            margin_gy = max(LEAST_MARGIN_GY, min(MOST_MARGIN_GY, MARGIN_SHARE * self._change_gy))
            self._small = self._sets.choose(self.dose_gy, margin_gy, self.multipliers)
        return Place(scaled, *self._evaluate(scaled))

    def _evaluate(self, scaled: Floats) -> tuple[float, Floats]:
        self.n_evaluations += 1
        problem, held = self._small or (self.problem, self.multipliers)
        fluence = scaled * self.scale
        dose = problem.dose_gy(fluence)
        value, by_dose = problem.value_by_dose(dose)
        if held is not None:
            penalty, push = held.value_and_gradient(dose)
            value, by_dose = value + penalty, by_dose + push
        gradient = problem.by_fluence(fluence, by_dose)
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


def _cap_curvature(problem: Problem, scale: Floats) -> float:
    """Return the stiffness at which one capped point bends the scaled problem by one.

    A cap with dose :math:`a^T S y` bends it by the stiffness times :math:`|S a|^2`, which random
    signs tell without the rows: the mean of :math:`(a^T S z)^2` over a few z. Of the points, the
    hundredth that the beams reach most is taken.
    """
    if not problem.caps:
        return 1.0
    where = np.unique(np.concatenate([cap.indices for cap in problem.caps]))
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (N_PROBES, problem.operator.n_beamlets))
    squares = sum(np.asarray(problem.operator.forward(scale * z))[where] ** 2 for z in signs)
    reached = float(np.quantile(np.asarray(squares) / N_PROBES, 0.99))
    return 1.0 / reached if reached > 0 else 1.0


def first_multipliers(search: Search, given: Multipliers | None) -> Multipliers:
    """Return the multipliers to begin with: those given, or zero at the first stiffness."""
    problem, settings = search.problem, search.settings
    unit = _cap_curvature(problem, search.scale)
    search.stiffest = STIFFEST * unit
    if given is not None:
        sizes = [len(values) for values in given.values]
        if sizes != [len(cap.indices) for cap in problem.caps]:
            msg = f"expected multipliers for {len(problem.caps)} caps of this problem, got {sizes}"
            raise InputError(msg)
        if settings.keeps_stiffness and len(given.sums) == len(problem.value_caps):
            return replace(given, caps=problem.caps, sums=problem.value_caps)
    search.stiffest_sum = STIFFEST_SUM * search.size
    first = Multipliers.start(
        problem.caps,
        settings.cap_stiffness * unit,
        problem.value_caps,
        SUM_STIFFNESS * search.size,
    )
    if given is None:
        return first
    # Multipliers of another problem are a beginning; its stiffness is in other units.
    has_sums = len(given.sums) == len(problem.value_caps)
    sum_values = given.sum_values if has_sums else first.sum_values
    return replace(first, values=given.values, sum_values=sum_values)
