"""Collapsed cone against Monte Carlo in slabs: absolute dose per energy fluence, and penumbras.

The references are made by ``tools/validation/run_slab_montecarlo.py`` with pyRadMC. Nothing is
scaled: both give Gy per MeV/mm² of energy fluence at the surface. The references carry noise of
0.3 to 1.5 % per centimetre of depth, which is allowed for.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Modality,
    PatientPosition,
)
from rerad.dosecalc import ConeDoseSettings, cone_beam_dose, load_machine
from rerad.dosecalc.cone_dose import gy_per_unit
from rerad.dosecalc.pencil_kernel import derive_pencil_kernel
from rerad.dosecalc.spectrum import ali_rogers_spectrum

DATA = Path(__file__).parent / "data" / "montecarlo"
CASES = sorted(path.stem for path in DATA.glob("*.json"))
SPACING_MM = 2.5
DEEP_MM = 350.0


@pytest.fixture(scope="module")
def machine():
    """A point source of the references' spectrum, without head, with sharp jaws."""
    generic = load_machine("generic_6mv")
    spectrum = ali_rogers_spectrum("varian-6mv")
    flat = np.ones_like(generic.beam.off_axis_ratio)
    beam = replace(
        generic.beam,
        spectrum=spectrum,
        kernel=derive_pencil_kernel(spectrum),
        off_axis_ratio=flat,
        off_axis_depth_scale=flat,
        focal_sigma_mm=(0.0, 0.0),
        head_scatter=replace(generic.beam.head_scatter, share=0.0),
        electrons=replace(generic.beam.electrons, surface_share=0.0),
    )
    return replace(generic, jaw_transmission=0.0, beam=beam)


def slab(reference):
    """The layers on voxels below the plane y = 0; a voxel that two share has their mean."""
    half = 0.5 * reference["field_mm"] * 1.35 + 100.0
    n = int(np.ceil(half / SPACING_MM))
    fine = np.ones(round(10 * DEEP_MM))
    top = 0.0
    for thickness, density in reference["layers_mm_g_cm3"]:
        fine[round(10 * top) : round(10 * (top + thickness))] = density
        top += thickness
    layers = fine.reshape(-1, round(10 * SPACING_MM)).mean(axis=1).astype(np.float32)
    origin = (-n * SPACING_MM, 0.5 * SPACING_MM, -n * SPACING_MM)
    grid = Grid((2 * n + 1, len(layers), 2 * n + 1), origin, (SPACING_MM,) * 3, "1.2.3")
    values = np.ascontiguousarray(np.broadcast_to(layers[None, :, None], grid.shape))
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY)


@pytest.fixture(scope="module")
def calculated(machine):
    """Dose per energy fluence of every case, calculated once."""
    known = {}

    def dose_of(name):
        if name not in known:
            reference = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
            density = slab(reference)
            half = 0.5 * reference["field_mm"]
            leaves = np.tile([[-150.0], [150.0]], (1, machine.mlc.n_leaf_pairs))
            sides = (-half, half)
            points = tuple(ControlPoint(w, sides, sides, leaves) for w in (0.0, 1.0))
            beam = Beam(1, BeamGeometry("mc", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)), points, 1.0)
            dose = cone_beam_dose([beam], machine, density, density.grid, PatientPosition.HFS)
            unit = gy_per_unit(machine, density.grid.spacing_mm, ConeDoseSettings())
            known[name] = (reference, density.grid, dose / unit)
        return known[name]

    return dose_of


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_depth_dose_agrees_within_two_percent_and_the_noise(calculated, name):
    reference, grid, dose = calculated(name)
    x, y, z = grid.axes_mm
    reach_x, reach_z = reference["axis_half_width_mm"]
    column = dose[np.abs(z) <= reach_z][:, :, np.abs(x) < reach_x].mean(axis=(0, 2))
    depth = np.asarray(reference["depth_mm"])
    mine = np.interp(depth, y, column)
    theirs, sigma = np.asarray(reference["axis"]), np.asarray(reference["axis_sigma"])
    n = 4 * (len(depth) // 4)
    middle = depth[:n].reshape(-1, 4).mean(axis=1)
    ratio = mine[:n].reshape(-1, 4).mean(axis=1) / theirs[:n].reshape(-1, 4).mean(axis=1) - 1.0
    noise = np.sqrt((sigma[:n].reshape(-1, 4) ** 2).sum(axis=1)) / 4.0
    noise /= theirs[:n].reshape(-1, 4).mean(axis=1)
    # From the depth of maximum dose to where the missing phantom behind begins to count.
    used = (middle > 12.0) & (middle < 300.0)
    beyond = np.abs(ratio[used]) - 2.5 * noise[used]
    assert beyond.max() <= 0.02, (name, middle[used][beyond.argmax()], ratio[used])
    assert abs(float(np.average(ratio[used], weights=noise[used] ** -2))) <= 0.01


def penumbra_mm(position_mm, profile):
    """Distance from 80 to 20 % of the value on the axis, on the positive side."""
    side = position_mm >= 0.0
    relative = profile[side] / profile[side][:3].mean()
    where = [np.interp(-level, -relative, position_mm[side]) for level in (0.8, 0.2)]
    return where[1] - where[0]


def widths(reference, grid, dose, depth_mm):
    """Penumbra of the engine and of the reference."""
    x, y, z = grid.axes_mm
    half = reference["profile_half_thickness_mm"]
    mine = dose[np.abs(z) <= half][:, np.abs(y - depth_mm) < half].mean(axis=(0, 1))
    theirs = np.asarray(reference["profiles"][f"{depth_mm:g}"])
    return penumbra_mm(x, mine), penumbra_mm(np.asarray(reference["x_mm"]), theirs)


@pytest.mark.slow
def test_lung_broadens_the_penumbra_as_it_should(calculated):
    mine_water, theirs_water = widths(*calculated("water_5"), 90.0)
    mine_lung, theirs_lung = widths(*calculated("lung_5"), 90.0)
    assert theirs_lung - theirs_water > 2.0
    assert mine_lung - mine_water == pytest.approx(theirs_lung - theirs_water, abs=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("depth_mm", [20.0, 90.0, 150.0])
def test_penumbra_is_within_the_voxels_blur(calculated, name, depth_mm):
    # The source is a point, so nothing can be taken off for the blur of 2.5 mm voxels.
    mine, theirs = widths(*calculated(name), depth_mm)
    assert mine == pytest.approx(theirs, abs=1.3)
