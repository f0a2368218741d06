"""Loops that draw a digital patient: distances to swept shapes, and painting by distance.

All arrays are C-contiguous and indexed ``[k, j, i]``; points are mm. Distances are negative
inside. Each voxel is written by one iteration of the outer loop, so results do not depend on the
number of threads.
"""

import math

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _segment_distance(px, py, pz, seg):
    """Distance of a point to a segment with linearly varying radius, less that radius."""
    dx, dy, dz = seg[4] - seg[0], seg[5] - seg[1], seg[6] - seg[2]
    ax, ay, az = px - seg[0], py - seg[1], pz - seg[2]
    length2 = dx * dx + dy * dy + dz * dz
    t = 0.0
    if length2 > 0.0:
        t = min(1.0, max(0.0, (ax * dx + ay * dy + az * dz) / length2))
    ax -= t * dx
    ay -= t * dy
    az -= t * dz
    return math.sqrt(ax * ax + ay * ay + az * az) - (seg[3] + t * (seg[7] - seg[3]))


@njit(cache=True)
def _rectangle(seg, grow, first, step, nj, ni):
    """Rows and columns that a segment can reach: first and one past the last of each."""
    j0 = max(0, math.ceil((min(seg[1], seg[5]) - grow - first[1]) / step[1]))
    j1 = min(nj, math.floor((max(seg[1], seg[5]) + grow - first[1]) / step[1]) + 1)
    i0 = max(0, math.ceil((min(seg[0], seg[4]) - grow - first[0]) / step[0]))
    i1 = min(ni, math.floor((max(seg[0], seg[4]) + grow - first[0]) / step[0]) + 1)
    return j0, j1, i0, i1


@njit(cache=True, parallel=True)
def tube_distance(frame, segments, reach):
    """Signed distance to the union of tubes.

    Parameters
    ----------
    frame : tuple of float64 (3,), float64 (3,) and (int, int, int)
        ``(x, y, z)`` of voxel [0, 0, 0] and voxel spacing, mm, and shape ``(K, J, I)``.
    segments : float64 (M, 8)
        Start ``x, y, z, radius`` and end ``x, y, z, radius``, mm.
    reach : float
        Distances are computed up to this; farther voxels hold `reach`.

    Returns
    -------
    float32 (K, J, I)
    """
    first, step, (nk, nj, ni) = frame
    out = np.full((nk, nj, ni), np.float32(reach), dtype=np.float32)
    for k in prange(nk):
        z = first[2] + k * step[2]
        for m in range(segments.shape[0]):
            seg = segments[m]
            grow = max(seg[3], seg[7]) + reach
            if z < min(seg[2], seg[6]) - grow or z > max(seg[2], seg[6]) + grow:
                continue
            j0, j1, i0, i1 = _rectangle(seg, grow, first, step, nj, ni)
            for j in range(j0, j1):
                y = first[1] + j * step[1]
                for i in range(i0, i1):
                    d = _segment_distance(first[0] + i * step[0], y, z, seg)
                    if d < out[k, j, i]:
                        out[k, j, i] = d
    return out


@njit(cache=True, parallel=True)
def packed_tubes(frame, segments, owner, reach):
    """Distances to the nearest and the second nearest of several tubes, and which is nearest.

    Parameters
    ----------
    frame, segments, reach
        As in `tube_distance`.
    owner : int32 (M,)
        Number of the tube that each segment belongs to.

    Returns
    -------
    nearest, second : float32 (K, J, I)
        Signed distances, at most `reach`.
    which : int32 (K, J, I)
        Owner of the nearest tube, -1 where none is within reach.
    """
    first, step, (nk, nj, ni) = frame
    nearest = np.full((nk, nj, ni), np.float32(reach), dtype=np.float32)
    second = np.full((nk, nj, ni), np.float32(reach), dtype=np.float32)
    which = np.full((nk, nj, ni), -1, dtype=np.int32)
    for k in prange(nk):
        z = first[2] + k * step[2]
        for m in range(segments.shape[0]):
            seg = segments[m]
            grow = max(seg[3], seg[7]) + reach
            if z < min(seg[2], seg[6]) - grow or z > max(seg[2], seg[6]) + grow:
                continue
            j0, j1, i0, i1 = _rectangle(seg, grow, first, step, nj, ni)
            for j in range(j0, j1):
                y = first[1] + j * step[1]
                for i in range(i0, i1):
                    d = _segment_distance(first[0] + i * step[0], y, z, seg)
                    if which[k, j, i] == owner[m]:
                        if d < nearest[k, j, i]:
                            nearest[k, j, i] = d
                    elif d < nearest[k, j, i]:
                        second[k, j, i] = nearest[k, j, i]
                        nearest[k, j, i] = d
                        which[k, j, i] = owner[m]
                    elif d < second[k, j, i]:
                        second[k, j, i] = d
    return nearest, second, which


@njit(cache=True)
def _bend(bend, bend_first, bend_step, y, z):
    """Bilinear look-up of (offset, arc length) of a point in the sagittal plane."""
    fj = min(max((y - bend_first[0]) / bend_step, 0.0), bend.shape[0] - 1.001)
    fk = min(max((z - bend_first[1]) / bend_step, 0.0), bend.shape[1] - 1.001)
    j, k = int(fj), int(fk)
    fj -= j
    fk -= k
    n = (1 - fj) * ((1 - fk) * bend[j, k, 0] + fk * bend[j, k + 1, 0]) + fj * (
        (1 - fk) * bend[j + 1, k, 0] + fk * bend[j + 1, k + 1, 0]
    )
    s = (1 - fj) * ((1 - fk) * bend[j, k, 1] + fk * bend[j, k + 1, 1]) + fj * (
        (1 - fk) * bend[j + 1, k, 1] + fk * bend[j + 1, k + 1, 1]
    )
    return n, s


@njit(cache=True)
def _section_distance(u, v, row, is_closed):
    """Distance of a point to one section: a closed polygon, or a chain of discs."""
    n = row.shape[0]
    best = 1e30
    inside = False
    last = n if is_closed else max(1, n - 1)
    for m in range(last):
        q = m + 1 if m + 1 < n else (0 if is_closed else m)
        u0, v0, u1, v1 = row[m, 0], row[m, 1], row[q, 0], row[q, 1]
        du, dv = u1 - u0, v1 - v0
        length2 = du * du + dv * dv
        t = 0.0
        if length2 > 0.0:
            t = min(1.0, max(0.0, ((u - u0) * du + (v - v0) * dv) / length2))
        au, av = u - u0 - t * du, v - v0 - t * dv
        if is_closed:
            best = min(best, au * au + av * av)
            if (v0 > v) != (v1 > v) and u < u0 + (v - v0) * du / dv:
                inside = not inside
        else:
            d = math.sqrt(au * au + av * av) - (row[m, 2] + t * (row[q, 2] - row[m, 2]))
            best = min(best, d)
    if not is_closed:
        return best
    return -math.sqrt(best) if inside else math.sqrt(best)


@njit(cache=True, parallel=True)
def section_distance(frame, matrix, bend, profile):
    """Signed distance to a shape given by its cross sections along an axis.

    Parameters
    ----------
    frame
        As in `tube_distance`.
    matrix : float64 (3, 4)
        From voxel space to the space of the shape.
    bend : tuple of float64 (Y, Z, 2), float64 (2,) and float
        (offset, arc length) over the sagittal plane, or of size 1 in y for a straight axis;
        ``(y, z)`` of its first entry and its spacing, mm.
    profile : tuple of float64 (S, N, 3), float, float and bool
        Points of each section: u, v and (for chains) radius; axis coordinate of the first section
        and spacing of sections, mm; whether a section is a closed polygon or a chain of discs.

    Returns
    -------
    float32 (K, J, I)
    """
    first, step, (nk, nj, ni) = frame
    bend_table, bend_first, bend_step = bend
    table, table_first, table_step, closed = profile
    out = np.empty((nk, nj, ni), dtype=np.float32)
    rows = table.shape[0]
    low, high = table_first, table_first + (rows - 1) * table_step
    for k in prange(nk):
        z = first[2] + k * step[2]
        for j in range(nj):
            y = first[1] + j * step[1]
            for i in range(ni):
                x = first[0] + i * step[0]
                u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
                v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
                w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
                if bend_table.shape[0] > 1:
                    v, w = _bend(bend_table, bend_first, bend_step, v, w)
                row = round((w - table_first) / table_step)
                row = min(rows - 1, max(0, row))
                d = _section_distance(u, v, table[row], closed)
                out[k, j, i] = max(d, max(low - w, w - high))
    return out


@njit(cache=True, parallel=True)
def enlarge(coarse, factor, shape):
    """Refine a field in the plane by linear interpolation.

    Parameters
    ----------
    coarse : float32 (K, J', I')
        Values at every `factor`-th row and column, one beyond the end at least.
    factor : int
    shape : tuple of int
        ``(K, J, I)`` of the result.

    Returns
    -------
    float32 (K, J, I)
    """
    nk, nj, ni = shape
    out = np.empty((nk, nj, ni), dtype=np.float32)
    for k in prange(nk):
        for j in range(nj):
            j0 = j // factor
            fj = (j - j0 * factor) / factor
            for i in range(ni):
                i0 = i // factor
                fi = (i - i0 * factor) / factor
                top = (1 - fi) * coarse[k, j0, i0] + fi * coarse[k, j0, i0 + 1]
                low = (1 - fi) * coarse[k, j0 + 1, i0] + fi * coarse[k, j0 + 1, i0 + 1]
                out[k, j, i] = (1 - fj) * top + fj * low
    return out


@njit(cache=True)
def _noise_at(noise, x, y, z):
    """Trilinear look-up in a periodic cube of noise; coordinates in its voxels."""
    n = noise.shape[0]
    fx, fy, fz = math.floor(x), math.floor(y), math.floor(z)
    tx, ty, tz = x - fx, y - fy, z - fz
    i0, j0, k0 = int(fx) % n, int(fy) % n, int(fz) % n
    i1, j1, k1 = (i0 + 1) % n, (j0 + 1) % n, (k0 + 1) % n
    a = (1 - tx) * noise[k0, j0, i0] + tx * noise[k0, j0, i1]
    b = (1 - tx) * noise[k0, j1, i0] + tx * noise[k0, j1, i1]
    c = (1 - tx) * noise[k1, j0, i0] + tx * noise[k1, j0, i1]
    d = (1 - tx) * noise[k1, j1, i0] + tx * noise[k1, j1, i1]
    return (1 - tz) * ((1 - ty) * a + ty * b) + tz * ((1 - ty) * c + ty * d)


@njit(cache=True)
def _ramp(depth, soft):
    """Share of a voxel covered at `depth` below a surface blurred over `soft` mm."""
    return min(1.0, max(0.0, 0.5 + depth / soft))


@njit(cache=True, parallel=True)
def paint(image, start, sdf, tissue, noise, matrix):
    """Paint a tissue into an image where a distance field is negative, with soft edges.

    Parameters
    ----------
    image : float32 (K, J, I)
        Changed in place.
    start : int64 (3,)
        Index of ``sdf[0, 0, 0]`` in `image`.
    sdf : float32 (k, j, i)
        Signed distance, mm.
    tissue : float64 (9,)
        Core value, core texture amplitude, texture grain (mm), shell value, shell thickness (mm),
        shell texture amplitude, rim value, rim thickness (mm; a layer outside the surface),
        edge width (mm).
    noise : float32 (n, n, n)
        Periodic texture of mean 0 and standard deviation 1.
    matrix : float64 (3, 4)
        From image indices ``(i, j, k)`` to the space in which the texture is fixed, mm.
    """
    nk, nj, ni = sdf.shape
    core, amplitude, grain = tissue[0], tissue[1], tissue[2]
    shell, shell_mm, shell_amplitude = tissue[3], tissue[4], tissue[5]
    rim, rim_mm, soft = tissue[6], tissue[7], tissue[8]
    for k in prange(nk):
        for j in range(nj):
            for i in range(ni):
                d = sdf[k, j, i]
                if d > rim_mm + soft:
                    continue
                kk, jj, ii = k + start[0], j + start[1], i + start[2]
                old = image[kk, jj, ii]
                if rim_mm > 0.0:
                    old += _ramp(rim_mm - d, soft) * (rim - old)
                cover = _ramp(-d, soft)
                if cover > 0.0:
                    texture = 0.0
                    if amplitude > 0.0 or shell_amplitude > 0.0:
                        x = (
                            matrix[0, 0] * ii
                            + matrix[0, 1] * jj
                            + matrix[0, 2] * kk
                            + matrix[0, 3]
                        )
                        y = (
                            matrix[1, 0] * ii
                            + matrix[1, 1] * jj
                            + matrix[1, 2] * kk
                            + matrix[1, 3]
                        )
                        z = (
                            matrix[2, 0] * ii
                            + matrix[2, 1] * jj
                            + matrix[2, 2] * kk
                            + matrix[2, 3]
                        )
                        texture = _noise_at(noise, x / grain, y / grain, z / grain)
                    value = core + amplitude * texture
                    if shell_mm > 0.0:
                        in_core = _ramp(-d - shell_mm, soft)
                        value = in_core * value + (1.0 - in_core) * (
                            shell + shell_amplitude * texture
                        )
                    old += cover * (value - old)
                image[kk, jj, ii] = old


@njit(cache=True, parallel=True)
def sample_noise(frame, matrix, noise, grain):
    """Texture values on a grid.

    Parameters
    ----------
    frame, matrix
        As in `section_distance`.
    noise, grain
        As in `paint`.

    Returns
    -------
    float32 (K, J, I)
    """
    first, step, (nk, nj, ni) = frame
    out = np.empty((nk, nj, ni), dtype=np.float32)
    for k in prange(nk):
        z = first[2] + k * step[2]
        for j in range(nj):
            y = first[1] + j * step[1]
            for i in range(ni):
                x = first[0] + i * step[0]
                u = matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2] * z + matrix[0, 3]
                v = matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2] * z + matrix[1, 3]
                w = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2] * z + matrix[2, 3]
                out[k, j, i] = _noise_at(noise, u / grain, v / grain, w / grain)
    return out


@njit(cache=True, parallel=True)
def compete(state, start, sdf, grow, number):
    """Let one more shape claim the voxels that it is nearest to.

    Parameters
    ----------
    state : tuple of float32 (K, J, I), float32 (K, J, I) and int16 (K, J, I)
        Distances to the nearest and second nearest shape so far, and number of the nearest;
        changed in place.
    start : int64 (3,)
        Index of ``sdf[0, 0, 0]`` in these arrays.
    sdf : float32 (k, j, i)
        Signed distance to the new shape, mm.
    grow : float
        How much the new shape is grown, mm.
    number : int
        Its number.
    """
    nearest, second, which = state
    nk, nj, ni = sdf.shape
    for k in prange(nk):
        kk = k + start[0]
        if kk < 0 or kk >= nearest.shape[0]:
            continue
        for j in range(nj):
            jj = j + start[1]
            if jj < 0 or jj >= nearest.shape[1]:
                continue
            for i in range(ni):
                ii = i + start[2]
                if ii < 0 or ii >= nearest.shape[2]:
                    continue
                d = sdf[k, j, i] - np.float32(grow)
                if d < nearest[kk, jj, ii]:
                    second[kk, jj, ii] = nearest[kk, jj, ii]
                    nearest[kk, jj, ii] = d
                    which[kk, jj, ii] = number
                elif d < second[kk, jj, ii]:
                    second[kk, jj, ii] = d
