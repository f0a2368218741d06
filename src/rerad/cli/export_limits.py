"""``rerad export-limits``: the remaining tolerance for a planning system elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case.budget import budget_case
from rerad.case.export_limits import export_limits as write_limits
from rerad.case.files import case_path
from rerad.cli.arguments import CaseArgument, JsonOption, QuietOption
from rerad.cli.console import BANNER, Steps, print_json, reporting_errors, say
from rerad.reporting.content_limits import limits_content, write_limits_page


def export_limits(
    case: CaseArgument,
    level_gy: Annotated[
        list[float], typer.Option("--level-gy", help="Of the nested volumes; may be repeated.")
    ],
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the files.")] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write what remains as RTDOSE, nested RTSTRUCT volumes and a page of how they were made."""
    say(BANNER, is_quiet=quiet)
    folder = out or case_path(case).parent / "limits"
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        budget = budget_case(case, progress=steps)
        steps("writing", 0.9)
        written = write_limits(budget, level_gy, folder)
        page = folder / "limits.pdf"
        if budget.remaining is not None:
            content = limits_content(
                budget.loaded.inputs.title, budget.remaining, written.volumes, budget.findings
            )
            write_limits_page(content, page)
    files = [written.structures, *written.doses, page]
    if as_json:
        print_json(
            {
                "status": "done",
                "files": [str(path) for path in files],
                "volumes": [
                    {
                        "name": item.name,
                        "organ": item.organ,
                        "level_gy": item.level_gy,
                        "volume_cc": item.volume_cc,
                    }
                    for item in written.volumes
                ],
                "findings": [
                    {"severity": f.severity, "code": f.code, "text": f.text}
                    for f in budget.findings
                ],
            }
        )
        return
    for item in written.volumes:
        typer.echo(f"{item.name:16}  {item.volume_cc:8.2f} cc  {item.organ}")
    for finding in budget.findings:
        typer.echo(f"{finding.severity}: {finding.text}")
    for path in files:
        typer.echo(str(path))
