"""Rules for the spinal cord beside limits: the Nieder score and the four factors of HyTEC.

Both hold at the level of the cord only; without a stated level above the end of the conus neither
is applied, and a finding says why. Today's course is taken to give the cord its highest
prescription in full, which is the cautious reading before there is a plan.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rerad.core import Finding, Severity
from rerad.evaluation import dvh
from rerad.planning.budget import limit_organ, shortest_interval_months
from rerad.planning.inputs import PlanningInputs
from rerad.planning.result import PriorCourse
from rerad.radiobiology import (
    HytecFactor,
    NiederScore,
    SpineLevel,
    eqd2,
    hytec_factors,
    nieder_score,
)
from rerad.tables import load_table

CORD_ORGANS = ("spinal cord", "thecal sac")
"""Organs that cord rules speak of."""

MOST_SBRT_FRACTIONS = 5
"""HyTEC's factors are for spine SBRT, 1 to 5 fractions (doi:10.1016/j.ijrobp.2019.09.038)."""


@dataclass(frozen=True, slots=True)
class CordScore:
    """The Nieder score of one structure under one interval."""

    structure: str
    interval: str
    score: NiederScore


@dataclass(frozen=True, slots=True)
class HytecCheck:
    """The four factors of lower risk for one structure."""

    structure: str
    factors: tuple[HytecFactor, ...]


@dataclass(frozen=True, slots=True)
class CordRules:
    """What cord rules say of a case.

    Parameters
    ----------
    scores : tuple of CordScore
        For each drawn cord or thecal sac and interval.
    hytec : tuple of HytecCheck
        For each drawn thecal sac.
    findings : tuple of Finding
        Why none was applied.
    """

    scores: tuple[CordScore, ...] = ()
    hytec: tuple[HytecCheck, ...] = ()
    findings: tuple[Finding, ...] = ()


def cord_rules(inputs: PlanningInputs, priors: Sequence[PriorCourse]) -> CordRules:
    """Apply cord rules where there is a cord; refuse by name where there is none.

    Parameters
    ----------
    inputs : PlanningInputs
        Structures, prescription, level along the spine.
    priors : sequence of PriorCourse
        Earlier courses on the dose grid.
    """
    drawn = [s for s in inputs.structures.structures if limit_organ(s.name) in CORD_ORGANS]
    drawn = [s for s in drawn if not s.is_empty]
    if not drawn or not priors or inputs.courses_without_dose:
        return CordRules()
    names = ", ".join(s.name for s in drawn)
    level = inputs.settings.spine_level
    if level is None or level is SpineLevel.BELOW_CONUS:
        why = (
            "the level along the spine is not stated; give planning.spine_level, or --level"
            if level is None
            else "there is no spinal cord below the conus; cauda equina and plexus limits govern"
        )
        text = f"{names}: no cord rule (HyTEC, Nieder score) was applied, because {why}."
        return CordRules(
            findings=(Finding(Severity.CAUTION, "cord-rules-not-applied", text, names),)
        )
    scores: list[CordScore] = []
    checks: list[HytecCheck] = []
    for structure in drawn:
        end_slab = inputs.settings.end_slab
        doses = [dvh(p.physical_on_planning, structure, end_slab=end_slab).max_gy for p in priors]
        if not all(np.isfinite(doses)):
            continue
        scores += _nieder(inputs, structure.name, doses, level)
        if limit_organ(structure.name) == "thecal sac":
            checks += _hytec(inputs, structure.name, doses, level)
    return CordRules(tuple(scores), tuple(checks))


def _today(inputs: PlanningInputs) -> tuple[float, int]:
    """Return the highest prescription and the fractions of today's course."""
    highest = max((item.dose_gy for item in inputs.current.prescriptions), default=0.0)
    return highest, inputs.current.n_fractions_planned or 1


def _courses(inputs: PlanningInputs, doses_gy: Sequence[float]) -> list[tuple[float, int]]:
    """Return highest dose and fractions of each earlier course, as delivered."""
    given = [item.course.n_fractions_delivered or 1 for item in inputs.priors]
    return list(zip(doses_gy, given, strict=True))


def _nieder(
    inputs: PlanningInputs, name: str, doses_gy: Sequence[float], level: SpineLevel
) -> list[CordScore]:
    """Score a structure; on both sides of six months where the interval is unknown."""
    known = shortest_interval_months(inputs)
    intervals = {f"{known:.1f} months": known} if known is not None else {}
    if known is None:
        intervals = {"interval below 6 months": 5.9, "interval of 6 months or more": 6.0}
    courses = [*_courses(inputs, doses_gy), _today(inputs)]
    return [
        CordScore(name, label, nieder_score(courses, interval_months=months, level=level))
        for label, months in intervals.items()
    ]


def _hytec(
    inputs: PlanningInputs, name: str, doses_gy: Sequence[float], level: SpineLevel
) -> list[HytecCheck]:
    """Check the factors of HyTEC if today's course is one of few fractions."""
    today_gy, n_fractions = _today(inputs)
    if n_fractions > MOST_SBRT_FRACTIONS or today_gy <= 0:
        return []
    alpha_beta = float(load_table("tolerances")["hytec_factors"]["alpha_beta_gy"])
    before = sum(eqd2(gy, n, alpha_beta) for gy, n in _courses(inputs, doses_gy))
    sbrt = eqd2(today_gy, n_fractions, alpha_beta)
    factors = hytec_factors(
        cumulative_eqd2_gy=before + sbrt,
        sbrt_eqd2_gy=sbrt,
        interval_months=shortest_interval_months(inputs),
        level=level,
    )
    return [HytecCheck(name, factors)]
