"""``rerad demo``: the whole published case, on a digital patient."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case import DemoSettings, run_demo
from rerad.cli.arguments import JsonOption, QuietOption
from rerad.cli.console import BANNER, Steps, reporting_errors, say
from rerad.cli.run import finish


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for patient, case and results.")],
    seed: Annotated[int, typer.Option("--seed", help="Of the digital patient.")] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="Coarse: for a look, not for numbers.")
    ] = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make a digital patient with an earlier course, and carry her case from end to end."""
    say(BANNER, is_quiet=quiet)
    settings = DemoSettings.quick(seed) if quick else DemoSettings(seed=seed)
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        report = run_demo(out, settings=settings, progress=steps)
    finish(report, as_json=as_json)
