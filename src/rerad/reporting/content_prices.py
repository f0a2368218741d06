"""What the report says about the price of tolerance, and about how the plan came to be."""

from rerad.planning.result import CaseResult, Convergence, TolerancePrices
from rerad.reporting.document import (
    Align,
    Block,
    Cell,
    Emphasis,
    Paragraph,
    Picture,
    Section,
    Table,
)
from rerad.reporting.wording import number


def prices_section(result: CaseResult) -> Section | None:
    """Return what a Gy more of tolerance would buy, and what came of levels and leaves.

    None where the plan has neither hard limits, nor levels, nor refined leaves.
    """
    blocks: list[Block] = []
    if result.prices is not None:
        blocks += _prices(result.prices)
    convergence = result.convergence
    if convergence.levels:
        blocks.append(_level_table(convergence))
    if convergence.refinement:
        of_what = "objective, limits included,"
        if result.robust is not None:
            of_what = "squared distance from the robust dose"
        blocks.append(Paragraph(_refined(convergence.refinement, of_what)))
    if not blocks:
        return None
    if result.prices is not None:
        excess = Paragraph(
            f"In the optimiser no hard limit is exceeded by more than "
            f"{number(convergence.cap_violation_gy, 3)} Gy of this plan's physical dose."
        )
        blocks.insert(1, excess)
    return Section("prices", "What tolerance would buy", tuple(blocks))


def _prices(prices: TolerancePrices) -> list[Block]:
    """Return the sentence, the table and the picture of the prices."""
    blocks: list[Block] = [Paragraph(price_sentence(prices))]
    total = prices.objective
    rows = tuple(
        (
            Cell(name, emphasis=Emphasis.STRONG),
            Cell(f"{price:.3g}"),
            Cell(f"{100 * price / total:.1f} %" if total > 0 else "–"),
        )
        for name, price in sorted(prices.organs.items(), key=lambda item: -item[1])
    )
    blocks.append(
        Table(
            key="prices",
            title="",
            header=(
                Cell("Limit"),
                Cell("Fall of the objective", "for 1 Gy more, whole organ or goal"),
                Cell("Share of the objective"),
            ),
            rows=rows,
            align=(Align.LEFT, Align.RIGHT, Align.RIGHT),
            widths=(2.4, 1.6, 1.4),
            note=f"Objective at the end: {total:.4g}. A limit that costs nothing is tight "
            "nowhere. Prices of limits on cumulative dose are for a Gy of EQD2, others for a Gy "
            "of dose; of a volume at a dose, for a Gy more of that dose.",
        )
    )
    if prices.is_mapped:
        blocks.append(
            Picture(
                "price",
                "Where it would buy most: fall of the objective for a Gy more of tolerance in "
                "each voxel, through the dearest one. Green: limited, but the limit costs nothing "
                "there.",
                "Map of the price of tolerance on the planning CT",
            )
        )
    return blocks


def price_sentence(prices: TolerancePrices) -> str:
    """Say which organ is the dearest, and what a Gy more in it would buy."""
    name, price = max(prices.organs.items(), key=lambda item: item[1], default=("", 0.0))
    if not price > 0:
        return "No hard limit is tight: more tolerance would buy nothing."
    share = f" ({100 * price / prices.objective:.0f} %)" if prices.objective > 0 else ""
    return (
        f"{name} is the dearest limit: 1 Gy more of it would lower the objective by about "
        f"{price:.3g} of {prices.objective:.3g}{share}. This is first order, from the multipliers "
        "of the optimiser's caps: it holds for small changes, and many voxels at once buy at most "
        "their sum. It says what a limit costs, not that it may be exceeded."
    )


def _level_table(convergence: Convergence) -> Table:
    """Return what came of each level of priority."""
    rows = tuple(
        (
            Cell(level.name, emphasis=Emphasis.STRONG),
            Cell(f"{level.best:.3g}"),
            Cell(f"{level.bound:.3g}"),
            Cell(f"{level.final:.3g}"),
            Cell(str(level.n_evaluations)),
        )
        for level in convergence.levels
    )
    header = (
        Cell("Level"),
        Cell("When worked on"),
        Cell("Held to"),
        Cell("At the end"),
        Cell("Evaluations"),
    )
    return Table(
        key="levels",
        title="Goals by priority",
        header=header,
        rows=rows,
        align=(Align.LEFT, *(Align.RIGHT,) * 4),
        widths=(1.6, 1.2, 1.2, 1.2, 1.0),
        note="Sum of the level's objectives; 0 is all that was asked for. Later levels may not "
        "make an earlier one worse than it was held to. All goals of a prescribed target are "
        "worked on together, at the first of their priorities.",
    )


def _refined(values: tuple[float, ...], of_what: str) -> str:
    """Say what refining the leaves brought."""
    if len(values) == 1:
        return "Refining the leaf positions on their own dose brought nothing; they stayed."
    return (
        f"Refining the leaf positions on their own dose brought the final dose's {of_what} "
        f"from {values[0]:.3g} to {values[-1]:.3g}."
    )
