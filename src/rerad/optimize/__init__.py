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
from rerad.optimize.robust import (
    WorstCase,
    robust_multipliers,
    robust_problem,
    worst_case_cap,
    worst_case_eqd2,
)
from rerad.optimize.robust_price import (
    OrganPrice,
    OrganRisk,
    PricePair,
    RobustPrice,
    TargetPrice,
    robust_price,
)
from rerad.optimize.shifted_dose import ShiftedDose, axis_shifts, shifted_dose
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
    "OrganPrice",
    "OrganRisk",
    "Overdose",
    "PricePair",
    "Problem",
    "Progress",
    "RobustPrice",
    "ShiftedDose",
    "Solution",
    "SolveSettings",
    "TailMean",
    "TailSide",
    "TargetPrice",
    "Underdose",
    "VolumeAbove",
    "VolumeBelow",
    "WorstCase",
    "axis_shifts",
    "falloff_threshold",
    "robust_multipliers",
    "robust_price",
    "robust_problem",
    "shifted_dose",
    "solve",
    "uniform_start_mu",
    "worst_case_cap",
    "worst_case_eqd2",
]
