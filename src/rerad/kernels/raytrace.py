"""Path integrals of density along rays: one ray exactly, and whole fans of diverging rays."""

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _clip_to_box(start, step, corner, spacing, shape, t_low, t_high):
    """Return the part of [t_low, t_high] in which ``start + t step`` is inside the box."""
    for axis in range(3):
        low = corner[axis]
        high = corner[axis] + spacing[axis] * shape[2 - axis]
        if step[axis] == 0.0:
            if start[axis] < low or start[axis] >= high:
                return 1.0, 0.0
        else:
            first = (low - start[axis]) / step[axis]
            second = (high - start[axis]) / step[axis]
            t_low = max(t_low, min(first, second))
            t_high = min(t_high, max(first, second))
    return t_low, t_high


@njit(cache=True)
def _first_crossing(start, step, corner, spacing, n, t):
    """Voxel at `t` along one axis, its turn, `t` of the next face and from face to face."""
    index = min(max(int(np.floor((start + t * step - corner) / spacing)), 0), n - 1)
    if step > 0.0:
        return index, 1, (corner + (index + 1) * spacing - start) / step, spacing / step
    if step < 0.0:
        return index, -1, (corner + index * spacing - start) / step, -spacing / step
    return index, 0, np.inf, np.inf


@njit(cache=True)
def _trace(values, corner, spacing, start, step, t_stop, totals):
    """Fill `totals` with the integral of `values` from t = 0 to each of `t_stop`, in units of t.

    Parameters
    ----------
    values : float32 array of shape (K, J, I)
    corner, spacing, start, step : float64 arrays (x, y, z)
    t_stop : float64 array, ascending
    totals : float64 array as long as `t_stop`, written
    """
    n_stops = t_stop.size
    n_k, n_j, n_i = values.shape
    t, t_exit = _clip_to_box(start, step, corner, spacing, values.shape, 0.0, t_stop[n_stops - 1])
    total = 0.0
    stop = 0
    if t < t_exit:
        # One scalar for each axis instead of arrays: they stay in registers.
        i, turn_i, next_x, width_x = _first_crossing(
            start[0], step[0], corner[0], spacing[0], n_i, t
        )
        j, turn_j, next_y, width_y = _first_crossing(
            start[1], step[1], corner[1], spacing[1], n_j, t
        )
        k, turn_k, next_z, width_z = _first_crossing(
            start[2], step[2], corner[2], spacing[2], n_k, t
        )
        while stop < n_stops and t_stop[stop] <= t:
            totals[stop] = 0.0
            stop += 1
        t_wanted = t_stop[stop]
        while t < t_exit:
            value = values[np.uint64(k), np.uint64(j), np.uint64(i)]
            t_leave = min(min(next_x, next_y), min(next_z, t_exit))
            while t_wanted <= t_leave:
                totals[stop] = total + value * (t_wanted - t)
                stop += 1
                t_wanted = t_stop[stop] if stop < n_stops else np.inf
            total += value * max(t_leave - t, 0.0)
            t = max(t, t_leave)
            if next_x <= next_y and next_x <= next_z:
                i += turn_i
                next_x += width_x
                if i < 0 or i >= n_i:
                    break
            elif next_y <= next_z:
                j += turn_j
                next_y += width_y
                if j < 0 or j >= n_j:
                    break
            else:
                k += turn_k
                next_z += width_z
                if k < 0 or k >= n_k:
                    break
    while stop < n_stops:
        totals[stop] = total
        stop += 1


@njit(cache=True)
def depth_to_point(values, corner, spacing, start, x, y, z):
    """Integrate voxel values from `start` to one point; arguments as in `path_integrals`."""
    step = np.array([x - start[0], y - start[1], z - start[2]])
    total = np.zeros(1)
    _trace(values, corner, spacing, start, step, np.ones(1), total)
    return total[0] * np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)


@njit(cache=True, parallel=True)
def path_integrals(values, corner, spacing, start, ends):
    """Integrate voxel values along straight segments from one point to many.

    Parameters
    ----------
    values : float32 array of shape (K, J, I)
    corner : float64 array (x, y, z) of the outer corner of voxel [0, 0, 0], mm
    spacing : float64 array (x, y, z) voxel size, mm
    start : float64 array (x, y, z), mm
    ends : float64 array of shape (N, 3), mm

    Returns
    -------
    float64 array of shape (N,)
        Sum of value times chord length, in units of `values` times mm; 0 outside the box.

    References
    ----------
    .. [1] Siddon (1985), Med. Phys. 12, 252, doi:10.1118/1.595715.
    .. [2] Amanatides & Woo (1987), Eurographics, doi:10.2312/egtp.19871000.
    """
    result = np.empty(len(ends))
    for n in prange(len(ends)):
        step = ends[n] - start
        length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
        total = np.zeros(1)
        _trace(values, corner, spacing, start, step, np.ones(1), total)
        result[n] = total[0] * length
    return result


@njit(cache=True, parallel=True)
def fan_depths(values, corner, spacing, start, targets, fractions):
    """Integrate voxel values from the source to planes across a fan of rays.

    Ray (v, u) runs from `start` through ``targets[v, u]``; plane n is at ``fractions[n]`` of that
    way, so equal fractions of all rays make one plane when the targets do.

    Parameters
    ----------
    values : float32 array of shape (K, J, I)
    corner, spacing, start : float64 arrays (x, y, z), mm
    targets : float64 array of shape (V, U, 3), mm
    fractions : float64 array of shape (P,), ascending

    Returns
    -------
    float32 array of shape (V, U, P)
        Integral of value times length up to each plane, in units of `values` times mm.
    """
    n_v, n_u = targets.shape[0], targets.shape[1]
    result = np.empty((n_v, n_u, len(fractions)), np.float32)
    for v in prange(n_v):
        totals = np.empty(len(fractions))
        for u in range(n_u):
            step = targets[v, u] - start
            length = np.sqrt(step[0] ** 2 + step[1] ** 2 + step[2] ** 2)
            _trace(values, corner, spacing, start, step, fractions, totals)
            for n in range(len(fractions)):
                result[v, u, n] = totals[n] * length
    return result


@njit(cache=True)
def fan_value(depths, a, b, c):
    """Sample a fan at one continuous column, row and plane; see `sample_fan`."""
    n_v, n_u, n_p = depths.shape
    a = min(max(a, 0.0), n_u - 1.0)
    b = min(max(b, 0.0), n_v - 1.0)
    c = min(max(c, 0.0), n_p - 1.0)
    i, j, k = min(int(a), n_u - 2), min(int(b), n_v - 2), min(int(c), n_p - 2)
    a, b, c = a - i, b - j, c - k
    total = 0.0
    for dj in range(2):
        for di in range(2):
            weight = (b if dj else 1.0 - b) * (a if di else 1.0 - a)
            low = depths[j + dj, i + di, k]
            high = depths[j + dj, i + di, k + 1]
            total += weight * (low + c * (high - low))
    return total


@njit(cache=True, parallel=True)
def sample_fan(depths, u, v, plane):
    """Sample cumulative depths of a fan linearly at continuous indices.

    Parameters
    ----------
    depths : float32 array of shape (V, U, P), at least two of each
    u, v, plane : float64 arrays of shape (N,)
        Continuous indices; beyond the ends the end value is used.

    Returns
    -------
    float64 array of shape (N,)
    """
    result = np.empty(len(u))
    for n in prange(len(u)):
        result[n] = fan_value(depths, u[n], v[n], plane[n])
    return result
