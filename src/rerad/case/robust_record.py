"""Robustness and prices of tolerance as JSON, for the record of a run."""

import math
from typing import Any

from rerad.optimize import PricePair
from rerad.planning import RobustOutcome, RobustVerdict, TolerancePrices


def number_or_none(value: float) -> float | None:
    """Return a finite number rounded to six places, or None for unknown."""
    return round(float(value), 6) if math.isfinite(value) else None


def prices_record(prices: TolerancePrices | None) -> dict[str, Any] | None:
    """Return what a Gy more of tolerance would buy, organ by organ."""
    if prices is None:
        return None
    return {
        "objective": number_or_none(prices.objective),
        "unit": prices.map.unit,
        "fall_per_gy_of_whole_organ": {k: number_or_none(v) for k, v in prices.organs.items()},
    }


def robust_record(robust: RobustOutcome | None) -> dict[str, Any] | None:
    """Return what was held against, what it cost, and whether it holds."""
    if robust is None:
        return None
    planning = robust.planning
    settings = planning.settings
    return {
        "prior_shift_mm": list(settings.prior_shift_mm),
        "setup_shift_mm": list(settings.setup_shift_mm),
        "alpha_beta_spread_gy": settings.alpha_beta_spread_gy,
        "recovery_spread": settings.recovery_spread,
        "isocentre_shifts_mm": [list(shift) for shift in planning.shifts_mm],
        "n_evaluations": planning.n_evaluations,
        "is_settled": planning.is_settled,
        "targets": [
            {
                "structure": item.name,
                "d98_gy": _pair(item.d98),
                "d95_gy": _pair(item.d95),
                "worst_d98_gy": _pair(item.worst_d98),
                "worst_d95_gy": _pair(item.worst_d95),
            }
            for item in planning.price.targets
        ],
        "organs": [
            {
                "structure": item.name,
                "worst_excess_eqd2_gy": _pair(item.worst_excess),
                "n_unknown": item.n_unknown,
            }
            for item in planning.price.organs
        ],
        "verdicts": [_verdict(item) for item in robust.verdicts],
    }


def _verdict(item: RobustVerdict) -> dict[str, Any]:
    return {
        "structure": item.structure,
        "goal": item.worst.goal.text,
        "worst_value": number_or_none(item.worst.value),
        "unit": item.worst.goal.unit,
        "scenario": item.scenario,
        "verdict": item.worst.verdict,
    }


def _pair(pair: PricePair) -> dict[str, float | None]:
    return {"believing": number_or_none(pair.nominal_gy), "robust": number_or_none(pair.robust_gy)}
