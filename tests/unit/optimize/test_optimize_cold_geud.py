"""gEUD of targets, exponents below 0."""

import numpy as np
import pytest

from rerad.errors import InputError
from rerad.optimize import Aim, ColdGeud

POINTS, SHARES, AIM = np.arange(2), np.array([1.0, 3.0]), Aim(2.0, 60.0, 60.0)


def lack_gy(exponent: float, dose_gy: list[float]) -> float:
    """Return what is missing to the goal, read back from the objective."""
    value = ColdGeud("PTV", POINTS, SHARES, exponent, AIM).value_and_gradient(np.array(dose_gy))[0]
    return 60.0 * np.sqrt(value / 2.0)


def test_is_the_formula() -> None:
    number = (0.25 * 30.0**-10 + 0.75 * 50.0**-10) ** -0.1
    assert lack_gy(-10.0, [30.0, 50.0]) == pytest.approx(60.0 - number, rel=1e-12)


def test_lies_between_lowest_and_mean_and_nears_the_lowest() -> None:
    lacks = [lack_gy(exponent, [30.0, 50.0]) for exponent in (-1.0, -5.0, -20.0, -100.0)]
    assert lacks[0] > 60.0 - 45.0
    assert lacks == sorted(lacks)
    assert lacks[-1] == pytest.approx(30.0, abs=0.5)
    assert lacks[-1] < 30.0


def test_asks_for_no_more_than_the_goal() -> None:
    value, slope = ColdGeud("PTV", POINTS, SHARES, -10.0, AIM).value_and_gradient(np.full(2, 61.0))
    assert value == 0.0
    assert not slope.any()


def test_no_dose_at_all_is_finite() -> None:
    value, slope = ColdGeud("PTV", POINTS, SHARES, -20.0, AIM).value_and_gradient(np.zeros(2))
    assert value == pytest.approx(2.0 * (0.99) ** 2)
    assert not slope.any()


@pytest.mark.parametrize(
    ("exponent", "aim", "problem"),
    [
        (0.0, AIM, "expected an exponent below 0, got 0.0"),
        (8.0, AIM, "expected an exponent below 0, got 8.0"),
        (float("nan"), AIM, "expected an exponent below 0, got nan"),
        (-10.0, Aim(2.0, 60.0), "expected an aim with a goal above 0 Gy"),
    ],
)
def test_refuses(exponent: float, aim: Aim, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        ColdGeud("PTV", POINTS, SHARES, exponent, aim)
