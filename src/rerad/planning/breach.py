"""Saying which limit is knowingly exceeded, by how much, where, and what holds all the same."""

from collections.abc import Mapping

from rerad.core import Finding, Goal, Severity
from rerad.evaluation import GoalResult, Verdict
from rerad.planning.goal_results import is_same_limit, part_volumes_cc
from rerad.planning.judgement import (
    OUTSIDE_SUFFIX,
    SHARED_SUFFIX,
    Judgement,
    organ_of_part,
    other_side,
)
from rerad.planning.result import DeliveryState
from rerad.planning.value_text import bound_excess_text, value_text

CODE = "limit-knowingly-exceeded"
"""Of the findings that this module makes."""


def breach_findings(judgement: Judgement, state: DeliveryState) -> list[Finding]:
    """Return one sentence for each limit that is exceeded with the clinician's knowledge.

    Parameters
    ----------
    judgement : Judgement
        What was judged on, with the reasons given.
    state : DeliveryState
        The goals as judged.

    Returns
    -------
    list of Finding
        Serious; each names the limit, by how much it is exceeded in the part shared with the
        targets, and whether the rest of the organ and the other side hold it.
    """
    findings: list[Finding] = []
    said: list[tuple[str, Goal]] = []
    for result in state.goals:
        organ, goal = organ_of_part(result.goal.structure), result.goal
        is_said = any(organ == name and is_same_limit(goal, other) for name, other in said)
        if result.verdict is not Verdict.ACCEPTED or is_said:
            continue
        said.append((organ, goal))
        same = {
            item.goal.structure: item for item in state.goals if is_same_limit(item.goal, goal)
        }
        text = (
            f"{state.label}: the limit {goal.text} of {organ} is knowingly exceeded "
            f"{_where(judgement, organ, same, result)}; {_rest(judgement, organ, same)}"
            f"{_opposite(organ, same)}. Reason given: {judgement.accepted[organ]}"
        )
        findings.append(Finding(Severity.SERIOUS, CODE, text, organ))
    return findings


def _where(
    judgement: Judgement, organ: str, same: Mapping[str, GoalResult], exceeded: GoalResult
) -> str:
    """Say by how much, and in which part."""
    name = f"{organ}{SHARED_SUFFIX}"
    shared = same.get(name)
    volumes = part_volumes_cc(judgement, organ)
    if shared is None:
        return f"by {bound_excess_text(exceeded)}, though {name} holds {volumes[name]:.2f} cc only"
    if shared.verdict is not Verdict.ACCEPTED:
        return (
            f"by {bound_excess_text(exceeded)} in the whole of it, while the part shared with the "
            f"targets ({name}, {value_text(shared)}) alone {_holds(shared)}"
        )
    percent = 100 * volumes[name] / judgement.masks[organ].volume_cc
    return (
        f"by {bound_excess_text(shared)} in the part shared with the targets ({name}, "
        f"{value_text(shared)}, {percent:.0f} % of the organ)"
    )


def _rest(judgement: Judgement, organ: str, same: Mapping[str, GoalResult]) -> str:
    """Say whether the rest of the organ holds the limit."""
    name = f"{organ}{OUTSIDE_SUFFIX}"
    if name in same:
        return f"the rest ({name}, {value_text(same[name])}) {_holds(same[name])}"
    volume_cc = part_volumes_cc(judgement, organ)[name]
    if volume_cc <= 0:
        return "nothing of the organ lies outside the targets"
    return f"the rest ({name}, {volume_cc:.2f} cc) is smaller than the volume of the metric"


def _opposite(organ: str, same: Mapping[str, GoalResult]) -> str:
    """Say whether the other side holds the limit; nothing for an organ without sides."""
    name = other_side(organ)
    if name is None:
        return ""
    if name in same:
        return f"; the other side ({name}, {value_text(same[name])}) {_holds(same[name])}"
    return f"; the other side ({name}) is not drawn"


def _holds(result: GoalResult) -> str:
    """Say the verdict on a part as a verb."""
    if result.verdict is Verdict.MET:
        return "holds it"
    return "cannot be judged" if result.verdict is Verdict.UNKNOWN else "does not hold it"
