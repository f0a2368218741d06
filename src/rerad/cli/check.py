"""``rerad check``: read a case and everything it names, and plan nothing."""

import typer

from rerad.case import check_case
from rerad.cli.arguments import CaseArgument, JsonOption
from rerad.cli.console import print_json, reporting_errors


def check(case: CaseArgument, as_json: JsonOption = False) -> None:
    """Check a case: keys, files, frames, structures, fractions. Nothing is written."""
    with reporting_errors(as_json=as_json):
        report = check_case(case)
    findings = [
        {"severity": item.severity, "code": item.code, "text": item.text}
        for item in report.findings
    ]
    if as_json:
        print_json({"status": "done", "case": str(report.loaded.path), "findings": findings})
        return
    inputs = report.loaded.inputs
    typer.echo(f"{report.loaded.path}: can be run")
    typer.echo(f"  planning CT   {inputs.image.grid.shape} voxels, {inputs.image.description}")
    typer.echo(f"  structures    {len(inputs.structures.structures)}")
    for course in inputs.history.courses:
        typer.echo(f"  earlier       {course.name}: {course.grade}")
    for finding in findings:
        typer.echo(f"  {finding['severity']}: {finding['text']}")
