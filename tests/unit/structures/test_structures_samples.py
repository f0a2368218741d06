"""Points of a structure: how many, where, and what they add up to."""

import numpy as np
import pytest

from rerad.core import Contour, Structure, StructureKind
from rerad.errors import InputError
from rerad.structures import EndSlab, sample_structure


def _tube(radius, length, spacing=3.0, center=(30.0, -12.0)):
    angles = np.arange(200) * 2 * np.pi / 200
    ring = np.array(center) + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    contours = tuple(Contour(z, ring) for z in np.arange(0.0, length, spacing))
    return Structure("Tube", StructureKind.OAR, "1.2.3", contours, spacing)


def test_a_nerve_of_5_mm_gets_many_points():
    samples = sample_structure(_tube(2.5, 90.0))
    assert len(samples.points_mm) > 100_000
    assert samples.volume_cc == pytest.approx(np.pi * 2.5**2 * 90 / 1000, rel=1e-3)


def test_an_outline_is_limited_to_about_a_million():
    samples = sample_structure(_tube(150.0, 300.0))
    assert 800_000 < len(samples.points_mm) < 1_200_000
    assert samples.volume_cc == pytest.approx(np.pi * 150**2 * 300 / 1000, rel=1e-3)


def test_points_are_where_the_structure_is():
    samples = sample_structure(_tube(8.0, 30.0))
    x, y, z = (samples.points_mm - [30.0, -12.0, 0.0]).T
    assert np.hypot(x, y).max() <= 8.0
    assert -1.5 <= z.min() < -1.4
    assert 28.4 < z.max() <= 28.5
    weights = samples.volumes_cc
    center = np.average(samples.points_mm, axis=0, weights=weights)
    np.testing.assert_allclose(center, [30.0, -12.0, 13.5], atol=0.01)
    # Second moments of a uniform cylinder: r²/4 across, (length²)/12 along.
    assert np.average(x**2, weights=weights) == pytest.approx(16.0, rel=0.005)
    assert np.average((z - 13.5) ** 2, weights=weights) == pytest.approx(75.0, rel=0.005)


def test_short_end_slabs_reach_three_tenths_of_half_a_slice():
    flat = sample_structure(_tube(8.0, 30.0))
    short = sample_structure(_tube(8.0, 30.0), end_slab=EndSlab.SHORT)
    assert short.volume_cc / flat.volume_cc == pytest.approx((27 + 2 * 0.45) / 30, rel=1e-4)
    assert short.points_mm[:, 2].min() == pytest.approx(-0.45, abs=0.02)


def test_every_run_gives_the_same_points():
    first, second = (sample_structure(_tube(5.0, 20.0)) for _ in range(2))
    np.testing.assert_array_equal(first.points_mm, second.points_mm)
    np.testing.assert_array_equal(first.volumes_cc, second.volumes_cc)


def test_no_contours_are_refused():
    with pytest.raises(InputError, match="Empty: expected at least one contour"):
        sample_structure(Structure("Empty", StructureKind.OAR, "1", (), 3.0))
