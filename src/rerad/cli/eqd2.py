"""``rerad eqd2``: BED and EQD2 of one course, with formula, source and range of validity."""

from typing import Annotated

import typer

from rerad.cli.arguments import JsonOption
from rerad.cli.console import print_json, reporting_errors
from rerad.radiobiology import ConvertedCourse, convert_course
from rerad.radiobiology.conversion import FORMULA, FORMULA_SOURCE


def eqd2(
    dose: Annotated[float, typer.Option("--dose", help="Total physical dose as planned, Gy.")],
    fractions: Annotated[int, typer.Option("--fractions", min=1, help="Fractions planned.")],
    alpha_beta: Annotated[
        list[float],
        typer.Option("--alpha-beta", help="Gy; repeated, the ends are taken as an interval too."),
    ],
    delivered: Annotated[
        int | None, typer.Option("--delivered", min=0, help="Fractions given, if fewer.")
    ] = None,
    beyond_validity: Annotated[
        bool, typer.Option("--beyond-validity", help="Convert larger fractions all the same.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Convert a course to BED and EQD2. Refuses fractions beyond the model's range."""
    with reporting_errors(as_json=as_json):
        course = convert_course(
            dose,
            fractions,
            alpha_beta,
            n_delivered=delivered,
            is_beyond_allowed=beyond_validity,
        )
    if as_json:
        print_json(_document(course))
        return
    given = f"{course.dose_gy:g} Gy in {course.n_fractions} fractions"
    typer.echo(f"{given} of {course.fraction_gy:.3f} Gy")
    for row in course.rows:
        typer.echo(
            f"  alpha/beta {row.alpha_beta_gy:4g} Gy   BED {row.bed_gy:7.2f} Gy   "
            f"EQD2 {row.eqd2_gy:7.2f} Gy"
        )
    if len(course.rows) > 1:
        ends = [row.eqd2_gy for row in course.rows]
        typer.echo(f"interval EQD2 {min(ends):.2f} to {max(ends):.2f} Gy over these alpha/beta")
    typer.echo(f"formula  {FORMULA}")
    typer.echo(f"source   {FORMULA_SOURCE}")
    typer.echo(f"valid    {course.validity}")
    for finding in course.findings:
        typer.echo(f"{finding.severity}: {finding.text}")


def _document(course: ConvertedCourse) -> dict[str, object]:
    """Return the course as JSON."""
    return {
        "status": "done",
        "dose_gy": course.dose_gy,
        "n_fractions": course.n_fractions,
        "fraction_gy": course.fraction_gy,
        "converted": [
            {"alpha_beta_gy": r.alpha_beta_gy, "bed_gy": r.bed_gy, "eqd2_gy": r.eqd2_gy}
            for r in course.rows
        ],
        "formula": FORMULA,
        "source": FORMULA_SOURCE,
        "validity": course.validity,
        "findings": [{"severity": f.severity, "text": f.text} for f in course.findings],
    }
