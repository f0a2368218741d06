"""Gamma index: how well two dose distributions agree, in dose and distance at once.

The search follows Low et al. (1998) with the evaluated dose interpolated linearly and sampled on
shells a tenth of the distance criterion apart (Wendling et al. 2007). Sampling errs upwards only:
by up to the dose difference over half a step, which matters where the dose changes within a tenth
of the distance by more than the dose criterion. Doses in Gy (curves and planes: any one unit),
lengths in mm.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, pi

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core import Dose
from rerad.core.grid import ALIGNMENT_TOLERANCE_MM
from rerad.errors import GridMismatchError, InputError
from rerad.kernels.gamma import axis_of, gamma_of_points

Floats = NDArray[np.float64]

N_INTERLEAVED = 16
"""Points are handed to the threads in this many interleaved passes, because failing points, which
take longest, lie together."""


@dataclass(frozen=True, slots=True)
class GammaCriterion:
    """What counts as agreement. There is no clinical default: the caller says it.

    Parameters
    ----------
    dose_percent : float
        Dose criterion in percent, above 0: of the normalization (global) or of the reference
        dose at each point (local).
    distance_mm : float
        Distance to agreement in mm, above 0.
    is_local : bool
        Whether the dose criterion is local.
    lower_cutoff_percent : float
        Reference points below this percentage of the normalization are not judged; 0 or more.
    normalization_gy : float or None
        Dose that the percentages refer to, above 0; None for the highest known reference dose.
    max_gamma : float
        Search ends here, and larger gammas are given as this; 1 or more.
    steps_per_distance : int
        Shells, and samples along them, are the distance criterion divided by this apart. Ten
        was found enough by Wendling et al. (2007), doi:10.1118/1.2721657.

    Raises
    ------
    InputError
        If a number is out of its range.
    """

    dose_percent: float
    distance_mm: float
    is_local: bool
    lower_cutoff_percent: float
    normalization_gy: float | None = None
    max_gamma: float = 2.0
    steps_per_distance: int = 10

    def __post_init__(self) -> None:
        normalization_gy = 1.0 if self.normalization_gy is None else self.normalization_gy
        for name, value in (
            ("dose_percent", self.dose_percent),
            ("distance_mm", self.distance_mm),
            ("normalization_gy", normalization_gy),
        ):
            if not 0 < value < np.inf:
                msg = f"expected {name} of a gamma criterion above 0, got {value}"
                raise InputError(msg)
        if not 0 <= self.lower_cutoff_percent < np.inf:
            msg = f"expected lower_cutoff_percent of 0 or more, got {self.lower_cutoff_percent}"
            raise InputError(msg)
        if not 1 <= self.max_gamma < np.inf:
            msg = f"expected a finite max_gamma of 1 or more, got {self.max_gamma}"
            raise InputError(msg)
        if self.steps_per_distance < 1:
            msg = f"expected steps_per_distance of 1 or more, got {self.steps_per_distance}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class GammaMap:
    """Gamma index at each reference point.

    Parameters
    ----------
    values : ndarray of the shape of the reference dose
        Gamma, 0 to ``criterion.max_gamma``; NaN where not judged. Read-only.
    criterion : GammaCriterion
        What was asked.
    normalization_gy : float
        Dose that 100 % meant.
    n_below_cutoff : int
        Points not judged because their reference dose is below the cutoff (or, with a local
        criterion, 0).
    n_unknown : int
        Points not judged because the reference dose, or the evaluated dose there, is unknown.
    """

    values: Floats
    criterion: GammaCriterion
    normalization_gy: float
    n_below_cutoff: int
    n_unknown: int

    @property
    def n_judged(self) -> int:
        """Number of points with a gamma."""
        return int(np.count_nonzero(~np.isnan(self.values)))

    @property
    def pass_rate(self) -> float:
        """Fraction (0 to 1) of the judged points with a gamma of at most 1; NaN if none is."""
        n_judged = self.n_judged
        return int(np.count_nonzero(self.values <= 1)) / n_judged if n_judged else float("nan")


def gamma_index(reference: Dose, evaluated: Dose, criterion: GammaCriterion) -> GammaMap:
    r"""Compare two doses by the gamma index.

    .. math:: \gamma(r) = \min_{r'} \sqrt{\frac{|r' - r|^2}{\Delta d^2}
              + \frac{(D_e(r') - D_r(r))^2}{\Delta D^2}}

    The grids may differ. An axis along which both have one voxel, at the same place, is not
    searched: a single plane is compared in two dimensions.

    Parameters
    ----------
    reference : Dose
        Judged voxel by voxel.
    evaluated : Dose
        Interpolated between its voxel centers and searched; never beyond them.
    criterion : GammaCriterion
        Dose and distance, global or local, cutoff.

    Returns
    -------
    GammaMap
        Of shape (K, J, I). A voxel is not judged (NaN) below the cutoff, where the reference is
        unknown, where the evaluated dose is unknown, or where no evaluated dose is in reach.

    Raises
    ------
    QuantityMismatchError, FrameMismatchError
        If the doses are of different quantities or frames.
    GridMismatchError
        If one dose is a single plane and the other not at its place.
    InputError
        If nothing of the reference is known or above 0 and no normalization is given.

    References
    ----------
    .. [1] Low et al. (1998), Med. Phys. 25, 656, doi:10.1118/1.598248.
    .. [2] Wendling et al. (2007), Med. Phys. 34, 1647, doi:10.1118/1.2721657.
    """
    reference.require_same_quantity(evaluated)
    reference.grid.require_same_frame(evaluated.grid, "gamma index")
    return _compare(
        reference.grid.axes_mm[::-1],
        reference.values.astype(np.float64),
        evaluated.grid.axes_mm[::-1],
        evaluated.values.astype(np.float64),
        criterion,
    )


def gamma_curve(
    reference_mm: ArrayLike,
    reference: ArrayLike,
    evaluated_mm: ArrayLike,
    evaluated: ArrayLike,
    criterion: GammaCriterion,
) -> GammaMap:
    """Compare two curves (depth doses, profiles) by the gamma index in one dimension.

    Parameters
    ----------
    reference_mm, reference : array_like of shape (n,)
        Positions in mm, strictly ascending, not necessarily at equal distances, and doses in
        Gy or any other unit; NaN where unknown.
    evaluated_mm, evaluated : array_like of shape (m,)
        Likewise, m at least 2; interpolated between its points.
    criterion : GammaCriterion
        Its ``normalization_gy`` is in the unit of the doses.

    Returns
    -------
    GammaMap
        Of shape (n,).

    Raises
    ------
    InputError
        If shapes differ, positions are not ascending, or no dose is known and above 0.
    """
    return gamma_plane((reference_mm,), reference, (evaluated_mm,), evaluated, criterion)


def gamma_plane(
    reference_axes_mm: Sequence[ArrayLike],
    reference: ArrayLike,
    evaluated_axes_mm: Sequence[ArrayLike],
    evaluated: ArrayLike,
    criterion: GammaCriterion,
) -> GammaMap:
    """Compare two planes by the gamma index in two dimensions.

    Parameters
    ----------
    reference_axes_mm, evaluated_axes_mm : sequence of array_like
        Positions in mm along each array axis (rows, then columns), strictly ascending, not
        necessarily at equal distances. One axis makes it a curve, three a volume.
    reference, evaluated : array_like
        Doses in Gy or any other unit; NaN where unknown.
    criterion : GammaCriterion
        Its ``normalization_gy`` is in the unit of the doses.

    Returns
    -------
    GammaMap
        Of the shape of `reference`.

    Raises
    ------
    GridMismatchError
        If the dimensions differ.
    InputError
        If shapes differ, positions are not ascending, or no dose is known and above 0.
    """
    axes_r, values_r = _checked("reference", reference_axes_mm, reference)
    axes_e, values_e = _checked("evaluated", evaluated_axes_mm, evaluated)
    if values_r.ndim != values_e.ndim:
        msg = (
            "expected two doses of the same number of dimensions for the gamma index, "
            f"got {values_r.ndim} and {values_e.ndim}; take a plane or curve out of the larger one"
        )
        raise GridMismatchError(msg)
    return _compare(axes_r, values_r, axes_e, values_e, criterion)


def _checked(
    what: str, axes_mm: Sequence[ArrayLike], values: ArrayLike
) -> tuple[tuple[Floats, ...], Floats]:
    """Return axes and values as float64 arrays, or raise."""
    axes = tuple(np.ascontiguousarray(axis, dtype=np.float64) for axis in axes_mm)
    doses = np.asarray(values, dtype=np.float64)
    lengths = tuple(axis.size for axis in axes)
    if not 1 <= len(axes) <= 3 or doses.shape != lengths or 0 in lengths:
        msg = f"expected {what} doses of the shape of their axes {lengths}, got {doses.shape}"
        raise InputError(msg)
    for axis in axes:
        if axis.ndim != 1 or not np.all(np.isfinite(axis)) or not np.all(np.diff(axis) > 0):
            msg = f"expected {what} positions in mm to ascend strictly; sort the points"
            raise InputError(msg)
    if np.any(np.isinf(doses)):
        msg = f"expected finite {what} doses, got infinity; mark unknown doses as NaN"
        raise InputError(msg)
    return axes, doses


def _compare(
    axes_r: Sequence[Floats],
    reference: Floats,
    axes_e: Sequence[Floats],
    evaluated: Floats,
    criterion: GammaCriterion,
) -> GammaMap:
    """Return the gamma map of doses on axes given in array order."""
    axes_e = _aligned_planes(axes_r, axes_e)
    is_known = ~np.isnan(reference)
    highest = float(np.fmax.reduce(reference, axis=None))
    normalization_gy = criterion.normalization_gy or highest
    if not normalization_gy > 0:
        msg = (
            f"expected a highest reference dose above 0 for the gamma index, got {highest}; "
            "give normalization_gy"
        )
        raise InputError(msg)
    is_above = reference >= criterion.lower_cutoff_percent / 100 * normalization_gy
    if criterion.is_local:
        is_above &= reference > 0
    chosen = np.flatnonzero(is_above)
    chosen = np.concatenate([chosen[start::N_INTERLEAVED] for start in range(N_INTERLEAVED)])

    n_missing = 3 - reference.ndim
    whole_axes_r = (*(np.zeros(1),) * n_missing, *axes_r)
    whole_axes_e = (*(np.zeros(1),) * n_missing, *axes_e)
    shape = tuple(axis.size for axis in whole_axes_r)
    indices = np.unravel_index(chosen, shape)
    points_mm = np.stack([a[i] for a, i in zip(whole_axes_r, indices, strict=True)], axis=1)
    doses = reference.ravel()[chosen]
    scale = doses if criterion.is_local else np.full(doses.size, normalization_gy)
    values = np.full(reference.size, np.nan)
    values[chosen] = gamma_of_points(
        np.ascontiguousarray(evaluated.reshape([axis.size for axis in whole_axes_e])),
        tuple(axis_of(axis) for axis in whole_axes_e),
        np.ascontiguousarray(points_mm),
        doses,
        100 / (criterion.dose_percent * scale),
        _samples(criterion, whole_axes_e),
        float(criterion.max_gamma),
    )
    gamma: Floats = values.reshape(reference.shape)
    gamma.setflags(write=False)
    n_below_cutoff = int(np.count_nonzero(is_known & ~is_above))
    n_unknown = int(np.count_nonzero(np.isnan(gamma))) - n_below_cutoff
    return GammaMap(gamma, criterion, normalization_gy, n_below_cutoff, n_unknown)


def _aligned_planes(axes_r: Sequence[Floats], axes_e: Sequence[Floats]) -> tuple[Floats, ...]:
    """Return the evaluated axes with single positions set exactly onto those of the reference."""
    aligned = []
    for axis_r, axis_e in zip(axes_r, axes_e, strict=True):
        if axis_e.size > 1:
            aligned.append(axis_e)
        elif axis_r.size == 1 and abs(axis_r[0] - axis_e[0]) <= ALIGNMENT_TOLERANCE_MM:
            aligned.append(axis_r)
        else:
            msg = (
                f"gamma index: expected an evaluated dose of two or more positions along each "
                f"axis, or one at the single position of the reference, got one at "
                f"{axis_e[0]:g} mm; exchange the two or resample"
            )
            raise GridMismatchError(msg)
    return tuple(aligned)


def _samples(
    criterion: GammaCriterion, axes_e: Sequence[Floats]
) -> tuple[Floats, Floats, NDArray[np.int64], Floats]:
    """Return sampling offsets in blocks, as `gamma_of_points` wants them."""
    is_searched = np.array([axis.size > 1 for axis in axes_e])
    step_mm = criterion.distance_mm / criterion.steps_per_distance
    n_steps = floor(criterion.max_gamma * criterion.steps_per_distance + 1e-9)
    shells = [np.zeros((1, 3))]
    for n in range(1, n_steps + 1 if np.any(is_searched) else 1):
        directions = _directions(n, int(is_searched.sum()))
        shells.append(np.zeros((len(directions), 3)))
        shells[-1][:, is_searched] = directions * (n * step_mm)
    offsets_mm = np.concatenate(shells)
    step_of = np.repeat(np.arange(len(shells)), [len(shell) for shell in shells])

    # Whole cells of the evaluated grid make blocks that lean on few nodes; below four steps a
    # block would hold too few samples to be worth its own test.
    width_mm = np.array([np.ptp(a) / (a.size - 1) if a.size > 1 else np.inf for a in axes_e])
    width_mm *= np.maximum(1, np.ceil(4 * step_mm / width_mm))
    cells = np.floor(offsets_mm / width_mm + 1e-9).astype(np.int64)
    # Zones, each twice as wide as the one before, keep the search near first.
    zone = np.floor(np.log2(np.maximum(step_of, 0.5))).astype(np.int64)
    order = np.lexsort((step_of, *cells.T, zone))
    block = np.column_stack([zone, cells])[order]
    block_of = np.cumsum(np.any(np.diff(block, axis=0, prepend=-99), axis=1)) - 1
    nearest = step_of[order][np.unique(block_of, return_index=True)[1]]
    by_distance = np.argsort(nearest[block_of], kind="stable")
    order = order[by_distance]
    offsets_mm, step_of = offsets_mm[order], step_of[order]
    starts = np.flatnonzero(np.diff(block_of[by_distance], prepend=-1))
    lowest = np.minimum.reduceat(offsets_mm, starts)
    highest = np.maximum.reduceat(offsets_mm, starts)
    near_squared = (step_of / criterion.steps_per_distance) ** 2
    ends = np.append(starts, len(offsets_mm)).astype(np.int64)
    return offsets_mm, near_squared, ends, np.hstack([lowest, highest])


def _directions(n: int, n_dimensions: int) -> Floats:
    """Return unit vectors at most 1/n apart: two ends, a circle, or rings of a sphere."""
    if n_dimensions == 1:
        return np.array([[1.0], [-1.0]])
    if n_dimensions == 2:
        return _ring(2 * pi * n)
    polar = np.linspace(0.0, pi, ceil(pi * n) + 1)
    rings = []
    for angle in polar:
        ring = _ring(2 * pi * n * np.sin(angle)) * np.sin(angle)
        rings.append(np.column_stack([ring, np.full(len(ring), np.cos(angle))]))
    return np.concatenate(rings)


def _ring(length: float) -> Floats:
    """Return unit vectors around a circle, less than 1 apart along a circumference `length`."""
    count = ceil(length) + 1
    angle = np.arange(count) * (2 * pi / count)
    return np.column_stack([np.cos(angle), np.sin(angle)])
