r"""A treatment that was interrupted: what the tumour lost, and the ways to make it up.

.. math::
    \mathrm{BED}_{presc} &= nd(1 + d/(\alpha/\beta)) - K \max(0, T_0 - T_k) \\
    \mathrm{BED}_{after} &= \mathrm{BED}_{presc} + K \max(0, T - T_k) - \mathrm{BED}_{given}

:math:`T_0` is the planned time from first to last fraction and :math:`T` the one after the gap;
K times days is a BED and is never added to physical dose. A time factor is used only for a tumour
of the table ``time_factor``; without one the days cost nothing here, and the result says so.
Late-reacting tissue has no time factor. Doses in Gy, times in days, treatment Monday to Friday.

References
----------
.. [1] Royal College of Radiologists, The timely delivery of radical radiotherapy, 4th edition,
   as implemented in a public calculator (read there, not in the original).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rerad.core import Course, Finding, Prescription, Severity
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology.extended_models import TimeFactor, load_time_factors
from rerad.radiobiology.linear_quadratic import bed, fraction_size_finding, physical_from_bed
from rerad.radiobiology.records import inconsistent_fraction_dose
from rerad.tables import load_table, source_of

GAP_FORMULA = (
    "BED still needed = BED prescribed + K max(0, T - Tk) - BED given;  "
    "BED prescribed = n d (1 + d/(a/b)) - K max(0, T0 - Tk)"
)
"""As printed beside every result."""

GAP_SOURCE = (
    "Royal College of Radiologists, The timely delivery of radical radiotherapy, 4th edition, "
    "Appendix B, from a public implementation [R2: read in a secondary transcription]"
)
"""Where the formula comes from."""

FRACTIONS_PER_WEEK = 5
"""Monday to Friday."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """A course of equal fractions that was interrupted.

    Parameters
    ----------
    dose_gy : float
        Prescribed, above 0.
    n_fractions : int
        Planned, at least 2.
    n_delivered : int
        Given before the gap, 1 or more, fewer than planned.
    gap_days : int
        Days by which the rest is late if nothing else is done, 0 or more.
    delivered_dose_gy : float or None
        As recorded; None means planned dose per fraction times fractions given.
    start_weekday : int
        Day of the first fraction, 0 for Monday to 4 for Friday.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    dose_gy: float
    n_fractions: int
    n_delivered: int
    gap_days: int
    delivered_dose_gy: float | None = None
    start_weekday: int = 0

    def __post_init__(self) -> None:
        is_right = (
            0 < self.dose_gy < np.inf
            and 1 <= self.n_delivered < self.n_fractions
            and self.gap_days >= 0
            and 0 <= self.start_weekday < FRACTIONS_PER_WEEK
        )
        if not is_right:
            msg = (
                "expected a dose above 0 Gy, at least one fraction given and one left, a gap of "
                f"0 days or more and a weekday of 0 to 4, got {self.dose_gy} Gy in "
                f"{self.n_fractions}, {self.n_delivered} given, {self.gap_days} days, weekday "
                f"{self.start_weekday}"
            )
            raise InputError(msg)
        recorded = self.delivered_dose_gy
        if recorded is not None and not 0 < recorded < self.dose_gy:
            msg = (
                "expected a delivered dose above 0 and below the prescribed "
                f"{self.dose_gy:g} Gy, got {recorded:g} Gy; nothing is missing of a course that "
                "was given in full"
            )
            raise InputError(msg)

    @property
    def n_left(self) -> int:
        """Fractions planned and not given."""
        return self.n_fractions - self.n_delivered

    @property
    def given_gy(self) -> float:
        """Physical dose given."""
        if self.delivered_dose_gy is not None:
            return self.delivered_dose_gy
        return self.dose_gy * self.n_delivered / self.n_fractions

    @property
    def planned_days(self) -> int:
        """Days from first to last fraction as planned."""
        return treatment_days(self.n_fractions, self.start_weekday)


@dataclass(frozen=True, slots=True)
class GapOption:
    """One way to finish.

    Parameters
    ----------
    label : str
        In words.
    n_fractions : int
        Still to be given.
    fraction_gy : float
        Dose of each; NaN where nothing is to be solved.
    total_gy : float
        Their physical dose.
    overall_days : int
        From the first fraction of the course to its last; the planned time for ``stop``.
    tumor_bed_deficit_gy : float
        BED by which the tumour falls short of the prescription, time included.
    late_bed_gy : tuple of (float, float)
        For each late alpha/beta, BED of the whole course in Gy.
    """

    label: str
    n_fractions: int
    fraction_gy: float
    total_gy: float
    overall_days: int
    tumor_bed_deficit_gy: float
    late_bed_gy: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class GapResult:
    """What an interruption costs and how it can be made up.

    Parameters
    ----------
    interruption : Interruption
        What happened.
    tumor_alpha_beta_gy : float
        Of the tumour's BED.
    factor : TimeFactor or None
        Used for the time; None means time was left out.
    bed_prescribed_gy, bed_given_gy : float
        Of the tumour; the prescription with its planned time, what was given without.
    bed_lost_to_gap_gy : float
        What the gap's days alone cost.
    options : tuple of GapOption
        Ways to go on.
    late_bed_prescribed_gy : tuple of (float, float)
        For each late alpha/beta, BED of the prescription.
    findings : tuple of Finding
        What the reader must weigh.
    """

    interruption: Interruption
    tumor_alpha_beta_gy: float
    factor: TimeFactor | None
    bed_prescribed_gy: float
    bed_given_gy: float
    bed_lost_to_gap_gy: float
    options: tuple[GapOption, ...]
    late_bed_prescribed_gy: tuple[tuple[float, float], ...]
    findings: tuple[Finding, ...]


def treatment_days(n_fractions: int, start_weekday: int = 0) -> int:
    """Return days from the first to the last of daily fractions, Monday to Friday.

    Parameters
    ----------
    n_fractions : int
        At least 1.
    start_weekday : int
        0 for Monday to 4 for Friday.

    Examples
    --------
    >>> treatment_days(35), treatment_days(5), treatment_days(6)
    (46, 4, 7)
    """
    weeks, day = divmod(start_weekday + n_fractions - 1, FRACTIONS_PER_WEEK)
    return 7 * weeks + day - start_weekday


def time_factor_for(tumor: str) -> TimeFactor:
    """Return the shipped time factor whose tumour contains the given words.

    Parameters
    ----------
    tumor : str
        For example ``"larynx"``.

    Raises
    ------
    MissingDataError
        If none or several do; a tumour that is not in the table has no time factor here.
    """
    factors = load_time_factors()
    found = [item for item in factors if tumor.strip().casefold() in item.tumor.casefold()]
    if len(found) != 1 or not tumor.strip():
        known = "; ".join(item.tumor for item in factors)
        msg = (
            f"expected a tumour with a sourced time factor ({known}), got {tumor!r}; without one, "
            "leave the time out on purpose: the result then says so"
        )
        raise MissingDataError(msg)
    return found[0]


def solve_gap(
    interruption: Interruption,
    *,
    tumor_alpha_beta_gy: float,
    factor: TimeFactor | None,
    late_alpha_betas_gy: Sequence[float] = (),
    n_fractions_choices: Sequence[int] = (),
) -> GapResult:
    """Work out what was lost and what would make it up.

    Parameters
    ----------
    interruption : Interruption
        What happened.
    tumor_alpha_beta_gy : float
        Of the tumour, above 0; that of the factor if there is one.
    factor : TimeFactor or None
        Of the tumour; None leaves the time out.
    late_alpha_betas_gy : sequence of float
        Late-reacting tissues to weigh the options by; they have no time factor.
    n_fractions_choices : sequence of int
        Numbers of fractions to solve for besides those left.

    Raises
    ------
    InputError
        If a number is out of range, or the tumour's alpha/beta is not the factor's.
    """
    if factor is not None and factor.alpha_beta_gy != tumor_alpha_beta_gy:
        msg = (
            f"the time factor of {factor.tumor} is stated for alpha/beta "
            f"{factor.alpha_beta_gy:g} Gy, got {tumor_alpha_beta_gy:g} Gy; use its own"
        )
        raise InputError(msg)
    if any(n < 1 for n in n_fractions_choices):
        msg = f"expected 1 fraction or more to solve for, got {list(n_fractions_choices)}"
        raise InputError(msg)
    case = _Gap(interruption, tumor_alpha_beta_gy, factor, tuple(late_alpha_betas_gy))
    choices = dict.fromkeys((interruption.n_left, *n_fractions_choices))
    options = (case.stop(), case.as_planned(), *(case.solved(n) for n in choices))
    late = tuple(
        (ab, bed(interruption.dose_gy, interruption.n_fractions, ab)) for ab in late_alpha_betas_gy
    )
    days = interruption.planned_days
    return GapResult(
        interruption=interruption,
        tumor_alpha_beta_gy=tumor_alpha_beta_gy,
        factor=factor,
        bed_prescribed_gy=case.prescribed,
        bed_given_gy=case.given,
        bed_lost_to_gap_gy=case.regained(days + interruption.gap_days) - case.regained(days),
        options=options,
        late_bed_prescribed_gy=late,
        findings=(*_findings(factor, options, late), *_contradiction(interruption)),
    )


def _contradiction(plan: Interruption) -> tuple[Finding, ...]:
    """Say whether the record of what was given fits the prescription."""
    course = Course(
        "course",
        "",
        "",
        (Prescription("the target", plan.dose_gy),),
        plan.n_fractions,
        plan.n_delivered,
        plan.delivered_dose_gy,
    )
    finding = inconsistent_fraction_dose(course)
    return () if finding is None else (finding,)


@dataclass(frozen=True, slots=True)
class _Gap:
    """The numbers that every option starts from."""

    interruption: Interruption
    alpha_beta_gy: float
    factor: TimeFactor | None
    late_alpha_betas_gy: tuple[float, ...]

    @property
    def prescribed(self) -> float:
        """BED of the prescription in its planned time."""
        plan = self.interruption
        full = bed(plan.dose_gy, plan.n_fractions, self.alpha_beta_gy)
        return full - self.regained(plan.planned_days)

    @property
    def given(self) -> float:
        """BED of what was given, without time."""
        plan = self.interruption
        return bed(plan.given_gy, plan.n_delivered, self.alpha_beta_gy)

    def regained(self, days: float) -> float:
        """BED that the tumour regains in so many days."""
        if self.factor is None:
            return 0.0
        return self.factor.loss_gy_per_day * max(0.0, days - self.factor.delay_days)

    def days_with(self, n_fractions: int) -> int:
        """Days from the first fraction to the last of `n_fractions` after the gap."""
        plan = self.interruption
        whole = treatment_days(plan.n_delivered + n_fractions, plan.start_weekday)
        return whole + plan.gap_days

    def option(self, label: str, n_fractions: int, fraction_gy: float, days: int) -> GapOption:
        """Evaluate a way to finish."""
        plan = self.interruption
        total = n_fractions * fraction_gy if n_fractions else 0.0
        more = bed(total, n_fractions, self.alpha_beta_gy) if n_fractions else 0.0
        late = tuple(
            (
                ab,
                bed(plan.given_gy, plan.n_delivered, ab)
                + (bed(total, n_fractions, ab) if n_fractions else 0.0),
            )
            for ab in self.late_alpha_betas_gy
        )
        # A deficit that is made up is 0, and not the last digit of a sum.
        deficit = round(self.prescribed - (self.given + more - self.regained(days)), 9) + 0.0
        return GapOption(label, n_fractions, fraction_gy, total, days, deficit, late)

    def stop(self) -> GapOption:
        """Evaluate giving nothing more: nothing is regained after the last fraction here."""
        plan = self.interruption
        days = treatment_days(plan.n_delivered, plan.start_weekday)
        return self.option("stop", 0, np.nan, days)

    def as_planned(self) -> GapOption:
        """Evaluate going on with the fractions as planned, late."""
        plan = self.interruption
        fraction_gy = plan.dose_gy / plan.n_fractions
        days = self.days_with(plan.n_left)
        return self.option("same fractions, later", plan.n_left, fraction_gy, days)

    def solved(self, n_fractions: int) -> GapOption:
        """Return the dose per fraction that makes up for everything in `n_fractions`."""
        days = self.days_with(n_fractions)
        needed = self.prescribed + self.regained(days) - self.given
        total = physical_from_bed(
            needed, n_fractions=n_fractions, alpha_beta_gy=self.alpha_beta_gy
        )
        label = f"made up in {n_fractions}"
        return self.option(label, n_fractions, total / n_fractions, days)


def _findings(
    factor: TimeFactor | None,
    options: Sequence[GapOption],
    late_prescribed: Sequence[tuple[float, float]],
) -> tuple[Finding, ...]:
    """Say what the reader must weigh."""
    findings = []
    if factor is None:
        text = (
            "No time factor was used: for a tumour that repopulates, the days of the gap cost more"
            " than is shown here."
        )
        findings.append(Finding(Severity.CAUTION, "no-time-factor", text))
    rule = load_table("time_factor")["late_excess"]
    allowed, source = float(rule["max_percent"]), source_of(rule, "time_factor late_excess")
    for option in options:
        large = (
            fraction_size_finding(option.fraction_gy, option.label) if option.total_gy else None
        )
        if large is not None and large.severity is not Severity.NOTE:
            findings.append(large)
        for (alpha_beta, after), (_, before) in zip(
            option.late_bed_gy, late_prescribed, strict=True
        ):
            excess = 100.0 * (after / before - 1.0)
            if excess > allowed:
                text = (
                    f"{option.label}: late-reacting tissue of alpha/beta {alpha_beta:g} Gy gets "
                    f"{excess:.1f} % more BED than prescribed; {source.text} warns above "
                    f"{allowed:g} %."
                )
                findings.append(Finding(Severity.CAUTION, "late-bed-excess", text, option.label))
    return tuple(findings)
