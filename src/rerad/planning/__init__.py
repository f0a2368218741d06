"""The pipeline from prior courses to a deliverable plan."""

from rerad.planning.inputs import (
    LimitChoice,
    ObjectiveSettings,
    PlanningInputs,
    PlanningSettings,
    PriorInput,
    Progress,
)
from rerad.planning.medium import Medium, MediumSettings, make_medium
from rerad.planning.pipeline import (
    Stopwatch,
    dose_grid_for,
    external_of,
    rasterize_all,
    run_pipeline,
)
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_request import PlanGoal, PlanRequest, PlanSettings, PlanState
from rerad.planning.points import Points
from rerad.planning.prices import TolerancePrices
from rerad.planning.replan import Listeners, coplanar_beams, isocenter_of, make_plan
from rerad.planning.result import (
    BudgetRow,
    BudgetScenario,
    CaseResult,
    Convergence,
    DeliveryState,
    PriorCourse,
    SummaryRow,
    TargetDelivery,
)
from rerad.planning.terms import OrganCap, PhysicalCap

__all__ = [
    "BudgetRow",
    "BudgetScenario",
    "CaseResult",
    "Convergence",
    "DeliveryState",
    "LimitChoice",
    "Listeners",
    "Medium",
    "MediumSettings",
    "ObjectiveSettings",
    "OrganCap",
    "PhysicalCap",
    "PlanGoal",
    "PlanOutcome",
    "PlanRequest",
    "PlanSettings",
    "PlanState",
    "PlanningInputs",
    "PlanningSettings",
    "Points",
    "PriorCourse",
    "PriorInput",
    "Progress",
    "Stopwatch",
    "SummaryRow",
    "TargetDelivery",
    "TolerancePrices",
    "coplanar_beams",
    "dose_grid_for",
    "external_of",
    "isocenter_of",
    "make_medium",
    "make_plan",
    "rasterize_all",
    "run_pipeline",
]
