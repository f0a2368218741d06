"""The closing table: what each target and organ gets, has had, and may have, with the verdict."""

import math
from dataclasses import replace

from rerad.core import DoseScope, Goal
from rerad.evaluation import GoalResult, MetricKind, parse_metric
from rerad.planning.result import CaseResult, SummaryRow
from rerad.reporting.document import Align, Cell, Emphasis, Table
from rerad.reporting.wording import (
    NOT_APPLICABLE,
    Citations,
    bound_text,
    compact,
    goal_basis,
    goal_value_cell,
    grade_sentence,
    number_cell,
    poor_grade,
    short_citation,
    verdict_cell,
)

_COLUMNS: tuple[tuple[str, str, Align, float], ...] = (
    ("Structure", "", Align.LEFT, 1.75),
    ("Metric", "", Align.LEFT, 0.9),
    ("This plan", "physical Gy", Align.RIGHT, 0.95),
    ("Prior", "EQD2 Gy", Align.RIGHT, 0.9),
    ("Cumulative", "EQD2 Gy, planned", Align.RIGHT, 1.15),
    ("Delivered", "EQD2 Gy, cumulative", Align.RIGHT, 1.15),
    ("Limit", "compared with · source", Align.LEFT, 1.55),
    ("Planned", "", Align.CENTER, 1.2),
    ("Delivered", "", Align.CENTER, 1.2),
)


def closing_table(result: CaseResult, citations: Citations | None = None) -> Table:
    """Return the short table that a run ends with.

    Parameters
    ----------
    result : CaseResult
        What the run found.
    citations : Citations or None
        Where to number the sources; None writes author and year instead.

    Returns
    -------
    Table
        One row for each line of ``result.summary``: targets first as the case orders them.
        Doses in Gy; the columns of the delivered fractions are there only if a row has them.
    """
    has_delivered = any(row.delivered is not None for row in result.summary)
    keep = [i for i in range(len(_COLUMNS)) if has_delivered or i not in (5, 8)]
    rows = tuple(
        tuple(cells[i] for i in keep)
        for cells in (_row_cells(row, citations) for row in result.summary)
    )
    columns = [_COLUMNS[i] for i in keep]
    note = (
        "EQD2 at each structure's own α/β; prior: earlier courses as delivered, with recovery "
        "only where the limit is one for a discounted sum. "
        f"Planned: {result.planned.n_fractions} fractions. "
    )
    note += delivered_note(result)
    grades = (row.planned.grade for row in result.summary)
    note = f"{note.strip()} {grade_sentence(grades)}"
    return Table(
        key="closing",
        title="The result at a look",
        header=tuple(Cell(title, sub) for title, sub, _, _ in columns),
        rows=rows,
        align=tuple(align for _, _, align, _ in columns),
        widths=tuple(width for _, _, _, width in columns),
        note=note.strip(),
    )


def delivered_note(result: CaseResult) -> str:
    """Say what the delivered fractions are judged against; empty if all were delivered.

    A goal in percent of a prescription can be met though dose is missing.
    """
    if result.delivered is None:
        return ""
    n, m = result.planned.n_fractions, result.delivered.n_fractions
    note = f"Delivered: {m} fractions."
    is_share = any(_is_of_prescription(item.goal) for item in result.planned.goals)
    if m == n or not is_share:
        return note
    return (
        f"{note} There, 100 % is what was prescribed for them, {m} of {n} of the prescription: a "
        "target's goal may be met although dose is missing."
    )


def _is_of_prescription(goal: Goal) -> bool:
    """Return whether a goal counts in percent of a prescription, by its bound or its metric."""
    metric = parse_metric(goal.metric)
    is_isodose = metric.size_unit == "%" and metric.kind is not MetricKind.DOSE_AT_VOLUME
    return goal.scope is DoseScope.PLAN and (
        is_isodose or (metric.unit == "Gy" and goal.unit == "%")
    )


def _row_cells(row: SummaryRow, citations: Citations | None) -> tuple[Cell, ...]:
    """Every cell of one row, in the order of the columns."""
    goal = row.planned.goal
    kind = Emphasis.TARGET if row.is_target else Emphasis.STRONG
    alpha_beta = "" if row.alpha_beta_gy is None else f"α/β {compact(row.alpha_beta_gy)} Gy"
    if citations is None:
        source = f"{short_citation(goal.citation)} [{goal.trust}]"
    else:
        source = citations.mark(goal.citation, goal.trust)
    return (
        Cell(row.structure, alpha_beta, kind),
        Cell(row.metric),
        number_cell(row.physical_gy),
        _with_grade(eqd2_cell(row.prior_eqd2_gy, row), row),
        eqd2_cell(row.cumulative_eqd2_gy, row, row.planned),
        eqd2_cell(row.delivered_cumulative_eqd2_gy, row, row.delivered)
        if row.delivered is not None
        else Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED),
        Cell(bound_text(goal), f"{goal_basis(goal)} · {source}"),
        verdict_cell(row.planned),
        verdict_cell(row.delivered),
    )


def _with_grade(cell: Cell, row: SummaryRow) -> Cell:
    """The earlier dose says what record it stands on, if it is less than full DICOM."""
    return replace(cell, sub=cell.sub or poor_grade(row.planned.grade))


def eqd2_cell(value_gy: float, row: SummaryRow, judged: GoalResult | None = None) -> Cell:
    """EQD2 has no meaning without alpha/beta; where it is unknown, a bound may still be known."""
    if row.alpha_beta_gy is None:
        return Cell(NOT_APPLICABLE, emphasis=Emphasis.MUTED)
    if judged is not None and judged.goal.scope is DoseScope.CUMULATIVE:
        is_same = value_gy == judged.value or (math.isnan(value_gy) and math.isnan(judged.value))
        return goal_value_cell(judged) if is_same else number_cell(value_gy)
    return number_cell(value_gy)
