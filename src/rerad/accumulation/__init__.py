"""Dose over several courses: map onto one grid, discount, add, and say how sure that is."""

from rerad.accumulation.courses import (
    CourseDose,
    PhaseDose,
    accumulate,
    course_eqd2,
    phase_eqd2,
)
from rerad.accumulation.ensemble import (
    RegistrationSpread,
    ensemble_interval,
    sample_transforms,
)
from rerad.accumulation.map_dose import map_dose, map_dose_mean
from rerad.accumulation.strategies import (
    OrganSum,
    StrategySettings,
    organ_sum,
    proposed_strategy_settings,
)
from rerad.accumulation.sum_doses import discount, sum_doses
from rerad.accumulation.uncertainty import (
    CumulativeMaxima,
    cumulative_maxima,
    search_maximum,
    worst_prior_within,
)

__all__ = [
    "CourseDose",
    "CumulativeMaxima",
    "OrganSum",
    "PhaseDose",
    "RegistrationSpread",
    "StrategySettings",
    "accumulate",
    "course_eqd2",
    "cumulative_maxima",
    "discount",
    "ensemble_interval",
    "map_dose",
    "map_dose_mean",
    "organ_sum",
    "phase_eqd2",
    "proposed_strategy_settings",
    "sample_transforms",
    "search_maximum",
    "sum_doses",
    "worst_prior_within",
]
