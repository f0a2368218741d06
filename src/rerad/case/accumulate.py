"""Doses of several courses on one grid, from a case or from any set of RTDOSE files.

Each dose is converted to EQD2 on its own grid with its own fractions, mapped, and added. Between
frames a DICOM registration or the case's own registration is needed; nothing is summed without.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
    Plan,
    RecordGrade,
    RigidTransform,
    Severity,
    StructureKind,
    StructureSet,
    Transform,
    poorest_grade,
)
from rerad.dicom import DoseDerivation, PlanReference, StudyHeader
from rerad.dicom.dose_references import DoseReference
from rerad.errors import CaseError, InputError
from rerad.planning import Progress, rasterize_all
from rerad.radiobiology import fraction_size_finding
from rerad.structures import EndSlab

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
    n_fractions_planned : int or None
        Fractions that it is the total of; None takes those of its RTPLAN.
    n_fractions_delivered : float or None
        Fractions given; 13.5 are 13 whole ones and one broken off at half its monitor units. None
        means all.
    recovery_fraction : float
        Share of its EQD2 taken as forgotten, 0 to 1.
    """

    path: Path
    n_fractions_planned: int | None
    n_fractions_delivered: float | None = None
    recovery_fraction: float = 0.0

    def phase(self, dose: Dose, n_planned: int, label: str) -> PhaseDose:
        """Return the dose with what was given of it."""
        given = n_planned if self.n_fractions_delivered is None else self.n_fractions_delivered
        whole = math.floor(given)
        share = round(given - whole, 6)
        return PhaseDose(dose, n_planned, whole, (share,) if share else (), label)


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
    plans: Sequence[Path] = (),
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
    plans : sequence of Path
        RTPLAN files: a dose that refers to one is the total of its planned fractions.
    progress : callable
        Told what is done.

    Raises
    ------
    CaseError
        If files belong to different patients, frames differ and no registration leads across, or
        planned fractions are not known or contradict the plan.
    DicomError, InputError
        If a file cannot be used.
    """
    if not files or not alpha_betas_gy:
        msg = "expected at least one dose file and one alpha/beta, got none"
        raise InputError(msg)
    doses = []
    for item in files:
        progress(f"reading {item.path.name}", 0.1)
        doses.append(dicom.read_dose(item.path))
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
    known = {plan.instance_uid: plan for plan in map(dicom.read_plan, plans)}
    courses = []
    for item, reference, dose in zip(files, references, doses, strict=True):
        transform = transform_between(reference.frame_uid, frame_uid, found, item.path.name)
        phase = item.phase(dose, _planned(item, reference, known), item.path.name)
        courses.append(
            CourseDose(
                item.path.name, (phase,), transform, item.recovery_fraction, RecordGrade.DOSE_GRID
            )
        )
    grid = onto if onto is not None else courses[-1].phases[0].dose.grid
    named = tuple(dict.fromkeys(plan for item in references for plan in item.plans))
    last = references[-1]
    result = summed(
        tuple(courses),
        alpha_betas_gy,
        grid=grid,
        reported=SumOrgans(structures),
        origin=(last.patient, last.study_uid, named),
        progress=progress,
    )
    return replace(result, findings=(*_twice(files, doses), *result.findings))


def _planned(item: DoseFile, reference: DoseReference, plans: Mapping[str, Plan]) -> int:
    """Return the fractions that a dose is the total of, as stated or as its plan says."""
    of_plan = {
        plans[plan.instance_uid].n_fractions_planned
        for plan in reference.plans
        if plan.instance_uid in plans
    }
    stated = set() if item.n_fractions_planned is None else {item.n_fractions_planned}
    if len(of_plan | stated) > 1:
        msg = (
            f"{item.path.name}: its plan and --fractions give {sorted(of_plan | stated)} planned "
            "fractions; leave --fractions out, or give the plan that the dose belongs to"
        )
        raise CaseError(msg)
    found = next(iter(of_plan | stated), None)
    if not found:
        msg = (
            f"{item.path.name}: expected the planned number of fractions, found none; state it "
            "with --fractions, or give the RTPLAN that the dose refers to with --plan"
        )
        raise CaseError(msg)
    return found


def _twice(files: Sequence[DoseFile], doses: Sequence[Dose]) -> list[Finding]:
    """Say which dose is there more than once."""
    seen: dict[str, str] = {}
    findings = []
    for item, dose in zip(files, doses, strict=True):
        name = item.path.name
        if dose.instance_uid and dose.instance_uid in seen:
            text = (
                f"{name} is the same dose as {seen[dose.instance_uid]} and was added twice; right "
                "only if the same plan was given again."
            )
            findings.append(Finding(Severity.SERIOUS, "dose-given-twice", text, name))
        seen[dose.instance_uid] = name
    return findings


@dataclass(frozen=True, eq=False, slots=True)
class SumOrgans:
    """The organs that a sum is reported for.

    Parameters
    ----------
    structures : StructureSet or None
        In the frame of the sum; None for none.
    end_slab : EndSlab
        How far a stack of contours reaches beyond its ends.
    alpha_betas_gy : mapping of str to frozenset of float
        Of each organ that is to be reported at its own only; the others at every one.
    """

    structures: StructureSet | None = None
    end_slab: EndSlab = EndSlab.FLAT
    alpha_betas_gy: Mapping[str, frozenset[float]] = field(default_factory=dict)

    def is_wanted(self, name: str, alpha_beta_gy: float) -> bool:
        """Return whether an organ is reported at an alpha/beta."""
        own = self.alpha_betas_gy.get(name)
        return own is None or alpha_beta_gy in own


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
    reported: SumOrgans,
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
    reported : SumOrgans
        Organs to report, in the grid's frame.
    origin : tuple of (Patient, str, tuple of PlanReference)
        Whose, study UID, plans.
    progress : callable
        Told what is done.
    """
    structures = reported.structures
    settings = proposed_strategy_settings(seed=SUM_SEED)
    masks = rasterize_all(structures, grid) if structures is not None else {}
    sums, organs = [], []
    for number, alpha_beta in enumerate(alpha_betas_gy):
        progress(f"adding at alpha/beta {alpha_beta:g} Gy", 0.3 + 0.3 * number)
        sums.append(accumulate(courses, grid, alpha_beta_gy=alpha_beta))
        for name, mask in masks.items():
            if mask.kind.is_target or mask.kind is StructureKind.EXTERNAL:
                continue
            if not reported.is_wanted(name, alpha_beta):
                continue
            progress(f"strategies: {name}", 0.6)
            organs.append(
                organ_sum(
                    courses,
                    mask,
                    alpha_beta_gy=alpha_beta,
                    settings=settings,
                    drawn=None if structures is None else structures[name],
                    end_slab=reported.end_slab,
                )
            )
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
                text = f"{course.name}: {finding.text}"
                findings.append(replace(finding, text=text))
            n_begun = phase.n_fractions_delivered + len(phase.partial_fractions)
            if n_begun > phase.n_fractions_planned:
                text = (
                    f"{course.name}: {n_begun} fractions were given of "
                    f"{phase.n_fractions_planned} planned; check both numbers."
                )
                findings.append(Finding(Severity.SERIOUS, "more-than-planned", text, course.name))
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
        p.n_fractions_delivered != p.n_fractions_planned for c in result.courses for p in c.phases
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
