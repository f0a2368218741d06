"""Arcs split into parts with a static gantry."""

import numpy as np
import pytest

from rerad.core import Beam, BeamGeometry, ControlPoint, PatientPosition
from rerad.dosecalc import load_machine, raster_over
from rerad.dosecalc.apertures import aperture_exposure
from rerad.dosecalc.arcs import static_parts
from rerad.dosecalc.incident import incident_maps, sample_incident
from rerad.errors import InputError
from rerad.geometry import patient_to_bld, project_to_isocenter_plane, source_position_mm


def arc(angles_deg, weights=None, tips_mm=None):
    """An arc through gantry angles, with a 20 mm gap that may move."""
    n = len(angles_deg)
    weights = np.linspace(0, 1, n) if weights is None else weights
    tips_mm = np.zeros(n) if tips_mm is None else tips_mm
    points = []
    for angle, weight, tip in zip(angles_deg, weights, tips_mm, strict=True):
        leaves = np.array([np.full(60, tip - 10.0), np.full(60, tip + 10.0)])
        jaw_x, jaw_y = (-50.0, 50.0 + tip), (-30.0, 30.0)
        points.append(ControlPoint(float(weight), jaw_x, jaw_y, leaves, float(angle)))
    geometry = BeamGeometry("arc", float(angles_deg[0]), 30.0, 10.0, (1.0, 2.0, 3.0))
    return Beam(4, geometry, tuple(points), 250.0)


def angles_of(parts):
    return np.array([part.geometry.gantry_angle_deg for part in parts])


def test_a_full_arc_is_spread_evenly():
    clockwise = arc([181.0 + 2.0 * n if n < 90 else 2.0 * n - 179.0 for n in range(180)])
    parts = static_parts(clockwise, max_gantry_step_deg=4.0)
    assert len(parts) == 90  # 358 degrees in steps of at most 4
    assert sum(part.meterset_mu for part in parts) == pytest.approx(250.0)
    np.testing.assert_allclose([part.meterset_mu for part in parts], 250.0 / 90)
    step = 358.0 / 90
    np.testing.assert_allclose(angles_of(parts), (181.0 + step * (np.arange(90) + 0.5)) % 360.0)
    for part in parts:
        assert part.geometry.collimator_angle_deg == 30.0
        assert part.geometry.couch_angle_deg == 10.0
        assert part.geometry.isocenter_mm == (1.0, 2.0, 3.0)
        assert part.number == 4


def test_both_ways_round_and_through_zero():
    parts = static_parts(arc([10.0, 350.0]), max_gantry_step_deg=5.0)
    np.testing.assert_allclose(angles_of(parts), [7.5, 2.5, 357.5, 352.5])
    parts = static_parts(arc([350.0, 10.0]), max_gantry_step_deg=5.0)
    np.testing.assert_allclose(angles_of(parts), [352.5, 357.5, 2.5, 7.5])
    parts = static_parts(arc([170.0, 190.0]), max_gantry_step_deg=10.0)
    np.testing.assert_allclose(angles_of(parts), [175.0, 185.0])
    there_and_back = static_parts(arc([0.0, 20.0, 0.0]), max_gantry_step_deg=10.0)
    np.testing.assert_allclose(angles_of(there_and_back), [5.0, 15.0, 15.0, 5.0])


def test_sectors_sit_where_their_meterset_is():
    # Three quarters of the meterset in the first half of a sector.
    (part,) = static_parts(arc([0.0, 2.0, 4.0], weights=[0.0, 0.75, 1.0]), max_gantry_step_deg=4.0)
    assert part.geometry.gantry_angle_deg == pytest.approx(0.75 * 1.0 + 0.25 * 3.0)
    assert part.meterset_mu == pytest.approx(250.0)


def test_sectors_without_meterset_are_left_out():
    parts = static_parts(arc([0.0, 10.0, 20.0], weights=[0.0, 0.0, 1.0]), max_gantry_step_deg=5.0)
    np.testing.assert_allclose(angles_of(parts), [12.5, 17.5])
    np.testing.assert_allclose([part.meterset_mu for part in parts], 125.0)


def test_dose_at_a_halt_belongs_to_where_the_gantry_halts():
    halting = arc([0.0, 10.0, 10.0, 20.0], weights=[0.0, 0.0, 1.0, 1.0])
    (part,) = static_parts(halting, max_gantry_step_deg=5.0)
    assert part.meterset_mu == pytest.approx(250.0)
    assert part.geometry.gantry_angle_deg == pytest.approx(10.0)


def test_a_static_gantry_is_one_part():
    static = arc([30.0, 30.0, 30.0])
    assert static_parts(static, max_gantry_step_deg=1.0) == (static,)


def test_exposure_of_the_parts_sums_to_that_of_the_beam():
    angles = [20.0, 27.0, 31.0, 40.0]
    weights, tips = [0.0, 0.3, 0.5, 1.0], [-30.0, -10.0, 5.0, 40.0]
    machine = load_machine("generic_6mv")
    raster = raster_over((-60.0, -40.0), (60.0, 40.0), cell_mm=2.5)
    still = arc([20.0] * 4, weights, tips)
    whole = aperture_exposure(still, machine, raster)
    for step_deg in (30.0, 3.0):
        parts = static_parts(arc(angles, weights, tips), max_gantry_step_deg=step_deg)
        assert len(parts) == np.ceil(20.0 / step_deg)
        total = sum(aperture_exposure(part, machine, raster) for part in parts)
        np.testing.assert_allclose(total, whole, rtol=1e-9)


def test_narrower_sectors_converge_as_their_square():
    # What reaches a point beside the axis of a cylinder, over 100 degrees, as a sum over parts.
    beam = arc(np.linspace(300.0, 400.0, 11) % 360.0)

    def reaching(step_deg):
        parts = static_parts(beam, max_gantry_step_deg=step_deg)
        angle = np.radians(angles_of(parts))
        metersets = np.array([part.meterset_mu for part in parts])
        return metersets @ np.exp(0.4 * np.cos(angle - 0.3))

    fine = reaching(0.1)
    errors = [abs(reaching(step) / fine - 1) for step in (20.0, 10.0, 5.0)]
    assert errors[0] < 2e-3
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.02)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.02)


def primary_in_cylinder(parts, machine, points_mm):
    """Primary dose at points of a water cylinder of 150 mm radius, axis along z."""
    dose = np.zeros(len(points_mm))
    for part in parts:
        source = source_position_mm(part.geometry, PatientPosition.HFS, sad_mm=machine.sad_mm)
        bld = patient_to_bld(points_mm, part.geometry, PatientPosition.HFS)
        plane = project_to_isocenter_plane(bld, sad_mm=machine.sad_mm)
        maps = incident_maps(part, machine, margin_mm=15.0)
        way = points_mm - source
        distance = np.linalg.norm(way, axis=1)
        # From the point back along the ray to the cylinder: |p - t d| = 150 in the plane.
        d = way[:, :2] / distance[:, None]
        along = np.sum(points_mm[:, :2] * d, axis=1)
        square = np.sum(d**2, axis=1)
        rest = np.sum(points_mm[:, :2] ** 2, axis=1) - 150.0**2
        depth = (along + np.sqrt(along**2 - square * rest)) / square
        fluence = sample_incident(maps.photons, maps.raster, plane[:, :2])
        dose += fluence * np.exp(-0.005 * depth) * (machine.sad_mm / distance) ** 2
    return dose


def test_a_full_turn_on_a_cylinder_is_symmetric_and_converges():
    # An aperture off the axis, with the collimator turned.
    leaves = np.array([np.full(60, -20.0), np.full(60, 35.0)])
    points = tuple(
        ControlPoint(turn / 360.0, (-60.0, 60.0), (-30.0, 45.0), leaves, turn % 360.0)
        for turn in (0.0, 90.0, 180.0, 270.0, 360.0)
    )
    beam = Beam(1, BeamGeometry("turn", 0.0, 30.0, 0.0, (0.0, 0.0, 0.0)), points, 100.0)
    machine = load_machine("generic_6mv")
    angle = np.radians(np.arange(0.0, 360.0, 30.0) + 7.0)
    ring = np.stack([40 * np.cos(angle), 40 * np.sin(angle), np.full(12, 5.0)], axis=1)
    spread = []
    for step_deg in (20.0, 5.0):
        parts = static_parts(beam, max_gantry_step_deg=step_deg)
        dose = primary_in_cylinder(parts, machine, ring)
        spread.append(np.ptp(dose) / dose.mean())
    assert spread[1] < 2e-3
    assert spread[1] < 0.2 * spread[0]


def test_what_is_not_known_is_refused():
    with pytest.raises(InputError, match="180 degrees apart"):
        static_parts(arc([0.0, 180.0]), max_gantry_step_deg=2.0)
    with pytest.raises(InputError, match="step above 0"):
        static_parts(arc([0.0, 10.0]), max_gantry_step_deg=0.0)
    raster = raster_over((-5.0, -5.0), (5.0, 5.0), cell_mm=5.0)
    with pytest.raises(InputError, match="static_parts"):
        aperture_exposure(arc([0.0, 10.0]), load_machine("generic_6mv"), raster)
