"""RTPLAN out: a complete plan that a treatment planning system can import for research.

Never approved: ApprovalStatus is UNAPPROVED and PlanIntent RESEARCH, whatever the plan that
comes in says; its label begins with ``RSCH_``.
"""

import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage, RTPlanStorage, RTStructureSetStorage

from rerad.core import Beam, ControlPoint, Image, Machine, Patient, Plan, Prescription
from rerad.dicom.files import write_dataset
from rerad.dicom.headers import (
    RESEARCH_NOTE,
    StudyHeader,
    code,
    dicom_date,
    dicom_time,
    ds,
    items,
    make_item,
    new_dataset,
    reference,
    require_text_length,
    set_decimals,
)
from rerad.errors import DeliverabilityError, DicomError, FrameMismatchError

LABEL_PREFIX = "RSCH_"
"""Every plan label begins with it."""

PRIOR_DOSE_PURPOSE = ("129212", "Dose from prior Treatment")
"""Purpose of reference, Context Group 7022 (CP-2379)."""

LABEL_LENGTH = 16
"""Characters of RT Plan Label (SH)."""


@dataclass(frozen=True, slots=True)
class PriorReference:
    """The RTDOSE objects of earlier courses that a plan takes account of.

    Parameters
    ----------
    dose_uids : tuple of str
        SOP Instance UIDs.
    """

    dose_uids: tuple[str, ...]


def write_plan(
    plan: Plan,
    machine: Machine,
    patient: Patient,
    path: Path,
    *,
    study: StudyHeader,
    image: Image,
    prior: PriorReference | None = None,
) -> Plan:
    """Write an RTPLAN under a new UID.

    Parameters
    ----------
    plan : Plan
        Photon beams; gantry may move, collimator and couch are fixed in a beam.
    machine : Machine
        The machine that it is for: leaf boundaries, energy, distances.
    patient : Patient
        Whose it is.
    path : Path
        File to write; a file of that name is replaced.
    study : StudyHeader
        Common header.
    image : Image
        Planning image, in the frame of the plan.
    prior : PriorReference or None
        Doses of earlier courses that the plan was made with.

    Returns
    -------
    Plan
        As written: new instance UID, prefixed label, frame, unapproved.

    Raises
    ------
    FrameMismatchError
        If plan and image are in different frames.
    DeliverabilityError
        If the leaves of the plan are not those of the machine.
    DicomError
        If a label or name is too long, or plan and image disagree on the patient position.
    """
    _check(plan, machine, image)
    new = new_dataset(RTPlanStorage, "RTPLAN", patient, study)
    new.OperatorsName = ""
    new.InstanceNumber = 1
    _set_general(new, plan, study)
    new.FrameOfReferenceUID = image.grid.frame_uid
    new.PositionReferenceIndicator = ""
    if prior is not None and prior.dose_uids:
        new.ReferencedInstanceSequence = items(*(_prior_item(uid) for uid in prior.dose_uids))
    if plan.prescriptions:
        new.DoseReferenceSequence = items(
            *(_prescription_item(n, p) for n, p in enumerate(plan.prescriptions, start=1))
        )
        new.PrescriptionDescription = "; ".join(_wanted(item) for item in plan.prescriptions)
    new.PatientSetupSequence = items(
        make_item(PatientSetupNumber=1, PatientPosition=str(plan.patient_position))
    )
    new.FractionGroupSequence = items(_fraction_group(plan))
    new.BeamSequence = items(*(_beam_item(beam, machine) for beam in plan.beams))
    new.ApprovalStatus = "UNAPPROVED"
    write_dataset(new, path)
    return replace(
        plan,
        label=str(new.RTPlanLabel),
        frame_uid=image.grid.frame_uid,
        instance_uid=str(new.SOPInstanceUID),
        approval="UNAPPROVED",
        date=study.study_date.isoformat() if study.study_date else "",
    )


def _check(plan: Plan, machine: Machine, image: Image) -> None:
    if plan.frame_uid and plan.frame_uid != image.grid.frame_uid:
        msg = (
            f"plan {plan.label}: expected frame {image.grid.frame_uid} of its image, got "
            f"{plan.frame_uid}; give the image that it was planned on"
        )
        raise FrameMismatchError(msg)
    if plan.patient_position is not image.patient_position:
        msg = (
            f"plan {plan.label}: expected patient position {image.patient_position} as in its "
            f"image, got {plan.patient_position}; plan in the position of the image"
        )
        raise DicomError(msg)
    if not plan.beams:
        msg = f"plan {plan.label}: expected beams, got none; sequence it before writing"
        raise DicomError(msg)
    for beam in plan.beams:
        for point in beam.control_points:
            n_pairs = point.leaf_positions_mm.shape[1]
            if n_pairs != machine.mlc.n_leaf_pairs:
                msg = (
                    f"plan {plan.label}, beam {beam.geometry.name}: expected "
                    f"{machine.mlc.n_leaf_pairs} leaf pairs of {machine.name}, got {n_pairs}; "
                    "write it for the machine that it was sequenced for"
                )
                raise DeliverabilityError(msg)
        if beam.energy_mv not in {None, machine.energy_mv}:
            msg = (
                f"plan {plan.label}, beam {beam.geometry.name}: expected {machine.energy_mv:g} MV "
                f"of {machine.name}, got {beam.energy_mv:g} MV; write it for its own machine"
            )
            raise DeliverabilityError(msg)


def _set_general(new: Dataset, plan: Plan, study: StudyHeader) -> None:
    label = plan.label if plan.label.startswith(LABEL_PREFIX) else LABEL_PREFIX + plan.label
    new.RTPlanLabel = require_text_length(label, LABEL_LENGTH, f"plan label {label}")
    new.RTPlanDate = dicom_date(study.study_date)
    new.RTPlanTime = dicom_time(study.study_time)
    new.RTPlanDescription = RESEARCH_NOTE
    new.PlanIntent = "RESEARCH"
    new.RTPlanGeometry = "PATIENT" if plan.structure_set_uid else "TREATMENT_DEVICE"
    if plan.structure_set_uid:
        new.ReferencedStructureSetSequence = items(
            reference(RTStructureSetStorage, plan.structure_set_uid)
        )


def _prior_item(dose_uid: str) -> Dataset:
    item = reference(RTDoseStorage, dose_uid)
    item.PurposeOfReferenceCodeSequence = items(code(*PRIOR_DOSE_PURPOSE))
    return item


def _wanted(prescription: Prescription) -> str:
    """Return what was asked for a target, in words."""
    text = f"{prescription.structure} {prescription.dose_gy:g} Gy"
    if prescription.up_to_gy is None:
        return text
    return f"{text}, as much as limits allow up to {prescription.up_to_gy:g} Gy"


def _prescription_item(number: int, prescription: Prescription) -> Dataset:
    # SITE, because VOLUME needs an ROI number and a plan knows its targets by name.
    return make_item(
        DoseReferenceNumber=number,
        DoseReferenceStructureType="SITE",
        DoseReferenceDescription=require_text_length(
            prescription.structure, 64, f"prescription to {prescription.structure}"
        ),
        DoseReferenceType="TARGET",
        TargetPrescriptionDose=ds(prescription.dose_gy),
    )


def _fraction_group(plan: Plan) -> Dataset:
    group = make_item(
        FractionGroupNumber=1,
        NumberOfFractionsPlanned=plan.n_fractions_planned,
        NumberOfBeams=len(plan.beams),
        NumberOfBrachyApplicationSetups=0,
        ReferencedBeamSequence=items(
            *(
                make_item(BeamMeterset=ds(beam.meterset_mu), ReferencedBeamNumber=beam.number)
                for beam in plan.beams
            )
        ),
    )
    if plan.prescriptions:
        group.ReferencedDoseReferenceSequence = items(
            *(
                make_item(ReferencedDoseReferenceNumber=n)
                for n in range(1, len(plan.prescriptions) + 1)
            )
        )
    return group


def _beam_item(beam: Beam, machine: Machine) -> Dataset:
    item = make_item(
        Manufacturer=machine.manufacturer,
        ManufacturerModelName=machine.model,
        TreatmentMachineName=machine.name,
        PrimaryDosimeterUnit="MU",
        SourceAxisDistance=ds(machine.sad_mm),
        BeamLimitingDeviceSequence=_device_items(machine),
        BeamNumber=beam.number,
        BeamName=require_text_length(beam.geometry.name, 64, f"beam {beam.number} name"),
        BeamType="DYNAMIC" if _moves(beam) else "STATIC",
        RadiationType="PHOTON",
        TreatmentDeliveryType="TREATMENT",
        PrimaryFluenceModeSequence=items(_fluence_mode_item(machine)),
        NumberOfWedges=0,
        NumberOfCompensators=0,
        NumberOfBoli=0,
        NumberOfBlocks=0,
        FinalCumulativeMetersetWeight=1,
        NumberOfControlPoints=len(beam.control_points),
        ReferencedPatientSetupNumber=1,
    )
    item.ControlPointSequence = items(*_control_point_items(beam, machine))
    return item


def _fluence_mode_item(machine: Machine) -> Dataset:
    """Say whether the flattening filter is in the beam."""
    if machine.beam.is_flattened:
        return make_item(FluenceMode="STANDARD")
    return make_item(FluenceMode="NON_STANDARD", FluenceModeID="FFF")


def _device_items(machine: Machine) -> Any:
    """Return jaws and leaves as the machine has them."""
    leaves = make_item(
        RTBeamLimitingDeviceType="MLCX",
        NumberOfLeafJawPairs=machine.mlc.n_leaf_pairs,
    )
    set_decimals(leaves, "LeafPositionBoundaries", machine.mlc.leaf_boundaries_mm)
    kinds = _jaw_kinds(machine)
    jaws = (make_item(RTBeamLimitingDeviceType=kind, NumberOfLeafJawPairs=1) for kind in kinds)
    return items(*jaws, leaves)


def _jaw_kinds(machine: Machine) -> tuple[str, ...]:
    """Return the jaws that the machine has."""
    return ("ASYMY",) if machine.jaw_x_limits_mm is None else ("ASYMX", "ASYMY")


def _moves(beam: Beam) -> bool:
    """Return whether leaves, jaws or gantry change while the beam is on.

    Segments between which the beam is off are static: DICOM asks only about consecutive control
    points of changing cumulative weight (PS3.3 C.8.8.14, Beam Type).
    """
    return any(
        after.cumulative_weight > before.cumulative_weight and not _is_same(beam, before, after)
        for before, after in itertools.pairwise(beam.control_points)
    )


def _is_same(beam: Beam, a: ControlPoint, b: ControlPoint) -> bool:
    """Return whether two control points differ in nothing but the meterset."""
    return _same_aperture(a, b) and _gantry(beam, a) == _gantry(beam, b)


def _turns(beam: Beam) -> bool:
    return len({_gantry(beam, point) for point in beam.control_points}) > 1


def _gantry(beam: Beam, point: ControlPoint) -> float:
    angle = point.gantry_angle_deg
    return beam.geometry.gantry_angle_deg if angle is None else angle


def _same_aperture(a: ControlPoint, b: ControlPoint) -> bool:
    return (
        a.jaw_x_mm == b.jaw_x_mm
        and a.jaw_y_mm == b.jaw_y_mm
        and np.array_equal(a.leaf_positions_mm, b.leaf_positions_mm)
    )


def _control_point_items(beam: Beam, machine: Machine) -> list[Dataset]:
    """Return control points; after the first, only what changes is said again."""
    result = []
    before: ControlPoint | None = None
    turns = _turns(beam)
    directions = _rotation_directions(beam)
    for index, point in enumerate(beam.control_points):
        item = make_item(ControlPointIndex=index)
        if before is None:
            item.NominalBeamEnergy = ds(machine.energy_mv)
            item.DoseRateSet = ds(beam.dose_rate_mu_min or machine.dose_rate_mu_min)
        if before is None or not _same_aperture(before, point):
            positions = _position_items(point, before, _jaw_kinds(machine))
            if positions:
                item.BeamLimitingDevicePositionSequence = items(*positions)
        if before is None or turns:
            item.GantryAngle = ds(_gantry(beam, point) % 360)
            item.GantryRotationDirection = directions[index]
        if before is None:
            _add_fixed_setup(item, beam)
        item.CumulativeMetersetWeight = ds(point.cumulative_weight)
        result.append(item)
        before = point
    return result


def _rotation_directions(beam: Beam) -> list[str]:
    """Return the turn that begins at each control point, the shorter way round."""
    angles = [_gantry(beam, point) for point in beam.control_points]
    directions = []
    for here, there in itertools.pairwise(angles):
        turn = (there - here + 180) % 360 - 180
        directions.append("NONE" if turn == 0 else "CW" if turn > 0 else "CC")
    return [*directions, "NONE"]


def _position_items(
    point: ControlPoint, before: ControlPoint | None, jaw_kinds: tuple[str, ...]
) -> list[Dataset]:
    """Return what moved since the control point before, of what the machine has."""
    entries = []
    for kind, values, old in (
        ("ASYMX", point.jaw_x_mm, before and before.jaw_x_mm),
        ("ASYMY", point.jaw_y_mm, before and before.jaw_y_mm),
    ):
        if values != old and kind in jaw_kinds:
            entry = make_item(RTBeamLimitingDeviceType=kind)
            set_decimals(entry, "LeafJawPositions", values)
            entries.append(entry)
    leaves = point.leaf_positions_mm
    if before is None or not np.array_equal(leaves, before.leaf_positions_mm):
        entry = make_item(RTBeamLimitingDeviceType="MLCX")
        set_decimals(entry, "LeafJawPositions", leaves)  # bank X1, then bank X2
        entries.append(entry)
    return entries


def _add_fixed_setup(item: Dataset, beam: Beam) -> None:
    geometry = beam.geometry
    item.BeamLimitingDeviceAngle = ds(geometry.collimator_angle_deg % 360)
    item.BeamLimitingDeviceRotationDirection = "NONE"
    item.PatientSupportAngle = ds(geometry.couch_angle_deg % 360)
    item.PatientSupportRotationDirection = "NONE"
    item.TableTopEccentricAngle = 0
    item.TableTopEccentricRotationDirection = "NONE"
    item.TableTopPitchAngle = 0
    item.TableTopPitchRotationDirection = "NONE"
    item.TableTopRollAngle = 0
    item.TableTopRollRotationDirection = "NONE"
    item.TableTopVerticalPosition = None
    item.TableTopLongitudinalPosition = None
    item.TableTopLateralPosition = None
    item.IsocenterPosition = [ds(v) for v in geometry.isocenter_mm]
