"""Points as a beam sees them, from voxel numbers to samples of maps, in one pass a beam.

The samples are those of `rerad.kernels.map_sampling`.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.map_sampling import FAR, HALF, STEPS
from rerad.kernels.raytrace import depth_to_point, fan_value


@njit(cache=True)
def _see(number, shape, view, sad):
    """Return a voxel's place in patient axes, (u, v) and height towards the source."""
    row, i = number // shape[2], number % shape[2]
    k, j = row // shape[1], row % shape[1]
    x = view[0, 0] + view[1, 0] * i
    y = view[0, 1] + view[1, 1] * j
    z = view[0, 2] + view[1, 2] * k
    dx, dy, dz = x - view[5, 0], y - view[5, 1], z - view[5, 2]
    height = view[4, 0] * dx + view[4, 1] * dy + view[4, 2] * dz
    stretch = sad / (sad - height)
    u = (view[2, 0] * dx + view[2, 1] * dy + view[2, 2] * dz) * stretch
    v = (view[3, 0] * dx + view[3, 1] * dy + view[3, 2] * dz) * stretch
    return x, y, z, u, v, height


@njit(cache=True)
def _is_near(lattice, u, v):
    """Whether the cubic footprint around a place lies in the fine map."""
    a, b = (u - lattice[0]) / lattice[2], (v - lattice[1]) / lattice[2]
    return a >= 1.0 and a < lattice[3] - 2 and b >= 1.0 and b < lattice[4] - 2


@njit(cache=True, parallel=True)
def measure_view(index, shape, view, sad, block_size, bounds):
    """Find what a beam sees of the points.

    Parameters
    ----------
    index : int64 array of shape (N,)
        Numbers of voxels.
    shape : int64 array (K, J, I) of their grid
    view : float64 array of shape (6, 3)
        Origin and spacing (x, y, z) of the grid in mm, the rotation from patient to
        beam-limiting-device axes, and the isocentre.
    sad : float
    block_size : int
        Points of a block.
    bounds : float64 array of shape (blocks, 6), written
        Lowest and highest u, v and height of each block of points.
    """
    for block in prange(len(bounds)):
        low_u = low_v = low_z = np.inf
        high_u = high_v = high_z = -np.inf
        for n in range(block * block_size, min((block + 1) * block_size, len(index))):
            _, _, _, u, v, height = _see(index[n], shape, view, sad)
            low_u, high_u = min(low_u, u), max(high_u, u)
            low_v, high_v = min(low_v, v), max(high_v, v)
            low_z, high_z = min(low_z, height), max(high_z, height)
        bounds[block, 0], bounds[block, 1] = low_u, high_u
        bounds[block, 2], bounds[block, 3] = low_v, high_v
        bounds[block, 4], bounds[block, 5] = low_z, high_z


@njit(cache=True, parallel=True)
def place_samples(index, shape, view, sad, block_size, near, far, beam, node, place):
    """Write node and place of the samples of one beam.

    Parameters
    ----------
    index, shape, view, sad, block_size
        As in `measure_view`.
    near, far : float64 arrays of shape (5,)
        Fine and coarse map: x and y of the first node, distance of nodes, columns and rows.
    beam : int
        Number of the beam.
    node, place
        Samples of all beams, see `rerad.kernels.map_sampling`; this beam's are written.
    """
    n_beams = len(node) // len(index)
    for block in prange(-(-len(index) // block_size)):
        start, end = block * block_size, min((block + 1) * block_size, len(index))
        s = start * n_beams + beam * (end - start)
        for n in range(start, end):
            _, _, _, u, v, _ = _see(index[n], shape, view, sad)
            is_near = _is_near(near, u, v)
            lattice = near if is_near else far
            a, b = (u - lattice[0]) / lattice[2], (v - lattice[1]) / lattice[2]
            i, j = int(a), int(b)
            right = np.uint32(min((a - i) * STEPS + 0.5, STEPS - 1.0))
            below = np.uint32(min((b - j) * STEPS + 0.5, STEPS - 1.0))
            place[s] = (below << HALF) | right
            if is_near:
                node[s] = (j - 1) * int(lattice[3]) + i - 1
            else:
                node[s] = np.uint32(j * int(lattice[3]) + i) | FAR
            s += 1


@njit(cache=True, parallel=True)
def trace_samples(index, shape, view, sad, block_size, beam, rays, fan, scale, weights, is_used):
    """Write radiological depth and magnification of one beam's samples in place of weights.

    Parameters
    ----------
    index, shape, view, sad, block_size, beam
        As in `place_samples`.
    rays : tuple
        Density (float32, (K, J, I)), its outer corner and spacing, and the source, in patient
        axes: a ray goes to each point, if there is no fan.
    fan : tuple
        Traced depths (see `rerad.kernels.raytrace.fan_depths`; empty if there is none) and
        (u, v, height) of its first node and the distance of its rays and of its planes.
    scale : float64 array of shape (2, R)
        Radius on the isocentre plane and what depth is multiplied with there.
    weights : float32 array of shape (G, S, 4), written
        Depth and distance from the source over SAD, in the first two places.
    is_used : bool array of shape (blocks, D, M), written
        Which whole millimetres of depth and (from 0.6) 0.05 of magnification occur.
    """
    values, corner, spacing, start = rays
    depths, first = fan
    n_beams = weights.shape[1] // len(index)
    for block in prange(len(is_used)):
        is_used[block] = False
        low, high = block * block_size, min((block + 1) * block_size, len(index))
        base = low * n_beams + beam * (high - low)
        for n in range(low, high):
            s = base + n - low
            x, y, z, u, v, height = _see(index[n], shape, view, sad)
            if depths.shape[0] == 0:
                depth = depth_to_point(values, corner, spacing, start, x, y, z)
            else:
                row, column = (v - first[1]) / first[3], (u - first[0]) / first[3]
                depth = fan_value(depths, column, row, (first[2] - height) / first[4])
            depth *= _scale_at(scale, np.sqrt(u * u + v * v))
            magnification = (sad - height) / sad
            weights[0, s, 0] = depth
            weights[0, s, 1] = magnification
            i = min(max(int(depth), 0), is_used.shape[1] - 1)
            j = min(max(int((magnification - 0.6) / 0.05), 0), is_used.shape[2] - 1)
            is_used[block, i, j] = True


@njit(cache=True)
def _scale_at(table, radius):
    """Interpolate a short table (2, R) linearly; beyond the ends the end value is used."""
    if radius <= table[0, 0]:
        return table[1, 0]
    for n in range(1, table.shape[1]):
        if radius <= table[0, n]:
            share = (radius - table[0, n - 1]) / (table[0, n] - table[0, n - 1])
            return table[1, n - 1] + share * (table[1, n] - table[1, n - 1])
    return table[1, -1]


@njit(cache=True, parallel=True)
def weigh_samples(table, spacing, weights):
    """Turn depth and magnification into component weights, in place.

    Parameters
    ----------
    table : float64 array of shape (D, M, C)
        Rows every ``spacing[0]`` mm from 0, columns every ``spacing[2]`` from ``spacing[1]``;
        linear between them, and beyond the ends the end value.
    spacing : tuple of three float
    weights : float32 array of shape (G, S, 4), C at most 4 G; read and written
        Of a sample ``weights[0, s, :2]`` is read.
    """
    n_d, n_m, n_components = table.shape
    for s in prange(weights.shape[1]):
        a = min(max(weights[0, s, 0] / spacing[0], 0.0), n_d - 1.0)
        b = min(max((weights[0, s, 1] - spacing[1]) / spacing[2], 0.0), n_m - 1.0)
        i, j = min(int(a), n_d - 2), min(int(b), n_m - 2)
        a, b = a - i, b - j
        for g in range(weights.shape[0]):
            for lane in range(4):
                c = 4 * g + lane
                value = 0.0
                if c < n_components:
                    low = table[i, j, c] + b * (table[i, j + 1, c] - table[i, j, c])
                    high = table[i + 1, j, c] + b * (table[i + 1, j + 1, c] - table[i + 1, j, c])
                    value = low + a * (high - low)
                weights[g, s, lane] = value
