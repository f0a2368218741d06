"""What arrives at the isocentre plane: photons of two sources, and electrons.

Maps lie on a raster in the axes of the beam limiting device. The photons of the target are
exposed through the collimator and blurred by the focal spot, those scattered in the head by a
wide Gaussian; electrons follow the exposure with a Gaussian of their own.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates
from scipy.special import ndtr, ndtri

from rerad.core import Beam, Machine
from rerad.core.arrays import frozen_array
from rerad.dosecalc.apertures import aperture_exposure, aperture_raster
from rerad.dosecalc.raster import Raster, raster_over
from rerad.errors import InputError
from rerad.kernels.leaf_exposure import shade_primary

TAIL_SHARE = 1e-4
"""Part of the open fluence that may be lost beyond the margin, of each blurred part."""

NODES_PER_SIGMA = 3.0
"""Nodes per standard deviation at which a wide Gaussian is computed; splines between them are
good to ``(1 / 3)**4 * 0.55 / 384``, or 2e-5 of an edge."""


@dataclass(frozen=True, eq=False, slots=True)
class IncidentMaps:
    """Fluence that a beam brings to the isocentre plane in one fraction.

    Parameters
    ----------
    raster : Raster
        Whose cell centres the values belong to.
    photons : ndarray of shape (n_y, n_x)
        ``(1 - h) (A r) * G(focal) + h A * G(head)`` in MU, see `rerad.core.PhotonBeam`.
    electrons : ndarray of shape (n_y, n_x)
        ``A * G(electrons)`` in MU; multiply with the share of `rerad.core.ElectronContamination`.
    """

    raster: Raster
    photons: NDArray[np.float64]
    electrons: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("photons", "electrons"):
            values = frozen_array(getattr(self, name), np.float64)
            object.__setattr__(self, name, values)
            if values.shape != (self.raster.n_y, self.raster.n_x):
                msg = f"expected {name} of the shape of the raster, got {values.shape}"
                raise InputError(msg)


def incident_maps(
    beam: Beam,
    machine: Machine,
    *,
    cell_mm: float = 1.0,
    margin_mm: float | None = None,
    focal_variance_offset_mm2: float = 0.0,
) -> IncidentMaps:
    """Calculate what a beam with a static gantry brings to the isocentre plane.

    Parameters
    ----------
    beam : Beam
        One fraction's meterset; split an arc with `rerad.dosecalc.arcs.static_parts`.
    machine : Machine
        Collimator and beam.
    cell_mm : float
        Cell size. The blurred edge is sampled, so keep it below twice the focal blur.
    margin_mm : float, optional
        How far the raster reaches beyond the largest opening; by default so far that no blurred
        part still brings more than 1e-4 of the open fluence there.
    focal_variance_offset_mm2 : float
        Taken off both variances of the focal blur, for what the dose grid blurs by itself. If
        less than the variance of a cell (``cell_mm**2 / 12``) remains, the map holds the means
        of its cells.

    Returns
    -------
    IncidentMaps

    Raises
    ------
    InputError
        If the gantry moves, leaf positions do not fit the collimator, or a setting is out of
        range.
    DeliverabilityError
        If leaves of a pair overlap or jaws cross.
    """
    if not 0.0 < cell_mm < np.inf or not 0.0 <= focal_variance_offset_mm2 < np.inf:
        msg = (
            "expected a cell above 0 mm and a variance of 0 mm2 or more to take off, got "
            f"{cell_mm} mm and {focal_variance_offset_mm2} mm2"
        )
        raise InputError(msg)
    source = machine.beam
    margin = _margin_mm(machine, cell_mm) if margin_mm is None else margin_mm
    raster = aperture_raster(beam, machine, cell_mm=cell_mm, margin_mm=margin)
    head = source.head_scatter
    photons = (1.0 - head.share) * _primary(beam, machine, raster, focal_variance_offset_mm2)
    if head.share > 0.0:
        photons += head.share * _wide(beam, machine, raster, head.sigma_mm)
    electrons = _wide(beam, machine, raster, source.electrons.sigma_mm)
    return IncidentMaps(raster, photons, electrons)


def sample_incident(
    values: NDArray[np.float64], raster: Raster, plane_mm: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sample a map at points of the isocentre plane by cubic B-splines through its values.

    Parameters
    ----------
    values : ndarray of shape (n_y, n_x)
        One of the maps of `IncidentMaps`.
    raster : Raster
        Of the map.
    plane_mm : ndarray of shape (N, 2)
        ``(x, y)`` in the axes of the beam limiting device.

    Returns
    -------
    ndarray of shape (N,)
        Beyond the raster the value of its border holds, which is leakage: there the collimator
        shields as it does at the border, and the tails of the blur have faded.
    """
    if values.shape != (raster.n_y, raster.n_x) or plane_mm.ndim != 2 or plane_mm.shape[1] != 2:
        msg = f"expected a map of the raster and points (N, 2), got {values.shape} and "
        raise InputError(msg + f"{plane_mm.shape}")
    column = plane_mm[:, 0] / raster.cell_mm - raster.first_x - 0.5
    row = plane_mm[:, 1] / raster.cell_mm - raster.first_y - 0.5
    place = np.stack([np.clip(row, 0, raster.n_y - 1), np.clip(column, 0, raster.n_x - 1)])
    return np.asarray(map_coordinates(values, place, order=3, mode="mirror"), dtype=np.float64)


def collimator_scatter_factor(machine: Machine, field_mm: tuple[float, float]) -> float:
    """Return the output in air on the axis of a field, relative to the reference field.

    Parameters
    ----------
    machine : Machine
        Whose two sources.
    field_mm : tuple of float
        Widths along x and y of a field centred on the axis; jaws bound it, and leaves along x if
        the machine has no jaws there.

    Returns
    -------
    float
        1 for the machine's reference field.
    """
    side = machine.reference.field_mm
    return _output_in_air(machine, field_mm) / _output_in_air(machine, (side, side))


def _output_in_air(machine: Machine, field_mm: tuple[float, float]) -> float:
    """Fluence on the axis relative to a field without end, from products of error functions."""
    if not min(field_mm) > 0.0:
        msg = f"expected a field wider than 0 mm, got {field_mm}"
        raise InputError(msg)
    jaw = machine.jaw_transmission
    leaks = (machine.mlc.transmission if machine.jaw_x_limits_mm is None else jaw, jaw)
    beam = machine.beam
    head = beam.head_scatter
    sources = (
        (1.0 - head.share, beam.focal_sigma_mm),
        (head.share, (head.sigma_mm, head.sigma_mm)),
    )
    total = 0.0
    for share, sigmas in sources:
        seen = share
        for width, sigma, leak in zip(field_mm, sigmas, leaks, strict=True):
            inside = 2.0 * ndtr(0.5 * width / sigma) - 1.0 if sigma > 0.0 else 1.0
            seen *= leak + (1.0 - leak) * float(inside)
        total += seen
    return total


def _margin_mm(machine: Machine, cell_mm: float) -> float:
    """Distance beyond an edge at which each blurred part has faded to `TAIL_SHARE`."""
    beam = machine.beam
    parts = (
        (1.0, max(beam.focal_sigma_mm)),
        (beam.head_scatter.share, beam.head_scatter.sigma_mm),
        (beam.electrons.surface_share, beam.electrons.sigma_mm),
    )
    reach = [
        sigma * float(ndtri(1.0 - TAIL_SHARE / min(share, 1.0)))
        for share, sigma in parts
        if share > 2.0 * TAIL_SHARE
    ]
    return max(reach) + 2.0 * cell_mm


def _primary(
    beam: Beam, machine: Machine, raster: Raster, variance_offset_mm2: float
) -> NDArray[np.float64]:
    """Photons of the target, ``(A r) * G(focal)``, to first order in the slope of r."""
    smallest = raster.cell_mm**2 / 12.0
    variances = [max(0.0, s**2 - variance_offset_mm2) for s in machine.beam.focal_sigma_mm]
    v_x, v_y = (v if v > smallest else 0.0 for v in variances)
    exposure = aperture_exposure(beam, machine, raster, sigma_mm=(v_x**0.5, v_y**0.5))
    primary = np.empty_like(exposure)
    shade_primary(
        exposure,
        raster.x_mm,
        raster.y_mm,
        machine.beam.off_axis_radius_mm,
        machine.beam.off_axis_ratio,
        (v_x, v_y),
        primary,
    )
    return primary


def _wide(beam: Beam, machine: Machine, raster: Raster, sigma_mm: float) -> NDArray[np.float64]:
    """Exposure blurred by a wide Gaussian, exact on sparse nodes and a spline between them."""
    coarse_mm = sigma_mm / NODES_PER_SIGMA
    if coarse_mm <= raster.cell_mm:
        return aperture_exposure(beam, machine, raster, sigma_mm=(sigma_mm, sigma_mm))
    guard = 2.0 * coarse_mm
    x, y = raster.x_mm, raster.y_mm
    coarse = raster_over(
        (x[0] - guard, y[0] - guard), (x[-1] + guard, y[-1] + guard), cell_mm=coarse_mm
    )
    nodes = aperture_exposure(beam, machine, coarse, sigma_mm=(sigma_mm, sigma_mm))
    columns = CubicSpline(coarse.x_mm, np.eye(coarse.n_x))(x)
    rows = CubicSpline(coarse.y_mm, np.eye(coarse.n_y))(y)
    return np.asarray(rows @ nodes @ columns.T)
