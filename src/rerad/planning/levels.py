"""Clinical goals as levels of priority and hard bounds for the optimiser.

What a goal asks of a dose distribution becomes a convex objective where there is one: the mean of
the hottest part for near-maxima, gEUD from an exponent of 1, the convex surrogate of a volume.
They are at least what the goal is judged by, so a level that is reached is a goal that is met; the
converse need not hold. What has no such objective is judged all the same, and said.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import DoseScope, Finding, Goal, Severity
from rerad.errors import InputError
from rerad.evaluation import Metric, MetricKind, parse_metric
from rerad.optimize import (
    Aim,
    CumulativeDose,
    DoseTerm,
    Geud,
    Level,
    MeanDose,
    Overdose,
    TailMean,
    Underdose,
    ValueCap,
    VolumeAbove,
    WorstCumulativeDose,
)
from rerad.planning.caps import corner_prior
from rerad.planning.inputs import ObjectiveSettings
from rerad.planning.plan_request import PlanGoal
from rerad.planning.points import Points
from rerad.planning.terms import Anatomy, counted_points, target_terms

LEVEL_SLACK = 0.02
"""Share by which a level may be worse than it could be, for the sake of later ones."""

REACHED_SHARE = 1e-4
"""Squared relative miss at which a level counts as reached: 1 % of the dose asked for."""

HARD = ", hard"
"""After the name of a goal's number where it is a bound."""


def goal_levels(
    goals: Sequence[PlanGoal],
    anatomy: Anatomy,
    points: Points,
    settings: ObjectiveSettings,
    n_fractions: int,
) -> tuple[tuple[Level, ...], list[Finding]]:
    """Return the levels of all goals with a priority, first priority first.

    Parameters
    ----------
    goals : sequence of PlanGoal
        Those without a priority are passed over.
    anatomy : Anatomy
        Structures, body and prescriptions.
    points : Points
        What the optimiser looks at.
    settings : ObjectiveSettings
        Importances within a level.
    n_fractions : int
        Of the new plan.

    Returns
    -------
    levels : tuple of Level
        Empty if no goal has a priority.
    findings : list of Finding
        Goals that cannot be worked on, only judged, or only where the earlier dose is known.
    """
    build = _GoalTerms(anatomy, points, settings, n_fractions)
    levels, findings = [], []
    seen: set[str] = set()
    stated: set[str] = set()
    for priority in sorted({g.goal.priority for g in goals if g.goal.priority is not None}):
        terms: list[DoseTerm] = []
        for item in goals:
            what = f"{item.goal.structure} {item.goal.text}"
            if item.goal.priority != priority or what in stated:
                continue  # what is said twice counts once
            stated.add(what)
            found = build.terms(item)
            if build.is_target_goal(item):  # a target's own terms come once
                found = [term for term in found if term.name not in seen]
            found = [
                replace(term, name=what) if term.name in seen else term  # type: ignore[type-var]
                for term in found
            ]
            seen.update(term.name for term in found)
            terms.extend(found)
            if not found and not build.is_target_goal(item):
                findings.append(_only_judged(item.goal))
            findings.extend(build.unknown_findings(item))
        if terms:
            reached = REACHED_SHARE * build.importance * len(terms)
            levels.append(Level(f"priority {priority}", tuple(terms), LEVEL_SLACK, reached))
    return tuple(levels), findings


def hard_bounds(
    goals: Sequence[PlanGoal],
    anatomy: Anatomy,
    points: Points,
    settings: ObjectiveSettings,
    n_fractions: int,
) -> tuple[tuple[ValueCap, ...], tuple[DoseTerm, ...], list[Finding]]:
    """Return hard goals on means, gEUD and volumes as bounds.

    Near-maxima in Gy are caps on every voxel elsewhere.

    Parameters
    ----------
    goals, anatomy, points, settings, n_fractions
        As for :func:`goal_levels`.

    Returns
    -------
    bounds : tuple of ValueCap
        Convex; a number relative to what it may be.
    terms : tuple of DoseTerm
        Objectives in the place of goals of which the earlier dose alone leaves nothing.
    findings : list of Finding
        Such goals, and those held for what is believed because the worst case leaves nothing.

    Raises
    ------
    InputError
        If a hard goal asks for more instead of less, or has no convex form.
    """
    build = _GoalTerms(anatomy, points, settings, n_fractions)
    bounds: list[ValueCap] = []
    terms: list[DoseTerm] = []
    findings: list[Finding] = []
    for item in goals:
        if not item.goal.is_hard or _is_capped(item.goal):
            continue
        term, before_gy = _hard_number(build, item), np.nan
        if item.corners and _without_dose(term) >= 1.0:
            item = replace(item, corners=())
            term, before_gy = _hard_number(build, item), _before_gy(term)
        if _without_dose(term) >= 1.0:
            findings.append(_spent(item.goal, _before_gy(term), is_worst=False))
            terms += build.terms(item)
            continue
        if not np.isnan(before_gy):
            findings.append(_spent(item.goal, before_gy, is_worst=True))
        bounds.append(ValueCap(f"{term.name}{HARD}", (term,), 1.0))
    return tuple(bounds), tuple(terms), findings


def _is_capped(goal: Goal) -> bool:
    """Return whether a hard goal is a cap on every voxel: near-maxima, but for percents."""
    return is_near_maximum(goal) and goal.unit == "Gy"


def _hard_number(build: "_GoalTerms", item: PlanGoal) -> TailMean | Geud | MeanDose:
    """Return the number that a hard goal bounds, relative to the bound, or raise `InputError`."""
    goal = item.goal
    if goal.at_most is None:
        msg = (
            f"goal {goal.structure} {goal.text}: only an upper bound can be a hard limit; a "
            "dose that a target must have may be impossible, so give it a priority instead"
        )
        raise InputError(msg)
    term = build.plain(item)
    if not isinstance(term, TailMean | Geud | MeanDose):
        msg = (
            f"goal {goal.structure} {goal.text}: it cannot be held as a hard limit; give it "
            "a priority instead"
        )
        raise InputError(msg)
    return term


def _without_dose(term: TailMean | Geud | MeanDose) -> float:
    """Return a bounded number where the new plan gives nothing; 1 is all that it may be."""
    return term.value_and_gradient(np.zeros(len(term.indices)))[0]


def _before_gy(term: TailMean | Geud | MeanDose) -> float:
    return _without_dose(term) * term.aim.scale_gy


def _spent(goal: Goal, before_gy: float, *, is_worst: bool) -> Finding:
    """Say that what was given before leaves nothing of a hard goal."""
    what = f"{goal.structure} {goal.text}: without any new dose the number that is held is"
    if is_worst:
        text = (
            f"{what} {before_gy:.1f} Gy in the worst case of the earlier dose, which leaves "
            "nothing; this hard goal was held for the earlier dose as mapped only."
        )
        return Finding(Severity.CAUTION, "worst-case-not-held", text, goal.structure)
    text = (
        f"{what} {before_gy:.1f} Gy already, so no plan can hold this hard goal; it was worked "
        "on as an objective instead. Correct it, or accept that it is exceeded."
    )
    return Finding(Severity.SERIOUS, "hard-goal-spent", text, goal.structure)


def goal_number(
    item: PlanGoal,
    anatomy: Anatomy,
    points: Points,
    settings: ObjectiveSettings,
    n_fractions: int,
) -> TailMean | Geud | MeanDose | None:
    """Return the number in Gy that a goal bounds from above; None where it is not convex.

    Parameters
    ----------
    item : PlanGoal
        With an upper bound on a dose.
    anatomy, points, settings, n_fractions
        As for :func:`goal_levels`.
    """
    term = _GoalTerms(anatomy, points, settings, n_fractions).plain(item)
    if not isinstance(term, TailMean | Geud | MeanDose):
        return None
    return replace(term, aim=Aim(1.0, 1.0))


def is_near_maximum(goal: Goal) -> bool:
    """Return whether a goal bounds the dose of a small hot part, so that every voxel is capped."""
    metric = parse_metric(goal.metric)
    if goal.at_most is None:
        return False
    if metric.kind is MetricKind.MAX:
        return True
    small = 2.0  # cc or percent: what reports call a near-maximum
    return metric.kind is MetricKind.DOSE_AT_VOLUME and metric.size <= small


def _only_judged(goal: Goal) -> Finding:
    text = (
        f"{goal.structure} {goal.text}: the optimiser cannot work on this goal directly; the plan "
        "is judged by it all the same."
    )
    return Finding(Severity.NOTE, "goal-only-judged", text, goal.structure)


class _GoalTerms:
    """Makes objectives of goals on one anatomy."""

    def __init__(
        self, anatomy: Anatomy, points: Points, settings: ObjectiveSettings, n_fractions: int
    ) -> None:
        self.anatomy, self.points, self.settings = anatomy, points, settings
        self.n_fractions = n_fractions
        self.importance = settings.organ_importance or settings.target_importance
        self._of_targets = target_terms(anatomy, points, settings)

    def is_target_goal(self, item: PlanGoal) -> bool:
        """Return whether a goal is about a prescribed target, whose terms come once."""
        return item.goal.structure in {p.structure for p in self.anatomy.prescriptions}

    def terms(self, item: PlanGoal) -> list[DoseTerm]:
        """Return what a goal asks for as objectives; none where there is no convex one."""
        goal = item.goal
        if self.is_target_goal(item):
            return [
                term for term in self._of_targets if term.name.startswith(f"{goal.structure} ")
            ]
        if goal.at_least is not None:
            return self._at_least(item)
        term = self._at_most(item, is_plain=False)
        return [] if term is None else [term]

    def plain(self, item: PlanGoal) -> DoseTerm | None:
        """Return the number that a goal bounds, relative to the bound; None if not convex."""
        return self._at_most(item, is_plain=True)

    def _at_least(self, item: PlanGoal) -> list[DoseTerm]:
        """Return lack of dose where a structure that is no prescribed target shall have some."""
        goal = item.goal
        metric = parse_metric(goal.metric)
        where, volume = self._points_of(goal.structure)
        kinds = (MetricKind.DOSE_AT_VOLUME, MetricKind.MIN, MetricKind.MEAN)
        if metric.kind not in kinds or goal.scope is DoseScope.CUMULATIVE or not len(where):
            return []
        dose_gy = self._dose_gy(item, goal.at_least or 0.0)
        name = f"{goal.structure} {goal.metric}"
        return [Underdose(name, where, volume, dose_gy, self.settings.target_importance)]

    def _at_most(self, item: PlanGoal, *, is_plain: bool) -> DoseTerm | None:
        goal = item.goal
        metric = parse_metric(goal.metric)
        bound = goal.at_most or 0.0
        name = f"{goal.structure} {goal.metric}"
        if goal.scope is DoseScope.CUMULATIVE:
            name += " EQD2"
        if metric.kind is MetricKind.BEYOND:
            return None if is_plain else self._beyond(item, metric, name)
        if goal.structure not in self.anatomy.masks:
            return None
        where, volume, cumulative = self._cumulative_points(item)
        if not len(where):
            return None
        if metric.kind is MetricKind.VOLUME_AT_DOSE:
            share = bound / 100.0 if goal.unit == "%" else bound / self._volume_cc(volume)
            term = self._volume(metric, name, (where, volume, cumulative), share, item)
            return replace(term, aim=Aim(1.0, term.aim.scale_gy)) if term and is_plain else term
        limit = self._dose_gy(item, bound)
        if not limit > 0:
            return None
        aim = Aim(1.0, limit) if is_plain else Aim(self.importance, limit, limit)
        if metric.kind is MetricKind.GENERALIZED_MEAN:
            if metric.size < 1:
                return None
            return Geud(name, where, volume, metric.size, aim, cumulative)
        if metric.kind is MetricKind.MEAN:
            if cumulative is None:
                return MeanDose(name, where, volume, aim)
            return TailMean(name, where, volume, 1.0, aim, cumulative=cumulative)
        hot = self._hot_share(metric, volume)
        if hot is None:
            return None
        return TailMean(name, where, volume, hot, aim, cumulative=cumulative)

    def _volume(
        self,
        metric: Metric,
        name: str,
        place: tuple[NDArray[np.int64], NDArray[np.float64], CumulativeDose | None],
        share: float,
        item: PlanGoal,
    ) -> TailMean | None:
        """Return the convex surrogate of a volume that shall not exceed a dose."""
        dose_gy = metric.size
        if metric.size_unit == "%":
            dose_gy = metric.size / 100.0 * (item.prescription_gy or 0.0)
        if not 0 < share < 1 or not dose_gy > 0:
            return None
        where, volume, cumulative = place
        of_volume = VolumeAbove(name, where, volume, dose_gy, share, self.importance, cumulative)
        return of_volume.convex_surrogate()

    def _beyond(self, item: PlanGoal, metric: Metric, name: str) -> DoseTerm | None:
        """Return over-dose at a distance from the targets (`D2cm`: metric size in cm)."""
        where, volume = self.points.of_mask(self.anatomy.body)
        away = self.points.sample(self.anatomy.nearest_target_mm())[where] >= 10.0 * metric.size
        limit = self._dose_gy(item, item.goal.at_most or 0.0)
        if not away.any() or not limit > 0:
            return None
        return Overdose(name, where[away], volume[away], limit, self.importance)

    def _hot_share(self, metric: Metric, volume: NDArray[np.float64]) -> float | None:
        """Return the hottest share of the volume that a metric looks at."""
        if metric.kind is MetricKind.MAX:
            return min(1.0, float(volume.max() / volume.sum()))
        if metric.kind is not MetricKind.DOSE_AT_VOLUME:
            return None
        if metric.size_unit == "%":
            return min(1.0, metric.size / 100.0)
        return min(1.0, metric.size / self._volume_cc(volume))

    def _volume_cc(self, volume: NDArray[np.float64]) -> float:
        return float(volume.sum()) * self.anatomy.grid.voxel_volume_cc

    def _dose_gy(self, item: PlanGoal, value: float) -> float:
        """Return a dose of a goal in Gy."""
        if item.goal.unit != "%":
            return value
        return value / 100.0 * (item.prescription_gy or 0.0)

    def _points_of(
        self, name: str, *, excludes_targets: bool = False
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        mask = self.anatomy.masks.get(name)
        if mask is None:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        return counted_points(self.anatomy, self.points, mask, excludes_targets=excludes_targets)

    def _goal_points(self, item: PlanGoal) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return points and volumes where a goal counts: not where its breach is accepted."""
        return self._points_of(item.goal.structure, excludes_targets=item.excludes_targets)

    def unknown_findings(self, item: PlanGoal) -> list[Finding]:
        """Say where a goal is not worked on because nobody knows what was given before."""
        if item.prior is None or item.goal.scope is DoseScope.PLAN:
            return []
        where, volume = self._goal_points(item)
        is_unknown = np.isnan(self.points.sample(item.prior.values)[where])
        if not np.any(is_unknown):
            return []
        goal, unknown_cc = item.goal, self._volume_cc(volume[is_unknown])
        text = (
            f"{goal.structure} {goal.text}: the earlier dose is unknown in about "
            f"{unknown_cc:.1f} cc; the optimiser could not work on this goal there."
        )
        return [Finding(Severity.CAUTION, "goal-not-worked-on", text, goal.structure)]

    def _cumulative_points(
        self, item: PlanGoal
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], CumulativeDose | None]:
        """Return points and volumes of a goal's structure, with its earlier dose where it counts.

        Voxels whose earlier dose is unknown cannot be worked on and are left out. In a robust plan
        it is the worst that may have been given; where only that is unknown, what is believed.
        """
        where, volume = self._goal_points(item)
        if item.goal.scope is DoseScope.PLAN or item.goal.alpha_beta_gy is None:
            return where, volume, None
        prior = np.zeros(len(where))
        if item.prior is not None:
            prior = self.points.sample(item.prior.values)[where]
        is_known = ~np.isnan(prior)
        where, volume = where[is_known], volume[is_known]
        alpha_beta = item.goal.alpha_beta_gy
        believed = CumulativeDose(prior[is_known], alpha_beta, self.n_fractions)
        if not item.corners:
            return where, volume, believed
        corners = []
        for corner in item.corners:
            there = corner_prior(corner, self.points, where)
            there = np.where(np.isnan(there), believed.prior_eqd2_gy, there)
            corners.append(CumulativeDose(there, corner.alpha_beta_gy, self.n_fractions))
        worst = WorstCumulativeDose(
            believed.prior_eqd2_gy, alpha_beta, self.n_fractions, tuple(corners)
        )
        return where, volume, worst
