"""The centre line of a nerve: points by arc length, where they come from, how sure they are."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError

UNEVEN = 1.25
"""Steps of a path may differ by this factor: a chord across a bend is shorter than its arc."""


class PathSource(StrEnum):
    """How a centre line came about."""

    CONTOURS = "user's contours"
    CLICKS = "clicked points, tracked between them"
    POINTS = "points as given"
    LANDMARKS = "bone landmarks, first proposal"


@dataclass(frozen=True, eq=False, slots=True)
class NervePath:
    """A centre line, sampled evenly by arc length from the spine outwards.

    Parameters
    ----------
    name : str
        Of the nerve, such as ``L5_R``.
    points_mm : ndarray of shape (N, 3)
        ``(x, y, z)`` in mm, N at least 3, evenly spaced.
    frame_uid : str
        Frame of reference.
    source : PathSource
        Where it comes from.
    uncertainty_mm : float
        How far the true centre line may be, one standard deviation across the path; NaN if
        nobody can say.

    Raises
    ------
    InputError
        If there are fewer than three points, they are not finite, or not evenly spaced.
    """

    name: str
    points_mm: NDArray[np.float64]
    frame_uid: str
    source: PathSource
    uncertainty_mm: float = np.nan

    def __post_init__(self) -> None:
        points = frozen_array(self.points_mm, np.float64)
        object.__setattr__(self, "points_mm", points)
        if points.ndim != 2 or points.shape[1] != 3 or len(points) < 3:
            msg = f"{self.name}: expected three points (x, y, z) or more, got {points.shape}"
            raise InputError(msg)
        if not np.all(np.isfinite(points)):
            msg = f"{self.name}: expected finite points of the centre line in mm"
            raise InputError(msg)
        steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
        if steps.min() <= 0 or steps.max() > UNEVEN * steps.min():
            msg = f"{self.name}: expected evenly spaced points, got steps of {steps.min():.2f} to "
            msg += f"{steps.max():.2f} mm; resample it by arc length"
            raise InputError(msg)

    @property
    def arc_mm(self) -> NDArray[np.float64]:
        """Arc length at each point from the first, shape (N,)."""
        steps = np.linalg.norm(np.diff(self.points_mm, axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    @property
    def length_mm(self) -> float:
        """Length of the path."""
        return float(self.arc_mm[-1])

    @property
    def tangents(self) -> NDArray[np.float64]:
        """Unit vectors along the path at each point, shape (N, 3)."""
        slope = np.gradient(self.points_mm, axis=0)
        return np.asarray(slope / np.linalg.norm(slope, axis=1)[:, None])

    @property
    def side(self) -> str:
        """L or R from the end of the name; empty if it does not say."""
        return self.name[-1] if self.name.endswith(("_L", "_R")) else ""

    def at(self, arc_mm: ArrayLike) -> NDArray[np.float64]:
        """Return points at arc lengths, shape (..., 3); beyond the ends, the ends."""
        arc, wanted = self.arc_mm, np.asarray(arc_mm, dtype=np.float64)
        return np.stack([np.interp(wanted, arc, self.points_mm[:, a]) for a in range(3)], axis=-1)
