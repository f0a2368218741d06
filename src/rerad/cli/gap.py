"""``rerad gap``: what an interruption cost the tumour, and what would make it up."""

import math
from dataclasses import asdict
from typing import Annotated

import typer

from rerad.cli.arguments import JsonOption
from rerad.cli.console import print_json, reporting_errors
from rerad.radiobiology import (
    GapResult,
    Interruption,
    require_valid_fraction,
    solve_gap,
    time_factor_for,
)
from rerad.radiobiology.conversion import FORMULA_SOURCE
from rerad.radiobiology.gap import GAP_FORMULA, GAP_SOURCE

NO_TUMOR = "none"


def gap(
    dose: Annotated[float, typer.Option("--dose", help="Prescribed, Gy.")],
    fractions: Annotated[int, typer.Option("--fractions", min=2, help="Planned.")],
    delivered: Annotated[int, typer.Option("--delivered", min=1, help="Given before the gap.")],
    tumor: Annotated[
        str, typer.Option("--tumour", help="With a sourced time factor, such as larynx; or none.")
    ],
    gap_days: Annotated[int, typer.Option("--gap-days", min=0, help="Days lost.")] = 0,
    alpha_beta: Annotated[
        float | None, typer.Option("--alpha-beta", help="Of the tumour, Gy; with --tumour none.")
    ] = None,
    late_alpha_beta: Annotated[
        list[float] | None, typer.Option("--late-alpha-beta", help="Late tissue; may be repeated.")
    ] = None,
    delivered_dose: Annotated[
        float | None, typer.Option("--delivered-dose", help="As recorded, Gy.")
    ] = None,
    into: Annotated[
        list[int] | None, typer.Option("--into", min=1, help="Solve for so many fractions.")
    ] = None,
    start_weekday: Annotated[
        int, typer.Option("--start-weekday", min=0, max=4, help="0 Monday to 4 Friday.")
    ] = 0,
    beyond_validity: Annotated[
        bool, typer.Option("--beyond-validity", help="Convert larger fractions all the same.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Solve an interruption: stop, go on, or make it up in other fractions."""
    factor = None
    with reporting_errors(as_json=as_json):
        if tumor != NO_TUMOR:
            factor = time_factor_for(tumor)
        elif alpha_beta is None:
            raise typer.BadParameter("--tumour none needs --alpha-beta of the tumour")
        tumor_alpha_beta = alpha_beta
        if tumor_alpha_beta is None:
            tumor_alpha_beta = factor.alpha_beta_gy if factor is not None else math.nan
        require_valid_fraction(dose / fractions, is_beyond_allowed=beyond_validity)
        result = solve_gap(
            Interruption(dose, fractions, delivered, gap_days, delivered_dose, start_weekday),
            tumor_alpha_beta_gy=tumor_alpha_beta,
            factor=factor,
            late_alpha_betas_gy=late_alpha_beta or (),
            n_fractions_choices=into or (),
        )
    if as_json:
        print_json(_document(result))
    else:
        _print(result)


def _print(result: GapResult) -> None:
    """Print the options for a reader."""
    ab = result.tumor_alpha_beta_gy
    typer.echo(
        f"tumour, alpha/beta {ab:g} Gy: BED prescribed {result.bed_prescribed_gy:.2f}, given "
        f"{result.bed_given_gy:.2f}, missing "
        f"{result.bed_prescribed_gy - result.bed_given_gy:.2f} Gy; the gap's days cost "
        f"{result.bed_lost_to_gap_gy:.2f} Gy"
    )
    for option in result.options:
        late = "".join(f"   BED{a:g} {b:.2f}" for a, b in option.late_bed_gy)
        each = f"{option.n_fractions} x {option.fraction_gy:.3f} Gy" if option.total_gy else "-"
        typer.echo(
            f"  {option.label:24} {each:16} {option.total_gy:6.2f} Gy   last day "
            f"{option.overall_days:3d}   deficit {option.tumor_bed_deficit_gy:6.2f} Gy{late}"
        )
    if result.late_bed_prescribed_gy:
        late = "   ".join(f"BED{a:g} {b:.2f} Gy" for a, b in result.late_bed_prescribed_gy)
        typer.echo(f"  late tissue as prescribed: {late}")
    typer.echo(f"formula  {GAP_FORMULA}")
    typer.echo(f"source   {GAP_SOURCE}; {FORMULA_SOURCE}")
    if result.factor is not None:
        factor = result.factor
        typer.echo(
            f"time     {factor.tumor}: K = {factor.loss_gy_per_day:g} Gy/day after "
            f"{factor.delay_days:g} days ({factor.source.text})"
        )
    for finding in result.findings:
        typer.echo(f"{finding.severity}: {finding.text}")


def _document(result: GapResult) -> dict[str, object]:
    """Return the result as JSON."""
    options = []
    for option in result.options:
        row = asdict(option)
        row["fraction_gy"] = option.fraction_gy if math.isfinite(option.fraction_gy) else None
        options.append(row)
    factor = result.factor
    return {
        "status": "done",
        "tumor_alpha_beta_gy": result.tumor_alpha_beta_gy,
        "time_factor": None
        if factor is None
        else {
            "tumor": factor.tumor,
            "loss_gy_per_day": factor.loss_gy_per_day,
            "delay_days": factor.delay_days,
            "source": factor.source.text,
        },
        "bed_prescribed_gy": result.bed_prescribed_gy,
        "bed_given_gy": result.bed_given_gy,
        "bed_missing_gy": result.bed_prescribed_gy - result.bed_given_gy,
        "bed_lost_to_gap_gy": result.bed_lost_to_gap_gy,
        "options": options,
        "late_bed_prescribed_gy": result.late_bed_prescribed_gy,
        "formula": GAP_FORMULA,
        "source": f"{GAP_SOURCE}; {FORMULA_SOURCE}",
        "findings": [{"severity": f.severity, "text": f.text} for f in result.findings],
    }
