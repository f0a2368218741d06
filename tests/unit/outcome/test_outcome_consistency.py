"""What a history leaves open or says twice is said."""

from datetime import date

from rerad.core import Finding, Severity
from rerad.core.clinical_history import (
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    PatientRecord,
    PhaseVolume,
)
from rerad.outcome import history_findings


def course(key: str, order: int, phase: CoursePhase | None = None, **more: object) -> CourseRecord:
    phases = () if phase is None else (phase,)
    return CourseRecord(key=key, order=order, text="", title=key, phases=phases, **more)  # type: ignore[arg-type]


def findings(*courses: CourseRecord) -> dict[str, Finding]:
    history = ClinicalHistory(PatientRecord(patient_id="P", text=""), courses)
    return {finding.code: finding for finding in history_findings(history)}


def phase(*volumes: PhaseVolume, n_planned: int = 22, n_given: int = 15) -> CoursePhase:
    return CoursePhase(
        name="x", n_fractions_planned=n_planned, n_fractions_delivered=n_given, volumes=volumes
    )


def test_the_published_dose_per_fraction_differs_and_is_asked_about() -> None:
    gtv = PhaseVolume(structure="GTV", prescribed_gy=40.0, delivered_gy=27.0)
    found = findings(course("c", 1, phase(gtv)))["dose-per-fraction-differs"]
    assert "40 Gy in 22 is 1.818 Gy a fraction, but 27 Gy in 15 is 1.800" in found.text
    assert "15 fractions as planned make 27.27 Gy" in found.text


def test_rounding_is_no_difference() -> None:
    exact = PhaseVolume(structure="GTV", prescribed_gy=40.0, delivered_gy=27.27)
    assert "dose-per-fraction-differs" not in findings(course("c", 1, phase(exact)))
    planned = PhaseVolume(structure="G", prescribed_gy=40.0, planned_gy=39.6, delivered_gy=27.0)
    assert "dose-per-fraction-differs" not in findings(course("c", 1, phase(planned)))


def test_an_unknown_interval_is_serious_and_a_known_one_is_not() -> None:
    first = course("a", 1, end=date(2020, 1, 1))
    assert findings(first, course("b", 2))["interval-unknown"].severity is Severity.SERIOUS
    assert "interval-unknown" not in findings(first, course("b", 2, start=date(2021, 1, 1)))
    assert "interval-unknown" not in findings(first, course("b", 2, months_since_previous=9.0))
    assert "interval-unknown" in findings(first, course("b", 2, months_since_previous=UNKNOWN))
    assert findings(first) == {}


def test_levels_and_unknown_fractions_are_noted() -> None:
    levels = (
        PhaseVolume(structure="GTV", prescribed_gy=55.0),
        PhaseVolume(structure="PTV", prescribed_gy=45.0),
    )
    found = findings(course("c", 1, phase(*levels), n_fractions_delivered=UNKNOWN))
    assert "55 and 45 Gy in the same fractions" in found["several-dose-levels"].text
    assert "is an assumption" in found["delivered-fractions-unknown"].text
