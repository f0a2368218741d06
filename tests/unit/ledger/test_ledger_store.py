"""What goes into the ledger comes out; nothing that is there ever changes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from rerad.core.clinical_history import (
    NOT_APPLICABLE,
    NOT_ASKED,
    RECORD_KINDS,
    UNKNOWN,
    ClinicalHistory,
    CourseRecord,
    Death,
    Diagnosis,
    PatientRecord,
    kind_of,
)
from rerad.errors import LedgerError
from rerad.ledger import (
    Ledger,
    Signature,
    add_history,
    add_record,
    find_by_reference,
    open_ledger,
    patient_ids,
    read_current,
    read_history,
    read_revisions,
    revise_record,
    verify_ledger,
    withdraw_record,
)
from rerad.ledger.schema import metadata


def test_a_history_comes_out_as_it_went_in(
    ledger: Ledger, ledger_url: str, history: ClinicalHistory, signature: Signature
) -> None:
    assert {kind_of(r) for r in (history.patient, *history.records)} == set(RECORD_KINDS)
    receipts = add_history(ledger, history, signature)
    assert len(receipts) == len(history.records) + 1
    ledger.close()
    again = open_ledger(ledger_url)
    assert read_history(again, "P-1") == history
    assert patient_ids(again) == ("P-1",)
    assert find_by_reference(again, "1.2.3") == (("P-1", "course-1"),)
    assert find_by_reference(again, "1.2.4") == ()
    again.close()


def test_three_kinds_of_absence_stay_apart(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    add_history(ledger, history, signature)
    read = read_history(ledger, "P-1")
    chemo = next(r for r in read.records if r.key == "chemo")
    assert isinstance(read.course("course-2"), CourseRecord)
    assert read.course("course-2").start is UNKNOWN
    assert read.course("course-2").end is NOT_ASKED
    assert chemo.concurrent_with is NOT_APPLICABLE  # type: ignore[attr-defined]
    with ledger.engine.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT start_date, absent FROM courses WHERE title = 'Course 2'")
        ).all()
    assert [tuple(row) for row in rows] == [(None, '{"start": "unknown"}')]


def test_an_edit_is_a_new_revision_and_the_old_one_stays(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    add_history(ledger, history, signature)
    first = history.course("course-2")
    second = replace(first, n_fractions_planned=22, n_fractions_delivered=15)
    later = replace(signature, utc=signature.utc + timedelta(days=1), reason="letter arrived")
    receipt = revise_record(ledger, "P-1", second, later, expected_revision=1)
    assert receipt.revision == 2
    assert read_history(ledger, "P-1").course("course-2") == second
    assert read_history(ledger, "P-1", as_of=signature.utc).course("course-2") == first
    assert [s.record for s in read_revisions(ledger, "P-1", "course-2")] == [first, second]
    with ledger.engine.connect() as connection:
        entry = connection.execute(
            sa.text("SELECT actor, action, reason, before, after FROM audit ORDER BY seq DESC")
        ).first()
    assert entry is not None
    assert entry[:3] == ("tester", "revise", "letter arrived")
    assert "n_fractions_planned" not in entry[3]
    assert '"n_fractions_planned":22' in entry[4]


def test_a_withdrawn_record_is_gone_from_the_history_and_stays_readable(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    add_history(ledger, history, signature)
    withdraw_record(ledger, "P-1", "tox", signature, expected_revision=1)
    assert "tox" not in {r.key for r in read_history(ledger, "P-1").records}
    assert [s.is_withdrawn for s in read_revisions(ledger, "P-1", "tox")] == [False, True]
    assert next(s for s in read_current(ledger, "P-1") if s.record.key == "tox").is_withdrawn
    assert verify_ledger(ledger).is_sound


def test_a_change_from_an_older_revision_is_refused(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    add_history(ledger, history, signature)
    course = history.course("course-2")
    revise_record(ledger, "P-1", replace(course, site="a"), signature, expected_revision=1)
    with pytest.raises(LedgerError, match="is at revision 2, but the change was made from revi"):
        revise_record(ledger, "P-1", replace(course, site="b"), signature, expected_revision=1)
    assert read_history(ledger, "P-1").course("course-2").site == "a"


def test_objects_are_found_in_courses_as_they_stand(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    add_history(ledger, history, signature)
    course = history.course("course-1")
    moved = replace(course.references[0], uid="9.9")
    revised = replace(course, references=(moved,))
    revise_record(ledger, "P-1", revised, signature, expected_revision=1)
    assert find_by_reference(ledger, "1.2.3") == ()
    assert find_by_reference(ledger, "9.9") == (("P-1", "course-1"),)
    withdraw_record(ledger, "P-1", "course-1", signature, expected_revision=2)
    assert find_by_reference(ledger, "9.9") == ()


def test_what_is_refused_leaves_nothing(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    death = Death(key="death", order=1, text="dies")
    with pytest.raises(LedgerError, match="'P-1' is not in the ledger; add the patient first"):
        add_record(ledger, "P-1", death, signature)
    add_history(ledger, history, signature)
    with pytest.raises(LedgerError, match="key 'dx' is taken by a diagnosis"):
        add_record(ledger, "P-1", Death(key="dx", order=1, text="dies"), signature)
    with pytest.raises(LedgerError, match="is a diagnosis, and cannot become a death"):
        revise_record(
            ledger, "P-1", Death(key="dx", order=1, text=""), signature, expected_revision=1
        )
    with pytest.raises(LedgerError, match="needs a reason"):
        revise_record(
            ledger,
            "P-1",
            Diagnosis(key="dx", order=1, text="", title="x"),
            replace(signature, reason=" "),
            expected_revision=1,
        )
    with pytest.raises(LedgerError, match="'P-1' is in the ledger already"):
        add_history(ledger, history, signature)
    with pytest.raises(LedgerError, match="cannot be withdrawn"):
        withdraw_record(ledger, "P-1", "patient", signature, expected_revision=1)
    found = verify_ledger(ledger)
    assert found.is_sound
    assert found.n_entries == found.n_revisions == len(history.records) + 1


def test_a_history_that_fails_half_way_is_not_there(
    ledger: Ledger, history: ClinicalHistory, signature: Signature, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rerad.ledger import store

    calls = []

    def failing(*arguments: object) -> str:
        calls.append(arguments)
        if len(calls) == 5:
            msg = "the power fails"
            raise RuntimeError(msg)
        return str(real(*arguments))  # type: ignore[arg-type]

    real = store.append_entry
    monkeypatch.setattr(store, "append_entry", failing)
    with pytest.raises(RuntimeError, match="the power fails"):
        add_history(ledger, history, signature)
    assert patient_ids(ledger) == ()
    assert verify_ledger(ledger).n_entries == 0


def test_no_row_of_any_table_can_be_changed_or_taken_out(
    ledger: Ledger, history: ClinicalHistory, signature: Signature
) -> None:
    add_history(ledger, history, signature)
    for table in metadata.sorted_tables:
        column = next(iter(table.columns)).name
        for statement in (
            f"UPDATE {table.name} SET {column} = {column}",
            f"DELETE FROM {table.name}",
        ):
            with (
                pytest.raises(sa.exc.DBAPIError, match="the ledger only adds rows"),
                ledger.engine.begin() as connection,
            ):
                connection.execute(sa.text(statement))
    assert verify_ledger(ledger).is_sound


def test_two_patients_do_not_mix(ledger: Ledger, signature: Signature) -> None:
    for name in ("A", "B"):
        add_record(ledger, name, PatientRecord(patient_id=name, text=name), signature)
        add_record(ledger, name, Death(key="d", order=1, text=f"of {name}"), signature)
    assert [r.text for r in read_history(ledger, "A").records] == ["of A"]
    assert [r.text for r in read_history(ledger, "B").records] == ["of B"]
    with pytest.raises(LedgerError, match="patient 'C' is not in"):
        read_history(ledger, "C")


def test_an_actor_and_a_time_zone_are_wanted() -> None:
    with pytest.raises(ValueError, match="name the actor"):
        Signature(" ", datetime.now(UTC))
    with pytest.raises(ValueError, match="with its time zone"):
        Signature("me", datetime(2026, 1, 1))
