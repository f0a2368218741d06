r"""Objectives on the volume beyond a dose (V45Gy, D95%): partial-volume penalties, not convex.

Only the doses beyond `dose_gy` that do not fit into the allowed share of the volume are penalised
[1]_. The set of them changes with the dose, and the penalty bends both ways: what is found is a
local minimum. Solve with the convex surrogate (:meth:`VolumeAbove.convex_surrogate`), which
implies the goal and asks for more than it, and polish with the penalty from there.

References
----------
.. [1] Wu & Mohan (2000), Med. Phys. 27, 701, doi:10.1118/1.598932 (cited from memory).
.. [2] Romeijn, Ahuja, Dempsey & Kumar (2006), Oper. Res. 54, 201, doi:10.1287/opre.1050.0261
   (tail means in place of partial volumes; cited from memory).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.optimize.cumulative_terms import CumulativeDose
from rerad.optimize.tail_terms import (
    Aim,
    TailMean,
    TailSide,
    checked_cumulative,
    read_dose,
    tail_shares,
)
from rerad.optimize.terms import Floats, checked_indices, checked_positive, checked_shares


@dataclass(frozen=True, eq=False, slots=True)
class VolumeAbove:
    r"""At most a share :math:`\beta` of the volume may get more than a dose :math:`L`.

    .. math:: w \sum_i (v_i - t_i) ((q_i - L)_+ / L)^2

    where :math:`t_i` is the part of point `i` within the hottest :math:`\beta` of the volume. It
    is 0 exactly where the goal is met. **Not convex**: for polishing.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    dose_gy : float
        :math:`L`, above 0, physical or EQD2 as `cumulative` says.
    volume_share : float
        :math:`\beta`, above 0 and below 1.
    importance : float
        :math:`w`, above 0.
    cumulative : CumulativeDose or None
        Read cumulative EQD2; None reads physical dose.

    Raises
    ------
    InputError
        If an argument is out of range.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    dose_gy: float
    volume_share: float
    importance: float
    cumulative: CumulativeDose | None = None

    def __post_init__(self) -> None:
        _check(self)
        if self.cumulative is not None:
            checked = checked_cumulative(self.name, self.cumulative, len(self.indices))
            object.__setattr__(self, "cumulative", checked)

    @property
    def is_convex(self) -> bool:
        """Whether it is convex in the fluence."""
        return False

    def convex_surrogate(self) -> TailMean:
        """Return the convex objective that is 0 only where this goal is met.

        The mean dose of the hottest share is to stay below the dose; the dose at that volume is
        never above it.
        """
        aim = Aim(self.importance, self.dose_gy, self.dose_gy)
        return TailMean(
            self.name,
            self.indices,
            self.weights,
            self.volume_share,
            aim,
            TailSide.HOTTEST,
            self.cumulative,
        )

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        read, slope = read_dose(self.cumulative, dose_gy)
        value, by_read = _penalty(self, read, TailSide.HOTTEST)
        return value, by_read * slope

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each point."""
        aim = Aim(self.importance, self.dose_gy, self.dose_gy)
        return aim.curvature(self.weights, self.cumulative)


@dataclass(frozen=True, eq=False, slots=True)
class VolumeBelow:
    r"""At most a share :math:`\beta` of a target may get less than a physical dose :math:`P`.

    .. math:: w \sum_i (v_i - t_i) ((P - D_i)_+ / P)^2

    where :math:`t_i` is the part of point `i` within the coldest :math:`\beta` of the volume: D95%
    at least :math:`P` has :math:`\beta` = 0.05. **Not convex**: for polishing.

    Parameters
    ----------
    name : str
        What to call it.
    indices : ndarray of int, shape (N,)
        Points of the operator.
    weights : ndarray of shape (N,)
        Volume share of each point, 0 or more; scaled here to a sum of 1.
    dose_gy : float
        :math:`P`, physical, above 0.
    volume_share : float
        :math:`\beta`, above 0 and below 1.
    importance : float
        :math:`w`, above 0.

    Raises
    ------
    InputError
        If an argument is out of range.
    """

    name: str
    indices: NDArray[np.int64]
    weights: Floats
    dose_gy: float
    volume_share: float
    importance: float

    def __post_init__(self) -> None:
        _check(self)

    @property
    def is_convex(self) -> bool:
        """Whether it is convex in the fluence."""
        return False

    def convex_surrogate(self) -> TailMean:
        """Return the convex objective that is 0 only where this goal is met."""
        aim = Aim(self.importance, self.dose_gy, self.dose_gy)
        return TailMean(
            self.name, self.indices, self.weights, self.volume_share, aim, TailSide.COLDEST
        )

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the physical dose of each point."""
        return _penalty(self, np.asarray(dose_gy, dtype=np.float64), TailSide.COLDEST)

    def curvature(self) -> Floats:
        """Return a typical second derivative by the dose of each point."""
        return Aim(self.importance, self.dose_gy, self.dose_gy).curvature(self.weights, None)


def _penalty(
    term: VolumeAbove | VolumeBelow, read: Floats, side: TailSide
) -> tuple[float, Floats]:
    """Return the partial-volume penalty, and its derivative by what is read."""
    sign = 1.0 if side is TailSide.HOTTEST else -1.0
    excess = np.maximum(sign * (read - term.dose_gy), 0.0)
    kept = term.weights - tail_shares(read, term.weights, term.volume_share, side)
    weighted = (term.importance / term.dose_gy**2) * kept * excess
    return float(np.sum(weighted * excess)), 2.0 * sign * weighted


def _check(term: VolumeAbove | VolumeBelow) -> None:
    """Check and freeze the fields that both share."""
    indices = checked_indices(term.name, term.indices)
    object.__setattr__(term, "indices", indices)
    object.__setattr__(term, "weights", checked_shares(term.name, term.weights, len(indices)))
    checked_positive(term.name, "dose in Gy", term.dose_gy)
    checked_positive(term.name, "importance", term.importance)
    if not 0 < term.volume_share < 1:
        msg = (
            f"objective {term.name}: expected a share of the volume above 0 and below 1, got "
            f"{term.volume_share}"
        )
        raise InputError(msg)
