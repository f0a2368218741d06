"""``rerad import``: look at a folder and propose a case file."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case import ImportReport, import_folder
from rerad.cli.arguments import JsonOption
from rerad.cli.console import print_json, reporting_errors


def import_(
    folder: Annotated[Path, typer.Argument(help="Folder with one patient's DICOM files.")],
    case: Annotated[Path, typer.Option("--case", help="Case folder to make.")],
    as_json: JsonOption = False,
) -> None:
    """Say what every series and object is, what is missing, and write a commented case.toml."""
    with reporting_errors(as_json=as_json):
        report = import_folder(folder, case)
    if as_json:
        print_json(_document(report))
    else:
        _print(report)


def _print(report: ImportReport) -> None:
    """Print the report for a reader."""
    for line in report.lines:
        files = "file" if line.n_files == 1 else "files"
        typer.echo(
            f"{line.kind:9} {line.description or '(no description)'}, {line.n_files} {files}"
        )
        typer.echo(f"          {line.uid}")
        typer.echo(f"          {line.use}")
        for problem in line.problems:
            typer.echo(f"          problem: {problem}")
    for path, reason in report.skipped:
        typer.echo(f"skipped   {path}: {reason}")
    for hint in report.hints:
        typer.echo(f"hint      {hint}")
    for missing in report.missing:
        typer.echo(f"missing   {missing}")
    typer.echo(f"wrote     {report.case_file}")
    typer.echo(f"next      fill in what is unknown, then: rerad check {report.case_file.parent}")


def _document(report: ImportReport) -> dict[str, object]:
    """Return the report as JSON."""
    return {
        "status": "done",
        "case_file": str(report.case_file),
        "items": [
            {
                "kind": line.kind,
                "description": line.description,
                "uid": line.uid,
                "n_files": line.n_files,
                "use": line.use,
                "problems": list(line.problems),
            }
            for line in report.lines
        ],
        "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
        "missing": list(report.missing),
        "hints": list(report.hints),
    }
