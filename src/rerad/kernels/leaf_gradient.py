"""How what is seen behind a multileaf collimator changes with its tips: the reverse of exposure.

The edge of an opening that stands at `x` changes what is seen only there. For an objective F with
slope f(x) (by exposure, per mm) a tip that moves evenly from a to b while the meterset `m` is
given has

    dF/da = -+ m int_0^1 f(a + t (b - a)) (1 - t) dt,    dF/db = -+ m int_0^1 f(...) t dt

with the sign of its bank. f is constant on pieces, so both are sums over the pieces crossed.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.leaf_exposure import corner_times, inner_edges

STILL_MM = 1e-9
"""An edge that moves by less stands still; one that is nearer than this to a border is on it."""


@njit(cache=True)
def _piece(x, edges):
    """Index of the piece that holds `x`: -1 before the first edge, ``len(edges) - 1`` behind."""
    low, high = -1, len(edges)
    while high - low > 1:
        middle = (low + high) // 2
        if edges[middle] <= x:
            low = middle
        else:
            high = middle
    return low


@njit(cache=True)
def _slope_at(x, edges, slope):
    """Slope where an edge stands; on a border the mean of both sides."""
    before, after = _piece(x - STILL_MM, edges), _piece(x + STILL_MM, edges)
    total = 0.0
    if 0 <= before < len(slope):
        total += 0.5 * slope[before]
    if 0 <= after < len(slope):
        total += 0.5 * slope[after]
    return total


@njit(cache=True)
def _sum_to(x, edges, slope, summed):
    """Integral of the slope up to `x`."""
    n = _piece(x, edges)
    if n < 0:
        return 0.0
    if n >= len(slope):
        return summed[len(slope)]
    return summed[n] + slope[n] * (x - edges[n])


@njit(cache=True)
def _edge(a, b, t0, t1, edges, slope, summed):
    """Integrals over `t0` to `t1` of f (1 - t), of f t, and of the sum of f up to the edge."""
    start, end = a + t0 * (b - a), a + t1 * (b - a)
    low, high = min(start, end), max(start, end)
    if high - low < STILL_MM:
        middle = 0.5 * (low + high)
        part, mean = t1 - t0, 0.5 * (t0 + t1)
        here = _slope_at(middle, edges, slope) * part
        return here * (1.0 - mean), here * mean, _sum_to(middle, edges, slope, summed) * part
    first, last = _piece(low, edges), _piece(high, edges)
    early, late, total = 0.0, 0.0, 0.0
    for n in range(first, last + 1):
        left = low if n == first else edges[n]
        right = high if n == last else edges[n + 1]
        part = (t1 - t0) * (right - left) / (high - low)
        middle = 0.5 * (left + right)
        mean = (middle - a) / (b - a)
        if n >= len(slope):
            total += summed[len(slope)] * part
        elif n >= 0:
            early += slope[n] * part * (1.0 - mean)
            late += slope[n] * part * mean
            total += (summed[n] + slope[n] * (middle - edges[n])) * part
    return early, late, total


@njit(cache=True)
def _add_edge(ends, side, share, t0, t1, edges, slope, summed, out):
    """Add what an edge of one row does, ``out = (start, end)``; return its part of the opening."""
    early, late, total = _edge(ends[0], ends[1], t0, t1, edges, slope, summed)
    sign = -1.0 if side == 0 else 1.0
    out[0] += sign * share * early
    out[1] += sign * share * late
    return sign * total


@njit(cache=True)
def _binding(lines, side, t):
    """Which of two rows bounds their common opening at time `t`: 0, 1, or 2 where both do."""
    first = (1.0 - t) * lines[0, side, 0] + t * lines[0, side, 1]
    second = (1.0 - t) * lines[1, side, 0] + t * lines[1, side, 1]
    if abs(first - second) < STILL_MM:
        return 2
    return 0 if (first > second) == (side == 0) else 1


@njit(cache=True)
def _add_strip(lines, times, share, edges, slope, summed, out):
    """Add what both rows beside a strip do, ``out`` of shape (rows, sides, ends)."""
    seen = 0.0
    count = corner_times(lines, times)
    for m in range(count - 1):
        t0, t1 = times[m], times[m + 1]
        left, right = inner_edges(lines, 0.5 * (t0 + t1))
        if t1 <= t0 or right <= left:
            continue
        for side in range(2):
            row = _binding(lines, side, 0.5 * (t0 + t1))
            if row < 2:
                seen += _add_edge(
                    lines[row, side], side, share, t0, t1, edges, slope, summed, out[row, side]
                )
                continue
            for both in range(2):
                seen += 0.5 * _add_edge(
                    lines[both, side], side, 0.5 * share, t0, t1, edges, slope, summed,
                    out[both, side],
                )  # fmt: skip
    return seen


@njit(cache=True)
def _pull_band(band, tips, share, edges, slope, by_tip, by_share):
    """Write what one row or strip contributes."""
    n_rows, n_pieces = tips.shape[3], slope.shape[1]
    summed = np.zeros(n_pieces + 1)
    is_used = False
    for n in range(n_pieces):
        summed[n + 1] = summed[n] + slope[band, n] * (edges[n + 1] - edges[n])
        is_used |= slope[band, n] != 0.0
    if not is_used:
        return
    lines, times = np.empty((2, 2, 2)), np.empty(32)
    for s in range(len(share)):
        if band < n_rows:
            for side in range(2):
                by_share[band, s] += _add_edge(
                    tips[s, :, side, band], side, share[s], 0.0, 1.0, edges, slope[band], summed,
                    by_tip[band, s, 0, side],
                )  # fmt: skip
            continue
        for row in range(2):
            lines[row] = tips[s, :, :, band - n_rows + row].T
        by_share[band, s] = _add_strip(
            lines, times, share[s], edges, slope[band], summed, by_tip[band, s]
        )


@njit(cache=True, parallel=True)
def pull_exposure(tips, share, edges, slope, by_tip, by_share):
    """Derive an objective by tips and metersets from its derivative by exposure.

    Parameters
    ----------
    tips : float64 array of shape (S, 2, 2, N)
        Tip positions by segment, start and end of it, bank and row, ``X1 <= X2``, mm.
    share : float64 array of shape (S,)
        Meterset of each segment.
    edges : float64 array of shape (M + 1,)
        Edges of the pieces on which the slope is constant, ascending, mm.
    slope : float64 array of shape (2 N - 1, M)
        Derivative by exposure, per mm, of the N rows and of the N - 1 strips in which a row and
        the next must both be open.
    by_tip : float64 array of shape (2 N - 1, S, 2, 2, 2), written
        Derivative by tip, for each line of `slope`: segment, row (the row itself or the lower of
        the strip's two, and the upper), bank, start and end. Zero where it is handed in.
    by_share : float64 array of shape (2 N - 1, S), written
        Derivative by the meterset of each segment. Zero where it is handed in.

    Notes
    -----
    Where an edge stands still on a border between pieces, or both rows bound a strip alike, the
    objective has a kink; the mean of both sides is written.
    """
    for n in prange(slope.shape[0]):
        _pull_band(np.int64(n), tips, share, edges, slope, by_tip, by_share)
