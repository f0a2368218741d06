"""Leakage of sliding windows inside the problem: against sums done by hand and the sequencer."""

import numpy as np
import pytest
from scipy import optimize

from rerad.core import BeamGeometry, BixelGrid
from rerad.errors import InputError
from rerad.optimize import Overdose, Problem, SolveSettings, SweepLeakage, Underdose, solve
from rerad.sequencing.field_sweep import FieldSweep


def grids():
    """Return two beams, the second with holes and an unused row."""
    first = np.ones((3, 5), dtype=bool)
    second = np.ones((4, 6), dtype=bool)
    second[0, :2] = second[2] = False
    return tuple(
        BixelGrid(
            BeamGeometry(f"B{n}", 40.0 * n, 0.0, 0.0, (0.0, 0.0, 0.0)),
            5.0 * np.arange(active.shape[1] + 1),
            5.0 * np.arange(active.shape[0] + 1),
            active,
        )
        for n, active in enumerate((first, second))
    )


def leakage(smoothing_mu=1e-3, transmission=0.015, n_points=7, mu_per_mm=0.4):
    dose = np.random.default_rng(0).uniform(0.0, 0.01, (2, n_points))
    return SweepLeakage(grids(), transmission, mu_per_mm, dose, smoothing_mu)


def meterset_by_hand(grid, values, mu_per_mm):
    """Greatest over rows of way, first opening and rises, cell by cell."""
    greatest = 0.0
    for row in range(len(values)):
        columns = np.flatnonzero(grid.is_active[row])
        if not len(columns):
            continue
        way = grid.x_edges_mm[columns[-1] + 1] - grid.x_edges_mm[columns[0]]
        need, before = mu_per_mm * way, 0.0
        for value in values[row]:
            need += max(value - before, 0.0)
            before = value
        greatest = max(greatest, need)
    return greatest


def test_metersets_are_those_of_the_slowest_row():
    leak = leakage()
    x = np.random.default_rng(1).uniform(0.0, 30.0, leak.n_unknowns)
    start = 0
    for beam, grid in enumerate(grids()):
        values = np.zeros(grid.is_active.shape)
        values[grid.is_active] = x[start : start + grid.n_active]
        start += grid.n_active
        expected = meterset_by_hand(grid, values, 0.4)
        assert leak.metersets_mu(x)[beam] == pytest.approx(expected, abs=5e-3)


def test_smoothing_overstates_within_its_bound():
    x = np.random.default_rng(2).uniform(0.0, 30.0, leakage().n_unknowns)
    exact, smooth = leakage(1e-4).metersets_mu(x), leakage(2.0).metersets_mu(x)
    assert np.all(smooth >= exact)
    assert np.all(smooth <= exact + 2.0 * np.log(4) + 7 * 0.5 * 0.02 * 2.0)


def test_sequencer_needs_as_many_monitor_units():
    """With no row shorter than the field and no smallest gap, both say the same."""
    grid = grids()[0]
    x = np.random.default_rng(3).uniform(5.0, 30.0, grid.n_active)
    leak = SweepLeakage((grid,), 0.02, 0.4, np.zeros((1, 1)), 1e-4)
    sweep = FieldSweep(grid.x_edges_mm, 3.0, 0.4, 1e-9, 0.02)
    wanted = leak.wanted_mu(x).reshape(grid.is_active.shape)
    assert sweep.meterset_mu(wanted) == pytest.approx(float(leak.metersets_mu(x)[0]), rel=1e-4)


def test_gradient_is_that_of_finite_differences():
    leak = leakage(smoothing_mu=1.0)
    rng = np.random.default_rng(4)
    x, by_dose = rng.uniform(0.0, 30.0, leak.n_unknowns), rng.standard_normal(7)
    gradient = leak.gradient(x, by_dose)
    for n in range(len(x)):
        step = np.zeros(len(x))
        step[n] = 1e-2
        moved = leak.metersets_mu(x + step) - leak.metersets_mu(x - step)
        slope = 0.015 * moved @ leak.dose_per_mu_gy.astype(float) @ by_dose / 2e-2
        assert gradient[n] == pytest.approx(slope, rel=2e-3, abs=1e-8)


def test_monitor_units_are_convex_in_open_times():
    leak = leakage(smoothing_mu=0.5)
    rng = np.random.default_rng(5)
    for _ in range(50):
        a, b = rng.uniform(0.0, 40.0, (2, leak.n_unknowns))
        t = rng.uniform()
        chord = t * leak.metersets_mu(a) + (1 - t) * leak.metersets_mu(b)
        assert np.all(leak.metersets_mu(t * a + (1 - t) * b) <= chord + 1e-9)


class Dense:
    def __init__(self, matrix):
        self.matrix = matrix
        self.n_points, self.n_beamlets = matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


def problem(leak):
    matrix = np.random.default_rng(6).uniform(0.0, 0.08, (7, leak.n_unknowns))
    target, rest = np.arange(3), np.arange(3, 7)
    return Problem(
        Dense(matrix),
        (
            Underdose("target", target, np.ones(3), 40.0, 100.0),
            Overdose("hot", target, np.ones(3), 42.0, 100.0),
            Overdose("rest", rest, np.ones(4), 5.0, 50.0, scale_gy=20.0),
        ),
        leakage=leak,
    )


def test_problem_with_leakage_has_the_right_dose_and_gradient():
    leak = leakage(smoothing_mu=1.0)
    of = problem(leak)
    x = np.random.default_rng(7).uniform(0.0, 30.0, leak.n_unknowns)
    metersets = leak.metersets_mu(x)
    expected = of.operator.matrix @ (0.985 * x)
    expected = expected + 0.015 * metersets @ leak.dose_per_mu_gy.astype(float)
    assert of.dose_gy(x) == pytest.approx(expected, rel=1e-6)
    slope = optimize.approx_fprime(x, lambda v: of.value_and_gradient(v)[0], 1e-4)
    assert of.value_and_gradient(x)[1] == pytest.approx(slope, rel=2e-3, abs=2e-4)


def test_knowing_of_leakage_beats_finding_out():
    """Solved with leakage in the problem, the delivered objective is lower than without."""
    leak = leakage(transmission=0.05, mu_per_mm=2.0, smoothing_mu=1.0)
    of = problem(leak)
    aware = solve(of, SolveSettings(max_evaluations=1000))
    ideal = solve(problem(leakage(transmission=0.0)), SolveSettings(max_evaluations=1000))
    # the ideal fluence, delivered: open times as if nothing leaked
    assert aware.objective < 0.999 * of.value_and_gradient(ideal.fluence_mu)[0]
    assert aware.objective > ideal.objective


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"transmission": 1.0}, "transmission from 0 to below 1"),
        ({"smoothing_mu": 0.0}, "smoothing"),
        ({"mu_per_mm": -1.0}, "mu_per_mm"),
    ],
)
def test_numbers_out_of_range_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        leakage(**change)


def test_leakage_of_other_beams_is_refused():
    leak = leakage()
    with pytest.raises(InputError, match="leakage for 6 points"):
        Problem(
            Dense(np.ones((6, leak.n_unknowns))),
            (Underdose("t", np.arange(2), np.ones(2), 1.0, 1.0),),
            leakage=leak,
        )
