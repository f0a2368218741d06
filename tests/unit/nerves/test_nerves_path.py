"""Centre lines from points, contours and clicks, and straight views along them."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Image, ImageUnit, Modality, NervePath, PathSource, StructureKind
from rerad.errors import FrameMismatchError, InputError
from rerad.nerves import (
    frames_along,
    join_paths,
    meeting_findings,
    outward,
    path_from_points,
    path_from_structure,
    straighten,
    track_path,
)
from rerad.phantoms.tubes import TubeScan, TubeShape, scan_tube, tube_grid
from rerad.structures import contours_from_mask

FRAME = "1.2.3"


def distance_to(points, line):
    return np.array([np.min(np.linalg.norm(line - p, axis=1)) for p in points])


def test_a_quarter_circle_has_its_length_and_even_steps():
    angle = np.linspace(0, np.pi / 2, 12)
    points = np.stack([40 * np.cos(angle), 40 * np.sin(angle), np.zeros(12)], axis=1)
    path = path_from_points(points, name="x_R", frame_uid=FRAME)
    assert path.length_mm == pytest.approx(20 * np.pi, abs=0.05)
    np.testing.assert_allclose(np.linalg.norm(path.points_mm[:, :2], axis=1), 40, atol=0.05)
    np.testing.assert_allclose(path.at(path.length_mm / 2)[:2], 40 / np.sqrt(2), atol=0.05)


def test_a_zigzag_is_sampled_evenly_too():
    n = np.arange(40)
    points = np.stack([1.5 * (n % 4 // 2), 0.7 * n, -0.9 * n], axis=1)
    path = path_from_points(points, name="x_R", frame_uid=FRAME, smoothing=0.5)
    steps = np.linalg.norm(np.diff(path.points_mm, axis=0), axis=1)
    assert steps.max() < 1.1 * steps.min()


def test_the_centre_of_a_contoured_tube_is_found():
    grid = tube_grid((1, 1, 3), (50, 50, 72), FRAME)
    shape = TubeShape(7.0, bend_radius_mm=60, tilt_deg=50, offset_mm=(0.4, -0.3, 0.5))
    structure = contours_from_mask(
        shape.inside(grid) > 0.5, grid, name="NervRoot_L5_L", kind=StructureKind.OAR
    )
    path = path_from_structure(structure, name="L5_L")
    truth = shape.centre_line(45, 0.2)
    middle = path.points_mm[6:-6]
    assert np.median(distance_to(middle, truth)) < 0.6
    assert distance_to(middle, truth).max() < 1.6
    assert path.source is PathSource.CONTOURS
    assert path.points_mm[0, 2] > path.points_mm[-1, 2]


def test_a_level_root_starts_at_the_midline():
    points = np.stack([np.linspace(-60, -20, 9), np.zeros(9), np.linspace(0, 3, 9)], axis=1)
    right = outward(path_from_points(points, name="S3_R", frame_uid=FRAME))
    assert right.points_mm[0, 0] == pytest.approx(-20)
    left = outward(path_from_points(points * [-1, 1, 1], name="S3_L", frame_uid=FRAME))
    assert left.points_mm[0, 0] == pytest.approx(20)


def test_clicks_are_joined_along_the_nerve_and_not_straight():
    grid = tube_grid((1, 1, 2), (50, 50, 80), FRAME)
    shape = TubeShape(6.0, bend_radius_mm=40, tilt_deg=20)
    ct = scan_tube(shape, TubeScan(grid, (1, 1, 0), -100, 134, 12.0), Modality.CT)
    truth = shape.centre_line(30, 0.2)
    clicks = shape.centre_line(28, 28.0)
    path = track_path(ct, clicks + np.array([0.4, -0.4, 0.2]), name="L5_R")
    straight = path_from_points(clicks[[0, -1]], name="L5_R", frame_uid=FRAME)
    found = distance_to(path.points_mm, truth)
    assert np.median(found) < 1.0
    assert found.max() < 2.0
    assert distance_to(straight.points_mm, truth).max() > 5.0
    assert path.source is PathSource.CLICKS


def test_what_cannot_be_a_path_is_refused():
    with pytest.raises(InputError, match="two different points"):
        path_from_points([[0, 0, 0], [0, 0, 0]], name="x", frame_uid=FRAME)
    with pytest.raises(InputError, match="evenly spaced"):
        NervePath("x", np.array([[0, 0, 0], [1, 0, 0], [5, 0, 0]]), FRAME, PathSource.POINTS)
    grid = tube_grid((2, 2, 2), (20, 20, 20), FRAME)
    image = Image(np.zeros(grid.shape), grid, Modality.CT, ImageUnit.HU)
    with pytest.raises(InputError, match="inside the image"):
        track_path(image, [[0, 0, 0], [0, 0, 100]], name="x")
    a = path_from_points([[0, 0, 0], [0, 0, -9]], name="x", frame_uid=FRAME)
    with pytest.raises(FrameMismatchError, match="one frame"):
        join_paths([a, replace(a, frame_uid="9")], name="x")


def test_paths_that_follow_one_nerve_are_pointed_out():
    z = np.arange(0.0, -50.0, -1.0)
    own = np.stack([np.zeros(50), np.zeros(50), z], axis=1)
    beside = own + np.array([6.0, 0, 0])
    lost = beside.copy()
    lost[30:, 0] = 1.0
    lost[25:30, 0] = np.linspace(5, 2, 5)
    paths = [
        path_from_points(p, name=n, frame_uid=FRAME)
        for p, n in ((own, "L5_R"), (beside, "S1_R"), (lost, "L4_R"))
    ]
    assert meeting_findings(paths[:2]) == ()
    (finding,) = meeting_findings([paths[0], paths[2]])
    assert "L5_R and L4_R run within" in finding.text


def test_frames_are_right_angled_and_turn_back_on_a_flat_curve():
    angle = np.linspace(0, 1.5, 30)
    points = np.stack([np.zeros(30), 50 * np.cos(angle), -50 * np.sin(angle)], axis=1)
    frames = frames_along(path_from_points(points, name="x", frame_uid=FRAME), towards=(1, 0, 0))
    np.testing.assert_allclose(np.sum(frames.tangent * frames.normal, axis=1), 0, atol=1e-9)
    # A curve in a plane: the normal out of that plane stays where it is.
    np.testing.assert_allclose(frames.normal, [[1, 0, 0]] * len(frames.normal), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(frames.binormal, axis=1), 1, atol=1e-9)


def test_a_straightened_tube_is_straight():
    grid = tube_grid((1, 1, 1), (50, 50, 60), FRAME)
    shape = TubeShape(6.0, bend_radius_mm=50, tilt_deg=10)
    ct = scan_tube(shape, TubeScan(grid, (1, 1, 1), 0, 100, 0.0), Modality.CT)
    path = path_from_points(shape.centre_line(24), name="x", frame_uid=FRAME)
    straight = straighten(ct, path, half_width_mm=8, step_mm=0.5)
    n = len(straight.across_mm)
    profile = straight.values[5:-5, n // 2, :]
    centre = np.sum(profile * straight.across_mm, axis=1) / profile.sum(axis=1)
    np.testing.assert_allclose(centre, 0, atol=0.15)
    with pytest.raises(FrameMismatchError, match="register"):
        straighten(ct, replace(path, frame_uid="9"), half_width_mm=8, step_mm=1)
