"""Explicit columns of the operator, for export and for other planning systems.

The optimiser needs no columns. They are as exact as the operator, but only entries above a
threshold can be kept, and what is dropped is not little: entries of at least 1 % of a beamlet's
maximum hold about four fifths of its dose. The share that is kept is therefore part of the result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from rerad.core.arrays import frozen_array
from rerad.dosecalc.operator import PencilBeamOperator
from rerad.errors import InputError


@dataclass(frozen=True, eq=False, slots=True)
class BeamletColumns:
    """Dose of single beamlets as a sparse matrix.

    Parameters
    ----------
    matrix : scipy.sparse.csc_matrix of float32, shape (n_points, n_columns)
        Gy per MU.
    beamlets : ndarray of int64, shape (n_columns,)
        Which beamlet each column is, in the operator's order.
    kept_share : ndarray of shape (n_columns,)
        Sum of the entries that are kept over the sum of all, 0 to 1.
    threshold : float
        Entries below this share of their column's maximum are left out.
    """

    matrix: csc_matrix
    beamlets: NDArray[np.int64]
    kept_share: NDArray[np.float64]
    threshold: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "beamlets", frozen_array(self.beamlets, np.int64))
        object.__setattr__(self, "kept_share", frozen_array(self.kept_share, np.float64))


def beamlet_columns(
    operator: PencilBeamOperator,
    *,
    beamlets: Sequence[int] | NDArray[np.int64] | None = None,
    threshold: float,
) -> BeamletColumns:
    """Write out columns of an operator.

    Parameters
    ----------
    operator : PencilBeamOperator
        The operator.
    beamlets : sequence of int, optional
        Which beamlets; all by default.
    threshold : float
        Share of a column's maximum below which its entries are dropped, from 0 (nothing is
        dropped) to below 1. There is no default: it decides how much dose is lost.

    Returns
    -------
    BeamletColumns
        With the share of each beamlet's dose that is kept.

    Raises
    ------
    InputError
        If the threshold or a beamlet is out of range.
    """
    if not 0.0 <= threshold < 1.0:
        msg = f"expected a threshold from 0 to below 1, got {threshold}"
        raise InputError(msg)
    chosen = np.arange(operator.n_beamlets) if beamlets is None else np.asarray(beamlets)
    if chosen.ndim != 1 or (
        chosen.size > 0 and (chosen.min() < 0 or chosen.max() >= operator.n_beamlets)
    ):
        msg = f"expected beamlets from 0 to {operator.n_beamlets - 1}, got {beamlets}"
        raise InputError(msg)
    rows, values, ends = [], [], [0]
    kept_share = np.ones(len(chosen))
    for number, beamlet in enumerate(chosen):
        column = operator.beamlet_dose(int(beamlet))
        size = np.abs(column)
        keep = np.flatnonzero((size >= threshold * size.max()) & (size > 0.0))
        rows.append(keep.astype(np.int32))
        values.append(column[keep].astype(np.float32))
        ends.append(ends[-1] + len(keep))
        total = column.sum()
        if total > 0.0:
            kept_share[number] = column[keep].sum() / total
    shape = (operator.n_points, len(chosen))
    data = np.concatenate(values) if values else np.empty(0, np.float32)
    index = np.concatenate(rows) if rows else np.empty(0, np.int32)
    matrix = csc_matrix((data, index, np.array(ends)), shape=shape)
    return BeamletColumns(matrix, chosen.astype(np.int64), kept_share, threshold)
