"""Transforms, structures, beams, goals, courses: what their types refuse."""

from datetime import date

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    Contour,
    ControlPoint,
    Course,
    DoseScope,
    Goal,
    Grid,
    Mask,
    Patient,
    Prescription,
    RigidTransform,
    Structure,
    StructureKind,
    StructureSet,
    TreatmentHistory,
)
from rerad.errors import (
    CourseNotFoundError,
    FrameMismatchError,
    GridMismatchError,
    InputError,
    StructureNotFoundError,
)


def rotation_about_z(degrees: float) -> np.ndarray:
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.eye(4)
    matrix[:2, :2] = [[c, -s], [s, c]]
    matrix[:3, 3] = (1.0, 2.0, 3.0)
    return matrix


def test_transform_inverse_and_chain() -> None:
    there = RigidTransform(rotation_about_z(30), "a", "b")
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 0.0, 9.0]])
    np.testing.assert_allclose(there.inverse().apply(there.apply(points)), points, atol=1e-12)
    round_trip = there.then(there.inverse())
    np.testing.assert_allclose(round_trip.matrix, np.eye(4), atol=1e-12)
    assert (round_trip.from_frame_uid, round_trip.to_frame_uid) == ("a", "a")


def test_transforms_of_other_frames_do_not_chain() -> None:
    there = RigidTransform.identity("a")
    with pytest.raises(FrameMismatchError, match="frame a"):
        there.then(RigidTransform.identity("b"))


@pytest.mark.parametrize("scale", [2.0, -1.0])
def test_scaling_and_mirroring_are_not_rigid(scale: float) -> None:
    matrix = np.eye(4)
    matrix[0, 0] = scale
    with pytest.raises(InputError, match="proper rotation"):
        RigidTransform(matrix, "a", "b")


def test_contours_need_three_finite_points() -> None:
    with pytest.raises(InputError, match="at least three"):
        Contour(0.0, np.zeros((2, 2)))
    with pytest.raises(InputError, match="finite"):
        Contour(np.nan, np.zeros((3, 2)))


def test_structures_are_found_by_name_or_the_names_are_listed() -> None:
    one = Structure("Bladder", StructureKind.OAR, "a", (), 3.0)
    structures = StructureSet("set", (one,))
    assert structures["Bladder"] is one
    assert "Bladder" in structures
    with pytest.raises(StructureNotFoundError, match="it holds Bladder"):
        structures["Rectum"]


def test_masks_lie_on_crops_of_a_grid() -> None:
    grid = Grid((3, 4, 5), (0.0, 0.0, 0.0), (10.0, 10.0, 10.0), "a")
    part = grid.crop((1, 1, 1), (2, 3, 4))
    mask = Mask("x", StructureKind.OAR, np.ones(part.shape), part)
    assert mask.volume_cc == pytest.approx(6.0)
    assert mask.on(grid).sum() == 6
    with pytest.raises(GridMismatchError, match="fractions of shape"):
        Mask("x", StructureKind.OAR, np.ones((1, 1, 1)), part)


def test_control_points_run_from_zero_to_one() -> None:
    leaves = np.zeros((2, 3))
    points = [ControlPoint(weight, (-1.0, 1.0), (-1.0, 1.0), leaves) for weight in (0.0, 0.5, 0.4)]
    geometry = BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    with pytest.raises(InputError, match="ascending from 0 to 1"):
        Beam(1, geometry, tuple(points), 10.0)


def test_goals_have_one_bound_and_cumulative_ones_an_alpha_beta() -> None:
    with pytest.raises(InputError, match="exactly one"):
        Goal("x", "D95%", DoseScope.PLAN, "Gy")
    with pytest.raises(InputError, match="alpha/beta"):
        Goal("x", "D0.1cc", DoseScope.CUMULATIVE, "Gy", at_most=67.0)
    goal = Goal("x", "D0.1cc", DoseScope.CUMULATIVE, "Gy", at_most=67.0, alpha_beta_gy=2.0)
    assert goal.text == "D0.1cc <= 67 Gy EQD2(a/b 2) cumulative"
    assert goal.priority is None
    assert not goal.is_hard


@pytest.mark.parametrize("priority", [0, -1, 1.0, True])
def test_priorities_count_from_one(priority: int) -> None:
    with pytest.raises(InputError, match=f"priority of 1 .first. or more, got {priority!r}"):
        Goal("x", "D95%", DoseScope.PLAN, "Gy", at_least=38.0, priority=priority)
    assert Goal("x", "D95%", DoseScope.PLAN, "Gy", at_least=38.0, priority=2).priority == 2


def test_hard_limits_have_no_priority() -> None:
    with pytest.raises(InputError, match="give must or priority 1, not both"):
        Goal("x", "Dmax", DoseScope.PLAN, "Gy", at_most=45.0, priority=1, is_hard=True)


def test_courses_know_when_they_were_stopped_and_when_nobody_knows() -> None:
    def course(planned: int | None, delivered: int | None) -> Course:
        return Course("c", "", "", (Prescription("PTV", 40.0),), planned, delivered)

    assert course(22, 15).is_stopped_early
    assert not course(22, 22).is_stopped_early
    assert not course(22, None).is_stopped_early
    with pytest.raises(InputError, match="before it starts"):
        Course("c", "", "", (), 1, 1, start=date(2024, 2, 1), end=date(2024, 1, 1))


def test_history_finds_courses_by_name() -> None:
    history = TreatmentHistory(Patient("1"), "", (), (), (), ())
    with pytest.raises(CourseNotFoundError, match="it holds none"):
        history.course("Course 1")
