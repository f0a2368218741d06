"""Strength by order, survival by dates, and the two put together for a course."""

from datetime import date

import pytest

from rerad.core.clinical_history import (
    NOT_ASKED,
    UNKNOWN,
    ClinicalHistory,
    CourseRecord,
    Death,
    Diagnosis,
    FollowUp,
    MuscleStrength,
    OpioidUse,
    PatientRecord,
    SymptomScore,
)
from rerad.outcome import (
    MotorDirection,
    PainCategory,
    course_outcome,
    motor_change,
    survival_times,
)


def strength(grade: str, order: int = 1, **more: object) -> MuscleStrength:
    return MuscleStrength(key=f"m{order}", order=order, text="", grade=grade, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("2+", "4", MotorDirection.BETTER),
        ("4", "4", MotorDirection.SAME),
        ("4-", "4", MotorDirection.BETTER),
        ("3", "2+", MotorDirection.WORSE),
        ("2+", "good", MotorDirection.UNKNOWN),
    ],
)
def test_strength_is_compared_by_order(before: str, after: str, expected: MotorDirection) -> None:
    change = motor_change(strength(before), strength(after))
    assert change.direction is expected
    assert f"{before} to {after}" in change.reason


def test_different_muscles_are_not_compared() -> None:
    change = motor_change(strength("2", side="left"), strength("4", side="right"))
    assert change.direction is MotorDirection.UNKNOWN
    assert "the side differs: left before, right after" in change.reason
    unsaid = motor_change(strength("2"), strength("4"))
    assert "which the record does not say" in unsaid.reason


def history(*, death: object, end: object) -> ClinicalHistory:
    return ClinicalHistory(
        PatientRecord(patient_id="P", text=""),
        (
            Diagnosis(key="dx", order=1, text="", title="Ca", date=UNKNOWN),
            CourseRecord(
                key="c2",
                order=5,
                text="",
                title="C2",
                start=date(2020, 1, 1),
                end=end,  # type: ignore[arg-type]
            ),
            FollowUp(key="v", order=7, text="", date=date(2020, 2, 1), is_alive=True),
            Death(key="d", order=9, text="", date=death, when="three months after"),  # type: ignore[arg-type]
        ),
    )


def test_survival_is_a_number_only_between_two_dates() -> None:
    times = survival_times(history(death=date(2020, 4, 1), end=UNKNOWN))
    assert [(t.landmark, t.days) for t in times] == [
        ("diagnosis: Ca", None),
        ("start of C2", 91),
        ("end of C2", None),
    ]
    assert times[1].months == pytest.approx(91 / 30.4375)
    assert times[0].said == "three months after"
    assert all(t.is_death for t in times)
    assert all(t.days is None for t in survival_times(history(death=UNKNOWN, end=UNKNOWN)))


def test_the_living_are_censored_at_the_last_visit() -> None:
    full = history(death=UNKNOWN, end=date(2020, 1, 21))
    living = ClinicalHistory(full.patient, full.records[:-1])
    times = survival_times(living)
    assert [t.days for t in times] == [None, 31, 11]
    assert not any(t.is_death for t in times)
    assert survival_times(ClinicalHistory(full.patient, full.records[:2])) == ()


def pain(order: int, low: float, high: float) -> SymptomScore:
    return SymptomScore(
        key=f"p{order}", order=order, text="", symptom="Pain", lowest=low, highest=high
    )


def opioid(order: int, mg: float) -> OpioidUse:
    return OpioidUse(
        key=f"o{order}", order=order, text="", drug="oxycodone", oral_morphine_mg_day=mg
    )


def course(order: int) -> CourseRecord:
    return CourseRecord(key=f"c{order}", order=order, text="", title=f"C{order}")


def test_states_around_a_course_are_compared_and_no_others() -> None:
    records = (
        course(10),
        pain(12, 2, 2),  # before the first pain: the last one before the course counts
        pain(15, 8, 9),
        opioid(16, 180),
        strength("2+", 17),
        course(20),
        pain(21, 5, 5),
        pain(22, 9, 9),  # later than the first one after
        strength("4", 23),
        opioid(24, 90),
        course(30),
        opioid(31, 1),
    )
    whole = ClinicalHistory(PatientRecord(patient_id="P", text=""), records)
    second = course_outcome(whole, "c20")
    assert second.pain is not None
    assert second.pain.category is PainCategory.PARTIAL
    assert "score 8-9 to 5" in second.pain.reason
    assert "180 to 90" in second.pain.reason
    assert second.motor is not None
    assert second.motor.direction is MotorDirection.BETTER
    first = course_outcome(whole, "c10")
    assert first.pain is None
    assert first.motor is None
    without = tuple(r for r in records if r.key != "o24")
    unknown = course_outcome(ClinicalHistory(whole.patient, without), "c20")
    assert unknown.pain is not None
    assert unknown.pain.category is PainCategory.INDETERMINATE
    assert NOT_ASKED is whole.course("c20").start
