r"""One robust mode, the worst case: what is not known about the past, and where the patient lies.

1. *The earlier dose.* Registration, recovery and alpha/beta change the prior EQD2 and not the new
   dose, so their worst case is one cap per voxel: :func:`worst_case_cap` on the maps of
   :func:`rerad.accumulation.worst_prior_within`. It is exact and costs no dose calculation.
2. *Set-up of the new plan.* Scenarios are shifts of the isocentre in the patient, systematic over
   the course. :class:`ShiftedDose` is the dose in all of them; hard caps and bounds on sums hold
   in each, and what targets lack is judged by the worst scenario (:class:`WorstCase`).

A bound :math:`f(D) \le b` becomes one bound :math:`f(D_s) \le b` for each scenario, each with its
multiplier: together they say :math:`\max_s f(D_s) \le b`, exactly and without smoothing. The
dose of a scenario is linear in the fluence (with leakage convex, and `f` rises with dose), so
where `f` is convex each bound leaves a convex set of fluences, and so do all of them together.

Worst case and not expectation [1]_: a limit on a nerve is to hold for this patient, and no
probabilities have to be invented. How far anything may be off, the caller says.

References
----------
.. [1] Fredriksson, Forsgren & Hårdemark (2011), Med. Phys. 38, 1672, doi:10.1118/1.3556559
   (its abstract was read).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.errors import InputError
from rerad.optimize.constraints import ValueCap
from rerad.optimize.problem import Problem
from rerad.optimize.shifted_dose import Shift, ShiftedDose
from rerad.optimize.terms import Bools, DoseTerm, Floats, as_local, checked_indices, term_at
from rerad.radiobiology import eqd2, physical_from_eqd2


def worst_case_cap(
    priors_eqd2_gy: Sequence[ArrayLike],
    alpha_betas_gy: Sequence[float],
    limit_eqd2_gy: float,
    n_fractions: int,
) -> Floats:
    r"""Return the physical dose below which a cumulative limit holds whatever the truth is.

    The cap of each voxel is the least over the corners of the intervals. That is exact for all
    values between, because with earlier doses :math:`D_c` at :math:`d_c` per fraction, of which
    the share :math:`1 - \rho_c` counts, and the new dose :math:`D = n d`,

    .. math:: E = \frac{Q + a T}{2 + a} = T + \frac{Q - 2 T}{2 + a}, \quad
       T = \sum_c (1 - \rho_c) D_c + D, \quad Q = \sum_c (1 - \rho_c) D_c d_c + D d .

    1. For any dose, :math:`E` is monotone in :math:`a`: neither `T` nor `Q` depends on it. Its
       largest value over an interval of alpha/beta is at one of the two ends.
    2. :math:`E` falls as any :math:`\rho_c` rises: its largest value is at the least recovery.
    3. :math:`E` rises with :math:`D`, so at each corner :math:`E \le L` is
       :math:`D \le D_{max}` of that corner, and all corners together are the least of these.

    Parameters
    ----------
    priors_eqd2_gy : sequence of array_like of shape (N,)
        For each corner the earlier EQD2 **at the alpha/beta of that corner**, with the least
        recovery; NaN where unknown.
    alpha_betas_gy : sequence of float
        Alpha/beta of each corner, above 0: the two ends of its interval, or one value.
    limit_eqd2_gy : float
        Cumulative EQD2 not to be exceeded, above 0.
    n_fractions : int
        Fractions of the new plan, at least 1.

    Returns
    -------
    ndarray of shape (N,)
        Largest total physical dose in Gy; 0 where a corner leaves nothing; NaN where any prior is
        unknown, which is no cap and must be reported.

    Raises
    ------
    InputError
        If there is no corner, numbers of priors and alpha/betas differ, or one is out of range.
    """
    priors = _corners(priors_eqd2_gy, alpha_betas_gy)
    if not 0 < limit_eqd2_gy < np.inf:
        msg = f"expected a cumulative limit above 0 Gy EQD2, got {limit_eqd2_gy}"
        raise InputError(msg)
    caps = [
        physical_from_eqd2(limit_eqd2_gy - prior, n_fractions=n_fractions, alpha_beta_gy=a)
        for prior, a in zip(priors, alpha_betas_gy, strict=True)
    ]
    return np.asarray(np.min(caps, axis=0))


def worst_case_eqd2(
    priors_eqd2_gy: Sequence[ArrayLike],
    alpha_betas_gy: Sequence[float],
    dose_gy: ArrayLike,
    n_fractions: int,
) -> Floats:
    """Return the largest cumulative EQD2 over the corners, exact as in :func:`worst_case_cap`.

    Parameters
    ----------
    priors_eqd2_gy, alpha_betas_gy : sequences
        As for :func:`worst_case_cap`.
    dose_gy : array_like of shape (N,)
        Total physical dose of the new plan, 0 or more.
    n_fractions : int
        Its fractions.

    Returns
    -------
    ndarray of shape (N,)
        NaN where any prior is unknown.

    Raises
    ------
    InputError
        As for :func:`worst_case_cap`.
    """
    priors = _corners(priors_eqd2_gy, alpha_betas_gy)
    sums = [
        prior + eqd2(dose_gy, n_fractions, a)
        for prior, a in zip(priors, alpha_betas_gy, strict=True)
    ]
    return np.asarray(np.max(sums, axis=0))


def _corners(priors: Sequence[ArrayLike], alpha_betas: Sequence[float]) -> list[Floats]:
    """Return the priors as arrays of one shape, or raise `InputError`."""
    arrays = [np.asarray(prior, dtype=np.float64) for prior in priors]
    if not arrays or len(arrays) != len(alpha_betas):
        msg = (
            "expected for each corner an earlier dose and its alpha/beta, got "
            f"{len(arrays)} doses and {len(alpha_betas)} alpha/betas"
        )
        raise InputError(msg)
    shapes = {array.shape for array in arrays}
    if len(shapes) != 1:
        msg = f"expected earlier doses of one shape at every corner, got {sorted(shapes)}"
        raise InputError(msg)
    if any(np.any(array < 0) for array in arrays):
        msg = "expected earlier doses of 0 Gy EQD2 or more; unknown is NaN"
        raise InputError(msg)
    return arrays


@dataclass(frozen=True, eq=False, slots=True)
class WorstCase:
    r"""The worst of one objective over the scenarios, smoothly.

    .. math:: F = \Big(\tfrac1S \sum_s f_s^p\Big)^{1/p}, \qquad
       S^{-1/p} \max_s f_s \le F \le \max_s f_s .

    A mean of high power and not a log-sum-exp, because it has no scale of its own: its weights
    depend on how the scenarios compare, not on how small they have become when coverage is good.
    It is convex and nondecreasing in the :math:`f_s`, so convex where they are, and equals the
    objective where all scenarios are alike.

    Parameters
    ----------
    name : str
        What to call it.
    scenarios : tuple of DoseTerm
        The objective at the points of each scenario, values of 0 or more.
    power : float
        :math:`p`, 1 (the average) or more; 8 gives at least 78 % of the maximum of seven.

    Raises
    ------
    InputError
        If there is no scenario, points repeat or the power is below 1.
    """

    name: str
    scenarios: tuple[DoseTerm, ...]
    power: float = 8.0
    indices: NDArray[np.int64] = field(init=False)
    """Points of all scenarios."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scenarios", tuple(self.scenarios))
        if not self.scenarios or not 1 <= self.power < np.inf:
            msg = f"{self.name}: expected scenarios and a power of 1 or more, got {self.power}"
            raise InputError(msg)
        points = np.concatenate([term.indices for term in self.scenarios])
        object.__setattr__(self, "indices", checked_indices(self.name, points))

    @property
    def is_convex(self) -> bool:
        """Whether it is convex in the fluence: where the objective is."""
        return all(getattr(term, "is_convex", True) for term in self.scenarios)

    def value_and_gradient(self, dose_gy: Floats) -> tuple[float, Floats]:
        """Return the value, and its derivative by the dose of each point of each scenario."""
        values, slopes, start = [], [], 0
        for term in self.scenarios:
            stop = start + len(term.indices)
            value, slope = term.value_and_gradient(dose_gy[start:stop])
            values.append(value)
            slopes.append(slope)
            start = stop
        worst = max(values)
        if min(values) < 0:
            msg = (
                f"{self.name}: expected an objective of 0 or more in every scenario, got "
                f"{min(values):g}; give it a goal instead of its plain value"
            )
            raise InputError(msg)
        if worst == 0:
            return 0.0, np.concatenate(slopes) / len(values)
        shares = np.asarray(values) / worst
        mean = float(np.mean(shares**self.power)) ** (1.0 / self.power)
        weights = (shares / mean) ** (self.power - 1.0) / len(values)
        gradient = [weight * slope for weight, slope in zip(weights, slopes, strict=True)]
        return worst * mean, np.concatenate(gradient)

    def is_straight(self, dose_gy: Floats, margin_gy: float) -> Bools:
        """Return at which points no scenario asks for anything, but for one point of each.

        Points that have a slope stay: how much a scenario counts depends on its value.
        """
        straight, start = [], 0
        for term in self.scenarios:
            doses = dose_gy[start : start + len(term.indices)]
            start += len(doses)
            is_straight, local = np.zeros(len(doses), bool), as_local(term)
            if local is not None:
                is_straight = local.is_straight(doses, margin_gy)
                is_straight &= term.value_and_gradient(doses)[1] == 0.0
                is_straight[0] = False
            straight.append(is_straight)
        return np.concatenate(straight)

    def at(self, chosen: Bools, indices: NDArray[np.int64]) -> "WorstCase":
        """Return what it is at chosen points, which get new numbers."""
        parts: list[DoseTerm] = []
        first = start = 0
        for term in self.scenarios:
            here = chosen[first : first + len(term.indices)]
            first += len(here)
            where = indices[start : start + np.count_nonzero(here)]
            start += len(where)
            parts.append(term_at(term, here, where))
        return replace(self, scenarios=tuple(parts))

    def curvature(self) -> Floats:
        """Return a typical second derivative: that of each scenario, shared among them."""
        parts = [term.curvature() for term in self.scenarios]
        return np.concatenate(parts) / len(parts)


def robust_problem(
    nominal: Problem,
    shifted: ShiftedDose,
    *,
    worst_case: Sequence[str],
    without_shift: Sequence[str] = (),
    backgrounds_gy: Sequence[Floats] | None = None,
    power: float = 8.0,
) -> Problem:
    """Return the problem in which caps hold in every scenario and some objectives are worst case.

    Parameters
    ----------
    nominal : Problem
        On the first operator of `shifted`; its caps are those of :func:`worst_case_cap`.
    shifted : ShiftedDose
        Scenarios.
    worst_case : sequence of str
        Names of the objectives judged by their worst scenario: those of the targets. The others
        stay as they are, without shift.
    without_shift : sequence of str
        Names of the bounds on sums that hold without shift only; all others hold in every
        scenario, as caps do.
    backgrounds_gy : sequence of ndarray of shape (n_points of `nominal`,), or None
        Background of each scenario; None takes that of `nominal` in all of them.
    power : float
        See :class:`WorstCase`.

    Returns
    -------
    Problem
        A start must be given to :func:`rerad.optimize.solve`: the fluence of the nominal problem,
        but not its multipliers; their caps are not those that will be tight, and stiff already.
        Leakage, if any, is that of each point without shift.

    Raises
    ------
    InputError
        If a name is unknown, or a point of a cap, bound or such an objective is not followed.
    """
    _known("objectives", worst_case, [term.name for term in nominal.terms])
    _known("bounds", without_shift, [bound.name for bound in nominal.value_caps])
    terms = tuple(
        WorstCase(term.name, _in_scenarios(term, shifted), power)
        if term.name in worst_case
        else term
        for term in nominal.terms
    )
    caps = tuple(
        replace(
            cap,
            name=_name_in(scenario, cap.name, shift),
            indices=shifted.points_in(scenario, cap.indices, cap.name),
        )
        for scenario, shift in enumerate(shifted.shifts_mm)
        for cap in nominal.caps
    )
    bounds = tuple(
        _bound_in(bound, shifted, scenario)
        for scenario in range(shifted.n_scenarios)
        for bound in nominal.value_caps
        if scenario == 0 or bound.name not in without_shift
    )
    background, leakage = nominal.background_dose_gy, nominal.leakage
    if backgrounds_gy is not None:
        first, *others = backgrounds_gy
        background = np.concatenate([first, *(item[shifted.followed] for item in others)])
    elif background is not None:
        background = background[shifted.nominal_points]
    if leakage is not None:
        per_mu = leakage.dose_per_mu_gy[:, shifted.nominal_points]
        leakage = replace(leakage, dose_per_mu_gy=per_mu)
    return replace(
        nominal,
        operator=shifted,
        terms=terms,
        caps=caps,
        value_caps=bounds,
        background_dose_gy=background,
        leakage=leakage,
    )


def _name_in(scenario: int, name: str, shift_mm: Shift) -> str:
    """Return what a cap or bound is called in a scenario: without shift as before."""
    if scenario == 0:
        return name
    return f"{name}, isocentre shifted by " + "({:g}, {:g}, {:g}) mm".format(*shift_mm)


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise `InputError` for names that the problem does not have."""
    missing = sorted(set(names) - set(known))
    if missing:
        msg = f"expected names of {what} of the problem, got {', '.join(missing)}"
        raise InputError(msg)


def _bound_in(bound: ValueCap, shifted: ShiftedDose, scenario: int) -> ValueCap:
    """Return a bound at the points of one scenario; itself without shift."""
    if scenario == 0:
        return bound
    terms = tuple(_in_scenario(term, shifted, scenario) for term in bound.terms)
    name = _name_in(scenario, bound.name, shifted.shifts_mm[scenario])
    return replace(bound, name=name, terms=terms)


def _in_scenarios(term: DoseTerm, shifted: ShiftedDose) -> tuple[DoseTerm, ...]:
    """Return the objective at the points of each scenario."""
    return tuple(_in_scenario(term, shifted, scenario) for scenario in range(shifted.n_scenarios))


def _in_scenario(term: DoseTerm, shifted: ShiftedDose, scenario: int) -> DoseTerm:
    """Return an objective at the points of one scenario; itself without shift."""
    if scenario == 0:
        return term
    indices = shifted.points_in(scenario, term.indices, term.name)
    return replace(term, indices=indices)  # type: ignore[type-var]
