"""How a case, or a command, says that an earlier course comes onto today's CT."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rerad import dicom
from rerad.case.history_schema import PriorCourseTable
from rerad.core import DisplacementField, Image, RigidTransform, Transform
from rerad.errors import CaseError, FrameMismatchError
from rerad.planning.inputs import PriorMapping
from rerad.registration import Landmark

if TYPE_CHECKING:
    from rerad.case.load import DataFolder, LoadedCase

Registration = dicom.SpatialRegistration | DisplacementField
"""What a REG file may hold."""

SAME_MM = 1e-3
"""Matrices that differ by less are one, written with fewer digits."""


def read_registrations(paths: Sequence[Path]) -> list[Registration]:
    """Read REG files, rigid or deformable.

    Raises
    ------
    DicomError
        If a file is neither.
    """
    found: list[Registration] = []
    for path in paths:
        if dicom.is_deformable_registration(path):
            found.extend(dicom.read_deformable_registration(path))
        else:
            found.append(dicom.read_registration(path))
    return found


def registration_across(
    from_frame_uid: str, to_frame_uid: str, registrations: Sequence[Registration]
) -> Transform | None:
    """Return the transform that a registration gives between two frames; None if none does.

    A deformable registration is taken before a rigid one, if both are given.

    Raises
    ------
    CaseError
        If two of a kind lead across and differ: which is right, nobody here can know.
    """
    fields: list[DisplacementField] = []
    rigids: list[RigidTransform] = []
    for item in registrations:
        if isinstance(item, DisplacementField):
            if (item.from_frame_uid, item.to_frame_uid) == (from_frame_uid, to_frame_uid):
                fields.append(item)
            continue
        try:
            rigids.append(item.between(from_frame_uid, to_frame_uid))
        except FrameMismatchError:
            continue
    if any(not _is_same_field(fields[0], item) for item in fields[1:]) or any(
        not np.allclose(rigids[0].matrix, item.matrix, atol=SAME_MM) for item in rigids[1:]
    ):
        msg = (
            f"expected one registration from frame {from_frame_uid} to {to_frame_uid}, got "
            f"{max(len(fields), len(rigids))} that differ; give the one that was approved"
        )
        raise CaseError(msg)
    if fields:
        return fields[0]
    return rigids[0] if rigids else None


def _is_same_field(a: DisplacementField, b: DisplacementField) -> bool:
    """Return whether two fields are one, read twice."""
    return (
        a.grid.has_same_voxels(b.grid)
        and np.allclose(a.rigid.matrix, b.rigid.matrix, atol=SAME_MM)
        and np.array_equal(a.vectors_mm, b.vectors_mm)
    )


def mapping_of(
    data: "DataFolder", key: str, table: PriorCourseTable, frames: tuple[Image, Image]
) -> PriorMapping:
    """Return what a case file says of an earlier course's registration.

    Parameters
    ----------
    data : DataFolder
        Where the REG is.
    key : str
        Of the course, for messages.
    table : PriorCourseTable
        The course.
    frames : tuple of Image
        Its CT and the planning CT.

    Raises
    ------
    CaseError
        If the REG is not there or does not lead from one CT to the other, or a landmark lies
        outside its CT.
    DicomError
        If the REG cannot be used.
    """
    earlier, today = frames
    given = None
    if table.registration_uid:
        place = f"{key}.registration_uid"
        path = data.paths(place, table.registration_uid, "REG")[0]
        ends = earlier.grid.frame_uid, today.grid.frame_uid
        given = registration_across(*ends, read_registrations([path]))
        if given is None:
            msg = (
                f"{data.case_file}: {place}: the registration does not lead from the frame of the "
                f"course's CT {ends[0]} to that of the planning CT {ends[1]}; name the REG that "
                "was made for these two"
            )
            raise CaseError(msg)
    landmarks = tuple(
        Landmark(item.name, item.earlier_mm, item.today_mm) for item in table.landmarks
    )
    for item in landmarks:
        for word, point, image in (
            ("earlier_mm", item.earlier_mm, earlier),
            ("today_mm", item.today_mm, today),
        ):
            index = image.grid.indices(point)
            if np.any((index < -0.5) | (index > np.array(image.grid.shape) - 0.5)):
                msg = (
                    f"{data.case_file}: {key}.landmarks: {word} {point} of {item.name} lies "
                    "outside its CT; give x, y, z in mm in the patient system of that CT"
                )
                raise CaseError(msg)
    return PriorMapping(given, table.registration == "deformable", table.guides, landmarks)


def with_registrations(loaded: "LoadedCase", paths: Sequence[Path]) -> "LoadedCase":
    """Return a case whose courses are mapped by REG files where one leads across.

    Parameters
    ----------
    loaded : LoadedCase
        As read.
    paths : sequence of Path
        REG files, rigid or deformable; they go before what the case file names.

    Raises
    ------
    CaseError
        If a file leads to no course of the case, or two that differ lead to one.
    DicomError
        If a file is no registration.
    """
    if not paths:
        return loaded
    today = loaded.inputs.image.grid.frame_uid
    frames = [prior.study.image.grid.frame_uid for prior in loaded.inputs.priors]
    found: list[Registration] = []
    for path in paths:
        held = read_registrations([path])
        if not any(registration_across(frame, today, held) is not None for frame in frames):
            raise CaseError(_why_unused(path, held, frames, today))
        found.extend(held)
    priors = []
    for prior, frame in zip(loaded.inputs.priors, frames, strict=True):
        given = registration_across(frame, today, found)
        if given is not None:
            prior = replace(prior, mapping=replace(prior.mapping, given=given))
        priors.append(prior)
    return replace(loaded, inputs=replace(loaded.inputs, priors=tuple(priors)))


def _why_unused(
    path: Path, held: Sequence[Registration], frames: Sequence[str], today: str
) -> str:
    """Say why a registration that was given could not be used: silence would be taken for use."""
    is_backwards = any(
        isinstance(item, DisplacementField)
        and item.from_frame_uid == today
        and item.to_frame_uid in frames
        for item in held
    )
    if is_backwards:
        return (
            f"{path.name}: expected a deformable registration whose source is the earlier CT, got "
            "one from today's CT to the earlier one; a field leads one way only, so register with "
            "today's CT fixed and export that"
        )
    return (
        f"{path.name}: expected a registration from the frame of an earlier course's CT "
        f"({', '.join(dict.fromkeys(frames)) or 'there is none'}) to that of today's ({today}), "
        "it leads between others; give the one that was made for these two"
    )
