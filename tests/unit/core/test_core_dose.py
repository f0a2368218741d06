"""Doses of different quantities never mix; unknown stays unknown."""

import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, Grid
from rerad.errors import (
    FrameMismatchError,
    GridMismatchError,
    InputError,
    QuantityMismatchError,
)

GRID = Grid((2, 2, 2), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "1.2")


def eqd2(value: float, alpha_beta_gy: float = 2.0, grid: Grid = GRID) -> Dose:
    return Dose(np.full(grid.shape, value), grid, DoseQuantity.EQD2, alpha_beta_gy)


def test_physical_dose_does_not_add_to_eqd2_and_the_remedy_is_named() -> None:
    with pytest.raises(QuantityMismatchError, match="to_eqd2"):
        eqd2(1.0) + Dose(np.ones(GRID.shape), GRID)


def test_eqd2_of_two_alpha_betas_does_not_add() -> None:
    with pytest.raises(QuantityMismatchError, match="alpha/beta 3"):
        eqd2(1.0, 2.0) + eqd2(1.0, 3.0)


def test_frames_and_grids_do_not_mix() -> None:
    elsewhere = Grid(GRID.shape, GRID.origin_mm, GRID.spacing_mm, "9.9")
    with pytest.raises(FrameMismatchError, match="register"):
        eqd2(1.0) + eqd2(1.0, grid=elsewhere)
    finer = Grid(GRID.shape, GRID.origin_mm, (0.5, 1.0, 1.0), "1.2")
    with pytest.raises(GridMismatchError, match="resample"):
        eqd2(1.0) + eqd2(1.0, grid=finer)


def test_unknown_stays_unknown_in_a_sum() -> None:
    values = np.ones(GRID.shape)
    values[0, 0, 0] = np.nan
    total = eqd2(1.0) + Dose(values, GRID, DoseQuantity.EQD2, 2.0)
    assert np.isnan(total.values[0, 0, 0])
    assert total.n_unknown == 1
    assert total.max_gy == 2.0


def test_values_are_read_only_and_do_not_follow_their_source() -> None:
    source = np.ones(GRID.shape, dtype=np.float32)
    dose = Dose(source, GRID)
    source[:] = 7
    assert dose.max_gy == 1.0
    with pytest.raises(ValueError, match="read-only"):
        dose.values[0, 0, 0] = 1.0


@pytest.mark.parametrize("bad", [-1.0, np.inf])
def test_negative_and_infinite_doses_are_refused(bad: float) -> None:
    values = np.zeros(GRID.shape)
    values[0, 0, 0] = bad
    with pytest.raises(InputError, match="0 Gy or more"):
        Dose(values, GRID)


def test_alpha_beta_belongs_to_eqd2_only() -> None:
    with pytest.raises(QuantityMismatchError):
        Dose(np.zeros(GRID.shape), GRID, DoseQuantity.PHYSICAL, 2.0)
    with pytest.raises(QuantityMismatchError):
        Dose(np.zeros(GRID.shape), GRID, DoseQuantity.EQD2)
    with pytest.raises(InputError, match="alpha/beta above 0"):
        Dose(np.zeros(GRID.shape), GRID, DoseQuantity.EQD2, -2.0)


def test_scaling_loses_the_identity_of_the_file() -> None:
    dose = Dose(np.ones(GRID.shape), GRID, instance_uid="1.2.3")
    assert dose.scaled(0.5).instance_uid == ""
    assert dose.scaled(0.5).max_gy == 0.5
    with pytest.raises(InputError, match="factor"):
        dose.scaled(-1.0)
