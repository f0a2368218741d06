"""Fractions of a course as its treatment records give them."""

from dataclasses import replace
from pathlib import Path

from rerad.core import Course, Plan
from rerad.dicom.treatment_records import read_treatment_records
from rerad.errors import CaseError


def with_records(course: Course, case_file: Path, folder: str, plan: Plan) -> Course:
    """Return a course with the fractions that its treatment records count.

    Parameters
    ----------
    course : Course
        As the case file states it.
    case_file : Path
        The folder is relative to it.
    folder : str
        With RT Beams Treatment Records, ``.dcm``, in it or below.
    plan : Plan
        Whose records.

    Raises
    ------
    CaseError
        If the folder holds no file, or the case file states another number of fractions.
    DicomError
        If a record cannot be used.
    """
    place = (case_file.parent / folder).resolve()
    paths = sorted(place.rglob("*.dcm")) if place.is_dir() else []
    if not paths:
        msg = f"{case_file}: {course.name}: no .dcm file in treatment_records {folder!r}"
        raise CaseError(msg)
    metersets = {beam.number: beam.meterset_mu for beam in plan.beams}
    found = read_treatment_records(paths, metersets, plan.instance_uid)
    stated = course.n_fractions_delivered
    if stated is not None and stated != found.n_whole:
        msg = (
            f"{case_file}: {course.name}: n_fractions_delivered is {stated}, its treatment records"
            f" count {found.n_whole} whole fractions and {len(found.partial)} broken off; correct "
            "the one that is wrong"
        )
        raise CaseError(msg)
    return replace(course, n_fractions_delivered=found.n_whole, partial_fractions=found.partial)
