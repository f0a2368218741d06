"""The goals of a case file as core types: lines as clinicians write them, and tables."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rerad.case.schema import CaseFile, GoalTable
from rerad.core import DoseScope, Goal, Prescription, RecoveryBasis, StructureSet
from rerad.errors import CaseError, InputError, MissingDataError
from rerad.evaluation import format_goal, goal_structure, parse_goal
from rerad.planning.budget import limit_organ
from rerad.planning.escalation import contradiction
from rerad.planning.goal_results import goal_problem
from rerad.radiobiology import limits_for


def goals_of(file: CaseFile, path: Path) -> tuple[Goal, ...]:
    """Read the goals of a case file: first the lines under `goals`, then the tables `goal`.

    Parameters
    ----------
    file : CaseFile
        What the file says.
    path : Path
        The file, for messages.

    Returns
    -------
    tuple of Goal
        Cumulative goals are on the raw sum. Where a line states no alpha/beta, that of the rule
        set is taken for an organ that it knows with one value only, and the tumour's of the case
        for a prescribed target; the goal's note says so.

    Raises
    ------
    CaseError
        If a goal is not understood; the message names file, key, line and what is wrong.
    """
    return tuple(goal for _, goal in _numbered(file, path))


def require_judgeable(file: CaseFile, path: Path, structures: StructureSet) -> None:
    """Raise for a goal that could not be judged on any plan, before one is made.

    Parameters
    ----------
    file, path : CaseFile, Path
        As for :func:`goals_of`.
    structures : StructureSet
        Drawn on the planning CT.

    Raises
    ------
    CaseError
        If a goal's structure is not drawn, if it is in percent of a prescription that is not
        there, on the conformity of what is no prescribed target, or forbids what a target is to go
        up to; if it is hard and no plan could be held to it, or a hard goal on the same number
        stands before it.
    """
    asked = {
        item.structure: Prescription(item.structure, item.dose_gy, item.up_to_gy)
        for item in file.current_course.prescriptions
    }
    hard: dict[tuple[str, str, DoseScope], str] = {}
    for key, goal in _numbered(file, path):
        problem = goal_problem(goal, structures, list(asked))
        if problem is None and goal.structure in asked:
            problem = contradiction(goal, asked[goal.structure])
        if problem is None and goal.is_hard:
            same = hard.setdefault((goal.structure, goal.metric, goal.scope), key)
            if same != key:
                problem = f"{same} is a hard limit on the same; keep the stricter one"
        if problem is not None:
            msg = f"{path}: {key}: goal {format_goal(goal)!r}: {problem}"
            raise CaseError(msg)


def _numbered(file: CaseFile, path: Path) -> Iterator[tuple[str, Goal]]:
    """Yield every goal with the key that it stands under."""
    for number, line in enumerate(file.goals):
        key = f"goals.{number}"
        try:
            yield key, _from_line(line, file)
        except (InputError, MissingDataError) as error:
            msg = f"{path}: {key}: {error}"
            raise CaseError(msg) from error
    for number, table in enumerate(file.goal):
        key = f"goal.{number}"
        try:
            goal = _from_table(table)
            parse_goal(format_goal(goal))  # metric and unit are refused by name, as of a line
        except (InputError, MissingDataError) as error:
            msg = f"{path}: {key}: {error}"
            raise CaseError(msg) from error
        yield key, goal


def _from_line(line: str, file: CaseFile) -> Goal:
    """Read a line; alpha/beta may come from the rule set or the tumour's of the case."""
    try:
        goal = parse_goal(line)
    except MissingDataError:
        alpha_beta_gy, source = _offered(goal_structure(line), file)
        goal = parse_goal(line, alpha_beta_gy=alpha_beta_gy)
        goal = replace(goal, note=f"alpha/beta of {source}")
    if goal.recovery_basis is RecoveryBasis.DISCOUNTED:
        msg = (
            f"goal {line!r}: the case's own goals are judged on the raw sum; leave discounted "
            "out, or choose a rule set with limits for discounted sums"
        )
        raise InputError(msg)
    return goal


def _offered(structure: str, file: CaseFile) -> tuple[float | None, str]:
    """Return the alpha/beta that the case has for a structure, and where it comes from."""
    if structure in {item.structure for item in file.current_course.prescriptions}:
        return file.planning.tumor_alpha_beta_gy, "planning.tumor_alpha_beta_gy"
    organ = limit_organ(structure)
    limits = () if organ is None else limits_for(organ, file.planning.rule_set, None)
    values = {limit.alpha_beta_gy for limit in limits}
    return (values.pop() if len(values) == 1 else None), f"rule set {file.planning.rule_set}"


def _from_table(table: GoalTable) -> Goal:
    """Return a goal of a table."""
    is_cumulative = table.scope == "cumulative"
    if table.alpha_beta_gy is not None and not is_cumulative:
        msg = (
            f"goal {table.structure} {table.metric}: alpha/beta has no meaning for this plan's "
            'physical dose; write scope = "cumulative", or leave alpha_beta_gy out'
        )
        raise InputError(msg)
    return Goal(
        structure=table.structure,
        metric=table.metric,
        scope=DoseScope.CUMULATIVE if is_cumulative else DoseScope.PLAN,
        unit=table.unit,
        at_most=table.at_most,
        at_least=table.at_least,
        alpha_beta_gy=table.alpha_beta_gy if is_cumulative else None,
        recovery_basis=RecoveryBasis.RAW if is_cumulative else None,
        citation=table.citation,
        priority=table.priority,
        is_hard=table.is_hard,
    )
