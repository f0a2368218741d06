"""``rerad dose``: an existing plan calculated again, beside the dose of its planning system."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rerad.case.recalculate import (
    CheckSettings,
    check_dose,
    parse_criterion,
    read_check_proposal,
)
from rerad.case.recalculate_inputs import default_check_folder
from rerad.case.recalculate_machine import MachineChoice
from rerad.case.recalculate_outputs import check_summary, write_check
from rerad.cli.arguments import JsonOption, QuietOption
from rerad.cli.console import BANNER, ExitCode, Steps, print_json, reporting_errors, say
from rerad.dosecalc import FinalDoseSettings
from rerad.dosecalc.final_dose import Engine
from rerad.errors import InputError
from rerad.planning.dose_check import DoseCheck
from rerad.reporting import document
from rerad.reporting.content_recalculate import check_tables

DEFAULT_ENGINE = FinalDoseSettings().engine

PROPOSAL = read_check_proposal()
"""Gamma criterion, threshold and pass rate unless told otherwise, with their source."""


def dose(
    plan: Annotated[Path, typer.Argument(help="RTPLAN file.")],
    case: Annotated[
        Path, typer.Option("--case", help="Case folder, case.toml, or folder of DICOM files.")
    ],
    machine: Annotated[str, typer.Option("--machine", help="Name of a machine, or file.")] = "",
    beam: Annotated[str, typer.Option("--beam", help="Its beam, for example 6X.")] = "",
    planned: Annotated[Path | None, typer.Option("--dose", help="RTDOSE to compare with.")] = None,
    dose_fractions: Annotated[
        int | None, typer.Option("--dose-fractions", min=1, help="Fractions in that RTDOSE.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results.")] = None,
    grid: Annotated[float | None, typer.Option("--grid", min=1, max=10, help="Voxel, mm.")] = None,
    engine: Annotated[Engine, typer.Option("--engine", help="How to calculate.")] = DEFAULT_ENGINE,
    gamma: Annotated[list[str] | None, typer.Option("--gamma", help="Such as 3%/2mm.")] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, max=99, help="% of the highest dose.")
    ] = PROPOSAL.threshold_percent,
    pass_percent: Annotated[
        float, typer.Option("--pass", min=0, max=100, help="Pass rate asked for, %.")
    ] = PROPOSAL.pass_percent,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Calculate an existing plan again and compare it with its RTDOSE by gamma and DVH."""
    criteria = tuple(gamma or PROPOSAL.criteria)
    require_criteria(criteria)
    say(BANNER, is_quiet=quiet)
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        settings = CheckSettings(
            criteria=criteria,
            threshold_percent=threshold,
            pass_percent=pass_percent,
            machine=MachineChoice(machine, beam),
            engine=engine,
            grid_mm=grid,
            n_fractions_of_dose=dose_fractions,
        )
        check = check_dose(plan, case, dose_path=planned, settings=settings, progress=steps)
        steps("writing", 1.0)
        files = write_check(check, out or default_check_folder(case))
    if as_json:
        print_json(check_summary(check, files))
    else:
        print_check(check)
        typer.echo(f"{files.html}\n{files.pdf}\n{files.json}\n{files.dose}")
    if check.is_passed is False:
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def require_criteria(criteria: tuple[str, ...]) -> None:
    """Leave with a usage error unless every criterion can be read."""
    try:
        for text in criteria:
            parse_criterion(text)
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="--gamma") from error


def print_check(check: DoseCheck) -> None:
    """Print pass rates, structures, beams and findings."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    for content in check_tables(check):
        table = Table(title=content.title, header_style="bold", title_justify="left")
        for cell in content.header:
            table.add_column(_text(cell))
        for row in content.rows:
            table.add_row(*[_text(cell) for cell in row])
        console.print(table)
    for finding in check.findings:
        typer.echo(f"{finding.severity}: {finding.text}")
    typer.echo(f"{check.engine}: {check.accuracy}")


def _text(cell: document.Cell) -> str:
    """Return a cell's two lines."""
    return f"{cell.text}\n{cell.sub}" if cell.sub else cell.text
