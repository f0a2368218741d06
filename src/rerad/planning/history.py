"""Earlier courses on today's anatomy: register, convert where the dose was computed, then map.

The order matters: EQD2 is not linear in dose, so every course is converted on its own grid with
its own number of fractions before it is interpolated. Recovery is not applied here; it belongs
to the limit that the sum is compared with.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from rerad.accumulation import PhaseDose, map_dose, phase_eqd2
from rerad.core import (
    Dose,
    Finding,
    Grid,
    Image,
    RecordGrade,
    RigidTransform,
    Severity,
    poorest_grade,
)
from rerad.errors import MissingDataError, RegistrationError
from rerad.imaging import AIR_HU, resample_image
from rerad.planning.inputs import PlanningInputs, PriorInput, Progress
from rerad.planning.result import PriorCourse
from rerad.radiobiology import inconsistent_fraction_dose
from rerad.registration import RegistrationQuality, register_rigid


def carry_prior(
    prior: PriorInput,
    *,
    fixed: Image,
    grid: Grid,
    alpha_betas_gy: Iterable[float],
    seed: int,
    progress: Progress,
    given: RigidTransform | None = None,
) -> PriorCourse:
    """Carry one earlier course onto the dose grid of today's CT.

    Parameters
    ----------
    prior : PriorInput
        The course with its CT and dose.
    fixed : Image
        Today's CT.
    grid : Grid
        Today's dose grid.
    alpha_betas_gy : iterable of float
        Every alpha/beta that EQD2 is needed for.
    seed : int
        Of the registration.
    progress : callable
        Told what is done.
    given : RigidTransform or None
        A registration from the course's frame to today's, used as it is; None registers here.

    Returns
    -------
    PriorCourse
        Delivered EQD2 without recovery on `grid`, by alpha/beta.

    Raises
    ------
    MissingDataError
        If the course has no dose, or planned or delivered fractions are unknown.
    RegistrationError
        If the registration is not good enough to sum on.
    """
    course, study = prior.course, prior.study
    planned, delivered = course.n_fractions_planned, course.n_fractions_delivered
    if study.dose is None:
        msg = f"{course.name}: expected a dose on record; give its dose_uid in the case file"
        raise MissingDataError(msg)
    if planned is None or delivered is None:
        msg = (
            f"{course.name}: n_fractions_planned is {planned}, n_fractions_delivered is "
            f"{delivered}; its dose cannot be turned into EQD2 without both"
        )
        raise MissingDataError(msg)
    quality: RegistrationQuality | None = None
    if given is not None:
        transform = given
    else:
        transform, quality = register_prior(prior, fixed, seed, progress)
    progress(f"mapping {course.name}", 0.9)
    phase = PhaseDose(study.dose, planned, delivered, course.partial_fractions, course.name)
    eqd2 = {
        alpha_beta: map_dose(phase_eqd2(phase, alpha_beta), transform, grid)
        for alpha_beta in sorted(set(alpha_betas_gy))
    }
    n_given = delivered + sum(course.partial_fractions)
    return PriorCourse(
        course=course,
        study=study,
        transform=transform,
        registration=quality,
        image_on_planning=resample_image(study.image, grid, transform, outside=AIR_HU),
        physical_on_planning=map_dose(study.dose.scaled(n_given / planned), transform, grid),
        eqd2_on_planning=eqd2,
    )


def register_prior(
    prior: PriorInput, fixed: Image, seed: int, progress: Progress
) -> tuple[RigidTransform, RegistrationQuality | None]:
    """Return the transform from a course's frame to today's, and how good it is.

    Parameters
    ----------
    prior : PriorInput
        The course with its CT.
    fixed : Image
        Today's CT.
    seed : int
        Of the registration.
    progress : callable
        Told what is done.

    Returns
    -------
    transform : RigidTransform
        Identity where both share one frame; the quality is None then.
    quality : RegistrationQuality or None

    Raises
    ------
    RegistrationError
        If the registration is not good enough to sum on.
    """
    moving = prior.study.image
    if moving.grid.frame_uid == fixed.grid.frame_uid:
        return RigidTransform.identity(fixed.grid.frame_uid), None
    progress(f"registering the CT of {prior.course.name}", 0.0)
    result = register_rigid(moving, fixed, seed=seed)
    if not result.quality.is_acceptable:
        reasons = " ".join(finding.text for finding in result.quality.findings)
        msg = (
            f"{prior.course.name}: the registration of its CT to today's is not good enough to "
            f"sum doses on. {reasons} Check that both CTs show the same bones"
        )
        raise RegistrationError(msg)
    return result.transform, result.quality


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
        if prior.registration is not None:
            findings.extend(prior.registration.findings)
        inconsistent = inconsistent_fraction_dose(prior.course)
        if inconsistent is not None:
            findings.append(inconsistent)
        unknown = np.isnan(prior.physical_on_planning.values) & body
        share = float(np.count_nonzero(unknown)) / max(1, int(np.count_nonzero(body)))
        if share > 0:
            text = (
                f"{100 * share:.1f} % of the body on today's CT lies outside the dose grid of "
                f"{name}; the earlier dose there is unknown, not zero, and no cumulative limit "
                "is enforced there."
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


def require_alpha_beta(doses: Mapping[float, Dose], alpha_beta_gy: float) -> Dose:
    """Return the dose of one alpha/beta, or say which there are."""
    if alpha_beta_gy not in doses:
        known = ", ".join(f"{value:g}" for value in doses)
        msg = f"no EQD2 of alpha/beta {alpha_beta_gy:g} Gy was made; there is {known}"
        raise MissingDataError(msg)
    return doses[alpha_beta_gy]
