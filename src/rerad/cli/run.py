"""``rerad run``: from a case file to report, pictures and DICOM."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rerad.case import RunReport, run_case, run_summary
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import (
    BANNER,
    GOES_ON,
    ExitCode,
    Steps,
    print_json,
    reporting_errors,
    say,
    saying_what_stops,
)
from rerad.cli.goal_line import goal_line
from rerad.reporting import closing_table
from rerad.reporting.document import Cell


def run(
    case: CaseArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Plan a case under what was given before, and write report, pictures and DICOM."""
    say(BANNER, is_quiet=quiet)
    with (
        saying_what_stops(GOES_ON),
        reporting_errors(as_json=as_json),
        Steps(is_quiet=quiet) as steps,
    ):
        report = run_case(case, out=out, progress=steps)
    finish(report, as_json=as_json)


def finish(report: RunReport, *, as_json: bool) -> None:
    """Print what a run found and wrote, and leave with its exit code."""
    if as_json:
        print_json(run_summary(report))
    else:
        print_table(report)
    returned = report.result.returned
    checks = (report.result.is_within_limits, returned and returned.is_within_limits)
    if any(check is False for check in checks):
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def _text(cell: Cell) -> str:
    """Return a cell's two lines."""
    return f"{cell.text}\n{cell.sub}" if cell.sub else cell.text


def print_table(report: RunReport) -> None:
    """Print the closing table and the paths of what was written."""
    content = closing_table(report.result)
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)
    table = Table(title=content.title, header_style="bold", title_justify="left")
    for cell in content.header:
        table.add_column(_text(cell))
    for row in content.rows:
        table.add_row(*[_text(cell) for cell in row])
    console.print(table)
    returned = report.result.returned
    if returned is not None:
        typer.echo(f"made elsewhere: {returned.plan.label}")
        for result in returned.goals:
            typer.echo(f"  {goal_line(result)}")
    for path in (report.html, report.pdf, report.run_json):
        typer.echo(str(path))
    typer.echo(f"{report.folder / 'figures'} ({len(report.figures)} pictures)")
    typer.echo(f"{report.folder / 'dicom'} ({len(report.dicom)} objects)")
