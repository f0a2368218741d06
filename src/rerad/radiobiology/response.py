r"""Dose-response: generalised equivalent uniform dose, complication and control probabilities.

.. math::
    \mathrm{gEUD} = \Bigl(\sum_i v_i D_i^a\Bigr)^{1/a}, \qquad
    \mathrm{NTCP} = \Phi\!\left(\frac{\mathrm{gEUD} - D_{50}}{m\,D_{50}}\right), \quad a = 1/n

Doses in Gy, as EQD2 of the tissue's alpha/beta. The parameters describe a single course; a
probability computed from a cumulative dose is a number to compare plans with, not a prediction.

References
----------
.. [1] Niemierko (1999), Med. Phys. 26, 1100 (gEUD).
.. [2] Lyman (1985), Radiat. Res. Suppl. 8, S13-S19, PMID 3867079.
.. [3] Kutcher & Burman (1989), IJROBP 16, 1623-1630, doi:10.1016/0360-3016(89)90972-3.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from rerad.errors import InputError
from rerad.tables import Source, load_table, source_of


@dataclass(frozen=True, slots=True)
class LkbParameters:
    """Lyman-Kutcher-Burman parameters of one organ and endpoint.

    Parameters
    ----------
    organ, endpoint : str
        What they are for.
    td50_gy : float
        Uniform EQD2 at which half have the complication, above 0.
    m : float
        Relative width of the response, above 0.
    n : float
        Volume effect, above 0; near 0 serial, near 1 parallel.
    alpha_beta_gy : float
        Of the EQD2 that they are stated for.
    source : Source
        Where they come from.
    """

    organ: str
    endpoint: str
    td50_gy: float
    m: float
    n: float
    alpha_beta_gy: float
    source: Source


@dataclass(frozen=True, slots=True)
class TcpParameters:
    """Poisson control parameters of one tumour.

    Parameters
    ----------
    tumor : str
        Which, and how treated.
    d50_gy : float
        EQD2 that controls half, above 0.
    gamma : float
        Normalised slope there, above 0.
    alpha_beta_gy : float
        Of the EQD2.
    max_fractions : int
        Largest number of fractions that they were fitted to.
    source : Source
        Where they come from.
    """

    tumor: str
    d50_gy: float
    gamma: float
    alpha_beta_gy: float
    max_fractions: int
    source: Source


@cache
def load_tcp_parameters() -> tuple[TcpParameters, ...]:
    """Return the shipped Poisson control parameters."""
    return tuple(
        TcpParameters(
            tumor=row["tumor"],
            d50_gy=float(row["d50_gy"]),
            gamma=float(row["gamma"]),
            alpha_beta_gy=float(row["alpha_beta_gy"]),
            max_fractions=int(row["max_fractions"]),
            source=source_of(row, f"response poisson_tcp {row['tumor']}"),
        )
        for row in load_table("response")["poisson_tcp"]
    )


@cache
def load_lkb_parameters() -> tuple[LkbParameters, ...]:
    """Return the shipped Lyman-Kutcher-Burman parameters."""
    return tuple(
        LkbParameters(
            organ=row["organ"],
            endpoint=row["endpoint"],
            td50_gy=float(row["td50_gy"]),
            m=float(row["m"]),
            n=float(row["n"]),
            alpha_beta_gy=float(row["alpha_beta_gy"]),
            source=source_of(row, f"response lkb {row['organ']}"),
        )
        for row in load_table("response")["lkb"]
    )


def geud(dose_gy: ArrayLike, volume: ArrayLike, *, a: float) -> float:
    """Return the generalised equivalent uniform dose.

    Parameters
    ----------
    dose_gy : array_like of shape (N,)
        Dose of each voxel or bin in Gy, 0 or more; NaN makes the result NaN.
    volume : array_like of shape (N,)
        Volume of each, 0 or more, in any unit.
    a : float
        Exponent, not 0: 1 gives the mean, large values the maximum, negative the minimum.

    Raises
    ------
    InputError
        If shapes differ, a number is out of range or the volume is zero.

    Examples
    --------
    >>> geud([10.0, 30.0], [1.0, 1.0], a=1.0)
    20.0
    """
    doses, weights = np.asarray(dose_gy, dtype=np.float64), np.asarray(volume, dtype=np.float64)
    if doses.shape != weights.shape or doses.ndim != 1:
        msg = f"expected doses and volumes of one shape (N,), got {doses.shape}, {weights.shape}"
        raise InputError(msg)
    if a == 0 or not math.isfinite(a):
        msg = f"expected a finite exponent other than 0, got {a}"
        raise InputError(msg)
    if np.any(doses < 0) or np.any(weights < 0) or not weights.sum() > 0:
        msg = "expected doses and volumes of 0 or more and some volume"
        raise InputError(msg)
    part = weights > 0
    doses, weights = doses[part], weights[part] / weights.sum()
    highest = float(np.max(doses))
    if highest == 0:
        return 0.0
    if a < 0 and np.any(doses == 0):
        return 0.0
    # Powers of dose relative to the maximum: 70^50 is beyond what a float holds.
    mean_power = float(np.sum(weights * (doses / highest) ** a))
    return float(highest * mean_power ** (1.0 / a))


def lkb_ntcp(geud_gy: float, parameters: LkbParameters) -> float:
    """Return the Lyman-Kutcher-Burman complication probability.

    Parameters
    ----------
    geud_gy : float
        gEUD of the organ's EQD2 with ``a = 1 / parameters.n``.
    parameters : LkbParameters
        Of the organ.

    Returns
    -------
    float
        0 to 1.
    """
    t = (geud_gy - parameters.td50_gy) / (parameters.m * parameters.td50_gy)
    return float(ndtr(t))


def log_logistic_probability(dose_gy: float, *, d50_gy: float, k: float) -> float:
    r"""Return :math:`1 / (1 + (D_{50}/D)^k)`, with :math:`k = 4\gamma_{50}`.

    Parameters
    ----------
    dose_gy : float
        Dose in Gy, 0 or more.
    d50_gy : float
        Dose of one half, above 0.
    k : float
        Steepness, above 0.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not (dose_gy >= 0 and d50_gy > 0 and k > 0):
        msg = f"expected dose >= 0, d50 > 0 and k > 0, got {dose_gy}, {d50_gy} and {k}"
        raise InputError(msg)
    return 0.0 if dose_gy == 0 else float(1.0 / (1.0 + (d50_gy / dose_gy) ** k))


def poisson_tcp(eqd2_gy: float, *, d50_gy: float, gamma: float) -> float:
    r"""Return the Poisson control probability from its half dose and slope.

    .. math:: \mathrm{TCP} = \exp\left(-\ln 2\,
        \exp\left(\frac{2\gamma}{\ln 2}\,(1 - D/D_{50})\right)\right)

    Parameters
    ----------
    eqd2_gy : float
        EQD2 of the tumour's alpha/beta in Gy, 0 or more.
    d50_gy : float
        EQD2 that controls half, above 0.
    gamma : float
        Normalised slope at one half, above 0.

    Raises
    ------
    InputError
        If a number is out of range.
    """
    if not (eqd2_gy >= 0 and d50_gy > 0 and gamma > 0):
        msg = f"expected EQD2 >= 0, d50 > 0 and gamma > 0, got {eqd2_gy}, {d50_gy} and {gamma}"
        raise InputError(msg)
    surviving = math.exp(2.0 * gamma / math.log(2.0) * (1.0 - eqd2_gy / d50_gy))
    return math.exp(-math.log(2.0) * surviving)
