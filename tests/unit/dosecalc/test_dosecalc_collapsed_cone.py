"""Collapsed cone: what must hold whatever the kernels are."""

from dataclasses import replace

import numba
import numpy as np
import pytest

from rerad.core import BeamGeometry, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc.collapsed_cone import collapsed_cone_dose, grid_blur_variance_mm2
from rerad.dosecalc.cone_kernels import ConeSettings, cone_kernels, fit_rings
from rerad.dosecalc.machine import load_machine
from rerad.dosecalc.raster import Raster
from rerad.dosecalc.spectrum import ali_rogers_spectrum
from rerad.errors import GridMismatchError, InputError

SETTINGS = ConeSettings()


@pytest.fixture(scope="module")
def kernels():
    return cone_kernels(ali_rogers_spectrum("varian-6mv"), SETTINGS)


@pytest.fixture(scope="module")
def machine():
    """The generic machine, equally hard everywhere."""
    generic = load_machine("generic_6mv")
    scale = np.ones_like(generic.beam.off_axis_depth_scale)
    return replace(generic, beam=replace(generic.beam, off_axis_depth_scale=scale))


def cube(n, spacing_mm, value=1.0):
    """A cube of water about the origin."""
    first = -0.5 * (n - 1) * spacing_mm
    grid = Grid((n, n, n), (first,) * 3, (spacing_mm,) * 3, "1.2.3")
    return Image(np.full(grid.shape, value, np.float32), grid, Modality.CT, ImageUnit.DENSITY)


def square(side_mm, cell_mm=1.0):
    """Fluence 1 in a square of the isocentre plane."""
    n = int(np.ceil(0.5 * side_mm / cell_mm)) + 2
    raster = Raster(cell_mm, -n, -n, 2 * n, 2 * n)
    edges = raster.x_edges_mm
    inside = np.minimum(edges[1:], 0.5 * side_mm) - np.maximum(edges[:-1], -0.5 * side_mm)
    row = np.clip(inside / cell_mm, 0.0, 1.0)
    return np.outer(row, row), raster


def dose_of(density, machine, kernels, field, *, settings=SETTINGS, **angles):
    geometry = BeamGeometry(
        "B",
        angles.get("gantry", 0.0),
        angles.get("collimator", 0.0),
        angles.get("couch", 0.0),
        angles.get("isocenter", (0.0, 0.0, 0.0)),
    )
    return collapsed_cone_dose(
        *field,
        geometry,
        machine,
        density,
        density.grid,
        PatientPosition.HFS,
        kernels,
        settings,
    )


def test_rings_find_the_kernel_they_were_made_of():
    """An angle-free exponential comes back with its constant and isotropic rings."""
    radius = np.concatenate([[0.0], np.geomspace(0.1, 600.0, 90)])
    cosine = np.cos(np.linspace(np.pi, 0.0, 49))
    energy = np.diff(-np.exp(-radius / 40.0))[:, None] * np.diff(cosine)
    rings = fit_rings(radius, cosine, energy, 0.0, n_rings=4, n_azimuths=6)
    np.testing.assert_allclose(rings.cosine, [0.75, 0.25, -0.25, -0.75], atol=1e-3)
    np.testing.assert_allclose(rings.log_slope, 0.0, atol=1e-3)
    at = np.array([1.0, 10.0, 40.0, 200.0])
    np.testing.assert_allclose(
        rings.deposited(at), np.tile(1 - np.exp(-at / 40.0), (4, 1)), atol=1e-4
    )
    np.testing.assert_allclose(rings.directions().mean(axis=(0, 1)), 0.0, atol=1e-9)


def test_rings_lose_no_energy_and_no_momentum(kernels):
    for rings in (kernels.primary, kernels.scatter):
        np.testing.assert_allclose(rings.shares.sum(axis=1), 1.0, rtol=1e-12)
        assert np.abs(rings.shares).max() < 3.0
        assert rings.misfit.max() < 0.004
        radius = np.linspace(0.0, 400.0, 801)
        within = rings.deposited(radius)
        assert np.diff(within, axis=1).min() > -2e-5
        np.testing.assert_allclose(np.linalg.norm(rings.directions(), axis=-1), 1.0, rtol=1e-12)


def escaping(rings, distance_mm, cosine):
    """Share of each ring's energy that leaves a slab whose face is that far away."""
    leaving = np.flatnonzero(cosine > 0.0)
    far = [1.0 - rings.deposited(distance_mm / cosine[n])[n] for n in leaving]
    return np.sum(far, axis=0) / rings.n_rings


def test_a_large_phantom_keeps_what_is_released(machine, kernels):
    """All is deposited but what leaves through the two faces, which the rings tell."""
    spacing, length = 30.0, 900.0
    grid = Grid((80, 30, 80), (-1185.0, 15.0, -1185.0), (spacing,) * 3, "1.2.3")
    water = Image(np.ones(grid.shape, np.float32), grid, Modality.CT, ImageUnit.DENSITY)
    # A source so far away that the beam does not widen.
    parallel = replace(machine, sad_mm=5e5)
    fine = ConeSettings(scatter_coarsening=1)
    dose = dose_of(water, parallel, kernels, square(120.0, 2.0), settings=fine)
    depth = np.arange(length) + 0.5
    table = np.arange(len(kernels.released))
    kept = 0.0
    for part, rings in enumerate((kernels.primary, kernels.scatter)):
        share = 1.0 - escaping(rings, depth, -rings.cosine)
        share -= escaping(rings, length - depth, rings.cosine)
        kept += (np.interp(depth, table, kernels.released[:, part]) * share).sum()
    deposited = dose.sum(dtype=np.float64) * spacing**3
    assert deposited == pytest.approx(kept * 120.0**2, rel=0.003)


def test_nothing_in_nothing_out(machine, kernels):
    values, raster = square(40.0)
    dose = dose_of(cube(20, 5.0), machine, kernels, (0.0 * values, raster))
    assert np.all(dose == 0.0)


def test_dose_is_linear_in_fluence(machine, kernels):
    density = cube(24, 5.0)
    whole, raster = square(40.0)
    left = whole.copy()
    left[:, raster.n_x // 2 :] = 0.0
    parts = [dose_of(density, machine, kernels, (f, raster)) for f in (left, whole - left)]
    total = dose_of(density, machine, kernels, (whole, raster))
    np.testing.assert_allclose(parts[0] + parts[1], total, rtol=0, atol=3e-6 * total.max())


@pytest.mark.parametrize("gantry", [90.0, 180.0, 270.0])
def test_gantry_by_quarters_turns_the_dose(machine, kernels, gantry):
    density = cube(30, 5.0)
    field = square(60.0)
    upright = dose_of(density, machine, kernels, field)
    turned = dose_of(density, machine, kernels, field, gantry=gantry)
    # From behind and from the side the same cube lies there; [k, j, i] turns about k.
    back = np.rot90(turned, -int(gantry // 90), axes=(1, 2))
    forth = np.rot90(turned, int(gantry // 90), axes=(1, 2))
    off = min(np.abs(v - upright).max() for v in (back, forth))
    assert off < 0.002 * upright.max()


def test_gantry_at_45_degrees_in_a_cylinder(machine, kernels):
    """The axis of a cylinder is as far from its surface from everywhere."""
    density = cube(61, 4.0)
    x, y, _ = density.grid.axes_mm
    inside = np.hypot(x[None, :], y[:, None]) < 100.0
    values = np.where(inside[None], 1.0, 0.0).repeat(61, axis=0).astype(np.float32)
    cylinder = replace(density, values=values)
    field = square(60.0)
    axis = [
        dose_of(cylinder, machine, kernels, field, gantry=g)[24:37, 30, 30].mean()
        for g in (0.0, 30.0, 45.0, 90.0)
    ]
    np.testing.assert_allclose(axis, np.mean(axis), rtol=0.01)


@pytest.mark.parametrize("angles", [{"couch": 90.0}, {"collimator": 90.0}, {"collimator": 45.0}])
def test_couch_and_collimator_leave_the_axis_alone(machine, kernels, angles):
    density = cube(41, 4.0)
    field = square(60.0)
    straight = dose_of(density, machine, kernels, field)[20, 2:-2, 20]
    turned = dose_of(density, machine, kernels, field, **angles)[20, 2:-2, 20]
    np.testing.assert_allclose(turned, straight, rtol=0.01)


def test_symmetric_field_gives_symmetric_dose(machine, kernels):
    density = cube(41, 4.0)
    dose = dose_of(density, machine, kernels, square(60.0))
    for mirrored in (dose[::-1], dose[:, :, ::-1], dose.transpose(2, 1, 0)):
        np.testing.assert_allclose(mirrored, dose, rtol=0, atol=0.01 * dose.max())


def test_inverse_square(machine, kernels):
    """Twice as far from the source, where the same field at the phantom needs half the side."""
    density = cube(31, 5.0)
    near = dose_of(density, machine, kernels, square(60.0))[15, 15, 15]
    far_machine = replace(machine, sad_mm=2000.0)
    far = dose_of(density, far_machine, kernels, square(60.0))[15, 15, 15]
    # Both are per fluence at the isocentre, in the middle; only divergence differs.
    assert far == pytest.approx(near, rel=0.02)
    shifted = dose_of(density, machine, kernels, square(50.0), isocenter=(0.0, -200.0, 0.0))[
        15, 15, 15
    ]
    assert shifted * 1.2**2 == pytest.approx(near, rel=0.01)


def test_softer_off_axis_means_less_dose_there(machine, kernels):
    density = cube(41, 5.0)
    field = square(160.0)
    soft = replace(
        machine,
        beam=replace(
            machine.beam,
            off_axis_depth_scale=1.0 + 0.1 * (machine.beam.off_axis_radius_mm > 30.0),
        ),
    )
    ratio = dose_of(density, soft, kernels, field) / dose_of(density, machine, kernels, field)
    assert ratio[20, 20, 20] == pytest.approx(1.0, abs=0.02)
    assert 0.9 < ratio[20, 30, 33] < 0.98


def test_voxel_size_matters_little(machine, kernels):
    """Depth dose on voxels of 2.5, 4 and 5 mm at the same points."""
    field = square(60.0)
    depth = []
    for n, spacing in ((81, 2.5), (51, 4.0), (41, 5.0)):
        dose = dose_of(cube(n, spacing), machine, kernels, field)
        y = spacing * (np.arange(n) - n // 2)
        # Phantoms differ by up to 5 mm in size: the same way to the surface counts.
        surface = -0.5 * n * spacing
        depth.append(np.interp([30.0, 60.0, 100.0, 150.0], y - surface, dose[n // 2, :, n // 2]))
    np.testing.assert_allclose(depth[1:], [depth[0]] * 2, rtol=0.012)


def test_same_bits_with_one_thread_and_two(machine, kernels):
    density, field = cube(24, 5.0), square(40.0)
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        one = dose_of(density, machine, kernels, field, gantry=33.0)
    finally:
        numba.set_num_threads(before)
    two = dose_of(density, machine, kernels, field, gantry=33.0)
    np.testing.assert_array_equal(one, two)


def test_scatter_on_coarse_voxels_is_nearly_that_on_fine(machine, kernels):
    density, field = cube(40, 4.0), square(60.0)
    coarse = dose_of(density, machine, kernels, field)
    fine = dose_of(density, machine, kernels, field, settings=ConeSettings(scatter_coarsening=1))
    np.testing.assert_allclose(coarse, fine, rtol=0, atol=0.012 * fine.max())


def test_what_cannot_be_calculated_is_refused(machine, kernels):
    density = cube(10, 5.0)
    values, raster = square(40.0)
    with pytest.raises(InputError, match="expected a map of shape"):
        dose_of(density, machine, kernels, (values[1:], raster))
    with pytest.raises(InputError, match="from the source"):
        dose_of(density, machine, kernels, (values, raster), isocenter=(0.0, 950.0, 0.0))
    with pytest.raises(InputError, match="mass density"):
        dose_of(replace(density, unit=ImageUnit.HU), machine, kernels, (values, raster))
    with pytest.raises(GridMismatchError):
        collapsed_cone_dose(
            values,
            raster,
            BeamGeometry("B", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)),
            machine,
            density,
            cube(12, 5.0).grid,
            PatientPosition.HFS,
            kernels,
            SETTINGS,
        )
    with pytest.raises(InputError, match="at least 1"):
        ConeSettings(n_primary_rings=0)


def test_blur_of_the_grid():
    assert grid_blur_variance_mm2(3.0) == pytest.approx(9.0 * 11.0 / 48.0)
    assert grid_blur_variance_mm2(3.0, fluence_parts=1) == pytest.approx(9.0 / 6.0)
