"""The patient's story as one picture: courses, events, pain, strength and drugs down the page."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from rerad.core import Course, EventKind, HistoryEvent
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.wording import UNKNOWN, compact, joined
from rerad.units import DAYS_PER_MONTH

_WIDTH = 100.0
"""Width of the picture in its own units; rows are measured in lines of text."""

_WHEN_X, _SPINE_X, _STORY_X = 13.0, 16.0, 18.6
_PAIN_X, _GRADE_X, _DRUG_X = (71.5, 82.5), 87.0, (91.0, 99.0)
_BAR_X = (18.6, 50.0)
_TEXT_CHARS, _TITLE_CHARS, _WHEN_CHARS = 74, 62, 17
_LINE = 1.0
_GAP = 0.75

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


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of the picture: a course or an event, with its text already broken into lines."""

    order: int
    when: tuple[str, ...]
    title: tuple[str, ...]
    text: tuple[str, ...]
    date: date | None
    event: HistoryEvent | None = None
    course: Course | None = None
    is_today: bool = False

    @property
    def height(self) -> float:
        """Lines of text that the row needs."""
        lines = len(self.title) + 0.86 * len(self.text) + (1.15 if self.course else 0.0)
        return max(lines, float(len(self.when)) * 0.9, 1.0) + _GAP


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
    rows = _rows(result)
    head = 2.6
    height = head + sum(row.height for row in rows)
    figure = style.new_figure(max(1.6, height * 0.132))
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, _WIDTH)
    axes.set_ylim(height, 0)
    axes.axis("off")
    columns = _columns_in_use(rows)
    _draw_head(axes, columns)
    axes.plot([_SPINE_X] * 2, [head - 0.3, height - 0.4], color=style.HAIRLINE, lw=1.6, zorder=1)
    longest = max(
        (row.course.n_fractions_planned or 0 for row in rows if row.course is not None), default=1
    )
    drug_max = max((e.oral_morphine_mg_day or 0 for e in _events(rows)), default=0.0)
    top = head
    for row in rows:
        _draw_row(axes, row, top)
        if row.course is not None:
            _draw_course(axes, row, top, longest)
        if row.event is not None:
            _draw_measures(axes, row.event, top + 0.5, drug_max)
        top += row.height
    return figure


def _rows(result: CaseResult) -> list[_Row]:
    """Courses and events in one order."""
    history = result.history
    rows = [
        _course_row(course, order, is_today=False)
        for course, order in zip(history.courses, history.course_orders, strict=True)
    ]
    last = history.courses[-1] if history.courses else None
    today = _course_row(result.current, result.current_order, is_today=True)
    if last is not None:
        interval = f"interval since {last.name}: {_interval(last, result.current)}"
        today = replace(today, text=(*today.text, interval))
    rows.append(today)
    rows.extend(_event_row(event) for event in history.events)
    return sorted(rows, key=lambda row: row.order)


def _events(rows: Iterable[_Row]) -> list[HistoryEvent]:
    return [row.event for row in rows if row.event is not None]


def _wrapped(text: str, n_chars: int, n_lines: int) -> tuple[str, ...]:
    """Break text into lines, ending in dots where it does not fit."""
    return tuple(textwrap.wrap(text, n_chars, max_lines=n_lines, placeholder=" …"))


def _event_row(event: HistoryEvent) -> _Row:
    when = event.date.isoformat() if event.date else event.when
    text = "" if event.text.strip() == event.title.strip() else event.text
    return _Row(
        event.order,
        _wrapped(when or "date unknown", _WHEN_CHARS, 3),
        _wrapped(event.title, _TITLE_CHARS, 2),
        _wrapped(text, _TEXT_CHARS, 3),
        event.date,
        event=event,
    )


def _course_row(course: Course, order: int, *, is_today: bool) -> _Row:
    when = "date unknown"
    if course.start or course.end:
        start = course.start.isoformat() if course.start else UNKNOWN
        when = start if course.end in (None, course.start) else f"{start} to {course.end}"
    levels = joined((f"{p.structure} {compact(p.dose_gy)} Gy" for p in course.prescriptions), ", ")
    detail = joined((course.site, levels, course.technique), " · ")
    if course.is_stopped_early:
        detail = joined(
            (detail, f"stopped early: {course.stop_reason or 'reason unknown'}"), " · "
        )
    name = f"{course.name} (today's plan)" if is_today else course.name
    return _Row(
        order,
        _wrapped(when, _WHEN_CHARS, 3),
        _wrapped(name, _TITLE_CHARS, 1),
        _wrapped(detail, _TEXT_CHARS, 3),
        course.start,
        course=course,
        is_today=is_today,
    )


def _columns_in_use(rows: list[_Row]) -> dict[str, bool]:
    """Which of the columns on the right have anything in them."""
    events = _events(rows)
    return {
        "pain": any(e.pain_score is not None for e in events),
        "grade": any(e.muscle_grade for e in events),
        "drug": any(e.oral_morphine_mg_day is not None for e in events),
    }


def _draw_head(axes: Axes, columns: dict[str, bool]) -> None:
    """Column titles and the scale of pain."""
    middle = 0.95
    kwargs: dict[str, Any] = {"fontsize": 5.8, "color": style.SLATE, "va": "center"}
    axes.text(_WHEN_X, middle, "WHEN", ha="right", **kwargs)
    axes.text(_STORY_X, middle, "WHAT HAPPENED", ha="left", **kwargs)
    if columns["pain"]:
        low, high = _PAIN_X
        axes.text((low + high) / 2, middle, "PAIN, 0–10", ha="center", **kwargs)
        for value in (0, 5, 10):
            x = low + (high - low) * value / 10
            axes.text(x, 1.7, str(value), ha="center", **(kwargs | {"fontsize": 5}))
    if columns["grade"]:
        axes.text(_GRADE_X, middle, "MUSCLE\nGRADE", ha="center", linespacing=1.0, **kwargs)
    if columns["drug"]:
        axes.text(
            sum(_DRUG_X) / 2,
            middle,
            "MORPHINE EQ.\nMG/DAY",
            ha="center",
            linespacing=1.0,
            **kwargs,
        )
    axes.plot([0, _WIDTH], [2.2, 2.2], color=style.HAIRLINE, lw=0.6)


def _draw_row(axes: Axes, row: _Row, top: float) -> None:
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


def _write_story(axes: Axes, row: _Row, top: float, color: str) -> None:
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


def _draw_course(axes: Axes, row: _Row, top: float, longest: int) -> None:
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


def _draw_measures(axes: Axes, event: HistoryEvent, y: float, drug_max: float) -> None:
    """Pain with its range, muscle grade, morphine equivalent."""
    if event.pain_score is not None:
        low, high = event.pain_score
        x0, x1 = (_PAIN_X[0] + (_PAIN_X[1] - _PAIN_X[0]) * v / 10 for v in (low, high))
        axes.plot(list(_PAIN_X), [y, y], color=style.HAIRLINE, lw=0.8, zorder=1)
        axes.plot([x0, x1], [y, y], color=style.RED, lw=3.2, solid_capstyle="round", zorder=3)
        axes.plot([x0, x1], [y, y], color=style.RED, marker="o", ms=3.6, lw=0, zorder=3)
        words = compact(low) if low == high else f"{compact(low)}–{compact(high)}"
        axes.text(
            x1 + 0.9, y - 0.02, words, va="center", fontsize=6.4, color=style.RED, weight="bold"
        )
    if event.muscle_grade:
        axes.text(
            _GRADE_X,
            y,
            event.muscle_grade,
            ha="center",
            va="center",
            fontsize=7,
            weight="bold",
            color="#5a6b1f",
        )
    if event.oral_morphine_mg_day is not None and drug_max > 0:
        width = (_DRUG_X[1] - _DRUG_X[0]) * event.oral_morphine_mg_day / drug_max
        axes.add_patch(
            Rectangle((_DRUG_X[0], y + 0.32), width, 0.22, color="#a23b72", lw=0, zorder=3)
        )
        axes.text(
            _DRUG_X[0],
            y - 0.1,
            compact(event.oral_morphine_mg_day),
            va="center",
            fontsize=6.4,
            color="#a23b72",
            weight="bold",
        )


def _interval(first: Course, second: Course) -> str:
    """The time between two courses, unknown where a date is."""
    if first.end is None or second.start is None:
        return UNKNOWN
    return interval_text(first.end, second.start)


def interval_text(first: date, second: date) -> str:
    """Return the time between two dates in months, or days where it is short.

    Examples
    --------
    >>> interval_text(date(2024, 1, 1), date(2025, 1, 1))
    '12 months'
    >>> interval_text(date(2024, 1, 1), date(2024, 1, 20))
    '19 days'
    """
    days = (second - first).days
    if days < 2 * DAYS_PER_MONTH:
        return f"{days} days"
    return f"{days / DAYS_PER_MONTH:.0f} months"
