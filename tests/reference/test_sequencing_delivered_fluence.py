"""Sliding windows against a slow twin that watches the leaves and counts what each point sees."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from rerad.core import (
    Beam,
    BeamGeometry,
    BixelGrid,
    ElectronContamination,
    Fluence,
    HeadScatter,
    Machine,
    Mlc,
    PencilKernel,
    PhotonBeam,
    ReferenceCondition,
    Spectrum,
)
from rerad.dosecalc import aperture_fluence, load_machine, raster_over
from rerad.sequencing import SequenceSettings, beam_violations, sequence_sliding_window

N_FRACTIONS = 20


def machine(transmission=0.015, dosimetric_leaf_gap_mm=1.8, leaf_span_max_mm=145.0):
    boundaries = np.concatenate(
        (np.arange(-200, -100, 10.0), np.arange(-100, 100, 5.0), np.arange(100, 201, 10.0))
    )
    mlc = Mlc(boundaries, -160.0, 200.0, leaf_span_max_mm, 25.0, 0.5, transmission,
              dosimetric_leaf_gap_mm, 80.0, 0.0, True)  # fmt: skip
    kernel = PencilKernel(np.array([0.0, 300.0]), np.array([0.0, 10.0]), np.ones((2, 1)), "flat")
    beam = PhotonBeam(
        "6X", 6.0, True, 600.0, Spectrum([2.0], [1.0]), kernel, [0.0], [1.0], [1.0], (1.0, 1.0),
        HeadScatter(0.0, 50.0), ElectronContamination(0.0, 10.0, 20.0),
        ReferenceCondition(100.0, 900.0, 100.0, 0.01),
    )  # fmt: skip
    limits = (-200.0, 200.0)
    return Machine(
        "TEST120", "none", "none", 1000.0, limits, limits, 0.0, mlc, beam, False, "test"
    )


def fluence(values, column_mm=5.0, x_start_mm=-40.0, first_leaf=20):
    rows, columns = np.shape(values)
    geometry = BeamGeometry("g000", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0))
    x_edges = x_start_mm + column_mm * np.arange(columns + 1)
    y_edges = machine().mlc.leaf_boundaries_mm[first_leaf : first_leaf + rows + 1]
    return Fluence(BixelGrid(geometry, x_edges, y_edges, np.ones((rows, columns), bool)), values)


def watch(beam: Beam, linac: Machine, x_mm, n_moments=6000):
    """Open-beam MU per fraction at points (leaf pair, x), by looking at many moments.

    Inside the jaws a point sees 1 where it lies between the tips, each widened by half of the
    dosimetric leaf gap, and the transmission elsewhere; outside the jaws it sees nothing.
    """
    weights = np.array([point.cumulative_weight for point in beam.control_points])
    tips = np.stack([point.leaf_positions_mm for point in beam.control_points])
    half = 0.5 * linac.mlc.dosimetric_leaf_gap_mm
    seen = np.zeros((tips.shape[2], len(x_mm)))
    for moment in (np.arange(n_moments) + 0.5) / n_moments:
        later = max(1, int(np.searchsorted(weights, moment)))
        part = (moment - weights[later - 1]) / (weights[later] - weights[later - 1])
        now = tips[later - 1] + part * (tips[later] - tips[later - 1])
        is_open = (x_mm > now[0][:, None] - half) & (x_mm < now[1][:, None] + half)
        seen += np.where(is_open, 1.0, linac.mlc.transmission)
    seen *= beam.meterset_mu / n_moments
    point = beam.control_points[0]
    seen[:, (x_mm < point.jaw_x_mm[0]) | (x_mm > point.jaw_x_mm[1])] = 0.0
    centers = 0.5 * (linac.mlc.leaf_boundaries_mm[1:] + linac.mlc.leaf_boundaries_mm[:-1])
    seen[(centers < point.jaw_y_mm[0]) | (centers > point.jaw_y_mm[1])] = 0.0
    return seen


def smooth_values(seed, rows=16, columns=17, peak=600.0, floor=0.25):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.random((rows, columns)), 1.5)
    noise = (noise - noise.min()) / np.ptp(noise)
    return peak * (floor + (1 - floor) * noise)


def rough_values(seed, rows=16, columns=17, peak=600.0, floor=0.35):
    return peak * np.random.default_rng(seed).uniform(floor, 1.0, (rows, columns))


def delivered(beams, linac, open_fluence, n_samples=10):
    """Fluence per fraction on the raster, averaged over each bixel too."""
    grid = open_fluence.grid
    share = (np.arange(n_samples) + 0.5) / n_samples
    x_mm = (grid.x_edges_mm[:-1, None] + np.diff(grid.x_edges_mm)[:, None] * share).ravel()
    first = int(np.argmin(np.abs(linac.mlc.leaf_boundaries_mm - grid.y_edges_mm[0])))
    rows = slice(first, first + len(grid.y_edges_mm) - 1)
    raster = sum(watch(beam, linac, x_mm)[rows] for beam in beams)
    return raster, raster.reshape(len(raster), -1, n_samples).mean(axis=2)


@pytest.mark.parametrize("make", [smooth_values, rough_values])
@pytest.mark.parametrize("seed", [1, 2])
def test_delivered_is_wanted(make, seed):
    linac = machine()
    wanted = fluence(make(seed))
    beams = sequence_sliding_window(
        wanted, linac, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SequenceSettings()
    )
    assert len(beams) == 1
    _, means = delivered(beams, linac, wanted)
    per_fraction = wanted.values_mu / N_FRACTIONS
    error = (means - per_fraction) / per_fraction.max()
    assert np.abs(error).max() < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.01
    assert beam_violations(beams[0], linac) == ()


def test_column_width_below_a_leaf_gap_and_no_corrections():
    linac = machine(transmission=0.0, dosimetric_leaf_gap_mm=0.0)
    wanted = fluence(smooth_values(3, rows=8, columns=40), column_mm=2.5)
    beams = sequence_sliding_window(
        wanted, linac, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SequenceSettings()
    )
    _, means = delivered(beams, linac, wanted)
    per_fraction = wanted.values_mu / N_FRACTIONS
    error = (means - per_fraction) / per_fraction.max()
    assert np.abs(error).max() < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_parts_of_a_wide_field_sum_to_the_whole():
    linac = machine()
    wanted = fluence(smooth_values(4, rows=10, columns=44), x_start_mm=-110.0)
    beams = sequence_sliding_window(
        wanted, linac, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SequenceSettings()
    )
    assert len(beams) == 2
    assert all(beam_violations(beam, linac) == () for beam in beams)
    _, means = delivered(beams, linac, wanted)
    per_fraction = wanted.values_mu / N_FRACTIONS
    error = (means - per_fraction) / per_fraction.max()
    assert np.abs(error).max() < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_what_cannot_be_had_is_given_as_the_least_that_can():
    linac = machine()
    values = smooth_values(5)
    values[:, 6:9] *= 0.0
    values[3] = 0.0
    wanted = fluence(values)
    (beam,) = sequence_sliding_window(
        wanted, linac, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SequenceSettings()
    )
    _, means = delivered((beam,), linac, wanted)
    leak = linac.mlc.transmission * beam.meterset_mu
    # a pair that crosses at 97 % of 25 mm/s and 10 MU/s, 0.03 mm wider than its smallest gap
    crossing = (0.5 + 1.8 + 0.03) * 10.0 / (0.97 * 25.0) * (1 - linac.mlc.transmission)
    least = np.full(values.shape, leak + crossing)
    least[3] = leak
    error = (means - np.maximum(values / N_FRACTIONS, least)) / (values.max() / N_FRACTIONS)
    assert np.abs(error).max() < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.01
    assert means[3] == pytest.approx(np.full(17, leak))


def test_leakage_and_gap_would_be_seen_if_they_were_ignored():
    wanted = fluence(smooth_values(1))
    careless = machine(transmission=0.0, dosimetric_leaf_gap_mm=0.0)
    beams = sequence_sliding_window(
        wanted, careless, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SequenceSettings()
    )
    _, means = delivered(beams, machine(), wanted)
    per_fraction = wanted.values_mu / N_FRACTIONS
    assert np.mean((means - per_fraction) / per_fraction.max()) > 0.03


def test_the_dose_engine_sees_the_same_fluence():
    linac = load_machine("generic_6mv")
    # Neighbouring leaves are not synchronised, so what their tongues shade is not made up for.
    linac = replace(
        linac,
        beam=replace(linac.beam, off_axis_ratio=np.ones_like(linac.beam.off_axis_ratio)),
        mlc=replace(linac.mlc, tongue_and_groove_mm=0.0),
    )
    wanted = fluence(smooth_values(6))
    (beam,) = sequence_sliding_window(
        wanted, linac, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SequenceSettings()
    )
    x_mm, y_mm = wanted.grid.x_edges_mm, wanted.grid.y_edges_mm
    raster = raster_over((x_mm[0], y_mm[0]), (x_mm[-1], y_mm[-1]), cell_mm=5.0)
    np.testing.assert_allclose(raster.x_edges_mm, x_mm)
    seen = aperture_fluence(beam, linac, raster)
    per_fraction = wanted.values_mu / N_FRACTIONS
    error = (seen - per_fraction) / per_fraction.max()
    assert np.abs(error).max() < 0.02
    assert np.sqrt(np.mean(error**2)) < 0.01
