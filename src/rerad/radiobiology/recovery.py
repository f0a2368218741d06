"""How much of an earlier course tissue is taken to have forgotten: published tables, no default.

A recovery fraction is a clinician's documented judgement, not a function of time (RCR,
*Principles of reirradiation*, 2024); the tables only say what others have used. Where the
interval is unknown every class is shown, never one number. Intervals in months (365.25/12 days).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology.organs import organ_of
from rerad.tables import Source, load_table, source_of


@dataclass(frozen=True, slots=True)
class IntervalClass:
    """One row of a recovery table.

    Parameters
    ----------
    months_from : float
        Shortest interval, included.
    months_to : float or None
        Longest interval, not included; None means without end.
    fraction : float
        Share forgotten, 0 to 1.
    """

    months_from: float
    months_to: float | None
    fraction: float

    def holds(self, months: float) -> bool:
        """Return whether an interval belongs to this class."""
        return self.months_from <= months and (self.months_to is None or months < self.months_to)

    @property
    def label(self) -> str:
        """The interval in words, for example ``3-6 months``."""
        if self.months_to is None:
            whole = self.months_from == 0
            return "any interval" if whole else f">= {self.months_from:g} months"
        return f"{self.months_from:g}-{self.months_to:g} months"


@dataclass(frozen=True, slots=True)
class OrganRecovery:
    """Recovery of one organ: its interval classes, source and caveats."""

    organ: str
    classes: tuple[IntervalClass, ...]
    source: Source
    note: str


@dataclass(frozen=True, slots=True)
class RecoveryTable:
    """A published recovery table.

    Parameters
    ----------
    name, title : str
        Key and words.
    organs : tuple of OrganRecovery
        The organ ``*`` stands for every organ not listed.
    note : str
        Caveats.
    """

    name: str
    title: str
    organs: tuple[OrganRecovery, ...]
    note: str

    def row(self, organ: str) -> OrganRecovery:
        """Return the row of an organ or structure name, or the table's general row.

        Raises
        ------
        MissingDataError
            If the table has neither.
        """
        key = organ_of(organ) or organ
        by_name = {row.organ: row for row in self.organs}
        found = by_name.get(key, by_name.get("*"))
        if found is None:
            msg = f"recovery table {self.name!r} has no row for {organ}; choose another table"
            raise MissingDataError(msg)
        return found


@dataclass(frozen=True, slots=True)
class RecoveryScenario:
    """What a table says for one class of intervals.

    Parameters
    ----------
    label : str
        The interval in words.
    months_from : float
        Shortest interval, included.
    months_to : float or None
        Longest interval, not included; None means without end.
    fraction : float
        Share of the earlier course's EQD2 that is forgotten, 0 to 1.
    citation, trust : str
        Where it comes from and how far that was read.
    note : str
        Caveats of the row.
    """

    label: str
    months_from: float
    months_to: float | None
    fraction: float
    citation: str
    trust: str
    note: str = ""


def _classes(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[IntervalClass, ...]:
    """Read interval classes in order of time."""
    return tuple(
        IntervalClass(
            months_from=float(row["from"]),
            months_to=float(row["to"]) if "to" in row else None,
            fraction=float(row[key]),
        )
        for row in rows
    )


@cache
def load_recovery_tables() -> tuple[RecoveryTable, ...]:
    """Return every shipped recovery table, "none" first."""
    return tuple(
        RecoveryTable(
            name=table["name"],
            title=table["title"],
            organs=tuple(
                OrganRecovery(
                    organ=row["organ"],
                    classes=_classes(row["classes"], "fraction"),
                    source=source_of(row, f"recovery {table['name']} {row['organ']}"),
                    note=row.get("note", ""),
                )
                for row in table["organ"]
            ),
            note=table["note"],
        )
        for table in load_table("recovery")["table"]
    )


def recovery_table(name: str) -> RecoveryTable:
    """Return the recovery table of that name, or raise `MissingDataError`."""
    tables = {table.name: table for table in load_recovery_tables()}
    if name not in tables:
        msg = f"recovery table {name!r} is not known; choose one of {', '.join(tables)}"
        raise MissingDataError(msg)
    return tables[name]


def _require_interval(months: float | None) -> float:
    """Return a usable interval or raise."""
    if months is None:
        msg = (
            "the interval between courses is unknown, so no single recovery fraction exists; "
            "show every class with recovery_scenarios"
        )
        raise MissingDataError(msg)
    if not 0 <= months < np.inf:
        msg = f"expected an interval of 0 months or more, got {months}"
        raise InputError(msg)
    return months


def recovery_fraction(table_name: str, organ: str, months: float | None) -> float:
    """Return the share of an earlier course's EQD2 that a table takes as forgotten.

    Parameters
    ----------
    table_name : str
        Name of a recovery table.
    organ : str
        Organ of the tables or TG-263 structure name.
    months : float or None
        Interval between the courses.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    MissingDataError
        If the table is unknown, the interval is unknown, or the table says nothing about it.
    InputError
        If the interval is negative.
    """
    row = recovery_table(table_name).row(organ)
    interval = _require_interval(months)
    for interval_class in row.classes:
        if interval_class.holds(interval):
            return interval_class.fraction
    msg = (
        f"recovery table {table_name!r} does not state {organ} at {interval:g} months "
        f"({row.source.citation}); choose another table or a fraction of your own"
    )
    raise MissingDataError(msg)


def recovery_scenarios(table_name: str, organ: str) -> tuple[RecoveryScenario, ...]:
    """Return what a table says for every class of intervals, shortest first.

    Neighbouring classes of equal fraction are kept apart, as printed; a class that the source
    does not state is absent.

    Parameters
    ----------
    table_name : str
        Name of a recovery table.
    organ : str
        Organ of the tables or TG-263 structure name.

    Raises
    ------
    MissingDataError
        If the table is unknown or has no row for the organ.
    """
    row = recovery_table(table_name).row(organ)
    return tuple(
        RecoveryScenario(
            label=interval_class.label,
            months_from=interval_class.months_from,
            months_to=interval_class.months_to,
            fraction=interval_class.fraction,
            citation=row.source.text,
            trust=row.source.trust,
            note=row.note,
        )
        for interval_class in row.classes
    )


def tolerance_increase(name: str, months: float | None) -> float:
    """Return by which share a published rule raises a tolerance after an interval.

    This is another way to grant recovery: it multiplies the tolerance by one plus this share and
    leaves the earlier course undiscounted. Never use it together with a recovery fraction.

    Parameters
    ----------
    name : str
        Name of a rule in the table ``recovery``, section ``tolerance_increase``.
    months : float or None
        Interval between the courses.

    Raises
    ------
    MissingDataError
        If the rule or the interval is unknown.
    InputError
        If the interval is negative.
    """
    rules = {row["name"]: row for row in load_table("recovery")["tolerance_increase"]}
    if name not in rules:
        msg = f"tolerance increase {name!r} is not known; choose one of {', '.join(rules)}"
        raise MissingDataError(msg)
    interval = _require_interval(months)
    classes = _classes(rules[name]["classes"], "increase")
    return next(row.fraction for row in classes if row.holds(interval))
