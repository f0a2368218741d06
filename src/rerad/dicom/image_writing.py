"""CT, PET and MR out: one file per slice, axial, in patient order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from rerad.core import Image, ImageUnit, Modality, Patient, PetAcquisition
from rerad.dicom.files import write_folder
from rerad.dicom.headers import (
    StudyHeader,
    code,
    dicom_date,
    dicom_time,
    ds,
    items,
    make_item,
    new_dataset,
    require_text_length,
    set_position_codes,
)
from rerad.dicom.pet_headers import injection_moment
from rerad.dicom.pixels import set_pixels
from rerad.errors import DicomError, InputError

SOP_CLASS: dict[Modality, str] = {
    Modality.CT: str(CTImageStorage),
    Modality.PET: str(PositronEmissionTomographyImageStorage),
    Modality.MR: str(MRImageStorage),
}
"""SOP class of each modality."""

WRITABLE_UNIT = {
    Modality.CT: ImageUnit.HU,
    Modality.PET: ImageUnit.BQML,
    Modality.MR: ImageUnit.ARBITRARY,
}
"""The unit that DICOM expects of each modality."""

LARGEST_STORED = 32767
"""Of signed 16-bit pixels."""


def write_image(image: Image, patient: Patient, folder: Path, *, study: StudyHeader) -> Image:
    """Write an image as one series, one file per slice, under new UIDs.

    Parameters
    ----------
    image : Image
        CT in HU, PET in Bq/ml with its acquisition, or MR.
    patient : Patient
        Whose it is.
    folder : Path
        Must be absent or empty.
    study : StudyHeader
        Common header.

    Returns
    -------
    Image
        The same image with its new study, series and instance UIDs.

    Raises
    ------
    DicomError
        If the folder holds files, or a PET lacks what DICOM requires.
    InputError
        If values are in a unit that DICOM does not store for this modality, or not finite.
    """
    if image.unit is not WRITABLE_UNIT[image.modality]:
        msg = (
            f"expected {image.modality} values in {WRITABLE_UNIT[image.modality]}, got "
            f"{image.unit}; write the image as it was acquired"
        )
        raise InputError(msg)
    if not np.all(np.isfinite(image.values)):
        msg = "expected finite image values, got some that are not; fill them before writing"
        raise InputError(msg)
    series_uid = study.uids.new(f"{image.modality} series")
    uids = tuple(study.uids.new(f"{image.modality} slice") for _ in range(image.grid.shape[0]))
    written = replace(image, series_uid=series_uid, study_uid=study.study_uid, instance_uids=uids)
    write_folder(_slices(written, patient, study), folder)
    return written


def _slices(image: Image, patient: Patient, study: StudyHeader) -> Iterator[tuple[str, Dataset]]:
    common = _series_header(image, patient, study)
    scale = _scale(image)
    for k, uid in enumerate(image.instance_uids):
        dataset = Dataset()
        dataset.update(common)
        dataset.SOPInstanceUID = uid
        dataset.InstanceNumber = k + 1
        x, y, _ = image.grid.origin_mm
        z = float(image.grid.axes_mm[2][k])
        dataset.ImagePositionPatient = [ds(x), ds(y), ds(z)]
        dataset.SliceLocation = ds(z)
        _set_values(dataset, image.values[k], image.modality, scale)
        if image.modality is Modality.PET:
            dataset.ImageIndex = k + 1
        yield f"{image.modality}_{k + 1:04d}.dcm", dataset


def _series_header(image: Image, patient: Patient, study: StudyHeader) -> Dataset:
    common = new_dataset(SOP_CLASS[image.modality], str(image.modality), patient, study)
    common.SeriesInstanceUID = image.series_uid
    if image.description:
        common.SeriesDescription = require_text_length(image.description, 64, "image description")
    common.PatientPosition = str(image.patient_position)
    common.Laterality = ""
    common.FrameOfReferenceUID = image.grid.frame_uid
    common.PositionReferenceIndicator = ""
    common.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    day = image.acquired or study.study_date
    if day is not None:
        common.SeriesDate = dicom_date(day)
        common.AcquisitionDate = dicom_date(day)
        common.ContentDate = dicom_date(day)
        if study.study_time is not None:
            common.SeriesTime = dicom_time(study.study_time)
            common.AcquisitionTime = dicom_time(study.study_time)
            common.ContentTime = dicom_time(study.study_time)
    sx, sy, sz = image.grid.spacing_mm
    common.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    common.PixelSpacing = [ds(sy), ds(sx)]
    common.SliceThickness = ds(sz)
    common.SpacingBetweenSlices = ds(sz)
    if image.modality is Modality.CT:
        _add_ct(common)
    elif image.modality is Modality.MR:
        _add_mr(common)
    else:
        _add_pet(common, image, study)
    return common


def _add_ct(common: Dataset) -> None:
    del common.SpacingBetweenSlices
    common.AcquisitionNumber = None
    common.KVP = None
    common.RescaleType = "HU"


def _add_mr(common: Dataset) -> None:
    common.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    common.ScanningSequence = "RM"
    common.SequenceVariant = "NONE"
    common.ScanOptions = ""
    common.MRAcquisitionType = ""
    common.RepetitionTime = None
    common.EchoTime = None
    common.EchoTrainLength = None


def _add_pet(common: Dataset, image: Image, study: StudyHeader) -> None:
    pet = image.pet
    day = image.acquired or study.study_date
    if pet is None or day is None:
        msg = "a PET needs its acquisition facts and a date; give image.pet and image.acquired"
        raise DicomError(msg)
    if pet.decay_correction not in {"START", "ADMIN", "NONE"}:
        msg = (
            "expected decay correction START, ADMIN or NONE for a PET, got "
            f"{pet.decay_correction or 'nothing'}; say in image.pet which it is"
        )
        raise DicomError(msg)
    start = datetime.combine(day, study.study_time or time(12))
    del common.SpacingBetweenSlices
    common.ImageType = ["ORIGINAL", "PRIMARY"]
    common.SeriesTime = common.AcquisitionTime = common.ContentTime = dicom_time(start.time())
    common.Units = "BQML"
    common.CountsSource = "EMISSION"
    common.SeriesType = ["STATIC", "IMAGE"]
    common.NumberOfSlices = image.grid.shape[0]
    made = pet.corrections or (("DECY",) if pet.decay_correction != "NONE" else ())
    common.CorrectedImage = list(made) if made else ""
    common.DecayCorrection = pet.decay_correction
    if common.DecayCorrection != "NONE":
        common.DecayFactor = 1
    common.CollimatorType = "NONE"
    common.FrameReferenceTime = 0
    common.ActualFrameDuration = 0
    if pet.patient_weight_kg is not None:
        common.PatientWeight = ds(pet.patient_weight_kg)
    if pet.patient_height_m is not None:
        common.PatientSize = ds(pet.patient_height_m)
    common.RadiopharmaceuticalInformationSequence = items(_radiopharmaceutical(pet, start))
    del common.PatientPosition  # PS3.3 C.7.3.1: must not stand beside the codes
    set_position_codes(common, image.patient_position)


def _radiopharmaceutical(pet: PetAcquisition, start: datetime) -> Dataset:
    """Return what was injected and when; what is not known is absent."""
    drug = make_item(RadionuclideCodeSequence=items())
    if pet.radiopharmaceutical:
        drug.Radiopharmaceutical = pet.radiopharmaceutical
        if "18F" in pet.radiopharmaceutical or "F-18" in pet.radiopharmaceutical:
            drug.RadionuclideCodeSequence = items(code("77004003", "^18^Fluorine", "SCT"))
    if pet.injected_activity_bq is not None:
        drug.RadionuclideTotalDose = ds(pet.injected_activity_bq)
    if pet.half_life_s is not None:
        drug.RadionuclideHalfLife = ds(pet.half_life_s)
    injected = injection_moment(start, pet)
    if injected is not None:
        drug.RadiopharmaceuticalStartDateTime = f"{injected:%Y%m%d%H%M%S.%f}"
        drug.RadiopharmaceuticalStartTime = f"{injected:%H%M%S.%f}"
    return drug


@dataclass(frozen=True, slots=True)
class _Scale:
    """Slope and intercept as written; stored = (value - intercept) / slope."""

    slope: Any
    intercept: Any
    is_identity: bool


def _scale(image: Image) -> _Scale:
    """Return a scale for the whole series: whole numbers are stored as they are."""
    values = image.values
    highest = float(np.max(np.abs(values)))
    is_whole = values.dtype == np.int16 or bool(np.all(values == np.rint(values)))
    if is_whole and highest <= LARGEST_STORED:
        return _Scale(1, 0, is_identity=True)
    if image.modality is Modality.CT:
        low, high = float(values.min()), float(values.max())
        # Two HU more than the range, so that rounding the middle to a whole HU clips nothing.
        slope = ds((high - low + 2) / (2 * LARGEST_STORED))
        return _Scale(slope, ds(np.rint((low + high) / 2)), is_identity=False)
    return _Scale(ds(highest / LARGEST_STORED), 0, is_identity=False)


def _set_values(dataset: Dataset, plane: NDArray[Any], modality: Modality, scale: _Scale) -> None:
    if scale.is_identity:
        stored = plane.astype(np.int16)
    else:
        exact = (plane.astype(np.float64) - float(scale.intercept)) / float(scale.slope)
        stored = np.clip(np.rint(exact), -LARGEST_STORED - 1, LARGEST_STORED).astype(np.int16)
    set_pixels(dataset, stored)
    if modality is not Modality.MR or not scale.is_identity:
        dataset.RescaleSlope = scale.slope
        dataset.RescaleIntercept = scale.intercept
        if modality is Modality.MR:
            dataset.RescaleType = "US"
