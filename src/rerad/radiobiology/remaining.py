r"""What published limits leave for a course to come, under every assumption not excluded.

.. math:: \mathrm{EQD2}_{left} = L - (1 - \rho)\sum_i \mathrm{EQD2}_i

A limit on the raw sum goes with no recovery factor, a limit on the discounted sum with those of a
recovery table; they are never mixed. An unknown interval gives one row for each interval class,
never one number. Doses in Gy, intervals in months.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rerad.core import RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology.cord_scores import SpineLevel
from rerad.radiobiology.linear_quadratic import eqd2, physical_from_eqd2
from rerad.radiobiology.recovery import RecoveryScenario, recovery_scenarios
from rerad.radiobiology.recovery_models import (
    RECOVERY_MODELS,
    break_even_months,
    model_break_even_months,
    model_scenarios,
    recovery_needed,
)
from rerad.radiobiology.tolerance import Limit, check_basis, limits_for, rule_sets


@dataclass(frozen=True, slots=True)
class Assumption:
    """One limit under one assumption about recovery.

    Parameters
    ----------
    label : str
        The assumption in words: an interval class, or what the limit itself assumes.
    limit : Limit
        The published limit.
    recovery_fraction : float
        Taken off earlier courses; 0 for a limit on the raw sum.
    citation : str
        Of the recovery factor, or of the limit if there is none.
    """

    label: str
    limit: Limit
    recovery_fraction: float
    citation: str


@dataclass(frozen=True, slots=True)
class RemainingTolerance:
    """What one limit leaves under one assumption.

    Parameters
    ----------
    assumption : Assumption
        Which.
    prior_eqd2_gy : float
        Earlier courses after recovery; NaN where unknown.
    remaining_eqd2_gy : float
        At least 0.
    remaining_physical_gy : float
        The same in the fractions of the course to come.
    excess_eqd2_gy : float
        By how much earlier courses alone exceed the limit; 0 if they do not.
    """

    assumption: Assumption
    prior_eqd2_gy: float
    remaining_eqd2_gy: float
    remaining_physical_gy: float
    excess_eqd2_gy: float


def assumptions_for(
    organ: str,
    rule_set_name: str,
    recovery_table_name: str,
    interval_months: float | None,
    *,
    level: SpineLevel | None = None,
    courses: Sequence[tuple[float, int]] = (),
) -> tuple[Assumption, ...]:
    """Return each limit of an organ under each assumption that cannot be excluded.

    Parameters
    ----------
    organ : str
        Organ of the tables or TG-263 structure name.
    rule_set_name : str
        Of the limits.
    recovery_table_name : str
        Recovery factors for limits on the discounted sum.
    interval_months : float or None
        Since the earlier course; None keeps every limit and every class.
    level : SpineLevel or None
        Where along the spine, for limits of the cord.
    courses : sequence of (float, int)
        Earlier courses; needed where recovery is a model in the place of a table.

    Returns
    -------
    tuple of Assumption
        Empty where the rule set says nothing of the organ, which is no permission. Volumes to be
        spared are left out: they are judged on the whole organ, not at one point.
    """
    found: list[Assumption] = []
    for limit in limits_for(organ, rule_set_name, interval_months, level=level):
        if limit.spared_volume_cc is None:
            found.extend(
                assumptions_under(
                    limit, recovery_table_name, organ, interval_months, courses=courses
                )
            )
    return tuple(found)


def assumptions_under(
    limit: Limit,
    recovery_name: str,
    organ: str,
    interval_months: float | None,
    *,
    courses: Sequence[tuple[float, int]] = (),
) -> tuple[Assumption, ...]:
    """Return one limit under each assumption about recovery that cannot be excluded.

    Parameters
    ----------
    limit : Limit
        On a dose, published or of the user's own.
    recovery_name : str
        Table or model of recovery, if the limit is stated for the discounted sum.
    organ : str
        For the table.
    interval_months : float or None
        Since the earlier course; None keeps every class.
    courses : sequence of (float, int)
        Earlier courses, for a model: the limit is the tolerance of which they used a share.

    Returns
    -------
    tuple of Assumption
        Empty where the table does not state the interval.
    """
    if limit.recovery_basis is RecoveryBasis.RAW:
        return (Assumption(raw_label(limit), limit, 0.0, limit.citation),)
    if recovery_name in RECOVERY_MODELS:
        given = sum(eqd2(gy, n, limit.alpha_beta_gy) for gy, n in courses)
        scenarios = model_scenarios(
            recovery_name, organ, interval_months, used_share=given / limit.limit_gy
        )
    else:
        scenarios = tuple(
            item
            for item in recovery_scenarios(recovery_name, organ)
            if interval_months is None or _covers(item, interval_months)
        )
    found = []
    for scenario in scenarios:
        check_basis(limit, scenario.fraction)
        found.append(Assumption(scenario.label, limit, scenario.fraction, scenario.citation))
    return tuple(found)


def raw_label(limit: Limit) -> str:
    """Say for which intervals a limit on the raw sum is stated."""
    if limit.condition:
        return limit.condition
    low, high = limit.interval_months_min, limit.interval_months_max
    if low is None:
        return "any interval" if high is None else f"< {high:g} months"
    return f">= {low:g} months" if high is None else f"{low:g}-{high:g} months"


def _covers(scenario: RecoveryScenario, interval_months: float) -> bool:
    """Return whether an interval lies in a scenario's class."""
    upper = np.inf if scenario.months_to is None else scenario.months_to
    return scenario.months_from <= interval_months < upper


def remaining_tolerance(
    assumption: Assumption, prior_eqd2_gy: float, *, n_fractions: int
) -> RemainingTolerance:
    """Return what a limit leaves for a course of `n_fractions` equal fractions.

    Parameters
    ----------
    assumption : Assumption
        Limit and recovery.
    prior_eqd2_gy : float
        Earlier courses without recovery, EQD2 at the limit's alpha/beta; NaN where unknown.
    n_fractions : int
        Fractions of the course to come, at least 1.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if prior_eqd2_gy < 0:
        msg = f"expected an earlier EQD2 of 0 Gy or more, got {prior_eqd2_gy}"
        raise InputError(msg)
    limit = assumption.limit
    given = (1.0 - assumption.recovery_fraction) * prior_eqd2_gy
    left = limit.limit_gy - given
    physical = physical_from_eqd2(left, n_fractions=n_fractions, alpha_beta_gy=limit.alpha_beta_gy)
    return RemainingTolerance(
        assumption=assumption,
        prior_eqd2_gy=given,
        remaining_eqd2_gy=float(np.maximum(left, 0.0)),
        remaining_physical_gy=physical,
        excess_eqd2_gy=float(np.maximum(-left, 0.0)),
    )


def remaining_after(
    organ: str,
    courses: Sequence[tuple[float, int]],
    assumptions: Sequence[Assumption],
    *,
    n_fractions: int,
) -> tuple[RemainingTolerance, ...]:
    """Return what is left after courses of known dose and fractions, for each assumption.

    Parameters
    ----------
    organ : str
        For the message.
    courses : sequence of (float, int)
        Organ dose in Gy of each earlier course and its number of fractions.
    assumptions : sequence of Assumption
        Of :func:`assumptions_for`.
    n_fractions : int
        Fractions of the course to come.

    Raises
    ------
    MissingDataError
        If no limit is known for the organ.
    """
    if not assumptions:
        sets = ", ".join(rules.name for rules in rule_sets())
        msg = (
            f"no cumulative limit for {organ!r} in the chosen rule sets (there are {sets}), and "
            "that is no permission; give a limit of your own with its alpha/beta"
        )
        raise MissingDataError(msg)
    return tuple(
        remaining_tolerance(
            item,
            sum(eqd2(gy, n, item.limit.alpha_beta_gy) for gy, n in courses),
            n_fractions=n_fractions,
        )
        for item in assumptions
    )


def break_even_interval(
    limit: Limit,
    recovery_table_name: str,
    organ: str,
    *,
    prior_eqd2_gy: float,
    today_eqd2_gy: float,
) -> float | None:
    """Return the shortest interval in months at which today's course fits under a limit.

    Parameters
    ----------
    limit : Limit
        On the discounted sum: a raw limit has no recovery to wait for.
    recovery_table_name : str
        Which recovery to grant.
    organ : str
        Organ or structure.
    prior_eqd2_gy, today_eqd2_gy : float
        EQD2 at the limit's alpha/beta.

    Returns
    -------
    float or None
        0 if it fits without recovery; None if no interval of the table is long enough.

    Raises
    ------
    InputError
        For a limit on the raw sum.
    """
    if limit.recovery_basis is RecoveryBasis.RAW:
        msg = (
            f"{limit.organ} {limit.metric} {limit.limit_gy:g} Gy ({limit.rule_set}) is stated for "
            "a raw sum; no interval changes the sum, so there is none to break even at"
        )
        raise InputError(msg)
    needed = recovery_needed(
        earlier_eqd2_gy=prior_eqd2_gy, today_eqd2_gy=today_eqd2_gy, limit_gy=limit.limit_gy
    )
    if recovery_table_name in RECOVERY_MODELS:
        return model_break_even_months(
            recovery_table_name, organ, needed, used_share=prior_eqd2_gy / limit.limit_gy
        )
    return break_even_months(recovery_table_name, organ, needed)
