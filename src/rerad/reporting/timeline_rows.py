"""Rows of the timeline: courses and events in the order of the record, their text broken."""

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from rerad.core import Course, HistoryEvent, TreatmentHistory
from rerad.planning.result import CaseResult
from rerad.reporting.wording import UNKNOWN, compact, joined
from rerad.units import DAYS_PER_MONTH

_TEXT_CHARS, _TITLE_CHARS, _WHEN_CHARS = 70, 58, 17
_GAP = 0.75


@dataclass(frozen=True, slots=True)
class StoryRow:
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


def history_rows(history: TreatmentHistory) -> list[StoryRow]:
    """Return courses and events of a history in one order."""
    rows = [
        _course_row(course, order, is_today=False)
        for course, order in zip(history.courses, history.course_orders, strict=True)
    ]
    rows.extend(_event_row(event) for event in history.events)
    return sorted(rows, key=lambda row: row.order)


def case_rows(result: CaseResult) -> list[StoryRow]:
    """Return the rows of a case: its history, and today's course in its place."""
    last = result.history.courses[-1] if result.history.courses else None
    today = _course_row(result.current, result.current_order, is_today=True)
    if last is not None:
        interval = f"interval since {last.name}: {_interval(last, result.current)}"
        today = replace(today, text=(*today.text, interval))
    return sorted([*history_rows(result.history), today], key=lambda row: row.order)


def events_of(rows: Iterable[StoryRow]) -> list[HistoryEvent]:
    """Return the events among rows."""
    return [row.event for row in rows if row.event is not None]


def _wrapped(text: str, n_chars: int, n_lines: int) -> tuple[str, ...]:
    """Break text into lines, ending in dots where it does not fit."""
    return tuple(textwrap.wrap(text, n_chars, max_lines=n_lines, placeholder=" …"))


def _event_row(event: HistoryEvent) -> StoryRow:
    when = event.date.isoformat() if event.date else event.when
    text = "" if event.text.strip() == event.title.strip() else event.text
    return StoryRow(
        event.order,
        _wrapped(when or "date unknown", _WHEN_CHARS, 3),
        _wrapped(event.title, _TITLE_CHARS, 2),
        _wrapped(text, _TEXT_CHARS, 3),
        event.date,
        event=event,
    )


def _course_row(course: Course, order: int, *, is_today: bool) -> StoryRow:
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
    return StoryRow(
        order,
        _wrapped(when, _WHEN_CHARS, 3),
        _wrapped(name, _TITLE_CHARS, 1),
        _wrapped(detail, _TEXT_CHARS, 3),
        course.start,
        course=course,
        is_today=is_today,
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
