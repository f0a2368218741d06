"""Moving dates and times of day of an object as whole moments, so that intervals survive.

PS3.15 Table E.1-1 asks, under Retain Longitudinal Temporal Information with Modified Dates
(113107), that times of day are modified with the dates. A date and the time that belongs to it
are one moment: both move together, and a time that passes midnight takes its date along. A time
of day without a date moves round the clock; a date without a time moves by whole days.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

_ANY_DAY = date(2000, 1, 1)
"""A day for times without one; it falls away again."""


def moved_moments(dataset: Dataset, offset: timedelta) -> dict[BaseTag, str | list[str]]:
    """Return the new value of every date and time of a data set; not of its sequences.

    Parameters
    ----------
    dataset : Dataset
        As it came.
    offset : timedelta
        By how much every moment of the patient moves.

    Returns
    -------
    dict
        Value by tag; empty where the element held no date or time.
    """
    found: dict[BaseTag, str | list[str]] = {}
    for element in dataset:
        values = list(_texts(element.value))
        if element.VR == "DT":
            moved = [moved_datetime(text, offset) for text in values]
        elif element.VR == "DA":
            clocks = _partner(dataset, element.keyword, "Date", "Time", len(values))
            pairs = zip(values, clocks, strict=True)
            moved = [moved_date(text, clock, offset) for text, clock in pairs]
        elif element.VR == "TM":
            moved = [moved_time(text, offset) for text in values]
        else:
            continue
        found[element.tag] = moved if len(moved) > 1 else "".join(moved)
    return found


def _texts(value: object) -> Iterator[str]:
    """Return each value as text."""
    for part in value if isinstance(value, MultiValue | list) else [value]:
        yield "" if part is None else str(part)


def _partner(dataset: Dataset, keyword: str, end: str, other: str, count: int) -> list[str]:
    """Return the times that belong to dates, by name; empty texts where there are none."""
    name = keyword.removesuffix(end) + other
    values = list(_texts(dataset.get(name, ""))) if keyword.endswith(end) else []
    return values if len(values) == count else [""] * count


def moved_date(text: str, clock: str, offset: timedelta) -> str:
    """Return a DA value moved with the time of day that belongs to it; empty where it is no date.

    Examples
    --------
    >>> moved_date("20240301", "", timedelta(days=-1, hours=-3))
    '20240229'
    >>> moved_date("20240301", "0130", timedelta(days=-1, hours=-3))
    '20240228'
    """
    day, at = _day(text), _clock(clock)
    if day is None:
        return ""
    # noon: less than twelve hours to either side do not change the day
    moment = datetime.combine(day, time(12) if at is None else at)
    try:
        return f"{moment + offset:%Y%m%d}"
    except OverflowError:
        return ""


def moved_time(text: str, offset: timedelta) -> str:
    """Return a TM value moved, with as many digits as it had; empty where it is no time.

    Examples
    --------
    >>> moved_time("013059.25", timedelta(days=-1, hours=-3))
    '223059.25'
    """
    plain = text.strip().replace(":", "")
    at = _clock(plain)
    return "" if at is None else _written(datetime.combine(_ANY_DAY, at) + offset, plain)


def moved_datetime(text: str, offset: timedelta) -> str:
    """Return a DT value moved, with as many digits and the time zone that it had.

    Examples
    --------
    >>> moved_datetime("20240301013000.5+0100", timedelta(days=-1, hours=-3))
    '20240228223000.5+0100'
    """
    plain = text.strip()
    cut = max(plain.find(sign) for sign in "+-")
    zone = plain[cut:] if cut >= 0 else ""
    local = plain[:cut] if cut >= 0 else plain
    day = _day(local[:8])
    if day is None or (len(local) > 8 and _clock(local[8:]) is None):
        return ""
    if len(local) == 8:
        return moved_date(local, "", offset) + zone
    moment = datetime.combine(day, _clock(local[8:]) or time(12))
    try:
        moved = moment + offset
    except OverflowError:
        return ""
    return f"{moved:%Y%m%d}{_written(moved, local[8:])}{zone}"


def _day(text: str) -> date | None:
    """Return a DA value as a date, None if it is none."""
    plain = text.strip()
    if len(plain) == 10 and plain[4] == plain[7] == ".":
        plain = plain.replace(".", "")
    try:
        return date(int(plain[:4]), int(plain[4:6]), int(plain[6:8])) if len(plain) == 8 else None
    except ValueError:
        return None


def _clock(text: str) -> time | None:
    """Return a TM value of any precision as a time, None if it is none."""
    digits, _, fraction = text.strip().replace(":", "").partition(".")
    if fraction and len(digits) != 6:
        return None
    if len(digits) not in {2, 4, 6} or not (digits + fraction).isdecimal():
        return None
    try:
        parts = [int(digits[at : at + 2]) for at in (0, 2, 4) if digits[at : at + 2]]
        micro = int(fraction[:6].ljust(6, "0")) if fraction else 0
        # 60 is a leap second: DICOM allows it, clocks do not know it
        hour, minute, second = (*parts, 0, 0)[:3]
        return time(hour, minute, min(second, 59), micro)
    except ValueError:
        return None


def _written(moment: datetime, as_in: str) -> str:
    """Return the time of day of a moment with as many digits as a text has."""
    digits, point, fraction = as_in.partition(".")
    full = f"{moment:%H%M%S}"[: len(digits)]
    return f"{full}{point}{f'{moment:%f}'[: len(fraction)]}"


def spellings(text: str) -> frozenset[str]:
    """Return how a DA value is written in texts; none where it is no date.

    Examples
    --------
    >>> sorted(spellings("20240305"))[:3]
    ['03/05/2024', '05-03-2024', '05.03.2024']
    """
    day = _day(text[:8])
    if day is None:
        return frozenset()
    ways = ("%Y%m%d", "%Y-%m-%d", "%Y.%m.%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y",
            "%d-%m-%Y", "%d%m%Y")  # fmt: skip
    return frozenset(f"{day:{way}}" for way in ways)
