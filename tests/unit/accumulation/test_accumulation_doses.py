import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rerad.accumulation import discount, map_dose, sum_doses
from rerad.core import Dose, DoseQuantity, Grid, RigidTransform
from rerad.errors import (
    FrameMismatchError,
    GridMismatchError,
    InputError,
    QuantityMismatchError,
)
from rerad.radiobiology import to_eqd2

PRIOR = Grid((16, 18, 20), (-30.0, -27.0, -24.0), (3.0, 3.0, 3.0), "1.2.3")
TODAY = Grid((14, 20, 22), (-25.0, -24.0, -20.0), (2.5, 2.5, 2.5), "4.5.6")


def rigid():
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", (6, -4, 3), degrees=True).as_matrix()
    matrix[:3, 3] = (4.0, -6.0, 5.0)
    return RigidTransform(matrix, "1.2.3", "4.5.6")


def points_of(grid):
    x, y, z = grid.axes_mm
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    return np.stack([xx, yy, zz], axis=-1)


def field(points):
    return 40 + 0.3 * points[..., 0] - 0.2 * points[..., 1] + 0.1 * points[..., 2]


def eqd2_dose(values, alpha_beta_gy=2.0, grid=None):
    values = np.asarray(values, dtype=float)
    grid = grid or Grid(values.shape, (0, 0, 0), (1, 1, 1), "1.2.3")
    return Dose(values, grid, DoseQuantity.EQD2, alpha_beta_gy)


@pytest.mark.parametrize("there", [True, False])
def test_analytic_field_maps_both_ways(there):
    transform = rigid()
    source, onto, onward = PRIOR, TODAY, transform
    if not there:
        source, onto, onward = TODAY, PRIOR, transform.inverse()
    mapped = map_dose(Dose(field(points_of(source)), source), onward, onto)
    known = ~np.isnan(mapped.values)
    assert 0.2 < known.mean() < 1.0
    # A voxel is unknown exactly where its centre lies outside the source voxels; within their
    # outer half the dose of the outermost centre holds.
    index = source.indices(onward.inverse().apply(points_of(onto)))
    last = np.array(source.shape) - 1
    held = np.clip(index, 0, last)
    np.testing.assert_array_equal(known, np.all(np.abs(index - held) < 0.5 + 1e-4, axis=-1))
    expected = field(source.points(held))
    np.testing.assert_allclose(mapped.values[known], expected[known], atol=2e-4)


def test_identity_map_keeps_every_bit_and_every_unknown():
    values = np.random.default_rng(4).uniform(0, 60, PRIOR.shape).astype(np.float32)
    values[3, 4, 5] = np.nan
    dose = eqd2_dose(values, grid=PRIOR)
    mapped = map_dose(dose, RigidTransform.identity("1.2.3"), PRIOR)
    np.testing.assert_array_equal(mapped.values, values.astype(np.float32))
    assert mapped.quantity is DoseQuantity.EQD2


def test_finer_voxels_of_the_same_box_lose_nothing():
    """A dose grid of 1.5 mm over 3 mm slices has centres beyond the last slice's centre."""
    coarse = Grid((4, 4, 4), (0.0, 0.0, 0.0), (3.0, 3.0, 3.0), "1.2.3")
    dose = Dose(np.full(coarse.shape, 7.0), coarse)
    fine = coarse.with_spacing((1.5, 1.5, 1.5))
    np.testing.assert_array_equal(map_dose(dose, RigidTransform.identity("1.2.3"), fine).values, 7)


def test_wrong_frames_are_refused():
    dose = eqd2_dose(np.ones(PRIOR.shape), grid=PRIOR)
    with pytest.raises(FrameMismatchError):
        map_dose(dose, rigid().inverse(), TODAY)
    with pytest.raises(FrameMismatchError):
        map_dose(dose, RigidTransform.identity("1.2.3"), TODAY)


def test_order_of_conversion_matters():
    """Half way down a gradient from 50 to 0 Gy in 25 fractions: 25.0 against 18.75 Gy."""
    source = Grid((1, 1, 2), (0, 0, 0), (2, 2, 2), "1.2.3")
    middle = Grid((1, 1, 1), (1, 0, 0), (2, 2, 2), "1.2.3")
    physical = Dose(np.array([[[50.0, 0.0]]]), source)
    same = RigidTransform.identity("1.2.3")
    right = map_dose(to_eqd2(physical, n_fractions_planned=25, alpha_beta_gy=2.0), same, middle)
    wrong = to_eqd2(map_dose(physical, same, middle), n_fractions_planned=25, alpha_beta_gy=2.0)
    assert float(right.values[0, 0, 0]) == pytest.approx(25.0)
    assert float(wrong.values[0, 0, 0]) == pytest.approx(18.75)


def test_unknown_stays_unknown_in_the_sum():
    total = sum_doses([eqd2_dose([[[1.0, np.nan, 3.0]]]), eqd2_dose([[[10.0, 20.0, 30.0]]])])
    np.testing.assert_array_equal(total.values[0, 0], [11, np.nan, 33])
    assert total.n_unknown == 1


def test_three_courses_add():
    parts = [eqd2_dose([[[gy, 2 * gy]]]) for gy in (10.0, 20.0, 30.0)]
    np.testing.assert_allclose(sum_doses(parts).values[0, 0], [60, 120])


def test_physical_doses_of_several_courses_are_refused():
    grid = Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "1.2.3")
    physical = Dose(np.ones((1, 1, 1)), grid)
    assert sum_doses([physical]) is physical
    with pytest.raises(QuantityMismatchError, match="convert each"):
        sum_doses([physical, physical])
    with pytest.raises(QuantityMismatchError, match="convert each"):
        sum_doses([eqd2_dose([[[1.0]]]), physical])


def test_unlike_doses_are_refused():
    one = eqd2_dose([[[1.0]]])
    with pytest.raises(QuantityMismatchError, match="alpha/beta 3"):
        sum_doses([one, eqd2_dose([[[1.0]]], alpha_beta_gy=3.0)])
    shifted = Grid((1, 1, 1), (1, 0, 0), (1, 1, 1), "1.2.3")
    with pytest.raises(GridMismatchError):
        sum_doses([one, eqd2_dose([[[1.0]]], grid=shifted)])
    elsewhere = Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "9.9")
    with pytest.raises(FrameMismatchError):
        sum_doses([one, eqd2_dose([[[1.0]]], grid=elsewhere)])
    with pytest.raises(InputError, match="at least one dose"):
        sum_doses([])


def test_discount_commutes_on_eqd2_but_not_on_physical_dose():
    """50 Gy in 25 at 50 %: 25.0 Gy as EQD2, 18.75 Gy if the physical dose is halved."""
    grid = Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "1.2.3")
    physical = Dose(np.full((1, 1, 1), 50.0), grid)
    converted = to_eqd2(physical, n_fractions_planned=25, alpha_beta_gy=2.0)
    assert float(discount(converted, 0.5).values[0, 0, 0]) == pytest.approx(25.0)
    halved = to_eqd2(physical.scaled(0.5), n_fractions_planned=25, alpha_beta_gy=2.0)
    assert float(halved.values[0, 0, 0]) == pytest.approx(18.75)
    with pytest.raises(QuantityMismatchError, match="to_eqd2"):
        discount(physical, 0.5)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, np.nan])
def test_discount_out_of_range_is_refused(fraction):
    with pytest.raises(InputError, match="0 to 1"):
        discount(eqd2_dose([[[1.0]]]), fraction)


def test_discount_keeps_unknown():
    kept = discount(eqd2_dose([[[np.nan, 10.0]]]), 1.0)
    np.testing.assert_array_equal(kept.values[0, 0], [np.nan, 0.0])
