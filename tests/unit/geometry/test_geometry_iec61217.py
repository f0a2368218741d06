"""IEC 61217 and patient positions, against places that anyone can picture."""

import numpy as np
import pytest

from rerad.core import BeamGeometry, PatientPosition
from rerad.geometry import (
    bld_to_patient,
    patient_to_bld,
    patient_to_bld_rotation,
    project_to_isocenter_plane,
    source_position_mm,
)

LEFT, RIGHT = (1, 0, 0), (-1, 0, 0)
BACK, FRONT = (0, 1, 0), (0, -1, 0)
HEAD, FEET = (0, 0, 1), (0, 0, -1)


def geometry(gantry=0.0, collimator=0.0, couch=0.0, isocenter=(0.0, 0.0, 0.0)):
    return BeamGeometry("beam", gantry, collimator, couch, isocenter)


@pytest.mark.parametrize(
    ("position", "gantry_0", "gantry_90", "towards_gantry"),
    [
        (PatientPosition.HFS, FRONT, LEFT, HEAD),
        (PatientPosition.FFS, FRONT, RIGHT, FEET),
        (PatientPosition.HFP, BACK, RIGHT, HEAD),
        (PatientPosition.FFP, BACK, LEFT, FEET),
    ],
)
def test_source_stands_where_the_gantry_angle_says(position, gantry_0, gantry_90, towards_gantry):
    for angle, direction in ((0, gantry_0), (90, gantry_90)):
        source = source_position_mm(geometry(angle), position, sad_mm=1000.0)
        np.testing.assert_allclose(source, 1000.0 * np.array(direction), atol=1e-9)
        opposite = source_position_mm(geometry(angle + 180), position, sad_mm=1000.0)
        np.testing.assert_allclose(opposite, -source, atol=1e-9)
    # y of the collimator at 0 degrees points towards the gantry, whatever the gantry angle.
    for angle in (0, 90, 211):
        y_axis = bld_to_patient((0, 1, 0), geometry(angle), position)
        np.testing.assert_allclose(y_axis, towards_gantry, atol=1e-12)


def test_collimator_turns_counterclockwise_seen_from_the_source():
    # At 90 degrees the leaves, which move along x, move along what was y (towards the head).
    x_axis = bld_to_patient((1, 0, 0), geometry(collimator=90), PatientPosition.HFS)
    np.testing.assert_allclose(x_axis, HEAD, atol=1e-12)
    y_axis = bld_to_patient((0, 1, 0), geometry(collimator=90), PatientPosition.HFS)
    np.testing.assert_allclose(y_axis, RIGHT, atol=1e-12)


def test_couch_turns_counterclockwise_seen_from_above():
    # Couch 90, gantry 90: the fixed +x side of the room now looks at the feet (HFS): the head
    # has turned from the gantry to the room's -x side.
    source = source_position_mm(geometry(90, couch=90), PatientPosition.HFS, sad_mm=1000.0)
    np.testing.assert_allclose(source, 1000.0 * np.array(FEET), atol=1e-9)
    # A vertical beam stays vertical.
    source = source_position_mm(geometry(0, couch=37), PatientPosition.HFS, sad_mm=1000.0)
    np.testing.assert_allclose(source, 1000.0 * np.array(FRONT), atol=1e-9)


@pytest.mark.parametrize("position", list(PatientPosition))
def test_rotations_are_proper_and_the_way_back_is_exact(position):
    rng = np.random.default_rng(5)
    points = rng.uniform(-300, 300, (7, 3))
    view = geometry(213.0, 31.0, 17.0, (12.0, -40.0, 88.0))
    rotation = patient_to_bld_rotation(view, position)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    there = patient_to_bld(points, view, position)
    np.testing.assert_allclose(bld_to_patient(there, view, position), points, atol=1e-9)


def test_projection_follows_the_ray_from_the_source():
    # Half-way between source and isocentre everything looks twice as large.
    projected = project_to_isocenter_plane([[10.0, -5.0, 500.0], [7.0, 3.0, 0.0]], sad_mm=1000.0)
    np.testing.assert_allclose(projected, [[20.0, -10.0], [7.0, 3.0]])
