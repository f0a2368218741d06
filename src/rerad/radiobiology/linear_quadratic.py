r"""Convert physical dose to BED and EQD2 and back with the linear-quadratic model.

.. math::
    \mathrm{BED} = D\,(1 + d/(\alpha/\beta)), \qquad
    \mathrm{EQD2} = D\,\frac{d + \alpha/\beta}{2 + \alpha/\beta}, \qquad d = D/n

Each voxel has its own dose per fraction. EQD2 is convex in dose: convert on the grid where the
dose was computed and map afterwards, never the other way round. All doses in Gy.

References
----------
.. [1] Withers, Thames & Peters (1983), Radiother. Oncol. 1, 187-191.
.. [2] Fowler (1989), Br. J. Radiol. 62, 679-694, doi:10.1259/0007-1285-62-740-679.
"""

from dataclasses import replace
from typing import overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core import Dose, DoseQuantity, Finding, Severity, describe_quantity
from rerad.errors import InputError, QuantityMismatchError
from rerad.tables import load_table, source_of


def _require_fractionation(n_fractions: int, alpha_beta_gy: float) -> None:
    """Raise unless there is at least one fraction and alpha/beta is positive."""
    if n_fractions < 1 or n_fractions != int(n_fractions):
        msg = f"expected a whole number of 1 fraction or more, got {n_fractions}"
        raise InputError(msg)
    if not 0 < alpha_beta_gy < np.inf:
        msg = f"expected alpha/beta above 0 Gy, got {alpha_beta_gy}"
        raise InputError(msg)


@overload
def bed(total_gy: float, n_fractions: int, alpha_beta_gy: float) -> float: ...
@overload
def bed(total_gy: ArrayLike, n_fractions: int, alpha_beta_gy: float) -> NDArray[np.float64]: ...
def bed(
    total_gy: ArrayLike, n_fractions: int, alpha_beta_gy: float
) -> float | NDArray[np.float64]:
    """Return the biologically effective dose of a course of equal fractions.

    Parameters
    ----------
    total_gy : float or array_like
        Total physical dose in Gy, 0 or more; NaN stays NaN.
    n_fractions : int
        Number of fractions, at least 1.
    alpha_beta_gy : float
        Alpha/beta in Gy, above 0.

    Returns
    -------
    float or ndarray
        BED in Gy, of the shape of `total_gy`.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> round(bed(45.0, 25, 2.0), 2)
    85.5
    """
    _require_fractionation(n_fractions, alpha_beta_gy)
    total = np.asarray(total_gy, dtype=np.float64)
    if np.any(total < 0):
        msg = f"expected doses of 0 Gy or more, got {np.nanmin(total):.4g}"
        raise InputError(msg)
    result = total * (1.0 + total / (n_fractions * alpha_beta_gy))
    return float(result) if result.ndim == 0 else np.asarray(result)


@overload
def eqd2(total_gy: float, n_fractions: int, alpha_beta_gy: float) -> float: ...
@overload
def eqd2(total_gy: ArrayLike, n_fractions: int, alpha_beta_gy: float) -> NDArray[np.float64]: ...
def eqd2(
    total_gy: ArrayLike, n_fractions: int, alpha_beta_gy: float
) -> float | NDArray[np.float64]:
    """Return the equivalent dose in 2 Gy fractions of a course of equal fractions.

    Parameters, returns and errors as for :func:`bed`; EQD2 = BED / (1 + 2 / (alpha/beta)).

    Parameters
    ----------
    total_gy : float or array_like
        Total physical dose in Gy, 0 or more; NaN stays NaN.
    n_fractions : int
        Number of fractions, at least 1.
    alpha_beta_gy : float
        Alpha/beta in Gy, above 0.

    Returns
    -------
    float or ndarray
        EQD2 in Gy, of the shape of `total_gy`.

    Raises
    ------
    InputError
        If an argument is out of range.

    Examples
    --------
    >>> round(eqd2(55.0, 25, 2.0), 2)
    57.75
    """
    return bed(total_gy, n_fractions, alpha_beta_gy) * (alpha_beta_gy / (2.0 + alpha_beta_gy))


@overload
def physical_from_eqd2(eqd2_gy: float, *, n_fractions: int, alpha_beta_gy: float) -> float: ...
@overload
def physical_from_eqd2(
    eqd2_gy: ArrayLike, *, n_fractions: int, alpha_beta_gy: float
) -> NDArray[np.float64]: ...
def physical_from_eqd2(
    eqd2_gy: ArrayLike, *, n_fractions: int, alpha_beta_gy: float
) -> float | NDArray[np.float64]:
    r"""Return the physical dose that, in `n_fractions` equal fractions, makes a given EQD2.

    .. math::
        D = \frac n2 \left(-\alpha/\beta +
            \sqrt{(\alpha/\beta)^2 + 4\,(2 + \alpha/\beta)\,\mathrm{EQD2}/n}\right)

    A remaining tolerance of zero or less gives 0 Gy: nothing may be added. Whether a voxel is
    already over its limit must be read from `eqd2_gy` itself.

    Parameters
    ----------
    eqd2_gy : float or array_like
        EQD2 in Gy, usually a limit less what was given before; may be negative; NaN stays NaN.
    n_fractions : int
        Fractions of the course to come, at least 1.
    alpha_beta_gy : float
        Alpha/beta in Gy, above 0.

    Returns
    -------
    float or ndarray
        Total physical dose in Gy, of the shape of `eqd2_gy`.

    Raises
    ------
    InputError
        If `n_fractions` or `alpha_beta_gy` is out of range.

    Examples
    --------
    >>> round(physical_from_eqd2(27.0, n_fractions=22, alpha_beta_gy=2.5), 2)
    31.06
    """
    _require_fractionation(n_fractions, alpha_beta_gy)
    target = np.maximum(np.asarray(eqd2_gy, dtype=np.float64), 0.0)
    inside = alpha_beta_gy**2 + 4.0 * (2.0 + alpha_beta_gy) * target / n_fractions
    result = 0.5 * n_fractions * (np.sqrt(inside) - alpha_beta_gy)
    return float(result) if result.ndim == 0 else np.asarray(result)


@overload
def physical_from_bed(bed_gy: float, *, n_fractions: int, alpha_beta_gy: float) -> float: ...
@overload
def physical_from_bed(
    bed_gy: ArrayLike, *, n_fractions: int, alpha_beta_gy: float
) -> NDArray[np.float64]: ...
def physical_from_bed(
    bed_gy: ArrayLike, *, n_fractions: int, alpha_beta_gy: float
) -> float | NDArray[np.float64]:
    """Return the physical dose that, in `n_fractions` equal fractions, makes a given BED.

    As :func:`physical_from_eqd2`, with EQD2 = BED / (1 + 2 / (alpha/beta)).

    Parameters
    ----------
    bed_gy : float or array_like
        BED in Gy; zero or less gives 0 Gy; NaN stays NaN.
    n_fractions : int
        Fractions of the course to come, at least 1.
    alpha_beta_gy : float
        Alpha/beta in Gy, above 0.

    Returns
    -------
    float or ndarray
        Total physical dose in Gy, of the shape of `bed_gy`.

    Raises
    ------
    InputError
        If `n_fractions` or `alpha_beta_gy` is out of range.
    """
    _require_fractionation(n_fractions, alpha_beta_gy)
    factor = alpha_beta_gy / (2.0 + alpha_beta_gy)
    as_eqd2 = np.asarray(bed_gy, dtype=np.float64) * factor
    return physical_from_eqd2(as_eqd2, n_fractions=n_fractions, alpha_beta_gy=alpha_beta_gy)


def _delivered_share(n_planned: int, n_delivered: int | None) -> float:
    """Return delivered over planned fractions; None means all."""
    if n_planned < 1:
        msg = f"expected a whole number of 1 fraction or more, got {n_planned}"
        raise InputError(msg)
    if n_delivered is None:
        return 1.0
    if n_delivered < 0 or n_delivered != int(n_delivered):
        msg = f"expected a whole number of 0 or more delivered fractions, got {n_delivered}"
        raise InputError(msg)
    return n_delivered / n_planned


def to_bed(
    dose: Dose,
    *,
    n_fractions_planned: int,
    n_fractions_delivered: int | None = None,
    alpha_beta_gy: float,
) -> Dose:
    """Convert the physical dose of a planned course to the BED of what was delivered.

    A course that stopped early keeps its dose per fraction and loses fractions:
    ``BED(delivered) = BED(planned) * n_delivered / n_planned``.

    Parameters
    ----------
    dose : Dose
        Total physical dose of the course as planned, in Gy.
    n_fractions_planned : int
        Fractions that `dose` is the total of, at least 1.
    n_fractions_delivered : int or None
        Fractions given, 0 or more; None means all that were planned.
    alpha_beta_gy : float
        Alpha/beta of the tissue in Gy, above 0. No default: the choice is clinical.

    Returns
    -------
    Dose
        BED in Gy on the same grid; unknown voxels stay unknown.

    Raises
    ------
    QuantityMismatchError
        If `dose` is not a physical dose.
    InputError
        If a number is out of range.
    """
    share = _delivered_share(n_fractions_planned, n_fractions_delivered)
    return _converted(dose, DoseQuantity.BED, n_fractions_planned, alpha_beta_gy, share)


def _converted(
    dose: Dose, quantity: DoseQuantity, n_fractions: int, alpha_beta_gy: float, share: float
) -> Dose:
    """Return BED or EQD2 of `share` of the fractions."""
    if dose.quantity is not DoseQuantity.PHYSICAL:
        msg = (
            f"expected a physical dose to convert, got {describe_quantity(dose)}; "
            "start from the dose as planned"
        )
        raise QuantityMismatchError(msg)
    convert = bed if quantity is DoseQuantity.BED else eqd2
    values = np.empty(dose.grid.shape, dtype=np.float32)
    # One slice at a time: double precision without a second copy of a large grid.
    for k, plane in enumerate(dose.values):
        values[k] = convert(plane, n_fractions, alpha_beta_gy) * share
    values.setflags(write=False)
    return replace(
        dose, values=values, quantity=quantity, alpha_beta_gy=alpha_beta_gy, instance_uid=""
    )


def to_eqd2(
    dose: Dose,
    *,
    n_fractions_planned: int,
    n_fractions_delivered: int | None = None,
    alpha_beta_gy: float,
) -> Dose:
    """Convert the physical dose of a planned course to the EQD2 of what was delivered.

    A course that stopped early keeps its dose per fraction and loses fractions; scaling the dose
    instead would lower the dose per fraction and understate EQD2.

    Parameters
    ----------
    dose : Dose
        Total physical dose of the course as planned, in Gy.
    n_fractions_planned : int
        Fractions that `dose` is the total of, at least 1.
    n_fractions_delivered : int or None
        Fractions given, 0 or more; None means all that were planned.
    alpha_beta_gy : float
        Alpha/beta of the tissue in Gy, above 0. No default: the choice is clinical.

    Returns
    -------
    Dose
        EQD2 in Gy on the same grid; unknown voxels stay unknown.

    Raises
    ------
    QuantityMismatchError
        If `dose` is not a physical dose.
    InputError
        If a number is out of range.

    References
    ----------
    .. [1] Withers, Thames & Peters (1983), Radiother. Oncol. 1, 187-191.
    """
    share = _delivered_share(n_fractions_planned, n_fractions_delivered)
    return _converted(dose, DoseQuantity.EQD2, n_fractions_planned, alpha_beta_gy, share)


def fraction_size_finding(fraction_gy: float, where: str = "") -> Finding | None:
    """Say whether a dose per fraction lies outside the range where the conversion is trusted.

    Parameters
    ----------
    fraction_gy : float
        Dose per fraction in Gy: of a prescription, or the highest of a structure.
    where : str
        Course or structure, for the report.

    Returns
    -------
    Finding or None
        None within the range of the table ``alpha_beta`` (1 to 6 Gy). Below it a note, above it
        a caution, and serious above the second source's upper mark (15 Gy). The conversion is
        made all the same: the reader must weigh it.

    Raises
    ------
    InputError
        If `fraction_gy` is negative or not finite.
    """
    if not 0 <= fraction_gy < np.inf:
        msg = f"expected a dose per fraction of 0 Gy or more, got {fraction_gy}"
        raise InputError(msg)
    table = load_table("alpha_beta")
    valid, warning = table["lq_validity"], table["lq_warning"]
    low, high = float(valid["min_fraction_gy"]), float(valid["max_fraction_gy"])
    if low <= fraction_gy <= high:
        return None
    severity, source = Severity.CAUTION, source_of(valid, "alpha_beta lq_validity")
    if fraction_gy < low:
        severity = Severity.NOTE
    elif fraction_gy > float(warning["serious_above_gy"]):
        severity, source = Severity.SERIOUS, source_of(warning, "alpha_beta lq_warning")
    text = (
        f"{fraction_gy:.2f} Gy per fraction lies outside {low:g} to {high:g} Gy, where the "
        f"linear-quadratic conversion is taken as valid ({source.text}); read EQD2 with care."
    )
    return Finding(severity, "fraction-size-outside-lq-range", text, where)
