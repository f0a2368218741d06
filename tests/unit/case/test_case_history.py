"""One schema of the history: history.toml, case.toml, JSON, ledger; nothing is lost between."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from rerad.case.files import read_case, write_case
from rerad.case.history_files import read_history_file, write_history_file
from rerad.case.history_records import (
    OF_THE_CASE,
    RENAMED,
    case_history,
    clinical_history,
    event_record,
)
from rerad.case.history_schema import (
    CourseTable,
    EventTable,
    HistoryFile,
    HistoryTables,
    PriorCourseTable,
)
from rerad.case.ledger_history import history_from_ledger, treatment_history
from rerad.case.load import history_of
from rerad.case.published_case import CURRENT, HISTORY, published_history
from rerad.case.schema import CaseFile
from rerad.core import Patient, RecordGrade
from rerad.core.clinical_history import (
    NOT_APPLICABLE,
    NOT_ASKED,
    RECORD_KINDS,
    UNKNOWN,
    ClinicalHistory,
    CourseRecord,
    OpioidUse,
    PatientRecord,
    SystemicTherapy,
)
from rerad.core.record_documents import field_types
from rerad.errors import CaseError, LedgerError
from rerad.ledger import Signature, add_history, open_ledger
from rerad.outcome import PainCategory, course_outcome

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "published_case" / "history.toml"


@pytest.fixture(scope="module")
def published() -> ClinicalHistory:
    return read_history_file(EXAMPLE)


def test_every_field_of_a_record_is_a_key_of_its_table() -> None:
    for kind, field in HistoryTables.model_fields.items():
        if kind == "event":
            continue
        table = field.annotation.__args__[0]  # type: ignore[union-attr]
        assert set(table.model_fields) == set(field_types(RECORD_KINDS[kind])), kind


def test_every_key_of_a_course_has_its_place_in_the_record() -> None:
    keys = set(PriorCourseTable.model_fields) - OF_THE_CASE - {"prescriptions"}
    places = {RENAMED.get(key, key) for key in keys}
    assert places <= set(field_types(CourseRecord))
    assert set(field_types(CourseRecord)) - places == {"grade"}  # from what is on record


def test_the_published_case_says_what_its_record_says(published: ClinicalHistory) -> None:
    first, second = published.of_kind(CourseRecord)
    doses = {v.structure: v.prescribed_gy for v in first.phases[0].volumes}
    assert doses == {"GTVp_5500": 55.0, "PTV_4500": 45.0}
    assert (first.n_fractions_planned, first.n_fractions_delivered) == (25, UNKNOWN)
    assert (second.n_fractions_planned, second.n_fractions_delivered) == (22, 15)
    assert second.delivered_dose_gy == 27.0
    assert second.months_since_previous is UNKNOWN
    assert second.stop_reason is UNKNOWN
    assert second.phases[0].volumes[1].prescribed_gy is UNKNOWN
    regimens = {t.key: t for t in published.of_kind(SystemicTherapy)}
    drugs = regimens["paclitaxel-carboplatin"].drugs
    assert [(d.drug, d.dose_mg, d.every_days) for d in drugs] == [
        ("paclitaxel", 210.0, 21.0),
        ("carboplatin", 400.0, 21.0),
    ]
    assert regimens["paclitaxel-carboplatin"].n_cycles_given == 6
    assert regimens["paclitaxel-carboplatin"].concurrent_with is NOT_APPLICABLE
    assert regimens["cisplatin"].concurrent_with == "course-1"
    assert not [r for r in published.records if isinstance(r.date, date)]


def test_the_equivalent_is_worked_out_and_names_its_table(published: ClinicalHistory) -> None:
    first, later = published.of_kind(OpioidUse)
    assert first.oral_morphine_mg_day == 180.0
    assert first.conversion_table == "cdc-2022"
    assert later.oral_morphine_mg_day is UNKNOWN
    assert later.conversion_table is NOT_ASKED


def test_the_published_response_is_indeterminate(published: ClinicalHistory) -> None:
    outcome = course_outcome(published, "course-2")
    assert outcome.pain is not None
    assert outcome.pain.category is PainCategory.INDETERMINATE
    assert outcome.pain.reason == (
        "score 8-9 to 5, oral morphine equivalent unknown to unknown mg a day; the earlier opioid "
        "dose is unknown (the record states oxycodone 60 mg every 12 h, 180 mg oral morphine a "
        "day, but not whether it was taken at that score or given for it) and the later opioid "
        "dose is unknown, so that it could be partial response or none of the classes"
    )
    assert outcome.motor is not None
    assert outcome.motor.direction == "better"


def test_a_stated_time_makes_a_dose_the_dose_at_the_score(published: ClinicalHistory) -> None:
    records = tuple(
        replace(r, when="at that time", oral_morphine_mg_day=180.0)
        if isinstance(r, OpioidUse)
        else r
        for r in published.records
    )
    outcome = course_outcome(ClinicalHistory(published.patient, records), "course-2")
    assert outcome.pain is not None
    assert outcome.pain.category is PainCategory.PARTIAL


def test_the_demo_tells_the_story_of_the_example(published: ClinicalHistory) -> None:
    assert HISTORY.read_bytes() == EXAMPLE.read_bytes()
    second = published.course("course-2")
    assert (second.n_fractions_planned, second.n_fractions_delivered) == (
        CURRENT.n_fractions_planned,
        CURRENT.n_fractions_delivered,
    )
    assert second.delivered_dose_gy == CURRENT.delivered_dose_gy


@pytest.mark.parametrize("suffix", [".toml", ".json"])
def test_a_written_history_reads_as_it_was(
    published: ClinicalHistory, tmp_path: Path, suffix: str
) -> None:
    course = CourseRecord(
        key="odd",
        order=95,
        text="x",
        title="Odd",
        start=date(2020, 1, 2),
        end=NOT_APPLICABLE,
        partial_fractions=(0.5,),
    )
    history = ClinicalHistory(published.patient, (*published.records, course))
    path = tmp_path / f"history{suffix}"
    write_history_file(history, path)
    assert read_history_file(path) == history


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("history_version = 1", "history_version = 2"), "expected history_version = 1, got 2"),
        (('grade = "2+"', 'grad = "2+"'), "unknown key 'strength.0.grad'"),
        (("dose_mg = 60", 'dose_mg = "60"'), "opioid.0.dose_mg"),
        (("lowest = 8\nhighest = 9", "lowest = 9\nhighest = 8"), "lowest score 9.0 is above"),
        (('key = "mri"', 'key = "bone-scan"'), "but bone-scan is used more than once"),
        (('side = "right"', 'side = "rihgt"'), "imaging.2.findings.0.side|strength.0.side"),
        (("[patient]", "[patient"), "is not valid TOML"),
    ],
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, change: tuple[str, str], expected: str
) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / "history.toml"
    path.write_text(text.replace(change[0], change[1]), encoding="utf-8")
    with pytest.raises(CaseError) as caught:
        read_history_file(path)
    assert any(part in str(caught.value) for part in expected.split("|")), caught.value


def test_courses_of_either_file_become_the_same_record() -> None:
    table = PriorCourseTable(
        name="Course 1",
        n_fractions_planned=25,
        n_fractions_delivered="unknown",
        prescriptions=[{"structure": "PTV", "dose_gy": 45.0}],  # type: ignore[list-item]
        ct_series_uid="1.2",
        dose_uid="1.3",
        order=4,
    )
    content = {"history_version": 1, "patient": {"patient_id": "P", "summary": "x"}}
    file = HistoryFile.model_validate(content | {"course": [table.model_dump()]})
    course = clinical_history(file).course("course-1")
    assert course.grade is RecordGrade.DOSE_GRID
    assert [(r.kind, r.uid) for r in course.references] == [("CT", "1.2"), ("RTDOSE", "1.3")]
    assert course.phases[0].volumes[0].prescribed_gy == 45.0
    with pytest.raises(ValueError, match="give prescriptions, or phases"):
        CourseTable.model_validate(
            table.model_dump(include=set(CourseTable.model_fields)) | {"phases": [{"name": "x"}]}
        )


@pytest.fixture
def case_file(tiny_case: Path) -> CaseFile:
    return read_case(tiny_case)


def test_a_case_file_gives_its_history_to_the_ledger(case_file: CaseFile) -> None:
    record = published_history()
    tables = {kind: getattr(record, kind) for kind in HistoryTables.model_fields}
    told = case_file.model_copy(update={**tables, "current_course": CURRENT})
    history = case_history(told, "P-9")
    assert history.patient.patient_id == "P-9"
    assert history.patient.text == case_file.patient.summary
    assert {c.title for c in history.of_kind(CourseRecord)} == {
        "Course 2",
        *(p.name for p in case_file.prior_course),
    }
    assert [r.oral_morphine_mg_day for r in history.of_kind(OpioidUse)] == [180.0, UNKNOWN]
    outcome = course_outcome(history, "course-2")
    assert outcome.pain is not None
    assert outcome.pain.category is PainCategory.INDETERMINATE


def test_a_case_file_may_hold_the_tables_of_the_history(case_file: CaseFile) -> None:
    content = case_file.model_dump() | {
        "strength": [{"order": 3, "grade": "2+", "text": "weak"}],
        "event": [{"order": 5, "kind": "outcome", "title": "Seen", "text": "seen"}],
    }
    history = history_of(CaseFile.model_validate(content), Patient("P"))
    assert [(e.order, e.muscle_grade, e.text) for e in history.events] == [
        (3, "2+", "weak"),
        (5, "", "seen"),
    ]


def test_an_event_becomes_the_record_that_its_numbers_make_it() -> None:
    table = EventTable(order=1, kind="symptom", title="Leg pain", text="VAS 8", pain_score=(8, 8))
    record = event_record(table)
    assert (type(record).__name__, record.text) == ("SymptomScore", "Leg pain. VAS 8")
    plain = event_record(EventTable(order=1, kind="outcome", title="Death", text="Death."))
    assert type(plain).__name__ == "Statement"


def test_planning_reads_the_history_from_the_ledger(
    published: ClinicalHistory, tmp_path: Path
) -> None:
    where = tmp_path / "ledger.db"
    ledger = open_ledger(where)
    add_history(ledger, published, Signature("tester", datetime.now(UTC)))
    ledger.close()
    read = history_from_ledger(where, "PUBLISHED-CASE", current_course="course-2")
    assert read == treatment_history(published, current_course="course-2")
    course = read.course("Course 1")
    assert [(p.structure, p.dose_gy) for p in course.prescriptions] == [
        ("GTVp_5500", 55.0),
        ("PTV_4500", 45.0),
    ]
    with pytest.raises(CaseError, match=r"has no course 'course-9' .* there are Course 1"):
        history_from_ledger(where, "PUBLISHED-CASE", current_course="course-9")
    with pytest.raises(LedgerError, match="expected a ledger at"):
        history_from_ledger(tmp_path / "none.db", "PUBLISHED-CASE")


def test_levels_of_phases_add_up_by_volume() -> None:
    content = {
        "name": "Boosted",
        "n_fractions_planned": 30,
        "n_fractions_delivered": 30,
        "phases": [
            {"name": "a", "volumes": [{"structure": "PTV", "prescribed_gy": 45.0}]},
            {
                "name": "b",
                "volumes": [
                    {"structure": "PTV", "prescribed_gy": 5.4},
                    {"structure": "CTV", "prescribed_gy": "unknown"},
                ],
            },
        ],
    }
    file = HistoryFile.model_validate(
        {"history_version": 1, "patient": {"patient_id": "P", "summary": ""}, "course": [content]}
    )
    course = treatment_history(clinical_history(file)).courses[0]
    assert [(p.structure, p.dose_gy) for p in course.prescriptions] == [("PTV", 50.4)]


def test_who_it_is_comes_along() -> None:
    patient = PatientRecord(patient_id="P", text="x", name="Doe^Jane", birth_date=UNKNOWN, sex="F")
    told = treatment_history(ClinicalHistory(patient, ()))
    assert told.patient == Patient("P", "Doe^Jane", None, "F")
    unnamed = replace(patient, name=UNKNOWN)
    assert treatment_history(ClinicalHistory(unnamed, ())).patient.name == ""


def test_a_case_with_every_table_of_the_record_reads_as_it_was_written(
    case_file: CaseFile, tmp_path: Path
) -> None:
    record = published_history()
    told = case_file.model_copy(
        update={kind: getattr(record, kind) for kind in HistoryTables.model_fields}
    )
    write_case(told, tmp_path / "case.toml")
    assert case_history(read_case(tmp_path / "case.toml"), "P") == case_history(told, "P")
