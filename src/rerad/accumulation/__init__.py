"""Dose over several courses: map onto one grid, discount, add."""

from rerad.accumulation.map_dose import map_dose
from rerad.accumulation.sum_doses import discount, sum_doses

__all__ = ["discount", "map_dose", "sum_doses"]
