"""``rerad eqd2``: BED and EQD2 of one course, with formula, source and range of validity."""

from dataclasses import replace
from typing import Annotated

import typer

from rerad.cli.arguments import JsonOption
from rerad.cli.console import print_json, reporting_errors
from rerad.errors import InputError
from rerad.radiobiology import (
    AskedModel,
    ConvertedCourse,
    TissueAlphaBeta,
    convert_course,
    linear_beyond,
    several_a_day,
    time_factor_for,
    tissues_for,
    with_time,
)
from rerad.radiobiology.conversion import FORMULA, FORMULA_SOURCE


def eqd2(
    dose: Annotated[float, typer.Option("--dose", help="Total physical dose as planned, Gy.")],
    fractions: Annotated[int, typer.Option("--fractions", min=1, help="Fractions planned.")],
    alpha_beta: Annotated[
        list[float] | None,
        typer.Option("--alpha-beta", help="Gy; repeated, the ends are taken as an interval too."),
    ] = None,
    tissue: Annotated[
        list[str] | None,
        typer.Option("--tissue", help="Every sourced alpha/beta of it, such as spinal cord."),
    ] = None,
    delivered: Annotated[
        int | None, typer.Option("--delivered", min=0, help="Fractions given, if fewer.")
    ] = None,
    beyond_validity: Annotated[
        bool, typer.Option("--beyond-validity", help="Convert larger fractions all the same.")
    ] = False,
    linear_beyond_gy: Annotated[
        float | None, typer.Option(help="Also linear-quadratic-linear, beyond so many Gy.")
    ] = None,
    per_day: Annotated[
        int | None, typer.Option("--per-day", help="Fractions a day: also incomplete repair.")
    ] = None,
    hours_apart: Annotated[float | None, typer.Option(help="Between them; --per-day.")] = None,
    repair_half_time_h: Annotated[float | None, typer.Option(help="With --per-day.")] = None,
    tumor: Annotated[
        str | None, typer.Option("--tumour", help="Also its repopulation, such as larynx.")
    ] = None,
    days: Annotated[
        float | None, typer.Option("--days", help="First to last fraction; with --tumour.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Convert a course to BED and EQD2. Refuses fractions beyond the model's range."""
    with reporting_errors(as_json=as_json):
        sourced = [item for words in tissue or () for item in tissues_for(words)]
        asked = [*(alpha_beta or ()), *(gy for item in sourced for gy in _values(item))]
        if not asked:
            raise typer.BadParameter("give --alpha-beta, or --tissue for what sources state")
        course = convert_course(
            dose,
            fractions,
            tuple(dict.fromkeys(asked)),
            n_delivered=delivered,
            is_beyond_allowed=beyond_validity or linear_beyond_gy is not None,
        )
        repair = (per_day, hours_apart, repair_half_time_h)
        models = [
            *_linear(course, linear_beyond_gy),
            *_repair(course, repair),
            *_time(course, tumor, days),
        ]
    if as_json:
        tissues = [_tissue_document(item, course) for item in sourced]
        models_document = [_model_document(model) for model in models]
        print_json({**_document(course), "tissues": tissues, "models": models_document})
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
    for item in sourced:
        typer.echo(_tissue_line(item, course))
    typer.echo(f"formula  {FORMULA}")
    typer.echo(f"source   {FORMULA_SOURCE}")
    typer.echo(f"valid    {course.validity}")
    for finding in course.findings:
        typer.echo(f"{finding.severity}: {finding.text}")
    for model in models:
        typer.echo(f"{model.name}: {model.value:.2f} {model.unit}")
        typer.echo(f"  formula  {model.formula}")
        typer.echo(f"  source   {model.source}")
        typer.echo(f"  valid    {model.validity}")
        for finding in model.findings:
            typer.echo(f"  {finding.severity}: {finding.text}")


def _values(row: TissueAlphaBeta) -> tuple[float, ...]:
    """Return best value and ends of a tissue's alpha/beta."""
    return (row.alpha_beta_gy, *row.ends_gy)


def _eqd2_at(course: ConvertedCourse, alpha_beta_gy: float) -> float:
    """Return the EQD2 of a course at one of its alpha/beta."""
    return next(row.eqd2_gy for row in course.rows if row.alpha_beta_gy == alpha_beta_gy)


def _tissue_line(row: TissueAlphaBeta, course: ConvertedCourse) -> str:
    """Return a tissue's EQD2 with its interval and source."""
    ends = sorted(_eqd2_at(course, gy) for gy in row.ends_gy)
    best = _eqd2_at(course, row.alpha_beta_gy)
    stated, span = "", "no interval stated"
    if row.low_gy is not None and row.high_gy is not None:
        stated = f" ({row.low_gy:g}-{row.high_gy:g})"
        span = f"{ends[0]:.2f} to {ends[1]:.2f} Gy"
    return (
        f"tissue   {row.tissue}: alpha/beta {row.alpha_beta_gy:g}{stated} Gy, EQD2 {best:.2f} Gy, "
        f"{span}; {row.source.text}"
    )


def _tissue_document(row: TissueAlphaBeta, course: ConvertedCourse) -> dict[str, object]:
    """Return a tissue as JSON."""
    return {
        "tissue": row.tissue,
        "alpha_beta_gy": row.alpha_beta_gy,
        "alpha_beta_interval_gy": None if row.low_gy is None else list(row.ends_gy),
        "eqd2_gy": _eqd2_at(course, row.alpha_beta_gy),
        "eqd2_interval_gy": sorted(_eqd2_at(course, gy) for gy in row.ends_gy),
        "source": row.source.text,
    }


def _linear(course: ConvertedCourse, transition_gy: float | None) -> list[AskedModel]:
    """Return the course by the linear-quadratic-linear model, at each alpha/beta."""
    if transition_gy is None:
        return []
    return [
        _named(
            linear_beyond(
                course.dose_gy, course.n_fractions, row.alpha_beta_gy, transition_gy=transition_gy
            ),
            row.alpha_beta_gy,
        )
        for row in course.rows
    ]


def _repair(
    course: ConvertedCourse, asked: tuple[int | None, float | None, float | None]
) -> list[AskedModel]:
    """Return the course with several fractions a day, at each alpha/beta."""
    per_day, hours_apart, half_time_h = asked
    if per_day is None and hours_apart is None and half_time_h is None:
        return []
    if per_day is None or hours_apart is None or half_time_h is None:
        msg = (
            "several fractions a day need --per-day, --hours-apart and --repair-half-time-h "
            "together; none of them has a default"
        )
        raise InputError(msg)
    return [
        _named(
            several_a_day(
                course.dose_gy,
                course.n_fractions,
                row.alpha_beta_gy,
                fractions_per_day=per_day,
                interval_h=hours_apart,
                half_time_h=half_time_h,
            ),
            row.alpha_beta_gy,
        )
        for row in course.rows
    ]


def _time(course: ConvertedCourse, tumor: str | None, days: float | None) -> list[AskedModel]:
    """Return the course less what the tumour regained."""
    if tumor is None and days is None:
        return []
    if tumor is None or days is None:
        msg = "repopulation needs --tumour and --days, from first to last fraction, together"
        raise InputError(msg)
    factor = time_factor_for(tumor)
    return [with_time(course.dose_gy, course.n_fractions, factor, elapsed_days=days)]


def _named(model: AskedModel, alpha_beta_gy: float) -> AskedModel:
    """Return a model that says its alpha/beta."""
    return replace(model, name=f"{model.name}, alpha/beta {alpha_beta_gy:g} Gy")


def _model_document(model: AskedModel) -> dict[str, object]:
    """Return a model's answer as JSON."""
    return {
        "model": model.name,
        "bed_gy": model.value,
        "formula": model.formula,
        "source": model.source,
        "validity": model.validity,
        "findings": [{"severity": f.severity, "text": f.text} for f in model.findings],
    }


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
