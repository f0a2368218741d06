"""One course converted for a reader: BED and EQD2 with formula, source and range of validity.

`bed` and `eqd2` are plain formulas; this is what a person asks for, and what refuses to answer
outside the range in which the formula is taken as valid, unless told to go on. Doses in Gy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rerad.core import Finding, Severity
from rerad.errors import InputError
from rerad.radiobiology.linear_quadratic import bed, eqd2, fraction_size_finding
from rerad.tables import load_table, source_of

FORMULA = "BED = n d (1 + d/(a/b));  EQD2 = n d (d + a/b) / (2 + a/b);  d = D / N planned"
"""As printed beside every converted course; n fractions were given of N planned."""

FORMULA_SOURCE = (
    "Withers, Thames & Peters (1983), Radiother. Oncol. 1, 187-191; "
    "Fowler (1989), doi:10.1259/0007-1285-62-740-679"
)
"""Where the formula comes from."""


CGY_FRACTION = 50.0
"""Gy; no course has such fractions: the number was meant in cGy."""


@dataclass(frozen=True, slots=True)
class ConvertedDose:
    """BED and EQD2 of one course at one alpha/beta, in Gy."""

    alpha_beta_gy: float
    bed_gy: float
    eqd2_gy: float


@dataclass(frozen=True, slots=True)
class ConvertedCourse:
    """One course of equal fractions, converted.

    Parameters
    ----------
    dose_gy : float
        Physical dose given.
    n_fractions : int
        Fractions given.
    fraction_gy : float
        Dose of one of them.
    rows : tuple of ConvertedDose
        One for each alpha/beta asked for.
    validity : str
        Range of dose per fraction with its source.
    findings : tuple of Finding
        What the reader must weigh.
    """

    dose_gy: float
    n_fractions: int
    fraction_gy: float
    rows: tuple[ConvertedDose, ...]
    validity: str
    findings: tuple[Finding, ...]


def validity_text() -> str:
    """Return the dose per fraction for which the conversion is taken as valid, with its source."""
    row = load_table("alpha_beta")["lq_validity"]
    low, high = float(row["min_fraction_gy"]), float(row["max_fraction_gy"])
    source = source_of(row, "alpha_beta lq_validity").text
    return f"{low:g} to {high:g} Gy per fraction ({source})"


def require_valid_fraction(
    fraction_gy: float, *, is_beyond_allowed: bool, where: str = ""
) -> tuple[Finding, ...]:
    """Return what is to be said about a dose per fraction, or refuse it.

    Parameters
    ----------
    fraction_gy : float
        Dose per fraction, 0 or more.
    is_beyond_allowed : bool
        Whether fractions above the range are converted all the same, with the finding.
    where : str
        Course, for the message.

    Raises
    ------
    InputError
        If the fraction is larger than the range of validity and that was not allowed. Smaller
        fractions only get a note: every organ has voxels of little dose.
    """
    finding = fraction_size_finding(fraction_gy, where)
    if finding is None:
        return ()
    if finding.severity is not Severity.NOTE and not is_beyond_allowed:
        remedy = "ask for it on purpose (--beyond-validity) if you can weigh it"
        if fraction_gy > CGY_FRACTION:
            remedy = "doses are in Gy, not cGy"
        place = f"{where}: " if where else ""
        msg = f"{place}expected {validity_text()}, got {fraction_gy:.4g} Gy; {remedy}"
        raise InputError(msg)
    return (finding,)


def convert_course(
    dose_gy: float,
    n_fractions: int,
    alpha_betas_gy: Sequence[float],
    *,
    n_delivered: int | None = None,
    is_beyond_allowed: bool = False,
) -> ConvertedCourse:
    """Convert a course of equal fractions, or the part of it that was given.

    Parameters
    ----------
    dose_gy : float
        Total physical dose as planned, above 0.
    n_fractions : int
        Fractions it was planned in, at least 1.
    alpha_betas_gy : sequence of float
        Alpha/beta values in Gy, at least one. No default: the choice is clinical.
    n_delivered : int or None
        Fractions given; None means all. The dose per fraction stays.
    is_beyond_allowed : bool
        Whether to convert fractions larger than the range of validity.

    Raises
    ------
    InputError
        If a number is out of range, or the fraction is larger than the range of validity.

    Examples
    --------
    >>> round(convert_course(45.0, 25, [2.0]).rows[0].eqd2_gy, 2)
    42.75
    """
    if not alpha_betas_gy or not 0 < dose_gy < float("inf") or n_fractions < 1:
        msg = (
            "expected a dose above 0 Gy, 1 fraction or more and at least one alpha/beta, got "
            f"{dose_gy} Gy in {n_fractions} and {list(alpha_betas_gy)}"
        )
        raise InputError(msg)
    given = n_fractions if n_delivered is None else n_delivered
    if not 0 <= given <= n_fractions:
        msg = f"expected 0 to {n_fractions} fractions given, got {given}"
        raise InputError(msg)
    fraction_gy = dose_gy / n_fractions
    findings = require_valid_fraction(fraction_gy, is_beyond_allowed=is_beyond_allowed)
    share = given / n_fractions
    rows = tuple(
        ConvertedDose(
            alpha_beta_gy=alpha_beta,
            bed_gy=bed(dose_gy, n_fractions, alpha_beta) * share,
            eqd2_gy=eqd2(dose_gy, n_fractions, alpha_beta) * share,
        )
        for alpha_beta in alpha_betas_gy
    )
    return ConvertedCourse(
        dose_gy * share, given, fraction_gy, rows, validity_text(), tuple(findings)
    )


def eqd2_interval(
    dose_gy: float, n_fractions: int, low_gy: float, high_gy: float
) -> tuple[float, float]:
    """Return the EQD2 of a course over an interval of alpha/beta, lowest and highest.

    EQD2 rises with alpha/beta below 2 Gy per fraction and falls above, so the ends of the
    interval hold the extremes.

    Parameters
    ----------
    dose_gy : float
        Total physical dose.
    n_fractions : int
        Fractions, at least 1.
    low_gy, high_gy : float
        Alpha/beta in Gy, the lower one first.

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> [round(v, 2) for v in eqd2_interval(30.0, 5, 2.0, 10.0)]
    [40.0, 60.0]
    """
    if not 0 < low_gy <= high_gy:
        msg = f"expected alpha/beta above 0 Gy, the lower one first, got {low_gy} and {high_gy}"
        raise InputError(msg)
    ends = eqd2(dose_gy, n_fractions, low_gy), eqd2(dose_gy, n_fractions, high_gy)
    return min(ends), max(ends)
