"""Which CT of a folder is today's, and which doses were given before, on which CT."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from rerad import dicom
from rerad.case.export_limits import LIMITS_SET
from rerad.dicom import FolderItem, FolderScan
from rerad.errors import CaseError


@dataclass(frozen=True, slots=True)
class GivenCourse:
    """A dose on record with the CT, structures and plan that it belongs to."""

    ct: FolderItem
    structures: FolderItem | None
    plan: FolderItem | None
    dose: FolderItem


@dataclass(frozen=True, slots=True)
class FolderCourses:
    """What a folder holds of today and of earlier.

    Parameters
    ----------
    ct, structures : FolderItem
        Today's CT, and what is drawn on it.
    earlier : tuple of GivenCourse
        One for every dose, oldest first.
    doubts : tuple of str
        What was taken for granted, and what was left out; to be looked at.
    """

    ct: FolderItem
    structures: FolderItem | None
    earlier: tuple[GivenCourse, ...]
    doubts: tuple[str, ...]


def newest_first(scan: FolderScan, kind: str) -> list[FolderItem]:
    """Return the items of one kind, newest first, undated last."""
    items = [item for item in scan.items if item.kind == kind]
    return sorted(items, key=lambda item: item.date or date.min, reverse=True)


def courses_of(scan: FolderScan, folder: Path) -> FolderCourses:
    """Tell today's CT and the courses given before apart.

    A dose belongs to the CT that its plan was drawn on; where the files do not say, to a CT of
    its frame of reference. Today's CT has no dose yet. If the only CT has one, the dose was given
    before, and the CT is today's too.

    Parameters
    ----------
    scan : FolderScan
        Of one patient.
    folder : Path
        For messages.

    Raises
    ------
    CaseError
        If no CT can be today's.
    """
    cts = newest_first(scan, "CT")
    drawn = {ct.uid: _drawn_on(scan, ct, cts) for ct in cts}
    given, doubts = _given(scan, cts, drawn)
    used = {course.ct.uid for course in given}
    without = [ct for ct in cts if ct.uid not in used]
    candidates = [ct for ct in without if drawn[ct.uid]] or without
    if not candidates and len(cts) == 1:
        candidates = cts
        doubts = [
            "data.planning_ct_series_uid: the only CT has a dose already; it is taken as today's "
            "CT and the dose as given before on it. If today's CT is another one, add it and "
            "import anew",
            *doubts,
        ]
    if not candidates:
        raise CaseError(_no_planning_ct(cts, folder))
    today = candidates[0]
    planned_on = {course.structures.uid for course in given if course.structures}
    sets = drawn[today.uid]
    new = [item for item in sets if item.uid not in planned_on]
    structures = next(iter(new or sets), None)
    return FolderCourses(today, structures, tuple(given), tuple(doubts))


def _drawn_on(scan: FolderScan, ct: FolderItem, cts: Sequence[FolderItem]) -> list[FolderItem]:
    """Return the structure sets of a CT: those that refer to it, or only share its frame."""
    series = {item.uid for item in cts}
    return [
        item
        for item in newest_first(scan, "RTSTRUCT")
        if not item.description.startswith(LIMITS_SET)
        and (
            ct.uid in item.references
            or (item.frame_uid == ct.frame_uid and not series & set(item.references))
        )
    ]


def _given(
    scan: FolderScan, cts: Sequence[FolderItem], drawn: dict[str, list[FolderItem]]
) -> tuple[list[GivenCourse], list[str]]:
    """Return a course for every dose, oldest first, and which doses are left out.

    Of several doses of one plan only one counts. A dose that cannot be used stands for its CT
    only if there is no other, so that reading the case says what is wrong with it.
    """
    plans = [
        item
        for item in newest_first(scan, "RTPLAN")
        if not item.description.startswith(dicom.LIMITS_LABEL)
    ]
    found: list[GivenCourse] = []
    for dose in newest_first(scan, "RTDOSE"):
        if not any("remaining tolerance" in problem for problem in dose.problems):
            course = _course_of(dose, plans, cts, drawn)
            if course is not None:
                found.append(course)
    usable = {course.ct.uid for course in found if not course.dose.problems}
    kept: list[GivenCourse] = []
    doubts: list[str] = []
    for course in found:
        ct, dose = course.ct.uid, course.dose
        if dose.problems:
            if ct not in usable and all(other.ct.uid != ct for other in kept):
                kept.append(course)
            continue
        if course.plan and any(o.plan and o.plan.uid == course.plan.uid for o in kept):
            doubts.append(
                f"RTDOSE {dose.uid}: a second dose of plan {course.plan.description!r}; only "
                "one of them counts, so see that it is the right one"
            )
            continue
        kept.append(course)
    kept.sort(key=lambda course: course.dose.date or course.ct.date or date.min)
    return kept, doubts


def _course_of(
    dose: FolderItem,
    plans: Sequence[FolderItem],
    cts: Sequence[FolderItem],
    drawn: dict[str, list[FolderItem]],
) -> GivenCourse | None:
    """Return a dose with what it belongs to; None if no CT is of its frame of reference."""
    plan = next((item for item in plans if item.uid in dose.references), None)
    names = {*dose.references, *(plan.references if plan else ())}
    for ct in cts:
        structures = next((item for item in drawn[ct.uid] if item.uid in names), None)
        if structures is not None:
            return GivenCourse(ct, structures, plan, dose)
    there = [ct for ct in cts if ct.frame_uid == dose.frame_uid]
    if not there:
        return None
    ct = next((ct for ct in there if ct.study_uid == dose.study_uid), there[-1])
    sets = {item.uid for item in drawn[ct.uid]}
    own = [item for item in plans if sets & set(item.references)]
    plan = plan or (own[0] if len(own) == 1 else None)
    meant = set(plan.references) if plan else set()
    structures = next((item for item in drawn[ct.uid] if item.uid in meant), None)
    return GivenCourse(ct, structures or next(iter(drawn[ct.uid]), None), plan, dose)


def _no_planning_ct(cts: Sequence[FolderItem], folder: Path) -> str:
    """Say why no CT can be today's, with what is wrong with those that are there."""
    if not cts:
        return f"{folder}: expected a planning CT, got no CT series at all; name another folder"
    problems = [problem for ct in cts for problem in ct.problems]
    said = f" ({'; '.join(problems)})" if problems else ""
    return (
        f"{folder}: expected a planning CT without a dose for today's plan, but every CT series "
        f"({len(cts)}) has one{said}; add today's CT and structures"
    )
