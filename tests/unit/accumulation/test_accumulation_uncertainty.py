import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.accumulation import cumulative_maxima, search_maximum, worst_prior_within
from rerad.core import Dose, DoseQuantity, Grid, Mask, StructureKind
from rerad.errors import InputError, QuantityMismatchError

GRID = Grid((8, 9, 10), (0, 0, 0), (2.0, 2.5, 3.0), "1.2.3")
CORD = GRID.crop((1, 2, 3), (7, 7, 8))


def eqd2(values):
    return Dose(values, GRID, DoseQuantity.EQD2, 2.0)


def organ(seed=1):
    inside = np.random.default_rng(seed).random(CORD.shape) > 0.4
    inside[2, 2, 2] = True
    return Mask("SpinalCord", StructureKind.OAR, inside.astype(np.float32), CORD)


def slow_search(dose, mask, radius_mm, is_within):
    """The obvious way: look at every pair of voxels."""
    region = dose.grid.region_of(mask.grid)
    inside = np.zeros(GRID.shape, dtype=bool)
    inside[region] = mask.fraction > 0
    result = np.full(GRID.shape, np.nan)
    index = np.argwhere(np.ones(GRID.shape, dtype=bool))
    points = GRID.points(index)
    for kji in np.argwhere(inside):
        near = np.sum(((points - GRID.points(kji)) / radius_mm) ** 2, axis=1) <= 1 + 1e-9
        chosen = [tuple(n) for n in index[near] if inside[tuple(n)] or not is_within]
        result[tuple(kji)] = np.max([dose.values[n] for n in chosen])
    return result[region]


@pytest.mark.parametrize("is_within", [True, False])
def test_search_agrees_with_its_slow_twin(is_within):
    values = np.random.default_rng(2).uniform(0, 60, GRID.shape)
    values[4, 4, 4] = np.nan
    dose = eqd2(values)
    mask = organ()
    fast = search_maximum(dose, mask, radius_mm=(5.0, 3.0, 4.0), is_within=is_within)
    slow = slow_search(dose, mask, np.array([5.0, 3.0, 4.0]), is_within)
    np.testing.assert_array_equal(fast.values, slow.astype(np.float32))
    assert fast.grid is mask.grid


def test_no_radius_is_the_voxel_itself():
    dose = eqd2(np.random.default_rng(3).uniform(0, 60, GRID.shape))
    mask = organ()
    same = search_maximum(dose, mask, radius_mm=(0, 0, 0), is_within=False)
    inside = mask.fraction > 0
    np.testing.assert_array_equal(same.values[inside], dose.values[GRID.region_of(CORD)][inside])


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.floats(0, 9), st.floats(0, 60))
def test_invariants_of_the_search(seed, radius_mm, overlap_gy):
    """Within the organ the search never exceeds the sum of single-course maxima (RADAR)."""
    rng = np.random.default_rng(seed)
    earlier = [eqd2(rng.uniform(0, 60, GRID.shape)) for _ in range(2)]
    today = eqd2(rng.uniform(0, 60, GRID.shape))
    got = cumulative_maxima(
        earlier, today, organ(seed), radius_mm=(radius_mm,) * 3, overlap_gy=overlap_gy
    )
    slack = 1e-4
    assert got.voxel_sum_gy <= got.search_within_gy + slack
    assert got.search_within_gy <= got.sum_of_maxima_gy + slack
    assert got.search_within_gy <= got.search_free_gy + slack
    assert got.sum_in_overlap_gy <= got.sum_of_maxima_gy + slack


def test_free_search_may_pull_target_dose_into_the_organ():
    """The published demonstration: 72.4 and 126.9 Gy, but 65.2 of at most 67.3 Gy within."""
    earlier = np.full(GRID.shape, 10.0)
    earlier[:, :, 8:] = 70.0  # the earlier target, beside the organ
    today = np.full(GRID.shape, 30.0)
    mask = Mask("SpinalCord", StructureKind.OAR, np.ones(CORD.shape), CORD)
    got = cumulative_maxima(
        [eqd2(earlier)], eqd2(today), mask, radius_mm=(3.0, 3.0, 3.0), overlap_gy=5.0
    )
    assert got.sum_of_maxima_gy == pytest.approx(40)
    assert got.voxel_sum_gy == pytest.approx(40)
    assert got.search_within_gy == pytest.approx(40)
    assert got.search_free_gy == pytest.approx(100)


def test_overlap_only_counts_where_every_course_was():
    earlier, today = np.zeros(GRID.shape), np.zeros(GRID.shape)
    region = GRID.region_of(CORD)
    earlier[region][0, 0, 0], today[region][0, 0, 0] = 50, 4
    earlier[region][1, 1, 1], today[region][1, 1, 1] = 20, 30
    today[region][2, 2, 2] = 45
    mask = Mask("Rectum", StructureKind.OAR, np.ones(CORD.shape), CORD)

    def overlap(gy):
        return cumulative_maxima(
            [eqd2(earlier)], eqd2(today), mask, radius_mm=(0, 0, 0), overlap_gy=gy
        )

    assert overlap(5).sum_in_overlap_gy == pytest.approx(50)
    assert overlap(1).sum_in_overlap_gy == pytest.approx(80)
    assert overlap(35).sum_in_overlap_gy == 0
    assert overlap(5).sum_of_maxima_gy == pytest.approx(95)


def test_unknown_dose_is_counted_and_spreads_into_the_search():
    earlier = np.full(GRID.shape, 20.0)
    earlier[GRID.region_of(CORD)][0] = np.nan
    mask = Mask("Rectum", StructureKind.OAR, np.ones(CORD.shape), CORD)
    got = cumulative_maxima(
        [eqd2(earlier)],
        eqd2(np.full(GRID.shape, 10.0)),
        mask,
        radius_mm=(3, 3, 3),
        overlap_gy=5,
    )
    assert got.n_unknown == CORD.shape[1] * CORD.shape[2]
    assert got.voxel_sum_gy == pytest.approx(30)
    searched = search_maximum(eqd2(earlier), mask, radius_mm=(3, 3, 3), is_within=True)
    assert np.isnan(searched.values[:2]).all()
    assert not np.isnan(searched.values[2:]).any()


def test_bad_requests_are_refused():
    one = eqd2(np.ones(GRID.shape))
    mask = organ()
    with pytest.raises(InputError, match="at least one earlier"):
        cumulative_maxima([], one, mask, radius_mm=(1, 1, 1), overlap_gy=1)
    with pytest.raises(InputError, match="search radii"):
        search_maximum(one, mask, radius_mm=(-1, 1, 1), is_within=True)
    with pytest.raises(InputError, match="overlap dose"):
        cumulative_maxima([one], one, mask, radius_mm=(1, 1, 1), overlap_gy=-1)
    empty = Mask("Rectum", StructureKind.OAR, np.zeros(CORD.shape), CORD)
    with pytest.raises(InputError, match="Rectum: expected a volume"):
        cumulative_maxima([one], one, empty, radius_mm=(1, 1, 1), overlap_gy=1)
    physical = Dose(np.ones(GRID.shape), GRID)
    with pytest.raises(QuantityMismatchError):
        cumulative_maxima([physical], physical, mask, radius_mm=(1, 1, 1), overlap_gy=1)


def test_worst_prior_is_the_worst_of_all_shifts():
    """Slow twin: move the dose by every vector of voxels in the ellipsoid, keep the worst."""
    rng = np.random.default_rng(8)
    dose, mask, radius = eqd2(rng.uniform(0, 60, GRID.shape)), organ(8), np.array([5.0, 3.0, 6.5])
    inside = np.zeros(GRID.shape, dtype=bool)
    inside[GRID.region_of(CORD)] = mask.fraction > 0
    worst = np.where(inside, dose.values, np.nan)
    reach = np.ceil(radius / GRID.spacing_mm).astype(int)
    for di in range(-reach[0], reach[0] + 1):
        for dj in range(-reach[1], reach[1] + 1):
            for dk in range(-reach[2], reach[2] + 1):
                shift = np.array([di, dj, dk]) * GRID.spacing_mm
                if np.sum((shift / radius) ** 2) > 1:
                    continue
                for k, j, i in np.argwhere(inside):
                    other = (k + dk, j + dj, i + di)
                    is_there = all(0 <= a < n for a, n in zip(other, GRID.shape, strict=True))
                    if is_there and inside[other]:
                        worst[k, j, i] = max(worst[k, j, i], dose.values[other])
    got = worst_prior_within(dose, mask, tuple(radius))
    np.testing.assert_array_equal(got.values, worst)
    assert got.grid is dose.grid
    assert got.alpha_beta_gy == dose.alpha_beta_gy


def test_worst_prior_keeps_what_is_unknown():
    values = np.full(GRID.shape, 20.0)
    values[GRID.region_of(CORD)][0] = np.nan
    whole = Mask("Rectum", StructureKind.OAR, np.ones(CORD.shape), CORD)
    got = worst_prior_within(eqd2(values), whole, (3.0, 3.0, 3.0)).values[GRID.region_of(CORD)]
    assert np.isnan(got[:2]).all()
    assert np.all(got[2:] == 20.0)
    # unknown dose outside the organ says nothing about it
    values = np.full(GRID.shape, np.nan)
    values[GRID.region_of(CORD)] = 20.0
    got = worst_prior_within(eqd2(values), whole, (3.0, 3.0, 3.0)).values
    assert np.all(got[GRID.region_of(CORD)] == 20.0)
    assert np.count_nonzero(np.isnan(got)) == got.size - whole.fraction.size


def test_worst_prior_refuses_what_would_be_no_search():
    dose, mask = eqd2(np.ones(GRID.shape)), organ()
    with pytest.raises(InputError, match="SpinalCord: a search of 2 mm along z reaches no voxel"):
        worst_prior_within(dose, mask, (3.0, 3.0, 2.0))
    with pytest.raises(InputError, match="search radii"):
        worst_prior_within(dose, mask, (-1.0, 0.0, 0.0))
    with pytest.raises(QuantityMismatchError, match="convert it at its own"):
        worst_prior_within(Dose(np.ones(GRID.shape), GRID), mask, (3.0, 3.0, 3.0))
    same = worst_prior_within(dose, mask, (0.0, 0.0, 0.0)).values[GRID.region_of(CORD)]
    assert np.all(same[mask.fraction > 0] == 1.0)
