"""What a Gy more of tolerance would buy: the multipliers of hard caps, laid on the patient."""

from rerad.optimize import Solution, price_on_grid, price_per_eqd2_gy
from rerad.planning.plan_request import PlanRequest
from rerad.planning.points import Points
from rerad.planning.result import TolerancePrices

UNIT = "fall of the optimiser's objective per Gy of tolerance"


def tolerance_prices(
    request: PlanRequest, points: Points, solution: Solution
) -> TolerancePrices | None:
    """Return what tolerance would buy, in EQD2 for cumulative limits; None without hard caps.

    Parameters
    ----------
    request : PlanRequest
        For alpha/beta, fractions and the dose grid.
    points : Points
        Where the optimiser looked.
    solution : Solution
        With multipliers.
    """
    held = solution.multipliers
    if held is None or not held.caps:
        return None
    cumulative = {f"{cap.label} cap": cap.alpha_beta_gy for cap in request.organ_caps}
    prices = {
        cap.name: price
        if cap.name not in cumulative
        else price_per_eqd2_gy(
            price,
            solution.dose_gy[cap.indices],
            alpha_beta_gy=cumulative[cap.name],
            n_fractions=request.n_fractions,
        )
        for cap, price in zip(held.caps, held.values, strict=True)
    }
    return TolerancePrices(
        map=price_on_grid(request.grid, points.indices, held.caps, prices, unit=UNIT),
        organs={name.removesuffix(" cap"): float(price.sum()) for name, price in prices.items()},
        objective=solution.objective,
    )
