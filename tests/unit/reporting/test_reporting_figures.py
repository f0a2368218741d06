"""What the figures show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.lines import Line2D

from rerad.core import Dose, RecoveryBasis
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.drawing import Isodoses
from rerad.reporting.figures_dose import (
    draw_eqd2,
    eqd2_isodoses,
    organ_colors,
    plan_isodoses,
    raw_limit_gy,
)
from rerad.reporting.figures_dvh import draw_dvh_cumulative, limit_places
from rerad.reporting.timeline import draw_timeline


def test_limits_are_marked_at_their_dose_and_never_cover_each_other(
    case_result: CaseResult,
) -> None:
    places = limit_places(case_result)
    assert [(name, dose) for name, dose, _ in places] == [
        ("SacralPlex_R", 67.0),
        ("CaudaEquina", 67.0),
        ("Bladder", 80.0),
        ("Rectum", 80.0),
        ("Bowel_Small", 70.0),
    ]
    assert len({(dose, percent) for _, dose, percent in places}) == len(places)


def test_a_limit_for_a_discounted_sum_is_not_marked_on_a_raw_one(case_result: CaseResult) -> None:
    discounted = tuple(
        replace(item, goal=replace(item.goal, recovery_basis=RecoveryBasis.DISCOUNTED))
        if item.goal.recovery_basis is not None
        else item
        for item in case_result.planned.goals
    )
    result = replace(case_result, planned=replace(case_result.planned, goals=discounted))
    assert limit_places(result) == []
    assert raw_limit_gy(result, 2.0) is None
    assert raw_limit_gy(case_result, 2.0) == 67.0


def test_a_limit_at_another_alpha_beta_or_on_a_mean_is_marked_nowhere(
    case_result: CaseResult,
) -> None:
    own = next(g for g in case_result.planned.goals if g.goal.structure == "SacralPlex_R")
    other = replace(own, goal=replace(own.goal, at_most=70.0, alpha_beta_gy=2.5))
    mean = replace(own, goal=replace(own.goal, at_most=20.0, metric="Dmean"))
    goals = (other, mean, *case_result.planned.goals)
    result = replace(case_result, planned=replace(case_result.planned, goals=goals))
    assert limit_places(result) == limit_places(case_result)
    assert raw_limit_gy(result, 2.0) == 67.0


def test_every_judged_structure_has_a_planned_and_a_delivered_curve(
    case_result: CaseResult,
) -> None:
    axes = draw_dvh_cumulative(case_result).axes[0]
    curves = [line for line in axes.lines if len(line.get_xdata()) > 2]
    assert len(curves) == 2 * len(case_result.planned.cumulative_dvhs)


def test_isodoses_of_the_plan_are_shares_of_the_highest_prescription(
    case_result: CaseResult,
) -> None:
    assert plan_isodoses(case_result).levels_gy == (12.0, 20.0, 28.0, 36.0, 38.0, 40.0, 42.8)
    higher = tuple(replace(p, up_to_gy=60.0) for p in case_result.plan.prescriptions)
    raised = replace(case_result, plan=replace(case_result.plan, prescriptions=higher))
    assert plan_isodoses(raised).levels_gy == (18.0, 30.0, 42.0, 54.0, 57.0, 60.0, 64.2)


@pytest.mark.parametrize(("top", "levels"), [(55.0, (20, 30, 40, 50)), (95.0, (20, 40, 60, 80))])
def test_isodoses_of_eqd2_are_round(case_result: CaseResult, top: float, levels: tuple) -> None:
    physical = case_result.planned.physical
    values = np.zeros(physical.grid.shape, dtype=np.float32)
    values[0, 0, 0] = top
    assert eqd2_isodoses(Dose(values, physical.grid), None).levels_gy == levels


def test_a_dose_that_is_unknown_everywhere_is_hatched_without_failing(
    case_result: CaseResult,
) -> None:
    dose = case_result.planned.cumulative[2.0]
    unknown = replace(dose, values=np.full(dose.grid.shape, np.nan, dtype=np.float32))
    figure = draw_eqd2(case_result, [("unknown", unknown)], Isodoses((20.0,), ("#ff0000",), 67.0))
    assert len(figure.axes) == 3
    assert all(axes.collections for axes in figure.axes)


def test_an_organ_that_is_drawn_nowhere_has_no_entry(case_result: CaseResult) -> None:
    row = case_result.summary[2]
    result = replace(case_result, summary=(row, replace(row, structure="SacralPlex_R-PTV")))
    assert list(organ_colors(result)) == ["SacralPlex_R"]


def test_the_timeline_tells_every_event_and_both_bars(case_result: CaseResult) -> None:
    said = [text.get_text() for text in draw_timeline(case_result).axes[0].texts]
    for event in case_result.history.events:
        assert event.title in said
    assert "25 of 25 fractions" in said
    assert "15 of 22 fractions" in said
    assert "interval since Course 1: unknown" in said
    assert "8–9" in said


def test_a_picture_says_below_itself_what_it_is_not_for(
    case_result: CaseResult, tmp_path: Path
) -> None:
    """It leaves the report that it stands in; the area of the figure itself stays as it was."""

    def drawn() -> Figure:
        figure = draw_dvh_cumulative(case_result)
        figure.legend(handles=[Line2D([], [], label="below")], loc="lower right")
        return figure

    style.save(drawn(), tmp_path / "marked.png", dpi=100)
    drawn().savefig(tmp_path / "plain.png", dpi=100)
    marked, plain = (imread(tmp_path / f"{name}.png")[..., :3] for name in ("marked", "plain"))
    height = plain.shape[0]
    assert marked.shape[1] == plain.shape[1]
    assert marked.shape[0] - height == pytest.approx(100 * style.STRIP_IN, abs=1)
    assert marked[height + 1 :].min() < 0.6  # there are letters in the strip
    np.testing.assert_allclose(marked[:height], plain, atol=0.05)


def test_every_picture_is_written_with_that_strip() -> None:
    folder = Path(style.__file__).parent
    writers = [path.name for path in folder.glob("*.py") if ".savefig(" in path.read_text("utf-8")]
    assert writers == ["style.py"]
