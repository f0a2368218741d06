"""Judged goals as JSON."""

from rerad.case.robust_record import number_or_none
from rerad.evaluation import GoalResult
from rerad.planning.result import ReturnedCheck


def goal_record(result: GoalResult) -> dict[str, object]:
    """Return one judged goal; `low` is what is known at least where the value is not."""
    return {
        "structure": result.goal.structure,
        "goal": result.goal.text,
        "value": number_or_none(result.value),
        "unit": result.goal.unit,
        "low": number_or_none(result.low),
        "is_upper_bound": result.is_upper_bound,
        "verdict": result.verdict,
        "grade": result.grade,
        "citation": result.goal.citation,
    }


def returned_record(check: ReturnedCheck) -> dict[str, object]:
    """Return a returned plan's verdicts."""
    return {
        "plan": check.plan.label,
        "n_fractions": check.plan.n_fractions,
        "is_within_limits": check.is_within_limits,
        "goals": [goal_record(result) for result in check.goals],
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text} for f in check.findings
        ],
    }
