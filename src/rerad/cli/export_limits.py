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
    plan: Annotated[
        Path | None, typer.Option("--plan", help="RTPLAN on today's CT that doses refer to.")
    ] = None,
    registration: Annotated[
        list[Path] | None, typer.Option("--reg", help="DICOM registration, used as given.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Write what remains as RTDOSE, nested RTSTRUCT volumes and a page of how they were made."""
    say(BANNER, is_quiet=quiet)
    folder = out or case_path(case).parent / "limits"
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        budget = budget_case(case, registrations=registration or (), progress=steps)
        steps("writing", 0.9)
        written = write_limits(budget, level_gy, folder, plan=plan)
        page = folder / "limits.pdf"
        if budget.remaining is not None:
            content = limits_content(
                budget.loaded.inputs.title,
                budget.remaining,
                written.volumes,
                written.doses,
                budget.findings,
            )
            write_limits_page(content, page)
    made = [] if written.plan is None else [written.plan]
    files = [written.structures, *made, *(item.path for item in written.doses), page]
    if as_json:
        print_json(
            {
                "status": "done",
                "grades": {limit.structure: limit.grade for limit in budget.limits},
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
                "doses": [
                    {
                        "file": str(item.path),
                        "organ": item.organ,
                        "ceiling_gy": item.ceiling_gy,
                        "n_limited": item.n_limited,
                        "n_unknown": item.n_unknown,
                        "n_spent": item.n_spent,
                    }
                    for item in written.doses
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
    for dose in written.doses:
        typer.echo(
            f"left {dose.organ}: {dose.n_limited} voxels with a limit, of which 0 Gy for "
            f"{dose.n_spent} spent and {dose.n_unknown} unknown; {dose.ceiling_gy:g} Gy elsewhere"
        )
    for grade in dict.fromkeys(limit.grade for limit in budget.limits if limit.grade):
        typer.echo(f"record   the poorest in these sums: {grade}")
    for finding in budget.findings:
        typer.echo(f"{finding.severity}: {finding.text}")
    for path in files:
        typer.echo(str(path))
