"""Exposure behind leaves and jaws against what can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import ndtr

from rerad.core import Beam, BeamGeometry, ControlPoint
from rerad.dosecalc import aperture_fluence, aperture_raster, load_machine, raster_over
from rerad.dosecalc.apertures import aperture_exposure
from rerad.dosecalc.raster import FINE, Raster, condense
from rerad.errors import DeliverabilityError, InputError
from rerad.kernels.leaf_exposure import leaf_exposure, shade_primary

GEOMETRY = BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def flat():
    """The generic machine with a flat field, so that fluence is in plain MU."""
    machine = load_machine("generic_6mv")
    return replace(
        machine,
        beam=replace(machine.beam, off_axis_ratio=np.ones_like(machine.beam.off_axis_ratio)),
    )


def ideal(machine, transmission=0.0, leaf_gap_mm=0.0, tongue_mm=0.0, jaw_transmission=0.0):
    mlc = replace(
        machine.mlc,
        transmission=transmission,
        dosimetric_leaf_gap_mm=leaf_gap_mm,
        tongue_and_groove_mm=tongue_mm,
    )
    return replace(machine, mlc=mlc, jaw_transmission=jaw_transmission)


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
    machine = ideal(flat, transmission=0.02, jaw_transmission=0.005)
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
    np.testing.assert_allclose(fluence[5], expected, atol=1e-9)
    points = [
        point(0.0, -100.0, 100.0, jaw_y=(-50.0, -50.0)),
        point(1.0, -100.0, 100.0, jaw_y=(-50.0, 50.0)),
    ]
    # Along y jaws move in steps of half a cell, which is 1.25 % of this way.
    fluence, _ = fluence_of(points, ideal(flat))
    np.testing.assert_allclose(fluence[:, 5], expected, atol=0.7)


def test_off_axis_ratio_multiplies(flat):
    machine = load_machine("generic_6mv")
    points = [point(0.0, -100.0, 100.0), point(1.0, -100.0, 100.0)]
    fluence, raster = fluence_of(points, machine)
    radius = np.hypot(raster.x_mm[-1], raster.y_mm[-1])
    expected = 100.0 * np.interp(
        radius, machine.beam.off_axis_radius_mm, machine.beam.off_axis_ratio
    )
    assert fluence[-1, -1] == pytest.approx(expected)


def sampled_exposure(tips, jaws, share, leak, x_edges, sigma, leaves):
    """Exposure by 4000 moments of each segment, mean over cells or blurred at their centres."""
    total = np.zeros(len(x_edges) - 1)
    centres = 0.5 * (x_edges[1:] + x_edges[:-1])
    time = (np.arange(4000) + 0.5) / 4000

    def seen(low, high):
        high = np.maximum(low, high)
        if sigma > 0:
            return ndtr((centres - low[:, None]) / sigma) - ndtr((centres - high[:, None]) / sigma)
        low, high = (np.clip(edge[:, None], x_edges[:-1], x_edges[1:]) for edge in (low, high))
        return (high - low) / np.diff(x_edges)

    for s, meterset in enumerate(share):
        lines = [np.full((2, 2), [-1e4, 1e4])] + [tips[s, :, :, n] for n in leaves]
        jaw = jaws[s]
        for weight, all_lines in ((leak, lines), (1 - leak, [*lines, jaw])):
            ways = [a[0] + time[:, None] * (a[1] - a[0]) for a in all_lines]
            low = np.max([way[:, 0] for way in ways], axis=0)
            high = np.min([way[:, 1] for way in ways], axis=0)
            total += meterset * weight * seen(low, high).mean(axis=0)
    return total


@pytest.mark.parametrize(("sigma", "leak"), [(0.0, 0.0), (0.0, 0.1), (1.5, 0.1), (9.0, 0.0)])
def test_kernel_equals_fine_sampling_in_time(sigma, leak):
    rng = np.random.default_rng(7)
    n_segments, n_rows = 4, 5
    tips = np.empty((n_segments, 2, 2, n_rows))
    tips[:, :, 0] = rng.uniform(-30, 10, (n_segments, 2, n_rows))
    tips[:, :, 1] = tips[:, :, 0] + rng.uniform(0, 40, (n_segments, 2, n_rows))
    tips[1, :, 1, 2] = tips[1, :, 0, 2]  # closed
    tips[2, 1] = tips[2, 0]  # a segment in which nothing moves
    jaws = np.array(
        [[[-25.0, 22.0]] * 2, [[-40, 40], [-5, 20]], [[-3.1, 12.7]] * 2, [[-60, 60]] * 2]
    )
    share = np.array([0.2, 0.4, 0.3, 0.1])
    x_edges = np.linspace(-45, 55, 41)
    seen = np.empty((2 * n_rows, 40))
    leaf_exposure(tips, jaws, share, leak, x_edges, sigma, seen)
    bands = [*([n] for n in range(n_rows)), *([n, n + 1] for n in range(n_rows - 1)), []]
    for band, leaves in enumerate(bands):
        expected = sampled_exposure(tips, jaws, share, leak, x_edges, sigma, leaves)
        np.testing.assert_allclose(seen[band], expected, atol=2e-6)


def test_many_segments_are_exposed_as_few_are(flat):
    def state(weight):
        return point(weight, -40.0 + 60.0 * weight, 30.0 * weight, jaw_x=(-50.0 + weight, 50.0))

    machine = load_machine("generic_6mv")
    two, _ = fluence_of([state(0.0), state(1.0)], machine)
    many, _ = fluence_of([state(w) for w in np.linspace(0, 1, 38)], machine)
    np.testing.assert_allclose(many, two, rtol=1e-9)


def checkered(left, right, first_row):
    """Tips open in every other row, the first in `first_row`; closed far outside elsewhere."""
    tips = np.full((2, 60), 190.0)
    tips[0, first_row::2], tips[1, first_row::2] = left, right
    return tips


def test_abutting_rows_leave_the_tongue_and_groove_dip(flat):
    # One half with the even rows open, the other half with the odd rows.
    states = [(0.0, 0), (0.5, 0), (0.5, 1), (1.0, 1)]
    points = [point(w, *checkered(-30.0, 30.0, n), jaw_x=(-40.0, 40.0)) for w, n in states]
    beam = Beam(1, GEOMETRY, tuple(points), 100.0)
    raster = raster_over((-1.0, -12.0), (1.0, 12.0), cell_mm=0.1)
    for transmission in (0.0, 0.0144):
        machine = ideal(flat, transmission=transmission, tongue_mm=0.8)
        profile = aperture_fluence(beam, machine, raster)[:, 10]
        # In the strip the half height of a leaf is in the way all the time.
        distance = np.abs(raster.y_mm - 5.0 * np.rint(raster.y_mm / 5.0))
        open_half = 50.0 * (1.0 + transmission)
        expected = np.where(distance < 0.4, 100.0 * np.sqrt(transmission), open_half)
        np.testing.assert_allclose(profile, expected, atol=1e-9)
    # Both open together: no dip.
    points = [point(w, -30.0, 30.0) for w in (0.0, 1.0)]
    together = aperture_fluence(Beam(1, GEOMETRY, tuple(points), 100.0), machine, raster)
    np.testing.assert_allclose(together, 100.0)


def test_a_tongue_narrows_what_lies_between_closed_rows(flat):
    tips = np.full((2, 60), 190.0)
    tips[0, 30:32], tips[1, 30:32] = -20.0, 20.0  # y 0 to 10
    beam = Beam(1, GEOMETRY, (point(0.0, *tips), point(1.0, *tips)), 100.0)
    raster = raster_over((-1.0, -20.0), (1.0, 20.0), cell_mm=0.5)
    width = aperture_fluence(beam, ideal(flat, tongue_mm=0.8), raster).sum(axis=0) * 0.5 / 100.0
    np.testing.assert_allclose(width, 10.0 - 0.8)


def test_without_x_jaws_leaves_bound_the_field(flat):
    machine = replace(ideal(flat, transmission=0.01, jaw_transmission=0.02), jaw_x_limits_mm=None)
    tips = np.full((2, 60), 90.0)  # closed, parked off the axis
    tips[0, 20:40], tips[1, 20:40] = -30.0, 25.0  # y -50 to 50
    # What the control point says of x jaws is not there to shield.
    points = [point(w, *tips, jaw_x=(-10.0, 10.0), jaw_y=(-40.0, 40.0)) for w in (0.0, 1.0)]
    beam = Beam(1, GEOMETRY, tuple(points), 100.0)
    raster = aperture_raster(beam, machine, cell_mm=2.5)
    assert (raster.x_edges_mm[0], raster.x_edges_mm[-1]) == (-30.0, 25.0)
    raster = raster_over((-150.0, -60.0), (150.0, 60.0), cell_mm=2.5)
    x, y = np.meshgrid(raster.x_mm, raster.y_mm)
    leaves = np.where((x > -30) & (x < 25) & (np.abs(y) < 50), 1.0, 0.01)
    expected = 100.0 * leaves * np.where(np.abs(y) < 40, 1.0, 0.02)
    fluence = aperture_fluence(beam, machine, raster)
    np.testing.assert_allclose(fluence, expected, rtol=1e-9)


def test_closed_pairs_leak_through_their_gap_where_they_are_parked(flat):
    machine = ideal(flat, transmission=0.01, leaf_gap_mm=1.5)
    points = [point(w, 40.0, 40.0) for w in (0.0, 1.0)]
    fluence, raster = fluence_of(points, machine)
    near = np.abs(raster.x_mm - 40.0) < 2.5
    np.testing.assert_allclose(fluence[:, ~near], 1.0)
    excess = (fluence[:, near] - 1.0).sum(axis=1) * 2.5
    np.testing.assert_allclose(excess, 99.0 * 1.5)


def test_jaws_alone_shape_a_beam_without_leaves(flat):
    machine = ideal(flat, transmission=0.01, jaw_transmission=0.02)
    points = [ControlPoint(w, (-20.0, 30.0), (-50.0, 50.0), np.zeros((2, 0))) for w in (0.0, 1.0)]
    beam = Beam(1, GEOMETRY, tuple(points), 100.0)
    raster = raster_over((-60.0, -20.0), (60.0, 20.0), cell_mm=5.0)
    expected = np.where((raster.x_mm > -20) & (raster.x_mm < 30), 100.0, 2.0)
    fluence = aperture_fluence(beam, machine, raster)
    np.testing.assert_allclose(fluence, np.tile(expected, (raster.n_y, 1)))


@pytest.mark.parametrize("sigma_mm", [(0.0, 0.0), (1.5, 2.0)])
def test_a_segment_cut_in_two_gives_the_same(flat, sigma_mm):
    rng = np.random.default_rng(3)
    left = rng.uniform(-40, 0, (2, 60))
    right = left + rng.uniform(0, 40, (2, 60))
    ends = [point(w, left[w], right[w], jaw_x=(-30.0 - 9 * w, 40.0)) for w in (0, 1)]
    part = 0.37
    between = point(
        part,
        left[0] + part * (left[1] - left[0]),
        right[0] + part * (right[1] - right[0]),
        jaw_x=(-30.0 - 9 * part, 40.0),
    )
    raster = raster_over((-60.0, -60.0), (60.0, 60.0), cell_mm=2.0)
    machine = load_machine("generic_6mv")
    whole, cut = (
        aperture_exposure(Beam(1, GEOMETRY, points, 100.0), machine, raster, sigma_mm=sigma_mm)
        for points in ((ends[0], ends[1]), (ends[0], between, ends[1]))
    )
    np.testing.assert_allclose(cut, whole, atol=1e-5 if sigma_mm[0] else 1e-9)


def test_blur_equals_products_of_error_functions(flat):
    # Edges that lie on no cell edge, and a raster that ends inside the field.
    points = [point(w, -13.27, 18.61, jaw_y=(-21.3, 17.9)) for w in (0.0, 1.0)]
    beam = Beam(1, GEOMETRY, tuple(points), 100.0)
    raster = raster_over((-30.0, -30.0), (10.0, 40.0), cell_mm=1.0)
    seen = aperture_exposure(beam, ideal(flat), raster, sigma_mm=(1.4, 2.1))
    x, y = raster.x_mm, raster.y_mm
    along_x = ndtr((x + 13.27) / 1.4) - ndtr((x - 18.61) / 1.4)
    along_y = ndtr((y + 21.3) / 2.1) - ndtr((y - 17.9) / 2.1)
    np.testing.assert_allclose(seen, 100.0 * np.outer(along_y, along_x), atol=1e-6)


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


def test_shading_kernel_equals_its_slow_twin():
    rng = np.random.default_rng(5)
    exposure = rng.random((7, 9))
    x, y = np.linspace(-20, 20, 9), np.linspace(-9, 15, 7)
    radii, ratios = np.array([2.0, 6.0, 13.0, 21.0]), np.array([1.0, 1.1, 0.9, 0.8])
    seen = np.empty((7, 9))
    shade_primary(exposure, x, y, radii, ratios, (1.5, 2.5), seen)
    radius = np.hypot(x, y[:, None])
    interval = np.clip(np.searchsorted(radii, radius, side="right") - 1, 0, 2)
    slope = (np.diff(ratios) / np.diff(radii))[interval]
    slope = np.where((radius <= 2.0) | (radius >= 21.0), 0.0, slope)
    rise_y, rise_x = np.gradient(exposure, y, x)
    expected = exposure * np.interp(radius, radii, ratios)
    expected += 1.5 * slope * x / radius * rise_x + 2.5 * slope * y[:, None] / radius * rise_y
    np.testing.assert_allclose(seen, expected, rtol=1e-12)
    shade_primary(exposure, x, y, np.zeros(1), np.full(1, 0.9), (1.5, 2.5), seen)
    np.testing.assert_allclose(seen, 0.9 * exposure, rtol=1e-12)
