"""Fluence of apertures against what can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Beam, BeamGeometry, ControlPoint
from rerad.dosecalc import aperture_fluence, aperture_raster, load_machine, raster_over
from rerad.dosecalc.raster import FINE, Raster, condense
from rerad.errors import DeliverabilityError, InputError

GEOMETRY = BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def flat():
    """The generic machine with a flat field, so that fluence is in plain MU."""
    machine = load_machine("generic_6mv")
    return replace(
        machine,
        beam=replace(machine.beam, off_axis_ratio=np.ones_like(machine.beam.off_axis_ratio)),
    )


def ideal(machine, transmission=0.0, leaf_gap_mm=0.0):
    mlc = replace(machine.mlc, transmission=transmission, dosimetric_leaf_gap_mm=leaf_gap_mm)
    return replace(machine, mlc=mlc)


def point(weight, left, right, jaw_x=(-50.0, 50.0), jaw_y=(-50.0, 50.0), gantry=None):
    leaves = np.empty((2, 60))
    leaves[0], leaves[1] = left, right
    return ControlPoint(weight, jaw_x, jaw_y, leaves, gantry)


def fluence_of(points, machine, meterset_mu=100.0):
    beam = Beam(1, GEOMETRY, tuple(points), meterset_mu)
    raster = aperture_raster(beam, cell_mm=2.5)
    return aperture_fluence(beam, machine, raster), raster


def test_static_field_is_open_between_tips_and_jaws(flat):
    points = [point(0.0, -20.0, 30.0), point(1.0, -20.0, 30.0)]
    fluence, raster = fluence_of(points, ideal(flat))
    x = raster.x_mm
    open_cells = (x > -20) & (x < 30)
    np.testing.assert_allclose(fluence[:, open_cells], 100.0)
    np.testing.assert_allclose(fluence[:, ~open_cells], 0.0, atol=1e-12)


def test_leaves_and_jaws_leak_and_both_the_product(flat):
    points = [point(0.0, -20.0, 30.0), point(1.0, -20.0, 30.0)]
    beam = Beam(1, GEOMETRY, tuple(points), 100.0)
    raster = raster_over((-60.0, -60.0), (60.0, 60.0), cell_mm=2.5)
    machine = replace(ideal(flat, transmission=0.02), jaw_transmission=0.005)
    fluence = aperture_fluence(beam, machine, raster)
    x, y = np.meshgrid(raster.x_mm, raster.y_mm)
    leaves = np.where((x > -20) & (x < 30), 1.0, 0.02)
    jaws = np.where(np.abs(x) < 50, 1.0, 0.005) * np.where(np.abs(y) < 50, 1.0, 0.005)
    np.testing.assert_allclose(fluence, 100.0 * leaves * jaws, rtol=1e-9)


def test_leaf_gap_opens_each_tip_by_half(flat):
    points = [point(0.0, 0.0, 0.0), point(1.0, 0.0, 0.0)]
    fluence, raster = fluence_of(points, ideal(flat, leaf_gap_mm=1.7))
    width = fluence.sum(axis=1) * raster.cell_mm / 100.0
    np.testing.assert_allclose(width, 1.7)


def test_sliding_window_gives_gap_over_speed(flat):
    # A 10 mm gap runs 200 mm in one beam: each point is open for 10/200 of the meterset.
    points = [
        point(0.0, -110.0, -100.0, jaw_x=(-80.0, 80.0)),
        point(1.0, 90.0, 100.0, jaw_x=(-80.0, 80.0)),
    ]
    fluence, _ = fluence_of(points, ideal(flat))
    np.testing.assert_allclose(fluence, 5.0, rtol=1e-9)
    fluence, _ = fluence_of(points, ideal(flat, leaf_gap_mm=2.0))
    np.testing.assert_allclose(fluence, 6.0, rtol=1e-9)
    fluence, _ = fluence_of(points, ideal(flat, transmission=0.02))
    np.testing.assert_allclose(fluence, 5.0 + 0.02 * 95.0, rtol=1e-9)


def test_step_and_shoot_is_the_sum_of_its_steps(flat):
    def field(a, b):
        return fluence_of([point(0.0, a, b), point(1.0, a, b)], flat)[0]

    steps = [
        point(0.0, -30.0, -10.0),
        point(0.25, -30.0, -10.0),
        point(0.25, -5.0, 17.0),
        point(1.0, -5.0, 17.0),
    ]
    together, _ = fluence_of(steps, flat)
    np.testing.assert_allclose(together, 0.25 * field(-30, -10) + 0.75 * field(-5, 17), rtol=1e-9)


def test_rows_have_their_own_widths(flat):
    left, right = np.full(60, -40.0), np.full(60, -40.0)
    right[9], right[10] = 40.0, 40.0  # y -110 to -100 and -100 to -95
    points = [point(w, left, right, jaw_y=(-150.0, 150.0)) for w in (0.0, 1.0)]
    fluence, raster = fluence_of(points, ideal(flat))
    lit = fluence[:, raster.n_x // 2] > 50
    np.testing.assert_allclose(raster.y_mm[lit][[0, -1]], [-108.75, -96.25])


def test_jaws_that_move_shade_in_proportion(flat):
    points = [
        point(0.0, -100.0, 100.0, jaw_x=(-50.0, -50.0)),
        point(1.0, -100.0, 100.0, jaw_x=(-50.0, 50.0)),
    ]
    fluence, raster = fluence_of(points, ideal(flat))
    expected = 100.0 * (50.0 - raster.x_mm) / 100.0
    np.testing.assert_allclose(fluence[5], expected, atol=3.5)
    assert fluence[5].mean() == pytest.approx(50.0, abs=0.5)


def test_off_axis_ratio_multiplies(flat):
    machine = load_machine("generic_6mv")
    points = [point(0.0, -100.0, 100.0), point(1.0, -100.0, 100.0)]
    fluence, raster = fluence_of(points, machine)
    radius = np.hypot(raster.x_mm[-1], raster.y_mm[-1])
    expected = 100.0 * np.interp(
        radius, machine.beam.off_axis_radius_mm, machine.beam.off_axis_ratio
    )
    assert fluence[-1, -1] == pytest.approx(expected)


def test_condensing_keeps_sum_and_first_moments():
    rng = np.random.default_rng(2)
    raster = Raster(2.0, -3, 5, 6, 4)
    fine = rng.random((FINE * 4, FINE * 6))
    coarse, wide = condense(fine, raster)
    fine_raster = Raster(2.0 / FINE, -3 * FINE, 5 * FINE, 6 * FINE, 4 * FINE)
    assert coarse.sum() * 4.0 == pytest.approx(fine.sum() * (2.0 / FINE) ** 2)
    for got, expected in (
        (coarse.sum(axis=0) @ wide.x_mm * 4.0, fine.sum(axis=0) @ fine_raster.x_mm),
        (coarse.sum(axis=1) @ wide.y_mm * 4.0, fine.sum(axis=1) @ fine_raster.y_mm),
    ):
        assert got == pytest.approx(expected * (2.0 / FINE) ** 2)


def test_what_cannot_be_is_refused(flat):
    with pytest.raises(DeliverabilityError, match="overlap by 4"):
        fluence_of([point(0.0, 2.0, -2.0), point(1.0, 2.0, -2.0)], flat)
    with pytest.raises(DeliverabilityError, match="jaws cross"):
        fluence_of([point(0.0, -2.0, 2.0, jaw_x=(9.0, -9.0)), point(1.0, -2.0, 2.0)], flat)
    with pytest.raises(InputError, match="static_parts"):
        fluence_of([point(0.0, -2.0, 2.0), point(1.0, -2.0, 2.0, gantry=30.0)], flat)
    short = ControlPoint(0.0, (-5, 5), (-5, 5), np.zeros((2, 40)))
    with pytest.raises(InputError, match="60 leaf pairs"):
        fluence_of([short, replace(short, cumulative_weight=1.0)], flat)
