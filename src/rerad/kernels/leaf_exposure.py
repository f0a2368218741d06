"""How long each point behind a multileaf collimator is open while leaves and jaws move."""

from math import erfc, exp, pi, sqrt

import numpy as np
from numba import njit, prange

REACH = 6
"""Standard deviations beyond which a Gaussian edge is taken as 0 or 1 (error 1e-9)."""

STEPS = 32
"""Nodes of `NORMAL` per standard deviation; cubic interpolation is then good to 4e-9."""

NORMAL = np.array(
    [
        (z * p + d, p, d)
        for z, p, d in (
            (z, 0.5 * erfc(-z / sqrt(2.0)), exp(-0.5 * z * z) / sqrt(2.0 * pi))
            for z in (n / STEPS - REACH for n in range(2 * REACH * STEPS + 2))
        )
    ]
)
"""Antiderivative, value and derivative of the cumulative normal, from ``-REACH`` on."""

FEW_SEGMENTS = 8
"""Below this many segments the rows are exposed by one thread."""


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
def _normal(z, order):
    """Antiderivative (0) or value (1) of the cumulative normal within `REACH`, or at its end."""
    place = (min(max(z, -REACH), REACH) + REACH) * STEPS
    node = int(place)
    t = place - node
    value, slope = NORMAL[node, order], NORMAL[node, order + 1] / STEPS
    value_next, slope_next = NORMAL[node + 1, order], NORMAL[node + 1, order + 1] / STEPS
    rise = value_next - value
    curve = 3.0 * rise - 2.0 * slope - slope_next
    return value + t * (slope + t * (curve + t * (slope + slope_next - 2.0 * rise)))


@njit(cache=True)
def _mean_normal(a, b):
    """Mean of the cumulative normal while its argument moves evenly from `a` to `b`."""
    low, high = min(a, b), max(a, b)
    if low >= REACH:
        return 1.0
    if high <= -REACH:
        return 0.0
    if high - low < 0.1:
        # The mean of a curve to second order; the fourth, left out, is below 1e-7.
        middle = 0.5 * (low + high)
        node = int((min(max(middle, -REACH), REACH) + REACH) * STEPS + 0.5)
        place = node / STEPS - REACH
        slope = NORMAL[node, 2] * (1.0 - place * (middle - place))
        return _normal(middle, 1) - middle * slope * (high - low) ** 2 / 24.0
    area = _normal(high, 0) - _normal(low, 0) + max(high - REACH, 0.0)
    return area / (high - low)


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
def inner_edges(lines, t):
    """Greatest of the left lines and least of the right lines at time `t`, 0 to 1."""
    left, right = -np.inf, np.inf
    for m in range(lines.shape[0]):
        left = max(left, (1.0 - t) * lines[m, 0, 0] + t * lines[m, 0, 1])
        right = min(right, (1.0 - t) * lines[m, 1, 0] + t * lines[m, 1, 1])
    return left, right


@njit(cache=True)
def corner_times(lines, times):
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
            left, right = inner_edges(lines, t)
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
    count = corner_times(lines, times)
    for m in range(count - 1):
        part = times[m + 1] - times[m]
        left, right = inner_edges(lines, 0.5 * (times[m] + times[m + 1]))
        if part <= 0.0 or right <= left:
            continue
        ends[0], ends[2] = inner_edges(lines, times[m])
        ends[1], ends[3] = inner_edges(lines, times[m + 1])
        ends[2], ends[3] = max(ends[0], ends[2]), max(ends[1], ends[3])
        _add_opening(ends, weight * part, x_edges, sigma, out)


@njit(cache=True)
def _place_of(lines):
    """Tell whether lines stay within line 0 (1), or one of them beyond it (-1), or neither (0)."""
    inside, outside = True, False
    for m in range(1, lines.shape[0]):
        line = lines[m]
        for t in range(2):
            inside &= line[0, t] >= lines[0, 0, t] and line[1, t] <= lines[0, 1, t]
        before = line[1, 0] <= lines[0, 0, 0] and line[1, 1] <= lines[0, 0, 1]
        after = line[0, 0] >= lines[0, 1, 0] and line[0, 1] >= lines[0, 1, 1]
        outside |= before or after
    if outside:
        return -1
    return 1 if inside else 0


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
        if n_leaves == 0:
            _add_common(lines, times, share[s] * (1.0 - leak), x_edges, sigma, out)
            out += share[s] * leak
            continue
        place = _place_of(lines)
        if place == 0:
            _add_common(lines, times, share[s] * (1.0 - leak), x_edges, sigma, out)
        beyond = share[s] if place == 1 else share[s] * leak
        if beyond > 0.0:
            _add_common(lines[1:], times, beyond, x_edges, sigma, out)


@njit(cache=True)
def _expose_band(band, tips, jaws, share, leak, x_edges, sigma, out):
    """Write line `band` of what `leaf_exposure` writes."""
    n_rows = tips.shape[3]
    first, last = band, band + 1
    if band == 2 * n_rows - 1:
        first, last = 0, 0
    elif band >= n_rows:
        first, last = band - n_rows, band - n_rows + 2
    _expose_row(tips[:, :, :, first:last], jaws, share, leak, x_edges, sigma, out[band])


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
    n_bands = 2 * tips.shape[3]
    if len(share) < FEW_SEGMENTS:
        # Waking threads takes longer than the work.
        for band in range(n_bands):
            _expose_band(band, tips, jaws, share, leak, x_edges, sigma, out)
        return
    for n in prange(n_bands):
        _expose_band(np.int64(n), tips, jaws, share, leak, x_edges, sigma, out)


@njit(cache=True)
def shade_primary(exposure, x, y, radii, ratios, variance, out):
    """Multiply a blurred exposure by the off-axis ratio that belongs inside the blur.

    To first order in the slope of the ratio r, ``(A r) * G = r (A * G) + v grad r . grad (A * G)``
    with v the variance of the Gaussian G along each axis.

    Parameters
    ----------
    exposure : float64 array of shape (V, U)
        Values at the centres of cells of equal size.
    x, y : float64 arrays of shape (U,) and (V,)
        Centres, mm.
    radii, ratios : float64 arrays of shape (M,)
        Off-axis ratio over distance from the axis; beyond the ends the end value holds.
    variance : tuple of two float
        Along x and y, mm2.
    out : float64 array of shape (V, U), written
    """
    n_v, n_u = exposure.shape
    last = len(radii) - 1
    for v in range(n_v):
        above, below = max(v - 1, 0), min(v + 1, n_v - 1)
        m = 0
        for u in range(n_u):
            radius = sqrt(x[u] * x[u] + y[v] * y[v])
            while m < last - 1 and radius >= radii[m + 1]:
                m += 1
            while m > 0 and radius < radii[m]:
                m -= 1
            if last == 0 or radius <= radii[0] or radius >= radii[last]:
                out[v, u] = exposure[v, u] * (ratios[0] if radius <= radii[0] else ratios[last])
                continue
            slope = (ratios[m + 1] - ratios[m]) / (radii[m + 1] - radii[m])
            total = exposure[v, u] * (ratios[m] + slope * (radius - radii[m]))
            left, right = max(u - 1, 0), min(u + 1, n_u - 1)
            if right > left:
                rise = (exposure[v, right] - exposure[v, left]) / (x[right] - x[left])
                total += variance[0] * slope * x[u] / radius * rise
            if below > above:
                rise = (exposure[below, u] - exposure[above, u]) / (y[below] - y[above])
                total += variance[1] * slope * y[v] / radius * rise
            out[v, u] = total
