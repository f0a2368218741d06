"""How long each point behind a multileaf collimator is open while leaves and jaws move."""

from math import erfc, exp, sqrt

import numpy as np
from numba import njit, prange

REACH = 6.0
"""Standard deviations beyond which a Gaussian edge is taken as 0 or 1 (error 1e-9)."""


@njit(cache=True)
def _mean_ramp(x, start, end):
    """Mean of ``max(x - s, 0)`` while s moves evenly from `start` to `end`."""
    low, high = min(start, end), max(start, end)
    if x <= low:
        return 0.0
    if x >= high:
        return x - 0.5 * (low + high)
    return 0.5 * (x - low) * (x - low) / (high - low)


@njit(cache=True)
def _normal(z):
    """Cumulative distribution of the standard normal, and its antiderivative."""
    cumulative = 0.5 * erfc(-z / sqrt(2.0))
    return cumulative, z * cumulative + exp(-0.5 * z * z) / sqrt(2.0 * np.pi)


@njit(cache=True)
def _mean_normal(a, b):
    """Mean of the cumulative normal while its argument moves evenly from `a` to `b`."""
    if min(a, b) > REACH:
        return 1.0
    if max(a, b) < -REACH:
        return 0.0
    if abs(b - a) < 1e-3:
        # The second-order term left out is below 1e-8.
        return _normal(0.5 * (a + b))[0]
    return (_normal(b)[1] - _normal(a)[1]) / (b - a)


@njit(cache=True)
def _add_opening(ends, weight, x_edges, sigma, out):
    """Add an opening whose two edges move evenly, ``ends = (L0, L1, R0, R1)``, L <= R."""
    n_cells = len(x_edges) - 1
    cell = (x_edges[n_cells] - x_edges[0]) / n_cells
    reach = REACH * sigma + cell
    first = (min(ends[0], ends[1]) - reach - x_edges[0]) / cell
    last = (max(ends[2], ends[3]) + reach - x_edges[0]) / cell
    start, stop = int(min(max(first, 0.0), n_cells)), int(min(max(last, 0.0), n_cells))
    if sigma > 0.0:
        for u in range(start, stop):
            x = 0.5 * (x_edges[u] + x_edges[u + 1])
            seen = _mean_normal((x - ends[0]) / sigma, (x - ends[1]) / sigma)
            seen -= _mean_normal((x - ends[2]) / sigma, (x - ends[3]) / sigma)
            out[u] += weight * seen
        return
    before = _mean_ramp(x_edges[start], ends[0], ends[1])
    before -= _mean_ramp(x_edges[start], ends[2], ends[3])
    for u in range(start, stop):
        after = _mean_ramp(x_edges[u + 1], ends[0], ends[1])
        after -= _mean_ramp(x_edges[u + 1], ends[2], ends[3])
        out[u] += weight * (after - before) / cell
        before = after


@njit(cache=True)
def _inner_edges(lines, t):
    """Greatest of the left lines and least of the right lines at time `t`, 0 to 1."""
    left, right = -np.inf, np.inf
    for m in range(lines.shape[0]):
        left = max(left, (1.0 - t) * lines[m, 0, 0] + t * lines[m, 0, 1])
        right = min(right, (1.0 - t) * lines[m, 1, 0] + t * lines[m, 1, 1])
    return left, right


@njit(cache=True)
def _corner_times(lines, times):
    """Write 0, the times at which the common opening of lines has a corner, and 1; count them."""
    n_lines = lines.shape[0]
    times[0] = 0.0
    count = 1
    for a in range(2 * n_lines):
        for b in range(a):
            one, two = lines[a // 2, a % 2], lines[b // 2, b % 2]
            d0, d1 = one[0] - two[0], one[1] - two[1]
            if d0 * d1 >= 0.0:
                continue
            t = d0 / (d0 - d1)
            place = one[0] + t * (one[1] - one[0])
            left, right = _inner_edges(lines, t)
            # Lines that cross behind others make no corner.
            if place < left - 1e-9 or place > right + 1e-9:
                continue
            spot = count
            while times[spot - 1] > t:
                times[spot] = times[spot - 1]
                spot -= 1
            times[spot] = t
            count += 1
    times[count] = 1.0
    return count + 1


@njit(cache=True)
def _add_common(lines, times, weight, x_edges, sigma, out):
    """Add what all pairs of lines leave open, `lines` of shape (pairs, left and right, ends)."""
    ends = np.empty(4)
    count = _corner_times(lines, times)
    for m in range(count - 1):
        part = times[m + 1] - times[m]
        left, right = _inner_edges(lines, 0.5 * (times[m] + times[m + 1]))
        if part <= 0.0 or right <= left:
            continue
        ends[0], ends[2] = _inner_edges(lines, times[m])
        ends[1], ends[3] = _inner_edges(lines, times[m + 1])
        ends[2], ends[3] = max(ends[0], ends[2]), max(ends[1], ends[3])
        _add_opening(ends, weight * part, x_edges, sigma, out)


@njit(cache=True)
def _expose_row(tips, jaws, share, leak, x_edges, sigma, out):
    """Exposure of a row of points that the given leaves, none to two, must all leave open."""
    n_leaves = tips.shape[3]
    lines = np.empty((n_leaves + 1, 2, 2))
    times = np.empty(32)
    out[:] = 0.0
    for s in range(len(share)):
        if share[s] <= 0.0:
            continue
        lines[0] = jaws[s].T
        for m in range(n_leaves):
            lines[m + 1] = tips[s, :, :, m].T
        _add_common(lines, times, share[s] * (1.0 - leak), x_edges, sigma, out)
        if n_leaves == 0:
            out += share[s] * leak
        elif leak > 0.0:
            _add_common(lines[1:], times, share[s] * leak, x_edges, sigma, out)


@njit(cache=True, parallel=True)
def leaf_exposure(tips, jaws, share, leak, x_edges, sigma, out):
    """Integrate how long leaf rows, and strips between rows, are open along x.

    Everything moves linearly within a segment, and the integrals over time are closed forms
    between the moments at which edges pass each other: nothing is sampled in time.

    Parameters
    ----------
    tips : float64 array of shape (S, 2, 2, N)
        Tip positions by segment, start and end of it, bank and row, ``X1 <= X2``, mm.
    jaws : float64 array of shape (S, 2, 2)
        X jaw positions by segment, start and end, and side, ``X1 <= X2``, mm.
    share : float64 array of shape (S,)
        Meterset of each segment.
    leak : float
        Share that passes a jaw.
    x_edges : float64 array of shape (U + 1,)
        Edges of U equal cells, ascending, mm.
    sigma : float
        If 0, means over the cells are written; otherwise values at the centres of the cells,
        blurred by a Gaussian of this standard deviation, mm.
    out : float64 array of shape (2 N, U), written
        Exposure of the N rows, of the N - 1 strips in which a row and the next must both be
        open, and of a row without leaves.
    """
    n_rows = tips.shape[3]
    for n in prange(2 * n_rows):
        band = np.int64(n)
        first, last = band, band + 1
        if band == 2 * n_rows - 1:
            first, last = 0, 0
        elif band >= n_rows:
            first, last = band - n_rows, band - n_rows + 2
        _expose_row(tips[:, :, :, first:last], jaws, share, leak, x_edges, sigma, out[band])
