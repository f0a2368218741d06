"""After the last pass: limits that the final dose exceeds all the same are brought back.

The optimiser holds its caps, but leaves change with every pass, and a limit is read between
voxels. So the limits are read from the final dose as the verdict reads them. Where one is
exceeded, leaves move once more under tighter caps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Dose, Finding, Severity
from rerad.optimize import (
    DoseCap,
    LeafSettings,
    Multipliers,
    Problem,
    delivered_dose,
    refine_leaves,
)
from rerad.planning.caps import OrganCap, PhysicalCap
from rerad.planning.inputs import Progress
from rerad.planning.judgement import inside_targets, part_outside
from rerad.planning.plan_passes import Delivered
from rerad.planning.plan_task import LEAST_CAP_GY, PlanTask
from rerad.radiobiology import to_eqd2

N_REPAIRS = 3
"""Times that leaves move for the sake of limits, at most."""

STIFFENING = 30.0
"""Stiffness of the caps over that of the last optimisation, and of each time over the one before:
limits come first now."""

FURTHER_GY = 0.1
"""By so much caps of limits that are exceeded are lowered each time, in Gy EQD2; those of this
plan's own dose, which are held at voxels only, by what is exceeded as well."""


@dataclass(frozen=True, slots=True)
class Excess:
    """How far the final dose is above a limit.

    Parameters
    ----------
    cap : OrganCap or PhysicalCap
        The limit.
    by_gy : float
        Reading less limit, in Gy EQD2 or in Gy of this plan; negative below it.
    """

    cap: OrganCap | PhysicalCap
    by_gy: float

    @property
    def name(self) -> str:
        """That of its hard cap in the problem."""
        return _name(self.cap)

    @property
    def further_gy(self) -> float:
        """By how much the cap is lowered for it."""
        return FURTHER_GY + (self.by_gy if isinstance(self.cap, PhysicalCap) else 0.0)


def _name(cap: OrganCap | PhysicalCap) -> str:
    return f"{cap.label} dose cap" if isinstance(cap, PhysicalCap) else f"{cap.label} cap"


def excesses(task: PlanTask, dose: Dose) -> tuple[Excess, ...]:
    """Read every cumulative limit that the earlier dose does not exceed, and this plan's own.

    Parameters
    ----------
    task : PlanTask
        With the limits.
    dose : Dose
        Final physical dose of all fractions.

    Returns
    -------
    tuple of Excess
        Limits whose reading is unknown are not among them: the verdict says so.
    """
    found = []
    for cap in task.request.organ_caps:
        before = 0.0 if cap.prior is None else _reading(task, cap, cap.prior)
        own = to_eqd2(
            dose,
            n_fractions_planned=task.request.n_fractions,
            alpha_beta_gy=cap.alpha_beta_gy,
        )
        reading = _reading(task, cap, own if cap.prior is None else cap.prior + own)
        if before < cap.limit_eqd2_gy and np.isfinite(reading):
            found.append(Excess(cap, reading - cap.limit_eqd2_gy))
    for own_cap in task.request.physical_caps:
        if own_cap.is_hard and own_cap.reading is not None:
            by_gy = own_cap.reading.value(dose) - own_cap.limit_gy
            found += [Excess(own_cap, by_gy)] if np.isfinite(by_gy) else []
    return tuple(found)


def _reading(task: PlanTask, cap: OrganCap, total: Dose) -> float:
    """Return what a limit is judged by, outside the targets where its breach there is accepted."""
    request = task.request
    if cap.reading is None:
        return float("nan")
    if not cap.excludes_targets:
        return cap.reading.value(total)
    targets = [request.masks[item.structure] for item in request.course.prescriptions]
    inside = inside_targets(targets, request.grid)
    outside = part_outside(request.masks[cap.structure], inside, request.grid)
    return cap.reading.value(total, outside) if np.any(outside.fraction > 0) else float("nan")


def hold_limits(
    task: PlanTask,
    delivered: Delivered,
    cost: Problem,
    held: Multipliers | None,
    progress: Progress,
) -> tuple[Delivered, tuple[Finding, ...]]:
    """Move leaves until the final dose holds every cumulative limit, a few times at most.

    Parameters
    ----------
    task : PlanTask
        With the limits.
    delivered : Delivered
        The sequence to start from; where it holds all limits nothing is done.
    cost : Problem
        Objectives at the points, without shift.
    held : Multipliers or None
        Of the hard caps at these points; None holds nothing.
    progress : callable
        Told what is being done.

    Returns
    -------
    delivered : Delivered
        Never further above a limit than what came.
    findings : tuple of Finding
        Limits that it exceeds all the same.
    """
    if held is None or not task.request.objectives.organ_limits_are_hard:
        return delivered, ()
    now, n_done, stiffness = excesses(task, delivered.dose), 0, STIFFENING * held.stiffness
    lower = dict.fromkeys([item.name for item in now], 0.0)
    while n_done < N_REPAIRS and (over := [item for item in now if item.by_gy > 0]):
        n_done += 1
        names = ", ".join(item.cap.label for item in over)
        progress(f"moving leaves for the limits of {names}", 0.97)
        for item in over:
            lower[item.name] += item.further_gy
        caps = _lowered(task, task.caps_at(delivered.at_points_gy), lower)
        pushed = replace(held, caps=caps, stiffness=stiffness)
        moved = _moved(task, delivered, cost, pushed)
        later = excesses(task, moved.dose)
        stiffness *= STIFFENING
        if _worst(later) < _worst(now):
            delivered, now = moved, later
    return delivered, tuple(_not_held(item, n_done) for item in now if item.by_gy > 0)


def _worst(found: Sequence[Excess]) -> float:
    return max((item.by_gy for item in found), default=0.0)


def _moved(task: PlanTask, delivered: Delivered, cost: Problem, held: Multipliers) -> Delivered:
    """Return the sequence after its leaves moved once, with its final dose."""
    machine, operator = task.request.machine, task.operator
    final = delivered.at_points_gy
    found = refine_leaves(
        delivered.plan,
        machine,
        operator,
        cost,
        settings=LeafSettings(),
        background_dose_gy=final - delivered_dose(delivered.plan, machine, operator),
        multipliers=held,
    )
    dose, at_points = task.recalculate(found.plan)
    return replace(delivered, plan=found.plan, dose=dose, at_points_gy=at_points)


def _lowered(
    task: PlanTask, caps: Sequence[DoseCap], by_gy: Mapping[str, float]
) -> tuple[DoseCap, ...]:
    """Return caps that are lower by an EQD2, or by a dose of this plan, for each limit."""
    limits = {_name(cap): cap for cap in task.request.organ_caps}
    n = task.request.n_fractions
    lowered = []
    for hard in caps:
        by = by_gy.get(hard.name, 0.0)
        if by > 0:
            most = np.asarray(hard.max_dose_gy)
            lower = most - by
            if hard.name in limits:
                alpha_beta = limits[hard.name].alpha_beta_gy
                lower = most - by * (2.0 + alpha_beta) / (2.0 * most / n + alpha_beta)
            least = np.maximum(lower, LEAST_CAP_GY)
            hard = replace(hard, max_dose_gy=least)
        lowered.append(hard)
    return tuple(lowered)


def _not_held(item: Excess, n_done: int) -> Finding:
    cap = item.cap
    limit_gy, unit = (
        (cap.limit_gy, "Gy") if isinstance(cap, PhysicalCap) else (cap.limit_eqd2_gy, "Gy EQD2")
    )
    metric = "" if cap.reading is None else f" {cap.reading.metric}"
    text = (
        f"{cap.structure}{metric}: the final dose is {item.by_gy:.2f} {unit} above the limit of "
        f"{limit_gy:g} Gy, although leaves were moved {n_done} more times to hold it. "
        "Ask the targets for less there, or accept the breach and say why."
    )
    return Finding(Severity.SERIOUS, "limit-not-held", text, cap.structure)
