"""The leaves of one beam as unknowns: what may move, how far, and back to control points.

Unknowns are moves of the centre and of the half gap of each leaf pair at each place where it
stands, and factors on metersets, all from where a plan has them. Control points between which no
leaf moves while the beam is on share their leaves, so step-and-shoot stays what it is. Reach,
spread of a bank, smallest gap and, where it counts, interdigitation hold whatever the unknowns.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, Machine
from rerad.errors import InputError
from rerad.optimize.terms import Floats

ROUNDING_MM = 0.01
"""To which leaf positions are written."""

METERSET_UNIT = 0.02
"""Share of a meterset that counts in the search as much as 1 mm of a leaf."""


@dataclass(frozen=True, slots=True)
class LeafSettings:
    """How far leaves may go and how long to search; none of it is a clinical number.

    Parameters
    ----------
    max_move_mm : float
        Largest move of a leaf pair's centre, and largest change of its half gap.
    max_meterset_share : float
        Largest change of a meterset, as a share of it, below 1.
    slowest_rate_share : float
        Share of the planned dose rate down to which leaf speed costs nothing; the beam is slowed
        further where leaves still ask for it.
    speed_importance : float
        Cost of asking for more, in first objectives per mm squared.
    max_evaluations : int
        Evaluations of objective and gradient.
    relative_tolerance : float
        Stop when the objective fell by less than this share over `patience` iterations.
    patience : int
        Iterations over which the fall is judged.
    memory : int
        Pairs that L-BFGS keeps.
    """

    max_move_mm: float = 3.0
    max_meterset_share: float = 0.3
    slowest_rate_share: float = 0.7
    speed_importance: float = 1e-3
    max_evaluations: int = 60
    relative_tolerance: float = 2e-3
    patience: int = 5
    memory: int = 20

    def __post_init__(self) -> None:
        counts = (self.max_evaluations, self.patience, self.memory)
        shares_fit = 0 <= self.max_meterset_share < 1 and 0 < self.slowest_rate_share <= 1
        sizes_fit = self.max_move_mm > 0 and self.speed_importance >= 0
        if min(counts) < 1 or not (shares_fit and sizes_fit and self.relative_tolerance > 0):
            msg = f"expected settings of the leaf refinement in their ranges, got {self}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class LeafMotion:
    """A beam's leaves and metersets, and the unknowns that move them.

    Parameters
    ----------
    beam : Beam
        As it was.
    tips_mm : ndarray of shape (P, 2, N)
        Where its tips were.
    stretch_mu : ndarray of shape (P - 1,)
        Meterset between control points.
    stand : ndarray of int, shape (P,)
        Which of S stands each control point belongs to.
    pairs : ndarray of int, shape (A,)
        Leaf pairs that may move: those that open.
    low_mm, high_mm : ndarray of shape (S, 2, A)
        Where their tips must stay.
    group : ndarray of int, shape (P - 1,)
        Which meterset factor each stretch has.
    least_half_gap_mm : ndarray of shape (S, A)
        Smallest half gap.
    machine : Machine
        Whose limits hold.
    """

    beam: Beam
    tips_mm: Floats
    stretch_mu: Floats
    stand: NDArray[np.int64]
    pairs: NDArray[np.int64]
    low_mm: Floats
    high_mm: Floats
    group: NDArray[np.int64]
    least_half_gap_mm: Floats
    machine: Machine

    @classmethod
    def of(cls, beam: Beam, machine: Machine) -> "LeafMotion":
        """Return the unknowns of a beam whose jaws stand still."""
        tips = np.stack([point.leaf_positions_mm for point in beam.control_points])
        shares = np.array([point.cumulative_weight for point in beam.control_points])
        stretch = np.diff(shares) * beam.meterset_mu
        moves = np.any(np.diff(tips, axis=0) != 0, axis=(1, 2))
        stand = np.concatenate([[0], np.cumsum(moves | (stretch <= 0))])
        first = np.concatenate([[0], np.flatnonzero(np.diff(stand)) + 1])
        is_static = not np.any(moves & (stretch > 0))
        gap = machine.mlc.leaf_gap_min_mm
        opened = tips[first, 1] - tips[first, 0]
        pairs = np.flatnonzero(np.any(opened > gap + 10 * ROUNDING_MM, axis=0))
        low, high = _limits(tips[first], machine)
        return cls(
            beam=beam,
            tips_mm=tips,
            stretch_mu=stretch,
            stand=stand,
            pairs=pairs,
            low_mm=low[:, :, pairs],
            high_mm=high[:, :, pairs],
            group=stand[:-1] if is_static else np.zeros(len(stretch), dtype=np.int64),
            least_half_gap_mm=0.5 * np.minimum(opened[:, pairs], gap + 2 * ROUNDING_MM),
            machine=machine,
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Stands and leaf pairs."""
        return len(self.low_mm), len(self.pairs)

    @property
    def n_unknowns(self) -> int:
        """Centres, half gaps and meterset factors."""
        return 2 * self.low_mm[:, 0].size + int(self.group.max()) + 1

    def bounds(self, settings: LeafSettings) -> tuple[Floats, Floats]:
        """Return the least and the greatest value of each unknown."""
        start = self._start()
        half = 0.5 * (start[:, 1] - start[:, 0])
        move = np.full(half.shape, settings.max_move_mm)
        factors = np.full(int(self.group.max()) + 1, settings.max_meterset_share / METERSET_UNIT)
        close = np.maximum(self.least_half_gap_mm - half, -move)
        low = np.concatenate([-move.ravel(), close.ravel(), -factors])
        return low, np.concatenate([move.ravel(), move.ravel(), factors])

    def placed(self, unknowns: Floats) -> tuple[Floats, Floats]:
        """Return tips (P, 2, N) and metersets (P - 1,) for some unknowns."""
        tips = self.tips_mm.copy()
        wanted = self._wanted(unknowns)
        tips[:, :, self.pairs] = np.clip(wanted, self.low_mm, self.high_mm)[self.stand]
        return tips, self.stretch_mu * self._factors(unknowns)[self.group]

    def pull_back(self, unknowns: Floats, by_tip: Floats, by_stretch: Floats) -> Floats:
        """Return the derivative by the unknowns from that by tips and metersets."""
        by_stand = np.zeros((len(self.low_mm), 2, len(self.pairs)))
        np.add.at(by_stand, self.stand, by_tip[:, :, self.pairs])
        wanted = self._wanted(unknowns)
        by_stand[(wanted < self.low_mm) | (wanted > self.high_mm)] = 0.0
        n_factors = int(self.group.max()) + 1
        by_factor = np.bincount(self.group, by_stretch * self.stretch_mu, n_factors)
        return np.concatenate(
            [
                (by_stand[:, 0] + by_stand[:, 1]).ravel(),
                (by_stand[:, 1] - by_stand[:, 0]).ravel(),
                by_factor * METERSET_UNIT,
            ]
        )

    def speed_cost(self, tips_mm: Floats, slowest_rate_share: float) -> tuple[float, Floats]:
        """Return the sum of squares of steps beyond what leaves make, and its slope by tips."""
        rate = self.beam.dose_rate_mu_min or self.machine.dose_rate_mu_min
        seconds = 60.0 * self.stretch_mu / (rate * slowest_rate_share)
        reach = self.machine.mlc.leaf_speed_max_mm_s * seconds
        reach[self.stretch_mu <= 0] = np.inf
        steps = np.diff(tips_mm, axis=0)
        beyond = np.sign(steps) * np.maximum(np.abs(steps) - reach[:, None, None], 0.0)
        slope = np.zeros_like(tips_mm)
        slope[1:] += 2.0 * beyond
        slope[:-1] -= 2.0 * beyond
        return float(np.sum(beyond**2)), slope

    def moved(self, unknowns: Floats) -> Beam:
        """Return the beam with its leaves moved, rounded, and slowed where leaves ask for it."""
        tips, stretch = self.placed(unknowns)
        tips = np.round(tips, 2)
        least = self.machine.mlc.leaf_gap_min_mm - 0.5 * ROUNDING_MM
        is_tight = tips[:, 1] - tips[:, 0] < np.minimum(
            least, self.tips_mm[:, 1] - self.tips_mm[:, 0]
        )
        tips = np.where(is_tight[:, None], self.tips_mm, tips)
        meterset = round(float(stretch.sum()), 2)
        shares = np.round(np.concatenate([[0.0], np.cumsum(stretch)]) / stretch.sum(), 6)
        points = tuple(
            replace(point, cumulative_weight=float(share), leaf_positions_mm=leaves)
            for point, share, leaves in zip(self.beam.control_points, shares, tips, strict=True)
        )
        rate = self._rate(tips, np.diff(shares) * meterset)
        return replace(
            self.beam, control_points=points, meterset_mu=meterset, dose_rate_mu_min=rate
        )

    def _rate(self, tips_mm: Floats, stretch_mu: Floats) -> float | None:
        """Return the dose rate at which the leaves keep up, no higher than planned."""
        rate = self.beam.dose_rate_mu_min or self.machine.dose_rate_mu_min
        steps = np.abs(np.diff(tips_mm, axis=0)).max(axis=(1, 2))
        counts = (stretch_mu > 0) & (steps > 0)
        if not counts.any():
            return self.beam.dose_rate_mu_min
        speed = self.machine.mlc.leaf_speed_max_mm_s
        fastest = float((60.0 * speed * stretch_mu[counts] / steps[counts]).min())
        if fastest >= rate:
            return self.beam.dose_rate_mu_min
        # Whole numbers of MU a minute, as consoles have them, while there are some.
        return float(np.floor(fastest)) if fastest >= 10 else fastest

    def _start(self) -> Floats:
        """Return where the tips stood, (S, 2, A)."""
        first = np.searchsorted(self.stand, np.arange(len(self.low_mm)))
        return self.tips_mm[first][:, :, self.pairs]

    def _wanted(self, unknowns: Floats) -> Floats:
        """Return where the unknowns put the tips, (S, 2, A)."""
        size = self.low_mm[:, 0].size
        shape = self.low_mm[:, 0].shape
        center = unknowns[:size].reshape(shape)
        half = unknowns[size : 2 * size].reshape(shape)
        return self._start() + np.stack([center - half, center + half], axis=1)

    def _factors(self, unknowns: Floats) -> Floats:
        return 1.0 + METERSET_UNIT * unknowns[2 * self.low_mm[:, 0].size :]


def _limits(tips_mm: Floats, machine: Machine) -> tuple[Floats, Floats]:
    """Return least and greatest position of every tip at every stand, (S, 2, N)."""
    mlc = machine.mlc
    lowest, highest = tips_mm.min(axis=2), tips_mm.max(axis=2)
    spare = 0.5 * np.maximum(mlc.leaf_span_max_mm - (highest - lowest), 0.0)
    spare = np.floor(spare / ROUNDING_MM) * ROUNDING_MM
    low = np.maximum(lowest - spare, np.minimum(mlc.leaf_position_min_mm, lowest))
    high = np.minimum(highest + spare, np.maximum(mlc.leaf_position_max_mm, highest))
    low = np.repeat(low[:, :, None], tips_mm.shape[2], axis=2)
    high = np.repeat(high[:, :, None], tips_mm.shape[2], axis=2)
    if not mlc.is_interdigitation_allowed:
        # Neighbours that face each other share what lies between them: half way each.
        up = np.round(0.5 * (tips_mm[:, 0, 1:] + tips_mm[:, 1, :-1]), 2)
        down = np.round(0.5 * (tips_mm[:, 0, :-1] + tips_mm[:, 1, 1:]), 2)
        high[:, 0, 1:] = np.minimum(high[:, 0, 1:], up)
        high[:, 0, :-1] = np.minimum(high[:, 0, :-1], down)
        low[:, 1, :-1] = np.maximum(low[:, 1, :-1], up)
        low[:, 1, 1:] = np.maximum(low[:, 1, 1:], down)
    return low, high
