r"""When leaves pass where: the mathematics of one unidirectional sweep of one leaf pair.

Both leaves sweep from negative to positive x at one speed and wait only at column edges: the
trailing leaf where the open time rises, the leading leaf where it falls. Inside a column both
move alike, so a column that asks for one open time gets it exactly. In monitor units, with
:math:`s` the MU that pass while a leaf moves 1 mm, a pair needs

.. math:: g s + L s + \sum_u (o_{u+1} - o_u)_+

where :math:`o_u \ge g s` is the open time of column `u`, :math:`g` the smallest gap and
:math:`L` the way. All of it is in *effective* edges: a gap looks wider than its tips by the
dosimetric leaf gap, half on either side.

References
----------
.. [1] Spirou & Chui (1994), Med. Phys. 21, 1031, doi:10.1118/1.597345.
.. [2] Stein, Bortfeld, Dörschel & Schlegel (1994), Radiother. Oncol. 32, 163.
.. [3] Svensson, Källman & Brahme (1994), Phys. Med. Biol. 39, 37.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class PairSweep:
    """The sweep of one leaf pair.

    Parameters
    ----------
    edges_mm : ndarray of shape (C + 1,)
        Edges of the columns that are crossed.
    open_mu : ndarray of shape (C,)
        Open time of each, at least `gap_mm` times `mu_per_mm`.
    mu_per_mm : float
        MU that pass while a leaf moves 1 mm.
    gap_mm : float
        Smallest effective gap.
    delay_mu : float
        MU before the pair begins to move.
    """

    edges_mm: Floats
    open_mu: Floats
    mu_per_mm: float
    gap_mm: float
    delay_mu: float = 0.0

    @property
    def need_mu(self) -> float:
        """MU from the first move to the last."""
        way = float(self.edges_mm[-1] - self.edges_mm[0])
        return way * self.mu_per_mm + rising_sum(self.open_mu)

    def positions(self, times_mu: Floats) -> tuple[Floats, Floats]:
        """Return effective edges of the trailing and of the leading leaf at some moments.

        Parameters
        ----------
        times_mu : ndarray of shape (K,)
            Moments in MU from the start of the beam.

        Returns
        -------
        trailing, leading : ndarray of shape (K,)
            Positions in mm. The pair starts with its leading edge at the first column edge and
            ends with its trailing edge at the last, closed to `gap_mm` both times.
        """
        closing = self.gap_mm * self.mu_per_mm
        clock = (self.edges_mm - self.edges_mm[0]) * self.mu_per_mm
        steps = np.diff(self.open_mu)
        x = np.concatenate((self.edges_mm[:1], np.repeat(self.edges_mm[1:-1], 2)))
        x = np.concatenate((x, self.edges_mm[-1:]))
        closed_first = self.edges_mm[0] - self.gap_mm
        # the trailing leaf comes to the first edge at once and waits there for the first column
        trail_t = self.open_mu[0] + _with_waits(clock, np.maximum(steps, 0.0))
        trail_t = np.concatenate(([0.0, closing], trail_t))
        trail_x = np.concatenate(([closed_first, self.edges_mm[0]], x))
        lead_t = _with_waits(clock, np.maximum(-steps, 0.0))
        lead_t = np.concatenate((lead_t, [self.need_mu - closing, self.need_mu]))
        lead_x = np.concatenate((x, [self.edges_mm[-1], self.edges_mm[-1] + self.gap_mm]))
        moments = times_mu - self.delay_mu
        return np.interp(moments, trail_t, trail_x), np.interp(moments, lead_t, lead_x)


def rising_sum(open_mu: Floats) -> float:
    """Return the first open time and all later rises: what the trailing leaf waits."""
    return float(open_mu[0]) + float(np.maximum(np.diff(open_mu), 0.0).sum())


def _with_waits(clock_mu: Floats, waits_mu: Floats) -> Floats:
    """Return arrival and departure at each edge: first edge, inner edges twice, last edge."""
    before = np.concatenate(([0.0], np.cumsum(waits_mu)))
    arrive = clock_mu[1:-1] + before[:-1]
    inner = np.stack((arrive, arrive + waits_mu), axis=1).ravel()
    return np.concatenate(([clock_mu[0]], inner, [clock_mu[-1] + before[-1]]))


def sample(pairs: Sequence[PairSweep], times_mu: Floats) -> tuple[Floats, Floats]:
    """Return effective edges of all pairs at some moments.

    Parameters
    ----------
    pairs : sequence of PairSweep
        R pairs that move.
    times_mu : ndarray of shape (K,)
        Moments in MU.

    Returns
    -------
    trailing, leading : ndarray of shape (K, R)
        Positions in mm.
    """
    trailing = np.empty((len(times_mu), len(pairs)))
    leading = np.empty_like(trailing)
    for row, pair in enumerate(pairs):
        trailing[:, row], leading[:, row] = pair.positions(times_mu)
    return trailing, leading


def mean_open_times(
    times_mu: Floats, trailing_mm: Floats, leading_mm: Floats, x_edges_mm: Floats, n_samples: int
) -> Floats:
    """Return the open time that moving edges give each column, averaged over its width.

    Parameters
    ----------
    times_mu : ndarray of shape (K,)
        Moments of the control points.
    trailing_mm, leading_mm : ndarray of shape (K, R)
        Effective edges then, never moving back; linear in between.
    x_edges_mm : ndarray of shape (C + 1,)
        Column edges.
    n_samples : int
        Points in each column.

    Returns
    -------
    ndarray of shape (R, C)
        Open time in MU.
    """
    share = (np.arange(n_samples) + 0.5) / n_samples
    points = (x_edges_mm[:-1, None] + np.diff(x_edges_mm)[:, None] * share).ravel()
    n_columns = len(x_edges_mm) - 1
    opened = np.empty((trailing_mm.shape[1], n_columns))
    for row in range(trailing_mm.shape[1]):
        closes = np.interp(points, trailing_mm[:, row], times_mu)
        opens = np.interp(points, leading_mm[:, row], times_mu)
        opened[row] = (closes - opens).reshape(n_columns, n_samples).mean(axis=1)
    return opened
