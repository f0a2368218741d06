"""Point kernels as rings of cones: what the collapsed cone carries along each direction.

Energy released at a point in water is split into rings of equal energy about the photon's
direction. The energy of a ring that is deposited within a distance r is written as ::

    F(r) = 1 - (p (1 + b r) + q) exp(-b r) - (1 - p - q) exp(-g r)

an Erlang term, an exponential with the same constant, and a second exponential, with the total
fixed. It is what three amounts of energy carried along a line can do (see
`rerad.kernels.collapsed_cone`). A share may be negative: it then holds energy back, as the
electrons do that scattered photons set free.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import least_squares, nnls

from rerad.core import Spectrum
from rerad.core.arrays import frozen_array
from rerad.dosecalc.attenuation import released_energy_table
from rerad.dosecalc.point_kernels import load_point_kernels, polyenergetic_kernel
from rerad.errors import ComputationError, InputError

GOLDEN_TURN = 0.5 * (np.sqrt(5.0) - 1.0)
"""Azimuth of each ring against the one before, in turns of the angle between two cones."""

FIT_FROM_MM, FIT_TO_MM = 0.3, 400.0
"""Radii of water over which rings are fitted: from a tenth of a voxel to across a patient."""

SHARE_PENALTY = 1e-4
"""Misfit that a share of 1 counts for."""

PRIMARY_DEPTH_MM, SCATTER_DEPTH_MM = 5.0, 50.0
"""Depths in water at which the spectrum of the two kernels is taken. What hardening does to the
released energy is in the look-up; one kernel for all depths is an approximation. Against kernels
that harden (fields of 3 to 20 cm, down to 28 cm) it is within -0.4 to +0.9 % on the axis and -2 to
+4 % outside the field; with 5 mm for both, 0.5 % higher in the largest field and 5 % outside."""


@dataclass(frozen=True, slots=True)
class ConeSettings:
    """Numerical settings of the collapsed cone.

    Parameters
    ----------
    n_primary_rings, n_primary_azimuths : int
        Cones for the energy that charged particles of the first interaction carry.
    n_scatter_rings, n_scatter_azimuths : int
        Cones for all other energy.
    scatter_coarsening : int
        How many voxels along each axis make one of those on which scatter is transported.
    fluence_parts : int
        Points along each axis of a voxel over which incident fluence is averaged.
    least_density_g_cm3 : float
        Lighter voxels are treated as this heavy: about the density of air.
    """

    n_primary_rings: int = 8
    n_primary_azimuths: int = 16
    n_scatter_rings: int = 16
    n_scatter_azimuths: int = 16
    scatter_coarsening: int = 2
    fluence_parts: int = 2
    least_density_g_cm3: float = 0.001

    def __post_init__(self) -> None:
        counts = (
            self.n_primary_rings,
            self.n_primary_azimuths,
            self.n_scatter_rings,
            self.n_scatter_azimuths,
            self.scatter_coarsening,
            self.fluence_parts,
        )
        if min(counts) < 1 or self.least_density_g_cm3 <= 0:
            msg = (
                f"expected numbers of rings, azimuths and parts of at least 1, got {counts}, and "
                f"a least density above 0, got {self.least_density_g_cm3} g/cm3"
            )
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class RingSet:
    """Rings of equal energy about the direction of the photon.

    Parameters
    ----------
    cosine : ndarray of shape (N,)
        Energy-weighted mean of the cosine to the photon's direction, descending.
    log_slope : ndarray of shape (N,)
        Energy-weighted mean of d ln(energy per solid angle) / d cosine.
    rate_per_mm : ndarray of shape (N, 2)
        b and g of the fit, per mm of water.
    shares : ndarray of shape (N, 3)
        Energy that starts as first, second and third amount; they sum to 1.
    misfit : ndarray of shape (N,)
        Root mean square of fitted less tabulated F.
    n_azimuths : int
        Cones in each ring.
    """

    cosine: NDArray[np.float64]
    log_slope: NDArray[np.float64]
    rate_per_mm: NDArray[np.float64]
    shares: NDArray[np.float64]
    misfit: NDArray[np.float64]
    n_azimuths: int

    def __post_init__(self) -> None:
        for name in ("cosine", "log_slope", "rate_per_mm", "shares", "misfit"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))

    @property
    def n_rings(self) -> int:
        """Number of rings."""
        return len(self.cosine)

    def directions(self) -> NDArray[np.float64]:
        """Unit vectors about +z, shape (n_rings, n_azimuths, 3)."""
        ring = np.arange(self.n_rings)[:, None]
        turn = (np.arange(self.n_azimuths)[None, :] + (ring * GOLDEN_TURN) % 1.0) / self.n_azimuths
        sine = np.sqrt(1.0 - self.cosine**2)[:, None]
        angle = 2.0 * np.pi * turn
        cosine = np.broadcast_to(self.cosine[:, None], angle.shape)
        return np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=-1)

    def deposited(self, radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Share of each ring's energy deposited within `radius_mm` of water, shape (N, R)."""
        first, second, third = (self.shares[:, n, None] for n in range(3))
        t = self.rate_per_mm[:, :1] * radius_mm
        left = (first * (1.0 + t) + second) * np.exp(-t)
        return np.asarray(1.0 - left - third * np.exp(-self.rate_per_mm[:, 1:] * radius_mm))


@dataclass(frozen=True, eq=False, slots=True)
class ConeKernels:
    """All that the collapsed cone needs to know of a spectrum.

    Parameters
    ----------
    primary, scatter : RingSet
        Kernels of the two parts.
    released : ndarray of shape (D, 2)
        Energy released per mass, primary and scatter, in Gy per unit energy fluence at the
        surface, every 1 mm of water from 0.
    """

    primary: RingSet
    scatter: RingSet
    released: NDArray[np.float64]

    def __post_init__(self) -> None:
        object.__setattr__(self, "released", frozen_array(self.released, np.float64))


def cone_kernels(spectrum: Spectrum, settings: ConeSettings) -> ConeKernels:
    """Build the kernels of a spectrum from the point kernels that ship.

    It takes about a second; keep what it returns.

    Parameters
    ----------
    spectrum : Spectrum
        Of the machine's beam.
    settings : ConeSettings
        How many rings and azimuths.

    Returns
    -------
    ConeKernels
        Energy fluence is in MeV/mm².
    """
    near, far = (
        polyenergetic_kernel(load_point_kernels(), spectrum, depth)
        for depth in (PRIMARY_DEPTH_MM, SCATTER_DEPTH_MM)
    )
    # From ascending angles to ascending cosines.
    cosine = np.cos(np.deg2rad(near.polar_angle_deg))[::-1]
    released = released_energy_table(spectrum)
    return ConeKernels(
        primary=fit_rings(
            near.radius_mm,
            cosine,
            near.primary[:, ::-1],
            near.primary_escaped,
            n_rings=settings.n_primary_rings,
            n_azimuths=settings.n_primary_azimuths,
        ),
        scatter=fit_rings(
            far.radius_mm,
            cosine,
            far.scatter[:, ::-1],
            far.scatter_escaped,
            n_rings=settings.n_scatter_rings,
            n_azimuths=settings.n_scatter_azimuths,
        ),
        released=np.stack([released.primary, released.scatter], axis=-1),
    )


def fit_rings(
    radius_mm: NDArray[np.float64],
    cosine_edges: NDArray[np.float64],
    energy: NDArray[np.float64],
    escaped: float,
    *,
    n_rings: int,
    n_azimuths: int,
) -> RingSet:
    """Split a point kernel into rings of equal energy and fit each along its radius.

    Parameters
    ----------
    radius_mm : ndarray of shape (R + 1,)
        Edges of the radial shells in mm of water, ascending from 0.
    cosine_edges : ndarray of shape (T + 1,)
        Edges of the bins of the cosine to the photon's direction, ascending from -1 to 1.
    energy : ndarray of shape (R, T)
        Energy deposited in each bin, in any unit.
    escaped : float
        Energy that left the last shell; it is taken to fly as the energy of the last few shells.
    n_rings, n_azimuths : int
        Rings, and cones in each.

    Returns
    -------
    RingSet

    References
    ----------
    .. [1] Ahnesjö (1989), Med. Phys. 16, 577, doi:10.1118/1.596360.
    """
    if energy.shape != (len(radius_mm) - 1, len(cosine_edges) - 1):
        msg = f"expected a kernel of shape (shells, cosines), got {energy.shape}"
        raise InputError(msg)
    outermost = energy[-5:].sum(axis=0)
    if escaped > 0.0 and outermost.sum() > 0.0:
        beyond = escaped * outermost / outermost.sum()
    else:
        beyond = np.zeros_like(outermost)
    by_cosine = np.concatenate([[0.0], np.cumsum(energy.sum(axis=0) + beyond)])
    by_cosine /= by_cosine[-1]
    cumulative = PchipInterpolator(cosine_edges, by_cosine)
    # Fine steps of the cosine, denser forward, on which all means over a ring are taken.
    fine = 1.0 - np.concatenate([[0.0], np.geomspace(1e-6, 2.0, 8000)])[::-1]
    fine[0] = -1.0
    share = np.diff(cumulative(fine))
    middle = 0.5 * (fine[1:] + fine[:-1])
    edges = np.interp(np.linspace(1.0, 0.0, n_rings + 1), cumulative(fine), fine)
    density = _angular_density(cosine_edges, by_cosine)

    cosines, slopes, rates, parts, misfits = [], [], [], [], []
    for high, low in pairwise(edges):
        inside = np.clip(
            (np.minimum(fine[1:], high) - np.maximum(fine[:-1], low)) / np.diff(fine), 0.0, 1.0
        )
        cosines.append(np.average(middle, weights=share * inside))
        slopes.append((density(high) - density(low)) * n_rings)
        bins = np.diff(cumulative(np.clip(cosine_edges, low, high)))
        with np.errstate(invalid="ignore"):
            per_bin = np.where(np.diff(by_cosine) > 0, bins / np.diff(by_cosine), 0.0)
        within = np.concatenate([[0.0], np.cumsum(energy @ per_bin)])
        rate, shares, misfit = _fit_ring(
            radius_mm, within / (within[-1] + float(beyond @ per_bin))
        )
        rates.append(rate)
        parts.append(shares)
        misfits.append(misfit)
    return RingSet(
        cosine=np.array(cosines),
        log_slope=np.array(slopes),
        rate_per_mm=np.array(rates),
        shares=np.array(parts),
        misfit=np.array(misfits),
        n_azimuths=n_azimuths,
    )


def _angular_density(
    cosine_edges: NDArray[np.float64], by_cosine: NDArray[np.float64]
) -> PchipInterpolator:
    """Energy per cosine at any cosine, from its mean in bins."""
    mean = np.diff(by_cosine) / np.diff(cosine_edges)
    middle = 0.5 * (cosine_edges[1:] + cosine_edges[:-1])
    ends = 1.5 * mean[[0, -1]] - 0.5 * mean[[1, -2]]
    values = np.concatenate([[max(ends[0], 0.0)], mean, [ends[1]]])
    return PchipInterpolator(np.concatenate([[-1.0], middle, [1.0]]), values)


def _fit_ring(
    radius_mm: NDArray[np.float64], within: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Rates, shares and misfit of one ring; the shares sum to 1 and may be negative."""
    used = (radius_mm > FIT_FROM_MM) & (radius_mm < FIT_TO_MM)
    # Beyond where all is deposited there is nothing to fit; a few points hold the curve there.
    used[int(np.argmax(within > 0.9999)) + 3 :] &= within[-1] < 0.9999
    radius, left = radius_mm[used], 1.0 - within[used]
    half = float(np.interp(0.5, within, radius_mm))
    bounds = (np.log([0.2 / half, 0.05 / half]), np.log([50.0 / half, 300.0 / half]))
    best, rates, shares_of = np.inf, None, _shares_of_rates
    # Shares of 0 or more fit less well, but deposit energy everywhere whatever the rates.
    for way in (_shares_of_rates, _positive_shares_of_rates):
        for start in ((0.7, 10.0), (1.5, 0.3), (4.0, 0.7), (1.5, 40.0)):
            found = least_squares(
                lambda x, way=way: way(np.exp(x), radius, left)[1],
                np.log(np.array(start) / half),
                bounds=bounds,
                max_nfev=60,
            )
            candidate = np.exp(found.x)
            if found.cost < best and _is_deposited(
                candidate, way(candidate, radius, left)[0], radius
            ):
                best, rates, shares_of = found.cost, candidate, way
        if rates is not None:
            break
    if rates is None:
        msg = "no fit was found for a ring of the point kernels; check the kernels"
        raise ComputationError(msg)
    shares, misfit = shares_of(rates, radius, left)
    return rates, shares, float(np.sqrt(np.mean(misfit[:-2] ** 2)))


def _is_deposited(
    rates: NDArray[np.float64], shares: NDArray[np.float64], radius_mm: NDArray[np.float64]
) -> bool:
    """Return whether the fit takes energy away nowhere, but for a part in 10 000."""
    first, second, third = shares
    t = rates[0] * radius_mm
    main = rates[0] * (first * t + second) * np.exp(-t)
    density = main + rates[1] * third * np.exp(-rates[1] * radius_mm)
    return bool(np.all(density * radius_mm > -1e-4))


def _positive_shares_of_rates(
    rates: NDArray[np.float64], radius_mm: NDArray[np.float64], left: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `_shares_of_rates`, with shares of 0 or more."""
    t = rates[0] * radius_mm
    other = np.exp(-rates[1] * radius_mm)
    terms = np.stack([(1.0 + t) * np.exp(-t), np.exp(-t), other], axis=-1)
    shares, _ = nnls(terms, left)
    shares = shares / max(shares.sum(), 1e-12)
    return shares, np.concatenate([terms @ shares - left, np.zeros(2)])


def _shares_of_rates(
    rates: NDArray[np.float64], radius_mm: NDArray[np.float64], left: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Best shares for given rates; what of `left` the fit misses, and the penalty of shares."""
    t = rates[0] * radius_mm
    main, other = np.exp(-t), np.exp(-rates[1] * radius_mm)
    terms = np.stack([(1.0 + t) * main - other, main - other], axis=-1)
    aim = left - other
    # A slight preference for small shares: near-equal rates would else ask for huge ones.
    ridge = SHARE_PENALTY * np.sqrt(len(radius_mm)) * np.eye(2)
    first, second = np.linalg.solve(terms.T @ terms + ridge**2, terms.T @ aim)
    misfit = np.concatenate([terms @ [first, second] - aim, ridge @ [first, second]])
    return np.array([first, second, 1.0 - first - second]), misfit
