"""Look at a folder of DICOM files, say what everything is, and propose a case file."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rerad import dicom
from rerad.case.files import CASE_FILE_NAME, write_case
from rerad.case.folder_courses import (
    FolderCourses,
    GivenCourse,
    courses_of,
    newest_first,
)
from rerad.case.history_schema import CourseTable, PrescriptionTable, PriorCourseTable
from rerad.case.schema import (
    BeamsTable,
    CaseFile,
    DataTable,
    ObjectivesTable,
    PatientTable,
    PlanningTable,
)
from rerad.core import StructureKind, StructureSet
from rerad.dicom import FolderScan
from rerad.errors import CaseError, ReradError
from rerad.structures import suggest_name
from rerad.tables import load_table

_DOSE_SUFFIX = re.compile(r"_(\d{3,5})$")
"""TG-263 writes the prescription of a target in cGy at the end of its name."""


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One series or object and what becomes of it."""

    kind: str
    description: str
    uid: str
    n_files: int
    use: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import found and proposes.

    Parameters
    ----------
    case_file : Path
        Written.
    lines : tuple of ImportLine
        Every series and object.
    skipped : tuple of (str, str)
        Files not used, with the reason.
    missing : tuple of str
        What the user must still supply.
    hints : tuple of str
        Suggestions, for example standard names.
    """

    case_file: Path
    lines: tuple[ImportLine, ...]
    skipped: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    hints: tuple[str, ...]


def import_folder(folder: Path, case: Path) -> ImportReport:
    """Look at a folder and write a commented case file.

    Parameters
    ----------
    folder : Path
        DICOM files of one patient, in any order and depth.
    case : Path
        Case folder, made if it is not there; an existing case file is not overwritten.

    Returns
    -------
    ImportReport

    Raises
    ------
    CaseError
        If the folder holds no planning CT, more than one patient, or a case file is there.
    """
    if not folder.is_dir():
        msg = f"expected a folder with DICOM files, got {folder}"
        raise CaseError(msg)
    path = case / CASE_FILE_NAME
    if path.exists():
        msg = f"{path} is there already; move it away or name another case folder"
        raise CaseError(msg)
    scan = dicom.scan_folder(folder)
    _require_one_patient(scan, folder)
    found = courses_of(scan, folder)
    structures, unread = _read_structures(found)
    relative = os.path.relpath(folder.resolve(), case.resolve())
    file = _proposal(scan, found, structures, relative)
    lines = _lines(scan, found, file)
    case.mkdir(parents=True, exist_ok=True)
    write_case(file, path)
    return ImportReport(
        case_file=path,
        lines=lines,
        skipped=tuple((str(item.path), item.reason) for item in scan.skipped),
        missing=(*unread, *_missing(file, found, structures)),
        hints=_hints(structures),
    )


def _read_structures(found: FolderCourses) -> tuple[StructureSet | None, tuple[str, ...]]:
    """Return today's structures, or why they cannot be used."""
    if found.structures is None:
        return None, ()
    try:
        return dicom.read_structure_set(found.structures.paths[0]), ()
    except ReradError as error:
        return None, (f"today's structure set cannot be used: {error}",)


def _require_one_patient(scan: FolderScan, folder: Path) -> None:
    """Raise if the folder holds more than one patient."""
    identifiers = sorted({item.patient_id for item in scan.items})
    if len(identifiers) > 1:
        msg = (
            f"{folder} holds {len(identifiers)} patients (IDs {', '.join(identifiers)}); a case "
            "is one patient: put each into a folder of its own"
        )
        raise CaseError(msg)


def _proposal(
    scan: FolderScan, found: FolderCourses, structures: StructureSet | None, folder: str
) -> CaseFile:
    """Return a case file with what the files say, and proposals for what they cannot."""
    table = load_table("planning_proposal")
    prescriptions = _prescriptions(structures)
    return CaseFile(
        schema_version=1,
        title="Re-irradiation",
        patient=PatientTable(summary="unknown: say who the patient is and why treatment is asked"),
        data=DataTable(
            folder=folder,
            planning_ct_series_uid=found.ct.uid,
            structure_set_uid=found.structures.uid if found.structures else "",
            pet_series_uid=_shown_on(scan, "PT", found),
            mr_series_uid=_shown_on(scan, "MR", found),
        ),
        current_course=CourseTable(
            name="Course to be planned",
            prescriptions=prescriptions,
            n_fractions_planned="unknown",
            n_fractions_delivered="unknown",
            order=100,
        ),
        planning=PlanningTable(**table["planning"]),
        beams=BeamsTable(**_tuples(table["beams"])),
        objectives=ObjectivesTable(**table["objectives"]),
        prior_course=tuple(
            _prior_course(number + 1, given) for number, given in enumerate(found.earlier)
        ),
        goals=tuple(_target_goals(prescriptions, table["target_goal"])),
    )


def _target_goals(
    prescriptions: Sequence[PrescriptionTable], proposals: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """Yield the proposed goals; an upper bound only for the hottest target, which others hold."""
    for number, item in enumerate(prescriptions):
        name = f'"{item.structure}"' if " " in item.structure else item.structure
        for goal in proposals:
            if number == 0 or not goal.get("is_of_hottest_only", False):
                yield goal["line"].replace("{target}", name)


def _tuples(table: dict[str, Any]) -> dict[str, Any]:
    """Return a TOML table with its lists as tuples."""
    return {key: tuple(v) if isinstance(v, list) else v for key, v in table.items()}


def _prescriptions(structures: StructureSet | None) -> tuple[PrescriptionTable, ...]:
    """Return prescriptions for planning target volumes whose names carry a dose in cGy."""
    found = []
    for structure in structures.structures if structures else ():
        match = _DOSE_SUFFIX.search(structure.name)
        if structure.kind is StructureKind.PTV and match and not structure.is_empty:
            dose_gy = int(match.group(1)) / 100
            found.append(PrescriptionTable(structure=structure.name, dose_gy=dose_gy))
    return tuple(sorted(found, key=lambda item: -item.dose_gy))


def _prior_course(number: int, given: GivenCourse) -> PriorCourseTable:
    """Return an earlier course as far as its files tell."""
    plan = dicom.read_plan(given.plan.paths[0]) if given.plan else None
    return PriorCourseTable(
        name=f"Earlier course {number}",
        prescriptions=tuple(
            PrescriptionTable(structure=item.structure, dose_gy=item.dose_gy)
            for item in (plan.prescriptions if plan else ())
        ),
        n_fractions_planned=plan.n_fractions_planned if plan else "unknown",
        n_fractions_delivered="unknown",
        order=number,
        ct_series_uid=given.ct.uid,
        structure_set_uid=given.structures.uid if given.structures else "",
        plan_uid=given.plan.uid if given.plan else "",
        dose_uid=given.dose.uid,
    )


def _shown_on(scan: FolderScan, kind: str, found: FolderCourses) -> str:
    """Return the first PET or MR in the CT's frame, else one that can be brought there.

    That is one of a frame that no earlier course has, with a registration among the files or, for
    a PET, the CT of the PET/CT.
    """
    items = newest_first(scan, kind)
    here = next((item.uid for item in items if item.frame_uid == found.ct.frame_uid), "")
    if here:
        return here
    taken = {given.ct.frame_uid for given in found.earlier}
    partners = {item.frame_uid for item in scan.of_kind("CT")} if kind == "PT" else set()
    has_registration = bool(scan.of_kind("REG"))
    return next(
        (
            item.uid
            for item in items
            if item.frame_uid not in taken and (has_registration or item.frame_uid in partners)
        ),
        "",
    )


def _uses(file: CaseFile) -> dict[str, str]:
    """Return what each UID in a case file is used for."""
    pairs = [
        (file.data.planning_ct_series_uid, "today's planning CT"),
        (file.data.structure_set_uid, "today's structures"),
        (file.data.pet_series_uid, "PET, shown on the planning CT"),
        (file.data.mr_series_uid, "MRI, shown beside the planning CT"),
    ]
    for course in file.prior_course:
        pairs += [
            (course.ct_series_uid, f"CT of {course.name}"),
            (course.structure_set_uid, f"structures of {course.name}"),
            (course.plan_uid, f"plan of {course.name}"),
            (course.dose_uid, f"dose of {course.name}"),
        ]
    uses: dict[str, str] = {}
    for uid, use in pairs:
        uses[uid] = f"{uses[uid]}; {use}" if uid in uses else use
    return uses


def _lines(scan: FolderScan, found: FolderCourses, file: CaseFile) -> tuple[ImportLine, ...]:
    """Say for every item what it is used for, or why it is not."""
    uses = _uses(file)
    frames = {found.ct.frame_uid, *(given.ct.frame_uid for given in found.earlier)}
    lines = []
    for item in scan.items:
        use = uses.get(item.uid, "")
        if not use and item.kind in {"PT", "MR"} and item.frame_uid not in frames:
            use = (
                "not used: another frame of reference than any planning CT; add a registration "
                "(REG) or, for a PET, its CT"
            )
        elif not use:
            use = "not used: nothing in this case refers to it; name its UID in the case file"
        lines.append(
            ImportLine(item.kind, item.description, item.uid, item.n_files, use, item.problems)
        )
    return tuple(lines)


def _missing(
    file: CaseFile, found: FolderCourses, structures: StructureSet | None
) -> tuple[str, ...]:
    """Return what the user must still say, each naming its key."""
    missing = list(found.doubts)
    if found.structures is None:
        missing.append("data.structure_set_uid: no structure set is drawn on today's CT")
    elif structures and not any(s.kind is StructureKind.EXTERNAL for s in structures.structures):
        missing.append("today's structure set has no structure of type EXTERNAL (body outline)")
    if not file.current_course.prescriptions:
        missing.append("current_course.prescriptions: name targets and doses")
    missing.append("current_course.n_fractions_planned: today's number of fractions")
    for number, course in enumerate(file.prior_course):
        if course.n_fractions_planned == "unknown":
            missing.append(f"prior_course.{number}.n_fractions_planned: {course.name}")
        missing.append(f"prior_course.{number}.n_fractions_delivered: {course.name}")
    if not file.prior_course:
        missing.append("prior_course: no earlier course with a dose was found")
    return tuple(missing)


def _hints(structures: StructureSet | None) -> tuple[str, ...]:
    """Return suggestions of standard names; nothing is renamed."""
    hints = []
    for name in structures.names if structures else ():
        better = suggest_name(name)
        if better is not None and better != name:
            hints.append(f"structure {name!r} might be {better!r} in TG-263; not renamed")
    return tuple(hints)
