"""Trades of a case: found once and kept beside it, then a plan anywhere on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from rerad.case.course_bands import with_bands
from rerad.case.files import case_path, write_json
from rerad.case.load import LoadedCase
from rerad.case.outputs import run_document, write_dicom
from rerad.case.pareto_file import PARETO_FILE_NAME, load_pareto, save_pareto
from rerad.case.plan_case import TRADE_FOLDER_NAME, PlanReport
from rerad.case.plan_state import (
    STATE_FILE_NAME,
    StateKeeper,
    load_state,
    save_state,
)
from rerad.case.run import (
    RUN_FILE_NAME,
    check_case,
    peak_memory_mb,
    provenance_of,
    replacing,
    require_replaceable,
)
from rerad.case.written_plan import require_as_written
from rerad.errors import CaseError
from rerad.evaluation import GoalResult
from rerad.planning import (
    CaseListeners,
    PlanState,
    PreparedCase,
    Progress,
    Trade,
    TradeSettings,
    judge_case,
    make_plan,
    plan_of,
    prepare_case,
    trade_off,
)
from rerad.planning.judgement import OUTSIDE_SUFFIX, organ_of_part
from rerad.planning.trade_axes import axis_name, traded_goals
from rerad.reporting import write_pareto

TRADE_STATE_FILE_NAME = "trade-state.npz"
"""The finished plan that trades of a case start from, beside the case file."""

PICTURE_NAME = "pareto.png"
"""The picture, beside the set."""


@dataclass(frozen=True, eq=False, slots=True)
class TradeReport:
    """What a trade found and wrote.

    Parameters
    ----------
    trade : Trade
        The plans, and what their numbers mean.
    file, picture : Path
        The set and its picture.
    """

    trade: Trade
    file: Path
    picture: Path


def trade_case(
    case: Path, names: Sequence[str], settings: TradeSettings, progress: Progress
) -> TradeReport:
    """Find the trade between two or three goals of a case, and keep it with the case.

    A plan is made first unless one of the same inputs was made for an earlier trade.

    Parameters
    ----------
    case : Path
        Case folder or file.
    names : sequence of str
        Goals as structure and metric, such as ``PTV_4000 D95%``.
    settings : TradeSettings
        How many plans, how far.
    progress : callable
        Told what is being done.

    Raises
    ------
    ReradError
        With one sentence; nothing is left half written.
    """
    if not 2 <= len(names) <= 3:
        msg = f"expected two or three goals to trade, got {len(names)}: {', '.join(names)}"
        raise CaseError(msg)
    loaded, inputs = _loaded(case, progress)
    folder = case_path(case).parent
    prepared = prepare_case(loaded.inputs, progress)
    traded_goals(prepared.judgement, names)  # what cannot be traded is said before the plan
    state = _finished(prepared, folder, inputs, progress)
    trade = trade_off(prepared, state, names, settings, progress)
    file, picture = folder / PARETO_FILE_NAME, folder / PICTURE_NAME
    write_pareto(trade.pareto, picture, current=trade.finished)
    save_pareto(trade.pareto, file, input_hash=inputs)
    return TradeReport(trade, file, picture)


def trade_at(
    case: Path, wishes: Mapping[str, float], *, out: Path | None, progress: Progress
) -> PlanReport:
    """Make the plan of a place on the trade that is kept with a case.

    Parameters
    ----------
    case : Path
        Case folder or file.
    wishes : mapping of str to float
        Goal to the most (for targets the least) that it should have, in the goal's own unit.
    out : Path or None
        Folder for the plan; None means `trade` beside the case file.
    progress : callable
        Told what is being done.

    Returns
    -------
    PlanReport
        Written as by `plan_case`.

    Raises
    ------
    CaseError
        If there is no trade of the case as it is now.
    """
    folder = case_path(case).parent
    if not (folder / PARETO_FILE_NAME).is_file():
        msg = f"{folder}: this case has no trade yet; make one with `rerad trade CASE --goal ...`"
        raise CaseError(msg)
    to = out if out is not None else folder / TRADE_FOLDER_NAME
    require_replaceable(to)
    loaded, inputs = _loaded(case, progress)
    pareto = load_pareto(folder / PARETO_FILE_NAME, input_hash=inputs)
    state = load_state(folder / TRADE_STATE_FILE_NAME, inputs)
    if state is None:
        msg = f"{folder}: the plan that the trade was made from is gone; make the trade again"
        raise CaseError(msg)
    prepared = prepare_case(loaded.inputs, progress)
    outcome = plan_of(prepared, pareto, state, wishes, progress)
    result = judge_case(prepared, outcome)
    result = replace(result, provenance=provenance_of(loaded, ()))
    with replacing(to) as temporary:
        progress("writing DICOM", 0.9)
        write_dicom(result, loaded.patient, temporary / "dicom")
        require_as_written(result.plan, temporary / "dicom" / "RTPLAN.dcm", result.machine)
        write_json(temporary / RUN_FILE_NAME, run_document(result, peak_memory_mb()))
    return PlanReport(result, to)


def read_wishes(texts: Sequence[str]) -> dict[str, float]:
    """Read places on a trade as written on the command line, ``GOAL=VALUE`` each.

    Raises
    ------
    CaseError
        If a text is something else.

    Examples
    --------
    >>> read_wishes(["Bowel_Small D0.5cc=60"])
    {'Bowel_Small D0.5cc': 60.0}
    """
    wishes = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            wishes[name.strip()] = float(value)
        except ValueError as error:
            msg = f'expected a place on a trade as "GOAL=NUMBER", got {text!r}'
            raise CaseError(msg) from error
    return wishes


@dataclass(frozen=True, slots=True)
class WishResult:
    """What was wished for on a trade, and what the final dose of the plan has.

    Parameters
    ----------
    wish : float
        In the goal's own unit.
    result : GoalResult
        The goal as judged, of the part outside the targets where that is what was traded.
    """

    wish: float
    result: GoalResult

    @property
    def is_kept(self) -> bool | None:
        """Whether the final dose has it; None where its value is unknown."""
        value, goal = self.result.value, self.result.goal
        if not isfinite(value):
            return None
        return value <= self.wish if goal.at_most is not None else value >= self.wish


def wish_results(report: PlanReport, wishes: Mapping[str, float]) -> tuple[WishResult, ...]:
    """Return what became of the wishes of :func:`trade_at` in the final dose, in their order."""
    judged: dict[str, GoalResult] = {}
    for result in report.result.planned.goals:
        goal = result.goal
        is_outside = goal.structure.endswith(OUTSIDE_SUFFIX)
        name = axis_name(replace(goal, structure=organ_of_part(goal.structure)))
        for label in (name, name.removesuffix("[EQD2]")):
            if is_outside or label not in judged:
                judged[label] = result
    names = {name: " ".join(name.split()) for name in wishes}
    return tuple(
        WishResult(wish, judged[names[name]])
        for name, wish in wishes.items()
        if names[name] in judged
    )


def _loaded(case: Path, progress: Progress) -> tuple[LoadedCase, str]:
    """Read a case; the hash says what it is made of."""
    progress("reading the case", 0.0)
    loaded, _ = with_bands(check_case(case).loaded, progress)
    return loaded, loaded.inputs_hash


def _finished(prepared: PreparedCase, folder: Path, inputs: str, progress: Progress) -> PlanState:
    """Return the state of a finished plan of the same inputs; make one if there is none."""
    kept = load_state(folder / TRADE_STATE_FILE_NAME, inputs)
    if kept is not None:
        return kept
    path = folder / STATE_FILE_NAME
    told = CaseListeners(keep=StateKeeper(path, inputs)).for_case(prepared.judgement)
    resume = load_state(path, inputs)
    outcome = make_plan(prepared.request, progress, listeners=told, resume=resume)
    if outcome.state is None:
        msg = f"{folder}: the plan came without a state to trade from; plan the case again"
        raise CaseError(msg)
    save_state(outcome.state, folder / TRADE_STATE_FILE_NAME, inputs)
    path.unlink(missing_ok=True)
    return outcome.state


def trade_summary(report: TradeReport) -> dict[str, Any]:
    """Return what `rerad trade --json` prints: each plan with the dose of each goal in Gy."""
    trade = report.trade

    def doses(row: Sequence[float]) -> dict[str, float]:
        return {a.name: round(a.dose_gy(v), 4) for a, v in zip(trade.axes, row, strict=True)}

    gap = float(trade.pareto.gap)
    return {
        "status": "done",
        "goals": [axis.name for axis in trade.axes],
        "finished_gy": doses(trade.finished),
        "plans_gy": [doses(row) for row in sorted(trade.pareto.values.tolist())],
        "cap_violation_gy": float(trade.pareto.cap_violations_gy.max()),
        "gap": gap if isfinite(gap) else None,
        "file": str(report.file),
        "picture": str(report.picture),
    }
