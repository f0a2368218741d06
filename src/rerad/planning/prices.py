"""What a Gy more of tolerance would buy: the multipliers of hard caps, laid on the patient."""

import numpy as np
from numpy.typing import NDArray

from rerad.optimize import Solution, price_on_grid, price_per_eqd2_gy
from rerad.planning.caps import OrganCap
from rerad.planning.plan_request import PlanRequest
from rerad.planning.result import TolerancePrices
from rerad.radiobiology import physical_from_eqd2

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
            alpha_beta_gy=binding_alpha_beta_gy(
                cumulative[_plain(cap.name)], voxels[cap.indices], request.n_fractions
            ),
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


def binding_alpha_beta_gy(
    cap: OrganCap, voxels: NDArray[np.int64], n_fractions: int
) -> NDArray[np.float64]:
    """Return the alpha/beta at which each voxel is held: that of the corner that leaves least.

    Parameters
    ----------
    cap : OrganCap
        A limit, with or without corners.
    voxels : ndarray of int, shape (N,)
        Flat voxels of the dose grid.
    n_fractions : int
        Of the new plan.

    Returns
    -------
    ndarray of shape (N,)
        In Gy; the organ's own where corners are unknown or leave nothing, because there the limit
        is held for the earlier dose as mapped.
    """
    alpha_betas = np.array([cap.alpha_beta_gy, *(item.alpha_beta_gy for item in cap.corners)])
    left_gy = np.empty((len(alpha_betas), len(voxels)))
    priors = (cap.prior, *(corner.prior for corner in cap.corners))
    for row, (prior, alpha_beta) in enumerate(zip(priors, alpha_betas, strict=True)):
        given = 0.0 if prior is None else prior.values.ravel()[voxels].astype(np.float64)
        left = np.broadcast_to(cap.aim_eqd2_gy - given, len(voxels))
        left_gy[row] = physical_from_eqd2(
            left, n_fractions=n_fractions, alpha_beta_gy=float(alpha_beta)
        )
    is_held = np.all(left_gy[1:] > 0, axis=0)  # false for NaN too
    binding = np.where(is_held, np.argmin(np.nan_to_num(left_gy, nan=np.inf), axis=0), 0)
    return alpha_betas[binding]


def _plain(name: str) -> str:
    """Return the name of a cap without the shift that it is for."""
    return name.split(", isocentre shifted by ")[0]
