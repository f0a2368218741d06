"""How a case, or a command, says that an earlier course comes onto today's CT."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rerad import dicom
from rerad.case.history_schema import PriorCourseTable
from rerad.core import DisplacementField, Image, Transform
from rerad.errors import CaseError, FrameMismatchError
from rerad.planning.inputs import PriorMapping
from rerad.registration import Landmark

if TYPE_CHECKING:
    from rerad.case.load import DataFolder, LoadedCase

Registration = dicom.SpatialRegistration | DisplacementField
"""What a REG file may hold."""


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
    """
    fields = [item for item in registrations if isinstance(item, DisplacementField)]
    for field in fields:
        if (field.from_frame_uid, field.to_frame_uid) == (from_frame_uid, to_frame_uid):
            return field
    for item in registrations:
        if isinstance(item, DisplacementField):
            continue
        try:
            return item.between(from_frame_uid, to_frame_uid)
        except FrameMismatchError:
            continue
    return None


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
    DicomError
        If a file is no registration.
    """
    if not paths:
        return loaded
    found = read_registrations(paths)
    today = loaded.inputs.image.grid.frame_uid
    priors = []
    for prior in loaded.inputs.priors:
        given = registration_across(prior.study.image.grid.frame_uid, today, found)
        if given is not None:
            prior = replace(prior, mapping=replace(prior.mapping, given=given))
        priors.append(prior)
    return replace(loaded, inputs=replace(loaded.inputs, priors=tuple(priors)))
