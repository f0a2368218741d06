"""Sequences that stay when an object is de-identified; every other goes with all it holds.

By the objects that are cleaned: images, structure sets, plans, doses, treatment records and
registrations. Sequences that identify people, places, devices, requests or procedures are not
among them.
"""

_SHARED = (
    "AnatomicRegionSequence", "AnatomicRegionModifierSequence", "DerivationCodeSequence",
    "DerivationImageSequence", "PurposeOfReferenceCodeSequence",
    "ReferencedFrameOfReferenceSequence",
    "ReferencedImageSequence", "ReferencedInstanceSequence", "ReferencedSOPSequence",
    "ReferencedSeriesSequence", "ReferencedStudySequence", "SourceImageSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
)  # fmt: skip

_IMAGES = (
    "EnergyWindowInformationSequence", "EnergyWindowRangeSequence", "ModalityLUTSequence",
    "PatientGantryRelationshipCodeSequence", "PatientOrientationCodeSequence",
    "PatientOrientationModifierCodeSequence", "RadionuclideCodeSequence",
    "RadiopharmaceuticalCodeSequence", "RadiopharmaceuticalInformationSequence", "VOILUTSequence",
)  # fmt: skip

_STRUCTURES = (
    "ContourImageSequence", "ContourSequence", "ROIContourSequence",
    "ROIElementalCompositionSequence", "ROIPhysicalPropertiesSequence",
    "RTROIIdentificationCodeSequence", "RTROIObservationsSequence", "RTReferencedSeriesSequence",
    "RTReferencedStudySequence", "RTRelatedROISequence", "RelatedRTROIObservationsSequence",
    "StructureSetROISequence",
)  # fmt: skip

_PLANS = (
    "ApplicationSetupSequence", "ApplicatorSequence", "BeamLimitingDevicePositionSequence",
    "BeamLimitingDeviceSequence", "BeamLimitingDeviceToleranceSequence", "BeamSequence",
    "BlockSequence", "BrachyControlPointSequence", "BrachyReferencedDoseReferenceSequence",
    "ChannelSequence", "CompensatorSequence", "ControlPointSequence", "DoseReferenceSequence",
    "FixationDeviceSequence", "FractionGroupSequence", "GeneralAccessorySequence",
    "IonBeamLimitingDeviceSequence", "IonBeamSequence", "IonControlPointSequence",
    "PatientSetupSequence", "PrimaryFluenceModeSequence", "RangeModulatorSequence",
    "RangeShifterSequence", "ReferencedBeamSequence", "ReferencedBolusSequence",
    "ReferencedBrachyApplicationSetupSequence", "ReferencedDoseReferenceSequence",
    "ReferencedDoseSequence", "ReferencedRTPlanSequence",
    "ReferencedSetupImageSequence", "ReferencedStructureSetSequence",
    "SetupDeviceSequence", "ShieldingDeviceSequence",
    "SnoutSequence", "SourceSequence", "ToleranceTableSequence", "TreatmentMachineSequence",
    "WedgePositionSequence", "WedgeSequence",
)  # fmt: skip

_DOSES = (
    "DVHReferencedROISequence", "DVHSequence", "RTDoseROISequence",
    "ReferencedControlPointSequence", "ReferencedFractionGroupSequence",
    "ReferencedSpatialRegistrationSequence", "ReferencedTreatmentRecordSequence",
)  # fmt: skip

_RECORDS = (
    "BeamLimitingDeviceLeafPairsSequence", "CalculatedDoseReferenceSequence",
    "ControlPointDeliverySequence", "FractionGroupSummarySequence",
    "FractionStatusSummarySequence", "MeasuredDoseReferenceSequence", "OverrideSequence",
    "RecordedBlockSequence", "RecordedCompensatorSequence", "RecordedWedgeSequence",
    "ReferencedCalculatedDoseReferenceSequence", "ReferencedMeasuredDoseReferenceSequence",
    "TreatmentSessionBeamSequence", "TreatmentSummaryCalculatedDoseReferenceSequence",
)  # fmt: skip

_REGISTRATIONS = (
    "DeformableRegistrationGridSequence", "DeformableRegistrationSequence",
    "MatrixRegistrationSequence", "MatrixSequence", "PostDeformationMatrixRegistrationSequence",
    "PreDeformationMatrixRegistrationSequence", "RegistrationSequence",
    "RegistrationTypeCodeSequence",
)  # fmt: skip

KEPT_SEQUENCES = frozenset(
    (*_SHARED, *_IMAGES, *_STRUCTURES, *_PLANS, *_DOSES, *_RECORDS, *_REGISTRATIONS)
)
"""By keyword."""
