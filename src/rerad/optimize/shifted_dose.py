"""Dose of one fluence with the isocentre at several places, for plans that hold in all of them.

Every scenario is calculated as a plan of its own: depths, distances and edges move with the beam.
The patient's points stay the same points, so limits and earlier dose stay with them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core import BixelGrid
from rerad.errors import InputError
from rerad.optimize.problem import LinearDose, at_points
from rerad.optimize.terms import Floats, checked_indices

Shift = tuple[float, float, float]
"""Of the isocentre in the patient system, (x, y, z) in mm."""

BuildOperator = Callable[[tuple[BixelGrid, ...], NDArray[np.int64]], LinearDose]
"""Makes the dose of given beams at given points (numbers of points of the nominal operator)."""


def axis_shifts(reach_mm: Shift) -> tuple[Shift, ...]:
    """Return no shift, then one each way along every axis that has a reach: up to seven.

    Parameters
    ----------
    reach_mm : tuple of float
        How far along x, y, z, 0 or more.

    Raises
    ------
    InputError
        If a reach is negative.
    """
    if not all(0 <= reach < np.inf for reach in reach_mm):
        msg = f"expected reaches of 0 mm or more, got {reach_mm}"
        raise InputError(msg)
    shifts: list[Shift] = [(0.0, 0.0, 0.0)]
    for axis, reach in enumerate(reach_mm):
        for sign in (-1.0, 1.0) if reach > 0 else ():
            x, y, z = (sign * reach if axis == other else 0.0 for other in range(3))
            shifts.append((x, y, z))
    return tuple(shifts)


@dataclass(frozen=True, eq=False, slots=True)
class ShiftedDose:
    """Dose of one fluence with the isocentre at several places: a `LinearDose` over all of them.

    Points of the first operator come first (no shift, all points), then for each further operator
    the followed points: those whose dose matters in every scenario, targets, capped organs and
    what bounds are read from.

    Parameters
    ----------
    operators : tuple of LinearDose
        One for each shift, of the same beamlets.
    followed : ndarray of int, shape (M,)
        Points of the first operator that the others look at, in their order.
    shifts_mm : tuple of Shift
        The first is no shift.

    Raises
    ------
    InputError
        If operators, points and shifts do not fit.
    """

    operators: tuple[LinearDose, ...]
    followed: NDArray[np.int64]
    shifts_mm: tuple[Shift, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "operators", tuple(self.operators))
        object.__setattr__(self, "followed", checked_indices("shifted dose", self.followed))
        first, *others = self.operators
        fits = all(
            other.n_beamlets == first.n_beamlets and other.n_points == len(self.followed)
            for other in others
        )
        if len(self.shifts_mm) != len(self.operators) or any(self.shifts_mm[0]) or not fits:
            msg = (
                f"expected an operator of {first.n_beamlets} beamlets and {len(self.followed)} "
                f"points for each shift, the first of 0 mm, got {len(self.operators)} operators "
                f"and shifts {self.shifts_mm}"
            )
            raise InputError(msg)

    @property
    def n_scenarios(self) -> int:
        """Number of shifts, none included."""
        return len(self.operators)

    @property
    def n_beamlets(self) -> int:
        """Number of unknowns."""
        return self.operators[0].n_beamlets

    @property
    def n_points(self) -> int:
        """Number of points of all scenarios."""
        return self.operators[0].n_points + (self.n_scenarios - 1) * len(self.followed)

    @property
    def nominal_points(self) -> NDArray[np.int64]:
        """Point of the first operator that each point stands for, shape (n_points,)."""
        first = np.arange(self.operators[0].n_points)
        return np.concatenate([first, *[self.followed] * (self.n_scenarios - 1)])

    def forward(self, fluence_mu: Floats) -> Floats:
        """Return the dose in Gy at the points of all scenarios."""
        return _stacked(self.operators, fluence_mu)

    def adjoint(self, weight_per_gy: Floats) -> Floats:
        """Return the transpose of `forward` applied to one weight for each point."""
        return _collected(self.operators, weight_per_gy)

    def at_points(self, points: NDArray[np.int64]) -> LinearDose:
        """Return the dose at some points of all scenarios, given by rising numbers."""
        parts, start = [], 0
        for operator in self.operators:
            stop = start + operator.n_points
            here = points[np.searchsorted(points, start) : np.searchsorted(points, stop)] - start
            start = stop
            if len(here):
                parts.append(at_points(operator, here))
        return _Stacked(tuple(parts))

    def points_in(self, scenario: int, indices: NDArray[np.int64], name: str) -> NDArray[np.int64]:
        """Return where points of the first operator are found in a scenario.

        Parameters
        ----------
        scenario : int
            0 for no shift.
        indices : ndarray of int, shape (N,)
            Points of the first operator.
        name : str
            Whose they are, for the error.

        Raises
        ------
        InputError
            If a point is not followed.
        """
        if scenario == 0:
            return indices
        n_nominal = self.operators[0].n_points
        place = np.full(n_nominal, -1, dtype=np.int64)
        place[self.followed] = np.arange(len(self.followed))
        found = place[indices]
        if np.any(found < 0):
            msg = (
                f"{name}: {np.count_nonzero(found < 0)} of {len(found)} points are not among "
                "those followed in the shifted scenarios; follow every point of targets, of "
                "capped organs and of bounds"
            )
            raise InputError(msg)
        return n_nominal + (scenario - 1) * len(self.followed) + found


@dataclass(frozen=True, eq=False, slots=True)
class _Stacked:
    """Doses of one fluence, one behind another."""

    operators: tuple[LinearDose, ...]

    @property
    def n_beamlets(self) -> int:
        return self.operators[0].n_beamlets

    @property
    def n_points(self) -> int:
        return sum(operator.n_points for operator in self.operators)

    def forward(self, fluence_mu: Floats) -> Floats:
        return _stacked(self.operators, fluence_mu)

    def adjoint(self, weight_per_gy: Floats) -> Floats:
        return _collected(self.operators, weight_per_gy)


def _stacked(operators: Sequence[LinearDose], fluence_mu: Floats) -> Floats:
    """Return the doses one behind another."""
    return np.concatenate([operator.forward(fluence_mu) for operator in operators])


def _collected(operators: Sequence[LinearDose], weight_per_gy: Floats) -> Floats:
    """Return the transpose of `_stacked` applied to weights."""
    total, start = np.zeros(operators[0].n_beamlets), 0
    for operator in operators:
        part = weight_per_gy[start : start + operator.n_points]
        start += operator.n_points
        if part.any():
            total += operator.adjoint(part)
    return total


def shifted_dose(
    nominal: LinearDose,
    bixel_grids: Sequence[BixelGrid],
    build: BuildOperator,
    *,
    followed: ArrayLike,
    shifts_mm: Sequence[Shift],
) -> ShiftedDose:
    """Build the dose of shifted isocentres: depths, distances and edges all move with the beam.

    Parameters
    ----------
    nominal : LinearDose
        Dose without shift at all points.
    bixel_grids : sequence of BixelGrid
        Its beams.
    build : callable
        Makes an operator from beams and numbers of points, for example
        ``lambda beams, where: build_operator(machine, density, voxels[where], grid, beams,
        position)``.
    followed : array_like of int, shape (M,)
        Points whose dose matters in every scenario.
    shifts_mm : sequence of Shift
        Of the isocentre in the patient, the first of 0 mm, see :func:`axis_shifts`. A patient who
        lies `s` off is a shift of `-s`.

    Raises
    ------
    InputError
        If the first shift is not 0 or points repeat.
    """
    points = checked_indices("shifted dose", followed)
    operators = [nominal]
    for shift in shifts_mm[1:]:
        moved = tuple(_moved(grid, shift) for grid in bixel_grids)
        operators.append(build(moved, points))
    return ShiftedDose(tuple(operators), points, tuple(shifts_mm))


def _moved(grid: BixelGrid, shift_mm: Shift) -> BixelGrid:
    """Return the same beamlets about another isocentre."""
    at = grid.geometry.isocenter_mm
    x, y, z = (a + s for a, s in zip(at, shift_mm, strict=True))
    return replace(grid, geometry=replace(grid.geometry, isocenter_mm=(x, y, z)))
