r"""Whole-number fluence into still segments that add up to it, in the fewest monitor units.

For rows that do not mind each other the least time is

.. math:: \max_i \sum_j (a_{ij} - a_{i,j-1})_+ ,

and taking away, again and again, the segment of greatest weight that keeps it reaches zero in few
segments [1]_. Where no tip may pass the opposing tip of a neighbour, or no strip between rows may
be left under tongue and groove, the least time is a longest path [2]_ [3]_ and segments are taken
from sweeps that need no more.

References
----------
.. [1] Engel (2005), Discrete Appl. Math. 152, 35 (publisher's item S0166218X05001411).
.. [2] Kalinowski (2005), Discrete Appl. Math. 152, 52.
.. [3] Kamath, Sahni, Li, Palta & Ranka (2003), Phys. Med. Biol. 48, 307.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.kernels.segments import (
    FREE,
    NO_INTERDIGITATION,
    NO_TONGUE_AND_GROOVE,
    bound_segment,
    free_segment,
    opening_times,
)

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class RowRule(Enum):
    """What leaf rows ask of their neighbours."""

    FREE = FREE
    NO_INTERDIGITATION = NO_INTERDIGITATION
    NO_TONGUE_AND_GROOVE = NO_TONGUE_AND_GROOVE


@dataclass(frozen=True, eq=False, slots=True)
class Segments:
    """Shapes and weights.

    Parameters
    ----------
    left, right : ndarray of int, shape (K, R)
        Each row is open from column `left` to before column `right`; a closed row waits at
        ``left == right``.
    weights : ndarray of shape (K,)
        How long each shape is open.
    n_columns : int
        Columns.
    """

    left: Whole
    right: Whole
    weights: Floats
    n_columns: int

    def __len__(self) -> int:
        return len(self.weights)

    def is_open(self) -> NDArray[np.bool_]:
        """Return which cells each shape leaves open, (K, R, C)."""
        columns = np.arange(self.n_columns)
        return np.asarray(
            (columns >= self.left[..., None]) & (columns < self.right[..., None]), dtype=bool
        )

    def fluence(self) -> Floats:
        """Return the sum of all shapes, (R, C), without what leaks."""
        return np.asarray(np.tensordot(self.weights, self.is_open(), axes=1), dtype=np.float64)

    def taken(self, which: NDArray[np.intp] | NDArray[np.bool_], weights: Floats) -> "Segments":
        """Return some of the shapes with other weights."""
        return Segments(self.left[which], self.right[which], weights, self.n_columns)


def least_time(levels: Floats, rule: RowRule) -> float:
    """Return the least time in which segments make a fluence.

    Parameters
    ----------
    levels : ndarray of shape (R, C)
        Fluence, 0 or more; it need not be whole numbers.
    rule : RowRule
        What rows ask of their neighbours.
    """
    levels = np.ascontiguousarray(levels, dtype=np.float64)
    return float(opening_times(levels, rule.value, np.empty_like(levels)))


def split_levels(levels: Whole, rule: RowRule) -> Segments:
    """Split a matrix of whole numbers into segments that add up to it in the least time.

    Parameters
    ----------
    levels : ndarray of int, shape (R, C)
        0 or more.
    rule : RowRule
        What rows ask of their neighbours; every segment keeps it.

    Returns
    -------
    Segments
        Weights are whole numbers whose sum is :func:`least_time`; longest first.

    Raises
    ------
    InputError
        If a level is negative or not a whole number.
    """
    rest = np.array(levels, dtype=np.float64, order="C")
    if rest.ndim != 2 or np.any(rest < 0) or np.any(rest != np.rint(rest)):
        msg = f"expected a matrix of whole numbers of 0 or more, got shape {rest.shape}"
        raise InputError(msg)
    n_rows, n_columns = rest.shape
    shapes: list[tuple[Whole, Whole]] = []
    weights: list[float] = []
    while np.any(rest > 0):
        left, right = np.zeros((2, n_rows), dtype=np.int64)
        if rule is RowRule.FREE:
            weight = free_segment(rest, left, right)
        else:
            weight = bound_segment(rest, rule.value, left, right)
        columns = np.arange(n_columns)
        rest -= weight * ((columns >= left[:, None]) & (columns < right[:, None]))
        shapes.append((left, right))
        weights.append(float(weight))
    empty = np.zeros((0, n_rows), dtype=np.int64)
    return Segments(
        left=np.array([left for left, _ in shapes]) if shapes else empty,
        right=np.array([right for _, right in shapes]) if shapes else empty,
        weights=np.array(weights),
        n_columns=n_columns,
    )
