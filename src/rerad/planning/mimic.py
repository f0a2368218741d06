"""A wanted dose as an objective: what leaves are refined on where goals alone would undo a plan.

A robust plan gives up coverage for places where the patient may lie; a plan chosen on a Pareto
surface lies where the objectives did not put it. Leaves that were refined on the objectives would
take both back. Here they are refined to give the dose that was chosen, at rest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.optimize import DoseTerm, Overdose, Problem
from rerad.planning.plan_passes import Floats
from rerad.planning.plan_task import PlanTask


@dataclass(frozen=True, eq=False, slots=True)
class DoseDeviation:
    r"""Squared deviation from a dose: :math:`w \sum_i v_i ((D_i - P_i) / s)^2`, convex.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point; scaled here to a sum of 1.
    dose_gy : ndarray of shape (N,)
        Dose :math:`P` wanted at each point.
    scale_gy : float
        :math:`s`, above 0.
    importance : float
        :math:`w`, above 0.

    Raises
    ------
    InputError
        If there is no volume, lengths differ or a number is out of range.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    dose_gy: Floats
    scale_gy: float
    importance: float

    def __post_init__(self) -> None:
        total = float(np.sum(self.weights))
        lengths = {len(self.indices), len(self.weights), len(self.dose_gy)}
        if len(lengths) != 1 or not min(total, self.scale_gy, self.importance) > 0:
            msg = (
                f"objective {self.name}: expected points with volume, a dose for each, and scale "
                f"and importance above 0, got {lengths} and {total}"
            )
            raise InputError(msg)
        object.__setattr__(self, "weights", np.asarray(self.weights) / total)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the dose of each point."""
        factor = self.importance / self.scale_gy**2
        off = dose_gy - self.dose_gy
        pull = factor * self.weights * off
        return float(pull @ off), 2.0 * pull

    def curvature(self) -> Floats:
        """Return the second derivative."""
        return 2.0 * self.importance / self.scale_gy**2 * self.weights


def mimic_problem(task: PlanTask, wanted_gy: Floats) -> Problem:
    """Return the problem of giving a dose: just that in targets, no more of it elsewhere.

    Parameters
    ----------
    task : PlanTask
        Targets, organs with limits or hard goals, importances.
    wanted_gy : ndarray of shape (n_points,)
        Dose at the points, without shift.
    """
    request, points, weights = task.request, task.points, task.request.objectives
    scale = max(item.dose_gy for item in request.course.prescriptions)
    targets = {item.structure for item in request.course.prescriptions}
    organs = {cap.structure for cap in request.organ_caps}
    organs |= {cap.structure for cap in request.physical_caps}
    hard = {item.goal.structure for item in request.goals if item.goal.is_hard}
    organs |= hard & set(request.masks)
    terms: list[DoseTerm] = []
    for name in sorted(targets):
        where, volume = points.of_mask(request.masks[name])
        if len(where):
            dose = wanted_gy[where]
            term = DoseDeviation(name, where, volume, dose, scale, weights.target_importance)
            terms.append(term)
    parts = [(name, request.masks[name], weights.organ_importance) for name in sorted(organs)]
    parts.append(("body", request.body, weights.normal_tissue_importance))
    for name, mask, importance in parts:
        where, volume = points.of_mask(mask)
        if len(where) and importance > 0:
            most = np.maximum(wanted_gy[where], 0.0)
            label = f"{name}, no more than wanted"
            terms.append(Overdose(label, where, volume, most, importance, scale))
    return Problem(task.operator, tuple(terms))
