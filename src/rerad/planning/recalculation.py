"""An existing plan calculated again: the dose of each beam, and of all, on the patient's CT.

Nothing is optimised and nothing of the plan is changed. What a planning system said of the same
plan is compared in :mod:`rerad.planning.dose_comparison`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import (
    Beam,
    Dose,
    Finding,
    Grid,
    Image,
    Machine,
    Mask,
    Plan,
    Severity,
    Structure,
    StructureSet,
)
from rerad.dosecalc import FinalDoseSettings, dose_in_body, final_dose
from rerad.errors import InputError
from rerad.kernels.interpolate import sample_trilinear
from rerad.planning.inputs import Progress
from rerad.planning.medium import MediumSettings, make_medium
from rerad.planning.pipeline import BODY_MARGIN_MM, dose_grid_for, external_of
from rerad.structures import rasterize

N_VOXELS_MOST = 30_000_000
"""More are not calculated: a grid so fine is a slip, and takes hours (rerad's choice)."""


@dataclass(frozen=True, slots=True)
class StatedBeamDose:
    """What a plan says of the dose of one beam.

    Parameters
    ----------
    dose_gy : float or None
        Of one fraction; None if it says nothing.
    at_mm : tuple of float or None
        ``(x, y, z)`` of the point that it belongs to.
    """

    dose_gy: float | None = None
    at_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True, eq=False, slots=True)
class RecalculationInputs:
    """A plan, and the patient that it is calculated on.

    Parameters
    ----------
    plan : Plan
        In the frame of `image`.
    machines : mapping of int to Machine
        For each beam number.
    stated : mapping of int to StatedBeamDose
        For each beam number.
    image : Image
        CT in HU.
    structures : StructureSet
        Drawn on it; one of kind EXTERNAL is needed.
    medium : MediumSettings
        How the CT becomes densities.
    """

    plan: Plan
    machines: Mapping[int, Machine]
    stated: Mapping[int, StatedBeamDose]
    image: Image
    structures: StructureSet
    medium: MediumSettings


@dataclass(frozen=True, slots=True)
class BeamRecord:
    """One beam and its dose of one fraction.

    Parameters
    ----------
    number : int
        Beam number.
    name : str
        Beam name.
    machine : str
        Machine and beam that it was calculated with.
    energy_mv : float
        Nominal energy.
    gantry_text : str
        Gantry angle or arc, collimator and couch.
    n_control_points : int
        As calculated.
    meterset_mu : float
        Of one fraction.
    isocenter_mm : tuple of float
        ``(x, y, z)``.
    isocenter_gy : float
        Calculated dose there; NaN outside the grid.
    stated_gy : float or None
        Beam dose that the plan states.
    stated_at_mm : tuple of float or None
        Where.
    calculated_at_stated_gy : float
        Calculated dose there; NaN if no point is stated or it is outside the grid.
    """

    number: int
    name: str
    machine: str
    energy_mv: float
    gantry_text: str
    n_control_points: int
    meterset_mu: float
    isocenter_mm: tuple[float, float, float]
    isocenter_gy: float
    stated_gy: float | None
    stated_at_mm: tuple[float, float, float] | None
    calculated_at_stated_gy: float


@dataclass(frozen=True, eq=False, slots=True)
class Recalculation:
    """What a plan gives when it is calculated again.

    Parameters
    ----------
    dose : Dose
        All planned fractions, over the whole body; 0 outside it.
    compared : Dose
        The same, of the beams and fractions that a planned dose is of.
    body : Mask
        Outline of the patient on a crop of the grid of `dose`.
    beams : tuple of BeamRecord
        In order of delivery.
    findings : tuple of Finding
        What a reader has to weigh.
    """

    dose: Dose
    compared: Dose
    body: Mask
    beams: tuple[BeamRecord, ...]
    findings: tuple[Finding, ...]


def calculation_grid(
    image: Image, body: Structure, *, like: Grid | None, spacing_mm: float | None
) -> Grid:
    """Return the voxels to calculate: the whole body, because what is not there does not scatter.

    Parameters
    ----------
    image : Image
        CT.
    body : Structure
        Outline of the patient.
    like : Grid or None
        Grid of the dose to compare with: its voxels are continued over the body.
    spacing_mm : float or None
        Voxel size instead; needed if there is no `like`.

    Raises
    ------
    InputError
        If neither is given, or there would be more than `N_VOXELS_MOST`.
    """
    if spacing_mm is not None:
        grid = dose_grid_for(image, body, spacing_mm)
    elif like is not None:
        low, high = _body_box(body)
        grid = lattice_over(like, low, high)
    else:
        msg = "expected a dose to compare with or a grid spacing in mm, got neither; name one"
        raise InputError(msg)
    if grid.n_voxels > N_VOXELS_MOST:
        msg = (
            f"expected at most {N_VOXELS_MOST} voxels over the body, got {grid.n_voxels} of "
            f"{' x '.join(f'{s:g}' for s in grid.spacing_mm)} mm; give a coarser grid"
        )
        raise InputError(msg)
    return grid


def _body_box(body: Structure) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the corners of a box around the body, with air at the sides."""
    xy = np.concatenate([contour.points_mm for contour in body.contours])
    z = np.array([contour.z_mm for contour in body.contours])
    half = 0.5 * body.slice_thickness_mm
    low = np.array([*(xy.min(axis=0) - BODY_MARGIN_MM), z.min() - half])
    high = np.array([*(xy.max(axis=0) + BODY_MARGIN_MM), z.max() + half])
    return low, high


def lattice_over(grid: Grid, low_mm: NDArray[np.float64], high_mm: NDArray[np.float64]) -> Grid:
    """Return the voxels of a grid, continued beyond it or cropped, whose centres lie in a box.

    Parameters
    ----------
    grid : Grid
        Whose voxels.
    low_mm, high_mm : ndarray of shape (3,)
        Corners ``(x, y, z)`` of the box.
    """
    first = np.ceil(grid.indices(low_mm) - 1e-6).astype(int)
    last = np.floor(grid.indices(high_mm) + 1e-6).astype(int)
    last = np.maximum(first, last)
    x, y, z = (float(v) for v in grid.points(first))
    k, j, i = (int(n) for n in last - first + 1)
    return Grid((k, j, i), (x, y, z), grid.spacing_mm, grid.frame_uid)


def recalculate_plan(
    inputs: RecalculationInputs,
    grid: Grid,
    *,
    settings: FinalDoseSettings,
    compared_beams: tuple[int, ...] = (),
    n_fractions_compared: int | None = None,
    progress: Progress,
) -> Recalculation:
    """Calculate every beam of a plan, one after the other.

    Parameters
    ----------
    inputs : RecalculationInputs
        Plan, machines, patient.
    grid : Grid
        Voxels over the whole body, see `calculation_grid`.
    settings : FinalDoseSettings
        Engine and its settings.
    compared_beams : tuple of int
        Numbers of the beams that the planned dose is of; empty for all.
    n_fractions_compared : int or None
        Fractions that the planned dose is of; None for all planned.
    progress : callable
        Told what is being done and the share of it done.

    Returns
    -------
    Recalculation

    Raises
    ------
    ReradError
        If the plan cannot be calculated.
    """
    plan = inputs.plan
    outline = external_of(inputs.structures)
    progress("densities", 0.0)
    body = rasterize(outline, grid)
    medium = make_medium(inputs.image, inputs.structures, body, grid, inputs.medium)
    total = np.zeros(grid.shape, dtype=np.float64)
    part = np.zeros(grid.shape, dtype=np.float64)
    records = []
    for n, beam in enumerate(plan.beams):
        say = _share_of(progress, f"dose: {beam.geometry.name}", n, len(plan.beams))
        say(0, 1)
        machine = inputs.machines[beam.number]
        # One beam, one fraction: what the plan states of a beam is of one fraction.
        single = replace(plan, beams=(beam,), n_fractions_planned=1)
        dose = final_dose(single, machine, medium.density, grid, settings=settings, progress=say)
        dose = dose_in_body(dose, body)
        total += dose.values
        if not compared_beams or beam.number in compared_beams:
            part += dose.values
        records.append(_record(beam, machine, dose, inputs.stated.get(beam.number)))
    n_fractions = plan.n_fractions_planned
    n_compared = n_fractions if n_fractions_compared is None else n_fractions_compared
    return Recalculation(
        dose=Dose(
            (total * n_fractions).astype(np.float32), grid, label=f"{plan.label} recalculated"
        ),
        compared=Dose(
            (part * n_compared).astype(np.float32), grid, label=f"{plan.label} recalculated"
        ),
        body=body,
        beams=tuple(records),
        findings=(*medium.findings, *_findings(inputs, body)),
    )


def _share_of(
    progress: Progress, what: str, n_before: int, n_beams: int
) -> Callable[[int, int], None]:
    """Return a callback that tells the progress of one beam as a share of all."""

    def say(done: int, of: int) -> None:
        progress(what, (n_before + done / of) / n_beams)

    return say


def dose_at(dose: Dose, point_mm: tuple[float, float, float]) -> float:
    """Return the dose at a point, linear between voxel centres; NaN beyond them."""
    return float(sample_trilinear(dose.values, dose.grid.indices([point_mm]))[0])


def on_grid(dose: Dose, grid: Grid) -> NDArray[np.float32]:
    """Return a dose at the voxel centres of another grid; NaN beyond its own."""
    dose.grid.require_same_frame(grid, "dose on another grid")
    if dose.grid.has_same_voxels(grid):
        return np.asarray(dose.values)
    planes = [
        sample_trilinear(dose.values, dose.grid.indices(grid.points(_plane_indices(grid, k))))
        for k in range(grid.shape[0])
    ]
    return np.asarray(planes, dtype=np.float32).reshape(grid.shape)


def _plane_indices(grid: Grid, k: int) -> NDArray[np.float64]:
    """Return the indices of one slice, shape (rows times columns, 3)."""
    _, n_rows, n_columns = grid.shape
    j, i = np.meshgrid(np.arange(n_rows), np.arange(n_columns), indexing="ij")
    return np.stack([np.full(j.size, float(k)), j.ravel(), i.ravel()], axis=-1)


def _record(beam: Beam, machine: Machine, dose: Dose, stated: StatedBeamDose | None) -> BeamRecord:
    """Say what there is to say of a beam."""
    stated = stated or StatedBeamDose()
    geometry = beam.geometry
    at = stated.at_mm
    return BeamRecord(
        number=beam.number,
        name=geometry.name,
        machine=f"{machine.name} {machine.beam.name}",
        energy_mv=machine.energy_mv,
        gantry_text=direction_text(beam),
        n_control_points=len(beam.control_points),
        meterset_mu=beam.meterset_mu,
        isocenter_mm=geometry.isocenter_mm,
        isocenter_gy=dose_at(dose, geometry.isocenter_mm),
        stated_gy=stated.dose_gy,
        stated_at_mm=at,
        calculated_at_stated_gy=float("nan") if at is None else dose_at(dose, at),
    )


def direction_text(beam: Beam) -> str:
    """Return gantry (or arc), collimator and couch angles in a few words."""
    geometry = beam.geometry
    angles = [p.gantry_angle_deg for p in beam.control_points if p.gantry_angle_deg is not None]
    gantry = f"G{geometry.gantry_angle_deg:.4g}"
    if len(set(angles)) > 1:
        gantry = f"arc {angles[0]:.4g} to {angles[-1]:.4g}"
    text = f"{gantry} C{geometry.collimator_angle_deg:.4g}"
    couch = geometry.couch_angle_deg
    return f"{text} T{couch:.4g}" if couch else text


def _findings(inputs: RecalculationInputs, body: Mask) -> list[Finding]:
    """Say what limits the result: machine, cut-off body, isocentre outside it."""
    findings = []
    for machine in {id(m): m for m in inputs.machines.values()}.values():
        if not machine.is_commissioned:
            text = (
                f"Machine {machine.name} is not commissioned against measurements of the linear "
                "accelerator that the plan is for: this is a check of the plan's plausibility, "
                "not of its dose."
            )
            findings.append(Finding(Severity.SERIOUS, "machine-not-commissioned", text))
    if _reaches_edge(external_of(inputs.structures), inputs.image.grid):
        text = (
            "The body reaches the edge of the CT slices: what lies beyond is missing, and dose "
            "behind it is too high."
        )
        findings.append(Finding(Severity.CAUTION, "body-cut-off", text))
    for beam in inputs.plan.beams:
        nearest = np.rint(body.grid.indices(beam.geometry.isocenter_mm)).astype(int)
        is_on_grid = np.all((nearest >= 0) & (nearest < body.grid.shape))
        if not is_on_grid or body.fraction[tuple(nearest)] <= 0:
            text = (
                f"The isocentre of {beam.geometry.name} lies outside the body: is it the right CT?"
            )
            findings.append(
                Finding(Severity.CAUTION, "isocenter-outside-body", text, beam.geometry.name)
            )
    return findings


def _reaches_edge(body: Structure, grid: Grid) -> bool:
    """Return whether the outline comes within half a voxel of the sides of the CT."""
    xy = np.concatenate([contour.points_mm for contour in body.contours])
    half = 0.5 * np.asarray(grid.spacing_mm[:2])
    low = np.asarray(grid.origin_mm[:2]) + half
    high = np.asarray(grid.end_mm[:2]) - half
    return bool(np.any(xy.min(axis=0) < low) or np.any(xy.max(axis=0) > high))
