r"""A course that stopped: what the target lost, what organs still have, and the ways to go on.

Every way gives :math:`n'` further fractions, each the planned one times a factor :math:`s`. For
each :math:`n'` two factors are solved: the one that makes up the tumour's BED,

.. math:: n' s d (1 + s d/(\alpha/\beta)) = \mathrm{BED}_{presc} + K\,\max(0, T - T_k)
          - \mathrm{BED}_{given},

and the largest that every organ's cumulative limit allows, with earlier courses and the fractions
given in the sum. The smaller is what can be given; where the organs decide, the target gets less
than prescribed, and the result says how much and which organ. Doses in Gy, times in days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Course, Dose, Finding, Mask, Prescription, RecordGrade, Severity
from rerad.errors import InputError, MissingDataError
from rerad.evaluation import dvh, evaluate_metric, parse_metric
from rerad.planning.budget import OrganLimit
from rerad.radiobiology import (
    Interruption,
    TimeFactor,
    bed,
    eqd2,
    fraction_size_finding,
    physical_from_bed,
    treatment_days,
)

MAX_FRACTION_GY = 30.0
"""No way with a larger fraction is looked for."""

_N_HALVINGS = 40


@dataclass(frozen=True, eq=False, slots=True)
class InterruptedPlan:
    """A course that stopped.

    Parameters
    ----------
    course : Course
        Prescriptions and planned fractions.
    n_delivered : int
        Fractions given, 1 or more, fewer than planned.
    dose : Dose or None
        Physical dose of all planned fractions on the dose grid; None: every organ is taken to
        have got the highest prescription everywhere.
    alpha_beta_gy : float
        Of the tumour.
    factor : TimeFactor or None
        Of the tumour; None leaves time out.
    gap_days : int
        Days by which the rest is late.
    """

    course: Course
    n_delivered: int
    dose: Dose | None
    alpha_beta_gy: float
    factor: TimeFactor | None = None
    gap_days: int = 0

    @property
    def n_planned(self) -> int:
        """Planned fractions.

        Raises
        ------
        MissingDataError
            If they are unknown, or nothing is prescribed.
        """
        if not self.course.n_fractions_planned or not self.course.prescriptions:
            msg = (
                f"{self.course.name}: expected planned fractions and a prescription to say what "
                "is missing, got one of them unknown"
            )
            raise MissingDataError(msg)
        return self.course.n_fractions_planned

    @property
    def level(self) -> Prescription:
        """Highest prescription; the other levels follow it."""
        return max(self.course.prescriptions, key=lambda item: item.dose_gy)


@dataclass(frozen=True, slots=True)
class OrganState:
    """One organ under one way to go on: cumulative EQD2 at the limit's metric, and the limit.

    Parameters
    ----------
    structure, metric : str
        Organ, and what the limit is for.
    value_gy, limit_gy : float
        EQD2; NaN where it is not known.
    is_accepted : bool
        Whether a breach is accepted by the case: it stays a breach.
    grade : RecordGrade or None
        Poorest record of the earlier courses in the value; None if there were none.
    """

    structure: str
    metric: str
    value_gy: float
    limit_gy: float
    is_accepted: bool = False
    grade: RecordGrade | None = None

    @property
    def is_within(self) -> bool | None:
        """Whether the limit is kept; None where the value is unknown."""
        return None if np.isnan(self.value_gy) else self.value_gy <= self.limit_gy + 1e-6


@dataclass(frozen=True, slots=True)
class ResidualOption:
    """One way to go on.

    Parameters
    ----------
    label : str
        In words.
    n_fractions : int
        Still to be given.
    fraction_gy : float
        Dose of each to the highest prescription's target; 0 for none.
    tumor_bed_gy : float
        Of the whole course, time included.
    coverage_percent : float
        Of the prescribed BED.
    limited_by : str
        Organ that decides the dose; empty if the tumour's BED does.
    organs : tuple of OrganState
        Every organ with a limit.
    levels_gy : tuple of (str, float)
        Total physical dose of each prescription level, given and to come.
    overall_days : int
        From first to last fraction.
    """

    label: str
    n_fractions: int
    fraction_gy: float
    tumor_bed_gy: float
    coverage_percent: float
    limited_by: str
    organs: tuple[OrganState, ...]
    levels_gy: tuple[tuple[str, float], ...]
    overall_days: int

    @property
    def breaks_unaccepted(self) -> bool:
        """Whether a limit is broken whose breach is not accepted."""
        return any(organ.is_within is False and not organ.is_accepted for organ in self.organs)

    @property
    def is_within_limits(self) -> bool | None:
        """Whether every limit is kept; None if one cannot be told and none is broken."""
        states = [organ.is_within for organ in self.organs]
        if False in states:
            return False
        return None if None in states else True


@dataclass(frozen=True, eq=False, slots=True)
class InterruptionPlan:
    """What an interruption costs and the ways to go on.

    Parameters
    ----------
    plan : InterruptedPlan
        What stopped.
    bed_prescribed_gy, bed_given_gy : float
        Of the tumour at the highest prescription; the prescription in its planned time.
    options : tuple of ResidualOption
        Stop; as planned; then one for each number of fractions.
    findings : tuple of Finding
        What the reader must weigh.
    """

    plan: InterruptedPlan
    bed_prescribed_gy: float
    bed_given_gy: float
    options: tuple[ResidualOption, ...]
    findings: tuple[Finding, ...]

    @property
    def bed_deficit_gy(self) -> float:
        """BED prescribed and not given."""
        return self.bed_prescribed_gy - self.bed_given_gy


@dataclass(frozen=True, eq=False, slots=True)
class _Organ:
    """An organ on its crop: what it had, what a planned fraction gives, its limit."""

    limit: OrganLimit
    mask: Mask
    had: NDArray[np.float64]
    fraction_gy: NDArray[np.float64]
    is_accepted: bool

    def state(self, scale: float, n: int) -> OrganState:
        """Return the metric after n more fractions of `scale` times the planned one."""
        goal = self.limit.goal
        alpha_beta = goal.alpha_beta_gy or np.nan
        total = self.had
        if n:
            total = total + eqd2(scale * n * self.fraction_gy, n, alpha_beta)
        values = np.where(self.mask.fraction > 0, total, np.nan).astype(np.float32)
        dose = Dose(values, self.mask.grid)
        value = evaluate_metric(parse_metric(goal.metric), dvh(dose, self.mask))
        return OrganState(
            self.limit.structure,
            goal.metric,
            value,
            goal.at_most or np.nan,
            self.is_accepted,
            self.limit.grade,
        )

    def largest_scale(self, n: int, highest: float) -> float:
        """Return the largest scale that keeps the limit; NaN if unknown, 0 if none does."""
        at_most = self.state(0.0, n)
        if np.isnan(at_most.value_gy):
            return float("nan")
        if not at_most.is_within:
            return 0.0
        if self.state(highest, n).is_within:
            return highest
        low, high = 0.0, highest
        for _ in range(_N_HALVINGS):
            middle = 0.5 * (low + high)
            if self.state(middle, n).is_within:
                low = middle
            else:
                high = middle
        return low


def solve_interruption(
    plan: InterruptedPlan,
    limits: Sequence[OrganLimit],
    masks: Mapping[str, Mask],
    *,
    n_choices: Sequence[int],
    accepted: frozenset[str] = frozenset(),
) -> InterruptionPlan:
    """Work out what was lost and solve the ways to go on under tumour and organs together.

    Parameters
    ----------
    plan : InterruptedPlan
        What stopped.
    limits : sequence of OrganLimit
        With the EQD2 of earlier courses after recovery; the fractions given are added here.
    masks : mapping of str to Mask
        Organs on crops of the dose grid.
    n_choices : sequence of int
        Numbers of further fractions to solve for.
    accepted : frozenset of str
        Organs whose limit may be exceeded knowingly: shown, and not deciding.

    Raises
    ------
    InputError
        If numbers are out of range.
    MissingDataError
        If planned fractions or prescriptions are unknown.
    """
    gap = Interruption(plan.level.dose_gy, plan.n_planned, plan.n_delivered, plan.gap_days)
    if not n_choices or any(n < 1 for n in n_choices):
        msg = f"expected numbers of further fractions of 1 or more, got {list(n_choices)}"
        raise InputError(msg)
    solver = _Solver(plan, gap, tuple(_organs(plan, limits, masks, accepted)))
    options = [
        solver.option("stop", 0, 0.0),
        solver.option("same fractions", gap.n_left, 1.0),
        *(solver.best(n) for n in dict.fromkeys(n_choices)),
    ]
    return InterruptionPlan(
        plan=plan,
        bed_prescribed_gy=solver.prescribed,
        bed_given_gy=solver.given,
        options=tuple(options),
        findings=tuple(_findings(plan, options)),
    )


def _organs(
    plan: InterruptedPlan,
    limits: Sequence[OrganLimit],
    masks: Mapping[str, Mask],
    accepted: frozenset[str],
) -> list[_Organ]:
    """Return every organ with what it had, earlier courses and fractions given."""
    found = []
    for limit in limits:
        mask = masks[limit.structure]
        alpha_beta = limit.goal.alpha_beta_gy
        if limit.goal.at_most is None or alpha_beta is None:
            continue
        fraction = np.full(mask.grid.shape, plan.level.dose_gy / plan.n_planned)
        if plan.dose is not None:
            values = plan.dose.values[plan.dose.grid.region_of(mask.grid)]
            fraction = values.astype(np.float64) / plan.n_planned
        had = eqd2(plan.n_delivered * fraction, plan.n_delivered, alpha_beta)
        if limit.prior is not None:
            had = had + limit.prior.values[limit.prior.grid.region_of(mask.grid)]
        found.append(_Organ(limit, mask, had, fraction, limit.structure in accepted))
    return found


@dataclass(frozen=True, eq=False, slots=True)
class _Solver:
    """The equations of one interrupted plan."""

    plan: InterruptedPlan
    gap: Interruption
    organs: tuple[_Organ, ...]

    @property
    def fraction_gy(self) -> float:
        """Planned dose of one fraction."""
        return self.gap.dose_gy / self.gap.n_fractions

    def regained(self, days: float) -> float:
        """BED that the tumour regains in so many days."""
        factor = self.plan.factor
        if factor is None:
            return 0.0
        return factor.loss_gy_per_day * max(0.0, days - factor.delay_days)

    @property
    def prescribed(self) -> float:
        """BED of the prescription in its planned time."""
        full = bed(self.gap.dose_gy, self.gap.n_fractions, self.plan.alpha_beta_gy)
        return full - self.regained(self.gap.planned_days)

    @property
    def given(self) -> float:
        """BED of what was given."""
        return bed(self.gap.given_gy, self.gap.n_delivered, self.plan.alpha_beta_gy)

    def days(self, n: int) -> int:
        """Days from first to last fraction with n more after the gap."""
        if n == 0:
            return treatment_days(self.gap.n_delivered)
        return treatment_days(self.gap.n_delivered + n) + self.gap.gap_days

    def best(self, n: int) -> ResidualOption:
        """Return the way with n fractions: the tumour's dose, or what the organs allow."""
        needed = self.prescribed + self.regained(self.days(n)) - self.given
        total = physical_from_bed(needed, n_fractions=n, alpha_beta_gy=self.plan.alpha_beta_gy)
        wanted = min(total / n, MAX_FRACTION_GY) / self.fraction_gy
        scale, limited_by = wanted, ""
        for organ in self.organs:
            if organ.is_accepted:
                continue
            allowed = organ.largest_scale(n, wanted)
            if np.isfinite(allowed) and allowed < scale:
                scale, limited_by = allowed, organ.limit.structure
        return self.option(f"{n} fractions", n, scale, limited_by)

    def option(self, label: str, n: int, scale: float, limited_by: str = "") -> ResidualOption:
        """Evaluate a way to go on."""
        fraction = scale * self.fraction_gy if n else 0.0
        more = bed(n * fraction, n, self.plan.alpha_beta_gy) if n else 0.0
        total = self.given + more - self.regained(self.days(n))
        levels = tuple(
            (
                item.structure,
                item.dose_gy * (self.gap.n_delivered + n * scale) / self.gap.n_fractions,
            )
            for item in self.plan.course.prescriptions
        )
        return ResidualOption(
            label=label,
            n_fractions=n,
            fraction_gy=fraction,
            tumor_bed_gy=total,
            coverage_percent=100.0 * total / self.prescribed,
            limited_by=limited_by,
            organs=tuple(organ.state(scale, n) for organ in self.organs),
            levels_gy=levels,
            overall_days=self.days(n),
        )


def _findings(plan: InterruptedPlan, options: Sequence[ResidualOption]) -> list[Finding]:
    """Say what the reader must weigh."""
    findings = []
    if plan.factor is None:
        text = "No time factor was used: a tumour that repopulates loses more than is shown."
        findings.append(Finding(Severity.CAUTION, "no-time-factor", text))
    if plan.dose is None:
        text = (
            "The dose of the interrupted plan was not given: every organ is taken to have got, "
            "and to go on getting, the highest prescription everywhere. Give its RTDOSE."
        )
        findings.append(Finding(Severity.SERIOUS, "organs-at-full-prescription", text))
    for option in options:
        said = fraction_size_finding(option.fraction_gy, option.label)
        if said is not None and option.n_fractions and said.severity is not Severity.NOTE:
            findings.append(said)
    return findings


def residual_course(plan: InterruptedPlan, option: ResidualOption) -> Course:
    """Return the course that a way to go on asks the optimiser for.

    Raises
    ------
    InputError
        If the way is to stop.
    """
    if option.n_fractions == 0:
        msg = f"{plan.course.name}: nothing is left to plan if the course stops"
        raise InputError(msg)
    share = option.n_fractions * option.fraction_gy / plan.level.dose_gy
    return replace(
        plan.course,
        name=f"{plan.course.name}, rest",
        prescriptions=tuple(
            Prescription(item.structure, item.dose_gy * share)
            for item in plan.course.prescriptions
        ),
        n_fractions_planned=option.n_fractions,
        n_fractions_delivered=None,
        delivered_dose_gy=None,
    )
