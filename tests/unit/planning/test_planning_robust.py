"""The robust mode: corners of what may have been, caps that hold at each, a plan, its price."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, Grid
from rerad.errors import InputError
from rerad.evaluation import Verdict, parse_goal
from rerad.optimize import worst_case_cap
from rerad.planning import (
    CaseResult,
    PlanningInputs,
    Points,
    PriorCourse,
    RobustSettings,
    prepare_case,
    run_pipeline,
)
from rerad.planning.budget import required_alpha_betas_gy
from rerad.planning.caps import CapCorner, OrganCap, held_doses_gy
from rerad.planning.levels import goal_levels
from rerad.planning.plan_task import plan_points
from rerad.planning.robust_corners import corners_of
from rerad.planning.robust_verdicts import shifted_cloud
from rerad.planning.terms import Anatomy, organ_caps, organ_terms
from rerad.radiobiology import eqd2
from rerad.structures import rasterize

FULL = RobustSettings((6.0, 3.0, 3.0), (3.0, 0.0, 0.0), 0.5, 0.1)
NOTHING = RobustSettings((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 0.0, 0.0)
ACCEPTED = (("SacralPlex_R", "the target lies in it"),)


def silent(what: str, share: float) -> None:
    """Say nothing."""


def sloping(inputs: PlanningInputs) -> PlanningInputs:
    """Let the earlier dose fall from 60 Gy at the right to 25 Gy at the left."""
    prior = inputs.priors[0]
    grid = inputs.image.grid
    x = np.broadcast_to(grid.axes_mm[0], grid.shape)
    dose = Dose((40.0 - 0.25 * x).astype(np.float32), grid)
    return replace(inputs, priors=(replace(prior, study=replace(prior.study, dose=dose)),))


@pytest.fixture(scope="module")
def inputs(make_inputs: Callable) -> PlanningInputs:
    changes = {"n_correction_passes": 0, "max_evaluations": 60, "n_leaf_refinements": 1}
    return sloping(make_inputs(robustness=FULL, accepted_breaches=ACCEPTED, **changes))


@pytest.fixture(scope="module")
def result(inputs: PlanningInputs) -> CaseResult:
    return run_pipeline(inputs, silent)


def test_sizes_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="0 or more"):
        replace(FULL, setup_shift_mm=(3.0, -1.0, 0.0))
    with pytest.raises(InputError, match="recovery_spread"):
        replace(FULL, recovery_spread=1.5)
    with pytest.raises(InputError, match="less than every alpha/beta"):
        FULL.alpha_beta_ends_gy(0.5)


def test_intervals_go_both_ways_and_recovery_stops_at_none() -> None:
    assert FULL.alpha_beta_ends_gy(2.0) == (1.5, 2.5)
    assert NOTHING.alpha_beta_ends_gy(2.0) == (2.0,)
    assert FULL.least_recovery(0.25) == pytest.approx(0.15)
    assert FULL.least_recovery(0.05) == 0.0


def test_eqd2_is_made_at_both_ends(make_inputs: Callable) -> None:
    without = set(required_alpha_betas_gy(make_inputs()))
    both = set(required_alpha_betas_gy(make_inputs(robustness=FULL)))
    assert both - without == {1.5, 3.5}
    assert 2.5 in both


def test_corners_search_within_the_organ_only(
    make_inputs: Callable, carry: Callable[..., PriorCourse]
) -> None:
    """On a slope along x the worst dose of a voxel is that of its neighbour two to the right."""
    given = sloping(make_inputs())
    course = carry(given.priors[0], 1.5, 2.5)
    organ = rasterize(given.structures["SacralPlex_R"], given.image.grid)
    corners = corners_of(FULL, (course,), organ, 2.0, 0.2)
    assert [corner.alpha_beta_gy for corner in corners] == [1.5, 2.5]
    for corner in corners:
        own = 0.9 * course.eqd2_on_planning[corner.alpha_beta_gy].values
        inside = organ.on(given.image.grid) > 0
        assert corner.prior is not None
        found = corner.prior.values
        slow = own.copy()
        for k, j, i in np.argwhere(~inside):
            near = (
                slice(max(0, k - 1), k + 2),
                slice(max(0, j - 1), j + 2),
                slice(max(0, i - 1), i + 2),
            )
            slow[k, j, i] = max(own[k, j, i], *found[near][inside[near]], 0.0)
        assert np.any(slow[~inside] > own[~inside] + 1.0)
        np.testing.assert_allclose(found[~inside], slow[~inside], rtol=1e-6)
        two_right = np.roll(own, 2, axis=2)
        deep = inside & np.roll(inside, 2, axis=2)
        np.testing.assert_allclose(found[deep], two_right[deep], rtol=1e-6)
        edge = inside & ~np.roll(inside, 1, axis=2)  # nothing of the organ is further right
        np.testing.assert_allclose(found[edge], own[edge], rtol=1e-6)


def test_nothing_uncertain_makes_no_corner(make_inputs: Callable, carry: Callable) -> None:
    given = make_inputs()
    organ = rasterize(given.structures["SacralPlex_R"], given.image.grid)
    course = carry(given.priors[0], 2.0)
    assert corners_of(None, (course,), organ, 2.0, 0.0) == ()
    assert corners_of(NOTHING, (course,), organ, 2.0, 0.0) == ()


def stage(inputs: PlanningInputs) -> tuple[Anatomy, Points, object]:
    request = prepare_case(inputs, silent).request
    anatomy = Anatomy.build(
        request.grid, request.masks, request.body, request.course.prescriptions
    )
    return anatomy, plan_points(request, anatomy), request


def test_caps_hold_at_every_corner_and_never_exceed_the_believed_ones(
    inputs: PlanningInputs,
) -> None:
    anatomy, points, request = stage(inputs)
    believed = organ_caps(anatomy, points, request.trusting.organ_caps, 22)
    robust = organ_caps(anatomy, points, request.organ_caps, 22)
    for organ, plain, hard in zip(request.organ_caps, believed, robust, strict=True):
        np.testing.assert_array_equal(plain.indices, hard.indices)
        assert np.all(hard.max_dose_gy <= plain.max_dose_gy + 1e-9)
        priors = [points.sample(c.prior.values)[hard.indices] for c in organ.corners]
        at = [c.alpha_beta_gy for c in organ.corners]
        worst = worst_case_cap(priors, at, organ.aim_eqd2_gy, 22)
        held = worst > 0
        assert held.mean() > 0.5
        for prior, alpha_beta in zip(priors, at, strict=True):
            total = prior + eqd2(hard.max_dose_gy, 22, alpha_beta)
            assert np.all(total[held] <= organ.aim_eqd2_gy + 1e-6)


def test_where_the_worst_case_leaves_nothing_what_is_believed_is_held(
    inputs: PlanningInputs,
) -> None:
    """A limit below what the hottest voxels had, and a little less than what is near them."""
    anatomy, points, request = stage(inputs)
    organ = next(c for c in request.organ_caps if c.structure == "SacralPlex_R")
    believed = points.sample(organ.prior.values)
    limit = float(np.max(believed[points.of_mask(anatomy.masks["SacralPlex_R"])[0]])) - 1.0
    tight = replace(organ, limit_eqd2_gy=limit, aim_eqd2_gy=limit, excludes_targets=False)
    plain = organ_caps(anatomy, points, [replace(tight, corners=())], 22)[0]
    hard = organ_caps(anatomy, points, [tight], 22)[0]
    np.testing.assert_array_equal(plain.indices, hard.indices)
    worst = np.max([points.sample(c.prior.values)[hard.indices] for c in tight.corners], axis=0)
    spent = worst >= limit
    assert spent.any()
    np.testing.assert_array_equal(hard.max_dose_gy[spent], plain.max_dose_gy[spent])
    _, findings = organ_terms(anatomy, points, [tight], request.objectives, 22)
    finding = next(f for f in findings if f.code == "worst-case-not-held")
    assert "leaves nothing" in finding.text


def test_goals_with_priority_are_worked_on_in_their_worst_case(inputs: PlanningInputs) -> None:
    """On a slope the mean of what is believed keeps a goal that the worst case does not."""
    text = "1: SacralPlex_R Dmean[EQD2] <= {:.3f} ab=2.5"
    asked = replace(inputs, goals=(parse_goal(text.format(60.0)),))
    prepared = prepare_case(asked, silent)
    anatomy, points, request = stage(asked)
    weights = request.objectives
    (level,), _ = goal_levels(request.goals, anatomy, points, weights, 22)
    (term,) = level.terms
    none = np.zeros(len(term.indices))
    believed = points.sample(request.goals[0].prior.values)[term.indices]
    means = (term.weights @ believed, term.weights @ term.cumulative.eqd2_and_slope(none)[0])
    assert means[1] > means[0] + 0.5
    between = parse_goal(text.format(0.5 * sum(means)))
    goals = tuple(replace(item, goal=between) for item in request.goals)
    for with_corners, is_kept in ((goals, False), ([replace(goals[0], corners=())], True)):
        (level,), _ = goal_levels(with_corners, anatomy, points, weights, 22)
        assert (level.value(np.zeros(len(points.indices))) == 0) is is_kept
    organ = request.masks["SacralPlex_R"].on(request.grid) > 0
    dose = np.random.default_rng(5).uniform(0.0, 60.0, len(none))
    found, _ = term.cumulative.eqd2_and_slope(dose)
    offsets = np.argwhere(np.ones((3, 3, 5))) - (1, 1, 2)  # 3 mm voxels: 3, 3 and 6 mm
    offsets = offsets[np.sum((offsets / (1, 1, 2)) ** 2, axis=1) <= 1]
    earlier = prepared.priors[0].eqd2_on_planning
    for n in range(0, len(none), 37):
        place = np.unravel_index(points.indices[term.indices[n]], request.grid.shape)
        near = [tuple(near) for near in np.array(place) + offsets if organ[tuple(near)]]
        slow = max(
            float(earlier[a].values[there]) + float(eqd2(dose[n], 22, a))
            for a in (2.0, 2.5, 3.0)
            for there in near
        )
        assert found[n] == pytest.approx(slow, rel=1e-5)


def test_goals_are_worked_on_where_they_are_judged(inputs: PlanningInputs) -> None:
    """Not in the target where a breach is accepted, and not where nothing is known, said so."""
    asked = replace(inputs, goals=(parse_goal("1: SacralPlex_R Dmean[EQD2] <= 60 ab=2.5"),))
    anatomy, points, request = stage(asked)
    (item,), weights = request.goals, request.objectives
    (level,), findings = goal_levels((item,), anatomy, points, weights, 22)
    worked_on = level.terms[0].indices
    nearest = points.sample(anatomy.nearest_target_mm())
    organ, _ = points.of_mask(request.masks["SacralPlex_R"])
    np.testing.assert_array_equal(worked_on, organ[nearest[organ] > 0])
    assert len(worked_on) < len(organ)
    assert not [f for f in findings if f.code == "goal-not-worked-on"]
    values = item.prior.values.copy()
    values.ravel()[points.indices[worked_on[:10]]] = np.nan
    unknown = replace(item, prior=replace(item.prior, values=values))
    (level,), findings = goal_levels((unknown,), anatomy, points, weights, 22)
    np.testing.assert_array_equal(level.terms[0].indices, worked_on[10:])
    finding = next(f for f in findings if f.code == "goal-not-worked-on")
    assert finding.where == "SacralPlex_R"
    strict = inputs.settings
    strict = replace(asked, settings=replace(strict, accepted_breaches=()))
    anatomy, points, request = stage(strict)
    (level,), _ = goal_levels(request.goals, anatomy, points, weights, 22)
    assert len(level.terms[0].indices) == len(organ)


def test_limits_hold_in_every_scenario_at_a_price(result: CaseResult) -> None:
    assert result.robust is not None
    price = result.robust.planning.price
    plexus = next(item for item in price.organs if item.name == "SacralPlex_R")
    assert plexus.worst_excess.nominal_gy > 5.0
    assert plexus.worst_excess.robust_gy < 0.5
    target = price.targets[0]
    assert target.d98.change_gy < -3.0
    for pair in ("nominal_gy", "robust_gy"):
        assert getattr(target.worst_d98, pair) <= getattr(target.d98, pair)


def test_verdicts_are_of_the_final_dose_in_the_worst_scenario(result: CaseResult) -> None:
    """Leaves are refined after the robust passes; they must not take back what was given up."""
    assert result.robust is not None
    assert len(result.convergence.refinement) == 2
    by_name = {(v.structure, v.worst.goal.metric): v for v in result.robust.verdicts}
    plexus = by_name["SacralPlex_R-PTV", "D0.1cc"]
    limit = plexus.worst.goal.at_most
    assert limit is not None
    assert plexus.worst.value < limit + 0.5
    assert "shift" in plexus.scenario
    assert "alpha/beta" in plexus.scenario
    nominal = next(g for g in result.planned.goals if g.goal.structure == "SacralPlex_R-PTV")
    assert nominal.value < plexus.worst.value
    assert nominal.verdict is Verdict.MET
    codes = {finding.code for finding in result.findings}
    assert "robust-plan" in codes


def test_priorities_stay_priorities_in_a_robust_plan(inputs: PlanningInputs) -> None:
    """Levels and a hard mean go over into all scenarios; only a shift is uncertain here."""
    goals = ("1: PTV_4000 D95% >= 95%", "2: Bladder Dmean <= 8 Gy", "Bladder D20% <= 25 Gy must")
    shifted = replace(NOTHING, setup_shift_mm=(3.0, 0.0, 0.0))
    settings = replace(
        inputs.settings, robustness=shifted, max_evaluations=120, n_leaf_refinements=0
    )
    asked = tuple(parse_goal(text) for text in goals)
    done = run_pipeline(replace(inputs, goals=asked, settings=settings), silent)
    assert [level.name for level in done.convergence.levels] == ["priority 1", "priority 2"]
    assert done.robust is not None
    assert len(done.robust.planning.shifts_mm) == 3
    price = {item.name: item.worst_excess for item in done.robust.planning.price.organs}
    assert price["SacralPlex_R"].robust_gy < min(1.0, price["SacralPlex_R"].nominal_gy)
    hard = next(v for v in done.robust.verdicts if v.worst.goal.is_hard)
    assert hard.worst.value < 25.5
    assert "hard-goal-without-shift" not in {f.code for f in done.findings}
    assert done.prices is not None
    assert done.prices.organs["Bladder D20%"] >= 0.0
    assert hard.scenario in {"no shift", "shift (-3, 0, 0) mm", "shift (3, 0, 0) mm"}


def test_prices_and_state_are_of_points_without_shift(result: CaseResult) -> None:
    assert result.prices is not None
    assert set(result.prices.organs) == {"SacralPlex_R", "Bladder"}
    assert result.prices.organs["SacralPlex_R"] > 0


def test_a_cloud_moves_with_the_isocentre() -> None:
    grid = Grid((5, 6, 7), (0.0, 0.0, 0.0), (3.0, 2.0, 4.0), "1.2")
    values = np.zeros(grid.shape, dtype=np.float32)
    values[2, 3, 3] = 10.0
    moved = shifted_cloud(Dose(values, grid), (3.0, -2.0, 4.0))
    assert moved.values[3, 2, 4] == pytest.approx(10.0)
    half = shifted_cloud(Dose(values, grid), (1.5, 0.0, 0.0))
    assert half.values[2, 3, 3] == half.values[2, 3, 4] == pytest.approx(5.0)


def test_a_price_is_of_the_corner_that_leaves_least() -> None:
    """Of 3 Gy (30 Gy before) and 1.5 Gy (32 Gy before), 22 fractions, 60 Gy: the second binds."""
    grid = Grid((1, 1, 4), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "1.2")

    def before(*values: float) -> Dose:
        array = np.array(values, dtype=np.float32).reshape(grid.shape)
        return Dose(array, grid, DoseQuantity.EQD2, alpha_beta_gy=2.0)

    corners = (
        CapCorner(3.0, before(30.0, 55.0, np.nan, 30.0)),
        CapCorner(1.5, before(32.0, 10.0, 30.0, 61.0)),
    )
    cap = OrganCap(
        "Organ", 60.0, 60.0, 2.0, before(31.0, 31.0, 31.0, 31.0), False, corners=corners
    )
    _, found = held_doses_gy(cap, grid, np.arange(4), 22)
    # the third has an unknown corner, the fourth a spent one: held for the dose as mapped
    np.testing.assert_array_equal(found, [1.5, 3.0, 2.0, 2.0])
    alone = replace(cap, corners=())
    np.testing.assert_array_equal(held_doses_gy(alone, grid, np.arange(4), 22)[1], [2.0] * 4)
