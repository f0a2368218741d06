"""A cumulative limit as it will be read: between voxels, at the points of the drawn organ.

A dose between voxel centres is the weighted mean of the eight around it. At the edge of an organ
that reading mixes in voxels whose centre lies beside the organ: what they get counts too. Here is
which voxels are read, and what each of them may get so that every reading holds the limit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Grid, Mask, Structure
from rerad.evaluation import MetricKind, dose_at, dvh, evaluate_metric, parse_metric
from rerad.structures import EndSlab, sample_structure

Floats = NDArray[np.float64]

EXEMPT_SHARE = 0.9
"""Of the volume that a limit leaves out (0.5 cc of a D0.5cc) so much is not bounded."""

AT_CAP_GY = 0.5
"""A voxel with so much less than it may have, in Gy EQD2, counts as held back."""


@dataclass(frozen=True, eq=False, slots=True)
class LimitReading:
    """How a limit is read from a dose.

    Parameters
    ----------
    structure : Structure
        The organ as drawn.
    metric : str
        Of the limit, for example ``D0.1cc``.
    end_slab : EndSlab
        How far the stack of contours reaches beyond its ends.
    """

    structure: Structure
    metric: str
    end_slab: EndSlab = EndSlab.FLAT

    @property
    def is_maximum(self) -> bool:
        """Whether the limit is for the highest dose anywhere, so that every reading counts."""
        return parse_metric(self.metric).kind is MetricKind.MAX

    def value(self, total: Dose, part: Mask | None = None) -> float:
        """Return the metric of a cumulative dose in Gy; NaN where it cannot be known.

        Parameters
        ----------
        total : Dose
            EQD2 of all courses.
        part : Mask or None
            Part of the organ that is judged; None is the organ as drawn.
        """
        histogram = dvh(total, part or self.structure, end_slab=self.end_slab)
        return evaluate_metric(self.metric, histogram)

    @property
    def exempt_cc(self) -> float:
        """Volume that may have more than the limit, in cc, less a reserve; 0 for the maximum."""
        metric = parse_metric(self.metric)
        if metric.kind is not MetricKind.DOSE_AT_VOLUME:
            return 0.0
        size_cc = metric.size
        if metric.size_unit == "%":
            samples = sample_structure(self.structure, end_slab=self.end_slab)
            size_cc *= samples.volume_cc / 100.0
        return EXEMPT_SHARE * size_cc

    def leaned_on(self, mask: Mask, grid: Grid) -> Mask:
        """Return the organ's voxels and all others that a reading leans on.

        Parameters
        ----------
        mask : Mask
            The organ, on a crop of `grid`.
        grid : Grid
            The dose grid.
        """
        near = np.isfinite(self.allowed_eqd2_gy(None, grid, 0.0))
        near |= mask.on(grid) > 0
        return Mask(mask.name, mask.kind, near.astype(np.float32), grid)

    def allowed_eqd2_gy(
        self, prior: Dose | None, grid: Grid, limit_eqd2_gy: float, now: Floats | None = None
    ) -> Floats:
        r"""Return what the new plan may give each voxel so that no reading exceeds a limit.

        A reading is :math:`P + \sum w_c e_c`: the earlier dose :math:`P = \sum w_c B_c` and the
        new dose :math:`e` of the eight voxels of a cell, with weights that sum to one. Each of
        these bounds, at all eight corners of a cell, keeps its readings at or below :math:`L`:

        1. :math:`e_c \le L - B_c`, the voxel's own earlier dose;
        2. :math:`e_c \le L - \bar P`, the highest reading of the earlier dose in the cell: taken
           where it allows more at some corner, beside an organ with little in tissue with much;
        3. :math:`e_c \le e_c^0 + s`, with :math:`e^0` a new dose that is known and :math:`s` the
           least that its readings in the cell are below :math:`L`: taken where a corner was held
           back by 1 or 2. Steep falls read far below what their hottest voxel has.

        A voxel may have the least that its cells allow. Where a limit leaves a volume out, as
        D0.5cc does, the readings that are highest now do not count, as many as fit into it.

        Parameters
        ----------
        prior : Dose or None
            Earlier EQD2 on `grid`; None if there was none.
        grid : Grid
            The dose grid.
        limit_eqd2_gy : float
            :math:`L`.
        now : ndarray of shape (K, J, I) or None
            EQD2 of the new plan as it is, known where readings lean; None knows none.

        Returns
        -------
        ndarray of shape (K, J, I)
            EQD2 of the new plan in Gy; NaN at voxels that no reading leans on, or whose earlier
            dose is unknown.
        """
        samples = sample_structure(self.structure, end_slab=self.end_slab)
        points_mm = samples.points_mm
        own = np.zeros(grid.shape) if prior is None else prior.values.astype(np.float64)
        cells = np.floor(grid.indices(points_mm)).astype(np.int64)
        cells = np.clip(cells, 0, np.maximum(np.asarray(grid.shape) - 2, 0))
        low, high = cells.min(axis=0), cells.max(axis=0) + 1
        shape = tuple(int(n) for n in high - low)
        place = np.ravel_multi_index(tuple((cells - low).T), shape)

        counted = np.ones(len(points_mm), dtype=bool)

        def read(values: Floats) -> Floats:
            """Return a dose at the points, -inf where it is not known."""
            found = dose_at(Dose(values.astype(np.float32), grid), points_mm).astype(np.float64)
            return np.where(np.isfinite(found), found, -np.inf)

        def highest(readings: Floats) -> Floats:
            """Return the highest reading that counts in each cell, -inf where there is none."""
            most = np.full(int(np.prod(shape)), -np.inf)
            np.maximum.at(most, place[counted], readings[counted])
            return most.reshape(shape)

        box = tuple(slice(a, b + 1) for a, b in zip(low, high, strict=True))
        total = None if now is None else read(own + now)
        if total is not None and self.exempt_cc > 0:
            hottest = np.argsort(-total, kind="stable")
            fits = np.cumsum(samples.volumes_cc[hottest]) <= self.exempt_cc
            counted[hottest[fits]] = False
        given = highest(read(own))
        total = None if total is None else highest(total)
        allowed = np.full(grid.shape, np.nan)
        there = None if now is None else now[box]
        allowed[box] = _allowed(given, own[box], limit_eqd2_gy, total, there)
        return allowed


def _allowed(
    highest: Floats, own: Floats, limit: float, total: Floats | None, now: Floats | None
) -> Floats:
    """Return what each voxel of a box may get; NaN where nothing is read or known.

    `highest` and `total` are the highest readings of earlier and of cumulative dose in each cell.
    """
    is_read = np.isfinite(highest)
    allowed = np.full(own.shape, np.inf)
    corners = [_corner(own.shape, highest.shape, offset) for offset in np.ndindex(2, 2, 2)]
    exceeds = np.zeros(highest.shape, dtype=bool)
    for there in corners:
        exceeds |= own[there] > highest  # false for NaN
    rises = np.zeros(highest.shape, dtype=bool)
    if now is not None:
        for there in corners:
            by_rule = limit - np.where(exceeds, highest, own[there])
            rises |= now[there] >= by_rule - AT_CAP_GY
    for there in corners:
        bound = limit - np.where(exceeds, highest, own[there])
        if now is not None and total is not None:
            bound = np.where(rises & np.isfinite(total), now[there] + limit - total, bound)
        np.minimum(allowed[there], np.where(is_read, bound, np.inf), out=allowed[there])
    return np.where(np.isfinite(allowed) & np.isfinite(own), allowed, np.nan)


def _corner(
    voxels: tuple[int, ...], cells: tuple[int, ...], offset: tuple[int, ...]
) -> tuple[slice, ...]:
    """Return where one corner of every cell lies among the voxels; of one slice, all are it."""
    return tuple(
        slice(step if n > m else 0, (step if n > m else 0) + m)
        for n, m, step in zip(voxels, cells, offset, strict=True)
    )
