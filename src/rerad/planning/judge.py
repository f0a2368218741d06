"""Judging a plan: its own dose, the sum with what was given before, goal by goal."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rerad.core import Dose, DoseScope, Goal, StructureKind
from rerad.evaluation import Dvh, evaluate_metric, parse_metric
from rerad.planning.budget import discounted_prior
from rerad.planning.goal_results import GivenDose, goal_results, is_same_limit
from rerad.planning.inputs import PlanningInputs
from rerad.planning.judgement import Judgement as Judgement
from rerad.planning.judgement import organ_of_part
from rerad.planning.result import DeliveryState, SummaryRow, TargetDelivery
from rerad.radiobiology import bed, to_eqd2


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
        for alpha_beta in judged_alpha_betas(judgement)
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
        goals=goal_results(judgement, GivenDose(physical, own_dvhs, own, share)),
    )


def judged_alpha_betas(judgement: Judgement) -> tuple[float, ...]:
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


def summary_rows(
    judgement: Judgement, planned: DeliveryState, delivered: DeliveryState | None
) -> tuple[SummaryRow, ...]:
    """Return the closing table: doses that targets are asked for, cumulative limits of organs.

    Its columns are in Gy: goals on volumes, indices and the dose far away are not in it.
    """
    rows = []
    for number, result in enumerate(planned.goals):
        goal, metric = result.goal, parse_metric(result.goal.metric)
        is_target = goal.structure in judgement.prescribed_gy
        if goal.scope is DoseScope.PLAN and not is_target:
            continue
        if metric.unit != "Gy" or metric.is_of_shape:
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
        organ = organ_of_part(self.goal.structure)
        limits = [
            item
            for item in self.judgement.limits
            if item.structure == organ and is_same_limit(item.goal, self.goal)
        ]
        if limits:
            dose = limits[0].prior
        else:
            dose = discounted_prior(self.judgement.priors, self.alpha_beta_gy, 0.0)
        if dose is None:  # nothing was given before
            return 0.0
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
