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

BLOCK = 256
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
def _sample_near(flat, row, node, place, weight, s, sums, at):
    """Add 4 x 4 nodes of a fine map, whose rows are `row` numbers long, to 16 sums."""
    spline = _spline_weights(unpack_both_8(place[s]))
    p = FOUR * np.uint64(node[s])
    rows = multiply(pick_row_0(spline), load_16(flat, p))
    p += row
    rows = multiply_add(pick_row_1(spline), load_16(flat, p), rows)
    p += row
    rows = multiply_add(pick_row_2(spline), load_16(flat, p), rows)
    p += row
    rows = multiply_add(pick_row_3(spline), load_16(flat, p), rows)
    share = multiply(pick_columns(spline), repeat_4_to_16(weight, FOUR * s))
    store(sums, at, multiply_add(share, rows, load_16(sums, at)))


@njit(cache=True, inline="always")
def _sample_far(flat, row, node, place, weight, s, sums, at):
    """Add 2 x 2 nodes of a coarse map, whose rows are `row` numbers long, to 8 sums."""
    y = multiply(unpack_high_8(place[s]), spread_8(_STEP, _STEP))
    p = FOUR * np.uint64(node[s] - FAR)
    upper = load_8(flat, p)
    rows = multiply_add(y, subtract(load_8(flat, p + row), upper), upper)
    columns = _linear_weights(unpack_low_8(place[s]))
    share = multiply(columns, repeat_4_to_8(weight, FOUR * s))
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
    n_beams = len(node) // len(dose)
    near_row, far_row = np.uint64(4 * near.shape[3]), np.uint64(4 * far.shape[3])
    for block in prange(-(-len(dose) // BLOCK)):
        start = block * BLOCK
        n = min(BLOCK, len(dose) - start)
        sums = np.zeros(16 * n, np.float32)
        for g in range(near.shape[0]):
            weight = weights[g].ravel()
            for b in range(near.shape[1]):
                flat, far_flat = near[g, b].ravel(), far[g, b].ravel()
                s = np.uint64(start * n_beams + (first_beam + b) * n)
                for at in range(np.uint64(0), np.uint64(16 * n), np.uint64(16)):
                    if node[s] < FAR:
                        _sample_near(flat, near_row, node, place, weight, s, sums, at)
                    else:
                        _sample_far(far_flat, far_row, node, place, weight, s, sums, at)
                    s += np.uint64(1)
        for p in range(n):
            dose[start + p] = total(load_16(sums, np.uint64(16 * p)))


@njit(cache=True, inline="always")
def _spread_near(flat, row, node, place, weight, s, value):
    """Adjoint of `_sample_near`."""
    spline = _spline_weights(unpack_both_8(place[s]))
    share = multiply(pick_columns(spline), repeat_4_to_16(weight, FOUR * s))
    share = multiply(share, spread_16(value, value))
    p = FOUR * np.uint64(node[s])
    store(flat, p, multiply_add(pick_row_0(spline), share, load_16(flat, p)))
    p += row
    store(flat, p, multiply_add(pick_row_1(spline), share, load_16(flat, p)))
    p += row
    store(flat, p, multiply_add(pick_row_2(spline), share, load_16(flat, p)))
    p += row
    store(flat, p, multiply_add(pick_row_3(spline), share, load_16(flat, p)))


@njit(cache=True, inline="always")
def _spread_far(flat, row, node, place, weight, s, value):
    """Adjoint of `_sample_far`."""
    y = multiply(unpack_high_8(place[s]), spread_8(_STEP, _STEP))
    columns = _linear_weights(unpack_low_8(place[s]))
    share = multiply(columns, repeat_4_to_8(weight, FOUR * s))
    share = multiply(share, spread_8(value, value))
    lower = multiply(y, share)
    p = FOUR * np.uint64(node[s] - FAR)
    store(flat, p, add(subtract(share, lower), load_8(flat, p)))
    p += row
    store(flat, p, add(lower, load_8(flat, p)))


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
    near_row, far_row = np.uint64(4 * near.shape[4]), np.uint64(4 * far.shape[4])
    n_blocks = -(-len(values) // BLOCK)
    # The points of each block that have a value, the others left out.
    used = np.empty((n_blocks, BLOCK), np.uint16)
    n_used = np.empty(n_blocks, np.int64)
    for block in prange(n_blocks):
        count = 0
        start = block * BLOCK
        for p in range(min(BLOCK, len(values) - start)):
            used[block, count] = p
            count += values[start + p] != 0.0
        n_used[block] = count
    for task in prange(n_beams * n_chunks):
        b, chunk = task // n_chunks, task % n_chunks
        for g in range(n_groups):
            weight = weights[g].ravel()
            flat, far_flat = near[chunk, g, b].ravel(), far[chunk, g, b].ravel()
            flat[:] = np.float32(0.0)
            far_flat[:] = np.float32(0.0)
            for block in range(chunk * n_blocks // n_chunks, (chunk + 1) * n_blocks // n_chunks):
                start = np.uint64(block * BLOCK)
                n = min(BLOCK, len(values) - block * BLOCK)
                first = np.uint64(block * BLOCK * n_beams + b * n)
                points = used[block]
                for i in range(np.uint64(n_used[block])):
                    p = np.uint64(points[i])
                    value, s = np.float32(values[start + p]), first + p
                    if node[s] < FAR:
                        _spread_near(flat, near_row, node, place, weight, s, value)
                    else:
                        _spread_far(far_flat, far_row, node, place, weight, s, value)
