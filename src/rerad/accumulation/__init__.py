"""Dose over several courses: map onto one grid, discount, add, and say how sure that is."""

from rerad.accumulation.ensemble import (
    RegistrationSpread,
    ensemble_interval,
    sample_transforms,
)
from rerad.accumulation.map_dose import map_dose
from rerad.accumulation.sum_doses import discount, sum_doses
from rerad.accumulation.uncertainty import CumulativeMaxima, cumulative_maxima, search_maximum

__all__ = [
    "CumulativeMaxima",
    "RegistrationSpread",
    "cumulative_maxima",
    "discount",
    "ensemble_interval",
    "map_dose",
    "sample_transforms",
    "search_maximum",
    "sum_doses",
]
