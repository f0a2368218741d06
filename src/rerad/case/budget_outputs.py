"""What `rerad budget` leaves behind: a record and a picture."""

import math
from pathlib import Path

import numpy as np

from rerad.case.budget import CaseBudget
from rerad.case.files import write_json
from rerad.case.goal_records import returned_record
from rerad.imaging import AIR_HU, resample_image
from rerad.planning import BudgetRow
from rerad.planning.returned_plan import ReturnedCheck
from rerad.reporting.figures_budget import RemainingSlice, write_budget_figure


def budget_document(budget: CaseBudget, check: ReturnedCheck | None = None) -> dict[str, object]:
    """Return a budget as JSON; unknown is null."""
    remaining = budget.remaining
    return {
        "status": "done",
        "case": str(budget.loaded.path),
        "n_fractions": budget.n_fractions,
        "prescription_gy": known(budget.prescription_gy),
        "courses": [
            {
                "name": course.name,
                "grade": course.grade,
                "n_fractions_delivered": course.n_fractions_delivered,
            }
            for course in budget.loaded.inputs.history.courses
        ],
        "rows": [_row(row) for row in budget.rows],
        "rows_on_best_estimates": [_row(row) for row in budget.best_rows],
        "break_even": [
            {
                "structure": item.structure,
                "rule_set": item.rule_set,
                "planned_gy": item.planned_gy,
                "months": None if item.months is None else known(item.months),
                "is_never": item.months is None,
            }
            for item in budget.break_even
        ],
        "nieder": [
            {
                "structure": item.structure,
                "interval": item.interval,
                "cumulative_bed_gy": item.score.cumulative_bed_gy,
                "points": item.score.points,
                "risk": item.score.risk,
                "citation": item.score.citation,
            }
            for item in budget.cord
        ],
        "hytec": [
            {
                "structure": item.structure,
                "factor": factor.name,
                "asked": factor.asked,
                "found": None if factor.found is None else known(factor.found),
                "holds": factor.holds,
                "citation": factor.citation,
            }
            for item in budget.hytec
            for factor in item.factors
        ],
        "voxels": [
            {
                "structure": organ.structure,
                "n_voxels": organ.n_voxels,
                "n_unknown": organ.n_unknown,
                "grade": organ.limit.grade,
                "n_exhausted": organ.n_exhausted,
                "least_physical_gy": known(organ.least_gy),
            }
            for organ in (remaining.organs if remaining is not None else ())
        ],
        "returned_plan": None if check is None else returned_record(check),
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text} for f in budget.findings
        ],
    }


def known(value: float) -> float | None:
    """Return a finite number or None."""
    return float(value) if math.isfinite(value) else None


def _row(row: BudgetRow) -> dict[str, object]:
    """Return one organ under one rule set."""
    return {
        "structure": row.structure,
        "rule_set": row.rule_set,
        "limit": row.limit.text,
        "recovery_basis": row.limit.recovery_basis,
        "grade": row.grade,
        "citation": row.limit.citation,
        "scenarios": [
            {
                "assumption": s.label,
                "recovery_fraction": s.recovery_fraction,
                "limit_eqd2_gy": s.limit_eqd2_gy,
                "prior_eqd2_gy": known(s.prior_eqd2_gy),
                "remaining_eqd2_gy": known(s.remaining_eqd2_gy),
                "remaining_physical_gy": known(s.remaining_physical_gy),
                "is_upper_bound": s.is_upper_bound,
                "prior_at_least_eqd2_gy": known(s.prior_at_least_eqd2_gy),
                "remaining_at_most_eqd2_gy": known(s.remaining_at_most_eqd2_gy),
                "remaining_at_most_physical_gy": known(s.remaining_at_most_physical_gy),
                "is_planned_with": s.is_planned_with,
                "citation": s.citation,
            }
            for s in row.scenarios
        ],
    }


def write_budget(
    budget: CaseBudget, folder: Path, check: ReturnedCheck | None = None
) -> tuple[Path, Path]:
    """Write ``budget.json`` and ``budget.png`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    record, picture = folder / "budget.json", folder / "budget.png"
    write_json(record, budget_document(budget, check))
    write_budget_figure(
        picture, budget.rows, budget.n_fractions, budget.prescription_gy, worst_slice(budget)
    )
    return record, picture


def worst_slice(budget: CaseBudget) -> RemainingSlice | None:
    """Return the axial slice through the voxel that has least left; None if none is known."""
    if budget.remaining is None:
        return None
    values = budget.remaining.combined.values
    if not np.isfinite(values).any():
        return None
    grid = budget.grid
    counts = np.sum(np.isfinite(values) & (values <= np.nanmin(values) + 0.5), axis=(1, 2))
    k = int(np.argmax(counts))
    plane = grid.crop((k, 0, 0), (k + 1, *grid.shape[1:]))
    ct = resample_image(budget.loaded.inputs.image, plane, outside=AIR_HU)
    x, y, z = plane.axes_mm
    sx, sy, _ = grid.spacing_mm
    extent = (x[0] - sx / 2, x[-1] + sx / 2, y[0] - sy / 2, y[-1] + sy / 2)
    left, right, low, high = (float(v) for v in extent)
    return RemainingSlice(
        hu=np.asarray(ct.values[0], dtype=np.float32),
        remaining_gy=np.asarray(values[k]),
        extent_mm=(left, right, low, high),
        z_mm=float(z[0]),
    )
