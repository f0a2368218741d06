"""``rerad budget``: what a case leaves, organ by organ and voxel by voxel; no plan is made."""

import math
from pathlib import Path
from typing import Annotated

import typer

from rerad.case.budget import CaseBudget, budget_case
from rerad.case.budget_outputs import budget_document, write_budget
from rerad.case.files import case_path
from rerad.case.returned import read_returned
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import BANNER, ExitCode, Steps, print_json, reporting_errors, say
from rerad.cli.goal_line import goal_line
from rerad.planning import BudgetScenario
from rerad.planning.returned_plan import ReturnedCheck, check_returned_plan
from rerad.radiobiology import SpineLevel


def budget(
    case: CaseArgument,
    out: Annotated[Path | None, typer.Option("--out", help="Folder: budget.json, .png.")] = None,
    level: Annotated[
        SpineLevel | None, typer.Option("--level", help="Along the spine; for cord rules.")
    ] = None,
    registration: Annotated[
        list[Path] | None, typer.Option("--reg", help="Rigid DICOM registration, used as given.")
    ] = None,
    dose: Annotated[
        Path | None, typer.Option("--dose", help="RTDOSE of a plan made elsewhere, to check.")
    ] = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="Its RTPLAN.")] = None,
    fractions: Annotated[
        int | None, typer.Option("--fractions", min=1, help="Of that dose, without RTPLAN.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Say what every limit leaves under every assumption that cannot be excluded."""
    if dose is None and (plan is not None or fractions is not None):
        msg = "is about a plan made elsewhere; give its dose too with --dose"
        raise typer.BadParameter(msg, param_hint="--plan" if plan is not None else "--fractions")
    say(BANNER, is_quiet=quiet)
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        found = budget_case(case, level=level, registrations=registration or (), progress=steps)
        returned = found.loaded.inputs.returned
        if dose is not None:
            returned = read_returned(found.loaded.whose, dose, plan, fractions)
        check = None
        if returned is not None:
            steps("judging the plan that came back", 0.9)
            check = check_returned_plan(returned, found.judgement)
        steps("writing", 0.95)
        files = write_budget(found, out or case_path(case).parent / "budget", check)
    if as_json:
        print_json({**budget_document(found, check), "files": [str(path) for path in files]})
    else:
        _print(found, check)
        for path in files:
            typer.echo(str(path))
    if check is not None and check.is_within_limits is False:
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def _gray(value: float) -> str:
    """Return a dose, or that it is unknown."""
    return f"{value:7.2f}" if math.isfinite(value) else "unknown"


def _said_besides(scenario: BudgetScenario, best: BudgetScenario | None) -> str:
    """Return what can be said of a scenario whose earlier dose is a bound, or not wholly known."""
    if scenario.is_upper_bound:
        text = " upper bound of what was given"
        if best is not None:
            text += (
                f"; best estimate {_gray(best.prior_eqd2_gy).strip()}, left "
                f"{_gray(best.remaining_eqd2_gy).strip()}, "
                f"{_gray(best.remaining_physical_gy).strip()} Gy"
            )
        return text
    if math.isfinite(scenario.remaining_eqd2_gy):
        return ""
    return (
        f" at most {_gray(scenario.remaining_at_most_physical_gy).strip()}: prior at least "
        f"{_gray(scenario.prior_at_least_eqd2_gy).strip()}"
    )


def _print(found: CaseBudget, check: ReturnedCheck | None) -> None:
    """Print the budget for a reader."""
    n = found.n_fractions
    for course in found.loaded.inputs.history.courses:
        typer.echo(f"course      {course.name}: {course.grade}")
    typer.echo(
        f"{'organ':20} {'rule set':11} {'limit':12} {'assumption':34} {'recov.':>6} {'prior':>7} "
        f"{'left':>7} {'Gy in ' + str(n):>9}"
    )
    for row in found.rows:
        for scenario in row.scenarios:
            mark = "*" if scenario.is_planned_with else " "
            limit = f"{row.limit.metric} {scenario.limit_eqd2_gy:g}"
            typer.echo(
                f"{row.structure[:20]:20} {row.rule_set:11} {limit:12} {scenario.label[:34]:34} "
                f"{100 * scenario.recovery_fraction:5.0f}% {_gray(scenario.prior_eqd2_gy)} "
                f"{_gray(scenario.remaining_eqd2_gy)} {_gray(scenario.remaining_physical_gy):>9}"
                f"{mark}{_said_besides(scenario, found.best_of(row, scenario))}"
            )
    typer.echo("EQD2 in Gy at each limit's alpha/beta; *: a plan would be made under this")
    grades = dict.fromkeys(row.grade for row in found.rows if row.grade is not None)
    for grade in grades:
        typer.echo(f"record      the poorest in these sums: {grade}")
    for item in found.break_even:
        when = "never" if item.months is None else f"from {item.months:g} months on"
        if item.months is not None and not math.isfinite(item.months):
            when = "from an unknown interval on: the earlier dose is unknown"
        typer.echo(
            f"break-even  {item.structure}, {item.rule_set}: {item.planned_gy:g} Gy in full fits "
            f"{when}"
        )
    for score in found.cord:
        typer.echo(
            f"Nieder      {score.structure}, {score.interval}: "
            f"{score.score.cumulative_bed_gy:.1f} Gy BED, {score.score.points:g} points, "
            f"{score.score.risk}"
        )
    for check_ in found.hytec:
        for factor in check_.factors:
            word = {True: "holds", False: "does not hold", None: "unknown"}[factor.holds]
            value = math.nan if factor.found is None else factor.found
            typer.echo(
                f"HyTEC       {check_.structure}, {factor.name}: {_gray(value).strip()} "
                f"(asked {factor.asked:g}): {word}"
            )
    for organ in found.remaining.organs if found.remaining is not None else ():
        typer.echo(
            f"voxels      {organ.structure}: {organ.n_voxels}, nothing left in "
            f"{organ.n_exhausted}, unknown {organ.n_unknown}, least {_gray(organ.least_gy)} Gy"
        )
    for result in check.goals if check is not None else ():
        typer.echo(f"returned    {goal_line(result)}")
    for finding in (*found.findings, *(check.findings if check is not None else ())):
        typer.echo(f"{finding.severity}: {finding.text}")
