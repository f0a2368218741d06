"""The pencil kernel as a few separable components, scaled to monitor units.

A pencil of unit fluence (per mm² of the isocentre plane) gives a point at radiological depth d,
at distance L from the source and r from the pencil (r measured at the isocentre plane) the dose
``K(d, r m)`` with the magnification ``m = L / SAD``. All kernels ``m² K(d, r m)`` that can occur
are approximated by a few common radial functions::

    m² K(d, r m) = sum_c w_c(d, m) k_c(r)

so that a beam needs one convolution per component, whatever its number of voxels (Bortfeld 1993,
extended here from depth alone to depth and magnification, so that divergence is not neglected).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter, map_coordinates

from rerad.core import Machine
from rerad.errors import InputError

DEPTH_STEP_MM = 1.0
"""Spacing of the depth table; kernels between rows are interpolated linearly."""

DEPTH_END_MM = 900.0
"""Last row of the depth table: longer than any path through a patient."""

MAGNIFICATIONS = np.linspace(0.6, 1.5, 19)
"""Distances from the source over SAD for which kernels are tabulated; it covers 600 to 1500 mm
for a SAD of 1000 mm. Linear interpolation between them costs less than 0.05 %."""

N_SHELLS = 160
"""Radial shells of the components."""


@dataclass(frozen=True, slots=True)
class FluenceBlur:
    """Blur of the open fluence: a narrow Gaussian from the focal spot, a broad one from the head.

    Parameters
    ----------
    focal_sigma_mm : tuple of float
        Standard deviations along x and y at the isocentre plane.
    head_share : float
        Weight of the broad Gaussian; the narrow one has the rest.
    head_sigma_mm : float
        Standard deviation of the broad one.
    """

    focal_sigma_mm: tuple[float, float]
    head_share: float
    head_sigma_mm: float

    @classmethod
    def of(cls, machine: Machine) -> "FluenceBlur":
        """Return the blur of a machine's beam."""
        beam = machine.beam
        return cls(beam.focal_sigma_mm, beam.head_scatter.share, beam.head_scatter.sigma_mm)

    def response(self, f_x: NDArray[np.float64], f_y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fourier transform at frequencies per mm."""
        along_x, along_y = (np.pi * sigma for sigma in self.focal_sigma_mm)
        focal = np.exp(-2.0 * ((along_x * f_x) ** 2 + (along_y * f_y) ** 2))
        head = np.exp(-2.0 * (np.pi * self.head_sigma_mm) ** 2 * (f_x**2 + f_y**2))
        return np.asarray((1.0 - self.head_share) * focal + self.head_share * head)


@dataclass(frozen=True, eq=False, slots=True)
class KernelComponents:
    """Separable form of a machine's pencil kernel, in Gy per MU.

    Parameters
    ----------
    radius_mm : ndarray of shape (S + 1,)
        Shell edges at the isocentre plane.
    shell_dose : ndarray of shape (C, S)
        Components: mean over each shell, per mm² of open fluence.
    weights : ndarray of shape (D, M, C)
        Gy per MU by depth (every `DEPTH_STEP_MM` from 0) and magnification
        (`MAGNIFICATIONS`); the inverse square ``1 / m²`` is in them.
    blur : FluenceBlur
        By how much edges of the fluence are blurred.
    """

    radius_mm: NDArray[np.float64]
    shell_dose: NDArray[np.float64]
    weights: NDArray[np.float64]
    blur: FluenceBlur

    @property
    def n_components(self) -> int:
        """Number of components."""
        return len(self.shell_dose)


def cumulative_kernel(
    machine: Machine, depth_mm: NDArray[np.float64], radius_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Integrate the pencil kernel over discs.

    Between tabulated depths the disc integrals are interpolated monotonically; beyond the last
    they fall exponentially as between the last two rows that are 50 mm or more apart.

    Parameters
    ----------
    machine : Machine
        Whose kernel.
    depth_mm : ndarray of shape (D,)
        Radiological depths, 0 or more.
    radius_mm : ndarray of shape (R,)
        Disc radii, 0 or more; beyond the last shell the integral stays constant.

    Returns
    -------
    ndarray of shape (D, R)
        ``integral of K(d, r) 2 pi r dr from 0 to R``, in the kernel's own unit.
    """
    kernel = machine.beam.kernel
    area = np.pi * np.diff(kernel.radius_mm**2)
    discs = np.concatenate(
        [np.zeros((len(kernel.depth_mm), 1)), np.cumsum(kernel.dose * area, axis=1)], axis=1
    )
    last = kernel.depth_mm[-1]
    by_depth = PchipInterpolator(kernel.depth_mm, discs, axis=0)(
        np.clip(depth_mm, kernel.depth_mm[0], last)
    )
    before = max(int(np.searchsorted(kernel.depth_mm, last - 50.0, side="right")) - 1, 0)
    slope = np.zeros(discs.shape[1])
    slope[1:] = np.log(discs[-1, 1:] / discs[before, 1:]) / (last - kernel.depth_mm[before])
    by_depth *= np.exp(np.minimum(slope, 0.0) * np.maximum(depth_mm - last, 0.0)[:, None])

    # The kernel falls about as 1/r near the axis, so discs grow about linearly with r there
    # and slowly far out: smooth in this coordinate at both ends.
    x_table = np.log1p(kernel.radius_mm)
    x = np.log1p(np.minimum(radius_mm, kernel.radius_mm[-1]))
    return np.asarray(PchipInterpolator(x_table, by_depth, axis=1)(x))


def on_axis_dose_per_fluence(machine: Machine) -> float:
    """Integrate the kernel over the open reference field, in the kernel's own unit.

    The point lies on the axis, so the square field enters as the share of each circle that it
    holds; no raster is involved, which makes this the yardstick of the raster engine. Only head
    scatter, which is smooth, is taken from a raster. Electrons do not reach the depth.

    Parameters
    ----------
    machine : Machine
        Whose reference condition.
    """
    reference, beam = machine.reference, machine.beam
    magnification = (reference.ssd_mm + reference.depth_mm) / machine.sad_mm
    half = 0.5 * reference.field_mm
    head = beam.head_scatter
    reach = half * np.sqrt(2.0) if head.share == 0 else half * np.sqrt(2.0) + 4.0 * head.sigma_mm
    radius = np.linspace(0.0, reach, 20001)
    depth = reference.depth_mm * float(np.interp(0.0, *_depth_scale(machine)))
    discs = cumulative_kernel(machine, np.array([depth]), radius * magnification)[0]
    middle = 0.5 * (radius[1:] + radius[:-1])
    share = np.ones_like(middle)
    corner = middle > half
    share[corner] = 1.0 - 4.0 / np.pi * np.arccos(half / middle[corner])
    share[middle > half * np.sqrt(2.0)] = 0.0
    fluence = share * np.interp(middle, beam.off_axis_radius_mm, beam.off_axis_ratio)
    if head.share > 0:
        fluence = (1.0 - head.share) * fluence + head.share * _head_scatter_rings(machine, middle)
    return float(np.sum(np.diff(discs) * fluence) / magnification**2)


def _depth_scale(machine: Machine) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radius and scale of the radiological depth."""
    return machine.beam.off_axis_radius_mm, machine.beam.off_axis_depth_scale


def _head_scatter_rings(
    machine: Machine, radius_mm: NDArray[np.float64], *, cell_mm: float = 2.0
) -> NDArray[np.float64]:
    """Mean over circles of the open reference field blurred as head scatter is."""
    beam = machine.beam
    half = 0.5 * machine.reference.field_mm
    n = int(np.ceil((radius_mm[-1] + cell_mm) / cell_mm))
    centre = cell_mm * np.arange(-n, n + 1)
    covered = np.clip((half - np.abs(centre)) / cell_mm + 0.5, 0.0, 1.0)
    field = np.outer(covered, covered) * np.interp(
        np.hypot(centre[:, None], centre), beam.off_axis_radius_mm, beam.off_axis_ratio
    )
    blurred = gaussian_filter(
        field, beam.head_scatter.sigma_mm / cell_mm, mode="constant", truncate=6.0
    )
    coarse = np.linspace(0.0, radius_mm[-1], 400)
    angle = 2.0 * np.pi * (np.arange(90) + 0.5) / 90
    x = coarse[:, None] * np.cos(angle) / cell_mm + n
    y = coarse[:, None] * np.sin(angle) / cell_mm + n
    rings = map_coordinates(blurred, [y, x], order=1, mode="constant").mean(axis=1)
    return np.asarray(np.interp(radius_mm, coarse, rings))


def _electron_discs(
    machine: Machine, depth_mm: NDArray[np.float64], radius_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Disc integrals of the electron contamination, per unit dose under the reference condition.

    Shape (D, R); inverse square apart, for which the surface of the reference condition counts.
    """
    electrons, reference = machine.beam.electrons, machine.reference
    distance = (reference.ssd_mm + reference.depth_mm) / machine.sad_mm
    fall = electrons.surface_share * distance**2 * np.exp(-depth_mm / electrons.depth_mm)
    inside = 1.0 - np.exp(-0.5 * (radius_mm / electrons.sigma_mm) ** 2)
    return np.asarray(fall[:, None] * inside)


def decompose_kernel(
    machine: Machine,
    *,
    n_components: int,
    used: NDArray[np.bool_] | None = None,
) -> KernelComponents:
    """Separate a machine's kernel and scale it so that the reference condition holds.

    Parameters
    ----------
    machine : Machine
        Beam data.
    n_components : int
        Terms of the singular value decomposition.
    used : ndarray of bool, shape (D, M), optional
        Which pairs of depth (`kernel_depths`) and magnification (`MAGNIFICATIONS`) occur; the
        others are then hardly cared for. All by default.

    Returns
    -------
    KernelComponents
        In Gy per MU.

    Raises
    ------
    InputError
        If there are fewer than one or more than 16 components.

    References
    ----------
    .. [1] Bortfeld, Schlegel & Rhein (1993), Med. Phys. 20, 311, doi:10.1118/1.597070.
    """
    if not 1 <= n_components <= 16:
        msg = f"expected 1 to 16 kernel components, got {n_components}"
        raise InputError(msg)
    radius = np.concatenate(
        [[0.0], np.geomspace(0.1, machine.beam.kernel.radius_mm[-1], N_SHELLS)]
    )
    depth = kernel_depths(machine)
    discs = np.stack([cumulative_kernel(machine, depth, radius * m) for m in MAGNIFICATIONS], 1)
    per_fluence = on_axis_dose_per_fluence(machine)
    discs += per_fluence * _electron_discs(machine, depth, radius)[:, None]

    # What counts is the dose of fields, so disc integrals are approximated, not shells; each
    # kernel is scaled to unit energy, so that all depths are approximated equally well.
    total = discs[:, :, -1:]
    relative = discs / total * _radius_weight(radius)
    rows = relative * _magnification_weight()
    if used is not None:
        rows *= np.where(used, 1.0, 0.02)[:, :, None]
    # Right singular vectors from the small Gram matrix: the same to 1e-8, many times faster.
    rows = rows.reshape(-1, len(radius))
    basis = np.linalg.eigh(rows.T @ rows)[1][:, ::-1].T[:n_components]
    scale = machine.reference.dose_per_mu_gy / per_fluence
    weights = scale * (relative @ basis.T) * total / MAGNIFICATIONS[None, :, None] ** 2
    table_depth = np.arange(0.0, DEPTH_END_MM + DEPTH_STEP_MM, DEPTH_STEP_MM)
    table = PchipInterpolator(depth, weights, axis=0)(np.maximum(table_depth, depth[0]))
    shells = np.diff(basis / _radius_weight(radius), axis=1) / (np.pi * np.diff(radius**2))
    return KernelComponents(
        radius_mm=radius,
        shell_dose=shells,
        weights=np.ascontiguousarray(table),
        blur=FluenceBlur.of(machine),
    )


def kernel_depths(machine: Machine) -> NDArray[np.float64]:
    """Return the depths at which kernels are decomposed: as tabulated, then every 25 mm."""
    known = machine.beam.kernel.depth_mm
    return np.concatenate([known, np.arange(known[-1] + 25.0, DEPTH_END_MM + 25.0, 25.0)])


def _radius_weight(radius_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much the decomposition cares for a disc: little for those lost in the blur."""
    return np.where(radius_mm < 1.0, 0.3, 1.0)


def _magnification_weight() -> NDArray[np.float64]:
    """How much the decomposition cares for a magnification, shape (M, 1).

    Less for points far from the isocentre: what is tabulated there only has to be sane. All depths
    count alike; they are dense near the surface, where electrons make kernels unlike the others.
    """
    return np.asarray(1.0 / (1.0 + ((MAGNIFICATIONS - 1.0) / 0.2) ** 2))[:, None]
