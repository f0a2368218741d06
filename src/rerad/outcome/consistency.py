"""What a record of courses leaves open or says twice: findings for whoever reads the history."""

from collections.abc import Iterator

from rerad.core import Finding, Severity
from rerad.core.clinical_history import (
    UNKNOWN,
    Absent,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    MuscleStrength,
    PhaseVolume,
)

SAME_DOSE_GY = 0.005
"""Doses of one fraction that differ by less are the same: records round to the second digit."""


def history_findings(history: ClinicalHistory) -> tuple[Finding, ...]:
    """Return what must be asked or weighed before the courses of a history are summed.

    Parameters
    ----------
    history : ClinicalHistory
        Of one patient.

    Returns
    -------
    tuple of Finding
        Dose per fraction that differs between plan and delivery, intervals and numbers of
        fractions that are unknown, courses of several dose levels.
    """
    courses = history.of_kind(CourseRecord)
    findings: list[Finding] = []
    for number, course in enumerate(courses):
        findings.extend(_course_findings(course))
        if number and _interval_is_unknown(courses[number - 1], course):
            findings.append(
                Finding(
                    Severity.SERIOUS,
                    "interval-unknown",
                    f"The interval from {courses[number - 1].title} to {course.title} is unknown; "
                    "verdicts can turn on it, so every interval that cannot be excluded counts.",
                    course.title,
                )
            )
    findings.extend(_strength_findings(history))
    return tuple(findings)


def _strength_findings(history: ClinicalHistory) -> Iterator[Finding]:
    """Say which grades of strength have no place in the order of grades."""
    for record in history.of_kind(MuscleStrength):
        if isinstance(record.grade, str) and not isinstance(record.ordinal, int):
            yield Finding(
                Severity.NOTE,
                "grade-without-order",
                f"Strength {record.key}: grade {record.grade!r} is none of 0, 1, 1+, 2-, 2 ... 5; "
                "it is kept as written and compared with no other.",
                record.key,
            )


def _interval_is_unknown(before: CourseRecord, after: CourseRecord) -> bool:
    """Return whether neither dates nor the record give the interval."""
    has_dates = not isinstance(before.end, Absent) and not isinstance(after.start, Absent)
    return not has_dates and isinstance(after.months_since_previous, Absent)


def _course_findings(course: CourseRecord) -> Iterator[Finding]:
    """Return what one course leaves open."""
    if course.n_fractions_delivered is UNKNOWN:
        yield Finding(
            Severity.CAUTION,
            "delivered-fractions-unknown",
            f"{course.title}: how many fractions were given is unknown; taking the planned number "
            "is an assumption.",
            course.title,
        )
    planned, given = course.n_fractions_planned, course.n_fractions_delivered
    if isinstance(planned, int) and isinstance(given, int) and given > planned:
        yield Finding(
            Severity.CAUTION,
            "more-fractions-than-planned",
            f"{course.title}: {given} fractions are on record as given, {planned} as planned: ask "
            "which is right.",
            course.title,
        )
    for phase in course.phases:
        for volume in phase.volumes:
            yield from _dose_per_fraction(course, phase, volume)
        levels = {
            volume.prescribed_gy
            for volume in phase.volumes
            if not isinstance(volume.prescribed_gy, Absent)
        }
        if len(levels) > 1:
            doses = " and ".join(f"{level:g}" for level in sorted(levels, reverse=True))
            yield Finding(
                Severity.NOTE,
                "several-dose-levels",
                f"{course.title}: {doses} Gy in the same fractions; the dose per fraction differs "
                "from place to place, and no single number stands for the course.",
                course.title,
            )


def _dose_per_fraction(
    course: CourseRecord, phase: CoursePhase, volume: PhaseVolume
) -> Iterator[Finding]:
    """Say where plan and delivery give different doses per fraction."""
    planned = volume.prescribed_gy if isinstance(volume.planned_gy, Absent) else volume.planned_gy
    n_planned, n_given = phase.n_fractions_planned, phase.n_fractions_delivered
    given = volume.delivered_gy
    if isinstance(planned, Absent) or isinstance(given, Absent):
        return
    if isinstance(n_planned, Absent) or isinstance(n_given, Absent) or 0 in {n_planned, n_given}:
        return
    first, second = planned / n_planned, given / n_given
    if abs(first - second) > SAME_DOSE_GY:
        yield Finding(
            Severity.CAUTION,
            "dose-per-fraction-differs",
            f"{course.title}, {volume.structure}: {planned:g} Gy in {n_planned} is {first:.3f} Gy "
            f"a fraction, but {given:g} Gy in {n_given} is {second:.3f}; {n_given} fractions as "
            f"planned make {first * n_given:.2f} Gy: ask which is right.",
            course.title,
        )
