r"""When leaves pass where: the mathematics of one unidirectional sweep.

Both leaves of a pair sweep from negative to positive x at their greatest speed and wait only at
column edges: the trailing leaf where the open time rises, the leading leaf where it falls. Inside
a column both move alike, so a column that asks for one open time gets it exactly. In monitor
units, with :math:`s` the MU that pass while a leaf moves 1 mm,

.. math:: M = \max_{rows} \Big[ g s + L s + \sum_u (o_{u+1} - o_u)_+ \Big]

where :math:`o_u \ge g s` is the open time of column `u`, :math:`g` the smallest gap and
:math:`L` the way that is swept. All of it is in *effective* edges: a gap looks wider than its
tips by the dosimetric leaf gap, half on either side.

References
----------
.. [1] Spirou & Chui (1994), Med. Phys. 21, 1031, doi:10.1118/1.597345.
.. [2] Stein, Bortfeld, Dörschel & Schlegel (1994), Radiother. Oncol. 32, 163.
.. [3] Svensson, Källman & Brahme (1994), Phys. Med. Biol. 39, 37.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class Sweep:
    """One unidirectional sweep over some columns, for all leaf pairs that move.

    Parameters
    ----------
    edges_mm : ndarray of shape (C + 1,)
        Column edges, with a column behind each jaw as first and last.
    mu_per_mm : float
        MU that pass while a leaf at its greatest planned speed moves 1 mm.
    gap_mm : float
        Smallest effective gap.
    transmission : float
        Share of the open fluence behind closed leaves.
    """

    edges_mm: Floats
    mu_per_mm: float
    gap_mm: float
    transmission: float

    @property
    def floor_mu(self) -> float:
        """Least open time of a column that a pair crosses."""
        return self.gap_mm * self.mu_per_mm

    def open_times(self, wanted_mu: Floats, meterset_mu: float) -> Floats:
        """Return open times that give `wanted_mu` with transmission, as far as can be.

        Parameters
        ----------
        wanted_mu : ndarray of shape (R, C - 2)
            Fluence between the jaws.
        meterset_mu : float
            MU of the whole sweep.

        Returns
        -------
        ndarray of shape (R, C)
            Open times, those behind the jaws included.
        """
        leak = self.transmission * meterset_mu
        opened = np.maximum((wanted_mu - leak) / (1.0 - self.transmission), self.floor_mu)
        return np.pad(opened, ((0, 0), (1, 1)), constant_values=self.floor_mu)

    def meterset_mu(self, open_mu: Floats) -> Floats:
        """Return the MU that each row needs, shape (R,), for open times of shape (R, C)."""
        rises = np.maximum(np.diff(open_mu, axis=1), 0.0).sum(axis=1)
        way = float(self.edges_mm[-1] - self.edges_mm[0])
        return np.asarray(self.floor_mu + way * self.mu_per_mm + rises)

    def solve_meterset(self, wanted_mu: Floats) -> float:
        """Return the MU of the sweep: leakage grows with it and lowers what must be opened.

        The MU needed never rise with the MU assumed, so the two meet once: bisection.
        """

        def needed(assumed: float) -> float:
            return float(self.meterset_mu(self.open_times(wanted_mu, assumed)).max())

        high = needed(0.0)
        low = 0.0
        while high - low > 1e-6 * high:
            middle = 0.5 * (low + high)
            if needed(middle) > middle:
                low = middle
            else:
                high = middle
        return high

    def positions(self, open_mu: Floats, times_mu: Floats) -> tuple[Floats, Floats]:
        """Return effective edges of the trailing and of the leading leaf at some moments.

        Parameters
        ----------
        open_mu : ndarray of shape (R, C)
            Open times.
        times_mu : ndarray of shape (K,)
            Moments in MU from the start.

        Returns
        -------
        trailing, leading : ndarray of shape (K, R)
            Positions in mm.
        """
        steps = np.diff(open_mu, axis=1)
        clock = (self.edges_mm - self.edges_mm[0]) * self.mu_per_mm
        inner = np.repeat(self.edges_mm[1:-1], 2)
        ends = (self.edges_mm[0], self.edges_mm[-1])
        trail_x = np.concatenate(([ends[0] - self.gap_mm, ends[0]], inner, [ends[1]]))
        lead_x = np.concatenate(([ends[0]], inner, [ends[1], ends[1] + self.gap_mm]))
        trailing = np.empty((len(times_mu), len(open_mu)))
        leading = np.empty_like(trailing)
        for row, step in enumerate(steps):
            trail_t = self.floor_mu + _with_waits(clock, np.maximum(step, 0.0))
            lead_t = _with_waits(clock, np.maximum(-step, 0.0))
            trailing[:, row] = np.interp(times_mu, np.concatenate(([0.0], trail_t)), trail_x)
            lead_t = np.concatenate((lead_t, [lead_t[-1] + self.floor_mu]))
            leading[:, row] = np.interp(times_mu, lead_t, lead_x)
        return trailing, leading


def _with_waits(clock_mu: Floats, waits_mu: Floats) -> Floats:
    """Return arrival and departure at each edge: first edge, inner edges twice, last edge."""
    before = np.concatenate(([0.0], np.cumsum(waits_mu)))
    arrive = clock_mu[1:-1] + before[:-1]
    inner = np.stack((arrive, arrive + waits_mu), axis=1).ravel()
    return np.concatenate(([clock_mu[0]], inner, [clock_mu[-1] + before[-1]]))


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
