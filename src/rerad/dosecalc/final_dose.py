"""The dose that is reported: from apertures and monitor units, on every voxel of the body.

It shares beam model, convolution and sampling with the operator, on a finer raster and with the
collimator as it moves. Dose is dose to water; outside the body it is 0 by definition.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2
from scipy.ndimage import label

from rerad.core import Beam, Dose, Grid, Image, Machine, PatientPosition, Plan
from rerad.dosecalc.apertures import aperture_fluence, aperture_raster
from rerad.dosecalc.beam_model import KernelComponents, decompose_kernel
from rerad.dosecalc.operator import FFT_WORKERS
from rerad.dosecalc.projection import map_nodes, point_weights, require_density, view_points
from rerad.dosecalc.raster import (
    FINE,
    Raster,
    condense,
    fast_map_size,
    kernel_transforms,
    map_size,
    map_window,
)
from rerad.errors import FrameMismatchError, InputError
from rerad.kernels.pencil_beam import gather_dose

AIR_DENSITY_G_CM3 = 0.05
"""Below this a voxel is air (rerad's choice: lung is above 0.1, noise of air in CT below 0.03)."""


@dataclass(frozen=True, slots=True)
class FinalDoseSettings:
    """Numerical settings of the final dose.

    Parameters
    ----------
    cell_mm : float
        Raster cell at the isocentre plane.
    n_components : int
        Kernel components.
    """

    cell_mm: float = 1.25
    n_components: int = 8


def body_voxels(density: Image, grid: Grid) -> NDArray[np.bool_]:
    """Return which voxels of a grid belong to the body, the couch and what lies in between.

    Air that reaches the border of an axial slice of `density` is outside; air enclosed by
    tissue (bowel gas, airways) is inside, because its wall is of clinical interest.

    Parameters
    ----------
    density : Image
        Mass density in g/cm³.
    grid : Grid
        Where the answer is wanted, in the frame of `density` and within it.

    Returns
    -------
    ndarray of bool, shape ``grid.shape``

    Raises
    ------
    InputError
        If a voxel centre of `grid` lies more than one voxel beyond those of `density`.
    """
    require_density(density)
    density.grid.require_same_frame(grid, "density of the final dose")
    inside = np.empty(density.grid.shape, dtype=bool)
    for k, plane in enumerate(np.asarray(density.values)):
        parts, _ = label(plane < AIR_DENSITY_G_CM3)
        border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        inside[k] = ~np.isin(parts, np.setdiff1d(border, 0))
    index = []
    for ours, theirs, spacing, n in zip(
        grid.axes_mm,
        density.grid.origin_mm,
        density.grid.spacing_mm,
        density.grid.shape[::-1],
        strict=True,
    ):
        place = (ours - theirs) / spacing
        if place[0] < -1.001 or place[-1] > n + 0.001:
            msg = (
                f"the dose grid reaches from {ours[0]:.1f} to {ours[-1]:.1f} mm, the density only "
                f"from {theirs:.1f} to {theirs + (n - 1) * spacing:.1f} mm; crop the dose grid"
            )
            raise InputError(msg)
        index.append(np.clip(np.rint(place).astype(int), 0, n - 1))
    return inside[np.ix_(index[2], index[1], index[0])]


def border_share(density: Image) -> float:
    """Return how much of the rim of the axial slices is tissue.

    Above 0 the body (or the couch) is cut off at the sides: rays that enter there miss what lies
    outside the image, and the dose behind is too high. Callers should say so to the reader.

    Parameters
    ----------
    density : Image
        Mass density in g/cm³.

    Returns
    -------
    float
        Share of the voxels in the first and last rows and columns of all slices that are not
        air, 0 to 1.
    """
    require_density(density)
    values = np.asarray(density.values, dtype=np.float32)
    rim = (values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1])
    n_tissue = sum(int(np.count_nonzero(face >= AIR_DENSITY_G_CM3)) for face in rim)
    return n_tissue / sum(face.size for face in rim)


def beam_dose(
    beam: Beam,
    machine: Machine,
    density: Image,
    points_mm: NDArray[np.float64],
    position: PatientPosition,
    *,
    settings: FinalDoseSettings | None = None,
) -> NDArray[np.float64]:
    """Calculate the dose of one fraction of one beam at points.

    Parameters
    ----------
    beam : Beam
        Apertures and meterset.
    machine : Machine
        Beam data.
    density : Image
        Mass density in g/cm³.
    points_mm : ndarray of shape (N, 3)
        ``(x, y, z)`` in mm.
    position : PatientPosition
        How the patient lies.
    settings : FinalDoseSettings, optional
        Raster and kernel rank.

    Returns
    -------
    ndarray of shape (N,)
        Dose to water in Gy.
    """
    chosen = settings or FinalDoseSettings()
    components = decompose_kernel(machine, n_components=chosen.n_components)
    scene = _Scene(machine, components, density, points_mm, position)
    return _dose_of_beams([beam], scene, chosen, None)


@dataclass(frozen=True, eq=False, slots=True)
class _Scene:
    """What all beams of a plan share."""

    machine: Machine
    components: KernelComponents
    density: Image
    points_mm: NDArray[np.float64]
    position: PatientPosition


def _condensed_fluence(
    beam: Beam, machine: Machine, cell_mm: float
) -> tuple[NDArray[np.float64], Raster]:
    """Paint a beam's fluence on fine cells and condense it."""
    coarse = aperture_raster(beam, cell_mm=cell_mm)
    fine = Raster(
        cell_mm / FINE,
        FINE * coarse.first_x,
        FINE * coarse.first_y,
        FINE * coarse.n_x,
        FINE * coarse.n_y,
    )
    return condense(aperture_fluence(beam, machine, fine), coarse)


def _dose_of_beams(
    beams: Sequence[Beam],
    scene: _Scene,
    settings: FinalDoseSettings,
    progress: Callable[[int, int], None] | None,
) -> NDArray[np.float64]:
    """Dose of one fraction of all beams, in Gy; the kernel transforms grow only when needed."""
    total = np.zeros(len(scene.points_mm))
    dose = np.empty(len(scene.points_mm))
    shape = (0, 0)
    for index, beam in enumerate(beams):
        fluence, raster = _condensed_fluence(beam, scene.machine, settings.cell_mm)
        view = view_points(
            scene.points_mm, beam.geometry, scene.machine, scene.density, scene.position
        )
        seen = view.window(settings.cell_mm)
        window = map_window(raster, seen)
        needed = map_size(raster, seen)
        if needed[0] > shape[0] or needed[1] > shape[1]:
            shape = fast_map_size([needed, shape])
            transforms = kernel_transforms(
                scene.components, shape, cell_mm=settings.cell_mm, is_condensed=True
            )
        painted = np.zeros(shape, dtype=np.float32)
        row, column = raster.first_y - window.first_y, raster.first_x - window.first_x
        painted[row : row + raster.n_y, column : column + raster.n_x] = fluence
        spectrum = rfft2(painted, workers=FFT_WORKERS) * transforms
        maps = irfft2(spectrum, s=shape, workers=FFT_WORKERS, overwrite_x=True)
        node, offset = map_nodes(view, window)
        weights = point_weights(view, scene.components)
        gather_dose(maps[None], node[None], offset[None], weights[None], dose)
        total += dose
        if progress is not None:
            progress(index + 1, len(beams))
    return total


def final_dose(
    plan: Plan,
    machine: Machine,
    density: Image,
    grid: Grid,
    *,
    settings: FinalDoseSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dose:
    """Calculate the physical dose of all planned fractions of a plan.

    Parameters
    ----------
    plan : Plan
        Static, step-and-shoot or sliding-window beams.
    machine : Machine
        Beam data.
    density : Image
        Mass density in g/cm³, with the couch if it is to attenuate; outside it is vacuum.
    grid : Grid
        Where the dose is wanted, within `density`.
    settings : FinalDoseSettings, optional
        Raster and kernel rank.
    progress : callable, optional
        Called with the number of beams done and of all beams.

    Returns
    -------
    Dose
        Dose to water in Gy on `grid`; 0 outside the body (see `body_voxels`).

    Raises
    ------
    FrameMismatchError
        If plan, density and grid are not in one frame.
    InputError
        If the grid reaches beyond `density`, or a beam cannot be calculated.
    """
    chosen = settings or FinalDoseSettings()
    if plan.frame_uid != grid.frame_uid:
        msg = f"plan {plan.label}: isocentres are in frame {plan.frame_uid}, the dose grid in "
        raise FrameMismatchError(msg + f"{grid.frame_uid}; register the two")
    inside = body_voxels(density, grid)
    if not inside.any() or not plan.beams:
        msg = f"plan {plan.label}: expected at least one beam and one voxel of the body on the "
        raise InputError(msg + "dose grid")
    points_mm = grid.points(np.stack(np.nonzero(inside), axis=-1))
    components = decompose_kernel(machine, n_components=chosen.n_components)
    scene = _Scene(machine, components, density, points_mm, plan.patient_position)
    total = _dose_of_beams(plan.beams, scene, chosen, progress)
    values = np.zeros(grid.shape, dtype=np.float32)
    # Rounding of the transforms may leave a few parts in 1e7 of the maximum below zero.
    values[inside] = np.maximum(total, 0.0) * plan.n_fractions_planned
    return Dose(values, grid, label=f"{plan.label}, {plan.n_fractions_planned} fractions")
