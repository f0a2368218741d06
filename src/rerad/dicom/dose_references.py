"""What an RTDOSE says of itself besides the dose: whose it is, which plan it belongs to."""

from dataclasses import dataclass
from pathlib import Path

from rerad.core import Patient
from rerad.dicom.dose_writing import PlanReference
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import items_of, patient_of, text_of


@dataclass(frozen=True, slots=True)
class DoseReference:
    """Where an RTDOSE belongs.

    Parameters
    ----------
    patient : Patient
        As in the file.
    study_uid, frame_uid, instance_uid : str
        Of the object.
    plans : tuple of PlanReference
        Plans that it refers to.
    """

    patient: Patient
    study_uid: str
    frame_uid: str
    instance_uid: str
    plans: tuple[PlanReference, ...]


@guard_parser
def read_dose_reference(path: Path) -> DoseReference:
    """Read whose an RTDOSE is and which plans it refers to.

    Raises
    ------
    DicomError
        If the file cannot be read.
    """
    dataset = read_dataset(Path(path))
    frame_uid = text_of(dataset, "FrameOfReferenceUID")
    plans = tuple(
        PlanReference(uid, frame_uid)
        for item in items_of(dataset, "ReferencedRTPlanSequence")
        if (uid := text_of(item, "ReferencedSOPInstanceUID"))
    )
    return DoseReference(
        patient=patient_of(dataset),
        study_uid=text_of(dataset, "StudyInstanceUID"),
        frame_uid=frame_uid,
        instance_uid=text_of(dataset, "SOPInstanceUID"),
        plans=plans,
    )
