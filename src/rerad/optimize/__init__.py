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
from rerad.optimize.tail_terms import Aim, Geud, MeanDose, TailMean, TailSide
from rerad.optimize.terms import DoseTerm, FluenceTerm
from rerad.optimize.volume_terms import VolumeAbove, VolumeBelow

__all__ = [
    "Aim",
    "CumulativeDose",
    "CumulativeMean",
    "CumulativeOverdose",
    "DoseCap",
    "DoseTerm",
    "FluenceSmoothness",
    "FluenceTerm",
    "Geud",
    "LinearDose",
    "MeanDose",
    "Multipliers",
    "Overdose",
    "Problem",
    "Progress",
    "Solution",
    "SolveSettings",
    "TailMean",
    "TailSide",
    "Underdose",
    "VolumeAbove",
    "VolumeBelow",
    "falloff_threshold",
    "solve",
    "uniform_start_mu",
]
