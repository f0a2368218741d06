"""Trilinear sampling of a voxel array at continuous indices.

Nothing is extrapolated: a point outside the box spanned by the voxel centres is unknown (NaN), and
so is a point that leans on a voxel whose value is NaN.
"""

from math import floor, isnan, nan

import numpy as np
from numba import njit, prange

ROUNDING_INDEX = 1e-6
"""A point beyond the outermost voxel centre by less than this (in voxels) lies on it: positions
in mm divided by spacings carry rounding of about 1e-12; grids of two files differ by more."""


@njit(cache=True)
def split_index(position, size):
    """Split a continuous index into the voxel below it and the weight of the voxel above.

    Parameters
    ----------
    position : float
        Continuous index along one axis.
    size : int
        Voxels along that axis, at least 1.

    Returns
    -------
    below : int
        Voxel below, or -1 if the position is NaN or outside ``[0, size - 1]``.
    weight : float
        Weight of voxel ``below + 1``, 0 to 1; exactly 0 on a voxel centre.
    """
    last = size - 1.0
    if isnan(position) or position < -ROUNDING_INDEX or position > last + ROUNDING_INDEX:
        return -1, 0.0
    inside = min(max(position, 0.0), last)
    below = floor(inside)
    return below, inside - below


@njit(cache=True)
def trilinear_at(values, k, j, i):
    """Interpolate `values` at one continuous index.

    Parameters
    ----------
    values : float32 array of shape (K, J, I)
    k, j, i : float
        Continuous index; whole numbers are voxel centres.

    Returns
    -------
    float
        Interpolated value; NaN outside the voxel centres or where a neighbour that carries weight
        is NaN. A neighbour of weight 0 does not count.
    """
    k0, wk = split_index(k, values.shape[0])
    j0, wj = split_index(j, values.shape[1])
    i0, wi = split_index(i, values.shape[2])
    if k0 < 0 or j0 < 0 or i0 < 0:
        return nan
    total = 0.0
    for dk in range(2):
        weight_k = wk if dk else 1.0 - wk
        if weight_k == 0.0:
            continue
        for dj in range(2):
            weight_kj = weight_k * (wj if dj else 1.0 - wj)
            if weight_kj == 0.0:
                continue
            for di in range(2):
                weight = weight_kj * (wi if di else 1.0 - wi)
                if weight != 0.0:
                    total += weight * values[k0 + dk, j0 + dj, i0 + di]
    return total


@njit(cache=True, parallel=True)
def sample_trilinear(values, indices_kji):
    """Interpolate `values` at many continuous indices.

    Parameters
    ----------
    values : float32 array of shape (K, J, I)
    indices_kji : float64 array of shape (n, 3)
        Continuous indices ``(k, j, i)``; whole numbers are voxel centres.

    Returns
    -------
    float32 array of shape (n,)
        Interpolated values; NaN outside the voxel centres (rounding of 1e-6 voxel is forgiven) and
        where a neighbour that carries weight is NaN.
    """
    n = indices_kji.shape[0]
    result = np.empty(n, dtype=np.float32)
    for p in prange(n):
        result[p] = trilinear_at(values, indices_kji[p, 0], indices_kji[p, 1], indices_kji[p, 2])
    return result
