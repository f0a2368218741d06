"""Photons and electrons at the isocentre plane against closed forms."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.special import erf, ndtr

from rerad.core import Beam, BeamGeometry, ControlPoint, ElectronContamination, HeadScatter
from rerad.dosecalc import load_machine, raster_over
from rerad.dosecalc.apertures import aperture_exposure
from rerad.dosecalc.incident import (
    IncidentMaps,
    collimator_scatter_factor,
    incident_maps,
    sample_incident,
)
from rerad.dosecalc.raster import off_axis_map
from rerad.errors import InputError

GEOMETRY = BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
HEAD = HeadScatter(share=0.07, sigma_mm=32.0)
ELECTRONS = ElectronContamination(surface_share=0.2, depth_mm=10.0, sigma_mm=24.0)


@pytest.fixture(scope="module")
def linac():
    """The generic machine with a flat field, two sources, no leaf gap and perfect shielding."""
    machine = load_machine("generic_6mv")
    beam = replace(
        machine.beam,
        off_axis_ratio=np.ones_like(machine.beam.off_axis_ratio),
        focal_sigma_mm=(1.3, 2.2),
        head_scatter=HEAD,
        electrons=ELECTRONS,
    )
    mlc = replace(machine.mlc, transmission=0.0, dosimetric_leaf_gap_mm=0.0)
    return replace(machine, beam=beam, mlc=mlc, jaw_transmission=0.0)


def with_beam(machine, **changes):
    return replace(machine, beam=replace(machine.beam, **changes))


def jaw_field(x_mm, y_mm, meterset_mu=1.0):
    """A static field of jaws, with the leaves far behind them."""
    leaves = np.array([np.full(60, -150.0), np.full(60, 150.0)])
    points = tuple(ControlPoint(w, x_mm, y_mm, leaves) for w in (0.0, 1.0))
    return Beam(1, GEOMETRY, points, meterset_mu)


def edge_product(raster, x_mm, y_mm, sigmas_mm):
    """The open rectangle blurred by a Gaussian, at the centres of cells."""
    x = ndtr((raster.x_mm - x_mm[0]) / sigmas_mm[0]) - ndtr((raster.x_mm - x_mm[1]) / sigmas_mm[0])
    y = ndtr((raster.y_mm - y_mm[0]) / sigmas_mm[1]) - ndtr((raster.y_mm - y_mm[1]) / sigmas_mm[1])
    return np.outer(y, x)


def width_between(position_mm, values, low, high):
    return float(np.interp(high, values, position_mm) - np.interp(low, values, position_mm))


def test_maps_are_sums_of_blurred_rectangles(linac):
    x_mm, y_mm = (-41.3, 22.8), (-18.45, 55.2)
    maps = incident_maps(jaw_field(x_mm, y_mm, 200.0), linac)
    primary = edge_product(maps.raster, x_mm, y_mm, (1.3, 2.2))
    head = edge_product(maps.raster, x_mm, y_mm, (32.0, 32.0))
    electrons = edge_product(maps.raster, x_mm, y_mm, (24.0, 24.0))
    np.testing.assert_allclose(maps.photons / 200.0, 0.93 * primary + 0.07 * head, atol=5e-6)
    np.testing.assert_allclose(maps.electrons / 200.0, electrons, atol=5e-5)
    # The raster reaches to where the last ten thousandth falls.
    assert maps.photons[:, 0].max() / 200.0 < 1e-4
    assert maps.photons[0].max() / 200.0 < 1e-4


def test_edges_are_at_half_and_penumbrae_as_wide_as_their_gaussian(linac):
    one_source = with_beam(linac, head_scatter=HeadScatter(0.0, 32.0))
    maps = incident_maps(jaw_field((-50.0, 50.0), (-50.0, 50.0)), one_source)
    line = np.linspace(-60.0, -40.0, 2001)
    still = np.full(2001, 0.3)
    for points, sigma in (
        (np.stack([line, still], axis=1), 1.3),
        (np.stack([still, line], axis=1), 2.2),
    ):
        profile = sample_incident(maps.photons, maps.raster, points)
        assert np.interp(0.5, profile, line) == pytest.approx(-50.0, abs=2e-3)
        # 20 % to 80 % of a Gaussian edge: 2 * 0.8416 sigma, to a hundredth of a millimetre
        assert width_between(line, profile, 0.2, 0.8) == pytest.approx(1.6832 * sigma, abs=0.01)


def test_head_scatter_makes_output_grow_as_error_functions(linac):
    sides = np.array([30.0, 50.0, 100.0, 200.0])
    axis = np.zeros((1, 2))
    output = []
    for side in sides:
        half = (-side / 2, side / 2)
        maps = incident_maps(jaw_field(half, half), linac)
        output.append(sample_incident(maps.photons, maps.raster, axis)[0])
    expected = 0.93 + 0.07 * erf(sides / 2 / (32.0 * np.sqrt(2.0))) ** 2
    np.testing.assert_allclose(output, expected, rtol=1e-5)
    factors = [collimator_scatter_factor(linac, (side, side)) for side in sides]
    np.testing.assert_allclose(factors, expected / expected[2], rtol=1e-9)


@pytest.mark.parametrize("has_x_jaws", [True, False])
def test_scatter_factor_is_that_of_the_maps_with_leakage(linac, has_x_jaws):
    mlc = replace(linac.mlc, transmission=0.015, tongue_and_groove_mm=0.0)
    machine = replace(linac, mlc=mlc, jaw_transmission=0.006)
    if not has_x_jaws:
        machine = replace(machine, jaw_x_limits_mm=None)

    def output(x_mm, y_mm):
        beam = jaw_field((-x_mm / 2, x_mm / 2), (-y_mm / 2, y_mm / 2))
        if not has_x_jaws:
            leaves = np.array([np.full(60, -x_mm / 2), np.full(60, x_mm / 2)])
            points = tuple(replace(p, leaf_positions_mm=leaves) for p in beam.control_points)
            beam = replace(beam, control_points=points)
        else:
            leaves = np.array([np.full(60, -1e4), np.full(60, 1e4)])
            points = tuple(replace(p, leaf_positions_mm=leaves) for p in beam.control_points)
            beam = replace(beam, control_points=points)
        maps = incident_maps(beam, machine)
        return sample_incident(maps.photons, maps.raster, np.zeros((1, 2)))[0]

    expected = output(40.0, 160.0) / output(100.0, 100.0)
    # Beyond the outermost leaf sides, 200 mm away, the model shields as closed leaves do.
    assert collimator_scatter_factor(machine, (40.0, 160.0)) == pytest.approx(expected, rel=2e-6)


def test_leakage_goes_on_beyond_the_raster(linac):
    mlc = replace(linac.mlc, transmission=0.015)
    machine = replace(linac, mlc=mlc, jaw_transmission=0.005)
    leaves = np.array([np.full(60, -30.0), np.full(60, 30.0)])
    points = tuple(ControlPoint(w, (-50, 50), (-50, 50), leaves) for w in (0.0, 1.0))
    maps = incident_maps(Beam(1, GEOMETRY, points, 100.0), machine)
    far = np.array([[-400.0, 0.0], [0.0, 400.0], [400.0, 400.0]])
    shielded = 100.0 * np.array([0.005 * 0.015, 0.005, 0.005**2 * 0.015])
    seen = sample_incident(maps.photons, maps.raster, far)
    np.testing.assert_allclose(seen, shielded, atol=0.02)
    assert seen[1] > 0.4
    # What lies between leaf tip and jaw sees the leaf alone, beside what the head scatters.
    inside = sample_incident(maps.photons, maps.raster, np.array([[41.0, 0.0]]))[0]
    through = ndtr(71 / 32.0) - ndtr(11 / 32.0)
    behind = ndtr(91 / 32.0) - ndtr(-9 / 32.0) - through
    head = 7.0 * (through + 0.015 * behind) * (2 * ndtr(50 / 32.0) - 1)
    assert inside == pytest.approx(0.93 * 1.5 + head, abs=0.02)


def test_off_axis_ratio_is_inside_the_blur(linac):
    # A field without flattening filter, whose ratio falls by 0.3 % a millimetre.
    radius = np.linspace(0.0, 200.0, 81)
    machine = with_beam(
        linac,
        head_scatter=HeadScatter(0.0, 32.0),
        off_axis_radius_mm=radius,
        off_axis_ratio=np.exp(-0.003 * radius),
        off_axis_depth_scale=np.ones(81),
    )
    beam = jaw_field((-35.0, 25.0), (-15.0, 45.0))
    maps = incident_maps(beam, machine)
    fine = raster_over((-55.0, -40.0), (45.0, 70.0), cell_mm=0.2)
    sharp = aperture_exposure(beam, machine, fine) * off_axis_map(machine, fine)
    sigmas = [(sigma**2 - 0.2**2 / 12) ** 0.5 / 0.2 for sigma in (2.2, 1.3)]
    expected = gaussian_filter(sharp, sigmas, truncate=7.0)[2::5, 2::5]
    rows = slice(-40 - maps.raster.first_y, 70 - maps.raster.first_y)
    columns = slice(-55 - maps.raster.first_x, 45 - maps.raster.first_x)
    x, y = np.meshgrid(maps.raster.x_mm[columns], maps.raster.y_mm[rows])
    away = np.hypot(x, y) > 25.0  # nearer, the curvature of the cone is seen
    inner = (slice(15, -15), slice(15, -15))
    error = np.abs(maps.photons[rows, columns] - expected)
    # Left out: half the variance times the Laplacian of the ratio, 3e-4 here.
    assert error[away].max() < 6e-4
    plain = aperture_exposure(beam, machine, maps.raster, sigma_mm=(1.3, 2.2))
    plain *= off_axis_map(machine, maps.raster)
    assert np.abs(plain[rows, columns] - expected)[inner].max() > 2e-3


def test_variance_of_the_dose_grid_is_taken_off(linac):
    machine = with_beam(linac, head_scatter=HeadScatter(0.0, 32.0))
    field = jaw_field((-20.3, 20.0), (-20.0, 20.0))
    narrower = with_beam(machine, focal_sigma_mm=((1.3**2 - 0.75) ** 0.5, (2.2**2 - 0.75) ** 0.5))
    taken_off = incident_maps(field, machine, margin_mm=20.0, focal_variance_offset_mm2=0.75)
    np.testing.assert_allclose(
        taken_off.photons, incident_maps(field, narrower, margin_mm=20.0).photons, atol=1e-9
    )
    # All of it along x: there the map holds the means of cells.
    none_left = incident_maps(field, machine, margin_mm=20.0, focal_variance_offset_mm2=1.7)
    row = none_left.photons[none_left.raster.n_y // 2]
    assert sorted(np.unique(row.round(9))) == pytest.approx([0.0, 0.3, 1.0], abs=1e-6)


def test_sampling_passes_through_the_cells_and_between_them(linac):
    x_mm, y_mm = (-31.2, 20.0), (-20.0, 28.7)
    maps = incident_maps(jaw_field(x_mm, y_mm), linac, margin_mm=30.0)
    x, y = np.meshgrid(maps.raster.x_mm, maps.raster.y_mm)
    nodes = np.stack([x.ravel(), y.ravel()], axis=1)
    seen = sample_incident(maps.photons, maps.raster, nodes)
    np.testing.assert_allclose(seen, maps.photons.ravel(), atol=1e-12)
    points = np.random.default_rng(2).uniform(-45, 45, (4000, 2))
    parts = []
    for sigmas in ((1.3, 2.2), (32.0, 32.0)):
        edges = [
            ndtr((points[:, a] - e[0]) / s) - ndtr((points[:, a] - e[1]) / s)
            for a, (e, s) in enumerate(zip((x_mm, y_mm), sigmas, strict=True))
        ]
        parts.append(edges[0] * edges[1])
    expected = 0.93 * parts[0] + 0.07 * parts[1]
    seen = sample_incident(maps.photons, maps.raster, points)
    np.testing.assert_allclose(seen, expected, atol=1e-3)
    assert np.sqrt(np.mean((seen - expected) ** 2)) < 1e-4


def test_a_sweeping_gap_and_its_superposition(linac):
    # A 12 mm gap sweeps 240 mm: 5 % of the meterset, plus leakage, everywhere under it.
    mlc = replace(linac.mlc, transmission=0.01, dosimetric_leaf_gap_mm=1.6)
    machine = replace(linac, mlc=mlc)

    def state(weight):
        leaves = np.full((2, 60), -126.0 + 240.0 * weight)
        leaves[1] += 12.0
        return ControlPoint(weight, (-60.0, 60.0), (-60.0, 60.0), leaves)

    steps = [state(w) for w in np.linspace(0.0, 1.0, 13)]
    swept = incident_maps(Beam(1, GEOMETRY, tuple(steps), 100.0), machine)
    share = 13.6 / 240.0
    level = 100.0 * (share + 0.01 * (1 - share))
    open_field = incident_maps(jaw_field((-60.0, 60.0), (-60.0, 60.0)), machine)
    np.testing.assert_allclose(swept.photons, level * open_field.photons, atol=1e-4)
    # One segment after the other, each as a beam of its own.
    total = np.zeros_like(swept.photons)
    for a, b in itertools.pairwise(steps):
        points = (replace(a, cumulative_weight=0.0), replace(b, cumulative_weight=1.0))
        total += incident_maps(Beam(1, GEOMETRY, points, 100.0 / 12), machine).photons
    np.testing.assert_allclose(total, swept.photons, atol=1e-4)


def test_what_does_not_fit_is_refused(linac):
    field = jaw_field((-20.0, 20.0), (-20.0, 20.0))
    with pytest.raises(InputError, match="cell above 0 mm"):
        incident_maps(field, linac, cell_mm=0.0)
    with pytest.raises(InputError, match="variance of 0 mm2 or more"):
        incident_maps(field, linac, focal_variance_offset_mm2=-1.0)
    with pytest.raises(InputError, match="wider than 0 mm"):
        collimator_scatter_factor(linac, (0.0, 50.0))
    maps = incident_maps(field, linac, margin_mm=5.0)
    with pytest.raises(InputError, match=r"points \(N, 2\)"):
        sample_incident(maps.photons, maps.raster, np.zeros((4, 3)))
    with pytest.raises(InputError, match="shape of the raster"):
        IncidentMaps(maps.raster, maps.photons[1:], maps.electrons)
