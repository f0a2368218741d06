"""Measured against calculated curves: depth doses and profiles.

Positions are in mm and ascending; values are in any unit, the same along a curve. Lengths that
depend on a level (width, penumbra) refer to the value on the axis, as is the custom for flattened
beams.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError


@dataclass(frozen=True, slots=True)
class Penumbra:
    """Width and edges of a profile.

    Parameters
    ----------
    field_width_mm : float
        Distance between the two places where the value is half of that on the axis.
    center_mm : float
        Middle of these places.
    left_mm, right_mm : float
        Distance between 20 % and 80 % of the value on the axis, at the negative and the positive
        side.
    """

    field_width_mm: float
    center_mm: float
    left_mm: float
    right_mm: float


@dataclass(frozen=True, eq=False, slots=True)
class CurveDifference:
    """Differences of two curves at common positions, calculated less measured.

    Parameters
    ----------
    positions_mm : ndarray of shape (N,)
        Where.
    local_percent : ndarray of shape (N,)
        In percent of the measured value there.
    of_maximum_percent : ndarray of shape (N,)
        In percent of the largest measured value of the curve.
    """

    positions_mm: NDArray[np.float64]
    local_percent: NDArray[np.float64]
    of_maximum_percent: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("positions_mm", "local_percent", "of_maximum_percent"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


def compare_curves(
    positions_mm: NDArray[np.float64],
    measured: NDArray[np.float64],
    calculated: NDArray[np.float64],
) -> CurveDifference:
    """Compare two curves that are already normalised the same way.

    Parameters
    ----------
    positions_mm : ndarray of shape (N,)
        Ascending.
    measured, calculated : ndarray of shape (N,)
        Values there; the measured ones above 0.

    Returns
    -------
    CurveDifference
        Relative to the local and to the largest measured value.

    Raises
    ------
    InputError
        If shapes differ, positions do not ascend, or a measured value is not above 0.
    """
    _require_curve(positions_mm, measured)
    _require_curve(positions_mm, calculated)
    if np.any(measured <= 0):
        msg = "expected measured values above 0 to compare with; leave out the others"
        raise InputError(msg)
    difference = 100.0 * (calculated - measured)
    return CurveDifference(positions_mm, difference / measured, difference / measured.max())


def depth_of_maximum_mm(depths_mm: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the depth of the largest value: the top of the parabola through three samples.

    Parameters
    ----------
    depths_mm : ndarray of shape (N,)
        Ascending.
    values : ndarray of shape (N,)
        Values there; noise moves the answer, as the top is flat.

    Returns
    -------
    float
        In mm; the sample itself where the largest value is the first or the last.
    """
    _require_curve(depths_mm, values)
    top = int(np.argmax(values))
    if top in {0, len(values) - 1}:
        return float(depths_mm[top])
    x = depths_mm[top - 1 : top + 2] - depths_mm[top]
    a, b, _ = np.polyfit(x, values[top - 1 : top + 2], 2)
    return float(depths_mm[top] - 0.5 * b / a) if a < 0 else float(depths_mm[top])


def value_at(
    positions_mm: NDArray[np.float64], values: NDArray[np.float64], at_mm: float
) -> float:
    """Return a curve's value, linear between samples.

    Parameters
    ----------
    positions_mm, values : ndarray of shape (N,)
        The curve; positions ascending.
    at_mm : float
        Where.

    Raises
    ------
    InputError
        If the curve does not reach there.
    """
    _require_curve(positions_mm, values)
    if not positions_mm[0] <= at_mm <= positions_mm[-1]:
        msg = (
            f"expected a curve that reaches {at_mm:g} mm, got one from {positions_mm[0]:g} to "
            f"{positions_mm[-1]:g} mm"
        )
        raise InputError(msg)
    return float(np.interp(at_mm, positions_mm, values))


def penumbra(positions_mm: NDArray[np.float64], values: NDArray[np.float64]) -> Penumbra:
    """Measure width and edges of a profile across the axis.

    Parameters
    ----------
    positions_mm : ndarray of shape (N,)
        Distances from the axis, ascending, reaching below 20 % on both sides.
    values : ndarray of shape (N,)
        Values there.

    Returns
    -------
    Penumbra
        Levels are crossed where the first sample outwards of the axis falls below them; linear
        between samples.

    Raises
    ------
    InputError
        If the profile does not reach the axis or does not fall below 20 % on both sides.
    """
    relative = values / value_at(positions_mm, values, 0.0)
    right = [_crossing(positions_mm, relative, level) for level in (0.8, 0.5, 0.2)]
    left = [_crossing(-positions_mm[::-1], relative[::-1], level) for level in (0.8, 0.5, 0.2)]
    return Penumbra(
        field_width_mm=right[1] + left[1],
        center_mm=0.5 * (right[1] - left[1]),
        left_mm=left[2] - left[0],
        right_mm=right[2] - right[0],
    )


def _crossing(
    positions_mm: NDArray[np.float64], relative: NDArray[np.float64], level: float
) -> float:
    """Where the curve first falls below `level` beyond the axis, on the positive side."""
    below = np.flatnonzero((positions_mm > 0) & (relative < level))
    if len(below) == 0 or below[0] == 0 or relative[below[0] - 1] < level:
        msg = f"expected a profile that falls below {100 * level:.0f} % on both sides of the axis"
        raise InputError(msg)
    i = int(below[0])
    share = (relative[i - 1] - level) / (relative[i - 1] - relative[i])
    return float(positions_mm[i - 1] + share * (positions_mm[i] - positions_mm[i - 1]))


def _require_curve(positions_mm: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Raise unless positions ascend and there is one finite value for each."""
    is_curve = positions_mm.ndim == 1 and len(positions_mm) >= 2
    if not is_curve or values.shape != positions_mm.shape:
        msg = (
            "expected two or more positions with one value each, got "
            f"{positions_mm.shape} and {values.shape}"
        )
        raise InputError(msg)
    if np.any(np.diff(positions_mm) <= 0) or not np.isfinite(values).all():
        msg = "expected ascending positions and finite values"
        raise InputError(msg)
