"""Scan lines through the closed polygons of a plane, filled by the even-odd rule.

A line of constant y crosses the edges of all polygons of a plane; between the first and second
crossing, the third and fourth and so on it is inside. So a polygon inside another is a hole, and
one inside a hole is an island, without anything being said about who contains whom. An edge is
crossed if it starts at or below the line and ends above it, or the other way round: a corner on
the line is counted once.

Coverage is exact along x and sampled by `N_SUBROWS` lines per voxel row along y.
"""

import numpy as np
from numba import njit, prange

N_SUBROWS = 16
"""Scan lines per voxel row: a straight edge along x is off by at most 1/32 of a row,
and any other edge by far less."""

PHASE_STEPS = (0.8191725133961645, 0.6710436067037893, 0.5497004779019703)
"""Steps that never fall into a rhythm with each other or with a grid: the powers of 1/g, g the
real root of g⁴ = g + 1 (the golden ratio is its likeness in one dimension)."""

RESIDUE = 1e-9
"""Coverage below this is rounding of a running sum: the least that a scan line of any length that
matters adds is a thousand times more."""


@njit(cache=True)
def scan_crossings(points, ends, lines):
    """Find where lines of constant y cross the polygons of one plane.

    Parameters
    ----------
    points : float64 array of shape (N, 2)
        Corners ``(x, y)`` of all polygons, one polygon after the other.
    ends : int64 array of shape (M,)
        Index after the last corner of each polygon; the last corner joins the first.
    lines : float64 array of shape (L,)
        The y of each line, equally spaced and rising.

    Returns
    -------
    offsets : int64 array of shape (L + 1,)
        Crossings of line l are ``crossings[offsets[l]:offsets[l + 1]]``, an even number.
    crossings : float64 array
        The x of each crossing, rising along each line.
    """
    n_lines = lines.shape[0]
    offsets = np.zeros(n_lines + 1, dtype=np.int64)
    crossings = np.empty(0, dtype=np.float64)
    cursor = np.zeros(0, dtype=np.int64)
    step = lines[1] - lines[0] if n_lines > 1 else 1.0
    for is_filling in (False, True):
        if is_filling:
            for n in range(n_lines):
                offsets[n + 1] += offsets[n]
            crossings = np.empty(offsets[n_lines], dtype=np.float64)
            cursor = offsets[:-1].copy()
        first = 0
        for m in range(ends.shape[0]):
            before = ends[m] - 1
            for after in range(first, ends[m]):
                xa, ya = points[before, 0], points[before, 1]
                xb, yb = points[after, 0], points[after, 1]
                before = after
                if ya == yb:
                    continue
                if ya > yb:
                    xa, ya, xb, yb = xb, yb, xa, ya
                # The guess is within one line of the truth; the comparison decides.
                n = min(max(int((ya - lines[0]) / step) - 1, 0), n_lines)
                while n < n_lines and lines[n] < ya:
                    n += 1
                slope = (xb - xa) / (yb - ya)
                while n < n_lines and lines[n] < yb:
                    if is_filling:
                        crossings[cursor[n]] = xa + (lines[n] - ya) * slope
                        cursor[n] += 1
                    else:
                        offsets[n + 1] += 1
                    n += 1
            first = ends[m]
    for n in range(n_lines):
        crossings[offsets[n] : offsets[n + 1]].sort()
    return offsets, crossings


@njit(cache=True)
def add_plane(row_sums, points, ends, weight):
    """Add the coverage of one plane's polygons to a slice of voxels.

    Parameters
    ----------
    row_sums : float64 array of shape (J, I + 2)
        Differences along x: their running sum is the coverage of voxel ``[j, i]``. Changed.
    points : float64 array of shape (N, 2)
        Corners ``(x, y)`` in voxels; voxel i reaches from i to i + 1.
    ends : int64 array of shape (M,)
        Index after the last corner of each polygon.
    weight : float
        Share of the slice that this plane stands for.
    """
    n_rows, n_columns = row_sums.shape[0], row_sums.shape[1] - 2
    lines = (np.arange(n_rows * N_SUBROWS) + 0.5) / N_SUBROWS
    offsets, crossings = scan_crossings(points, ends, lines)
    for n in range(lines.shape[0]):
        j = n // N_SUBROWS
        sign = weight / N_SUBROWS
        for c in range(offsets[n], offsets[n + 1]):
            x = min(max(crossings[c], 0.0), float(n_columns))
            i = int(x)
            row_sums[j, i] += sign * (1.0 - (x - i))
            row_sums[j, i + 1] += sign * (x - i)
            sign = -sign


@njit(cache=True, parallel=True)
def rasterize_stack(points, ends, plane_ends, overlaps, shape):
    """Compute which share of each voxel lies inside a stack of contours.

    Parameters
    ----------
    points : float64 array of shape (N, 2)
        Corners ``(x, y)`` of all polygons in voxels; voxel i reaches from i to i + 1.
    ends : int64 array of shape (M,)
        Index after the last corner of each polygon.
    plane_ends : int64 array of shape (P,)
        Index after the last polygon of each plane.
    overlaps : float64 array of shape (K, P)
        Share of each slice that lies in each plane's slab.
    shape : tuple of int
        ``(K, J, I)``.

    Returns
    -------
    float32 array of shape (K, J, I)
        Share of each voxel inside, 0 to 1.
    """
    n_slices, n_rows, n_columns = shape
    result = np.zeros((n_slices, n_rows, n_columns), dtype=np.float32)
    for k in prange(n_slices):
        row_sums = np.zeros((n_rows, n_columns + 2), dtype=np.float64)
        is_touched = False
        for p in range(plane_ends.shape[0]):
            if overlaps[k, p] > 0.0:
                first = plane_ends[p - 1] if p > 0 else 0
                start = ends[first - 1] if first > 0 else 0
                plane_points = points[start : ends[plane_ends[p] - 1]]
                plane_polygons = ends[first : plane_ends[p]] - start
                add_plane(row_sums, plane_points, plane_polygons, overlaps[k, p])
                is_touched = True
        if is_touched:
            for j in range(n_rows):
                total = 0.0
                for i in range(n_columns):
                    total += row_sums[j, i]
                    # What is left of a running sum beyond the contour is rounding, not tissue.
                    inside = total if total > RESIDUE else 0.0
                    result[k, j, i] = min(inside, 1.0)
    return result


@njit(cache=True)
def points_in_plane(points, ends, lines, pitch, phase):
    """Spread points over the inside of one plane's polygons, line by line.

    Each stretch inside is divided into equal pieces no longer than `pitch`, with a point in each,
    at the same place of every piece of a line and at another place on the next line.

    Parameters
    ----------
    points : float64 array of shape (N, 2)
        Corners ``(x, y)`` in mm.
    ends : int64 array of shape (M,)
        Index after the last corner of each polygon.
    lines : float64 array of shape (L,)
        The y of each line in mm, equally spaced and rising.
    pitch : float
        Largest distance of points on a line, in mm.
    phase : float
        Place of the first point in its piece, 0 to 1.

    Returns
    -------
    positions : float64 array of shape (n, 2)
        Points ``(x, y)`` in mm.
    lengths : float64 array of shape (n,)
        Length of line that each point stands for, in mm.
    """
    offsets, crossings = scan_crossings(points, ends, lines)
    n_points = 0
    for c in range(0, crossings.shape[0], 2):
        n_points += int(np.ceil((crossings[c + 1] - crossings[c]) / pitch))
    positions = np.empty((n_points, 2), dtype=np.float64)
    lengths = np.empty(n_points, dtype=np.float64)
    at = 0
    for line in range(lines.shape[0]):
        place = (phase + line * PHASE_STEPS[0]) % 1.0
        for c in range(offsets[line], offsets[line + 1], 2):
            length = crossings[c + 1] - crossings[c]
            n_pieces = int(np.ceil(length / pitch))
            for piece in range(n_pieces):
                positions[at, 0] = crossings[c] + (piece + place) * length / n_pieces
                positions[at, 1] = lines[line]
                lengths[at] = length / n_pieces
                at += 1
    return positions, lengths


@njit(cache=True)
def scanned_area(points, ends, lines):
    """Return the area inside one plane's polygons, from equally spaced scan lines.

    Parameters
    ----------
    points : float64 array of shape (N, 2)
        Corners ``(x, y)`` in mm.
    ends : int64 array of shape (M,)
        Index after the last corner of each polygon.
    lines : float64 array of shape (L,)
        The y of each line in mm, L at least 2, equally spaced and rising.

    Returns
    -------
    float
        Area in mm².
    """
    _, crossings = scan_crossings(points, ends, lines)
    total = 0.0
    for c in range(0, crossings.shape[0], 2):
        total += crossings[c + 1] - crossings[c]
    return total * (lines[1] - lines[0])
