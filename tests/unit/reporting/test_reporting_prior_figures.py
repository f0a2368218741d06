"""Pictures of remaining tolerance, interruptions and deformable registrations."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rerad.core import Course, DoseScope, Goal, Grid, Prescription, RecoveryBasis
from rerad.planning import BudgetRow, BudgetScenario
from rerad.planning.interruption import InterruptedPlan, solve_interruption
from rerad.reporting.figures_budget import RemainingSlice, draw_budget, write_budget_figure
from rerad.reporting.figures_deformable import DeformablePicture, write_deformable_figure
from rerad.reporting.figures_interruption import draw_interruption


def row(name, rule_set, left, chosen=None):
    goal = Goal(
        name,
        "D0.1cc",
        DoseScope.CUMULATIVE,
        "Gy",
        at_most=70.0,
        alpha_beta_gy=2.5,
        recovery_basis=RecoveryBasis.RAW,
    )
    scenarios = tuple(
        BudgetScenario("any", 0.0, 40.0, 70.0, 30.0, gy, "source", n == chosen)
        for n, gy in enumerate(left)
    )
    return BudgetRow(name, goal, rule_set, scenarios)


def texts(figure):
    return [item.get_text() for axes in figure.axes for item in axes.texts] + [
        label.get_text() for axes in figure.axes for label in axes.get_yticklabels()
    ]


def test_the_budget_shows_every_organ_and_says_unknown(tmp_path: Path):
    rows = [row("SacralPlex_R", "umich", [31.1, 47.0], 0), row("Bladder", "umich", [np.nan])]
    found = texts(draw_budget(rows, 22, 40.0, None))
    assert "SacralPlex_R  umich" in found
    assert "unknown" in found
    assert "prescribed 40 Gy" in found
    left = np.full((4, 5), np.nan, np.float32)
    left[1, 2] = 12.0
    piece = RemainingSlice(np.zeros((4, 5), np.float32), left, (-10, 10, -8, 8), 3.0)
    write_budget_figure(tmp_path / "b.png", rows, 22, 40.0, piece)
    assert (tmp_path / "b.png").stat().st_size > 5000


def test_the_interruption_says_what_decides():
    plan = InterruptedPlan(
        Course("c", "", "", (Prescription("PTV", 40.0),), 22, None), 15, None, 10.0
    )
    solved = solve_interruption(plan, [], n_choices=(7, 5))
    figure = draw_interruption(solved)
    assert figure.axes[0].get_title(loc="left") == "dose decided by the tumour"
    assert "as planned" in texts(figure)
    heights = [line.get_ydata()[0] for line in figure.axes[1].lines if len(line.get_xdata()) == 1]
    assert sorted(heights) == pytest.approx([40 / 22, 2.424], abs=0.02)
    made = replace(solved.options[-1], is_new_plan=True)
    assert "new plan" in texts(draw_interruption(replace(solved, options=(*solved.options, made))))


def test_the_checkerboard_is_of_both_images(tmp_path: Path):
    grid = Grid((12, 40, 40), (0, 0, 0), (3.0, 3.0, 3.0), "1.2")
    picture = DeformablePicture(
        np.full(grid.shape, -100.0, np.float32),
        np.full(grid.shape, 200.0, np.float32),
        np.ones(grid.shape),
        grid,
        "test",
    )
    write_deformable_figure(tmp_path / "d.png", picture)
    assert (tmp_path / "d.png").stat().st_size > 5000
