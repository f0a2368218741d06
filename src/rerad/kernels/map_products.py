"""From fluence to maps and back by products of small matrices, one task a beam and parity.

A kernel that is the same on both sides makes an even map of an even fluence and an odd one of an
odd fluence. So each axis is folded at the middle of the window: sums and differences of what lies
on both sides are multiplied with matrices of half the size, a quarter of the work each way.

Folded arrays count from the middle outward. Parity 0 is even, 1 is odd; `px` is that of the
columns (along x), `py` of the rows (along y). Matrices:

``condense`` : float32, (2, X', X")
    By `px`: condenses folded columns of the fluence; no columns if there is nothing to condense.
``rows`` : float32, (2, V R, Y')
    By `py`: for each folded node along y all R products.
``columns`` : float32, (2, G, R X", 4 U)
    By `px` and group: for each folded node along x four components.

Numbers of rows are multiples of 4, of columns of 8.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.lanes import (
    add,
    load_4,
    load_8,
    load_16,
    multiply_add,
    spread_4,
    spread_8,
    spread_16,
    store,
    subtract,
)

_ZERO, FOUR, WIDE = np.float32(0.0), np.uint64(4), np.uint64(16)


@njit(cache=True, inline="always")
def _strip_32(rows, flat_right, flat, at, to, step):
    """Write 4 x 32 numbers of a product."""
    a0 = a1 = a2 = a3 = spread_16(_ZERO, _ZERO)
    b0 = b1 = b2 = b3 = spread_16(_ZERO, _ZERO)
    for k in range(rows.shape[1]):
        first, second = load_16(flat_right, at), load_16(flat_right, at + WIDE)
        factor = spread_16(rows[0, k], rows[0, k])
        a0, b0 = multiply_add(factor, first, a0), multiply_add(factor, second, b0)
        factor = spread_16(rows[1, k], rows[1, k])
        a1, b1 = multiply_add(factor, first, a1), multiply_add(factor, second, b1)
        factor = spread_16(rows[2, k], rows[2, k])
        a2, b2 = multiply_add(factor, first, a2), multiply_add(factor, second, b2)
        factor = spread_16(rows[3, k], rows[3, k])
        a3, b3 = multiply_add(factor, first, a3), multiply_add(factor, second, b3)
        at += step
    store(flat, to, a0)
    store(flat, to + WIDE, b0)
    to += step
    store(flat, to, a1)
    store(flat, to + WIDE, b1)
    to += step
    store(flat, to, a2)
    store(flat, to + WIDE, b2)
    to += step
    store(flat, to, a3)
    store(flat, to + WIDE, b3)


@njit(cache=True, inline="always")
def _strip_16(rows, flat_right, flat, at, to, step):
    """Write 4 x 16 numbers of a product."""
    a0 = a1 = a2 = a3 = spread_16(_ZERO, _ZERO)
    for k in range(rows.shape[1]):
        first = load_16(flat_right, at)
        a0 = multiply_add(spread_16(rows[0, k], rows[0, k]), first, a0)
        a1 = multiply_add(spread_16(rows[1, k], rows[1, k]), first, a1)
        a2 = multiply_add(spread_16(rows[2, k], rows[2, k]), first, a2)
        a3 = multiply_add(spread_16(rows[3, k], rows[3, k]), first, a3)
        at += step
    store(flat, to, a0)
    store(flat, to + step, a1)
    store(flat, to + step + step, a2)
    store(flat, to + step + step + step, a3)


@njit(cache=True, inline="always")
def _strip_8(rows, flat_right, flat, at, to, step):
    """Write 4 x 8 numbers of a product."""
    a0 = a1 = a2 = a3 = spread_8(_ZERO, _ZERO)
    for k in range(rows.shape[1]):
        first = load_8(flat_right, at)
        a0 = multiply_add(spread_8(rows[0, k], rows[0, k]), first, a0)
        a1 = multiply_add(spread_8(rows[1, k], rows[1, k]), first, a1)
        a2 = multiply_add(spread_8(rows[2, k], rows[2, k]), first, a2)
        a3 = multiply_add(spread_8(rows[3, k], rows[3, k]), first, a3)
        at += step
    store(flat, to, a0)
    store(flat, to + step, a1)
    store(flat, to + step + step, a2)
    store(flat, to + step + step + step, a3)


@njit(cache=True)
def multiply_matrices(left, right, product):
    """Multiply two matrices, each sum in one fixed order.

    Parameters
    ----------
    left : float32 array of shape (M, K), contiguous
        M is a multiple of 4.
    right : float32 array of shape (K, N), contiguous
        N is a multiple of 8.
    product : float32 array of shape (M, N), contiguous, written
    """
    n_rows, n_columns = product.shape
    flat_right, flat = right.ravel(), product.ravel()
    step = np.uint64(n_columns)
    for row in range(0, n_rows, 4):
        rows = left[row : row + 4]
        out = np.uint64(row * n_columns)
        column = 0
        while column + 32 <= n_columns:
            at = np.uint64(column)
            _strip_32(rows, flat_right, flat, at, out + at, step)
            column += 32
        if column + 16 <= n_columns:
            at = np.uint64(column)
            _strip_16(rows, flat_right, flat, at, out + at, step)
            column += 16
        if column < n_columns:
            at = np.uint64(column)
            _strip_8(rows, flat_right, flat, at, out + at, step)


@njit(cache=True)
def _fold_fluence(fluence, px, quarters):
    """Fold one fluence (Y, X) to the even and odd rows (2, Y', X') of column parity `px`."""
    y, x = fluence.shape[0] // 2, fluence.shape[1] // 2
    sign = np.float32(1 - 2 * px)
    quarters[:] = _ZERO
    for i in range(y):
        for k in range(x):
            after = fluence[y + i, x + k] + sign * fluence[y + i, x - 1 - k]
            before = fluence[y - 1 - i, x + k] + sign * fluence[y - 1 - i, x - 1 - k]
            quarters[0, i, k] = after + before
            quarters[1, i, k] = after - before


@njit(cache=True)
def _unfold_fluence(quarters, fluence):
    """Adjoint of `_fold_fluence` for both parities of columns, (2, 2, Y', X')."""
    y, x = fluence.shape[0] // 2, fluence.shape[1] // 2
    for i in range(y):
        for k in range(x):
            even = quarters[0, 0, i, k] + quarters[0, 1, i, k]
            odd = quarters[1, 0, i, k] + quarters[1, 1, i, k]
            fluence[y + i, x + k], fluence[y + i, x - 1 - k] = even + odd, even - odd
            even = quarters[0, 0, i, k] - quarters[0, 1, i, k]
            odd = quarters[1, 0, i, k] - quarters[1, 1, i, k]
            fluence[y - 1 - i, x + k], fluence[y - 1 - i, x - 1 - k] = even + odd, even - odd


@njit(cache=True)
def _unfold_rows(quarters, v, maps):
    """Write the rows of one map (V, U, 4) at folded node `v` from (2, 2, V / 2, 2 U)."""
    y, x = maps.shape[0] // 2, maps.shape[1] // 2
    flat, size = quarters.ravel(), np.uint64(quarters.shape[2] * quarters.shape[3])
    after, before = maps[y + v].ravel(), maps[y - 1 - v].ravel()
    at = np.uint64(v * quarters.shape[3])
    for u in range(x):
        right, left = np.uint64(4 * (x + u)), np.uint64(4 * (x - 1 - u))
        even, odd = load_4(flat, at), load_4(flat, at + size)
        even_x, odd_x = load_4(flat, at + size + size), load_4(flat, at + size + size + size)
        even, odd = add(even, odd), subtract(even, odd)
        even_x, odd_x = add(even_x, odd_x), subtract(even_x, odd_x)
        store(after, right, add(even, even_x))
        store(after, left, subtract(even, even_x))
        store(before, right, add(odd, odd_x))
        store(before, left, subtract(odd, odd_x))
        at += FOUR


@njit(cache=True)
def _fold_maps(chunks, g, b, px, folded):
    """Sum maps (chunks, G, B, V, U, 4) over chunks and fold them to (2, V / 2, 2 U)."""
    n_chunks, n_groups, n_beams, n_v, n_u, _ = chunks.shape
    sign = spread_4(np.float32(1 - 2 * px), np.float32(1 - 2 * px))
    flat, size = folded.ravel(), np.uint64(folded.shape[1] * folded.shape[2])
    maps, row = chunks.ravel(), np.uint64(4 * n_u)
    chunk_size = np.uint64(n_groups * n_beams * n_v * 4 * n_u)
    first = np.uint64((g * n_beams + b) * n_v * 4 * n_u)
    for v in range(n_v // 2):
        at = np.uint64(v * folded.shape[2])
        after = first + np.uint64(n_v // 2 + v) * row
        before = first + np.uint64(n_v // 2 - 1 - v) * row
        for u in range(n_u // 2):
            right, left = np.uint64(2 * n_u + 4 * u), np.uint64(2 * n_u - 4 - 4 * u)
            one = multiply_add(sign, load_4(maps, after + left), load_4(maps, after + right))
            two = multiply_add(sign, load_4(maps, before + left), load_4(maps, before + right))
            p, q = after, before
            for _ in range(1, n_chunks):
                p += chunk_size
                q += chunk_size
                one = add(one, multiply_add(sign, load_4(maps, p + left), load_4(maps, p + right)))
                two = add(two, multiply_add(sign, load_4(maps, q + left), load_4(maps, q + right)))
            store(flat, at, add(one, two))
            store(flat, at + size, subtract(one, two))
            at += FOUR


@njit(cache=True, parallel=True)
def convolve_fluence(fluence, condense, rows, columns, maps):
    """Make the maps of some beams.

    Parameters
    ----------
    fluence : float32 array of shape (B, Y, X), contiguous
        Y and X are even.
    condense, rows, columns
        See the top of the module.
    maps : float32 array of shape (G, B, V, U, 4), contiguous, written
        V and U are even.
    """
    n_groups, n_beams, n_v, n_u, _ = maps.shape
    n_v, n_u = n_v // 2, n_u // 2
    n_y, n_x = rows.shape[2], condense.shape[1]
    n_sources = columns.shape[2] * n_v // rows.shape[1]
    quarters = np.empty((n_groups, n_beams, 2, 2, n_v, 4 * n_u), np.float32)
    for task in prange(2 * n_beams):
        b, px = task // 2, task % 2
        folded = np.empty((2, n_y, n_x), np.float32)
        _fold_fluence(fluence[b], px, folded)
        if condense.shape[2] > 0:
            condensed = np.empty((2, n_y, n_sources), np.float32)
            multiply_matrices(
                folded.reshape(2 * n_y, n_x), condense[px], condensed.reshape(2 * n_y, n_sources)
            )
            folded = condensed
        halfway = np.empty((2, rows.shape[1], n_sources), np.float32)
        for py in range(2):
            multiply_matrices(rows[py], folded[py], halfway[py])
        for g in range(n_groups):
            multiply_matrices(
                halfway.reshape(2 * n_v, columns.shape[2]),
                columns[px, g],
                quarters[g, b, px].reshape(2 * n_v, 4 * n_u),
            )
    for task in prange(n_beams * n_v):
        b, v = task // n_v, task % n_v
        for g in range(n_groups):
            _unfold_rows(quarters[g, b], v, maps[g, b])


@njit(cache=True, parallel=True)
def convolve_back(chunks, condense, rows, columns, fluence):
    """Apply the adjoint of `convolve_fluence` to sums of maps.

    Parameters
    ----------
    chunks : float32 array of shape (chunks, G, B, V, U, 4), contiguous
        Maps that are added up.
    condense, rows, columns
        Transposes of the matrices of `convolve_fluence`, each by itself.
    fluence : float32 array of shape (B, Y, X), contiguous, written
    """
    _, n_groups, n_beams, n_v, n_u, _ = chunks.shape
    n_v, n_u = n_v // 2, n_u // 2
    n_y, n_x = rows.shape[1], condense.shape[2]
    n_terms = columns.shape[3]
    n_sources = n_terms * n_v // rows.shape[2]
    quarters = np.empty((n_beams, 2, 2, n_y, n_x), np.float32)
    for task in prange(2 * n_beams):
        b, px = task // 2, task % 2
        folded = np.empty((2, n_v, 4 * n_u), np.float32)
        halfway = np.empty((2 * n_v, n_terms), np.float32)
        for g in range(n_groups):
            _fold_maps(chunks, g, b, px, folded)
            product = np.empty((2 * n_v, n_terms), np.float32)
            multiply_matrices(folded.reshape(2 * n_v, 4 * n_u), columns[px, g], product)
            halfway = product if g == 0 else halfway + product
        by_node = halfway.reshape(2, rows.shape[2], n_sources)
        spread = np.empty((2, n_y, n_sources), np.float32)
        for py in range(2):
            multiply_matrices(rows[py], by_node[py], spread[py])
        if condense.shape[1] > 0:
            multiply_matrices(
                spread.reshape(2 * n_y, n_sources),
                condense[px],
                quarters[b, px].reshape(2 * n_y, n_x),
            )
        else:
            quarters[b, px] = spread
    for b in prange(n_beams):
        _unfold_fluence(quarters[b], fluence[b])
