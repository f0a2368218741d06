"""What remains voxel by voxel."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseScope, Goal, RecoveryBasis
from rerad.errors import InputError
from rerad.planning.budget import OrganLimit
from rerad.planning.remaining_map import remaining_map
from rerad.radiobiology import eqd2, physical_from_eqd2, to_eqd2
from rerad.structures import rasterize


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


def test_a_missing_course_leaves_nothing_known(scene):
    grid, _, masks, given, _ = scene
    limits = [limit_of("SacralPlex_R", 67.0, 2.0, given[2.0])]
    found = remaining_map(limits, masks, grid, n_fractions=22, lacks_course=True)
    (organ,) = found.organs
    assert organ.n_unknown == organ.n_voxels > 0
    assert math.isnan(organ.least_gy)
    assert np.isnan(found.combined.values).all()
