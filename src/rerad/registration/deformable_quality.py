"""How far a deformable registration can be trusted, in numbers that say where it fails.

Folding and the range of the Jacobian; how far one comes back by the registration the other way;
distance at landmarks that a person set; Dice of structures drawn on both CTs; bones as for a
rigid registration. A field that folds, or misses a threshold that could be measured, is not summed
on. What was not measured is None, and without landmarks or structures a finding says so: images
that look alike do not show that tissue corresponds.

References
----------
.. [1] Brock et al. (2017), AAPM TG-132, doi:10.1002/mp.12256.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from rerad.core import DisplacementField, Finding, Grid, Mask, Severity
from rerad.errors import InputError
from rerad.imaging.resample import index_map
from rerad.kernels.warp_field import pull_field
from rerad.tables import load_table, source_of


@dataclass(frozen=True, slots=True)
class DeformableQuality:
    """Quality of a deformable registration.

    Parameters
    ----------
    jacobian_min, jacobian_max : float
        Range of volume change within the region.
    n_folded : int
        Voxels of the region whose Jacobian is 0 or less.
    inverse_median_mm, inverse_95_mm : float or None
        Distance after going there and back by two registrations.
    landmark_mean_mm, landmark_max_mm : float or None
        Distance at landmarks.
    guide_dice : tuple of (str, float)
        Dice of structures drawn on both CTs after mapping.
    guide_surface_mm : tuple of (str, float)
        Mean distance of their surfaces, both ways.
    citation : str
        Where the thresholds come from.
    findings : tuple of Finding
        What the reader must weigh.
    is_acceptable : bool
        Whether doses may be added on it: nothing measured misses its threshold, and something
        that the images do not decide (landmarks or structures) was measured.
    """

    jacobian_min: float
    jacobian_max: float
    n_folded: int
    inverse_median_mm: float | None
    inverse_95_mm: float | None
    landmark_mean_mm: float | None
    landmark_max_mm: float | None
    guide_dice: tuple[tuple[str, float], ...]
    guide_surface_mm: tuple[tuple[str, float], ...]
    citation: str
    findings: tuple[Finding, ...]
    is_acceptable: bool


def source_points(field: DisplacementField, points_mm: ArrayLike) -> NDArray[np.float64]:
    """Return where points of today's frame come from.

    Parameters
    ----------
    field : DisplacementField
        From the earlier to today's frame.
    points_mm : array_like of shape (N, 3)
        In today's frame.

    Returns
    -------
    ndarray of shape (N, 3)
        In the earlier frame; NaN outside the field.
    """
    points = np.asarray(points_mm, dtype=np.float64)
    if field.after is not None:
        points = field.after.inverse().apply(points)
    index = field.grid.indices(points).T
    moved = [
        ndimage.map_coordinates(
            field.vectors_mm[..., axis], index, order=1, mode="constant", cval=np.nan
        )
        for axis in range(3)
    ]
    return field.rigid.inverse().apply(points + np.stack(moved, axis=-1))


def assess_deformable(
    field: DisplacementField,
    region: Mask,
    *,
    backward: DisplacementField | None = None,
    landmarks_mm: Sequence[tuple[ArrayLike, ArrayLike]] = (),
    guides: Sequence[tuple[Mask, Mask]] = (),
) -> DeformableQuality:
    """Measure a deformable registration.

    Parameters
    ----------
    field : DisplacementField
        From the earlier to today's frame.
    region : Mask
        Where it matters, in today's frame: the body, or the treated region.
    backward : DisplacementField or None
        Registered the other way, for inverse consistency.
    landmarks_mm : sequence of (point, point)
        The same anatomical point on the earlier and on today's CT.
    guides : sequence of (Mask, Mask)
        The same structure on the earlier and on today's CT.

    Raises
    ------
    InputError
        If the region is empty or `backward` does not lead the other way.
    """
    points = region.grid.points(np.argwhere(region.fraction > 0.5))
    if not len(points):
        msg = f"{region.name}: expected a region of some voxels to judge in, got none"
        raise InputError(msg)
    index = np.rint(field.grid.indices(points)).astype(int)
    inside = np.all((index >= 0) & (index < field.grid.shape), axis=1)
    jacobian = field.jacobian()[tuple(index[inside].T)]
    inverse = _inverse(field, backward, points)
    landmark = None
    if landmarks_mm:
        earlier = np.array([np.asarray(pair[0], dtype=np.float64) for pair in landmarks_mm])
        today = np.array([np.asarray(pair[1], dtype=np.float64) for pair in landmarks_mm])
        landmark = np.linalg.norm(source_points(field, today) - earlier, axis=1)
    compared = [(there.name, *compare_structure(field, there, here)) for there, here in guides]
    return _judged(jacobian, inverse, landmark, compared)


def _inverse(
    field: DisplacementField, backward: DisplacementField | None, points: NDArray[np.float64]
) -> NDArray[np.float64] | None:
    """Return distances after going there and back; None without the other registration."""
    if backward is None:
        return None
    ends = backward.from_frame_uid, backward.to_frame_uid
    if ends != (field.to_frame_uid, field.from_frame_uid):
        msg = (
            f"expected a registration from {field.to_frame_uid} to {field.from_frame_uid} to go "
            f"back by, got one from {ends[0]} to {ends[1]}"
        )
        raise InputError(msg)
    back = source_points(backward, source_points(field, points))
    distance = np.linalg.norm(back - points, axis=1)
    return np.asarray(distance[np.isfinite(distance)])


def compare_structure(field: DisplacementField, there: Mask, here: Mask) -> tuple[float, float]:
    """Compare a structure of the earlier CT, mapped, with today's.

    Parameters
    ----------
    field : DisplacementField
        From the earlier to today's frame.
    there, here : Mask
        The same structure on the earlier and on today's CT.

    Returns
    -------
    dice, surface_mm : float
        Dice coefficient, and mean distance of the two surfaces, both ways, to half a voxel; NaN
        if one of them has no voxel.
    """
    # A mask ends at its own box; what is mapped may reach beyond it and must count as well.
    pad = np.ceil((np.array(there.grid.end_mm) - there.grid.origin_mm) / here.grid.spacing_mm)
    grid, shares = _padded(here, pad.astype(int) + 2)
    mapped = map_mask(field, there, grid)
    both = np.minimum(mapped, shares).sum()
    dice = float(2.0 * both / max(float(mapped.sum() + shares.sum()), 1e-12))
    return dice, _surface_mm(mapped > 0.5, shares > 0.5, grid.spacing_mm)


def _padded(mask: Mask, pad_xyz: NDArray[np.int_]) -> tuple[Grid, NDArray[np.float32]]:
    """Return a mask and its grid with so many empty voxels on every side."""
    grid, (i, j, k) = mask.grid, (int(n) for n in pad_xyz)
    x, y, z = np.array(grid.origin_mm) - np.array(grid.spacing_mm) * (i, j, k)
    nz, ny, nx = grid.shape
    shape = nz + 2 * k, ny + 2 * j, nx + 2 * i
    wide = Grid(shape, (float(x), float(y), float(z)), grid.spacing_mm, grid.frame_uid)
    return wide, np.pad(mask.fraction, ((k, k), (j, j), (i, i))).astype(np.float32)


def _surface_mm(
    a: NDArray[np.bool_], b: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> float:
    """Return the mean distance of the border voxels of two masks, both ways."""
    if not a.any() or not b.any():
        return float("nan")
    used = np.argwhere(a | b)
    box = tuple(
        slice(max(low - 1, 0), high + 2)
        for low, high in zip(used.min(axis=0), used.max(axis=0), strict=True)
    )
    edges = [mask[box] & ~ndimage.binary_erosion(mask[box]) for mask in (a, b)]
    sampling = spacing_mm[::-1]
    far = [ndimage.distance_transform_edt(~edge, sampling=sampling) for edge in edges]
    distances = np.concatenate([far[1][edges[0]], far[0][edges[1]]])
    return float(distances.mean())


def map_mask(field: DisplacementField, mask: Mask, onto: Grid) -> NDArray[np.float32]:
    """Return the shares of a mask of the earlier frame on a grid of today's."""
    to_field = index_map(field.grid, onto, field.after)
    to_source = index_map(mask.grid, field.grid, field.rigid)
    sx, sy, sz = field.grid.spacing_mm
    k, j, i = (
        np.ascontiguousarray(field.vectors_mm[..., axis] / np.float32(spacing))
        for axis, spacing in ((2, sz), (1, sy), (0, sx))
    )
    pulled = pull_field(mask.fraction, to_field, k, j, i, to_source, onto.shape, 0.0)
    return np.asarray(pulled, dtype=np.float32)


def _judged(
    jacobian: NDArray[np.float64],
    inverse: NDArray[np.float64] | None,
    landmark: NDArray[np.float64] | None,
    compared: Sequence[tuple[str, float, float]],
) -> DeformableQuality:
    """Compare the numbers with the table's thresholds."""
    table = load_table("registration")["deformable"]
    source = source_of(table, "registration deformable").text
    worst_mm, least_dice = float(table["max_landmark_mean_mm"]), float(table["min_guide_dice"])
    inverse_mm = float(table["max_inverse_median_mm"])
    n_folded = int(np.count_nonzero(jacobian <= 0))
    reasons = []
    if n_folded:
        reasons.append(f"{n_folded} voxels fold")
    median = None if inverse is None or not inverse.size else float(np.median(inverse))
    if median is not None and median > inverse_mm:
        reasons.append(f"there and back misses by {median:.1f} mm (at most {inverse_mm:g} mm)")
    if landmark is not None and not float(np.mean(landmark)) <= worst_mm:
        mean = float(np.mean(landmark))
        reasons.append(f"landmarks lie {mean:.1f} mm apart on average (at most {worst_mm:g} mm)")
    poor = [f"{name} {dice:.2f}" for name, dice, _ in compared if dice < least_dice]
    if poor:
        reasons.append(f"Dice of {', '.join(poor)} is below {least_dice:g}")
    apart = float(table["max_surface_mean_mm"])
    off = [f"{name} {mm:.1f} mm" for name, _, mm in compared if not mm <= apart]
    if off:
        reasons.append(f"surfaces of {', '.join(off)} lie more than {apart:g} mm apart")
    findings = []
    if reasons:
        text = (
            f"The deformable registration is not assured: {'; '.join(reasons)} ({source}). Doses "
            "are not added on it; use the rigid registration or point doses."
        )
        findings.append(Finding(Severity.SERIOUS, "deformable-not-acceptable", text))
    is_seen = landmark is not None or bool(compared)
    if not is_seen:
        text = (
            "No landmark or structure was compared: that the images look alike does not show that "
            "the same tissue lies on itself. Doses are not added on this registration."
        )
        findings.append(Finding(Severity.SERIOUS, "deformable-not-validated", text))
    return DeformableQuality(
        jacobian_min=float(jacobian.min()) if jacobian.size else float("nan"),
        jacobian_max=float(jacobian.max()) if jacobian.size else float("nan"),
        n_folded=n_folded,
        inverse_median_mm=median,
        inverse_95_mm=None
        if median is None or inverse is None
        else float(np.percentile(inverse, 95)),
        landmark_mean_mm=None if landmark is None else float(np.mean(landmark)),
        landmark_max_mm=None if landmark is None else float(np.max(landmark)),
        guide_dice=tuple((name, dice) for name, dice, _ in compared),
        guide_surface_mm=tuple((name, mm) for name, _, mm in compared),
        citation=source,
        findings=tuple(findings),
        is_acceptable=not reasons and is_seen,
    )
