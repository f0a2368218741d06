"""Margins around masks and distances from them, exact in mm."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from rerad.core import Grid, Mask
from rerad.errors import InputError

INSIDE = 0.5
"""A voxel counts as inside if at least half of it is."""


@dataclass(frozen=True, slots=True)
class Margin6:
    """A margin of its own in each direction, in mm; all expand (>= 0) or all contract (<= 0).

    Parameters
    ----------
    left_mm, right_mm : float
        Towards the patient's left (+x) and right (-x).
    posterior_mm, anterior_mm : float
        Towards the back (+y) and the front (-y).
    superior_mm, inferior_mm : float
        Towards the head (+z) and the feet (-z).
    """

    left_mm: float
    right_mm: float
    posterior_mm: float
    anterior_mm: float
    superior_mm: float
    inferior_mm: float

    def __post_init__(self) -> None:
        values = np.array(self.values_mm)
        if not np.all(np.isfinite(values)) or (values.min() < 0 < values.max()):
            msg = (
                "expected six finite margins in mm, all expanding or all contracting, got "
                f"{self.values_mm}; apply expansion and contraction one after the other"
            )
            raise InputError(msg)

    @property
    def values_mm(self) -> tuple[float, float, float, float, float, float]:
        """Margins towards +x, -x, +y, -y, +z, -z."""
        return (
            self.left_mm,
            self.right_mm,
            self.posterior_mm,
            self.anterior_mm,
            self.superior_mm,
            self.inferior_mm,
        )

    @property
    def is_contraction(self) -> bool:
        """Whether the margin takes away."""
        return min(self.values_mm) < 0


def margin(mask: Mask, parent: Grid, margin_mm: float | Margin6) -> Mask:
    """Expand or contract a mask.

    A voxel is inside the expansion if its centre lies within the margin of the centre of a voxel
    inside; it is inside the contraction if it lies farther than the margin from every voxel
    outside. With six margins "within" means inside the ellipsoid whose half-axes, octant by
    octant, are the margins of that octant.

    Parameters
    ----------
    mask : Mask
        On a crop of `parent`; a voxel counts as inside if its share is at least half.
    parent : Grid
        Grid that bounds the result; outside it nothing is known and nothing is made.
    margin_mm : float or Margin6
        Above 0 expands, below 0 contracts, in mm.

    Returns
    -------
    Mask
        Shares of 0 or 1 on a crop of `parent`, named and of the kind of `mask`.

    Raises
    ------
    InputError
        If the margin is not finite, or nothing is left of a contraction.
    """
    six = margin_mm if isinstance(margin_mm, Margin6) else Margin6(*(float(margin_mm),) * 6)
    reach_mm = np.abs(six.values_mm)
    box = _grown_box(mask, parent, reach_mm)
    inside = np.zeros(box.shape, dtype=bool)
    inside[box.region_of(mask.grid)] = mask.fraction >= INSIDE
    if six.is_contraction:
        # The rim of the box is outside, even where the mask touches the edge of its parent.
        padded = np.pad(~inside, 1, constant_values=True)
        opposite = reach_mm[[1, 0, 3, 2, 5, 4]]
        result = ~_within(padded, box, opposite)[1:-1, 1:-1, 1:-1] & inside
    else:
        result = _within(inside, box, reach_mm)
    if not result.any():
        msg = f"{mask.name}: nothing is left after a margin of {margin_mm}"
        raise InputError(msg)
    return cropped(replace(mask, fraction=result.astype(np.float32), grid=box))


def distance_from(mask: Mask, grid: Grid) -> NDArray[np.float32]:
    """Return the distance of every voxel of a grid from a mask.

    Parameters
    ----------
    mask : Mask
        On a crop of `grid`; a voxel counts as inside if its share is at least half.
    grid : Grid
        Where distances are wanted.

    Returns
    -------
    ndarray of shape (K, J, I)
        Distance of voxel centres from the nearest centre inside, in mm; 0 inside, infinite if
        nothing is inside.
    """
    outside = mask.on(grid) < INSIDE
    if outside.all():
        return np.full(grid.shape, np.inf, dtype=np.float32)
    distance = distance_transform_edt(outside, sampling=grid.spacing_mm[::-1])
    return np.asarray(distance, dtype=np.float32)


def cropped(mask: Mask) -> Mask:
    """Return a mask on the smallest grid that holds every voxel of it with a share above 0."""
    held = mask.fraction > 0
    if not held.any():
        return mask
    spans = [np.flatnonzero(held.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    start = (int(spans[0][0]), int(spans[1][0]), int(spans[2][0]))
    stop = (int(spans[0][-1]) + 1, int(spans[1][-1]) + 1, int(spans[2][-1]) + 1)
    part = mask.fraction[start[0] : stop[0], start[1] : stop[1], start[2] : stop[2]]
    return replace(mask, fraction=part, grid=mask.grid.crop(start, stop))


def _grown_box(mask: Mask, parent: Grid, reach_mm: NDArray[np.float64]) -> Grid:
    """Return the crop of `parent` that holds the mask and everything within reach of it."""
    region = parent.region_of(mask.grid)
    steps = np.ceil(reach_mm.reshape(3, 2) / np.array(parent.spacing_mm)[:, None]).astype(int)
    up, down = steps[::-1, 0], steps[::-1, 1]
    start = [max(0, s.start - int(d)) for s, d in zip(region, down, strict=True)]
    stop = [min(n, s.stop + int(u)) for s, u, n in zip(region, up, parent.shape, strict=True)]
    return parent.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))


def _within(
    inside: NDArray[np.bool_], grid: Grid, reach_mm: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return the voxels within reach of a voxel inside, reach towards +x, -x, +y, -y, +z, -z."""
    if not inside.any():
        return inside
    spacing = np.array(grid.spacing_mm)[::-1]
    pairs = reach_mm.reshape(3, 2)[::-1]
    if np.all(pairs[:, 0] == pairs[:, 1]):
        # Measured in margins, the ellipsoid is the unit sphere.
        unit = spacing / np.maximum(pairs[:, 0], 1e-9)
        return np.asarray(distance_transform_edt(~inside, sampling=unit) <= 1 + 1e-6)
    result = inside.copy()
    for octant in np.ndindex(2, 2, 2):
        axes = np.array([pairs[axis, side] for axis, side in enumerate(octant)])
        signs = np.array([1 if side == 0 else -1 for side in octant])
        _spread(result, inside, axes / spacing, signs)
    return result


def _spread(
    result: NDArray[np.bool_],
    inside: NDArray[np.bool_],
    half_axes: NDArray[np.float64],
    signs: NDArray[np.int_],
) -> None:
    """Add to `result` every voxel that one octant of an ellipsoid reaches from a voxel inside."""
    safe = np.maximum(half_axes, 1e-9)
    n_steps = [int(n) + 1 for n in np.floor(half_axes + 1e-6)]
    steps = np.indices(n_steps).reshape(3, -1).T
    for step in steps[np.sum((steps / safe) ** 2, axis=1) <= 1 + 1e-6]:
        shift = step * signs
        target = tuple(
            slice(max(0, s), n + min(0, s)) for s, n in zip(shift, inside.shape, strict=True)
        )
        source = tuple(
            slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, inside.shape, strict=True)
        )
        result[target] |= inside[source]
