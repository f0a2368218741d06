"""From a case file and a folder of DICOM files to what the planner needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from rerad import dicom
from rerad.case.data_folder import DataFolder as DataFolder
from rerad.case.delivered import with_records
from rerad.case.files import case_path, read_case
from rerad.case.fusion import FusedImage, fuse_named
from rerad.case.goals import goals_of, require_judgeable
from rerad.case.history_records import records_of
from rerad.case.history_schema import (
    ABSENT_WORDS,
    CourseTable,
    EventTable,
    PriorCourseTable,
)
from rerad.case.ledger_case import history_in_ledger
from rerad.case.ledger_history import events_of
from rerad.case.medium import medium_of
from rerad.case.pet_schema import facts_of
from rerad.case.plan_state import state_hash
from rerad.case.prior_mapping import mapping_of
from rerad.case.returned import WhoseCase, returned_of
from rerad.case.robustness import robustness_findings
from rerad.case.schema import CaseFile
from rerad.core import (
    Course,
    EventKind,
    HistoryEvent,
    Image,
    InputRecord,
    Patient,
    Prescription,
    RecordGrade,
    StructureSet,
    Study,
    TreatmentHistory,
)
from rerad.dicom.scanner import read_scanner
from rerad.dosecalc import load_machine
from rerad.errors import CaseError, InputError
from rerad.imaging import curve_findings
from rerad.planning import (
    LimitChoice,
    ObjectiveSettings,
    PlanningInputs,
    PlanningSettings,
    PriorInput,
    RobustSettings,
    coplanar_beams,
    isocenter_of,
    rasterize_all,
)
from rerad.planning.medium import MediumSettings
from rerad.radiobiology import SpineLevel, recovery_table, rule_set
from rerad.structures import EndSlab, unite
from rerad.units import DAYS_PER_MONTH


@dataclass(frozen=True, eq=False, slots=True)
class LoadedCase:
    """A case with its data.

    Parameters
    ----------
    path : Path
        The case file.
    file : CaseFile
        What it says.
    patient : Patient
        From the planning CT.
    inputs : PlanningInputs
        What the planner needs.
    records : tuple of InputRecord
        What was read, by hash.
    medium : MediumSettings
        How the CT becomes densities.
    text : str
        The case file as it stood when it was read.
    fused : mapping of str to FusedImage
        PET (in SUV) and MR in the planning CT's frame, where the case names them.
    """

    path: Path
    file: CaseFile
    patient: Patient
    inputs: PlanningInputs
    records: tuple[InputRecord, ...]
    medium: MediumSettings
    text: str
    fused: Mapping[str, FusedImage] = field(default_factory=dict)

    @property
    def whose(self) -> WhoseCase:
        """Patient and frame, for files that come from outside."""
        return WhoseCase(self.patient.patient_id, self.inputs.image.grid.frame_uid)

    @property
    def inputs_hash(self) -> str:
        """One hash over everything that a plan depends on, as it was read."""
        return state_hash(self.records, self.text)


def load_case(case: Path) -> LoadedCase:
    """Read a case file and everything that it names.

    Parameters
    ----------
    case : Path
        Case folder or file.

    Returns
    -------
    LoadedCase

    Raises
    ------
    CaseError
        If the file is not right, or names what is not there.
    DicomError, InputError
        If a DICOM object cannot be used, naming it.
    """
    path = case_path(case)
    file = read_case(path)
    text = path.read_text(encoding="utf-8", errors="replace")
    rule_set(file.planning.rule_set)
    recovery_table(file.planning.recovery_table)
    for name in file.planning.compared_rule_sets:
        rule_set(name)
    goals = goals_of(file, path)
    data = DataFolder(path, (path.parent / file.data.folder).resolve())
    ct_paths = data.paths("data.planning_ct_series_uid", file.data.planning_ct_series_uid, "CT")
    image = dicom.read_image(ct_paths)
    patient = dicom.read_patient(ct_paths[0])
    structures = data.structures("data.structure_set_uid", file.data.structure_set_uid, image)
    medium, read = medium_of(file, path, structures)
    data.records.extend(read)
    data.findings.extend(curve_findings(medium.curve, read_scanner(ct_paths[0])))
    uids = {"PT": file.data.pet_series_uid, "MR": file.data.mr_series_uid}
    fused = fuse_named(data, uids, image, facts_of(file.pet))
    priors = tuple(
        _prior(data, number, file, (patient, image))
        for number, table in enumerate(file.prior_course)
        if table.dose_uid
    )
    current = course_of(file.current_course, RecordGrade.FULL_DICOM)
    inputs = PlanningInputs(
        title=file.title,
        history=_as_read(_history(path, file, patient), priors),
        current=current,
        current_order=file.current_course.order,
        image=image,
        structures=structures,
        pet_suv=fused["PET"].image if "PET" in fused else None,
        mr=fused["MR"].image if "MR" in fused else None,
        priors=priors,
        machine=load_machine(file.planning.machine),
        medium=medium,
        beams=coplanar_beams(
            file.beams.gantry_angles_deg,
            file.beams.collimator_angle_deg,
            _isocenter(structures, current, image, path),
        ),
        goals=goals,
        settings=_settings(file, path),
        objectives=ObjectiveSettings(**file.objectives.model_dump()),
        assumptions=file.assumptions,
        findings=tuple(data.findings),
    )
    require_judgeable(file, path, structures)
    said = (*inputs.findings, *robustness_findings(inputs, path))
    inputs = replace(inputs, returned=returned_of(file, data, patient, image), findings=said)
    return LoadedCase(path, file, patient, inputs, tuple(data.records), medium, text, fused)


def _settings(file: CaseFile, path: Path) -> PlanningSettings:
    """Return the choices of the plan."""
    try:
        return _choices(file)
    except InputError as error:
        msg = f"{path}: {error}"
        raise CaseError(msg) from error


def _choices(file: CaseFile) -> PlanningSettings:
    planning = file.planning
    return PlanningSettings(
        rule_set=planning.rule_set,
        compared_rule_sets=planning.compared_rule_sets,
        limit_choice=LimitChoice(planning.limit_choice),
        recovery_table=planning.recovery_table,
        tumor_alpha_beta_gy=planning.tumor_alpha_beta_gy,
        tumor_alpha_beta_citation=planning.tumor_alpha_beta_citation,
        dose_grid_mm=planning.dose_grid_mm,
        end_slab=EndSlab[planning.structure_ends.upper()],
        column_width_mm=file.beams.column_width_mm,
        field_margin_mm=file.beams.field_margin_mm,
        n_correction_passes=planning.n_correction_passes,
        max_evaluations=planning.max_evaluations,
        seed=planning.seed,
        accepted_breaches=tuple((b.structure, b.reason) for b in file.accepted_breach),
        n_leaf_refinements=planning.n_leaf_refinements,
        dose_rate_mu_min=file.beams.dose_rate_mu_min or None,
        robustness=RobustSettings(**file.robustness.model_dump()) if file.robustness else None,
        spine_level=spine_level_of(planning.spine_level),
    )


def spine_level_of(word: str) -> SpineLevel | None:
    """Return a level along the spine; None where it is unknown."""
    return None if word == "unknown" else SpineLevel(word)


def _prior(
    data: DataFolder, number: int, file: CaseFile, today: tuple[Patient, Image]
) -> PriorInput:
    """Read an earlier course that has a dose."""
    patient, planning = today
    table = file.prior_course[number]
    key = f"prior_course.{number}"
    ct_paths = data.paths(f"{key}.ct_series_uid", table.ct_series_uid, "CT")
    other = dicom.read_patient(ct_paths[0])
    if other.patient_id != patient.patient_id:
        msg = (
            f"{data.case_file}: {key}: its CT belongs to another patient ID than the planning "
            "CT; two patients cannot be in one case"
        )
        raise CaseError(msg)
    image = dicom.read_image(ct_paths)
    dose = dicom.read_dose(data.paths(f"{key}.dose_uid", table.dose_uid, "RTDOSE")[0])
    image.grid.require_same_frame(dose.grid, f"{data.case_file}: {key}.dose_uid")
    structures = plan = None
    if table.structure_set_uid:
        structures = data.structures(f"{key}.structure_set_uid", table.structure_set_uid, image)
    if table.plan_uid:
        plan_path = data.paths(f"{key}.plan_uid", table.plan_uid, "RTPLAN")[0]
        plan = dicom.read_plan(plan_path)
        data.findings.extend(dicom.check_plan(plan_path))
        _require_fractions(data.case_file, key, table, plan.n_fractions_planned)
    is_full = structures is not None and plan is not None
    grade = RecordGrade.FULL_DICOM if is_full else RecordGrade.DOSE_GRID
    course = course_of(table, grade)
    if plan is not None and table.treatment_records:
        course = with_records(course, data.case_file, table.treatment_records, plan)
    return PriorInput(
        course=course,
        study=Study(image, structures, plan, dose),
        interval_months=interval_months(table, file.current_course),
        mapping=mapping_of(data, key, table, (image, planning)),
    )


def _history(path: Path, file: CaseFile, patient: Patient) -> TreatmentHistory:
    """Return the history from wherever the case keeps it."""
    if file.ledger is not None:
        return history_in_ledger(path, file, patient)
    return history_of(file, patient)


def _as_read(history: TreatmentHistory, priors: Sequence[PriorInput]) -> TreatmentHistory:
    """Return the history with courses as their files give them."""
    read = {prior.course.name: prior.course for prior in priors}
    courses = tuple(read.get(course.name, course) for course in history.courses)
    return replace(history, courses=courses)


def _require_fractions(
    path: Path, key: str, table: PriorCourseTable, n_fractions_in_plan: int
) -> None:
    """Raise where case file and RTPLAN contradict each other."""
    if _count(table.n_fractions_planned) not in {None, n_fractions_in_plan}:
        msg = (
            f"{path}: {key}.n_fractions_planned is {table.n_fractions_planned}, but its RTPLAN "
            f"says {n_fractions_in_plan}; correct the one that is wrong"
        )
        raise CaseError(msg)


def interval_months(prior: PriorCourseTable, current: CourseTable) -> float | None:
    """Return the interval between two courses: as stated, else from their dates, else None."""
    if prior.interval_months != "unknown":
        return float(prior.interval_months)
    end, start = _date(prior.end_date), _date(current.start_date)
    return None if end is None or start is None else (start - end).days / DAYS_PER_MONTH


def _date(value: date | str) -> date | None:
    """Return a date, None for unknown."""
    return value if isinstance(value, date) else None


def _stated(text: str) -> str:
    """Return a text, empty where a word stands for its absence."""
    return "" if text in ABSENT_WORDS else text


def _count(value: int | str) -> int | None:
    """Return a number of fractions, None for unknown."""
    return value if isinstance(value, int) else None


def course_of(table: CourseTable, grade: RecordGrade) -> Course:
    """Return a course of the case file as a core type."""
    delivered = table.delivered_dose_gy
    return Course(
        name=table.name,
        site=_stated(table.site),
        technique=_stated(table.technique),
        prescriptions=tuple(
            Prescription(item.structure, item.dose_gy, item.up_to_gy)
            for item in table.prescriptions
        ),
        n_fractions_planned=_count(table.n_fractions_planned),
        n_fractions_delivered=_count(table.n_fractions_delivered),
        delivered_dose_gy=None if isinstance(delivered, str) else float(delivered),
        start=_date(table.start_date),
        end=_date(table.end_date),
        grade=grade,
        stop_reason=_stated(table.stop_reason),
        note=table.note,
        partial_fractions=table.partial_fractions if isinstance(table, PriorCourseTable) else (),
    )


def history_of(file: CaseFile, patient: Patient) -> TreatmentHistory:
    """Return the history of the case file as a core type."""
    courses = []
    for table in file.prior_course:
        grade = RecordGrade.PAPER if table.prescriptions else RecordGrade.UNKNOWN
        if table.point_doses:
            grade = RecordGrade.DVH_OR_POINTS
        if table.dose_uid:
            is_full = bool(table.structure_set_uid and table.plan_uid)
            grade = RecordGrade.FULL_DICOM if is_full else RecordGrade.DOSE_GRID
        courses.append(course_of(table, grade))
    return TreatmentHistory(
        patient=patient,
        summary=file.patient.summary,
        courses=tuple(courses),
        course_orders=tuple(table.order for table in file.prior_course),
        events=_events(file),
        unknowns=file.unknowns,
    )


def _events(file: CaseFile) -> tuple[HistoryEvent, ...]:
    """Return the events of all tables of the history, in order."""
    tables = file.model_copy(update={"event": ()})
    events = [*(_event(table) for table in file.event), *events_of(tuple(records_of(tables)))]
    return tuple(sorted(events, key=lambda event: event.order))


def _event(table: EventTable) -> HistoryEvent:
    """Return an event of the case file as a core type."""
    morphine = table.oral_morphine_mg_day
    return HistoryEvent(
        order=table.order,
        kind=EventKind(table.kind),
        title=table.title,
        text=table.text,
        when=table.when,
        date=_date(table.date),
        pain_score=None if table.pain_score == "unknown" else table.pain_score,
        muscle_grade=table.muscle_grade,
        oral_morphine_mg_day=None if morphine == "unknown" else float(morphine),
    )


def _isocenter(
    structures: StructureSet, current: Course, image: Image, path: Path
) -> tuple[float, float, float]:
    """Return the middle of the union of the prescribed targets."""
    if not current.prescriptions:
        msg = f"{path}: current_course.prescriptions is empty; name targets and doses"
        raise CaseError(msg)
    wanted = StructureSet(
        structures.label, tuple(structures[item.structure] for item in current.prescriptions)
    )
    coarse = image.grid.with_spacing((3.0, 3.0, 3.0))
    masks = list(rasterize_all(wanted, coarse).values())
    if not masks:
        msg = f"{path}: nothing is drawn for the targets of current_course"
        raise CaseError(msg)
    union = masks[0]
    for mask in masks[1:]:
        union = unite(union, mask)
    return isocenter_of(union)
