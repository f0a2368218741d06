"""How long each cell behind a multileaf collimator is open while its leaves move."""

from numba import njit, prange


@njit(cache=True)
def _clip_integral(s, low, high):
    """Antiderivative of ``clip(s, low, high)``."""
    if s < low:
        return low * s - 0.5 * low * low
    if s > high:
        return high * s - 0.5 * high * high
    return 0.5 * s * s


@njit(cache=True)
def _mean_clip(start, end, low, high):
    """Mean of ``clip(s, low, high)`` while s moves evenly from `start` to `end`."""
    if abs(end - start) < 1e-9:
        return min(max(0.5 * (start + end), low), high)
    return (_clip_integral(end, low, high) - _clip_integral(start, low, high)) / (end - start)


@njit(cache=True, parallel=True)
def leaf_exposure(left, right, jaws, share, x_edges, opened, uncovered):
    """Integrate how long each cell of each leaf row is open while leaves move linearly.

    Parameters
    ----------
    left, right : float64 arrays of shape (S + 1, N)
        Tip positions of the two banks at the ends of S segments, ``left <= right``, mm.
    jaws : float64 array of shape (S, 2)
        X jaw positions during each segment, mm.
    share : float64 array of shape (S,)
        Meterset of each segment.
    x_edges : float64 array of shape (U + 1,)
        Cell edges, ascending, mm.
    opened : float64 array of shape (S, N, U), written
        Meterset during which the cell lies between tips and jaws, averaged over the cell.
    uncovered : float64 array of shape (S, U), written
        Meterset during which the cell lies between the jaws.
    """
    n_segments = len(share)
    n_rows = left.shape[1]
    n_cells = len(x_edges) - 1
    for s in prange(n_segments):
        for u in range(n_cells):
            width = x_edges[u + 1] - x_edges[u]
            low = min(max(x_edges[u], jaws[s, 0]), jaws[s, 1])
            high = min(max(x_edges[u + 1], jaws[s, 0]), jaws[s, 1])
            uncovered[s, u] = share[s] * (high - low) / width
            for row in range(n_rows):
                opened[s, row, u] = 0.0
                if high > low and share[s] > 0.0:
                    gap = _mean_clip(right[s, row], right[s + 1, row], low, high)
                    gap -= _mean_clip(left[s, row], left[s + 1, row], low, high)
                    opened[s, row, u] = share[s] * gap / width
