"""How the patient lies, and who it is."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class PatientPosition(StrEnum):
    """DICOM Patient Position: head or feet first, supine or prone."""

    HFS = "HFS"
    FFS = "FFS"
    HFP = "HFP"
    FFP = "FFP"


@dataclass(frozen=True, slots=True)
class Patient:
    """Who the data belong to.

    Parameters
    ----------
    patient_id : str
        Identifier in the files.
    name : str
        DICOM person name; may be empty. Never written to a log.
    birth_date : date or None
        None means unknown.
    sex : str
        F, M, O, or empty for unknown.
    """

    patient_id: str
    name: str = ""
    birth_date: date | None = None
    sex: str = ""
