"""Do these slices form one volume? Sort them, or say in one sentence why not."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from rerad.dicom.headers import count_of, number_of, numbers_of, position_text, text_of
from rerad.dicom.orientation import row_and_column_directions
from rerad.errors import DicomError, FrameMismatchError

SLICE_TOLERANCE_MM = 0.05
"""A slice this far from its even place is in place: scanners round table positions; it is a
hundredth of the thickest slices and moves no voxel by more than a twentieth of a millimetre."""

SAME_PLACE_MM = 0.01
"""Two slices closer than this lie in one place."""


@dataclass(frozen=True, eq=False, slots=True)
class SliceHeader:
    """What the header of one slice says about where it is and what it belongs to."""

    name: str
    instance_uid: str
    series_uid: str
    frame_uid: str
    patient_id: str
    patient_position: str
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    shape: tuple[int, int]
    thickness_mm: float | None

    @classmethod
    def of(cls, dataset: Dataset, name: str) -> Self:
        """Take them from a data set."""
        thickness = number_of(dataset, "SpacingBetweenSlices")
        return cls(
            name=name,
            instance_uid=text_of(dataset, "SOPInstanceUID"),
            series_uid=text_of(dataset, "SeriesInstanceUID"),
            frame_uid=text_of(dataset, "FrameOfReferenceUID"),
            patient_id=text_of(dataset, "PatientID"),
            patient_position=position_text(dataset),
            position_mm=tuple(numbers_of(dataset, "ImagePositionPatient")),
            orientation=tuple(numbers_of(dataset, "ImageOrientationPatient")),
            pixel_spacing_mm=tuple(numbers_of(dataset, "PixelSpacing")),
            shape=(count_of(dataset, "Rows"), count_of(dataset, "Columns")),
            thickness_mm=thickness or number_of(dataset, "SliceThickness"),
        )


@dataclass(frozen=True, eq=False, slots=True)
class SliceOrder:
    """How slices stack up.

    Parameters
    ----------
    indices : tuple of int
        Positions in the input, from first to last along the third direction.
    first_mm : ndarray of shape (3,)
        Centre of the first voxel of the first slice.
    directions : ndarray of shape (3, 3)
        Unit vectors along i, j and k, one a row.
    spacing_mm : tuple of float
        Along i, j and k.
    frame_uid : str
        Frame of reference.
    """

    indices: tuple[int, ...]
    first_mm: NDArray[np.float64]
    directions: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]
    frame_uid: str


def sort_slices(headers: Sequence[SliceHeader]) -> SliceOrder:
    """Sort the slices of one series along their normal.

    Parameters
    ----------
    headers : sequence of SliceHeader
        At least one.

    Returns
    -------
    SliceOrder
        How they stack up.

    Raises
    ------
    DicomError
        If they are of several series or patients, differ in geometry, lie in one place twice,
        leave a gap, or are unevenly spaced.
    FrameMismatchError
        If they are in several frames of reference.
    """
    _require_one_series(headers)
    _require_one_geometry(headers)
    first = headers[0]
    directions = row_and_column_directions(first.orientation, first.name)
    positions = np.array([header.position_mm for header in headers], dtype=np.float64)
    heights = positions @ directions[2]
    order = np.argsort(heights, kind="stable")
    _require_no_duplicates(headers, heights, order)
    spacing = _slice_spacing(headers, positions, heights[order], order, directions[2])
    inplane = positions - heights[:, None] * directions[2]
    if np.max(np.abs(inplane - inplane[order[0]])) > SLICE_TOLERANCE_MM:
        msg = (
            f"{first.name}: expected slices stacked at right angles, got a sheared stack "
            "(gantry tilt); resample it to axial slices where it was made"
        )
        raise DicomError(msg)
    return SliceOrder(
        indices=tuple(int(n) for n in order),
        first_mm=positions[order[0]],
        directions=directions,
        spacing_mm=(first.pixel_spacing_mm[1], first.pixel_spacing_mm[0], spacing),
        frame_uid=first.frame_uid,
    )


def _require_one_series(headers: Sequence[SliceHeader]) -> None:
    patients = Counter(header.patient_id for header in headers)
    if len(patients) > 1:
        msg = f"expected slices of one patient, got {len(patients)} patients; separate them first"
        raise DicomError(msg)
    series = Counter(header.series_uid for header in headers)
    if len(series) > 1:
        parts = ", ".join(f"{uid} ({n} files)" for uid, n in series.most_common())
        msg = f"expected slices of one series, got {len(series)}: {parts}; read one at a time"
        raise DicomError(msg)
    frames = Counter(header.frame_uid for header in headers)
    if len(frames) > 1:
        msg = (
            f"expected slices of one frame of reference, got {len(frames)}: "
            f"{', '.join(uid or 'none' for uid in frames)}; export the series again"
        )
        raise FrameMismatchError(msg)
    if not headers[0].frame_uid:
        msg = f"{headers[0].name}: expected a Frame of Reference UID, found none; export it again"
        raise DicomError(msg)


def _require_one_geometry(headers: Sequence[SliceHeader]) -> None:
    first = headers[0]
    for header in headers:
        complete = (
            len(header.position_mm) == 3
            and len(header.orientation) == 6
            and len(header.pixel_spacing_mm) == 2
            and all(spacing > 0 for spacing in header.pixel_spacing_mm)
        )
        if not complete:
            msg = (
                f"{header.name}: expected Image Position, Image Orientation and Pixel Spacing, "
                "found them absent or incomplete; leave it out, or export it again"
            )
            raise DicomError(msg)
        for what, mine, theirs in (
            ("rows and columns", header.shape, first.shape),
            ("patient position", header.patient_position, first.patient_position),
        ):
            if mine != theirs:
                msg = f"{header.name}: expected {what} {theirs} as in {first.name}, got {mine}"
                msg += "; this is not one series, separate them"
                raise DicomError(msg)
        for what, ours, given in (
            ("image orientation", header.orientation, first.orientation),
            ("pixel spacing", header.pixel_spacing_mm, first.pixel_spacing_mm),
        ):
            if not np.allclose(ours, given, atol=1e-4, rtol=0):
                msg = f"{header.name}: expected {what} {given} as in {first.name}, got {ours}"
                msg += "; this is not one series, separate them"
                raise DicomError(msg)


def _require_no_duplicates(
    headers: Sequence[SliceHeader], heights: NDArray[np.float64], order: NDArray[np.intp]
) -> None:
    for before, after in itertools.pairwise(order):
        if heights[after] - heights[before] < SAME_PLACE_MM:
            msg = (
                f"{headers[before].name} and {headers[after].name}: expected one slice in each "
                f"place, got two at {heights[after]:.2f} mm; remove the one that is doubled"
            )
            raise DicomError(msg)


def _slice_spacing(
    headers: Sequence[SliceHeader],
    positions: NDArray[np.float64],
    heights: NDArray[np.float64],
    order: NDArray[np.intp],
    normal: NDArray[np.float64],
) -> float:
    if len(heights) == 1:
        thickness = headers[0].thickness_mm
        if not thickness or thickness <= 0:
            msg = (
                f"{headers[0].name}: expected several slices, got one without slice thickness; "
                "give the whole series"
            )
            raise DicomError(msg)
        return thickness
    problem = describe_gaps(positions[order], heights, normal)
    if problem:
        msg = f"series {headers[0].series_uid}: {problem}"
        raise DicomError(msg)
    return float((heights[-1] - heights[0]) / (len(heights) - 1))


def describe_gaps(
    positions: NDArray[np.float64], heights: NDArray[np.float64], normal: NDArray[np.float64]
) -> str:
    """Say where slices are missing or uneven; empty if they are not.

    Parameters
    ----------
    positions : ndarray of shape (N, 3)
        Image positions in order.
    heights : ndarray of shape (N,)
        The same along the normal, ascending.
    normal : ndarray of shape (3,)
        Slice normal.
    """
    steps = np.diff(heights)
    usual = float(np.median(steps))
    axis = int(np.argmax(np.abs(normal)))
    wide = np.flatnonzero(steps > 1.5 * usual)
    if len(wide):
        places = ", ".join(
            "between {0}={1:.2f} and {0}={2:.2f} mm".format(
                "xyz"[axis], *sorted((positions[n, axis], positions[n + 1, axis]))
            )
            for n in wide[:3]
        )
        missing = int(np.rint(steps[wide] / usual - 1).sum())
        return (
            f"expected a slice every {usual:.2f} mm, but {missing} are missing {places}; "
            "export the whole series"
        )
    ladder = np.linspace(heights[0], heights[-1], len(heights))
    if len(steps) and np.max(np.abs(heights - ladder)) > SLICE_TOLERANCE_MM:
        return (
            f"expected evenly spaced slices, got steps of {steps.min():.3f} to "
            f"{steps.max():.3f} mm; export it with one slice distance"
        )
    return ""
