"""The terminal's front door: one command per file."""

from typing import Annotated

import typer

from rerad import __version__
from rerad.cli.accumulate import accumulate
from rerad.cli.budget import budget
from rerad.cli.check import check
from rerad.cli.commission import commission
from rerad.cli.console import BANNER
from rerad.cli.deidentify import deidentify
from rerad.cli.demo import demo
from rerad.cli.dose import dose
from rerad.cli.eqd2 import eqd2
from rerad.cli.export import export
from rerad.cli.export_limits import export_limits
from rerad.cli.gap import gap
from rerad.cli.import_ import import_
from rerad.cli.interrupt import interrupt
from rerad.cli.ledger import ledger_app
from rerad.cli.plan import plan
from rerad.cli.remaining import remaining
from rerad.cli.run import run
from rerad.cli.schema import schema
from rerad.cli.suv import suv
from rerad.cli.target import target
from rerad.cli.trade import trade

app = typer.Typer(
    name="rerad",
    help=f"Plan radiotherapy where radiotherapy has been before. {BANNER}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(demo)
app.command("import")(import_)
app.command()(check)
app.command()(plan)
app.command()(trade)
app.command()(run)
app.command()(export)
app.command()(dose)
app.command()(commission)
app.command()(suv)
app.command()(target)
app.command()(schema)
app.command()(deidentify)
app.add_typer(ledger_app, name="ledger")
app.command()(accumulate)
app.command()(budget)
app.command("export-limits")(export_limits)
app.command()(interrupt)
app.command()(eqd2)
app.command()(remaining)
app.command()(gap)


def _print_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"rerad {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Version.")
    ] = False,
) -> None:
    """Plan radiotherapy where radiotherapy has been before. Research software."""


def main() -> None:
    """Run the command line."""
    app()
