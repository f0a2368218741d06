"""What tolerance is left: every published limit against every assumption that cannot be excluded.

A limit is compared only with the sum that it was made for: a limit on the raw sum with no
recovery factor, a limit on the discounted sum with the factor of the chosen table. Where the
interval since the earlier course is unknown, every interval class is shown and the plan is made
under the one that leaves least.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.accumulation import discount
from rerad.core import (
    Dose,
    DoseScope,
    Finding,
    Goal,
    RecordGrade,
    Severity,
    Structure,
)
from rerad.evaluation import Dvh, dvh, evaluate_metric, metric_bounds, parse_metric
from rerad.planning.history import recorded_priors, require_alpha_beta, sum_grade
from rerad.planning.inputs import LimitChoice, PlanningInputs
from rerad.planning.result import BudgetRow, BudgetScenario, PriorCourse
from rerad.radiobiology import (
    Assumption,
    Limit,
    assumptions_for,
    limits_for,
    organ_of,
    physical_from_eqd2,
)
from rerad.structures import EndSlab, recognized_organ


@dataclass(frozen=True, eq=False, slots=True)
class OrganLimit:
    """The limit that an organ is planned and judged under.

    Parameters
    ----------
    structure : str
        Name in the structure set.
    goal : Goal
        The limit as a clinical goal.
    recovery_fraction : float
        Taken off every earlier course of unknown or matching interval; 0 for a raw sum.
    prior : Dose or None
        Earlier EQD2 after that recovery; None if there was no earlier course with a dose.
    grade : RecordGrade or None
        Poorest record that `prior` stands on; None if nothing was given before.
    """

    structure: str
    goal: Goal
    recovery_fraction: float
    prior: Dose | None
    grade: RecordGrade | None = None


def goal_of(structure: str, limit: Limit) -> Goal:
    """Return a published limit as a goal for one structure."""
    return Goal(
        structure=structure,
        metric=limit.metric,
        scope=DoseScope.CUMULATIVE,
        unit="Gy",
        at_most=limit.limit_gy,
        alpha_beta_gy=limit.alpha_beta_gy,
        recovery_basis=limit.recovery_basis,
        citation=limit.citation,
        trust=limit.trust,
        note=limit.consensus or limit.condition,
    )


def limited_structures(inputs: PlanningInputs) -> list[tuple[Structure, str]]:
    """Return the drawn organs that the tables of limits know, with the organ's key.

    A name that is not in the tables but is a known spelling of one that is (``Sacral plexus
    right`` for ``SacralPlex_R``) counts as that organ; `spelling_findings` says so.
    """
    found = []
    for structure in inputs.structures.structures:
        organ = limit_organ(structure.name)
        if organ is not None and not structure.is_empty and not structure.kind.is_target:
            found.append((structure, organ))
    return found


def limit_organ(name: str) -> str | None:
    """Return the organ of the tables of limits that a structure name means, or None."""
    organ = organ_of(name)
    if organ is None:
        standard = recognized_organ(name)
        organ = organ_of(standard) if standard is not None else None
    return organ


def spelling_findings(inputs: PlanningInputs) -> list[Finding]:
    """Say which structures were taken for an organ by another spelling of its name."""
    return [
        Finding(
            Severity.CAUTION,
            "name-taken-for-organ",
            f"{structure.name} was taken for {organ}, and its limits applied; rename it to the "
            f"TG-263 name if that is right.",
            structure.name,
        )
        for structure, organ in limited_structures(inputs)
        if organ_of(structure.name) is None
    ]


def shortest_interval_months(inputs: PlanningInputs) -> float | None:
    """Return months since the latest earlier course; None if any interval is unknown."""
    intervals = [prior.interval_months for prior in inputs.priors]
    known = [interval for interval in intervals if interval is not None]
    return min(known) if known and len(known) == len(intervals) else None


def required_alpha_betas_gy(inputs: PlanningInputs) -> tuple[float, ...]:
    """Return every alpha/beta that EQD2 is needed for: limits, goals and the tumour.

    A robust plan needs both ends of the interval around those that it is limited by.
    """
    interval = shortest_interval_months(inputs)
    settings = inputs.settings
    values = {settings.tumor_alpha_beta_gy}
    planned = {goal.alpha_beta_gy for goal in inputs.goals if goal.alpha_beta_gy is not None}
    values |= planned
    for _, organ in limited_structures(inputs):
        for rule_set in (settings.rule_set, *settings.compared_rule_sets):
            rules = limits_for(organ, rule_set, interval, level=settings.spine_level)
            found = {limit.alpha_beta_gy for limit in rules}
            values |= found
            planned |= found if rule_set == settings.rule_set else set()
    if settings.robustness is not None:
        for value in planned:
            values.update(settings.robustness.alpha_beta_ends_gy(value))
    return tuple(sorted(values))


def make_budget(
    inputs: PlanningInputs, priors: Sequence[PriorCourse]
) -> tuple[tuple[BudgetRow, ...], tuple[OrganLimit, ...]]:
    """Return the remaining tolerance of every organ, and the limits to plan under.

    Parameters
    ----------
    inputs : PlanningInputs
        Structures, rule sets, recovery table, fractions.
    priors : sequence of PriorCourse
        Earlier EQD2 on today's dose grid.

    Returns
    -------
    rows : tuple of BudgetRow
        One for each organ, rule set and metric.
    limits : tuple of OrganLimit
        One for each organ that the planned rule set knows.
    """
    rows: list[BudgetRow] = []
    limits: list[OrganLimit] = []
    settings = inputs.settings
    grade = sum_grade(inputs, priors)
    recorded = recorded_priors(priors)
    for structure, organ in limited_structures(inputs):
        for rule_set in (settings.rule_set, *settings.compared_rule_sets):
            cases = _cases(inputs, organ, rule_set)
            if not cases:
                continue
            is_planned_set = rule_set == settings.rule_set
            given = {
                alpha_beta: _Given(
                    _prior_dvh(structure, priors, alpha_beta, settings.end_slab),
                    _prior_dvh(structure, recorded, alpha_beta, settings.end_slab),
                    is_upper_bound=len(recorded) < len(priors),
                )
                for alpha_beta in {case.limit.alpha_beta_gy for case in cases}
            }
            scenarios = [
                _scenario(inputs, case, given[case.limit.alpha_beta_gy]) for case in cases
            ]
            least = _governing(inputs, cases, scenarios)
            if is_planned_set:
                scenarios[least] = replace(scenarios[least], is_planned_with=True)
                limits.append(replace(_organ_limit(structure, cases[least], priors), grade=grade))
            rows.append(
                BudgetRow(
                    structure=structure.name,
                    limit=goal_of(structure.name, cases[least].limit),
                    rule_set=rule_set,
                    scenarios=tuple(scenarios),
                    grade=grade,
                )
            )
    return tuple(rows), tuple(limits)


def _governing(
    inputs: PlanningInputs, cases: Sequence[Assumption], scenarios: Sequence[BudgetScenario]
) -> int:
    """Return the place of the assumption that the plan is made under."""
    candidates = list(range(len(cases)))
    is_known = shortest_interval_months(inputs) is not None
    if is_known and inputs.settings.limit_choice is LimitChoice.FOR_INTERVAL:
        stated = [n for n in candidates if cases[n].limit.interval_months_min is not None]
        candidates = stated or candidates
    return min(candidates, key=lambda n: _strictness(scenarios[n]))


def _strictness(scenario: BudgetScenario) -> float:
    """Return what is left; where the earlier dose is unknown, the limit itself ranks them."""
    left = scenario.limit_eqd2_gy - scenario.prior_eqd2_gy
    return scenario.limit_eqd2_gy if np.isnan(left) else left


def _cases(inputs: PlanningInputs, organ: str, rule_set: str) -> list[Assumption]:
    """Return each limit of an organ under each assumption that cannot be excluded."""
    settings = inputs.settings
    found = assumptions_for(
        organ,
        rule_set,
        settings.recovery_table,
        shortest_interval_months(inputs),
        level=settings.spine_level,
    )
    if inputs.priors or inputs.courses_without_dose:
        return list(found)
    return [replace(item, recovery_fraction=0.0) for item in found]


def discounted_prior(
    priors: Sequence[PriorCourse], alpha_beta_gy: float, recovery_fraction: float
) -> Dose | None:
    """Return the earlier EQD2 of all courses after recovery, or None without courses."""
    total: Dose | None = None
    for prior in priors:
        eqd2 = require_alpha_beta(prior.eqd2_on_planning, alpha_beta_gy)
        total = eqd2 if total is None else total + eqd2
    if total is None or recovery_fraction == 0:
        return total
    return discount(total, recovery_fraction)


def _organ_limit(
    structure: Structure, case: Assumption, priors: Sequence[PriorCourse]
) -> OrganLimit:
    """Return the limit to plan under."""
    return OrganLimit(
        structure=structure.name,
        goal=goal_of(structure.name, case.limit),
        recovery_fraction=case.recovery_fraction,
        prior=discounted_prior(priors, case.limit.alpha_beta_gy, case.recovery_fraction),
    )


def _prior_dvh(
    structure: Structure,
    priors: Sequence[PriorCourse],
    alpha_beta_gy: float,
    end_slab: EndSlab,
) -> Dvh | None:
    """Return the histogram of the earlier EQD2 without recovery; None without courses."""
    prior = discounted_prior(priors, alpha_beta_gy, 0.0)
    return None if prior is None else dvh(prior, structure, end_slab=end_slab)


@dataclass(frozen=True, eq=False, slots=True)
class _Given:
    """Histograms of the earlier EQD2 without recovery: with bounded courses, and without."""

    believed: Dvh | None
    recorded: Dvh | None
    is_upper_bound: bool


def _scenario(inputs: PlanningInputs, case: Assumption, given_before: _Given) -> BudgetScenario:
    """Return what one limit leaves under one assumption.

    The remaining dose is the limit less the earlier dose at the limit's own metric. The new
    plan's hottest volume may lie elsewhere, so this is the cautious reading (point-dose sum);
    the plan itself is judged on the voxel sum.
    """
    limit, metric = case.limit, parse_metric(case.limit.metric)
    given, at_least = 0.0, 0.0
    kept = 1.0 - case.recovery_fraction
    if given_before.believed is not None:
        given = evaluate_metric(metric, given_before.believed.scaled(kept))
    if given_before.recorded is not None:
        at_least = metric_bounds(metric, given_before.recorded.scaled(kept))[0]
    if inputs.courses_without_dose:
        given = np.nan
    left = float(np.maximum(limit.limit_gy - given, 0.0))
    at_most = float(np.maximum(limit.limit_gy - at_least, 0.0))
    return BudgetScenario(
        label=case.label,
        recovery_fraction=case.recovery_fraction,
        prior_eqd2_gy=given,
        limit_eqd2_gy=limit.limit_gy,
        remaining_eqd2_gy=left,
        remaining_physical_gy=_physical(inputs, limit, left),
        citation=case.citation,
        is_planned_with=False,
        prior_at_least_eqd2_gy=at_least,
        remaining_at_most_eqd2_gy=at_most,
        remaining_at_most_physical_gy=_physical(inputs, limit, at_most),
        is_upper_bound=given_before.is_upper_bound and bool(np.isfinite(given)),
    )


def _physical(inputs: PlanningInputs, limit: Limit, left_eqd2_gy: float) -> float:
    """Return EQD2 as physical dose in the planned fractions; NaN where either is not known."""
    n_fractions = inputs.current.n_fractions_planned
    if not n_fractions or not np.isfinite(left_eqd2_gy):
        return float("nan")
    return float(
        physical_from_eqd2(
            left_eqd2_gy, n_fractions=n_fractions, alpha_beta_gy=limit.alpha_beta_gy
        )
    )
