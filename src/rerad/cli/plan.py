"""``rerad plan``: the plan alone, with the goals falling into place."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rerad.case import PlanReport, plan_case, plan_summary
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import (
    BANNER,
    GOES_ON,
    ExitCode,
    print_json,
    reporting_errors,
    say,
    saying_what_stops,
)
from rerad.cli.goal_board import GoalBoard
from rerad.core import Severity
from rerad.planning.value_text import value_text
from rerad.reporting.wording import verdict_cell


def plan(
    case: CaseArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the plan.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a plan under what was given before; stop it any time, it goes on where it was."""
    say(BANNER, is_quiet=quiet)
    with (
        saying_what_stops(GOES_ON),
        reporting_errors(as_json=as_json),
        GoalBoard(is_quiet=quiet) as steps,
    ):
        report = plan_case(case, out=out, on_goals=steps.goals, progress=steps)
    if as_json:
        print_json(plan_summary(report))
    else:
        print_goals(report)
    if report.result.is_within_limits is False:
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def print_goals(report: PlanReport) -> None:
    """Print every goal in the final dose, what is serious, and where the plan is."""
    console = Console() if Console().is_terminal else Console(width=140)
    table = Table("structure", "goal", "value", "verdict", title="final dose of the plan")
    for result in report.result.planned.goals:
        goal, verdict = result.goal, verdict_cell(result)
        words = f"{verdict.text} {verdict.sub}".rstrip()
        table.add_row(goal.structure, goal.text, value_text(result), words)
    console.print(table)
    for finding in report.result.findings:
        if finding.severity is Severity.SERIOUS:
            typer.echo(f"serious: {finding.text}")
    typer.echo(str(report.folder))
