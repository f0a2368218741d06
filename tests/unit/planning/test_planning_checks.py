"""What is said of organs without a limit, of columns that no leaf can open, of values in words."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from rerad.core import DoseScope, Goal, StructureKind, StructureSet
from rerad.dosecalc import load_machine
from rerad.errors import InputError
from rerad.evaluation import GoalResult, Verdict, parse_goal
from rerad.planning import PlanningInputs
from rerad.planning.checks import limit_findings
from rerad.planning.pipeline import require_structures
from rerad.planning.value_text import value_text


def named(inputs: PlanningInputs, **kinds: StructureKind) -> PlanningInputs:
    """Return inputs with copies of the bladder under other names."""
    drawn = inputs.structures["Bladder"]
    more = tuple(replace(drawn, name=name, kind=kind) for name, kind in kinds.items())
    structures = StructureSet("today", (*inputs.structures.structures, *more))
    return replace(inputs, structures=structures)


def said(inputs: PlanningInputs) -> dict[str, str]:
    return {item.code: item.text for item in limit_findings(inputs, ())}


def test_names_that_no_table_knows_are_said_to_have_no_limit(make_inputs: Callable) -> None:
    organ, blank = StructureKind.OAR, StructureKind.OTHER
    inputs = named(make_inputs(), Tronc=organ, Nerv=blank, Ziel=StructureKind.GTV)
    text = said(inputs)["name-without-limit"]
    assert "Tronc, Nerv:" in text
    assert "Ziel" not in text
    assert "Bladder" not in text
    bound = Goal("Nerv", "Dmax", DoseScope.CUMULATIVE, "Gy", at_most=50.0, alpha_beta_gy=2.0)
    text = said(replace(inputs, goals=(bound,)))["name-without-limit"]
    assert "Tronc:" in text
    assert "Nerv" not in text
    assert "name-without-limit" not in said(make_inputs())


def test_limits_that_spare_a_volume_are_said_not_to_be_judged(make_inputs: Callable) -> None:
    inputs = make_inputs(rule_set="umich", compared_rule_sets=())
    found = said(named(inputs, Kidney_L=StructureKind.OAR, SacralPlex_L=StructureKind.OAR))
    assert "Kidney_L (at least 200 cc below 23 Gy EQD2)" in found["limit-not-judged"]
    assert "Kidney_L" not in found.get("no-limit", "")
    found = said(named(make_inputs(compared_rule_sets=()), Kidney_L=StructureKind.OAR))
    assert "limit-not-judged" not in found
    assert "Kidney_L" in found["no-limit"]


def test_columns_narrower_than_the_smallest_gap_stop_the_check(make_inputs: Callable) -> None:
    inputs = replace(make_inputs(), machine=load_machine("agility_like_6mv"))
    with pytest.raises(InputError, match=r"beams.column_width_mm is 5, .* take at least 5\.3"):
        require_structures(inputs)
    require_structures(replace(inputs, settings=replace(inputs.settings, column_width_mm=5.3)))


def test_an_index_has_digits_enough_to_tell_it_from_its_limit() -> None:
    goal = parse_goal("PTV_4000 HI <= 0.12")
    result = GoalResult(goal, 0.1242, 0.1242, 0.1242, Verdict.EXCEEDED, 0.0, "dose")
    assert value_text(result) == "0.124"
