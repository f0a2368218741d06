r"""Recovery as a function of time, and the interval at which a second course would fit.

Two models of the spinal cord stand beside the tables. The exponential one is read:
:math:`\rho(t) = \rho_{max}\,(1 - 2^{-t/T})`. The power law

.. math:: y = (1 - x)^{1/(r(t)+1)}

gives the share y of a full tolerance that may still be given after a first course that used the
share x of it; it is rerad's own calibration on one primate experiment, for research only.
"""

import math

import numpy as np

from rerad.errors import InputError, MissingDataError
from rerad.radiobiology.organs import organ_of
from rerad.radiobiology.recovery import RecoveryScenario, recovery_scenarios
from rerad.tables import load_table, source_of
from rerad.units import DAYS_PER_MONTH

RECOVERY_MODELS = ("exponential", "power")
"""Models that may be asked for in the place of a recovery table."""

_LABELS = {"exponential": "exponential", "power": "power law (research)"}

SHOWN_MONTHS = (0.0, 6.0, 12.0, 24.0, 36.0)
"""Intervals at which a model is shown where the interval is unknown."""


def _require(organ: str, model: str, months: float) -> None:
    """Raise unless the model is stated for the organ and the interval is usable."""
    stated = str(load_table("recovery")[model]["organ"])
    if organ_of(organ) != stated:
        msg = f"the {model} recovery model is stated for {stated}, got {organ}; use a table"
        raise MissingDataError(msg)
    if not 0 <= months < np.inf:
        msg = f"expected an interval of 0 months or more, got {months}"
        raise InputError(msg)


def exponential_recovery(organ: str, months: float) -> float:
    """Return the share of an earlier course that the exponential cord model takes as forgotten.

    Parameters
    ----------
    organ : str
        Must be the spinal cord.
    months : float
        Interval between the courses.

    Raises
    ------
    MissingDataError
        For another organ.
    InputError
        If the interval is negative.
    """
    _require(organ, "exponential", months)
    model = load_table("recovery")["exponential"]
    gone = 1.0 - math.exp2(-months / float(model["half_time_months"]))
    return float(model["max_fraction"]) * gone


def power_recovery(organ: str, used_share: float, months: float) -> float:
    """Return the share of a full tolerance that is left for a second course, by the power law.

    Parameters
    ----------
    organ : str
        Must be the spinal cord.
    used_share : float
        Share of the single-course tolerance that the first course used, 0 to 1 (as BED or EQD2).
    months : float
        Interval between the courses, up to three years.

    Returns
    -------
    float
        0 to 1; ``1 - used_share`` up to 70 days.

    Raises
    ------
    MissingDataError
        For another organ, or beyond the three years that the model was made for.
    InputError
        If the interval is negative or the share not within 0 to 1.
    """
    _require(organ, "power", months)
    if not 0 <= used_share <= 1:
        msg = f"expected a used share of 0 to 1, got {used_share}"
        raise InputError(msg)
    model = load_table("recovery")["power"]
    days = months * DAYS_PER_MONTH
    if days > float(model["valid_to_days"]) + 1e-6:
        msg = f"the power recovery model ends at 3 years, got {months:g} months; use a table"
        raise MissingDataError(msg)
    start = float(model["start_days"])
    progress = max(0.0, days - start) / (float(model["calibration_days"]) - start)
    r = float(model["r_at_calibration"]) * progress
    return float((1.0 - used_share) ** (1.0 / (r + 1.0)))


def recovery_needed(*, earlier_eqd2_gy: float, today_eqd2_gy: float, limit_gy: float) -> float:
    """Return the recovery fraction at which earlier and today's dose just meet a limit.

    Parameters
    ----------
    earlier_eqd2_gy, today_eqd2_gy : float
        EQD2 at one point, 0 or more.
    limit_gy : float
        A limit on the discounted sum (see :func:`rerad.radiobiology.check_basis`), above 0.

    Returns
    -------
    float
        0 if the raw sum passes; above 1, infinity included, if no recovery would be enough.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not (earlier_eqd2_gy >= 0 and today_eqd2_gy >= 0 and limit_gy > 0):
        msg = (
            "expected doses of 0 Gy or more and a limit above 0 Gy, got "
            f"{earlier_eqd2_gy}, {today_eqd2_gy} and {limit_gy}"
        )
        raise InputError(msg)
    excess = earlier_eqd2_gy + today_eqd2_gy - limit_gy
    if excess <= 0:
        return 0.0
    return float(np.inf) if earlier_eqd2_gy == 0 else excess / earlier_eqd2_gy


def break_even_months(table_name: str, organ: str, fraction_needed: float) -> float | None:
    """Return the shortest interval at which a table grants a recovery fraction.

    Parameters
    ----------
    table_name : str
        Recovery table.
    organ : str
        Organ of the tables or TG-263 structure name.
    fraction_needed : float
        Recovery that is needed, for example from :func:`recovery_needed`.

    Returns
    -------
    float or None
        Months; None if the table never grants as much.
    """
    for scenario in recovery_scenarios(table_name, organ):
        if scenario.fraction >= fraction_needed - 1e-12:
            return scenario.months_from
    return None


def model_scenarios(
    name: str, organ: str, interval_months: float | None, *, used_share: float
) -> tuple[RecoveryScenario, ...]:
    """Return what a recovery model says, as the tables do: a share that is forgotten.

    Parameters
    ----------
    name : str
        One of `RECOVERY_MODELS`.
    organ : str
        Must be the spinal cord.
    interval_months : float or None
        Since the earlier course; None shows several.
    used_share : float
        Share of the tolerance that the earlier course used; the power law depends on it.

    Raises
    ------
    MissingDataError
        If the model is unknown, or does not speak of the organ, the interval, or a first course
        beyond tolerance.
    InputError
        If a number is out of range.
    """
    if name not in RECOVERY_MODELS:
        msg = f"recovery model {name!r} is not known; choose one of {', '.join(RECOVERY_MODELS)}"
        raise MissingDataError(msg)
    source = source_of(load_table("recovery")[name], f"recovery {name}")
    months = SHOWN_MONTHS if interval_months is None else (interval_months,)
    return tuple(
        RecoveryScenario(
            label=f"{_LABELS[name]}, {month:g} months",
            months_from=month,
            months_to=month,
            fraction=_model_fraction(name, organ, month, used_share),
            citation=source.text,
            trust=source.trust,
        )
        for month in months
    )


def _model_fraction(name: str, organ: str, months: float, used_share: float) -> float:
    """Return the share of the earlier course that a model takes as forgotten."""
    if name == "exponential":
        return exponential_recovery(organ, months)
    if used_share > 1:
        msg = (
            "the power recovery model starts from a first course within tolerance, got "
            f"{100 * used_share:.0f} % of it; it grants nothing beyond"
        )
        raise MissingDataError(msg)
    left = power_recovery(organ, used_share, months)
    # What may still be given is the tolerance less what is remembered of the first course.
    return 0.0 if used_share == 0 else 1.0 - (1.0 - left) / used_share


def model_break_even_months(
    name: str, organ: str, fraction_needed: float, *, used_share: float
) -> float | None:
    """Return the shortest interval at which a model grants a recovery fraction.

    Parameters
    ----------
    name, organ, used_share
        As for :func:`model_scenarios`.
    fraction_needed : float
        Recovery that is needed.

    Returns
    -------
    float or None
        Months, to a hundredth; None if the model never grants as much.
    """
    if fraction_needed <= 0:
        return 0.0
    low, high = 0.0, float(load_table("recovery")["power"]["valid_to_days"]) / DAYS_PER_MONTH
    if name == "exponential":
        high = 1200.0
    if _model_fraction(name, organ, high, used_share) < fraction_needed:
        return None
    while high - low > 1e-3:
        middle = 0.5 * (low + high)
        enough = _model_fraction(name, organ, middle, used_share) >= fraction_needed
        low, high = (low, middle) if enough else (middle, high)
    return round(high, 2)
