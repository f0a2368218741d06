"""Numbers from papers, each row with its source."""

from rerad.tables.load import (
    TRUST_TAGS,
    NerveDiameter,
    Source,
    load_nerve_diameters,
    load_table,
    source_of,
)

__all__ = [
    "TRUST_TAGS",
    "NerveDiameter",
    "Source",
    "load_nerve_diameters",
    "load_table",
    "source_of",
]
