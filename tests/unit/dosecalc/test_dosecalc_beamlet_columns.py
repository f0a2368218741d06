"""Explicit beamlet columns equal the operator and say what they leave out."""

import numpy as np
import pytest

from rerad.core import BeamGeometry, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc import build_operator, load_machine, make_bixel_grid
from rerad.dosecalc.beamlet_columns import beamlet_columns
from rerad.errors import InputError

HFS = PatientPosition.HFS


@pytest.fixture(scope="module")
def operator():
    machine = load_machine("generic_6mv")
    grid = Grid((16, 24, 24), (-92.0, -92.0, -60.0), (8.0, 8.0, 8.0), "1.2.3")
    density = Image(np.ones(grid.shape, np.float32), grid, Modality.CT, ImageUnit.DENSITY)
    target = np.random.default_rng(0).uniform(-12, 12, (300, 3))
    bixels = [
        make_bixel_grid(
            BeamGeometry(f"b{angle}", angle, 0.0, 0.0, (0.0, 0.0, 0.0)),
            machine,
            target,
            margin_mm=0.0,
            column_width_mm=5.0,
            position=HFS,
        )
        for angle in (0.0, 100.0)
    ]
    return build_operator(machine, density, np.arange(grid.n_voxels), grid, bixels, HFS)


def test_without_threshold_they_are_the_operator(operator):
    columns = beamlet_columns(operator, threshold=0.0)
    assert columns.matrix.shape == (operator.n_points, operator.n_beamlets)
    np.testing.assert_allclose(columns.kept_share, 1.0)
    x = np.random.default_rng(1).random(operator.n_beamlets)
    dose = operator.forward(x)
    np.testing.assert_allclose(columns.matrix @ x, dose, atol=2e-6 * dose.max())
    y = np.random.default_rng(2).random(operator.n_points)
    back = operator.adjoint(y)
    np.testing.assert_allclose(columns.matrix.T @ y, back, atol=2e-6 * back.max())


def test_what_a_threshold_drops_is_reported(operator):
    chosen = [3, operator.n_beamlets - 1]
    columns = beamlet_columns(operator, beamlets=chosen, threshold=0.01)
    whole = beamlet_columns(operator, beamlets=chosen, threshold=0.0)
    assert columns.matrix.nnz < 0.5 * whole.matrix.nnz
    for number in range(2):
        kept = columns.matrix[:, [number]].toarray()
        everything = whole.matrix[:, [number]].toarray()
        assert kept[kept > 0].min() >= 0.0099 * everything.max()
        share = kept.sum() / everything.sum()
        assert columns.kept_share[number] == pytest.approx(share, rel=1e-5)
        assert 0.5 < share < 0.97
    assert list(columns.beamlets) == chosen


def test_columns_check_their_arguments(operator):
    with pytest.raises(InputError, match="threshold from 0 to below 1"):
        beamlet_columns(operator, threshold=1.0)
    with pytest.raises(InputError, match="beamlets from 0 to"):
        beamlet_columns(operator, beamlets=[operator.n_beamlets], threshold=0.0)
    with pytest.raises(InputError, match="a beamlet from 0"):
        operator.beamlet_dose(-1)
    assert beamlet_columns(operator, beamlets=[], threshold=0.0).matrix.shape[1] == 0
