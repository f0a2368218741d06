"""Loops of the collapsed cone: released energy, transport along cones, coarse to fine.

Volumes are float32 and in C order. The transport wants them with the sweep axis first, so that a
row of voxels is contiguous and the innermost loop works on whole rows.
"""

import numpy as np
from numba import njit, prange

from rerad.kernels.raytrace import fan_value

ONE, HALF, TWO = np.float32(1.0), np.float32(0.5), np.float32(2.0)
EIGHTH, SIXTH = np.float32(1.0 / 8.0), np.float32(1.0 / 6.0)
TWENTY_FOURTH = np.float32(1.0 / 24.0)


@njit(inline="always")
def _decay(y):
    """Return ``exp(-y)`` and ``(1 - exp(-y)) / y`` for y of 0 or more, without cancellation.

    With ``r = (exp(y) - 1) / y``, a series at y / 8 is doubled three times:
    ``exp(2 y) - 1 = (exp(y) - 1) (exp(y) + 1)``. Relative error below 2e-5 up to y = 2; above, the
    first stays positive and falls to 0 as it should.
    """
    z = y * EIGHTH
    r = EIGHTH * (ONE + z * (HALF + z * (SIXTH + z * TWENTY_FOURTH)))
    r = r * (TWO + y * r)
    r = r * (TWO + y * r)
    r = r * (TWO + y * r)
    left = ONE / (ONE + y * r)
    return left, r * left


@njit(error_model="numpy")
def _advance_row(density, released, inverse_distance, deposit, first, second, third, cone, line):
    """Carry one row of lines through one voxel each; all arrays are rows of equal length."""
    rate, rate_3, share_1, share_2, share_3 = cone[0], cone[1], cone[2], cone[3], cone[4]
    slope, cosine_0 = cone[5], cone[6]
    start, step = line[0], line[1]
    for i in range(density.size):
        x = slope * ((start + step * np.float32(i)) * inverse_distance[i] - cosine_0)
        source = released[i] * (ONE + x * (ONE + HALF * x))
        y = rate * density[i]
        left, mean = _decay(y)
        before_1, before_2, before_3 = first[i], second[i], third[i]
        after_1 = before_1 * left + share_1 * source * mean
        after_2 = (
            (before_2 + y * before_1) * left
            + share_2 * source * mean
            + share_1 * source * (mean - left)
        )
        left_3, mean_3 = _decay(rate_3 * density[i])
        after_3 = before_3 * left_3 + share_3 * source * mean_3
        deposit[i] += (
            (before_1 - after_1)
            + (before_2 - after_2)
            + (before_3 - after_3)
            + (share_1 + share_2 + share_3) * source
        )
        first[i] = after_1
        second[i] = after_2
        third[i] = after_3


@njit(cache=True)
def _is_spent(first, second, third, least):
    """Return whether no line of a row carries more than `least` in any form."""
    for i in range(first.size):
        if abs(first[i]) > least or abs(second[i]) > least or abs(third[i]) > least:
            return False
    return True


@njit(cache=True, error_model="numpy")
def _sweep(density, released, spans, inverse_distance, deposit, visits, cone, cosine):
    """Transport along one cone, plane by plane; see `sweep_cones`."""
    n_planes, n_rows, n_columns = density.shape
    most_row, most = visits[:, 1].max(), visits[:, 2].max()
    n_lines = n_rows + most_row - visits[:, 1].min()
    length = n_columns + most - visits[:, 2].min()
    first = np.zeros((n_lines, length), np.float32)
    second = np.zeros((n_lines, length), np.float32)
    third = np.zeros((n_lines, length), np.float32)
    low, high = np.full(n_lines, length), np.zeros(n_lines, np.int64)
    least = cone[7] * np.float32(1e-7)
    line = np.empty(2, np.float32)
    line[1] = cosine[3]
    for n in range(n_planes):
        s = visits[n, 0]
        begin = most - visits[n, 2]
        for row in range(n_rows):
            m = row + most_row - visits[n, 1]
            if spans[s, row, 0] < spans[s, row, 1]:
                low[m] = min(low[m], begin + spans[s, row, 0])
                high[m] = max(high[m], begin + spans[s, row, 1])
            elif low[m] >= high[m]:
                continue
            elif n % 8 == 0:
                part = slice(low[m], high[m])
                if _is_spent(first[m, part], second[m, part], third[m, part], least):
                    first[m, part] = 0.0
                    second[m, part] = 0.0
                    third[m, part] = 0.0
                    low[m], high[m] = length, 0
            a, b = max(low[m], begin), min(high[m], begin + n_columns)
            if a >= b:
                continue
            i, j = a - begin, b - begin
            line[0] = cosine[0] + s * cosine[1] + row * cosine[2] + i * cosine[3]
            _advance_row(
                density[s, row, i:j],
                released[s, row, i:j],
                inverse_distance[s, row, i:j],
                deposit[s, row, i:j],
                first[m, a:b],
                second[m, a:b],
                third[m, a:b],
                cone,
                line,
            )


@njit(cache=True, parallel=True)
def sweep_cones(density, released, spans, inverse_distance, deposits, visits, cones, cosines):
    """Transport the released energy of all voxels along cones and add what it deposits.

    Lines run through voxel centres of the first plane; at each further plane they move to the
    voxel nearest to where the direction leads. So each voxel is visited by exactly one line of
    each cone. A line carries three amounts of energy. The first turns into the second, the second
    and third are deposited::

        d(e1)/dt = -e1,   d(e2)/dt = e1 - e2,   d(e3)/dt' = -e3,   t = rate * density * length

    solved exactly through a voxel of constant density and release. What goes in and does not
    come out stays in the voxel. What leaves the box is lost. Columns that no energy has reached
    are left out; a row of lines is given up below 1e-7 of the largest release.

    Cone n adds to ``deposits[n % G]``, one group after the other within a thread: so the result
    does not depend on the number of threads, and threads meet once, at the end.

    Parameters
    ----------
    density, released, inverse_distance : float32 arrays of shape (S, R, C)
        Density relative to water's 1, energy released, and 1 / distance from the source in 1/mm,
        with the sweep axis first.
    spans : int32 array of shape (S, R, 2)
        First and one past the last column of each row that release energy; equal if none do.
    deposits : float32 array of shape (G, S, R, C)
        Energy deposited; added to.
    visits : int64 array of shape (N, S, 3)
        Planes in the order of each cone's sweep; and by how many rows and columns its lines have
        moved when they get there, monotonic in steps of at most 1.
    cones : float32 array of shape (N, 8)
        Rates of the first two and of the third amount per unit density and plane, shares of the
        released energy that start as first, second and third, log-slope of the kernel in the
        cosine to the ray, cosine between cone and beam axis, and the largest release.
    cosines : float64 array of shape (N, 4)
        Distance times cosine between cone and ray from the source: value in mm at voxel
        [0, 0, 0], and steps along the three axes.
    """
    for g in prange(len(deposits)):
        for n in range(g, len(cones), len(deposits)):
            _sweep(
                density,
                released,
                spans,
                inverse_distance,
                deposits[g],
                visits[n],
                cones[n],
                cosines[n],
            )


@njit(cache=True, parallel=True)
def share_out(released, place, source, tilt, scaled, inverse_distance):
    """Divide released energy by the mean amplitude of all cones, so that their sum keeps it.

    Parameters
    ----------
    released : float32 array of shape (K, J, I)
    place : float64 array of shape (2, 3)
        x, y, z of voxel [0, 0, 0], and the voxel spacing, mm.
    source : float64 array (x, y, z), mm
    tilt : tuple
        Direction of the beam axis a; mean g of the cones' amplitude slopes, and mean H of their
        outer products: for a ray d the mean amplitude is
        ``1 + g (d - a) + (d - a) H (d - a) / 2``.
    scaled : float32 array of shape (K, J, I), written
    inverse_distance : float32 array of shape (K, J, I), written
        1 / distance from the source, 1/mm.
    """
    n_k, n_j, n_i = released.shape
    axis, slope, curve = tilt
    for k in prange(n_k):
        z = place[0, 2] + k * place[1, 2] - source[2]
        for j in range(n_j):
            y = place[0, 1] + j * place[1, 1] - source[1]
            for i in range(n_i):
                x = place[0, 0] + i * place[1, 0] - source[0]
                inverse = 1.0 / np.sqrt(x * x + y * y + z * z)
                inverse_distance[k, j, i] = inverse
                if released[k, j, i] == 0.0:
                    scaled[k, j, i] = 0.0
                    continue
                a, b, c = x * inverse - axis[0], y * inverse - axis[1], z * inverse - axis[2]
                mean = 1.0 + slope[0] * a + slope[1] * b + slope[2] * c
                mean += 0.5 * (curve[0, 0] * a * a + curve[1, 1] * b * b + curve[2, 2] * c * c)
                mean += curve[0, 1] * a * b + curve[0, 2] * a * c + curve[1, 2] * b * c
                scaled[k, j, i] = released[k, j, i] / mean


@njit(cache=True)
def _sample_map(values, x, y):
    """Sample a map linearly between cell centres; 0 beyond the outermost centres' neighbours."""
    n_y, n_x = values.shape
    i, j = int(np.floor(x)), int(np.floor(y))
    if i < -1 or j < -1 or i >= n_x or j >= n_y:
        return 0.0
    a, b = x - i, y - j
    total = 0.0
    for dj in range(2):
        if j + dj < 0 or j + dj >= n_y:
            continue
        weight = b if dj else 1.0 - b
        if i >= 0:
            total += weight * (1.0 - a) * values[j + dj, i]
        if i + 1 < n_x:
            total += weight * a * values[j + dj, i + 1]
    return total


@njit(cache=True)
def _value_at(x, places, values):
    """Interpolate a short table linearly; beyond its ends the end value is used."""
    if x <= places[0]:
        return values[0]
    for n in range(1, len(places)):
        if x < places[n]:
            part = (x - places[n - 1]) / (places[n] - places[n - 1])
            return values[n - 1] + part * (values[n] - values[n - 1])
    return values[-1]


@njit(cache=True, parallel=True)
def released_energy(density, axes, parts, fan, fan_place, photons, place, tables, tilt):
    """Energy released in each voxel by photons that interact there for the first time.

    Parameters
    ----------
    density : float32 array of shape (K, J, I)
    axes : float64 array of shape (4, 3)
        Centre of voxel [0, 0, 0] and steps along k, j and i in beam-limiting-device axes, mm.
    parts : float64 array of shape (P, 3)
        Points of a voxel, from its centre, over which fluence is averaged, mm.
    fan : float32 array of shape (V, U, L)
        Radiological depth in mm by row, column and plane.
    fan_place : float64 array of shape (6,)
        x of column 0, y of row 0 and their pitch at the isocentre plane, z of plane 0 and the
        distance of planes, and the distance from source to isocentre, mm.
    photons : float64 array of shape (n_y, n_x)
        Energy fluence at the isocentre plane.
    place : float64 array of shape (3,)
        x and y of the centre of cell [0, 0], and the cell, mm.
    tables : float64 array of shape (D, 2)
        Energy released per mass, primary and scatter, every 1 mm of depth from 0.
    tilt : tuple of two float64 arrays of shape (M,)
        Off-axis radii at the isocentre plane, ascending from 0, and factors on depth there.

    Returns
    -------
    float32 array of shape (2, K, J, I)
        Primary and scatter, energy per volume.
    """
    n_k, n_j, n_i = density.shape
    result = np.zeros((2, n_k, n_j, n_i), np.float32)
    sad = fan_place[5]
    radii, scales = tilt
    n_y, n_x = photons.shape
    # Cells, at no magnification, beyond which no part of a voxel meets the map.
    reach = 1.0 + 2.0 * np.sqrt((parts * parts).sum(axis=1).max()) / place[2]
    for k in prange(n_k):
        for j in range(n_j):
            for i in range(n_i):
                x0 = axes[0, 0] + k * axes[1, 0] + j * axes[2, 0] + i * axes[3, 0]
                y0 = axes[0, 1] + k * axes[1, 1] + j * axes[2, 1] + i * axes[3, 1]
                z0 = axes[0, 2] + k * axes[1, 2] + j * axes[2, 2] + i * axes[3, 2]
                scale = sad / (sad - z0)
                column = (x0 * scale - place[0]) / place[2]
                row = (y0 * scale - place[1]) / place[2]
                margin = reach * max(scale, 1.0)
                if not (-margin < column < n_x + margin and -margin < row < n_y + margin):
                    continue
                fluence = 0.0
                for p in range(len(parts)):
                    scale = sad / (sad - z0 - parts[p, 2])
                    x = (x0 + parts[p, 0]) * scale
                    y = (y0 + parts[p, 1]) * scale
                    fluence += (
                        scale
                        * scale
                        * _sample_map(
                            photons, (x - place[0]) / place[2], (y - place[1]) / place[2]
                        )
                    )
                if fluence == 0.0:
                    continue
                scale = sad / (sad - z0)
                x, y = x0 * scale, y0 * scale
                depth = fan_value(
                    fan,
                    (x - fan_place[0]) / fan_place[2],
                    (y - fan_place[1]) / fan_place[2],
                    (fan_place[3] - z0) / fan_place[4],
                )
                depth *= _value_at(np.sqrt(x * x + y * y), radii, scales)
                depth = min(depth, len(tables) - 1.001)
                n = int(depth)
                past = depth - n
                for c in range(2):
                    mass = tables[n, c] + past * (tables[n + 1, c] - tables[n, c])
                    result[c, k, j, i] = density[k, j, i] * mass * fluence / len(parts)
    return result


@njit(cache=True, parallel=True)
def add_refined(coarse, factor, fine):
    """Add a coarse volume to one `factor` times finer, linear between voxel centres.

    Fine voxels beyond the outermost coarse centres take the outermost value.

    Parameters
    ----------
    coarse : float32 array of shape (A, B, C), at least two of each or one
    factor : int
        Fine voxels per coarse voxel along each axis; the first ones start at one corner.
    fine : float32 array of shape (K, J, I)
        Added to; at most `factor` times the coarse shape.
    """
    n_a, n_b, n_c = coarse.shape
    n_k, n_j, n_i = fine.shape
    column = np.empty(n_i, np.int64)
    share = np.empty(n_i, np.float32)
    for i in range(n_i):
        x = min(max((i + 0.5) / factor - 0.5, 0.0), n_c - 1.0)
        column[i] = max(min(int(x), n_c - 2), 0)
        share[i] = x - column[i]
    for k in prange(n_k):
        z = min(max((k + 0.5) / factor - 0.5, 0.0), n_a - 1.0)
        a = max(min(int(z), n_a - 2), 0)
        above = min(a + 1, n_a - 1)
        up = np.float32(z - a)
        for j in range(n_j):
            y = min(max((j + 0.5) / factor - 0.5, 0.0), n_b - 1.0)
            b = max(min(int(y), n_b - 2), 0)
            beyond = min(b + 1, n_b - 1)
            out = np.float32(y - b)
            row = np.empty(n_c, np.float32)
            for c in range(n_c):
                low = coarse[a, b, c] + out * (coarse[a, beyond, c] - coarse[a, b, c])
                high = coarse[above, b, c] + out * (coarse[above, beyond, c] - coarse[above, b, c])
                row[c] = low + up * (high - low)
            for i in range(n_i):
                c = column[i]
                beside = min(c + 1, n_c - 1)
                fine[k, j, i] += row[c] + share[i] * (row[beside] - row[c])
