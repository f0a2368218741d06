"""A tank: definitions that need no measurement, and what is refused."""

import numpy as np
import pytest

from rerad.dosecalc import load_machine, radiological_depth_exact
from rerad.dosecalc.commission import (
    ProfileAxis,
    SlabLayer,
    WaterTankSetup,
    depth_dose,
    output_factor,
    profile,
    tank_density,
    tpr_20_10,
)
from rerad.errors import InputError

REFERENCE = WaterTankSetup(100.0, 100.0, 900.0)


@pytest.fixture(scope="module")
def machine():
    return load_machine("generic_6mv")


def test_the_reference_condition_gives_what_it_says(machine):
    dose = depth_dose(machine, REFERENCE, np.array([100.0]))
    assert dose[0] == pytest.approx(machine.reference.dose_per_mu_gy, rel=1e-3)
    factor = output_factor(machine, REFERENCE, depth_mm=100.0, reference_field_mm=100.0)
    assert factor == pytest.approx(1.0, rel=1e-9)


def test_numbers_of_the_methods_page(machine):
    # docs/methods/photon-dose.md: TPR 0.670; output 0.927 (5 cm) and 1.074 (20 cm) at 10 cm.
    assert tpr_20_10(machine) == pytest.approx(0.670, abs=0.001)
    for side, expected in ((50.0, 0.927), (200.0, 1.074)):
        setup = WaterTankSetup(side, side, 900.0)
        factor = output_factor(machine, setup, depth_mm=100.0, reference_field_mm=100.0)
        assert factor == pytest.approx(expected, abs=0.001)


def test_density_of_a_slab_is_exact_between_voxel_faces(machine):
    setup = WaterTankSetup(
        100.0, 100.0, 900.0, (SlabLayer(30.25, 1.0), SlabLayer(79.5, 0.26), SlabLayer(4.3, 1.85))
    )
    density = tank_density(machine, setup, 200.0)
    depths = np.array([20.0, 31.0, 110.0, 115.0, 150.0])
    points = np.stack([0.0 * depths, depths - 100.0, 0.0 * depths], axis=-1)
    found = radiological_depth_exact(density, points, np.array([0.0, -1000.0, 0.0]))
    whole = 30.25 + 79.5 * 0.26
    expected = [
        20.0,
        30.25 + 0.75 * 0.26,
        whole + 0.25 * 1.85,
        whole + 4.3 * 1.85 + (115.0 - 114.05),
        whole + 4.3 * 1.85 + (150.0 - 114.05),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_slabs_of_water_are_water(machine):
    depths = np.array([10.0, 45.0, 120.0])
    slabs = (SlabLayer(12.3, 1.0), SlabLayer(50.0, 1.0))
    layered = WaterTankSetup(100.0, 100.0, 900.0, slabs)
    np.testing.assert_allclose(
        depth_dose(machine, layered, depths), depth_dose(machine, REFERENCE, depths), rtol=1e-5
    )


def test_behind_lung_the_dose_is_that_of_the_lesser_depth(machine):
    # 80 mm of 0.25 g/cm3 count as 20 mm: the same point in water lies 60 mm less deep, further
    # from the source by the same distance. Field size at the point is kept.
    lung = WaterTankSetup(100.0, 100.0, 900.0, (SlabLayer(50.0, 1.0), SlabLayer(80.0, 0.25)))
    behind = depth_dose(machine, lung, np.array([160.0]))[0]
    water = WaterTankSetup(100.0, 100.0, 960.0)
    equal = depth_dose(machine, water, np.array([100.0]))[0]
    assert behind == pytest.approx(equal, rel=1e-3)


def test_profiles_meet_the_depth_dose_and_know_their_axis(machine):
    setup = WaterTankSetup(60.0, 120.0, 900.0)
    x = np.linspace(-90.0, 90.0, 61)
    cross = profile(machine, setup, 100.0, x, ProfileAxis.CROSSPLANE)
    along = profile(machine, setup, 100.0, x, ProfileAxis.INPLANE)
    axis = depth_dose(machine, setup, np.array([100.0]))[0]
    assert cross[30] == pytest.approx(axis, rel=1e-4)
    assert along[30] == pytest.approx(axis, rel=1e-4)
    # At 45 mm the 60 mm side is far outside, the 120 mm side inside.
    assert cross[45] < 0.1 * axis
    assert along[45] > 0.9 * axis
    np.testing.assert_allclose(cross, cross[::-1], rtol=1e-4)


def test_what_cannot_be_is_refused(machine):
    with pytest.raises(InputError, match="within the jaws"):
        depth_dose(machine, WaterTankSetup(500.0, 100.0, 900.0), np.array([100.0]))
    with pytest.raises(InputError, match="depths >= 0"):
        depth_dose(machine, REFERENCE, np.array([-1.0]))
    with pytest.raises(InputError, match="at least one point"):
        depth_dose(machine, REFERENCE, np.array([]))
    with pytest.raises(InputError, match="above 0 mm"):
        WaterTankSetup(0.0, 100.0, 900.0)
    with pytest.raises(InputError, match="thicker than 0"):
        SlabLayer(0.0, 1.0)
    with pytest.raises(InputError, match="thicker than 0"):
        SlabLayer(10.0, float("nan"))
