"""Survival from each landmark of a history: a number only where two dates are known."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from rerad.core.clinical_history import (
    ClinicalHistory,
    CourseRecord,
    Death,
    Diagnosis,
    FollowUp,
    Surgery,
)
from rerad.units import DAYS_PER_MONTH


@dataclass(frozen=True, slots=True)
class SurvivalTime:
    """Time from a landmark to death, or to when the patient was last known to live.

    Parameters
    ----------
    landmark : str
        From when.
    days : int or None
        None where a date is unknown.
    is_death : bool
        True: to death. False: censored at the last visit, or nothing is known.
    said : str
        What the record says about the time of death, in its words; may be empty.
    """

    landmark: str
    days: int | None
    is_death: bool
    said: str

    @property
    def months(self) -> float | None:
        """The same in months of 365.25/12 days."""
        return None if self.days is None else self.days / DAYS_PER_MONTH


def survival_times(history: ClinicalHistory) -> tuple[SurvivalTime, ...]:
    """Return survival from diagnosis, surgery, and start and end of every course.

    Parameters
    ----------
    history : ClinicalHistory
        With at most one death.

    Returns
    -------
    tuple of SurvivalTime
        In order of the story; empty if there is neither a death nor a visit.
    """
    deaths = history.of_kind(Death)
    visits = [
        visit.date
        for visit in history.of_kind(FollowUp)
        if visit.is_alive is True and isinstance(visit.date, date)
    ]
    if not deaths and not visits:
        return ()
    is_death = bool(deaths)
    end = _date(deaths[0].date) if deaths else max(visits)
    said = deaths[0].when if deaths and isinstance(deaths[0].when, str) else ""
    return tuple(
        SurvivalTime(
            landmark=name,
            days=None if start is None or end is None else (end - start).days,
            is_death=is_death,
            said=said,
        )
        for name, start in _landmarks(history)
    )


def _landmarks(history: ClinicalHistory) -> Iterator[tuple[str, date | None]]:
    """Return what time is counted from."""
    for record in history.records:
        if isinstance(record, Diagnosis):
            yield f"diagnosis: {record.title}", _date(record.date)
        elif isinstance(record, Surgery):
            yield "surgery", _date(record.date)
        elif isinstance(record, CourseRecord):
            yield f"start of {record.title}", _date(record.start)
            yield f"end of {record.title}", _date(record.end)


def _date(value: object) -> date | None:
    """Return a date, None where it is absent."""
    return value if isinstance(value, date) else None
