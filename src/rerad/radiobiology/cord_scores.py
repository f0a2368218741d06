"""Published rules for the spinal cord; they are refused where there is no cord.

Below the end of the conus (about L1-L2) the canal holds the cauda equina: cord rules say nothing
there, and the limits of cauda equina and sacral plexus govern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology.linear_quadratic import bed
from rerad.tables import load_table, source_of


class SpineLevel(StrEnum):
    """Where along the spine."""

    CERVICAL = "cervical"
    THORACIC = "thoracic"
    LUMBAR_ABOVE_CONUS_END = "lumbar, above the end of the conus"
    BELOW_CONUS = "below the conus"


class MyelopathyRisk(StrEnum):
    """Risk group of the Nieder score."""

    LOW = "low"
    INTERMEDIATE = "intermediate"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class NiederScore:
    """Result of the Nieder score.

    Parameters
    ----------
    cumulative_bed_gy : float
        Sum of the courses' BED in Gy.
    points : float
        Total points.
    risk : MyelopathyRisk
        Risk group.
    risk_percent : float
        Myelopathy observed in that group.
    alpha_beta_gy : float
        Alpha/beta used.
    citation, trust : str
        Source.
    """

    cumulative_bed_gy: float
    points: float
    risk: MyelopathyRisk
    risk_percent: float
    alpha_beta_gy: float
    citation: str
    trust: str


@dataclass(frozen=True, slots=True)
class HytecFactor:
    """One of the four HyTEC factors of lower risk: what it asks, what was found, whether it holds.

    `holds` is None where the number is unknown.
    """

    name: str
    asked: float
    found: float | None
    holds: bool | None
    citation: str


def nieder_score(
    courses: Sequence[tuple[float, int]], *, interval_months: float | None, level: SpineLevel
) -> NiederScore:
    """Score the risk of myelopathy after two or more courses to the cord.

    Parameters
    ----------
    courses : sequence of (float, int)
        Cord dose of each course in Gy (near maximum) and its number of fractions, in order; at
        least two.
    interval_months : float or None
        Shortest interval between courses.
    level : SpineLevel
        Where the cord was irradiated.

    Raises
    ------
    InputError
        Below the conus, where there is no cord, or for fewer than two courses or a negative
        interval.
    MissingDataError
        If the interval is unknown: score both sides of the table's limit and show both.

    References
    ----------
    .. [1] Nieder et al. (2006), PMID 17084560. Points read from a transcription of the paper.
    """
    if level is SpineLevel.BELOW_CONUS:
        msg = (
            "the Nieder score is for the spinal cord, got a level below the conus, where there "
            "is none; use the limits of cauda equina and sacral plexus"
        )
        raise InputError(msg)
    if len(courses) < 2:
        msg = f"expected two courses or more for the Nieder score, got {len(courses)}"
        raise InputError(msg)
    if interval_months is None:
        msg = (
            "the Nieder score needs the interval between courses, which is unknown; score an "
            "interval on either side of six months and show both"
        )
        raise MissingDataError(msg)
    if not 0 <= interval_months < np.inf:
        msg = f"expected an interval of 0 months or more, got {interval_months}"
        raise InputError(msg)
    rule = load_table("tolerances")["nieder_score"]
    alpha_beta_gy = float(rule["alpha_beta_gy"][level.name.lower()])
    beds = [bed(dose_gy, n_fractions, alpha_beta_gy) for dose_gy, n_fractions in courses]
    # Doses are known to hundredths of a Gy; rounding keeps 120.0 Gy from falling into 120-130.
    excess = round(sum(beds) - float(rule["zero_points_up_to_bed_gy"]), 6)
    steps = math.ceil(excess / float(rule["bed_step_gy"]))
    points = min(max(float(steps), 0.0), float(rule["max_bed_points"]))
    if interval_months < float(rule["short_interval_months"]):
        points += float(rule["short_interval_points"])
    if max(beds) >= float(rule["high_course_bed_gy"]):
        points += float(rule["high_course_points"])
    risk = MyelopathyRisk.HIGH
    if points <= float(rule["low_up_to_points"]):
        risk = MyelopathyRisk.LOW
    elif points <= float(rule["intermediate_up_to_points"]):
        risk = MyelopathyRisk.INTERMEDIATE
    source = source_of(rule, "tolerances nieder_score")
    return NiederScore(
        cumulative_bed_gy=sum(beds),
        points=points,
        risk=risk,
        risk_percent=float(rule[f"risk_percent_{risk.value}"]),
        alpha_beta_gy=alpha_beta_gy,
        citation=source.text,
        trust=source.trust,
    )


def hytec_factors(
    *,
    cumulative_eqd2_gy: float,
    sbrt_eqd2_gy: float,
    interval_months: float | None,
    level: SpineLevel,
) -> tuple[HytecFactor, ...]:
    """Check the four factors that together mark a lower risk in spine SBRT re-irradiation.

    Parameters
    ----------
    cumulative_eqd2_gy : float
        Point maximum of the thecal sac over all courses, EQD2 at alpha/beta 2 Gy, without any
        recovery discount.
    sbrt_eqd2_gy : float
        The SBRT course's share of it.
    interval_months : float or None
        Interval to the SBRT course; None leaves that factor undecided.
    level : SpineLevel
        Where along the spine.

    Raises
    ------
    InputError
        Below the conus, or if a dose is negative or the share exceeds the sum.

    References
    ----------
    .. [1] Sahgal et al. (2021), HyTEC, doi:10.1016/j.ijrobp.2019.09.038.
    """
    if level is SpineLevel.BELOW_CONUS:
        msg = (
            "the HyTEC cord factors are for the thecal sac around the cord, got a level below "
            "the conus; use the limits of cauda equina and sacral plexus"
        )
        raise InputError(msg)
    if not 0 <= sbrt_eqd2_gy <= cumulative_eqd2_gy < np.inf or cumulative_eqd2_gy == 0:
        msg = (
            "expected an SBRT dose between 0 and the cumulative dose, "
            f"got {sbrt_eqd2_gy} of {cumulative_eqd2_gy} Gy"
        )
        raise InputError(msg)
    rule = load_table("tolerances")["hytec_factors"]
    text = source_of(rule, "tolerances hytec_factors").text
    share = sbrt_eqd2_gy / cumulative_eqd2_gy

    def at_most(name: str, key: str, found: float) -> HytecFactor:
        asked = float(rule[key])
        return HytecFactor(name, asked, found, found <= asked, text)

    shortest = float(rule["min_interval_months"])
    is_long = None if interval_months is None else interval_months >= shortest
    return (
        at_most("cumulative thecal sac Dmax, Gy EQD2", "max_cumulative_gy", cumulative_eqd2_gy),
        at_most("SBRT course Dmax, Gy EQD2", "max_sbrt_course_gy", sbrt_eqd2_gy),
        at_most("SBRT share of the cumulative dose", "max_sbrt_share", share),
        HytecFactor("interval, months", shortest, interval_months, is_long, text),
    )
