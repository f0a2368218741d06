"""CT, PET and MR series in: slices sorted, checked and put in patient order.

A series is read only if its slices form one box of evenly spaced voxels of one frame. What does
not is refused with the reason; nothing is interpolated over a gap. Oblique MR and PET are
resampled to the smallest axial box around them; oblique CT is refused, because dose is computed
on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    MRImageStorage,
    PositronEmissionTomographyImageStorage,
)

from rerad.core import Grid, Image, ImageUnit, Modality, PatientPosition, PetAcquisition
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import date_of, number_of, patient_position_of, position_text, text_of
from rerad.dicom.orientation import StoredVoxels, to_patient_axes
from rerad.dicom.pet_headers import pet_acquisition_of
from rerad.dicom.pet_units import PetScale, pet_scale_of
from rerad.dicom.pixels import stored_pixels
from rerad.dicom.series import SliceHeader, sort_slices
from rerad.errors import DicomError

MODALITY_OF_CLASS = {
    str(CTImageStorage): Modality.CT,
    str(PositronEmissionTomographyImageStorage): Modality.PET,
    str(MRImageStorage): Modality.MR,
}
"""SOP classes that are read as images."""

ENHANCED = {
    str(EnhancedCTImageStorage): "Enhanced CT",
    str(EnhancedMRImageStorage): "Enhanced MR",
    str(EnhancedPETImageStorage): "Enhanced PET",
}
"""Multi-frame classes that are refused by name."""

UNIT_OF = {
    Modality.CT: ImageUnit.HU,
    Modality.PET: ImageUnit.BQML,
    Modality.MR: ImageUnit.ARBITRARY,
}
"""What rescaled values mean."""


@guard_parser
def read_image(paths: Sequence[Path]) -> Image:
    """Read one CT, PET or MR series.

    Parameters
    ----------
    paths : sequence of Path
        All files of one series, in any order.

    Returns
    -------
    Image
        CT in HU (int16 if every value is whole, else float32), PET in Bq/ml, SUV or counts (see
        `rerad.dicom.pet_units`), MR in arbitrary units; on a grid along +x, +y, +z.

    Raises
    ------
    DicomError
        If files are of several series or patients, a slice is missing, doubled, truncated or
        differs in geometry, or the series is of a kind that is not handled.
    FrameMismatchError
        If slices are in several frames of reference.
    """
    if not paths:
        msg = "expected the files of one image series, got none"
        raise DicomError(msg)
    datasets = [(Path(path).name, read_dataset(Path(path))) for path in paths]
    modality = _modality(datasets)
    order = sort_slices([SliceHeader.of(dataset, name) for name, dataset in datasets])
    ordered = [datasets[n] for n in order.indices]
    name, first = ordered[0]
    scale = _one_pet_scale(ordered) if modality is Modality.PET else None
    values = _rescaled([_slice_values(d, n, modality) for n, d in ordered], modality)
    stored = StoredVoxels(values, order.first_mm, order.directions, order.spacing_mm)
    position = _position(first, modality, name)
    voxels = _on_patient_axes(stored, modality, name)
    k, j, i = voxels.values.shape
    uids = tuple(text_of(dataset, "SOPInstanceUID") for _, dataset in ordered)
    pet = None if scale is None else pet_acquisition_of([d for _, d in ordered], scale)
    return Image(
        values=voxels.values,
        grid=Grid((k, j, i), voxels.origin_mm, voxels.spacing_mm, order.frame_uid),
        modality=modality,
        unit=UNIT_OF[modality] if scale is None else scale.unit,
        patient_position=position,
        series_uid=text_of(first, "SeriesInstanceUID"),
        study_uid=text_of(first, "StudyInstanceUID"),
        instance_uids=_uids_along_z(uids, stored),
        description=text_of(first, "SeriesDescription"),
        acquired=_acquisition_date(first),
        pet=None if pet is None else _slices_along_z(pet, stored),
    )


def _position(first: Dataset, modality: Modality, name: str) -> PatientPosition:
    """Return how the patient lay; only a CT must say it, because beams are aimed on it.

    PET and MR are put in place by their coordinates alone; theirs is HFS where it is not said or
    is none of the four.
    """
    said = position_text(first)
    if modality is not Modality.CT and said not in {p.value for p in PatientPosition}:
        return PatientPosition.HFS
    return patient_position_of(said, name)


def _modality(datasets: list[tuple[str, Dataset]]) -> Modality:
    for name, dataset in datasets:
        sop_class = text_of(dataset, "SOPClassUID")
        if sop_class in ENHANCED:
            msg = (
                f"{name}: expected one file per slice, got {ENHANCED[sop_class]} (multi-frame); "
                "export the series as classic single-frame images"
            )
            raise DicomError(msg)
        if sop_class not in MODALITY_OF_CLASS:
            kind = UID(sop_class).name
            msg = f"{name}: expected a CT, PET or MR image, got {kind}; leave it out of the series"
            raise DicomError(msg)
        if "PixelData" not in dataset:
            msg = f"{name}: expected pixels, but the file breaks off before; export it again"
            raise DicomError(msg)
        if (number_of(dataset, "NumberOfFrames") or 1) > 1:
            msg = f"{name}: expected one slice per file, got several frames; export single slices"
            raise DicomError(msg)
    modalities = {MODALITY_OF_CLASS[text_of(d, "SOPClassUID")] for _, d in datasets}
    if len(modalities) > 1:
        msg = f"expected one series, got files of {', '.join(sorted(modalities))}; read one each"
        raise DicomError(msg)
    return modalities.pop()


def _slice_values(dataset: Dataset, name: str, modality: Modality) -> tuple[Any, float, float]:
    """Return stored values of a slice with its slope and intercept."""
    pixels = stored_pixels(dataset, 1, name)[0]
    slope = number_of(dataset, "RescaleSlope")
    intercept = number_of(dataset, "RescaleIntercept")
    if modality is Modality.MR:
        return pixels, 1.0 if slope is None else slope, intercept or 0.0
    if slope is None or slope == 0 or (intercept is None and modality is Modality.CT):
        msg = (
            f"{name}: expected Rescale Slope and Intercept, which turn stored values into "
            f"{UNIT_OF[modality]}, found none; export the series again"
        )
        raise DicomError(msg)
    if modality is Modality.PET:
        factor = pet_scale_of(dataset, name).factor
        return pixels, factor * slope, factor * (intercept or 0.0)
    kind = text_of(dataset, "RescaleType")
    if modality is Modality.CT and kind not in {"", "HU"}:
        msg = f"{name}: expected CT values in HU, got Rescale Type {kind}; export the CT in HU"
        raise DicomError(msg)
    return pixels, slope, intercept or 0.0


def _one_pet_scale(ordered: list[tuple[str, Dataset]]) -> PetScale:
    """Return what the values of a PET series are, which must be the same in every slice."""
    scales = [pet_scale_of(dataset, name) for name, dataset in ordered]
    for (name, _), scale in zip(ordered, scales, strict=True):
        if scale.unit is not scales[0].unit:
            msg = (
                f"{name}: expected values in {scales[0].unit} as in {ordered[0][0]}, got "
                f"{scale.unit}; export the series again"
            )
            raise DicomError(msg)
    return scales[0]


def _slices_along_z(pet: PetAcquisition, stored: StoredVoxels) -> PetAcquisition:
    """Return the facts with times of slices in the order of k; none if slices are not axial."""
    if not stored.is_axis_aligned or abs(stored.directions[2, 2]) < 0.5:
        return replace(pet, injection_to_slice_s=())
    if stored.directions[2, 2] > 0:
        return pet
    return replace(pet, injection_to_slice_s=pet.injection_to_slice_s[::-1])


def _rescaled(slices: list[tuple[Any, float, float]], modality: Modality) -> NDArray[Any]:
    """Return the volume in its unit, as int16 where that is exact for a CT."""
    if modality is Modality.CT:
        whole = _as_whole_numbers(slices)
        if whole is not None:
            return whole
    volume = np.empty((len(slices), *slices[0][0].shape), dtype=np.float32)
    for k, (pixels, slope, intercept) in enumerate(slices):
        volume[k] = pixels * np.float64(slope) + intercept
    return volume


def _as_whole_numbers(slices: list[tuple[Any, float, float]]) -> NDArray[np.int16] | None:
    """Return the volume as int16; None if a value is not whole or does not fit."""
    volume = np.empty((len(slices), *slices[0][0].shape), dtype=np.int16)
    for k, (pixels, slope, intercept) in enumerate(slices):
        if slope != int(slope) or intercept != int(intercept):
            return None
        ends = [int(v) * int(slope) + int(intercept) for v in (pixels.min(), pixels.max())]
        if min(ends) < -32768 or max(ends) > 32767:
            return None
        values = pixels.astype(np.int32)
        if slope != 1:
            values *= int(slope)
        volume[k] = values + int(intercept)
    return volume


@dataclass(frozen=True, eq=False, slots=True)
class _Voxels:
    values: NDArray[Any]
    origin_mm: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]


def _on_patient_axes(stored: StoredVoxels, modality: Modality, name: str) -> _Voxels:
    if stored.is_axis_aligned:
        return _Voxels(*to_patient_axes(stored))
    if modality is Modality.CT:
        msg = (
            f"{name}: expected a CT along the patient axes, got an oblique or tilted one; "
            "resample it to axial slices where it was made"
        )
        raise DicomError(msg)
    return _axial_box(stored)


def _axial_box(stored: StoredVoxels) -> _Voxels:
    """Resample linearly to the smallest axial box that holds an oblique image; 0 outside it."""
    sizes = np.asarray(stored.values.shape[::-1])
    spacing = np.asarray(stored.spacing_mm)
    image = sitk.GetImageFromArray(stored.values)
    image.SetSpacing(stored.spacing_mm)  # type: ignore[no-untyped-call]
    image.SetOrigin([float(v) for v in stored.first_mm])  # type: ignore[no-untyped-call]
    image.SetDirection([float(v) for v in stored.directions.T.ravel()])  # type: ignore[no-untyped-call]
    ends = np.array(np.meshgrid(*[(0, n - 1) for n in sizes])).reshape(3, -1).T
    corners = stored.first_mm + (ends * spacing) @ stored.directions
    axis_of = np.argmax(np.abs(stored.directions), axis=0)
    new_spacing = spacing[axis_of]
    low, high = corners.min(axis=0), corners.max(axis=0)
    new_sizes = np.ceil((high - low) / new_spacing - 1e-6).astype(int) + 1
    resampled = sitk.Resample(
        image,
        [int(n) for n in new_sizes],
        sitk.Transform(),  # type: ignore[no-untyped-call]
        sitk.sitkLinear,
        [float(v) for v in low],
        [float(v) for v in new_spacing],
        [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        0.0,
        sitk.sitkFloat32,
    )
    x, y, z = (float(v) for v in low)
    sx, sy, sz = (float(v) for v in new_spacing)
    return _Voxels(sitk.GetArrayFromImage(resampled), (x, y, z), (sx, sy, sz))


def _uids_along_z(uids: tuple[str, ...], stored: StoredVoxels) -> tuple[str, ...]:
    """Return instance UIDs in the order of k; none if the slices are not the axial planes."""
    if not stored.is_axis_aligned or abs(stored.directions[2, 2]) < 0.5:
        return ()
    return uids if stored.directions[2, 2] > 0 else uids[::-1]


def _acquisition_date(dataset: Dataset) -> Any:
    for keyword in ("AcquisitionDate", "SeriesDate", "StudyDate"):
        day = date_of(dataset, keyword)
        if day is not None:
            return day
    return None
