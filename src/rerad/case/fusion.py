"""PET and MR onto the planning CT where their frame of reference is another one.

Two ways, in this order: a Spatial Registration (REG) among the files that leads from the frame of
the image to that of the planning CT, used as given; else, for an image that has a CT in its own
frame (the CT of the PET/CT), that CT is registered by its bones. An MR without a REG is refused:
bones do not show on it. How well the frames fit is a finding for the reader.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from rerad import dicom
from rerad.case.data_folder import DataFolder
from rerad.case.suv import suv_of
from rerad.core import Finding, Grid, Image, RigidTransform, Severity
from rerad.errors import FrameMismatchError, RegistrationError
from rerad.imaging import resample_image
from rerad.pet import SuppliedFacts
from rerad.registration import RegistrationQuality, register_rigid

SEED = 1
"""Of the choice of points: the same files give the same registration."""

_FARTHEST_MM = 60.0


@dataclass(frozen=True, eq=False, slots=True)
class FusedImage:
    """An image in the frame of the planning CT, and how it got there.

    Parameters
    ----------
    image : Image
        As read where the frames agree, else resampled.
    method : str
        One clause for the reader.
    transform : RigidTransform or None
        From the image's frame; None where it is the planning CT's.
    quality : RegistrationQuality or None
        Agreement of the bones, where they were registered.
    findings : tuple of Finding
        What to weigh.
    """

    image: Image
    method: str
    transform: RigidTransform | None = None
    quality: RegistrationQuality | None = None
    findings: tuple[Finding, ...] = ()


def fuse(image: Image, planning: Image, data: DataFolder) -> FusedImage:
    """Bring an image into the frame of the planning CT.

    Parameters
    ----------
    image : Image
        PET (in SUV, if its values matter) or MR.
    planning : Image
        Planning CT.
    data : DataFolder
        Files among which a REG or a CT of the image's frame may be.

    Returns
    -------
    FusedImage

    Raises
    ------
    FrameMismatchError
        If nothing leads from one frame to the other.
    RegistrationError
        If the bones do not fit within the accepted limits.
    """
    here, there = planning.grid.frame_uid, image.grid.frame_uid
    if here == there:
        return FusedImage(image, "shares the planning CT's frame of reference")
    given = _given(data, there, here)
    if given is not None:
        transform, label = given
        method = f"by the registration {label}, as given"
        text = (
            f"{image.modality}: brought into the planning CT's frame {method}; rerad has not "
            "judged how well it fits: look at the fusion"
        )
        finding = Finding(Severity.CAUTION, "image-registered-as-given", text)
        moved = _resampled(image, planning.grid, transform)
        return FusedImage(moved, method, transform, None, (finding,))
    partner = _partner(data, there)
    if partner is None:
        msg = (
            f"{image.modality} {image.series_uid}: expected frame of reference {here} of the "
            f"planning CT, got {there}, with neither a registration (REG) between them nor a CT "
            "in its own frame among the files; add the REG, or the CT of the PET/CT"
        )
        raise FrameMismatchError(msg)
    return _by_bones(image, planning, partner)


def fuse_named(
    data: DataFolder, uids: Mapping[str, str], planning: Image, supplied: SuppliedFacts
) -> dict[str, FusedImage]:
    """Read PET (as SUV) and MR and bring them into the planning CT's frame.

    Parameters
    ----------
    data : DataFolder
        Where they are; gets every finding.
    uids : mapping of str to str
        ``PT`` and ``MR``: series UID, empty for none.
    planning : Image
        Planning CT.
    supplied : SuppliedFacts
        What goes before the header of the PET.

    Returns
    -------
    dict of str to FusedImage
        ``PET`` and ``MR``, as far as they are there.

    Raises
    ------
    FrameMismatchError, RegistrationError
        If nothing leads from their frame to the planning CT's, or it does not fit.
    InputError, MissingDataError
        If the PET cannot be turned into SUV.
    """
    fused = {}
    if uids["PT"]:
        pet = data.image("data.pet_series_uid", uids["PT"], "PT")
        suv, findings = suv_of(pet, supplied)
        data.findings.extend(findings)
        fused["PET"] = fuse(suv, planning, data)
    if uids["MR"]:
        mr = data.image("data.mr_series_uid", uids["MR"], "MR")
        fused["MR"] = fuse(mr, planning, data)
    for one in fused.values():
        data.findings.extend(one.findings)
    return fused


def _by_bones(image: Image, planning: Image, partner: Image) -> FusedImage:
    """Register the CT of the image's own frame by its bones, and judge it."""
    result = register_rigid(partner, planning, seed=SEED)
    quality = result.quality
    numbers = (
        f"mean distance of bone surfaces {quality.mean_surface_mm:.1f} mm (95 %: "
        f"{quality.surface_95_mm:.1f} mm), Dice {quality.bone_dice:.2f}"
    )
    if not quality.is_acceptable:
        msg = (
            f"{image.modality}: its CT does not fit the planning CT by its bones, expected at "
            f"most {quality.max_mean_surface_mm:g} mm and Dice {quality.min_bone_dice:g}, got "
            f"{numbers}; register the two elsewhere and add the REG"
        )
        raise RegistrationError(msg)
    text = (
        f"{image.modality}: registered by the bones of its CT, {numbers}; nerves and soft tissue "
        "may lie otherwise between the two scans: look at the fusion"
    )
    finding = Finding(Severity.CAUTION, "image-registered-by-bones", text)
    moved = _resampled(image, planning.grid, result.transform)
    return FusedImage(
        moved,
        f"by the bones of its CT: {numbers}",
        result.transform,
        quality,
        (finding, *quality.findings),
    )


def _given(
    data: DataFolder, from_frame_uid: str, to_frame_uid: str
) -> tuple[RigidTransform, str] | None:
    """Return the transform of a REG among the files that leads across, and its name."""
    for item in data.scan.of_kind("REG"):
        for path in item.paths:
            if dicom.is_deformable_registration(path):
                continue
            found = dicom.read_registration(path)
            try:
                transform = found.between(from_frame_uid, to_frame_uid)
            except FrameMismatchError:
                continue
            data.paths("registration", item.uid, "REG")
            return transform, found.label or found.instance_uid
    return None


def _partner(data: DataFolder, frame_uid: str) -> Image | None:
    """Return a CT in a frame."""
    for item in data.scan.of_kind("CT"):
        image = dicom.read_image(list(item.paths[:1]))
        if image.grid.frame_uid == frame_uid:
            return data.image("CT of the PET/CT", item.uid, "CT")
    return None


def _resampled(image: Image, planning: Grid, transform: RigidTransform) -> Image:
    """Return an image on its own voxels, laid along the planning CT's axes.

    The box holds the turned image as far as it lies near the planning CT; values beyond the image
    are NaN: unknown.
    """
    low, high = np.asarray(image.grid.origin_mm), np.asarray(image.grid.end_mm)
    corners = np.array([[(low, high)[n >> axis & 1][axis] for axis in range(3)] for n in range(8)])
    moved = transform.apply(corners)
    start = np.maximum(moved.min(axis=0), np.asarray(planning.origin_mm) - _FARTHEST_MM)
    stop = np.minimum(moved.max(axis=0), np.asarray(planning.end_mm) + _FARTHEST_MM)
    if np.any(stop <= start):
        msg = (
            f"{image.modality}: lies nowhere near the planning CT after registration; check that "
            "both show the same part of the patient"
        )
        raise RegistrationError(msg)
    spacing = np.asarray(image.grid.spacing_mm)
    i, j, k = (int(n) + 1 for n in np.floor((stop - start) / spacing))
    onto = replace(
        image.grid,
        shape=(k, j, i),
        origin_mm=(float(start[0]), float(start[1]), float(start[2])),
        frame_uid=planning.frame_uid,
    )
    known = replace(image, values=image.values.astype(np.float32))
    return resample_image(known, onto, transform, outside=np.nan)


def fusion_rows(fused: Mapping[str, FusedImage]) -> dict[str, dict[str, object]]:
    """Return how each image got into the planning CT's frame, as plain values."""
    return {
        name: {
            "method": one.method,
            "matrix": None if one.transform is None else one.transform.matrix.tolist(),
            "bone_dice": None if one.quality is None else round(one.quality.bone_dice, 3),
            "mean_surface_mm": (
                None if one.quality is None else round(one.quality.mean_surface_mm, 2)
            ),
            "surface_95_mm": None if one.quality is None else round(one.quality.surface_95_mm, 2),
        }
        for name, one in fused.items()
    }
