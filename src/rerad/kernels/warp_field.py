"""Pull an image through a displacement field and an affine map of indices.

For every target voxel: its place in the field, the displacement there, and from the displaced
place the source, both sampled trilinearly. Callers compose grids and transforms into index
matrices and give displacements in voxels of the field; the kernel trusts. Only NumPy and numba.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.warp import EDGE_TOLERANCE, _sample


@njit(cache=True, inline="always")
def _through(matrix, k, j, i):
    """Return an affine map of indices at one place."""
    a = matrix[0, 0] * k + matrix[0, 1] * j + matrix[0, 2] * i + matrix[0, 3]
    b = matrix[1, 0] * k + matrix[1, 1] * j + matrix[1, 2] * i + matrix[1, 3]
    c = matrix[2, 0] * k + matrix[2, 1] * j + matrix[2, 2] * i + matrix[2, 3]
    return a, b, c


@njit(cache=True, parallel=True)
def pull_field(
    values,
    to_field,
    field_k,
    field_j,
    field_i,
    to_source,
    shape,
    outside,
    reach=EDGE_TOLERANCE,
):
    """Sample `values` at the image of every target voxel under field and affine maps.

    Parameters
    ----------
    values : float32 array of shape (K, J, I)
        Source; NaN is unknown and spreads to every sample that touches it.
    to_field : float64 array of shape (3, 4)
        Field index of target index.
    field_k, field_j, field_i : float32 arrays of shape (K', J', I')
        Displacement in voxels of the field along each of its axes.
    to_source : float64 array of shape (3, 4)
        Source index of displaced field index.
    shape : tuple of int
        ``(K, J, I)`` of the target.
    outside : float
        Value of a target voxel outside the field, or whose source place is outside the source.
    reach : float
        Share of a source voxel beyond the outermost centres where the outermost value holds.

    Returns
    -------
    float32 array of shape (K, J, I)
    """
    n_k, n_j, n_i = shape
    out = np.empty((n_k, n_j, n_i), dtype=np.float32)
    for k in prange(n_k):
        for j in range(n_j):
            for i in range(n_i):
                fk, fj, fi = _through(to_field, k, j, i)
                dk, is_known = _sample(field_k, fk, fj, fi)
                if not is_known:
                    out[k, j, i] = outside
                    continue
                dj, _ = _sample(field_j, fk, fj, fi)
                di, _ = _sample(field_i, fk, fj, fi)
                sk, sj, si = _through(to_source, fk + dk, fj + dj, fi + di)
                value, is_inside = _sample(values, sk, sj, si, reach)
                out[k, j, i] = value if is_inside else outside
    return out
