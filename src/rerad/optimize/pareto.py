r"""Plans that cannot be better in one goal without being worse in another: two or three goals.

Sandwich algorithm [1]_ [2]_: after one plan for each goal alone, the next plan minimises the sum
of goals weighted by the normal of that facet of the plans' convex hull below which most may still
lie. The hull is an inner approximation of the Pareto surface (every convex combination of plans
is a plan, and its goals are at most the combination of theirs), the half-spaces
:math:`w \cdot F \ge \min_x w \cdot F(x)` are an outer one. A weighted sum finds every plan of a
convex surface, and the middle of a facet is a plan already, so that each solve starts there:
close by, with multipliers, and never above the facet.

What is always wanted (the objectives and caps of the problem itself) counts in every goal,
:math:`F_k = f_k + r`, with weights that sum to one; so the bounds are bounds. What must not be
given up however little another goal weighs, such as some coverage, belongs there. Bounds are as
sharp as the solves: each stops a little above its minimum.

References
----------
.. [1] Craft (2010), Phys. Med. 26, 184, doi:10.1016/j.ejmp.2009.11.005 (its abstract was read:
   error of discrete Pareto surfaces of convex problems; plans needed grow at most linearly).
.. [2] Bokrantz & Forsgren (2011), TRITA-MAT-2011-OS3 (its abstract was read).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from rerad.errors import ComputationError, InputError
from rerad.optimize.constraints import Multipliers
from rerad.optimize.pareto_facets import least_beyond, lower_facets
from rerad.optimize.pareto_result import ParetoSet, ranges_of
from rerad.optimize.problem import Problem
from rerad.optimize.search import SolveSettings
from rerad.optimize.solve import Solution, solve
from rerad.optimize.terms import DoseTerm, Floats
from rerad.optimize.weighted import Weighted

ParetoProgress = Callable[[int, int, float], None]
"""Called with the number of plans, the number wanted, and the gap (NaN for the first)."""


_DEPTH = 10.0
"""The first plans' goals are counted from where they would be if so many times the probed change
came off: half of what dose makes of them, so that tolerances are shares of that and not of what
was there before."""

STIFFER = 4.0
"""Caps of a plan between others, whose multipliers are nearly right, over those of the first."""

_FLOOR = 0.1
"""Goals are minimised counted from so many ranges below their best, never from a far zero."""


_PROBE = 0.05
"""Share by which the first fluence is lowered to see by how much goals change."""


@dataclass(frozen=True, eq=False, slots=True)
class ParetoGoal:
    """One axis of the trade.

    Parameters
    ----------
    name : str
        What to call it.
    terms : tuple of DoseTerm
        Convex objectives whose sum is the goal, less being better.
    unit : str
        Of the sum, for plots; empty if it has none.

    Raises
    ------
    InputError
        If there is no objective, or one says that it is not convex: then neither combinations of
        plans nor bounds hold.
    """

    name: str
    terms: tuple[DoseTerm, ...]
    unit: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        if not self.terms:
            msg = f"goal {self.name}: expected at least one objective, got none"
            raise InputError(msg)
        bent = [term.name for term in self.terms if not getattr(term, "is_convex", True)]
        if bent:
            msg = (
                f"goal {self.name}: expected convex objectives, got {', '.join(bent)}; use their "
                "convex surrogate"
            )
            raise InputError(msg)

    def value(self, dose_gy: Floats) -> float:
        """Return the goal for the dose of all points."""
        return sum(term.value_and_gradient(dose_gy[term.indices])[0] for term in self.terms)


@dataclass(frozen=True, slots=True)
class ParetoSettings:
    """How many plans, and how well each is solved; none of it is a clinical number.

    Parameters
    ----------
    n_plans : int
        At most, the single goals' included.
    gap : float
        Enough when inner and outer approximation are nowhere further apart, in ranges of the
        goals.
    least_weight : float
        Of the other goals when one is minimised: a little, so that they do not get worse for
        nothing.
    solve : SolveSettings
        Of each plan; loose, because each starts close by.
    """

    n_plans: int = 20
    gap: float = 0.005
    least_weight: float = 0.02
    solve: SolveSettings = field(
        default_factory=lambda: SolveSettings(
            max_evaluations=300,
            relative_tolerance=2e-3,
            patience=10,
            cap_interval=10,
            keeps_stiffness=False,
        )
    )

    def __post_init__(self) -> None:
        if self.n_plans < 2 or not self.gap > 0 or not 0 < self.least_weight < 0.3:
            msg = f"expected at least 2 plans, a gap above 0 and a weight of 0 to 0.3, got {self}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class _Plan:
    """One plan of the surface, while it is being found."""

    fluence_mu: NDArray[np.float32]
    values: Floats
    base_value: float
    weights: Floats
    violation_gy: float
    n_evaluations: int
    multipliers: Multipliers | None

    @property
    def totals(self) -> Floats:
        """Goals with what is always wanted."""
        return self.values + self.base_value


class _Surface:
    """The plans so far, and how to make another."""

    def __init__(
        self, problem: Problem, goals: Sequence[ParetoGoal], settings: ParetoSettings
    ) -> None:
        self.problem, self.goals, self.settings = problem, goals, settings
        self.plans: list[_Plan] = []
        self.floors = np.zeros(len(goals))

    def values_of(self, fluence: Floats) -> tuple[Floats, float]:
        """Return the goals and what is always wanted."""
        dose = self.problem.dose_gy(fluence)
        base = self.problem.value_by_dose(dose)[0]
        base += sum(t.value_and_gradient(fluence)[0] for t in self.problem.fluence_terms)
        return np.array([goal.value(dose) for goal in self.goals]), base

    def add(
        self,
        weights: Floats,
        start: Floats,
        multipliers: Multipliers | None,
        *,
        stiffer: float = 1.0,
    ) -> None:
        """Solve for weights, scaled here to a sum of one, and keep the plan.

        Caps may be stiffer from the first step where the start is close.
        """
        weights = weights / weights.sum()
        weighted = [
            Weighted(term, float(weight), float(floor) if number == 0 else 0.0)
            for goal, weight, floor in zip(self.goals, weights, self.floors, strict=True)
            for number, term in enumerate(goal.terms)
        ]
        problem = replace(self.problem, terms=(*self.problem.terms, *weighted))
        how = self.settings.solve
        how = replace(how, cap_stiffness=stiffer * how.cap_stiffness)
        found: Solution = solve(problem, how, start=start, multipliers=multipliers)
        fluence = found.fluence_mu.astype(np.float32)
        values, base = self.values_of(fluence.astype(np.float64))
        self.plans.append(
            _Plan(
                fluence,
                values,
                base,
                weights,
                found.cap_violation_gy,
                found.n_evaluations,
                found.multipliers,
            )
        )

    def add_between(self, weights: Floats, members: Sequence[int]) -> None:
        """Solve from the middle of some plans."""
        plans = [self.plans[member] for member in members]
        start = np.mean([plan.fluence_mu for plan in plans], axis=0, dtype=np.float64)
        held = [plan.multipliers for plan in plans if plan.multipliers is not None]
        multipliers = _mean_multipliers(held) if held else None
        self.add(weights, np.asarray(start), multipliers, stiffer=STIFFER)

    def scaled(self) -> tuple[Floats, Floats, Floats]:
        """Return plans, normals and bounds of the supports, in ranges of the goals from the best.

        Each plan's support is the half-space ``normal @ z >= bound``; normals sum to one.
        """
        totals = np.array([plan.totals for plan in self.plans])
        least, extent = totals.min(axis=0), ranges_of(totals)
        normals = np.array([plan.weights for plan in self.plans]) * extent
        normals = normals / normals.sum(axis=1, keepdims=True)
        points = (totals - least) / extent
        return points, normals, (normals @ points.T).min(axis=1)


def _mean_multipliers(given: Sequence[Multipliers]) -> Multipliers:
    """Return the mean of multipliers of the same caps."""
    values = zip(*(held.values for held in given), strict=True)
    sums = zip(*(held.sum_values for held in given), strict=True)
    return replace(
        given[0],
        values=tuple(np.asarray(np.mean(parts, axis=0)) for parts in values),
        sum_values=tuple(float(np.mean(parts)) for parts in sums),
    )


def pareto_set(
    problem: Problem,
    goals: Sequence[ParetoGoal],
    settings: ParetoSettings,
    *,
    start: Floats,
    progress: ParetoProgress | None = None,
) -> ParetoSet:
    """Find plans that spread over the trade between two or three goals.

    Parameters
    ----------
    problem : Problem
        What is always wanted, and the caps that every plan keeps; without the goals' objectives.
    goals : sequence of ParetoGoal
        Two or three.
    settings : ParetoSettings
        How many plans, and how close.
    start : ndarray of shape (n_beamlets,)
        Fluence to start from: a plan made for a middle of the goals.
    progress : callable or None
        Told after every plan.

    Returns
    -------
    ParetoSet
        In the order found, the first for one goal each; plans that another one betters in every
        goal (because a solve stopped early) are left out.

    Raises
    ------
    InputError
        If there are fewer than two or more than three goals, or names repeat.
    ComputationError
        If a goal has no finite value, or does not change when all dose falls a little.
    """
    if not 2 <= len(goals) <= 3 or len({goal.name for goal in goals}) != len(goals):
        names = ", ".join(goal.name for goal in goals)
        msg = f"expected two or three goals of different names, got {names or 'none'}"
        raise InputError(msg)
    surface = _Surface(problem, goals, settings)
    _anchors(surface, np.asarray(start, dtype=np.float64), progress)
    gap = np.nan
    while True:
        gap, weights, members = _widest(surface)
        if progress is not None:
            progress(len(surface.plans), settings.n_plans, gap)
        if len(surface.plans) >= settings.n_plans or weights is None or gap <= settings.gap:
            break
        surface.add_between(weights, members)
    return _frozen(surface, gap)


def _anchors(surface: _Surface, start: Floats, progress: ParetoProgress | None) -> None:
    """Minimise each goal nearly alone.

    Until there are plans to measure the trade by, goals are counted relative to what they change
    by when all dose falls by a little.
    """
    values, _ = surface.values_of(start)
    lower, _ = surface.values_of((1.0 - _PROBE) * start)
    size = np.abs(values - lower)
    surface.floors = values - _DEPTH * size
    if not np.all(np.isfinite(size)) or np.any(size <= 0):
        msg = (
            f"expected goals that change when the first fluence falls by {100 * _PROBE:g} %, got "
            f"{values.tolist()} and {lower.tolist()}"
        )
        raise ComputationError(msg)
    multipliers = None
    for number in range(len(values)):
        weights = np.full(len(values), surface.settings.least_weight)
        weights[number] = 1.0 - surface.settings.least_weight * (len(values) - 1)
        surface.add(weights / size, start, multipliers)
        multipliers = surface.plans[-1].multipliers
        if progress is not None:
            progress(len(surface.plans), surface.settings.n_plans, np.nan)
    found = np.array([plan.values for plan in surface.plans])
    surface.floors = found.min(axis=0) - _FLOOR * ranges_of(found)


def _widest(surface: _Surface) -> tuple[float, Floats | None, list[int]]:
    """Return where the approximations are furthest apart: gap, weights for a plan, its members."""
    points, normals, bounds = surface.scaled()
    extent = ranges_of(np.array([plan.totals for plan in surface.plans]))
    widest: tuple[float, Floats | None, list[int]] = (0.0, None, [])
    for normal, offset, members in lower_facets(points):
        weights = np.maximum(normal, surface.settings.least_weight)
        weights = weights / weights.sum()
        if np.any(np.abs(normals - weights).max(axis=1) < 1e-3):
            continue  # solved already
        gap = offset - least_beyond(normal, normals, bounds, points.max(axis=0))
        if gap > widest[0]:
            widest = (gap, weights / extent, members)
    return widest


def _frozen(surface: _Surface, gap: float) -> ParetoSet:
    """Return the plans as a set, without those that another one betters in every goal."""
    totals = np.array([plan.totals for plan in surface.plans])
    is_best = [not np.any(np.all(totals < total, axis=1)) for total in totals]
    plans = [plan for plan, keep in zip(surface.plans, is_best, strict=True) if keep]
    weights = np.array([plan.weights for plan in plans])
    return ParetoSet(
        goals=tuple(goal.name for goal in surface.goals),
        units=tuple(goal.unit for goal in surface.goals),
        fluences_mu=np.array([plan.fluence_mu for plan in plans]),
        values=np.array([plan.values for plan in plans]),
        base_values=np.array([plan.base_value for plan in plans]),
        weights=weights,
        bounds=(weights @ totals.T).min(axis=1),
        cap_violations_gy=np.array([plan.violation_gy for plan in plans]),
        n_evaluations=np.array([plan.n_evaluations for plan in plans]),
        gap=float(gap),
    )
