"""Pull an image through an affine map of indices.

For every target voxel the map gives the place in the source, where the source is sampled
trilinearly. Callers compose grids and transforms into one index matrix and validate; the kernel
trusts. Only NumPy and numba.
"""

import numpy as np
from numba import njit, prange

EDGE_TOLERANCE = 1e-4
"""Share of a voxel by which a sample may miss the box of voxel centres and still be on its edge:
rounding of decimal coordinates must not turn an edge voxel into an unknown one."""


@njit(cache=True)
def _careful_sample(values, low, weight):
    """Return the trilinear value without reading neighbours of weight zero.

    An unknown (NaN) voxel beside a voxel centre must not spoil it, although zero times NaN is NaN.
    """
    total = 0.0
    for dk in range(2):
        ck = weight[0] if dk == 1 else 1.0 - weight[0]
        for dj in range(2):
            cj = weight[1] if dj == 1 else 1.0 - weight[1]
            for di in range(2):
                ci = weight[2] if di == 1 else 1.0 - weight[2]
                c = ck * cj * ci
                if c != 0.0:
                    total += c * values[low[0] + dk, low[1] + dj, low[2] + di]
    return total


@njit(cache=True, inline="always")
def _sample(values, k, j, i, reach=EDGE_TOLERANCE):
    """Return the trilinear value at continuous index and whether it is inside.

    Up to `reach` voxels beyond the outermost centres the outermost value holds.
    """
    n_k, n_j, n_i = values.shape
    if (
        k < -reach
        or j < -reach
        or i < -reach
        or k > n_k - 1 + reach
        or j > n_j - 1 + reach
        or i > n_i - 1 + reach
    ):
        return 0.0, False
    k = min(max(k, 0.0), n_k - 1.0)
    j = min(max(j, 0.0), n_j - 1.0)
    i = min(max(i, 0.0), n_i - 1.0)
    # The lower neighbour of the last voxel is the last but one, except on an axis of one voxel.
    k0 = max(min(int(k), n_k - 2), 0)
    j0 = max(min(int(j), n_j - 2), 0)
    i0 = max(min(int(i), n_i - 2), 0)
    k1 = min(k0 + 1, n_k - 1)
    j1 = min(j0 + 1, n_j - 1)
    i1 = min(i0 + 1, n_i - 1)
    wk = k - k0
    wj = j - j0
    wi = i - i0
    low = (1.0 - wj) * ((1.0 - wi) * values[k0, j0, i0] + wi * values[k0, j0, i1]) + wj * (
        (1.0 - wi) * values[k0, j1, i0] + wi * values[k0, j1, i1]
    )
    high = (1.0 - wj) * ((1.0 - wi) * values[k1, j0, i0] + wi * values[k1, j0, i1]) + wj * (
        (1.0 - wi) * values[k1, j1, i0] + wi * values[k1, j1, i1]
    )
    total = (1.0 - wk) * low + wk * high
    if np.isnan(total):
        total = _careful_sample(values, (k0, j0, i0), (wk, wj, wi))
    return total, True


@njit(cache=True, parallel=True)
def pull_affine(values, matrix, shape, n_sub, outside, reach=EDGE_TOLERANCE):
    """Sample `values` at the image of every target voxel under an affine map of indices.

    Parameters
    ----------
    values : float32 or int16 array of shape (K, J, I)
        Source; NaN is unknown and spreads to every sample that touches it.
    matrix : float64 array of shape (3, 4)
        Source index ``(k, j, i) = matrix[:, :3] @ (k, j, i) + matrix[:, 3]`` of target index.
    shape : tuple of int
        ``(K, J, I)`` of the target.
    n_sub : tuple of int
        ``(k, j, i)`` samples per target voxel along each axis, spread evenly over the voxel;
        (1, 1, 1) samples its centre only. Samples outside the source are left out of the mean.
    outside : float
        Value of a target voxel whose centre lies outside the box of source voxel centres.
    reach : float
        Share of a source voxel by which that box is larger; the outermost value holds there. One
        half takes it to the outer faces.

    Returns
    -------
    float32 array of shape (K, J, I)
        Mean of the samples of each target voxel.
    """
    n_k, n_j, n_i = shape
    s_k, s_j, s_i = n_sub
    out = np.empty((n_k, n_j, n_i), dtype=np.float32)
    m = matrix
    for k in prange(n_k):
        for j in range(n_j):
            for i in range(n_i):
                ck = m[0, 0] * k + m[0, 1] * j + m[0, 2] * i + m[0, 3]
                cj = m[1, 0] * k + m[1, 1] * j + m[1, 2] * i + m[1, 3]
                ci = m[2, 0] * k + m[2, 1] * j + m[2, 2] * i + m[2, 3]
                centre, is_inside = _sample(values, ck, cj, ci, reach)
                if not is_inside:
                    out[k, j, i] = outside
                    continue
                if s_k * s_j * s_i == 1:
                    out[k, j, i] = centre
                    continue
                total = 0.0
                count = 0
                for a in range(s_k):
                    da = (a + 0.5) / s_k - 0.5
                    for b in range(s_j):
                        db = (b + 0.5) / s_j - 0.5
                        for c in range(s_i):
                            dc = (c + 0.5) / s_i - 0.5
                            value, is_in = _sample(
                                values,
                                ck + m[0, 0] * da + m[0, 1] * db + m[0, 2] * dc,
                                cj + m[1, 0] * da + m[1, 1] * db + m[1, 2] * dc,
                                ci + m[2, 0] * da + m[2, 1] * db + m[2, 2] * dc,
                                reach,
                            )
                            if is_in:
                                total += value
                                count += 1
                out[k, j, i] = total / count if count > 0 else centre
    return out
