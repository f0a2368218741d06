"""At the end of planning the leaves move once more, on the dose of their own apertures."""

from dataclasses import replace

from rerad.optimize import LeafSettings, Multipliers, Problem, delivered_dose, refine_leaves
from rerad.planning.inputs import Progress
from rerad.planning.plan_passes import Delivered, Floats
from rerad.planning.plan_task import PlanTask

CAP_STIFFENING = 10.0
"""The caps' stiffness here over that of the last optimisation: leaves may not buy coverage with
what the caps forbid, even where multipliers have not settled."""

CAP_TOLERANCE_GY = 0.1
"""Excess of the final dose over a cap, in Gy of physical dose, that a refinement may leave; more
only where the sequence had it already."""


def refine(
    task: PlanTask,
    delivered: Delivered,
    cost: Problem,
    held: Multipliers | None,
    progress: Progress,
) -> tuple[Delivered, tuple[float, ...]]:
    """Refine leaf positions as often as asked for, as long as the final dose gets better.

    Parameters
    ----------
    task : PlanTask
        Machine, operator, number of refinements.
    delivered : Delivered
        The sequence to start from.
    cost : Problem
        Objectives at the points.
    held : Multipliers or None
        Caps with what they push where they are exceeded.
    progress : callable
        Told what is being done.

    Returns
    -------
    delivered : Delivered
        Never worse than what came.
    values : tuple of float
        Cost of the final dose, before and after each refinement; empty if nothing was asked for.
    """
    request, operator = task.request, task.operator
    values: list[float] = []
    if held is not None:
        held = replace(held, stiffness=CAP_STIFFENING * held.stiffness)

    def value(dose_gy: Floats) -> float:
        """Objectives, and what caps and earlier levels push with where they are exceeded."""
        pushed = 0.0 if held is None else held.value_and_gradient(dose_gy)[0]
        return cost.value_by_dose(dose_gy)[0] + pushed

    for number in range(request.settings.n_leaf_refinements):
        progress(f"refining leaf positions, {number + 1}", 0.95)
        final = delivered.at_points_gy
        background = final - delivered_dose(delivered.plan, request.machine, operator)
        found = refine_leaves(
            delivered.plan,
            request.machine,
            operator,
            cost,
            settings=LeafSettings(),
            background_dose_gy=background,
            multipliers=held,
        )
        dose, at_points = task.recalculate(found.plan)
        before, after = value(final), value(at_points)
        values = values or [before]
        if after >= before or _breaks_caps(held, at_points, final):
            break
        delivered = replace(delivered, plan=found.plan, dose=dose, at_points_gy=at_points)
        values.append(after)
    return delivered, tuple(values)


def _breaks_caps(held: Multipliers | None, now_gy: Floats, before_gy: Floats) -> bool:
    """Return whether a dose exceeds a cap by more than is allowed and more than before."""
    if held is None:
        return False
    allowed = max(CAP_TOLERANCE_GY, held.violation_gy(before_gy))
    return held.violation_gy(now_gy) > allowed
