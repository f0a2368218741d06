"""What a Gy more of tolerance would buy: the multipliers of hard caps, laid on the patient."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rerad.optimize import (
    Geud,
    MeanDose,
    Multipliers,
    Solution,
    TailMean,
    price_on_grid,
    price_per_eqd2_gy,
)
from rerad.planning.caps import held_doses_gy
from rerad.planning.levels import HARD
from rerad.planning.plan_request import PlanRequest
from rerad.planning.result import TolerancePrices

UNIT = "objective per Gy"


def tolerance_prices(
    request: PlanRequest, voxels: NDArray[np.int64], solution: Solution
) -> TolerancePrices | None:
    """Return what tolerance would buy, in EQD2 for cumulative limits; None without hard limits.

    Parameters
    ----------
    request : PlanRequest
        For alpha/beta, fractions and the dose grid.
    voxels : ndarray of int, shape (n_points,)
        Flat voxel that each point of the solution stands for; with set-up shifts several points
        are one voxel.
    solution : Solution
        With multipliers.
    """
    held = solution.multipliers
    if held is None:
        return None
    of_goals = tuple(_of_hard_goals(held))
    if not held.caps and not of_goals:
        return None
    cumulative = {f"{cap.label} cap": cap for cap in request.organ_caps}
    organs: dict[str, float] = {}
    prices = {
        cap.name: price
        if _plain(cap.name) not in cumulative
        else price_per_eqd2_gy(
            price,
            solution.dose_gy[cap.indices],
            alpha_beta_gy=held_doses_gy(
                cumulative[_plain(cap.name)],
                request.grid,
                voxels[cap.indices],
                request.n_fractions,
            )[1],
            n_fractions=request.n_fractions,
        )
        for cap, price in zip(held.caps, held.values, strict=True)
    }
    for name, price in prices.items():
        organ = _plain(name).removesuffix(" cap")
        organs[organ] = organs.get(organ, 0.0) + float(price.sum())
    for name, price_per_gy in of_goals:
        organs[name] = organs.get(name, 0.0) + price_per_gy
    return TolerancePrices(
        map=price_on_grid(request.grid, voxels, held.caps, prices, unit=UNIT),
        organs=organs,
        objective=solution.objective,
    )


def _of_hard_goals(held: Multipliers) -> Iterator[tuple[str, float]]:
    r"""Yield each hard goal on a mean, gEUD or volume with its price, once for every shift.

    A bound is :math:`c / s \le b` for a number `c` in Gy, so a Gy more of it raises `b` by
    :math:`1 / s`; of a volume at a dose it is a Gy more of that dose.
    """
    for bound, multiplier in zip(held.sums, held.sum_values, strict=True):
        name = _plain(bound.name)
        (term, *others) = bound.terms
        if name.endswith(HARD) and isinstance(term, TailMean | Geud | MeanDose) and not others:
            yield name.removesuffix(HARD), multiplier / (bound.at_most * term.aim.scale_gy)


def _plain(name: str) -> str:
    """Return the name of a cap without the shift that it is for."""
    return name.split(", isocentre shifted by ")[0]
