"""``rerad export``: the latest plan of a case as DICOM, for another system."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case import export_plan, latest_plan_folder
from rerad.cli.arguments import CaseArgument, JsonOption
from rerad.cli.console import BANNER, print_json, reporting_errors, say
from rerad.errors import InputError


def export(
    case: CaseArgument,
    to: Annotated[Path, typer.Option("--to", "-o", help="New folder for the DICOM files.")],
    for_research: Annotated[
        bool,
        typer.Option(
            "--for-research",
            envvar="RERAD_RESEARCH_ONLY",
            help="You know that the plan is for research and will not treat a patient.",
        ),
    ] = False,
    plan_only: Annotated[
        bool, typer.Option("--plan-only", help="RTPLAN alone, no structures or doses.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Export RTPLAN, RTSTRUCT and RTDOSE of the plan made last; always unapproved."""
    say(BANNER, is_quiet=as_json)
    with reporting_errors(as_json=as_json):
        if not for_research:
            msg = (
                "a plan leaves rerad for research only; say that you know it with --for-research "
                "(or RERAD_RESEARCH_ONLY=1), and recalculate it in a commissioned system"
            )
            raise InputError(msg)
        source = latest_plan_folder(case)
        files = export_plan(case, to, is_plan_only=plan_only)
    if as_json:
        plan = str(source)
        print_json({"status": "exported", "plan": plan, "files": [str(path) for path in files]})
    else:
        say(f"the plan in {source}, the one made last", is_quiet=False)
        for path in files:
            typer.echo(str(path))
