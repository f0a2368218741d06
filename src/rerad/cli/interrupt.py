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
    option_with,
    replan_rest,
)
from rerad.case.interrupt_outputs import (
    interruption_document,
    rest_document,
    with_new_plans,
    write_interruption,
    write_rest,
)
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import BANNER, ExitCode, Steps, print_json, reporting_errors, say
from rerad.cli.goal_line import goal_line
from rerad.evaluation import is_within_limits
from rerad.planning.interruption import OrganState, ResidualOption
from rerad.planning.value_text import value_text
from rerad.radiobiology import time_factor_for


def interrupt(
    case: CaseArgument,
    delivered: Annotated[
        float | None,
        typer.Option("--delivered", min=0, help="Fractions given; 13.5: one broken off half way."),
    ] = None,
    dose: Annotated[
        Path | None, typer.Option("--dose", help="RTDOSE of the plan; else that of rerad run.")
    ] = None,
    delivered_dose: Annotated[
        float | None, typer.Option("--delivered-dose", help="Gy given, if the record states it.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option("--records", help="Folder of RT Beams Treatment Records.")
    ] = None,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="RTPLAN of the records; else that of rerad run.")
    ] = None,
    tumor: Annotated[
        str, typer.Option("--tumour", help="With a sourced time factor, such as larynx.")
    ] = "",
    gap_days: Annotated[int, typer.Option("--gap-days", min=0, help="Days lost.")] = 0,
    into: Annotated[
        list[int] | None, typer.Option("--into", min=1, help="Fractions to solve for.")
    ] = None,
    replan: Annotated[
        list[int] | None, typer.Option("--replan", min=1, help="Plan the rest anew in so many.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what the target lost and solve how to go on under cumulative limits."""
    say(BANNER, is_quiet=quiet)
    folder = out or case_path(case).parent / "interruption"
    wanted = [*into, *(replan or [])] if into else []
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        request = InterruptRequest(
            delivered=delivered,
            dose_path=dose,
            factor=time_factor_for(tumor) if tumor else None,
            gap_days=gap_days,
            n_choices=fractions_of(wanted),
            recorded_gy=delivered_dose,
            records=records,
            plan_path=plan,
        )
        found = interrupt_case(case, request, progress=steps)
        asked = [option_with(found, n) for n in fractions_of(replan or [])]
        rests = [replan_rest(found, option, progress=steps) for option in asked]
        files = [*write_interruption(found, folder, rests)]
        for rest in rests:
            files.extend(write_rest(found, rest, folder))
    if as_json:
        document = interruption_document(found, rests)
        document["rests"] = [rest_document(rest) for rest in rests]
        print_json({**document, "files": [str(path) for path in files]})
    else:
        _print(found, rests)
        for path in files:
            typer.echo(str(path))
    if any(is_within_limits(rest.goals) is False for rest in rests):
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def _print_rest(rest: ReplannedRest) -> None:
    """Print how the whole course stands with a new plan for the rest."""
    n = rest.option.n_fractions
    typer.echo(
        f"new plan for {n} x {rest.asked.fraction_gy:.3f} Gy (median in the target "
        f"{rest.option.fraction_gy:.3f} Gy); the whole course with it:"
    )
    for result in rest.goals:
        typer.echo(f"  {goal_line(result)}")
    for item in rest.robust.verdicts if rest.robust is not None else ():
        typer.echo(
            f"  worst case   {item.structure} {item.worst.goal.text}: {value_text(item.worst)}, "
            f"{item.worst.verdict} ({item.scenario})"
        )
    for finding in rest.findings:
        typer.echo(f"{finding.severity}: {finding.text}")


def _verdict(option: ResidualOption) -> str:
    """Return what can be said of the limits."""
    if option.is_within_limits is False and not option.breaks_unaccepted:
        return "breaks an accepted limit"
    words = {True: "within limits", False: "BREAKS A LIMIT", None: "limits unknown"}
    return words[option.is_within_limits]


def _value(organ: OrganState) -> str:
    """Return an organ's cumulative dose in words."""
    if not math.isfinite(organ.value_gy):
        return f"unknown, at least {organ.at_least_gy:.2f}"
    word = "at least " if organ.is_lower_bound else "at most " if organ.is_upper_bound else ""
    return f"{word}{organ.value_gy:.2f}"


def _print_option(option: ResidualOption) -> None:
    """Print one way to go on."""
    each = f"{option.n_fractions} x {option.fraction_gy:.3f} Gy" if option.n_fractions else "-"
    why = f"decided by {option.limited_by}" if option.limited_by else ""
    if option.limited_by:
        why += f"; the tumour asks for {option.wanted_gy:.3f} Gy"
    if option.is_nothing:
        each = "nothing"
        why = f"{option.limited_by} has no tolerance left; the tumour asks for "
        why += f"{option.wanted_gy:.3f} Gy"
    typer.echo(
        f"  {option.label:16} {each:16} BED {option.tumor_bed_gy:6.2f} Gy "
        f"({option.coverage_percent:5.1f} %)  {_verdict(option)}  {why}".rstrip()
    )
    for organ in option.organs:
        typer.echo(
            f"      {organ.structure:20} {organ.metric} {_value(organ)} of {organ.limit_gy:g} Gy "
            f"EQD2{', breach accepted' if organ.is_accepted else ''}"
        )


def _print(found: CaseInterruption, rests: list[ReplannedRest]) -> None:
    """Print the ways to go on."""
    solved, plan = found.solved, found.solved.plan
    typer.echo(
        f"tumour, alpha/beta {plan.alpha_beta_gy:g} Gy: BED prescribed "
        f"{solved.bed_prescribed_gy:.2f}, given {solved.bed_given_gy:.2f}, missing "
        f"{solved.bed_deficit_gy:.2f} Gy after {plan.given_gy:.2f} Gy in {plan.given_words} of "
        f"{plan.n_planned} fractions"
    )
    for option in with_new_plans(solved, rests).options:
        _print_option(option)
    if not rests:
        typer.echo("  new plan         not made; --replan N makes one in N fractions")
    grades = {organ.grade for organ in solved.options[0].organs if organ.grade is not None}
    for grade in sorted(grades):
        typer.echo(f"record   the poorest in these sums: {grade}")
    for rest in rests:
        _print_rest(rest)
    for finding in (*solved.findings, *found.budget.findings):
        typer.echo(f"{finding.severity}: {finding.text}")
