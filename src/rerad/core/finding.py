"""What a human must see and weigh: it travels in the result and in the report, not in a log."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much it matters."""

    NOTE = "note"
    CAUTION = "caution"
    SERIOUS = "serious"


@dataclass(frozen=True, slots=True)
class Finding:
    """One statement for the clinician.

    Parameters
    ----------
    severity : Severity
        Note, caution or serious.
    code : str
        Short stable name, words joined by hyphens, for example ``prior-dose-outside-grid``.
    text : str
        One or two sentences: what was found, where, and what it means.
    where : str
        Structure, course or object concerned; may be empty.
    """

    severity: Severity
    code: str
    text: str
    where: str = ""
