"""Goals in one line: what is read, what is refused, and that nothing is lost on the way back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.core import DoseScope, Goal, RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.evaluation import (
    Dvh,
    evaluate_goal,
    format_goal,
    goal_structure,
    parse_goal,
    parse_metric,
    suggest_metric,
)

PLAN, SUM = DoseScope.PLAN, DoseScope.CUMULATIVE


@pytest.mark.parametrize(
    ("text", "structure", "metric", "scope", "at_most", "at_least", "unit", "alpha_beta"),
    [
        ("Plex_R D0.1cc[EQD2] <= 70 ab=2.5", "Plex_R", "D0.1cc", SUM, 70, None, "Gy", 2.5),
        ("PTV_4000 D95% >= 95%", "PTV_4000", "D95%", PLAN, None, 95, "%", None),
        ("Bowel V45Gy <= 195 cc", "Bowel", "V45Gy", PLAN, 195, None, "cc", None),
        ("Bowel V45Gy[EQD2] <= 195 cc ab=3", "Bowel", "V45Gy", SUM, 195, None, "cc", 3.0),
        ("Kidney_L Dmean < 15 Gy", "Kidney_L", "Dmean", PLAN, 15, None, "Gy", None),
        ("PTV D2% <= 107%", "PTV", "D2%", PLAN, 107, None, "%", None),
        ("Rectum gEUD8[EQD2] <= 60 Gy ab=3", "Rectum", "gEUD8", SUM, 60, None, "Gy", 3.0),
        ("PTV near-max <= 107 %", "PTV", "D2%", PLAN, 107, None, "%", None),
        ("PTV near-min ≥ 95%", "PTV", "D98%", PLAN, None, 95, "%", None),
        ("PTV D98% ⩾ 95%", "PTV", "D98%", PLAN, None, 95, "%", None),
        ("Cord Dmax⩽45 Gy", "Cord", "Dmax", PLAN, 45, None, "Gy", None),
        ("PTV CI >= 0.7", "PTV", "CI", PLAN, None, 0.7, "", None),
        ("PTV CI95% >= 0.7", "PTV", "CI95%", PLAN, None, 0.7, "", None),
        ("PTV HI <= 0.15", "PTV", "HI", PLAN, 0.15, None, "", None),
        ("Body R50% <= 5", "Body", "R50%", PLAN, 5, None, "", None),
        ("Body D2cm <= 60%", "Body", "D2cm", PLAN, 60, None, "%", None),
        ("Cord d0.03CC[Gy]<45", "Cord", "D0.03cc", PLAN, 45, None, "Gy", None),
        ("Lung_L V20Gy[%] <= 30", "Lung_L", "V20Gy", PLAN, 30, None, "%", None),
        ("PTV V95% >= 98 %", "PTV", "V95%", PLAN, None, 98, "%", None),
        ('"Left lung" mean <= 7.5Gy', "Left lung", "Dmean", PLAN, 7.5, None, "Gy", None),
        ("Cord Dmax[EQD2] <= 50 α/β=2", "Cord", "Dmax", SUM, 50, None, "Gy", 2.0),
    ],
)  # fmt: skip
def test_what_clinicians_write_is_read(
    text, structure, metric, scope, at_most, at_least, unit, alpha_beta
):
    goal = parse_goal(text)
    assert (goal.structure, goal.metric, goal.scope) == (structure, metric, scope)
    assert (goal.at_most, goal.at_least, goal.unit) == (at_most, at_least, unit)
    assert goal.alpha_beta_gy == alpha_beta
    assert goal.recovery_basis is (RecoveryBasis.RAW if scope is SUM else None)
    assert (goal.priority, goal.is_hard, goal.citation) == (None, False, "user")
    assert parse_goal(format_goal(goal)) == goal
    assert goal_structure(text) == structure


@pytest.mark.parametrize(
    ("text", "priority", "is_hard"),
    [
        ("1: PTV D95% >= 95%", 1, False),
        ("12 : PTV D95% >= 95%", 12, False),
        ("PTV D95% >= 95% (priority 2)", 2, False),
        ("Cord Dmax[EQD2] <= 50 Gy ab=2 must", None, True),
        ("Cord Dmax[EQD2] <= 50 must ab=2", None, True),
    ],
)
def test_priorities_and_hard_limits(text, priority, is_hard):
    goal = parse_goal(text)
    assert (goal.priority, goal.is_hard) == (priority, is_hard)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-1: PTV D95% >= 95%", "'-1:' is no priority; expected a whole number of 1 or more"),
        ("P1: PTV D95% >= 95%", "'P1:' is no priority"),
        ("Cord Dmax <= 50 Gy EQD2 ab=2", "EQD2 stands behind the metric, not behind the limit"),
        ("Cord Dmax <= 50 EQD2", "EQD2 stands behind the metric"),
    ],
)
def test_what_stands_in_the_wrong_place_is_said(text, problem):
    with pytest.raises(InputError) as refused:
        parse_goal(text)
    assert problem in str(refused.value)


def test_the_source_of_a_number_stands_behind_two_dashes():
    goal = parse_goal("PTV D2% <= 107% -- ICRU 50: 107 % -- old")
    assert goal.citation == "ICRU 50: 107 % -- old"
    assert format_goal(goal) == "PTV D2% <= 107% -- ICRU 50: 107 % -- old"


def test_alpha_beta_comes_from_the_line_or_the_caller_and_from_nowhere_else():
    text = "Cord Dmax[EQD2] <= 50 Gy"
    with pytest.raises(MissingDataError, match="no default; add for example"):
        parse_goal(text)
    assert parse_goal(text, alpha_beta_gy=2.0).alpha_beta_gy == 2.0
    assert parse_goal(f"{text} ab=3", alpha_beta_gy=2.0).alpha_beta_gy == 3.0
    assert parse_goal("Cord Dmax <= 50 Gy", alpha_beta_gy=2.0).alpha_beta_gy is None
    with pytest.raises(InputError, match="no meaning for this plan's physical dose"):
        parse_goal("Cord Dmax <= 50 Gy ab=2")
    with pytest.raises(InputError, match="above 0 Gy"):
        parse_goal(f"{text} ab=0")


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("D95", "D95%"),
        ("D0.03", "D0.03cc"),
        ("V20", "V20Gy"),
        ("EUD8", "gEUD8"),
        ("Dmeen", "Dmean"),
        ("PCI", "CI"),
        ("nearmax", "near-max"),
        ("R50", "R50%"),
        ("D2mm", "D2cm"),
        ("D0.1cm3", "D0.1cc"),
        ("D0.1ml", "D0.1cc"),
        ("D0cc", None),
        ("D200%", None),
        ("gEUD0", None),
        ("BrainScore", None),
    ],
)
def test_an_unknown_metric_is_refused_with_what_is_known_and_the_nearest(written, near):
    assert suggest_metric(written) == near
    with pytest.raises(InputError) as refused:
        parse_goal(f"Organ {written} <= 10 Gy")
    message = str(refused.value)
    assert f"metric {written!r} is not understood" in message
    assert "understood are Dmean" in message
    assert "near-min" in message
    assert ("did you mean" in message) == (near is not None)
    assert near is None or f"did you mean {near};" in message


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected structure, metric, sign and limit"),
        ("PTV D95%", "expected structure, metric, sign and limit"),
        ("D95% >= 95%", "expected structure, metric, sign and limit"),
        ("PTV D95% = 95%", "expected structure, metric, sign and limit"),
        ("PTV D95% >= -3 Gy", "expected structure, metric, sign and limit"),
        ("PTV D95% >= 95", "expected Gy or % for the limit on D95%, got none"),
        ("Bowel V45Gy <= 195", "expected cc or % for the limit on V45Gy, got none"),
        ("Bowel V45Gy <= 195 Gy", "expected cc or % for the limit on V45Gy, got Gy"),
        ("Bowel V45Gy[cc] <= 19 %", "expected cc or % for the limit on V45Gy, got cc and %"),
        ("Bowel V45Gy <= 195 %", "at most 100 % of the volume"),
        ("PTV HI <= 15 %", "expected no unit for the limit on HI, got %"),
        ("PTV D95%[EQD2] >= 95% ab=10", "expected Gy for the limit on D95%, got %"),
        ("PTV CI[EQD2] >= 0.7 ab=10", "leave out [EQD2]"),
        ("PTV V95%[EQD2] >= 98 % ab=10", "leave out [EQD2]"),
        ("PTV D95%[BED] >= 95 Gy", "expected [EQD2], [Gy], [cc] or [%] behind the metric"),
        ("PTV D95%[Gy][EQD2] >= 95 Gy ab=3", "says two quantities"),
        ("PTV D95% >= 9500 cGy", "'cGy' is not understood"),
        ("PTV D95% >= 95% soon", "'soon' is not understood"),
        ("PTV D95% >= ab=3 95%", "expected structure, metric, sign and limit"),
        ("Cord Dmax[EQD2] <= 50 ab=2 Gy", "'Gy' is not understood"),
        ("1: PTV D95% >= 95% (priority 2)", "priority is given twice"),
        ("0: PTV D95% >= 95%", "expected a priority of 1"),
        ("1: Cord Dmax <= 50 Gy must", "give must or priority 1, not both"),
        ("Cord Dmax <= 50 Gy discounted", "physical dose has no recovery"),
    ],
)
def test_what_is_not_understood_is_refused_by_name(text, problem):
    with pytest.raises(InputError) as refused:
        parse_goal(text)
    assert problem in str(refused.value)
    if "priority of 1" not in problem and "not both" not in problem:
        assert repr(text) in str(refused.value)


def test_a_name_that_cannot_stand_in_a_line_is_refused():
    with pytest.raises(InputError, match="double quote"):
        format_goal(Goal('a"b', "Dmax", PLAN, "Gy", at_most=1.0))


_SIZES = st.floats(0.001, 99.0).map(lambda value: round(value, 6)).filter(bool)
_METRICS = st.one_of(
    st.sampled_from(["Dmean", "Dmax", "Dmin"]).map(lambda name: (name, ("Gy", "%"))),
    _SIZES.map(lambda v: (parse_metric(f"D{v:.6f}cc").name, ("Gy", "%"))),
    _SIZES.map(lambda v: (parse_metric(f"D{v:.6f}%").name, ("Gy", "%"))),
    _SIZES.map(lambda v: (parse_metric(f"D{v:.6f}cm").name, ("Gy", "%"))),
    _SIZES.map(lambda v: (parse_metric(f"V{v:.6f}Gy").name, ("cc", "%"))),
    _SIZES.map(lambda v: (parse_metric(f"gEUD-{v:.6f}").name, ("Gy", "%"))),
    st.sampled_from(["HI", "CI", "CI95%", "R50%"]).map(lambda name: (name, ("",))),
)


@st.composite
def goals(draw: st.DrawFn) -> Goal:
    """Return any goal that a line can hold."""
    metric, units = draw(_METRICS)
    unit = draw(st.sampled_from(units))
    is_sum = unit != "" and not metric.endswith("cm") and draw(st.booleans())
    if is_sum and metric[0] in "Dg":
        unit = "Gy"
    bound = draw(st.floats(0, 100))
    is_upper, is_hard = draw(st.booleans()), draw(st.booleans())
    return Goal(
        structure=draw(st.sampled_from(["PTV_4000", "Left lung", "SacralPlex_R-PTV", "x&y"])),
        metric=metric,
        scope=SUM if is_sum else PLAN,
        unit=unit,
        at_most=bound if is_upper else None,
        at_least=None if is_upper else bound,
        alpha_beta_gy=draw(_SIZES) if is_sum else None,
        recovery_basis=draw(st.sampled_from(list(RecoveryBasis))) if is_sum else None,
        citation=draw(st.sampled_from(["user", "Smith 2020, doi 10.1/x"])),
        priority=None if is_hard else draw(st.none() | st.integers(1, 99)),
        is_hard=is_hard,
    )


@settings(max_examples=150, deadline=None)
@given(goals())
def test_goals_come_back_from_their_text(goal: Goal) -> None:
    assert parse_goal(format_goal(goal)) == goal


def test_what_is_read_can_be_judged():
    """Units of language and evaluation are the same ones."""
    found = Dvh("Organ", "physical dose", [10.0, 20.0, 30.0, 40.0], [1.0] * 4, 0.0, 4.0)
    values = {
        "Organ D50% <= 50 %": 50.0,
        "Organ D50% <= 26 Gy": 25.0,
        "Organ V20Gy <= 75%": 75.0,
        "Organ V20Gy[cc] <= 3": 3.0,
        "Organ V40% >= 75 %": 75.0,
        "Organ HI <= 1.2": 1.2,
        "Organ near-max <= 40 Gy": 40.0,
    }
    for text, value in values.items():
        result = evaluate_goal(parse_goal(text), found, prescription_gy=50.0)
        assert result.value == pytest.approx(value), text
