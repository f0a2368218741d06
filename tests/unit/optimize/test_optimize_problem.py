"""What a problem refuses, how the first fluence is found, and smoothness."""

import numpy as np
import pytest

from rerad.core import BeamGeometry, BixelGrid
from rerad.errors import InputError
from rerad.optimize import (
    DoseCap,
    FluenceSmoothness,
    Overdose,
    Problem,
    Underdose,
    uniform_start_mu,
)

POINTS = np.arange(3)


class Dense:
    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, dtype=float)
        self.n_points, self.n_beamlets = self.matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


OPERATOR = Dense(np.full((5, 2), 0.1))


def test_uniform_start_gives_the_target_its_mean_dose():
    problem = Problem(OPERATOR, (Underdose("PTV", POINTS, np.ones(3), 40.0, 1.0),))
    assert uniform_start_mu(problem) == pytest.approx(200.0)
    background = np.full(5, 10.0)
    later = Problem(OPERATOR, problem.terms, background_dose_gy=background)
    assert uniform_start_mu(later) == pytest.approx(150.0)
    assert later.dose_gy(np.full(2, 150.0)) == pytest.approx(np.full(5, 40.0))
    bounded = Problem(OPERATOR, problem.terms, upper_mu=90.0)
    assert uniform_start_mu(bounded) == pytest.approx(90.0)


def test_start_without_a_target_is_refused():
    problem = Problem(OPERATOR, (Overdose("OAR", POINTS, np.ones(3), 40.0, 1.0),))
    with pytest.raises(InputError, match="expected an Underdose objective"):
        uniform_start_mu(problem)


def test_target_out_of_the_beams_is_refused():
    problem = Problem(Dense(np.zeros((5, 2))), (Underdose("PTV", POINTS, np.ones(3), 40.0, 1.0),))
    with pytest.raises(InputError, match="beamlets that give dose to PTV"):
        uniform_start_mu(problem)


def test_names_must_differ():
    term = Underdose("PTV", POINTS, np.ones(3), 40.0, 1.0)
    with pytest.raises(InputError, match="different names"):
        Problem(OPERATOR, (term, term))


def test_points_outside_the_operator_are_refused():
    term = Underdose("PTV", np.array([1, 5]), np.ones(2), 40.0, 1.0)
    with pytest.raises(InputError, match="point 5 is outside the operator, which has 5 points"):
        Problem(OPERATOR, (term,))


def test_unknown_background_is_refused():
    term = Underdose("PTV", POINTS, np.ones(3), 40.0, 1.0)
    with pytest.raises(InputError, match="finite background dose at 5 points"):
        Problem(OPERATOR, (term,), background_dose_gy=np.array([0.0, np.nan, 0, 0, 0]))


def test_a_cap_without_tolerance_left_is_refused():
    with pytest.raises(InputError, match="2 of 3 points have nothing left to give"):
        DoseCap("cord", POINTS, np.array([0.0, 12.0, 0.0]))
    with pytest.raises(InputError, match="unknown"):
        DoseCap("cord", POINTS, np.array([np.nan, 12.0, 3.0]))


def grid(flags):
    flags = np.asarray(flags, dtype=bool)
    geometry = BeamGeometry("g", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    rows, columns = flags.shape
    return BixelGrid(geometry, np.arange(columns + 1.0), np.arange(rows + 1.0), flags)


def test_smoothness_counts_neighbours_that_are_open():
    # pairs along leaves: (0,1) (2,3); across leaves: (0,2) (1,3); the gap in row 2 parts nothing
    term = FluenceSmoothness("smooth", (grid([[1, 1], [1, 1]]),), 10.0, 8.0, across_leaves=0.5)
    fluence = np.array([10.0, 30.0, 10.0, 40.0])
    squares = (20.0**2 + 30.0**2) + 0.5 * (0.0**2 + 10.0**2)
    assert term.value_and_gradient(fluence)[0] == pytest.approx(8.0 * squares / 10.0**2 / 4)


def test_smoothness_does_not_reach_from_beam_to_beam_nor_across_holes():
    term = FluenceSmoothness("s", (grid([[1, 0, 1, 1]]), grid([[1, 1]])), 1.0, 1.0)
    value, slope = term.value_and_gradient(np.array([50.0, 1.0, 1.0, 7.0, 7.0]))
    assert value == pytest.approx(0.0)
    assert slope == pytest.approx(np.zeros(5))
    with pytest.raises(InputError, match="beamlets that touch"):
        FluenceSmoothness("s", (grid([[1, 0, 1]]),), 1.0, 1.0)


@pytest.mark.parametrize("kind", ["under", "over", "falloff"])
def test_objectives_read_in_place_are_the_same(kind):
    """`add_to` on all points against `value_and_gradient` on the term's own."""
    rng = np.random.default_rng(3)
    where, shares = rng.permutation(50)[:20], rng.uniform(0.1, 1.0, 20)
    term = {
        "under": Underdose("t", where, shares, 40.0, 7.0),
        "over": Overdose("t", where, shares, 38.0, 7.0),
        "falloff": Overdose("t", where, shares, rng.uniform(10.0, 45.0, 20), 7.0),
    }[kind]
    dose, before = rng.uniform(20.0, 60.0, 50), rng.standard_normal(50)
    gradient = before.copy()
    value, slope = term.value_and_gradient(dose[where])
    assert term.add_to(dose, gradient) == pytest.approx(value, rel=1e-14)
    expected = before.copy()
    expected[where] += slope
    assert gradient == pytest.approx(expected, rel=1e-14)
