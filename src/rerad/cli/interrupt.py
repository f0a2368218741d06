"""``rerad interrupt``: a course that stopped, and the ways to go on under tumour and organs."""

import math
from pathlib import Path
from typing import Annotated

import typer

from rerad.case.files import case_path
from rerad.case.interrupt import (
    CaseInterruption,
    InterruptRequest,
    ReplannedRest,
    fractions_of,
    interrupt_case,
    interruption_document,
    option_with,
    replan_rest,
    rest_document,
    write_interruption,
    write_rest,
)
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import BANNER, ExitCode, Steps, print_json, reporting_errors, say
from rerad.cli.goal_line import goal_line
from rerad.evaluation import is_within_limits
from rerad.radiobiology import time_factor_for


def interrupt(
    case: CaseArgument,
    delivered: Annotated[int, typer.Option("--delivered", min=1, help="Fractions given.")],
    dose: Annotated[
        Path | None, typer.Option("--dose", help="RTDOSE of the plan; else that of rerad run.")
    ] = None,
    tumor: Annotated[
        str, typer.Option("--tumour", help="With a sourced time factor, such as larynx.")
    ] = "",
    gap_days: Annotated[int, typer.Option("--gap-days", min=0, help="Days lost.")] = 0,
    into: Annotated[
        list[int] | None, typer.Option("--into", min=1, help="Fractions to solve for.")
    ] = None,
    replan: Annotated[
        int | None, typer.Option("--replan", min=1, help="Plan the rest anew in so many.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what the target lost and solve how to go on under cumulative limits."""
    say(BANNER, is_quiet=quiet)
    folder = out or case_path(case).parent / "interruption"
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        request = InterruptRequest(
            n_delivered=delivered,
            dose_path=dose,
            factor=time_factor_for(tumor) if tumor else None,
            gap_days=gap_days,
            n_choices=fractions_of([*(into or []), *([replan] if replan and into else [])]),
        )
        found = interrupt_case(case, request, progress=steps)
        files = [*write_interruption(found, folder)]
        rest = None
        if replan is not None:
            rest = replan_rest(found, option_with(found, replan), progress=steps)
            files.extend(write_rest(found, rest, folder))
    if as_json:
        document = interruption_document(found)
        document["rest"] = None if rest is None else rest_document(rest)
        print_json({**document, "files": [str(path) for path in files]})
    else:
        _print(found)
        if rest is not None:
            _print_rest(rest)
        for path in files:
            typer.echo(str(path))
    if rest is not None and is_within_limits(rest.goals) is False:
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def _print_rest(rest: ReplannedRest) -> None:
    """Print how the whole course stands with a new plan for the rest."""
    typer.echo(
        f"new plan for {rest.option.n_fractions} x {rest.option.fraction_gy:.3f} Gy; the whole "
        "course with it:"
    )
    for result in rest.goals:
        typer.echo(f"  {goal_line(result)}")
    for finding in rest.findings:
        typer.echo(f"{finding.severity}: {finding.text}")


def _print(found: CaseInterruption) -> None:
    """Print the ways to go on."""
    solved = found.solved
    typer.echo(
        f"tumour, alpha/beta {solved.plan.alpha_beta_gy:g} Gy: BED prescribed "
        f"{solved.bed_prescribed_gy:.2f}, given {solved.bed_given_gy:.2f}, missing "
        f"{solved.bed_deficit_gy:.2f} Gy after {solved.plan.n_delivered} of "
        f"{solved.plan.n_planned} fractions"
    )
    for option in solved.options:
        each = f"{option.n_fractions} x {option.fraction_gy:.3f} Gy" if option.n_fractions else "-"
        why = f"decided by {option.limited_by}" if option.limited_by else ""
        verdict = {True: "within limits", False: "BREAKS A LIMIT", None: "limits unknown"}
        if option.is_within_limits is False and not option.breaks_unaccepted:
            verdict[False] = "breaks an accepted limit"
        typer.echo(
            f"  {option.label:16} {each:16} BED {option.tumor_bed_gy:6.2f} Gy "
            f"({option.coverage_percent:5.1f} %)  {verdict[option.is_within_limits]}  {why}"
        )
        for organ in option.organs:
            value = f"{organ.value_gy:.2f}" if math.isfinite(organ.value_gy) else "unknown"
            typer.echo(
                f"      {organ.structure:20} {organ.metric} {value} of {organ.limit_gy:g} Gy EQD2"
                f"{', breach accepted' if organ.is_accepted else ''}"
            )
    for finding in (*solved.findings, *found.budget.findings):
        typer.echo(f"{finding.severity}: {finding.text}")
