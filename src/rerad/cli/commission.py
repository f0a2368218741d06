"""``rerad commission``: a machine in a water tank or a slab, beside what was measured."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case.commission import CommissionResult, commission_machine
from rerad.case.commission_outputs import (
    commission_cautions,
    commission_summary,
    commission_title,
    write_commission,
)
from rerad.case.measured import read_measured
from rerad.case.slab import read_slab
from rerad.cli.arguments import JsonOption, QuietOption
from rerad.cli.console import BANNER, Steps, print_json, reporting_errors, say
from rerad.dosecalc import Engine, load_machine
from rerad.dosecalc.commission import WaterTankSetup


def commission(
    machine: Annotated[str, typer.Argument(help="Name of a machine, or its TOML file.")],
    field: Annotated[str, typer.Option("--field", help="Crossplane x inplane, mm: 50x50.")],
    ssd: Annotated[float, typer.Option("--ssd", help="Source to surface, mm.")],
    beam: Annotated[str | None, typer.Option("--beam", help="Beam, such as 6X-FFF.")] = None,
    engine: Annotated[
        Engine, typer.Option("--engine", help="Pencil beams are quicker.")
    ] = Engine.COLLAPSED_CONE,
    slab: Annotated[Path | None, typer.Option("--slab", help="TOML file of layers.")] = None,
    measured: Annotated[Path | None, typer.Option("--measured", help=".mcc or .csv.")] = None,
    depths: Annotated[
        str, typer.Option("--depths", help="Depths of profiles, mm, where none are measured.")
    ] = "15,50,100,200",
    csv: Annotated[Path | None, typer.Option("--csv", help="Write the curves here.")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="Draw the curves as PNG.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Calculate depth dose, profiles and output of a machine, and compare with measurements."""
    sides, profile_depths = numbers_in(field, "x", "--field"), numbers_in(depths, ",", "--depths")
    if len(sides) != 2:
        raise typer.BadParameter("expected two sides in mm, such as 50x50", param_hint="--field")
    say(BANNER, is_quiet=quiet)
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        setup = WaterTankSetup(sides[0], sides[1], ssd, read_slab(slab) if slab else ())
        result = commission_machine(
            load_machine(machine, beam=beam),
            setup,
            profile_depths_mm=profile_depths,
            measured=read_measured(measured) if measured else (),
            engine=engine,
            progress=steps,
        )
        write_commission(result, csv_path=csv, plot_path=plot)
    if as_json:
        print_json(commission_summary(result))
    else:
        print_text(result)


def numbers_in(text: str, separator: str, option: str) -> list[float]:
    """Return the numbers of an option, or leave with a usage error."""
    try:
        return [float(part) for part in text.split(separator)]
    except ValueError as error:
        msg = f"expected numbers in mm separated by {separator!r}, got {text!r}"
        raise typer.BadParameter(msg, param_hint=option) from error


def print_text(result: CommissionResult) -> None:
    """Print the numbers of a result, one a line."""
    typer.echo(commission_title(result))
    for caution in commission_cautions(result):
        typer.echo(f"  caution: {caution}")
    sections = [("field", result.numbers)]
    for curve in result.curves:
        where = "" if curve.depth_mm is None else f" at {curve.depth_mm:g} mm"
        sections.append((f"{curve.kind}{where}", curve.numbers))
    for name, numbers in sections:
        typer.echo(name)
        for key, value in numbers.items():
            typer.echo(f"  {key:<44} {value:.5g}")
