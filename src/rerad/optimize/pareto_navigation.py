r"""Moving on a Pareto set: convex combinations of its plans, and where the trade turns.

A combination :math:`x = \sum_p \lambda_p x_p` of fluences has the combination of doses,
:math:`D = \sum_p \lambda_p D_p`. Hard caps are on dose, so it exceeds none by more than the plans
do. Cumulative EQD2 is convex in dose, so :math:`E(D) \le \sum_p \lambda_p E(D_p)` at every voxel,
and so is every goal: the plan is never worse than the sliders promise. (With leakage in the model
:math:`D \le \sum_p \lambda_p D_p`, as fewer monitor units suffice: caps and organs gain, but a
target may get a little less than promised.)

References
----------
.. [1] Monz, Küfer, Bortfeld & Thieke (2008), Phys. Med. Biol. 53, 985,
   doi:10.1088/0031-9155/53/4/011 (navigation by linear programmes; cited from memory).
.. [2] Das (1999), Struct. Optim. 18, 107, doi:10.1007/BF01195985 (the knee; cited from memory).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from rerad.errors import ComputationError, InputError
from rerad.optimize.pareto_result import ParetoSet
from rerad.optimize.terms import Floats


@dataclass(frozen=True, eq=False, slots=True)
class NavigatedPlan:
    """A convex combination of the plans of a set.

    Parameters
    ----------
    shares : ndarray of shape (P,)
        Of each plan, 0 or more, summing to 1.
    fluence_mu : ndarray of shape (n_beamlets,)
        The combined fluence.
    values_at_most : ndarray of shape (K,)
        The combination of the goals: the plan's own are at most these.
    cap_violation_at_most_gy : float
        No hard cap is exceeded by more.
    excess : float
        How far the wishes could not be met, in ranges of the goals; 0 if they all are.
    """

    shares: Floats
    fluence_mu: Floats
    values_at_most: Floats
    cap_violation_at_most_gy: float
    excess: float


def navigate(pareto: ParetoSet, sliders: Mapping[str, float]) -> NavigatedPlan:
    """Return the combination of plans that keeps each slider's goal at most where it stands.

    If all can be kept, goals without a slider are made as small as possible; if not, the largest
    excess is made as small as possible, counted in ranges of the goals.

    Parameters
    ----------
    pareto : ParetoSet
        Plans.
    sliders : mapping of str to float
        Goal to the value that it should not exceed; goals that are left out are free.

    Returns
    -------
    NavigatedPlan

    Raises
    ------
    InputError
        If a goal is unknown or a wish is not a number.
    ComputationError
        If the linear programme fails.
    """
    unknown = sorted(set(sliders) - set(pareto.goals))
    if unknown or not all(np.isfinite(wish) for wish in sliders.values()):
        msg = (
            f"expected finite values for goals among {', '.join(pareto.goals)}, got "
            f"{dict(sliders)}"
        )
        raise InputError(msg)
    ranges, n_plans = pareto.ranges, pareto.n_plans
    wished = np.array([goal in sliders for goal in pareto.goals])
    importance = np.where(wished, 1e-4, 1e-2) / ranges
    rows = pareto.values.T[wished]
    limits = [sliders[goal] for goal in pareto.goals if goal in sliders]
    found = linprog(
        np.append(pareto.values @ importance, 1.0),
        A_ub=np.column_stack([rows, -ranges[wished]]) if limits else None,
        b_ub=limits or None,
        A_eq=np.append(np.ones(n_plans), 0.0)[None],
        b_eq=[1.0],
        bounds=(0.0, None),
        method="highs",
    )
    if found.status != 0:
        msg = f"expected a combination of the {n_plans} plans, but the linear programme failed: "
        raise ComputationError(msg + str(found.message))
    shares = np.maximum(found.x[:-1], 0.0)
    return _combined(pareto, shares / shares.sum(), float(found.x[-1]))


def combine(pareto: ParetoSet, shares: Floats) -> NavigatedPlan:
    """Return the convex combination with given shares.

    Parameters
    ----------
    pareto : ParetoSet
        Plans.
    shares : ndarray of shape (P,)
        0 or more, not all 0; scaled here to a sum of 1.

    Raises
    ------
    InputError
        If shares are negative or do not fit.
    """
    given = np.asarray(shares, dtype=np.float64)
    total = float(given.sum())
    if given.shape != (pareto.n_plans,) or np.any(given < 0) or not 0 < total < np.inf:
        msg = f"expected {pareto.n_plans} shares of 0 or more, got {given.tolist()}"
        raise InputError(msg)
    return _combined(pareto, given / total, 0.0)


def _combined(pareto: ParetoSet, shares: Floats, excess: float) -> NavigatedPlan:
    used = shares > 0
    fluence = shares[used] @ pareto.fluences_mu[used].astype(np.float64)
    return NavigatedPlan(
        shares=shares,
        fluence_mu=fluence,
        values_at_most=shares @ pareto.values,
        cap_violation_at_most_gy=float(shares @ pareto.cap_violations_gy),
        excess=max(excess, 0.0),
    )


def knee(pareto: ParetoSet) -> int | None:
    """Return the plan with the least sum of goals, each counted in its range over the plans.

    Of two goals it is the plan furthest below the line through the two that are best in one goal
    each [2]_; there a little more of one costs the most of the other, whichever way. It is
    computed from the plans and is not a recommendation.

    Parameters
    ----------
    pareto : ParetoSet
        Plans.

    Returns
    -------
    int or None
        Number of the plan; None if that plan is also the best in one goal: then nothing bends.
    """
    scaled = (pareto.values - pareto.values.min(axis=0)) / pareto.ranges
    plan = int(scaled.sum(axis=1).argmin())
    return None if scaled[plan].min() <= 0 else plan
