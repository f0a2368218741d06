"""A tank: definitions that need no measurement, and what is refused."""

import numpy as np
import pytest

from rerad.dosecalc import Engine, load_machine, radiological_depth_exact
from rerad.dosecalc.commission import (
    ProfileAxis,
    SlabLayer,
    WaterTankSetup,
    axis_dose,
    depth_dose,
    output_factor,
    profile,
    tank_density,
    tank_voxels,
    tpr_20_10,
)
from rerad.errors import InputError
from rerad.evaluation.curves import penumbra

REFERENCE = WaterTankSetup(100.0, 100.0, 900.0)


@pytest.fixture(scope="module")
def machine():
    return load_machine("generic_6mv")


def test_the_reference_condition_gives_what_it_says(machine):
    dose = depth_dose(machine, REFERENCE, np.array([100.0]))
    assert dose[0] == pytest.approx(machine.reference.dose_per_mu_gy, rel=1e-3)
    factor = output_factor(machine, REFERENCE, depth_mm=100.0, reference_field_mm=100.0)
    assert factor == pytest.approx(1.0, rel=1e-9)


def test_numbers_that_the_machine_file_states(machine):
    # tables/machines/generic_6mv.toml; the second row is typical of 6 MV (memory).
    depths = np.array([50.0, 100.0, 200.0])
    far = WaterTankSetup(100.0, 100.0, 1000.0)
    top = depth_dose(machine, far, np.arange(10.0, 20.0)).max()
    percent = 100.0 * depth_dose(machine, far, depths) / top
    np.testing.assert_allclose(percent, [86.0, 66.5, 38.3], atol=0.3)
    assert tpr_20_10(machine) == pytest.approx(0.670, abs=0.002)
    for side, expected in ((50.0, 0.903), (200.0, 1.106)):
        setup = WaterTankSetup(side, side, 900.0)
        factor = output_factor(machine, setup, depth_mm=100.0, reference_field_mm=100.0)
        assert factor == pytest.approx(expected, abs=0.003)


def test_beam_without_filter_is_softer_and_peaked(machine):
    peaked = load_machine("generic_6mv", beam="6X-FFF")
    assert tpr_20_10(peaked) < tpr_20_10(machine) - 0.02
    x = np.array([0.0, 80.0])
    wide = WaterTankSetup(250.0, 250.0, 900.0)
    axis, off = profile(peaked, wide, 100.0, x, ProfileAxis.CROSSPLANE)
    assert 0.80 < off / axis < 0.88
    axis, off = profile(machine, wide, 100.0, x, ProfileAxis.CROSSPLANE)
    assert 0.98 < off / axis < 1.02


def test_leaves_shape_the_field_where_there_are_no_jaws():
    agility = load_machine("agility_like_6mv")
    setup = WaterTankSetup(60.0, 120.0, 900.0)
    x = np.arange(-90.0, 91.0, 1.0)
    for axis, width in ((ProfileAxis.CROSSPLANE, 60.0), (ProfileAxis.INPLANE, 120.0)):
        edges = penumbra(x, profile(agility, setup, 100.0, x, axis))
        # Scatter and the broad source lift the half of the axis outwards, as in the measured beam.
        assert 0.0 < edges.field_width_mm - width < 1.0
        assert edges.center_mm == pytest.approx(0.0, abs=0.02)
    with pytest.raises(InputError, match="within the jaws"):
        depth_dose(agility, WaterTankSetup(410.0, 100.0, 900.0), np.array([50.0]))


def test_collapsed_cones_agree_with_pencil_beams_in_water(machine):
    setup = WaterTankSetup(40.0, 40.0, 900.0)
    voxels = tank_voxels(machine, setup, depth_mm=150.0, half_width_mm=40.0)
    depths = np.array([10.0, 15.0, 50.0, 100.0, 150.0])
    cones = depth_dose(machine, setup, depths, voxels=voxels)
    np.testing.assert_allclose(cones, depth_dose(machine, setup, depths), rtol=0.015)
    x = np.arange(-40.0, 41.0)
    across = profile(machine, setup, 100.0, x, ProfileAxis.CROSSPLANE, voxels=voxels)
    assert across[40] == pytest.approx(cones[3], rel=1e-3)
    found = penumbra(x, across)
    pencils = penumbra(x, profile(machine, setup, 100.0, x, ProfileAxis.CROSSPLANE))
    assert found.field_width_mm == pytest.approx(pencils.field_width_mm, abs=0.4)
    assert found.left_mm == pytest.approx(pencils.left_mm, abs=0.6)
    for bad in (np.array([-1.0]), np.array([400.0])):
        with pytest.raises(InputError, match="expected depths"):
            depth_dose(machine, setup, bad, voxels=voxels)
    with pytest.raises(InputError, match="of the axis"):
        profile(machine, setup, 50.0, np.array([300.0]), ProfileAxis.INPLANE, voxels=voxels)


def test_the_reference_condition_is_exact_by_definition_with_either_engine(machine):
    for engine in Engine:
        assert axis_dose(machine, REFERENCE, 100.0, engine=engine) == 0.01


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
