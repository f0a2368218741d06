"""The patient's story as one picture: courses, events, pain, strength and drugs down the page."""

import tempfile
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from rerad.core import EventKind, TreatmentHistory
from rerad.errors import InputError
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.timeline_measures import (
    DRUG_X,
    PAIN_X,
    Placed,
    columns_in_use,
    draw_column_heads,
    draw_measures,
)
from rerad.reporting.timeline_rows import StoryRow, case_rows, events_of, history_rows
from rerad.reporting.wording import UNKNOWN

_WIDTH = 100.0
"""Width of the picture in its own units; rows are measured in lines of text."""

_WHEN_X, _SPINE_X, _STORY_X = 13.0, 16.0, 18.6
_BAR_X = (18.6, 47.0)
_HEAD = 2.6
_LINE = 1.0

_FOOT = (
    "In the order of the record, distances not to scale. Bars: fractions delivered (filled) of "
    "planned (outline). Broken lines lead the eye; nothing was measured on them."
)

FORMATS = (".png", ".pdf", ".svg")
"""Endings of files that a timeline can be written to."""

_KIND_COLORS: dict[EventKind, str] = {
    EventKind.DIAGNOSIS: "#6b4c9a",
    EventKind.SURGERY: "#8c564b",
    EventKind.SYSTEMIC: "#00798c",
    EventKind.IMAGING: "#5b6775",
    EventKind.SYMPTOM: "#c0632a",
    EventKind.FUNCTION: "#5a6b1f",
    EventKind.DRUG: "#a23b72",
    EventKind.OUTCOME: "#1b2430",
}


def draw_timeline(result: CaseResult) -> Figure:
    """Draw the story of a case from top to bottom.

    Parameters
    ----------
    result : CaseResult
        Its history and today's course.

    Returns
    -------
    matplotlib.figure.Figure
        Rows stand in the order of the record; their distances are not to scale.
    """
    return _draw_story(case_rows(result), "")


def draw_history(history: TreatmentHistory) -> Figure:
    """Draw the story of a history, no course of which is today's.

    Parameters
    ----------
    history : TreatmentHistory
        From the ledger or from a file.

    Returns
    -------
    matplotlib.figure.Figure
        As `draw_timeline`, with a line above on who it is and one below on what is unknown.
    """
    rows = history_rows(history)
    if not rows:
        msg = f"patient {history.patient.patient_id} has neither courses nor events to draw"
        raise InputError(msg)
    return _draw_story(rows, history.summary)


def write_timeline(history: TreatmentHistory, path: Path) -> None:
    """Write the picture of a history; beside and renamed.

    Parameters
    ----------
    history : TreatmentHistory
        What to draw.
    path : Path
        Ends in .png, .pdf or .svg; its folder must exist.

    Raises
    ------
    InputError
        If the ending is another, the folder is not there, or there is nothing to draw.
    """
    if path.suffix.lower() not in FORMATS:
        msg = f"expected a picture ending in {', '.join(FORMATS)}, got {path}"
        raise InputError(msg)
    if not path.parent.is_dir():
        msg = f"the folder {path.parent} for the picture is not there; make it first"
        raise InputError(msg)
    figure = draw_history(history)
    with tempfile.TemporaryDirectory(prefix=".timeline-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        style.save(figure, part, dpi=2 * style.DPI)
        part.replace(path)


def _draw_story(rows: list[StoryRow], title: str) -> Figure:
    """Draw rows from top to bottom, and beside them the measures."""
    top = 1.6 if title else 0.0
    foot = 1.0 if title else 0.0
    height = top + _HEAD + sum(row.height for row in rows) + foot
    figure = style.new_figure(max(1.6, height * 0.132))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height - top, -top)
    axes.axis("off")
    if title:
        axes.text(0.8, -0.6, _shortened(title), va="center", fontsize=6.6, color=style.INK)
    columns = columns_in_use(events_of(rows))
    _draw_head(axes, columns)
    _draw_rows(axes, rows, columns)
    if title:
        axes.text(0.8, height - top - 0.5, _FOOT, va="center", fontsize=5.2, color=style.FAINT)
    return figure


def _shortened(title: str) -> str:
    """Return as much of a sentence as one line holds."""
    longest = 122
    return title if len(title) <= longest else f"{title[: longest - 2].rsplit(' ', 1)[0]} …"


def _draw_rows(axes: Axes, rows: list[StoryRow], columns: dict[str, bool]) -> None:
    """Draw the spine, every row on it, and the measures."""
    end = _HEAD + sum(row.height for row in rows)
    axes.plot([_SPINE_X] * 2, [_HEAD - 0.3, end - 0.4], color=style.HAIRLINE, lw=1.6, zorder=1)
    longest = max(
        (row.course.n_fractions_planned or 0 for row in rows if row.course is not None), default=1
    )
    placed: list[Placed] = []
    top = _HEAD
    for row in rows:
        _draw_row(axes, row, top)
        if row.course is not None:
            _draw_course(axes, row, top, longest)
            if any(columns.values()):
                _draw_treatment_band(axes, top, row.height)
        if row.event is not None:
            placed.append((top + 0.5, row.event))
        top += row.height
    draw_measures(axes, placed, columns)


def _draw_treatment_band(axes: Axes, top: float, height: float) -> None:
    """Mark in the columns of measures when dose was given."""
    left = PAIN_X[0] - 1.0
    band = Rectangle(
        (left, top), DRUG_X[1] + 1.0 - left, height - 0.5, color=style.ACCENT, alpha=0.07, lw=0
    )
    axes.add_patch(band)
    axes.text(
        DRUG_X[1] + 0.6,
        top + (height - 0.5) / 2,
        "dose given",
        ha="right",
        va="center",
        fontsize=5.2,
        color=style.ACCENT,
    )


def _draw_head(axes: Axes, columns: dict[str, bool]) -> None:
    """Write the titles of the columns."""
    middle = 0.95
    words: dict[str, Any] = {"fontsize": 5.8, "color": style.SLATE, "va": "center"}
    axes.text(_WHEN_X, middle, "WHEN", ha="right", **words)
    axes.text(_STORY_X, middle, "WHAT HAPPENED", ha="left", **words)
    draw_column_heads(axes, columns, middle)
    axes.plot([0, _WIDTH], [2.2, 2.2], color=style.HAIRLINE, lw=0.6)


def _draw_row(axes: Axes, row: StoryRow, top: float) -> None:
    """Date, marker on the spine, title and text of one row."""
    if row.is_today:
        box = Rectangle((0, top - 0.32), _WIDTH, row.height - 0.1, color="#eef4fa", zorder=0, lw=0)
        axes.add_patch(box)
    is_unknown = row.when[0] == "date unknown" if row.when else False
    for n, line in enumerate(row.when):
        axes.text(
            _WHEN_X,
            top + 0.5 + 0.9 * n,
            line,
            ha="right",
            va="center",
            fontsize=5.8,
            color=style.FAINT if is_unknown else style.SLATE,
            style="italic" if is_unknown else "normal",
        )
    color = style.ACCENT if row.course else _KIND_COLORS[row.event.kind]  # type: ignore[union-attr]
    marker, size = ("s", 6.5) if row.course else ("o", 4.6)
    axes.plot(
        [_SPINE_X],
        [top + 0.5],
        marker=marker,
        ms=size,
        color=color,
        mec="white",
        mew=0.8,
        zorder=3,
    )
    _write_story(axes, row, top, color)


def _write_story(axes: Axes, row: StoryRow, top: float, color: str) -> None:
    """Title with its kind, and the record's statement."""
    y = top + 0.5
    kind = "radiotherapy" if row.course else str(row.event.kind)  # type: ignore[union-attr]
    for n, line in enumerate(row.title):
        label = axes.text(
            _STORY_X, y, line, va="center", fontsize=7, color=style.INK, weight="bold"
        )
        if n == 0:
            axes.annotate(
                kind,
                (1, 0.5),
                xycoords=label,
                xytext=(5, 0),
                textcoords="offset points",
                va="center",
                fontsize=5.4,
                color=color,
            )
        y += _LINE
    y += 1.15 if row.course else 0
    for line in row.text:
        axes.text(_STORY_X, y, line, va="center", fontsize=6, color=style.SLATE)
        y += 0.86


def _draw_course(axes: Axes, row: StoryRow, top: float, longest: int) -> None:
    """Fractions delivered over fractions planned, as a bar."""
    course = row.course
    assert course is not None
    planned, given = course.n_fractions_planned, course.n_fractions_delivered
    y, height = top + 1.12, 0.78
    scale = (_BAR_X[1] - _BAR_X[0]) / max(longest, 1)
    width = scale * (planned or longest)
    box = "round,pad=0,rounding_size=0.25"
    dashed = "--" if planned is None else "-"
    axes.add_patch(
        FancyBboxPatch(
            (_BAR_X[0], y),
            width,
            height,
            boxstyle=box,
            fc="white",
            ec=style.ACCENT,
            lw=0.8,
            ls=dashed,
            zorder=2,
        )
    )
    if given:
        axes.add_patch(
            FancyBboxPatch(
                (_BAR_X[0], y),
                scale * given,
                height,
                boxstyle=box,
                fc=style.ACCENT,
                ec="none",
                zorder=3,
            )
        )
    words = (
        f"{UNKNOWN if given is None else given} of {UNKNOWN if planned is None else planned} "
        "fractions"
    )
    axes.text(
        _BAR_X[0] + width + 1.0,
        y + height / 2,
        words,
        va="center",
        fontsize=6.2,
        color=style.AMBER if course.is_stopped_early else style.ACCENT,
        weight="bold",
    )
