"""A fluence problem: what gives dose, what is wanted of it, and what must hold."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError
from rerad.optimize.constraints import DoseCap, ValueCap
from rerad.optimize.delivery import SweepLeakage
from rerad.optimize.objectives import Underdose
from rerad.optimize.terms import DoseTerm, Floats, FluenceTerm


class LinearDose(Protocol):
    """Dose at some points as a linear function of the fluence of all beamlets.

    ``adjoint`` must be the exact transpose of ``forward``, or no gradient is right.
    """

    @property
    def n_beamlets(self) -> int:
        """Number of unknowns."""

    @property
    def n_points(self) -> int:
        """Number of points that get dose."""

    def forward(self, fluence_mu: Floats, /) -> NDArray[np.floating]:
        """Return the dose in Gy at each point for a fluence in MU over all fractions."""

    def adjoint(self, weight_per_gy: Floats, /) -> NDArray[np.floating]:
        """Return the transpose applied to one weight for each point."""


@runtime_checkable
class DividedDose(Protocol):
    """A `LinearDose` that can be had at some of its points, for less than all cost."""

    def at_points(self, points: NDArray[np.int64], /) -> LinearDose:
        """Return the dose at some points, given by rising numbers, in their order."""


@dataclass(frozen=True, eq=False, slots=True)
class _Picked:
    """Dose at some points of an operator that gives all of them or none."""

    operator: LinearDose
    points: NDArray[np.int64]

    @property
    def n_beamlets(self) -> int:
        return self.operator.n_beamlets

    @property
    def n_points(self) -> int:
        return len(self.points)

    def forward(self, fluence_mu: Floats) -> NDArray[np.floating]:
        return self.operator.forward(fluence_mu)[self.points]

    def adjoint(self, weight_per_gy: Floats) -> NDArray[np.floating]:
        every = np.zeros(self.operator.n_points)
        every[self.points] = weight_per_gy
        return self.operator.adjoint(every)


def at_points(operator: LinearDose, points: NDArray[np.int64]) -> LinearDose:
    """Return the dose of an operator at some points, given by rising numbers."""
    if isinstance(operator, DividedDose):
        return operator.at_points(points)
    return _Picked(operator, points)


@dataclass(frozen=True, eq=False, slots=True)
class Problem:
    """Objectives and caps on the dose of one operator.

    Parameters
    ----------
    operator : LinearDose
        Fluence to dose.
    terms : tuple of DoseTerm
        Objectives on dose; their sum is minimised.
    fluence_terms : tuple of FluenceTerm
        Objectives on the fluence.
    background_dose_gy : ndarray of shape (n_points,) or None
        Constant physical dose of the new plan added to that of the operator: what a better dose
        engine found beyond the operator, held fixed between corrections. It may be negative.
    upper_mu : float or None
        Largest fluence of a beamlet; None for no bound.
    caps : tuple of DoseCap
        Hard limits on physical dose.
    value_caps : tuple of ValueCap
        Sums of objectives that must not exceed what was reached before.
    leakage : SweepLeakage or None
        If given, the unknowns are open times of sliding windows, and what closed leaves let
        through is part of the dose; otherwise they are the fluence that arrives.

    Raises
    ------
    InputError
        If names repeat, an index lies outside the operator, or the background does not fit.
    """

    operator: LinearDose
    terms: tuple[DoseTerm, ...]
    fluence_terms: tuple[FluenceTerm, ...] = ()
    background_dose_gy: Floats | None = None
    upper_mu: float | None = None
    caps: tuple[DoseCap, ...] = ()
    value_caps: tuple[ValueCap, ...] = ()
    leakage: SweepLeakage | None = None

    def __post_init__(self) -> None:
        for field in ("terms", "fluence_terms", "caps", "value_caps"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        looks: tuple[DoseTerm | DoseCap, ...] = (*self.terms, *self.caps)
        names = [item.name for item in looks] + [term.name for term in self.fluence_terms]
        names += [item.name for item in self.value_caps]
        if len(set(names)) != len(names):
            msg = f"expected objectives and caps of different names, got {', '.join(names)}"
            raise InputError(msg)
        n_points = self.operator.n_points
        for item in looks:
            if item.indices.max() >= n_points:
                msg = (
                    f"{item.name}: point {item.indices.max()} is outside the operator, which has "
                    f"{n_points} points"
                )
                raise InputError(msg)
        if self.upper_mu is not None and not self.upper_mu > 0:
            msg = f"expected an upper fluence above 0 MU, got {self.upper_mu}"
            raise InputError(msg)
        if self.leakage is not None:
            shape = self.leakage.dose_per_mu_gy.shape[1], self.leakage.n_unknowns
            if shape != (n_points, self.operator.n_beamlets):
                msg = (
                    f"expected leakage for {n_points} points and {self.operator.n_beamlets} "
                    f"beamlets, got {shape[0]} and {shape[1]}"
                )
                raise InputError(msg)
        if self.background_dose_gy is not None:
            background = frozen_array(self.background_dose_gy, np.float64)
            if background.shape != (n_points,) or not np.all(np.isfinite(background)):
                msg = (
                    f"expected a finite background dose at {n_points} points, got shape "
                    f"{background.shape}; supply what is unknown (NaN)"
                )
                raise InputError(msg)
            object.__setattr__(self, "background_dose_gy", background)

    def dose_gy(self, fluence_mu: Floats) -> Floats:
        """Return the physical dose of the new plan at each point, background included."""
        dose = self.delivered_gy(fluence_mu)
        return dose if self.background_dose_gy is None else dose + self.background_dose_gy

    def delivered_gy(self, fluence_mu: Floats) -> Floats:
        """Return the dose of the operator at each point, leakage included, no background."""
        if self.leakage is None:
            return np.asarray(self.operator.forward(fluence_mu), dtype=np.float64)
        opened = (1.0 - self.leakage.transmission) * fluence_mu
        dose = np.asarray(self.operator.forward(opened), dtype=np.float64)
        return dose + self.leakage.dose_gy(fluence_mu)

    def by_fluence(self, fluence_mu: Floats, by_dose: Floats) -> Floats:
        """Return a derivative by dose turned into one by each beamlet (the chain rule)."""
        gradient = np.asarray(self.operator.adjoint(by_dose), dtype=np.float64)
        if self.leakage is None:
            return gradient
        gradient = (1.0 - self.leakage.transmission) * gradient
        return gradient + self.leakage.gradient(fluence_mu, by_dose)

    def value_by_dose(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the sum of the dose objectives, and its derivative by the dose of each point."""
        value, gradient = 0.0, np.zeros(self.operator.n_points)
        for term in self.terms:
            # Some read the doses of all points in place, which is quicker.
            add_to = getattr(term, "add_to", None)
            if add_to is not None:
                value += add_to(dose_gy, gradient)
                continue
            term_value, slope = term.value_and_gradient(dose_gy[term.indices])
            value += term_value
            gradient[term.indices] += slope
        return value, gradient

    def value_and_gradient(self, fluence_mu: Floats) -> tuple[float, Floats]:
        """Return the objective, without caps, and its derivative by each beamlet."""
        value, by_dose = self.value_by_dose(self.dose_gy(fluence_mu))
        gradient = self.by_fluence(fluence_mu, by_dose)
        for term in self.fluence_terms:
            term_value, slope = term.value_and_gradient(fluence_mu)
            value += term_value
            gradient = gradient + slope
        return value, gradient

    def term_values(self, fluence_mu: Floats) -> dict[str, float]:
        """Return the value of each objective by name."""
        dose = self.dose_gy(fluence_mu)
        values = {term.name: term.value_and_gradient(dose[term.indices])[0] for term in self.terms}
        for term in self.fluence_terms:
            values[term.name] = term.value_and_gradient(fluence_mu)[0]
        return values

    def curvature_by_dose(self) -> Floats:
        """Return the sum of typical second derivatives by the dose of each point."""
        curvature = np.zeros(self.operator.n_points)
        for term in self.terms:
            curvature[term.indices] += term.curvature()
        return curvature


def uniform_start_mu(problem: Problem) -> float:
    """Return the fluence, the same in all beamlets, that gives the targets their mean dose.

    The mean is over the points of all :class:`Underdose` objectives, by importance and volume.

    Parameters
    ----------
    problem : Problem
        With at least one `Underdose` objective.

    Returns
    -------
    float
        Fluence in MU; never more than `upper_mu`.

    Raises
    ------
    InputError
        If no objective asks for dose, or no beamlet reaches the points that need it.
    """
    targets = [term for term in problem.terms if isinstance(term, Underdose)]
    if not targets:
        msg = "expected an Underdose objective to scale the first fluence by; give a start instead"
        raise InputError(msg)
    unit = np.asarray(problem.operator.forward(np.ones(problem.operator.n_beamlets)))
    dose_per_mu = sum(
        term.importance * float(term.weights @ unit[term.indices]) for term in targets
    )
    background = problem.background_dose_gy
    wanted = sum(
        term.importance
        * (
            term.dose_gy
            - (0.0 if background is None else float(term.weights @ background[term.indices]))
        )
        for term in targets
    )
    if dose_per_mu <= 0 or wanted <= 0:
        names = ", ".join(term.name for term in targets)
        msg = f"expected beamlets that give dose to {names} and dose still wanted there, got none"
        raise InputError(msg)
    start = wanted / dose_per_mu
    return start if problem.upper_mu is None else min(start, problem.upper_mu)
