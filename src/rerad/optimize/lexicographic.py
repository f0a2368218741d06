r"""Goals by priority: each level as good as it can be, without taking back what came before.

Level `k` minimises its objectives :math:`f_k` under the hard caps and

.. math:: f_j \le \max\{(1 + \delta_j) f_j^*, \epsilon_j\}, \qquad j < k,

where :math:`f_j^*` is what level `j` reached. All of it is convex where the objectives are. What
has a lower priority joins each level with a small weight, so that among equally good fluences the
one is taken that later levels want. The last level minimises the problem's own objectives.

References
----------
.. [1] Breedveld, Storchi & Heijmen (2009), Phys. Med. Biol. 54, 7199,
   doi:10.1088/0031-9155/54/23/011: prioritised optimisation (cited from memory).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.errors import InputError
from rerad.optimize.constraints import Multipliers, ValueCap
from rerad.optimize.problem import Problem, uniform_start_mu
from rerad.optimize.search import Progress, SolveSettings, Watch
from rerad.optimize.solve import Solution, solve
from rerad.optimize.terms import DoseTerm, Floats, checked_positive
from rerad.optimize.weighted import Weighted


@dataclass(frozen=True, eq=False, slots=True)
class Level:
    """Objectives of one priority.

    Parameters
    ----------
    name : str
        What to call it.
    terms : tuple of DoseTerm
        Convex objectives; their sum counts.
    slack : float
        Share by which the level may be worse than it could be, for the sake of later ones.
    reached : float
        Sum at which the level counts as reached, above 0: its bound is never below it, so that
        later levels are not held to perfection.

    Raises
    ------
    InputError
        If there is no objective or a number is out of range.
    """

    name: str
    terms: tuple[DoseTerm, ...]
    slack: float
    reached: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", tuple(self.terms))
        checked_positive(self.name, "sum at which it counts as reached", self.reached)
        if not self.terms or not 0 <= self.slack < np.inf:
            msg = f"level {self.name}: expected objectives and a slack of 0 or more"
            raise InputError(msg)

    def value(self, dose_gy: Floats) -> float:
        """Return the sum of the objectives for the dose at all points."""
        return sum(term.value_and_gradient(dose_gy[term.indices])[0] for term in self.terms)


@dataclass(frozen=True, slots=True)
class LevelOutcome:
    """What came of a level.

    Parameters
    ----------
    name : str
        Of the level.
    best : float
        Sum of its objectives when it was worked on.
    bound : float
        What it was held to afterwards.
    final : float
        Sum at the end.
    n_evaluations : int
        Spent on it.
    """

    name: str
    best: float
    bound: float
    final: float
    n_evaluations: int


@dataclass(frozen=True, eq=False, slots=True)
class LevelsSolution:
    """What a lexicographic optimisation found.

    Parameters
    ----------
    solution : Solution
        Of the last level.
    levels : tuple of LevelOutcome
        In order of priority; the problem's own objectives are not among them.
    """

    solution: Solution
    levels: tuple[LevelOutcome, ...]

    @property
    def n_evaluations(self) -> int:
        """Evaluations of all levels and the last."""
        return self.solution.n_evaluations + sum(item.n_evaluations for item in self.levels)


LOOSER = 2.0
"""How much more loosely a level settles than the last one does."""

LOOSER_BOUNDS = 5.0
"""How much further caps and earlier levels may be exceeded until then; the last one holds them."""

LATER_WEIGHT = 0.01
"""Of objectives of lower priority while a level is worked on."""


def solve_levels(
    problem: Problem,
    levels: Sequence[Level],
    settings: SolveSettings,
    *,
    start: Floats | None = None,
    multipliers: Multipliers | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> LevelsSolution:
    """Minimise level by level.

    Parameters
    ----------
    problem : Problem
        Its caps hold at every level; its own objectives are the last level.
    levels : sequence of Level
        Highest priority first; names differ from each other's.
    settings : SolveSettings
        Of the last level, and its budget. Each earlier level has half of it and settles twice as
        loosely: what it is held to afterwards has a slack anyway. It ends as soon as it counts as
        reached while all that was settled before holds: its bound would be the same.
    start : ndarray of shape (n_beamlets,) or None
        First fluence, for a warm start.
    multipliers : Multipliers or None
        Of an earlier run with the same caps.
    progress, watch : callable or None
        As for :func:`rerad.optimize.solve`.

    Returns
    -------
    LevelsSolution
    """
    fluence = _uniform(problem, levels) if start is None else start
    done: list[tuple[Level, LevelOutcome]] = []
    bounds = problem.value_caps
    looser = replace(
        settings,
        relative_tolerance=LOOSER * settings.relative_tolerance,
        cap_tolerance_gy=LOOSER_BOUNDS * settings.cap_tolerance_gy,
        sum_tolerance=LOOSER_BOUNDS * settings.sum_tolerance,
        max_evaluations=max(1, settings.max_evaluations // 2),
    )
    for number, level in enumerate(levels):
        later = [term for item in levels[number + 1 :] for term in item.terms]
        stage = replace(
            problem,
            terms=(*level.terms, *_faint([*later, *problem.terms])),
            value_caps=bounds,
        )
        is_reached = _until_reached(level, stage, looser, watch)
        dose_gy, n_evaluations = problem.dose_gy(fluence), 1
        if not is_reached(fluence, dose_gy):
            solution = solve(
                stage,
                looser,
                start=fluence,
                multipliers=_without_sums(multipliers),
                progress=progress,
                watch=is_reached,
            )
            fluence, multipliers = solution.fluence_mu, solution.multipliers
            dose_gy, n_evaluations = solution.dose_gy, solution.n_evaluations
        best = level.value(dose_gy)
        bound = max((1.0 + level.slack) * best, level.reached)
        bounds = (*bounds, ValueCap(f"level {level.name}", level.terms, bound))
        done.append((level, LevelOutcome(level.name, best, bound, best, n_evaluations)))
    last = solve(
        replace(problem, value_caps=bounds),
        settings,
        start=fluence,
        multipliers=_without_sums(multipliers),
        progress=progress,
        watch=watch,
    )
    outcomes = tuple(replace(item, final=level.value(last.dose_gy)) for level, item in done)
    return LevelsSolution(last, outcomes)


def _until_reached(
    level: Level, stage: Problem, settings: SolveSettings, watch: Watch | None
) -> Watch:
    """Return who ends a level once it counts as reached and caps and earlier levels hold."""
    held = Multipliers.start(stage.caps, 1.0, stage.value_caps)

    def is_reached(fluence_mu: Floats, dose_gy: Floats) -> bool:
        is_over = watch is not None and watch(fluence_mu, dose_gy)
        return bool(is_over) or (
            level.value(dose_gy) <= level.reached
            and held.violation_gy(dose_gy) <= settings.cap_tolerance_gy
            and held.sum_violation(dose_gy) <= settings.sum_tolerance
        )

    return is_reached


def _uniform(problem: Problem, levels: Sequence[Level]) -> Floats:
    """Return the same fluence in all beamlets, after what targets of any level want."""
    terms = [term for level in levels for term in level.terms]
    every = replace(problem, terms=(*terms, *problem.terms))
    return np.full(problem.operator.n_beamlets, uniform_start_mu(every))


def _faint(terms: Sequence[DoseTerm]) -> tuple[DoseTerm, ...]:
    return tuple(Weighted(term, LATER_WEIGHT) for term in terms)


def _without_sums(multipliers: Multipliers | None) -> Multipliers | None:
    """Forget the multipliers of sums: at the next level they mean something else."""
    if multipliers is None:
        return None
    return replace(multipliers, sums=(), sum_values=())
