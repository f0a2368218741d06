"""Wide fields: parts that fit, overlap softly and sum to the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerad.errors import DeliverabilityError, InputError
from rerad.sequencing import (
    SequenceSettings,
    sequence_sliding_window,
    split_field,
    split_weights,
)
from rerad.sequencing.split import balance_parts


@given(
    n_columns=st.integers(1, 160),
    column_mm=st.sampled_from([2.5, 5.0]),
    start_mm=st.floats(-200.0, 0.0),
    width_max_mm=st.floats(60.0, 150.0),
)
def test_shares_sum_to_one_and_parts_fit(n_columns, column_mm, start_mm, width_max_mm):
    edges = start_mm + column_mm * np.arange(n_columns + 1)
    shares = split_weights(edges, width_max_mm, 20.0)
    assert shares.sum(axis=0) == pytest.approx(np.ones(n_columns))
    assert np.all(shares >= 0)
    for share in shares:
        used = np.flatnonzero(share > 0)
        assert len(used)
        assert edges[used[-1] + 1] - edges[used[0]] <= width_max_mm + 1e-9
        assert np.array_equal(used, np.arange(used[0], used[-1] + 1))


def test_shares_change_linearly_over_the_overlap():
    shares = split_weights(np.arange(0.0, 201.0, 5.0), 145.0, 20.0)
    assert len(shares) == 2
    falling = shares[0][(shares[0] > 0) & (shares[0] < 1)]
    assert falling == pytest.approx([0.875, 0.625, 0.375, 0.125])


def test_parts_are_named_after_the_beam_and_sum_to_it(make_fluence):
    values = np.random.default_rng(2).random((3, 44))
    whole = make_fluence(values, x_start_mm=-110.0)
    parts = split_field(whole, 138.0, 20.0)
    assert [part.grid.geometry.name for part in parts] == ["g040a", "g040b"]
    assert sum(part.values_mu for part in parts) == pytest.approx(values)
    assert split_field(make_fluence(np.ones((3, 10))), 138.0, 20.0)[0].values_mu.shape == (3, 10)


def test_overlaps_that_cannot_be_are_refused():
    edges = np.arange(0.0, 201.0, 5.0)
    with pytest.raises(DeliverabilityError, match="leave no room for an overlap of 20 mm"):
        split_weights(edges, 40.0, 20.0)
    with pytest.raises(InputError, match="overlap of split fields above 0"):
        split_weights(edges, 140.0, 0.0)


def test_a_wide_field_becomes_two_beams(machine, make_fluence):
    values = np.random.default_rng(2).uniform(100.0, 300.0, (10, 40))
    beams = sequence_sliding_window(
        make_fluence(values, x_start_mm=-100.0),
        machine,
        n_fractions=20,
        first_beam_number=7,
        settings=SequenceSettings(),
    )
    assert [beam.number for beam in beams] == [7, 8]
    assert [beam.geometry.name for beam in beams] == ["g040a", "g040b"]
    assert {beam.geometry.gantry_angle_deg for beam in beams} == {40.0}
    (left, right) = (beam.control_points[0].jaw_x_mm for beam in beams)
    assert left[0] == -100.0
    assert right[1] == 100.0
    assert left[1] - right[0] == pytest.approx(20.0)


def test_small_shares_go_to_the_neighbour_and_the_sum_stays(make_fluence):
    values = np.full((2, 40), 10.0)
    values[0] = 3.0
    parts = split_field(make_fluence(values, x_start_mm=-100.0), 138.0, 20.0)
    balanced = balance_parts(parts, (2.0, 4.0))
    left, right = (part.values_mu for part in balanced)
    assert left + right == pytest.approx(values)
    overlap = (parts[0].values_mu[1] > 0) & (parts[1].values_mu[1] > 0)
    assert left[1, overlap] == pytest.approx([6.0, 6.0, 3.75, 2.0])  # shares were 8.75 ... 1.25
    assert left[0, overlap] == pytest.approx(np.full(4, 1.0))  # 3 for two that need 2 and 4
