r"""What sliding leaves let through, as part of the problem.

The unknowns are open times :math:`x` in MU: how long each beamlet sees the source. A beam in
which all leaf pairs sweep once, together, takes

.. math:: M(x) = \max_{rows} \Big[ s L_{row} + \sum_u (x_u - x_{u-1})_+ \Big]

monitor units, with :math:`s` the MU that pass while a leaf moves 1 mm and :math:`L` the way of a
row. Closed leaves let the share :math:`T` through all that time, so what arrives is

.. math:: \psi = (1 - T)\, x + T\, M(x) \quad \text{between the jaws.}

:math:`M` is convex in :math:`x` and dose rises with it, so every rising convex function of dose
stays convex in :math:`x`. With :math:`M` as an unknown of its own and a constraint for each row
the whole problem is convex; with :math:`M(x)` put in, as here, a wish for *more* dose is nearly
so, because the leakage into the target is small beside the open beam.

The greatest row and the rises are smoothed (log-sum-exp, hyperbola), which overstates
:math:`M` by at most ``smoothing_mu`` times the logarithm of the rows, and half of
``RISE_SHARE * smoothing_mu`` for each column.

References
----------
.. [1] Spirou & Chui (1994), Med. Phys. 21, 1031, doi:10.1118/1.597345.
.. [2] Engberg & Forsgren (2018), arXiv:1802.00619: leaf passing times inside the convex problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rerad.core import BixelGrid
from rerad.core.arrays import frozen_array
from rerad.errors import InputError
from rerad.optimize.terms import Floats

RISE_SHARE = 0.3
"""Width of the rounded corner of a rise, relative to the smoothing of the rows. Sharp corners are
what a search crawls along: on the case that rerad ships a corner of 0.02 takes 2.5 times the
evaluations to within 0.5 % of the optimum, for monitor units that are lower by 0.6 %."""


@dataclass(frozen=True, eq=False, slots=True)
class SweepLeakage:
    """Leakage of sliding windows: monitor units and dose as functions of open times.

    Parameters
    ----------
    grids : tuple of BixelGrid
        Beams in the order of the unknowns.
    transmission : float
        Share :math:`T` behind closed leaves, 0 to below 1.
    mu_per_mm : float
        MU over all fractions that pass while a leaf moves 1 mm, 0 or more.
    dose_per_mu_gy : ndarray of shape (n_beams, n_points)
        Dose at the points of 1 MU through each beam's field with all leaves away.
    smoothing_mu : float
        Of the greatest row, over all fractions, above 0.

    Raises
    ------
    InputError
        If a number is out of range or arrays do not fit.
    """

    grids: tuple[BixelGrid, ...]
    transmission: float
    mu_per_mm: float
    dose_per_mu_gy: NDArray[np.float32]
    smoothing_mu: float
    _place: NDArray[np.int64] = field(init=False, repr=False)
    _shape: tuple[int, int, int] = field(init=False, repr=False)
    _ways_mu: Floats = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "grids", tuple(self.grids))
        is_share = 0 <= self.transmission < 1
        if not is_share or not self.mu_per_mm >= 0 or not self.smoothing_mu > 0:
            msg = (
                "expected a transmission from 0 to below 1, mu_per_mm of 0 or more and smoothing "
                f"above 0, got {self.transmission}, {self.mu_per_mm} and {self.smoothing_mu}"
            )
            raise InputError(msg)
        dose = frozen_array(self.dose_per_mu_gy, np.float32)
        if dose.ndim != 2 or len(dose) != len(self.grids) or not np.all(np.isfinite(dose)):
            msg = f"expected finite leakage doses of {len(self.grids)} beams, got {dose.shape}"
            raise InputError(msg)
        object.__setattr__(self, "dose_per_mu_gy", dose)
        rows, columns = (max(grid.is_active.shape[axis] for grid in self.grids) for axis in (0, 1))
        shape = (len(self.grids), rows, columns)
        object.__setattr__(self, "_shape", shape)
        object.__setattr__(self, "_place", _places(self.grids, shape))
        object.__setattr__(self, "_ways_mu", _ways_mu(self.grids, shape, self.mu_per_mm))

    @property
    def n_unknowns(self) -> int:
        """Number of active beamlets of all beams."""
        return len(self._place)

    def metersets_mu(self, open_mu: Floats) -> Floats:
        """Return the monitor units of each beam, over all fractions, shape (n_beams,)."""
        return self._rows(open_mu)[0]

    def dose_gy(self, open_mu: Floats) -> Floats:
        """Return the dose of the leakage at the points: :math:`T M_b` through each field."""
        share = (self.transmission * self.metersets_mu(open_mu)).astype(np.float32)
        return np.asarray(np.einsum("b,bn->n", share, self.dose_per_mu_gy), dtype=np.float64)

    def gradient(self, open_mu: Floats, by_dose: Floats) -> Floats:
        """Return the derivative of ``by_dose @ dose_gy(x)`` by the open times."""
        by_mu = np.einsum("bn,n->b", self.dose_per_mu_gy, by_dose.astype(np.float32))
        return self._slopes(open_mu, self.transmission * by_mu.astype(np.float64))[1]

    def metersets_and_slopes(self, open_mu: Floats) -> tuple[Floats, Floats]:
        """Return the monitor units of each beam, and the derivative of their sum."""
        return self._slopes(open_mu, np.ones(len(self.grids)))

    def _slopes(self, open_mu: Floats, by_mu: Floats) -> tuple[Floats, Floats]:
        """Return metersets, and the derivative of their sum weighted by `by_mu`."""
        metersets, row_share, rise_share = self._rows(open_mu)
        # each beamlet rises from its left neighbour and is risen from by its right one
        flow = row_share[:, :, None] * rise_share
        by_open = flow[:, :, :-1] - flow[:, :, 1:]
        by_open *= by_mu[:, None, None]
        return metersets, np.asarray(by_open.ravel()[self._place], dtype=np.float64)

    def wanted_mu(self, open_mu: Floats) -> Floats:
        """Return the fluence of each beamlet, leakage included: what a sequencer shall give."""
        metersets = self.metersets_mu(open_mu)
        counts = [grid.n_active for grid in self.grids]
        leak = self.transmission * np.repeat(metersets, counts)
        return np.asarray((1.0 - self.transmission) * open_mu + leak)

    def _rows(self, open_mu: Floats) -> tuple[Floats, Floats, Floats]:
        """Return metersets, their derivatives by rows, and those of rows by rises."""
        beams, rows, columns = self._shape
        padded = np.zeros((beams, rows, columns + 2))
        inner = np.zeros(beams * rows * columns)
        inner[self._place] = open_mu
        padded[:, :, 1:-1] = inner.reshape(self._shape)
        rises = np.diff(padded, axis=2)
        corner = RISE_SHARE * self.smoothing_mu
        root = np.sqrt(rises * rises + corner * corner)
        needs = self._ways_mu + 0.5 * (rises + root).sum(axis=2)
        greatest = needs.max(axis=1, keepdims=True)
        share = np.exp((needs - greatest) / self.smoothing_mu)
        total = share.sum(axis=1, keepdims=True)
        metersets = greatest[:, 0] + self.smoothing_mu * np.log(total[:, 0])
        return metersets, share / total, 0.5 * (1.0 + rises / root)


def _places(grids: Sequence[BixelGrid], shape: tuple[int, int, int]) -> NDArray[np.int64]:
    """Return where each unknown lies in an array of all beams, rows and columns."""
    _, rows, columns = shape
    places = []
    for beam, grid in enumerate(grids):
        row, column = np.nonzero(grid.is_active)
        places.append((beam * rows + row) * columns + column)
    return np.concatenate(places)


def _ways_mu(grids: Sequence[BixelGrid], shape: tuple[int, int, int], mu_per_mm: float) -> Floats:
    """Return the MU of each row's way, minus infinity for rows without active columns."""
    ways = np.full(shape[:2], -np.inf)
    for beam, grid in enumerate(grids):
        for row, active in enumerate(grid.is_active):
            columns = np.flatnonzero(active)
            if len(columns):
                ends = grid.x_edges_mm[columns[-1] + 1], grid.x_edges_mm[columns[0]]
                ways[beam, row] = mu_per_mm * (ends[0] - ends[1])
    return ways
