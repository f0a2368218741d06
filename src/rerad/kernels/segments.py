"""Shapes of a multileaf collimator that add up to a matrix of whole numbers in the least time.

A row of a shape is open from column `left` to before column `right`. With the earliest moments
L[i, j] at which leading leaves of one sweep open a column, and levels a, trailing leaves close it
at L + a; all that a collimator may ask of neighbouring rows is a difference of such moments, so
the least time of a sweep is the longest path through the columns.
"""

import numpy as np
from numba import njit

FREE, NO_INTERDIGITATION, NO_TONGUE_AND_GROOVE = 0, 1, 2
"""What rows ask of their neighbours: nothing; that no tip passes the opposing tip of a neighbour;
that the longer open of two neighbouring cells is open all the time that the other is."""


@njit(cache=True)
def _lag(level, level_beside, rule):
    """By how much, at least, a column opens after that of the neighbouring row (never above 0)."""
    return -level if rule == NO_INTERDIGITATION else min(0.0, level_beside - level)


@njit(cache=True)
def opening_times(levels, rule, opens):
    """Write the earliest moment at which each column opens; return when the last one closes.

    Parameters
    ----------
    levels : float64 array of shape (R, C)
        How long each cell is open, 0 or more.
    rule : int
        `FREE`, `NO_INTERDIGITATION` or `NO_TONGUE_AND_GROOVE`.
    opens : float64 array of shape (R, C), written

    Returns
    -------
    float
        The least time in which any segments make the levels.

    References
    ----------
    .. [1] Kamath, Sahni, Li, Palta & Ranka (2003), Phys. Med. Biol. 48, 307.
    .. [2] Kalinowski (2005), Discrete Appl. Math. 152, 52.
    """
    n_rows, n_columns = levels.shape
    for j in range(n_columns):
        for i in range(n_rows):
            before = opens[i, j - 1] if j > 0 else 0.0
            fall = levels[i, j - 1] - levels[i, j] if j > 0 else 0.0
            opens[i, j] = before + max(0.0, fall)
        if rule == FREE:
            continue
        for i in range(1, n_rows):
            lag = _lag(levels[i, j], levels[i - 1, j], rule)
            opens[i, j] = max(opens[i, j], opens[i - 1, j] + lag)
        for i in range(n_rows - 2, -1, -1):
            lag = _lag(levels[i, j], levels[i + 1, j], rule)
            opens[i, j] = max(opens[i, j], opens[i + 1, j] + lag)
    total = 0.0
    for i in range(n_rows):
        total = max(total, opens[i, n_columns - 1] + levels[i, n_columns - 1])
    return total


@njit(cache=True)
def _jump(levels, i, j):
    """Level of column `j` less that of the one before; nothing lies beside the field."""
    here = levels[i, j] if j < levels.shape[1] else 0.0
    return here - (levels[i, j - 1] if j > 0 else 0.0)


@njit(cache=True)
def _row_time(levels, i):
    """Least time of a row on its own: the sum of its rises."""
    total = 0.0
    for j in range(levels.shape[1]):
        total += max(0.0, _jump(levels, i, j))
    return total


@njit(cache=True)
def _best_interval(levels, i, time, spare, weight):
    """Best interval of a row that may be open for `weight`: (left, right), or left -1 for none.

    `spare` is the time left for the row afterwards. Best is what removes most steps and cells,
    and of these the longest.
    """
    n_columns = levels.shape[1]
    left, right, best = -1, -1, -1.0
    if time <= spare:
        left, right, best = 0, 0, 0.0
    for first in range(n_columns):
        rise, emptied = _jump(levels, i, first), 0
        for last in range(first, n_columns):
            level = levels[i, last]
            if level < weight:
                break
            emptied += level == weight
            fall = _jump(levels, i, last + 1)
            after = time - max(0.0, rise) + max(0.0, rise - weight)
            after += max(0.0, fall + weight) - max(0.0, fall)
            if after > spare:
                continue
            score = emptied + (rise == weight and levels[i, first] != weight)
            score += fall == -weight and level != weight
            score += (last - first + 1) / (n_columns + 1.0)
            if score > best:
                left, right, best = first, last + 1, score
    return left, right


@njit(cache=True)
def free_segment(levels, left, right):
    """Write the segment of greatest weight that keeps the least time; return its weight.

    Parameters
    ----------
    levels : float64 array of shape (R, C)
        Whole numbers, not all 0.
    left, right : int64 arrays of shape (R,), written
        Open columns of each row, ``left`` to before ``right``; equal for a closed row.

    References
    ----------
    .. [1] Engel (2005), Discrete Appl. Math. 152, 35.
    """
    n_rows = levels.shape[0]
    times = np.array([_row_time(levels, i) for i in range(n_rows)])
    total, weight = times.max(), levels.max()
    while weight > 0:
        is_possible = True
        for i in range(n_rows):
            left[i], right[i] = _best_interval(levels, i, times[i], total - weight, weight)
            if left[i] < 0:
                is_possible = False
                break
        if is_possible:
            break
        weight -= 1.0
    return weight


@njit(cache=True)
def _longest(levels, rule, total, left, right, rest, opens):
    """Greatest weight of a shape that keeps the least time; 0 if it opens nothing."""
    most = np.inf
    for i in range(levels.shape[0]):
        for j in range(left[i], right[i]):
            most = min(most, levels[i, j])
            for k in range(max(i - 1, 0), min(i + 2, levels.shape[0])):
                # The rest must be open longer where the whole is.
                if rule == NO_TONGUE_AND_GROOVE and not left[k] <= j < right[k]:
                    most = min(most, levels[i, j] - levels[k, j])
    if most == np.inf:
        return 0.0
    low, high = 0.0, most + 1.0
    while high - low > 1.0:
        weight = np.floor(0.5 * (low + high))
        rest[:] = levels
        for i in range(levels.shape[0]):
            rest[i, left[i] : right[i]] -= weight
        if opening_times(rest, rule, opens) <= total - weight:
            low = weight
        else:
            high = weight
    return low


@njit(cache=True)
def bound_segment(levels, rule, left, right):
    """As `free_segment` for rows that are not free: the longest of the shapes of two sweeps.

    Every shape that a sweep in the least time goes through can be given at least as long as the
    sweep stays in it, so there always is one.

    Parameters
    ----------
    levels : float64 array of shape (R, C)
        Whole numbers, not all 0.
    rule : int
        `NO_INTERDIGITATION` or `NO_TONGUE_AND_GROOVE`.
    left, right : int64 arrays of shape (R,), written
        Open columns of each row; a closed row waits at ``left``, equal to ``right``.
    """
    n_rows, n_columns = levels.shape
    opens, work, rest = np.empty_like(levels), np.empty_like(levels), np.empty_like(levels)
    first, last = np.empty_like(left), np.empty_like(right)
    best, most = 0.0, -1
    for is_mirrored in range(2):
        seen = levels[:, ::-1].copy() if is_mirrored else levels
        total = opening_times(seen, rule, opens)
        for moment in range(int(total)):
            n_open = 0
            for i in range(n_rows):
                last[i] = np.sum(opens[i] <= moment)
                first[i] = np.sum(opens[i] + seen[i] <= moment)
                n_open += last[i] - first[i]
            weight = _longest(seen, rule, total, first, last, rest, work)
            if weight > best or (weight == best and n_open > most):
                best, most = weight, n_open
                left[:], right[:] = first, last
                if is_mirrored:
                    left[:], right[:] = n_columns - last, n_columns - first
    return best
