"""Goals part by part: what a target shares with an organ, the rest, the other side."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rerad.core import Dose, Mask, RecordGrade, StructureKind, StructureSet
from rerad.evaluation import Verdict, parse_goal
from rerad.planning import PlanningInputs, rasterize_all
from rerad.planning.budget import make_budget
from rerad.planning.checks import goal_findings, overlap_findings
from rerad.planning.goal_results import goal_problem, part_volumes_cc
from rerad.planning.judge import delivery_state, summary_rows
from rerad.planning.judgement import Judgement, organ_of_part, other_side
from rerad.planning.result import DeliveryState
from rerad.planning.value_text import value_text
from rerad.radiobiology import eqd2

ACCEPTED = (("SacralPlex_R", "the target lies in it."),)
PRIOR_EQD2 = float(eqd2(45.0, 25, 2.0))


def dose_of(inputs: PlanningInputs, inside_gy: float, outside_gy: float) -> Dose:
    """Return one dose in the target's box and another around it."""
    grid = inputs.image.grid
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    is_target = (np.abs(x) < 20) & (np.abs(y) < 20) & (np.abs(z) < 20)
    return Dose(np.where(is_target, inside_gy, outside_gy), grid)


@pytest.fixture(scope="module")
def judge(
    make_inputs: Callable, carry: Callable
) -> Callable[..., tuple[Judgement, DeliveryState]]:
    """Return a judge of goals and an outside dose; what does not depend on them is made once."""
    right_only = make_inputs(accepted_breaches=ACCEPTED)
    both_sides = replace(right_only, structures=mirrored(right_only.structures))
    masks = rasterize_all(both_sides.structures, both_sides.image.grid)
    priors = tuple(carry(prior, 2.0, 2.5, 3.0, 5.0, 10.0) for prior in right_only.priors)

    @cache
    def judged(
        *goals: str, inside_gy: float = 41.0, outside_gy: float = 5.0, has_left: bool = True
    ) -> tuple[Judgement, DeliveryState]:
        base = both_sides if has_left else right_only
        inputs = replace(base, goals=tuple(parse_goal(text) for text in goals))
        dose = dose_of(inputs, inside_gy, outside_gy)
        held = {name: mask for name, mask in masks.items() if name in inputs.structures}
        _, limits = make_budget(inputs, priors)
        judgement = Judgement(inputs, priors, limits, held, dose.grid)
        wanted = {goal.structure for goal in inputs.goals}
        dvhs = {name: judgement.histogram(dose, name) for name in wanted}
        return judgement, delivery_state(judgement, dose, dvhs, 22)

    return judged


def mirrored(structures: StructureSet) -> StructureSet:
    """Return the structures with the plexus of the left side, away from the target's middle."""
    right = structures["SacralPlex_R"]
    moved = tuple(
        replace(contour, points_mm=contour.points_mm * [-1, 1] + [22, 0])
        for contour in right.contours
    )
    left = replace(right, name="SacralPlex_L", contours=moved)
    return replace(structures, structures=(*structures.structures, left))


def by_name(state: DeliveryState, metric: str = "D0.1cc") -> dict[str, object]:
    return {item.goal.structure: item for item in state.goals if item.goal.metric == metric}


def test_names_of_parts_and_sides() -> None:
    assert organ_of_part("SacralPlex_R-PTV") == organ_of_part("SacralPlex_R&PTV") == "SacralPlex_R"
    assert other_side("SacralPlex_R") == "SacralPlex_L"
    assert other_side("Kidney_L") == "Kidney_R"
    assert other_side("Bladder") is None
    assert other_side("Spinal_LR") is None


def test_the_parts_make_up_the_organ(judge: Callable) -> None:
    judgement, _ = judge()
    volumes = part_volumes_cc(judgement, "SacralPlex_R")
    assert sum(volumes.values()) == pytest.approx(judgement.masks["SacralPlex_R"].volume_cc)
    # The organ reaches from x = -40 to 0, the target from -20: half of it each.
    assert volumes["SacralPlex_R&PTV"] == pytest.approx(20 * 20 * 40 / 1000, rel=0.1)


def test_each_part_is_judged_against_the_limit(judge: Callable) -> None:
    judgement, state = judge()
    found = by_name(state)
    shared, rest = found["SacralPlex_R&PTV"], found["SacralPlex_R-PTV"]
    assert shared.value == pytest.approx(PRIOR_EQD2 + float(eqd2(41.0, 22, 2.0)), abs=0.02)
    assert rest.value == pytest.approx(PRIOR_EQD2 + float(eqd2(5.0, 22, 2.0)), abs=0.02)
    assert found["SacralPlex_L"].verdict is Verdict.MET
    assert (shared.verdict, rest.verdict) == (Verdict.ACCEPTED, Verdict.MET)
    assert found["SacralPlex_R"].verdict is Verdict.ACCEPTED
    # The rule set judges the left plexus itself: it is not in the list twice.
    assert sum(item.goal.structure == "SacralPlex_L" for item in state.goals) == 1
    rows = {row.structure: row for row in summary_rows(judgement, state, None)}
    assert {"SacralPlex_R", "SacralPlex_R&PTV", "SacralPlex_R-PTV", "SacralPlex_L"} <= set(rows)
    assert rows["SacralPlex_R&PTV"].prior_eqd2_gy == pytest.approx(PRIOR_EQD2, abs=0.01)
    assert rows["SacralPlex_R&PTV"].cumulative_eqd2_gy == shared.value


def test_one_sentence_says_what_is_breached_where_and_what_holds(judge: Callable) -> None:
    judgement, state = judge()
    found = [f for f in goal_findings(judgement, state) if f.code == "limit-knowingly-exceeded"]
    shared = PRIOR_EQD2 + float(eqd2(41.0, 22, 2.0))
    assert len(found) == 1
    text = found[0].text
    assert text.startswith(
        "planned, 22 fractions: the limit D0.1cc <= 67 Gy EQD2(a/b 2) cumulative of SacralPlex_R "
        f"is knowingly exceeded by {shared - 67:.2f} Gy in the part shared with the targets "
        f"(SacralPlex_R&PTV, {shared:.2f} Gy, "
    )
    rest = PRIOR_EQD2 + float(eqd2(5.0, 22, 2.0))
    assert f"; the rest (SacralPlex_R-PTV, {rest:.2f} Gy) holds it" in text
    assert text.count("holds it") == 2
    assert "; the other side (SacralPlex_L, " in text
    assert text.endswith("Reason given: the target lies in it.")
    overlap = overlap_findings(judgement)[0].text
    assert "SacralPlex_R&PTV" in overlap
    assert "the other side as SacralPlex_L." in overlap


def test_a_breach_outside_the_target_is_nobody_s_to_accept(judge: Callable) -> None:
    judgement, state = judge(outside_gy=39.0, has_left=False)
    assert by_name(state)["SacralPlex_R-PTV"].verdict is Verdict.EXCEEDED
    findings = goal_findings(judgement, state)
    exceeded = [f for f in findings if f.code == "limit-exceeded"]
    assert "SacralPlex_R-PTV" in {finding.where for finding in exceeded}
    text = next(f.text for f in findings if f.code == "limit-knowingly-exceeded")
    assert "does not hold it" in text
    assert "the other side (SacralPlex_L) is not drawn" in text


def test_a_limit_that_holds_is_no_breach(judge: Callable) -> None:
    judgement, state = judge(inside_gy=10.0)
    assert by_name(state)["SacralPlex_R&PTV"].verdict is Verdict.MET
    codes = {finding.code for finding in goal_findings(judgement, state)}
    assert "limit-knowingly-exceeded" not in codes


def test_the_users_own_limit_is_judged_in_parts_too(judge: Callable) -> None:
    judgement, state = judge("SacralPlex_R Dmean[EQD2] <= 66 ab=2.5 must")
    found = by_name(state, "Dmean")
    assert list(found) == ["SacralPlex_R", "SacralPlex_R&PTV", "SacralPlex_R-PTV", "SacralPlex_L"]
    # The mean of the whole holds, that of the shared part does not: it is said of that part.
    assert found["SacralPlex_R"].verdict is Verdict.MET
    assert found["SacralPlex_R&PTV"].verdict is Verdict.ACCEPTED
    texts = [f.text for f in goal_findings(judgement, state) if "Dmean" in f.text]
    assert len(texts) == 1
    assert "in the part shared with the targets (SacralPlex_R&PTV" in texts[0]
    assert all(result.goal.is_hard for result in found.values())


def test_a_part_smaller_than_the_metric_is_not_judged(judge: Callable) -> None:
    judgement, state = judge("SacralPlex_R D20cc[EQD2] <= 40 ab=2")
    assert list(by_name(state, "D20cc")) == ["SacralPlex_R", "SacralPlex_L"]
    text = next(f.text for f in goal_findings(judgement, state) if "D20cc" in f.text)
    assert "though SacralPlex_R&PTV holds" in text
    assert "is smaller than the volume of the metric" in text


def test_conformity_and_fall_off_are_judged_and_listed(judge: Callable) -> None:
    texts = (
        "PTV_4000 CI >= 0.9",
        "PTV_4000 HI <= 0.1",
        "PTV_4000 R50% <= 1.5",
        "Body R10% <= 50",
        "Body D2cm <= 20 %",
        "Bladder D2cm <= 5.5 Gy",
        "Body Dmax <= 107 %",
    )
    judgement, state = judge(*texts)
    found = dict(zip(texts, state.goals, strict=False))
    target_cc = judgement.masks["PTV_4000"].volume_cc
    body_cc = judgement.masks["Body"].volume_cc
    own = judgement.histogram(dose_of(judgement.inputs, 41.0, 5.0), "PTV_4000")
    covered = own.volume_at_dose(40.0) / own.volume_cc
    assert found["PTV_4000 CI >= 0.9"].value == pytest.approx(covered, abs=0.02)
    assert found["PTV_4000 HI <= 0.1"].goal.unit == ""
    # Between 41 Gy at 19.5 mm and 5 Gy at 22.5 mm the trilinear dose is a product of ramps.
    ramp = np.clip((22.5 - np.abs(np.arange(-22.4, 22.5, 0.2))) / 3, 0, 1)
    weight = ramp[:, None, None] * ramp[:, None] * ramp
    isodose_cc = np.count_nonzero(5 + 36 * weight >= 20) * 0.2**3 / 1000
    expected = pytest.approx(isodose_cc / own.volume_cc, rel=0.01)
    assert found["PTV_4000 R50% <= 1.5"].value == expected
    # 10 % of 40 Gy is under the 5 Gy everywhere in the body.
    assert found["Body R10% <= 50"].value == pytest.approx(body_cc / target_cc, rel=0.01)
    assert found["Body D2cm <= 20 %"].value == pytest.approx(12.5)
    assert found["Bladder D2cm <= 5.5 Gy"].value == pytest.approx(5.0)
    assert found["Body Dmax <= 107 %"].value == pytest.approx(102.5)
    rows = {(row.structure, row.metric) for row in summary_rows(judgement, state, None)}
    assert not {metric for _, metric in rows} & {"CI", "HI", "R50%", "D2cm"}


def test_delivered_fractions_have_the_same_shape(judge: Callable) -> None:
    """Shape does not change with the number of fractions; dose far away in Gy does."""
    texts = ("PTV_4000 CI >= 0.9", "PTV_4000 R50% <= 2", "Body D2cm <= 20 %", "Body D2cm <= 9 Gy")
    judgement, planned = judge(*texts)
    dose = dose_of(judgement.inputs, 41.0, 5.0)
    dvhs = {"PTV_4000": judgement.histogram(dose, "PTV_4000")}
    delivered = delivery_state(judgement, dose, dvhs, 11)
    for now, later in list(zip(planned.goals, delivered.goals, strict=True))[:3]:
        assert later.value == pytest.approx(now.value, rel=1e-6)
    assert delivered.goals[3].value == pytest.approx(planned.goals[3].value / 2)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PTV_4000 D95% >= 95 %", None),
        ("Body Dmax <= 107 %", None),
        ("GTV D95% >= 38 Gy", None),
        ("GTV D95% >= 95 %", "the target GTV has none"),
        ("GTV V95% >= 95 %", "the target GTV has none"),
        ("GTV R50% <= 5", "the target GTV has none"),
        ("Body CI >= 0.7", "of a prescribed target, and Body is none"),
        ("GTV CI >= 0.7", "of a prescribed target, and GTV is none"),
        ("Couch Dmax <= 10 Gy", "Couch is a support"),
    ],
)
def test_goals_that_no_plan_could_answer_are_known_before(
    text: str, problem: str | None, structures: StructureSet
) -> None:
    gross = replace(structures["PTV_4000"], name="GTV", kind=StructureKind.GTV)
    couch = replace(structures["Bladder"], name="Couch", kind=StructureKind.SUPPORT)
    drawn = replace(structures, structures=(*structures.structures, gross, couch))
    found = goal_problem(parse_goal(text), drawn, ["PTV_4000"])
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_a_metric_larger_than_its_structure_says_so(judge: Callable) -> None:
    judgement, state = judge("Bladder D900cc <= 10 Gy")
    finding = next(f for f in goal_findings(judgement, state) if f.code == "goal-unknown")
    assert "as large, or as far away, as the metric asks" in finding.text


def test_hard_goals_that_are_missed_are_serious(judge: Callable) -> None:
    judgement, state = judge("Bladder Dmax <= 3 Gy must")
    finding = next(f for f in goal_findings(judgement, state) if f.where == "Bladder")
    assert (finding.code, finding.severity.value) == ("limit-exceeded", "serious")


def test_the_union_of_targets_counts_a_voxel_once(judge: Callable) -> None:
    judgement, _ = judge()
    inputs = judgement.inputs
    twice = replace(
        inputs.current,
        prescriptions=(*inputs.current.prescriptions, *inputs.current.prescriptions),
    )
    doubled = replace(judgement, inputs=replace(inputs, current=twice))
    goal = parse_goal("Body D2cm <= 20 %")
    dose = dose_of(inputs, 41.0, 5.0)
    once_cc = judgement.plan_shape(goal, dose, 1.0).target.volume_cc
    assert doubled.plan_shape(goal, dose, 1.0).target.volume_cc == pytest.approx(once_cc)
    assert isinstance(judgement.region("SacralPlex_R&PTV"), Mask)


def test_a_course_that_is_a_bound_says_at_most_and_exceeds_nothing_where_unknown(
    make_inputs: Callable, carry: Callable
) -> None:
    """The plexus is bounded by 45 Gy, what touches it is not known to have had them."""
    inputs = make_inputs()
    inputs = replace(inputs, goals=(parse_goal("SacralPlex_R D0.1cc[EQD2] <= 60 ab=2"),))
    masks = rasterize_all(inputs.structures, inputs.image.grid)
    prior = carry(inputs.priors[0], 2.0, 2.5, 3.0, 10.0)
    prior = replace(prior, course=replace(prior.course, grade=RecordGrade.DVH_OR_POINTS))
    low = float(eqd2(22.0, 22, 2.0))

    def result(prior):
        judgement = Judgement(inputs, (prior,), (), masks, inputs.image.grid)
        dose = Dose(np.full(inputs.image.grid.shape, 22.0), inputs.image.grid)
        return delivery_state(judgement, dose, {}, 22).goals[0]

    whole = result(prior)
    assert whole.is_upper_bound
    assert (whole.low, whole.value) == pytest.approx((low, PRIOR_EQD2 + low), abs=0.01)
    assert value_text(whole).startswith("at most 59")
    assert whole.verdict is Verdict.MET
    known = np.array(prior.eqd2_on_planning[2.0].values)
    known[:13] = np.nan
    part = replace(prior.eqd2_on_planning[2.0], values=known + 30.0)
    cut = result(replace(prior, eqd2_on_planning={**prior.eqd2_on_planning, 2.0: part}))
    # 73 Gy beside the organ's unknown half are a bound as well: nobody knows them exceeded.
    assert cut.verdict is Verdict.UNKNOWN
    assert cut.low == pytest.approx(low, abs=0.01)
