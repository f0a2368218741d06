r"""How all leaf pairs of a field sweep together: who crosses what, how fast, and for how many MU.

Behind closed leaves a share :math:`T` of the fluence leaks through, so a column with open time
:math:`o` in a beam of :math:`M` MU gets :math:`o + T (M - o)`. A pair that crosses a column opens
it at least as long as its smallest gap takes to pass. A pair therefore sweeps only the columns
that it must:

- from its first column to its last, slowed down so that it ends with the beam;
- or from its first column and, when done, on to cover behind the jaw;
- or from behind the jaw to its last column;

whichever gives least to columns that want less.
"""

from dataclasses import dataclass

import numpy as np

from rerad.sequencing.passing_times import Floats, PairSweep, rising_sum


@dataclass(frozen=True, eq=False, slots=True)
class FieldSweep:
    """The sweeps of one field.

    Parameters
    ----------
    edges_mm : ndarray of shape (C + 1,)
        Column edges between the jaws.
    park_mm : float
        How far behind a jaw closed pairs wait.
    mu_per_mm : float
        MU that pass while a leaf at its greatest planned speed moves 1 mm.
    gap_mm : float
        Smallest effective gap.
    transmission : float
        Share of the open fluence behind closed leaves.
    """

    edges_mm: Floats
    park_mm: float
    mu_per_mm: float
    gap_mm: float
    transmission: float

    @property
    def floor_mu(self) -> float:
        """Least open time of a column that a pair crosses at its greatest planned speed."""
        return self.gap_mm * self.mu_per_mm

    def own_columns(self, wanted_mu: Floats, meterset_mu: float) -> tuple[int, int] | None:
        """Return first and last column that a pair must open, or None if leakage serves it.

        Parameters
        ----------
        wanted_mu : ndarray of shape (C,)
            Fluence wanted.
        meterset_mu : float
            MU of the beam.
        """
        leak = self.transmission * meterset_mu
        needs = np.flatnonzero(wanted_mu > leak + 0.5 * (1.0 - self.transmission) * self.floor_mu)
        return (int(needs[0]), int(needs[-1])) if len(needs) else None

    def open_times(self, wanted_mu: Floats, meterset_mu: float, floor_mu: float) -> Floats:
        """Return the open times that give `wanted_mu` with leakage, no less than `floor_mu`."""
        leak = self.transmission * meterset_mu
        return np.maximum((wanted_mu - leak) / (1.0 - self.transmission), floor_mu)

    def meterset_mu(self, wanted_mu: Floats) -> float:
        """Return the MU of the field: leakage grows with them and lowers what must be opened.

        The MU needed never rise with the MU assumed, so the two meet once: bisection.

        Parameters
        ----------
        wanted_mu : ndarray of shape (R, C)
            Fluence wanted.
        """
        high, low = self._needed(wanted_mu, 0.0), 0.0
        while high - low > 1e-6 * high:
            middle = 0.5 * (low + high)
            if self._needed(wanted_mu, middle) > middle:
                low = middle
            else:
                high = middle
        return high

    def _needed(self, wanted_mu: Floats, assumed_mu: float) -> float:
        """Return the most MU that a pair needs for its own columns."""
        leak = self.transmission * assumed_mu
        threshold = leak + 0.5 * (1.0 - self.transmission) * self.floor_mu
        needs = wanted_mu > threshold
        if not needs.any():
            return 0.0
        opened = self.open_times(wanted_mu, assumed_mu, self.floor_mu)
        first = np.argmax(needs, axis=1)
        last = needs.shape[1] - 1 - np.argmax(needs[:, ::-1], axis=1)
        columns = np.arange(needs.shape[1])
        is_later = (columns > first[:, None]) & (columns <= last[:, None])
        rises = np.where(is_later[:, 1:], np.maximum(np.diff(opened, axis=1), 0.0), 0.0)
        ways = self.edges_mm[last + 1] - self.edges_mm[first]
        start = np.take_along_axis(opened, first[:, None], axis=1)[:, 0]
        need = start + rises.sum(axis=1) + ways * self.mu_per_mm
        return float(need[needs.any(axis=1)].max())

    def pair(self, wanted_mu: Floats, meterset_mu: float) -> PairSweep | None:
        """Return the sweep of one leaf pair in a beam of `meterset_mu`; None to stay closed.

        Parameters
        ----------
        wanted_mu : ndarray of shape (C,)
            Fluence wanted.
        meterset_mu : float
            MU of the beam, at least :meth:`meterset_mu` of the whole field.
        """
        own = self.own_columns(wanted_mu, meterset_mu)
        if own is None:
            return None
        candidates = (
            self._slowed(wanted_mu, meterset_mu, own),
            self._crossing(wanted_mu, meterset_mu, own, leaves_right=True),
            self._crossing(wanted_mu, meterset_mu, own, leaves_right=False),
        )
        fitting = [
            sweep
            for sweep in candidates
            if sweep.need_mu + sweep.delay_mu <= meterset_mu * (1.0 + 1e-9)
        ]
        ideal = self.open_times(wanted_mu, meterset_mu, 0.0)
        return min(fitting or candidates[:1], key=lambda sweep: self._excess(sweep, ideal))

    def _excess(self, sweep: PairSweep, ideal_mu: Floats) -> float:
        """Return open time beyond the ideal, times width, between the jaws.

        A pair that begins or ends between the jaws opens the width of its gap beside its columns
        for half of the time that the gap takes to close.
        """
        edges = self.edges_mm
        inside = (sweep.edges_mm[:-1] >= edges[0]) & (sweep.edges_mm[1:] <= edges[-1])
        first = int(np.searchsorted(edges, sweep.edges_mm[:-1][inside][0]))
        ideal = ideal_mu[first : first + int(inside.sum())]
        widths = np.diff(sweep.edges_mm)[inside]
        beyond = float(widths @ np.maximum(sweep.open_mu[inside] - ideal, 0.0))
        n_ends = int(sweep.edges_mm[0] > edges[0]) + int(sweep.edges_mm[-1] < edges[-1])
        return beyond + n_ends * 0.5 * sweep.gap_mm**2 * sweep.mu_per_mm

    def _slowed(self, wanted_mu: Floats, meterset_mu: float, own: tuple[int, int]) -> PairSweep:
        """Return the sweep over the pair's own columns that takes all of the beam."""
        edges = self.edges_mm[own[0] : own[1] + 2]
        wanted = wanted_mu[own[0] : own[1] + 1]

        def at_speed(mu_per_mm: float) -> PairSweep:
            floor = self.gap_mm * mu_per_mm
            opened = self.open_times(wanted, meterset_mu, floor)
            return PairSweep(edges, opened, mu_per_mm, self.gap_mm)

        way = float(edges[-1] - edges[0])
        opened = self.open_times(wanted, meterset_mu, self.floor_mu)
        low = self.mu_per_mm
        high = max(low, (meterset_mu - rising_sum(opened)) / way)
        if at_speed(high).need_mu <= meterset_mu + 1e-9:
            return at_speed(high)
        while high - low > 1e-9 * high:
            middle = 0.5 * (low + high)
            if at_speed(middle).need_mu > meterset_mu:
                high = middle
            else:
                low = middle
        return at_speed(low)

    def _crossing(
        self,
        wanted_mu: Floats,
        meterset_mu: float,
        own: tuple[int, int],
        *,
        leaves_right: bool,
    ) -> PairSweep:
        """Return the sweep that ends (or begins) behind a jaw, as early (or late) as it can."""
        columns = slice(own[0], None) if leaves_right else slice(None, own[1] + 1)
        opened = self.open_times(wanted_mu[columns], meterset_mu, self.floor_mu)
        if leaves_right:
            edges = np.append(self.edges_mm[own[0] :], self.edges_mm[-1] + self.park_mm)
            opened = np.append(opened, self.floor_mu)
            return PairSweep(edges, opened, self.mu_per_mm, self.gap_mm)
        edges = np.insert(self.edges_mm[: own[1] + 2], 0, self.edges_mm[0] - self.park_mm)
        opened = np.insert(opened, 0, self.floor_mu)
        at_once = PairSweep(edges, opened, self.mu_per_mm, self.gap_mm)
        delay = max(meterset_mu - at_once.need_mu, 0.0)
        return PairSweep(edges, opened, self.mu_per_mm, self.gap_mm, delay)
