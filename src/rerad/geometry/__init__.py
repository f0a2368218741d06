"""Where things are: IEC 61217 and DICOM patient systems."""

from rerad.geometry.iec61217 import (
    bld_to_patient,
    patient_to_bld,
    patient_to_bld_rotation,
    project_to_isocenter_plane,
    source_position_mm,
)
from rerad.geometry.patient import patient_to_table_rotation

__all__ = [
    "bld_to_patient",
    "patient_to_bld",
    "patient_to_bld_rotation",
    "patient_to_table_rotation",
    "project_to_isocenter_plane",
    "source_position_mm",
]
