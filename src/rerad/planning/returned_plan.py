"""A plan that comes back from another system, judged under the cumulative limits of a case.

The remaining tolerance went out as volumes and doses; what comes back is the other system's own
plan and dose. Its EQD2 is made on its own grid with its own fractions, mapped onto the case's dose
grid and added to what was given before. Nothing of the plan is changed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from rerad.accumulation import map_dose
from rerad.core import (
    Dose,
    Finding,
    Grid,
    Mask,
    RigidTransform,
    Severity,
    Structure,
    StructureSet,
)
from rerad.errors import FrameMismatchError, InputError
from rerad.evaluation import GoalResult, Verdict, dvh, evaluate_goal
from rerad.planning.budget import OrganLimit
from rerad.planning.judgement import inside_targets, part_outside
from rerad.radiobiology import fraction_size_finding, to_eqd2
from rerad.structures import EndSlab, rasterize


@dataclass(frozen=True, eq=False, slots=True)
class ReturnedPlan:
    """A plan made elsewhere.

    Parameters
    ----------
    label : str
        What to call it.
    dose : Dose
        Total physical dose on its own grid, in the frame of the planning CT.
    n_fractions : int
        Fractions that `dose` is the total of, at least 1.
    """

    label: str
    dose: Dose
    n_fractions: int


@dataclass(frozen=True, eq=False, slots=True)
class ReturnedCheck:
    """How a returned plan stands under the cumulative limits.

    Parameters
    ----------
    plan : ReturnedPlan
        Which.
    goals : tuple of GoalResult
        One for each limit.
    findings : tuple of Finding
        What the reader must weigh.
    """

    plan: ReturnedPlan
    goals: tuple[GoalResult, ...]
    findings: tuple[Finding, ...]

    @property
    def is_within_limits(self) -> bool:
        """Whether every limit is known to be met, or knowingly exceeded."""
        return all(goal.verdict in {Verdict.MET, Verdict.ACCEPTED} for goal in self.goals)


@dataclass(frozen=True, eq=False, slots=True)
class LimitContext:
    """What the limits of a case are judged with.

    Parameters
    ----------
    limits : tuple of OrganLimit
        Limits with the earlier EQD2 after recovery on `grid`.
    structures : mapping of str to Structure
        As drawn on the planning CT.
    grid : Grid
        Dose grid of the case.
    end_slab : EndSlab
        How far contours reach beyond their ends.
    accepted : frozenset of str
        Organs whose limit may be exceeded knowingly, in the targets.
    outside_targets : mapping of str to Mask
        Of these organs the part outside all targets; nothing is accepted there.
    is_lower_bound : bool
        Whether a course is missing from the sum.
    """

    limits: tuple[OrganLimit, ...]
    structures: Mapping[str, Structure]
    grid: Grid
    end_slab: EndSlab
    accepted: frozenset[str] = frozenset()
    outside_targets: Mapping[str, Mask] = field(default_factory=dict)
    is_lower_bound: bool = False


def parts_outside(
    structures: StructureSet, organs: Iterable[str], targets: Iterable[str], grid: Grid
) -> dict[str, Mask]:
    """Return of each organ the part outside every target.

    Parameters
    ----------
    structures : StructureSet
        As drawn on the planning CT.
    organs, targets : iterable of str
        Their names.
    grid : Grid
        Dose grid of the case.
    """
    is_target = inside_targets([rasterize(structures[name], grid) for name in targets], grid)
    return {
        name: part_outside(rasterize(structures[name], grid), is_target, grid) for name in organs
    }


def check_returned_plan(plan: ReturnedPlan, context: LimitContext) -> ReturnedCheck:
    """Judge a plan made elsewhere under cumulative limits.

    Parameters
    ----------
    plan : ReturnedPlan
        With its total physical dose.
    context : LimitContext
        Limits and earlier dose.

    Raises
    ------
    FrameMismatchError
        If the dose is not in the frame of the planning CT.
    InputError
        If there is no limit to judge by, or no fraction.
    """
    if plan.n_fractions < 1 or not context.limits:
        msg = (
            f"{plan.label}: expected 1 fraction or more and at least one limit, got "
            f"{plan.n_fractions} and {len(context.limits)}"
        )
        raise InputError(msg)
    frame = context.grid.frame_uid
    if plan.dose.grid.frame_uid != frame:
        msg = (
            f"{plan.label}: expected a dose in the frame of the planning CT {frame}, got "
            f"{plan.dose.grid.frame_uid}; plan on the CT that the limits were exported for"
        )
        raise FrameMismatchError(msg)
    own: dict[float, Dose] = {}
    goals = []
    for limit in context.limits:
        alpha_beta = limit.goal.alpha_beta_gy
        if alpha_beta is None:  # excluded by Goal
            raise AssertionError(limit.goal.text)
        if alpha_beta not in own:
            eqd2 = to_eqd2(
                plan.dose, n_fractions_planned=plan.n_fractions, alpha_beta_gy=alpha_beta
            )
            own[alpha_beta] = map_dose(eqd2, RigidTransform.identity(frame), context.grid)
        goals.extend(_judged(limit, own[alpha_beta], context))
    return ReturnedCheck(plan, tuple(goals), _findings(plan, context))


def _judged(limit: OrganLimit, own: Dose, context: LimitContext) -> list[GoalResult]:
    """Evaluate one limit on the sum; where its breach is accepted, outside the targets too."""
    total = own if limit.prior is None else limit.prior + own
    name = limit.structure
    regions: dict[str, Structure | Mask] = {name: context.structures[name]}
    outside = context.outside_targets.get(name)
    if name in context.accepted and outside is not None and outside.volume_cc > 0:
        regions[outside.name] = outside
    results = []
    for part, region in regions.items():
        result = evaluate_goal(
            replace(limit.goal, structure=part),
            dvh(total, region, end_slab=context.end_slab),
            prescription_gy=None,
            is_accepted=part in context.accepted,
        )
        if context.is_lower_bound and result.verdict is Verdict.MET:
            result = replace(result, value=np.nan, high=np.inf, verdict=Verdict.UNKNOWN)
        results.append(result)
    return results


def _findings(plan: ReturnedPlan, context: LimitContext) -> tuple[Finding, ...]:
    """Say what the verdicts do not."""
    findings = []
    fraction = fraction_size_finding(plan.dose.max_gy / plan.n_fractions, plan.label)
    if fraction is not None:
        findings.append(fraction)
    if context.is_lower_bound:
        text = (
            "A course is on record whose dose is not: every sum is a lower bound, and a limit "
            "that is met here may be exceeded."
        )
        findings.append(Finding(Severity.SERIOUS, "sum-is-lower-bound", text, plan.label))
    unknown = [limit.structure for limit in context.limits if _is_cut(limit, plan, context)]
    if unknown:
        text = (
            f"{', '.join(unknown)} reach beyond the dose grid of {plan.label}: what lies outside "
            "has an unknown dose, not none."
        )
        findings.append(Finding(Severity.CAUTION, "returned-dose-cuts-organ", text, plan.label))
    return tuple(findings)


def _is_cut(limit: OrganLimit, plan: ReturnedPlan, context: LimitContext) -> bool:
    """Return whether an organ reaches beyond the plan's dose grid."""
    structure = context.structures[limit.structure]
    points = np.concatenate(
        [np.c_[c.points_mm, np.full(len(c.points_mm), c.z_mm)] for c in structure.contours]
    )
    index = plan.dose.grid.indices(points)
    return bool(np.any((index < -0.5) | (index > np.array(plan.dose.grid.shape) - 0.5)))
