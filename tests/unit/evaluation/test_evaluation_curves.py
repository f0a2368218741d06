"""Curves: widths and maxima of shapes whose answers are known."""

import numpy as np
import pytest
from scipy.special import erf

from rerad.errors import InputError
from rerad.evaluation.curves import (
    compare_curves,
    depth_of_maximum_mm,
    penumbra,
    value_at,
)


def test_penumbra_of_a_blurred_edge():
    # A Gaussian edge of sigma s falls from 80 to 20 % within 2 * 0.84162 s.
    sigma, half, center = 3.0, 50.0, 1.5
    x = np.arange(-90.0, 90.1, 0.1)
    values = (
        7.0
        * 0.5
        * (
            erf((x - center + half) / (2**0.5 * sigma))
            - erf((x - center - half) / (2**0.5 * sigma))
        )
    )
    edges = penumbra(x, values)
    assert edges.field_width_mm == pytest.approx(100.0, abs=0.01)
    assert edges.center_mm == pytest.approx(center, abs=0.01)
    assert edges.left_mm == pytest.approx(2 * 0.841621 * sigma, abs=0.01)
    assert edges.right_mm == pytest.approx(2 * 0.841621 * sigma, abs=0.01)


def test_maximum_of_a_parabola_between_samples():
    x = np.array([0.0, 4.0, 9.0, 20.0])
    assert depth_of_maximum_mm(x, 5.0 - (x - 10.3) ** 2) == pytest.approx(10.3)
    assert depth_of_maximum_mm(x, -x) == 0.0


def test_differences_are_of_what_was_measured():
    x = np.array([0.0, 1.0, 2.0])
    difference = compare_curves(x, np.array([0.5, 1.0, 0.2]), np.array([0.51, 0.98, 0.2]))
    np.testing.assert_allclose(difference.local_percent, [2.0, -2.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(difference.of_maximum_percent, [1.0, -2.0, 0.0], atol=1e-12)


def test_curves_that_cannot_answer_are_refused():
    x = np.linspace(-10.0, 10.0, 21)
    with pytest.raises(InputError, match="falls below 80 %"):
        penumbra(x, np.ones_like(x))
    with pytest.raises(InputError, match="reaches 0 mm"):
        value_at(x + 50.0, np.ones_like(x), 0.0)
    with pytest.raises(InputError, match="ascending"):
        value_at(x[::-1], np.ones_like(x), 0.0)
    with pytest.raises(InputError, match="one value each"):
        value_at(x, np.ones(3), 0.0)
    with pytest.raises(InputError, match="above 0"):
        compare_curves(x, np.zeros_like(x), np.ones_like(x))
