r"""Refine leaf positions and monitor units of a deliverable plan on the dose that they give.

Sequencing makes leaves of an ideal fluence; what leaks, the strips of tongue and groove and the
straight lines between control points are only in the dose of the leaves. Here the objective of a
problem is lowered over the leaves themselves:

.. math:: F\big(n \, A \, \Psi(p, m) + c\big)

with n fractions, the dose A of fluence on raster cells, and the exposure :math:`\Psi` of tips p
and metersets m in closed form, as is its derivative. The problem is not convex: what is found is
a better plan near the one given, never a worse one.

References
----------
.. [1] Byrd, Lu, Nocedal & Zhu (1995), SIAM J. Sci. Comput. 16, 1190, doi:10.1137/0916069.
"""

import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy import optimize

from rerad.core import Beam, BixelGrid, Machine, Plan
from rerad.dosecalc import Raster, aperture_exposure
from rerad.dosecalc.aperture_gradient import ApertureRows
from rerad.errors import ConvergenceError, InputError
from rerad.optimize.constraints import Multipliers
from rerad.optimize.leaf_motion import LeafMotion, LeafSettings
from rerad.optimize.problem import Problem
from rerad.optimize.search import Progress
from rerad.optimize.terms import Floats

logger = logging.getLogger(__name__)

_SAME_DEG, _SAME_MM = 0.01, 0.01
"""Beams whose directions and isocentres differ by less are one."""


class RasterDose(Protocol):
    """Dose at some points as a linear function of fluence on raster cells, and its transpose."""

    @property
    def n_points(self) -> int:
        """Number of points."""

    @property
    def bixel_grids(self) -> tuple[BixelGrid, ...]:
        """Beams in order, for their directions."""

    @property
    def rasters(self) -> tuple[Raster, ...]:
        """Cells of each beam."""

    def forward_rasters(self, rasters_mu: Sequence[Floats], /) -> Floats:
        """Return the dose in Gy of MU times open share in each cell."""

    def adjoint_rasters(self, weights: Floats, /) -> list[Floats]:
        """Return the transpose applied to one weight for each point."""


@dataclass(frozen=True, eq=False, slots=True)
class Refinement:
    """What a refinement found.

    Parameters
    ----------
    plan : Plan
        Rounded as it would be written; the plan given where nothing better was found.
    objective_before, objective_after : float
        Objectives on dose, and the caps' penalty if there are multipliers, of the plan given and
        of the plan returned.
    n_evaluations : int
        Evaluations used.
    largest_move_mm : float
        Of a tip.
    history : tuple of (int, float)
        Evaluations and what was minimised after each iteration.
    """

    plan: Plan
    objective_before: float
    objective_after: float
    n_evaluations: int
    largest_move_mm: float
    history: tuple[tuple[int, float], ...]


def delivered_dose(plan: Plan, machine: Machine, operator: RasterDose) -> Floats:
    """Return the dose of a plan's apertures, all fractions, by an operator.

    Parameters
    ----------
    plan : Plan
        With static gantries.
    machine : Machine
        For the collimator.
    operator : RasterDose
        With the plan's beams.

    Returns
    -------
    ndarray of shape (n_points,)
        Gy. Final dose minus this is what a refinement takes as its background.

    Raises
    ------
    InputError
        If a beam is not one of the operator's.
    DeliverabilityError
        If leaves of a pair overlap or jaws cross.
    """
    rasters = [np.zeros((raster.n_y, raster.n_x)) for raster in operator.rasters]
    for beam in plan.beams:
        index = _beam_index(beam, operator)
        exposure = aperture_exposure(beam, machine, operator.rasters[index])
        rasters[index] += plan.n_fractions_planned * exposure
    return np.asarray(operator.forward_rasters(rasters), dtype=np.float64)


def refine_leaves(
    plan: Plan,
    machine: Machine,
    operator: RasterDose,
    problem: Problem,
    *,
    settings: LeafSettings,
    background_dose_gy: Floats | None = None,
    multipliers: Multipliers | None = None,
    progress: Progress | None = None,
) -> Refinement:
    """Move leaves and change metersets so that the objective of the delivered dose falls.

    Parameters
    ----------
    plan : Plan
        Deliverable; jaws that stand still.
    machine : Machine
        Whose limits hold.
    operator : RasterDose
        Fluence on raster cells to dose at the points of `problem`.
    problem : Problem
        Whose objectives on dose count. Its own operator, background and objectives on fluence do
        not.
    settings : LeafSettings
        How far and how long.
    background_dose_gy : ndarray of shape (n_points,) or None
        Final dose minus :func:`delivered_dose` of the plan; None for none. Not the background of
        `problem`, which holds what sequencing lost.
    multipliers : Multipliers or None
        Of hard caps, whose penalty then counts as well.
    progress : callable or None
        Called after each iteration with evaluations so far and what is minimised.

    Returns
    -------
    Refinement
        Its plan keeps gap, reach, spread and interdigitation of leaves; beams are slowed down
        where leaves could not follow.

    Raises
    ------
    InputError
        If a beam is not one of the operator's, its jaws or gantry move, or the background does
        not fit.
    ConvergenceError
        If the objective is not a number.
    """
    search = _Search(plan, machine, operator, problem, background_dose_gy, multipliers)
    start = np.zeros(search.n_unknowns)
    before = search.objective(start)
    if not np.isfinite(before):
        msg = f"the objective of plan {plan.label} is {before}; check operator and background"
        raise ConvergenceError(msg)
    found = search.minimise(before, settings, progress) if before != 0.0 else start
    beams = [
        motion.moved(part)
        for motion, part in zip(search.motions, search.parts(found), strict=True)
    ]
    after, move = search.judged(beams)
    if after >= before:
        logger.debug("leaf positions: %g is no better than %g", after, before)
        return Refinement(plan, before, before, search.n_evaluations, 0.0, tuple(search.history))
    return Refinement(
        plan=replace(plan, beams=tuple(beams), instance_uid=""),
        objective_before=before,
        objective_after=after,
        n_evaluations=search.n_evaluations,
        largest_move_mm=move,
        history=tuple(search.history),
    )


class _Search:
    """Objective and gradient by the unknowns of all beams; knows how often it evaluated."""

    def __init__(
        self,
        plan: Plan,
        machine: Machine,
        operator: RasterDose,
        problem: Problem,
        background_dose_gy: Floats | None,
        multipliers: Multipliers | None,
    ) -> None:
        self.operator, self.problem, self.multipliers = operator, problem, multipliers
        self.n_fractions = plan.n_fractions_planned
        self.indices = [_beam_index(beam, operator) for beam in plan.beams]
        self.rows = [
            ApertureRows.of(beam, machine, operator.rasters[index])
            for beam, index in zip(plan.beams, self.indices, strict=True)
        ]
        self.motions = [LeafMotion.of(beam, machine) for beam in plan.beams]
        self.ends = np.cumsum([motion.n_unknowns for motion in self.motions])
        self.background = _background(background_dose_gy, operator.n_points)
        self.n_evaluations = 0
        self.history: list[tuple[int, float]] = []

    @property
    def n_unknowns(self) -> int:
        return int(self.ends[-1])

    def parts(self, unknowns: Floats) -> list[Floats]:
        """Return the unknowns of each beam."""
        return np.split(unknowns, self.ends[:-1])

    def minimise(self, before: float, settings: LeafSettings, progress: Progress | None) -> Floats:
        """Run L-BFGS-B from the plan given; return the best unknowns."""
        unit = abs(before)
        window: deque[float] = deque([before], maxlen=settings.patience + 1)
        bounds = [motion.bounds(settings) for motion in self.motions]
        low, high = (np.concatenate(side) for side in zip(*bounds, strict=True))

        def after_iteration(intermediate_result: optimize.OptimizeResult) -> None:
            value = float(intermediate_result.fun) * unit
            window.append(value)
            self.history.append((self.n_evaluations, value))
            if progress is not None:
                progress(self.n_evaluations, value)
            fell = window[0] - value
            if len(window) > settings.patience and fell <= settings.relative_tolerance * abs(
                value
            ):
                raise StopIteration

        result = optimize.minimize(
            lambda unknowns: self._evaluate(unknowns, unit, settings),
            np.zeros(self.n_unknowns),
            jac=True,
            method="L-BFGS-B",
            bounds=optimize.Bounds(low, high),
            callback=after_iteration,
            options={
                "maxcor": settings.memory,
                "maxfun": settings.max_evaluations,
                "maxiter": settings.max_evaluations,
                "ftol": 1e-15,
                "gtol": 1e-14,
            },
        )
        return np.asarray(np.clip(result.x, low, high))

    def objective(self, unknowns: Floats) -> float:
        """Return the objective, without the cost of speed."""
        placed = [
            motion.placed(part)
            for motion, part in zip(self.motions, self.parts(unknowns), strict=True)
        ]
        return self._value(self._dose(placed))[0]

    def judged(self, beams: Sequence[Beam]) -> tuple[float, float]:
        """Return the objective of rounded beams, and the largest move of a tip."""
        placed, moves = [], []
        for beam, motion in zip(beams, self.motions, strict=True):
            points = beam.control_points
            shares = np.array([point.cumulative_weight for point in points])
            tips = np.stack([point.leaf_positions_mm for point in points])
            placed.append((tips, np.diff(shares) * beam.meterset_mu))
            moves.append(float(np.abs(tips - motion.tips_mm).max()))
        return self._value(self._dose(placed))[0], max(moves)

    def _evaluate(
        self, unknowns: Floats, unit: float, settings: LeafSettings
    ) -> tuple[float, Floats]:
        self.n_evaluations += 1
        parts = self.parts(unknowns)
        placed = [motion.placed(part) for motion, part in zip(self.motions, parts, strict=True)]
        value, by_dose = self._value(self._dose(placed))
        by_exposure = self.operator.adjoint_rasters(by_dose)
        gradients = []
        weight = settings.speed_importance * unit
        for number, (motion, part) in enumerate(zip(self.motions, parts, strict=True)):
            tips, stretch = placed[number]
            by_cell = self.n_fractions * by_exposure[self.indices[number]]
            by_tip, by_stretch = self.rows[number].pull_back(tips, stretch, by_cell)
            cost, slope = motion.speed_cost(tips, settings.slowest_rate_share)
            value += weight * cost
            gradients.append(motion.pull_back(part, by_tip + weight * slope, by_stretch))
        return value / unit, np.concatenate(gradients) / unit

    def _dose(self, placed: Sequence[tuple[Floats, Floats]]) -> Floats:
        """Return the dose at the points of tips and metersets of each beam."""
        rasters = [np.zeros((raster.n_y, raster.n_x)) for raster in self.operator.rasters]
        for index, rows, (tips, stretch) in zip(self.indices, self.rows, placed, strict=True):
            rasters[index] += self.n_fractions * rows.exposure(tips, stretch)
        dose = np.asarray(self.operator.forward_rasters(rasters), dtype=np.float64)
        return dose + self.background

    def _value(self, dose_gy: Floats) -> tuple[float, Floats]:
        value, by_dose = self.problem.value_by_dose(dose_gy)
        if self.multipliers is not None:
            penalty, push = self.multipliers.value_and_gradient(dose_gy)
            value, by_dose = value + penalty, by_dose + push
        return value, by_dose


def _background(given: Floats | None, n_points: int) -> Floats:
    """Return the background at every point, or raise `InputError`."""
    if given is None:
        return np.zeros(n_points)
    background = np.asarray(given, dtype=np.float64)
    if background.shape != (n_points,) or not np.all(np.isfinite(background)):
        msg = (
            f"expected a finite background dose at {n_points} points, got shape "
            f"{background.shape}; supply what is unknown (NaN)"
        )
        raise InputError(msg)
    return background


def _beam_index(beam: Beam, operator: RasterDose) -> int:
    """Return which beam of an operator has the direction of a beam, or raise `InputError`."""
    mine = beam.geometry
    for index, grid in enumerate(operator.bixel_grids):
        other = grid.geometry
        turns = (
            mine.gantry_angle_deg - other.gantry_angle_deg,
            mine.collimator_angle_deg - other.collimator_angle_deg,
            mine.couch_angle_deg - other.couch_angle_deg,
        )
        is_alike = all(abs((turn + 180.0) % 360.0 - 180.0) < _SAME_DEG for turn in turns)
        shift = np.abs(np.subtract(mine.isocenter_mm, other.isocenter_mm)).max()
        if is_alike and shift < _SAME_MM:
            return index
    msg = (
        f"beam {mine.name}: the dose operator has no beam of its direction and isocentre; build "
        "it for the beams of the plan"
    )
    raise InputError(msg)
