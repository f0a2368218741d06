"""The picture of a trade, written on its own."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

from rerad.optimize import ParetoSet
from rerad.reporting import style
from rerad.reporting.figures import SETTINGS
from rerad.reporting.figures_pareto import draw_pareto


def write_pareto(pareto: ParetoSet, path: Path, *, current: Sequence[float] | None = None) -> None:
    """Draw a trade as PNG, beside its place and renamed.

    Parameters
    ----------
    pareto : ParetoSet
        Plans of two or three goals.
    path : Path
        The file; its folder must exist.
    current : sequence of float or None
        Goals of the plan to highlight.
    """
    beside = path.with_name(f".{path.name}")
    with matplotlib.rc_context(SETTINGS):
        style.save(draw_pareto(pareto, current=current), beside)
    beside.replace(path)
