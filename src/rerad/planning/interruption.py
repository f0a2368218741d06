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

from rerad.core import Course, Dose, Finding, Prescription, Severity
from rerad.errors import InputError
from rerad.planning.interrupted_organs import OrganAtPoints
from rerad.planning.interrupted_organs import OrganState as OrganState
from rerad.planning.interrupted_plan import InterruptedPlan as InterruptedPlan
from rerad.planning.interrupted_plan import given_findings
from rerad.radiobiology import (
    bed,
    fraction_size_finding,
    physical_from_bed,
    to_eqd2,
    treatment_days,
)

MAX_FRACTION_GY = 30.0
"""No way with a larger fraction is looked for."""

NEGLIGIBLE_GY = 0.005
"""A fraction smaller than this is printed as none."""


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
    wanted_gy : float
        Dose of each fraction that would make up the tumour's BED, whatever the organs have had.
    is_new_plan : bool
        Whether the dose is that of a new plan, the fraction being its median in the target.
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
    wanted_gy: float = 0.0
    is_new_plan: bool = False

    @property
    def is_nothing(self) -> bool:
        """Whether an organ leaves no dose at all to these fractions."""
        return self.n_fractions > 0 and self.fraction_gy < NEGLIGIBLE_GY

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
    organs : tuple of OrganAtPoints
        What they had, for plans to come.
    """

    plan: InterruptedPlan
    bed_prescribed_gy: float
    bed_given_gy: float
    options: tuple[ResidualOption, ...]
    findings: tuple[Finding, ...]
    organs: tuple[OrganAtPoints, ...] = ()

    @property
    def bed_deficit_gy(self) -> float:
        """BED prescribed and not given."""
        return self.bed_prescribed_gy - self.bed_given_gy


def solve_interruption(
    plan: InterruptedPlan,
    organs: Sequence[OrganAtPoints],
    *,
    n_choices: Sequence[int],
) -> InterruptionPlan:
    """Work out what was lost and solve the ways to go on under tumour and organs together.

    Parameters
    ----------
    plan : InterruptedPlan
        What stopped.
    organs : sequence of OrganAtPoints
        With the EQD2 of earlier courses after recovery and of the fractions given; those whose
        breach is accepted are shown and do not decide.
    n_choices : sequence of int
        Numbers of further fractions to solve for.

    Raises
    ------
    InputError
        If numbers are out of range.
    MissingDataError
        If planned fractions or prescriptions are unknown.
    """
    plan.require_stopped()
    if not n_choices or any(n < 1 for n in n_choices):
        msg = f"expected numbers of further fractions of 1 or more, got {list(n_choices)}"
        raise InputError(msg)
    solver = _Solver(plan, tuple(organs))
    options = [
        solver.option("stop", 0, 0.0),
        solver.option("same fractions", plan.n_left, 1.0),
        *(solver.best(n) for n in dict.fromkeys(n_choices)),
    ]
    return InterruptionPlan(
        plan=plan,
        bed_prescribed_gy=solver.prescribed,
        bed_given_gy=plan.given_bed_gy,
        options=tuple(options),
        findings=tuple(_findings(plan, options)),
        organs=solver.organs,
    )


def new_plan_option(
    solved: InterruptionPlan, n_fractions: int, medians_gy: Mapping[str, float], dose: Dose
) -> ResidualOption:
    """Return a new plan for the rest as one of the ways to go on.

    Parameters
    ----------
    solved : InterruptionPlan
        Of the course that stopped.
    n_fractions : int
        Of the new plan.
    medians_gy : mapping of str to float
        Median physical dose of the new plan in each prescribed target: what a prescription is
        compared with (ICRU 83).
    dose : Dose
        Its physical dose, on the dose grid.
    """
    plan = solved.plan
    solver = _Solver(plan, solved.organs)
    fraction = medians_gy[plan.level.structure] / n_fractions
    states = []
    for organ in solved.organs:
        alpha_beta = organ.limit.goal.alpha_beta_gy or np.nan
        more = to_eqd2(dose, n_fractions_planned=n_fractions, alpha_beta_gy=alpha_beta)
        states.append(organ.state_with(more))
    given = plan.given_gy / plan.level.dose_gy
    named = solver.option(f"new plan, {n_fractions}", n_fractions, fraction / plan.fraction_gy)
    return replace(
        named,
        organs=tuple(states),
        levels_gy=tuple(
            (item.structure, item.dose_gy * given + medians_gy[item.structure])
            for item in plan.course.prescriptions
        ),
        is_new_plan=True,
    )


@dataclass(frozen=True, eq=False, slots=True)
class _Solver:
    """The equations of one interrupted plan."""

    plan: InterruptedPlan
    organs: tuple[OrganAtPoints, ...]

    def regained(self, days: float) -> float:
        """BED that the tumour regains in so many days."""
        factor = self.plan.factor
        if factor is None:
            return 0.0
        return factor.loss_gy_per_day * max(0.0, days - factor.delay_days)

    @property
    def prescribed(self) -> float:
        """BED of the prescription in its planned time."""
        plan = self.plan
        full = bed(plan.level.dose_gy, plan.n_planned, plan.alpha_beta_gy)
        return full - self.regained(treatment_days(plan.n_planned))

    def days(self, n: int) -> int:
        """Days from first to last fraction with n more after the gap."""
        if n == 0:
            return treatment_days(self.plan.n_begun)
        return treatment_days(self.plan.n_begun + n) + self.plan.gap_days

    def wanted_gy(self, n: int) -> float:
        """Return the dose per fraction that makes up the tumour's BED in n fractions."""
        needed = self.prescribed + self.regained(self.days(n)) - self.plan.given_bed_gy
        alpha_beta = self.plan.alpha_beta_gy
        total = physical_from_bed(max(needed, 0.0), n_fractions=n, alpha_beta_gy=alpha_beta)
        return min(float(total) / n, MAX_FRACTION_GY)

    def best(self, n: int) -> ResidualOption:
        """Return the way with n fractions: the tumour's dose, or what the organs allow."""
        wanted = self.wanted_gy(n) / self.plan.fraction_gy
        scale, limited_by = wanted, ""
        for organ in self.organs:
            if organ.is_accepted:
                continue
            allowed = organ.largest_scale(n, wanted)
            if np.isfinite(allowed) and allowed < scale:
                scale, limited_by = allowed, organ.limit.structure
        return self.option(f"{n} fraction{'s' if n > 1 else ''}", n, scale, limited_by)

    def option(self, label: str, n: int, scale: float, limited_by: str = "") -> ResidualOption:
        """Evaluate a way to go on."""
        plan = self.plan
        fraction = scale * plan.fraction_gy if n else 0.0
        more = bed(n * fraction, n, plan.alpha_beta_gy) if n else 0.0
        total = plan.given_bed_gy + more - self.regained(self.days(n))
        share = (plan.given_gy + n * fraction) / plan.level.dose_gy
        return ResidualOption(
            label=label,
            n_fractions=n,
            fraction_gy=fraction,
            tumor_bed_gy=total,
            coverage_percent=100.0 * total / self.prescribed,
            limited_by=limited_by,
            organs=tuple(organ.state(scale, n) for organ in self.organs),
            levels_gy=tuple(
                (item.structure, item.dose_gy * share) for item in plan.course.prescriptions
            ),
            overall_days=self.days(n),
            wanted_gy=self.wanted_gy(n) if n else 0.0,
        )


def _findings(plan: InterruptedPlan, options: Sequence[ResidualOption]) -> list[Finding]:
    """Say what the reader must weigh."""
    findings = given_findings(plan)
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
            findings.append(replace(said, text=f"{option.label}: {said.text}"))
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
