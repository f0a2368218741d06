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
from rerad.planning.replan import (
    PlanOutcome,
    PlanRequest,
    PlanSettings,
    coplanar_beams,
    isocenter_of,
    make_plan,
)
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
    "Medium",
    "MediumSettings",
    "ObjectiveSettings",
    "OrganCap",
    "PhysicalCap",
    "PlanOutcome",
    "PlanRequest",
    "PlanSettings",
    "PlanningInputs",
    "PlanningSettings",
    "PriorCourse",
    "PriorInput",
    "Progress",
    "Stopwatch",
    "SummaryRow",
    "TargetDelivery",
    "coplanar_beams",
    "dose_grid_for",
    "external_of",
    "isocenter_of",
    "make_medium",
    "make_plan",
    "rasterize_all",
    "run_pipeline",
]
