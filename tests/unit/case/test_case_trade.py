"""Trades beside a case: what is asked for, what is kept, what is refused."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rerad.case import (
    TradeReport,
    load_case,
    read_wishes,
    trade_at,
    trade_case,
    trade_summary,
    wish_results,
)
from rerad.case.pareto_file import PARETO_FILE_NAME, save_pareto
from rerad.case.plan_state import state_hash
from rerad.core import DoseScope, Goal
from rerad.errors import CaseError
from rerad.evaluation import GoalResult, Verdict, parse_goal
from rerad.optimize import Aim, MeanDose, ParetoSet
from rerad.planning import Trade, TradeAxis, TradeSettings


def silent(what: str, share: float) -> None:
    """Say nothing."""


def trade_of(names: tuple[str, ...]) -> ParetoSet:
    n = len(names)
    return ParetoSet(
        goals=names,
        units=("Gy",) * n,
        fluences_mu=np.ones((3, 5), dtype=np.float32),
        values=np.arange(3.0 * n).reshape(3, n),
        base_values=np.zeros(3),
        weights=np.full((3, n), 1 / n),
        bounds=np.zeros(3),
        cap_violations_gy=np.array([0.0, 0.01, 0.0]),
        n_evaluations=np.ones(3, dtype=np.int64),
        gap=float("nan"),
    )


def test_places_are_read_from_the_right() -> None:
    assert read_wishes(["A b[EQD2]=60", "PTV D95% = 90.5"]) == {"A b[EQD2]": 60, "PTV D95%": 90.5}
    with pytest.raises(CaseError, match="GOAL=NUMBER"):
        read_wishes(["Bladder D2% 60"])


def test_one_goal_is_no_trade(tiny_case: Path) -> None:
    with pytest.raises(CaseError, match="two or three goals to trade, got 1"):
        trade_case(tiny_case, ["PTV D95%"], TradeSettings(5, 10.0), silent)


def test_a_place_needs_a_trade_of_the_case_as_it_is(tiny_case: Path) -> None:
    with pytest.raises(CaseError, match="no trade yet"):
        trade_at(tiny_case, {"PTV D95%": 90.0}, out=None, progress=silent)
    save_pareto(trade_of(("a", "b")), tiny_case / PARETO_FILE_NAME, input_hash="other")
    with pytest.raises(CaseError, match="made from other inputs"):
        trade_at(tiny_case, {"PTV D95%": 90.0}, out=None, progress=silent)
    loaded = load_case(tiny_case)
    text = loaded.path.read_text(encoding="utf-8")
    now = state_hash(loaded.records, text)
    save_pareto(trade_of(("a", "b")), tiny_case / PARETO_FILE_NAME, input_hash=now)
    with pytest.raises(CaseError, match="is gone"):
        trade_at(tiny_case, {"PTV D95%": 90.0}, out=None, progress=silent)


def test_the_summary_says_doses_not_lacks(tmp_path: Path) -> None:
    term = MeanDose("m", np.arange(2), np.ones(2), Aim(1.0, 1.0))
    cover = Goal("PTV", "D95%", DoseScope.PLAN, "%", at_least=95.0)
    organ = Goal("Bladder", "Dmean", DoseScope.PLAN, "Gy", at_most=30.0)
    axes = (
        TradeAxis("PTV D95%", cover, term, 0.4, 38.0),
        TradeAxis("Bladder Dmean", organ, term, 1.0, None),
    )
    pareto = trade_of(("PTV D95%", "Bladder Dmean"))
    trade = Trade(pareto, axes, (3.0, 9.0))
    report = TradeReport(trade, tmp_path / "a", tmp_path / "b")
    document = trade_summary(report)
    assert document["plans_gy"][1] == {"PTV D95%": 36.0, "Bladder Dmean": 3.0}
    assert document["finished_gy"] == {"PTV D95%": 35.0, "Bladder Dmean": 9.0}
    assert document["gap"] is None
    assert document["cap_violation_gy"] == 0.01


def test_what_became_of_a_wish_is_the_judged_value_of_the_final_dose() -> None:
    """Of the part outside the targets where that is what was traded; a miss is said."""
    values = {
        "PTV D95% >= 95%": 88.0,
        "Plexus D0.1cc[EQD2] <= 67 ab=2": 80.0,
        "Plexus-PTV D0.1cc[EQD2] <= 67 ab=2": 61.0,
        "Bowel D0.5cc[EQD2] <= 70 ab=3": float("nan"),
    }
    goals = tuple(
        GoalResult(parse_goal(text), value, value, value, Verdict.MET, 0.0, "")
        for text, value in values.items()
    )
    report = SimpleNamespace(result=SimpleNamespace(planned=SimpleNamespace(goals=goals)))
    wishes = {"PTV  D95%": 90.0, "Plexus D0.1cc": 61.5, "Bowel D0.5cc[EQD2]": 60.0}
    found = wish_results(report, wishes)  # type: ignore[arg-type]
    assert [item.result.goal.structure for item in found] == ["PTV", "Plexus-PTV", "Bowel"]
    assert [item.is_kept for item in found] == [False, True, None]
    assert [item.wish for item in found] == [90.0, 61.5, 60.0]
