"""DICOM in and out: the only room that knows pydicom.

What is read comes as core types in the patient system (LPS, axis-aligned, +x +y +z); what cannot
be read without guessing is refused with the reason. What is written gets new UIDs and is written
whole or not at all.
"""

from rerad.dicom.deidentify import DeidentifiedFolder, deidentify_folder
from rerad.dicom.deidentify_key import PseudonymKey, new_key
from rerad.dicom.dose_references import DoseReference, read_dose_reference
from rerad.dicom.dose_writing import DoseDerivation, PlanReference, write_dose
from rerad.dicom.doses import REMAINING_MARK, read_dose, read_effective_dose
from rerad.dicom.encapsulated_pdf import (
    EncapsulatedPdf,
    object_identity,
    read_encapsulated_pdf,
    write_encapsulated_pdf,
)
from rerad.dicom.folder_items import FolderItem
from rerad.dicom.headers import StudyHeader, read_patient
from rerad.dicom.image_writing import write_image
from rerad.dicom.images import read_image
from rerad.dicom.limits_plan import LABEL as LIMITS_LABEL
from rerad.dicom.limits_plan import LimitsPlan, write_limits_plan
from rerad.dicom.plan_writing import PriorReference, write_plan
from rerad.dicom.plans import check_plan, read_plan
from rerad.dicom.registrations import (
    SpatialRegistration,
    is_deformable_registration,
    read_deformable_registration,
    read_registration,
)
from rerad.dicom.structure_set_writing import write_structure_set
from rerad.dicom.structure_sets import check_structure_set, read_structure_set
from rerad.dicom.study import FolderScan, SkippedFile, scan_folder
from rerad.dicom.uids import UidFactory

__all__ = [
    "LIMITS_LABEL",
    "REMAINING_MARK",
    "DeidentifiedFolder",
    "DoseDerivation",
    "DoseReference",
    "EncapsulatedPdf",
    "FolderItem",
    "FolderScan",
    "LimitsPlan",
    "PlanReference",
    "PriorReference",
    "PseudonymKey",
    "SkippedFile",
    "SpatialRegistration",
    "StudyHeader",
    "UidFactory",
    "check_plan",
    "check_structure_set",
    "deidentify_folder",
    "is_deformable_registration",
    "new_key",
    "object_identity",
    "read_deformable_registration",
    "read_dose",
    "read_dose_reference",
    "read_effective_dose",
    "read_encapsulated_pdf",
    "read_image",
    "read_patient",
    "read_plan",
    "read_registration",
    "read_structure_set",
    "scan_folder",
    "write_dose",
    "write_encapsulated_pdf",
    "write_image",
    "write_limits_plan",
    "write_plan",
    "write_structure_set",
]
