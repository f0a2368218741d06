"""Models beyond the plain one, as a person asks for them: number, formula, source, range, refusal.

The functions of `extended_models` and `response` are formulas. Here each says where its formula
comes from and for what it is stated, and refuses outside: like `convert_course` for plain EQD2.
Doses in Gy, times in hours and days.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from rerad.core import Finding, Severity
from rerad.errors import InputError
from rerad.radiobiology.conversion import require_valid_fraction
from rerad.radiobiology.extended_models import (
    TimeFactor,
    bed_linear_quadratic_linear,
    bed_with_incomplete_repair,
    bed_with_repopulation,
    incomplete_repair_factor,
)
from rerad.radiobiology.linear_quadratic import eqd2
from rerad.radiobiology.response import (
    LkbParameters,
    TcpParameters,
    geud,
    lkb_ntcp,
    poisson_tcp,
)
from rerad.tables import load_table, source_of

HOURS_PER_DAY = 24.0


@dataclass(frozen=True, slots=True)
class AskedModel:
    """What a model says of one course, or of one organ or tumour.

    Parameters
    ----------
    name : str
        Of the model.
    value : float
        BED in Gy, or a probability of 0 to 1.
    unit : str
        ``Gy BED`` or empty for a probability.
    formula, source, validity : str
        As printed beside the value.
    findings : tuple of Finding
        What the reader must weigh.
    """

    name: str
    value: float
    unit: str
    formula: str
    source: str
    validity: str
    findings: tuple[Finding, ...] = ()


def _fraction_gy(dose_gy: float, n_fractions: int) -> float:
    """Return the dose of one fraction, or refuse a course of none."""
    if n_fractions < 1 or not 0 < dose_gy < np.inf:
        msg = f"expected a dose above 0 Gy in 1 fraction or more, got {dose_gy} in {n_fractions}"
        raise InputError(msg)
    return dose_gy / n_fractions


def linear_beyond(
    dose_gy: float, n_fractions: int, alpha_beta_gy: float, *, transition_gy: float
) -> AskedModel:
    """Return the BED of large fractions by the linear-quadratic-linear model.

    Parameters
    ----------
    dose_gy : float
        Total physical dose.
    n_fractions : int
        Of equal size.
    alpha_beta_gy : float
        Of the tissue.
    transition_gy : float
        Dose per fraction beyond which the curve is straight.

    Raises
    ------
    InputError
        If the transition lies outside the range of the plain model, on which the first part of
        the curve rests, or the fraction is not larger than it: the plain model holds there.
    """
    valid = load_table("alpha_beta")["lq_validity"]
    low, high = float(valid["min_fraction_gy"]), float(valid["max_fraction_gy"])
    fraction_gy = _fraction_gy(dose_gy, n_fractions)
    if not low <= transition_gy <= high:
        msg = (
            f"expected a transition of {low:g} to {high:g} Gy per fraction, within which the "
            f"linear-quadratic part is taken as valid, got {transition_gy:g} Gy"
        )
        raise InputError(msg)
    if not fraction_gy > transition_gy:
        msg = (
            f"expected fractions above the transition of {transition_gy:g} Gy, got "
            f"{fraction_gy:.3g} Gy; up to there the plain model holds, leave the transition out"
        )
        raise InputError(msg)
    row = load_table("alpha_beta")["lq_linear"]
    text = f"Linear beyond {transition_gy:g} Gy: {row['remark']}"
    return AskedModel(
        "linear-quadratic-linear",
        bed_linear_quadratic_linear(
            dose_gy, n_fractions, alpha_beta_gy, transition_gy=transition_gy
        ),
        "Gy BED",
        "BED = n (dT (1 + dT/(a/b)) + (1 + 2 dT/(a/b)) (d - dT))",
        source_of(row, "alpha_beta lq_linear").text,
        f"fractions above dT, dT of {low:g} to {high:g} Gy; no upper end is stated",
        (Finding(Severity.CAUTION, "linear-quadratic-linear", text),),
    )


def several_a_day(
    dose_gy: float,
    n_fractions: int,
    alpha_beta_gy: float,
    *,
    fractions_per_day: int,
    interval_h: float,
    half_time_h: float,
) -> AskedModel:
    """Return the BED of a course of several fractions a day, with what is not repaired between.

    Parameters
    ----------
    dose_gy : float
        Total physical dose.
    n_fractions : int
        Of the whole course.
    alpha_beta_gy : float
        Of the tissue.
    fractions_per_day : int
        At least 2.
    interval_h : float
        Between fractions of one day.
    half_time_h : float
        Of repair; no default: it is a property of the tissue and poorly known.

    Raises
    ------
    InputError
        If the fractions do not fit into a day, or repair over night is not complete, which the
        model takes for granted; or the fraction is larger than the plain model's range.
    """
    row = load_table("alpha_beta")["incomplete_repair"]
    if fractions_per_day < 2:
        msg = f"expected 2 fractions a day or more, got {fractions_per_day}; else leave it out"
        raise InputError(msg)
    factor = incomplete_repair_factor(
        fractions_per_day=fractions_per_day, interval_h=interval_h, half_time_h=half_time_h
    )
    night_h = HOURS_PER_DAY - (fractions_per_day - 1) * interval_h
    if night_h < interval_h:
        msg = (
            f"expected {fractions_per_day} fractions to fit into a day, got {interval_h:g} h "
            "between them, which leaves no longer night"
        )
        raise InputError(msg)
    left, most = float(np.exp2(-night_h / half_time_h)), float(row["max_left_over_night"])
    if left > most:
        msg = (
            f"expected repair over night, of which the model takes all for granted, got "
            f"{100 * left:.0f} % left after {night_h:g} h with a half-time of {half_time_h:g} h "
            f"(at most {100 * most:g} %); the model does not hold for such slow repair"
        )
        raise InputError(msg)
    findings = require_valid_fraction(_fraction_gy(dose_gy, n_fractions), is_beyond_allowed=False)
    return AskedModel(
        "incomplete repair",
        bed_with_incomplete_repair(dose_gy, n_fractions, alpha_beta_gy, repair_factor=factor),
        "Gy BED",
        f"BED = D (1 + (1 + h) d/(a/b)), h = {factor:.4g}",
        source_of(row, "alpha_beta incomplete_repair").text,
        f"at most {100 * most:g} % left over night; fractions as for the plain model",
        findings,
    )


def with_time(
    dose_gy: float, n_fractions: int, factor: TimeFactor, *, elapsed_days: float
) -> AskedModel:
    """Return the BED of a tumour less what it regained.

    Parameters
    ----------
    dose_gy : float
        Total physical dose.
    n_fractions : int
        Of equal size.
    factor : TimeFactor
        Of a tumour in the table; late-reacting tissue has none.
    elapsed_days : float
        From first to last fraction.

    Raises
    ------
    InputError
        If the days are negative or the fraction is larger than the plain model's range.
    """
    findings = require_valid_fraction(_fraction_gy(dose_gy, n_fractions), is_beyond_allowed=False)
    return AskedModel(
        "repopulation",
        bed_with_repopulation(dose_gy, n_fractions, factor, elapsed_days=elapsed_days),
        "Gy BED",
        f"BED = n d (1 + d/(a/b)) - K max(0, T - Tk), K {factor.loss_gy_per_day:g} Gy/day, "
        f"Tk {factor.delay_days:g} days, a/b {factor.alpha_beta_gy:g} Gy",
        factor.source.text,
        f"{factor.tumor}; never for late-reacting tissue",
        findings,
    )


def organ_ntcp(
    eqd2_gy: ArrayLike,
    volume: ArrayLike,
    parameters: LkbParameters,
    *,
    alpha_beta_gy: float,
    n_courses: int = 1,
) -> AskedModel:
    """Return the complication probability of an organ after one course.

    Parameters
    ----------
    eqd2_gy, volume : array_like of shape (N,)
        Differential histogram of EQD2.
    parameters : LkbParameters
        Of the organ.
    alpha_beta_gy : float
        That `eqd2_gy` was made with.
    n_courses : int
        That the histogram sums up.

    Raises
    ------
    InputError
        If the alpha/beta is not that of the parameters, or the dose is that of several courses:
        the parameters describe one, and no recovery is in them.
    """
    if abs(alpha_beta_gy - parameters.alpha_beta_gy) > 1e-9:
        msg = (
            f"{parameters.organ}: expected EQD2 at alpha/beta {parameters.alpha_beta_gy:g} Gy, "
            f"which the parameters are stated for, got {alpha_beta_gy:g} Gy"
        )
        raise InputError(msg)
    if n_courses != 1:
        msg = (
            f"{parameters.organ}: expected the dose of one course, got {n_courses}; the "
            "parameters describe one, without recovery. To compare plans, call lkb_ntcp itself"
        )
        raise InputError(msg)
    value = lkb_ntcp(geud(eqd2_gy, volume, a=1.0 / parameters.n), parameters)
    return AskedModel(
        "Lyman-Kutcher-Burman",
        value,
        "",
        "NTCP = Phi((gEUD - D50) / (m D50)), gEUD = (sum v D^(1/n))^n, "
        f"D50 {parameters.td50_gy:g} Gy, m {parameters.m:g}, n {parameters.n:g}",
        parameters.source.text,
        f"{parameters.organ}, {parameters.endpoint}; one course, EQD2 at alpha/beta "
        f"{parameters.alpha_beta_gy:g} Gy",
    )


def tumor_control(dose_gy: float, n_fractions: int, parameters: TcpParameters) -> AskedModel:
    """Return the control probability of a tumour after one uniform course.

    Parameters
    ----------
    dose_gy : float
        Total physical dose.
    n_fractions : int
        Of equal size.
    parameters : TcpParameters
        Of the tumour.

    Raises
    ------
    InputError
        If the course has more fractions than the parameters were fitted to.
    """
    if not 1 <= n_fractions <= parameters.max_fractions:
        msg = (
            f"{parameters.tumor}: expected 1 to {parameters.max_fractions} fractions, which the "
            f"parameters were fitted to, got {n_fractions}"
        )
        raise InputError(msg)
    equivalent = eqd2(dose_gy, n_fractions, parameters.alpha_beta_gy)
    return AskedModel(
        "Poisson control",
        poisson_tcp(equivalent, d50_gy=parameters.d50_gy, gamma=parameters.gamma),
        "",
        "TCP = exp(-ln2 exp((2 g / ln2) (1 - EQD2/D50))), "
        f"D50 {parameters.d50_gy:g} Gy, g {parameters.gamma:g}",
        parameters.source.text,
        f"{parameters.tumor}; 1 to {parameters.max_fractions} fractions, alpha/beta "
        f"{parameters.alpha_beta_gy:g} Gy",
    )
