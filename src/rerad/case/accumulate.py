"""Doses of several courses on one grid, from a case or from any set of RTDOSE files.

Each dose is converted to EQD2 on its own grid with its own fractions, mapped, and added. Between
frames a DICOM registration or the case's own registration is needed; nothing is summed without.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rerad import dicom
from rerad.accumulation import (
    CourseDose,
    OrganSum,
    PhaseDose,
    StrategySettings,
    accumulate,
    organ_sum,
    proposed_strategy_settings,
)
from rerad.case.prior_mapping import Registration, read_registrations, registration_across
from rerad.core import (
    Dose,
    Finding,
    Grid,
    Patient,
    RecordGrade,
    RigidTransform,
    Severity,
    StructureSet,
    Transform,
    poorest_grade,
)
from rerad.dicom import DoseDerivation, PlanReference, StudyHeader
from rerad.errors import CaseError, InputError
from rerad.planning import Progress, rasterize_all
from rerad.radiobiology import fraction_size_finding

MODEL = "linear-quadratic EQD2, each dose converted on its own grid at its own fractions, mapped"
"""What the written sum is."""

SUM_SEED = 1
"""Of the ensemble of registrations: the same files give the same interval."""


@dataclass(frozen=True, slots=True)
class DoseFile:
    """An RTDOSE and how it was given.

    Parameters
    ----------
    path : Path
        Total physical dose of a plan.
    n_fractions_planned : int
        Fractions that it is the total of.
    n_fractions_delivered : int or None
        Fractions given; None means all.
    recovery_fraction : float
        Share of its EQD2 taken as forgotten, 0 to 1.
    """

    path: Path
    n_fractions_planned: int
    n_fractions_delivered: int | None = None
    recovery_fraction: float = 0.0


@dataclass(frozen=True, eq=False, slots=True)
class Accumulation:
    """A sum with what is needed to judge and write it.

    Parameters
    ----------
    sums : tuple of Dose
        One for each alpha/beta; empty where a course could not be mapped.
    organs : tuple of OrganSum
        By organ and alpha/beta.
    courses : tuple of CourseDose
        What was added.
    settings : StrategySettings
        Of the strategies.
    findings : tuple of Finding
        What the reader must weigh.
    patient : Patient
        Whose.
    study_uid : str
        Study that the sum belongs to.
    plans : tuple of PlanReference
        Plans that the doses refer to.
    is_lower_bound : bool
        Whether a course on record has no dose here.
    """

    sums: tuple[Dose, ...]
    organs: tuple[OrganSum, ...]
    courses: tuple[CourseDose, ...]
    settings: StrategySettings
    findings: tuple[Finding, ...]
    patient: Patient
    study_uid: str
    plans: tuple[PlanReference, ...]
    is_lower_bound: bool = False

    @property
    def grade(self) -> RecordGrade:
        """Poorest record in the sums; ``UNKNOWN`` where a course is missing from them."""
        grades = [course.grade for course in self.courses]
        if self.is_lower_bound:
            grades.append(RecordGrade.UNKNOWN)
        return poorest_grade(grades) or RecordGrade.UNKNOWN


def accumulate_files(
    files: Sequence[DoseFile],
    alpha_betas_gy: Sequence[float],
    *,
    registrations: Sequence[Path] = (),
    structures: StructureSet | None = None,
    onto: Grid | None = None,
    progress: Progress,
) -> Accumulation:
    """Add RTDOSE files of one patient.

    Parameters
    ----------
    files : sequence of DoseFile
        In order of time; the last is the reference frame.
    alpha_betas_gy : sequence of float
        One sum for each.
    registrations : sequence of Path
        REG files; needed where frames differ.
    structures : StructureSet or None
        In the frame of the last dose: the organs to report.
    onto : Grid or None
        Voxels of the sum; None means those of the last dose.
    progress : callable
        Told what is done.

    Raises
    ------
    CaseError
        If files belong to different patients, or frames differ and no registration leads across.
    DicomError, InputError
        If a file cannot be used.
    """
    if not files or not alpha_betas_gy:
        msg = "expected at least one dose file and one alpha/beta, got none"
        raise InputError(msg)
    references = [dicom.read_dose_reference(item.path) for item in files]
    patients = {item.patient.patient_id for item in references}
    if len(patients) > 1:
        msg = (
            f"{files[0].path.name} and the others: expected doses of one patient, got "
            f"{len(patients)} patient IDs; never add doses of two people"
        )
        raise CaseError(msg)
    found = read_registrations(registrations)
    frame_uid = onto.frame_uid if onto is not None else references[-1].frame_uid
    courses = []
    for item, reference in zip(files, references, strict=True):
        progress(f"reading {item.path.name}", 0.1)
        dose = dicom.read_dose(item.path)
        transform = transform_between(reference.frame_uid, frame_uid, found, item.path.name)
        courses.append(_course(item, dose, transform))
    grid = onto if onto is not None else courses[-1].phases[0].dose.grid
    plans = tuple(dict.fromkeys(plan for item in references for plan in item.plans))
    last = references[-1]
    return summed(
        tuple(courses),
        alpha_betas_gy,
        grid=grid,
        structures=structures,
        origin=(last.patient, last.study_uid, plans),
        progress=progress,
    )


def _course(item: DoseFile, dose: Dose, transform: Transform) -> CourseDose:
    """Return one file as a course."""
    given = item.n_fractions_delivered
    phase = PhaseDose(
        dose,
        item.n_fractions_planned,
        item.n_fractions_planned if given is None else given,
        label=item.path.name,
    )
    return CourseDose(
        item.path.name, (phase,), transform, item.recovery_fraction, RecordGrade.DOSE_GRID
    )


def transform_between(
    from_frame_uid: str,
    to_frame_uid: str,
    registrations: Sequence[Registration],
    where: str,
) -> Transform:
    """Return the transform between two frames: none needed, or that of a registration.

    A deformable registration is taken before a rigid one, if both are given.

    Raises
    ------
    CaseError
        If the frames differ and no registration names both.
    """
    if from_frame_uid == to_frame_uid:
        return RigidTransform.identity(to_frame_uid)
    found = registration_across(from_frame_uid, to_frame_uid, registrations)
    if found is not None:
        return found
    msg = (
        f"{where}: its frame of reference {from_frame_uid} is not that of the sum "
        f"({to_frame_uid}), and no registration leads across; give a REG with --reg, or make a "
        "case of both CTs with rerad import, so that rerad registers them"
    )
    raise CaseError(msg)


def summed(
    courses: tuple[CourseDose, ...],
    alpha_betas_gy: Sequence[float],
    *,
    grid: Grid,
    structures: StructureSet | None,
    origin: tuple[Patient, str, tuple[PlanReference, ...]],
    progress: Progress,
) -> Accumulation:
    """Add courses on a grid and work out the strategies for every drawn organ.

    Parameters
    ----------
    courses : tuple of CourseDose
        Converted and mapped here, one phase at a time.
    alpha_betas_gy : sequence of float
        One sum for each.
    grid : Grid
        Of the sum.
    structures : StructureSet or None
        Organs to report, in the grid's frame.
    origin : tuple of (Patient, str, tuple of PlanReference)
        Whose, study UID, plans.
    progress : callable
        Told what is done.
    """
    settings = proposed_strategy_settings(seed=SUM_SEED)
    masks = rasterize_all(structures, grid) if structures is not None else {}
    sums, organs = [], []
    for number, alpha_beta in enumerate(alpha_betas_gy):
        progress(f"adding at alpha/beta {alpha_beta:g} Gy", 0.3 + 0.3 * number)
        sums.append(accumulate(courses, grid, alpha_beta_gy=alpha_beta))
        for name, mask in masks.items():
            if mask.kind.is_target or mask.kind.value == "EXTERNAL":
                continue
            progress(f"strategies: {name}", 0.6)
            organs.append(organ_sum(courses, mask, alpha_beta_gy=alpha_beta, settings=settings))
    patient, study_uid, plans = origin
    return Accumulation(
        sums=tuple(sums),
        organs=tuple(organs),
        courses=courses,
        settings=settings,
        findings=tuple(_findings(courses, sums[0])),
        patient=patient,
        study_uid=study_uid,
        plans=plans,
    )


def _findings(courses: Sequence[CourseDose], total: Dose) -> list[Finding]:
    """Say what is unknown, and which fractions lie outside the model's range."""
    findings = []
    for course in courses:
        for phase in course.phases:
            fraction_gy = phase.dose.max_gy / phase.n_fractions_planned
            finding = fraction_size_finding(fraction_gy, course.name)
            if finding is not None:
                findings.append(finding)
    if total.n_unknown:
        share = 100.0 * total.n_unknown / total.grid.n_voxels
        text = (
            f"{total.n_unknown} of {total.grid.n_voxels} voxels of the sum ({share:.1f} %) lie "
            "outside the grid of at least one course: their dose is unknown, not zero."
        )
        findings.append(Finding(Severity.CAUTION, "sum-has-unknown-voxels", text))
    return findings


def write_sums(result: Accumulation, path: Path) -> tuple[Path, ...]:
    """Write each sum as RTDOSE EFFECTIVE with the codes of its composition.

    Parameters
    ----------
    result : Accumulation
        With at least one sum.
    path : Path
        File for the only sum; with several, ``_ab2`` and so on is put before the suffix.

    Raises
    ------
    CaseError
        If there is no sum, no plan to refer to, or nothing of the sum is known.
    """
    if not result.sums:
        msg = "there is no voxel sum to write: a course could not be mapped; see the findings"
        raise CaseError(msg)
    if not result.plans:
        msg = "an RTDOSE refers to its plans and none of the doses names one; export them again"
        raise CaseError(msg)
    recovery = ", ".join(
        f"{100 * c.recovery_fraction:g} % of {c.name}"
        for c in result.courses
        if c.recovery_fraction
    )
    is_partial = any(
        p.n_fractions_delivered < p.n_fractions_planned for c in result.courses for p in c.phases
    )
    paths = []
    for number, dose in enumerate(result.sums):
        target = path
        if len(result.sums) > 1:
            target = path.with_name(f"{path.stem}_ab{dose.alpha_beta_gy:g}{path.suffix}")
        dicom.write_dose(
            replace(dose, label="sum of courses"),
            result.patient,
            target,
            study=StudyHeader(study_uid=result.study_uid, series_number=201 + number),
            plans=result.plans,
            derivation=DoseDerivation(
                includes_prior=True,
                includes_current=False,
                is_weighted_for_fractions=is_partial,
                model=MODEL,
                recovery=recovery,
                grade=str(result.grade),
            ),
            comment=f"sum of {len(result.courses)} courses",
            unknown_as_zero=True,
        )
        paths.append(target)
    return tuple(paths)


def read_organs(path: Path | None) -> StructureSet | None:
    """Return the structures of an RTSTRUCT; None without one."""
    return None if path is None else dicom.read_structure_set(path)
