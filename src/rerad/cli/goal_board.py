"""Progress with the goals falling into place: a live table on a terminal, lines otherwise."""

import math
import time
from types import TracebackType
from typing import Self

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rerad.planning import GoalNow

ROWS_SHOWN = 30
"""Goals on the board; those that are not met come first."""


class GoalBoard:
    """Says what is being done, and how the goals stand in the optimiser's own dose.

    Parameters
    ----------
    is_quiet : bool
        Say nothing.
    """

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._console = Console(stderr=True)
        self._started = time.monotonic()
        self._live: Live | None = None
        self._goals: tuple[GoalNow, ...] = ()
        self._last = ""
        self._n_met = -1
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._task = self._progress.add_task("starting", total=1.0)

    def __enter__(self) -> Self:
        if not self._is_quiet and self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, what: str, share: float) -> None:
        """Say what is being done, and the share of it done."""
        if self._live is not None:
            self._progress.update(self._task, description=what, completed=share)
            self._draw()
            return
        step = what.split(":", 1)[0]
        if step != self._last:
            self._line(step)
        self._last = step

    def goals(self, now: tuple[GoalNow, ...]) -> None:
        """Say how the goals stand."""
        self._goals = now
        n_met = sum(goal.is_met is True for goal in now)
        if self._live is not None:
            self._draw()
        elif n_met != self._n_met:
            n_told = sum(goal.is_met is not None for goal in now)
            self._line(f"{n_met} of {n_told} goals met in the optimiser")
        self._n_met = n_met

    def _line(self, text: str) -> None:
        if not self._is_quiet:
            typer.echo(f"[{time.monotonic() - self._started:6.1f} s] {text}", err=True)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(Group(self._progress, board(self._goals)))


def board(goals: tuple[GoalNow, ...]) -> Table:
    """Return the goals as a table, those not met first."""
    table = Table("", "goal", "now", title="goals in the optimiser", title_justify="left")
    order = sorted(goals, key=lambda goal: goal.is_met is True)
    for goal in order[:ROWS_SHOWN]:
        mark = {True: "met", False: "not yet", None: "?"}[goal.is_met]
        value = "unknown" if math.isnan(goal.value) else f"{goal.value:.4g}"
        table.add_row(mark, f"{goal.structure} {goal.text}", value)
    return table
