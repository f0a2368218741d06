"""``rerad target``: nerves measured, target volumes made by a recipe and written as RTSTRUCT."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case.targets import TARGETS_FOLDER_NAME, case_folder, make_targets, recipe_of
from rerad.case.targets_outputs import TargetReport, target_summary
from rerad.cli.arguments import JsonOption, QuietOption
from rerad.cli.console import BANNER, Steps, print_json, reporting_errors, say
from rerad.nerves import Measured


def target(
    case: Annotated[
        Path, typer.Argument(help="Case folder, case.toml, or folder of DICOM files.")
    ],
    recipe: Annotated[
        Path | None,
        typer.Option("--recipe", help="TOML file of steps; else targets.toml beside the case."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the results.")] = None,
    click: Annotated[
        list[str] | None,
        typer.Option(
            "--click",
            help="Point on a nerve, L5_R=x,y,z in mm; once for each point, from the spine "
            "outwards. The nerve is tracked between them.",
        ),
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Make target volumes by a recipe: RTSTRUCT, pictures, and a record of every step."""
    say(BANNER, is_quiet=quiet)
    folder = out or case_folder(case) / TARGETS_FOLDER_NAME
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        followed = recipe or recipe_of(case)
        report = make_targets(case, followed, folder, steps, clicks=click or ())
    if as_json:
        print_json(target_summary(report, followed))
    else:
        print_report(report)


def print_report(report: TargetReport) -> None:
    """Print volumes, nerves, findings and where the files are."""
    for record in report.volumes.records:
        step = record.step
        numbers = ", ".join(f"{k} {v:g}" for k, v in step.numbers.items())
        typer.echo(f"  {step.name:<18} {record.volume_cc:9.2f} cc  {step.operation} {numbers}")
    for nerve in report.comparisons:
        flag = "FLAGGED (rules not validated)" if nerve.is_flagged else ""
        claim = "" if nerve.is_uptake_claimed or not nerve.uptake.is_known else ", not claimed"
        typer.echo(
            f"  {nerve.name:<8} diameter {_in_words(nerve.diameter, ' mm')}, other side "
            f"{_in_words(nerve.other_diameter, ' mm')}; SUV {_in_words(nerve.uptake)}{claim}  "
            f"{flag}"
        )
    for name, one in report.outlines.items():
        typer.echo(
            f"  {name:<18} {one.proposal.volume_cc:9.2f} cc  PROPOSED by {one.proposal.method}"
        )
    for finding in report.findings:
        typer.echo(f"  {finding.severity}: {finding.text}")
    typer.echo(str(report.folder))


def _in_words(measured: Measured, unit: str = "") -> str:
    """Return a value with its standard deviation, or that there is none."""
    if not measured.is_known:
        return "not measured"
    return f"{measured.value:.1f} ± {measured.sd:.1f}{unit}"
