"""A disc under a point spread, looked up in a table: the loop of the nerve's tube fit."""

import numpy as np
from numba import njit


@njit(cache=True)
def blurred_disc_lookup(offsets, size, sigma, shifts, shares, table, steps):
    """Return the value of a blurred disc at places of its plane.

    Parameters
    ----------
    offsets : float64 array of shape (N, 2)
        Places, from the centre of the disc, mm.
    size : float
        Radius over the standard deviation of the narrow spread.
    sigma : float
        That standard deviation, mm.
    shifts : float64 array of shape (M, 2)
        Nodes of the quadrature along the wide axis, mm.
    shares : float64 array of shape (M,)
        Their weights, summing to 1.
    table : float64 array of shape (S, E)
        Value by size and by distance from the edge, both in standard deviations.
    steps : float64 array of shape (3,)
        Step of sizes, step of edges, and the first edge with its sign turned.

    Returns
    -------
    float64 array of shape (N,)
        Bilinear in the table; its ends beyond.
    """
    n_sizes, n_edges = table.shape
    row = min(size / steps[0], n_sizes - 1.001)
    low = int(row)
    up = row - low
    out = np.empty(len(offsets))
    for n in range(len(offsets)):
        total = 0.0
        for m in range(len(shares)):
            x = offsets[n, 0] - shifts[m, 0]
            y = offsets[n, 1] - shifts[m, 1]
            edge = (np.sqrt(x * x + y * y) / sigma - size + steps[2]) / steps[1]
            edge = min(max(edge, 0.0), n_edges - 1.001)
            left = int(edge)
            right = edge - left
            below = (1.0 - right) * table[low, left] + right * table[low, left + 1]
            above = (1.0 - right) * table[low + 1, left] + right * table[low + 1, left + 1]
            total += shares[m] * ((1.0 - up) * below + up * above)
        out[n] = total
    return out
