"""The nouns of rerad: frozen, validated, no input or output."""

from rerad.core.beam import Beam, BeamGeometry, ControlPoint
from rerad.core.course import (
    Course,
    EventKind,
    HistoryEvent,
    RecordGrade,
    TreatmentHistory,
    poorest_grade,
)
from rerad.core.dose import Dose, DoseQuantity, describe_quantity
from rerad.core.finding import Finding, Severity
from rerad.core.fluence import BixelGrid, Fluence
from rerad.core.grid import Grid
from rerad.core.image import Image, ImageUnit, Modality
from rerad.core.machine import Machine, Mlc
from rerad.core.nerve import NervePath, PathSource
from rerad.core.patient import Patient, PatientPosition
from rerad.core.pet import HeaderConflict, PetAcquisition
from rerad.core.photon_beam import (
    ElectronContamination,
    HeadScatter,
    PencilKernel,
    PhotonBeam,
    ReferenceCondition,
    Spectrum,
)
from rerad.core.plan import DoseScope, Goal, Plan, Prescription, RecoveryBasis
from rerad.core.provenance import InputRecord, Provenance, StepTime
from rerad.core.structure import Contour, Mask, Structure, StructureKind
from rerad.core.study import StructureSet, Study
from rerad.core.transform import DisplacementField, RigidTransform, Transform

__all__ = [
    "Beam",
    "BeamGeometry",
    "BixelGrid",
    "Contour",
    "ControlPoint",
    "Course",
    "DisplacementField",
    "Dose",
    "DoseQuantity",
    "DoseScope",
    "ElectronContamination",
    "EventKind",
    "Finding",
    "Fluence",
    "Goal",
    "Grid",
    "HeadScatter",
    "HeaderConflict",
    "HistoryEvent",
    "Image",
    "ImageUnit",
    "InputRecord",
    "Machine",
    "Mask",
    "Mlc",
    "Modality",
    "NervePath",
    "PathSource",
    "Patient",
    "PatientPosition",
    "PencilKernel",
    "PetAcquisition",
    "PhotonBeam",
    "Plan",
    "Prescription",
    "Provenance",
    "RecordGrade",
    "RecoveryBasis",
    "ReferenceCondition",
    "RigidTransform",
    "Severity",
    "Spectrum",
    "StepTime",
    "Structure",
    "StructureKind",
    "StructureSet",
    "Study",
    "Transform",
    "TreatmentHistory",
    "describe_quantity",
    "poorest_grade",
]
