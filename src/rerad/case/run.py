"""Run a case from its file to report, pictures and DICOM; nothing is left half written."""

import importlib.metadata
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from rerad import __version__
from rerad.case.consult import consult_of
from rerad.case.course_bands import with_bands
from rerad.case.files import case_path, write_json
from rerad.case.fusion import fusion_rows
from rerad.case.load import LoadedCase, load_case
from rerad.case.medium import medium_record
from rerad.case.nerve_schema import NervesTable
from rerad.case.nerve_study import NerveScan, NerveStudy, require_nerves, study_nerves
from rerad.case.outputs import run_document, write_dicom
from rerad.case.plan_state import STATE_FILE_NAME, StateKeeper, load_state
from rerad.case.report_object import write_report_object
from rerad.case.targets_outputs import nerve_row, path_rows
from rerad.case.written_plan import require_as_written
from rerad.core import Finding, Provenance, StepTime
from rerad.errors import CaseError
from rerad.planning import CaseListeners, CaseResult, GoalNow, PlanState, Progress, run_pipeline
from rerad.planning.checks import record_findings
from rerad.planning.history import phase_of
from rerad.planning.pipeline import require_structures
from rerad.reporting import write_report
from rerad.reporting.figures_nerve import NervePictures

LIBRARIES = ("numpy", "scipy", "numba", "pydicom", "SimpleITK", "matplotlib", "typst")
"""Libraries that touch numbers, pictures or files of a result."""

RUN_FILE_NAME = "run.json"
"""Record of a run; also the sign that a folder is a result of rerad."""

RESULT_FOLDER_NAME = "result"
"""Where a run writes inside a case folder, unless told otherwise."""


OnGoals = Callable[[tuple[GoalNow, ...]], None]
"""Told how the goals stand."""


@dataclass(frozen=True, eq=False, slots=True)
class RunReport:
    """What a run wrote.

    Parameters
    ----------
    result : CaseResult
        Everything it found.
    folder : Path
        Where it wrote.
    html, pdf, run_json : Path
        The report, and the record of the run.
    figures, dicom : tuple of Path
        Pictures and DICOM objects.
    """

    result: CaseResult
    folder: Path
    html: Path
    pdf: Path
    run_json: Path
    figures: tuple[Path, ...]
    dicom: tuple[Path, ...]


@dataclass(frozen=True, eq=False, slots=True)
class CheckReport:
    """What a check of a case found.

    Parameters
    ----------
    loaded : LoadedCase
        The case with its data.
    findings : tuple of Finding
        What a clinician must weigh before planning.
    """

    loaded: LoadedCase
    findings: tuple[Finding, ...]


def check_case(case: Path) -> CheckReport:
    """Read a case and everything it names, and say whether it can be run.

    Raises
    ------
    ReradError
        With the first thing that is missing or wrong.
    """
    loaded = load_case(case)
    require_structures(loaded.inputs)
    for prior in loaded.inputs.priors:
        phase_of(prior)
    if loaded.file.nerves is not None:
        require_nerves(scan_of(loaded), loaded.file.nerves)
    findings = (*loaded.inputs.findings, *record_findings(loaded.inputs))
    return CheckReport(loaded, findings)


def scan_of(loaded: LoadedCase) -> NerveScan:
    """Return what the nerves of a case are measured on."""
    inputs = loaded.inputs
    return NerveScan(inputs.image, inputs.structures, inputs.pet_suv, inputs.mr)


def nerves_measured(
    loaded: LoadedCase, progress: Progress
) -> tuple[LoadedCase, NerveStudy | None]:
    """Measure the nerves that a case names; what was found joins its findings."""
    table = loaded.file.nerves
    if table is None:
        return loaded, None
    progress("measuring nerves", 0.0)
    study = study_nerves(scan_of(loaded), table)
    inputs = loaded.inputs
    inputs = replace(inputs, findings=(*inputs.findings, *study.findings))
    return replace(loaded, inputs=inputs), study


def run_case(
    case: Path,
    *,
    out: Path | None = None,
    steps_before: tuple[StepTime, ...] = (),
    on_goals: OnGoals | None = None,
    progress: Progress,
) -> RunReport:
    """Run a case.

    While the plan is made, how far it has come is kept beside the case file; a run that was
    stopped goes on from there when the same case is run again.

    Parameters
    ----------
    case : Path
        Case folder or file.
    out : Path or None
        Folder for the results; None means `result` beside the case file. An earlier result
        there is replaced when the new one is complete.
    steps_before : tuple of StepTime
        What the caller did before, for the record of the run.
    on_goals : callable or None
        Told how the goals stand while the plan is made.
    progress : callable
        Told what is being done and the share of it done.

    Returns
    -------
    RunReport

    Raises
    ------
    ReradError
        With one sentence; nothing is left half written.
    """
    folder = out if out is not None else case_path(case).parent / RESULT_FOLDER_NAME
    require_replaceable(folder)
    loaded, reading = read_to_plan(case, progress)
    started = time.perf_counter()
    loaded, study = nerves_measured(loaded, progress)
    nerve_seconds = time.perf_counter() - started
    result = planned(loaded, on_goals, progress)
    if study is not None:
        steps_before = (*steps_before, StepTime("nerves measured", round(nerve_seconds, 3)))
    steps = (*steps_before, reading, *result.provenance.steps)
    result = replace(result, provenance=provenance_of(loaded, steps))
    with replacing(folder) as temporary:
        result = _write(result, loaded, study, (temporary, progress))
    forget_state(loaded)
    return _report(result, folder)


def read_to_plan(case: Path, progress: Progress) -> tuple[LoadedCase, StepTime]:
    """Read and check a case, and say how long that took.

    Courses known from paper or points only come with the bands that they are judged by.
    """
    started = time.perf_counter()
    progress("reading the case", 0.0)
    loaded, _ = with_bands(check_case(case).loaded, progress)
    return loaded, StepTime("reading the case", round(time.perf_counter() - started, 3))


def planned(loaded: LoadedCase, on_goals: OnGoals | None, progress: Progress) -> CaseResult:
    """Plan a loaded case, from where an earlier run of the same inputs stopped if one did.

    How far the plan has come stays beside the case until :func:`forget_state`, so that nothing is
    lost if the plan cannot be written.
    """
    path = case_path(loaded.path).parent / STATE_FILE_NAME
    inputs = loaded.inputs_hash
    resume = load_state(path, inputs)
    if resume is not None:
        progress(_going_on(resume), 0.0)
    elif path.is_file():
        progress("starting anew, for the case has changed since a plan of it was stopped", 0.0)
    listeners = CaseListeners(goals=on_goals, keep=StateKeeper(path, inputs))
    return run_pipeline(loaded.inputs, progress, listeners=listeners, resume=resume)


def forget_state(loaded: LoadedCase) -> None:
    """Remove how far a plan had come, once it is written."""
    (case_path(loaded.path).parent / STATE_FILE_NAME).unlink(missing_ok=True)


def _going_on(state: PlanState) -> str:
    """Say where a plan that was stopped goes on."""
    text = f"going on after {state.n_passes_done} finished passes"
    if state.robust is None:
        return text
    return f"{text} and {state.robust.n_passes_done} robust ones"


def _write(
    result: CaseResult,
    loaded: LoadedCase,
    study: NerveStudy | None,
    where: tuple[Path, Progress],
) -> CaseResult:
    """Write everything into a folder that nobody sees yet."""
    folder, progress = where
    steps = list(result.provenance.steps)
    since = time.perf_counter()
    progress("writing DICOM", 0.0)
    write_dicom(result, loaded.patient, folder / "dicom")
    require_as_written(result.plan, folder / "dicom" / "RTPLAN.dcm", result.machine)
    steps.append(StepTime("DICOM written", round(time.perf_counter() - since, 3)))
    result = replace(result, provenance=replace(result.provenance, steps=tuple(steps)))
    since = time.perf_counter()
    made = datetime.now()
    consult = consult_of(loaded, made.date())
    nerves = None if study is None else _pictures(result, study, loaded.file.nerves)
    write_report(result, folder, consult=consult, nerves=nerves, progress=_say(progress))
    write_report_object(result, loaded.patient, folder, made)
    steps.append(StepTime("figures and report", round(time.perf_counter() - since, 3)))
    result = replace(result, provenance=replace(result.provenance, steps=tuple(steps)))
    document = run_document(result, peak_memory_mb()) | {"images": fusion_rows(loaded.fused)}
    if study is not None:
        document["nerve_paths"] = path_rows((*study.paths.values(), *study.proposals.values()))
        document["nerves"] = [nerve_row(c) for c in study.comparisons]
    write_json(folder / RUN_FILE_NAME, document)
    return result


def _pictures(result: CaseResult, study: NerveStudy, table: NervesTable | None) -> NervePictures:
    """Return what the pictures of the nerves show."""
    return NervePictures(
        image=result.planning_image,
        pet_suv=result.pet_suv,
        mr=result.mr,
        structures=result.structures,
        measurements=study.measurements,
        comparisons=study.comparisons,
        proposals=study.proposals,
        bone_points=table.bone_points if table is not None else {},
    )


def _say(progress: Progress) -> Callable[[str], None]:
    """Return a callback that only says what is being done."""

    def say(what: str) -> None:
        progress(what, 0.0)

    return say


def _report(result: CaseResult, folder: Path) -> RunReport:
    """Say where everything is."""
    return RunReport(
        result=result,
        folder=folder,
        html=folder / "report.html",
        pdf=folder / "report.pdf",
        run_json=folder / RUN_FILE_NAME,
        figures=tuple(sorted((folder / "figures").glob("*.png"))),
        dicom=tuple(sorted((folder / "dicom").rglob("*.dcm"))),
    )


def provenance_of(loaded: LoadedCase, steps: tuple[StepTime, ...]) -> Provenance:
    """Return versions, settings, inputs and steps."""
    file = loaded.file
    settings: dict[str, str | int | float | bool | None] = {"inputs_hash": loaded.inputs_hash}
    tables = ("planning", "beams", "objectives", "robustness")
    for name in tables if file.robustness is not None else tables[:-1]:
        for key, value in getattr(file, name).model_dump().items():
            is_plain = value is None or isinstance(value, str | int | float | bool)
            settings[f"{name}.{key}"] = value if is_plain else ", ".join(map(str, value))
    settings |= medium_record(loaded.inputs.medium)
    return Provenance(
        rerad_version=__version__,
        library_versions={name: importlib.metadata.version(name) for name in LIBRARIES},
        settings=settings,
        inputs=loaded.records,
        steps=steps,
    )


def peak_memory_mb() -> float:
    """Return the largest resident size of this process so far, in megabytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(size / (1024**2 if sys.platform == "darwin" else 1024), 1)


def require_replaceable(folder: Path, *, sign: str = RUN_FILE_NAME) -> None:
    """Raise unless a result may be written to a folder: to be asked before hours of work.

    Parameters
    ----------
    folder, sign
        As for :func:`replacing`.

    Raises
    ------
    CaseError
        If `folder` holds something else than an earlier result, or nothing can be written there.
    """
    is_ours = (folder / sign).is_file()
    if folder.exists() and not is_ours and (not folder.is_dir() or any(folder.iterdir())):
        msg = f"{folder} is there and is not an earlier result of rerad; name another folder"
        raise CaseError(msg)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}."):
            pass
    except OSError as error:
        msg = f"{folder}: nothing can be written there ({error.strerror}); name another folder"
        raise CaseError(msg) from error


@contextmanager
def replacing(folder: Path, *, sign: str = RUN_FILE_NAME) -> Iterator[Path]:
    """Give a temporary folder beside `folder`, and put it in its place when all went well.

    Parameters
    ----------
    folder : Path
        Where the result goes; an earlier result there is replaced.
    sign : str
        The file by which an earlier result of this kind is known.

    Raises
    ------
    CaseError
        If `folder` holds something else than that: it is never replaced.
    """
    require_replaceable(folder, sign=sign)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old."))
            folder.replace(old / folder.name)
            temporary.replace(folder)
            shutil.rmtree(old)
        else:
            temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
