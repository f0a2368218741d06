"""What became of a course: the states just before it and first after it, compared."""

from dataclasses import dataclass, replace
from typing import TypeVar

from rerad.core.clinical_history import (
    UNKNOWN,
    ClinicalHistory,
    ClinicalRecord,
    CourseRecord,
    MuscleStrength,
    OpioidUse,
    SymptomScore,
)
from rerad.outcome.motor import MotorChange, motor_change
from rerad.outcome.pain import PainResponse, PainState, pain_response

_Kind = TypeVar("_Kind", bound=ClinicalRecord)


@dataclass(frozen=True, slots=True)
class CourseOutcome:
    """Response to one course.

    Parameters
    ----------
    course : CourseRecord
        Which.
    pain : PainResponse or None
        None where no pain is on record both before and after.
    motor : MotorChange or None
        Likewise for strength.
    """

    course: CourseRecord
    pain: PainResponse | None
    motor: MotorChange | None


def course_outcome(history: ClinicalHistory, course_key: str) -> CourseOutcome:
    """Return the response to a course.

    The last record before the course in the order of the story is compared with the first one
    after it and before the next course; opioids likewise, and unknown where there is none.

    Parameters
    ----------
    history : ClinicalHistory
        Of one patient.
    course_key : str
        Which course.

    Returns
    -------
    CourseOutcome

    Raises
    ------
    CourseNotFoundError
        If there is no such course.
    """
    course = history.course(course_key)
    orders = [c.order for c in history.of_kind(CourseRecord)]
    before_all = max((o for o in orders if o < course.order), default=-1)
    after_all = min((o for o in orders if o > course.order), default=None)
    pains = [s for s in history.of_kind(SymptomScore) if s.symptom.strip().lower() == "pain"]
    span = (before_all, course.order, after_all)
    pain_before, pain_after = _around(pains, span)
    strength_before, strength_after = _around(history.of_kind(MuscleStrength), span)
    opioid_before, opioid_after = _around(history.of_kind(OpioidUse), span)
    pain = None
    if pain_before is not None and pain_after is not None:
        before, after = _state(pain_before, opioid_before), _state(pain_after, opioid_after)
        after = _by_one_table(after, opioid_before, opioid_after)
        pain = pain_response(before, after)
    motor = None
    if strength_before is not None and strength_after is not None:
        motor = motor_change(strength_before, strength_after)
    return CourseOutcome(course, pain, motor)


def _around(
    records: tuple[_Kind, ...] | list[_Kind], span: tuple[int, int, int | None]
) -> tuple[_Kind | None, _Kind | None]:
    """Return the last record before a course and the first after it."""
    start, middle, end = span
    before = [r for r in records if start < r.order <= middle]
    after = [r for r in records if r.order > middle and (end is None or r.order < end)]
    return (before[-1] if before else None), (after[0] if after else None)


def _state(pain: SymptomScore, opioid: OpioidUse | None) -> PainState:
    """Return pain and opioid at one time.

    A dose counts as the dose at the score unless the record was asked when it was taken and
    could not say: then it may have been given for that pain, and the dose at the score is unknown.
    """
    low, high = _number(pain.lowest), _number(pain.highest)
    other = ""
    if not pain.is_from_0_to_10:
        low, high, other = None, None, _on_another_scale(pain)
    if opioid is None:
        return PainState(low, high, None, score_words=other)
    equivalent = _number(opioid.oral_morphine_mg_day)
    if equivalent is None or not (opioid.when is UNKNOWN and opioid.date is UNKNOWN):
        return PainState(low, high, equivalent, score_words=other)
    words = (
        f"the record states {_as_prescribed(opioid)}, {equivalent:g} mg oral morphine a day, but "
        "not whether it was taken at that score or given for it"
    )
    return PainState(low, high, None, words, other)


def _by_one_table(
    after: PainState, first: OpioidUse | None, second: OpioidUse | None
) -> PainState:
    """Return the later state without its opioid dose if the two were converted by two tables."""
    if first is None or second is None or after.oral_morphine_mg_day is None:
        return after
    tables = first.conversion_table, second.conversion_table
    if tables[0] == tables[1] or not all(isinstance(name, str) for name in tables):
        return after
    words = (
        f"{after.oral_morphine_mg_day:g} mg oral morphine a day by table {tables[1]}, but the "
        f"earlier dose by {tables[0]}: convert both by one"
    )
    return replace(after, oral_morphine_mg_day=None, opioid_words=words)


def _on_another_scale(pain: SymptomScore) -> str:
    """Return a score that cannot be read from 0 to 10, with its scale."""
    scores = {s for s in (_number(pain.lowest), _number(pain.highest)) if s is not None}
    scale = pain.scale if isinstance(pain.scale, str) else "a scale that is not stated"
    said = " to ".join(f"{score:g}" for score in sorted(scores)) or "no score"
    return f"the record states {said} on {scale}, which is not from 0 to 10"


def _as_prescribed(opioid: OpioidUse) -> str:
    """Return drug, dose and interval as far as they are known."""
    dose, hours = _number(opioid.dose_mg), _number(opioid.every_hours)
    return (
        opioid.drug
        + (f" {dose:g} mg" if dose is not None else "")
        + (f" every {hours:g} h" if hours is not None else "")
    )


def _number(value: object) -> float | None:
    """Return a number, None where it is absent."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None  # type: ignore[arg-type]
