"""The two loops of a limited-memory quasi-Newton step, over the unknowns that are free.

Pairs of steps and changes are kept in float32, which halves the memory that each direction has to
walk through; all sums and the direction itself are in float64. Vectors have a multiple of `LANES`
numbers, those beyond the unknowns 0, and a sum has so many parts that do not wait for each other.
"""

import numpy as np
from numba import njit

LANES = 8


@njit(cache=True, inline="always")
def _dot(a, slot, b):
    """Return the sum of products of row `slot` of `a` and `b`."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    row = a[slot]
    for i in range(np.uint64(0), np.uint64(len(b)), np.uint64(8)):
        s0 += row[i] * b[i]
        s1 += row[i + np.uint64(1)] * b[i + np.uint64(1)]
        s2 += row[i + np.uint64(2)] * b[i + np.uint64(2)]
        s3 += row[i + np.uint64(3)] * b[i + np.uint64(3)]
        s4 += row[i + np.uint64(4)] * b[i + np.uint64(4)]
        s5 += row[i + np.uint64(5)] * b[i + np.uint64(5)]
        s6 += row[i + np.uint64(6)] * b[i + np.uint64(6)]
        s7 += row[i + np.uint64(7)] * b[i + np.uint64(7)]
    return ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7))


@njit(cache=True, inline="always")
def _add(factor, a, slot, is_free, b):
    """Add `factor` times row `slot` of `a`, where free, to `b`."""
    row = a[slot]
    for i in range(np.uint64(len(b))):
        b[i] += factor * (row[i] * is_free[i])


@njit(cache=True, inline="always")
def _free_change(changes, slot, is_free, free):
    """Write a change where unknowns are free, 0 elsewhere."""
    row = changes[slot]
    for i in range(np.uint64(len(free))):
        free[i] = row[i] * is_free[i]


@njit(cache=True)
def two_loops(steps, changes, is_free, order, least, direction):
    """Turn minus the gradient into a quasi-Newton step, in place.

    Parameters
    ----------
    steps, changes : float32 arrays of shape (M, N), contiguous
        N is a multiple of `LANES`.
    is_free : float64 array of shape (N,)
        1 where an unknown is free, else 0.
    order : int64 array of shape (K,)
        Pairs, oldest first.
    least : float
        A pair counts if its curvature over the free unknowns is more than this share of the
        square of its change.
    direction : float64 array of shape (N,)
        Minus the gradient where free, else 0; overwritten with the step.
    """
    curvatures, shares = np.zeros((2, len(order)))
    change = np.empty(len(direction))
    scale, has_scale = 1.0, False
    for k in range(len(order) - 1, -1, -1):
        slot = order[k]
        _free_change(changes, slot, is_free, change)
        product, square = _dot(steps, slot, change), _dot(changes, slot, change)
        if product > least * square:
            curvatures[k] = product
            if not has_scale:
                scale, has_scale = product / square, True
            shares[k] = _dot(steps, slot, direction) / product
            _add(-shares[k], changes, slot, is_free, direction)
    for i in range(len(direction)):
        direction[i] *= scale
    for k in range(len(order)):
        if curvatures[k] > 0.0:
            back = _dot(changes, order[k], direction) / curvatures[k]
            _add(shares[k] - back, steps, order[k], is_free, direction)
