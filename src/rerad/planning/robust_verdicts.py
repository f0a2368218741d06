"""Whether each goal holds in every scenario, judged on the final dose.

The earlier dose of every corner is exact. A shifted set-up is approximated by the dose cloud: the
final dose moved as a whole, which neglects that depths change with the patient.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from rerad.core import Dose, DoseScope, Finding, Goal, Severity
from rerad.evaluation import GoalResult, Verdict, evaluate_goal, parse_metric
from rerad.planning.budget import discounted_prior
from rerad.planning.goal_results import as_lower_bound
from rerad.planning.inputs import RobustSettings
from rerad.planning.judgement import OUTSIDE_SUFFIX, Judgement
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.robust_corners import corners_of
from rerad.planning.robust_result import RobustOutcome, RobustVerdict, Shift
from rerad.planning.terms import CapCorner
from rerad.planning.value_text import value_text
from rerad.radiobiology import to_eqd2


@dataclass(frozen=True, eq=False, slots=True)
class GivenBefore:
    """Fractions of the same course that were given before a plan for its rest.

    Parameters
    ----------
    physical : Dose
        What was given of the plan that stopped; it moves with no shift of the rest.
    eqd2 : callable
        Its EQD2 at an alpha/beta in Gy.
    n_fractions : int
        Of the plan for the rest.
    """

    physical: Dose
    eqd2: Callable[[float], Dose]
    n_fractions: int


NOT_SETTLED = (
    "One of the two plans was not searched or corrected to its end, so that this is not the price "
    "of robustness alone; more evaluations (planning.max_evaluations) and a correction pass "
    "(planning.n_correction_passes) tell the two apart."
)
"""Of a price between plans of which one was searched further."""

_RANK = {Verdict.MET: 0, Verdict.ACCEPTED: 1, Verdict.UNKNOWN: 2, Verdict.EXCEEDED: 3}
"""The worse, the higher."""


def shifted_cloud(dose: Dose, shift_mm: Shift) -> Dose:
    """Return a dose moved as a whole by a shift (x, y, z), read by trilinear interpolation.

    Beyond the grid the dose of its border goes on; unknown counts as none (outside the body).
    """
    if not any(shift_mm):
        return dose
    steps = [s / d for s, d in zip(shift_mm, dose.grid.spacing_mm, strict=True)][::-1]
    values = ndimage.shift(np.nan_to_num(dose.values), steps, order=1, mode="nearest")
    return replace(dose, values=values.astype(np.float32), instance_uid="")


def robust_verdicts(
    judgement: Judgement,
    settings: RobustSettings,
    dose: Dose,
    shifts_mm: Sequence[Shift],
    given: GivenBefore | None = None,
) -> tuple[RobustVerdict, ...]:
    """Judge every goal and limit in its worst scenario.

    Parameters
    ----------
    judgement : Judgement
        Goals, limits, structures, earlier courses.
    settings : RobustSettings
        How far the past may be off.
    dose : Dose
        Final physical dose of all planned fractions.
    shifts_mm : sequence of Shift
        Places of the isocentre, the first of 0 mm.
    given : GivenBefore or None
        Where `dose` is that of a plan for the rest of a course: what was given before it. The
        whole course is judged then.

    Returns
    -------
    tuple of RobustVerdict
        Goals on conformity and fall-off are left out. Where a breach is accepted, the part
        outside the targets is judged.
    """
    clouds = [(shift, shifted_cloud(dose, shift)) for shift in shifts_mm]
    verdicts = []
    for goal, recovery in _goals(judgement):
        name = goal.structure
        if name in judgement.accepted and goal.scope is DoseScope.CUMULATIVE:
            name += OUTSIDE_SUFFIX
        if goal.scope is DoseScope.PLAN or goal.alpha_beta_gy is None:
            found = _plan_goal(judgement, goal, clouds, given)
        else:
            corners = _corners(judgement, settings, goal, recovery)
            part = replace(goal, structure=name)
            found = _cumulative_goal(judgement, part, clouds, corners, given)
        worst = max(found, key=lambda item: _badness(item[0]))
        verdicts.append(RobustVerdict(name, *worst))
    return tuple(verdicts)


def _goals(judgement: Judgement) -> Iterator[tuple[Goal, float]]:
    """Yield every goal that has a histogram, with the recovery that it goes with."""
    for goal in judgement.inputs.goals:
        if not parse_metric(goal.metric).is_of_shape:
            yield goal, 0.0
    for limit in judgement.limits:
        yield limit.goal, limit.recovery_fraction


def _corners(
    judgement: Judgement, settings: RobustSettings, goal: Goal, recovery: float
) -> tuple[CapCorner, ...]:
    """Return the corners of a cumulative goal; what is believed, if nothing is uncertain."""
    organ, at = judgement.masks[goal.structure], goal.alpha_beta_gy or 0.0
    found = corners_of(settings, judgement.priors, organ, at, recovery)
    if found:
        return found
    return (CapCorner(at, discounted_prior(judgement.priors, at, recovery)),)


def _plan_goal(
    judgement: Judgement,
    goal: Goal,
    clouds: Sequence[tuple[Shift, Dose]],
    given: GivenBefore | None,
) -> list[tuple[GoalResult, str]]:
    """Judge a goal on the course's own dose in every place."""
    prescribed = judgement.prescription_of(goal.structure)
    found = []
    for shift, cloud in clouds:
        dose = cloud
        if given is not None:  # one course: its physical doses add
            dose = replace(cloud, values=cloud.values + given.physical.values, instance_uid="")
        histogram = judgement.histogram(dose, goal.structure)
        found.append((evaluate_goal(goal, histogram, prescription_gy=prescribed), _place(shift)))
    return found


def _cumulative_goal(
    judgement: Judgement,
    goal: Goal,
    clouds: Sequence[tuple[Shift, Dose]],
    corners: Sequence[CapCorner],
    given: GivenBefore | None,
) -> list[tuple[GoalResult, str]]:
    """Judge a goal on the sum in every place and at every corner."""
    n_fractions = judgement.inputs.current.n_fractions_planned or 1
    if given is not None:
        n_fractions = given.n_fractions
    found = []
    for corner in corners:
        at = corner.alpha_beta_gy
        before = None if given is None else given.eqd2(at)
        for shift, cloud in clouds:
            own = to_eqd2(cloud, n_fractions_planned=n_fractions, alpha_beta_gy=at)
            own = own if before is None else before + own
            total = own if corner.prior is None else corner.prior + own
            result = evaluate_goal(
                replace(goal, alpha_beta_gy=at),
                judgement.histogram(total, goal.structure),
                prescription_gy=None,
            )
            result = replace(result, goal=goal)
            if judgement.inputs.courses_without_dose:
                result = as_lower_bound(result)
            found.append((result, f"{_place(shift)}, alpha/beta {at:g} Gy"))
    return found


def _badness(result: GoalResult) -> tuple[int, float]:
    """Return what makes one result worse than another."""
    value = 0.0 if np.isnan(result.value) else result.value
    return _RANK[result.verdict], value if result.goal.at_most is not None else -value


def _place(shift_mm: Shift) -> str:
    if not any(shift_mm):
        return "no shift"
    return "shift ({:g}, {:g}, {:g}) mm".format(*shift_mm)


def robust_outcome(
    judgement: Judgement, outcome: PlanOutcome, given: GivenBefore | None = None
) -> RobustOutcome | None:
    """Return price and verdicts of a robust plan; None for one that believes everything."""
    planning = outcome.robust
    if planning is None:
        return None
    verdicts = robust_verdicts(
        judgement, planning.settings, outcome.dose, planning.shifts_mm, given
    )
    return RobustOutcome(planning, verdicts)


def robust_findings(robust: RobustOutcome | None) -> list[Finding]:
    """Say that a plan is robust and what that means, and which goals do not hold all the same."""
    if robust is None:
        return []
    target = min(robust.planning.price.targets, key=lambda item: item.d98.change_gy)
    d98 = target.d98
    text = (
        "This plan was made to hold its limits against uncertainties whose sizes the case file "
        f"states; nobody verified them. For it, D98% of {target.name} goes from "
        f"{d98.nominal_gy:.1f} to {d98.robust_gy:.1f} Gy (physical, without shift)."
    )
    if not robust.planning.is_settled:
        text += f" {NOT_SETTLED}"
    findings = [Finding(Severity.NOTE, "robust-plan", text)]
    for item in robust.verdicts:
        goal, verdict = item.worst.goal, item.worst.verdict
        is_limit = goal.is_hard or goal.scope is DoseScope.CUMULATIVE
        if verdict is Verdict.EXCEEDED and is_limit:
            text = (
                f"{item.structure} {goal.text} does not hold in every scenario: "
                f"{value_text(item.worst)} in the worst ({item.scenario})."
            )
            finding = Finding(Severity.CAUTION, "limit-not-robust", text, item.structure)
            findings.append(finding)
    return findings
