"""Courses of phases, the three strategies side by side, and the interval of the registration."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rerad.accumulation import (
    CourseDose,
    PhaseDose,
    RegistrationSpread,
    accumulate,
    map_dose,
    organ_sum,
    phase_eqd2,
    proposed_strategy_settings,
    sample_transforms,
    sum_doses,
)
from rerad.core import Dose, Grid, Mask, RigidTransform, StructureKind
from rerad.errors import FrameMismatchError, InputError, QuantityMismatchError
from rerad.radiobiology import eqd2, to_eqd2

TODAY, EARLIER = "1.2.1", "1.2.2"
GRID = Grid((16, 18, 20), (-28.5, -25.5, -22.5), (3.0, 3.0, 3.0), TODAY)
NATIVE = Grid((20, 22, 24), (-46.0, -42.0, -38.0), (4.0, 4.0, 4.0), EARLIER)
THERE = RigidTransform(np.diag([1.0, 1.0, 1.0, 1.0]), EARLIER, TODAY)
SETTINGS = proposed_strategy_settings(seed=7)


def ramp(grid, slope=1.0, level=30.0):
    x = grid.axes_mm[0][None, None, :]
    values = np.clip(level + slope * x, 0, None)
    return Dose(np.broadcast_to(values, grid.shape).astype(np.float32), grid)


def flat(gy, grid=GRID):
    return Dose(np.full(grid.shape, gy, dtype=np.float32), grid)


def organ(low=(5, 5, 5), high=(10, 12, 13)):
    crop = GRID.crop(low, high)
    return Mask("SacralPlex_R", StructureKind.OAR, np.ones(crop.shape, np.float32), crop)


def course(dose, planned, delivered, transform=None, **more):
    phase = PhaseDose(dose, planned, delivered)
    return CourseDose("c", (phase,), transform or RigidTransform.identity(TODAY), **more)


def test_phases_are_converted_each_with_its_own_fractions():
    """Sequential 45/25 and a boost of 15/5: 43.2 + 18 Gy at alpha/beta 3, not 60 in 30."""
    both = CourseDose(
        "first",
        (PhaseDose(flat(45.0), 25, 25), PhaseDose(flat(15.0), 5, 5)),
        RigidTransform.identity(TODAY),
    )
    total = accumulate([both], GRID, alpha_beta_gy=3.0)
    expected = eqd2(45, 25, 3.0) + eqd2(15, 5, 3.0)
    assert np.allclose(total.values, expected, atol=1e-3)
    assert expected != pytest.approx(eqd2(60, 30, 3.0), abs=0.5)


def test_high_dose_rate_insertions_keep_their_own_fraction_size():
    """45/25 external and four insertions of 7 Gy at alpha/beta 3: 43.2 + 56 Gy."""
    both = CourseDose(
        "cervix",
        (PhaseDose(flat(45.0), 25, 25), PhaseDose(flat(28.0), 4, 4, label="brachytherapy")),
        RigidTransform.identity(TODAY),
    )
    total = accumulate([both], GRID, alpha_beta_gy=3.0)
    assert np.allclose(total.values, 43.2 + 56.0, atol=1e-3)


def test_a_broken_fraction_is_converted_by_itself():
    """14 whole fractions of 1.8 Gy and one broken off at half its monitor units: 0.9 Gy."""
    phase = PhaseDose(flat(39.6), 22, 14, (0.5,))
    got = float(phase_eqd2(phase, 2.0).values[0, 0, 0])
    assert got == pytest.approx(14 * 1.8 * 3.8 / 4 + 0.9 * 2.9 / 4, abs=1e-4)
    # Counting 14.5 fractions would overstate it, scaling the dose would understate it.
    assert got < eqd2(39.6, 22, 2.0) * 14.5 / 22
    assert got > eqd2(39.6 * 14.5 / 22, 22, 2.0)


def test_the_streamed_sum_is_the_sum_of_mapped_doses():
    first = course(ramp(NATIVE), 25, 20, THERE, recovery_fraction=0.25)
    second = course(flat(20.0), 10, 10)
    got = accumulate([first, second], GRID, alpha_beta_gy=2.0)
    eqd2_first = to_eqd2(
        ramp(NATIVE), n_fractions_planned=25, n_fractions_delivered=20, alpha_beta_gy=2.0
    )
    one = map_dose(eqd2_first, THERE, GRID).scaled(0.75)
    two = to_eqd2(flat(20.0), n_fractions_planned=10, alpha_beta_gy=2.0)
    np.testing.assert_allclose(got.values, sum_doses([one, two]).values, rtol=1e-6)


def test_strategies_are_ordered():
    """Voxel sum <= search within the organ <= sum of maxima (RADAR's invariant)."""
    rng = np.random.default_rng(3)
    rough = Dose(rng.uniform(0, 50, NATIVE.shape).astype(np.float32), NATIVE)
    today = Dose(rng.uniform(0, 40, GRID.shape).astype(np.float32), GRID)
    courses = [course(rough, 25, 25, THERE), course(today, 20, 20)]
    found = organ_sum(courses, organ(), alpha_beta_gy=2.0, settings=SETTINGS)
    m = found.maxima
    assert m.voxel_sum_gy <= m.search_within_gy + 1e-4 <= m.sum_of_maxima_gy + 2e-4
    assert m.search_within_gy <= m.search_free_gy + 1e-4
    assert sum(found.course_maxima_gy) == pytest.approx(m.sum_of_maxima_gy)
    assert found.low_gy < found.high_gy
    assert m.n_unknown == 0


def test_one_course_has_one_answer_and_its_own_frame_no_interval():
    found = organ_sum([course(ramp(GRID), 20, 20)], organ(), alpha_beta_gy=2.0, settings=SETTINGS)
    m = found.maxima
    assert m.sum_of_maxima_gy == m.voxel_sum_gy == m.search_within_gy
    # One more voxel along the ramp of 1 Gy/mm lies within the 3 mm of the search.
    assert m.search_free_gy > m.voxel_sum_gy + 2.5
    assert math.isnan(found.low_gy)


def test_the_interval_holds_the_truth_at_its_level():
    """True transforms drawn from the stated spread; 90 % of 60 within binomial noise."""
    spread = RegistrationSpread((2.0, 2.0, 2.0), (1.0, 1.0, 1.0))
    settings = replace(SETTINGS, spread=spread, metric="Dmax")
    small = organ((6, 7, 8), (9, 10, 12))
    middle = tuple(small.grid.points(0.5 * (np.array(small.grid.shape) - 1.0)))
    first, second = course(ramp(NATIVE), 25, 25, THERE), course(flat(10.0), 5, 5)
    truths = sample_transforms(THERE, spread, center_mm=middle, n=60, rng=np.random.default_rng(5))
    n_inside = 0
    found = [
        organ_sum([first, second], small, alpha_beta_gy=2.0, settings=replace(settings, seed=seed))
        for seed in range(4)
    ]
    for number, truth in enumerate(truths):
        moved = replace(first, transform=truth)
        exact = organ_sum(
            [moved, second], small, alpha_beta_gy=2.0, settings=replace(settings, n_draws=0)
        )
        interval = found[number % 4]
        n_inside += interval.low_gy <= exact.value_gy <= interval.high_gy
    assert n_inside / len(truths) >= 0.83  # 0.9 less two standard errors of 60


def test_the_same_seed_gives_the_same_interval():
    courses = [course(ramp(NATIVE), 25, 25, THERE), course(flat(10.0), 5, 5)]
    one = organ_sum(courses, organ(), alpha_beta_gy=2.0, settings=SETTINGS)
    two = organ_sum(courses, organ(), alpha_beta_gy=2.0, settings=SETTINGS)
    assert (one.low_gy, one.high_gy) == (two.low_gy, two.high_gy)


def test_unknown_dose_leaves_the_organ_open():
    short = Grid((5, 22, 24), NATIVE.origin_mm, NATIVE.spacing_mm, EARLIER)
    courses = [course(flat(30.0, short), 15, 15, THERE), course(flat(10.0), 5, 5)]
    found = organ_sum(courses, organ(), alpha_beta_gy=2.0, settings=SETTINGS)
    assert found.maxima.n_unknown > 0
    assert math.isnan(found.value_gy)
    assert math.isnan(found.high_gy)


def test_bad_phases_are_refused():
    with pytest.raises(InputError, match="at least 1 planned"):
        PhaseDose(flat(1.0), 0, 0)
    with pytest.raises(InputError, match="above 0 and below 1"):
        PhaseDose(flat(1.0), 5, 5, (1.0,))
    with pytest.raises(QuantityMismatchError, match="physical dose"):
        PhaseDose(to_eqd2(flat(1.0), n_fractions_planned=1, alpha_beta_gy=2.0), 1, 1)
    with pytest.raises(FrameMismatchError):
        accumulate([course(flat(1.0, NATIVE), 5, 5)], GRID, alpha_beta_gy=2.0)
    with pytest.raises(InputError, match="at least one course"):
        accumulate([], GRID, alpha_beta_gy=2.0)


def test_the_proposed_settings_name_their_sources():
    assert "RADAR" in SETTINGS.citation
    assert "proposal of rerad" in SETTINGS.citation
