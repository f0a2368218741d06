"""Pictures of Pareto sets and of the price of tolerance: what they show."""

import numpy as np
import pytest

from rerad.core import Grid
from rerad.errors import FrameMismatchError, InputError
from rerad.optimize import ParetoSet, PriceMap, knee
from rerad.planning.result import CaseResult
from rerad.reporting import style
from rerad.reporting.figures_pareto import draw_pareto
from rerad.reporting.figures_price import draw_price

GOALS = ("PTV lack of dose", "SacralPlex_R hottest 0.1 cc", "Bowel mean")
UNITS = ("", "Gy EQD2", "Gy EQD2")


def trade(n_goals: int, n_plans: int = 14, gap: float = 0.021) -> ParetoSet:
    """Plans on a convex surface: a piece of a sphere seen from below."""
    rng = np.random.default_rng(3)
    directions = np.abs(rng.normal(size=(n_plans, n_goals)))
    directions[:n_goals] = np.eye(n_goals)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    values = (1 - directions) * np.array([4.0, 22.0, 11.0])[:n_goals]
    values += np.array([0.1, 48.0, 9.0])[:n_goals]
    return ParetoSet(
        goals=GOALS[:n_goals],
        units=UNITS[:n_goals],
        fluences_mu=np.ones((n_plans, 5)),
        values=values,
        base_values=np.zeros(n_plans),
        weights=directions / directions.sum(axis=1, keepdims=True),
        bounds=np.zeros(n_plans),
        cap_violations_gy=np.zeros(n_plans),
        n_evaluations=np.ones(n_plans, dtype=int),
        gap=gap,
    )


def marked(axes, color):
    """Return where a ring of a colour is drawn."""
    return [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_markeredgecolor() == color
    ]


def words(figure):
    texts = [text.get_text() for text in figure.texts]
    for legend in figure.legends:
        texts += [text.get_text() for text in legend.get_texts()]
    return " ".join(" ".join(texts).split())


def test_two_goals_show_plans_hull_knee_and_current():
    found = trade(2)
    current = found.values.mean(axis=0)
    figure = draw_pareto(found, current=current)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "PTV lack of dose"
    assert axes.get_ylabel() == "SacralPlex_R hottest 0.1 cc, Gy EQD2"
    hull, plans = axes.lines[0], axes.lines[1]
    assert len(plans.get_xdata()) == found.n_plans
    # the line runs along combinations: no plan lies below it, and both ends are on it
    x, y = hull.get_data()
    assert np.all(np.diff(x) > 0)
    assert np.all(np.diff(y) < 0)
    assert np.all(np.diff(np.diff(y) / np.diff(x)) > 0)
    assert np.all(found.values[:, 1] >= np.interp(found.values[:, 0], x, y) - 1e-9)
    assert marked(axes, style.RED) == [tuple(current)]
    assert marked(axes, style.AMBER) == [tuple(found.values[knee(found)])]
    text = words(figure)
    assert "knee, computed" in text
    assert "14 plans" in text
    assert "2.1 %" in text
    assert "exceeded by 0.00 Gy" in text


def test_what_is_not_there_is_not_in_the_legend():
    text = words(draw_pareto(trade(2, n_plans=2, gap=float("nan"))))
    assert "knee" not in text
    assert "current" not in text
    assert "unknown" in text


def test_three_goals_show_three_pairs():
    found = trade(3)
    figure = draw_pareto(found, current=found.values[5])
    labels = [(axes.get_xlabel(), axes.get_ylabel()) for axes in figure.axes[:3]]
    assert labels == [
        ("PTV lack of dose", "SacralPlex_R hottest 0.1 cc, Gy EQD2"),
        ("PTV lack of dose", "Bowel mean, Gy EQD2"),
        ("SacralPlex_R hottest 0.1 cc, Gy EQD2", "Bowel mean, Gy EQD2"),
    ]
    for axes, pair in zip(figure.axes, ((0, 1), (0, 2), (1, 2)), strict=False):
        (place,) = marked(axes, style.RED)
        assert place == tuple(found.values[5, list(pair)])
    with pytest.raises(InputError, match="expected 3 goals of the current plan, got 2"):
        draw_pareto(found, current=[1.0, 2.0])


def prices(case_result: CaseResult) -> PriceMap:
    """Prices that rise towards the middle of the plexus; a part of it costs nothing."""
    mask = case_result.masks["SacralPlex_R"]
    grid = case_result.planned.physical.grid
    inside = mask.on(grid) > 0
    values = np.full(grid.shape, np.nan)
    index = np.argwhere(inside)
    distance = np.linalg.norm(grid.points(index) - grid.points(index).mean(axis=0), axis=1)
    values[inside] = np.maximum(0.02 * (1 - distance / 40), 0.0)
    return PriceMap(values, grid, "objective per Gy EQD2")


def test_price_map_is_cut_through_the_dearest_voxel(case_result: CaseResult):
    price = prices(case_result)
    figure = draw_price(case_result, price)
    dearest = price.grid.points(
        np.array(np.unravel_index(np.nanargmax(price.values), price.grid.shape))
    )
    labels = [text.get_text() for axes in figure.axes[:3] for text in axes.texts]
    for axis, name in enumerate("xyz"):
        assert any(f"{name} = {dearest[axis]:.0f} mm".replace("-", "−") in text for text in labels)
    drawn = figure.axes[1].images  # along the nerve, whose ends cost nothing
    dear, free = drawn[-1].get_array(), drawn[-2].get_array()
    assert dear.max() == np.float32(np.nanmax(price.values))
    assert dear.min() > 0
    assert np.ma.count(free) > 0
    text = words(figure)
    assert "objective per Gy EQD2: what a Gy more of tolerance in a voxel would buy" in text
    assert "limited, costs nothing" in text


def test_a_map_without_limits_or_of_another_frame_is_refused(case_result: CaseResult):
    grid = case_result.planned.physical.grid
    with pytest.raises(InputError, match="expected prices of at least one limited voxel"):
        draw_price(case_result, PriceMap(np.full(grid.shape, np.nan), grid, ""))
    other = Grid(grid.shape, grid.origin_mm, grid.spacing_mm, "9.9")
    with pytest.raises(FrameMismatchError):
        draw_price(case_result, PriceMap(np.zeros(grid.shape), other, ""))
    free = PriceMap(np.zeros(grid.shape), grid, "objective per Gy")
    assert draw_price(case_result, free).axes  # nothing costs anything: still a map
