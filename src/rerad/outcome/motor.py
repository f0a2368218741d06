"""Change of muscle strength on its order of grades: better, worse or the same, never a mean."""

from dataclasses import dataclass
from enum import StrEnum

from rerad.core.clinical_history import MuscleStrength, known


class MotorDirection(StrEnum):
    """Which way strength went."""

    BETTER = "better"
    SAME = "unchanged"
    WORSE = "worse"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MotorChange:
    """Change of strength between two times.

    Parameters
    ----------
    direction : MotorDirection
        From the order of grades; how many places it is says nothing.
    reason : str
        One sentence with the grades as written.
    """

    direction: MotorDirection
    reason: str


def motor_change(before: MuscleStrength, after: MuscleStrength) -> MotorChange:
    """Compare two records of strength.

    Parameters
    ----------
    before, after : MuscleStrength
        Of the same muscles; where both say which and they differ, nothing can be compared.

    Returns
    -------
    MotorChange
    """
    for name in ("side", "muscle_group"):
        first, second = getattr(before, name), getattr(after, name)
        if known(first) and known(second) and first != second:
            what = name.replace("_", " ")
            reason = f"the {what} differs: {first} before, {second} after"
            return MotorChange(MotorDirection.UNKNOWN, reason)
    grades = f"grade {_word(before)} to {_word(after)}"
    low, high = before.ordinal, after.ordinal
    if not isinstance(low, int) or not isinstance(high, int):
        return MotorChange(MotorDirection.UNKNOWN, f"{grades}: not both in the order of grades")
    direction = MotorDirection.SAME
    if high != low:
        direction = MotorDirection.BETTER if high > low else MotorDirection.WORSE
    if not (known(before.muscle_group) and known(after.muscle_group)):
        grades += "; taken to be of the same muscles, which the record does not say"
    return MotorChange(direction, grades)


def _word(record: MuscleStrength) -> str:
    """Return the grade as written."""
    return record.grade if isinstance(record.grade, str) else record.grade.value
