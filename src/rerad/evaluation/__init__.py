"""Reading a dose: DVH, metrics, goals, gamma, measured curves."""

from rerad.evaluation.curves import (
    CurveDifference,
    Penumbra,
    compare_curves,
    depth_of_maximum_mm,
    penumbra,
    value_at,
)
from rerad.evaluation.dvh import Dvh, dose_at, dvh, dvh_of_points, points_of
from rerad.evaluation.gamma import (
    GammaCriterion,
    GammaMap,
    gamma_curve,
    gamma_index,
    gamma_plane,
)
from rerad.evaluation.goal_text import format_goal, goal_structure, parse_goal, suggest_metric
from rerad.evaluation.goals import (
    GoalResult,
    Verdict,
    as_lower_bound,
    as_upper_bound,
    evaluate_goal,
    evaluate_shape,
    is_within_limits,
)
from rerad.evaluation.indices import homogeneity_index, paddick_conformity_index
from rerad.evaluation.metrics import (
    Metric,
    MetricKind,
    evaluate_metric,
    metric_bounds,
    parse_metric,
)
from rerad.evaluation.plan_shape import (
    PlanShape,
    highest_dose_beyond,
    isodose_volume_cc,
    shape_bounds,
)

__all__ = [
    "CurveDifference",
    "Dvh",
    "GammaCriterion",
    "GammaMap",
    "GoalResult",
    "Metric",
    "MetricKind",
    "Penumbra",
    "PlanShape",
    "Verdict",
    "as_lower_bound",
    "as_upper_bound",
    "compare_curves",
    "depth_of_maximum_mm",
    "dose_at",
    "dvh",
    "dvh_of_points",
    "evaluate_goal",
    "evaluate_metric",
    "evaluate_shape",
    "format_goal",
    "gamma_curve",
    "gamma_index",
    "gamma_plane",
    "goal_structure",
    "highest_dose_beyond",
    "homogeneity_index",
    "is_within_limits",
    "isodose_volume_cc",
    "metric_bounds",
    "paddick_conformity_index",
    "parse_goal",
    "parse_metric",
    "penumbra",
    "points_of",
    "shape_bounds",
    "suggest_metric",
    "value_at",
]
