"""Fluence from objectives on physical dose and on cumulative EQD2."""

from rerad.optimize.constraints import DoseCap, Multipliers
from rerad.optimize.objectives import (
    CumulativeDose,
    CumulativeMean,
    CumulativeOverdose,
    Overdose,
    Underdose,
    falloff_threshold,
)
from rerad.optimize.problem import LinearDose, Problem, uniform_start_mu
from rerad.optimize.smoothness import FluenceSmoothness
from rerad.optimize.solve import Progress, Solution, SolveSettings, solve
from rerad.optimize.terms import DoseTerm, FluenceTerm

__all__ = [
    "CumulativeDose",
    "CumulativeMean",
    "CumulativeOverdose",
    "DoseCap",
    "DoseTerm",
    "FluenceSmoothness",
    "FluenceTerm",
    "LinearDose",
    "Multipliers",
    "Overdose",
    "Problem",
    "Progress",
    "Solution",
    "SolveSettings",
    "Underdose",
    "falloff_threshold",
    "solve",
    "uniform_start_mu",
]
