"""Values of goals in words, for findings; unknown is a word."""

from math import isfinite

from rerad.evaluation import GoalResult


def value_text(result: GoalResult) -> str:
    """Return a goal's value, or what it is at most or least where that is all that is known."""
    if result.is_upper_bound:
        return f"at most {_with_unit(result.value, result.goal.unit)}"
    if isfinite(result.value) and not result.is_lower_bound:
        return _with_unit(result.value, result.goal.unit)
    if isfinite(result.low):
        return f"at least {_with_unit(result.low, result.goal.unit)}"
    return "unknown"


def bound_excess_text(result: GoalResult) -> str:
    """Return by how much an upper bound is exceeded, at least where dose is unknown."""
    bound = result.goal.at_most
    if bound is None:
        msg = f"{result.goal.text} has no upper bound to exceed"
        raise AssertionError(msg)
    if isfinite(result.value) and not result.is_lower_bound:
        return _with_unit(result.value - bound, result.goal.unit)
    return f"at least {_with_unit(result.low - bound, result.goal.unit)}"


def _with_unit(value: float, unit: str) -> str:
    return f"{value:.2f} {unit}" if unit else f"{value:.3f}"
