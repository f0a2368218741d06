"""The final dose: fractions, the body, frames, and what is refused."""

from dataclasses import replace

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
    Plan,
)
from rerad.dosecalc import (
    OperatorSettings,
    body_voxels,
    border_share,
    build_operator,
    decompose_kernel,
    final_dose,
    load_machine,
    make_bixel_grid,
)
from rerad.errors import FrameMismatchError, InputError

HFS = PatientPosition.HFS
GRID = Grid((10, 20, 20), (-47.5, -47.5, -22.5), (5.0, 5.0, 5.0), "1.2.3")


@pytest.fixture(scope="module")
def machine():
    return load_machine("generic_6mv")


@pytest.fixture
def density():
    """A cylinder of water in air with a gas bubble in it and a couch under it."""
    x, y, _ = GRID.axes_mm
    values = np.full(GRID.shape, 0.001, dtype=np.float32)
    radius = np.hypot(x[None, :], y[:, None])
    values[:, radius < 32] = 1.0
    values[:, radius < 8] = 0.001
    values[:, 18, 4:16] = 0.6
    return Image(values, GRID, Modality.CT, ImageUnit.DENSITY)


def plan(machine, n_fractions=1, frame="1.2.3", meterset_mu=50.0, isocenter=(0.0, 0.0, 0.0)):
    leaves = np.tile([[-100.0], [100.0]], (1, 60))
    points = tuple(ControlPoint(w, (-15.0, 15.0), (-15.0, 15.0), leaves) for w in (0.0, 1.0))
    beams = tuple(
        Beam(n, BeamGeometry(f"b{n}", angle, 0.0, 0.0, isocenter), points, meterset_mu)
        for n, angle in enumerate((0.0, 90.0), 1)
    )
    return Plan("P", frame, HFS, machine.name, n_fractions, (), beams)


def test_gas_inside_is_body_and_air_outside_is_not(density):
    inside = body_voxels(density, GRID)
    assert inside[5, 10, 10]  # gas
    assert inside[5, 18, 9]  # couch
    assert not inside[5, 1, 1]
    assert not inside[5, 17, 1]


def test_a_body_that_is_cut_off_is_noticed(density):
    assert border_share(density) == 0.0
    values = np.array(density.values)
    values[:, 5:15, 0] = 1.0
    cut = replace(density, values=values)
    assert border_share(cut) == pytest.approx(10 / 80)


def test_body_on_a_cropped_grid_still_knows_the_gas(density):
    part = GRID.crop((2, 9, 9), (8, 12, 12))
    assert body_voxels(density, part).all()


def test_fractions_and_meterset_scale_the_dose(machine, density):
    calls = []
    one = final_dose(
        plan(machine), machine, density, GRID, progress=lambda done, n: calls.append((done, n))
    )
    many = final_dose(plan(machine, n_fractions=22), machine, density, GRID)
    double = final_dose(plan(machine, meterset_mu=100.0), machine, density, GRID)
    assert calls == [(1, 2), (2, 2)]
    np.testing.assert_allclose(many.values, 22.0 * one.values, rtol=1e-5)
    np.testing.assert_allclose(double.values, 2.0 * one.values, rtol=1e-5)
    inside = body_voxels(density, GRID)
    assert np.all(one.values[~inside] == 0)
    assert np.all(one.values[inside] > 0)


def test_two_beams_are_the_sum_of_each(machine, density):
    both = plan(machine)
    parts = [
        final_dose(replace(both, beams=(beam,)), machine, density, GRID).values
        for beam in both.beams
    ]
    together = final_dose(both, machine, density, GRID).values
    np.testing.assert_allclose(together, parts[0] + parts[1], rtol=1e-4, atol=1e-6)


def test_frames_units_and_reach_are_checked(machine, density):
    with pytest.raises(FrameMismatchError, match="register"):
        final_dose(plan(machine, frame="9.9"), machine, density, GRID)
    wide = Grid((10, 20, 30), (-72.5, -47.5, -22.5), (5.0, 5.0, 5.0), "1.2.3")
    with pytest.raises(InputError, match="crop the dose grid"):
        final_dose(plan(machine), machine, density, wide)
    hu = replace(density, unit=ImageUnit.HU)
    with pytest.raises(InputError, match="convert HU"):
        final_dose(plan(machine), machine, hu, GRID)
    far = plan(machine, isocenter=(0.0, 800.0, 0.0))
    with pytest.raises(InputError, match="check the isocentre"):
        final_dose(far, machine, density, GRID)
    with pytest.raises(InputError, match="at least one beam"):
        final_dose(replace(plan(machine), beams=()), machine, density, GRID)


def test_operator_checks_its_arguments(machine, density):
    bixels = make_bixel_grid(
        BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)),
        machine,
        np.zeros((1, 3)),
        margin_mm=5.0,
        column_width_mm=5.0,
        position=HFS,
    )
    voxels = np.array([2110, 2111])
    operator = build_operator(machine, density, voxels, GRID, [bixels], HFS)
    assert operator.n_points == 2
    assert operator.n_beamlets == bixels.n_active
    assert operator.n_bytes > 0
    with pytest.raises(InputError, match="beamlet values"):
        operator.forward(np.zeros(3 + operator.n_beamlets))
    with pytest.raises(InputError, match="point weights"):
        operator.adjoint(np.zeros(5))
    with pytest.raises(InputError, match="voxel indices from 0 to 3999"):
        build_operator(machine, density, np.array([4000]), GRID, [bixels], HFS)
    with pytest.raises(InputError, match="at least one beam"):
        build_operator(machine, density, voxels, GRID, [], HFS)
    other = Grid(GRID.shape, GRID.origin_mm, GRID.spacing_mm, "9.9")
    with pytest.raises(FrameMismatchError):
        build_operator(machine, density, voxels, other, [bixels], HFS)
    with pytest.raises(InputError, match=r"0\.5 to 5 mm"):
        OperatorSettings(cell_mm=10.0)
    with pytest.raises(InputError, match="components"):
        decompose_kernel(machine, n_components=0)
