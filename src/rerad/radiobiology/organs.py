"""Which organ of the limit and recovery tables a structure name stands for."""

from collections.abc import Iterator

from rerad.tables import load_table


def _candidates(structure_name: str) -> Iterator[str]:
    """Yield the name, then without qualifier, then without side."""
    stems = [structure_name]
    for mark in ("^", "-"):
        stems.append(structure_name.split(mark, 1)[0])
    for stem in stems:
        yield stem
        if stem.casefold().endswith(("_l", "_r")):
            yield stem[:-2]


def organ_of(structure_name: str) -> str | None:
    """Return the organ of the tables that a TG-263 structure name stands for.

    Side (``_L``, ``_R``) and qualifiers after ``^`` or ``-`` do not change the organ. A planning
    risk volume (``_PRV05``) is not its organ: limits are not stated for it.

    Parameters
    ----------
    structure_name : str
        Structure name, or already an organ of the tables.

    Returns
    -------
    str or None
        Name such as ``"sacral plexus"``; None if no table knows the structure.

    Examples
    --------
    >>> organ_of("SacralPlex_R")
    'sacral plexus'
    """
    rows = load_table("tolerances")["organ"]
    known = {name.casefold(): row["organ"] for row in rows for name in row["structures"]}
    known |= {row["organ"].casefold(): row["organ"] for row in rows}
    for candidate in _candidates(structure_name.strip()):
        organ = known.get(candidate.casefold())
        if organ is not None:
            return str(organ)
    return None
