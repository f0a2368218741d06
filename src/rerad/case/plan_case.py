"""Only the plan: optimised, judged and written, without report and pictures; and its export."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rerad import dicom
from rerad.case.files import case_path, write_json
from rerad.case.load import load_case
from rerad.case.outputs import run_document, status_of, write_dicom
from rerad.case.run import (
    RESULT_FOLDER_NAME,
    RUN_FILE_NAME,
    OnGoals,
    forget_state,
    peak_memory_mb,
    planned,
    provenance_of,
    read_to_plan,
    replacing,
    require_replaceable,
)
from rerad.case.written_plan import require_as_written
from rerad.errors import CaseError
from rerad.planning import CaseResult, Progress

PLAN_FOLDER_NAME = "plan"
"""Where a plan is kept inside a case folder."""

TRADE_FOLDER_NAME = "trade"
"""Where a plan on a trade is kept inside a case folder."""


@dataclass(frozen=True, eq=False, slots=True)
class PlanReport:
    """What planning wrote.

    Parameters
    ----------
    result : CaseResult
        The plan and how it is judged.
    folder : Path
        Where it is.
    """

    result: CaseResult
    folder: Path


def plan_case(
    case: Path, *, out: Path | None = None, on_goals: OnGoals | None = None, progress: Progress
) -> PlanReport:
    """Make the plan of a case and keep it: RTPLAN, doses, structures, run.json.

    Parameters
    ----------
    case : Path
        Case folder or file.
    out : Path or None
        Folder for the plan; None means `plan` beside the case file.
    on_goals : callable or None
        Told how the goals stand while the plan is made.
    progress : callable
        Told what is being done.

    Returns
    -------
    PlanReport

    Raises
    ------
    ReradError
        With one sentence; nothing is left half written. A plan that is stopped goes on where it
        was when the same case is planned again.
    """
    folder = out if out is not None else case_path(case).parent / PLAN_FOLDER_NAME
    require_replaceable(folder)
    loaded, reading = read_to_plan(case, progress)
    result = planned(loaded, on_goals, progress)
    steps = (reading, *result.provenance.steps)
    result = replace(result, provenance=provenance_of(loaded, steps))
    with replacing(folder) as temporary:
        progress("writing DICOM", 0.0)
        write_dicom(result, loaded.patient, temporary / "dicom")
        require_as_written(result.plan, temporary / "dicom" / "RTPLAN.dcm", result.machine)
        write_json(temporary / RUN_FILE_NAME, run_document(result, peak_memory_mb()))
    forget_state(loaded)
    return PlanReport(result, folder)


def export_plan(case: Path, to: Path, *, is_plan_only: bool = False) -> tuple[Path, ...]:
    """Copy the latest plan of a case, with its structures and doses, to a folder.

    Parameters
    ----------
    case : Path
        Case folder or file, planned before.
    to : Path
        New or empty folder.
    is_plan_only : bool
        Leave structures and doses behind.

    Returns
    -------
    tuple of Path
        What was copied.

    Raises
    ------
    CaseError
        If the case has no plan, its inputs have changed since, or `to` holds something.
    """
    source = latest_plan_folder(case)
    loaded = load_case(case)
    record = json.loads((source / RUN_FILE_NAME).read_text(encoding="utf-8"))
    made_from = record.get("settings", {}).get("inputs_hash")
    if made_from != loaded.inputs_hash:
        msg = f"{source}: the case or its data have changed since this plan was made; plan again"
        raise CaseError(msg)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        msg = f"{to} holds something already; name a new or an empty folder"
        raise CaseError(msg)
    dicom.read_plan(source / "dicom" / "RTPLAN.dcm")
    files = sorted((source / "dicom").rglob("*.dcm"))
    if is_plan_only:
        files = [path for path in files if path.name == "RTPLAN.dcm"]
    with replacing(to, sign="RTPLAN.dcm") as temporary:
        for path in files:
            shutil.copyfile(path, temporary / path.name)
    return tuple(to / path.name for path in files)


def plan_summary(report: PlanReport) -> dict[str, Any]:
    """Return what `rerad plan --json` prints."""
    document = run_document(report.result, 0.0)
    kept = ("goals", "optimisation", "complexity", "findings", "budget", "prices", "robust")
    return {
        "status": status_of(report.result.is_within_limits),
        "folder": str(report.folder),
        **{key: document[key] for key in kept},
    }


def latest_plan_folder(case: Path) -> Path:
    """Return the folder of the plan made last, by `rerad plan`, `rerad run` or `rerad trade`."""
    root = case_path(case).parent
    names = (PLAN_FOLDER_NAME, RESULT_FOLDER_NAME, TRADE_FOLDER_NAME)
    found = [root / name for name in names]
    made = [folder for folder in found if (folder / "dicom" / "RTPLAN.dcm").is_file()]
    made = [folder for folder in made if (folder / RUN_FILE_NAME).is_file()]
    if not made:
        msg = f"{root}: this case has no plan yet; make one with `rerad plan {case}`"
        raise CaseError(msg)
    return max(made, key=lambda folder: (folder / RUN_FILE_NAME).stat().st_mtime)
