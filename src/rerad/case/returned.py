"""The files of a plan made elsewhere: whose they are, that they belong together, and its dose."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rerad import dicom
from rerad.case.schema import CaseFile
from rerad.core import Image, Patient, Plan
from rerad.errors import CaseError
from rerad.planning.inputs import ReturnedPlan
from rerad.planning.returned_plan import require_planning_frame

if TYPE_CHECKING:
    from rerad.case.load import DataFolder


@dataclass(frozen=True, slots=True)
class WhoseCase:
    """Patient ID and frame of reference of a case."""

    patient_id: str
    frame_uid: str


def returned_of(
    file: CaseFile, data: "DataFolder", patient: Patient, image: Image
) -> ReturnedPlan | None:
    """Return the plan made elsewhere that a case file names; None if it names none.

    Raises
    ------
    CaseError
        As `read_returned`, or if its files are not in the data folder.
    """
    table = file.returned_plan
    if table is None:
        return None
    dose = data.paths("returned_plan.dose_uid", table.dose_uid, "RTDOSE")[0]
    plan = None
    if table.plan_uid:
        plan = data.paths("returned_plan.plan_uid", table.plan_uid, "RTPLAN")[0]
    case = WhoseCase(patient.patient_id, image.grid.frame_uid)
    return read_returned(case, dose, plan, table.n_fractions)


def read_returned(
    case: WhoseCase, dose_path: Path, plan_path: Path | None, n_fractions: int | None
) -> ReturnedPlan:
    """Read a plan made elsewhere for a case.

    Parameters
    ----------
    case : WhoseCase
        Whose plan it must be, and on which CT.
    dose_path : Path
        RTDOSE of the plan, total physical dose.
    plan_path : Path or None
        Its RTPLAN, for the number of fractions.
    n_fractions : int or None
        Instead of the RTPLAN, or to confirm it.

    Raises
    ------
    CaseError
        If plan or dose belong to another patient or not together, the plan is on another frame of
        reference, or the number of fractions is not known or contradicts the plan.
    FrameMismatchError
        If the dose is on another frame of reference.
    DicomError
        If a file cannot be used.
    """
    reference = dicom.read_dose_reference(dose_path)
    require_own_patient(case, dose_path)
    label = dose_path.name
    if plan_path is not None:
        require_own_patient(case, plan_path)
        plan = dicom.read_plan(plan_path)
        _require_together(case, plan, plan_path, dose_path)
        if n_fractions is not None and n_fractions != plan.n_fractions_planned:
            msg = (
                f"{plan_path.name} says {plan.n_fractions_planned} fractions, {n_fractions} were "
                "given besides; leave them out, or give the plan that they belong to"
            )
            raise CaseError(msg)
        label, n_fractions = plan.label, plan.n_fractions_planned
    if not n_fractions:
        msg = f"{dose_path.name}: expected its RTPLAN or its number of fractions, got neither"
        raise CaseError(msg)
    require_planning_frame(dose_path.name, reference.frame_uid, case.frame_uid)
    return ReturnedPlan(label, dicom.read_dose(dose_path), n_fractions)


def require_own_patient(case: WhoseCase, path: Path) -> None:
    """Raise unless a file is of the patient of the case; identities are not written out."""
    if dicom.read_patient(path).patient_id != case.patient_id:
        msg = (
            f"{path.name}: its patient ID is not that of the planning CT; give the plan that was "
            "made for this patient"
        )
        raise CaseError(msg)


def _require_together(case: WhoseCase, plan: Plan, plan_path: Path, dose_path: Path) -> None:
    """Raise unless a dose refers to a plan, and the plan is in the frame of the planning CT."""
    named = {item.instance_uid for item in dicom.read_dose_reference(dose_path).plans}
    if plan.instance_uid not in named:
        msg = (
            f"{dose_path.name} does not refer to the plan {plan_path.name}; give plan and dose "
            "that belong together"
        )
        raise CaseError(msg)
    require_own_frame(case, plan, plan_path)


def require_own_frame(case: WhoseCase, plan: Plan, path: Path) -> None:
    """Raise unless a plan is in the frame of the planning CT, as far as it says."""
    if plan.frame_uid and plan.frame_uid != case.frame_uid:
        msg = (
            f"{path.name}: expected a plan in the frame of the planning CT {case.frame_uid}, got "
            f"{plan.frame_uid}; plan on the CT that the limits were exported for"
        )
        raise CaseError(msg)
