"""Cord rules hold at the level of the cord, where the case says that it is there."""

from dataclasses import replace

import pytest

from rerad.planning.budget import make_budget, required_alpha_betas_gy
from rerad.planning.cord_rules import cord_rules
from rerad.radiobiology import SpineLevel, eqd2


@pytest.fixture
def make_case(make_inputs, carry):
    """Return a maker of a case whose plexus is a thecal sac, with 45/25 everywhere before."""

    def make(level=None, n_fractions=5, interval_months=12.0):
        inputs = make_inputs(
            interval_months=interval_months,
            spine_level=level,
            compared_rule_sets=("hytec2021",),
        )
        renamed = tuple(
            replace(s, name="ThecalSac") if s.name == "SacralPlex_R" else s
            for s in inputs.structures.structures
        )
        current = replace(
            inputs.current,
            n_fractions_planned=n_fractions,
            prescriptions=(replace(inputs.current.prescriptions[0], dose_gy=20.0),),
        )
        inputs = replace(
            inputs, structures=replace(inputs.structures, structures=renamed), current=current
        )
        values = {*required_alpha_betas_gy(inputs), 2.0, 2.5, 3.0, 10.0}
        return inputs, tuple(carry(item, *values) for item in inputs.priors)

    return make


def test_without_a_level_or_below_the_conus_nothing_is_applied(make_case):
    for level, said in ((None, "not stated"), (SpineLevel.BELOW_CONUS, "below the conus")):
        inputs, priors = make_case(level)
        found = cord_rules(inputs, priors)
        assert (found.scores, found.hytec) == ((), ())
        assert said in found.findings[0].text
        assert not [r for r in make_budget(inputs, priors)[0] if r.rule_set == "hytec2021"]


def test_at_the_cord_its_limit_score_and_factors_are_shown(make_case):
    """20 Gy in 5 after 45/25: EQD2(2) 30 and 42.75 Gy; HyTEC asks at most 25, 70 and half."""
    inputs, priors = make_case(SpineLevel.THORACIC)
    (row,) = [r for r in make_budget(inputs, priors)[0] if r.rule_set == "hytec2021"]
    assert row.limit.at_most == 70.0
    assert row.scenarios[0].remaining_eqd2_gy == pytest.approx(70.0 - 42.75, abs=0.01)
    found = cord_rules(inputs, priors)
    (score,) = found.scores
    assert score.score.cumulative_bed_gy == pytest.approx(85.5 + 20 * (1 + 4 / 2), abs=0.05)
    (check,) = found.hytec
    whole, sbrt, share, interval = check.factors
    assert whole.found == pytest.approx(42.75 + eqd2(20, 5, 2.0), abs=0.01)
    assert (sbrt.found, sbrt.holds) == (pytest.approx(30.0), False)
    assert (share.holds, interval.holds) == (True, True)
    assert whole.holds is False


def test_factors_are_for_few_fractions_and_intervals_may_be_unknown(make_case):
    inputs, priors = make_case(SpineLevel.CERVICAL, n_fractions=22)
    assert cord_rules(inputs, priors).hytec == ()
    inputs, priors = make_case(SpineLevel.CERVICAL, interval_months=None)
    found = cord_rules(inputs, priors)
    assert [score.interval for score in found.scores] == [
        "interval below 6 months",
        "interval of 6 months or more",
    ]
    assert found.hytec[0].factors[3].holds is None
