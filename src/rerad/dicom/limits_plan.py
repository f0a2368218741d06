"""An RTPLAN without beams: what an RTDOSE of remaining tolerance belongs to.

An RTDOSE of summation type PLAN must refer to a plan (PS3.3 C.8.8.3), and the dose that may still
be given belongs to no plan that there is: not to an earlier one, whose dose it is not, and not to
the one that is yet to be made. This plan states fractions and structures, has no beam and can
treat nobody; systems that hang a dose on its plan have something to hang it on.
"""

from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import RTPlanStorage, RTStructureSetStorage

from rerad.core import Image, Patient
from rerad.dicom.dose_writing import PlanReference
from rerad.dicom.files import write_dataset
from rerad.dicom.headers import (
    RESEARCH_NOTE,
    StudyHeader,
    dicom_date,
    dicom_time,
    items,
    make_item,
    new_dataset,
    reference,
    require_text_length,
)
from rerad.errors import InputError

LABEL = "RSCH_LIMITS"
"""Of every such plan."""


@dataclass(frozen=True, slots=True)
class LimitsPlan:
    """What a plan without beams states.

    Parameters
    ----------
    n_fractions : int
        Fractions that the remaining dose is meant for, at least 1.
    structure_set_uid : str
        Of the volumes that were written with it.
    grade : str
        Poorest record of the earlier courses, in words; empty for none.
    """

    n_fractions: int
    structure_set_uid: str
    grade: str = ""


def write_limits_plan(
    plan: LimitsPlan, patient: Patient, path: Path, *, study: StudyHeader, image: Image
) -> PlanReference:
    """Write an RTPLAN without beams under a new UID, unapproved, for research.

    Parameters
    ----------
    plan : LimitsPlan
        Fractions and structure set.
    patient : Patient
        Whose.
    path : Path
        File to write; a file of that name is replaced.
    study : StudyHeader
        Common header.
    image : Image
        Planning image.

    Returns
    -------
    PlanReference
        For the doses that refer to it.

    Raises
    ------
    InputError
        If there is no fraction or no structure set.
    """
    if plan.n_fractions < 1 or not plan.structure_set_uid:
        msg = (
            "expected 1 fraction or more and a written structure set for the plan of the limits, "
            f"got {plan.n_fractions} and {plan.structure_set_uid!r}"
        )
        raise InputError(msg)
    new = new_dataset(RTPlanStorage, "RTPLAN", patient, study)
    new.OperatorsName = ""
    new.InstanceNumber = 1
    new.RTPlanLabel = LABEL
    new.RTPlanDate = dicom_date(study.study_date)
    new.RTPlanTime = dicom_time(study.study_time)
    record = f"Poorest record of earlier courses: {plan.grade}. " if plan.grade else ""
    text = f"No beams: holds the dose that may still be given. {record}{RESEARCH_NOTE}"
    new.RTPlanDescription = require_text_length(text, 1024, "plan description")
    new.PlanIntent = "RESEARCH"
    new.RTPlanGeometry = "PATIENT"
    new.ReferencedStructureSetSequence = items(
        reference(RTStructureSetStorage, plan.structure_set_uid)
    )
    new.FrameOfReferenceUID = image.grid.frame_uid
    new.PositionReferenceIndicator = ""
    new.PatientSetupSequence = items(
        make_item(PatientSetupNumber=1, PatientPosition=str(image.patient_position))
    )
    new.FractionGroupSequence = items(
        make_item(
            FractionGroupNumber=1,
            NumberOfFractionsPlanned=plan.n_fractions,
            NumberOfBeams=0,
            NumberOfBrachyApplicationSetups=0,
        )
    )
    new.ApprovalStatus = "UNAPPROVED"
    write_dataset(new, path)
    return PlanReference(str(new.SOPInstanceUID), image.grid.frame_uid)
