"""Still segments: what they give, what machines allow, how few they are."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.dosecalc import aperture_exposure, raster_over
from rerad.errors import DeliverabilityError, InputError
from rerad.sequencing import SequenceSettings as SlidingSettings
from rerad.sequencing import (
    StepAndShootSettings,
    beam_violations,
    check_deliverable,
    sequence_sliding_window,
    sequence_step_and_shoot,
)
from rerad.sequencing.segmentation import RowRule, split_levels
from rerad.sequencing.step_and_shoot import round_fluence, weigh_segments

N_FRACTIONS = 20
EXACT = StepAndShootSettings(
    n_levels=8, n_segments_max=200, least_segment_mu=0.0, avoids_tongue_and_groove=False
)


def bumps(seed=0, rows=12, columns=14, peak=600.0):
    """A smooth fluence with a cold spot, in MU over all fractions."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    values = np.zeros((rows, columns))
    for _ in range(5):
        cy, cx, width = rng.uniform(0, rows), rng.uniform(0, columns), rng.uniform(2, 4)
        values += np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2))
    values *= 1.0 - np.exp(-((y - rows / 2) ** 2 + (x - columns / 2) ** 2) / 8.0)
    return peak * values / values.max()


def still(machine, *, may_pass=True):
    mlc = replace(machine.mlc, is_dynamic=False, is_interdigitation_allowed=may_pass)
    return replace(machine, mlc=mlc)


def sequenced(fluence, machine, settings=EXACT):
    return sequence_step_and_shoot(
        fluence, machine, n_fractions=N_FRACTIONS, first_beam_number=3, settings=settings
    )


def delivered(beam, machine, fluence):
    """Return the exposure of each beamlet, in MU of a fraction."""
    grid = fluence.grid
    raster = raster_over(
        (grid.x_edges_mm[0], grid.y_edges_mm[0]), (grid.x_edges_mm[-1], grid.y_edges_mm[-1]),
        cell_mm=5.0,
    )  # fmt: skip
    return aperture_exposure(beam, machine, raster)


def test_whole_levels_come_out_exactly(make_machine, make_fluence):
    machine = still(make_machine(transmission=0.0))
    wanted = np.random.default_rng(1).integers(0, 9, (10, 12)) * 2.0 * N_FRACTIONS
    wanted[4, 5] = 16.0 * N_FRACTIONS
    fluence = make_fluence(wanted)
    (beam,) = sequenced(fluence, machine)
    error = delivered(beam, machine, fluence) - wanted / N_FRACTIONS
    # Positions are rounded to 0.01 mm of columns of 5 mm, metersets to 0.01 MU.
    assert np.abs(error).max() < 0.005 * beam.meterset_mu


@pytest.mark.parametrize("may_pass", [True, False])
@pytest.mark.parametrize("transmission", [0.0, 0.015])
def test_every_segment_is_deliverable(
    make_machine, make_fluence, make_plan, transmission, may_pass
):
    machine = still(make_machine(transmission=transmission), may_pass=may_pass)
    for seed in range(4):
        beams = sequenced(make_fluence(bumps(seed)), machine, StepAndShootSettings())
        check_deliverable(make_plan(*beams), machine)


def test_without_tongue_and_groove_strips_between_rows_are_as_dark_as_one_of_them(
    make_machine, make_fluence
):
    machine = make_machine(transmission=0.0)
    machine = still(replace(machine, mlc=replace(machine.mlc, tongue_and_groove_mm=1.0)))
    fluence = make_fluence(bumps(9))
    grid = fluence.grid
    raster = raster_over(
        (grid.x_edges_mm[0], grid.y_edges_mm[0]), (grid.x_edges_mm[-1], grid.y_edges_mm[-1]),
        cell_mm=0.5,
    )  # fmt: skip
    missing = []
    for avoids in (False, True):
        (beam,) = sequenced(fluence, machine, replace(EXACT, avoids_tongue_and_groove=avoids))
        seen = aperture_exposure(beam, machine, raster)
        first = 10 * np.arange(1, len(grid.y_edges_mm) - 1)
        rows = np.minimum(seen[first - 5], seen[first + 4])
        # Columns next to a tip are left out: tips are rounded.
        missing.append((rows - seen[first])[:, 5::10].max())
    assert missing[0] > 1.0
    assert missing[1] < 0.01 * beam.meterset_mu


def test_where_tips_may_not_pass_the_fluence_is_nearly_as_good(make_machine, make_fluence):
    fluence = make_fluence(bumps(2))
    wanted = fluence.values_mu / N_FRACTIONS
    errors = []
    for may_pass in (True, False):
        machine = still(make_machine(), may_pass=may_pass)
        (beam,) = sequenced(fluence, machine)
        error = delivered(beam, machine, fluence) - wanted
        errors.append(float(np.sqrt(np.mean(error**2)) / wanted.max()))
    rounding = 1.0 / (EXACT.n_levels * np.sqrt(12.0))
    assert errors[0] < rounding
    # Closed pairs wait in the field, where their gaps let something through.
    assert errors[1] < 1.5 * rounding


def test_leaves_stand_still_while_the_beam_is_on(make_machine, make_fluence):
    (beam,) = sequenced(make_fluence(bumps()), still(make_machine()))
    points = beam.control_points
    for start, end in zip(points[::2], points[1::2], strict=True):
        assert np.array_equal(start.leaf_positions_mm, end.leaf_positions_mm)
        assert end.cumulative_weight > start.cumulative_weight
    for end, start in zip(points[1:-1:2], points[2::2], strict=True):
        assert end.cumulative_weight == start.cumulative_weight


def test_a_machine_of_still_segments_refuses_a_sliding_window(make_machine, make_fluence):
    machine = make_machine()
    fluence = make_fluence(bumps())
    (beam,) = sequence_sliding_window(
        fluence, machine, n_fractions=N_FRACTIONS, first_beam_number=1, settings=SlidingSettings()
    )
    assert beam_violations(beam, machine) == ()
    found = [item.limit for item in beam_violations(beam, still(machine))]
    assert found == ["leaf motion while the beam is on"]


def test_no_more_segments_than_asked_for(make_machine, make_fluence):
    fluence, machine = make_fluence(bumps(3)), still(make_machine())
    wanted = fluence.values_mu / N_FRACTIONS
    errors = []
    for most in (3, 5, 8, 200):
        settings = replace(EXACT, n_levels=15, n_segments_max=most)
        (beam,) = sequenced(fluence, machine, settings)
        assert len(beam.control_points) <= 2 * most
        errors.append(np.sqrt(np.mean((delivered(beam, machine, fluence) - wanted) ** 2)))
    assert np.all(np.diff(errors) < 0)


def test_segments_of_few_monitor_units_are_left_out(make_machine, make_fluence):
    settings = replace(EXACT, least_segment_mu=2.0)
    (beam,) = sequenced(make_fluence(bumps(4)), still(make_machine()), settings)
    shares = np.diff([point.cumulative_weight for point in beam.control_points])
    assert (shares[shares > 0] * beam.meterset_mu).min() > 1.99


def test_weights_are_the_best_there_are():
    wanted = bumps(5) / N_FRACTIONS
    levels, unit = round_fluence(wanted, 0.015, 10, RowRule.FREE)
    segments = split_levels(levels, RowRule.FREE)
    weighed = weigh_segments(segments, wanted, 0.015)

    def error(of):
        seen = of.fluence() * (1 - 0.015) + 0.015 * of.weights.sum()
        return float(((seen - wanted) ** 2).sum())

    rng = np.random.default_rng(6)
    best = error(weighed)
    assert best < error(segments.taken(np.arange(len(segments)), unit * segments.weights))
    for _ in range(20):
        other = weighed.weights * rng.uniform(0.9, 1.1, len(weighed))
        assert error(weighed.taken(np.arange(len(weighed)), other)) >= best


def test_what_leaks_is_taken_off_before_rounding():
    wanted = bumps(7) / N_FRACTIONS
    levels, unit = round_fluence(wanted, 0.02, 2000, RowRule.FREE)
    total = unit * split_levels(levels, RowRule.FREE).weights.sum()
    seen = 0.98 * levels * unit + 0.02 * total
    wants_more = wanted > 0.02 * total
    assert np.abs(seen - wanted)[wants_more].max() < 2e-3 * wanted.max()


def test_a_field_wider_than_the_carriage_is_split(make_machine, make_fluence, make_plan):
    machine = still(make_machine())
    fluence = make_fluence(bumps(8, rows=8, columns=36), x_start_mm=-90.0)
    beams = sequenced(fluence, machine)
    assert [beam.geometry.name for beam in beams] == ["g040a", "g040b"]
    assert [beam.number for beam in beams] == [3, 4]
    check_deliverable(make_plan(*beams), machine)
    wanted = fluence.values_mu / N_FRACTIONS
    seen = sum(delivered(beam, machine, fluence) for beam in beams)
    assert np.sqrt(np.mean((seen - wanted) ** 2)) < 0.04 * wanted.max()


def test_a_beam_that_wants_next_to_nothing_is_refused(make_machine, make_fluence):
    fluence = make_fluence(bumps(peak=5.0))
    with pytest.raises(InputError, match="less than a segment's 1 MU; leave the beam out"):
        sequenced(fluence, still(make_machine()), StepAndShootSettings())


def test_columns_narrower_than_the_gap_are_refused(make_machine, make_fluence):
    fluence = make_fluence(bumps(), column_mm=2.0)
    with pytest.raises(InputError, match="narrower than the smallest gap"):
        sequenced(fluence, still(make_machine()))


def test_leaves_that_do_not_reach_are_refused(make_machine, make_fluence):
    fluence = make_fluence(bumps(), x_start_mm=-80.0)
    with pytest.raises(DeliverabilityError, match="leaf position"):
        sequenced(fluence, still(make_machine(reach_mm=-60.0)))


@pytest.mark.parametrize("wrong", [{"n_levels": 0}, {"n_segments_max": 0}, {"border_share": 1.0}])
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="step-and-shoot settings"):
        StepAndShootSettings(**wrong)
