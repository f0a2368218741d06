"""The pipeline from prior courses to a deliverable plan."""

from rerad.planning.goal_watch import CaseListeners, GoalNow
from rerad.planning.inputs import (
    LimitChoice,
    ObjectiveSettings,
    PlanningInputs,
    PlanningSettings,
    PriorInput,
    Progress,
    RobustSettings,
)
from rerad.planning.medium import Medium, MediumSettings, make_medium
from rerad.planning.pass_record import PassRecord, PlanState
from rerad.planning.pipeline import (
    PreparedCase,
    Stopwatch,
    dose_grid_for,
    external_of,
    judge_case,
    prepare_case,
    rasterize_all,
    run_pipeline,
)
from rerad.planning.plan_outcome import PlanOutcome
from rerad.planning.plan_request import PlanGoal, PlanRequest, PlanSettings
from rerad.planning.points import Points
from rerad.planning.replan import Listeners, coplanar_beams, isocenter_of, make_plan
from rerad.planning.result import (
    BudgetRow,
    BudgetScenario,
    CaseResult,
    Convergence,
    DeliveryState,
    PassAgreement,
    PriorCourse,
    SummaryRow,
    TargetDelivery,
    TolerancePrices,
)
from rerad.planning.robust_result import RobustOutcome, RobustPlanning, RobustVerdict
from rerad.planning.terms import CapCorner, OrganCap, PhysicalCap
from rerad.planning.trade_axes import TradeAxis, trade_axes
from rerad.planning.trade_off import Trade, TradeSettings, plan_of, trade_off

__all__ = [
    "BudgetRow",
    "BudgetScenario",
    "CapCorner",
    "CaseListeners",
    "CaseResult",
    "Convergence",
    "DeliveryState",
    "GoalNow",
    "LimitChoice",
    "Listeners",
    "Medium",
    "MediumSettings",
    "ObjectiveSettings",
    "OrganCap",
    "PassAgreement",
    "PassRecord",
    "PhysicalCap",
    "PlanGoal",
    "PlanOutcome",
    "PlanRequest",
    "PlanSettings",
    "PlanState",
    "PlanningInputs",
    "PlanningSettings",
    "Points",
    "PreparedCase",
    "PriorCourse",
    "PriorInput",
    "Progress",
    "RobustOutcome",
    "RobustPlanning",
    "RobustSettings",
    "RobustVerdict",
    "Stopwatch",
    "SummaryRow",
    "TargetDelivery",
    "TolerancePrices",
    "Trade",
    "TradeAxis",
    "TradeSettings",
    "coplanar_beams",
    "dose_grid_for",
    "external_of",
    "isocenter_of",
    "judge_case",
    "make_medium",
    "make_plan",
    "plan_of",
    "prepare_case",
    "rasterize_all",
    "run_pipeline",
    "trade_axes",
    "trade_off",
]
