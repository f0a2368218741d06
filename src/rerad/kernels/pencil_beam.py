"""Sampling of beam's-eye-view maps by cubic B-splines, and its adjoint."""

import numpy as np
from numba import njit, prange

BLOCK = 2048
"""Points that one task takes through all beams, so that neighbours share cache lines."""


@njit(cache=True)
def _spline_weights(t):
    """Cubic B-spline weights of the four nodes around a point, `t` from 0 to 1 past the second."""
    s = np.float32(1.0) - t
    sixth, three = np.float32(1.0 / 6.0), np.float32(3.0)
    four, six = np.float32(4.0), np.float32(6.0)
    return (
        s * s * s * sixth,
        (four - six * t * t + three * t * t * t) * sixth,
        (four - six * s * s + three * s * s * s) * sixth,
        t * t * t * sixth,
    )


@njit(cache=True, parallel=True)
def gather_dose(maps, node, offset, weights, dose):
    """Sample the maps of all beams at each point.

    The 16 C products of one footprint are summed in float32, beams in float64. Indices are
    unsigned, so that no negative index is looked for in the innermost loop.

    Parameters
    ----------
    maps : float32 array of shape (B, C, V, U), contiguous
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
    n_v, n_u = np.uint64(maps.shape[2]), np.uint64(maps.shape[3])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    flat = maps.reshape(-1)
    for block in prange((n_points + BLOCK - 1) // BLOCK):
        first, last = block * BLOCK, min((block + 1) * BLOCK, n_points)
        total = np.zeros(BLOCK)
        for b in range(n_beams):
            start = np.uint64(b * n_components) * n_v * n_u
            for n in range(first, last):
                wx = _spline_weights(offset[b, n, 0])
                wy = _spline_weights(offset[b, n, 1])
                plane = start + np.uint64(node[b, n, 1] - 1) * n_u + np.uint64(node[b, n, 0] - 1)
                t0 = t1 = t2 = t3 = np.float32(0.0)
                for c in range(n_components):
                    weight = weights[b, n, c]
                    p = plane
                    for dj in range(4):
                        share = weight * wy[dj]
                        t0 += share * flat[p]
                        t1 += share * flat[p + one]
                        t2 += share * flat[p + two]
                        t3 += share * flat[p + three]
                        p += n_u
                    plane += n_v * n_u
                total[n - first] += wx[0] * t0 + wx[1] * t1 + wx[2] * t2 + wx[3] * t3
        for n in range(first, last):
            dose[n] = total[n - first]


@njit(cache=True, parallel=True)
def scatter_dose(values, node, offset, weights, maps):
    """Spread point values onto maps: the adjoint of `gather_dose`.

    Each (beam, chunk of points) has a map of its own, so nothing is written twice and the sums
    do not depend on the number of threads.

    Parameters
    ----------
    values : float64 array of shape (N,)
    node, offset, weights
        As in `gather_dose`.
    maps : float32 array of shape (B, chunks, C, V, U), contiguous, written
    """
    n_beams, n_points, n_components = weights.shape
    n_chunks = maps.shape[1]
    n_v, n_u = np.uint64(maps.shape[3]), np.uint64(maps.shape[4])
    one, two, three = np.uint64(1), np.uint64(2), np.uint64(3)
    for task in prange(n_beams * n_chunks):
        b, chunk = task // n_chunks, task % n_chunks
        flat = maps[b, chunk].reshape(-1)
        flat[:] = np.float32(0.0)
        for n in range(chunk * n_points // n_chunks, (chunk + 1) * n_points // n_chunks):
            value = np.float32(values[n])
            if value == 0.0:
                continue
            wx = _spline_weights(offset[b, n, 0])
            wy = _spline_weights(offset[b, n, 1])
            x0, x1, x2, x3 = value * wx[0], value * wx[1], value * wx[2], value * wx[3]
            plane = np.uint64(node[b, n, 1] - 1) * n_u + np.uint64(node[b, n, 0] - 1)
            for c in range(n_components):
                weight = weights[b, n, c]
                p = plane
                for dj in range(4):
                    share = weight * wy[dj]
                    a0 = flat[p] + share * x0
                    a1 = flat[p + one] + share * x1
                    a2 = flat[p + two] + share * x2
                    a3 = flat[p + three] + share * x3
                    flat[p], flat[p + one], flat[p + two], flat[p + three] = a0, a1, a2, a3
                    p += n_u
                plane += n_v * n_u


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
