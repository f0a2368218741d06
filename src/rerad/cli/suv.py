"""``rerad suv``: PET files as SUV, with the factors and times that made them."""

from pathlib import Path
from typing import Annotated

import typer

from rerad.case.suv import SuvReport, measure_suv, suv_summary
from rerad.cli.arguments import JsonOption
from rerad.cli.console import print_json, reporting_errors
from rerad.errors import InputError
from rerad.pet import SuppliedFacts, SuvKind

BQ_PER_MBQ = 1e6
S_PER_MIN = 60.0


def suv(
    path: Annotated[Path, typer.Argument(help="A PET file, or a folder with one PET series.")],
    kind: Annotated[SuvKind, typer.Option("--kind", help="Normalised by.")] = SuvKind.BODY_WEIGHT,
    weight: Annotated[float | None, typer.Option("--weight", help="Body weight, kg.")] = None,
    height: Annotated[float | None, typer.Option("--height", help="Body height, m.")] = None,
    sex: Annotated[str | None, typer.Option("--sex", help="F or M.")] = None,
    activity: Annotated[
        float | None, typer.Option("--activity-mbq", help="Injected activity, MBq.")
    ] = None,
    half_life: Annotated[
        float | None, typer.Option("--half-life", help="Of the nuclide, s.")
    ] = None,
    uptake: Annotated[
        float | None, typer.Option("--uptake-time", help="Injection to reference time, min.")
    ] = None,
    decay: Annotated[
        str | None, typer.Option("--decay-correction", help="START, ADMIN or NONE.")
    ] = None,
    scale: Annotated[
        float | None,
        typer.Option("--bqml-per-unit", help="Bq/ml of one unit of an image in counts."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn PET into SUV; what is missing in the header is named, or supplied and recorded."""
    try:
        supplied = SuppliedFacts(
            patient_weight_kg=weight,
            patient_height_m=height,
            patient_sex=sex,
            injected_activity_bq=None if activity is None else activity * BQ_PER_MBQ,
            half_life_s=half_life,
            injection_to_reference_s=None if uptake is None else uptake * S_PER_MIN,
            decay_correction=decay,
            bqml_per_unit=scale,
        )
    except InputError as error:
        raise typer.BadParameter(str(error)) from error
    with reporting_errors(as_json=as_json):
        report = measure_suv(path, supplied=supplied, kind=kind)
    if as_json:
        print_json(suv_summary(report))
    else:
        print_report(report)


def print_report(report: SuvReport) -> None:
    """Print factor, times, numbers and findings."""
    pet, numbers = report.image.pet, report.statistics
    k, j, i = report.image.grid.shape
    typer.echo(f"{report.image.description or report.image.series_uid}: {k} x {j} x {i} voxels")
    low, high = min(report.factor.per_slice), max(report.factor.per_slice)
    factor = f"{low:.6g}" if low == high else f"{low:.6g} to {high:.6g}"
    typer.echo(f"  factor        {factor} {report.suv.unit} per {report.image.unit}")
    typer.echo(f"  from          {report.factor.source}")
    if pet is not None:
        typer.echo(f"  injected      {pet.injected_at or 'not said'}")
        typer.echo(
            f"  corrected to  {pet.decay_correction or 'not said'} {pet.reference_at or ''}"
        )
    typer.echo(f"  SUV           mean {numbers.mean:.3f}, max {numbers.maximum:.3f}, ", nl=False)
    is_known = numbers.peak == numbers.peak
    typer.echo(f"peak of 1 cc {numbers.peak:.3f}" if is_known else "no sphere of 1 cc fits")
    shares = ", ".join(f"{p:g} %: {v:.3f}" for p, v in numbers.percentiles)
    typer.echo(f"  percentiles   {shares}")
    for finding in report.findings:
        typer.echo(f"  {finding.severity}: {finding.text}")
