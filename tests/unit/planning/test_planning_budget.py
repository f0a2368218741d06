"""The budget: each limit with its own kind of sum, every interval that cannot be excluded."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import RecordGrade, RecoveryBasis
from rerad.planning import LimitChoice, PlanningInputs
from rerad.planning.budget import (
    limited_structures,
    make_budget,
    required_alpha_betas_gy,
    shortest_interval_months,
    spelling_findings,
)
from rerad.planning.history import prior_findings
from rerad.radiobiology import physical_from_eqd2


@pytest.fixture
def budget(carry: Callable) -> Callable:
    def make(inputs: PlanningInputs):
        priors = tuple(carry(prior, 2.0, 2.5, 3.0, 10.0) for prior in inputs.priors)
        return make_budget(inputs, priors)

    return make


@pytest.fixture
def rows_of(budget: Callable) -> Callable:
    def rows(inputs: PlanningInputs) -> dict:
        return {(row.structure, row.rule_set): row for row in budget(inputs)[0]}

    return rows


def test_alpha_betas_are_those_of_limits_and_tumor(make_inputs: Callable) -> None:
    assert required_alpha_betas_gy(make_inputs()) == (2.0, 2.5, 3.0, 10.0)


def test_the_published_case_s_remaining_tolerance(
    make_inputs: Callable, rows_of: Callable
) -> None:
    """45 Gy in 25, Michigan 70 Gy at 2.5: 31.06, 34.59, 39.53, 47.05 Gy in 22 fractions."""
    row = rows_of(make_inputs())["SacralPlex_R", "umich"]
    physical = [scenario.remaining_physical_gy for scenario in row.scenarios]
    assert physical[:4] == pytest.approx([31.06, 34.59, 39.53, 47.05], abs=0.01)
    fractions = [scenario.recovery_fraction for scenario in row.scenarios]
    assert fractions == [0.0, 0.1, 0.25, 0.5, 0.5]
    assert row.limit.recovery_basis is RecoveryBasis.DISCOUNTED
    assert not any(scenario.is_planned_with for scenario in row.scenarios)


def test_a_raw_limit_never_meets_a_recovery_factor(
    make_inputs: Callable, rows_of: Callable
) -> None:
    row = rows_of(make_inputs(interval_months=20.0))["SacralPlex_R", "slevin2021"]
    assert row.limit.recovery_basis is RecoveryBasis.RAW
    for scenario in row.scenarios:
        assert scenario.recovery_fraction == 0.0
        assert scenario.prior_eqd2_gy == pytest.approx(42.75, abs=0.01)


def test_unknown_interval_is_planned_under_what_leaves_least(
    make_inputs: Callable, budget: Callable
) -> None:
    rows, limits = budget(make_inputs())
    plexus = next(limit for limit in limits if limit.structure == "SacralPlex_R")
    assert plexus.goal.at_most == 67.0
    row = next(r for r in rows if (r.structure, r.rule_set) == ("SacralPlex_R", "slevin2021"))
    planned = [scenario for scenario in row.scenarios if scenario.is_planned_with]
    assert [scenario.limit_eqd2_gy for scenario in planned] == [67.0]
    assert {scenario.limit_eqd2_gy for scenario in row.scenarios} == {67.0, 85.0}
    assert planned[0].remaining_eqd2_gy == pytest.approx(67 - 42.75, abs=0.01)


def test_a_short_interval_excludes_the_limit_for_a_long_one(
    make_inputs: Callable, rows_of: Callable
) -> None:
    rows = rows_of(make_inputs(interval_months=4.0))
    raw = rows["SacralPlex_R", "slevin2021"]
    assert {scenario.limit_eqd2_gy for scenario in raw.scenarios} == {67.0}
    discounted = rows["SacralPlex_R", "umich"]
    assert [scenario.recovery_fraction for scenario in discounted.scenarios] == [0.1]


def test_planning_under_a_discounted_rule_set_discounts_the_prior(
    make_inputs: Callable, budget: Callable
) -> None:
    inputs = make_inputs(rule_set="umich", compared_rule_sets=(), interval_months=20.0)
    _, limits = budget(inputs)
    plexus = next(limit for limit in limits if limit.structure == "SacralPlex_R")
    assert plexus.recovery_fraction == 0.5
    assert plexus.prior is not None
    assert plexus.prior.max_gy == pytest.approx(43.0 / 2, abs=0.01)


def test_without_an_earlier_course_the_whole_limit_is_left(
    make_inputs: Callable, rows_of: Callable
) -> None:
    rows = rows_of(make_inputs(prior_gy=None))
    for scenario in rows["SacralPlex_R", "umich"].scenarios:
        assert scenario.remaining_eqd2_gy == 70.0
        assert scenario.recovery_fraction == 0.0


def test_an_exhausted_limit_leaves_nothing_not_less(
    make_inputs: Callable, rows_of: Callable
) -> None:
    row = rows_of(make_inputs(prior_gy=70.0))["SacralPlex_R", "slevin2021"]
    planned = next(scenario for scenario in row.scenarios if scenario.is_planned_with)
    assert planned.prior_eqd2_gy > 67.0
    assert planned.remaining_eqd2_gy == 0.0
    assert planned.remaining_physical_gy == 0.0


def test_one_unknown_interval_makes_the_shortest_unknown(make_inputs: Callable) -> None:
    assert shortest_interval_months(make_inputs()) is None
    assert shortest_interval_months(make_inputs(interval_months=7.0)) == 7.0


def test_another_spelling_is_taken_for_the_organ_and_said(make_inputs: Callable) -> None:
    inputs = make_inputs()
    renamed = tuple(
        replace(item, name="Sacral plexus right") if item.name == "SacralPlex_R" else item
        for item in inputs.structures.structures
    )
    other = replace(inputs, structures=replace(inputs.structures, structures=renamed))
    organs = {item.name: organ for item, organ in limited_structures(other)}
    assert organs["Sacral plexus right"] == "sacral plexus"
    findings = spelling_findings(other)
    assert [finding.where for finding in findings] == ["Sacral plexus right"]
    assert not spelling_findings(inputs)


def test_the_limit_for_a_known_interval_governs_only_if_chosen(
    make_inputs: Callable, budget: Callable
) -> None:
    def planned_limit(**changes: object) -> float:
        _, limits = budget(make_inputs(**changes))
        return next(item.goal.at_most for item in limits if item.structure == "SacralPlex_R")

    for_interval = LimitChoice.FOR_INTERVAL
    assert planned_limit(interval_months=20.0) == 67.0
    assert planned_limit(interval_months=20.0, limit_choice=for_interval) == 85.0
    assert planned_limit(interval_months=4.0, limit_choice=for_interval) == 67.0
    assert planned_limit(interval_months=None, limit_choice=for_interval) == 67.0


def test_a_missing_course_leaves_an_interval_and_no_number(
    make_inputs: Callable, budget: Callable
) -> None:
    """42.75 Gy are known, more was given elsewhere: at most 24.25 of 67 Gy are left."""
    inputs = make_inputs()
    elsewhere = replace(inputs.history.courses[0], name="elsewhere")
    history = replace(
        inputs.history, courses=(*inputs.history.courses, elsewhere), course_orders=(1, 2)
    )
    rows, (limit, *_) = budget(replace(inputs, history=history))
    row = next(r for r in rows if (r.structure, r.rule_set) == ("SacralPlex_R", "slevin2021"))
    scenario = row.scenarios[0]
    assert math.isnan(scenario.prior_eqd2_gy)
    assert math.isnan(scenario.remaining_physical_gy)
    assert scenario.prior_at_least_eqd2_gy == pytest.approx(42.75, abs=0.01)
    assert scenario.remaining_at_most_eqd2_gy == pytest.approx(67.0 - 42.75, abs=0.01)
    most = physical_from_eqd2(67.0 - 42.75, n_fractions=22, alpha_beta_gy=2.0)
    assert scenario.remaining_at_most_physical_gy == pytest.approx(float(most), abs=0.01)
    assert (row.grade, limit.grade) == (RecordGrade.UNKNOWN, RecordGrade.UNKNOWN)
    whole = next(r for r in budget(inputs)[0] if r.structure == "SacralPlex_R")
    known = whole.scenarios[0]
    assert known.remaining_at_most_eqd2_gy == pytest.approx(known.remaining_eqd2_gy)
    assert whole.grade is RecordGrade.FULL_DICOM


def test_a_bounded_course_is_an_upper_bound_and_nothing_of_it_was_given_at_least(
    make_inputs: Callable, carry: Callable
) -> None:
    """45 Gy from points beside a course on record: what is left lies between two numbers."""
    inputs = make_inputs()
    recorded = carry(inputs.priors[0], 2.0, 2.5, 3.0, 10.0)
    paper = replace(recorded.course, name="Paper", grade=RecordGrade.DVH_OR_POINTS)
    bounded = replace(recorded, course=paper)
    rows = {
        (row.structure, row.rule_set): row for row in make_budget(inputs, [recorded, bounded])[0]
    }
    row = rows["SacralPlex_R", "slevin2021"]
    for scenario in row.scenarios:
        assert scenario.is_upper_bound
        assert scenario.prior_eqd2_gy == pytest.approx(2 * 42.75, abs=0.01)
        assert scenario.prior_at_least_eqd2_gy == pytest.approx(42.75, abs=0.01)
        left = scenario.limit_eqd2_gy - 42.75
        assert scenario.remaining_at_most_eqd2_gy == pytest.approx(left, abs=0.01)
    assert row.grade is RecordGrade.DVH_OR_POINTS
    plain = {(r.structure, r.rule_set): r for r in make_budget(inputs, [recorded])[0]}
    assert not any(s.is_upper_bound for s in plain["SacralPlex_R", "slevin2021"].scenarios)


def test_more_fractions_than_planned_are_said(make_inputs: Callable, carry: Callable) -> None:
    inputs = make_inputs()
    prior = carry(inputs.priors[0], 2.0)
    body = np.ones(inputs.image.grid.shape, dtype=np.float32)
    assert "more-than-planned" not in {f.code for f in prior_findings([prior], body)}
    course = replace(prior.course, n_fractions_delivered=25, partial_fractions=(0.5,))
    found = prior_findings([replace(prior, course=course)], body)
    said = next(f for f in found if f.code == "more-than-planned")
    assert "26 fractions were given of 25 planned" in said.text


def test_recovery_is_told_where_the_earlier_dose_is_unknown(
    make_inputs: Callable, rows_of: Callable
) -> None:
    """The dose that recovers is not known; how much of it would recover is."""
    inputs = replace(make_inputs(), priors=())
    assert [course.name for course in inputs.courses_without_dose] == ["Course 1"]
    row = rows_of(inputs)["SacralPlex_R", "umich"]
    assert [item.recovery_fraction for item in row.scenarios] == [0.0, 0.1, 0.25, 0.5, 0.5]
    assert all(math.isnan(item.remaining_eqd2_gy) for item in row.scenarios)
