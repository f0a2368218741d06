r"""Beyond the plain linear-quadratic model: repopulation, incomplete repair, large fractions.

.. math::
    \mathrm{BED}_T &= \mathrm{BED} - K\,\max(0,\,T - T_k) \\
    \mathrm{BED}_{h} &= D\,\bigl(1 + (1 + h_m)\,d/(\alpha/\beta)\bigr) \\
    \mathrm{BED}_{LQL} &= n\,\bigl[d_T(1 + d_T/(\alpha/\beta)) +
        (1 + 2 d_T/(\alpha/\beta))\,(d - d_T)\bigr] \quad (d > d_T)

Each is a model with its own range, used only where the caller asks for it, with the caller's
numbers or those of the tables; none is applied silently. Repopulation is for tumours that have it,
never for late-reacting tissue.

References
----------
.. [1] Thames (1985), Int. J. Radiat. Biol. 47, 319-339 (incomplete repair).
.. [2] Astrahan (2008), Med. Phys. 35, 4161-4172 (linear-quadratic-linear).
.. [3] Royal College of Radiologists, The timely delivery of radical radiotherapy, 4th edition.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from rerad.errors import InputError
from rerad.radiobiology.linear_quadratic import bed
from rerad.tables import Source, load_table, source_of


@dataclass(frozen=True, slots=True)
class TimeFactor:
    """What a tumour regains while treatment goes on.

    Parameters
    ----------
    tumor : str
        Which.
    loss_gy_per_day : float
        BED lost for each day after the delay.
    delay_days : float
        Days from the first fraction before repopulation counts.
    alpha_beta_gy : float
        Of the BED.
    source : Source
        Where the numbers come from.
    """

    tumor: str
    loss_gy_per_day: float
    delay_days: float
    alpha_beta_gy: float
    source: Source


@cache
def load_time_factors() -> tuple[TimeFactor, ...]:
    """Return the shipped time factors."""
    return tuple(
        TimeFactor(
            tumor=row["tumor"],
            loss_gy_per_day=float(row["loss_gy_per_day"]),
            delay_days=float(row["delay_days"]),
            alpha_beta_gy=float(row["alpha_beta_gy"]),
            source=source_of(row, f"time_factor {row['tumor']}"),
        )
        for row in load_table("time_factor")["tumor"]
    )


def bed_with_repopulation(
    total_gy: float, n_fractions: int, factor: TimeFactor, *, elapsed_days: float
) -> float:
    """Return the BED of a course less what the tumour regained, not below 0.

    Parameters
    ----------
    total_gy : float
        Total physical dose in Gy.
    n_fractions : int
        Number of fractions, at least 1.
    factor : TimeFactor
        Of the tumour.
    elapsed_days : float
        Days from the first to the last fraction, 0 or more.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not 0 <= elapsed_days < np.inf:
        msg = f"expected 0 days or more from first to last fraction, got {elapsed_days}"
        raise InputError(msg)
    regained = factor.loss_gy_per_day * max(0.0, elapsed_days - factor.delay_days)
    return max(0.0, bed(total_gy, n_fractions, factor.alpha_beta_gy) - regained)


def incomplete_repair_factor(
    *, fractions_per_day: int, interval_h: float, half_time_h: float
) -> float:
    r"""Return Thames' factor of unrepaired damage between fractions of one day.

    .. math:: h_m = \frac{2}{m}\,\frac{\theta}{1-\theta}\,
        \Bigl(m - \frac{1-\theta^m}{1-\theta}\Bigr), \qquad \theta = 2^{-\Delta T/T_{1/2}}

    Parameters
    ----------
    fractions_per_day : int
        m, at least 1; repair over night is taken as complete.
    interval_h : float
        Hours between fractions of one day, above 0.
    half_time_h : float
        Half-time of repair in hours, above 0.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    m = fractions_per_day
    if m < 1 or not (0 < interval_h < np.inf and 0 < half_time_h < np.inf):
        msg = (
            "expected 1 fraction a day or more and times above 0 h, got "
            f"{m}, {interval_h} h and {half_time_h} h"
        )
        raise InputError(msg)
    theta = float(np.exp2(-interval_h / half_time_h))
    # The closed form loses its digits as theta nears 1; the sum over pairs of fractions does not.
    pairs = sum((m - gap) * theta**gap for gap in range(1, m))
    return 2.0 * pairs / m


def bed_with_incomplete_repair(
    total_gy: float, n_fractions: int, alpha_beta_gy: float, *, repair_factor: float
) -> float:
    """Return the BED of a course whose fractions follow too close for repair.

    Parameters
    ----------
    total_gy : float
        Total physical dose in Gy.
    n_fractions : int
        Number of fractions, at least 1.
    alpha_beta_gy : float
        Alpha/beta in Gy, above 0.
    repair_factor : float
        Of :func:`incomplete_repair_factor`, 0 (repair complete) or more.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not 0 <= repair_factor < np.inf:
        msg = f"expected a repair factor of 0 or more, got {repair_factor}"
        raise InputError(msg)
    plain = bed(total_gy, n_fractions, alpha_beta_gy)
    return total_gy + (1.0 + repair_factor) * (plain - total_gy)


def bed_linear_quadratic_linear(
    total_gy: float, n_fractions: int, alpha_beta_gy: float, *, transition_gy: float
) -> float:
    """Return the BED of a course of large fractions, linear beyond a transition dose.

    Parameters
    ----------
    total_gy : float
        Total physical dose in Gy.
    n_fractions : int
        Number of fractions, at least 1.
    alpha_beta_gy : float
        Alpha/beta in Gy, above 0.
    transition_gy : float
        Dose per fraction at which the curve goes on as its own tangent, above 0; about twice
        alpha/beta is usual for normal tissue.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not 0 < transition_gy < np.inf:
        msg = f"expected a transition dose above 0 Gy, got {transition_gy}"
        raise InputError(msg)
    plain = bed(total_gy, n_fractions, alpha_beta_gy)
    fraction_gy = total_gy / n_fractions
    if fraction_gy <= transition_gy:
        return plain
    at_transition = bed(n_fractions * transition_gy, n_fractions, alpha_beta_gy)
    slope = 1.0 + 2.0 * transition_gy / alpha_beta_gy
    return at_transition + n_fractions * slope * (fraction_gy - transition_gy)
