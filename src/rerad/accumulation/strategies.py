"""What an organ had over all courses, by each published way of adding, with an interval.

Three strategies stand side by side: the sum of each course's highest dose, the same among the
voxels that every course reached, and the sum voxel by voxel. The voxel sum comes with two
measures of what the registration may change: the search of RADAR within an ellipsoid, kept inside
the organ, and the interval over an ensemble of transforms drawn around the registration. The near
maximum is read off the contours where they are given, as in every histogram; what the ensemble
adds to it or takes off is read at voxel centres. Doses are EQD2 in Gy.

References
----------
.. [1] Zhang et al. (2026), ReCOG case guide, doi:10.1016/j.prro.2026.03.010 (three strategies).
.. [2] Mechalakos et al. (2025), RADAR, doi:10.1016/j.prro.2024.10.006.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from rerad.accumulation.courses import CourseDose, accumulate, course_eqd2, phase_eqd2
from rerad.accumulation.ensemble import RegistrationSpread, sample_transforms
from rerad.accumulation.map_dose import map_dose
from rerad.accumulation.uncertainty import (
    CumulativeMaxima,
    cumulative_maxima,
    search_maximum,
)
from rerad.core import Dose, Grid, Mask, Structure
from rerad.errors import InputError
from rerad.evaluation import dvh, evaluate_metric, parse_metric
from rerad.structures import EndSlab
from rerad.tables import load_table, source_of

ORGAN_MARGIN_MM = 2.0
"""Beyond the search radius, around an organ: interpolation needs a neighbour."""


@dataclass(frozen=True, slots=True)
class StrategySettings:
    """How the strategies are worked out.

    Parameters
    ----------
    metric : str
        Near maximum that is read off the voxel sum, such as ``D0.1cc``.
    radius_mm : tuple of float
        Semi-axes (x, y, z) of the search.
    overlap_gy : float
        EQD2 above which a course has reached a voxel.
    spread : RegistrationSpread
        Of each registration that is not the identity.
    n_draws : int
        Members of the ensemble; 0 for none.
    level : float
        Probability of the interval.
    seed : int
        Of the draws.
    citation : str
        Where radius, overlap and spread come from.
    """

    metric: str
    radius_mm: tuple[float, float, float]
    overlap_gy: float
    spread: RegistrationSpread
    n_draws: int
    level: float
    seed: int
    citation: str


@dataclass(frozen=True, slots=True)
class OrganSum:
    """Cumulative EQD2 of one organ by every strategy.

    Parameters
    ----------
    name : str
        Of the organ.
    alpha_beta_gy : float
        Of the EQD2.
    course_maxima_gy : tuple of float
        Highest EQD2 of each course in the organ, after its recovery.
    maxima : CumulativeMaxima
        By strategy; with one course all but the free search are that course's maximum.
    metric : str
        Near maximum of the voxel sum.
    value_gy : float
        It; NaN where unknown dose could change it.
    low_gy, high_gy : float
        Interval over the ensemble; NaN without one.
    level : float
        Probability that the interval holds the true value, if the spread is right.
    """

    name: str
    alpha_beta_gy: float
    course_maxima_gy: tuple[float, ...]
    maxima: CumulativeMaxima
    metric: str
    value_gy: float
    low_gy: float
    high_gy: float
    level: float


@cache
def proposed_strategy_settings(*, seed: int) -> StrategySettings:
    """Return radius, overlap and spread of the table ``registration``, with their sources."""
    table = load_table("registration")
    search, overlap, spread = table["search"], table["overlap"], table["spread"]
    radius = float(search["radius_mm"])
    sources = [source_of(row, "registration").text for row in (search, overlap, spread)]
    return StrategySettings(
        metric=str(search["metric"]),
        radius_mm=(radius, radius, radius),
        overlap_gy=float(overlap["min_eqd2_gy"]),
        spread=RegistrationSpread(
            (float(spread["shift_sd_mm"]),) * 3, (float(spread["rotation_sd_deg"]),) * 3
        ),
        n_draws=int(spread["n_draws"]),
        level=float(spread["level"]),
        seed=seed,
        citation="; ".join(sources),
    )


def organ_sum(
    courses: Sequence[CourseDose],
    mask: Mask,
    *,
    alpha_beta_gy: float,
    settings: StrategySettings,
    drawn: Structure | None = None,
    end_slab: EndSlab = EndSlab.FLAT,
) -> OrganSum:
    """Return what an organ had, by every strategy.

    Parameters
    ----------
    courses : sequence of CourseDose
        At least one; the last is the reference (today's, or the latest), the earlier ones may lie
        elsewhere by the registration's uncertainty.
    mask : Mask
        The organ on a grid in the frame of the sum; its spacing is that of the result.
    alpha_beta_gy : float
        Of the organ.
    settings : StrategySettings
        Search, overlap, ensemble.
    drawn : Structure or None
        The organ's contours, off which the near maximum is read; None reads it off the mask.
    end_slab : EndSlab
        As in every histogram of the case.

    Raises
    ------
    InputError
        If there is no course or the organ is empty.
    """
    if not courses:
        msg = f"{mask.name}: expected at least one course, got none"
        raise InputError(msg)
    grid = _around(mask.grid, settings.radius_mm)
    here = [course_eqd2(course, grid, alpha_beta_gy) for course in courses]
    region = grid.region_of(mask.grid)
    organ = mask.fraction > 0
    highest = tuple(
        float(np.fmax.reduce(dose.values[region][organ], initial=np.nan)) for dose in here
    )
    maxima = _maxima(here, mask, highest, settings)
    total = here[0] if len(here) == 1 else accumulate(courses, grid, alpha_beta_gy=alpha_beta_gy)
    value = at_centres = _near_max(total, mask, settings.metric)
    if drawn is not None:
        value = evaluate_metric(settings.metric, dvh(total, drawn, end_slab=end_slab))
    low, high = _interval(courses, mask, alpha_beta_gy, settings)
    # The same change of reading for all members: the interval is about the value that is shown.
    more = value - at_centres
    return OrganSum(
        name=mask.name,
        alpha_beta_gy=alpha_beta_gy,
        course_maxima_gy=highest,
        maxima=maxima,
        metric=settings.metric,
        value_gy=value,
        low_gy=max(low + more, 0.0) if np.isfinite(low) else low,
        high_gy=high + more,
        level=settings.level,
    )


def _maxima(
    here: Sequence[Dose], mask: Mask, highest: tuple[float, ...], settings: StrategySettings
) -> CumulativeMaxima:
    """Return the maxima by strategy; one course has one."""
    if len(here) > 1:
        return cumulative_maxima(
            here[:-1],
            here[-1],
            mask,
            radius_mm=settings.radius_mm,
            overlap_gy=settings.overlap_gy,
        )
    values = here[0].values[here[0].grid.region_of(mask.grid)][mask.fraction > 0]
    only = highest[0]
    free = search_maximum(here[0], mask, radius_mm=settings.radius_mm, is_within=False).values
    beyond = float(np.fmax.reduce(free[mask.fraction > 0], initial=np.nan))
    unknown = int(np.count_nonzero(np.isnan(values)))
    return CumulativeMaxima(only, only, only, only, beyond, unknown)


def _near_max(total: Dose, mask: Mask, metric: str) -> float:
    """Return the near maximum of a dose in an organ."""
    return evaluate_metric(parse_metric(metric), dvh(total, mask))


def _interval(
    courses: Sequence[CourseDose], mask: Mask, alpha_beta_gy: float, settings: StrategySettings
) -> tuple[float, float]:
    """Return the interval of the near maximum over drawn transforms.

    Order statistics: with n members as likely as the truth, the r-th lowest and r-th highest hold
    it with probability (n + 1 - 2r) / (n + 1).
    """
    moved = [course for course in courses if not is_identity(course)]
    if settings.n_draws == 0 or not moved:
        return np.nan, np.nan
    n = settings.n_draws
    rank = int(np.floor((1.0 - settings.level) / 2.0 * (n + 1) + 1e-9))
    if rank < 1:
        msg = f"a level of {settings.level:g} needs more than {n} draws"
        raise InputError(msg)
    rng = np.random.default_rng(settings.seed)
    grid = _around(mask.grid, (0.0, 0.0, 0.0))
    middle = grid.points(0.5 * (np.array(grid.shape) - 1.0))
    fixed = [course_eqd2(c, grid, alpha_beta_gy).values for c in courses if is_identity(c)]
    native = [[phase_eqd2(p, alpha_beta_gy) for p in course.phases] for course in moved]
    drawn = [
        sample_transforms(
            course.transform,
            settings.spread,
            center_mm=(float(middle[0]), float(middle[1]), float(middle[2])),
            n=n,
            rng=rng,
        )
        for course in moved
    ]
    values = []
    for member in range(n):
        total = np.sum(fixed, axis=0) if fixed else np.zeros(grid.shape, dtype=np.float32)
        for course, phases, transforms in zip(moved, native, drawn, strict=True):
            kept = np.float32(1.0 - course.recovery_fraction)
            for phase in phases:
                total = total + kept * map_dose(phase, transforms[member], grid).values
        dose = replace(native[0][0], values=total.astype(np.float32), grid=grid)
        values.append(_near_max(dose, mask, settings.metric))
    if np.any(np.isnan(values)):
        return np.nan, np.nan
    ranked = np.sort(values)
    return float(ranked[rank - 1]), float(ranked[n - rank])


def is_identity(course: CourseDose) -> bool:
    """Return whether a course needs no registration: it shares the frame of the sum."""
    transform = course.transform
    return transform.from_frame_uid == transform.to_frame_uid


def _around(grid: Grid, radius_mm: tuple[float, float, float]) -> Grid:
    """Return a grid enlarged so that a search and an interpolation find what they need."""
    more = [
        int(np.ceil((radius + ORGAN_MARGIN_MM) / spacing)) + 1
        for radius, spacing in zip(radius_mm, grid.spacing_mm, strict=True)
    ]
    nk, nj, ni = grid.shape
    start = grid.points((-more[2], -more[1], -more[0]))
    return Grid(
        (nk + 2 * more[2], nj + 2 * more[1], ni + 2 * more[0]),
        (float(start[0]), float(start[1]), float(start[2])),
        grid.spacing_mm,
        grid.frame_uid,
    )
