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
from rerad.radiobiology.recovery import recovery_scenarios
from rerad.tables import load_table
from rerad.units import DAYS_PER_MONTH


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
