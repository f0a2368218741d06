"""Sampling of beam's-eye-view maps, and its adjoint.

Maps hold four numbers (kernel components) at each node, next to each other, so that a row of a
footprint is one short vector. Near the fluence a point reads 4 x 4 nodes of a fine map (cubic
B-splines), far from it 2 x 2 nodes of a coarse one (linear).

Samples, one for each point and beam, lie in memory as they are used: by block of `BLOCK` points,
then by beam, then by point. Arrays of samples:

``node`` : uint32, (S,)
    Number of the footprint's first node in a map, row by row; `FAR` is added on the coarse map.
``place`` : uint32, (S,)
    Distance past the second (near) or first (far) node, in 1/65536 of a cell: along x in the
    lower half of the bits, along y in the upper.
``weights`` : float32, (G, S, 4)
    Weight of each component, in groups of four.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.lanes import (
    add,
    load_8,
    load_16,
    multiply,
    multiply_add,
    pick_columns,
    pick_row_0,
    pick_row_1,
    pick_row_2,
    pick_row_3,
    repeat_4_to_8,
    repeat_4_to_16,
    spread_8,
    spread_16,
    store,
    subtract,
    total,
    unpack_both_8,
    unpack_high_8,
    unpack_low_8,
)

BLOCK = 512
"""Points whose sums are kept together."""

STEPS = 65536
"""Steps of a place within a cell."""

FAR = np.uint32(1 << 31)
"""Bit of a node's number that says that it is one of the coarse map."""

HALF, FOUR = np.uint32(16), np.uint64(4)

_POWERS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0
_SPLINE = np.tile(_POWERS / float(STEPS) ** np.arange(4)[:, None], 2).astype(np.float32).ravel()
"""Weights of four nodes as polynomials of the place, for x and (again) for y."""

_LINEAR = np.repeat([1.0, 0.0, -1.0 / STEPS, 1.0 / STEPS], 4).astype(np.float32)
"""Weights of two nodes, each for four components, as polynomials of the place."""


_STEP = np.float32(1.0 / STEPS)


@njit(cache=True, inline="always")
def _spline_weights(place):
    """Cubic B-spline weights of four columns and of four rows."""
    value = load_8(_SPLINE, np.uint64(24))
    value = multiply_add(value, place, load_8(_SPLINE, np.uint64(16)))
    value = multiply_add(value, place, load_8(_SPLINE, np.uint64(8)))
    return multiply_add(value, place, load_8(_SPLINE, np.uint64(0)))


@njit(cache=True, inline="always")
def _linear_weights(place):
    """Weights of two columns, each for four components."""
    return multiply_add(load_8(_LINEAR, np.uint64(8)), place, load_8(_LINEAR, np.uint64(0)))


@njit(cache=True, inline="always")
def _sample_near(maps, p, row, place, weights, w, sums, at):
    """Add 4 x 4 nodes from `p` on of fine maps, with rows of `row` numbers, to 16 sums."""
    spline = _spline_weights(unpack_both_8(place))
    rows = multiply(pick_row_0(spline), load_16(maps, p))
    p += row
    rows = multiply_add(pick_row_1(spline), load_16(maps, p), rows)
    p += row
    rows = multiply_add(pick_row_2(spline), load_16(maps, p), rows)
    p += row
    rows = multiply_add(pick_row_3(spline), load_16(maps, p), rows)
    share = multiply(pick_columns(spline), repeat_4_to_16(weights, w))
    store(sums, at, multiply_add(share, rows, load_16(sums, at)))


@njit(cache=True, inline="always")
def _sample_far(maps, p, row, place, weights, w, sums, at):
    """Add 2 x 2 nodes from `p` on of coarse maps, with rows of `row` numbers, to 8 sums."""
    y = multiply(unpack_high_8(place), spread_8(_STEP, _STEP))
    upper = load_8(maps, p)
    rows = multiply_add(y, subtract(load_8(maps, p + row), upper), upper)
    columns = _linear_weights(unpack_low_8(place))
    share = multiply(columns, repeat_4_to_8(weights, w))
    store(sums, at, multiply_add(share, rows, load_8(sums, at)))


@njit(cache=True, parallel=True)
def gather_maps(near, far, first_beam, node, place, weights, dose):
    """Sample the maps of some or all beams at each point.

    Each point has 16 float32 sums, one for each lane of a footprint's rows, over beams and groups
    in their order. Indices are unsigned, so that no negative index is looked for in the innermost
    loop.

    Parameters
    ----------
    near, far : float32 arrays of shape (G, B, V, U, 4), contiguous
        Fine maps (spline coefficients) and coarse maps (values).
    first_beam : int
        Beam of the first map; others follow.
    node, place, weights
        Samples, see the top of the module.
    dose : float64 array of shape (N,), written
    """
    n_beams, n_samples = len(node) // len(dose), len(node)
    n_groups, n_maps = near.shape[:2]
    near_row, far_row = np.uint64(4 * near.shape[3]), np.uint64(4 * far.shape[3])
    near_size, far_size = near_row * np.uint64(near.shape[2]), far_row * np.uint64(far.shape[2])
    near, far, weights = near.ravel(), far.ravel(), weights.ravel()
    for block in prange(-(-len(dose) // BLOCK)):
        start = block * BLOCK
        n = min(BLOCK, len(dose) - start)
        sums = np.zeros(16 * n, np.float32)
        for task in range(n_groups * n_maps):
            g, b = task // n_maps, task % n_maps
            near_start, far_start = np.uint64(task) * near_size, np.uint64(task) * far_size
            s = np.uint64(start * n_beams + (first_beam + b) * n)
            w = np.uint64(4 * (g * n_samples + start * n_beams + (first_beam + b) * n))
            for at in range(np.uint64(0), np.uint64(16 * n), np.uint64(16)):
                number, where = node[s], place[s]
                if number < FAR:
                    p = near_start + FOUR * np.uint64(number)
                    _sample_near(near, p, near_row, where, weights, w, sums, at)
                else:
                    p = far_start + FOUR * np.uint64(number - FAR)
                    _sample_far(far, p, far_row, where, weights, w, sums, at)
                s += np.uint64(1)
                w += FOUR
        for p in range(n):
            dose[start + p] = total(load_16(sums, np.uint64(16 * p)))


@njit(cache=True, inline="always")
def _spread_near(maps, p, row, place, weights, w, value):
    """Adjoint of `_sample_near`."""
    spline = _spline_weights(unpack_both_8(place))
    share = multiply(pick_columns(spline), repeat_4_to_16(weights, w))
    share = multiply(share, spread_16(value, value))
    store(maps, p, multiply_add(pick_row_0(spline), share, load_16(maps, p)))
    p += row
    store(maps, p, multiply_add(pick_row_1(spline), share, load_16(maps, p)))
    p += row
    store(maps, p, multiply_add(pick_row_2(spline), share, load_16(maps, p)))
    p += row
    store(maps, p, multiply_add(pick_row_3(spline), share, load_16(maps, p)))


@njit(cache=True, inline="always")
def _spread_far(maps, p, row, place, weights, w, value):
    """Adjoint of `_sample_far`."""
    y = multiply(unpack_high_8(place), spread_8(_STEP, _STEP))
    columns = _linear_weights(unpack_low_8(place))
    share = multiply(columns, repeat_4_to_8(weights, w))
    share = multiply(share, spread_8(value, value))
    lower = multiply(y, share)
    store(maps, p, add(subtract(share, lower), load_8(maps, p)))
    p += row
    store(maps, p, add(lower, load_8(maps, p)))


@njit(cache=True, parallel=True)
def scatter_maps(values, node, place, weights, near, far):
    """Spread point values onto maps: the adjoint of `gather_maps` for all beams.

    Points whose value is zero (of a gradient: those at which no objective asks for anything) cost
    next to nothing. Each (beam, chunk of blocks) has maps of its own, so nothing is written twice
    and the sums do not depend on the number of threads.

    Parameters
    ----------
    values : float64 array of shape (N,)
    node, place, weights
        Samples, see the top of the module.
    near, far : float32 arrays of shape (chunks, G, B, V, U, 4), contiguous, written
    """
    n_chunks, n_groups, n_beams = near.shape[:3]
    n_samples, n_blocks = len(node), -(-len(values) // BLOCK)
    near_row, far_row = np.uint64(4 * near.shape[4]), np.uint64(4 * far.shape[4])
    weights = weights.ravel()
    # The points of each block that have a value, the others left out.
    used = np.empty(n_blocks * BLOCK, np.uint16)
    n_used = np.empty(n_blocks, np.int64)
    for block in prange(n_blocks):
        count = start = block * BLOCK
        for p in range(min(BLOCK, len(values) - start)):
            used[count] = p
            count += values[start + p] != 0.0
        n_used[block] = count - start
    for task in prange(n_beams * n_chunks):
        b, chunk = task // n_chunks, task % n_chunks
        for g in range(n_groups):
            near_map, far_map = near[chunk, g, b].ravel(), far[chunk, g, b].ravel()
            near_map[:] = np.float32(0.0)
            far_map[:] = np.float32(0.0)
            for block in range(chunk * n_blocks // n_chunks, (chunk + 1) * n_blocks // n_chunks):
                start = np.uint64(block * BLOCK)
                n = min(BLOCK, len(values) - block * BLOCK)
                first = np.uint64(block * BLOCK * n_beams + b * n)
                for i in range(start, start + np.uint64(n_used[block])):
                    s, value = first + np.uint64(used[i]), np.float32(values[start + used[i]])
                    w, number = FOUR * (np.uint64(g * n_samples) + s), node[s]
                    if number < FAR:
                        p = FOUR * np.uint64(number)
                        _spread_near(near_map, p, near_row, place[s], weights, w, value)
                    else:
                        p = FOUR * np.uint64(number - FAR)
                        _spread_far(far_map, p, far_row, place[s], weights, w, value)


@njit(cache=True, parallel=True)
def pick_samples(node, place, weights, n_points, points, to_node, to_place, to_weights):
    """Copy the samples of some points.

    Parameters
    ----------
    node, place, weights
        Samples of all points, see the top of the module.
    n_points : int
        Number of all points.
    points : int64 array of shape (M,)
        Rising numbers of points.
    to_node, to_place, to_weights : written
        Samples of these points alone.
    """
    n_beams, n_groups = len(node) // n_points, len(weights)
    for block in prange(-(-len(points) // BLOCK)):
        first = block * BLOCK
        n = min(BLOCK, len(points) - first)
        for b in range(n_beams):
            to = first * n_beams + b * n
            for i in range(n):
                point = points[first + i]
                start = point // BLOCK * BLOCK
                size = min(BLOCK, n_points - start)
                s = start * n_beams + b * size + point - start
                to_node[to + i], to_place[to + i] = node[s], place[s]
                for g in range(n_groups):
                    for lane in range(4):
                        to_weights[g, to + i, lane] = weights[g, s, lane]
