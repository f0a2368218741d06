"""Sliding windows: closed-form metersets, jaws and parked leaves, limits that always hold."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rerad.errors import DeliverabilityError, InputError
from rerad.sequencing import SequenceSettings, beam_violations, sequence_sliding_window

N_FRACTIONS = 20
SETTINGS = SequenceSettings()


def sequence(fluence, machine, **changes):
    arguments = {"n_fractions": N_FRACTIONS, "first_beam_number": 1, "settings": SETTINGS}
    return sequence_sliding_window(fluence, machine, **(arguments | changes))


def tips_of(beam):
    return np.stack([point.leaf_positions_mm for point in beam.control_points])


def test_meterset_of_a_flat_field_without_leakage(make_machine, make_fluence):
    # open time, and the sweep over 60 mm at 97 % of 25 mm/s and 10 MU/s
    (beam,) = sequence(make_fluence(np.full((4, 12), 400.0)), make_machine(transmission=0.0))
    assert beam.meterset_mu == pytest.approx(20.0 + 60.0 * 10 / (0.97 * 25), abs=0.01)


def test_meterset_counts_every_rise(make_machine, make_fluence):
    row = np.array([20.0, 10.0, 30.0, 5.0, 15.0]) * N_FRACTIONS
    (beam,) = sequence(make_fluence([row]), make_machine(transmission=0.0))
    rises = 20.0 + (30.0 - 10.0) + (15.0 - 5.0)
    assert beam.meterset_mu == pytest.approx(rises + 25.0 * 10 / (0.97 * 25), abs=0.01)


def test_a_lower_dose_rate_needs_fewer_monitor_units(machine, make_machine, make_fluence):
    fluence = make_fluence(np.full((4, 12), 400.0))
    slow = SequenceSettings(dose_rate_mu_min=300.0)
    (beam,) = sequence(fluence, make_machine(transmission=0.0), settings=slow)
    assert beam.dose_rate_mu_min == 300.0
    assert beam.meterset_mu == pytest.approx(20.0 + 60.0 * 5 / (0.97 * 25), abs=0.01)
    # at the machine's own rate the same motion would be too fast
    found = beam_violations(replace(beam, dose_rate_mu_min=None), machine)
    assert [item.limit for item in found] == ["leaf speed"]
    with pytest.raises(DeliverabilityError, match=r"dose rate is 900.00 MU/min.* 600.00"):
        sequence(fluence, machine, settings=SequenceSettings(dose_rate_mu_min=900.0))


def test_leakage_is_taken_from_the_open_time(make_machine, make_fluence):
    fluence = make_fluence(np.full((4, 12), 400.0))
    (without,) = sequence(fluence, make_machine(transmission=0.0))
    (with_leak,) = sequence(fluence, make_machine(transmission=0.02))
    sweep = 60.0 * 10 / (0.97 * 25)
    # M = (20 - T M) / (1 - T) + sweep
    expected = (20.0 + 0.98 * sweep) / (0.98 + 0.02)
    assert with_leak.meterset_mu == pytest.approx(expected, abs=0.01)
    assert with_leak.meterset_mu < without.meterset_mu


def test_leaves_start_and_end_behind_the_jaws_and_never_go_back(machine, make_fluence):
    values = np.random.default_rng(5).uniform(100.0, 500.0, (6, 10))
    (beam,) = sequence(make_fluence(values), machine)
    tips = tips_of(beam)
    left, right = beam.control_points[0].jaw_x_mm
    assert (left, right) == (-40.0, 10.0)
    assert beam.control_points[0].jaw_y_mm == (-50.0, -20.0)
    moving = np.flatnonzero(np.any(np.ptp(tips, axis=0) > 0, axis=0))
    assert moving.tolist() == list(range(20, 26))
    half_gap = machine.mlc.dosimetric_leaf_gap_mm / 2
    assert np.all(tips[0] + half_gap <= left)
    assert np.all(tips[-1][:, moving] - half_gap >= right)
    assert np.all(np.diff(tips, axis=0) >= 0)


def test_a_pair_sweeps_its_own_columns_only(machine, make_fluence):
    # the second row is narrower on both sides, with time to spare: it sweeps slowly
    values = np.full((2, 20), 400.0)
    values[1, :6] = values[1, 14:] = 0.0
    (beam,) = sequence(make_fluence(values), machine)
    tips = tips_of(beam)[:, :, 21]
    half_gap = machine.mlc.dosimetric_leaf_gap_mm / 2
    assert tips[0, 1] - 0.02 <= -10.0 + half_gap
    assert tips.min() >= -10.0 - 2.5
    assert tips.max() <= 30.0 + 2.5
    assert np.all(np.diff(tips[1:, 0][tips[1:, 0] > -9.0][:-1]) > 0)


def test_a_pair_with_a_cold_spot_crosses_the_shorter_way(machine, make_fluence):
    values = np.full((2, 20), 400.0)
    values[1] = 200.0
    values[1, :2] = values[1, 9:11] = values[1, 14:] = 0.0
    (beam,) = sequence(make_fluence(values), machine)
    tips = tips_of(beam)[:, :, 21]
    # two columns on its left, six on its right: it comes from behind the left jaw
    assert tips[0].max() < -40.0
    assert tips[-1].max() <= 30.0 + 2.5


def test_leaf_pairs_without_fluence_stay_closed_behind_the_jaw(machine, make_fluence):
    values = np.full((5, 8), 300.0)
    values[2] = 0.0
    (beam,) = sequence(make_fluence(values), machine)
    tips = tips_of(beam)[:, :, 22]
    assert np.all(np.ptp(tips, axis=0) == 0)
    assert np.all(tips < beam.control_points[0].jaw_x_mm[0])


def test_jaws_close_to_what_is_used(machine, make_fluence):
    values = np.zeros((8, 12))
    values[2:5, 3:9] = 200.0
    values[0, 0] = 0.5  # next to nothing at the border
    (beam,) = sequence(make_fluence(values), machine)
    assert beam.control_points[0].jaw_x_mm == (-25.0, 5.0)
    assert beam.control_points[0].jaw_y_mm == (-40.0, -25.0)


def test_positions_and_metersets_are_as_they_can_be_written(machine, make_fluence):
    values = np.random.default_rng(6).uniform(0.0, 500.0, (6, 10))
    (beam,) = sequence(make_fluence(values), machine)
    tips = tips_of(beam)
    assert np.array_equal(np.round(tips, 2), tips)
    assert round(beam.meterset_mu, 2) == beam.meterset_mu
    weights = [point.cumulative_weight for point in beam.control_points]
    assert weights == [round(weight, 6) for weight in weights]
    assert np.all(np.diff(weights) > 0)


def test_no_fluence_is_refused_by_name(machine, make_fluence):
    with pytest.raises(InputError, match="beam g040: no fluence to sequence"):
        sequence(make_fluence(np.zeros((4, 4))), machine)
    with pytest.raises(InputError, match=r"beam g040: at most 0\.05 MU are wanted in a fraction"):
        sequence(make_fluence(np.ones((4, 4))), machine)


def test_rows_that_are_no_leaf_pairs_are_refused(make_machine, make_fluence):
    fluence = make_fluence(np.full((4, 4), 200.0))
    shifted = fluence.grid.y_edges_mm + 2.5
    with pytest.raises(InputError, match="rows that are leaf pairs of TEST120"):
        sequence(
            type(fluence)(
                type(fluence.grid)(
                    fluence.grid.geometry, fluence.grid.x_edges_mm, shifted, fluence.grid.is_active
                ),
                fluence.values_mu,
            ),
            make_machine(),
        )


def test_columns_narrower_than_the_gap_are_refused(machine, make_fluence):
    with pytest.raises(InputError, match=r"columns of 2.00 mm are narrower .* take wider columns"):
        sequence(make_fluence(np.full((4, 9), 200.0), column_mm=2.0), machine)


def test_a_field_out_of_reach_is_refused(make_machine, make_fluence):
    machine = make_machine(reach_mm=-30.0)
    with pytest.raises(DeliverabilityError, match=r"beam g040.*leaf pair.*the machine allows -30"):
        sequence(make_fluence(np.full((4, 4), 200.0)), machine)


def test_fractions_must_be_given(machine, make_fluence):
    with pytest.raises(InputError, match="at least 1 fraction"):
        sequence(make_fluence(np.ones((4, 4))), machine, n_fractions=0)
    with pytest.raises(InputError, match="settings in their ranges"):
        SequenceSettings(speed_share=1.5)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 40),
    columns=st.integers(1, 48),
    column_mm=st.sampled_from([2.5, 5.0]),
    zero_share=st.floats(0.0, 0.9),
    peak_mu=st.floats(30.0, 4000.0),
)
def test_no_limit_is_ever_broken(
    machine, make_fluence, seed, rows, columns, column_mm, zero_share, peak_mu
):
    rng = np.random.default_rng(seed)
    values = peak_mu * rng.random((rows, columns)) * (rng.random((rows, columns)) > zero_share)
    values[rng.integers(rows), rng.integers(columns)] = peak_mu
    fluence = make_fluence(values, column_mm=column_mm, x_start_mm=-120.0, first_leaf=10)
    beams = sequence(fluence, machine)
    for number, beam in enumerate(beams):
        assert beam.number == 1 + number
        assert beam_violations(beam, machine) == ()
        tips = tips_of(beam)
        weights = np.array([point.cumulative_weight for point in beam.control_points])
        seconds = np.diff(weights) * beam.meterset_mu / 10.0
        assert np.all(tips[:, 1] - tips[:, 0] >= 0.5)
        assert np.all(np.abs(np.diff(tips, axis=0)) <= 25.0 * seconds[:, None, None])
        assert np.all(np.ptp(tips, axis=2) <= 145.0)
