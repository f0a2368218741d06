"""The pencil kernel of a spectrum: dose in water of an infinitely narrow beam.

The point kernels are laid along the beam's ray with the energy that each photon energy releases
there, so hardening is exact. The water fills the half space below the surface. Scatter that in
truth leaves through the surface is transported as if water were above it too, as in the collapsed
cone; nothing is released above. See ``docs/methods/point-kernels.md``.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from rerad.core.photon_beam import PencilKernel, Spectrum
from rerad.dosecalc.attenuation import GY_PER_MEV_MM3, attenuation_per_mm
from rerad.dosecalc.point_kernels import PointKernels, energy_weights, load_point_kernels

DEPTH_MM = np.concatenate(
    [
        np.arange(0.0, 6.0, 0.5),
        np.arange(6.0, 20.0, 1.0),
        np.arange(20.0, 40.0, 2.0),
        np.arange(40.0, 100.0, 5.0),
        np.arange(100.0, 451.0, 10.0),
    ]
)
"""Depths of a derived kernel."""
RADIUS_MM = np.concatenate([[0.0], np.geomspace(0.2, 500.0, 50)])
"""Radial shells of a derived kernel."""
_AXIAL_MM = np.concatenate(
    [
        np.arange(0.0, 2.0, 0.1),
        np.arange(2.0, 10.0, 0.25),
        np.arange(10.0, 40.0, 0.5),
        np.arange(40.0, 100.0, 2.5),
        np.arange(100.0, 601.0, 10.0),
    ]
)
_RADIAL_POINTS = 8
_ANGLE_POINTS = 8


def _cylinder_map(kernels: PointKernels) -> tuple[csr_array, NDArray[np.float64]]:
    """Spread every bin of shell and angle over cells of a cylinder.

    Returns the matrix from bins (R * A) to cells (Z * S) and the edges of the Z axial cells. A bin
    holds its energy evenly along the radius and over solid angle.
    """
    axial = np.concatenate([-_AXIAL_MM[:0:-1], _AXIAL_MM])
    inner, outer = kernels.radius_mm[:-1], kernels.radius_mm[1:]
    part = (np.arange(_RADIAL_POINTS) + 0.5) / _RADIAL_POINTS
    radius = inner[:, None] + (outer - inner)[:, None] * part
    cosine = np.cos(np.deg2rad(kernels.polar_angle_deg))
    part = (np.arange(_ANGLE_POINTS) + 0.5) / _ANGLE_POINTS
    at = cosine[:-1, None] + np.diff(cosine)[:, None] * part
    z = radius[:, None, :, None] * at[None, :, None, :]
    across = radius[:, None, :, None] * np.sqrt(1.0 - at**2)[None, :, None, :]
    cell = np.clip(np.searchsorted(axial, z.ravel(), side="right") - 1, 0, len(axial) - 2)
    shell = np.searchsorted(RADIUS_MM, across.ravel(), side="right") - 1
    n_shells = len(RADIUS_MM)
    n_bins = (len(kernels.radius_mm) - 1) * (len(kernels.polar_angle_deg) - 1)
    n_points = _RADIAL_POINTS * _ANGLE_POINTS
    matrix = csr_array(
        (
            np.full(z.size, 1.0 / n_points),
            (cell * n_shells + shell, np.repeat(np.arange(n_bins), n_points)),
        ),
        shape=((len(axial) - 1) * n_shells, n_bins),
    )
    return matrix, axial


def derive_pencil_kernel(
    spectrum: Spectrum, *, kernels: PointKernels | None = None
) -> PencilKernel:
    r"""Derive the pencil kernel of a spectrum by superposing point kernels along its ray.

    .. math:: K(d, \rho) = \sum_E \psi_E \int_0^\infty \mu_E e^{-\mu_E z'}
              k_E(d - z', \rho) \, dz'

    Parameters
    ----------
    spectrum : Spectrum
        Energy fluence at the surface.
    kernels : PointKernels, optional
        Those that ship, if not given.

    Returns
    -------
    PencilKernel
        Depths of 0 to 450 mm and shells up to 500 mm; in Gy mm-2 per energy fluence of 1 MeV/mm2
        and mm2, that is Gy for each MeV of the narrow beam. A fluence map in MeV/mm2 convolved
        with it gives Gy.
    """
    points = load_point_kernels() if kernels is None else kernels
    matrix, axial = _cylinder_map(points)
    n_energies = len(points.energy_mev)
    share = (points.primary + points.scatter).reshape(n_energies, -1)
    # The last shell collects what lies beyond the last radius and is left out below.
    cells = (matrix @ share.T).reshape(len(axial) - 1, len(RADIUS_MM), n_energies)[:, :-1]
    density = cells / np.diff(axial)[:, None, None]
    mu = attenuation_per_mm(spectrum.energy_mev)
    weights = energy_weights(points, spectrum.energy_mev)
    # Depths are edges of cells, so every cell lies wholly above or below a depth.
    below = np.searchsorted(axial, DEPTH_MM)
    dose = np.zeros((len(DEPTH_MM), len(RADIUS_MM) - 1))
    for fluence, coefficient, weight in zip(spectrum.energy_fluence, mu, weights, strict=True):
        used = np.flatnonzero(weight)
        kernel = density[:, :, used] @ weight[used]
        released = np.diff(np.exp(coefficient * axial))
        summed = np.cumsum(released[:, None] * kernel, axis=0)
        dose += fluence * np.exp(-coefficient * DEPTH_MM)[:, None] * summed[below - 1]
    area = np.pi * np.diff(RADIUS_MM**2)
    return PencilKernel(
        depth_mm=DEPTH_MM,
        radius_mm=RADIUS_MM,
        dose=GY_PER_MEV_MM3 * dose / area,
        source=f"superposition of point kernels ({points.source})",
    )
