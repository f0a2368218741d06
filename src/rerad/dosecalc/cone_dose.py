"""Dose of apertures by collapsed cones: from incident fluence to Gy.

Beams that share gantry, collimator, couch and isocentre are transported together. The scale from
energy fluence to monitor units is found by calculating the reference condition with the same
engine on voxels of the same size, so that it holds whatever those are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Machine,
    Modality,
    PatientPosition,
    Spectrum,
)
from rerad.dosecalc.collapsed_cone import collapsed_cone_dose, grid_blur_variance_mm2
from rerad.dosecalc.cone_kernels import ConeKernels, ConeSettings, cone_kernels
from rerad.dosecalc.incident import IncidentMaps, incident_maps, sample_incident
from rerad.dosecalc.projection import view_points
from rerad.dosecalc.raster import Raster
from rerad.errors import InputError
from rerad.geometry import bld_to_patient, source_position_mm
from rerad.imaging import resample_image

BODY_DENSITY_G_CM3 = 0.02
"""What is thinner is not worth voxels: the transport grid ends where nothing denser follows."""

LEAST_DISTANCE_MM = 500.0
"""No body comes nearer to the source: the collimator ends at about 600 mm (rerad's choice)."""

ELECTRON_DEPTHS = 8.0
"""Electron contamination is followed over this many times its depth; e^-8 is 0.03 %."""

CALIBRATION_FRAME_UID = "2.25.119406245219180732107"
"""Frame of reference of the calibration phantom, which never leaves this file."""


@dataclass(frozen=True, slots=True)
class ConeDoseSettings:
    """Numerical settings of the collapsed-cone dose.

    Parameters
    ----------
    cell_mm : float
        Raster cell of the incident fluence at the isocentre plane.
    cones : ConeSettings
        Directions and coarsening.
    """

    cell_mm: float = 1.0
    cones: ConeSettings = field(default_factory=ConeSettings)


def cone_beam_dose(
    beams: Sequence[Beam],
    machine: Machine,
    density: Image,
    grid: Grid,
    position: PatientPosition,
    *,
    settings: ConeDoseSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Calculate the dose of one fraction of several beams.

    Parameters
    ----------
    beams : sequence of Beam
        Static gantry each.
    machine : Machine
        Beam data.
    density : Image
        Mass density in g/cm³.
    grid : Grid
        Where the dose is wanted, within `density`.
    position : PatientPosition
        How the patient lies.
    settings : ConeDoseSettings, optional
        Numbers.
    progress : callable, optional
        Called with the number of directions done and of all.

    Returns
    -------
    ndarray of shape ``grid.shape``
        Dose to water in Gy, also where there is no body.
    """
    chosen = settings or ConeDoseSettings()
    around, region = _transport_grid(density, grid)
    medium = resample_image(density, around, outside=0.0)
    kernels = _kernels(machine.beam.spectrum, chosen.cones)
    scale = gy_per_unit(machine, grid.spacing_mm, chosen)
    directions = _by_direction(beams)
    has_electrons = machine.beam.electrons.surface_share > 0
    points_mm = grid.points(np.indices(grid.shape).reshape(3, -1).T) if has_electrons else None
    total = np.zeros(grid.shape)
    for number, (geometry, group) in enumerate(directions.items(), 1):
        _require_distance(medium, geometry, machine, position)
        maps = _incident(group, machine, position, grid.spacing_mm, chosen)
        dose = collapsed_cone_dose(
            maps.photons,
            maps.raster,
            geometry,
            machine,
            medium,
            around,
            position,
            kernels,
            chosen.cones,
        )
        total += scale * dose[region]
        if points_mm is not None:
            electrons = _electron_dose(maps, geometry, machine, density, points_mm, position)
            total += electrons.reshape(grid.shape)
        if progress is not None:
            progress(number, len(directions))
    return total


def _transport_grid(density: Image, grid: Grid) -> tuple[Grid, tuple[slice, slice, slice]]:
    """Extend the dose grid by whole voxels over all that is dense; say where it lies in there."""
    before, shape = [], []
    for axis, (first, last) in enumerate(_dense_span_mm(density, grid)):
        spacing, start = grid.spacing_mm[axis], grid.origin_mm[axis]
        n_before = max(0, int(np.ceil((start - first) / spacing)))
        n_reached = int(np.ceil((last - start) / spacing)) + 1
        before.append(n_before)
        shape.append(n_before + max(grid.shape[2 - axis], n_reached))
    x, y, z = (o - n * s for o, n, s in zip(grid.origin_mm, before, grid.spacing_mm, strict=True))
    around = Grid((shape[2], shape[1], shape[0]), (x, y, z), grid.spacing_mm, grid.frame_uid)
    return around, around.region_of(grid)


def _dense_span_mm(density: Image, grid: Grid) -> list[tuple[float, float]]:
    """Return from where to where there is tissue along x, y and z; the grid's ends if nowhere."""
    dense = np.asarray(density.values, dtype=np.float32) >= BODY_DENSITY_G_CM3
    spans = []
    for axis in range(3):
        (hit,) = np.nonzero(dense.any(axis=tuple(n for n in range(3) if n != 2 - axis)))
        centres, half = density.grid.axes_mm[axis], 0.5 * density.grid.spacing_mm[axis]
        if hit.size:
            spans.append((float(centres[hit[0]]) - half, float(centres[hit[-1]]) + half))
        else:
            spans.append((grid.origin_mm[axis], grid.end_mm[axis]))
    return spans


def _require_distance(
    medium: Image, geometry: BeamGeometry, machine: Machine, position: PatientPosition
) -> None:
    """Raise if the body comes nearer to the source than a collimator leaves room for."""
    source = source_position_mm(geometry, position, sad_mm=machine.sad_mm)
    reach = [
        np.clip(place, axis[0], axis[-1])
        for place, axis in zip(source, medium.grid.axes_mm, strict=True)
    ]
    distance = float(np.linalg.norm(np.asarray(reach) - source))
    if distance < LEAST_DISTANCE_MM:
        msg = (
            f"beam {geometry.name}: expected the body at least {LEAST_DISTANCE_MM:.0f} mm from "
            f"the source, got {distance:.0f} mm; check the isocentre"
        )
        raise InputError(msg)


def _by_direction(beams: Sequence[Beam]) -> dict[BeamGeometry, list[Beam]]:
    """Group beams whose geometry is the same but for the name."""
    groups: dict[BeamGeometry, list[Beam]] = {}
    for beam in beams:
        groups.setdefault(replace(beam.geometry, name=""), []).append(beam)
    return {group[0].geometry: group for group in groups.values()}


def _incident(
    beams: Sequence[Beam],
    machine: Machine,
    position: PatientPosition,
    spacing_mm: tuple[float, float, float],
    settings: ConeDoseSettings,
) -> IncidentMaps:
    """Incident fluence of all beams of one direction, sharpened by what the voxels will blur."""
    blur_mm2 = _grid_blur_mm2(beams[0].geometry, position, spacing_mm)
    maps = [
        incident_maps(beam, machine, cell_mm=settings.cell_mm, focal_variance_offset_mm2=blur_mm2)
        for beam in beams
    ]
    if len(maps) == 1:
        return maps[0]
    rasters = [item.raster for item in maps]
    first_x, first_y = min(r.first_x for r in rasters), min(r.first_y for r in rasters)
    whole = Raster(
        settings.cell_mm,
        first_x,
        first_y,
        max(r.first_x + r.n_x for r in rasters) - first_x,
        max(r.first_y + r.n_y for r in rasters) - first_y,
    )
    photons, electrons = np.zeros((2, whole.n_y, whole.n_x))
    for item in maps:
        row, column = item.raster.first_y - first_y, item.raster.first_x - first_x
        rows = (row, whole.n_y - row - item.raster.n_y)
        columns = (column, whole.n_x - column - item.raster.n_x)
        # Beyond its own raster a map goes on as at its border, where only leakage is left.
        photons += np.pad(item.photons, (rows, columns), mode="edge")
        electrons += np.pad(item.electrons, (rows, columns), mode="edge")
    return IncidentMaps(whole, photons, electrons)


def _grid_blur_mm2(
    geometry: BeamGeometry, position: PatientPosition, spacing_mm: tuple[float, float, float]
) -> float:
    """Variance by which voxels blur an edge, mean of the beam's two lateral axes."""
    origin = np.asarray(geometry.isocenter_mm)
    lateral = bld_to_patient(np.eye(3)[:2], geometry, position) - origin
    along = np.array([grid_blur_variance_mm2(h) for h in spacing_mm])
    return float(np.mean(lateral**2 @ along))


def _electron_dose(
    maps: IncidentMaps,
    geometry: BeamGeometry,
    machine: Machine,
    density: Image,
    points_mm: NDArray[np.float64],
    position: PatientPosition,
) -> NDArray[np.float64]:
    """Dose at points of the electrons that come with the photons, in Gy, shape (N,)."""
    electrons, reference = machine.beam.electrons, machine.reference
    dose = np.zeros(len(points_mm))
    view = view_points(points_mm, geometry, machine, density, position)
    near = view.depth_mm < ELECTRON_DEPTHS * electrons.depth_mm
    distance = (reference.ssd_mm + reference.depth_mm) / machine.sad_mm
    fluence = sample_incident(maps.electrons, maps.raster, view.plane_mm[near])
    fall = np.exp(-view.depth_mm[near] / electrons.depth_mm)
    spread = (distance / view.magnification[near]) ** 2
    dose[near] = electrons.surface_share * reference.dose_per_mu_gy * fall * spread * fluence
    return dose


@lru_cache(maxsize=16)
def _kernels(spectrum: Spectrum, settings: ConeSettings) -> ConeKernels:
    """Ring fits of a spectrum, which take longer than the dose of a beam."""
    return cone_kernels(spectrum, settings)


@lru_cache(maxsize=32)
def gy_per_unit(
    machine: Machine, spacing_mm: tuple[float, float, float], settings: ConeDoseSettings
) -> float:
    """Return the dose in Gy for one unit of the transport, from the reference condition.

    The reference field is transported in a water phantom of the same voxels, in the middle of
    one of which lies the reference point.

    Parameters
    ----------
    machine : Machine
        Whose monitor unit.
    spacing_mm : tuple of float
        Voxel spacing of the dose grid.
    settings : ConeDoseSettings
        As in the calculation that is to be scaled.
    """
    reference = machine.reference
    beam = reference_beam(machine, 100.0)
    medium, centre = _reference_phantom(machine, spacing_mm)
    maps = _incident([beam], machine, PatientPosition.HFS, spacing_mm, settings)
    dose = collapsed_cone_dose(
        maps.photons,
        maps.raster,
        beam.geometry,
        machine,
        medium,
        medium.grid,
        PatientPosition.HFS,
        _kernels(machine.beam.spectrum, settings.cones),
        settings.cones,
    )
    return 100.0 * reference.dose_per_mu_gy / float(dose[centre])


def reference_beam(machine: Machine, meterset_mu: float) -> Beam:
    """Return the open field of the reference condition, gantry at 0 degrees."""
    half = 0.5 * machine.reference.field_mm
    n_pairs = machine.mlc.n_leaf_pairs
    if machine.jaw_x_limits_mm is None:
        reach = half - 0.5 * machine.mlc.dosimetric_leaf_gap_mm
        jaw_x = machine.field_x_limits_mm
    else:
        reach, jaw_x = half + 20.0, (-half, half)
    leaves = np.tile([[-reach], [reach]], (1, n_pairs))
    points = tuple(ControlPoint(w, jaw_x, (-half, half), leaves) for w in (0.0, 1.0))
    geometry = BeamGeometry("reference", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    return Beam(1, geometry, points, meterset_mu)


def _reference_phantom(
    machine: Machine, spacing_mm: tuple[float, float, float]
) -> tuple[Image, tuple[int, int, int]]:
    """Water with its surface where the reference condition has it, and the index of the point.

    The patient lies supine, so that depth is along y.
    """
    reference = machine.reference
    side, below = reference.field_mm + 200.0, 120.0
    surface_mm = reference.ssd_mm - machine.sad_mm
    point_mm = surface_mm + reference.depth_mm
    half_x, half_z = (int(np.ceil(0.5 * side / spacing_mm[axis])) for axis in (0, 2))
    above = int(np.ceil(reference.depth_mm / spacing_mm[1]))
    n_y = above + 1 + int(np.ceil(below / spacing_mm[1]))
    origin = (-half_x * spacing_mm[0], point_mm - above * spacing_mm[1], -half_z * spacing_mm[2])
    shape = (2 * half_z + 1, n_y, 2 * half_x + 1)
    grid = Grid(shape, origin, spacing_mm, CALIBRATION_FRAME_UID)
    filled = np.clip((grid.axes_mm[1] - surface_mm) / spacing_mm[1] + 0.5, 0.0, 1.0)
    values = np.broadcast_to(filled[None, :, None].astype(np.float32), shape)
    medium = Image(np.ascontiguousarray(values), grid, Modality.CT, ImageUnit.DENSITY)
    return medium, (half_z, above, half_x)
