"""Fluence from objectives on physical dose and on cumulative EQD2."""

from rerad.optimize.constraints import DoseCap, Multipliers, ValueCap
from rerad.optimize.cumulative_terms import (
    CumulativeDose,
    CumulativeMean,
    CumulativeOverdose,
)
from rerad.optimize.delivery import SweepLeakage
from rerad.optimize.leaf_motion import LeafSettings
from rerad.optimize.leaf_positions import Refinement, delivered_dose, refine_leaves
from rerad.optimize.lexicographic import Level, LevelOutcome, LevelsSolution, solve_levels
from rerad.optimize.monitor_units import MonitorUnits
from rerad.optimize.objectives import Overdose, Underdose, falloff_threshold
from rerad.optimize.pareto import ParetoGoal, ParetoProgress, ParetoSettings, pareto_set
from rerad.optimize.pareto_navigation import NavigatedPlan, combine, knee, navigate
from rerad.optimize.pareto_result import ParetoSet
from rerad.optimize.problem import LinearDose, Problem, uniform_start_mu
from rerad.optimize.robust import (
    WorstCase,
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
    robust_price_of_doses,
)
from rerad.optimize.search import Progress, SolveSettings, Watch
from rerad.optimize.shifted_dose import ShiftedDose, axis_shifts, shifted_dose
from rerad.optimize.smoothness import FluenceSmoothness
from rerad.optimize.solve import Solution, solve
from rerad.optimize.tail_terms import Aim, Geud, MeanDose, TailMean, TailSide
from rerad.optimize.terms import DoseTerm, FluenceTerm
from rerad.optimize.tolerance_price import PriceMap, price_on_grid, price_per_eqd2_gy
from rerad.optimize.volume_terms import VolumeAbove, VolumeBelow
from rerad.optimize.weighted import Weighted
from rerad.optimize.worst_dose import WorstCumulativeDose

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
    "LeafSettings",
    "Level",
    "LevelOutcome",
    "LevelsSolution",
    "LinearDose",
    "MeanDose",
    "MonitorUnits",
    "Multipliers",
    "NavigatedPlan",
    "OrganPrice",
    "OrganRisk",
    "Overdose",
    "ParetoGoal",
    "ParetoProgress",
    "ParetoSet",
    "ParetoSettings",
    "PriceMap",
    "PricePair",
    "Problem",
    "Progress",
    "Refinement",
    "RobustPrice",
    "ShiftedDose",
    "Solution",
    "SolveSettings",
    "SweepLeakage",
    "TailMean",
    "TailSide",
    "TargetPrice",
    "Underdose",
    "ValueCap",
    "VolumeAbove",
    "VolumeBelow",
    "Watch",
    "Weighted",
    "WorstCase",
    "WorstCumulativeDose",
    "axis_shifts",
    "combine",
    "delivered_dose",
    "falloff_threshold",
    "knee",
    "navigate",
    "pareto_set",
    "price_on_grid",
    "price_per_eqd2_gy",
    "refine_leaves",
    "robust_price",
    "robust_price_of_doses",
    "robust_problem",
    "shifted_dose",
    "solve",
    "solve_levels",
    "uniform_start_mu",
    "worst_case_cap",
    "worst_case_eqd2",
]
