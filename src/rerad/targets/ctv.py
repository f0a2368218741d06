"""Clinical target volumes: along a nerve, and around vessels.

A tumour in a nerve spreads along it more than across it. The volume along a nerve is the tube
around its path, from a length before the gross tumour to a length behind it, with a radial margin
beyond the nerve's surface; bone and muscle, which it does not cross, are cut away, the gross
tumour never.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from rerad.core import Grid, Mask, NervePath, StructureKind
from rerad.errors import FrameMismatchError, InputError
from rerad.structures import margin, subtract, unite

_FINE_MM = 0.25
_PAD = 2


@dataclass(frozen=True, slots=True)
class NerveMargin:
    """How far a volume reaches along and around a nerve; the user's choice, without default.

    Parameters
    ----------
    towards_spine_mm, outward_mm : float
        Along the path beyond both ends of the gross tumour.
    radial_mm : float
        Beyond the surface of nerve and gross tumour.
    nerve_radius_mm : float
        Of the nerve where there is no gross tumour.

    Raises
    ------
    InputError
        If a length is negative or not finite, or the nerve has no radius.
    """

    towards_spine_mm: float
    outward_mm: float
    radial_mm: float
    nerve_radius_mm: float

    def __post_init__(self) -> None:
        values = (self.towards_spine_mm, self.outward_mm, self.radial_mm)
        is_bad = not np.all(np.isfinite(values)) or min(values) < 0 or not self.nerve_radius_mm > 0
        if is_bad:
            msg = f"expected margins of 0 mm or more and a nerve radius above 0 mm, got {self}"
            raise InputError(msg)


def tube_mask(
    path: NervePath, parent: Grid, radius_mm: float, *, span_mm: tuple[float, float], name: str
) -> Mask:
    """Return the tube around part of a path, with flat ends.

    Parameters
    ----------
    path : NervePath
        Centre line.
    parent : Grid
        Grid that bounds the result, in the path's frame.
    radius_mm : float
        Of the tube, above 0.
    span_mm : tuple of float
        Arc lengths where it begins and ends; cut at the ends of the path.
    name : str
        Of the mask.

    Returns
    -------
    Mask
        Shares of voxels, of kind OTHER, on a crop of `parent`.

    Raises
    ------
    InputError
        If the span is empty or no voxel lies in the tube.
    FrameMismatchError
        If path and grid lie in different frames.
    """
    if path.frame_uid != parent.frame_uid:
        msg = (
            f"{path.name}: expected a grid in frame {path.frame_uid}, got {parent.frame_uid}; "
            "register the two"
        )
        raise FrameMismatchError(msg)
    first, last = max(span_mm[0], 0.0), min(span_mm[1], path.length_mm)
    if not (last > first and radius_mm > 0):
        msg = (
            f"{path.name}: expected a tube with length and radius, got {span_mm} and "
            f"{radius_mm} mm"
        )
        raise InputError(msg)
    n = max(2, int((last - first) / _FINE_MM) + 1)
    line = path.at(np.linspace(first, last, n))
    box, points = _voxels_near(parent, line, radius_mm)
    distance, nearest = cKDTree(line).query(points.reshape(-1, 3))
    # Beyond a flat end the nearest point is the end itself, and the way to it leads outwards.
    away = points.reshape(-1, 3) - line[nearest]
    over = np.where(
        nearest == 0,
        -(away @ _unit(line[1] - line[0])),
        np.where(nearest == n - 1, away @ _unit(line[-1] - line[-2]), -np.inf),
    )
    voxel = float(np.cbrt(np.prod(parent.spacing_mm)))
    share = np.clip((radius_mm - distance) / voxel + 0.5, 0, 1)
    share = np.minimum(share, np.clip(0.5 - over / voxel, 0, 1)).reshape(box.shape)
    if not share.any():
        msg = f"{path.name}: no voxel of the grid lies in the tube; use a grid that covers it"
        raise InputError(msg)
    return Mask(name, StructureKind.OTHER, share.astype(np.float32), box)


def span_of(path: NervePath, volume: Mask, *, within_mm: float) -> tuple[float, float]:
    """Return the arc lengths over which a volume lies on a path.

    Parameters
    ----------
    path : NervePath
        Centre line.
    volume : Mask
        Such as the gross tumour.
    within_mm : float
        Voxels farther from the path are not counted.

    Raises
    ------
    InputError
        If none lies on the path.
    """
    points = volume.grid.points(np.argwhere(volume.fraction >= 0.5))
    if not len(points):
        msg = f"{volume.name}: expected voxels, got an empty volume"
        raise InputError(msg)
    distance, nearest = cKDTree(path.points_mm).query(points)
    arc = path.arc_mm[nearest[distance <= within_mm]]
    if not len(arc):
        msg = (
            f"{volume.name}: lies nowhere within {within_mm:g} mm of {path.name}; name the nerve "
            "that it is in"
        )
        raise InputError(msg)
    return float(arc.min()), float(arc.max())


def nerve_ctv(
    gtv: Mask,
    paths: Sequence[NervePath],
    parent: Grid,
    extent: NerveMargin,
    *,
    cut_at: Sequence[Mask] = (),
    name: str = "CTV",
) -> Mask:
    """Make the clinical target volume of gross tumour in nerves.

    Parameters
    ----------
    gtv : Mask
        Gross tumour on a crop of `parent`.
    paths : sequence of NervePath
        The nerves that it is in; each is followed on both sides of it.
    parent : Grid
        Grid that bounds the result.
    extent : NerveMargin
        Lengths along and around.
    cut_at : sequence of Mask
        Bone and muscle, on crops of `parent`.
    name : str
        Of the result.

    Returns
    -------
    Mask
        Of kind CTV; holds all of the gross tumour.

    Raises
    ------
    InputError
        If no path is given or the gross tumour lies on none of one's voxels.
    """
    if not paths:
        msg = f"{name}: expected the path of a nerve to follow, got none"
        raise InputError(msg)
    around = margin(gtv, parent, extent.radial_mm) if extent.radial_mm > 0 else gtv
    reach_mm = extent.nerve_radius_mm + extent.radial_mm
    for path in paths:
        first, last = span_of(path, gtv, within_mm=max(2 * extent.nerve_radius_mm, 6.0))
        span = (first - extent.towards_spine_mm, last + extent.outward_mm)
        around = unite(around, tube_mask(path, parent, reach_mm, span_mm=span, name=name))
    return replace(_cut(around, gtv, cut_at), name=name, kind=StructureKind.CTV)


def nodal_ctv(
    vessels: Sequence[Mask],
    parent: Grid,
    margin_mm: float,
    *,
    cut_at: Sequence[Mask] = (),
    name: str = "CTVn",
) -> Mask:
    """Make the nodal target volume around vessels.

    Parameters
    ----------
    vessels : sequence of Mask
        Contoured vessels on crops of `parent`.
    parent : Grid
        Grid that bounds the result.
    margin_mm : float
        Around the vessels; the user's choice.
    cut_at : sequence of Mask
        Bone, muscle and bowel; vessels themselves are kept.
    name : str
        Of the result.

    Raises
    ------
    InputError
        If no vessel is given or the margin is not above 0.
    """
    if not vessels or not margin_mm > 0:
        msg = f"{name}: expected vessels and a margin above 0 mm, got {len(vessels)}, {margin_mm}"
        raise InputError(msg)
    together = vessels[0]
    for vessel in vessels[1:]:
        together = unite(together, vessel)
    grown = margin(together, parent, margin_mm)
    return replace(_cut(grown, together, cut_at), name=name, kind=StructureKind.CTV)


def _cut(volume: Mask, kept: Mask, cut_at: Sequence[Mask]) -> Mask:
    """Return a volume without others, but with what must be kept."""
    for other in cut_at:
        volume = subtract(volume, other)
    return unite(volume, kept)


def _unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector))


def _voxels_near(
    parent: Grid, line: NDArray[np.float64], radius_mm: float
) -> tuple[Grid, NDArray[np.float64]]:
    """Return the crop of a grid around a line, and its voxel centres (K, J, I, 3)."""
    low = np.floor(parent.indices(line.min(axis=0) - radius_mm)).astype(int) - _PAD
    high = np.ceil(parent.indices(line.max(axis=0) + radius_mm)).astype(int) + _PAD + 1
    a = np.clip(low, 0, np.asarray(parent.shape) - 1)
    b = np.clip(high, a + 1, parent.shape)
    box = parent.crop((int(a[0]), int(a[1]), int(a[2])), (int(b[0]), int(b[1]), int(b[2])))
    kji = np.stack(np.meshgrid(*(np.arange(n) for n in box.shape), indexing="ij"), axis=-1)
    return box, box.points(kji)
