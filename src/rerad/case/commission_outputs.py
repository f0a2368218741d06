"""What a machine in a tank leaves behind: JSON, CSV and the panels of a picture."""

import csv
import io
from pathlib import Path

from rerad.case.commission import CommissionResult, TankCurve
from rerad.case.commission_numbers import normalised
from rerad.case.measured import CSV_HEADER
from rerad.dosecalc import Engine
from rerad.errors import CaseError
from rerad.reporting.figures_commission import CurvePanel, write_commission_figure


def commission_summary(result: CommissionResult) -> dict[str, object]:
    """Return a result as what JSON can hold.

    Parameters
    ----------
    result : CommissionResult
        To describe.
    """
    machine, setup = result.machine, result.setup
    return {
        "status": "done",
        "machine": {
            "name": machine.name,
            "beam": machine.beam.name,
            "is_commissioned": machine.is_commissioned,
            "source": machine.source,
        },
        "engine": str(result.engine),
        "setup": {
            "field_mm": [setup.field_x_mm, setup.field_y_mm],
            "ssd_mm": setup.ssd_mm,
            "slabs": [
                {"thickness_mm": slab.thickness_mm, "density_g_cm3": slab.density_g_cm3}
                for slab in setup.slabs
            ],
        },
        "cautions": commission_cautions(result),
        "numbers": result.numbers,
        "n_measured_left_out": result.n_left_out,
        "curves": [_curve_summary(curve) for curve in result.curves],
    }


def commission_cautions(result: CommissionResult) -> list[str]:
    """Return what a reader of the numbers has to know, one sentence each.

    Parameters
    ----------
    result : CommissionResult
        To judge.
    """
    cautions = []
    if not result.machine.is_commissioned:
        cautions.append(f"{result.machine.name} is not a commissioned machine.")
    if any(slab.density_g_cm3 != 1.0 for slab in result.setup.slabs):
        if result.engine is Engine.PENCIL_BEAM:
            cautions.append(
                "Pencil beams scaled by density are several percent high in and behind lung."
            )
        cautions.append("Every layer counts as water of its density.")
    return cautions


def _curve_summary(curve: TankCurve) -> dict[str, object]:
    """One curve of the summary."""
    summary: dict[str, object] = {
        "curve": str(curve.kind),
        "depth_mm": curve.depth_mm,
        "numbers": curve.numbers,
        "positions_mm": curve.positions_mm.tolist(),
        "dose_gy_per_mu": curve.dose_gy_per_mu.tolist(),
    }
    if curve.measured is not None and curve.difference is not None:
        summary["measured"] = curve.measured.values.tolist()
        summary["detector"] = curve.measured.detector
        summary["difference_local_percent"] = curve.difference.local_percent.tolist()
        summary["difference_of_maximum_percent"] = curve.difference.of_maximum_percent.tolist()
    return summary


def commission_csv(result: CommissionResult) -> str:
    """Return the calculated curves as CSV; `read_measured` reads it where nothing was measured.

    Parameters
    ----------
    result : CommissionResult
        The column `value` is Gy per MU; with measurements two columns follow.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    has_measured = any(curve.measured is not None for curve in result.curves)
    more = ("measured", "difference_of_maximum_percent") if has_measured else ()
    writer.writerow((*CSV_HEADER, *more))
    setup = result.setup
    for curve in result.curves:
        depth = "" if curve.depth_mm is None else curve.depth_mm
        key = (str(curve.kind), setup.field_x_mm, setup.field_y_mm, setup.ssd_mm, depth)
        columns = [curve.positions_mm.tolist(), curve.dose_gy_per_mu.tolist()]
        if curve.measured is not None and curve.difference is not None:
            columns += [
                curve.measured.values.tolist(),
                curve.difference.of_maximum_percent.tolist(),
            ]
        writer.writerows((*key, *row) for row in zip(*columns, strict=True))
    return text.getvalue()


def commission_panels(result: CommissionResult) -> tuple[CurvePanel, ...]:
    """Return what the picture of a result shows, one panel for each curve.

    Parameters
    ----------
    result : CommissionResult
        To draw.
    """
    panels = []
    for curve in result.curves:
        is_depth_dose = curve.depth_mm is None
        kind, x = curve.kind, curve.positions_mm
        measured = curve.measured
        panels.append(
            CurvePanel(
                title="depth dose" if is_depth_dose else f"{kind}, {curve.depth_mm:g} mm deep",
                position_label="depth (mm)" if is_depth_dose else "from the axis (mm)",
                positions_mm=x,
                calculated_percent=100.0 * normalised(kind, x, curve.dose_gy_per_mu),
                measured_percent=None
                if measured is None
                else 100.0 * normalised(kind, x, measured.values),
                difference_percent=None
                if curve.difference is None
                else curve.difference.of_maximum_percent,
            )
        )
    return tuple(panels)


def commission_title(result: CommissionResult) -> str:
    """Return machine and set-up in one line.

    Parameters
    ----------
    result : CommissionResult
        To name.
    """
    machine, setup = result.machine, result.setup
    layers = f", {len(setup.slabs)} layers" if setup.slabs else ""
    return (
        f"{machine.name} {machine.beam.name}, {setup.field_x_mm:g}x{setup.field_y_mm:g} mm, "
        f"SSD {setup.ssd_mm:g} mm{layers}, {result.engine}"
    )


def write_commission(
    result: CommissionResult, *, csv_path: Path | None, plot_path: Path | None
) -> None:
    """Write the curves as CSV and as a picture, replacing what is there.

    Parameters
    ----------
    result : CommissionResult
        To write.
    csv_path, plot_path : Path or None
        Where; None writes nothing.

    Raises
    ------
    CaseError
        If a file cannot be written.
    """
    try:
        if csv_path is not None:
            csv_path.write_text(commission_csv(result), encoding="utf-8")
        if plot_path is not None:
            write_commission_figure(commission_panels(result), commission_title(result), plot_path)
    except OSError as error:
        msg = f"{error.filename}: expected a place to write to, got {error.strerror}"
        raise CaseError(msg) from error
