"""Records check themselves, and go to documents and back."""

import math
from datetime import date

import pytest

from rerad.core.clinical_history import (
    MUSCLE_GRADES,
    NOT_APPLICABLE,
    NOT_ASKED,
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    Death,
    MuscleStrength,
    PatientRecord,
    PhaseVolume,
    SymptomScore,
    muscle_ordinal,
)
from rerad.core.record_documents import (
    canonical_json,
    content_hash,
    from_document,
    to_document,
)
from rerad.errors import CourseNotFoundError, InputError


def test_muscle_grades_are_an_order_kept_beside_the_word() -> None:
    ordinals = [muscle_ordinal(grade) for grade in MUSCLE_GRADES]
    assert ordinals == sorted(ordinals)  # type: ignore[type-var]
    record = MuscleStrength(key="m", order=1, text="2+", grade="2+")
    assert (record.grade, record.ordinal) == ("2+", MUSCLE_GRADES.index("2+"))
    odd = MuscleStrength(key="m", order=1, text="weak", grade="weak")
    assert (odd.grade, odd.ordinal) == ("weak", UNKNOWN)
    with pytest.raises(InputError, match=r"grade '4' has ordinal 10, got 3; leave the ordinal"):
        MuscleStrength(key="m", order=1, text="", grade="4", ordinal=3)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("lowest", -1.0, "expected lowest to be 0 or more, got -1.0"),
        ("lowest", math.nan, "expected lowest to be 0 or more, got nan"),
        ("side", "links", "expected side to be one of right, left, both, midline, got 'links'"),
        ("site", "Unknown", "site is the text 'Unknown'; use a value of Absent"),
        ("key", "a b", "expected a key of 1 to 64 letters"),
        ("lowest", 9.0, "lowest score 9.0 is above the highest, 8"),
    ],
)
def test_a_record_refuses_what_cannot_be(field: str, value: object, expected: str) -> None:
    content = {"key": "p", "order": 1, "text": "", "symptom": "pain", "highest": 8.0}
    with pytest.raises(InputError, match=expected):
        SymptomScore(**(content | {field: value}))  # type: ignore[arg-type]


def test_a_course_cannot_end_before_it_starts_nor_can_its_phases() -> None:
    with pytest.raises(InputError, match="ends on 2020-01-01, before it starts on 2020-01-02"):
        CourseRecord(
            key="c", order=1, text="", title="", start=date(2020, 1, 2), end=date(2020, 1, 1)
        )
    backwards = CoursePhase(name="a", start=date(2020, 1, 2), end=date(2020, 1, 1))
    with pytest.raises(InputError, match="before it starts"):
        CourseRecord(key="c", order=1, text="", title="", phases=(backwards,))


def test_a_document_says_three_kinds_of_absence_and_comes_back() -> None:
    course = CourseRecord(
        key="c",
        order=1,
        text="x",
        title="C",
        start=date(2020, 1, 2),
        site=UNKNOWN,
        stop_reason=NOT_APPLICABLE,
        n_fractions_planned=25,
        phases=(CoursePhase(name="a", volumes=(PhaseVolume(structure="G", prescribed_gy=55),)),),
    )
    document = to_document(course)
    assert document["site"] == "unknown"
    assert document["stop_reason"] == "not applicable"
    assert document["start"] == "2020-01-02"
    assert "end" not in document
    assert course.end is NOT_ASKED
    assert from_document(document) == course
    assert '"prescribed_gy":55.0' in canonical_json(document)


def test_the_hash_of_a_document_is_the_sha256_of_its_canonical_text() -> None:
    # computed with: printf '{"a":"ä","b":[1.0,true]}' | sha256sum
    digest = content_hash({"b": [1.0, True], "a": "ä"})
    assert canonical_json({"b": [1.0, True], "a": "ä"}) == '{"a":"ä","b":[1.0,true]}'
    assert digest == "5e6aca0a51b68a811d3a7748c8759bfdbbb1d40f8d645dbe70fa780476d1930a"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"kind_of_record": "cat"}, "expected a record of kind patient, diagnosis"),
        ({"colour": "red"}, "Death has no field colour"),
        ({"order": "1"}, "order: expected int, got '1'"),
        ({"date": "2020-13-01"}, "date: expected date, got '2020-13-01'"),
        ({"text": None}, "text: expected str, got None"),
    ],
)
def test_a_document_that_does_not_fit_is_refused(change: dict[str, object], expected: str) -> None:
    document = to_document(Death(key="d", order=1, text="x"))
    with pytest.raises(InputError, match=expected):
        from_document(document | change)
    del document["text"]
    with pytest.raises(InputError, match="missing 1 required keyword-only argument: 'text'"):
        from_document(document)


def test_a_history_is_in_order_and_keys_are_its_own() -> None:
    patient = PatientRecord(patient_id="P", text="x")
    late, early = (
        Death(key="d", order=9, text=""),
        CourseRecord(key="c", order=1, text="", title="C"),
    )
    history = ClinicalHistory(patient, (late, early))
    assert history.records == (early, late)
    assert history.course("c") is early
    with pytest.raises(CourseNotFoundError, match=r"'x' is not in the history .* it holds c"):
        history.course("x")
    with pytest.raises(InputError, match="but d is used more than once"):
        ClinicalHistory(patient, (late, Death(key="d", order=1, text="")))
    with pytest.raises(InputError, match="a patient needs a patient ID"):
        PatientRecord(patient_id=" ", text="")
