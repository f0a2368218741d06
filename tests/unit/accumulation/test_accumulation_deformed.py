"""Mapping through displacement fields, and means over voxels by volume and mass."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from rerad.accumulation import map_dose, map_dose_mean, sample_transforms
from rerad.accumulation.ensemble import RegistrationSpread
from rerad.core import DisplacementField, Dose, Grid, Image, ImageUnit, Modality, RigidTransform
from rerad.errors import FrameMismatchError, GridMismatchError

SOURCE = Grid((20, 22, 24), (-30.0, -28.0, -26.0), (2.5, 2.7, 2.9), "earlier")
FIELD = Grid((9, 10, 11), (-22.0, -20.0, -18.0), (4.0, 4.0, 4.0), "today")
ONTO = Grid((7, 8, 9), (-14.0, -12.0, -10.0), (3.1, 3.0, 2.9), "today")


def rigid(degrees=(3, -2, 4), shift_mm=(1.0, -2.0, 1.5)):
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift_mm
    return RigidTransform(matrix, "earlier", "today")


def linear(grid):
    """A dose that trilinear sampling gives back exactly."""
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    return Dose((50 + 0.3 * x - 0.2 * y + 0.4 * z).astype(np.float32), grid)


def linear_at(points):
    x, y, z = np.moveaxis(points, -1, 0)
    return 50 + 0.3 * x - 0.2 * y + 0.4 * z


def test_field_and_rigid_by_the_slow_way():
    """The map as its docstring says it, point by point, on an affine field."""
    z, y, x = np.meshgrid(*FIELD.axes_mm[::-1], indexing="ij")
    vectors = np.stack([0.05 * x + 1, -0.03 * z, 0.04 * y - 0.5], axis=-1)
    made = DisplacementField(vectors, FIELD, rigid())
    mapped = map_dose(linear(SOURCE), made, ONTO)
    points = ONTO.points(np.moveaxis(np.indices(ONTO.shape), 0, -1))
    px, py, pz = np.moveaxis(points, -1, 0)
    moved = points + np.stack([0.05 * px + 1, -0.03 * pz, 0.04 * py - 0.5], axis=-1)
    expected = linear_at(rigid().inverse().apply(moved))
    np.testing.assert_allclose(mapped.values, expected, atol=2e-3)


def test_no_displacement_is_the_rigid_map():
    still = DisplacementField(np.zeros((*FIELD.shape, 3)), FIELD, rigid())
    one = map_dose(linear(SOURCE), still, ONTO)
    two = map_dose(linear(SOURCE), rigid(), ONTO)
    np.testing.assert_allclose(one.values, two.values, atol=1e-3)


def test_a_motion_of_today_moves_the_mapped_dose():
    still = DisplacementField(np.zeros((*FIELD.shape, 3)), FIELD, rigid((0, 0, 0), (0, 0, 0)))
    shift = np.eye(4)
    shift[:3, 3] = (2.0, 0.0, 0.0)
    moved = map_dose(linear(SOURCE), still.then(RigidTransform(shift, "today", "today")), ONTO)
    plain = map_dose(linear(SOURCE), still, ONTO)
    np.testing.assert_allclose(moved.values, plain.values - 0.6, atol=1e-3)
    spread = RegistrationSpread((1.0, 1.0, 1.0), (0.5, 0.5, 0.5))
    drawn = sample_transforms(
        still, spread, center_mm=(0, 0, 0), n=3, rng=np.random.default_rng(1)
    )
    assert all(isinstance(item, DisplacementField) for item in drawn)


def test_outside_the_field_is_unknown():
    still = DisplacementField(np.zeros((*FIELD.shape, 3)), FIELD, rigid((0, 0, 0), (0, 0, 0)))
    wide = Grid((7, 8, 30), (-14.0, -12.0, -10.0), (3.1, 3.0, 2.9), "today")
    assert np.isnan(map_dose(linear(SOURCE), still, wide).values).any()
    other = Grid(ONTO.shape, ONTO.origin_mm, ONTO.spacing_mm, "elsewhere")
    with pytest.raises(FrameMismatchError, match="register the two"):
        map_dose(linear(SOURCE), still, other)


def test_means_keep_what_centres_skip():
    """A sheet of dose one voxel thick between the centres of voxels twice as large."""
    fine = Grid((8, 8, 16), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), "f")
    values = np.zeros(fine.shape, dtype=np.float32)
    values[:, :, 5:7] = 10.0
    coarse = Grid((2, 2, 3), (2.0, 2.0, 2.0), (4.0, 4.0, 4.0), "f")
    same = RigidTransform.identity("f")
    mean = map_dose_mean(Dose(values, fine), same, coarse, n_per_axis=4)
    # Voxel 1 spans x from 4 to 8 mm: two of its four millimetres hold 10 Gy.
    assert mean.values[0, 0, 1] == pytest.approx(5.0, abs=1e-4)
    assert mean.values[0, 0, 2] == pytest.approx(0.0, abs=1e-4)


def test_mass_counts_where_a_voxel_holds_gas_and_tissue():
    """Half of a voxel is gas at 20 Gy, half tissue at 10 Gy: energy over mass is near 10 Gy."""
    fine = Grid((8, 8, 8), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), "f")
    dose = np.full(fine.shape, 10.0, dtype=np.float32)
    dose[:, :, :4] = 20.0
    density = np.ones(fine.shape, dtype=np.float32)
    density[:, :, :4] = 0.01
    coarse = Grid((1, 1, 1), (4.0, 4.0, 4.0), (6.0, 6.0, 6.0), "f")
    same = RigidTransform.identity("f")
    by_mass = map_dose_mean(
        Dose(dose, fine),
        same,
        coarse,
        density=Image(density, fine, Modality.CT, ImageUnit.DENSITY),
        n_per_axis=6,
    )
    by_volume = map_dose_mean(Dose(dose, fine), same, coarse, n_per_axis=6)
    assert by_volume.values[0, 0, 0] == pytest.approx(15.0, abs=0.01)
    assert by_mass.values[0, 0, 0] == pytest.approx(10.1, abs=0.1)
    with pytest.raises(GridMismatchError, match="voxels of the dose"):
        map_dose_mean(
            Dose(dose, fine),
            same,
            coarse,
            density=Image(np.ones((1, 1, 1), np.float32), coarse, Modality.CT, ImageUnit.DENSITY),
        )
