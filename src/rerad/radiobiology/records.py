"""Check what a course record says against itself."""

from rerad.core import Course, Finding, Severity

RECORD_ROUNDING_GY = 0.05
"""Records state dose to a tenth of a Gy; half of that is rounding, more is a contradiction."""


def inconsistent_fraction_dose(course: Course) -> Finding | None:
    """Say whether planned and delivered dose per fraction contradict each other.

    "40 Gy in 22 fractions, stopped after 27 Gy in 15" is such a record: 15 of 22 equal fractions
    of 40 Gy make 27.27 Gy.

    Parameters
    ----------
    course : Course
        With prescriptions and, if the record states them, fractions and dose as delivered.

    Returns
    -------
    Finding or None
        A caution naming both doses per fraction; None if the record agrees with itself for at
        least one prescription level, or does not say enough to tell.
    """
    planned, delivered = course.n_fractions_planned, course.n_fractions_delivered
    recorded_gy = course.delivered_dose_gy
    if not planned or not delivered or recorded_gy is None or not course.prescriptions:
        return None
    expected = {
        prescription.structure: delivered * prescription.dose_gy / planned
        for prescription in course.prescriptions
    }
    if any(abs(gy - recorded_gy) <= RECORD_ROUNDING_GY for gy in expected.values()):
        return None
    nearest = min(expected, key=lambda name: abs(expected[name] - recorded_gy))
    fraction_gy = expected[nearest] / delivered
    text = (
        f"The record says {recorded_gy:g} Gy in {delivered} fractions "
        f"({recorded_gy / delivered:.3f} Gy each), but {planned} fractions were planned with "
        f"{fraction_gy:.3f} Gy each to {nearest}, of which {delivered} make "
        f"{expected[nearest]:.2f} Gy. Ask which is right before using either."
    )
    return Finding(Severity.CAUTION, "fraction-dose-inconsistent", text, course.name)
