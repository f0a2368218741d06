"""Pain response from score and opioid together, after the international consensus.

Complete response: score 0 without more opioid. Partial: score lower by 2 or more without more
opioid, or opioid lower by 25 % or more without more pain. Progression: score higher by 2 or more
with opioid not lower, or opioid higher by 25 % or more with pain stable or 1 higher. Everything
else, and everything that cannot be told apart because something is unknown, is indeterminate.

The consensus was made for bone metastases; its use for nerve root pain is an extension.

References
----------
Chow E et al., Update of the international consensus on palliative radiotherapy endpoints for
future clinical trials in bone metastases, Int J Radiat Oncol Biol Phys 2012;82:1730-7,
doi:10.1016/j.ijrobp.2011.02.008 [M: wording from memory, not read].
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from rerad.errors import InputError

PAIN_CONSENSUS = (
    "Chow E et al. International consensus on palliative radiotherapy endpoints. Int J Radiat "
    "Oncol Biol Phys 2012;82:1730-7, doi:10.1016/j.ijrobp.2011.02.008"
)
"""Source of the classes; from memory (M)."""

SCORE_STEP = 2.0
"""Change of the 0-10 score that counts (Chow 2012) [M]."""

OPIOID_STEP = 0.25
"""Relative change of the daily oral morphine equivalent that counts (Chow 2012) [M]."""


class PainCategory(StrEnum):
    """Class of the consensus."""

    COMPLETE = "complete response"
    PARTIAL = "partial response"
    PROGRESSION = "pain progression"
    INDETERMINATE = "indeterminate response"


@dataclass(frozen=True, slots=True)
class PainState:
    """Pain and opioid at one time.

    Parameters
    ----------
    lowest, highest : float or None
        Score of the treated site, 0 to 10, as a range; None means unknown.
    oral_morphine_mg_day : float or None
        Daily oral morphine equivalent; 0 means none is taken, None means unknown.
    opioid_words : str
        What the record does say of an opioid whose dose at this time is unknown; may be empty.
    score_words : str
        What the record does say of a score that is unknown from 0 to 10; may be empty.
    """

    lowest: float | None
    highest: float | None
    oral_morphine_mg_day: float | None
    opioid_words: str = ""
    score_words: str = ""

    def __post_init__(self) -> None:
        scores = [s for s in (self.lowest, self.highest) if s is not None]
        if any(not 0 <= score <= 10 for score in scores) or scores != sorted(scores):
            msg = f"expected pain scores from 0 to 10, lowest first, got {scores}"
            raise InputError(msg)
        if self.oral_morphine_mg_day is not None and self.oral_morphine_mg_day < 0:
            msg = f"expected 0 mg a day or more, got {self.oral_morphine_mg_day}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True)
class PainResponse:
    """Class of the response, and why.

    Parameters
    ----------
    category : PainCategory
        After the consensus.
    reason : str
        One sentence.
    possible : tuple of PainCategory
        Classes that are possible with what is known; one if the class is certain.
    """

    category: PainCategory
    reason: str
    possible: tuple[PainCategory, ...]


def pain_response(before: PainState, after: PainState) -> PainResponse:
    """Return the class of the response between two times.

    Every score within the stated ranges, and every course of an unknown opioid dose, is tried;
    the response has a class only if all of them agree.

    Parameters
    ----------
    before, after : PainState
        Before treatment, and at the time that is judged.

    Returns
    -------
    PainResponse
    """
    possible = tuple(sorted({_category(b, a, change) for b, a, change in _worlds(before, after)}))
    missing = _missing(before, after)
    if len(possible) == 1:
        return PainResponse(possible[0], _facts(before, after), possible)
    why = missing or "the stated range of scores leaves it open"
    reason = f"{_facts(before, after)}; {why}, so that it could be {_either(possible)}"
    return PainResponse(PainCategory.INDETERMINATE, reason, possible)


def _either(possible: tuple[PainCategory, ...]) -> str:
    """Return the classes that are possible, in words."""
    classes = [str(item) for item in possible if item is not PainCategory.INDETERMINATE]
    none = ["none of the classes"] if PainCategory.INDETERMINATE in possible else []
    return " or ".join([*classes, *none])


def _category(before: float, after: float, opioid_change: float) -> PainCategory:
    """Return the class for known scores and a known relative change of the opioid."""
    rise = after - before
    has_more, has_less = opioid_change > 0, opioid_change <= -OPIOID_STEP
    if after == 0 and not has_more and before > 0:
        return PainCategory.COMPLETE
    if (rise <= -SCORE_STEP and not has_more) or (has_less and rise <= 0):
        return PainCategory.PARTIAL
    is_stable = abs(opioid_change) < OPIOID_STEP
    if (rise >= SCORE_STEP and is_stable) or (opioid_change >= OPIOID_STEP and 0 <= rise <= 1):
        return PainCategory.PROGRESSION
    return PainCategory.INDETERMINATE


def _worlds(before: PainState, after: PainState) -> Iterator[tuple[float, float, float]]:
    """Return scores and opioid changes that agree with what is known.

    Whole and half points stand for a range, because the steps of the rule are whole; for the
    opioid one change of each kind that the rule knows.
    """
    changes = _opioid_changes(before.oral_morphine_mg_day, after.oral_morphine_mg_day)
    for b in _scores(before):
        for a in _scores(after):
            for change in changes:
                yield b, a, change


def _scores(state: PainState) -> list[float]:
    """Return the scores of a state: a known one, or half points over a range."""
    low = 0.0 if state.lowest is None else state.lowest
    high = 10.0 if state.highest is None else state.highest
    steps = round((high - low) * 2)
    inner = [low + n / 2 for n in range(steps) if low + n / 2 < high]
    return [*inner, high]


def _opioid_changes(before: float | None, after: float | None) -> tuple[float, ...]:
    """Return the relative changes that are possible; the change from nothing has no bound."""
    if before is None or after is None:
        if before == 0:
            return (0.0, float("inf"))
        return (-1.0, -0.1, 0.0, 0.1, 1.0) if after is None or after > 0 else (-1.0, 0.0)
    if before == 0:
        return (0.0,) if after == 0 else (float("inf"),)
    return ((after - before) / before,)


def _missing(before: PainState, after: PainState) -> str:
    """Say what is unknown, in words."""
    words = []
    for name, state in (("earlier", before), ("later", after)):
        if state.lowest is None or state.highest is None:
            said = f" ({state.score_words})" if state.score_words else ""
            words.append(f"the {name} score is unknown{said}")
        if state.oral_morphine_mg_day is None:
            said = f" ({state.opioid_words})" if state.opioid_words else ""
            words.append(f"the {name} opioid dose is unknown{said}")
    return " and ".join(words)


def _facts(before: PainState, after: PainState) -> str:
    """Say what is known, in words."""
    scores = f"score {_range(before)} to {_range(after)}"
    doses = [
        "unknown" if mg is None else f"{mg:g}"
        for mg in (before.oral_morphine_mg_day, after.oral_morphine_mg_day)
    ]
    return f"{scores}, oral morphine equivalent {doses[0]} to {doses[1]} mg a day"


def _range(state: PainState) -> str:
    """Return a score as the record gives it."""
    if state.lowest is None or state.highest is None:
        return "unknown"
    low, high = f"{state.lowest:g}", f"{state.highest:g}"
    return low if low == high else f"{low}-{high}"
