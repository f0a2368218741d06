"""The price map: against the change of the optimum when one voxel gets more tolerance."""

import numpy as np
import pytest

from rerad.core import Grid
from rerad.errors import GridMismatchError, InputError
from rerad.optimize import (
    DoseCap,
    PriceMap,
    Problem,
    ShiftedDose,
    SolveSettings,
    Underdose,
    price_on_grid,
    price_per_eqd2_gy,
    solve,
)
from rerad.radiobiology import physical_from_eqd2

GRID = Grid((2, 2, 3), (0, 0, 0), (3.0, 3.0, 3.0), "1.2.3")


class Dense:
    def __init__(self, matrix):
        self.matrix = np.asarray(matrix, dtype=float)
        self.n_points, self.n_beamlets = self.matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


def test_price_is_what_a_gy_of_cumulative_tolerance_buys():
    """Two beamlets, each with its own target and organ voxel; the organ gets half of the dose."""
    matrix = np.kron(np.eye(2), [[1.0], [0.5]])  # target, organ, target, organ
    targets, organs = np.array([0, 2]), np.array([1, 3])
    prior, limit, a, n = np.array([45.0, 52.0]), 60.0, 2.0, 20

    def optimum(more_gy):
        left = limit + np.array([more_gy, 0.0]) - prior
        cap = physical_from_eqd2(left, n_fractions=n, alpha_beta_gy=a)
        problem = Problem(
            Dense(matrix),
            (Underdose("PTV", targets, np.ones(2), 50.0, 100.0),),
            caps=(DoseCap("organ", organs, cap),),
        )
        choice = SolveSettings(
            relative_tolerance=1e-10, max_evaluations=5000, cap_tolerance_gy=1e-5
        )
        return solve(problem, choice)

    found = optimum(0.0)
    price = price_per_eqd2_gy(
        found.cap_multipliers["organ"], found.dose_gy[organs], alpha_beta_gy=a, n_fractions=n
    )
    bought = (optimum(-0.05).objective - optimum(0.05).objective) / 0.1
    assert price[0] == pytest.approx(bought, rel=1e-3)
    assert price[1] > price[0]  # the voxel with less left is dearer


def test_prices_on_the_grid():
    voxels = np.array([0, 4, 5, 11])
    caps = (DoseCap("a", np.array([1, 2]), 20.0), DoseCap("b", np.array([2, 3]), 20.0))
    prices = {"a": np.array([0.0, 1.5]), "b": np.array([0.25, 4.0])}
    got = price_on_grid(GRID, voxels, caps, prices, unit="objective per Gy")
    flat = got.values.ravel()
    assert flat[[4, 5, 11]] == pytest.approx([0.0, 1.75, 4.0])
    assert np.isnan(np.delete(flat, [4, 5, 11])).all()
    with pytest.raises(InputError, match="cap b: expected 2 prices, got none"):
        price_on_grid(GRID, voxels, caps, {"a": prices["a"]}, unit="")
    with pytest.raises(InputError, match="cap a: expected 2 prices, got 3"):
        price_on_grid(GRID, voxels, caps, {"a": np.ones(3), "b": np.ones(2)}, unit="")
    with pytest.raises(GridMismatchError, match="prices of shape"):
        PriceMap(np.ones((1, 1, 1)), GRID, "")
    with pytest.raises(InputError, match="alpha/beta above 0"):
        price_per_eqd2_gy(1.0, 20.0, alpha_beta_gy=0.0, n_fractions=20)


def test_scenarios_of_a_voxel_add_up():
    matrix = np.ones((4, 2))
    shifted = ShiftedDose(
        (Dense(matrix), Dense(matrix[:2])),
        np.array([1, 3]),
        ((0.0, 0.0, 0.0), (3.0, 0.0, 0.0)),
    )
    assert shifted.nominal_points.tolist() == [0, 1, 2, 3, 1, 3]
    voxels = np.array([0, 4, 5, 11])
    caps = (DoseCap("here", np.array([3]), 20.0), DoseCap("shifted", np.array([5]), 20.0))
    prices = {"here": np.array([1.0]), "shifted": np.array([2.0])}
    got = price_on_grid(GRID, voxels[shifted.nominal_points], caps, prices, unit="")
    assert got.values.ravel()[11] == pytest.approx(3.0)
