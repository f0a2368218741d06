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
    phase_eqd2,
    proposed_strategy_settings,
)
from rerad.case.accumulate import (
    SUM_SEED,
    Accumulation,
    DoseFile,
    SumOrgans,
    summed,
)
from rerad.case.course_bands import with_bands
from rerad.case.deform import DeformableChoice, draw_deformed
from rerad.case.load import LoadedCase, load_case
from rerad.case.prior_mapping import with_registrations
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
from rerad.errors import CaseError
from rerad.evaluation import dvh
from rerad.planning import PlanningInputs, PriorInput, Progress, dose_grid_for, external_of
from rerad.planning.budget import (
    limit_organ,
    limited_structures,
    required_alpha_betas_gy,
    shortest_interval_months,
)
from rerad.planning.history import phase_of
from rerad.planning.prior_mapping import map_prior
from rerad.planning.returned_plan import require_planning_frame
from rerad.radiobiology import limits_for
from rerad.structures import EndSlab


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
        One sum for each; empty takes every alpha/beta that the case's limits and goals need.
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
    loaded = with_registrations(load_case(case), registrations)
    loaded, bands = with_bands(loaded, progress)
    inputs = loaded.inputs
    if not inputs.priors and today is None:
        msg = f"{loaded.path}: no course has a dose_uid; there is nothing to accumulate"
        raise CaseError(msg)
    reported = SumOrgans(inputs.structures, inputs.settings.end_slab)
    if not alpha_betas_gy:
        alpha_betas_gy = required_alpha_betas_gy(inputs)
        reported = replace(reported, alpha_betas_gy=_own_alpha_betas(inputs, alpha_betas_gy))
    courses: list[CourseDose] = []
    findings: list[Finding] = [finding for band in bands for finding in band.findings]
    is_assured = True
    for prior in inputs.priors:
        if deformable is not None:
            mapping = replace(prior.mapping, is_deformable=True)
            if deformable.guides:
                mapping = replace(mapping, guides=deformable.guides)
            prior = replace(prior, mapping=mapping)
        found = map_prior(prior, inputs, progress)
        findings.extend(found.findings)
        folder = None if deformable is None else deformable.pictures
        if isinstance(found.transform, DisplacementField) and folder is not None:
            draw_deformed(folder, prior, inputs, found.transform)
        is_assured = is_assured and found.transform is not None
        courses.append(_course(prior, found.transform))
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
        reported=reported,
        origin=(loaded.patient, inputs.image.study_uid, plans),
        progress=progress,
    )
    organs = result.organs
    if bands:
        organs = tuple(_at_most(row) for row in organs)
    if missing:
        organs = tuple(_at_least(row) for row in organs)
    return replace(
        result,
        organs=organs,
        findings=(*findings, *result.findings),
        is_lower_bound=bool(missing),
    )


def _own_alpha_betas(
    inputs: PlanningInputs, alpha_betas_gy: Sequence[float]
) -> dict[str, frozenset[float]]:
    """Return at which alpha/beta each organ is reported: that of its limits, not the tumour's."""
    interval = shortest_interval_months(inputs)
    settings = inputs.settings
    late = frozenset(alpha_betas_gy) - {settings.tumor_alpha_beta_gy} or frozenset(alpha_betas_gy)
    own = {structure.name: late for structure in inputs.structures.structures}
    for structure, organ in limited_structures(inputs):
        found = {
            limit.alpha_beta_gy
            for rule_set in (settings.rule_set, *settings.compared_rule_sets)
            for limit in limits_for(organ, rule_set, interval, level=settings.spine_level)
        }
        found |= {
            goal.alpha_beta_gy
            for goal in inputs.goals
            if goal.structure == structure.name and goal.alpha_beta_gy is not None
        }
        own[structure.name] = frozenset(found) or late
    return own


def _at_most(row: OrganSum) -> OrganSum:
    """Return an organ's sum as what it is where a course is a bound: an upper bound."""
    return replace(row, low_gy=0.0, high_gy=float(np.fmax(row.high_gy, row.value_gy)))


def _at_least(row: OrganSum) -> OrganSum:
    """Return an organ's sum as what it is where a course is missing: a lower bound."""
    low = row.low_gy if np.isfinite(row.low_gy) else row.value_gy
    return replace(row, low_gy=low, high_gy=np.inf)


def _plans(loaded: LoadedCase) -> tuple[PlanReference, ...]:
    """Return the plans that the earlier doses refer to."""
    file = loaded.file
    wanted = {table.dose_uid for table in file.prior_course if table.dose_uid}
    scan = dicom.scan_folder((loaded.path.parent / file.data.folder).resolve())
    paths = [item.paths[0] for item in scan.items if item.uid in wanted]
    found = [plan for path in paths for plan in dicom.read_dose_reference(path).plans]
    return tuple(dict.fromkeys(found))


def _course(prior: PriorInput, transform: Transform | None) -> CourseDose:
    """Return an earlier course ready to be added."""
    phase = phase_of(prior)
    frame = phase.dose.grid.frame_uid
    return CourseDose(
        prior.course.name,
        (phase,),
        transform if transform is not None else RigidTransform.identity(frame),
        grade=prior.course.grade,
    )


def _today(today: DoseFile, frame_uid: str) -> tuple[CourseDose, tuple[PlanReference, ...]]:
    """Return a plan on the planning CT as the last course."""
    reference = dicom.read_dose_reference(today.path)
    require_planning_frame(today.path.name, reference.frame_uid, frame_uid)
    if today.n_fractions_planned is None:
        msg = f"{today.path.name}: expected its planned number of fractions; state --fractions"
        raise CaseError(msg)
    phase = today.phase(dicom.read_dose(today.path), today.n_fractions_planned, "today")
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
    slab = loaded.inputs.settings.end_slab
    organs = []
    for alpha_beta in alpha_betas_gy:
        for name in names:
            highest = tuple(
                _highest_in_own(course, drawn, name, alpha_beta, slab)
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
        is_lower_bound=bool(loaded.inputs.courses_without_dose),
    )


def _highest_in_own(
    course: CourseDose,
    drawn: StructureSet | None,
    name: str,
    alpha_beta_gy: float,
    end_slab: EndSlab,
) -> float:
    """Return the highest EQD2 of a course in its own structure; NaN where that is not known."""
    if drawn is None or name not in drawn or drawn[name].is_empty:
        return float("nan")
    parts = [
        dvh(phase_eqd2(phase, alpha_beta_gy), drawn[name], end_slab=end_slab)
        for phase in course.phases
    ]
    return sum(part.max_gy if part.is_complete else float("nan") for part in parts)
