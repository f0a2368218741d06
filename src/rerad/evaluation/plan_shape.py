"""Conformity and fall-off: metrics that need the dose around the target, not only in it.

``CI`` and ``CI95%`` (Paddick's conformity index of an isodose), ``R50%`` (volume of an isodose
over the target's volume) and ``D2cm`` (highest dose at least that far from the target). All of
them are about one plan's physical dose. Volumes in cc, distances in mm.

How fine: an isodose is followed through the voxels that it cuts by sampling the trilinear dose
between their centres; the target's surface is where its share of the voxels, interpolated
likewise, is half. Against spheres: docs/methods/goals.md.

References
----------
.. [1] Paddick (2000), J. Neurosurg. 93 (Suppl. 3), 219,
   doi:10.3171/jns.2000.93.supplement_3.0219 (CI).
.. [2] RTOG 0915 and 0813, table 1 of both protocols: R50% and D2cm. Read in a transcription (R2);
   the trials: Videtic et al. (2015), Int. J. Radiat. Oncol. Biol. Phys.,
   doi:10.1016/j.ijrobp.2015.07.2260; Bezjak et al. (2019), J. Clin. Oncol.,
   doi:10.1200/JCO.18.00622.
.. [3] Narayanasamy et al. (2018), J. Med. Phys. 43, 147, doi:10.4103/jmp.JMP_38_18 (abstract
   read): both metrics, as RTOG recommends them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, maximum_filter, minimum_filter
from scipy.spatial import cKDTree

from rerad.core import Dose, DoseQuantity, Mask
from rerad.errors import InputError, MissingDataError, QuantityMismatchError
from rerad.evaluation.dvh import Dvh
from rerad.evaluation.indices import paddick_conformity_index
from rerad.evaluation.metrics import Metric, MetricKind
from rerad.kernels.interpolate import sample_trilinear
from rerad.units import CC_PER_MM3, MM_PER_CM

PARTS = 4
"""A voxel that an isodose cuts is divided into this many parts along each axis."""

_CHUNK = 2**14
_ENDS = (slice(None, -1), slice(1, None))

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class PlanShape:
    """What the metrics of a plan's shape are read from.

    Parameters
    ----------
    dose : Dose
        Physical dose of the plan.
    region : Mask
        Where dose is looked for, on a crop of the dose's grid: the body's outline for a target's
        goal, else the structure that the goal names.
    target : Mask
        The target, or the union of all; on a crop of the dose's grid.
    target_dvh : Dvh or None
        Histogram of the dose in one target, as it is read for its coverage; CI needs it.
    prescription_gy : float or None
        What 100 % is; None if the target has no prescription.
    """

    dose: Dose
    region: Mask
    target: Mask
    target_dvh: Dvh | None
    prescription_gy: float | None

    def __post_init__(self) -> None:
        if self.dose.quantity is not DoseQuantity.PHYSICAL:
            msg = (
                f"conformity and fall-off of {self.target.name}: expected a physical dose, got "
                f"{self.dose.quantity}; prescriptions are physical doses"
            )
            raise QuantityMismatchError(msg)

    @property
    def target_cc(self) -> float:
        """Volume of the target, of its contours where a histogram of them is there."""
        return self.target.volume_cc if self.target_dvh is None else self.target_dvh.volume_cc

    @property
    def unknown_fraction(self) -> float:
        """Share of the region whose dose is unknown."""
        values = self.dose.values[self.dose.grid.region_of(self.region.grid)]
        total = float(np.sum(self.region.fraction, dtype=np.float64))
        if total <= 0:
            return 0.0
        return float(np.sum(self.region.fraction[np.isnan(values)], dtype=np.float64)) / total


def shape_bounds(metric: Metric, shape: PlanShape) -> tuple[float, float]:
    r"""Return the lowest and highest value of CI, R50% or D2cm, whatever unknown voxels received.

    .. math::

        \mathrm{CI} = \frac{TV_{PIV}^2}{TV \cdot PIV}, \qquad
        \mathrm{R}_{50\%} = \frac{V_{50\%}}{TV}, \qquad
        \mathrm{D}_{2\,\mathrm{cm}} = \max_{d(\mathbf r) \ge 20\,\mathrm{mm}} D(\mathbf r)

    Parameters
    ----------
    metric : Metric
        One with `Metric.is_of_shape`.
    shape : PlanShape
        Dose, region and target.

    Returns
    -------
    low, high : float
        In the metric's unit; equal if nothing is unknown. NaN if no part of the region lies as far
        from the target as ``D2cm`` asks.

    Raises
    ------
    InputError
        If the metric is another one, if the target is empty, or for CI without a histogram.
    MissingDataError
        If an isodose in percent is asked for and the target has no prescription.
    """
    if not shape.target_cc > 0:
        msg = f"{metric.text} of {shape.target.name}: expected a target above 0 cc, got none"
        raise InputError(msg)
    if metric.kind is MetricKind.BEYOND:
        distance_mm = metric.size * MM_PER_CM
        return highest_dose_beyond(shape.dose, shape.region, shape.target, distance_mm)
    if metric.kind not in {MetricKind.CONFORMITY, MetricKind.SPILLAGE}:
        msg = f"expected one of CI, R50% and D2cm, got {metric.text}"
        raise InputError(msg)
    if shape.prescription_gy is None:
        msg = (
            f"{metric.text} of {shape.target.name} is about an isodose in percent of the "
            "prescription; give the prescription in Gy"
        )
        raise MissingDataError(msg)
    threshold_gy = metric.size / 100 * shape.prescription_gy
    low_cc, high_cc = isodose_volume_cc(shape.dose, shape.region, threshold_gy)
    if metric.kind is MetricKind.SPILLAGE:
        return low_cc / shape.target_cc, high_cc / shape.target_cc
    if shape.target_dvh is None:
        msg = f"{metric.text} is of one target; {shape.region.name} is none, so name a target"
        raise InputError(msg)
    covered = shape.target_dvh.volume_at_dose_bounds(threshold_gy)
    # The part covered lies inside the isodose; sampled apart, the two may differ by a trifle.
    low, high = (
        paddick_conformity_index(shape.target_cc, max(isodose_cc, covered_cc), covered_cc)
        for isodose_cc, covered_cc in ((high_cc, covered[0]), (low_cc, covered[1]))
    )
    return low, high


def isodose_volume_cc(dose: Dose, region: Mask, threshold_gy: float) -> tuple[float, float]:
    """Return the volume of a region that receives at least a dose.

    Parameters
    ----------
    dose : Dose
        Any quantity.
    region : Mask
        On a crop of the dose's grid.
    threshold_gy : float
        The dose.

    Returns
    -------
    low, high : float
        In cc: without and with the voxels whose dose is unknown.

    Notes
    -----
    Voxels whose neighbours lie on both sides of the threshold are divided into `PARTS`^3 parts and
    the dose in their middles interpolated trilinearly; each part counts with its share on this
    side of a plane through it at the threshold (exact along the axes). Other voxels count whole.
    Where region and isodose share a voxel, the smaller share counts (as in
    :func:`rerad.structures.intersect`).
    """
    place = dose.grid.region_of(region.grid)
    values = dose.values[place]
    is_unknown = np.isnan(values)
    known = np.where(is_unknown, np.float32(0), values)
    share = (known >= threshold_gy).astype(np.float32)
    is_cut = (minimum_filter(known, size=3, mode="nearest") < threshold_gy) & (
        maximum_filter(known, size=3, mode="nearest") >= threshold_gy
    )
    cut = np.argwhere(is_cut & (region.fraction > 0) & ~is_unknown)
    offset = np.array([span.start for span in place])
    share[tuple(cut.T)] = _share_above(dose, cut + offset, threshold_gy)
    inside = np.minimum(share, region.fraction)
    voxel_cc = float(np.prod(dose.grid.spacing_mm)) * CC_PER_MM3
    low = float(np.sum(inside, where=~is_unknown, dtype=np.float64)) * voxel_cc
    unknown = float(np.sum(region.fraction, where=is_unknown, dtype=np.float64)) * voxel_cc
    return low, low + unknown


def _share_above(dose: Dose, voxels: NDArray[np.int64], threshold_gy: float) -> Floats:
    """Return the share of each voxel (indices on the dose's grid) at or above a dose."""
    places = (np.arange(PARTS) + 0.5) / PARTS - 0.5
    offsets = np.stack(np.meshgrid(places, places, places, indexing="ij"), axis=-1).reshape(-1, 3)
    last = np.asarray(dose.grid.shape) - 1.0
    shares = np.empty(len(voxels))
    for start in range(0, len(voxels), _CHUNK):
        part = voxels[start : start + _CHUNK]
        points = np.clip(part[:, None, :] + offsets, 0.0, last)
        found = sample_trilinear(dose.values, points.reshape(-1, 3))
        found = found.reshape(len(part), PARTS, PARTS, PARTS)
        own = dose.values[tuple(part.T)][:, None, None, None]
        # Beside an unknown voxel nothing can be interpolated: the voxel's own dose stands in.
        found = np.where(np.isnan(found), own, found)
        step_gy = np.sqrt(sum(slope**2 for slope in np.gradient(found, axis=(1, 2, 3))))
        above = (found - threshold_gy) / np.maximum(step_gy, 1e-9)
        shares[start : start + _CHUNK] = np.clip(above + 0.5, 0, 1).mean(axis=(1, 2, 3))
    return shares


def highest_dose_beyond(
    dose: Dose, region: Mask, target: Mask, distance_mm: float
) -> tuple[float, float]:
    """Return the highest dose in a region at least a distance away from a target.

    Parameters
    ----------
    dose : Dose
        Any quantity.
    region, target : Mask
        On crops of the dose's grid. A voxel belongs to the region if half of it does.
    distance_mm : float
        From the target's surface, above 0.

    Returns
    -------
    low, high : float
        In Gy: of the known voxels; infinite if the dose of a voxel there is unknown. NaN if no
        part of the region lies that far away.

    Notes
    -----
    Between two voxel centres on either side of the distance, dose and distance are interpolated
    linearly; otherwise the centres count.
    """
    grid = dose.grid
    n_steps = np.ceil(distance_mm / np.asarray(grid.spacing_mm)[::-1]).astype(int) + 2
    spans = zip(grid.region_of(target.grid), n_steps, grid.shape, strict=True)
    box = tuple(slice(max(0, s.start - n), min(size, s.stop + n)) for s, n, size in spans)
    share = target.on(grid)[box]
    distance = np.full(grid.shape, np.inf, dtype=np.float32)
    distance[box] = _distance_mm(share, grid.spacing_mm, distance_mm)
    is_inside = region.on(grid) >= 0.5
    is_beyond = is_inside & (distance >= distance_mm)
    values = dose.values[is_beyond]
    if not len(values):
        return float("nan"), float("nan")
    is_known = np.isfinite(values)
    highest = float(values[is_known].max()) if is_known.any() else 0.0
    on_surface = _highest_on_surface(
        dose.values[box], distance[box] - np.float32(distance_mm), is_inside[box]
    )
    low = max(highest, on_surface)
    return low, low if is_known.all() else float("inf")


def _highest_on_surface(
    values: NDArray[np.float32], level: NDArray[np.float32], is_inside: NDArray[np.bool_]
) -> float:
    """Return the highest dose where `level` passes through 0 between neighbouring voxels."""
    highest = 0.0
    for axis in range(3):
        dose, height = np.moveaxis(values, axis, 0), np.moveaxis(level, axis, 0)
        held = np.moveaxis(is_inside, axis, 0)
        below, above = height[:-1], height[1:]
        crosses = (below * above < 0) & held[:-1] & held[1:]
        weight = below[crosses] / (below[crosses] - above[crosses])
        found = (1 - weight) * dose[:-1][crosses] + weight * dose[1:][crosses]
        highest = max(highest, float(np.nanmax(found, initial=0.0)))
    return highest


def _distance_mm(
    share: NDArray[np.float32], spacing_mm: tuple[float, float, float], near_mm: float
) -> NDArray[np.float32]:
    """Return the distance of voxel centres from a mask, exact where it is about `near_mm`.

    Elsewhere it is the distance between centres. Exact means: to the points where the share,
    interpolated linearly between centres, passes through half.
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)[::-1]
    inside = share >= 0.5 if np.any(share >= 0.5) else share > 0
    distance = distance_transform_edt(~inside, sampling=spacing).astype(np.float32)
    surface = _surface_mm(share, spacing)
    if not len(surface):  # smaller than half a voxel everywhere: its voxels stand for it
        surface = np.argwhere(inside) * spacing
    is_near = np.abs(distance - near_mm) <= 2 * spacing.max()
    distance[is_near] = cKDTree(surface).query(np.argwhere(is_near) * spacing)[0]
    return np.asarray(distance)


def _surface_mm(share: NDArray[np.float32], spacing: Floats) -> Floats:
    """Return points of a mask's surface in mm along k, j, i from the first voxel's centre."""
    level = np.pad(share, 1) - 0.5
    points = []
    for axis in range(3):
        below, above = (np.moveaxis(np.moveaxis(level, axis, 0)[cut], 0, axis) for cut in _ENDS)
        crosses = np.argwhere((below >= 0) != (above >= 0))
        first, second = below[tuple(crosses.T)], above[tuple(crosses.T)]
        place = crosses.astype(np.float64) - 1
        place[:, axis] += first / (first - second)
        points.append(place * spacing)
    return np.concatenate(points)
