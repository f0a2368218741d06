"""A course of which only words are left: planned again as written, with a band.

The user states the treated region, the directions and the margin. Open fields conformed to the
region are calculated with rerad's own engine on today's CT, every beam weighted alike at the
isocentre. The best estimate gives the region's median the prescribed dose. The upper bound is the
highest voxel by voxel over every technique that cannot be excluded and both ends of the margin,
each scaled so that 95 % of the region gets the prescription, and moved by the stated uncertainty
of place. It is a bound under those statements and no more: a field that nobody mentions is in no
band. Doses in Gy.

References
----------
.. [1] ICRU Report 83 (2010): median dose of a target as what a prescription is compared with.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Course,
    Dose,
    Finding,
    Grid,
    Image,
    Machine,
    Mask,
    PatientPosition,
    Plan,
    RecordGrade,
    Severity,
)
from rerad.dosecalc import FinalDoseSettings, final_dose
from rerad.errors import InputError, MissingDataError
from rerad.geometry import patient_to_bld, project_to_isocenter_plane

OPPOSED_DEG = (0.0, 180.0)
"""Gantry angles of anterior and posterior fields."""

BOX_DEG = (0.0, 90.0, 180.0, 270.0)
"""Gantry angles of a four-field box."""

COVERED_SHARE = 0.95
"""Share of the region that the upper bound gives the prescription to."""


@dataclass(frozen=True, eq=False, slots=True)
class TreatedRegion:
    """What the user states about a course that has no dose on record.

    Parameters
    ----------
    region : Mask
        What was treated, on a crop of today's dose grid.
    dose_gy : float
        Prescribed to it, above 0.
    angles_deg : tuple of tuple of float
        Gantry angles of each technique that cannot be excluded; the first is the likeliest.
    margin_mm : tuple of float
        Smallest and largest margin from region to field edge.
    place_uncertainty_mm : float
        By how much the region may lie elsewhere, 0 or more.
    source : str
        Who says so, and from what.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    region: Mask
    dose_gy: float
    angles_deg: tuple[tuple[float, ...], ...]
    margin_mm: tuple[float, float]
    place_uncertainty_mm: float
    source: str

    def __post_init__(self) -> None:
        low, high = self.margin_mm
        is_right = 0 < self.dose_gy < 200 and 0 <= low <= high < 100
        if not (is_right and all(self.angles_deg) and self.angles_deg):
            msg = (
                f"{self.region.name}: expected a dose of 0 to 200 Gy, margins of 0 to 100 mm with "
                f"the smaller first and at least one technique, got {self.dose_gy} Gy, "
                f"{self.margin_mm} mm and {self.angles_deg}"
            )
            raise InputError(msg)
        if not 0 <= self.place_uncertainty_mm < 100:
            msg = (
                f"{self.region.name}: expected an uncertainty of place of 0 to 100 mm, "
                f"got {self.place_uncertainty_mm}"
            )
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class EngineSetup:
    """What the engine needs.

    Parameters
    ----------
    density : Image
        Mass density in g/cm³ of today's CT.
    grid : Grid
        Dose grid, within `density`.
    machine : Machine
        Any machine of about the energy used then.
    position : PatientPosition
        As in today's CT.
    settings : FinalDoseSettings or None
        Of the engine.
    """

    density: Image
    grid: Grid
    machine: Machine
    position: PatientPosition
    settings: FinalDoseSettings | None = None


@dataclass(frozen=True, eq=False, slots=True)
class DoseBand:
    """The dose of a course that was not recorded voxel by voxel.

    Parameters
    ----------
    course : Course
        With its grade.
    best : Dose or None
        Best estimate of the total physical dose; None where only a bound is known.
    upper : Dose
        Upper bound; NaN where nothing can be said.
    findings : tuple of Finding
        How it was made.
    """

    course: Course
    best: Dose | None
    upper: Dose
    findings: tuple[Finding, ...]


def reconstruct_course(course: Course, treated: TreatedRegion, setup: EngineSetup) -> DoseBand:
    """Plan a course again as written and return the band of its dose.

    Parameters
    ----------
    course : Course
        As planned and delivered; its grade becomes ``PAPER``.
    treated : TreatedRegion
        What the user states.
    setup : EngineSetup
        Density, grid, machine.

    Returns
    -------
    DoseBand
        Total physical dose of all planned fractions on the grid of `setup`, in today's frame.

    Raises
    ------
    MissingDataError
        If planned or delivered fractions are unknown.
    InputError
        If the region is empty or the machine cannot reach it.
    """
    if not course.n_fractions_planned or course.n_fractions_delivered is None:
        msg = (
            f"{course.name}: expected planned and delivered fractions to plan it again, got "
            f"{course.n_fractions_planned} and {course.n_fractions_delivered}; where they are "
            "not known its dose stays unknown"
        )
        raise MissingDataError(msg)
    inside = setup.grid.region_of(treated.region.grid)
    target = treated.region.fraction > 0.5
    if not target.any():
        msg = f"{treated.region.name}: expected a treated region of some voxels, got none"
        raise InputError(msg)
    best: NDArray[np.float64] | None = None
    upper = np.zeros(setup.grid.shape)
    for margin in dict.fromkeys(treated.margin_mm):
        # Techniques share fields: each direction is calculated once for a margin.
        wanted = sorted({angle for angles in treated.angles_deg for angle in angles})
        fields = {angle: _field(treated.region, angle, margin, setup) for angle in wanted}
        for angles in treated.angles_deg:
            unit = np.sum([fields[angle] for angle in angles], axis=0)
            there = unit[inside][target]
            if best is None:
                best = unit * (treated.dose_gy / float(np.median(there)))
            least = float(np.quantile(there, 1.0 - COVERED_SHARE))
            if least <= 0:
                msg = (
                    f"{treated.region.name}: no dose reaches a part of the region; the machine's "
                    "field is too small, or the region reaches out of the body"
                )
                raise InputError(msg)
            np.maximum(upper, unit * (treated.dose_gy / least), out=upper)
    if best is None:  # excluded by TreatedRegion
        raise AssertionError(course.name)
    upper = np.maximum(_moved(upper, setup.grid, treated.place_uncertainty_mm), best)
    label = f"{course.name}, planned again as written"
    return DoseBand(
        course=replace(course, grade=RecordGrade.PAPER),
        best=Dose(best.astype(np.float32), setup.grid, label=f"{label}: best estimate"),
        upper=Dose(upper.astype(np.float32), setup.grid, label=f"{label}: upper bound"),
        findings=(_finding(course, treated),),
    )


def add_parts(parts: Sequence[DoseBand]) -> DoseBand:
    """Return the band of a course whose regions were planned again one by one.

    The physical doses of its parts add, because they were given in the same fractions.

    Raises
    ------
    InputError
        If there is no part.
    """
    if not parts:
        msg = "expected at least one treated region of a course, got none"
        raise InputError(msg)
    best, upper = parts[0].best, parts[0].upper
    for part in parts[1:]:
        upper = upper + part.upper
        best = None if best is None or part.best is None else best + part.best
    findings = tuple(finding for part in parts for finding in part.findings)
    return DoseBand(parts[0].course, best, upper, findings)


def _finding(course: Course, treated: TreatedRegion) -> Finding:
    """Say how the band was made."""
    low, high = treated.margin_mm
    ways = " or ".join("/".join(f"{a:g}" for a in angles) for angles in treated.angles_deg)
    text = (
        f"{course.name} is known from paper only. It was planned again on today's CT: "
        f"{treated.dose_gy:g} Gy to {treated.region.name} by open fields at {ways} degrees, edges "
        f"{low:g} to {high:g} mm away, place uncertain by {treated.place_uncertainty_mm:g} mm "
        f"({treated.source}). Limits are judged on the upper bound: one met on it is met if the "
        "statements hold, one exceeded on it may not be in truth. Fields that nobody mentions are "
        "in no band. Bands were tried on one digital patient, not validated on patients."
    )
    return Finding(Severity.SERIOUS, "course-reconstructed", text, course.name)


def _field(
    region: Mask, angle_deg: float, margin_mm: float, setup: EngineSetup
) -> NDArray[np.float32]:
    """Return the dose of an open field on the whole grid, 1 Gy at its isocentre."""
    points = region.grid.points(np.argwhere(region.fraction > 0.5))
    x, y, z = (float(v) for v in points.mean(axis=0))
    geometry = BeamGeometry(f"field at {angle_deg:g}", angle_deg, 0.0, 0.0, (x, y, z))
    beam = conformed_beam(1, geometry, points, margin_mm, setup)
    frame, position, name = setup.grid.frame_uid, setup.position, setup.machine.name
    plan = Plan("as written", frame, position, name, 1, (), (beam,))
    dose = final_dose(plan, setup.machine, setup.density, setup.grid, settings=setup.settings)
    k, j, i = (int(v) for v in np.rint(setup.grid.indices((x, y, z))))
    at_isocenter = float(dose.values[k, j, i])
    if at_isocenter <= 0:
        msg = (
            f"{region.name}: no dose at the isocentre of the field at {angle_deg:g} degrees; its "
            "middle lies outside the body; state the parts of the region one by one"
        )
        raise InputError(msg)
    return np.asarray(dose.values / np.float32(at_isocenter))


def conformed_beam(
    number: int,
    geometry: BeamGeometry,
    points_mm: NDArray[np.float64],
    margin_mm: float,
    setup: EngineSetup,
) -> Beam:
    """Return an open field whose leaves follow points with a margin.

    Parameters
    ----------
    number : int
        Beam number.
    geometry : BeamGeometry
        Direction and isocentre.
    points_mm : ndarray of shape (N, 3)
        In the patient system.
    margin_mm : float
        From the outermost point to the field edge at the isocentre plane.
    setup : EngineSetup
        Machine and patient position.

    Raises
    ------
    InputError
        If the field would reach beyond the machine's jaws.
    """
    machine = setup.machine
    flat = project_to_isocenter_plane(
        patient_to_bld(points_mm, geometry, setup.position), sad_mm=machine.sad_mm
    )
    low, high = flat.min(axis=0) - margin_mm, flat.max(axis=0) + margin_mm
    x_limits, y_limits = machine.field_x_limits_mm, machine.jaw_y_limits_mm
    reach = (x_limits[0], y_limits[0]), (x_limits[1], y_limits[1])
    if np.any(low < reach[0]) or np.any(high > reach[1]):
        msg = (
            f"{geometry.name}: a field of {high[0] - low[0]:.0f} x {high[1] - low[1]:.0f} mm does "
            f"not fit the jaws of {machine.name}; state the parts of the region one by one"
        )
        raise InputError(msg)
    edges = machine.mlc.leaf_boundaries_mm
    leaves = np.full((2, len(edges) - 1), 0.5 * (low[0] + high[0]))
    for pair, (below, above) in enumerate(pairwise(edges)):
        near = (flat[:, 1] > below - margin_mm) & (flat[:, 1] < above + margin_mm)
        if near.any():
            leaves[0, pair] = flat[near, 0].min() - margin_mm
            leaves[1, pair] = flat[near, 0].max() + margin_mm
    jaw_x = (float(low[0]), float(high[0]))
    jaw_y = (float(low[1]), float(high[1]))
    points = tuple(ControlPoint(weight, jaw_x, jaw_y, leaves) for weight in (0.0, 1.0))
    return Beam(number, geometry, points, 100.0)


def _moved(values: NDArray[np.float64], grid: Grid, by_mm: float) -> NDArray[np.float64]:
    """Return the highest value within a distance of each voxel."""
    if by_mm == 0:
        return values
    reach = [int(np.ceil(by_mm / spacing - 1e-9)) for spacing in reversed(grid.spacing_mm)]
    offsets = np.meshgrid(*[np.arange(-r, r + 1) for r in reach], indexing="ij")
    # A voxel is in if its nearest face is within reach: a bound must not lose half a voxel.
    squared = sum(
        (np.maximum(np.abs(offset) - 0.5, 0) * spacing) ** 2
        for offset, spacing in zip(offsets, reversed(grid.spacing_mm), strict=True)
    )
    return np.asarray(
        ndimage.maximum_filter(values, footprint=squared <= by_mm**2 + 1e-9, mode="nearest")
    )


def bound_from_points(
    course: Course, highest_gy: Sequence[tuple[Mask, float]], grid: Grid, source: str
) -> DoseBand:
    """Return the bound that highest doses of organs put on a course.

    The organ, with a rim of one voxel, may have had its highest dose anywhere; nothing is known
    elsewhere.

    Parameters
    ----------
    course : Course
        As planned and delivered; its grade becomes ``DVH_OR_POINTS``.
    highest_gy : sequence of (Mask, float)
        Organ on a crop of `grid` and the highest total physical dose in it.
    grid : Grid
        Dose grid.
    source : str
        Where the doses were read.

    Raises
    ------
    InputError
        If no organ is given or a dose is negative.
    """
    if not highest_gy or not all(0 <= gy < 500 for _, gy in highest_gy):
        msg = (
            f"{course.name}: expected at least one organ with a highest dose of 0 Gy or more, "
            f"got {[(mask.name, gy) for mask, gy in highest_gy]}"
        )
        raise InputError(msg)
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    for mask, gy in highest_gy:
        # One voxel more all round: a dose read between voxel centres at the organ's edge needs
        # its neighbours. No other organ is bounded by that rim alone.
        organ = ndimage.binary_dilation(mask.on(grid) > 0, structure=np.ones((3, 3, 3)))
        values[organ] = np.fmax(values[organ], np.float32(gy))
    names = ", ".join(f"{mask.name} {gy:g} Gy" for mask, gy in highest_gy)
    text = (
        f"Of {course.name} only the highest doses of organs are on record ({names}; {source}). "
        "Each organ is taken to have had its highest dose everywhere: an upper bound. A limit met "
        "on it is met; one exceeded on it may not be in truth. Organs that overlap or touch these "
        "read the bound there; elsewhere its dose is unknown."
    )
    finding = Finding(Severity.SERIOUS, "course-bounded-by-points", text, course.name)
    return DoseBand(
        course=replace(course, grade=RecordGrade.DVH_OR_POINTS),
        best=None,
        upper=Dose(values, grid, label=f"{course.name}: highest dose of each organ"),
        findings=(finding,),
    )
