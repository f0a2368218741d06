"""Dose-volume histograms without bins.

The dose is interpolated trilinearly at points spread over the structure
(:func:`rerad.structures.sample_structure`), each with its own volume; the points are sorted by
dose and that is the histogram. Nothing is rounded to a bin and nothing depends on where the dose
grid happens to lie.

Between the outermost voxel centres and the outer faces of the voxels, half a voxel, the outermost
voxel's dose holds; beyond the faces the dose is unknown. The border between known and unknown
voxels is read the same way: a point within a known voxel has the dose of its known neighbours, a
point within an unknown voxel has none. Unknown volume is counted and never taken for zero: see
:class:`Dvh`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Mask, Structure, describe_quantity
from rerad.core.arrays import frozen_array
from rerad.errors import FrameMismatchError, InputError
from rerad.kernels.interpolate import sample_trilinear
from rerad.structures import EndSlab, sample_structure

NEGLIGIBLE_UNKNOWN = 1e-3
"""Share of a volume that may be unknown without any metric being withheld."""

_FACE = 0.5 + 1e-6

_CHUNK = 2**18


@dataclass(frozen=True, eq=False, slots=True)
class Dvh:
    """A dose-volume histogram: every point of a structure, sorted by dose.

    Where part of the volume has no known dose (`unknown_fraction` above 0), the mean, lowest and
    highest dose and the curve are those of the known part. A dose at a volume, or a volume at a
    dose, is then only known to lie between bounds: the unknown part could hold anything from no
    dose to more than all the rest. If more than `NEGLIGIBLE_UNKNOWN` of the volume is unknown
    and the bounds differ, the answer is NaN; the bounds themselves can be asked for.

    Parameters
    ----------
    name : str
        Name of the structure.
    quantity : str
        What the dose is, in words, with its alpha/beta.
    dose_gy : ndarray of shape (n,)
        Known doses, rising.
    point_volume_cc : ndarray of shape (n,)
        Volume that each dose stands for.
    unknown_fraction : float
        Share of the volume whose dose is unknown, 0 to 1.
    volume_cc : float
        Volume of the structure, known and unknown, above 0.
    """

    name: str
    quantity: str
    dose_gy: NDArray[np.float64]
    point_volume_cc: NDArray[np.float64]
    unknown_fraction: float
    volume_cc: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "dose_gy", frozen_array(self.dose_gy, np.float64))
        object.__setattr__(self, "point_volume_cc", frozen_array(self.point_volume_cc, np.float64))
        if self.dose_gy.shape != self.point_volume_cc.shape or self.dose_gy.ndim != 1:
            msg = f"{self.name}: expected as many doses as volumes"
            raise InputError(msg)
        if np.any(np.diff(self.dose_gy) < 0):
            msg = f"{self.name}: expected doses in rising order"
            raise InputError(msg)
        if not self.volume_cc > 0:
            msg = f"{self.name}: expected a volume above 0 cc, got {self.volume_cc}"
            raise InputError(msg)

    @property
    def unknown_cc(self) -> float:
        """Volume whose dose is unknown."""
        return self.unknown_fraction * self.volume_cc

    @property
    def is_complete(self) -> bool:
        """Whether no more than a negligible part is unknown."""
        return self.unknown_fraction <= NEGLIGIBLE_UNKNOWN

    @property
    def mean_gy(self) -> float:
        """Mean dose of the known part; NaN if nothing is known."""
        if not len(self.dose_gy):
            return float("nan")
        return float(np.average(self.dose_gy, weights=self.point_volume_cc))

    @property
    def min_gy(self) -> float:
        """Lowest dose of the known part; NaN if nothing is known."""
        return float(self.dose_gy[0]) if len(self.dose_gy) else float("nan")

    @property
    def max_gy(self) -> float:
        """Highest dose of the known part; NaN if nothing is known."""
        return float(self.dose_gy[-1]) if len(self.dose_gy) else float("nan")

    def dose_at_volume(self, *, percent: float | None = None, cc: float | None = None) -> float:
        """Return the lowest dose of the hottest part of a given size.

        Parameters
        ----------
        percent, cc : float
            Exactly one: size of the hottest part, in percent of the volume (above 0, at most 100)
            or in cc (above 0).

        Returns
        -------
        float
            Dose in Gy. NaN if the structure is smaller than `cc`, and if an unknown part could
            change the answer.

        Raises
        ------
        InputError
            If not exactly one size is given, or it is out of range.
        """
        low, high = self.dose_at_volume_bounds(percent=percent, cc=cc)
        if low == high or np.isnan(low) or not self.is_complete:
            return low if low == high else float("nan")
        known = 1.0 if cc is not None else 1 - self.unknown_fraction
        return self._dose_of_hottest(self._size_cc(percent, cc) * known)

    def dose_at_volume_bounds(
        self, *, percent: float | None = None, cc: float | None = None
    ) -> tuple[float, float]:
        """Return the lowest and the highest that a dose at a volume can be.

        Parameters
        ----------
        percent, cc : float
            As for :meth:`dose_at_volume`.

        Returns
        -------
        low, high : float
            With the unknown part at no dose, and hotter than everything known (infinite if the
            unknown part alone is that large). Equal if nothing is unknown. NaN if the structure is
            smaller than `cc`.
        """
        size_cc = self._size_cc(percent, cc)
        if size_cc > self.volume_cc * (1 + 1e-9):
            return float("nan"), float("nan")
        known_cc = self.volume_cc - self.unknown_cc
        low = self._dose_of_hottest(size_cc) if size_cc <= known_cc * (1 + 1e-9) else 0.0
        if self.unknown_fraction == 0:
            return low, low
        rest_cc = size_cc - self.unknown_cc
        return low, self._dose_of_hottest(rest_cc) if rest_cc > 0 else float("inf")

    def volume_at_dose(self, dose_gy: float) -> float:
        """Return the volume in cc that receives at least `dose_gy`.

        NaN if more than a negligible part of the volume is unknown.
        """
        low, high = self.volume_at_dose_bounds(dose_gy)
        return low if low == high or self.is_complete else float("nan")

    def volume_at_dose_bounds(self, dose_gy: float) -> tuple[float, float]:
        """Return the smallest and largest volume in cc that can receive at least `dose_gy`."""
        if not dose_gy >= 0:
            msg = f"{self.name}: expected a dose of 0 Gy or more, got {dose_gy}"
            raise InputError(msg)
        if dose_gy == 0:
            return self.volume_cc, self.volume_cc
        first = int(np.searchsorted(self.dose_gy, dose_gy, side="left"))
        low = float(np.sum(self.point_volume_cc[first:]))
        return low, low + self.unknown_cc

    def percent_at_dose(self, dose_gy: float) -> float:
        """Return the percentage of the volume that receives at least `dose_gy`."""
        return 100 * self.volume_at_dose(dose_gy) / self.volume_cc

    def generalized_mean_gy(self, exponent: float) -> float:
        r"""Return the generalised equivalent uniform dose of the known part.

        .. math:: \mathrm{gEUD} = \left( \sum_i v_i d_i^a \right)^{1/a}

        Parameters
        ----------
        exponent : float
            The a above, not 0: large for serial organs, 1 for the mean, negative for targets.

        References
        ----------
        .. [1] Niemierko (1999), Med. Phys. 26, 1100 (abstract); Wu et al. (2002), Int. J. Radiat.
           Oncol. Biol. Phys. 52, 224, doi:10.1016/S0360-3016(01)02585-8.
        """
        if exponent == 0 or not np.isfinite(exponent):
            msg = f"expected an exponent other than 0 for gEUD, got {exponent}"
            raise InputError(msg)
        if not len(self.dose_gy) or (exponent < 0 and self.min_gy <= 0):
            return 0.0 if len(self.dose_gy) else float("nan")
        # Scaled by the largest term, so that high powers do not overflow.
        scale = self.max_gy if exponent > 0 else self.min_gy
        if scale == 0:
            return 0.0
        powers = (self.dose_gy / scale) ** exponent
        mean = float(np.average(powers, weights=self.point_volume_cc))
        return float(scale * mean ** (1 / exponent))

    def scaled(self, factor: float) -> "Dvh":
        """Return the histogram of the same dose times a factor of 0 or more.

        Raises
        ------
        InputError
            If `factor` is negative or not finite.
        """
        if not 0 <= factor < np.inf:
            msg = f"{self.name}: expected a dose factor of 0 or more, got {factor}"
            raise InputError(msg)
        return replace(self, dose_gy=self.dose_gy * factor)

    def curve(self, n: int = 400) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the cumulative histogram for drawing.

        Parameters
        ----------
        n : int
            Number of points, at least 2.

        Returns
        -------
        dose_gy, percent : ndarray of shape (n,)
            Doses from 0 to the highest, and the percentage of the known volume that receives at
            least that dose.
        """
        if not len(self.dose_gy):
            return np.zeros(n), np.full(n, np.nan)
        doses = np.linspace(0, self.max_gy, n)
        above = np.concatenate([np.cumsum(self.point_volume_cc[::-1])[::-1], [0.0]])
        first = np.searchsorted(self.dose_gy, doses, side="left")
        return doses, 100 * above[first] / above[0]

    def _size_cc(self, percent: float | None, cc: float | None) -> float:
        """Return the size asked for in cc."""
        if (percent is None) == (cc is None):
            msg = f"{self.name}: give exactly one of percent and cc"
            raise InputError(msg)
        if cc is not None:
            if not cc > 0:
                msg = f"{self.name}: expected a volume above 0 cc, got {cc}"
                raise InputError(msg)
            return cc
        if percent is None or not 0 < percent <= 100:
            msg = f"{self.name}: expected a volume above 0 and up to 100 %, got {percent}"
            raise InputError(msg)
        return self.volume_cc * percent / 100

    def _dose_of_hottest(self, size_cc: float) -> float:
        """Return the lowest dose of the hottest `size_cc` of the known part."""
        if not len(self.dose_gy):
            return float("nan")
        hottest_first = self.point_volume_cc[::-1]
        # Each point stands for its volume from half before to half after its place in the order.
        place_cc = np.cumsum(hottest_first) - hottest_first / 2
        return float(np.interp(size_cc, place_cc, self.dose_gy[::-1]))


def dvh(dose: Dose, structure: Structure | Mask, *, end_slab: EndSlab = EndSlab.FLAT) -> Dvh:
    """Make the dose-volume histogram of a structure.

    Parameters
    ----------
    dose : Dose
        Any quantity.
    structure : Structure or Mask
        In the dose's frame of reference. Contours are sampled finely; of a mask, every voxel
        counts with its share at the dose of its centre, which is coarse for small volumes.
    end_slab : EndSlab
        How far a stack of contours reaches beyond its ends; without meaning for a mask.

    Returns
    -------
    Dvh
        Sorted doses and volumes, with the share that is unknown.

    Raises
    ------
    FrameMismatchError
        If structure and dose are in different frames of reference.
    InputError
        If the structure is empty.
    """
    frame_uid = structure.grid.frame_uid if isinstance(structure, Mask) else structure.frame_uid
    if frame_uid != dose.grid.frame_uid:
        msg = (
            f"DVH of {structure.name}: expected a dose in frame of reference {frame_uid}, got one "
            f"in {dose.grid.frame_uid}; map the dose through a registration first"
        )
        raise FrameMismatchError(msg)
    points_mm, volumes_cc = points_of(structure, end_slab=end_slab)
    return dvh_of_points(
        structure.name, describe_quantity(dose), dose_at(dose, points_mm), volumes_cc
    )


def points_of(
    structure: Structure | Mask, *, end_slab: EndSlab = EndSlab.FLAT
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the points that stand for a structure in a histogram, and the volume of each.

    Parameters
    ----------
    structure : Structure or Mask
        Contours are sampled finely; of a mask, the centres of its voxels.
    end_slab : EndSlab
        How far a stack of contours reaches beyond its ends; without meaning for a mask.

    Returns
    -------
    points_mm : ndarray of shape (n, 3)
    volumes_cc : ndarray of shape (n,)
    """
    if isinstance(structure, Mask):
        return _mask_points(structure)
    samples = sample_structure(structure, end_slab=end_slab)
    return samples.points_mm, samples.volumes_cc


def dvh_of_points(
    name: str,
    quantity: str,
    values_gy: NDArray[np.float32],
    volumes_cc: NDArray[np.float64],
) -> Dvh:
    """Make a histogram of doses read before at the points of a structure.

    Parameters
    ----------
    name, quantity : str
        Of the structure, and what the dose is.
    values_gy : ndarray of shape (n,)
        Dose at each point; NaN where it is unknown.
    volumes_cc : ndarray of shape (n,)
        Volume that each point stands for.

    Raises
    ------
    InputError
        If the points have no volume.
    """
    is_known = np.isfinite(values_gy)
    total_cc = float(np.sum(volumes_cc))
    if total_cc <= 0:
        msg = f"DVH of {name}: expected a volume above 0 cc, got an empty structure"
        raise InputError(msg)
    unknown_cc = float(np.sum(volumes_cc, where=~is_known))
    if unknown_cc > 0:
        values_gy, volumes_cc = values_gy[is_known], volumes_cc[is_known]
    order = _rising_order(values_gy.astype(np.float32, copy=False))
    return Dvh(
        name=name,
        quantity=quantity,
        dose_gy=values_gy[order].astype(np.float64),
        point_volume_cc=volumes_cc[order],
        unknown_fraction=unknown_cc / total_cc,
        volume_cc=total_cc,
    )


def _rising_order(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the order of rising dose; equal doses keep their order.

    The bits of floats of 0 or more rise with their value, so dose and place together are one
    whole number, and whole numbers are sorted several times faster than places by a key.
    """
    bits = np.maximum(values, np.float32(0)).view(np.uint32).astype(np.uint64)
    keys = np.sort((bits << np.uint64(32)) | np.arange(len(values), dtype=np.uint64))
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def dose_at(dose: Dose, points_mm: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the dose at points, read as a histogram reads it.

    Parameters
    ----------
    dose : Dose
        Any quantity.
    points_mm : ndarray of shape (n, 3)
        In the dose's frame.

    Returns
    -------
    ndarray of shape (n,)
        Interpolated trilinearly; the outermost voxels hold up to their faces, NaN beyond them and
        within unknown voxels.
    """
    last = np.asarray(dose.grid.shape) - 1.0
    values = np.empty(len(points_mm), dtype=np.float32)
    for start in range(0, len(points_mm), _CHUNK):
        indices = dose.grid.indices(points_mm[start : start + _CHUNK])
        inside = np.clip(indices, 0.0, last)
        part = sample_trilinear(dose.values, inside)
        at_border = np.flatnonzero(np.isnan(part))
        if len(at_border):
            part[at_border] = _beside_unknown(dose.values, inside[at_border])
        beyond = np.abs(indices - inside) > _FACE
        part[beyond[:, 0] | beyond[:, 1] | beyond[:, 2]] = np.nan
        values[start : start + _CHUNK] = part
    return values


def _beside_unknown(
    values: NDArray[np.float32], indices: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return the dose at points that lean on an unknown voxel, from their known neighbours alone.

    NaN where the voxel that a point lies in is unknown.
    """
    below = np.minimum(np.floor(indices).astype(int), np.maximum(np.array(values.shape) - 2, 0))
    above = np.minimum(below + 1, np.array(values.shape) - 1)
    weight = indices - below
    total, known = np.zeros(len(indices)), np.zeros(len(indices))
    for corner in np.ndindex(2, 2, 2):
        is_above = np.array(corner, dtype=bool)
        k, j, i = np.where(is_above, above, below).T
        share = np.prod(np.where(is_above, weight, 1.0 - weight), axis=1)
        value = values[k, j, i]
        is_known = np.isfinite(value)
        total += np.where(is_known, share * np.nan_to_num(value), 0.0)
        known += np.where(is_known, share, 0.0)
    k, j, i = np.rint(indices).astype(int).T
    with np.errstate(invalid="ignore", divide="ignore"):
        found = np.where(np.isfinite(values[k, j, i]), total / known, np.nan)
    return found.astype(np.float32)


def _mask_points(mask: Mask) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centres of a mask's voxels and the volumes inside."""
    inside = np.argwhere(mask.fraction > 0)
    shares = mask.fraction[mask.fraction > 0].astype(np.float64)
    return mask.grid.points(inside), shares * mask.grid.voxel_volume_cc
