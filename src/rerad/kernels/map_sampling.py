"""Sampling of beam's-eye-view maps, its adjoint, and the matrix products that make the maps.

Maps hold four numbers (kernel components) at each node, next to each other, so that a row of a
footprint is one short vector. Near the fluence a point reads 4 x 4 nodes of a fine map (cubic
B-splines), far from it 2 x 2 nodes of a coarse one (linear).

Samples, one for each point and beam, lie in memory as they are used: by block of points, then by
beam, near ones first. Arrays of samples:

``starts`` : int64, (blocks, beams, 3)
    First near sample, first far sample, and the end.
``point`` : uint16, (S,)
    Point within its block.
``node`` : uint32, (S,)
    Number of the footprint's first node in a map, row by row.
``place`` : uint32, (S,)
    Distance past the second (near) or first (far) node, in 1/65536 of a cell: along x in the
    lower half of the bits, along y in the upper.
``weights`` : float32, (G, S, 4)
    Weight of each component, in groups of four.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.lanes import (
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
    total,
)

BLOCK = 4096
"""Points whose sums are kept together."""

STEPS = 65536
"""Steps of a place within a cell."""

HALF, LOW, FOUR = np.uint32(16), np.uint32(65535), np.uint64(4)

_POWERS = np.array([[1, 4, 1, 0], [-3, 0, 3, 0], [3, -6, 3, 0], [-1, 3, -3, 1]]) / 6.0
_SPLINE = np.tile(_POWERS / float(STEPS) ** np.arange(4)[:, None], 2).astype(np.float32).ravel()
"""Weights of four nodes as polynomials of the place, for x and (again) for y."""

_LINEAR = np.repeat([1.0, 0.0, -1.0 / STEPS, 1.0 / STEPS], 4).astype(np.float32)
"""Weights of two nodes, each for four components, as polynomials of the place."""


@njit(cache=True, inline="always")
def _spline_weights(x, y):
    """Cubic B-spline weights of four columns and of four rows."""
    place = spread_8(np.float32(x), np.float32(y))
    value = load_8(_SPLINE, np.uint64(24))
    value = multiply_add(value, place, load_8(_SPLINE, np.uint64(16)))
    value = multiply_add(value, place, load_8(_SPLINE, np.uint64(8)))
    return multiply_add(value, place, load_8(_SPLINE, np.uint64(0)))


@njit(cache=True, inline="always")
def _linear_weights(x):
    """Weights of two columns, each for four components."""
    place = spread_8(np.float32(x), np.float32(x))
    return multiply_add(load_8(_LINEAR, np.uint64(8)), place, load_8(_LINEAR, np.uint64(0)))


@njit(cache=True, parallel=True)
def gather_maps(near, far, starts, point, node, place, weights, dose):
    """Sample the maps of all beams at each point.

    The products of one footprint are summed in float32, footprints in float64. Indices are
    unsigned, so that no negative index is looked for in the innermost loop.

    Parameters
    ----------
    near, far : float32 arrays of shape (G, B, V, U, 4), contiguous
        Fine maps (spline coefficients) and coarse maps (values).
    starts, point, node, place, weights
        Samples, see the top of the module.
    dose : float64 array of shape (N,), written
    """
    n_blocks, n_beams, _ = starts.shape
    near_row, far_row = np.uint64(4 * near.shape[3]), np.uint64(4 * far.shape[3])
    one, step = np.float32(1.0), np.float32(1.0 / STEPS)
    for block in prange(n_blocks):
        start = block * BLOCK
        sums = np.zeros(min(BLOCK, len(dose) - start))
        for g in range(near.shape[0]):
            weight = weights[g].ravel()
            for b in range(n_beams):
                first, middle, end = starts[block, b]
                flat = near[g, b].ravel()
                for s in range(np.uint64(first), np.uint64(middle)):
                    spline = _spline_weights(place[s] & LOW, place[s] >> HALF)
                    p = FOUR * np.uint64(node[s])
                    rows = multiply(pick_row_0(spline), load_16(flat, p))
                    p += near_row
                    rows = multiply_add(pick_row_1(spline), load_16(flat, p), rows)
                    p += near_row
                    rows = multiply_add(pick_row_2(spline), load_16(flat, p), rows)
                    p += near_row
                    rows = multiply_add(pick_row_3(spline), load_16(flat, p), rows)
                    share = multiply(pick_columns(spline), repeat_4_to_16(weight, FOUR * s))
                    sums[point[s]] += total(multiply(share, rows))
                flat = far[g, b].ravel()
                for s in range(np.uint64(middle), np.uint64(end)):
                    y = np.float32(place[s] >> HALF) * step
                    p = FOUR * np.uint64(node[s])
                    rows = multiply(spread_8(one - y, one - y), load_8(flat, p))
                    rows = multiply_add(spread_8(y, y), load_8(flat, p + far_row), rows)
                    columns = _linear_weights(place[s] & LOW)
                    share = multiply(columns, repeat_4_to_8(weight, FOUR * s))
                    sums[point[s]] += total(multiply(share, rows))
        dose[start : start + len(sums)] = sums


@njit(cache=True, parallel=True)
def scatter_maps(values, starts, point, node, place, weights, near, far):
    """Spread point values onto maps: the adjoint of `gather_maps`.

    Each (beam, chunk of blocks) has maps of its own, so nothing is written twice and the sums
    do not depend on the number of threads.

    Parameters
    ----------
    values : float32 array of shape (N,)
    starts, point, node, place, weights
        Samples, see the top of the module.
    near, far : float32 arrays of shape (chunks, G, B, V, U, 4), contiguous, written
    """
    n_blocks, n_beams, _ = starts.shape
    n_chunks, n_groups = near.shape[0], near.shape[1]
    near_row, far_row = np.uint64(4 * near.shape[4]), np.uint64(4 * far.shape[4])
    one, step = np.float32(1.0), np.float32(1.0 / STEPS)
    for task in prange(n_beams * n_chunks):
        b, chunk = task // n_chunks, task % n_chunks
        for g in range(n_groups):
            weight = weights[g].ravel()
            flat, far_flat = near[chunk, g, b].ravel(), far[chunk, g, b].ravel()
            flat[:] = np.float32(0.0)
            far_flat[:] = np.float32(0.0)
            for block in range(chunk * n_blocks // n_chunks, (chunk + 1) * n_blocks // n_chunks):
                first, middle, end = starts[block, b]
                inputs = values[block * BLOCK : (block + 1) * BLOCK]
                for s in range(np.uint64(first), np.uint64(middle)):
                    spline = _spline_weights(place[s] & LOW, place[s] >> HALF)
                    value = inputs[point[s]]
                    share = multiply(pick_columns(spline), repeat_4_to_16(weight, FOUR * s))
                    share = multiply(share, spread_16(value, value))
                    p = FOUR * np.uint64(node[s])
                    store(flat, p, multiply_add(pick_row_0(spline), share, load_16(flat, p)))
                    p += near_row
                    store(flat, p, multiply_add(pick_row_1(spline), share, load_16(flat, p)))
                    p += near_row
                    store(flat, p, multiply_add(pick_row_2(spline), share, load_16(flat, p)))
                    p += near_row
                    store(flat, p, multiply_add(pick_row_3(spline), share, load_16(flat, p)))
                for s in range(np.uint64(middle), np.uint64(end)):
                    columns = _linear_weights(place[s] & LOW)
                    y, value = np.float32(place[s] >> HALF) * step, inputs[point[s]]
                    low, high = value * (one - y), value * y
                    share = multiply(columns, repeat_4_to_8(weight, FOUR * s))
                    p = FOUR * np.uint64(node[s])
                    row = multiply_add(spread_8(low, low), share, load_8(far_flat, p))
                    store(far_flat, p, row)
                    p += far_row
                    row = multiply_add(spread_8(high, high), share, load_8(far_flat, p))
                    store(far_flat, p, row)


@njit(cache=True, parallel=True)
def multiply_matrices(left, right, product):
    """Multiply stacks of matrices, each sum in one fixed order.

    Parameters
    ----------
    left : float32 array of shape (n or 1, M, K), contiguous
        M is a multiple of 4.
    right : float32 array of shape (n or 1, K, N), contiguous
        N is a multiple of 16.
    product : float32 array of shape (n, M, N), contiguous, written
    """
    n_matrices, n_rows, n_columns = product.shape
    n_terms = left.shape[2]
    flat_right, flat = right.ravel(), product.ravel()
    step, wide = np.uint64(n_columns), np.uint64(16)
    for task in prange(n_matrices * (n_rows // 4)):
        matrix, row = task // (n_rows // 4), 4 * (task % (n_rows // 4))
        rows = left[matrix % len(left), row : row + 4]
        start = np.uint64((matrix % len(right)) * n_terms * n_columns)
        out = np.uint64((matrix * n_rows + row) * n_columns)
        for column in range(0, n_columns, 32):
            is_pair = column + 16 < n_columns
            at = start + np.uint64(column)
            zero = np.float32(0.0)
            a0 = a1 = a2 = a3 = spread_16(zero, zero)
            b0 = b1 = b2 = b3 = spread_16(zero, zero)
            if is_pair:
                for k in range(n_terms):
                    first, second = load_16(flat_right, at), load_16(flat_right, at + wide)
                    factor = spread_16(rows[0, k], rows[0, k])
                    a0, b0 = multiply_add(factor, first, a0), multiply_add(factor, second, b0)
                    factor = spread_16(rows[1, k], rows[1, k])
                    a1, b1 = multiply_add(factor, first, a1), multiply_add(factor, second, b1)
                    factor = spread_16(rows[2, k], rows[2, k])
                    a2, b2 = multiply_add(factor, first, a2), multiply_add(factor, second, b2)
                    factor = spread_16(rows[3, k], rows[3, k])
                    a3, b3 = multiply_add(factor, first, a3), multiply_add(factor, second, b3)
                    at += step
            else:
                for k in range(n_terms):
                    first = load_16(flat_right, at)
                    a0 = multiply_add(spread_16(rows[0, k], rows[0, k]), first, a0)
                    a1 = multiply_add(spread_16(rows[1, k], rows[1, k]), first, a1)
                    a2 = multiply_add(spread_16(rows[2, k], rows[2, k]), first, a2)
                    a3 = multiply_add(spread_16(rows[3, k], rows[3, k]), first, a3)
                    at += step
            to = out + np.uint64(column)
            store(flat, to, a0)
            store(flat, to + step, a1)
            store(flat, to + step + step, a2)
            store(flat, to + step + step + step, a3)
            if is_pair:
                to += wide
                store(flat, to, b0)
                store(flat, to + step, b1)
                store(flat, to + step + step, b2)
                store(flat, to + step + step + step, b3)
