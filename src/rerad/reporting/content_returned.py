"""What the report says about a plan made in another system, beside the one made here."""

from rerad.planning.result import CaseResult
from rerad.reporting.document import (
    Align,
    Block,
    Cell,
    Emphasis,
    FindingItem,
    FindingList,
    Paragraph,
    Table,
)
from rerad.reporting.wording import (
    Citations,
    bound_text,
    goal_rank,
    goal_scope,
    goal_value_cell,
    joined,
    typeset,
    verdict_cell,
)


def returned_blocks(result: CaseResult, citations: Citations) -> tuple[Block, ...]:
    """Return how a plan made elsewhere stands; nothing without one.

    Parameters
    ----------
    result : CaseResult
        With the judgement of both plans.
    citations : Citations
        Where sources are numbered.
    """
    check = result.returned
    if check is None:
        return ()
    here = {(g.goal.structure, g.goal.text): g for g in result.planned.goals}
    rows = []
    for found in check.goals:
        goal = found.goal
        ours = here.get((goal.structure, goal.text))
        rows.append(
            (
                Cell(goal.structure, emphasis=Emphasis.STRONG),
                Cell(
                    f"{goal.metric} {bound_text(goal)}",
                    joined((goal_rank(goal), goal_scope(goal)), "; "),
                ),
                Cell(citations.mark(goal.citation, goal.trust), emphasis=Emphasis.MUTED),
                goal_value_cell(found),
                verdict_cell(found),
                Cell("") if ours is None else goal_value_cell(ours),
                verdict_cell(ours),
            )
        )
    words = {
        True: "No goal or limit is exceeded.",
        False: "A goal or limit is exceeded.",
        None: "Whether every goal and limit is kept cannot be told: a dose is unknown.",
    }
    lead = Paragraph(
        f"{check.plan.label}, {check.plan.n_fractions} fractions, made in another system, was "
        f"judged as the plan made here is. {words[check.is_within_limits]}",
        Emphasis.NONE,
    )
    header = ("Structure", "Goal", "Source", "Made elsewhere", "Verdict", "Made here", "Verdict")
    table = Table(
        key="returned",
        title=f"{check.plan.label}: a plan made elsewhere",
        header=tuple(Cell(text) for text in header),
        rows=tuple(rows),
        align=(Align.LEFT,) * 3 + (Align.RIGHT, Align.CENTER) * 2,
        widths=(2.0, 2.6, 0.8, 1.1, 1.25, 1.0, 1.25),
        note="EQD2 of each plan at its own fractions; every structure in the same contours.",
    )
    items = tuple(
        FindingItem(f.severity, f.where, typeset(f.text), f.code) for f in check.findings
    )
    return (lead, table, FindingList(items)) if items else (lead, table)
