"""Metrics and goals by the names that clinicians write."""

import numpy as np
import pytest

from rerad.core import DoseScope, Goal
from rerad.errors import InputError, MissingDataError
from rerad.evaluation import (
    Dvh,
    MetricKind,
    Verdict,
    evaluate_goal,
    evaluate_metric,
    homogeneity_index,
    metric_bounds,
    paddick_conformity_index,
    parse_metric,
)


def _dvh(unknown=0.0):
    """Ten cc, one at each of 5, 10 ... 50 Gy, of the known part."""
    doses = np.arange(5.0, 55.0, 5.0)
    return Dvh("Organ", "physical dose", doses, np.ones(10), unknown, 10 / (1 - unknown))


def _goal(metric, unit, at_most=None, at_least=None):
    return Goal("Organ", metric, DoseScope.PLAN, unit, at_most, at_least)


@pytest.mark.parametrize(
    ("text", "kind", "size", "size_unit", "unit"),
    [
        ("Dmean", MetricKind.MEAN, 0, "", "Gy"),
        ("Dmax", MetricKind.MAX, 0, "", "Gy"),
        ("Dmin[Gy]", MetricKind.MIN, 0, "", "Gy"),
        ("D0.1cc", MetricKind.DOSE_AT_VOLUME, 0.1, "cc", "Gy"),
        ("D0.03cc[Gy]", MetricKind.DOSE_AT_VOLUME, 0.03, "cc", "Gy"),
        ("D95%", MetricKind.DOSE_AT_VOLUME, 95, "%", "Gy"),
        ("V45Gy", MetricKind.VOLUME_AT_DOSE, 45, "Gy", "cc"),
        ("V20Gy[%]", MetricKind.VOLUME_AT_DOSE, 20, "Gy", "%"),
        ("V45Gy[cc]", MetricKind.VOLUME_AT_DOSE, 45, "Gy", "cc"),
        ("V95%[%]", MetricKind.VOLUME_AT_DOSE, 95, "%", "%"),
        ("gEUD8", MetricKind.GENERALIZED_MEAN, 8, "", "Gy"),
        ("gEUD-10", MetricKind.GENERALIZED_MEAN, -10, "", "Gy"),
    ],
)
def test_names_are_read(text, kind, size, size_unit, unit):
    metric = parse_metric(text)
    assert (metric.kind, metric.size, metric.size_unit, metric.unit) == (
        kind,
        size,
        size_unit,
        unit,
    )


@pytest.mark.parametrize(
    "text", ["", "D", "D95", "D0cc", "D120%", "V45", "V20Gy[Gy]", "gEUD", "gEUD0", "EUD8", "D2%x"]
)
def test_unknown_names_are_refused_with_what_is_understood(text):
    with pytest.raises(InputError, match=r"is not understood; understood are Dmean.*gEUD8"):
        parse_metric(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Dmean", 27.5),
        ("Dmax", 50.0),
        ("Dmin", 5.0),
        ("D50%", 27.5),
        ("D0.5cc", 50.0),
        ("D2cc", 42.5),
        ("V45Gy", 2.0),
        ("V45Gy[%]", 20.0),
        ("V0Gy[%]", 100.0),
        ("gEUD1", 27.5),
    ],
)
def test_values(text, value):
    assert evaluate_metric(text, _dvh()) == pytest.approx(value)


def test_volume_at_a_share_of_the_prescription():
    assert evaluate_metric("V90%[%]", _dvh(), prescription_gy=50.0) == pytest.approx(20.0)
    with pytest.raises(MissingDataError, match="give the prescription in Gy"):
        evaluate_metric("V90%", _dvh())


def test_metrics_of_a_partly_unknown_structure_are_withheld():
    found = _dvh(unknown=0.1)
    for text in ("Dmean", "Dmax", "Dmin", "D50%", "D0.1cc", "V45Gy", "gEUD8"):
        assert np.isnan(evaluate_metric(text, found)), text
    assert metric_bounds("Dmean", found) == (pytest.approx(27.5 * 0.9), np.inf)
    assert metric_bounds("Dmax", found) == (50.0, np.inf)
    assert metric_bounds("Dmin", found) == (0.0, 5.0)
    assert metric_bounds("V45Gy", found) == pytest.approx((2.0, 2.0 + 10 / 9 * 1.0))


@pytest.mark.parametrize(
    ("goal", "value", "verdict"),
    [
        (_goal("D2cc", "Gy", at_most=45.0), 42.5, Verdict.MET),
        (_goal("D2cc", "Gy", at_most=40.0), 42.5, Verdict.EXCEEDED),
        (_goal("Dmean", "Gy", at_least=30.0), 27.5, Verdict.EXCEEDED),
        (_goal("V45Gy", "cc", at_most=2.0), 2.0, Verdict.MET),
        (_goal("V45Gy", "%", at_most=19.0), 20.0, Verdict.EXCEEDED),
        (_goal("D50%", "%", at_least=50.0), 55.0, Verdict.MET),
        (_goal("V90%[%]", "%", at_least=20.0), 20.0, Verdict.MET),
        (_goal("D20cc", "Gy", at_most=60.0), np.nan, Verdict.UNKNOWN),
    ],
)
def test_goals(goal, value, verdict):
    result = evaluate_goal(goal, _dvh(), prescription_gy=50.0)
    assert result.value == pytest.approx(value, nan_ok=True)
    assert result.verdict is verdict
    assert result.goal is goal


def test_an_exceeded_goal_can_be_accepted_knowingly():
    goal = _goal("Dmax", "Gy", at_most=45.0)
    result = evaluate_goal(goal, _dvh(), prescription_gy=None, is_accepted=True)
    assert result.verdict is Verdict.ACCEPTED
    met = evaluate_goal(
        _goal("Dmax", "Gy", at_most=50.0), _dvh(), prescription_gy=None, is_accepted=True
    )
    assert met.verdict is Verdict.MET


def test_unknown_dose_decides_only_where_it_can():
    found = _dvh(unknown=0.1)
    # Exceeded by what is known alone; met whatever the rest received; neither.
    assert _verdict(_goal("Dmax", "Gy", at_most=45.0), found) is Verdict.EXCEEDED
    assert _verdict(_goal("V45Gy", "cc", at_most=5.0), found) is Verdict.MET
    assert _verdict(_goal("Dmax", "Gy", at_most=60.0), found) is Verdict.UNKNOWN
    assert _verdict(_goal("Dmean", "Gy", at_least=20.0), found) is Verdict.MET


def _verdict(goal, found):
    result = evaluate_goal(goal, found, prescription_gy=None)
    assert np.isnan(result.value)
    assert result.unknown_fraction == 0.1
    return result.verdict


def test_a_limit_in_another_unit_is_refused():
    with pytest.raises(InputError, match="expected a limit in Gy, got one in 'cc'"):
        evaluate_goal(_goal("Dmax", "cc", at_most=1.0), _dvh(), prescription_gy=None)
    with pytest.raises(InputError, match="expected a limit in %, got one in 'cc'"):
        evaluate_goal(_goal("V20Gy[%]", "cc", at_most=1.0), _dvh(), prescription_gy=None)
    with pytest.raises(MissingDataError, match="give the prescription in Gy"):
        evaluate_goal(_goal("D95%", "%", at_least=95.0), _dvh(), prescription_gy=None)


def test_conformity_index_of_paddick():
    assert paddick_conformity_index(10.0, 10.0, 10.0) == 1.0
    assert paddick_conformity_index(10.0, 20.0, 8.0) == pytest.approx(0.32)
    assert paddick_conformity_index(10.0, 0.0, 0.0) == 0.0
    with pytest.raises(InputError, match="covered part no larger"):
        paddick_conformity_index(10.0, 5.0, 6.0)


def test_homogeneity_index_of_icru_83():
    doses = np.linspace(47.5, 52.5, 1001)
    found = Dvh("PTV", "physical dose", doses, np.full(1001, 0.01), 0.0, 10.01)
    assert homogeneity_index(found) == pytest.approx(0.96 * 5 / 50, rel=2e-3)
    flat = Dvh("PTV", "physical dose", np.full(5, 50.0), np.ones(5), 0.0, 5.0)
    assert homogeneity_index(flat) == 0.0
