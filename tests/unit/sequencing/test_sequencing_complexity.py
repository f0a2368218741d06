"""Complexity of apertures whose scores can be written down."""

import numpy as np
import pytest

from rerad.core import Beam, BeamGeometry, ControlPoint
from rerad.errors import InputError
from rerad.sequencing import beam_complexity, complexity

GEOMETRY = BeamGeometry("g", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))


def beam(*openings, meterset_mu=100.0, jaw_y_mm=(-20.0, 20.0)):
    """Control points from (left, right) tips of the eight central leaf pairs."""
    points = []
    for index, (left, right) in enumerate(openings):
        tips = np.repeat([[-55.0], [-54.5]], 60, axis=1)
        tips[0, 26:34], tips[1, 26:34] = left, right
        weight = index / (len(openings) - 1)
        points.append(ControlPoint(weight, (-50.0, 50.0), jaw_y_mm, tips))
    return Beam(1, GEOMETRY, tuple(points), meterset_mu)


def test_a_still_rectangle_is_not_complex(machine):
    result = beam_complexity(beam((-20.0, 30.0), (-20.0, 30.0)), machine, 10.0)
    assert result.modulation_complexity_score == pytest.approx(1.0)
    assert result.mean_aperture_cm2 == pytest.approx(5.0 * 4.0)
    assert result.small_gap_share == 0.0


def test_a_sweeping_slit_is_its_share_of_the_field(machine):
    # a slit of 10 mm over 50 mm: AAV = 10 / 50 throughout, both edges straight
    result = beam_complexity(beam((-20.0, -10.0), (20.0, 30.0)), machine, 10.5)
    assert result.modulation_complexity_score == pytest.approx(0.2)
    assert result.small_gap_share == pytest.approx(1.0)
    assert result.mean_aperture_cm2 == pytest.approx(4.0)


def test_ragged_edges_lower_the_score(machine):
    # right edge alternates by its whole range: LSV of that bank is 0
    ragged = np.where(np.arange(8) % 2, 10.0, 30.0)
    still = beam_complexity(beam((-20.0, ragged), (-20.0, ragged)), machine, 10.0)
    assert still.modulation_complexity_score == pytest.approx(0.0)
    # a ramp of 7 steps: each step is a seventh of the range
    ramp = np.linspace(10.0, 30.0, 8)
    stepped = beam_complexity(beam((-20.0, ramp), (-20.0, ramp)), machine, 10.0)
    assert stepped.modulation_complexity_score == pytest.approx(6.0 / 7.0)


def test_jaws_cut_apertures(machine):
    result = beam_complexity(
        beam((-20.0, 80.0), (-20.0, 80.0), jaw_y_mm=(-12.5, 20.0)), machine, 10.0
    )
    assert result.mean_aperture_cm2 == pytest.approx(7.0 * 3.25)


def test_plan_is_the_mean_by_monitor_units(machine, make_plan):
    open_beam = beam((-20.0, 30.0), (-20.0, 30.0), meterset_mu=100.0)
    slit = beam((-20.0, -10.0), (20.0, 30.0), meterset_mu=300.0)
    result = complexity(make_plan(open_beam, slit), machine)
    # 400 MU for 2 Gy
    assert result.mu_per_gy == pytest.approx(200.0)
    assert result.modulation_complexity_score == pytest.approx(0.25 * 1.0 + 0.75 * 0.2)
    assert [item.meterset_mu for item in result.beams] == [100.0, 300.0]
    with pytest.raises(InputError, match="beams with monitor units"):
        complexity(make_plan(), machine)
