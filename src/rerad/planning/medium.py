"""From a CT to the medium that beams pass: density, overrides and couch, with what to say of it.

The density is laid on a grid that holds the dose grid and, where there is one, the couch; the
dose grid is a crop of it. Nothing outside the body is kept but what an override or the couch
names: clothes, cables and the couch of the scanner are not there at treatment.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Finding, Grid, Image, Mask, Severity, Structure, StructureKind, StructureSet
from rerad.errors import InputError
from rerad.imaging import (
    AIR_HU,
    CouchPanel,
    CouchSource,
    CouchStructure,
    DensityOverride,
    HounsfieldCurve,
    apply_overrides,
    beyond_curve,
    clipped_finding,
    density_from_hu,
    enlarged,
    keep_imaged_couch,
    paint_panel,
    paint_structures,
    resample_image,
)
from rerad.imaging.resample import TO_FACES
from rerad.structures import rasterize

SUNK_INTO_BODY_CC = 5.0
"""A couch that shares more volume with the body than drawing explains (rerad's choice)."""


@dataclass(frozen=True, eq=False, slots=True)
class MediumSettings:
    """Choices that turn a CT into densities.

    Parameters
    ----------
    curve : HounsfieldCurve
        CT number to density.
    overrides : tuple of DensityOverride
        In order: where two overlap, the later one holds.
    couch : CouchSource
        Where the couch comes from.
    couch_structures : tuple of CouchStructure
        Drawn parts, for `CouchSource.STRUCTURES`.
    couch_panel : CouchPanel or None
        Flat stack, for `CouchSource.PANEL`.

    Raises
    ------
    InputError
        If the couch lacks what its source needs.
    """

    curve: HounsfieldCurve
    overrides: tuple[DensityOverride, ...] = ()
    couch: CouchSource = CouchSource.NONE
    couch_structures: tuple[CouchStructure, ...] = ()
    couch_panel: CouchPanel | None = None

    def __post_init__(self) -> None:
        if self.couch is CouchSource.STRUCTURES and not self.couch_structures:
            msg = "expected at least one couch structure with its density, got none; name one"
            raise InputError(msg)
        if self.couch is CouchSource.PANEL and self.couch_panel is None:
            msg = "expected a couch panel with layers and position, got none; describe one"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class Medium:
    """What beams pass.

    Parameters
    ----------
    density : Image
        With overrides and couch, on a grid of which the dose grid is a crop.
    patient : Image
        Without the couch, on the dose grid.
    findings : tuple of Finding
        What was replaced, clipped, kept and left out.
    """

    density: Image
    patient: Image
    findings: tuple[Finding, ...]


def make_medium(
    image: Image, structures: StructureSet, body: Mask, grid: Grid, settings: MediumSettings
) -> Medium:
    """Turn a CT into the medium that beams pass.

    Parameters
    ----------
    image : Image
        Planning CT in HU.
    structures : StructureSet
        Holds what overrides and couch name.
    body : Mask
        Body outline on a crop of `grid`.
    grid : Grid
        Dose grid.
    settings : MediumSettings
        Curve, overrides, couch.

    Returns
    -------
    Medium

    Raises
    ------
    StructureNotFoundError
        If an override or the couch names a structure that is not there.
    InputError
        If one is not drawn, or lies outside the CT.
    """
    replaced = [structures[item.structure] for item in settings.overrides]
    parts = []
    if settings.couch is CouchSource.STRUCTURES:
        parts = [structures[item.structure] for item in settings.couch_structures]
    whole = _grid_for(image, grid, [*replaced, *parts], settings)
    curve = settings.curve
    findings = []
    unknown = beyond_curve(image, curve)
    known = _held(image, float(curve.hu[-1])) if len(unknown) else image
    hu = resample_image(known, whole, outside=AIR_HU, reach=TO_FACES)
    imaged = density_from_hu(hu, curve)
    inside = body.on(whole)
    seen = np.asarray(imaged.values, dtype=np.float32)
    patient = replace(imaged, values=np.where(inside > 0, seen, np.float32(0)))
    masks = [rasterize(structure, whole) for structure in replaced]
    if len(unknown):
        findings += _clipped(image, unknown, body, masks, curve)
    patient, said = apply_overrides(patient, hu, list(zip(settings.overrides, masks, strict=True)))
    findings += said
    density, said_of_couch = _with_couch(patient, imaged, inside, structures, settings)
    region = whole.region_of(grid)
    cropped = replace(
        patient, values=np.asarray(patient.values, dtype=np.float32)[region], grid=grid
    )
    return Medium(density, cropped, (*findings, *said_of_couch))


def _grid_for(
    image: Image, grid: Grid, structures: Sequence[Structure], settings: MediumSettings
) -> Grid:
    """Return the dose grid with voxels added until it holds couch and overrides."""
    low, high = [], []
    for structure in structures:
        if structure.is_empty:
            msg = (
                f"structure {structure.name!r} is named for a density but nothing is drawn for it"
            )
            raise InputError(msg)
        points = np.concatenate([contour.points_mm for contour in structure.contours])
        low.append(points.min(axis=0))
        high.append(points.max(axis=0))
    if settings.couch is CouchSource.AS_IMAGED:
        low.append(np.asarray(image.grid.origin_mm[:2]))
        high.append(np.asarray(image.grid.end_mm[:2]))
    panel = settings.couch_panel
    if settings.couch is CouchSource.PANEL and panel is not None:
        y_low, y_high = panel.y_range_mm(image.patient_position)
        half = 0.5 * panel.width_mm
        low.append(np.array([panel.center_x_mm - half, y_low]))
        high.append(np.array([panel.center_x_mm + half, y_high]))
    if not low:
        return grid
    x_low, y_low = (float(value) for value in np.min(low, axis=0))
    x_high, y_high = (float(value) for value in np.max(high, axis=0))
    return enlarged(grid, (x_low, y_low, -np.inf), (x_high, y_high, np.inf))


def _held(image: Image, highest_hu: float) -> Image:
    """Hold CT numbers at the end of the curve, so that averaging does not carry metal further."""
    if image.values.dtype == np.int16:
        last = np.int16(min(highest_hu, 32767.0))
        return replace(image, values=np.minimum(np.asarray(image.values, dtype=np.int16), last))
    values = np.asarray(image.values, dtype=np.float32)
    return replace(image, values=np.minimum(values, np.float32(highest_hu)))


def _clipped(
    image: Image,
    indices: NDArray[np.int64],
    body: Mask,
    overridden: Sequence[Mask],
    curve: HounsfieldCurve,
) -> list[Finding]:
    """Say how much of the body, overrides apart, has CT numbers that the curve does not know."""
    points = image.grid.points(indices)
    counted = _is_inside(points, body)
    for mask in overridden:
        counted &= ~_is_inside(points, mask)
    if not counted.any():
        return []
    highest = float(np.asarray(image.values)[tuple(indices[counted].T)].max())
    volume = float(np.count_nonzero(counted)) * image.grid.voxel_volume_cc
    return [clipped_finding(highest, volume, curve)]


def _is_inside(points_mm: NDArray[np.float64], mask: Mask) -> NDArray[np.bool_]:
    """Return which points lie in voxels that belong to a mask by half or more."""
    nearest = np.rint(mask.grid.indices(points_mm)).astype(int)
    on_grid = np.all((nearest >= 0) & (nearest < mask.grid.shape), axis=1)
    inside = np.zeros(len(points_mm), dtype=bool)
    inside[on_grid] = mask.fraction[tuple(nearest[on_grid].T)] >= 0.5
    return inside


def _with_couch(
    patient: Image,
    imaged: Image,
    inside: NDArray[np.float32],
    structures: StructureSet,
    settings: MediumSettings,
) -> tuple[Image, list[Finding]]:
    """Add the couch, and say what it is."""
    grid = patient.grid
    panel = settings.couch_panel
    if settings.couch is CouchSource.AS_IMAGED:
        density, volume = keep_imaged_couch(patient, imaged, inside)
        text = (
            f"The couch of the CT, {volume:.0f} cm3 behind the body, counts as the couch of the "
            "treatment: right only if both have the same top."
        )
        return density, [Finding(Severity.CAUTION, "couch-as-imaged", text)]
    if settings.couch is CouchSource.STRUCTURES:
        parts = [
            (part, rasterize(structures[part.structure], grid))
            for part in settings.couch_structures
        ]
        density = paint_structures(patient, parts, inside)
        stated = ", ".join(
            f"{part.structure} {part.density_g_cm3:g} g/cm3 ({mask.volume_cc:.0f} cm3)"
            for part, mask in parts
        )
        text = f"The couch is as drawn: {stated}."
        return density, [Finding(Severity.NOTE, "couch-as-drawn", text)]
    if settings.couch is CouchSource.PANEL and panel is not None:
        return paint_panel(patient, panel, inside), _panel_findings(patient, panel, inside)
    drawn = [s.name for s in structures.structures if s.kind is StructureKind.SUPPORT]
    text = (
        f"{', '.join(drawn) if drawn else 'The treatment couch'} is left out of the dose: the "
        "couch is not modelled, and beams through it are not weakened by it, by a few per cent "
        "each."
    )
    return patient, [Finding(Severity.CAUTION, "couch-not-modelled", text)]


def _panel_findings(
    patient: Image, panel: CouchPanel, inside: NDArray[np.float32]
) -> list[Finding]:
    """Say which couch was painted, and whether the body has sunk into it."""
    text = (
        f"Couch {panel.name}: {panel.thickness_mm:g} mm thick, as much as {panel.water_mm:.1f} mm "
        f"of water, {panel.width_mm:g} mm wide, its top at patient y {panel.top_y_mm:g} mm. "
        f"{panel.source}"
    )
    findings = [Finding(Severity.NOTE, "couch-panel", text)]
    low, high = panel.y_range_mm(patient.patient_position)
    rows = (patient.grid.axes_mm[1] > low) & (patient.grid.axes_mm[1] < high)
    sunk = float(inside[:, rows].sum(dtype=np.float64)) * patient.grid.voxel_volume_cc
    if sunk > SUNK_INTO_BODY_CC:
        text = (
            f"{sunk:.0f} cm3 of the body lie below the top of couch {panel.name}: there the body "
            "stays; check the couch's position."
        )
        findings.append(Finding(Severity.CAUTION, "couch-inside-body", text))
    return findings
