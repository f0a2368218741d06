"""Collapsed cone against Monte Carlo, and against an exact superposition of point kernels.

Monte Carlo is pyRadMC with the varian-6mv spectrum, a point source at SSD 1000 mm, no head scatter
and no electron contamination. Doses are compared in absolute terms, per photon of the field.
"""

import json
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import BeamGeometry, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc import load_machine
from rerad.dosecalc.attenuation import GY_PER_MEV_MM3
from rerad.dosecalc.collapsed_cone import collapsed_cone_dose
from rerad.dosecalc.cone_kernels import (
    PRIMARY_DEPTH_MM,
    SCATTER_DEPTH_MM,
    ConeSettings,
    cone_kernels,
)
from rerad.dosecalc.point_kernels import load_point_kernels, polyenergetic_kernel
from rerad.dosecalc.raster import Raster
from rerad.dosecalc.spectrum import ali_rogers_spectrum, mean_energy_mev

SPECTRUM = ali_rogers_spectrum("varian-6mv")
SPACING_MM = 2.5


@pytest.fixture(scope="module")
def kernels():
    return cone_kernels(SPECTRUM, ConeSettings())


def slab_dose(kernels, side_mm, layers):
    """Dose in Gy per MeV/mm2 at the surface, of a square field at SSD 1000 mm; columns mirrored.

    Layers are densities every 2.5 mm of depth; the phantom is 255 mm wide as Monte Carlo's.
    """
    n = 103
    first = -0.5 * (n - 1) * SPACING_MM
    grid = Grid((n, len(layers), n), (first, 0.5 * SPACING_MM, first), (SPACING_MM,) * 3, "1.2.3")
    values = np.broadcast_to(np.asarray(layers, np.float32)[None, :, None], grid.shape)
    density = Image(values, grid, Modality.CT, ImageUnit.DENSITY)
    cell = 1.25
    m = int(side_mm / 2 / cell) + 4
    raster = Raster(cell, -m, -m, 2 * m, 2 * m)
    edges = raster.x_edges_mm
    inside = np.minimum(edges[1:], side_mm / 2) - np.maximum(edges[:-1], -side_mm / 2)
    row = np.clip(inside / cell, 0.0, 1.0)
    generic = load_machine("generic_6mv")
    scale = np.ones_like(generic.beam.off_axis_depth_scale)
    machine = replace(
        generic, sad_mm=1000.0, beam=replace(generic.beam, off_axis_depth_scale=scale)
    )
    geometry = BeamGeometry("B", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    dose = collapsed_cone_dose(
        np.outer(row, row),
        raster,
        geometry,
        machine,
        density,
        grid,
        PatientPosition.HFS,
        kernels,
        ConeSettings(),
    )
    return 0.5 * (dose + dose[:, :, ::-1])


@pytest.fixture(scope="module")
def reference(shared_data):
    """Monte Carlo, absolute in Gy per MeV/mm2 at the surface."""
    found = {}
    for name in ("water", "lung"):
        path = shared_data / "mc_photon_reference" / f"mc_10_{name}.json"
        raw = json.loads(path.read_text(encoding="utf-8"))
        # MeV/g of one photon, of which 1e4 mm2 share the energy.
        unit = raw["dose_at_10cm_MeV_per_g_per_history"] * 1e-3 * GY_PER_MEV_MM3
        unit *= 1e4 / mean_energy_mev(SPECTRUM)
        raw["axis_gy"] = unit * np.asarray(raw["axis"])
        raw["sigma_gy"] = unit * np.asarray(raw["axis_sigma"])
        found[name] = raw
    return found


@pytest.fixture(scope="module")
def doses(kernels, reference):
    return {
        name: slab_dose(kernels, 100.0, raw["density_g_cm3"]) for name, raw in reference.items()
    }


def on_axis(dose):
    """Mean over the window of 35 mm that the reference names."""
    middle = slice(dose.shape[0] // 2 - 7, dose.shape[0] // 2 + 8)
    return dose[middle, :, middle].mean(axis=(0, 2))


# Depth ranges of at least 10 mm, so that Monte Carlo's noise is below 0.5 %.
RANGES_MM = (
    (10, 20),
    (20, 50),
    (50, 80),
    (80, 110),
    (110, 130),
    (130, 150),
    (150, 200),
    (200, 250),
)


@pytest.mark.parametrize(("name", "percent"), [("water", 1.0), ("lung", 1.5)])
def test_depth_dose(reference, doses, name, percent):
    raw = reference[name]
    depth = 10.0 * np.asarray(raw["depth_cm"])
    ratio = on_axis(doses[name]) / raw["axis_gy"]
    for low, high in RANGES_MM:
        within = (depth > low) & (depth < high)
        assert 100.0 * (ratio[within].mean() - 1.0) == pytest.approx(0.0, abs=percent), (low, high)
    # Point by point only noise is left.
    deep = (depth > 10.0) & (depth < 290.0)
    pull = (on_axis(doses[name]) - raw["axis_gy"])[deep] / raw["sigma_gy"][deep]
    assert np.sqrt(np.mean(pull**2)) < 1.3
    assert abs(ratio[deep].mean() - 1.0) < 0.005


def penumbra_mm(x_mm, profile):
    """Distance from 80 to 20 % of the middle, both sides averaged."""
    y = profile / profile[np.abs(x_mm) < 20.0].mean()
    y = 0.5 * (y + y[::-1])
    right = x_mm > 0
    return float(np.diff(np.interp([-0.8, -0.2], -y[right], x_mm[right]))[0])


@pytest.mark.parametrize("depth_cm", ["9", "10"])
def test_penumbra_broadens_in_lung_as_it_should(reference, doses, depth_cm):
    broadening = {}
    x_mm = 10.0 * np.asarray(reference["water"]["profile_x_cm"])
    row = int(float(depth_cm) * 10.0 / SPACING_MM)
    voxels = SPACING_MM * (np.arange(103) - 51)
    for name in ("water", "lung"):
        mine = doses[name][44:59, row].mean(axis=0)
        # Monte Carlo's voxels are 5 mm wide.
        wide = np.interp(x_mm[:, None] + np.linspace(-2, 2, 5), voxels, mine).mean(axis=1)
        theirs = np.asarray(reference[name]["profiles_by_depth_cm"][depth_cm])
        broadening[name] = (penumbra_mm(x_mm, wide), penumbra_mm(x_mm, theirs))
        assert broadening[name][0] == pytest.approx(broadening[name][1], abs=1.0)
    ours, monte_carlo = (broadening["lung"][n] - broadening["water"][n] for n in (0, 1))
    assert ours == pytest.approx(monte_carlo, abs=0.5)
    assert ours > 1.0


def superposed(x_mm, depth_mm, side_mm, kernels):
    """Dose at a point by summing the tabulated kernel over all points of release.

    Kernels turn with the ray, nothing is fitted, no rings, no voxels. From the point backwards
    along every direction of the kernel's own angles, so that its peak forward is met.
    """
    point = polyenergetic_kernel(load_point_kernels(), SPECTRUM, PRIMARY_DEPTH_MM)
    harder = polyenergetic_kernel(load_point_kernels(), SPECTRUM, SCATTER_DEPTH_MM)
    edge = np.cos(np.deg2rad(point.polar_angle_deg))
    angle = np.deg2rad(0.5 * (point.polar_angle_deg[1:] + point.polar_angle_deg[:-1]))
    n, n_turns = 3, 48
    cosine = (edge[:-1, None] + np.diff(edge)[:, None] * (np.arange(n) + 0.5) / n).reshape(-1, 1)
    weight = np.repeat(-np.diff(edge), n)[:, None] / n / n_turns
    turn = 2.0 * np.pi * (np.arange(n_turns) + 0.5) / n_turns
    away = np.sqrt(1.0 - cosine**2)
    ux, uy, uz = away * np.cos(turn), away * np.sin(turn), cosine
    table = np.arange(len(kernels.released))
    total = 0.0
    for shell, (low, high) in enumerate(zip(point.radius_mm, point.radius_mm[1:], strict=False)):
        for radius in low + (high - low) * (np.arange(n) + 0.5) / n:
            x, y, z = x_mm - radius * ux, -radius * uy, depth_mm - radius * uz
            scale = 1000.0 / np.maximum(z + 1000.0, 1.0)
            lit = (z > 0) & (z < 300.0)
            lit = lit & (np.maximum(np.abs(x), np.abs(y)) * scale < side_mm / 2)
            if not lit.any():
                continue
            far = np.sqrt(x**2 + y**2 + (z + 1000.0) ** 2)
            tilt = np.arccos(np.clip((x * ux + y * uy + (z + 1000.0) * uz) / far, -1.0, 1.0))
            path = z * far / (z + 1000.0)
            for part, energy in enumerate((point.primary, harder.scatter)):
                density = np.interp(tilt, angle, energy[shell] / -np.diff(edge)) / n
                released = np.interp(path, table, kernels.released[:, part])
                total += float((lit * scale**2 * released * density * weight).sum())
    return total


@pytest.mark.parametrize("side_mm", [30.0, 100.0, 200.0])
def test_water_is_the_superposition_of_point_kernels(kernels, side_mm):
    """On and off the axis, fields of 3 to 20 cm: tests rings, fits, tilt and voxels at once."""
    dose = slab_dose(kernels, side_mm, np.ones(120))
    off = SPACING_MM * round(0.35 * side_mm / SPACING_MM)
    for x_mm, depth_mm in ((0.0, 16.25), (0.0, 101.25), (0.0, 201.25), (off, 101.25)):
        exact = superposed(x_mm, depth_mm, side_mm, kernels)
        voxel = dose[51, int(depth_mm / SPACING_MM), 51 + round(x_mm / SPACING_MM)]
        assert voxel == pytest.approx(exact, rel=0.01), (x_mm, depth_mm)
