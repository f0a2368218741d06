r"""Limited-memory quasi-Newton steps between bounds.

Variables that sit at a bound and are pushed against it are held; the others take a step
:math:`-H g` with the inverse Hessian that the last pairs of steps and changes of the gradient
imply, restricted to them, and are cut off at the bounds. A step is accepted when the objective
falls enough along the way really gone [2]_; otherwise it is shortened. Convex objectives with a
good diagonal scaling nearly always accept the full step, so that an iteration costs one
evaluation, and nothing of size (unknowns x unknowns) is ever formed.

The memory [1]_ outlives one minimisation: when only the multipliers of an augmented Lagrangian
have moved, the curvature that was learned still holds.

References
----------
.. [1] Nocedal (1980), Math. Comput. 35, 773, doi:10.1090/S0025-5718-1980-0572855-7.
.. [2] Bertsekas (1982), SIAM J. Control Optim. 20, 221, doi:10.1137/0320018.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rerad.kernels.quasi_newton import LANES, two_loops
from rerad.optimize.terms import Floats

Evaluate = Callable[[Floats], tuple[float, Floats]]
"""Objective and gradient at a point."""

_ARMIJO = 1e-4
_SHORTEST = 1e-10
_LONGEST = 10.0
"""Steps are at most so many times as long as the unknowns, or as the gradient, which is a step
where a well scaled problem bends by one. Where nothing bends, a quasi-Newton step has no end."""

_LEAST_CURVATURE = 1e-10


class CurvatureMemory:
    """The last steps and the changes of the gradient along them.

    Parameters
    ----------
    size : int
        Pairs kept, at least 1.
    n_unknowns : int
        Length of each.
    """

    def __init__(self, size: int, n_unknowns: int) -> None:
        n_padded = -(-n_unknowns // LANES) * LANES
        self._steps = np.zeros((size, n_padded), np.float32)
        self._changes = np.zeros((size, n_padded), np.float32)
        self._order: list[int] = []

    def learn(self, step: Floats, change: Floats) -> None:
        """Keep a pair, if the curvature along it is positive."""
        curvature = float(np.dot(step, change))
        bound = _LEAST_CURVATURE * float(np.linalg.norm(step) * np.linalg.norm(change))
        if not curvature > bound:
            return
        is_full = len(self._order) == len(self._steps)
        slot = self._order.pop(0) if is_full else len(self._order)
        # A unit step, so that no number is too small for float32.
        size = float(np.linalg.norm(step))
        self._steps[slot, : len(step)] = step / size
        self._changes[slot, : len(step)] = change / size
        self._order.append(slot)

    def forget(self) -> bool:
        """Drop all pairs; return whether there were any."""
        had_any = bool(self._order)
        self._order.clear()
        return had_any

    def direction(
        self, gradient: Floats, is_free: np.ndarray[tuple[int], np.dtype[np.bool_]]
    ) -> Floats:
        """Return minus the inverse Hessian of the free unknowns times their gradient.

        Parameters
        ----------
        gradient : ndarray of shape (n_unknowns,)
            Of the objective.
        is_free : ndarray of bool, shape (n_unknowns,)
            Which unknowns may move.

        Returns
        -------
        ndarray of shape (n_unknowns,)
            0 where not free.
        """
        free, direction = np.zeros((2, self._steps.shape[1]))
        free[: len(gradient)] = is_free
        direction[: len(gradient)] = np.where(is_free, -gradient, 0.0)
        order = np.array(self._order, np.int64)
        two_loops(self._steps, self._changes, free, order, _LEAST_CURVATURE, direction)
        return direction[: len(gradient)]


@dataclass(frozen=True, eq=False, slots=True)
class Place:
    """Where a search is: unknowns, objective, gradient."""

    unknowns: Floats
    value: float
    gradient: Floats


def bounded_step(
    place: Place, evaluate: Evaluate, memory: CurvatureMemory, upper: Floats | float
) -> Place | None:
    """Take one quasi-Newton step between 0 and `upper`.

    Parameters
    ----------
    place : Place
        Where the search is.
    evaluate : callable
        Objective and gradient.
    memory : CurvatureMemory
        Learns from the step.
    upper : float or ndarray of shape (n_unknowns,)
        Largest values; may be infinite.

    Returns
    -------
    Place or None
        None where no step lowers the objective any more.
    """
    x, gradient = place.unknowns, place.gradient
    is_free = ~(((x <= 0.0) & (gradient > 0.0)) | ((x >= upper) & (gradient < 0.0)))
    direction = memory.direction(gradient, is_free)
    slope = float(np.dot(direction, gradient))
    if not slope < 0.0:
        direction = np.where(is_free, -gradient, 0.0)
        slope = float(np.dot(direction, gradient))
        if not slope < 0.0:
            return None
    longest = _LONGEST * max(float(np.linalg.norm(x)), float(np.linalg.norm(gradient)))
    share = min(1.0, longest / float(np.linalg.norm(direction)))
    while share > _SHORTEST:
        reached = np.clip(x + share * direction, 0.0, upper)
        step = reached - x
        expected = float(np.dot(step, gradient))
        value, next_gradient = evaluate(reached)
        if value < place.value and value <= place.value + _ARMIJO * expected:
            memory.learn(step, next_gradient - gradient)
            return Place(reached, value, next_gradient)
        # The parabola through value, slope and new value; it may be too trusting.
        bend = value - place.value - expected
        fit = 0.5 * -expected / bend if bend > 0.0 else 0.5
        share *= min(0.5, max(0.1, fit))
    return None
