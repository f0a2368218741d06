"""Sampling of beam's-eye-view maps by cubic B-splines, its adjoint, and leaf exposure."""

import numpy as np
from numba import njit, prange

BLOCK = 4096
"""Points that one task takes through all beams, so that neighbours share cache lines."""


@njit(cache=True)
def _spline_weights(t):
    """Cubic B-spline weights of the four nodes around a point, `t` in [0, 1) past the second."""
    s = 1.0 - t
    return (
        s * s * s / 6.0,
        (4.0 - 6.0 * t * t + 3.0 * t * t * t) / 6.0,
        (4.0 - 6.0 * s * s + 3.0 * s * s * s) / 6.0,
        t * t * t / 6.0,
    )


@njit(cache=True, parallel=True)
def gather_dose(maps, node, offset, weights, dose):
    """Sample the maps of all beams at each point.

    Parameters
    ----------
    maps : float32 array of shape (B, C, V, U)
        Spline coefficients of the convolved fluence, by beam, component, row and column.
    node : int32 array of shape (B, N, 2)
        Column and row of the second of the four nodes around each point; footprints from
        ``node - 1`` to ``node + 2`` lie inside the map.
    offset : float32 array of shape (B, N, 2)
        Distance past that node, 0 to 1.
    weights : float32 array of shape (B, N, C)
        Weight of each component at each point.
    dose : float64 array of shape (N,), written
    """
    n_beams, n_points, n_components = weights.shape
    n_blocks = (n_points + BLOCK - 1) // BLOCK
    for block in prange(n_blocks):
        first, last = block * BLOCK, min((block + 1) * BLOCK, n_points)
        for n in range(first, last):
            dose[n] = 0.0
        for b in range(n_beams):
            for n in range(first, last):
                wx = _spline_weights(np.float64(offset[b, n, 0]))
                wy = _spline_weights(np.float64(offset[b, n, 1]))
                i0 = node[b, n, 0] - 1
                j0 = node[b, n, 1] - 1
                total = 0.0
                for c in range(n_components):
                    value = 0.0
                    for dj in range(4):
                        row = maps[b, c, j0 + dj]
                        value += wy[dj] * (
                            wx[0] * row[i0]
                            + wx[1] * row[i0 + 1]
                            + wx[2] * row[i0 + 2]
                            + wx[3] * row[i0 + 3]
                        )
                    total += weights[b, n, c] * value
                dose[n] += total


@njit(cache=True, parallel=True)
def scatter_dose(values, node, offset, weights, maps):
    """Spread point values onto maps: the exact adjoint of `gather_dose`.

    Each (beam, chunk of points) has a map of its own, so nothing is written twice and the sums
    do not depend on the number of threads.

    Parameters
    ----------
    values : float64 array of shape (N,)
    node, offset, weights
        As in `gather_dose`.
    maps : float32 array of shape (B, chunks, C, V, U), written
    """
    n_beams, n_points, n_components = weights.shape
    n_chunks = maps.shape[1]
    for task in prange(n_beams * n_chunks):
        b = task // n_chunks
        chunk = task % n_chunks
        target = maps[b, chunk]
        target[:] = 0.0
        for n in range(chunk * n_points // n_chunks, (chunk + 1) * n_points // n_chunks):
            if values[n] == 0.0:
                continue
            wx = _spline_weights(np.float64(offset[b, n, 0]))
            wy = _spline_weights(np.float64(offset[b, n, 1]))
            i0 = node[b, n, 0] - 1
            j0 = node[b, n, 1] - 1
            for c in range(n_components):
                share = values[n] * weights[b, n, c]
                for dj in range(4):
                    row = target[c, j0 + dj]
                    part = share * wy[dj]
                    row[i0] += part * wx[0]
                    row[i0 + 1] += part * wx[1]
                    row[i0 + 2] += part * wx[2]
                    row[i0 + 3] += part * wx[3]


@njit(cache=True)
def _clip_integral(s, low, high):
    """Antiderivative of ``clip(s, low, high)``."""
    if s < low:
        return low * s - 0.5 * low * low
    if s > high:
        return high * s - 0.5 * high * high
    return 0.5 * s * s


@njit(cache=True)
def _mean_clip(start, end, low, high):
    """Mean of ``clip(s, low, high)`` while s moves evenly from `start` to `end`."""
    if abs(end - start) < 1e-9:
        return min(max(0.5 * (start + end), low), high)
    return (_clip_integral(end, low, high) - _clip_integral(start, low, high)) / (end - start)


@njit(cache=True, parallel=True)
def leaf_exposure(left, right, jaws, share, x_edges, opened, uncovered):
    """Integrate how long each cell of each leaf row is open while leaves move linearly.

    Parameters
    ----------
    left, right : float64 arrays of shape (S + 1, N)
        Tip positions of the two banks at the ends of S segments, ``left <= right``, mm.
    jaws : float64 array of shape (S, 2)
        X jaw positions during each segment, mm.
    share : float64 array of shape (S,)
        Meterset of each segment.
    x_edges : float64 array of shape (U + 1,)
        Cell edges, ascending, mm.
    opened : float64 array of shape (S, N, U), written
        Meterset during which the cell lies between tips and jaws, averaged over the cell.
    uncovered : float64 array of shape (S, U), written
        Meterset during which the cell lies between the jaws.
    """
    n_segments = len(share)
    n_rows = left.shape[1]
    n_cells = len(x_edges) - 1
    for s in prange(n_segments):
        for u in range(n_cells):
            width = x_edges[u + 1] - x_edges[u]
            low = min(max(x_edges[u], jaws[s, 0]), jaws[s, 1])
            high = min(max(x_edges[u + 1], jaws[s, 0]), jaws[s, 1])
            uncovered[s, u] = share[s] * (high - low) / width
            for row in range(n_rows):
                opened[s, row, u] = 0.0
                if high > low and share[s] > 0.0:
                    gap = _mean_clip(right[s, row], right[s + 1, row], low, high)
                    gap -= _mean_clip(left[s, row], left[s + 1, row], low, high)
                    opened[s, row, u] = share[s] * gap / width


@njit(cache=True, parallel=True)
def component_weights(depth, magnification, table, spacing, weights):
    """Interpolate component weights linearly in depth and magnification.

    Parameters
    ----------
    depth, magnification : float64 arrays of shape (N,)
        Radiological depth in mm; distance from the source over SAD.
    table : float64 array of shape (D, M, C)
        Rows every ``spacing[0]`` mm from 0, columns every ``spacing[2]`` from ``spacing[1]``;
        beyond the ends the end value is used.
    spacing : tuple of three float
    weights : float32 array of shape (N, C), written
    """
    n_d, n_m, n_components = table.shape
    for n in prange(len(depth)):
        a = min(max(depth[n] / spacing[0], 0.0), n_d - 1.0)
        b = min(max((magnification[n] - spacing[1]) / spacing[2], 0.0), n_m - 1.0)
        i, j = min(int(a), n_d - 2), min(int(b), n_m - 2)
        a, b = a - i, b - j
        for c in range(n_components):
            low = table[i, j, c] + b * (table[i, j + 1, c] - table[i, j, c])
            high = table[i + 1, j, c] + b * (table[i + 1, j + 1, c] - table[i + 1, j, c])
            weights[n, c] = low + a * (high - low)
