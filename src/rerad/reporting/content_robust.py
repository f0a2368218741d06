"""What the report says about a robust plan: against what it holds, what that cost, what holds."""

from rerad.core import DoseScope
from rerad.evaluation import Verdict
from rerad.optimize import OrganPrice, PricePair, TargetPrice
from rerad.planning.inputs import RobustSettings
from rerad.planning.result import CaseResult
from rerad.planning.robust_result import RobustVerdict
from rerad.planning.robust_verdicts import NOT_SETTLED
from rerad.reporting.document import Align, Block, Cell, Emphasis, Facts, Paragraph, Section, Table
from rerad.reporting.wording import (
    Citations,
    compact,
    goal_scope,
    goal_text,
    goal_value_cell,
    number,
    number_cell,
    typeset,
    verdict_cell,
)


def robust_section(result: CaseResult, citations: Citations) -> Section | None:
    """Return what robustness costs; None for a plan that believes everything."""
    if result.robust is None:
        return None
    planning = result.robust.planning
    blocks: list[Block] = [
        Paragraph(
            "This plan was made for the worst case of what is not known. How far each thing may "
            "be off is stated in the case file by the user and was not verified; within these "
            "sizes nothing is more likely than anything else."
        ),
        Facts(_sizes(planning.settings, len(planning.shifts_mm))),
        _target_table(planning.price.targets),
        _organ_table(planning.price.organs),
        _verdict_table(result.robust.verdicts, citations),
    ]
    if not planning.is_settled:
        blocks.insert(2, Paragraph(NOT_SETTLED))
    return Section("robust", "What robustness costs", tuple(blocks))


def _sizes(settings: RobustSettings, n_places: int) -> tuple[tuple[str, str], ...]:
    """Return each uncertainty with its size and meaning."""
    return (
        (
            "Place of the earlier dose",
            f"up to {_lengths(settings.prior_shift_mm)} off within each organ (registration); "
            "exact",
        ),
        (
            "Place of the patient",
            f"up to {_lengths(settings.setup_shift_mm)} off, the same in all fractions; "
            f"{n_places} places calculated",
        ),
        ("α/β of organs", f"± {compact(settings.alpha_beta_spread_gy)} Gy; exact"),
        (
            "Recovery",
            f"up to {100 * settings.recovery_spread:.0f} percentage points less than assumed, "
            "where a limit counts any; exact",
        ),
    )


def _lengths(reach_mm: tuple[float, float, float]) -> str:
    """Return lengths along x, y, z in words."""
    if not any(reach_mm):
        return "0 mm"
    return " / ".join(compact(value) for value in reach_mm) + " mm (x / y / z)"


def _pair(pair: PricePair) -> tuple[Cell, Cell]:
    return number_cell(pair.nominal_gy), number_cell(pair.robust_gy)


def _target_table(targets: tuple[TargetPrice, ...]) -> Table:
    """Return the coverage paid."""
    rows = tuple(
        (
            Cell(item.name, emphasis=Emphasis.TARGET),
            *_pair(item.d98),
            Cell(number(item.d98.change_gy), emphasis=Emphasis.STRONG),
            *_pair(item.d95),
            *_pair(item.worst_d98),
        )
        for item in targets
    )
    header = (
        Cell("Target", "physical Gy"),
        Cell("D98%", "believing"),
        Cell("D98%", "robust"),
        Cell("D98%", "change"),
        Cell("D95%", "believing"),
        Cell("D95%", "robust"),
        Cell("worst D98%", "believing"),
        Cell("worst D98%", "robust"),
    )
    return Table(
        key="robust_targets",
        title="Paid by the targets",
        header=header,
        rows=rows,
        align=(Align.LEFT, *(Align.RIGHT,) * 7),
        widths=(1.6, *(1.0,) * 7),
        note="Believing: the plan made as if everything were known. Both before leaves are "
        "refined; without shift the final dose, in the worst place of the patient changed by "
        "what the optimiser's dose changes.",
    )


def _organ_table(organs: tuple[OrganPrice, ...]) -> Table:
    """Return the safety bought."""
    rows = tuple(
        (
            Cell(item.name, emphasis=Emphasis.STRONG),
            _excess(item.worst_excess.nominal_gy),
            _excess(item.worst_excess.robust_gy),
            Cell(str(item.n_unknown), emphasis=Emphasis.MUTED),
        )
        for item in organs
    )
    header = (
        Cell("Organ"),
        Cell("Worst voxel less limit", "EQD2 Gy, believing"),
        Cell("Worst voxel less limit", "EQD2 Gy, robust"),
        Cell("Voxels unknown"),
    )
    return Table(
        key="robust_organs",
        title="Bought for the organs",
        header=header,
        rows=rows,
        align=(Align.LEFT, *(Align.RIGHT,) * 3),
        widths=(2.0, 1.6, 1.6, 1.2),
        note="Cumulative EQD2 of the highest voxel over all places and corners; above 0 the limit "
        "is exceeded somewhere. Where a breach is accepted, voxels inside targets do not count.",
    )


def _excess(value_gy: float) -> Cell:
    cell = number_cell(value_gy)
    return Cell(f"+{cell.text}", emphasis=Emphasis.STRONG) if value_gy >= 0.05 else cell


def _verdict_table(verdicts: tuple[RobustVerdict, ...], citations: Citations) -> Table:
    """Return whether each goal holds in every scenario."""
    rows = tuple(
        (
            Cell(item.structure, emphasis=Emphasis.STRONG),
            Cell(goal_text(item.worst.goal), goal_scope(item.worst.goal)),
            Cell(
                citations.mark(item.worst.goal.citation, item.worst.goal.trust),
                emphasis=Emphasis.MUTED,
            ),
            goal_value_cell(item.worst),
            Cell(typeset(item.scenario).replace("-", "−"), emphasis=Emphasis.MUTED),
            verdict_cell(item.worst),
        )
        for item in verdicts
    )
    header = (
        Cell("Structure"),
        Cell("Goal"),
        Cell("Source"),
        Cell("Worst"),
        Cell("Where"),
        Cell("In every scenario"),
    )
    n_cumulative = sum(item.worst.goal.scope is DoseScope.CUMULATIVE for item in verdicts)
    held = sum(
        item.worst.verdict is Verdict.MET
        for item in verdicts
        if item.worst.goal.scope is DoseScope.CUMULATIVE
    )
    return Table(
        key="robust_verdicts",
        title=f"In every scenario: {held} of {n_cumulative} cumulative limits hold",
        header=header,
        rows=rows,
        align=(Align.LEFT, Align.LEFT, Align.LEFT, Align.RIGHT, Align.LEFT, Align.CENTER),
        widths=(1.5, 2.6, 0.7, 0.9, 1.9, 1.2),
        note="From the final dose of the leaf sequence. Earlier dose, α/β and recovery are exact; "
        "places of the patient are approximated by moving the final dose as a whole (dose "
        "cloud), which neglects that depths change.",
    )
