"""Judging a plan: its own dose, the sum with what was given before, goal by goal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Dose, DoseScope, Goal, Grid, Mask, Structure, StructureKind
from rerad.evaluation import (
    Dvh,
    GoalResult,
    Verdict,
    dvh,
    evaluate_goal,
    evaluate_metric,
    parse_metric,
)
from rerad.planning.budget import OrganLimit, discounted_prior
from rerad.planning.inputs import PlanningInputs
from rerad.planning.result import DeliveryState, PriorCourse, SummaryRow, TargetDelivery
from rerad.radiobiology import bed, to_eqd2

OUTSIDE_SUFFIX = "-PTV"
"""TG-263 writes a structure less another with a hyphen; here: less all targets of the plan."""


@dataclass(frozen=True, eq=False, slots=True)
class Judgement:
    """What a plan is judged on.

    Parameters
    ----------
    inputs : PlanningInputs
        Structures, goals, settings.
    priors : tuple of PriorCourse
        Earlier EQD2 on the dose grid.
    limits : tuple of OrganLimit
        Cumulative limits planned under.
    masks : mapping of str to Mask
        Structures on crops of the dose grid.
    dose_grid : Grid
        The dose grid.
    """

    inputs: PlanningInputs
    priors: tuple[PriorCourse, ...]
    limits: tuple[OrganLimit, ...]
    masks: Mapping[str, Mask]
    dose_grid: Grid

    @property
    def prescribed_gy(self) -> dict[str, float]:
        """Prescription of each target."""
        return {item.structure: item.dose_gy for item in self.inputs.current.prescriptions}

    def region(self, name: str) -> Structure | Mask:
        """Return a structure as drawn, or the part of an organ outside the targets."""
        if name.endswith(OUTSIDE_SUFFIX) and name not in self.inputs.structures:
            return self.outside_targets(name.removesuffix(OUTSIDE_SUFFIX))
        return self.inputs.structures[name]

    def outside_targets(self, organ: str) -> Mask:
        """Return the part of an organ outside every prescribed target.

        A dose voxel that lies at least half inside a target counts as target, here as in the
        optimiser: a rim thinner than a voxel is neither controlled nor judged on its own.
        """
        mask, grid = self.masks[organ], self.dose_grid
        inside = np.zeros(grid.shape, dtype=bool)
        for name in self.prescribed_gy:
            target = self.masks[name]
            inside[grid.region_of(target.grid)] |= target.fraction >= 0.5
        outside = np.where(inside[grid.region_of(mask.grid)], np.float32(0), mask.fraction)
        return replace(mask, name=f"{organ}{OUTSIDE_SUFFIX}", fraction=outside)

    def histogram(self, dose: Dose, name: str) -> Dvh:
        """Return the DVH of a structure, or of an organ's part outside the targets."""
        return dvh(dose, self.region(name), end_slab=self.inputs.settings.end_slab)

    @property
    def accepted(self) -> dict[str, str]:
        """Organs whose limit may be exceeded, with the reason."""
        return dict(self.inputs.settings.accepted_breaches)


def physical_dvhs(judgement: Judgement, plan_dose: Dose) -> dict[str, Dvh]:
    """Return the histogram of the plan's own dose in every drawn structure."""
    structures = [
        item
        for item in judgement.inputs.structures.structures
        if not item.is_empty and item.kind is not StructureKind.SUPPORT
    ]
    return {item.name: judgement.histogram(plan_dose, item.name) for item in structures}


def delivery_state(
    judgement: Judgement, plan_dose: Dose, plan_dvhs: Mapping[str, Dvh], n_fractions: int
) -> DeliveryState:
    """Judge a number of fractions of the plan.

    Parameters
    ----------
    judgement : Judgement
        What it is judged on.
    plan_dose : Dose
        Physical dose of all planned fractions.
    plan_dvhs : mapping of str to Dvh
        Its histograms (see `physical_dvhs`).
    n_fractions : int
        Fractions counted; the dose per fraction stays what was planned.

    Returns
    -------
    DeliveryState
    """
    planned = judgement.inputs.current.n_fractions_planned or n_fractions
    physical = plan_dose.scaled(n_fractions / planned)
    own = {
        alpha_beta: to_eqd2(
            plan_dose,
            n_fractions_planned=planned,
            n_fractions_delivered=n_fractions,
            alpha_beta_gy=alpha_beta,
        )
        for alpha_beta in _alpha_betas(judgement)
    }
    cumulative = {}
    for alpha_beta, dose in own.items():
        prior = discounted_prior(judgement.priors, alpha_beta, 0.0)
        cumulative[alpha_beta] = dose if prior is None else prior + dose
    share = n_fractions / planned
    own_dvhs = {name: histogram.scaled(share) for name, histogram in plan_dvhs.items()}
    return DeliveryState(
        label=f"{'planned' if n_fractions == planned else 'delivered'}, {n_fractions} fractions",
        n_fractions=n_fractions,
        physical=physical,
        cumulative=cumulative,
        physical_dvhs=own_dvhs,
        cumulative_dvhs=_cumulative_dvhs(judgement, cumulative),
        goals=_goals(judgement, own_dvhs, own, share),
    )


def _alpha_betas(judgement: Judgement) -> tuple[float, ...]:
    """Return the alpha/beta values that this plan is judged with."""
    values = {judgement.inputs.settings.tumor_alpha_beta_gy}
    values |= {limit.goal.alpha_beta_gy for limit in judgement.limits if limit.goal.alpha_beta_gy}
    values |= {goal.alpha_beta_gy for goal in judgement.inputs.goals if goal.alpha_beta_gy}
    return tuple(sorted(values))


def _cumulative_dvhs(judgement: Judgement, cumulative: Mapping[float, Dose]) -> dict[str, Dvh]:
    """Return the cumulative DVH of every organ with a limit and every target."""
    tumor = judgement.inputs.settings.tumor_alpha_beta_gy
    wanted = dict.fromkeys(judgement.prescribed_gy, tumor)
    for limit in judgement.limits:
        if limit.goal.alpha_beta_gy is not None:
            wanted[limit.structure] = limit.goal.alpha_beta_gy
    return {
        name: judgement.histogram(cumulative[alpha_beta], name)
        for name, alpha_beta in wanted.items()
    }


def _goals(
    judgement: Judgement,
    own_dvhs: Mapping[str, Dvh],
    own_eqd2: Mapping[float, Dose],
    share_delivered: float,
) -> tuple[GoalResult, ...]:
    """Evaluate the goals of the case, then the limits of the rule set."""
    results = []
    for goal in judgement.inputs.goals:
        if goal.scope is DoseScope.PLAN:
            prescribed = judgement.prescribed_gy.get(goal.structure)
            scaled = None if prescribed is None else prescribed * share_delivered
            result = evaluate_goal(goal, own_dvhs[goal.structure], prescription_gy=scaled)
            results.append(result)
        elif goal.alpha_beta_gy is not None:
            prior = discounted_prior(judgement.priors, goal.alpha_beta_gy, 0.0)
            results.append(_cumulative_goal(judgement, goal, prior, own_eqd2))
    for limit in judgement.limits:
        results.extend(_limit_goals(judgement, limit, own_eqd2))
    return tuple(results)


def _limit_goals(
    judgement: Judgement, limit: OrganLimit, own_eqd2: Mapping[float, Dose]
) -> list[GoalResult]:
    """Evaluate one limit; where the breach in the target is accepted, the rest separately too."""
    whole = _cumulative_goal(judgement, limit.goal, limit.prior, own_eqd2)
    if limit.structure not in judgement.accepted:
        return [whole]
    outside = replace(limit.goal, structure=f"{limit.structure}{OUTSIDE_SUFFIX}")
    results = [whole]
    if judgement.outside_targets(limit.structure).volume_cc > 0:
        results.append(_cumulative_goal(judgement, outside, limit.prior, own_eqd2))
    return results


def _cumulative_goal(
    judgement: Judgement, goal: Goal, prior: Dose | None, own_eqd2: Mapping[float, Dose]
) -> GoalResult:
    """Evaluate one cumulative goal."""
    if goal.alpha_beta_gy is None:  # excluded by Goal itself
        raise AssertionError(goal.text)
    own = own_eqd2[goal.alpha_beta_gy]
    total = own if prior is None else prior + own
    result = evaluate_goal(
        goal,
        judgement.histogram(total, goal.structure),
        prescription_gy=None,
        is_accepted=goal.structure in judgement.accepted,
    )
    return _as_lower_bound(result) if judgement.inputs.courses_without_dose else result


def _as_lower_bound(result: GoalResult) -> GoalResult:
    """Return a verdict for a sum that lacks a course: more was given, nobody knows how much."""
    is_exceeded = result.verdict in {Verdict.EXCEEDED, Verdict.ACCEPTED}
    is_upper = result.goal.at_most is not None
    verdict = result.verdict if is_exceeded and is_upper else Verdict.UNKNOWN
    return replace(result, value=np.nan, high=np.inf, verdict=verdict)


def summary_rows(
    judgement: Judgement, planned: DeliveryState, delivered: DeliveryState | None
) -> tuple[SummaryRow, ...]:
    """Return the closing table: every goal of a target, every cumulative limit of an organ."""
    rows = []
    for number, result in enumerate(planned.goals):
        goal = result.goal
        is_target = goal.structure in judgement.prescribed_gy
        if goal.scope is DoseScope.PLAN and not is_target:
            continue
        later = delivered.goals[number] if delivered is not None else None
        alpha_beta = goal.alpha_beta_gy or judgement.inputs.settings.tumor_alpha_beta_gy
        read = _Reader(judgement, goal, alpha_beta)
        is_sum = goal.scope is DoseScope.CUMULATIVE
        rows.append(
            SummaryRow(
                structure=goal.structure,
                is_target=is_target,
                metric=goal.metric,
                physical_gy=read.physical(planned),
                prior_eqd2_gy=read.prior(),
                cumulative_eqd2_gy=result.value if is_sum else read.cumulative(planned),
                delivered_cumulative_eqd2_gy=(
                    later.value if later is not None and is_sum else read.cumulative(delivered)
                ),
                alpha_beta_gy=alpha_beta,
                planned=result,
                delivered=later,
            )
        )
    return tuple(rows)


@dataclass(frozen=True, eq=False, slots=True)
class _Reader:
    """Reads one goal's metric off several doses, from histograms made before where it can."""

    judgement: Judgement
    goal: Goal
    alpha_beta_gy: float

    def _value(self, histogram: Dvh) -> float:
        return evaluate_metric(parse_metric(self.goal.metric), histogram)

    def physical(self, state: DeliveryState) -> float:
        """Return the metric on the plan's own dose."""
        known = state.physical_dvhs.get(self.goal.structure)
        if known is None:
            known = self.judgement.histogram(state.physical, self.goal.structure)
        return self._value(known)

    def cumulative(self, state: DeliveryState | None) -> float:
        """Return the metric on the sum; NaN without a state, or where a course is missing."""
        if state is None or self.judgement.inputs.courses_without_dose:
            return np.nan
        known = state.cumulative_dvhs.get(self.goal.structure)
        if known is not None:
            return self._value(known)
        total = state.cumulative[self.alpha_beta_gy]
        return self._value(self.judgement.histogram(total, self.goal.structure))

    def prior(self) -> float:
        """Return the metric on the earlier courses, with the recovery that the limit goes with."""
        if self.judgement.inputs.courses_without_dose:
            return np.nan
        organ = self.goal.structure.removesuffix(OUTSIDE_SUFFIX)
        limits = [item for item in self.judgement.limits if item.structure == organ]
        if limits and self.goal.scope is DoseScope.CUMULATIVE:
            dose = limits[0].prior
        else:
            dose = discounted_prior(self.judgement.priors, self.alpha_beta_gy, 0.0)
        if dose is None:
            return np.nan
        return self._value(self.judgement.histogram(dose, self.goal.structure))


def target_deliveries(inputs: PlanningInputs) -> tuple[TargetDelivery, ...]:
    """Return what each prescription level was to get, got and lacks, without a time factor."""
    planned = inputs.current.n_fractions_planned
    delivered = inputs.current.n_fractions_delivered
    if not planned or delivered is None:
        return ()
    alpha_beta = inputs.settings.tumor_alpha_beta_gy
    rows = []
    for item in inputs.current.prescriptions:
        given_gy = item.dose_gy * delivered / planned
        full = float(bed(item.dose_gy, planned, alpha_beta))
        given = full * delivered / planned
        rows.append(
            TargetDelivery(
                prescription=item,
                alpha_beta_gy=alpha_beta,
                bed_planned_gy=full,
                bed_delivered_gy=given,
                bed_deficit_gy=full - given,
                dose_delivered_gy=given_gy,
                citation=inputs.settings.tumor_alpha_beta_citation,
            )
        )
    return tuple(rows)


def outside_fractions(judgement: Judgement, names: Sequence[str]) -> dict[str, float]:
    """Return the share of each organ that lies inside a target."""
    shares = {}
    for name in names:
        whole = judgement.masks[name].volume_cc
        outside = judgement.outside_targets(name).volume_cc
        shares[name] = 0.0 if whole <= 0 else 1.0 - outside / whole
    return shares
