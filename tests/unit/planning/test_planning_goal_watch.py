"""Goals as the board shows them, and near-maxima of the plan as the optimiser is told them."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.evaluation import parse_goal
from rerad.planning import prepare_case
from rerad.planning.goal_watch import GoalLook
from rerad.planning.plan_goals import physical_caps
from rerad.planning.plan_task import plan_points
from rerad.planning.terms import Anatomy

GOALS = (
    "SacralPlex_R Dmax[EQD2] <= 67 ab=2",
    "SacralPlex_R Dmax <= 45 Gy",
    "SacralPlex_R Dmin[EQD2] >= 20 ab=2",
    "PTV_4000 HI <= 0.25",
)


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def told(make_inputs: Callable):
    """How the goals stand in a dose of 40 Gy where plexus and target meet, and 10 Gy elsewhere."""
    inputs = make_inputs(dose_grid_mm=6.0, accepted_breaches=(("SacralPlex_R", "meant"),))
    prepared = prepare_case(replace(inputs, goals=tuple(map(parse_goal, GOALS))), silent)
    request, judgement = prepared.request, prepared.judgement
    course = request.course
    anatomy = Anatomy.build(request.grid, request.masks, request.body, course.prescriptions)
    points = plan_points(request, anatomy)
    where, _ = points.of_mask(judgement.shared_with_targets("SacralPlex_R"))
    dose = np.full(len(points.indices), 10.0)
    dose[where] = 40.0
    return GoalLook(judgement)(dose, points)


def test_only_a_cumulative_upper_limit_is_told_for_the_part_outside_the_targets(told) -> None:
    """As it is judged: a physical goal, or a lower bound, is about the whole organ."""
    assert [now.structure for now in told[:3]] == [
        "SacralPlex_R-PTV",
        "SacralPlex_R",
        "SacralPlex_R",
    ]
    prior = 45 * (1.8 + 2) / 4
    assert told[0].value == pytest.approx(prior + 10 * (10 / 22 + 2) / 4, rel=1e-5)
    assert told[1].value == pytest.approx(40.0)
    assert told[1].is_met is True


def test_homogeneity_is_told_from_the_histogram(told) -> None:
    """D2% and D50% and D98% of a target of which a quarter has 40 Gy, the rest 10 Gy."""
    assert told[3].structure == "PTV_4000"
    assert told[3].value == pytest.approx((40 - 10) / 10, rel=1e-6)
    assert told[3].is_met is False


def test_a_wish_below_a_hard_limit_on_one_metric_is_told_apart() -> None:
    """Objectives have different names; what is said twice is one."""
    lines = ("Bladder Dmax <= 25 Gy", "Bladder Dmax <= 30 Gy must", "Bladder Dmax <= 25 Gy")
    caps = physical_caps([parse_goal(line) for line in lines])
    assert [(cap.label, cap.limit_gy, cap.is_hard) for cap in caps] == [
        ("Bladder Dmax", 25.0, False),
        ("Bladder Dmax <= 30 Gy, hard", 30.0, True),
    ]
