"""RTDOSE: total physical dose of one plan, and effective dose as rerad writes it.

Only a physical dose in Gy over the whole plan may enter a calculation. Everything else is refused
by name: relative dose, effective dose, the dose of one fraction or beam, sums of several plans.

Dose of voxels nobody knows: rerad writes them as 0 only on request and says so in Dose Comment
(``unknown=N as 0``). When it reads such a file back, every voxel that holds 0 is unknown (NaN)
again, because known and unknown zeros can no longer be told apart and unknown must never become
zero.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTDoseStorage

from rerad.core import Dose, DoseQuantity, Grid
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import count_of, number_of, numbers_of, text_of
from rerad.dicom.orientation import StoredVoxels, row_and_column_directions, to_patient_axes
from rerad.dicom.pixels import stored_pixels
from rerad.errors import DicomError

PLANE_TOLERANCE_MM = 0.01
"""Planes this far from even spacing are even: decimal strings are rounded."""

QUANTITY_PATTERN = re.compile(r"^(EQD2|BED) a/b=([0-9.]+)(?:\s|$)")
"""How Dose Comment of an effective dose begins when rerad wrote it."""

UNKNOWN_PATTERN = re.compile(r"unknown=(\d+) as 0")
"""How Dose Comment says that voxels were unknown."""

REMAINING_MARK = "LEFT in"
"""In Dose Comment of an RTDOSE of remaining tolerance, before the number of fractions."""

SUMMATION_REMEDY = {
    "FRACTION": "it is the dose of one fraction; export the dose of the whole plan",
    "FRACTION_SESSION": "it is the dose of one session; export the dose of the whole plan",
    "BEAM": "it is the dose of one beam; export the dose of the whole plan",
    "BEAM_SESSION": "it is the dose of one beam; export the dose of the whole plan",
    "BRACHY": "it is the dose of one brachytherapy setup; export the dose of the whole plan",
    "BRACHY_SESSION": "it is the dose of one brachytherapy setup; export that of the whole plan",
    "CONTROL_POINT": "it is the dose of one control point; export the dose of the whole plan",
    "MULTI_PLAN": "it sums plans of unlike fraction size; export the dose of each plan alone",
    "PLAN_OVERVIEW": "it is an overview of several plans; export the dose of each plan alone",
    "RECORD": "it is the dose of treatment records; export the dose of the plan",
}
"""What to do about a dose that is not the total of one plan."""


@guard_parser
def read_dose(path: Path) -> Dose:
    """Read the total physical dose of one plan.

    Parameters
    ----------
    path : Path
        RTDOSE with DoseUnits GY, DoseType PHYSICAL and DoseSummationType PLAN.

    Returns
    -------
    Dose
        In Gy, on a grid along +x, +y, +z.

    Raises
    ------
    DicomError
        If the dose is of another kind, or its geometry is not one axis-aligned box of evenly
        spaced voxels.
    """
    path = Path(path)
    dataset = read_dataset(path)
    problem = why_not_physical_total(dataset)
    if problem:
        msg = f"{path.name}: {problem}"
        raise DicomError(msg)
    values, grid = voxels_of(dataset, path.name)
    return Dose(
        values=values,
        grid=grid,
        label=text_of(dataset, "SeriesDescription") or text_of(dataset, "DoseComment"),
        instance_uid=text_of(dataset, "SOPInstanceUID"),
    )


@guard_parser
def read_effective_dose(path: Path) -> Dose:
    """Read an EQD2 or BED distribution that rerad wrote.

    Parameters
    ----------
    path : Path
        RTDOSE with DoseType EFFECTIVE whose Dose Comment names quantity and alpha/beta.

    Returns
    -------
    Dose
        EQD2 or BED in Gy with its alpha/beta.

    Raises
    ------
    DicomError
        If it is not an effective dose in Gy, or does not say which.
    """
    path = Path(path)
    dataset = read_dataset(path)
    _require_dose_object(dataset, path.name)
    units, kind = text_of(dataset, "DoseUnits"), text_of(dataset, "DoseType")
    stated = QUANTITY_PATTERN.match(text_of(dataset, "DoseComment"))
    if units != "GY" or kind != "EFFECTIVE" or stated is None:
        msg = (
            f"{path.name}: expected an effective dose in GY whose Dose Comment begins with "
            f"'EQD2 a/b=' or 'BED a/b=', got DoseUnits {units or 'absent'} and DoseType "
            f"{kind or 'absent'}; compute EQD2 from the physical dose instead"
        )
        raise DicomError(msg)
    values, grid = voxels_of(dataset, path.name)
    return Dose(
        values=values,
        grid=grid,
        quantity=DoseQuantity(stated.group(1)),
        alpha_beta_gy=float(stated.group(2)),
        label=text_of(dataset, "SeriesDescription"),
        instance_uid=text_of(dataset, "SOPInstanceUID"),
    )


def is_remaining_tolerance(dataset: Dataset) -> bool:
    """Return whether an RTDOSE is what may still be given, as rerad writes it, and no dose."""
    return REMAINING_MARK in text_of(dataset, "DoseComment")


def why_not_physical_total(dataset: Dataset) -> str:
    """Say why a data set is not the total physical dose of one plan; empty if it is."""
    if text_of(dataset, "SOPClassUID") != RTDoseStorage:
        modality = text_of(dataset, "Modality") or "unknown modality"
        return f"expected an RTDOSE, got {modality}; give the dose file"
    if is_remaining_tolerance(dataset):
        return (
            "expected a dose that was planned or given, got the remaining tolerance that rerad "
            "export-limits writes; give the dose of a plan"
        )
    units = text_of(dataset, "DoseUnits")
    kind = text_of(dataset, "DoseType")
    summation = text_of(dataset, "DoseSummationType")
    if units != "GY":
        remedy = "a relative dose has no value in Gy; export the absolute dose"
        if not units:
            remedy = "export the dose with its units stated"
        return f"expected DoseUnits GY, got {units or 'none'}; {remedy}"
    if kind != "PHYSICAL":
        remedy = {
            "EFFECTIVE": "it is weighted by a biological model; export the physical dose",
            "ERROR": "it is an uncertainty, not a dose; export the physical dose",
        }.get(kind, "export the dose with its type stated")
        return f"expected DoseType PHYSICAL, got {kind or 'none'}; {remedy}"
    if summation != "PLAN":
        remedy = SUMMATION_REMEDY.get(summation, "export the dose of the whole plan")
        return f"expected DoseSummationType PLAN, got {summation or 'none'}; {remedy}"
    return ""


def _require_dose_object(dataset: Dataset, where: str) -> None:
    if text_of(dataset, "SOPClassUID") != RTDoseStorage:
        modality = text_of(dataset, "Modality") or "an object of unknown modality"
        msg = f"{where}: expected an RTDOSE, got {modality}; give the dose file"
        raise DicomError(msg)


def voxels_of(dataset: Dataset, where: str) -> tuple[NDArray[np.float32], Grid]:
    """Return dose in Gy, unknown as NaN, and where the voxels are."""
    scaling = number_of(dataset, "DoseGridScaling")
    if scaling is None or not 0 < scaling < np.inf:
        msg = f"{where}: expected a Dose Grid Scaling above 0, got {scaling}; export it again"
        raise DicomError(msg)
    frame_uid = text_of(dataset, "FrameOfReferenceUID")
    if not frame_uid:
        msg = f"{where}: expected a Frame of Reference UID, found none; export it again"
        raise DicomError(msg)
    n_frames = count_of(dataset, "NumberOfFrames", 1)
    stored = stored_pixels(dataset, n_frames, where)
    if stored.dtype.kind == "i" and int(stored.min()) < 0:
        msg = f"{where}: expected doses of 0 Gy or more, found negative ones; export it again"
        raise DicomError(msg)
    located = _locate(dataset, stored, where)
    if not located.is_axis_aligned:
        msg = (
            f"{where}: expected a dose grid along the patient axes, got directions "
            f"{numbers_of(dataset, 'ImageOrientationPatient')}; export it on an axial grid"
        )
        raise DicomError(msg)
    ordered, origin, spacing = to_patient_axes(located)
    dose_gy = (ordered * np.float64(scaling)).astype(np.float32)
    if UNKNOWN_PATTERN.search(text_of(dataset, "DoseComment")):
        dose_gy[ordered == 0] = np.nan
    k, j, i = dose_gy.shape
    return dose_gy, Grid((k, j, i), origin, spacing, frame_uid)


def _locate(dataset: Dataset, stored: NDArray[np.int64], where: str) -> StoredVoxels:
    position = numbers_of(dataset, "ImagePositionPatient")
    orientation = numbers_of(dataset, "ImageOrientationPatient")
    pixel_spacing = numbers_of(dataset, "PixelSpacing")
    if len(position) != 3 or len(orientation) != 6 or len(pixel_spacing) != 2:
        msg = (
            f"{where}: expected Image Position, Image Orientation and Pixel Spacing, "
            "found them absent or incomplete; export it again"
        )
        raise DicomError(msg)
    directions = row_and_column_directions(orientation, where)
    step, first = _plane_steps(dataset, len(stored), position, directions[2], where)
    directions[2] *= np.sign(step)
    return StoredVoxels(
        values=stored,
        first_mm=first,
        directions=directions,
        spacing_mm=(pixel_spacing[1], pixel_spacing[0], abs(step)),
    )


def _plane_steps(
    dataset: Dataset,
    n_frames: int,
    position: list[float],
    normal: NDArray[np.float64],
    where: str,
) -> tuple[float, NDArray[np.float64]]:
    """Return the signed step along the normal and the position of the first voxel.

    Notes
    -----
    DICOM PS3.3 C.8.8.3.2 allows two conventions: offsets from the first plane along the normal
    (the first offset is 0), or z coordinates (the first equals z of Image Position).
    """
    first = np.asarray(position, dtype=np.float64)
    if n_frames == 1:
        thickness = number_of(dataset, "SliceThickness")
        if not thickness or thickness <= 0:
            msg = (
                f"{where}: expected a volume, got a single plane without slice thickness; "
                "export the dose as a volume"
            )
            raise DicomError(msg)
        return thickness, first
    offsets = np.asarray(numbers_of(dataset, "GridFrameOffsetVector"))
    step = _even_step(offsets, n_frames, where)
    if abs(offsets[0]) <= PLANE_TOLERANCE_MM:
        return step, first
    if abs(offsets[0] - first[2]) > PLANE_TOLERANCE_MM or abs(normal[2]) < 0.5:
        msg = (
            f"{where}: expected Grid Frame Offset Vector to begin with 0 or with z of Image "
            f"Position ({first[2]:g} mm), got {offsets[0]:g}; export it again"
        )
        raise DicomError(msg)
    return step * float(np.sign(normal[2])), first


def _even_step(offsets: NDArray[np.float64], n_frames: int, where: str) -> float:
    """Return the step of evenly spaced plane offsets, which may be negative."""
    if len(offsets) != n_frames:
        msg = (
            f"{where}: expected {n_frames} values in Grid Frame Offset Vector, one per plane, "
            f"got {len(offsets)}; export it again"
        )
        raise DicomError(msg)
    steps = np.diff(offsets)
    step = float((offsets[-1] - offsets[0]) / (n_frames - 1))
    ladder = offsets[0] + step * np.arange(n_frames)
    if step == 0 or np.max(np.abs(offsets - ladder)) > PLANE_TOLERANCE_MM:
        msg = (
            f"{where}: expected evenly spaced dose planes, got steps of {steps.min():g} to "
            f"{steps.max():g} mm; export the dose on a uniform grid"
        )
        raise DicomError(msg)
    return step
