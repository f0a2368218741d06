"""What remains, voxel by voxel: the physical dose that a course to come may still give.

For each organ the limit less the earlier EQD2 at the organ's own alpha/beta, turned into physical
dose in the planned number of fractions. A voxel of two organs takes the smaller physical dose:
EQD2 of two alpha/beta is not comparable, physical dose in one schedule is. Unknown earlier dose
leaves the voxel unknown. A limit on a near maximum (D0.1cc) is held in every voxel here, which is
stricter than the limit itself. Doses in Gy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Grid, Mask
from rerad.errors import InputError
from rerad.planning.budget import OrganLimit
from rerad.radiobiology import physical_from_eqd2


@dataclass(frozen=True, eq=False, slots=True)
class OrganRemaining:
    """What remains in one organ.

    Parameters
    ----------
    structure : str
        Organ.
    limit : OrganLimit
        Under which limit and recovery.
    physical : Dose
        Physical dose in `n_fractions` that a voxel may still get, on a crop around the organ; NaN
        outside it and where the earlier dose is unknown.
    n_voxels, n_unknown, n_exhausted : int
        Voxels of the organ, those of unknown earlier dose, those with nothing left.
    least_gy : float
        Smallest known remaining dose; NaN if none is known.
    """

    structure: str
    limit: OrganLimit
    physical: Dose
    n_voxels: int
    n_unknown: int
    n_exhausted: int
    least_gy: float


@dataclass(frozen=True, eq=False, slots=True)
class RemainingMap:
    """What remains in all organs with a limit.

    Parameters
    ----------
    organs : tuple of OrganRemaining
        One for each limit.
    combined : Dose
        Smallest remaining physical dose of the organs that a voxel belongs to, on the dose grid;
        NaN outside every organ and where any of its organs is unknown.
    n_fractions : int
        Of the course to come.
    """

    organs: tuple[OrganRemaining, ...]
    combined: Dose
    n_fractions: int


def remaining_map(
    limits: Sequence[OrganLimit],
    masks: Mapping[str, Mask],
    grid: Grid,
    *,
    n_fractions: int,
    lacks_course: bool = False,
) -> RemainingMap:
    """Return what remains voxel by voxel under limits.

    Parameters
    ----------
    limits : sequence of OrganLimit
        Limit and earlier EQD2 after recovery, of each organ.
    masks : mapping of str to Mask
        Organs on crops of `grid`; a voxel of any share belongs to the organ.
    grid : Grid
        Dose grid.
    n_fractions : int
        Fractions of the course to come, at least 1.
    lacks_course : bool
        Whether a course on record is in no limit's earlier dose: what is left is unknown in every
        voxel then.

    Raises
    ------
    InputError
        If no limit is given, or one is no upper bound with an alpha/beta.
    """
    if not limits:
        msg = (
            "expected at least one organ with a cumulative limit, got none; draw organs under "
            "their TG-263 names, or choose a rule set that knows them"
        )
        raise InputError(msg)
    combined = np.full(grid.shape, np.inf, dtype=np.float32)
    spoilt = np.zeros(grid.shape, dtype=bool)
    organs = []
    for limit in limits:
        mask = masks[limit.structure]
        region = grid.region_of(mask.grid)
        organ = mask.fraction > 0
        left = _left(limit, region, organ, n_fractions)
        if lacks_course:
            left = np.full_like(left, np.nan)
        unknown = organ & np.isnan(left)
        combined[region] = np.where(organ, np.fmin(combined[region], left), combined[region])
        spoilt[region] |= unknown
        known = left[organ & ~unknown]
        organs.append(
            OrganRemaining(
                structure=limit.structure,
                limit=limit,
                physical=Dose(
                    np.where(organ, left, np.nan).astype(np.float32),
                    mask.grid,
                    label=f"left for {limit.structure}",
                ),
                n_voxels=int(np.count_nonzero(organ)),
                n_unknown=int(np.count_nonzero(unknown)),
                n_exhausted=int(np.count_nonzero(known <= 0)),
                least_gy=float(known.min()) if known.size else float("nan"),
            )
        )
    combined[spoilt | np.isinf(combined)] = np.nan
    dose = Dose(combined, grid, label=f"left in {n_fractions} fractions")
    return RemainingMap(tuple(organs), dose, n_fractions)


def _left(
    limit: OrganLimit,
    region: tuple[slice, slice, slice],
    organ: NDArray[np.bool_],
    n_fractions: int,
) -> NDArray[np.float64]:
    """Return remaining physical dose on the crop of an organ."""
    goal = limit.goal
    if goal.at_most is None or goal.alpha_beta_gy is None:
        msg = f"{limit.structure}: expected an upper limit with its alpha/beta, got {goal.text}"
        raise InputError(msg)
    given = np.zeros(organ.shape)
    if limit.prior is not None:
        given = limit.prior.values[region].astype(np.float64)
    return physical_from_eqd2(
        goal.at_most - given, n_fractions=n_fractions, alpha_beta_gy=goal.alpha_beta_gy
    )
