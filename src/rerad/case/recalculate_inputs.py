"""From an RTPLAN and a case to what a recalculation needs: CT, structures, planned dose, medium.

The CT is the one that the plan's structure set is drawn on, or whose frame of reference is the
plan's. Nothing is guessed: what does not fit is refused with the remedy.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rerad import dicom
from rerad.case.files import CASE_FILE_NAME, case_path, read_case
from rerad.case.load import DataFolder
from rerad.case.medium import medium_of
from rerad.case.schema import CaseFile
from rerad.core import Finding, Image, InputRecord, Patient, Plan, Severity, StructureSet
from rerad.dicom import FolderItem
from rerad.dicom.plan_beams import PlanBeam, read_plan_beams
from rerad.dicom.planned_doses import OF_BEAMS, PlannedDose, read_planned_dose
from rerad.dicom.scanner import read_scanner
from rerad.errors import CaseError, DicomError, FrameMismatchError
from rerad.imaging import curve_findings, load_hounsfield_curve
from rerad.planning.medium import MediumSettings
from rerad.structures import EndSlab
from rerad.tables import load_table

CHECK_FILE_NAME = "dose-check.json"
"""Record of a check; also the sign that a folder is the result of one."""

CHECK_FOLDER_NAME = "dose-check"
"""Where a check is written unless told otherwise."""


@dataclass(frozen=True, eq=False, slots=True)
class CheckedPlan:
    """A plan to check, with its patient.

    Parameters
    ----------
    plan : Plan
        In the frame of `image`.
    described : tuple of PlanBeam
        What the file says of machine and stated dose.
    image : Image
        The CT that it was made on.
    patient : Patient
        Whose it is.
    structures : StructureSet
        Drawn on the CT.
    medium : MediumSettings
        How the CT becomes densities.
    planned : PlannedDose or None
        What to compare with.
    end_slab : EndSlab
        How far contours reach beyond their ends in DVHs.
    known_machines : tuple of str
        Machines that the case names.
    findings : tuple of Finding
        Found while reading.
    records : tuple of InputRecord
        What was read, by hash.
    """

    plan: Plan
    described: tuple[PlanBeam, ...]
    image: Image
    patient: Patient
    structures: StructureSet
    medium: MediumSettings
    planned: PlannedDose | None
    end_slab: EndSlab
    known_machines: tuple[str, ...]
    findings: tuple[Finding, ...]
    records: tuple[InputRecord, ...]


def default_check_folder(case: Path) -> Path:
    """Return where a check is written unless told otherwise.

    Parameters
    ----------
    case : Path
        Case folder or file: then in the case folder. Or a folder of DICOM files: then beside it.
    """
    if case.is_dir() and not (case / CASE_FILE_NAME).is_file():
        folder = case.resolve()
        return folder.with_name(f"{folder.name}-{CHECK_FOLDER_NAME}")
    return (case if case.is_dir() else case.parent) / CHECK_FOLDER_NAME


def load_checked_plan(plan_path: Path, case: Path, *, dose_path: Path | None) -> CheckedPlan:
    """Read a plan and the patient that it is for.

    Parameters
    ----------
    plan_path : Path
        RTPLAN.
    case : Path
        Case folder or file, or a folder with the DICOM files of the patient.
    dose_path : Path or None
        RTDOSE to compare with; None to look for one that refers to the plan.

    Returns
    -------
    CheckedPlan

    Raises
    ------
    CaseError
        If the case holds no CT or structure set of the plan, or several doses of it.
    DicomError
        If an object cannot be used, or the plan has what cannot be calculated.
    FrameMismatchError
        If plan, CT and dose are not in one frame.
    """
    plan = dicom.read_plan(plan_path)
    findings = list(_refuse_modifiers(plan_path))
    file, data = _open(case)
    ct, drawn, said = _choose(plan, data, file)
    ct_paths = data.paths("CT of the plan", ct.uid, "CT")
    image = dicom.read_image(ct_paths)
    patient = dicom.read_patient(ct_paths[0])
    structures = data.structures("structures of the plan", drawn.uid, image)
    plan = _in_frame(plan, image, plan_path)
    _require_patient(plan_path, dicom.read_patient(plan_path), patient)
    medium, records = _medium(file, data.case_file, structures)
    findings += [*said, *data.findings, *curve_findings(medium.curve, read_scanner(ct_paths[0]))]
    found = dose_path or _find_dose(plan, data)
    planned = _planned(found, plan, image) if found is not None else None
    records = (_record("plan", plan_path, plan.instance_uid), *records)
    if found is not None and planned is not None:
        records = (*records, _record("planned dose", found, planned.dose.instance_uid))
    return CheckedPlan(
        plan=plan,
        described=read_plan_beams(plan_path),
        image=image,
        patient=patient,
        structures=structures,
        medium=medium,
        planned=planned,
        end_slab=EndSlab[file.planning.structure_ends.upper()] if file else EndSlab.FLAT,
        known_machines=(file.planning.machine,) if file else (),
        findings=tuple(dict.fromkeys(findings)),
        records=(*records, *data.records),
    )


def _record(what: str, path: Path, uid: str) -> InputRecord:
    return InputRecord(what, uid, hashlib.sha256(path.read_bytes()).hexdigest())


def _refuse_modifiers(plan_path: Path) -> tuple[Finding, ...]:
    """Return what the plan does not say, or raise if it has what cannot be calculated."""
    findings = dicom.check_plan(plan_path)
    refused = [item.text for item in findings if item.code == "beam-modifier-not-read"]
    if refused:
        msg = f"{plan_path.name}: {'; '.join(refused)}"
        raise DicomError(msg)
    return findings


def _open(case: Path) -> tuple[CaseFile | None, DataFolder]:
    """Open a case, or a folder of DICOM files without a case file."""
    if case.is_dir() and not (case / CASE_FILE_NAME).is_file():
        return None, DataFolder(case, case)
    path = case_path(case)
    file = read_case(path)
    return file, DataFolder(path, (path.parent / file.data.folder).resolve())


def _medium(
    file: CaseFile | None, path: Path, structures: StructureSet
) -> tuple[MediumSettings, tuple[InputRecord, ...]]:
    """Return the medium of the case; without a case file the curve that a new case proposes."""
    if file is not None:
        return medium_of(file, path, structures)
    name = load_table("planning_proposal")["planning"]["hounsfield_curve"]
    return MediumSettings(curve=load_hounsfield_curve(name)), ()


def _choose(
    plan: Plan, data: DataFolder, file: CaseFile | None
) -> tuple[FolderItem, FolderItem, list[Finding]]:
    """Return the CT and the structure set of a plan, with what is not quite as it says."""
    items = [item for item in data.scan.items if not _is_own_result(item.paths[0])]
    cts = [item for item in items if item.kind == "CT"]
    sets = [item for item in items if item.kind == "RTSTRUCT"]
    named = [
        item for item in sets if plan.structure_set_uid and item.uid == plan.structure_set_uid
    ]
    findings: list[Finding] = []
    if named:
        drawn = named[0]
        chosen = [ct for ct in cts if ct.uid in drawn.references]
        chosen = chosen or [
            ct for ct in cts if drawn.frame_uid and ct.frame_uid == drawn.frame_uid
        ]
    else:
        chosen = [ct for ct in cts if plan.frame_uid and ct.frame_uid == plan.frame_uid]
    if file is not None and len(chosen) > 1:
        own = [ct for ct in chosen if ct.uid == file.data.planning_ct_series_uid]
        chosen = own or chosen
    if len(chosen) != 1:
        raise CaseError(_no_single_ct(plan, data, chosen, bool(named)))
    if named:
        return chosen[0], drawn, findings
    drawn = _other_structures(chosen[0], sets, data, file)
    text = (
        "The structure set that the plan refers to is not in the case; "
        f"{drawn.description}, on the same CT, was taken."
    )
    findings.append(Finding(Severity.CAUTION, "structure-set-of-plan-not-here", text))
    return chosen[0], drawn, findings


def _no_single_ct(
    plan: Plan, data: DataFolder, chosen: Sequence[FolderItem], has_structures: bool
) -> str:
    """Say why there is no one CT for a plan."""
    where = data.case_file
    if len(chosen) > 1:
        return (
            f"{where}: {len(chosen)} CT series share the frame of reference of plan {plan.label} "
            f"({', '.join(ct.description for ct in chosen)}); keep the one that it was made on"
        )
    if has_structures:
        return (
            f"{where}: the structure set of plan {plan.label} is there, but not the CT that it is "
            "drawn on; add it"
        )
    frame = plan.frame_uid or "that it does not name"
    return (
        f"{where}: expected the structure set that plan {plan.label} refers to "
        f"({plan.structure_set_uid or 'none'}), or a CT in its frame of reference ({frame}), got "
        "neither; give the case that the plan was made for"
    )


def _other_structures(
    ct: FolderItem, sets: Sequence[FolderItem], data: DataFolder, file: CaseFile | None
) -> FolderItem:
    """Return the one structure set on a CT other than the plan's own."""
    found = [s for s in sets if ct.uid in s.references or s.frame_uid == ct.frame_uid]
    if file is not None:
        found = [s for s in found if s.uid == file.data.structure_set_uid] or found
    if len(found) != 1:
        msg = (
            f"{data.case_file}: expected one structure set on the plan's CT, got {len(found)}; "
            "keep the one that the plan was made on"
        )
        raise CaseError(msg)
    return found[0]


def _in_frame(plan: Plan, image: Image, path: Path) -> Plan:
    """Return the plan in the frame of its CT, or raise if it is in another or turned."""
    if plan.frame_uid and plan.frame_uid != image.grid.frame_uid:
        msg = (
            f"{path.name}: expected a plan in the frame of its CT {image.grid.frame_uid}, got "
            f"{plan.frame_uid}; give the case that the plan was made for"
        )
        raise FrameMismatchError(msg)
    if plan.patient_position is not image.patient_position:
        msg = (
            f"{path.name}: expected patient position {image.patient_position} as in its CT, got "
            f"{plan.patient_position}; give the case that the plan was made for"
        )
        raise DicomError(msg)
    return replace(plan, frame_uid=image.grid.frame_uid)


def _require_patient(path: Path, of_plan: Patient, of_ct: Patient) -> None:
    """Raise if plan and CT belong to different patients."""
    if of_plan.patient_id != of_ct.patient_id:
        msg = f"{path.name}: the plan has another patient ID than the CT; give the case of the "
        raise CaseError(msg + "patient that the plan is for")


def _is_own_result(path: Path) -> bool:
    """Return whether a file lies in the result of an earlier check."""
    return any((folder / CHECK_FILE_NAME).is_file() for folder in path.parents[:3])


def _find_dose(plan: Plan, data: DataFolder) -> Path | None:
    """Return the dose that refers to a plan: the whole one, else the only one; None if none."""
    doses: dict[Path, PlannedDose] = {}
    for item in data.scan.of_kind("RTDOSE"):
        path = item.paths[0]
        if plan.instance_uid not in item.references or _is_own_result(path):
            continue
        try:
            doses[path] = read_planned_dose(path)
        except DicomError:
            continue  # another quantity: no dose to compare with
    whole = [path for path, dose in doses.items() if dose.summation not in OF_BEAMS]
    found = whole or list(doses)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        msg = f"{data.case_file}: plan {plan.label} has {len(found)} doses ({names}); name the "
        raise CaseError(msg + "one to compare with by --dose")
    return found[0] if found else None


def _planned(path: Path, plan: Plan, image: Image) -> PlannedDose:
    """Read the dose to compare with, or raise if it is not one of this plan on this CT."""
    planned = read_planned_dose(path)
    if plan.instance_uid not in planned.plan_uids:
        msg = f"{path.name}: expected a dose of plan {plan.label} ({plan.instance_uid}), got one "
        raise CaseError(msg + "of another plan; give the dose that belongs to it")
    numbers = {beam.number for beam in plan.beams}
    absent = [number for number in planned.beam_numbers if number not in numbers]
    if absent:
        msg = f"{path.name}: it is a dose of beams {absent}, which the plan does not have"
        raise CaseError(msg)
    image.grid.require_same_frame(planned.dose.grid, f"{path.name}")
    return planned
