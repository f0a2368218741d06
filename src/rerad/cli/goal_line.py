"""One judged goal as a line on the terminal."""

from rerad.evaluation import GoalResult
from rerad.planning.value_text import value_text


def goal_line(result: GoalResult) -> str:
    """Return structure, goal, value and verdict, and the record that a sum stands on."""
    grade = f" ({result.grade})" if result.grade is not None else ""
    goal = f"{result.goal.structure} {result.goal.text}"
    return f"{goal}: {value_text(result)}, {result.verdict}{grade}"
