"""Each limit of the machine is found, and named with its place."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Beam, ControlPoint
from rerad.errors import DeliverabilityError
from rerad.sequencing import SequenceSettings, check_deliverable, deliverability_report
from rerad.sequencing import sequence_sliding_window as sequence


@pytest.fixture
def beam(machine, make_fluence):
    values = np.random.default_rng(4).uniform(100.0, 400.0, (6, 10))
    (made,) = sequence(
        make_fluence(values),
        machine,
        n_fractions=20,
        first_beam_number=1,
        settings=SequenceSettings(),
    )
    return made


def with_tips(beam, change, at=None):
    """Move the tips of one control point, or of all of them."""
    points = []
    for index, point in enumerate(beam.control_points):
        tips = point.leaf_positions_mm.copy()
        if at is None or index == at:
            change(tips)
        points.append(replace(point, leaf_positions_mm=tips))
    return replace(beam, control_points=tuple(points))


def test_a_good_plan_passes(beam, machine, make_plan):
    check_deliverable(make_plan(beam), machine)
    assert deliverability_report(make_plan(beam), machine) == ()


def test_gap(beam, machine, make_plan):
    def pinch(tips):
        tips[1, 23] = tips[0, 23] + 0.3

    bad = make_plan(with_tips(beam, pinch, at=0))
    with pytest.raises(
        DeliverabilityError,
        match=r"beam g040, control point 0, leaf pair 24: gap between opposing leaves is 0\.30 "
        r"mm, the machine allows 0\.50 mm",
    ):
        check_deliverable(bad, machine)


def test_pairs_that_rest_may_touch_but_not_overlap(beam, machine, make_plan):
    def touch(tips):
        tips[1, 3] = tips[0, 3]

    def overlap(tips):
        tips[1, 3] = tips[0, 3] - 0.2

    assert deliverability_report(make_plan(with_tips(beam, touch)), machine) == ()
    found = deliverability_report(make_plan(with_tips(beam, overlap)), machine)
    assert [item.limit for item in found] == ["gap between opposing leaves"]


def test_speed(beam, machine, make_plan):
    def jump(tips):
        tips[1, 24] += 30.0

    found = deliverability_report(make_plan(with_tips(beam, jump, at=30)), machine)
    assert [item.limit for item in found] == ["leaf speed"]
    assert (found[0].control_point, found[0].leaf_pair) in {(30, 25), (31, 25)}
    assert found[0].value > 25.0
    assert found[0].unit == "mm/s"


def test_speed_counts_meterset_and_dose_rate(beam, machine, make_plan):
    assert deliverability_report(make_plan(replace(beam, meterset_mu=20.0)), machine)
    slower = replace(machine, beam=replace(machine.beam, dose_rate_mu_min=100.0))
    assert not deliverability_report(make_plan(replace(beam, meterset_mu=20.0)), slower)


def test_interdigitation(beam, machine, make_plan):
    def interlock(tips):
        tips[0, 3], tips[1, 3] = -30.0, -20.0
        tips[0, 4], tips[1, 4] = -15.0, 10.0

    plan = make_plan(with_tips(beam, interlock))
    assert deliverability_report(plan, machine) == ()
    rigid = replace(machine, mlc=replace(machine.mlc, is_interdigitation_allowed=False))
    found = deliverability_report(plan, rigid)
    assert "tip past that of a neighbouring pair" in {item.limit for item in found}


def test_spread(beam, machine, make_plan):
    def spread(tips):
        tips[:, 3] += 150.0

    found = deliverability_report(make_plan(with_tips(beam, spread)), machine)
    assert {item.limit for item in found} == {"spread of the leaves of one bank"}
    assert found[0].leaf_pair is None


def test_reach(beam, machine, make_plan):
    found = deliverability_report(
        make_plan(with_tips(beam, lambda tips: np.subtract(tips, 130.0, out=tips))), machine
    )
    assert [item.limit for item in found] == ["leaf position"]
    assert found[0].allowed == -160.0
    found = deliverability_report(
        make_plan(with_tips(beam, lambda tips: np.add(tips, 240.0, out=tips))), machine
    )
    assert [(item.limit, item.allowed) for item in found] == [("leaf position", 200.0)]


def test_jaws(beam, machine, make_plan):
    short = replace(machine, jaw_y_limits_mm=(-30.0, 200.0), jaw_x_limits_mm=(-200.0, 5.0))
    found = deliverability_report(make_plan(beam), short)
    assert [(item.limit, item.allowed) for item in found] == [
        ("x jaw position", 5.0),
        ("y jaw position", -30.0),
    ]


def test_another_collimator(beam, machine, make_plan):
    points = tuple(
        ControlPoint(weight, (-10.0, 10.0), (-10.0, 10.0), np.repeat([[-1.0], [1.0]], 40, axis=1))
        for weight in (0.0, 1.0)
    )
    foreign = Beam(1, beam.geometry, points, 100.0)
    with pytest.raises(DeliverabilityError, match=r"number of leaf pairs is 40"):
        check_deliverable(make_plan(foreign), machine)
