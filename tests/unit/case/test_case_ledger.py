"""A case that reads its history from the ledger: one source, one patient, courses by name."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rerad.case.files import read_case
from rerad.case.history_records import case_history
from rerad.case.history_schema import EventTable
from rerad.case.ledger_case import clinical_history_in_ledger, history_in_ledger
from rerad.case.load import history_of
from rerad.case.schema import CaseFile, LedgerTable
from rerad.core import Patient
from rerad.errors import CaseError, LedgerError
from rerad.ledger import Signature, add_history, open_ledger, verify_ledger

PATIENT = Patient("TINY-1")


@pytest.fixture
def case(tiny_case: Path) -> CaseFile:
    """Return the tiny case with an event of its own."""
    event = EventTable(order=50, kind="symptom", title="Pain", text="Pain 8.", pain_score=(8, 8))
    return read_case(tiny_case).model_copy(update={"event": (event,)})


@pytest.fixture
def kept(case: CaseFile, tmp_path: Path) -> CaseFile:
    """Return the case with its history moved into a ledger beside it."""
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    add_history(
        ledger, case_history(case, PATIENT.patient_id), Signature("tester", datetime.now(UTC))
    )
    ledger.close()
    table = LedgerTable(where="ledger.sqlite", current_course=case.current_course.name)
    return case.model_copy(update={"event": (), "ledger": table})


def test_history_comes_out_of_the_ledger_as_it_stood_in_the_file(
    case: CaseFile, kept: CaseFile, tmp_path: Path
) -> None:
    found = history_in_ledger(tmp_path / "case.toml", kept, PATIENT)
    told = history_of(case, PATIENT)
    assert [c.name for c in found.courses] == [c.name for c in told.courses]
    assert [c.n_fractions_planned for c in found.courses] == [
        c.n_fractions_planned for c in told.courses
    ]
    pains = [e.pain_score for e in found.events if e.pain_score is not None]
    assert pains == [(8, 8)]


def test_the_consult_of_a_case_notes_the_head_of_its_ledger(
    kept: CaseFile, tmp_path: Path
) -> None:
    table = kept.ledger
    assert table is not None
    history, head = clinical_history_in_ledger(tmp_path / "case.toml", table, PATIENT.patient_id)
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    assert verify_ledger(ledger, expected_heads=[head]).head == head
    ledger.close()
    assert history.patient.patient_id == PATIENT.patient_id


def test_two_histories_at_once_are_refused(case: CaseFile, kept: CaseFile, tmp_path: Path) -> None:
    both = kept.model_copy(update={"event": case.event})
    with pytest.raises(CaseError, match="read from the ledger, but event tell another"):
        history_in_ledger(tmp_path / "case.toml", both, PATIENT)


def test_another_patient_is_refused(kept: CaseFile, tmp_path: Path) -> None:
    table = kept.ledger.model_copy(update={"patient_id": "SOMEBODY-ELSE"})
    with pytest.raises(CaseError, match="two patients cannot be in one case"):
        history_in_ledger(
            tmp_path / "case.toml", kept.model_copy(update={"ledger": table}), PATIENT
        )
    with pytest.raises(LedgerError):
        history_in_ledger(tmp_path / "case.toml", kept, replace(PATIENT, patient_id="NOBODY"))


def test_a_course_with_data_must_be_on_record(kept: CaseFile, tmp_path: Path) -> None:
    renamed = kept.prior_course[0].model_copy(update={"name": "Course X"})
    stranger = kept.model_copy(update={"prior_course": (renamed,)})
    with pytest.raises(CaseError, match="prior course 'Course X' is not in the ledger"):
        history_in_ledger(tmp_path / "case.toml", stranger, PATIENT)
