"""What the report says of a robust plan and of the price of tolerance."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import DoseScope
from rerad.evaluation import Verdict
from rerad.optimize import (
    LevelOutcome,
    OrganPrice,
    PriceMap,
    PricePair,
    RobustPrice,
    TargetPrice,
)
from rerad.planning import (
    CaseResult,
    RobustOutcome,
    RobustPlanning,
    RobustSettings,
    RobustVerdict,
    TolerancePrices,
)
from rerad.planning.robust_verdicts import robust_findings
from rerad.reporting import report_content
from rerad.reporting.content_prices import price_sentence
from rerad.reporting.document import Paragraph, Section, Table
from rerad.reporting.figures import figure_makers


def section(result: CaseResult, key: str) -> Section | None:
    return next((s for s in report_content(result).sections if s.key == key), None)


def table(found: Section | None, key: str) -> Table:
    assert found is not None
    return next(b for b in found.blocks if isinstance(b, Table) and b.key == key)


@pytest.fixture
def robust(case_result: CaseResult) -> CaseResult:
    goals = [g for g in case_result.planned.goals if g.goal.scope is DoseScope.CUMULATIVE][:2]
    worst = replace(goals[0], value=71.2, low=71.2, high=71.2, verdict=Verdict.EXCEEDED)
    met = replace(goals[1], verdict=Verdict.MET)
    target = TargetPrice(
        "PTV_4000",
        d98=PricePair(36.5, 30.0),
        d95=PricePair(37.7, 33.0),
        worst_d98=PricePair(28.0, 27.0),
        worst_d95=PricePair(32.0, 31.0),
    )
    organ = OrganPrice(goals[0].goal.structure, PricePair(13.1, -0.2), 4)
    planning = RobustPlanning(
        RobustSettings((5.0, 5.0, 6.0), (3.0, 3.0, 0.0), 0.5, 0.1),
        ((0.0, 0.0, 0.0), (3.0, 0.0, 0.0)),
        RobustPrice((target,), (organ,)),
        120,
    )
    verdicts = (
        RobustVerdict(goals[0].goal.structure, worst, "shift (3, 0, 0) mm, alpha/beta 1.5 Gy"),
        RobustVerdict(goals[1].goal.structure, met, "no shift, alpha/beta 2.5 Gy"),
    )
    return replace(case_result, robust=RobustOutcome(planning, verdicts))


def test_a_plan_that_believes_everything_has_no_such_section(case_result: CaseResult) -> None:
    assert section(case_result, "robust") is None


def test_sizes_are_the_user_s_and_the_price_is_stated(robust: CaseResult) -> None:
    found = section(robust, "robust")
    assert found is not None
    assert "stated in the case file by the user" in found.blocks[0].text
    facts = dict(found.blocks[1].pairs)
    assert facts["Place of the earlier dose"].startswith("up to 5 / 5 / 6 mm (x / y / z)")
    assert "2 places" in facts["Place of the patient"]
    assert "10 percentage points" in facts["Recovery"]
    paid = table(found, "robust_targets").rows[0]
    assert [cell.text for cell in paid[1:4]] == ["36.5", "30.0", "−6.5"]
    bought = table(found, "robust_organs").rows[0]
    assert [cell.text for cell in bought[1:]] == ["+13.1", "−0.2", "4"]


def test_a_price_between_unsettled_searches_is_said_to_be_none(robust: CaseResult) -> None:
    def texts(result: CaseResult) -> str:
        found = section(result, "robust")
        assert found is not None
        return " ".join(b.text for b in found.blocks if isinstance(b, Paragraph))

    assert robust.robust is not None
    planning = replace(robust.robust.planning, is_settled=False)
    unsettled = replace(robust.robust, planning=planning)
    assert "not the price" in texts(replace(robust, robust=unsettled))
    assert "not the price" not in texts(robust)
    assert any("not the price" in f.text for f in robust_findings(unsettled))
    assert not any("not the price" in f.text for f in robust_findings(robust.robust))


def test_verdicts_say_where_and_that_the_cloud_is_approximate(robust: CaseResult) -> None:
    found = table(section(robust, "robust"), "robust_verdicts")
    assert found.title.endswith("1 of 2 cumulative limits hold")
    assert found.rows[0][3].text == "71.2"
    assert found.rows[0][4].text == "shift (3, 0, 0) mm, α/β 1.5 Gy"
    assert found.rows[0][5].text == "exceeded"
    assert "approximated" in found.note


def prices(case_result: CaseResult, **organs: float) -> TolerancePrices:
    grid = case_result.planned.physical.grid
    values = np.full(grid.shape, np.nan, dtype=np.float32)
    values[grid.shape[0] // 2, grid.shape[1] // 2, grid.shape[2] // 2] = 0.02
    return TolerancePrices(PriceMap(values, grid, "objective per Gy"), organs, 4.0)


def test_the_dearest_organ_is_named_with_its_share(case_result: CaseResult) -> None:
    text = price_sentence(prices(case_result, Bladder=0.1, SacralPlex_R=0.5))
    assert text.startswith("SacralPlex_R is the dearest limit")
    assert "about 0.5 of 4 (12 %)" in text
    assert "first order" in text
    assert "nothing" in price_sentence(prices(case_result, Bladder=0.0))


def test_prices_levels_and_refinement_are_shown(case_result: CaseResult) -> None:
    levels = (LevelOutcome("priority 1", 0.1, 0.102, 0.101, 40),)
    convergence = replace(
        case_result.convergence, levels=levels, refinement=(2.0, 1.5), cap_violation_gy=0.012
    )
    shown = replace(case_result, prices=prices(case_result, Bladder=0.1), convergence=convergence)
    found = section(shown, "prices")
    assert table(found, "prices").rows[0][2].text == "2.5 %"
    assert table(found, "levels").rows[0][3].text == "0.101"
    assert found is not None
    texts = [getattr(block, "text", "") for block in found.blocks]
    assert any("0.012 Gy" in text for text in texts)
    assert any("from 2 to 1.5" in text for text in texts)
    assert "price" in figure_makers(shown)
    assert "price" not in figure_makers(case_result)
    assert section(replace(case_result, prices=None), "prices") is None
