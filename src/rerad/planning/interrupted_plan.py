"""A course that stopped: what it was, and what of it was given.

Whole fractions keep their dose per fraction; a fraction that was broken off counts by itself with
its share of the monitor units. Where the record states the dose that was given, the tumour gets
what the record states; an organ gets the larger of the planned and the recorded fraction, because
the record contradicts itself and an organ must not profit from that. Doses in Gy, times in days.
"""

from dataclasses import dataclass

from rerad.accumulation import PhaseDose, phase_eqd2
from rerad.core import Course, Dose, Finding, Prescription, Severity
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import TimeFactor, bed, eqd2


@dataclass(frozen=True, eq=False, slots=True)
class InterruptedPlan:
    """A course that stopped.

    Parameters
    ----------
    course : Course
        Prescriptions and planned fractions.
    n_delivered : int
        Whole fractions given, 0 or more.
    dose : Dose or None
        Physical dose of all planned fractions on the dose grid; None: every organ is taken to
        have got the highest prescription everywhere.
    alpha_beta_gy : float
        Of the tumour.
    factor : TimeFactor or None
        Of the tumour; None leaves time out.
    gap_days : int
        Days by which the rest is late, 0 or more.
    partial_fractions : tuple of float
        Share of the monitor units of each fraction broken off for good, above 0 and below 1.
    recorded_gy : float or None
        Dose to the highest prescription that the record states as given; None takes the planned
        dose per fraction.
    has_records : bool
        Whether fractions were counted from treatment records.
    """

    course: Course
    n_delivered: int
    dose: Dose | None
    alpha_beta_gy: float
    factor: TimeFactor | None = None
    gap_days: int = 0
    partial_fractions: tuple[float, ...] = ()
    recorded_gy: float | None = None
    has_records: bool = False

    def require_stopped(self) -> None:
        """Raise unless something was given and something is left.

        Raises
        ------
        MissingDataError
            If planned fractions or prescription are unknown.
        InputError
            If nothing was given, nothing is left, or a number is out of range.
        """
        planned, name = self.n_planned, self.course.name
        if self.n_delivered < 0 or not all(0 < share < 1 for share in self.partial_fractions):
            msg = (
                f"{name}: expected 0 or more whole fractions and shares of broken ones above 0 "
                f"and below 1, got {self.n_delivered} and {self.partial_fractions}"
            )
            raise InputError(msg)
        if not self.n_begun:
            msg = (
                f"{name}: expected at least one fraction given, got none: nothing was "
                "interrupted; make the plan with rerad plan or rerad run"
            )
            raise InputError(msg)
        if self.n_begun > planned or self.n_delivered == planned:
            msg = (
                f"{name}: expected fewer than the {planned} planned fractions to have been given, "
                f"got {self.given_words}; nothing is left of this course"
            )
            raise InputError(msg)
        if self.gap_days < 0 or (self.recorded_gy is not None and not self.recorded_gy > 0):
            msg = (
                f"{name}: expected a gap of 0 days or more and a delivered dose above 0 Gy, got "
                f"{self.gap_days} and {self.recorded_gy}"
            )
            raise InputError(msg)

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
    def n_begun(self) -> int:
        """Fractions given in whole or in part."""
        return self.n_delivered + len(self.partial_fractions)

    @property
    def n_left(self) -> int:
        """Planned fractions that nothing was given of."""
        return self.n_planned - self.n_begun

    @property
    def n_effective(self) -> float:
        """Whole fractions and the shares of broken ones: what physical dose counts."""
        return self.n_delivered + sum(self.partial_fractions)

    @property
    def given_words(self) -> str:
        """What was given, in words."""
        broken = ", ".join(f"{100 * share:.0f} %" for share in self.partial_fractions)
        return f"{self.n_delivered}{f' and {broken} of one more' if broken else ''}"

    @property
    def level(self) -> Prescription:
        """Highest prescription; the other levels follow it."""
        return max(self.course.prescriptions, key=lambda item: item.dose_gy)

    @property
    def fraction_gy(self) -> float:
        """Planned dose of one fraction to the highest prescription."""
        return self.level.dose_gy / self.n_planned

    @property
    def given_gy(self) -> float:
        """Physical dose given to the highest prescription: as recorded, else as planned."""
        if self.recorded_gy is not None:
            return self.recorded_gy
        return self.fraction_gy * self.n_effective

    @property
    def given_bed_gy(self) -> float:
        """Tumour BED of what was given, without time."""
        each = self.given_gy / self.n_effective
        parts = [bed(each * share, 1, self.alpha_beta_gy) for share in self.partial_fractions]
        if self.n_delivered:
            whole = each * self.n_delivered
            parts.append(bed(whole, self.n_delivered, self.alpha_beta_gy))
        return float(sum(parts))

    @property
    def organ_share(self) -> float:
        """Recorded over planned dose per fraction, never below 1."""
        return max(1.0, self.given_gy / (self.fraction_gy * self.n_effective))

    def given_physical(self, dose: Dose) -> Dose:
        """Return the physical dose of what was given of a plan's total dose."""
        return dose.scaled(self.organ_share * self.n_effective / self.n_planned)

    def given_eqd2(self, dose: Dose, alpha_beta_gy: float) -> Dose:
        """Return the EQD2 of what was given of a plan's total dose."""
        phase = PhaseDose(
            dose if self.organ_share == 1 else dose.scaled(self.organ_share),
            self.n_planned,
            self.n_delivered,
            self.partial_fractions,
            self.course.name,
        )
        return phase_eqd2(phase, alpha_beta_gy)

    def given_eqd2_everywhere(self, alpha_beta_gy: float) -> float:
        """Return the EQD2 of what was given at the highest prescription, for an organ."""
        each = self.organ_share * self.fraction_gy
        parts = [eqd2(each * share, 1, alpha_beta_gy) for share in self.partial_fractions]
        if self.n_delivered:
            parts.append(eqd2(each * self.n_delivered, self.n_delivered, alpha_beta_gy))
        return float(sum(parts))


def given_findings(plan: InterruptedPlan) -> list[Finding]:
    """Say what the fractions given rest on: plan, record, or treatment records."""
    findings = []
    if plan.recorded_gy is not None:
        text = (
            f"{plan.course.name}: the record states {plan.recorded_gy:.2f} Gy to the highest "
            f"prescription in {plan.given_words} fractions, by the plan they were "
            f"{plan.fraction_gy * plan.n_effective:.2f} Gy. The tumour is counted with what the "
            "record states, organs with the larger of the two; ask which is right."
        )
        findings.append(Finding(Severity.SERIOUS, "delivered-dose-differs", text))
    if not plan.has_records:
        text = (
            "The fractions given are taken as planned: no treatment records were read "
            "(--records), and set-up errors of these days are in no number here."
        )
        findings.append(Finding(Severity.CAUTION, "given-as-planned", text))
    if plan.partial_fractions:
        shares = [f"{100 * share:.1f} %" for share in plan.partial_fractions]
        text = (
            f"{len(shares)} fraction(s) were broken off at {', '.join(shares)} of the monitor "
            "units; each counts with its own smaller dose per fraction, as if every beam had been "
            "cut alike."
        )
        findings.append(Finding(Severity.CAUTION, "fractions-broken-off", text))
    return findings
