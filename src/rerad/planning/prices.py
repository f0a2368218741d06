"""What a Gy more of tolerance would buy: the multipliers of hard caps, laid on the patient."""

import numpy as np
from numpy.typing import NDArray

from rerad.optimize import Solution, price_on_grid, price_per_eqd2_gy
from rerad.planning.caps import held_doses_gy
from rerad.planning.plan_request import PlanRequest
from rerad.planning.result import TolerancePrices

UNIT = "objective per Gy"


def tolerance_prices(
    request: PlanRequest, voxels: NDArray[np.int64], solution: Solution
) -> TolerancePrices | None:
    """Return what tolerance would buy, in EQD2 for cumulative limits; None without hard caps.

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
    if held is None or not held.caps:
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
    return TolerancePrices(
        map=price_on_grid(request.grid, voxels, held.caps, prices, unit=UNIT),
        organs=organs,
        objective=solution.objective,
    )


def _plain(name: str) -> str:
    """Return the name of a cap without the shift that it is for."""
    return name.split(", isocentre shifted by ")[0]
