"""Daily oral morphine equivalents, by a table that is always named.

Published tables disagree; there is no default. An equivalent compares doses, it is no guide for
changing one drug for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from rerad.errors import InputError, MissingDataError
from rerad.tables import Source, load_table, source_of

HOURS_PER_DAY = 24.0


@dataclass(frozen=True, slots=True)
class OpioidTable:
    """One version of the conversion factors.

    Parameters
    ----------
    name, title : str
        Short and full name.
    oral : mapping of str to float
        Milligrams of oral morphine per milligram taken by mouth.
    transdermal_ug_per_hour : mapping of str to float
        Milligrams of oral morphine a day per microgram an hour through the skin.
    source : Source
        Where the factors were read.
    """

    name: str
    title: str
    oral: Mapping[str, float]
    transdermal_ug_per_hour: Mapping[str, float]
    source: Source


@cache
def opioid_tables() -> tuple[OpioidTable, ...]:
    """Return every version that ships."""
    return tuple(
        OpioidTable(
            name=row["name"],
            title=row["title"],
            oral=row["oral"],
            transdermal_ug_per_hour=row["transdermal_ug_per_hour"],
            source=source_of(row, f"opioids {row['name']}"),
        )
        for row in load_table("opioids")["table"]
    )


def opioid_table(name: str) -> OpioidTable:
    """Return the version of that name, or raise `MissingDataError`."""
    for table in opioid_tables():
        if table.name == name:
            return table
    known = ", ".join(table.name for table in opioid_tables())
    msg = f"no opioid conversion table {name!r}; there are {known}"
    raise MissingDataError(msg)


def oral_morphine_mg_day(
    drug: str, dose_mg: float, every_hours: float, table: OpioidTable
) -> float:
    """Return the daily oral morphine equivalent of an opioid taken by mouth.

    ``dose_mg * 24 / every_hours * factor``

    Parameters
    ----------
    drug : str
        Generic name.
    dose_mg : float
        One dose, in mg.
    every_hours : float
        Hours between doses, above 0.
    table : OpioidTable
        Version of the factors.

    Returns
    -------
    float
        In mg a day.

    Raises
    ------
    MissingDataError
        If the table does not hold the drug.
    InputError
        If a number is out of range.

    Examples
    --------
    Oxycodone 60 mg every 12 hours:

    >>> oral_morphine_mg_day("oxycodone", 60, 12, opioid_table("cdc-2022"))
    180.0
    """
    if dose_mg < 0 or every_hours <= 0:
        msg = f"{drug}: expected a dose of 0 or more and an interval above 0, "
        msg += f"got {dose_mg} mg every {every_hours} h"
        raise InputError(msg)
    factor = table.oral.get(drug.strip().lower())
    if factor is None:
        msg = f"{drug} by mouth is not in opioid conversion table {table.name}; "
        msg += f"it holds {', '.join(table.oral)}"
        raise MissingDataError(msg)
    return dose_mg * HOURS_PER_DAY / every_hours * factor
