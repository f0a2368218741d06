"""The dose engine against the integral of its own kernel and against symmetry.

The slow twin integrates the tabulated pencil kernel over the field by brute force, without
separation, raster, Fourier transform or spline.
"""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    ElectronContamination,
    Grid,
    HeadScatter,
    Image,
    ImageUnit,
    Modality,
    PatientPosition,
    Plan,
)
from rerad.dosecalc import (
    Engine,
    FinalDoseSettings,
    PencilDoseSettings,
    beam_dose,
    build_operator,
    final_dose,
    load_machine,
    make_bixel_grid,
)
from rerad.dosecalc.beam_model import cumulative_kernel, on_axis_dose_per_fluence

HFS = PatientPosition.HFS
FRAME = "1.2.3.4"


@pytest.fixture(scope="module")
def machine():
    """The generic machine without what the twin does not know: one source, no softening."""
    generic = load_machine("generic_6mv")
    beam = replace(
        generic.beam,
        off_axis_depth_scale=np.ones_like(generic.beam.off_axis_depth_scale),
        focal_sigma_mm=(1.5, 1.5),
        head_scatter=HeadScatter(0.0, 50.0),
        electrons=ElectronContamination(0.0, 10.0, 20.0),
    )
    return replace(generic, jaw_transmission=0.0, beam=beam)


def water(surface_mm, half_width_mm=200.0, depth_mm=320.0, spacing_mm=5.0, density=1.0):
    """A box of water whose front face lies at y = `surface_mm`."""
    n, n_y = round(2 * half_width_mm / spacing_mm), round(depth_mm / spacing_mm)
    first = -half_width_mm + 0.5 * spacing_mm
    grid = Grid(
        (n, n_y, n),
        (first, surface_mm + 0.5 * spacing_mm, first),
        (spacing_mm, spacing_mm, spacing_mm),
        FRAME,
    )
    values = np.full(grid.shape, density, dtype=np.float32)
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY)


def open_beam(machine, x_mm, y_mm, geometry=None, meterset_mu=100.0):
    """Jaws shape the field, leaves are far away."""
    n = machine.mlc.n_leaf_pairs
    leaves = np.tile([[-150.0], [150.0]], (1, n))
    points = tuple(ControlPoint(w, x_mm, y_mm, leaves) for w in (0.0, 1.0))
    beam_geometry = geometry or BeamGeometry("open", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    return Beam(1, beam_geometry, points, meterset_mu)


def square(machine, side_mm, **more):
    half = 0.5 * side_mm
    return open_beam(machine, (-half, half), (-half, half), **more)


def flattened(machine):
    """The machine with a field as bright at its rim as on the axis."""
    ones = np.ones_like(machine.beam.off_axis_ratio)
    return replace(machine, beam=replace(machine.beam, off_axis_ratio=ones))


def twin_dose_per_mu(machine, depth_mm, magnification, point_mm, x_mm, y_mm):
    """Brute force: energy of thin rings around the point, times the share that the field lights.

    The Gaussian source is left out; compare where the field is flat on its scale.
    """
    scale = machine.reference.dose_per_mu_gy / on_axis_dose_per_fluence(machine)
    edges = np.concatenate([[0.0], np.geomspace(0.02, 420.0, 1500)])
    discs = cumulative_kernel(machine, np.array([depth_mm]), edges * magnification)[0]
    radius = 0.5 * (edges[1:] + edges[:-1])[:, None]
    angle = np.linspace(0.0, 2.0 * np.pi, 721)[:-1]
    x = point_mm[0] + radius * np.cos(angle)
    y = point_mm[1] + radius * np.sin(angle)
    lit = (x > x_mm[0]) & (x < x_mm[1]) & (y > y_mm[0]) & (y < y_mm[1])
    open_ratio = np.interp(
        np.hypot(x, y), machine.beam.off_axis_radius_mm, machine.beam.off_axis_ratio
    )
    share = (lit * open_ratio).mean(axis=1)
    return scale * float(np.sum(np.diff(discs) * share)) / magnification**2


def test_reference_condition_is_reproduced(machine):
    reference = machine.reference
    surface = reference.ssd_mm - machine.sad_mm
    point = np.array([[0.0, surface + reference.depth_mm, 0.0]])
    dose = beam_dose(square(machine, reference.field_mm), machine, water(surface), point, HFS)
    assert dose[0] == pytest.approx(100.0 * reference.dose_per_mu_gy, rel=1e-3)


@pytest.mark.parametrize("side_mm", [30.0, 100.0, 200.0])
def test_depth_dose_equals_the_kernel_integral(machine, side_mm):
    depths = np.array([15.0, 52.5, 100.0, 200.0, 300.0])
    points = np.stack([0.0 * depths, depths - 100.0, 0.0 * depths], axis=-1)
    doses = beam_dose(square(machine, side_mm), machine, water(-100.0), points, HFS) / 100.0
    half = 0.5 * side_mm
    for depth, dose in zip(depths, doses, strict=True):
        magnification = (900.0 + depth) / 1000.0
        expected = twin_dose_per_mu(
            machine, depth, magnification, (0.0, 0.0), (-half, half), (-half, half)
        )
        assert dose == pytest.approx(expected, rel=3e-3)


def test_profile_of_a_rectangle_equals_the_kernel_integral(machine):
    # Inside, and far outside, where all dose is scatter; not in the penumbra.
    x_mm, y_mm = (-40.0, 50.0), (-25.0, 60.0)
    places = [(20.0, -10.0), (0.0, 33.0), (75.0, 0.0), (90.0, -80.0)]
    # Gantry 0: collimator x is patient x, collimator y is patient z.
    points = np.array([[x, 0.0, y] for x, y in places])
    doses = beam_dose(open_beam(machine, x_mm, y_mm), machine, water(-100.0), points, HFS)
    for place, dose in zip(places, doses, strict=True):
        expected = 100.0 * twin_dose_per_mu(machine, 100.0, 1.0, place, x_mm, y_mm)
        assert dose == pytest.approx(expected, rel=4e-3, abs=2e-4)


def test_penumbra_is_the_blur_of_the_kernel_edge(machine):
    # The profile across an edge that is straight for far around falls through one half of the
    # field's dose at the edge, and a broader source makes it broader.
    offsets = np.linspace(-12.0, 12.0, 49)
    points = np.stack([50.0 + offsets, 0.0 * offsets, 0.0 * offsets], axis=-1)
    flat = flattened(machine)
    widths = []
    for sigma in (1.0, 3.0):
        blurred = replace(flat, beam=replace(flat.beam, focal_sigma_mm=(sigma, sigma)))
        profile = beam_dose(square(machine, 100.0), blurred, water(-100.0), points, HFS)
        profile = profile / beam_dose(
            square(machine, 100.0), blurred, water(-100.0), np.zeros((1, 3)), HFS
        )
        assert profile[24] == pytest.approx(0.5, abs=0.02)
        assert np.all(np.diff(profile) < 0)
        widths.append(np.interp(-0.2, -profile, offsets) - np.interp(-0.8, -profile, offsets))
    assert widths[1] > widths[0] + 1.0


def test_inverse_square(machine):
    # The same water depth and the same field on the surface, at two distances: scatter is the
    # same, so only the inverse square is left.
    depth = 50.0
    doses = []
    for ssd, side in ((900.0, 100.0), (1080.0, 100.0 * 900.0 / 1080.0)):
        surface = ssd - 1000.0
        point = np.array([[0.0, surface + depth, 0.0]])
        flat = flattened(machine)
        doses.append(beam_dose(square(machine, side), flat, water(surface), point, HFS)[0])
    expected = ((1080.0 + depth) / (900.0 + depth)) ** 2
    # At the depth of the point the fields differ by 0.9 % in side.
    assert doses[0] / doses[1] == pytest.approx(expected, rel=3e-3)


def test_a_round_phantom_gets_the_same_dose_from_everywhere(machine):
    grid = Grid((40, 70, 70), (-103.5, -103.5, -58.5), (3.0, 3.0, 3.0), FRAME)
    x, y, _ = grid.axes_mm
    # Voxels at the rim are partly water, so that the circle is round.
    sub = (np.arange(10) + 0.5) / 10 * 3.0 - 1.5
    fine_x, fine_y = (x[:, None] + sub).ravel(), (y[:, None] + sub).ravel()
    fine = (np.hypot(fine_x[None, :], fine_y[:, None]) < 95.0).astype(float)
    body = fine.reshape(len(y), 10, len(x), 10).mean(axis=(1, 3))
    values = np.broadcast_to(body, grid.shape).astype(np.float32)
    density = Image(values, grid, Modality.CT, ImageUnit.DENSITY)
    central = []
    for gantry in (0.0, 90.0, 180.0, 270.0, 33.0):
        geometry = BeamGeometry("round", gantry, 0.0, 0.0, (0.0, 0.0, 0.0))
        beam = square(machine, 80.0, geometry=geometry)
        central.append(beam_dose(beam, machine, density, np.zeros((1, 3)), HFS)[0])
    np.testing.assert_allclose(central[:4], central[0], rtol=1e-4)
    assert central[4] == pytest.approx(central[0], rel=2e-3)


def test_square_fields_from_above_do_not_feel_collimator_and_couch(machine):
    rng = np.random.default_rng(1)
    x, z = rng.uniform(-70, 70, 30), rng.uniform(-70, 70, 30)
    points = np.stack([x, np.full(30, 10.0), z], axis=-1)
    box = water(-100.0, spacing_mm=10.0)
    expected = beam_dose(square(machine, 90.0), machine, box, points, HFS)
    for collimator, couch in ((90.0, 0.0), (180.0, 0.0), (0.0, 90.0), (90.0, 90.0)):
        geometry = BeamGeometry("turned", 0.0, collimator, couch, (0.0, 0.0, 0.0))
        turned = square(machine, 90.0, geometry=geometry)
        dose = beam_dose(turned, machine, box, points, HFS)
        np.testing.assert_allclose(dose, expected, rtol=1e-3, atol=1e-4)


def test_lying_prone_swaps_front_and_back(machine):
    points = np.array([[10.0, -60.0, 20.0], [0.0, 40.0, 0.0]])
    supine = beam_dose(
        square(machine, 90.0), machine, water(-150.0, depth_mm=300.0, spacing_mm=10.0), points, HFS
    )
    mirrored = points * np.array([-1.0, -1.0, 1.0])
    prone = beam_dose(
        square(machine, 90.0),
        machine,
        water(-150.0, depth_mm=300.0, spacing_mm=10.0),
        mirrored,
        PatientPosition.HFP,
    )
    np.testing.assert_allclose(prone, supine, rtol=1e-5)


def small_case(machine):
    """Bixels over a block target in a water box, and the voxels around it."""
    density = water(-100.0, half_width_mm=120.0, depth_mm=220.0)
    grid = density.grid
    target = np.stack(
        np.meshgrid(np.arange(-29, 30, 2.0), np.arange(-20, 21, 5.0), np.arange(-29, 30, 2.0)),
        axis=-1,
    ).reshape(-1, 3)
    geometry = BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    bixels = make_bixel_grid(
        geometry, machine, target, margin_mm=0.0, column_width_mm=5.0, position=HFS
    )
    return density, grid, bixels


def test_all_beamlets_make_the_open_field(machine):
    density, grid, bixels = small_case(machine)
    x_mm = (float(bixels.x_edges_mm[0]), float(bixels.x_edges_mm[-1]))
    y_mm = (float(bixels.y_edges_mm[0]), float(bixels.y_edges_mm[-1]))
    assert bixels.is_active.all()
    voxels = np.arange(0, grid.n_voxels, 7)
    operator = build_operator(machine, density, voxels, grid, [bixels], HFS)
    together = operator.forward(np.full(operator.n_beamlets, 100.0))
    beam = open_beam(machine, x_mm, y_mm)
    plan = Plan("OPEN", FRAME, HFS, machine.name, 3, (), (beam,))
    settings = FinalDoseSettings(engine=Engine.PENCIL_BEAM)
    dose = final_dose(plan, machine, density, grid, settings=settings).values.ravel()[voxels]
    one = dose / 3.0
    difference = np.abs(together - one)
    depth = grid.points(np.stack(np.unravel_index(voxels, grid.shape), -1))[:, 1] + 100.0
    assert difference.max() < 0.005 * one.max()
    inside = (depth > 5.0) & (one > 0.5 * one.max())
    assert np.max(difference[inside] / one[inside]) < 0.005


def test_single_beamlets_add_up(machine):
    density, grid, bixels = small_case(machine)
    voxels = np.arange(5, grid.n_voxels, 501)
    operator = build_operator(machine, density, voxels, grid, [bixels], HFS)
    rng = np.random.default_rng(3)
    x = rng.random(operator.n_beamlets)
    chosen = rng.choice(operator.n_beamlets, 6, replace=False)
    parts = np.zeros(operator.n_points)
    for beamlet in chosen:
        unit = np.zeros(operator.n_beamlets)
        unit[beamlet] = x[beamlet]
        parts += operator.forward(unit)
    some = np.zeros(operator.n_beamlets)
    some[chosen] = x[chosen]
    whole = operator.forward(some)
    np.testing.assert_allclose(parts, whole, atol=1e-6 * whole.max())


def test_finer_rasters_and_more_components_change_little(machine):
    rng = np.random.default_rng(8)
    points = np.stack(
        [rng.uniform(-80, 80, 400), rng.uniform(-95, 150, 400), rng.uniform(-80, 80, 400)], -1
    )
    doses = {
        settings: beam_dose(
            open_beam(machine, (-33.3, 41.7), (-52.1, 28.4)),
            machine,
            water(-100.0),
            points,
            HFS,
            settings=PencilDoseSettings(*settings),
        )
        for settings in ((2.5, 8), (1.25, 8), (0.8, 8), (1.25, 14))
    }
    top = doses[0.8, 8].max()
    assert np.abs(doses[1.25, 8] - doses[0.8, 8]).max() < 0.01 * top
    assert np.abs(doses[1.25, 8] - doses[1.25, 14]).max() < 0.003 * top
    rms = [float(np.sqrt(np.mean((doses[cell, 8] - doses[0.8, 8]) ** 2))) for cell in (2.5, 1.25)]
    assert rms[1] < rms[0]
    assert rms[1] < 0.001 * top


def test_density_counts_as_depth(machine):
    # 50 mm of lung in front of the point attenuate like 13 mm of water.
    slab = water(-100.0)
    values = np.array(slab.values)
    values[:, 4:14, :] = 0.26
    slab = replace(slab, values=values)
    point = np.array([[0.0, 0.0, 0.0]])
    dose = beam_dose(square(machine, 100.0), machine, slab, point, HFS)[0] / 100.0
    expected = twin_dose_per_mu(machine, 63.0, 1.0, (0.0, 0.0), (-50.0, 50.0), (-50.0, 50.0))
    assert dose == pytest.approx(expected, rel=3e-3)
