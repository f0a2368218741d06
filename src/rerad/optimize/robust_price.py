"""What a robust plan costs and buys, beside the plan that believes everything.

Coverage without shift and in the worst scenario, and each organ's worst cumulative dose relative
to its limit, of both plans, from the same scenarios. These are the optimiser's doses: the price
that a report quotes comes from the final dose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.errors import InputError
from rerad.optimize.robust import worst_case_eqd2
from rerad.optimize.shifted_dose import ShiftedDose
from rerad.optimize.terms import Floats, checked_indices, checked_shares


@dataclass(frozen=True, eq=False, slots=True)
class OrganRisk:
    """An organ with a cumulative limit and what its earlier dose may have been.

    Parameters
    ----------
    indices : ndarray of int, shape (N,)
        Points of the operator without shift.
    priors_eqd2_gy : sequence of array_like of shape (N,)
        Earlier EQD2 at each corner, see :func:`rerad.optimize.worst_case_cap`; NaN where unknown.
    alpha_betas_gy : sequence of float
        Alpha/beta of each corner.
    limit_eqd2_gy : float
        Cumulative limit.
    n_fractions : int
        Of the new plan.
    """

    indices: NDArray[np.int64]
    priors_eqd2_gy: Sequence[ArrayLike]
    alpha_betas_gy: Sequence[float]
    limit_eqd2_gy: float
    n_fractions: int


@dataclass(frozen=True, slots=True)
class PricePair:
    """One number of the plan that believes everything, and of the robust one; NaN is unknown."""

    nominal_gy: float
    robust_gy: float

    @property
    def change_gy(self) -> float:
        """Robust less nominal."""
        return self.robust_gy - self.nominal_gy


@dataclass(frozen=True, slots=True)
class TargetPrice:
    """Coverage paid: near-minimum doses without shift, and in the worst scenario.

    D98% is the dose that at least 98 % of the volume gets, from the optimiser's points.
    """

    name: str
    d98: PricePair
    d95: PricePair
    worst_d98: PricePair
    worst_d95: PricePair


@dataclass(frozen=True, slots=True)
class OrganPrice:
    """Safety bought: the largest cumulative EQD2 less the limit, over scenarios and corners.

    Parameters
    ----------
    name : str
        Of the organ.
    worst_excess : PricePair
        Above 0 where a limit is exceeded in some scenario.
    n_unknown : int
        Points whose earlier dose is unknown; the numbers hold for the others only.
    """

    name: str
    worst_excess: PricePair
    n_unknown: int


@dataclass(frozen=True, slots=True)
class RobustPrice:
    """The price of robustness: what targets paid and what organs got for it."""

    targets: tuple[TargetPrice, ...]
    organs: tuple[OrganPrice, ...]


def robust_price(
    shifted: ShiftedDose,
    nominal_mu: Floats,
    robust_mu: Floats,
    *,
    targets: Mapping[str, tuple[ArrayLike, ArrayLike]],
    organs: Mapping[str, OrganRisk],
) -> RobustPrice:
    """Compare a plan optimised without uncertainty with a robust one, in the same scenarios.

    Parameters
    ----------
    shifted : ShiftedDose
        Scenarios; all points of targets and organs are followed.
    nominal_mu, robust_mu : ndarray of shape (n_beamlets,)
        Fluences of the two plans.
    targets : mapping of str to (indices, weights)
        Points and volume shares of each target.
    organs : mapping of str to OrganRisk
        Organs with a cumulative limit.

    Returns
    -------
    RobustPrice

    Raises
    ------
    InputError
        If points are not followed, or priors do not fit.
    """
    doses = (shifted.forward(nominal_mu), shifted.forward(robust_mu))
    return robust_price_of_doses(shifted, doses, targets=targets, organs=organs)


def robust_price_of_doses(
    shifted: ShiftedDose,
    doses: tuple[Floats, Floats],
    *,
    targets: Mapping[str, tuple[ArrayLike, ArrayLike]],
    organs: Mapping[str, OrganRisk],
) -> RobustPrice:
    """Compare two plans by their doses, leakage and corrections by a better engine included.

    Parameters
    ----------
    shifted : ShiftedDose
        Says which point stands for what in which scenario.
    doses : tuple of two ndarray of shape (shifted.n_points,)
        Of the plan optimised without uncertainty, and of the robust one.
    targets, organs : mapping
        As for :func:`robust_price`.
    """
    return RobustPrice(
        tuple(_target(name, shifted, doses, *where) for name, where in targets.items()),
        tuple(_organ(name, shifted, doses, organ) for name, organ in organs.items()),
    )


def _target(
    name: str,
    shifted: ShiftedDose,
    doses: tuple[Floats, ...],
    indices: ArrayLike,
    weights: ArrayLike,
) -> TargetPrice:
    """Return the coverage of both plans."""
    points = checked_indices(name, indices)
    shares = checked_shares(name, weights, len(points))
    found = np.empty((2, 2, shifted.n_scenarios))  # plan, D98 or D95, scenario
    for scenario in range(shifted.n_scenarios):
        where = shifted.points_in(scenario, points, name)
        for plan, dose in enumerate(doses):
            for row, volume in enumerate((0.98, 0.95)):
                found[plan, row, scenario] = near_minimum_gy(dose[where], shares, volume)
    worst = found.min(axis=2)
    return TargetPrice(
        name,
        d98=PricePair(float(found[0, 0, 0]), float(found[1, 0, 0])),
        d95=PricePair(float(found[0, 1, 0]), float(found[1, 1, 0])),
        worst_d98=PricePair(float(worst[0, 0]), float(worst[1, 0])),
        worst_d95=PricePair(float(worst[0, 1]), float(worst[1, 1])),
    )


def near_minimum_gy(dose_gy: Floats, shares: Floats, volume_share: float) -> float:
    """Return the highest dose that at least a share of the volume gets.

    Parameters
    ----------
    dose_gy, shares : ndarray of shape (N,)
        Dose and volume share (summing to 1) of each point.
    volume_share : float
        0.98 for D98%.
    """
    order = np.argsort(-dose_gy, kind="stable")
    reached = np.cumsum(shares[order])
    last = int(np.searchsorted(reached, volume_share - 1e-12))
    return float(dose_gy[order[min(last, len(order) - 1)]])


def _organ(
    name: str, shifted: ShiftedDose, doses: tuple[Floats, ...], organ: OrganRisk
) -> OrganPrice:
    """Return the worst excess of both plans."""
    points = checked_indices(name, organ.indices)
    shapes = {np.shape(prior) for prior in organ.priors_eqd2_gy}
    if shapes != {points.shape}:
        msg = f"{name}: expected {len(points)} earlier doses at every corner, got {shapes}"
        raise InputError(msg)
    unknown = np.isnan(np.asarray(organ.priors_eqd2_gy, dtype=np.float64)).any(axis=0)
    worst = []
    for dose in doses:
        highest = np.nan
        for scenario in range(shifted.n_scenarios):
            here = np.maximum(dose[shifted.points_in(scenario, points, name)], 0.0)
            total = worst_case_eqd2(
                organ.priors_eqd2_gy, organ.alpha_betas_gy, here, organ.n_fractions
            )
            highest = float(np.fmax.reduce(total, initial=highest))
        worst.append(highest - organ.limit_eqd2_gy)
    return OrganPrice(name, PricePair(*worst), int(np.count_nonzero(unknown)))
