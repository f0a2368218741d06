"""Targets that are to get as much as the limits allow: what they got, and what held them back."""

from math import isfinite

from rerad.core import DoseScope, Finding, Goal, Prescription, Severity
from rerad.evaluation import GoalResult, MetricKind, Verdict, evaluate_metric, parse_metric
from rerad.planning.judgement import Judgement
from rerad.planning.result import DeliveryState
from rerad.radiobiology import eqd2

N_CLOSEST = 2
"""Limits named beside what a target got."""


def escalation_findings(judgement: Judgement, state: DeliveryState) -> list[Finding]:
    """Say what each target with `up_to_gy` got, and which cumulative limits are closest.

    Parameters
    ----------
    judgement : Judgement
        Of the case.
    state : DeliveryState
        Of all planned fractions.
    """
    findings = []
    for item in judgement.inputs.current.prescriptions:
        if item.up_to_gy is None:
            continue
        n, alpha_beta = state.n_fractions, judgement.inputs.settings.tumor_alpha_beta_gy
        read = state.physical_dvhs[item.structure]
        d98, d50 = (evaluate_metric(metric, read) for metric in ("D98%", "D50%"))
        is_free, beyond = _knowingly(state)
        text = (
            f"{item.structure} was to get as much as the limits allow, from {item.dose_gy:g} to "
            f"{item.up_to_gy:g} Gy in {n} fractions: D98 % is {d98:.1f} Gy "
            f"({float(eqd2(d98, n, alpha_beta)):.1f} Gy EQD2 at alpha/beta {alpha_beta:g} Gy), "
            f"D50 % {d50:.1f} Gy, which is {d50 / n:.2f} Gy per fraction. {_closest(state)}"
            f"{beyond} Whether it should be given is a decision, not a result."
        )
        code = "as-much-as-limits-allow"
        severity = Severity.SERIOUS if is_free else Severity.CAUTION
        findings.append(Finding(severity, code, text, item.structure))
    return findings


def _closest(state: DeliveryState) -> str:
    """Name the cumulative limits that have least left, of those that hold."""
    rows = [
        (result.goal.at_most - result.value, result)
        for result in state.goals
        if result.goal.scope is DoseScope.CUMULATIVE
        and result.goal.at_most is not None
        and result.verdict is not Verdict.ACCEPTED
        and isfinite(result.value)
    ]
    if not rows:
        return "No cumulative limit is known that held it back."
    rows.sort(key=lambda row: row[0])
    named = ", ".join(_of_limit(result) for _, result in rows[:N_CLOSEST])
    return f"Closest to their limits: {named}."


def _knowingly(state: DeliveryState) -> tuple[bool, str]:
    """Return whether a limit did not hold the target back because its breach is accepted."""
    rows = [result for result in state.goals if result.verdict is Verdict.ACCEPTED]
    if not rows:
        return False, ""
    named = ", ".join(_of_limit(result) for result in rows)
    return True, (
        f" No cumulative limit held it back inside what is knowingly exceeded: {named}; a hard "
        "goal on this plan's own dose there (Gy, must) would."
    )


def _of_limit(result: GoalResult) -> str:
    goal = result.goal
    return f"{goal.structure} {goal.metric} {result.value:.1f} of {goal.at_most:g} {goal.unit}"


def contradiction(goal: Goal, prescription: Prescription) -> str | None:
    """Say why a goal forbids what a target is to go up to; None if it does not.

    Parameters
    ----------
    goal : Goal
        Of the case, on the prescribed target.
    prescription : Prescription
        Of that target.
    """
    up_to_gy, metric = prescription.up_to_gy, parse_metric(goal.metric)
    kinds = {MetricKind.DOSE_AT_VOLUME, MetricKind.MAX, MetricKind.MEAN, MetricKind.MIN}
    is_dose = metric.kind in kinds and goal.scope is DoseScope.PLAN
    if up_to_gy is None or goal.at_most is None or not is_dose:
        return None
    most_gy = goal.at_most
    if goal.unit == "%":
        most_gy = most_gy / 100.0 * prescription.dose_gy
    if most_gy >= up_to_gy:
        return None
    return (
        f"it allows {prescription.structure} {most_gy:g} Gy, but the target is to go up to "
        f"{up_to_gy:g} Gy (up_to_gy); leave the goal out, or state it in Gy above that"
    )
