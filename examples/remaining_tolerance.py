"""What tolerance is left for a second course? The published case in numbers.

A woman had 55 Gy to the tumour and 45 Gy to the pelvis in 25 fractions. Later (the report does
not say when) the right lumbosacral roots are to get 40 Gy in 22 fractions; 15 are given. These
doses do not add as they are: each is converted to EQD2 first, and what is left of a limit
depends on the recovery that is granted to the nerves.

Run ``python examples/remaining_tolerance.py``. Research use only.
"""

from dataclasses import dataclass

from rerad.core import Course, Prescription
from rerad.radiobiology import (
    Limit,
    bed,
    eqd2,
    inconsistent_fraction_dose,
    limits_for,
    physical_from_eqd2,
    recovery_scenarios,
)

ORGAN = "SacralPlex_R"
N_FRACTIONS = 22
NERVE_ALPHA_BETA_GY = 2.0
TUMOR_ALPHA_BETA_GY = 10.0
# These two are for the first table and the raw sums; a limit brings its own alpha/beta.


@dataclass(frozen=True)
class Given:
    """A dose that was given or planned, in Gy, and its fractions."""

    name: str
    dose_gy: float
    n_fractions: int


PRIOR = (
    Given("course 1, tumour", 55.0, 25),
    Given("course 1, pelvis", 45.0, 25),
)
PLANNED = Given("course 2, planned", 40.0, 22)
DELIVERED = Given("course 2, given", 27.0, 15)


def show_courses() -> None:
    """Print each course as EQD2 of late-reacting nerve and as BED of tumour."""
    print("course               Gy / n      EQD2 (a/b 2)   BED (a/b 10)")
    for item in (*PRIOR, PLANNED, DELIVERED):
        late = float(eqd2(item.dose_gy, item.n_fractions, NERVE_ALPHA_BETA_GY))
        early = float(bed(item.dose_gy, item.n_fractions, TUMOR_ALPHA_BETA_GY))
        print(
            f"{item.name:20s} {item.dose_gy:g} / {item.n_fractions:<6d} {late:12.2f} {early:14.2f}"
        )


def remaining_gy(limit: Limit, prior: Given, recovery_fraction: float) -> float:
    """Return the physical dose in 22 fractions that a limit leaves after a prior dose."""
    before = float(eqd2(prior.dose_gy, prior.n_fractions, limit.alpha_beta_gy))
    left = limit.limit_gy - (1.0 - recovery_fraction) * before
    return float(
        physical_from_eqd2(
            max(left, 0.0), n_fractions=N_FRACTIONS, alpha_beta_gy=limit.alpha_beta_gy
        )
    )


def show_remaining() -> None:
    """Print what each limit on the discounted sum leaves, for every interval class."""
    for limit in limits_for(ORGAN, "umich", None):
        print(
            f"\n{ORGAN}: {limit.metric} at most {limit.limit_gy:g} Gy EQD2 "
            f"(a/b {limit.alpha_beta_gy:g} Gy)\n{limit.citation}"
        )
        print(f"physical Gy left in {N_FRACTIONS} fractions, if the nerve had all of it")
        print("interval since course 1     recovery   after 55 / 25   after 45 / 25")
        for scenario in recovery_scenarios("umich", ORGAN):
            after = [remaining_gy(limit, prior, scenario.fraction) for prior in PRIOR]
            print(
                f"{scenario.label:26s} {scenario.fraction:9.0%} {after[0]:15.2f} {after[1]:15.2f}"
            )


def show_raw_limits() -> None:
    """Print the sums without recovery beside the limits that are stated for such sums."""
    print("\nsum without recovery, EQD2 (a/b 2)     planned      given")
    for prior in PRIOR:
        before = float(eqd2(prior.dose_gy, prior.n_fractions, NERVE_ALPHA_BETA_GY))
        sums = [
            before + float(eqd2(item.dose_gy, item.n_fractions, NERVE_ALPHA_BETA_GY))
            for item in (PLANNED, DELIVERED)
        ]
        print(f"after {prior.name:28s} {sums[0]:11.2f} {sums[1]:10.2f}")
    for limit in limits_for(ORGAN, "slevin2021", None):
        months = limit.interval_months_min
        interval = "any interval" if months is None else f"{months:g} months or more"
        print(
            f"limit {limit.metric} {limit.limit_gy:g} Gy (a/b {limit.alpha_beta_gy:g}), {interval}"
        )


def show_contradiction() -> None:
    """Print what the record says against itself: 27 Gy in 15 is not 15 fractions of 40 in 22."""
    course = Course(
        name="Course 2",
        site="right lumbosacral roots",
        technique="IMRT",
        prescriptions=(Prescription("PTV_4000", PLANNED.dose_gy),),
        n_fractions_planned=PLANNED.n_fractions,
        n_fractions_delivered=DELIVERED.n_fractions,
        delivered_dose_gy=DELIVERED.dose_gy,
    )
    finding = inconsistent_fraction_dose(course)
    if finding is not None:
        print(f"\n{finding.severity}: {finding.text}")


def main() -> None:
    """Print the whole table."""
    show_courses()
    show_remaining()
    show_raw_limits()
    show_contradiction()
    print("\nThe interval was not reported, so the answer is the table, not one of its rows.")


if __name__ == "__main__":
    main()
