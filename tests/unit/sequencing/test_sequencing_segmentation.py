"""Segments that add up to whole numbers, and the least time against a linear programme."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from rerad.errors import InputError
from rerad.sequencing.segmentation import RowRule, least_time, split_levels

RULES = pytest.mark.parametrize("rule", list(RowRule), ids=lambda rule: rule.name)


def levels(seed, rows=3, columns=4, highest=4):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, highest + 1, (rows, columns))
    return values * (rng.random((rows, columns)) < 0.8)


def passes(left, right):
    """Whether a tip passes the opposing tip of a neighbour."""
    return bool(np.any(left[1:] > right[:-1]) or np.any(left[:-1] > right[1:]))


def covers(is_open, wanted):
    """Whether a cell is open while a neighbour that wants no less is shut."""
    for one, other in ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))):
        less = wanted[one] <= wanted[other]
        if np.any(is_open[one] & ~is_open[other] & less):
            return True
    return False


def least_time_of_all_shapes(wanted, rule):
    """Least sum of weights over every shape there is."""
    rows, columns = wanted.shape
    intervals = [(a, b) for a in range(columns + 1) for b in range(a, columns + 1)]
    shapes = set()
    for tips in itertools.product(intervals, repeat=rows):
        left, right = np.array(tips).T
        place = np.arange(columns)
        is_open = (place >= left[:, None]) & (place < right[:, None])
        if rule is not RowRule.FREE and passes(left, right):
            continue
        if rule is RowRule.NO_TONGUE_AND_GROOVE and covers(is_open, wanted):
            continue
        shapes.add(tuple(is_open.ravel()))
    matrix = np.array(sorted(shapes), dtype=float).T
    return linprog(np.ones(matrix.shape[1]), A_eq=matrix, b_eq=wanted.ravel()).fun


@RULES
@pytest.mark.parametrize("seed", range(4))
def test_least_time_is_that_of_a_linear_programme_over_all_shapes(rule, seed):
    wanted = levels(seed)
    assert least_time(wanted, rule) == pytest.approx(least_time_of_all_shapes(wanted, rule))


@RULES
@pytest.mark.parametrize("highest", [1, 5, 20])
def test_segments_add_up_exactly_in_the_least_time(rule, highest):
    wanted = levels(highest, rows=14, columns=11, highest=highest)
    segments = split_levels(wanted, rule)
    assert np.array_equal(segments.fluence(), wanted)
    assert segments.weights.sum() == least_time(wanted, rule)
    assert np.all(segments.weights >= 1)
    assert len(segments) <= segments.weights.sum()


def test_free_rows_need_the_largest_sum_of_rises():
    # Engel 2005: the row with most rises decides, 3 + (5 - 1) + (2 - 0) = 9.
    wanted = np.array([[3, 1, 5, 0, 2], [6, 6, 6, 6, 6], [0, 1, 2, 3, 8]])
    assert least_time(wanted, RowRule.FREE) == 9
    assert split_levels(wanted, RowRule.FREE).weights.sum() == 9


def test_an_open_field_is_one_segment():
    segments = split_levels(np.full((4, 6), 7), RowRule.FREE)
    assert len(segments) == 1
    assert segments.weights.tolist() == [7.0]


def test_few_segments_for_their_time():
    wanted = levels(3, rows=20, columns=12, highest=15)
    segments = split_levels(wanted, RowRule.FREE)
    assert len(segments) < 0.4 * segments.weights.sum()


@pytest.mark.parametrize("rule", [RowRule.NO_INTERDIGITATION, RowRule.NO_TONGUE_AND_GROOVE])
@pytest.mark.parametrize("seed", range(5))
def test_no_tip_passes_that_of_a_neighbour(rule, seed):
    segments = split_levels(levels(seed, rows=9, columns=8, highest=6), rule)
    assert not any(passes(a, b) for a, b in zip(segments.left, segments.right, strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_no_strip_is_left_under_tongue_and_groove(seed):
    wanted = levels(seed, rows=9, columns=8, highest=6)
    segments = split_levels(wanted, RowRule.NO_TONGUE_AND_GROOVE)
    assert not any(covers(is_open, wanted) for is_open in segments.is_open())
    free = split_levels(wanted, RowRule.FREE)
    assert any(covers(is_open, wanted) for is_open in free.is_open())


def test_rules_cost_time_in_their_order():
    wanted = np.array([[4, 0, 0, 0, 4], [0, 0, 4, 0, 0], [4, 4, 0, 4, 4]])
    times = [least_time(wanted, rule) for rule in RowRule]
    assert times[0] <= times[1] <= times[2]
    assert times[0] < times[2]


def test_nothing_wanted_is_no_segment():
    assert len(split_levels(np.zeros((3, 4), dtype=int), RowRule.FREE)) == 0


@pytest.mark.parametrize("wrong", [[[1.5, 2.0]], [[-1, 2]]])
def test_levels_that_are_not_whole_are_refused(wrong):
    with pytest.raises(InputError, match="matrix of whole numbers"):
        split_levels(np.array(wrong), RowRule.FREE)
