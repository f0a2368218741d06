"""Names of structures: which organ a name means, what TG-263 would call it, what is wrong with it.

Nothing is ever renamed here: a suggestion is for a human to take.

References
----------
.. [1] Mayo et al. (2018), Int. J. Radiat. Oncol. Biol. Phys. 100, 1057,
   doi:10.1016/j.ijrobp.2017.12.013 (AAPM Task Group 263).
"""

import csv
import re
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

LONGEST_NAME = 16
"""Characters that TG-263 allows, because some systems store no more."""

_PLANNING_RISK_VOLUME = re.compile(r"_?PRV\d*$", re.IGNORECASE)
_LEFT = re.compile(
    r"[_\s.-](?i:left|lt|l)$|(?<=[a-z])(?:Left|LEFT|Lt|LT|L)$|^(?i:left|lt)[_\s.-]?"
)
_RIGHT = re.compile(
    r"[_\s.-](?i:right|rt|r)$|(?<=[a-z])(?:Right|RIGHT|Rt|RT|R)$|^(?i:right|rt)[_\s.-]?"
)
_ALLOWED = re.compile(r"[A-Za-z0-9_~^!+-]+")
_CLOSE_ENOUGH = 0.85


@dataclass(frozen=True, slots=True)
class StructureName:
    """One row of the table of names.

    Parameters
    ----------
    name : str
        Recommended name.
    organ : str
        Key under which limits are kept: the name without its side.
    laterality : str
        ``none``, ``left``, ``right`` or ``paired``.
    synonyms : tuple of str
        Other spellings.
    """

    name: str
    organ: str
    laterality: str
    synonyms: tuple[str, ...]


@cache
def structure_names() -> tuple[StructureName, ...]:
    """Return the table of names, in the order of ``tables/structure_names.csv``."""
    text = files("rerad.tables").joinpath("structure_names.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(
        StructureName(
            row["name"],
            row["organ"],
            row["laterality"],
            tuple(synonym for synonym in row["synonyms"].split("|") if synonym),
        )
        for row in rows
    )


def recognized_organ(name: str) -> str | None:
    """Return the organ that a structure name means, without its side.

    Parameters
    ----------
    name : str
        Any spelling in the table, with or without the side; a planning risk volume
        (``SpinalCord_PRV05``) is not its organ.

    Returns
    -------
    str or None
        Organ key, for example ``SacralPlex`` for ``SacralPlex_R``; None if the name is not known.
        Spelling mistakes are not guessed at (see :func:`suggest_name`).
    """
    row = _row_of(name)
    return row.organ if row is not None else _organs().get(_plain(name))


def suggest_name(name: str) -> str | None:
    """Return what TG-263 would call a structure.

    Parameters
    ----------
    name : str
        Any spelling; small spelling mistakes are forgiven.

    Returns
    -------
    str or None
        The recommended name, which may be `name` itself; None if nothing in the table is close.
    """
    row = _row_of(name)
    if row is not None:
        return row.name
    known = _spellings()
    for close in get_close_matches(_plain(name), list(known), n=3, cutoff=_CLOSE_ENOUGH):
        if _side_of(name) in ("none", known[close].laterality):
            return known[close].name
    return None


def check_name(name: str) -> list[str]:
    """Return what TG-263 has against a name.

    Parameters
    ----------
    name : str
        Name as it would be written into a structure set.

    Returns
    -------
    list of str
        Problems in words; empty if there is none.
    """
    problems = []
    if not name:
        return ["the name is empty"]
    if len(name) > LONGEST_NAME:
        problems.append(f"{len(name)} characters, at most {LONGEST_NAME} are allowed")
    if re.search(r"\s", name):
        problems.append("contains a space; words are joined by capitals or an underscore")
    elif not _ALLOWED.fullmatch(name):
        problems.append("contains characters other than letters, digits and _ ~ ^ ! + -")
    suggestion = suggest_name(name)
    if suggestion is not None and suggestion != name:
        problems.append(f"TG-263 has the name {suggestion}")
    return problems


def _row_of(name: str) -> StructureName | None:
    """Return the row that a name means; PRV is a volume of its own and means none."""
    return None if _PLANNING_RISK_VOLUME.search(name) else _spellings().get(_plain(name))


@cache
def _spellings() -> dict[str, StructureName]:
    """Return rows by every plain spelling; a recommended name wins over a synonym."""
    known: dict[str, StructureName] = {}
    for row in structure_names():
        for synonym in row.synonyms:
            known.setdefault(_plain(synonym), row)
    for row in structure_names():
        known[_plain(row.name)] = row
    return known


@cache
def _organs() -> dict[str, str]:
    """Return organ keys by their plain spelling."""
    return {_plain(row.organ): row.organ for row in structure_names()}


def _side_of(name: str) -> str:
    """Return ``left``, ``right`` or ``none``."""
    if _LEFT.search(name):
        return "left"
    return "right" if _RIGHT.search(name) else "none"


def _plain(name: str) -> str:
    """Return a name in lower case, only letters and digits, side as a last letter."""
    side = _side_of(name)
    if side != "none":
        pattern = _LEFT if side == "left" else _RIGHT
        stem = re.sub(r"[^a-z0-9]", "", pattern.sub("", name).lower())
        if stem:
            return f"{stem} {side}"
    return re.sub(r"[^a-z0-9]", "", name.lower())
