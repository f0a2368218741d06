"""RTSTRUCT out: every contour as it is, tied to the slice that it lies on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from rerad.core import Contour, Image, Patient, Structure, StructureSet
from rerad.dicom.files import write_dataset
from rerad.dicom.headers import (
    StudyHeader,
    dicom_date,
    dicom_time,
    items,
    make_item,
    new_dataset,
    reference,
    require_text_length,
    set_decimals,
)
from rerad.dicom.image_writing import SOP_CLASS
from rerad.errors import DicomError, FrameMismatchError

STUDY_COMPONENT_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management: the class that PS3.3 C.8.8.5 keeps for the reference to a study."""

SLICE_TOLERANCE = 0.1
"""Share of the slice distance by which a contour may lie off a slice and still refer to it."""


def write_structure_set(
    structures: StructureSet,
    image: Image,
    patient: Patient,
    path: Path,
    *,
    study: StudyHeader,
) -> StructureSet:
    """Write an RTSTRUCT under a new UID.

    Parameters
    ----------
    structures : StructureSet
        Contours; names of at most 64 characters.
    image : Image
        The written image that they refer to, in the same frame.
    patient : Patient
        Whose they are.
    path : Path
        File to write; a file of that name is replaced.
    study : StudyHeader
        Common header.

    Returns
    -------
    StructureSet
        The same, with its new instance UID and the series that it refers to.

    Raises
    ------
    DicomError
        If the image has not been written, or a name is too long.
    FrameMismatchError
        If a structure is in another frame than the image.
    """
    _check(structures, image)
    new = new_dataset(RTStructureSetStorage, "RTSTRUCT", patient, study)
    new.OperatorsName = ""
    new.InstanceNumber = 1
    new.StructureSetLabel = structures.label[:16] or "structures"
    if len(structures.label) > 16:
        new.StructureSetName = require_text_length(structures.label, 64, "structure set label")
    new.StructureSetDate = dicom_date(study.study_date)
    new.StructureSetTime = dicom_time(study.study_time)
    new.FrameOfReferenceUID = image.grid.frame_uid
    new.PositionReferenceIndicator = ""
    new.ReferencedFrameOfReferenceSequence = items(_frame_item(image, study))
    numbered = list(enumerate(structures.structures, start=1))
    new.StructureSetROISequence = items(*(_roi_item(n, s) for n, s in numbered))
    new.ROIContourSequence = items(*(_contour_item(n, s, image) for n, s in numbered))
    new.RTROIObservationsSequence = items(*(_observation(n, s) for n, s in numbered))
    new.ApprovalStatus = "UNAPPROVED"
    write_dataset(new, path)
    return replace(
        structures,
        instance_uid=str(new.SOPInstanceUID),
        referenced_series_uid=image.series_uid,
    )


def _check(structures: StructureSet, image: Image) -> None:
    if not image.series_uid or len(image.instance_uids) != image.grid.shape[0]:
        msg = "structures refer to the slices of an image; write it first and pass what returns"
        raise DicomError(msg)
    for structure in structures.structures:
        if structure.frame_uid != image.grid.frame_uid:
            msg = (
                f"{structure.name}: expected frame {image.grid.frame_uid}, got "
                f"{structure.frame_uid}; draw it on this image, or register the two"
            )
            raise FrameMismatchError(msg)


def _frame_item(image: Image, study: StudyHeader) -> Dataset:
    sop_class = SOP_CLASS[image.modality]
    series = make_item(
        SeriesInstanceUID=image.series_uid,
        ContourImageSequence=items(*(reference(sop_class, uid) for uid in image.instance_uids)),
    )
    referenced_study = reference(STUDY_COMPONENT_CLASS, image.study_uid or study.study_uid)
    referenced_study.RTReferencedSeriesSequence = items(series)
    return make_item(
        FrameOfReferenceUID=image.grid.frame_uid,
        RTReferencedStudySequence=items(referenced_study),
    )


def _roi_item(number: int, structure: Structure) -> Dataset:
    return make_item(
        ROINumber=number,
        ReferencedFrameOfReferenceUID=structure.frame_uid,
        ROIName=require_text_length(structure.name, 64, f"structure {structure.name}"),
        ROIGenerationAlgorithm="",
    )


def _contour_item(number: int, structure: Structure, image: Image) -> Dataset:
    item = make_item(ROIDisplayColor=list(structure.color), ReferencedROINumber=number)
    if structure.contours:
        item.ContourSequence = items(
            *(_one_contour(n, c, image) for n, c in enumerate(structure.contours, start=1))
        )
    return item


def _one_contour(number: int, contour: Contour, image: Image) -> Dataset:
    item = Dataset()
    k = (contour.z_mm - image.grid.origin_mm[2]) / image.grid.spacing_mm[2]
    nearest = round(k)
    if 0 <= nearest < image.grid.shape[0] and abs(k - nearest) < SLICE_TOLERANCE:
        uid = image.instance_uids[nearest]
        item.ContourImageSequence = items(reference(SOP_CLASS[image.modality], uid))
    item.ContourGeometricType = "CLOSED_PLANAR"
    item.NumberOfContourPoints = len(contour.points_mm)
    item.ContourNumber = number
    points = np.column_stack([contour.points_mm, np.full(len(contour.points_mm), contour.z_mm)])
    set_decimals(item, "ContourData", points)
    return item


def _observation(number: int, structure: Structure) -> Dataset:
    return make_item(
        ObservationNumber=number,
        ReferencedROINumber=number,
        RTROIInterpretedType=str(structure.kind.value),
        ROIInterpreter="",
    )
