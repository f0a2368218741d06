"""The picture of a history says everything that the history says, and what is unknown."""

from pathlib import Path

import pytest

from rerad.core import Course, EventKind, HistoryEvent, Patient, Prescription, TreatmentHistory
from rerad.errors import InputError
from rerad.reporting.timeline import draw_history, write_timeline
from rerad.reporting.timeline_measures import GRADE_X, PAIN_X


def event(order: int, kind: EventKind, **more: object) -> HistoryEvent:
    return HistoryEvent(order, kind, f"Title {order}", f"Text {order}", **more)  # type: ignore[arg-type]


def history(*, events: tuple[HistoryEvent, ...] | None = None) -> TreatmentHistory:
    course = Course("Course 1", "pelvis", "IMRT", (Prescription("PTV", 45.0),), 25, 15)
    told = (
        event(1, EventKind.SYMPTOM, pain_score=(8.0, 9.0)),
        event(2, EventKind.FUNCTION, muscle_grade="2+"),
        event(3, EventKind.DRUG, oral_morphine_mg_day=180.0),
        event(11, EventKind.SYMPTOM, pain_score=(5.0, 5.0), when="one month after"),
        event(12, EventKind.FUNCTION, muscle_grade="4"),
        event(13, EventKind.DRUG),
        event(14, EventKind.OUTCOME),
    )
    courses = (course,) if events is None else ()
    orders = (10,) if events is None else ()
    return TreatmentHistory(
        Patient("P"), "Who she is.", courses, orders, told if events is None else events, ()
    )


def test_everything_is_said() -> None:
    axes = draw_history(history()).axes[0]
    said = [text.get_text() for text in axes.texts]
    for order in (1, 2, 3, 11, 12, 13, 14):
        assert f"Title {order}" in said
        assert f"Text {order}" in said
    for words in ("Who she is.", "15 of 25 fractions", "8–9", "5", "2+", "4", "180", "unknown"):
        assert words in said, words
    assert "dose given" in said
    assert "one month after" in said


def test_curves_join_the_records_at_their_values() -> None:
    axes = draw_history(history()).axes[0]
    broken = [
        line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "--"
    ]
    pain, strength = (sorted(line.get_xdata()) for line in broken)
    left, right = PAIN_X
    assert pain == pytest.approx([left + (right - left) * 0.5, left + (right - left) * 0.85])
    left, right = GRADE_X
    assert strength == pytest.approx([left + (right - left) * n / 13 for n in (5, 10)])


def test_a_word_that_is_no_grade_stands_and_is_not_joined() -> None:
    odd = (event(1, EventKind.FUNCTION, muscle_grade="weak"), event(2, EventKind.OUTCOME))
    axes = draw_history(history(events=odd)).axes[0]
    assert "weak" in [text.get_text() for text in axes.texts]
    assert not [line for line in axes.lines if line.get_linestyle() == "--"]


def test_an_empty_history_and_a_strange_ending_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="patient P has neither courses nor events"):
        write_timeline(history(events=()), tmp_path / "a.png")
    with pytest.raises(InputError, match=r"expected a picture ending in .png, .pdf, .svg"):
        write_timeline(history(), tmp_path / "a.bmp")
    with pytest.raises(InputError, match=r"the folder .* is not there"):
        write_timeline(history(), tmp_path / "no" / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "start"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_the_picture_is_written(tmp_path: Path, name: str, start: bytes) -> None:
    write_timeline(history(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert [path.name for path in tmp_path.iterdir()] == [name]
