"""Cutting volumes and structures with planes."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    Contour,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Modality,
    RigidTransform,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.planning.result import CaseResult
from rerad.reporting.figures_beams import open_meterset
from rerad.reporting.planes import Plane, View, Window, cut, cut_mapped, outline, target_point
from rerad.reporting.registration_text import rotation_deg

WIDE = Window((-1e3, 1e3), (-1e3, 1e3))


def linear_grid() -> tuple[np.ndarray, Grid]:
    grid = Grid((7, 9, 11), (-10.0, -8.0, -6.0), (2.0, 2.5, 3.0), "1.2.3")
    x, y, z = grid.axes_mm
    values = 100 + 2 * x[None, None, :] - 3 * y[None, :, None] + 5 * z[:, None, None]
    return values.astype(np.float32), grid


@pytest.mark.parametrize(
    ("view", "position"), [(View.AXIAL, 1.7), (View.CORONAL, -2.2), (View.SAGITTAL, 3.3)]
)
def test_a_cut_through_a_linear_field_is_exact(view: View, position: float) -> None:
    values, grid = linear_grid()
    flat = cut(values, grid, Plane(view, position), WIDE)
    assert flat is not None
    slopes = (2.0, -3.0, 5.0)
    expected = (
        100
        + slopes[view.normal] * position
        + slopes[view.horizontal] * flat.horizontal_mm[None, :]
        + slopes[view.vertical] * flat.vertical_mm[:, None]
    )
    np.testing.assert_allclose(flat.values, expected, atol=1e-3)


def test_a_plane_outside_the_grid_gives_nothing() -> None:
    values, grid = linear_grid()
    assert cut(values, grid, Plane(View.AXIAL, 500.0), WIDE) is None


def test_a_mapped_cut_shows_the_image_where_the_transform_puts_it() -> None:
    values, grid = linear_grid()
    image = Image(values, grid, Modality.CT, ImageUnit.HU)
    matrix = np.eye(4)
    matrix[:3, 3] = (4.0, -1.0, 2.0)
    transform = RigidTransform(matrix, "1.2.3", "1.2.4")
    window = Window((-4.0, 10.0), (-7.0, 5.0))
    flat = cut_mapped(image, transform, Plane(View.AXIAL, 3.0), window, 1.0)
    x, y = flat.horizontal_mm[None, :] - 4.0, flat.vertical_mm[:, None] + 1.0
    np.testing.assert_allclose(flat.values, 100 + 2 * x - 3 * y + 5 * 1.0, atol=1e-3)


def square_with_hole() -> Structure:
    outer = np.array([(-20.0, -20.0), (20, -20), (20, 20), (-20, 20)])
    contours = []
    for z in np.arange(-15.0, 15.1, 3.0):
        contours += [Contour(float(z), outer), Contour(float(z), outer * 0.5)]
    return Structure("Ring", StructureKind.OAR, "1.2.3.1", tuple(contours), 3.0)


def enclosed_area(lines: list[np.ndarray]) -> float:
    """Area within closed lines, holes taken off the largest."""
    areas = [0.5 * abs(np.sum(a[:-1, 0] * a[1:, 1] - a[1:, 0] * a[:-1, 1])) for a in lines]
    return 2 * max(areas) - sum(areas)


def test_a_coronal_cut_of_contours_keeps_the_hole(case_result: CaseResult) -> None:
    result = replace(case_result, structures=StructureSet("x", (square_with_hole(),)), masks={})
    lines = outline(result, "Ring", Plane(View.CORONAL, 0.0))
    assert len(lines) == 2
    # Two walls, each 11 slabs of 3 mm high and 10 mm wide; corners are rounded by half a slab.
    assert [enclosed_area([line]) for line in lines] == pytest.approx([330, 330], rel=0.06)
    axial = outline(result, "Ring", Plane(View.AXIAL, 0.4))
    assert enclosed_area(axial) == pytest.approx(40 * 40 - 20 * 20)
    assert outline(result, "Ring", Plane(View.AXIAL, 40.0)) == []


def test_a_structure_without_contours_is_cut_from_its_mask(case_result: CaseResult) -> None:
    bare = replace(case_result, structures=StructureSet("none", ()))
    drawn = outline(case_result, "PTV", Plane(View.AXIAL, 0.0))
    masked = outline(bare, "PTV", Plane(View.AXIAL, 0.0))
    assert enclosed_area(masked) == pytest.approx(enclosed_area(drawn), rel=0.05)


def test_pictures_are_cut_through_the_gtv(case_result: CaseResult) -> None:
    point = target_point(case_result)
    mask = case_result.masks["GTV_Nerve"]
    k, j, i = np.rint(mask.grid.indices(point)).astype(int)
    assert mask.fraction[k, j, i] >= 0.5


def test_letters_follow_the_radiological_convention() -> None:
    assert View.AXIAL.letters == ("R", "L", "A", "P")
    assert View.CORONAL.letters == ("R", "L", "S", "I")
    assert View.SAGITTAL.letters == ("A", "P", "S", "I")


def test_rotation_angle_of_a_turn() -> None:
    angle = np.radians(7.0)
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    assert rotation_deg(RigidTransform(matrix, "a", "b")) == pytest.approx(7.0)


def test_an_open_field_is_open_for_the_whole_meterset(case_result: CaseResult) -> None:
    machine = case_result.machine
    n = machine.mlc.n_leaf_pairs
    leaves = np.array([np.full(n, -50.0), np.full(n, 50.0)])
    points = tuple(ControlPoint(w, (-40.0, 60.0), (-100.0, 100.0), leaves) for w in (0.0, 1.0))
    beam = Beam(1, BeamGeometry("A", 0, 0, 0, (0.0, 0.0, 0.0)), points, 80.0)
    opened = open_meterset(beam, machine, np.array([-45.0, 0.0, 45.0, 55.0]))
    middle = opened[n // 2]
    np.testing.assert_allclose(middle, [0.0, 80.0, 80.0, 0.0])
    assert opened[0].max() == 0.0


def test_a_sliding_gap_opens_every_point_for_its_share(case_result: CaseResult) -> None:
    machine = case_result.machine
    n = machine.mlc.n_leaf_pairs
    points = tuple(
        ControlPoint(
            w,
            (-100.0, 100.0),
            (-100.0, 100.0),
            np.array([np.full(n, low), np.full(n, low + 20.0)]),
        )
        for w, low in ((0.0, -100.0), (1.0, 80.0))
    )
    beam = Beam(1, BeamGeometry("A", 0, 0, 0, (0.0, 0.0, 0.0)), points, 90.0)
    x = np.arange(-60.0, 61.0, 1.0)
    # 20 mm of gap over 180 mm of travel: one ninth of 90 MU on average.
    assert open_meterset(beam, machine, x)[n // 2].mean() == pytest.approx(10.0, rel=0.05)
