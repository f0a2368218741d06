"""``rerad trade``: what two or three goals cost each other, and a plan anywhere between."""

from math import isfinite
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from rerad.case import (
    TradeReport,
    WishResult,
    plan_summary,
    read_wishes,
    trade_at,
    trade_case,
    trade_summary,
    wish_results,
)
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import (
    BANNER,
    ExitCode,
    Steps,
    print_json,
    reporting_errors,
    say,
    saying_what_stops,
)
from rerad.cli.plan import print_goals
from rerad.planning import TradeSettings
from rerad.planning.value_text import value_text

GoalOption = Annotated[
    list[str] | None,
    typer.Option("--goal", help='A goal to trade, such as "PTV_4000 D95%"; two or three.'),
]
AtOption = Annotated[
    list[str] | None,
    typer.Option("--at", help='Make the plan here: "Bowel_Small D0.5cc=60"; may be repeated.'),
]
PlansOption = Annotated[int, typer.Option("--plans", min=2, max=60, help="Plans at most.")]
GiveUpOption = Annotated[
    float,
    typer.Option(
        "--give-up",
        min=0.0,
        max=100.0,
        help="Percent of a traded target's prescription to look below.",
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Folder for the plan of --at.")]


def trade(
    case: CaseArgument,
    goal: GoalOption = None,
    at: AtOption = None,
    plans: PlansOption = 12,
    give_up: GiveUpOption = 10.0,
    out: OutOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Show what goals cost each other (--goal), or make the plan at a place of that (--at)."""
    say(BANNER, is_quiet=quiet)
    if bool(goal) == bool(at):
        raise typer.BadParameter("give either --goal (two or three) or --at")
    with (
        saying_what_stops("a plan that is being made goes on from here, a trade starts anew"),
        reporting_errors(as_json=as_json),
        Steps(is_quiet=quiet) as steps,
    ):
        if goal:
            found = trade_case(case, goal, TradeSettings(plans, give_up), steps)
        else:
            wishes = read_wishes(at or [])
            made = trade_at(case, wishes, out=out, progress=steps)
    if goal:
        _print(found, as_json=as_json)
        return
    became = wish_results(made, wishes)
    if as_json:
        print_json({**plan_summary(made), "wishes": [_wish_record(item) for item in became]})
    else:
        print_goals(made)
        for item in became:
            typer.echo(_wish_line(item))
    if made.result.is_within_limits is False:
        raise typer.Exit(ExitCode.LIMIT_EXCEEDED)


def _wish_record(item: WishResult) -> dict[str, object]:
    """Return a wish and what became of it as JSON."""
    value = item.result.value
    return {
        "structure": item.result.goal.structure,
        "goal": item.result.goal.text,
        "wish": item.wish,
        "value": value if isfinite(value) else None,
        "unit": item.result.goal.unit,
        "is_kept": item.is_kept,
    }


def _wish_line(item: WishResult) -> str:
    """Return a wish and what the final dose has of it."""
    goal = item.result.goal
    bound = "at most" if goal.at_most is not None else "at least"
    kept = {True: "kept", False: "not kept", None: "unknown whether kept"}[item.is_kept]
    name = f"{goal.structure} {goal.metric}"
    return (
        f"wished: {name} {bound} {item.wish:g} {goal.unit}; "
        f"final dose: {value_text(item.result)}, {kept}"
    )


def _print(report: TradeReport, *, as_json: bool) -> None:
    """Print the plans and where they are."""
    if as_json:
        print_json(trade_summary(report))
        return
    table = Table(title="plans of the optimiser's fluence, Gy; tail means, see the documentation")
    for axis in report.trade.axes:
        bound = "at least" if axis.asked_gy is not None else "at most"
        table.add_column(f"{axis.name}\n{bound}{', outside targets' if axis.is_outside else ''}")
    found = trade_summary(report)
    for row in found["plans_gy"]:
        table.add_row(*(f"{value:.2f}" for value in row.values()))
    table.add_section()
    table.add_row(*(f"{value:.2f} (finished plan)" for value in found["finished_gy"].values()))
    Console().print(table)
    typer.echo(f"{report.file}\n{report.picture}")
