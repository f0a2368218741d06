"""How numbers, verdicts and sources are put into words: unknown is a word, never nan or 0."""

import math
import re
from collections.abc import Iterable

from rerad.core import Course, DoseScope, Goal, RecordGrade, Severity, poorest_grade
from rerad.evaluation import GoalResult, Verdict
from rerad.reporting.document import Cell, Emphasis, Reference

UNKNOWN = "unknown"
"""What stands where nobody could say."""

NOT_APPLICABLE = "–"
"""What stands where a number has no meaning."""

BANNER = "RESEARCH USE ONLY · not a medical device · not for treatment"
"""Stands on every page."""

TRUST_MEANINGS: dict[str, str] = {
    "R": "read in the primary source",
    "R2": "read in a secondary transcription, not in the source: confirm before relying on it",
    "M": "from expert memory, not read: never the only ground for a decision",
    "C": "computed from a formula stated in the documentation",
    "user": "given in the case file by the user",
}
"""How far a source was read, by its tag."""

SEVERITY_ORDER: tuple[Severity, ...] = (Severity.SERIOUS, Severity.CAUTION, Severity.NOTE)
"""The most serious first."""

_VERDICTS: dict[Verdict, tuple[str, Emphasis]] = {
    Verdict.MET: ("met", Emphasis.MET),
    Verdict.EXCEEDED: ("exceeded", Emphasis.EXCEEDED),
    Verdict.ACCEPTED: ("exceeded", Emphasis.CAUTION),
    Verdict.UNKNOWN: (UNKNOWN, Emphasis.UNKNOWN),
}


def number(value: float | None, decimals: int = 1) -> str:
    """Return a number as text; None, NaN and infinity are unknown."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", "−")


def compact(value: float | None) -> str:
    """Return a number with as many digits as it was given."""
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return f"{value:g}".replace("-", "−")


def gray(value: float | None, decimals: int = 1) -> str:
    """Return a dose with its unit, or unknown."""
    text = number(value, decimals)
    return text if text == UNKNOWN else f"{text} Gy"


def number_cell(value: float | None, decimals: int = 1, sub: str = "") -> Cell:
    """Return a cell with a number, marked where it is unknown."""
    text = number(value, decimals)
    return Cell(text, sub, Emphasis.ABSENT if text == UNKNOWN else Emphasis.NONE)


def text_or_unknown(text: str) -> str:
    """Return the text, or unknown where it is empty."""
    return text.strip() or UNKNOWN


def quantity(alpha_beta_gy: float | None) -> str:
    """Return the name of the quantity with its alpha/beta."""
    return "physical dose" if alpha_beta_gy is None else f"EQD2 (α/β {alpha_beta_gy:g} Gy)"


def goal_text(goal: Goal) -> str:
    """Return the bound of a goal, for example ``D0.1cc ≤ 67 Gy``."""
    sign, bound = ("≤", goal.at_most) if goal.at_most is not None else ("≥", goal.at_least)
    return f"{goal.metric} {sign} {compact(bound)} {goal.unit}".rstrip()


def bound_text(goal: Goal) -> str:
    """Return the bound alone, for example ``≤ 67 Gy``."""
    sign, bound = ("≤", goal.at_most) if goal.at_most is not None else ("≥", goal.at_least)
    return f"{sign} {compact(bound)} {goal.unit}".rstrip()


def goal_rank(goal: Goal) -> str:
    """Return when a goal's turn comes, or nothing if it is only judged."""
    if goal.is_hard:
        return "hard limit"
    return "" if goal.priority is None else f"priority {goal.priority}"


def goal_scope(goal: Goal) -> str:
    """Return what a goal is about in a few words."""
    if goal.scope is DoseScope.PLAN:
        return "this plan, physical"
    basis = f", {goal.recovery_basis}" if goal.recovery_basis is not None else ""
    return f"all courses, EQD2 α/β {compact(goal.alpha_beta_gy)} Gy{basis}"


def goal_basis(goal: Goal) -> str:
    """Return what a bound is compared with, in two words."""
    if goal.scope is DoseScope.PLAN:
        return "physical"
    return "cumulative" if goal.recovery_basis is None else str(goal.recovery_basis)


def verdict_cell(result: GoalResult | None, sub: str = "") -> Cell:
    """Return the verdict as a chip; a goal that was not judged is a dash."""
    if result is None:
        return Cell(NOT_APPLICABLE, sub, Emphasis.MUTED)
    word, emphasis = _VERDICTS[result.verdict]
    if result.goal.at_least is not None and result.verdict is not Verdict.UNKNOWN:
        word = "met" if result.verdict is Verdict.MET else "not met"
    if result.verdict is Verdict.ACCEPTED:
        sub = joined(("knowingly", sub))
    return Cell(word, sub, emphasis)


def goal_value_cell(result: GoalResult) -> Cell:
    """Return the value of a goal; where it is unknown, what is at least known of it.

    Where the sum stands on a poorer record than full DICOM, the cell says so.
    """
    grade = poor_grade(result.grade)
    if math.isfinite(result.value):
        sub = "at least; a course is missing" if result.is_lower_bound else grade
        return number_cell(result.value, _decimals(result), sub)
    low = result.low
    known = f"at least {number(low)}" if math.isfinite(low) and low > 0 else ""
    return Cell(UNKNOWN, known or grade, Emphasis.ABSENT)


_POOR = {
    RecordGrade.DOSE_GRID: "from a dose grid alone",
    RecordGrade.DVH_OR_POINTS: "bound, from points",
    RecordGrade.PAPER: "bound, from paper",
    RecordGrade.UNKNOWN: "a course is unknown",
}


def poor_grade(grade: RecordGrade | None) -> str:
    """Return in few words that a sum stands on less than full DICOM; else nothing."""
    return "" if grade is None else _POOR.get(grade, "")


def grade_sentence(grades: Iterable[RecordGrade | None]) -> str:
    """Return a sentence on the poorest record that numbers stand on; empty without any."""
    found = poorest_grade(grade for grade in grades if grade is not None)
    if found is None:
        return ""
    text = f"Record of the earlier courses in these sums, the poorest: {found}."
    if found in {RecordGrade.DVH_OR_POINTS, RecordGrade.PAPER}:
        return f"{text} Such sums are upper bounds under what is stated, not measurements."
    if found is RecordGrade.UNKNOWN:
        return f"{text} A course is missing from them: what is shown is at least so much."
    return text


def _decimals(result: GoalResult) -> int:
    """One decimal, two for an index, or what it takes to see on which side of a bound it lies."""
    bound = result.goal.at_most if result.goal.at_most is not None else result.goal.at_least
    fewest = 1 if result.goal.unit else 2
    if bound is None or result.value == bound:
        return fewest
    for decimals in range(fewest, 3):
        if f"{result.value:.{decimals}f}" != f"{bound:.{decimals}f}":
            return decimals
    return 3


def typeset(text: str) -> str:
    """Return a sentence with the signs that print has, and unknown for a number that is none.

    Examples
    --------
    >>> typeset("D0.1cc <= 67 Gy EQD2(a/b 2) is not met: nan Gy")
    'D0.1cc ≤ 67 Gy EQD2(α/β 2) is not met: unknown'
    """
    text = re.sub(r"\bnan(?: (?:Gy|%|cc))?(?=\W|$)", UNKNOWN, text)
    for plain, sign in (("<=", "≤"), (">=", "≥"), ("(a/b ", "(α/β "), ("alpha/beta", "α/β")):
        text = text.replace(plain, sign)
    return text


def course_fractions(course: Course) -> str:
    """Return delivered of planned fractions."""
    planned = UNKNOWN if course.n_fractions_planned is None else str(course.n_fractions_planned)
    delivered = (
        UNKNOWN if course.n_fractions_delivered is None else str(course.n_fractions_delivered)
    )
    return f"{delivered} of {planned}"


def short_citation(citation: str) -> str:
    """Return the first words of a citation up to its year, for tables without a reference list.

    Examples
    --------
    >>> short_citation("Slevin F et al. Radiother Oncol 2021, doi 10.1016/x")
    'Slevin et al. 2021'
    >>> short_citation("proposal: coverage as the planner wants it")
    'proposal'
    """
    year = re.search(r"\b(19|20)\d{2}\b", citation)
    author = re.match(r"[^\W\d_][\w'’–-]+", citation)
    if year is None or author is None:
        head = citation.split(":")[0]
        return head if len(head) <= 32 else head[:31].rstrip() + "…"
    several = " et al." if "et al" in citation or "," in citation[: year.start()] else ""
    return f"{author.group()}{several} {year.group()}"


_TAG_AT_END = re.compile(r"\s*\[(R2|R|M|C)(?::[^\]]*)?\]$")


class Citations:
    """Numbers sources in the order in which a report first uses them."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._trusts: dict[str, list[str]] = {}

    def mark(self, citation: str, trust: str = "") -> str:
        """Return the mark of a source, for example ``[3] R2``; the user's bare word has no number.

        A source that ends in its own tag, as in ``Smith 2020 [R2: read in ...]``, is listed
        without it.
        """
        if citation in {"", "user"}:
            return "user"
        found = _TAG_AT_END.search(citation)
        if found is not None:
            citation, trust = citation[: found.start()], trust or found[1]
        n = self._numbers.setdefault(citation, len(self._numbers) + 1)
        known = self._trusts.setdefault(citation, [])
        if trust and trust not in known:
            known.append(trust)
        return f"[{n}] {trust}".strip()

    def references(self) -> tuple[Reference, ...]:
        """Return the numbered list."""
        return tuple(
            Reference(n, citation, ", ".join(self._trusts[citation]))
            for citation, n in self._numbers.items()
        )

    def tags(self) -> set[str]:
        """Return every trust tag that was marked."""
        return {tag for tags in self._trusts.values() for tag in tags}


def joined(items: Iterable[str], between: str = ", ") -> str:
    """Return the items that are not empty, joined."""
    return between.join(item for item in items if item)
