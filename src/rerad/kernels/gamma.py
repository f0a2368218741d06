"""Gamma index: the nearest agreement of an interpolated dose with points of another.

Around each reference point the evaluated dose is sampled at given offsets and interpolated
linearly along each axis between its nodes. The offsets come in blocks, nearest first; a block that
cannot hold a smaller gamma, by its distance and the doses of its nodes, is passed over, which
changes no result. Nothing is extrapolated: a sample outside the nodes, or one that leans on a node
whose dose is NaN, does not exist. Arrays of one or two dimensions have leading axes of one node.
"""

from math import inf, isnan, nan, sqrt

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

ROUNDING_MM = 1e-6
"""A position closer than this to a node lies on it: sums of mm carry rounding of about 1e-12."""


def axis_of(
    nodes_mm: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], float]:
    """Return ascending nodes with what finds the cell of a position in constant time.

    Parameters
    ----------
    nodes_mm : float64 array of shape (n,)
        Ascending; not necessarily at equal distances.

    Returns
    -------
    tuple
        Nodes, inverse distance from each to the next (per mm), for each of n bins of equal
        width the last node at or below its lower edge, and the number of bins per mm.
    """
    n = nodes_mm.size
    length_mm = nodes_mm[-1] - nodes_mm[0]
    bins_per_mm = (n - 1) / length_mm if n > 1 else 0.0
    edges_mm = nodes_mm[0] + np.arange(n) / max(bins_per_mm, 1e-30)
    first = np.maximum(np.searchsorted(nodes_mm, edges_mm, side="right") - 1, 0)
    return nodes_mm, 1.0 / np.diff(nodes_mm), first.astype(np.int64), float(bins_per_mm)


@njit(cache=True)
def _trilinear(values, k, wk, j, wj, i, wi):
    """Return the value in cell ``[k, j, i]`` at the weights of its upper nodes."""
    # A neighbor of weight 0 does not count, not even if it is NaN.
    k1 = k + 1 if wk > 0.0 else k
    j1 = j + 1 if wj > 0.0 else j
    i1 = i + 1 if wi > 0.0 else i
    v00 = values[k, j, i] + wi * (values[k, j, i1] - values[k, j, i])
    v01 = values[k, j1, i] + wi * (values[k, j1, i1] - values[k, j1, i])
    v10 = values[k1, j, i] + wi * (values[k1, j, i1] - values[k1, j, i])
    v11 = values[k1, j1, i] + wi * (values[k1, j1, i1] - values[k1, j1, i])
    v0 = v00 + wj * (v01 - v00)
    v1 = v10 + wj * (v11 - v10)
    return v0 + wk * (v1 - v0)


@njit(cache=True, inline="always")
def _reach(low_mm, high_mm, nodes, first, bins_per_mm):
    """Return the first and last node that samples from `low_mm` to `high_mm` can lean on.

    The last is below the first if all of them are outside the nodes.
    """
    last = nodes.size - 1
    if high_mm < nodes[0] - ROUNDING_MM or low_mm > nodes[last] + ROUNDING_MM:
        return 0, -1
    low = first[min(max(int((low_mm - nodes[0]) * bins_per_mm), 0), last)]
    while low < last and nodes[low + 1] <= low_mm + ROUNDING_MM:
        low += 1
    high = low
    while high < last and nodes[high] < high_mm - ROUNDING_MM:
        high += 1
    return low, high


@njit(cache=True, inline="always")
def _excess(values, dose, k0, k1, j0, j1, i0, i1):
    """Return how far `dose` is outside the known values of a box of nodes; inf if none is."""
    lowest = inf
    highest = -inf
    for k in range(k0, k1 + 1):
        for j in range(j0, j1 + 1):
            for i in range(i0, i1 + 1):
                value = values[k, j, i]
                if value < lowest:
                    lowest = value
                if value > highest:
                    highest = value
    return max(lowest - dose, dose - highest, 0.0)


@njit(cache=True, inline="always")
def _spans(low_mm, high_mm, low, high, nodes, inverse_width):
    """Return whether nodes `low` to `high` are one cell around all samples, and 1 / its width."""
    inverse = 0.0
    is_one = nodes[low] <= low_mm + ROUNDING_MM and high_mm - ROUNDING_MM <= nodes[high]
    if high == low + 1:
        inverse = inverse_width[low]
    elif high != low:
        is_one = False
    return is_one, inverse


@njit(cache=True)
def _gamma_squared(values, axes, point_mm, dose, per_criterion, samples, max_squared):
    """Return the square of the gamma of one point, at most `max_squared`; NaN if unknown."""
    # Unpacked once: handing tuples of arrays on in the inner loop would cost more than the loop.
    k_nodes, k_inverse, k_first, k_bins = axes[0]
    j_nodes, j_inverse, j_first, j_bins = axes[1]
    i_nodes, i_inverse, i_first, i_bins = axes[2]
    offsets_mm, near_squared, starts, boxes_mm = samples
    k_mm, j_mm, i_mm = point_mm
    k_low = k_nodes[0] - ROUNDING_MM
    k_high = k_nodes[k_nodes.size - 1] + ROUNDING_MM
    j_low = j_nodes[0] - ROUNDING_MM
    j_high = j_nodes[j_nodes.size - 1] + ROUNDING_MM
    i_low = i_nodes[0] - ROUNDING_MM
    i_high = i_nodes[i_nodes.size - 1] + ROUNDING_MM
    best = inf
    for block in range(starts.size - 1):
        nearest = near_squared[starts[block]]
        if nearest >= best:
            break
        k0, k1 = _reach(
            k_mm + boxes_mm[block, 0], k_mm + boxes_mm[block, 3], k_nodes, k_first, k_bins
        )
        j0, j1 = _reach(
            j_mm + boxes_mm[block, 1], j_mm + boxes_mm[block, 4], j_nodes, j_first, j_bins
        )
        i0, i1 = _reach(
            i_mm + boxes_mm[block, 2], i_mm + boxes_mm[block, 5], i_nodes, i_first, i_bins
        )
        # Interpolated doses lie between those of the nodes.
        least = _excess(values, dose, k0, k1, j0, j1, i0, i1) * per_criterion
        if block > 0 and least * least + nearest >= best:
            continue
        k_one, k_scale = _spans(
            k_mm + boxes_mm[block, 0], k_mm + boxes_mm[block, 3], k0, k1, k_nodes, k_inverse
        )
        j_one, j_scale = _spans(
            j_mm + boxes_mm[block, 1], j_mm + boxes_mm[block, 4], j0, j1, j_nodes, j_inverse
        )
        i_one, i_scale = _spans(
            i_mm + boxes_mm[block, 2], i_mm + boxes_mm[block, 5], i0, i1, i_nodes, i_inverse
        )
        if k_one and j_one and i_one and block > 0:
            # All samples in one cell, the usual case for grids of one spacing: no cell to find.
            v00 = values[k0, j0, i0]
            v01 = values[k0, j1, i0]
            v10 = values[k1, j0, i0]
            v11 = values[k1, j1, i0]
            d00 = values[k0, j0, i1] - v00
            d01 = values[k0, j1, i1] - v01
            d10 = values[k1, j0, i1] - v10
            d11 = values[k1, j1, i1] - v11
            if not isnan(d00 + d01 + d10 + d11):
                k_start = k_mm - k_nodes[k0]
                j_start = j_mm - j_nodes[j0]
                i_start = i_mm - i_nodes[i0]
                for s in range(starts[block], starts[block + 1]):
                    if near_squared[s] >= best:
                        break
                    wk = (k_start + offsets_mm[s, 0]) * k_scale
                    wj = (j_start + offsets_mm[s, 1]) * j_scale
                    wi = (i_start + offsets_mm[s, 2]) * i_scale
                    low = v00 + wi * d00
                    low += wj * (v01 + wi * d01 - low)
                    high = v10 + wi * d10
                    high += wj * (v11 + wi * d11 - high)
                    difference = (low + wk * (high - low) - dose) * per_criterion
                    best = min(best, difference * difference + near_squared[s])
                continue
        for s in range(starts[block], starts[block + 1]):
            if near_squared[s] >= best:
                break
            k_at = k_mm + offsets_mm[s, 0]
            j_at = j_mm + offsets_mm[s, 1]
            i_at = i_mm + offsets_mm[s, 2]
            if (
                k_at < k_low
                or k_at > k_high
                or j_at < j_low
                or j_at > j_high
                or i_at < i_low
                or i_at > i_high
            ):
                continue
            k = k0
            while k < k1 and k_nodes[k + 1] <= k_at + ROUNDING_MM:
                k += 1
            wk = 0.0
            if k < k1 and k_at - k_nodes[k] > ROUNDING_MM:
                wk = (k_at - k_nodes[k]) * k_inverse[k]
            j = j0
            while j < j1 and j_nodes[j + 1] <= j_at + ROUNDING_MM:
                j += 1
            wj = 0.0
            if j < j1 and j_at - j_nodes[j] > ROUNDING_MM:
                wj = (j_at - j_nodes[j]) * j_inverse[j]
            i = i0
            while i < i1 and i_nodes[i + 1] <= i_at + ROUNDING_MM:
                i += 1
            wi = 0.0
            if i < i1 and i_at - i_nodes[i] > ROUNDING_MM:
                wi = (i_at - i_nodes[i]) * i_inverse[i]
            difference = (_trilinear(values, k, wk, j, wj, i, wi) - dose) * per_criterion
            if block == 0:
                if isnan(difference):
                    return nan
                best = max_squared
            best = min(best, difference * difference + near_squared[s])
    return min(best, max_squared) if best < inf else nan


@njit(cache=True, parallel=True)
def gamma_of_points(values, axes, points_mm, doses, per_criterion, samples, max_gamma):
    r"""Return the gamma index of reference points against an evaluated dose.

    .. math:: \gamma(r) = \min_s \sqrt{\frac{|s|^2}{\Delta d^2}
              + \frac{(D_e(r + s) - D_r(r))^2}{\Delta D^2}}

    Parameters
    ----------
    values : float64 array of shape (K, J, I)
        Evaluated dose; NaN where unknown.
    axes : tuple of three
        Evaluated nodes along k, j and i, each as made by `axis_of`.
    points_mm : float64 array of shape (n, 3)
        Reference points in the order k, j, i of the axes.
    doses, per_criterion : float64 arrays of shape (n,)
        Dose of each point, and one over its dose criterion.
    samples : tuple
        Offsets in mm (float64, shape (m, 3), order k, j, i), in blocks whose first is the point
        itself, nearest block first and nearest first within each; square of distance over
        distance criterion of each (float64); index of each block's first offset and m (int64);
        lowest and highest offset of each block (float64, shape (blocks, 6)).
    max_gamma : float
        Larger gammas are given as this.

    Returns
    -------
    float64 array of shape (n,)
        NaN where the evaluated dose is unknown at the point itself, or, for a point outside
        the evaluated nodes, at every sample.

    References
    ----------
    .. [1] Low et al. (1998), Med. Phys. 25, 656, doi:10.1118/1.598248.
    .. [2] Wendling et al. (2007), Med. Phys. 34, 1647, doi:10.1118/1.2721657.
    """
    # A parallel loop takes arrays and numbers, not tuples of them: they are put together inside.
    k_nodes, k_inverse, k_first, k_bins = axes[0]
    j_nodes, j_inverse, j_first, j_bins = axes[1]
    i_nodes, i_inverse, i_first, i_bins = axes[2]
    offsets_mm, near_squared, starts, boxes_mm = samples
    n = doses.size
    result = np.empty(n)
    for p in prange(n):
        squared = _gamma_squared(
            values,
            (
                (k_nodes, k_inverse, k_first, k_bins),
                (j_nodes, j_inverse, j_first, j_bins),
                (i_nodes, i_inverse, i_first, i_bins),
            ),
            (points_mm[p, 0], points_mm[p, 1], points_mm[p, 2]),
            doses[p],
            per_criterion[p],
            (offsets_mm, near_squared, starts, boxes_mm),
            max_gamma * max_gamma,
        )
        result[p] = sqrt(squared)
    return result
