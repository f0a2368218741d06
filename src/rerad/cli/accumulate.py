"""``rerad accumulate``: doses of several courses converted, mapped and added."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
import typer

from rerad.accumulation import OrganSum, PhaseDose
from rerad.case.accumulate import (
    Accumulation,
    DoseFile,
    accumulate_files,
    read_organs,
    write_sums,
)
from rerad.case.accumulate_history import accumulate_case
from rerad.case.deform import DeformableChoice
from rerad.cli.arguments import JsonOption, QuietOption
from rerad.cli.console import BANNER, Steps, print_json, reporting_errors, say
from rerad.core import Dose

Value = TypeVar("Value")


def accumulate(
    sources: Annotated[list[Path], typer.Argument(help="A case, or RTDOSE files in order.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="RTDOSE to write; without it only words.")
    ] = None,
    alpha_beta: Annotated[
        list[float] | None,
        typer.Option("--alpha-beta", help="Gy, one sum each; a case has its limits' own."),
    ] = None,
    fractions: Annotated[
        list[int] | None,
        typer.Option("--fractions", min=1, help="Planned, for each file; or give --plan."),
    ] = None,
    plan: Annotated[
        list[Path] | None, typer.Option("--plan", help="RTPLAN of a dose: its fractions.")
    ] = None,
    delivered: Annotated[
        list[float] | None,
        typer.Option("--delivered", min=0, help="Given, for each file; 13.5: one half way."),
    ] = None,
    recovery: Annotated[
        list[float] | None,
        typer.Option("--recovery", min=0, max=1, help="Share forgotten, for each file."),
    ] = None,
    registration: Annotated[
        list[Path] | None, typer.Option("--reg", help="DICOM registration (REG).")
    ] = None,
    structures: Annotated[
        Path | None, typer.Option("--structures", help="RTSTRUCT in the frame of the last dose.")
    ] = None,
    today: Annotated[
        Path | None, typer.Option("--today", help="With a case: RTDOSE on the planning CT.")
    ] = None,
    deformable: Annotated[
        bool, typer.Option("--deformable", help="With a case: register deformably, if assured.")
    ] = False,
    guide: Annotated[
        list[str] | None, typer.Option("--guide", help="Structure on both CTs that leads it.")
    ] = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Add what was given before as EQD2, with three strategies per organ side by side."""
    say(BANNER, is_quiet=quiet)
    _require_paths(sources, out)
    is_case = len(sources) == 1 and (sources[0].is_dir() or sources[0].suffix == ".toml")
    if not is_case and not alpha_beta:
        msg = "expected the alpha/beta of the tissue; dose files do not know it"
        raise typer.BadParameter(msg, param_hint="--alpha-beta")
    if is_case and today is None:
        _refuse_for_case({"--recovery": bool(recovery), "--plan": bool(plan)})
    paths = ([today] if today else []) if is_case else sources
    files = _files(paths, fractions, delivered, recovery, has_plans=bool(plan))
    choice = _choice(guide, out) if deformable else None
    with reporting_errors(as_json=as_json), Steps(is_quiet=quiet) as steps:
        if is_case:
            result = accumulate_case(
                sources[0],
                alpha_beta or (),
                registrations=registration or (),
                today=files[0] if files else None,
                deformable=choice,
                progress=steps,
            )
        else:
            result = accumulate_files(
                files,
                alpha_beta or (),
                registrations=registration or (),
                structures=read_organs(structures),
                plans=plan or (),
                progress=steps,
            )
        written = () if out is None or not result.sums else write_sums(result, out)
    if as_json:
        print_json(_document(result, written))
    else:
        _print(result, written)


def _choice(guide: list[str] | None, out: Path | None) -> DeformableChoice:
    """Return how to register deformably; pictures go beside the sum."""
    return DeformableChoice(tuple(guide or ()), None if out is None else out.parent)


def _refuse_for_case(options: dict[str, bool]) -> None:
    """Leave with a usage error where an option about dose files is given with a case."""
    for option, is_given in options.items():
        if is_given:
            msg = (
                "belongs to dose files; in a case recovery goes with each limit (rerad budget), "
                "and its courses name their plans"
            )
            raise typer.BadParameter(msg, param_hint=option)


def _require_paths(sources: list[Path], out: Path | None) -> None:
    """Leave with a usage error where a source is not there, or would be written over."""
    for source in sources:
        if not source.exists():
            msg = f"there is no {source}"
            raise typer.BadParameter(msg, param_hint="SOURCES")
    if out is not None and any(out.resolve() == source.resolve() for source in sources):
        msg = f"{out} is one of the doses and would be written over; name another file"
        raise typer.BadParameter(msg, param_hint="--out")
    if out is not None and not out.resolve().parent.is_dir():
        msg = f"there is no folder {out.resolve().parent} to write {out.name} into"
        raise typer.BadParameter(msg, param_hint="--out")


def _files(
    paths: list[Path],
    fractions: list[int] | None,
    delivered: list[float] | None,
    recovery: list[float] | None,
    *,
    has_plans: bool,
) -> list[DoseFile]:
    """Return the dose files with what was said of each."""
    n = len(paths)
    counts = _for_each("--fractions", fractions or ([None] * n if has_plans else None), n)
    given = _for_each("--delivered", delivered or [None] * n, n)
    forgotten = _for_each("--recovery", recovery or [0.0] * n, n)
    return [DoseFile(*row) for row in zip(paths, counts, given, forgotten, strict=True)]


def _for_each(option: str, values: Sequence[Value] | None, n: int) -> list[Value]:
    """Return one value for each file, or leave with a usage error."""
    found = list(values or [])
    if len(found) != n:
        if not n:
            msg = "is about dose files or --today; a case states the fractions of its courses"
        else:
            msg = f"expected {n} values, one for each dose file, got {len(found)}"
        raise typer.BadParameter(msg, param_hint=option)
    return found


def _text(value: float) -> str:
    """Return a dose, or a dash where it is not known."""
    return f"{value:7.2f}" if math.isfinite(value) else "      -"


def _print(result: Accumulation, written: tuple[Path, ...]) -> None:
    """Print strategies, findings and files."""
    if result.organs:
        settings = result.settings
        typer.echo("EQD2 in Gy by strategy; '-' is unknown")
        typer.echo(
            f"{'organ':22} {'a/b':>4} {'sum of':>7} {'in the':>7} {'voxel':>7} {'search':>7} "
            f"{'free':>7} {settings.metric:>7} {'interval':>16}"
        )
        typer.echo(
            f"{'':22} {'':>4} {'maxima':>7} {'overlap':>7} {'sum':>7} {'within':>7} "
            f"{'search':>7} {'':>7} {100 * settings.level:13.0f} %"
        )
    for row in result.organs:
        m = row.maxima
        band = "-"
        if math.isfinite(row.low_gy):
            band = f"{row.low_gy:.2f} - {row.high_gy:.2f}"
            if math.isinf(row.high_gy):
                band = f"{row.low_gy:.2f} or more"
            elif row.low_gy == 0:
                band = f"{row.high_gy:.2f} or less" if math.isfinite(row.high_gy) else "unknown"
        numbers = (
            m.sum_of_maxima_gy,
            m.sum_in_overlap_gy,
            m.voxel_sum_gy,
            m.search_within_gy,
            m.search_free_gy,
            row.value_gy,
        )
        unknown = f"   {m.n_unknown} voxels unknown" if m.n_unknown else ""
        typer.echo(
            f"{row.name[:22]:22} {row.alpha_beta_gy:4g} "
            f"{' '.join(_text(v) for v in numbers)} {band:>16}{unknown}"
        )
    for course in result.courses:
        fractions = ", ".join(_fractions(phase) for phase in course.phases)
        kept = f", {100 * course.recovery_fraction:g} % forgotten" * (course.recovery_fraction > 0)
        typer.echo(f"course   {course.name}: {fractions} fractions, {course.grade}{kept}")
    for dose in result.sums:
        typer.echo(f"sum      {_highest(dose)}")
    typer.echo(f"record   the poorest in these sums: {result.grade}")
    if result.organs:
        typer.echo(f"source   {result.settings.citation}")
    for finding in result.findings:
        typer.echo(f"{finding.severity}: {finding.text}")
    for path in written:
        typer.echo(str(path))


def _fractions(phase: PhaseDose) -> str:
    """Return what was given of a phase, in words."""
    broken = "".join(f" and {100 * share:.0f} % of one" for share in phase.partial_fractions)
    return f"{phase.n_fractions_delivered}{broken} of {phase.n_fractions_planned}"


def _highest(dose: Dose) -> str:
    """Return the highest voxel of a sum and where it is."""
    if dose.n_unknown == dose.grid.n_voxels:
        return f"alpha/beta {dose.alpha_beta_gy:g}: unknown everywhere"
    k, j, i = np.unravel_index(np.nanargmax(dose.values), dose.grid.shape)
    x, y, z = dose.grid.points((k, j, i))
    return (
        f"alpha/beta {dose.alpha_beta_gy:g}: highest voxel {dose.max_gy:.2f} Gy EQD2 at "
        f"({x:.0f}, {y:.0f}, {z:.0f}) mm; {dose.n_unknown} of {dose.grid.n_voxels} voxels unknown"
    )


def _organ(row: OrganSum) -> dict[str, object]:
    """Return an organ as JSON, unknown as null."""
    flat = asdict(row)
    flat |= flat.pop("maxima")
    flat["course_maxima_gy"] = [_known(v) for v in row.course_maxima_gy]
    return {key: _known(v) if isinstance(v, float) else v for key, v in flat.items()}


def _known(value: float) -> float | None:
    """Return a finite number or None."""
    return value if math.isfinite(value) else None


def _document(result: Accumulation, written: tuple[Path, ...]) -> dict[str, object]:
    """Return the result as JSON."""
    return {
        "status": "done",
        "written": [str(path) for path in written],
        "sums": [
            {
                "alpha_beta_gy": dose.alpha_beta_gy,
                "max_gy": _known(dose.max_gy),
                "n_unknown_voxels": dose.n_unknown,
                "n_voxels": dose.grid.n_voxels,
            }
            for dose in result.sums
        ],
        "organs": [{**_organ(row), "grade": result.grade} for row in result.organs],
        "grade": result.grade,
        "courses": [
            {"name": c.name, "grade": c.grade, "recovery_fraction": c.recovery_fraction}
            for c in result.courses
        ],
        "settings_source": result.settings.citation,
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text} for f in result.findings
        ],
    }
