"""Collapsed-cone dose of apertures: monitor units, groups of beams, grids, electrons."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    ElectronContamination,
    Grid,
    Image,
    ImageUnit,
    Modality,
    PatientPosition,
)
from rerad.dosecalc import load_machine
from rerad.dosecalc.cone_dose import cone_beam_dose, reference_beam
from rerad.errors import InputError

HFS = PatientPosition.HFS
FRAME = "1.2.3"


@pytest.fixture(scope="module")
def machine():
    return load_machine("generic_6mv")


def water(grid, surface_mm):
    """Water below a plane; the voxels that the plane cuts are partly water."""
    depth = grid.axes_mm[1] - surface_mm
    filled = np.clip(depth / grid.spacing_mm[1] + 0.5, 0.0, 1.0)
    values = np.broadcast_to(filled[None, :, None].astype(np.float32), grid.shape)
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY)


def open_beam(machine, half_mm, gantry_deg=0.0, name="b", meterset_mu=100.0):
    leaves = np.tile([[-150.0], [150.0]], (1, machine.mlc.n_leaf_pairs))
    sides = (-half_mm, half_mm)
    points = tuple(ControlPoint(w, sides, sides, leaves) for w in (0.0, 1.0))
    geometry = BeamGeometry(name, gantry_deg, 0.0, 0.0, (0.0, 0.0, 0.0))
    return Beam(1, geometry, points, meterset_mu)


# Points and surface fall differently on the voxels of the calibration and of these grids.
@pytest.mark.parametrize("origin_mm", [(-150.0, -115.0, -150.0), (-152.0, -112.5, -148.0)])
def test_reference_condition_is_reproduced(machine, origin_mm):
    grid = Grid((61, 52, 61), origin_mm, (5.0, 5.0, 5.0), FRAME)
    dose = cone_beam_dose(
        [reference_beam(machine, 200.0)], machine, water(grid, -100.0), grid, HFS
    )
    k, j, i = grid.indices(np.zeros(3))
    column = dose[round(float(k)), :, round(float(i))]
    here = np.exp(np.interp(0.0, grid.axes_mm[1], np.log(column)))
    assert here == pytest.approx(200.0 * machine.reference.dose_per_mu_gy, rel=2e-3)
    assert j == pytest.approx(grid.indices(np.zeros(3))[1])


def test_beams_of_one_direction_together_are_their_sum(machine):
    grid = Grid((17, 17, 17), (-40.0, -40.0, -40.0), (5.0, 5.0, 5.0), FRAME)
    density = water(grid, -42.5)
    beams = [
        open_beam(machine, 10.0),
        open_beam(machine, 20.0, name="c"),
        open_beam(machine, 15.0, 90.0),
    ]
    together = cone_beam_dose(beams, machine, density, grid, HFS)
    alone = sum(cone_beam_dose([beam], machine, density, grid, HFS) for beam in beams)
    np.testing.assert_allclose(together, alone, atol=1e-4 * alone.max())


def test_a_small_dose_grid_sees_the_whole_body(machine):
    whole = Grid((25, 25, 25), (-60.0, -60.0, -60.0), (5.0, 5.0, 5.0), FRAME)
    density = water(whole, -62.5)
    beam = open_beam(machine, 20.0)
    expected = cone_beam_dose([beam], machine, density, whole, HFS)
    part = whole.crop((10, 9, 8), (16, 17, 18))
    found = cone_beam_dose([beam], machine, density, part, HFS)
    np.testing.assert_allclose(found, expected[10:16, 9:17, 8:18], atol=2e-3 * expected.max())


def test_electrons_add_their_share_at_the_surface(machine):
    grid = Grid((17, 17, 17), (-40.0, -40.0, -40.0), (5.0, 5.0, 5.0), FRAME)
    density = water(grid, -42.5)
    none = replace(machine.beam, electrons=ElectronContamination(0.0, 8.0, 10.0))
    some = replace(machine.beam, electrons=ElectronContamination(0.3, 8.0, 10.0))
    beam = open_beam(machine, 100.0)
    doses = [
        cone_beam_dose([beam], replace(machine, beam=item), density, grid, HFS)[8, :, 8]
        for item in (none, some)
    ]
    extra = doses[1] - doses[0]
    depth = grid.axes_mm[1] + 42.5
    distance = (1000.0 + grid.axes_mm[1]) / 1000.0
    # A wide field: the blur takes nothing on the axis. 100 MU of 0.01 Gy are 1 Gy.
    reference = 100.0 * machine.reference.dose_per_mu_gy
    expected = 0.3 * reference * np.exp(-depth / 8.0) / distance**2
    np.testing.assert_allclose(extra[:6], expected[:6], rtol=0.02)
    assert abs(extra[-1]) < 1e-3 * reference


def test_a_body_at_the_source_is_refused(machine):
    grid = Grid((17, 17, 17), (-40.0, -40.0, -40.0), (5.0, 5.0, 5.0), FRAME)
    beam = open_beam(machine, 20.0)
    beam = replace(beam, geometry=replace(beam.geometry, isocenter_mm=(0.0, 700.0, 0.0)))
    with pytest.raises(InputError, match="check the isocentre"):
        cone_beam_dose([beam], machine, water(grid, -42.5), grid, HFS)
