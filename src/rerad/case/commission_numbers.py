"""What a measured curve and a calculated one come down to: differences, edges, gamma.

Depth doses are divided by their own largest value, profiles by their value on the axis.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from rerad.case.measured import CurveKind, MeasuredCurve
from rerad.evaluation import GammaCriterion, gamma_curve
from rerad.evaluation.curves import (
    CurveDifference,
    compare_curves,
    depth_of_maximum_mm,
    penumbra,
    value_at,
)

BUILD_UP_MM = 5.0
"""Depth doses are summarised beyond this depth: above it neither detectors nor engines are to be
trusted."""

IN_FIELD_SHARE = 0.8
"""Profiles are summarised within this share of the measured field width, as is the custom for
flatness."""

OUTSIDE_MM = 10.0
"""And from this far beyond the measured field edge outwards."""

GAMMA_CRITERIA = ((1.0, 1.0), (2.0, 2.0))
"""Percent of the maximum (depth dose) or of the axis (profiles), and mm, of the gamma index."""

GAMMA_STEP_MM = 0.1
"""Spacing of the calculated curve, a cubic spline through its points, for the gamma index."""


def edges(
    positions_mm: NDArray[np.float64], values: NDArray[np.float64], prefix: str
) -> dict[str, float]:
    """Width and penumbra of a profile, named."""
    edges = penumbra(positions_mm, values)
    return {
        f"{prefix}field_width_mm": edges.field_width_mm,
        f"{prefix}center_mm": edges.center_mm,
        f"{prefix}penumbra_left_mm": edges.left_mm,
        f"{prefix}penumbra_right_mm": edges.right_mm,
    }


def normalised(
    kind: CurveKind, positions_mm: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Divide a depth dose by its largest value, a profile by its value on the axis.

    Parameters
    ----------
    kind : CurveKind
        Which of the two.
    positions_mm, values : ndarray of shape (N,)
        The curve, positions ascending.

    Returns
    -------
    ndarray of shape (N,)
        1 at the maximum, or on the axis.

    Raises
    ------
    InputError
        If a profile does not reach the axis.
    """
    is_depth_dose = kind is CurveKind.DEPTH_DOSE
    return values / (values.max() if is_depth_dose else value_at(positions_mm, values, 0.0))


def shape_difference(curve: MeasuredCurve, dose: NDArray[np.float64]) -> CurveDifference:
    """Shape against shape."""
    x = curve.positions_mm
    return compare_curves(
        x, normalised(curve.kind, x, curve.values), normalised(curve.kind, x, dose)
    )


def comparison_numbers(curve: MeasuredCurve, difference: CurveDifference) -> dict[str, float]:
    """What a comparison comes down to; each range is said by the constants above."""
    x = curve.positions_mm
    if curve.kind is CurveKind.DEPTH_DOSE:
        deep = x >= BUILD_UP_MM
        numbers = {"measured_depth_of_maximum_mm": depth_of_maximum_mm(x, curve.values)}
        return numbers | _largest("beyond_build_up", difference, deep)
    numbers = edges(x, curve.values, "measured_")
    from_center = np.abs(x - numbers["measured_center_mm"])
    half = 0.5 * numbers["measured_field_width_mm"]
    numbers |= _largest("in_field", difference, from_center <= IN_FIELD_SHARE * half)
    return numbers | _largest("outside_field", difference, from_center >= half + OUTSIDE_MM)


def gamma_numbers(curve: MeasuredCurve, dose: NDArray[np.float64]) -> dict[str, float]:
    """Share of the measured points that pass; of a depth dose those beyond the build-up."""
    x = curve.positions_mm
    fine = np.arange(x[0], x[-1] + GAMMA_STEP_MM, GAMMA_STEP_MM).clip(max=x[-1])
    fine = np.unique(fine)
    measured = normalised(curve.kind, x, curve.values)
    calculated = CubicSpline(x, normalised(curve.kind, x, dose))(fine)
    judged = x >= BUILD_UP_MM if curve.kind is CurveKind.DEPTH_DOSE else np.full(len(x), True)
    numbers = {}
    for percent, distance in GAMMA_CRITERIA:
        criterion = GammaCriterion(percent, distance, False, 0.0, normalization_gy=1.0)
        found = gamma_curve(x[judged], measured[judged], fine, calculated, criterion)
        name = f"gamma_{percent:g}_percent_{distance:g}_mm_pass_percent"
        numbers[name] = 100.0 * found.pass_rate
    return numbers


def _largest(
    name: str, difference: CurveDifference, chosen: NDArray[np.bool_]
) -> dict[str, float]:
    """Largest and mean absolute difference of a part of a curve; nothing if it has no points."""
    if not chosen.any():
        return {}
    of_maximum = np.abs(difference.of_maximum_percent[chosen])
    return {
        f"{name}_largest_local_percent": float(np.abs(difference.local_percent[chosen]).max()),
        f"{name}_largest_of_maximum_percent": float(of_maximum.max()),
        f"{name}_mean_of_maximum_percent": float(of_maximum.mean()),
        f"{name}_largest_at_mm": float(difference.positions_mm[chosen][np.argmax(of_maximum)]),
    }
