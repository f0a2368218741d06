"""RTSTRUCT: contours in, contours out, nothing rasterised on the way.

Contours of one plane combine by exclusive or, as :class:`rerad.core.Structure` defines. What is
not a closed axial polygon is left out and reported by `check_structure_set`; it is never bent
into one.
"""

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import RTStructureSetStorage

from rerad.core import (
    Contour,
    Finding,
    Image,
    Severity,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import items_of, number_of, numbers_of, text_of
from rerad.errors import DicomError, FrameMismatchError

_log = logging.getLogger(__name__)

PLANE_TOLERANCE_MM = 0.05
"""Points of one contour may differ this much in z: planning systems round, and some turn points
through a registration and back."""

CLOSED = {"CLOSED_PLANAR", "CLOSEDPLANAR_XOR", "CLOSED_PLANAR_XOR", "INTERPOLATED_PLANAR"}
"""Contour Geometric Types that are closed polygons."""


@guard_parser
def read_structure_set(path: Path, image: Image | None = None) -> StructureSet:
    """Read an RTSTRUCT.

    Parameters
    ----------
    path : Path
        File to read.
    image : Image or None
        The image that it was drawn on. Its slice distance becomes the thickness of each contour;
        without it, the smallest distance of contour planes does.

    Returns
    -------
    StructureSet
        Names as written. A structure without a usable contour is kept, empty.

    Raises
    ------
    DicomError
        If the file is no RTSTRUCT, holds no structure, or the slice distance cannot be known.
    FrameMismatchError
        If a structure is in another frame than `image`.
    """
    structure_set, findings = _read(Path(path), image)
    for finding in findings:
        _log.info("%s: %s", finding.where, finding.text)
    return structure_set


@guard_parser
def check_structure_set(path: Path, image: Image | None = None) -> tuple[Finding, ...]:
    """Return what a reader of this RTSTRUCT must know: what is empty and what was left out.

    Parameters and errors are those of `read_structure_set`.
    """
    return _read(Path(path), image)[1]


def _read(path: Path, image: Image | None) -> tuple[StructureSet, tuple[Finding, ...]]:
    dataset = read_dataset(path)
    if text_of(dataset, "SOPClassUID") != RTStructureSetStorage:
        msg = (
            f"{path.name}: expected an RTSTRUCT, got "
            f"{text_of(dataset, 'Modality') or 'an unknown modality'}; give the structure set"
        )
        raise DicomError(msg)
    rois = items_of(dataset, "StructureSetROISequence")
    if not rois:
        msg = f"{path.name}: expected structures, found none; export the structure set again"
        raise DicomError(msg)
    drawn = _by_number(dataset, "ROIContourSequence")
    seen = _by_number(dataset, "RTROIObservationsSequence")
    findings: list[Finding] = []
    structures = []
    for roi in rois:
        number = _number(roi, "ROINumber")
        structure = _structure(roi, drawn.get(number), seen.get(number), findings)
        structures.append(_in_frame(structure, dataset, image, path.name))
    structures = _with_thickness(structures, image, path.name)
    findings += [finding for structure in structures for finding in _gaps(structure)]
    findings += _repeated_names(structures)
    if not seen:
        text = "the file does not say what its structures are for; targets and organs look alike"
        findings.append(Finding(Severity.CAUTION, "structure-kinds-missing", text))
    label, name = text_of(dataset, "StructureSetLabel"), text_of(dataset, "StructureSetName")
    structure_set = StructureSet(
        label=name if name.startswith(label) and name else label,
        structures=tuple(structures),
        instance_uid=text_of(dataset, "SOPInstanceUID"),
        referenced_series_uid=referenced_series_of(dataset),
    )
    return structure_set, tuple(findings)


def referenced_series_of(dataset: Dataset) -> str:
    """Return the image series that an RTSTRUCT refers to first; empty if it names none."""
    for frame in items_of(dataset, "ReferencedFrameOfReferenceSequence"):
        for study in items_of(frame, "RTReferencedStudySequence"):
            for series in items_of(study, "RTReferencedSeriesSequence"):
                uid = text_of(series, "SeriesInstanceUID")
                if uid:
                    return uid
    return ""


def _by_number(dataset: Dataset, keyword: str) -> dict[int | None, Dataset]:
    """Return the items of a sequence by the ROI that they refer to."""
    return {_number(item, "ReferencedROINumber"): item for item in items_of(dataset, keyword)}


def _number(item: Dataset, keyword: str) -> int | None:
    value = number_of(item, keyword)
    return None if value is None else int(value)


def _structure(
    roi: Dataset, drawn: Dataset | None, seen: Dataset | None, findings: list[Finding]
) -> Structure:
    """Return a structure; its thickness is set later, when all planes are known."""
    name = text_of(roi, "ROIName") or f"ROI {_number(roi, 'ROINumber')}"
    kind_text = text_of(seen, "RTROIInterpretedType") if seen is not None else ""
    known = {kind.value for kind in StructureKind}
    contours = _contours(name, drawn, findings)
    if not contours:
        text = f"{name} is named but has no closed axial contour; it is kept empty"
        findings.append(Finding(Severity.CAUTION, "structure-empty", text, name))
    return Structure(
        name=name,
        kind=StructureKind(kind_text) if kind_text in known else StructureKind.OTHER,
        frame_uid=text_of(roi, "ReferencedFrameOfReferenceUID"),
        contours=contours,
        slice_thickness_mm=1.0,
        color=_color(drawn),
    )


def _color(drawn: Dataset | None) -> tuple[int, int, int]:
    values = numbers_of(drawn, "ROIDisplayColor") if drawn is not None else []
    if len(values) != 3:
        return 255, 255, 255
    red, green, blue = (min(255, max(0, int(v))) for v in values)
    return red, green, blue


def _contours(name: str, drawn: Dataset | None, findings: list[Finding]) -> tuple[Contour, ...]:
    """Return the closed axial polygons, and report what is left out."""
    contours: list[Contour] = []
    left_out: dict[str, int] = {}
    for item in items_of(drawn, "ContourSequence") if drawn is not None else []:
        kind = text_of(item, "ContourGeometricType")
        values = numbers_of(item, "ContourData")
        if kind not in CLOSED:
            reason = f"of type {kind or 'unknown'}"
        elif len(values) % 3 or not np.all(np.isfinite(values)):
            reason = "with coordinates that are not points"
        elif len(values) < 9:
            reason = "with fewer than three points"
        else:
            points = np.asarray(values).reshape(-1, 3)
            if np.ptp(points[:, 2]) > PLANE_TOLERANCE_MM:
                # Part of a volume is worse than none: it would pass for the whole.
                text = f"{name} has contours outside axial planes; export it on axial slices"
                findings.append(Finding(Severity.SERIOUS, "contour-not-axial", text, name))
                return ()
            contours.append(Contour(float(np.median(points[:, 2])), points[:, :2]))
            continue
        left_out[reason] = left_out.get(reason, 0) + 1
    for reason, n_left_out in left_out.items():
        text = f"{name}: {n_left_out} contour(s) {reason} left out"
        findings.append(Finding(Severity.CAUTION, "contour-left-out", text, name))
    return tuple(contours)


def _in_frame(
    structure: Structure, dataset: Dataset, image: Image | None, where: str
) -> Structure:
    frame_uid = structure.frame_uid
    if not frame_uid:
        frames = items_of(dataset, "ReferencedFrameOfReferenceSequence")
        stated = {text_of(frame, "FrameOfReferenceUID") for frame in frames}
        stated.add(text_of(dataset, "FrameOfReferenceUID"))
        stated.discard("")
        if len(stated) != 1:
            msg = (
                f"{where}: expected a frame of reference for {structure.name}, found "
                f"{len(stated)}; export the structure set with its image"
            )
            raise DicomError(msg)
        frame_uid = stated.pop()
    if image is not None and frame_uid != image.grid.frame_uid:
        msg = (
            f"{where}: expected {structure.name} in frame {image.grid.frame_uid}, got "
            f"{frame_uid}; give the image that it was drawn on, or register the two"
        )
        raise FrameMismatchError(msg)
    return replace(structure, frame_uid=frame_uid)


def _with_thickness(
    structures: list[Structure], image: Image | None, where: str
) -> list[Structure]:
    if image is not None:
        thickness = image.grid.spacing_mm[2]
        return [replace(s, slice_thickness_mm=thickness) for s in structures]
    planes = np.concatenate([_planes(s) for s in structures])
    in_the_set = _smallest_distance(planes)
    if in_the_set is None:
        msg = (
            f"{where}: expected contours on two planes or more to know the slice distance, "
            "found fewer; read the structure set together with its image"
        )
        raise DicomError(msg)
    return [
        replace(s, slice_thickness_mm=_smallest_distance(_planes(s)) or in_the_set)
        for s in structures
    ]


def _planes(structure: Structure) -> NDArray[np.float64]:
    return np.array([contour.z_mm for contour in structure.contours], dtype=np.float64)


def _smallest_distance(planes: NDArray[np.float64]) -> float | None:
    """Return the smallest distance of two planes that are not the same one."""
    distances = np.diff(np.sort(planes))
    distances = distances[distances > 2 * PLANE_TOLERANCE_MM]
    return float(distances.min()) if len(distances) else None


def _gaps(structure: Structure) -> list[Finding]:
    distances = np.diff(np.unique(np.round(_planes(structure), 2)))
    n_gaps = int(np.count_nonzero(distances > 1.5 * structure.slice_thickness_mm))
    if n_gaps == 0:
        return []
    text = (
        f"{structure.name} skips slices in {n_gaps} place(s), the widest {distances.max():g} mm; "
        "nothing is interpolated between its contours"
    )
    return [Finding(Severity.NOTE, "structure-skips-slices", text, structure.name)]


def _repeated_names(structures: list[Structure]) -> list[Finding]:
    names = [structure.name for structure in structures]
    repeated = sorted({name for name in names if names.count(name) > 1})
    return [
        Finding(
            Severity.SERIOUS,
            "structure-name-repeated",
            f"{name} names {names.count(name)} structures; only the first is found by name",
            name,
        )
        for name in repeated
    ]
