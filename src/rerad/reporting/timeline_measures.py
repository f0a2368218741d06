"""Measures beside the timeline: pain, strength and opioid, each with its own column and curve.

Between two records the curves are broken lines that only lead the eye: nobody measured there.
Strength stands on the order of muscle grades, where steps are not equal.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from rerad.core import EventKind, HistoryEvent
from rerad.core.clinical_history import MUSCLE_GRADES, muscle_ordinal
from rerad.reporting import style
from rerad.reporting.wording import UNKNOWN, compact

PAIN_X, GRADE_X, DRUG_X = (66.5, 77.5), (80.5, 88.5), (91.5, 98.5)
"""Columns: left and right end."""

_DRUG_COLOR, _GRADE_COLOR = "#a23b72", "#5a6b1f"
_GRADE_TICKS = ("0", "3", "5")

Placed = tuple[float, HistoryEvent]
"""Height in the picture, and the event there."""


def columns_in_use(events: Sequence[HistoryEvent]) -> dict[str, bool]:
    """Return which of the columns have anything in them."""
    return {
        "pain": any(e.pain_score is not None for e in events),
        "grade": any(e.muscle_grade for e in events),
        "drug": any(e.oral_morphine_mg_day is not None for e in events),
    }


def draw_column_heads(axes: Axes, columns: dict[str, bool], middle: float) -> None:
    """Write titles and scales."""
    words: dict[str, Any] = {"fontsize": 5.8, "color": style.SLATE, "va": "center"}
    titles = {"pain": "PAIN, 0–10", "grade": "MUSCLE\nGRADE", "drug": "MORPHINE EQ.\nMG/DAY"}
    for name, (left, right) in (("pain", PAIN_X), ("grade", GRADE_X), ("drug", DRUG_X)):
        if columns[name]:
            at = (left + right) / 2
            axes.text(at, middle, titles[name], ha="center", linespacing=1.0, **words)
    small = words | {"fontsize": 5}
    if columns["pain"]:
        for value in (0, 5, 10):
            axes.text(_pain_x(value), 1.75, str(value), ha="center", **small)
    if columns["grade"]:
        for grade in _GRADE_TICKS:
            axes.text(_grade_x(grade) or 0.0, 1.9, grade, ha="center", **small)


def draw_measures(axes: Axes, placed: Sequence[Placed], columns: dict[str, bool]) -> None:
    """Draw every column over the height of the story.

    Parameters
    ----------
    axes : Axes
        Of the timeline.
    placed : sequence of (float, HistoryEvent)
        Events with their heights.
    columns : dict
        Which are in use.
    """
    if columns["pain"]:
        _draw_pain(axes, placed)
    if columns["grade"]:
        _draw_strength(axes, placed)
    if columns["drug"]:
        _draw_opioid(axes, placed)


def _pain_x(score: float) -> float:
    left, right = PAIN_X
    return left + (right - left) * score / 10


def _grade_x(grade: str) -> float | None:
    """Return where a grade stands in its column, None for words that are no grade."""
    ordinal = muscle_ordinal(grade)
    if not isinstance(ordinal, int):
        return None
    left, right = GRADE_X
    return left + (right - left) * ordinal / (len(MUSCLE_GRADES) - 1)


def _draw_pain(axes: Axes, placed: Sequence[Placed]) -> None:
    """Scores with their stated range, joined by a band that is no measurement."""
    scores = [(y, e.pain_score) for y, e in placed if e.pain_score is not None]
    if len(scores) > 1:
        lows = [(_pain_x(score[0]), y) for y, score in scores]
        highs = [(_pain_x(score[1]), y) for y, score in scores]
        band = Polygon([*lows, *reversed(highs)], closed=True, fc=style.RED, alpha=0.1, lw=0)
        axes.add_patch(band)
        middle = [(_pain_x(sum(score) / 2), y) for y, score in scores]
        _broken_line(axes, middle, style.RED)
    for y, (low, high) in scores:
        x0, x1 = _pain_x(low), _pain_x(high)
        axes.plot(list(PAIN_X), [y, y], color=style.HAIRLINE, lw=0.8, zorder=1)
        axes.plot([x0, x1], [y, y], color=style.RED, lw=3.2, solid_capstyle="round", zorder=3)
        axes.plot([x0, x1], [y, y], color=style.RED, marker="o", ms=3.6, lw=0, zorder=3)
        words = compact(low) if low == high else f"{compact(low)}–{compact(high)}"
        _label(axes, x1 + 0.9, y - 0.02, words, style.RED)


def _draw_strength(axes: Axes, placed: Sequence[Placed]) -> None:
    """Grades on their order, joined; a word that is no grade stands beside the column."""
    points: list[tuple[float, float]] = []
    for y, event in placed:
        if not event.muscle_grade:
            continue
        x = _grade_x(event.muscle_grade)
        axes.plot(list(GRADE_X), [y, y], color=style.HAIRLINE, lw=0.8, zorder=1)
        if x is not None:
            points.append((x, y))
            axes.plot([x], [y], color=_GRADE_COLOR, marker="D", ms=3.4, lw=0, zorder=3)
        at = GRADE_X[0] if x is None else x + 0.9
        _label(axes, at, y - 0.02, event.muscle_grade, _GRADE_COLOR)
    _broken_line(axes, points, _GRADE_COLOR)


def _draw_opioid(axes: Axes, placed: Sequence[Placed]) -> None:
    """Daily equivalents as bars of one scale."""
    doses = [(y, e.oral_morphine_mg_day) for y, e in placed if e.oral_morphine_mg_day is not None]
    highest = max((dose for _, dose in doses), default=0.0)
    for y, dose in doses:
        width = (DRUG_X[1] - DRUG_X[0]) * dose / highest if highest > 0 else 0.0
        bar = Rectangle((DRUG_X[0], y + 0.32), width, 0.22, color=_DRUG_COLOR, lw=0, zorder=3)
        axes.add_patch(bar)
        _label(axes, DRUG_X[0], y - 0.1, compact(dose), _DRUG_COLOR)
    for y, event in placed:
        if event.kind is EventKind.DRUG and event.oral_morphine_mg_day is None:
            _label(axes, DRUG_X[0], y - 0.1, UNKNOWN, style.FAINT)


def _broken_line(axes: Axes, points: Sequence[tuple[float, float]], color: str) -> None:
    """Lead the eye from one record to the next."""
    if len(points) > 1:
        xs, ys = zip(*points, strict=True)
        axes.plot(xs, ys, color=color, lw=0.9, ls=(0, (3, 2)), zorder=2)


def _label(axes: Axes, x: float, y: float, words: str, color: str) -> None:
    """Write a value."""
    axes.text(x, y, words, va="center", fontsize=6.4, color=color, weight="bold", zorder=4)
