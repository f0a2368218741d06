"""What remains voxel by voxel, and a plan that comes back."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseScope, Goal, Grid, RecoveryBasis
from rerad.errors import FrameMismatchError, InputError
from rerad.evaluation import Verdict
from rerad.planning.budget import OrganLimit
from rerad.planning.remaining_map import remaining_map
from rerad.planning.returned_plan import (
    LimitContext,
    ReturnedPlan,
    check_returned_plan,
    parts_outside,
)
from rerad.radiobiology import eqd2, physical_from_eqd2, to_eqd2
from rerad.structures import EndSlab, rasterize


def limit_of(name, at_most, alpha_beta, prior):
    goal = Goal(
        name,
        "D0.1cc",
        DoseScope.CUMULATIVE,
        "Gy",
        at_most=at_most,
        alpha_beta_gy=alpha_beta,
        recovery_basis=RecoveryBasis.RAW,
    )
    return OrganLimit(name, goal, 0.0, prior)


@pytest.fixture(scope="module")
def scene(make_inputs, structures):
    grid = make_inputs().image.grid
    x = grid.axes_mm[0]
    ramp = np.broadcast_to(20.0 + 0.25 * (x - x[0]), grid.shape).astype(np.float32)
    dose = Dose(ramp, grid)
    names = ("SacralPlex_R", "PTV_4000")
    masks = {name: rasterize(structures[name], grid) for name in names}
    given = {ab: to_eqd2(dose, n_fractions_planned=20, alpha_beta_gy=ab) for ab in (2.0, 3.0)}
    return grid, dose, masks, given, structures


def test_each_voxel_and_the_smaller_of_two_organs(scene):
    """A voxel in two structures has two EQD2; the physical dose of one schedule compares."""
    grid, dose, masks, given, _ = scene
    limits = [
        limit_of("SacralPlex_R", 67.0, 2.0, given[2.0]),
        limit_of("PTV_4000", 60.0, 3.0, given[3.0]),
    ]
    found = remaining_map(limits, masks, grid, n_fractions=22)
    for index in [(12, 24, 20), (12, 24, 25), (12, 24, 33)]:
        physical = float(dose.values[index])
        expected = [
            physical_from_eqd2(limit - eqd2(physical, 20, ab), n_fractions=22, alpha_beta_gy=ab)
            for name, limit, ab in (("SacralPlex_R", 67.0, 2.0), ("PTV_4000", 60.0, 3.0))
            if masks[name].on(grid)[index] > 0
        ]
        assert expected, index
        assert found.combined.values[index] == pytest.approx(min(expected), abs=1e-3)
    assert np.isnan(found.combined.values[0, 0, 0])
    assert found.organs[0].n_voxels == np.count_nonzero(masks["SacralPlex_R"].fraction)


def test_given_back_the_remaining_dose_meets_the_limit_exactly(scene):
    grid, _, masks, given, _ = scene
    limit = limit_of("SacralPlex_R", 67.0, 2.0, given[2.0])
    (organ,) = remaining_map([limit], masks, grid, n_fractions=10).organs
    left = organ.physical.values.astype(np.float64)
    prior = given[2.0].values[grid.region_of(organ.physical.grid)]
    known = np.isfinite(left) & (left > 0)
    total = prior[known] + eqd2(left[known], 10, 2.0)
    np.testing.assert_allclose(total, 67.0, atol=1e-3)


def test_unknown_and_exhausted_voxels_are_counted(scene):
    grid, _, masks, given, _ = scene
    values = np.array(given[2.0].values)
    values[:, :, :24] = np.nan
    prior = Dose(values, grid, given[2.0].quantity, 2.0)
    limits = [limit_of("SacralPlex_R", 25.0, 2.0, prior)]
    found = remaining_map(limits, masks, grid, n_fractions=22)
    (organ,) = found.organs
    assert 0 < organ.n_unknown < organ.n_voxels
    assert organ.n_exhausted > 0
    assert organ.least_gy == 0
    region = grid.region_of(organ.physical.grid)
    assert np.isnan(found.combined.values[region][:, :, 0]).all()
    blank = Dose(np.full(grid.shape, np.nan), grid, given[2.0].quantity, 2.0)
    nothing = remaining_map([replace(limits[0], prior=blank)], masks, grid, n_fractions=5)
    assert math.isnan(nothing.organs[0].least_gy)
    with pytest.raises(InputError, match="at least one organ"):
        remaining_map([], masks, grid, n_fractions=5)


def context(scene, **changes):
    grid, _, _, given, structures = scene
    made = LimitContext(
        limits=(limit_of("SacralPlex_R", 67.0, 2.0, given[2.0]),),
        structures={s.name: s for s in structures.structures},
        grid=grid,
        end_slab=EndSlab.FLAT,
    )
    return replace(made, **changes)


def flat(gy, grid):
    return Dose(np.full(grid.shape, gy), grid)


def test_a_returned_plan_is_converted_with_its_own_fractions(scene):
    grid = scene[0]
    few = check_returned_plan(ReturnedPlan("few", flat(20.0, grid), 5), context(scene))
    many = check_returned_plan(ReturnedPlan("many", flat(20.0, grid), 20), context(scene))
    assert few.goals[0].value - many.goals[0].value == pytest.approx(
        eqd2(20, 5, 2.0) - eqd2(20, 20, 2.0), abs=0.01
    )
    assert many.is_within_limits
    over = check_returned_plan(ReturnedPlan("over", flat(50.0, grid), 25), context(scene))
    assert over.goals[0].verdict is Verdict.EXCEEDED
    assert not over.is_within_limits
    known = context(scene, accepted=frozenset({"SacralPlex_R"}))
    assert check_returned_plan(over.plan, known).goals[0].verdict is Verdict.ACCEPTED


def test_a_breach_is_accepted_in_the_targets_only(scene) -> None:
    """What comes back may be hot where the target is, not in the rest of the organ."""
    grid, _, _, _, structures = scene
    targets = [s.name for s in structures.structures if s.kind.is_target]
    organ = "SacralPlex_R"
    parts = parts_outside(structures, [organ], targets, grid)
    assert 0 < parts[organ].volume_cc < rasterize(structures[organ], grid).volume_cc
    known = context(scene, accepted=frozenset({organ}), outside_targets=parts)
    everywhere = check_returned_plan(ReturnedPlan("hot", flat(50.0, grid), 25), known)
    assert [goal.verdict for goal in everywhere.goals] == [Verdict.ACCEPTED, Verdict.EXCEEDED]
    assert everywhere.goals[1].goal.structure == f"{organ}-PTV"
    assert not everywhere.is_within_limits
    low = check_returned_plan(ReturnedPlan("low", flat(5.0, grid), 25), known)
    assert [goal.verdict for goal in low.goals] == [Verdict.MET, Verdict.MET]


def test_a_missing_course_leaves_the_verdict_open(scene):
    grid = scene[0]
    plan = ReturnedPlan("p", flat(10.0, grid), 10)
    check = check_returned_plan(plan, context(scene, is_lower_bound=True))
    assert check.goals[0].verdict is Verdict.UNKNOWN
    assert not check.is_within_limits


def test_a_dose_grid_that_cuts_an_organ_is_told(scene):
    grid = scene[0]
    small = grid.crop((10, 0, 0), (16, *grid.shape[1:]))
    check = check_returned_plan(ReturnedPlan("p", flat(10.0, small), 10), context(scene))
    assert "returned-dose-cuts-organ" in {f.code for f in check.findings}
    assert check.goals[0].verdict is Verdict.UNKNOWN
    other = Grid(grid.shape, grid.origin_mm, grid.spacing_mm, "9.9")
    with pytest.raises(FrameMismatchError, match="frame of the planning CT"):
        check_returned_plan(ReturnedPlan("p", flat(10.0, other), 10), context(scene))
    with pytest.raises(InputError, match="1 fraction or more"):
        check_returned_plan(ReturnedPlan("p", flat(10.0, grid), 0), context(scene))
