"""DVHs: sorted doses, bounds where part is unknown, refusals."""

import numpy as np
import pytest

from rerad.core import Contour, Dose, DoseQuantity, Grid, Mask, Structure, StructureKind
from rerad.errors import FrameMismatchError, InputError
from rerad.evaluation import Dvh, dvh

FRAME = "1.2.3"
GRID = Grid((20, 20, 20), (-19.0, -19.0, -19.0), (2.0, 2.0, 2.0), FRAME)


def _box(x0, x1, half_y=6.0, planes=(-3.0, 0.0, 3.0), frame=FRAME):
    corners = np.array([[x0, -half_y], [x1, -half_y], [x1, half_y], [x0, half_y]])
    contours = tuple(Contour(z, corners) for z in planes)
    return Structure("Box", StructureKind.OAR, frame, contours, 3.0)


def _along_x(base=30.0):
    values = base + GRID.axes_mm[0] * np.ones(GRID.shape)
    return Dose(values, GRID)


def _dvh(doses, volumes, unknown=0.0):
    total = sum(volumes) / (1 - unknown)
    return Dvh("Thing", "physical dose", np.array(doses), np.array(volumes), unknown, total)


def test_a_box_in_a_gradient_has_a_straight_histogram():
    found = dvh(_along_x(), _box(-10.0, 10.0))
    assert found.volume_cc == pytest.approx(20 * 12 * 9 / 1000, rel=1e-6)
    assert found.mean_gy == pytest.approx(30.0, abs=0.01)
    assert found.min_gy == pytest.approx(20.0, abs=0.1)
    assert found.max_gy == pytest.approx(40.0, abs=0.1)
    for percent in (1, 10, 50, 95):
        exact = 40 - 20 * percent / 100
        assert found.dose_at_volume(percent=percent) == pytest.approx(exact, abs=0.02)
    assert found.dose_at_volume(cc=0.108) == pytest.approx(39.0, abs=0.02)
    assert found.volume_at_dose(35.0) == pytest.approx(0.54, rel=2e-3)
    assert found.percent_at_dose(35.0) == pytest.approx(25.0, abs=0.05)
    assert found.quantity == "physical dose"


def test_curve_falls_from_everything_to_nothing():
    dose, percent = dvh(_along_x(), _box(-10.0, 10.0)).curve(101)
    assert len(dose) == len(percent) == 101
    assert percent[0] == 100
    assert np.all(np.diff(percent) <= 0)
    assert percent[-1] < 0.1
    assert np.interp(30.0, dose, percent) == pytest.approx(50, abs=0.5)


def test_generalized_mean():
    found = _dvh([10.0, 20.0], [1.0, 3.0])
    assert found.generalized_mean_gy(1) == pytest.approx(17.5)
    assert found.generalized_mean_gy(8) == pytest.approx(((10**8 + 3 * 20**8) / 4) ** (1 / 8))
    assert found.generalized_mean_gy(-10) == pytest.approx(
        ((10**-10 + 3 * 20.0**-10) / 4) ** (-1 / 10)
    )
    assert found.generalized_mean_gy(500) == pytest.approx(20.0, rel=1e-3)
    with pytest.raises(InputError, match="other than 0"):
        found.generalized_mean_gy(0)


def test_the_outer_half_voxel_is_known_and_no_more():
    # Outermost centres at 19 mm, faces at 20 mm.
    assert dvh(_along_x(), _box(10.0, 20.0)).unknown_fraction == 0
    found = dvh(_along_x(), _box(15.0, 25.0))
    assert found.unknown_fraction == pytest.approx(0.5, abs=0.005)
    assert found.max_gy == pytest.approx(49.0)


def test_unknown_voxels_are_counted_not_taken_for_zero():
    values = np.full(GRID.shape, 20.0)
    values[:, :, 10:] = np.nan
    found = dvh(Dose(values, GRID), _box(-10.0, 10.0))
    # The last known voxel reaches to 0 mm and holds there, as at the edge of the grid.
    assert found.unknown_fraction == pytest.approx(10 / 20, abs=0.005)
    assert found.mean_gy == pytest.approx(20.0)
    assert not found.is_complete
    assert np.isnan(found.dose_at_volume(percent=50))
    assert np.isnan(found.volume_at_dose(10.0))
    low, high = found.volume_at_dose_bounds(10.0)
    assert (low, high) == pytest.approx((0.50 * 2.16, 2.16), rel=0.02)


def test_the_border_of_the_unknown_is_read_as_the_edge_of_the_grid_is():
    ramp = _along_x()
    cut = np.array(ramp.values)
    cut[:, :, 10:] = np.nan
    short = Grid((*GRID.shape[:2], 10), GRID.origin_mm, GRID.spacing_mm, GRID.frame_uid)
    inside_nan = dvh(Dose(cut, GRID), _box(-10.0, 10.0))
    at_the_edge = dvh(Dose(ramp.values[:, :, :10], short), _box(-10.0, 10.0))
    assert inside_nan.unknown_fraction == pytest.approx(at_the_edge.unknown_fraction)
    assert inside_nan.max_gy == pytest.approx(at_the_edge.max_gy, abs=1e-4)
    # Voxels of the structure that are all known leave nothing unknown.
    assert dvh(Dose(cut, GRID), _box(-10.0, 0.0)).unknown_fraction == 0


def test_bounds_of_a_dose_at_a_volume():
    found = _dvh([10.0, 20.0, 30.0, 40.0], [1.0] * 4, unknown=0.2)
    assert found.unknown_cc == pytest.approx(1.0)
    low, high = found.dose_at_volume_bounds(cc=2.5)
    assert (low, high) == pytest.approx((20.0, 30.0))
    assert found.dose_at_volume_bounds(cc=1.0)[1] == np.inf
    assert found.dose_at_volume_bounds(cc=4.5)[0] == 0.0
    assert np.isnan(found.dose_at_volume(cc=2.5))


def test_a_negligible_unknown_part_does_not_withhold_a_metric():
    found = _dvh([10.0, 20.0, 30.0, 40.0], [1.0] * 4, unknown=5e-4)
    assert found.is_complete
    assert found.dose_at_volume(percent=50) == pytest.approx(25.0)
    assert found.volume_at_dose(15.0) == pytest.approx(3.0)


def test_nothing_known_is_nan_throughout():
    found = dvh(Dose(np.full(GRID.shape, np.nan), GRID), _box(-5.0, 5.0))
    assert found.unknown_fraction == 1.0
    for value in (found.mean_gy, found.min_gy, found.max_gy, found.dose_at_volume(percent=2)):
        assert np.isnan(value)
    assert np.isnan(found.curve(10)[1]).all()


def test_a_volume_larger_than_the_structure_has_no_dose():
    assert np.isnan(_dvh([10.0], [0.05]).dose_at_volume(cc=0.1))


@pytest.mark.parametrize("kwargs", [{}, {"percent": 5, "cc": 1}, {"percent": 0}, {"cc": -1}])
def test_sizes_out_of_range_are_refused(kwargs):
    with pytest.raises(InputError, match="Thing: "):
        _dvh([10.0], [1.0]).dose_at_volume(**kwargs)


def test_a_mask_counts_with_its_shares():
    fraction = np.zeros(GRID.shape)
    fraction[10, 10, 10:12] = [1.0, 0.5]
    mask = Mask("Two", StructureKind.OAR, fraction, GRID)
    found = dvh(_along_x(), mask)
    assert found.volume_cc == pytest.approx(1.5 * 8 / 1000)
    assert found.mean_gy == pytest.approx((31 + 0.5 * 33) / 1.5)


def test_mask_and_contours_agree_for_a_large_structure():
    from rerad.structures import rasterize

    structure = _box(-10.0, 10.0)
    fine = GRID.with_spacing((1.0, 1.0, 3.0))
    a, b = dvh(_along_x(), structure), dvh(_along_x(), rasterize(structure, fine))
    assert a.volume_cc == pytest.approx(b.volume_cc, rel=0.01)
    assert a.mean_gy == pytest.approx(b.mean_gy, abs=0.05)


def test_quantity_is_kept_in_words():
    dose = Dose(np.ones(GRID.shape), GRID, DoseQuantity.EQD2, 2.0)
    assert dvh(dose, _box(-5.0, 5.0)).quantity == "EQD2 (alpha/beta 2 Gy)"


def test_other_frame_and_empty_structure_are_refused():
    with pytest.raises(FrameMismatchError, match="DVH of Box: expected a dose in frame"):
        dvh(_along_x(), _box(-5.0, 5.0, frame="9"))
    empty = Structure("Empty", StructureKind.OAR, FRAME, (), 3.0)
    with pytest.raises(InputError, match="Empty: expected at least one contour"):
        dvh(_along_x(), empty)
    nothing = Mask("None", StructureKind.OAR, np.zeros(GRID.shape), GRID)
    with pytest.raises(InputError, match="DVH of None: expected a volume above 0 cc"):
        dvh(_along_x(), nothing)
