"""An existing plan, calculated again and compared: the independent check."""

import importlib.metadata
import re
from dataclasses import dataclass
from pathlib import Path

from rerad import __version__
from rerad.case.recalculate_inputs import CheckedPlan, load_checked_plan
from rerad.case.recalculate_machine import MachineChoice, as_on_machine, machines_of
from rerad.case.run import LIBRARIES
from rerad.core import Dose, Finding, Machine, Plan, Provenance, Severity
from rerad.dosecalc import FinalDoseSettings
from rerad.dosecalc.final_dose import Engine
from rerad.errors import CaseError, InputError
from rerad.evaluation import GammaCriterion
from rerad.planning import Progress
from rerad.planning.dose_check import DoseCheck
from rerad.planning.dose_comparison import DoseComparison, compare_doses, compare_structures
from rerad.planning.pipeline import Stopwatch, external_of
from rerad.planning.recalculation import (
    Recalculation,
    RecalculationInputs,
    StatedBeamDose,
    calculation_grid,
    recalculate_plan,
)
from rerad.tables import load_table

ACCURACY = {
    "collapsed-cone": "Open fields of 30 to 200 mm in water, lung and a dense layer agree with "
    "Monte Carlo within about 1 % in the mean of a depth dose and 4 % in single centimetres; air "
    "cavities, metal and the composition of bone were not compared (docs/validation.md).",
    "pencil-beam": "Pencil beams scaled by the density along their own ray: against Monte Carlo "
    "9 to 21 % too high in lung (fields of 200 to 30 mm), 4 % too low in a dense layer; no "
    "broadening of the penumbra in lung (docs/validation.md).",
}
"""How far an engine is to be believed; measured in docs/validation.md."""

_CRITERION = re.compile(r"\s*([\d.]+)\s*%\s*/\s*([\d.]+)\s*mm\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """Choices of a check; the clinical ones have no default here.

    Parameters
    ----------
    criteria : tuple of str
        Gamma criteria such as ``3%/2mm``, at least one. Each is judged globally and locally; the
        first, global, decides.
    threshold_percent : float
        Voxels below this share of the highest planned dose are not judged.
    pass_percent : float
        Pass rate asked for.
    machine : MachineChoice
        What is said about the machine.
    engine : Engine
        How the dose is calculated.
    grid_mm : float or None
        Voxel size; None for the voxels of the planned dose.
    n_fractions_of_dose : int or None
        Of how many fractions the planned dose is; None for what its file says.
    """

    criteria: tuple[str, ...]
    threshold_percent: float
    pass_percent: float
    machine: MachineChoice
    engine: Engine
    grid_mm: float | None = None
    n_fractions_of_dose: int | None = None


@dataclass(frozen=True, slots=True)
class CheckProposal:
    """What a check asks for unless told otherwise, from ``tables/dose_check.toml``.

    Parameters
    ----------
    criteria : tuple of str
        Gamma criteria.
    threshold_percent, pass_percent : float
        As in `CheckSettings`.
    citation : str
        Where they come from.
    """

    criteria: tuple[str, ...]
    threshold_percent: float
    pass_percent: float
    citation: str


def read_check_proposal() -> CheckProposal:
    """Return criterion, threshold and pass rate of the table, with their source."""
    table = load_table("dose_check")["gamma"]
    return CheckProposal(
        criteria=(f"{table['dose_percent']:g}%/{table['distance_mm']:g}mm",),
        threshold_percent=table["threshold_percent"],
        pass_percent=table["pass_percent"],
        citation=f"{table['citation']}, doi:{table['doi']} [{table['trust']}]",
    )


def parse_criterion(text: str) -> tuple[float, float]:
    """Read a gamma criterion such as ``3%/2mm``.

    Returns
    -------
    percent, distance_mm : float

    Raises
    ------
    InputError
        If it is not written like that.

    Examples
    --------
    >>> parse_criterion("2 % / 1.5 mm")
    (2.0, 1.5)
    """
    match = _CRITERION.fullmatch(text)
    if match is None:
        msg = f"expected a gamma criterion such as 3%/2mm, got {text!r}"
        raise InputError(msg)
    return float(match.group(1)), float(match.group(2))


def check_dose(
    plan_path: Path,
    case: Path,
    *,
    dose_path: Path | None = None,
    settings: CheckSettings,
    progress: Progress,
) -> DoseCheck:
    """Calculate an existing plan again and compare it with its planned dose.

    Parameters
    ----------
    plan_path : Path
        RTPLAN.
    case : Path
        Case folder or file, or a folder with the patient's DICOM files.
    dose_path : Path or None
        RTDOSE to compare with; None to take the one in the case that refers to the plan.
    settings : CheckSettings
        Choices.
    progress : callable
        Told what is being done and the share of it done.

    Returns
    -------
    DoseCheck

    Raises
    ------
    ReradError
        With one sentence on what is missing, or why the plan cannot be calculated.
    """
    for text in settings.criteria:
        parse_criterion(text)
    watch = Stopwatch()
    progress("reading plan and case", 0.0)
    read = load_checked_plan(plan_path, case, dose_path=dose_path)
    machines, said = machines_of(read.plan, read.described, _choice(read, settings))
    plan, said_of_leaves = as_on_machine(read.plan, machines)
    watch.lap("reading plan and case")
    recalculation = _recalculate(read, plan, machines, settings, progress)
    watch.lap("dose")
    progress("comparing", 0.0)
    comparison = _compare(read, recalculation, settings)
    watch.lap("gamma")
    planned = read.planned.dose if read.planned is not None else None
    compared, unread = compare_structures(
        planned, recalculation.compared, read.structures, end_slab=read.end_slab
    )
    watch.lap("dose-volume histograms")
    findings = [*read.findings, *said, *said_of_leaves, *recalculation.findings, *unread]
    findings += comparison.findings if comparison is not None else _nothing_to_compare()
    order = [Severity.SERIOUS, Severity.CAUTION, Severity.NOTE]
    return DoseCheck(
        plan=plan,
        patient=read.patient,
        image=read.image,
        structures=read.structures,
        recalculation=recalculation,
        comparison=comparison,
        compared=compared,
        engine=str(settings.engine),
        accuracy=ACCURACY[settings.engine],
        planned_text=_planned_text(read, settings),
        pass_percent=settings.pass_percent,
        findings=tuple(sorted(dict.fromkeys(findings), key=lambda f: order.index(f.severity))),
        provenance=Provenance(
            rerad_version=__version__,
            library_versions={name: importlib.metadata.version(name) for name in LIBRARIES},
            settings=_settings_record(settings, machines, recalculation.dose),
            inputs=read.records,
            steps=tuple(watch.steps),
        ),
    )


def _choice(read: CheckedPlan, settings: CheckSettings) -> MachineChoice:
    """Return what is said about the machine, with those of the case."""
    chosen = settings.machine
    return MachineChoice(chosen.machine, chosen.beam, (*chosen.known, *read.known_machines))


def _n_fractions(read: CheckedPlan, settings: CheckSettings) -> int:
    """Return of how many fractions the planned dose is."""
    if settings.n_fractions_of_dose is not None:
        return settings.n_fractions_of_dose
    if read.planned is not None and read.planned.is_of_one_fraction:
        return 1
    return read.plan.n_fractions_planned


def _recalculate(
    read: CheckedPlan,
    plan: Plan,
    machines: dict[int, Machine],
    settings: CheckSettings,
    progress: Progress,
) -> Recalculation:
    """Calculate every beam of the plan."""
    planned = read.planned
    if planned is None and settings.grid_mm is None:
        msg = (
            f"no RTDOSE of plan {plan.label} is in the case: name one with --dose to compare "
            "with, or a grid in mm with --grid to calculate without"
        )
        raise CaseError(msg)
    grid = calculation_grid(
        read.image,
        external_of(read.structures),
        like=planned.dose.grid if planned is not None else None,
        spacing_mm=settings.grid_mm,
    )
    inputs = RecalculationInputs(
        plan=plan,
        machines=machines,
        stated={
            item.number: StatedBeamDose(item.stated_dose_gy, item.stated_at_mm)
            for item in read.described
        },
        image=read.image,
        structures=read.structures,
        medium=read.medium,
    )
    return recalculate_plan(
        inputs,
        grid,
        settings=FinalDoseSettings(engine=settings.engine),
        compared_beams=planned.beam_numbers if planned is not None else (),
        n_fractions_compared=_n_fractions(read, settings),
        progress=progress,
    )


def _compare(
    read: CheckedPlan, recalculation: Recalculation, settings: CheckSettings
) -> DoseComparison | None:
    """Compare with the planned dose if there is one."""
    if read.planned is None:
        return None
    criteria = [
        GammaCriterion(percent, distance_mm, is_local, settings.threshold_percent)
        for percent, distance_mm in map(parse_criterion, settings.criteria)
        for is_local in (False, True)
    ]
    return compare_doses(
        read.planned.dose,
        recalculation.compared,
        read.structures,
        criteria,
        n_fractions=read.plan.n_fractions_planned,
    )


def _nothing_to_compare() -> list[Finding]:
    text = "No RTDOSE of the plan was found or given: the dose is calculated and not checked."
    return [Finding(Severity.SERIOUS, "no-planned-dose", text)]


def _planned_text(read: CheckedPlan, settings: CheckSettings) -> str:
    """Say what the planned dose is of, who says so, and who made it."""
    planned = read.planned
    if planned is None:
        return ""
    n = _n_fractions(read, settings)
    total = read.plan.n_fractions_planned
    numbers = ", ".join(str(number) for number in planned.beam_numbers)
    beams = f"beams {numbers}" if numbers else "all beams"
    source = "as given" if settings.n_fractions_of_dose is not None else "as its file says"
    text = (
        f"DoseSummationType {planned.summation}: dose of {beams}, {n} of {total} fractions, "
        f"{source}"
    )
    return f"{text}; by {planned.maker}" if planned.maker else text


def _settings_record(
    settings: CheckSettings, machines: dict[int, Machine], dose: Dose
) -> dict[str, str | int | float | bool | None]:
    """Return every choice by name."""
    used = {f"{machine.name} {machine.beam.name}": machine.source for machine in machines.values()}
    return {
        "gamma": ", ".join(settings.criteria),
        "threshold_percent": settings.threshold_percent,
        "pass_percent": settings.pass_percent,
        "machine": ", ".join(used),
        "machine_source": "; ".join(dict.fromkeys(used.values())),
        "engine": str(settings.engine),
        "grid_mm": " x ".join(f"{v:g}" for v in dose.grid.spacing_mm),
        "grid_voxels": dose.grid.n_voxels,
        "n_fractions_of_dose": settings.n_fractions_of_dose,
    }
