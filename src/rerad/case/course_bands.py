"""Courses without a dose distribution, bounded: from point doses, or planned again from paper.

A band enters the case as an earlier course in today's frame with its upper bound as dose, so that
every limit is judged on the bound; its grade and a serious finding go with it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rerad.case.history_schema import PriorCourseTable, TreatedRegionTable
from rerad.case.load import LoadedCase, course_of, interval_months
from rerad.core import Grid, Mask, RecordGrade, StructureKind, Study
from rerad.errors import CaseError
from rerad.planning import (
    PlanningInputs,
    PriorInput,
    Progress,
    dose_grid_for,
    external_of,
    make_medium,
)
from rerad.planning.reconstruct import (
    DoseBand,
    EngineSetup,
    TreatedRegion,
    add_parts,
    bound_from_points,
    reconstruct_course,
)
from rerad.structures import rasterize


def with_bands(loaded: LoadedCase, progress: Progress) -> tuple[LoadedCase, tuple[DoseBand, ...]]:
    """Return a case whose courses known from paper or points have their upper bound as dose.

    Parameters
    ----------
    loaded : LoadedCase
        As read.
    progress : callable
        Told what is done.

    Returns
    -------
    loaded : LoadedCase
        The same case with these courses among its earlier ones.
    bands : tuple of DoseBand
        Best estimate and upper bound of each; empty if there is none.

    Raises
    ------
    CaseError
        If a treated region names nothing that is drawn, or lies outside the dose grid.
    MissingDataError
        If fractions of a course to be planned again are unknown.
    """
    tables = [t for t in loaded.file.prior_course if t.treated_regions or t.point_doses]
    if not tables:
        return loaded, ()
    inputs = loaded.inputs
    body = external_of(inputs.structures)
    grid = dose_grid_for(inputs.image, body, inputs.settings.dose_grid_mm)
    bands = tuple(_band(loaded, table, grid, progress) for table in tables)
    priors = tuple(
        PriorInput(
            band.course,
            Study(inputs.image, structures=inputs.structures, dose=band.upper),
            interval_months(table, loaded.file.current_course),
        )
        for table, band in zip(tables, bands, strict=True)
    )
    return replace(loaded, inputs=_completed(inputs, priors, bands)), bands


def _completed(
    inputs: PlanningInputs, priors: Sequence[PriorInput], bands: Sequence[DoseBand]
) -> PlanningInputs:
    """Return the inputs with the bounded courses in their place in time."""
    order = {course.name: n for n, course in enumerate(inputs.history.courses)}
    merged = sorted((*inputs.priors, *priors), key=lambda item: order[item.course.name])
    known = {band.course.name: band.course for band in bands}
    courses = tuple(known.get(course.name, course) for course in inputs.history.courses)
    findings = (*inputs.findings, *(finding for band in bands for finding in band.findings))
    return replace(
        inputs,
        priors=tuple(merged),
        history=replace(inputs.history, courses=courses),
        findings=findings,
    )


def _band(loaded: LoadedCase, table: PriorCourseTable, grid: Grid, progress: Progress) -> DoseBand:
    """Return the band of one course."""
    if table.point_doses:
        course = course_of(table, RecordGrade.DVH_OR_POINTS)
        structures = loaded.inputs.structures
        highest = [
            (rasterize(structures[item.structure], grid), item.max_gy)
            for item in table.point_doses
        ]
        source = "; ".join(dict.fromkeys(item.source for item in table.point_doses))
        return bound_from_points(course, highest, grid, source)
    course, setup = course_of(table, RecordGrade.PAPER), _setup(loaded, grid)
    parts = []
    for stated in table.treated_regions:
        progress(f"planning {table.name} again as written", 0.2)
        treated = TreatedRegion(
            region=_region(loaded, stated, grid),
            dose_gy=stated.dose_gy,
            angles_deg=stated.gantry_angles_deg,
            margin_mm=(stated.margin_mm[0], stated.margin_mm[1]),
            place_uncertainty_mm=stated.place_uncertainty_mm,
            source=stated.source,
        )
        parts.append(reconstruct_course(course, treated, setup))
    return add_parts(parts)


def _setup(loaded: LoadedCase, grid: Grid) -> EngineSetup:
    """Return today's densities and machine."""
    inputs = loaded.inputs
    body = rasterize(external_of(inputs.structures), grid)
    medium = make_medium(inputs.image, inputs.structures, body, grid, inputs.medium)
    return EngineSetup(medium.density, grid, inputs.machine, inputs.image.patient_position)


def _region(loaded: LoadedCase, stated: TreatedRegionTable, grid: Grid) -> Mask:
    """Return the treated region on a crop of the dose grid."""
    if not stated.box_mm:
        return rasterize(loaded.inputs.structures[stated.structure], grid)
    return box_mask(stated.box_mm, grid, loaded.path)


def box_mask(box_mm: Sequence[float], grid: Grid, where: Path) -> Mask:
    """Return the voxels of a grid whose centres lie in a box.

    Raises
    ------
    CaseError
        If the box holds no voxel.
    """
    low, high = grid.indices(box_mm[:3]), grid.indices(box_mm[3:])
    start = np.maximum(np.ceil(low - 1e-9), 0).astype(int)
    stop = np.minimum(np.floor(high + 1e-9) + 1, grid.shape).astype(int)
    if np.any(stop <= start):
        msg = (
            f"{where}: treated_regions.box_mm {box_mm} holds no voxel of today's dose grid; give "
            "low and high corner in today's patient system"
        )
        raise CaseError(msg)
    k0, j0, i0 = (int(v) for v in start)
    k1, j1, i1 = (int(v) for v in stop)
    crop = grid.crop((k0, j0, i0), (k1, j1, i1))
    return Mask("treated box", StructureKind.CONTROL, np.ones(crop.shape, np.float32), crop)
