"""Check what a course record says against itself."""

from rerad.core import Course, Finding, RecordGrade, Severity

RECORD_ROUNDING_GY = 0.05
"""Records state dose to a tenth of a Gy; half of that is rounding, more is a contradiction."""

LEAST_SHARE, LARGEST_SHARE = 0.8, 3.0
"""Highest dose of a plan over its highest prescription; beyond these a file is doubted.

Proposal of rerad: a plan has its prescription somewhere, and its hottest voxel below twice that
even where it is prescribed to half of the maximum. Near sources of brachytherapy it is not so.
"""


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


def dose_contradicts_record(course: Course, max_gy: float) -> Finding | None:
    """Say whether the highest dose of a course's dose file cannot belong to its prescription.

    A dose of one fraction that calls itself that of the plan, or cGy written as Gy, would go into
    every sum without a sound.

    Parameters
    ----------
    course : Course
        With prescriptions and planned fractions.
    max_gy : float
        Highest physical dose in the file, in Gy, as the dose of the whole plan.

    Returns
    -------
    Finding or None
        Serious; None if the two fit, nothing is prescribed, or the dose is no file (a bound from
        point doses, a plan made again from paper).
    """
    is_file = course.grade in {RecordGrade.FULL_DICOM, RecordGrade.DOSE_GRID}
    if not is_file or not course.prescriptions or not max_gy > 0:
        return None
    highest = max(course.prescriptions, key=lambda item: item.dose_gy)
    share = max_gy / highest.dose_gy
    if LEAST_SHARE <= share <= LARGEST_SHARE:
        return None
    guess = "Near sources of brachytherapy that is expected; else the scaling is wrong."
    if share < LEAST_SHARE:
        guess = "Part of the plan, or another course?"
        n = course.n_fractions_planned
        if n and LEAST_SHARE <= share * n <= LARGEST_SHARE:
            guess = f"It looks like the dose of one of {n} fractions: export that of the plan."
    elif LEAST_SHARE <= share / 100.0 <= LARGEST_SHARE:
        guess = "It looks like cGy written as Gy: export it in Gy."
    text = (
        f"The dose file of {course.name} reaches {max_gy:.4g} Gy, and {highest.dose_gy:g} Gy were "
        f"prescribed to {highest.structure}. {guess} Find out before using any sum with it."
    )
    return Finding(Severity.SERIOUS, "dose-contradicts-prescription", text, course.name)
