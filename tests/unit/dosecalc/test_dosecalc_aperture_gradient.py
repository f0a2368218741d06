"""Exposure of moving leaves and its derivative, against the forward model and differences."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Beam, BeamGeometry, ControlPoint
from rerad.dosecalc import aperture_exposure, load_machine, raster_over
from rerad.dosecalc.aperture_gradient import ApertureRows
from rerad.errors import InputError

MACHINE = load_machine("generic_6mv")
WITHOUT_X_JAWS = replace(MACHINE, jaw_x_limits_mm=None)
N_PAIRS = MACHINE.mlc.n_leaf_pairs
RASTER = raster_over((-50.0, -30.0), (50.0, 30.0), cell_mm=2.5)
GEOMETRY = BeamGeometry("G000", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
JAW_X, JAW_Y = (-41.3, 38.9), (-26.0, 27.0)
MU = 80.0


def moving(seed=0, n_points=9):
    """Windows that cross the field and pass each other; some are shut."""
    rng = np.random.default_rng(seed)
    center = np.linspace(-40.0, 40.0, n_points)[:, None] + rng.uniform(-8, 8, (n_points, N_PAIRS))
    half = rng.uniform(0.3, 12.0, (n_points, N_PAIRS))
    return np.stack([center - half, center + half], axis=1), np.linspace(0.0, 1.0, n_points)


def still(seed=0, n_segments=5):
    """Segments with the beam off between them."""
    rng = np.random.default_rng(seed)
    center = np.repeat(rng.uniform(-25.0, 25.0, (n_segments, N_PAIRS)), 2, axis=0)
    half = np.repeat(rng.uniform(0.3, 15.0, (n_segments, N_PAIRS)), 2, axis=0)
    shares = np.repeat(np.linspace(0.0, 1.0, n_segments + 1), 2)[1:-1]
    return np.stack([center - half, center + half], axis=1), shares


def beam(tips, shares, jaw_x=JAW_X):
    points = (ControlPoint(float(s), jaw_x, JAW_Y, t) for s, t in zip(shares, tips, strict=True))
    return Beam(1, GEOMETRY, tuple(points), MU)


MOTIONS = pytest.mark.parametrize("motion", [moving, still])


@MOTIONS
@pytest.mark.parametrize("machine", [MACHINE, WITHOUT_X_JAWS])
def test_exposure_is_that_of_the_forward_model(motion, machine):
    tips, shares = motion()
    rows = ApertureRows.of(beam(tips, shares), machine, RASTER)
    exposure = rows.exposure(tips, MU * np.diff(shares))
    expected = aperture_exposure(beam(tips, shares), machine, RASTER)
    assert np.abs(exposure - expected).max() < 1e-12 * MU


@MOTIONS
@pytest.mark.parametrize("machine", [MACHINE, WITHOUT_X_JAWS])
def test_derivative_by_tips_is_that_of_differences(motion, machine):
    tips, shares = motion(seed=1)
    stretch = MU * np.diff(shares)
    rows = ApertureRows.of(beam(tips, shares), machine, RASTER)
    slope = np.random.default_rng(2).normal(size=(RASTER.n_y, RASTER.n_x))
    by_tip, _ = rows.pull_back(tips, stretch, slope)
    step = 1e-5
    places = [
        (point, bank, pair)
        for point in (0, 1, 4, len(tips) - 1)
        for bank in range(2)
        for pair in range(rows.rows.start - 1, rows.rows.stop + 1, 2)
    ]
    for place in places:
        values = []
        for sign in (1.0, -1.0):
            moved = tips.copy()
            moved[place] += sign * step
            values.append(float((rows.exposure(moved, stretch) * slope).sum()))
        difference = (values[0] - values[1]) / (2 * step)
        assert by_tip[place] == pytest.approx(difference, abs=1e-7 * np.abs(by_tip).max())


@MOTIONS
def test_derivative_by_metersets_makes_the_exposure(motion):
    # Exposure is linear in the metersets, so value and derivative say the same.
    tips, shares = motion(seed=3)
    stretch = MU * np.diff(shares)
    rows = ApertureRows.of(beam(tips, shares), MACHINE, RASTER)
    slope = np.random.default_rng(4).normal(size=(RASTER.n_y, RASTER.n_x))
    _, by_stretch = rows.pull_back(tips, stretch, slope)
    for number in np.flatnonzero(stretch > 0):
        alone = np.zeros_like(stretch)
        alone[number] = 1.0
        seen = float((rows.exposure(tips, alone) * slope).sum())
        assert by_stretch[number] == pytest.approx(seen, abs=1e-10 * np.abs(slope).sum())
    assert np.all(by_stretch[stretch == 0] == 0.0)


def test_on_a_border_between_cells_the_derivative_is_the_mean_of_both_sides():
    half_gap = 0.5 * MACHINE.mlc.dosimetric_leaf_gap_mm
    tips = np.empty((2, 2, N_PAIRS))
    pair = 30
    # Its neighbours are wider, so that this tip bounds the strips to both of them as well.
    tips[:, 0], tips[:, 1] = -18.0, 29.0
    tips[:, 0, pair], tips[:, 1, pair] = -10.0 + half_gap, 20.0 - half_gap
    rows = ApertureRows.of(beam(tips, (0.0, 1.0)), MACHINE, RASTER)
    slope = np.random.default_rng(5).normal(size=(RASTER.n_y, RASTER.n_x))
    by_tip, _ = rows.pull_back(tips, np.array([MU]), slope)

    def value(shift):
        moved = tips.copy()
        moved[:, 1, pair] += shift
        return float((rows.exposure(moved, np.array([MU])) * slope).sum())

    later = (value(1e-6) - value(0.0)) / 1e-6
    earlier = (value(0.0) - value(-1e-6)) / 1e-6
    assert later != pytest.approx(earlier, rel=1e-3)
    assert by_tip[:, 1, pair].sum() == pytest.approx(0.5 * (later + earlier), rel=1e-5)


def test_leaves_in_the_dark_have_no_say():
    tips, shares = moving()
    rows = ApertureRows.of(beam(tips, shares), MACHINE, RASTER)
    slope = np.ones((RASTER.n_y, RASTER.n_x))
    by_tip, _ = rows.pull_back(tips, MU * np.diff(shares), slope)
    seen = np.zeros(N_PAIRS, dtype=bool)
    seen[rows.rows] = True
    assert rows.rows.stop - rows.rows.start < N_PAIRS
    assert np.all(by_tip[:, :, ~seen] == 0.0)


def test_jaws_that_move_are_refused():
    tips, _ = moving(n_points=2)
    points = (
        ControlPoint(0.0, JAW_X, JAW_Y, tips[0]),
        ControlPoint(1.0, (-30.0, 38.9), JAW_Y, tips[1]),
    )
    with pytest.raises(InputError, match="G000: expected jaws that stand still"):
        ApertureRows.of(Beam(1, GEOMETRY, points, MU), MACHINE, RASTER)


def test_tips_of_another_collimator_are_refused():
    tips, shares = moving()
    rows = ApertureRows.of(beam(tips, shares), MACHINE, RASTER)
    with pytest.raises(InputError, match="expected tips of shape"):
        rows.exposure(tips[:, :, :40], MU * np.diff(shares))
