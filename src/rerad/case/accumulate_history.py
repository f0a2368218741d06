"""The earlier courses of a case, registered and added on its planning CT.

Where a registration is not good enough, nothing is summed voxel by voxel: the point doses of the
courses in their own structures take its place, and the result says so.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rerad import dicom
from rerad.accumulation import (
    CourseDose,
    CumulativeMaxima,
    OrganSum,
    PhaseDose,
    phase_eqd2,
    proposed_strategy_settings,
)
from rerad.case.accumulate import (
    SUM_SEED,
    Accumulation,
    DoseFile,
    Registration,
    as_given,
    read_registrations,
    summed,
    transform_between,
)
from rerad.case.deform import DeformableChoice, deform
from rerad.case.load import LoadedCase, load_case
from rerad.core import (
    DisplacementField,
    Finding,
    RecordGrade,
    RigidTransform,
    Severity,
    StructureSet,
    Transform,
)
from rerad.dicom import PlanReference
from rerad.errors import CaseError, RegistrationError
from rerad.evaluation import dvh
from rerad.planning import PriorInput, Progress, dose_grid_for, external_of
from rerad.planning.budget import limit_organ
from rerad.planning.history import register_prior
from rerad.registration import register_rigid

NOT_ASSURED = "registration-not-assured"
"""Code of the finding that keeps a course out of the voxel sum."""


def accumulate_case(
    case: Path,
    alpha_betas_gy: Sequence[float],
    *,
    registrations: Sequence[Path] = (),
    today: DoseFile | None = None,
    deformable: DeformableChoice | None = None,
    progress: Progress,
) -> Accumulation:
    """Register, convert, map and add the earlier courses of a case.

    Parameters
    ----------
    case : Path
        Case folder or file.
    alpha_betas_gy : sequence of float
        One sum for each.
    registrations : sequence of Path
        REG files; where one leads from a course's frame to today's, it is used as given.
    today : DoseFile or None
        A plan on the planning CT to be added as the last course.
    deformable : DeformableChoice or None
        Register deformably on top of the rigid registration; None for rigid only. A field that is
        not assured is left aside, and a finding says why.
    progress : callable
        Told what is done.

    Raises
    ------
    CaseError
        If no course has a dose, or fractions are unknown.
    """
    loaded = load_case(case)
    inputs = loaded.inputs
    if not inputs.priors and today is None:
        msg = f"{loaded.path}: no course has a dose_uid; there is nothing to accumulate"
        raise CaseError(msg)
    found = read_registrations(registrations)
    courses: list[CourseDose] = []
    findings: list[Finding] = []
    is_assured = True
    for prior in inputs.priors:
        transform, said = _transform(loaded, prior, found, progress)
        findings.extend(said)
        if deformable is not None and not isinstance(transform, DisplacementField):
            progress(f"registering the CT of {prior.course.name} deformably", 0.3)
            transform, said = _deformed(loaded, prior, transform, deformable)
            if isinstance(transform, DisplacementField):
                # What failed the rigid thresholds is no longer what the sum rests on.
                name = prior.course.name
                findings = [f for f in findings if (f.code, f.where) != (NOT_ASSURED, name)]
            findings.extend(said)
        is_assured = is_assured and transform is not None
        courses.append(_course(loaded, prior, transform))
    plans = _plans(loaded)
    if today is not None:
        course, more = _today(today, inputs.image.grid.frame_uid)
        courses.append(course)
        plans = (*plans, *more)
    missing = [item.name for item in inputs.courses_without_dose]
    if missing:
        text = (
            f"No dose is on record for {', '.join(missing)}: every number here is a lower bound."
        )
        findings.append(Finding(Severity.SERIOUS, "sum-is-lower-bound", text))
    if not is_assured:
        return _point_doses(loaded, tuple(courses), alpha_betas_gy, findings)
    body = external_of(inputs.structures)
    result = summed(
        tuple(courses),
        alpha_betas_gy,
        grid=dose_grid_for(inputs.image, body, inputs.settings.dose_grid_mm),
        structures=inputs.structures,
        origin=(loaded.patient, inputs.image.study_uid, plans),
        progress=progress,
    )
    return replace(result, findings=(*findings, *result.findings))


def _plans(loaded: LoadedCase) -> tuple[PlanReference, ...]:
    """Return the plans that the earlier doses refer to."""
    file = loaded.file
    wanted = {table.dose_uid for table in file.prior_course if table.dose_uid}
    scan = dicom.scan_folder((loaded.path.parent / file.data.folder).resolve())
    paths = [item.paths[0] for item in scan.items if item.uid in wanted]
    found = [plan for path in paths for plan in dicom.read_dose_reference(path).plans]
    return tuple(dict.fromkeys(found))


def _transform(
    loaded: LoadedCase,
    prior: PriorInput,
    registrations: Sequence[Registration],
    progress: Progress,
) -> tuple[Transform | None, tuple[Finding, ...]]:
    """Return the transform of a course and what to say; None if it is not assured."""
    fixed = loaded.inputs.image
    frame = prior.study.image.grid.frame_uid
    name = prior.course.name
    if registrations and frame != fixed.grid.frame_uid:
        try:
            given = transform_between(frame, fixed.grid.frame_uid, registrations, name)
        except CaseError:
            given = None
        if given is not None:
            return given, (as_given(name),)
    try:
        transform, quality = register_prior(prior, fixed, loaded.inputs.settings.seed, progress)
    except RegistrationError as error:
        text = (
            f"{error}. The doses are not summed voxel by voxel; the highest dose of each course "
            "in its own structures is added instead, which bounds the organ from above where "
            "the organ is drawn for every course."
        )
        return None, (Finding(Severity.SERIOUS, NOT_ASSURED, text, name),)
    return transform, quality.findings if quality is not None else ()


def _deformed(
    loaded: LoadedCase,
    prior: PriorInput,
    rigid: Transform | None,
    choice: DeformableChoice,
) -> tuple[Transform | None, tuple[Finding, ...]]:
    """Return the deformable map of a course if it is assured, else what there was.

    Bones that bend between two visits fail the rigid thresholds; a rigid transform that is not
    assured may still be near enough to start from, and the field is judged by its own.
    """
    start = rigid if isinstance(rigid, RigidTransform) else None
    if start is None:
        try:
            settings = loaded.inputs.settings
            start = register_rigid(
                prior.study.image, loaded.inputs.image, seed=settings.seed
            ).transform
        except RegistrationError:
            return None, ()
    found, said = deform(loaded.inputs, prior, start, choice)
    if isinstance(found, DisplacementField):
        return found, said
    return rigid, said


def _course(loaded: LoadedCase, prior: PriorInput, transform: Transform | None) -> CourseDose:
    """Return an earlier course ready to be added."""
    course, dose = prior.course, prior.study.dose
    planned, delivered = course.n_fractions_planned, course.n_fractions_delivered
    if dose is None or planned is None or delivered is None:
        msg = (
            f"{loaded.path}: {course.name}: its dose and both numbers of fractions must be known "
            "to add it; ask the hospital that gave it"
        )
        raise CaseError(msg)
    phase = PhaseDose(dose, planned, delivered, course.partial_fractions, course.name)
    frame = dose.grid.frame_uid
    return CourseDose(
        course.name,
        (phase,),
        transform if transform is not None else RigidTransform.identity(frame),
        grade=course.grade,
    )


def _today(today: DoseFile, frame_uid: str) -> tuple[CourseDose, tuple[PlanReference, ...]]:
    """Return a plan on the planning CT as the last course."""
    reference = dicom.read_dose_reference(today.path)
    if reference.frame_uid != frame_uid:
        msg = (
            f"{today.path.name}: expected a dose in the frame of the planning CT {frame_uid}, got "
            f"{reference.frame_uid}; give the dose that was planned on it"
        )
        raise CaseError(msg)
    given = today.n_fractions_delivered
    phase = PhaseDose(
        dicom.read_dose(today.path),
        today.n_fractions_planned,
        today.n_fractions_planned if given is None else given,
        label="today",
    )
    course = CourseDose(
        "today", (phase,), RigidTransform.identity(frame_uid), grade=RecordGrade.FULL_DICOM
    )
    return course, reference.plans


def _point_doses(
    loaded: LoadedCase,
    courses: tuple[CourseDose, ...],
    alpha_betas_gy: Sequence[float],
    findings: list[Finding],
) -> Accumulation:
    """Return the sum of point doses, each course read in its own structures; no voxel sum."""
    sets = [prior.study.structures for prior in loaded.inputs.priors]
    sets += [loaded.inputs.structures] * (len(courses) - len(sets))
    names = [s.name for s in loaded.inputs.structures.structures if limit_organ(s.name)]
    settings = proposed_strategy_settings(seed=SUM_SEED)
    organs = []
    for alpha_beta in alpha_betas_gy:
        for name in names:
            highest = tuple(
                _highest_in_own(course, drawn, name, alpha_beta)
                for course, drawn in zip(courses, sets, strict=True)
            )
            only = float(np.sum(highest))
            maxima = CumulativeMaxima(only, np.nan, np.nan, np.nan, np.nan, 0)
            unknown = (settings.metric, np.nan, np.nan, np.nan, settings.level)
            organs.append(OrganSum(name, alpha_beta, highest, maxima, *unknown))
    return Accumulation(
        sums=(),
        organs=tuple(organs),
        courses=courses,
        settings=settings,
        findings=tuple(findings),
        patient=loaded.patient,
        study_uid=loaded.inputs.image.study_uid,
        plans=_plans(loaded),
    )


def _highest_in_own(
    course: CourseDose, drawn: StructureSet | None, name: str, alpha_beta_gy: float
) -> float:
    """Return the highest EQD2 of a course in its own structure; NaN where that is not known."""
    if drawn is None or name not in drawn or drawn[name].is_empty:
        return float("nan")
    parts = [dvh(phase_eqd2(phase, alpha_beta_gy), drawn[name]) for phase in course.phases]
    return sum(part.max_gy if part.is_complete else float("nan") for part in parts)
