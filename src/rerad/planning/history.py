"""Earlier courses on today's anatomy: register, convert where the dose was computed, then map.

The order matters: EQD2 is not linear in dose, so every course is converted on its own grid with
its own number of fractions before it is interpolated. Recovery is not applied here; it belongs
to the limit that the sum is compared with.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.accumulation import PhaseDose, map_dose, phase_eqd2
from rerad.core import (
    DisplacementField,
    Dose,
    Finding,
    Grid,
    RecordGrade,
    RigidTransform,
    Severity,
    poorest_grade,
)
from rerad.errors import MissingDataError, RegistrationError
from rerad.imaging import AIR_HU, resample_image
from rerad.planning.inputs import PlanningInputs, PriorInput, Progress
from rerad.planning.prior_mapping import PriorMap, bounded_by_own_points, map_prior
from rerad.planning.result import PriorCourse
from rerad.radiobiology import inconsistent_fraction_dose


def carry_priors(
    inputs: PlanningInputs, grid: Grid, alpha_betas_gy: Iterable[float], progress: Progress
) -> tuple[PriorCourse, ...]:
    """Carry every earlier course onto the dose grid of today's CT.

    A course whose registration is not assured is not mapped: the highest dose of each organ in
    its own structures takes its place, and a serious finding says so.

    Parameters
    ----------
    inputs : PlanningInputs
        Courses, today's CT and structures.
    grid : Grid
        Today's dose grid.
    alpha_betas_gy : iterable of float
        Every alpha/beta that EQD2 is needed for.
    progress : callable
        Told what is done.

    Returns
    -------
    tuple of PriorCourse
        Delivered EQD2 without recovery on `grid`, by alpha/beta.

    Raises
    ------
    MissingDataError
        If a course has no dose, or planned or delivered fractions are unknown.
    """
    wanted = sorted(set(alpha_betas_gy))
    carried = []
    for prior in inputs.priors:
        phase_of(prior)
        found = map_prior(prior, inputs, progress)
        progress(f"mapping {prior.course.name}", 0.9)
        if found.transform is None:
            prior = bounded_by_own_points(prior, inputs, grid)
            found = replace(found, transform=RigidTransform.identity(grid.frame_uid))
        carried.append(carry_prior(prior, found, grid, wanted))
    return tuple(carried)


def phase_of(prior: PriorInput) -> PhaseDose:
    """Return the dose of an earlier course with what was given of it.

    Raises
    ------
    MissingDataError
        If it has no dose, or planned or delivered fractions are unknown.
    """
    course = prior.course
    planned, delivered = course.n_fractions_planned, course.n_fractions_delivered
    if prior.study.dose is None:
        msg = f"{course.name}: expected a dose on record; give its dose_uid in the case file"
        raise MissingDataError(msg)
    if planned is None or delivered is None:
        msg = (
            f"{course.name}: n_fractions_planned is {_stated(planned)}, n_fractions_delivered is "
            f"{_stated(delivered)}; its dose cannot be turned into EQD2 without both, so ask the "
            "hospital that gave it"
        )
        raise MissingDataError(msg)
    return PhaseDose(prior.study.dose, planned, delivered, course.partial_fractions, course.name)


def _stated(count: int | None) -> str:
    """Return a number of fractions in words."""
    return "unknown" if count is None else str(count)


def carry_prior(
    prior: PriorInput, found: PriorMap, grid: Grid, alpha_betas_gy: Iterable[float]
) -> PriorCourse:
    """Carry one earlier course onto a dose grid by a map that was found for it.

    Parameters
    ----------
    prior : PriorInput
        The course with its CT and dose.
    found : PriorMap
        With a transform to the frame of `grid`.
    grid : Grid
        Today's dose grid.
    alpha_betas_gy : iterable of float
        Every alpha/beta that EQD2 is needed for.

    Raises
    ------
    MissingDataError
        If the course has no dose, or planned or delivered fractions are unknown.
    RegistrationError
        If the map is not assured.
    """
    phase = phase_of(prior)
    course, study, transform = prior.course, prior.study, found.transform
    if transform is None:
        raise RegistrationError(" ".join(item.text for item in found.findings))
    field = transform if isinstance(transform, DisplacementField) else None
    rigid = transform.rigid if isinstance(transform, DisplacementField) else transform
    eqd2 = {
        alpha_beta: map_dose(phase_eqd2(phase, alpha_beta), transform, grid)
        for alpha_beta in sorted(set(alpha_betas_gy))
    }
    n_given = phase.n_fractions_delivered + sum(phase.partial_fractions)
    given = phase.dose.scaled(n_given / phase.n_fractions_planned)
    return PriorCourse(
        course=course,
        study=study,
        transform=rigid,
        registration=found.rigid,
        image_on_planning=resample_image(study.image, grid, rigid, outside=AIR_HU),
        physical_on_planning=map_dose(given, transform, grid),
        eqd2_on_planning=eqd2,
        deformation=field,
        deformable=found.deformable,
        landmarks=found.landmarks,
        findings=found.findings,
    )


def prior_findings(
    priors: Iterable[PriorCourse], body_fraction: NDArray[np.float32]
) -> tuple[Finding, ...]:
    """Return what a clinician must know about the earlier doses as mapped.

    Parameters
    ----------
    priors : iterable of PriorCourse
        Courses on the dose grid.
    body_fraction : ndarray of shape (K, J, I)
        Share of each dose voxel inside the body.
    """
    findings: list[Finding] = []
    body = body_fraction > 0.5
    for prior in priors:
        name = prior.course.name
        findings.extend(prior.findings)
        inconsistent = inconsistent_fraction_dose(prior.course)
        if inconsistent is not None:
            findings.append(inconsistent)
        planned, given = prior.course.n_fractions_planned, prior.course.n_fractions_delivered
        n_begun = (given or 0) + len(prior.course.partial_fractions)
        if planned is not None and n_begun > planned:
            text = (
                f"{name}: {n_begun} fractions were given of {planned} planned; each was counted "
                "at the planned dose per fraction, so check both numbers."
            )
            findings.append(Finding(Severity.SERIOUS, "more-than-planned", text, name))
        unknown = np.isnan(prior.physical_on_planning.values) & body
        share = float(np.count_nonzero(unknown)) / max(1, int(np.count_nonzero(body)))
        if share > 0:
            where = f"lies outside the dose grid of {name}"
            if prior.course.grade in BOUNDED:
                where = f"has no dose on record of {name}"
            text = (
                f"{100 * share:.1f} % of the body on today's CT {where}; the earlier dose there "
                "is unknown, not zero, and no cumulative limit is enforced there."
            )
            findings.append(Finding(Severity.CAUTION, "prior-dose-outside-grid", text, name))
    return tuple(findings)


def sum_grade(inputs: PlanningInputs, priors: Iterable[PriorCourse]) -> RecordGrade | None:
    """Return the grade of every sum over courses: the poorest record in it.

    Parameters
    ----------
    inputs : PlanningInputs
        With the courses on record.
    priors : iterable of PriorCourse
        Those whose dose is in the sum, with the grade that they were carried at.

    Returns
    -------
    RecordGrade or None
        ``UNKNOWN`` if a course on record is not in the sum; None if nothing was given before.
    """
    if inputs.courses_without_dose:
        return RecordGrade.UNKNOWN
    return poorest_grade(prior.course.grade for prior in priors)


BOUNDED = frozenset({RecordGrade.PAPER, RecordGrade.DVH_OR_POINTS})
"""Grades of record whose dose here is an upper bound, not what was given."""


def recorded_priors(priors: Iterable[PriorCourse]) -> tuple[PriorCourse, ...]:
    """Return the courses whose dose is on record voxel by voxel: what was given at least.

    A course known from paper or points enters every sum as an upper bound; it may have given
    nothing where the bound is high, so nothing of it is in a lower bound.
    """
    return tuple(prior for prior in priors if prior.course.grade not in BOUNDED)


def require_alpha_beta(doses: Mapping[float, Dose], alpha_beta_gy: float) -> Dose:
    """Return the dose of one alpha/beta, or say which there are."""
    if alpha_beta_gy not in doses:
        known = ", ".join(f"{value:g}" for value in doses)
        msg = f"no EQD2 of alpha/beta {alpha_beta_gy:g} Gy was made; there is {known}"
        raise MissingDataError(msg)
    return doses[alpha_beta_gy]
