"""How much the cumulative dose of an organ depends on the registration.

The published ways of adding courses stand side by side: the sum of each course's highest dose,
the same inside the region that every course reached, the sum voxel by voxel, and the voxel sum in
which an earlier dose may lie anywhere within an ellipsoid of the registration uncertainty. A
search that leaves the organ pulls target dose into it (72.4 Gy became 126.9 Gy in the published
example, but 65.2 Gy within the organ); both are reported and only the restricted one bounds the
organ. The dose grid must reach beyond the organ by the search radius: there is nothing to search
outside it.

References
----------
.. [1] Mechalakos et al. (2025), RADAR, Pract. Radiat. Oncol. 15, 187-195,
   doi:10.1016/j.prro.2024.10.006.
.. [2] Paradis et al. (2026), Lancet Oncol. 27, e101-e110, doi:10.1016/S1470-2045(25)00562-5.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rerad.accumulation.sum_doses import sum_doses
from rerad.core import Dose, DoseQuantity, Mask
from rerad.errors import InputError, QuantityMismatchError


@dataclass(frozen=True, slots=True)
class CumulativeMaxima:
    """Highest cumulative dose of one organ by each strategy, in Gy; NaN where unknown.

    Parameters
    ----------
    sum_of_maxima_gy : float
        Sum of the highest dose of each course: an upper bound for the organ, wherever the doses
        lie within it.
    sum_in_overlap_gy : float
        The same among the voxels that every course reached with the asked dose; 0 if there are
        none.
    voxel_sum_gy : float
        Highest voxel of the sum.
    search_within_gy : float
        Highest voxel if every earlier dose may lie anywhere in the ellipsoid, within the organ.
    search_free_gy : float
        The same without keeping to the organ.
    n_unknown : int
        Voxels of the organ whose dose is unknown in at least one course; where there are any, the
        numbers hold for the others only.
    """

    sum_of_maxima_gy: float
    sum_in_overlap_gy: float
    voxel_sum_gy: float
    search_within_gy: float
    search_free_gy: float
    n_unknown: int


def search_maximum(
    dose: Dose, mask: Mask, *, radius_mm: tuple[float, float, float], is_within: bool
) -> Dose:
    """Return, for each voxel of an organ, the highest dose in an ellipsoid around it.

    Parameters
    ----------
    dose : Dose
        Dose of one course on today's grid.
    mask : Mask
        The organ, on a crop of the dose grid; a voxel of any share belongs to it.
    radius_mm : tuple of float
        Semi-axes (x, y, z) of the ellipsoid, 0 or more: the uncertainty of the registration.
    is_within : bool
        Whether only voxels of the organ are searched.

    Returns
    -------
    Dose
        On the grid of `mask`; NaN outside the organ and where a searched voxel is unknown, because
        a bound that overlooks unknown dose is none.

    Raises
    ------
    InputError
        If a radius is negative.
    FrameMismatchError, GridMismatchError
        If the mask's grid is not a crop of the dose grid.
    """
    if not all(0 <= radius < np.inf for radius in radius_mm):
        msg = f"expected search radii of 0 mm or more, got {radius_mm}"
        raise InputError(msg)
    footprint = _ellipsoid(radius_mm, dose.grid.spacing_mm)
    reach = [n // 2 for n in footprint.shape]
    region = dose.grid.region_of(mask.grid)
    wide = tuple(
        slice(max(part.start - r, 0), min(part.stop + r, n))
        for part, r, n in zip(region, reach, dose.grid.shape, strict=True)
    )
    inner = tuple(
        slice(part.start - outer.start, part.stop - outer.start)
        for part, outer in zip(region, wide, strict=True)
    )
    values = dose.values[wide]
    organ = np.zeros(values.shape, dtype=bool)
    organ[inner] = mask.fraction > 0
    searched = organ if is_within else np.ones_like(organ)
    unknown = np.isnan(values) & searched
    filled = np.where(searched & ~unknown, values, -np.inf)
    highest = ndimage.maximum_filter(filled, footprint=footprint, mode="constant", cval=-np.inf)
    spoilt = ndimage.binary_dilation(unknown, structure=footprint)
    result = np.where(organ & ~spoilt, highest, np.nan)[inner]
    return replace(dose, values=result.astype(np.float32), grid=mask.grid, instance_uid="")


def worst_prior_within(
    dose: Dose, organ_mask: Mask, radius_mm: tuple[float, float, float]
) -> Dose:
    r"""Return the highest earlier EQD2 that a misregistration can bring to each voxel of an organ.

    If the earlier dose may lie anywhere within the ellipsoid, as far as it stays in the organ, the
    largest sum over all shifts and voxels is that of one map,

    .. math:: \max_s \max_i (B_i^s + e_i) = \max_i (\max_s B_i^s + e_i),

    because the new dose :math:`e` does not depend on the shift: planning on this map is exact, and
    neither a margin nor a scenario is needed. It holds at the voxel centres within the ellipsoid;
    values between them are not higher than those of the voxels around them.

    Parameters
    ----------
    dose : Dose
        EQD2 or BED of the earlier courses on today's grid, after recovery if there is any.
    organ_mask : Mask
        The organ, on a crop of the dose grid; a voxel of any share belongs to it.
    radius_mm : tuple of float
        Semi-axes (x, y, z) of the uncertainty of the registration, 0 (none) or at least a voxel.

    Returns
    -------
    Dose
        On the grid of `dose`; NaN outside the organ, and within it where a searched voxel is
        unknown: a bound that overlooks unknown dose is none.

    Raises
    ------
    QuantityMismatchError
        If `dose` is physical: an earlier dose adds up as EQD2 or BED.
    InputError
        If a radius is negative, or above 0 but smaller than a voxel, which would search nothing.
    FrameMismatchError, GridMismatchError
        If the mask's grid is not a crop of the dose grid.
    """
    if dose.quantity is DoseQuantity.PHYSICAL:
        msg = (
            "expected the earlier dose as EQD2 or BED, got physical dose; convert it at its own "
            "dose per fraction with rerad.radiobiology.to_eqd2"
        )
        raise QuantityMismatchError(msg)
    for axis, radius, spacing in zip("xyz", radius_mm, dose.grid.spacing_mm, strict=True):
        if 0 < radius < spacing - 1e-9:
            msg = (
                f"{organ_mask.name}: a search of {radius:g} mm along {axis} reaches no voxel of "
                f"{spacing:g} mm; resample the dose finer or give at least a voxel"
            )
            raise InputError(msg)
    searched = search_maximum(dose, organ_mask, radius_mm=radius_mm, is_within=True)
    values = np.full(dose.grid.shape, np.nan, dtype=np.float32)
    values[dose.grid.region_of(organ_mask.grid)] = searched.values
    values.setflags(write=False)
    return replace(dose, values=values, instance_uid="")


def cumulative_maxima(
    earlier: Sequence[Dose],
    today: Dose,
    mask: Mask,
    *,
    radius_mm: tuple[float, float, float],
    overlap_gy: float,
) -> CumulativeMaxima:
    """Return the highest cumulative dose of an organ by every published strategy.

    Parameters
    ----------
    earlier : sequence of Dose
        Mapped EQD2 or BED of the earlier courses, discounted or not; at least one.
    today : Dose
        The same quantity of today's course.
    mask : Mask
        The organ, on a crop of the dose grid.
    radius_mm : tuple of float
        Semi-axes (x, y, z) of the search.
    overlap_gy : float
        Dose above which a course counts as having reached a voxel.

    Raises
    ------
    InputError
        If there is no earlier course, the organ is empty, or a number is negative.
    QuantityMismatchError
        If quantities or alpha/beta differ, or a dose is physical.
    FrameMismatchError, GridMismatchError
        If the voxels differ.
    """
    if not earlier:
        msg = "expected at least one earlier course, got none"
        raise InputError(msg)
    if not 0 <= overlap_gy < np.inf:
        msg = f"expected an overlap dose of 0 Gy or more, got {overlap_gy}"
        raise InputError(msg)
    total = sum_doses([*earlier, today])
    region = total.grid.region_of(mask.grid)
    organ = mask.fraction > 0
    if not organ.any():
        msg = f"{mask.name}: expected a volume with voxels on the dose grid, got none"
        raise InputError(msg)
    courses = [dose.values[region][organ] for dose in (*earlier, today)]
    reached = reduce(np.logical_and, [course > overlap_gy for course in courses])
    return CumulativeMaxima(
        sum_of_maxima_gy=sum(_highest(course) for course in courses),
        sum_in_overlap_gy=sum(_highest(course[reached]) for course in courses)
        if reached.any()
        else 0.0,
        voxel_sum_gy=_highest(total.values[region][organ]),
        search_within_gy=_searched(earlier, today, mask, radius_mm, is_within=True),
        search_free_gy=_searched(earlier, today, mask, radius_mm, is_within=False),
        n_unknown=int(np.count_nonzero(np.isnan(total.values[region][organ]))),
    )


def _searched(
    earlier: Sequence[Dose],
    today: Dose,
    mask: Mask,
    radius_mm: tuple[float, float, float],
    *,
    is_within: bool,
) -> float:
    """Return the highest sum of today's dose and the searched earlier doses."""
    there = [search_maximum(d, mask, radius_mm=radius_mm, is_within=is_within) for d in earlier]
    here = replace(today, values=today.values[today.grid.region_of(mask.grid)], grid=mask.grid)
    return _highest(sum_doses([*there, here]).values[mask.fraction > 0])


def _highest(values: NDArray[np.float32]) -> float:
    """Return the highest known value; NaN if none is known."""
    return float(np.fmax.reduce(values, initial=np.nan))


def _ellipsoid(
    radius_mm: tuple[float, float, float], spacing_mm: tuple[float, float, float]
) -> NDArray[np.bool_]:
    """Return which neighbours, in [k, j, i], lie within the semi-axes."""
    squared = np.zeros((1, 1, 1))
    for axis, (radius, spacing) in enumerate(
        zip(reversed(radius_mm), reversed(spacing_mm), strict=True)
    ):
        reach = int(np.floor(radius / spacing + 1e-9))
        offsets = spacing * np.arange(-reach, reach + 1)
        scaled = (offsets / radius) ** 2 if radius > 0 else np.zeros(1)
        shape = [1, 1, 1]
        shape[axis] = len(scaled)
        squared = squared + scaled.reshape(shape)
    return np.asarray(squared <= 1.0 + 1e-9)
