"""Squared excess over thresholds in one pass, for objectives on many points."""

import numpy as np
from numba import njit


@njit(cache=True)
def squared_excess(dose, threshold, weights, factor, sign, slope):
    """Return the weighted sum of squares of what exceeds (or falls short of) the thresholds.

    Parameters
    ----------
    dose, threshold, weights : float64 arrays of shape (N,)
    factor : float
        All weights are multiplied with it.
    sign : float
        1 for excess over the thresholds, -1 for lack.
    slope : float64 array of shape (N,), written
        Derivative by each dose; exactly 0 where there is no excess.

    Returns
    -------
    float
        Summed in the order of the points.
    """
    value = 0.0
    for i in range(np.uint64(len(dose))):
        excess = sign * (dose[i] - threshold[i])
        # Not a branch: NaN stays NaN, as in NumPy.
        excess = 0.0 if excess <= 0.0 else excess
        weighted = factor * weights[i] * excess
        value += weighted * excess
        slope[i] = 2.0 * sign * weighted
    return value


@njit(cache=True)
def add_squared_excess(dose, indices, threshold, weights, factor, sign, gradient):
    """Do the same for some points of a whole, without a copy of them.

    Parameters
    ----------
    dose : float64 array of shape (M,)
        Of all points.
    indices : int64 array of shape (N,)
        Which of them count.
    threshold, weights : float64 arrays of shape (N,)
    factor, sign : float
        As in `squared_excess`.
    gradient : float64 array of shape (M,), added to
        Derivative by the dose of all points.

    Returns
    -------
    float
        Summed in the order of the points.
    """
    value = 0.0
    for i in range(np.uint64(len(indices))):
        place = np.uint64(indices[i])
        excess = sign * (dose[place] - threshold[i])
        if excess <= 0.0:
            continue
        weighted = factor * weights[i] * excess
        value += weighted * excess
        gradient[place] += 2.0 * sign * weighted
    return value
