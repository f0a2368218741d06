"""Read the tables of published numbers; every row names its source and how far it was read.

Trust tags: ``R`` read in the primary source, ``R2`` read in a secondary transcription, ``M``
expert memory, ``C`` computed from a stated formula. A row without citation or tag is refused, so
that no number can enter without saying where it comes from.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from rerad.errors import InputError, MissingDataError

TRUST_TAGS: Mapping[str, str] = {
    "R": "read in the primary source",
    "R2": "read in a secondary transcription",
    "M": "expert memory, not read",
    "C": "computed from a stated formula",
}
"""How far a number can be trusted."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a number comes from.

    Parameters
    ----------
    citation : str
        Authors, year, journal or report.
    trust : str
        ``R``, ``R2``, ``M`` or ``C`` (see `TRUST_TAGS`).
    doi, pmid : str
        Identifiers without prefix; empty if none is known.
    """

    citation: str
    trust: str
    doi: str = ""
    pmid: str = ""

    @property
    def text(self) -> str:
        """Citation, identifiers and trust in one line."""
        parts = [self.citation]
        if self.doi:
            parts.append(f"doi:{self.doi}")
        if self.pmid:
            parts.append(f"PMID {self.pmid}")
        return f"{', '.join(parts)} [{self.trust}: {TRUST_TAGS[self.trust]}]"


@dataclass(frozen=True, slots=True)
class NerveDiameter:
    """Normal diameter of a lumbosacral nerve root.

    Parameters
    ----------
    root : str
        ``L1`` to ``S1``.
    mean_mm, sd_mm : float
        Mean and standard deviation.
    n_subjects : int
        People measured.
    series : str
        Short name of the series.
    source : Source
        Where it was read.
    """

    root: str
    mean_mm: float
    sd_mm: float
    n_subjects: int
    series: str
    source: Source


@cache
def load_table(name: str) -> Mapping[str, Any]:
    """Return the parsed TOML table `name` of this room, for example ``"tolerances"``.

    Raises
    ------
    MissingDataError
        If there is no such table.
    """
    file = resources.files("rerad.tables").joinpath(f"{name}.toml")
    if not file.is_file():
        msg = f"table {name!r} is not shipped with rerad; look for {name}.toml in rerad/tables"
        raise MissingDataError(msg)
    return tomllib.loads(file.read_text(encoding="utf-8"))


def source_of(row: Mapping[str, Any], where: str) -> Source:
    """Return the source that a table row names.

    Parameters
    ----------
    row : mapping
        Has ``citation`` and ``trust``, perhaps ``doi`` and ``pmid``.
    where : str
        Table and row, for the message.

    Raises
    ------
    InputError
        If the citation or a known trust tag is missing.
    """
    citation, trust = str(row.get("citation", "")), str(row.get("trust", ""))
    if not citation or trust not in TRUST_TAGS:
        msg = (
            f"{where}: expected a citation and a trust tag among {', '.join(TRUST_TAGS)}, "
            f"got {citation!r} and {trust!r}"
        )
        raise InputError(msg)
    return Source(citation, trust, str(row.get("doi", "")), str(row.get("pmid", "")))


@cache
def load_nerve_diameters() -> tuple[NerveDiameter, ...]:
    """Return the normal diameters of lumbosacral nerve roots, all series."""
    rows = load_table("nerve_diameters")["root"]
    return tuple(
        NerveDiameter(
            root=row["root"],
            mean_mm=float(row["mean_mm"]),
            sd_mm=float(row["sd_mm"]),
            n_subjects=int(row["n_subjects"]),
            series=row["series"],
            source=source_of(row, f"nerve_diameters {row['root']}"),
        )
        for row in rows
    )
