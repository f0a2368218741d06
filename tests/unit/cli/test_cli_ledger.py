"""The ledger from the terminal: in, changed, out, checked; one sentence when it refuses."""

import json
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rerad.case.history_files import read_history_file
from rerad.cli.main import app
from rerad.core.clinical_history import CourseRecord

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "published_case" / "history.toml"
ID = "PUBLISHED-CASE"


class Terminal:
    """Runs commands on one ledger."""

    def __init__(self, where: Path) -> None:
        self.environment = {"RERAD_LEDGER": str(where), "RERAD_ACTOR": "tester"}

    def run(self, *words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, ["ledger", *words], env=self.environment)
        assert done.exit_code == code, done.output
        return done.output

    def json(self, *words: str, code: int = 0) -> dict[str, object]:
        return json.loads(self.run(*words, "--json", code=code))  # type: ignore[no-any-return]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    terminal = Terminal(tmp_path / "ledger.db")
    terminal.run("import", str(EXAMPLE))
    return terminal


def test_the_published_case_goes_in_and_comes_out(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.run("show").split() == [ID]
    for name in ("out.toml", "out.json"):
        terminal.run("export", ID, "-o", str(tmp_path / name))
        assert read_history_file(tmp_path / name) == read_history_file(EXAMPLE)
    picture = tmp_path / "story.pdf"
    assert terminal.json("timeline", ID, "-o", str(picture))["file"] == str(picture)
    assert picture.read_bytes().startswith(b"%PDF")
    sheet = tmp_path / "sheet.html"
    terminal.run("export", ID, "-o", str(sheet))
    head = str(terminal.json("verify")["head"])
    assert f"whose audit trail ends with {head}" in sheet.read_text(encoding="utf-8")
    shown = terminal.run("show", ID)
    for words in (
        "Paclitaxel 210 mg and carboplatin 400 mg every 21 days, six courses.",
        "indeterminate response",
        "the earlier opioid dose is unknown (the record states oxycodone 60 mg every 12 h",
        "better (grade 2+ to 4",
        "stage: unknown",
        "stop_reason: unknown",
        "concurrent_with: not applicable",
        "oral_morphine_mg_day: 180.0",
        "to death: unknown (the record says: three months after)",
        "serious: The interval from Course 1 to Course 2 is unknown",
        "15 fractions as planned make 27.27 Gy",
    ):
        assert words in shown, words


def test_courses_go_out_as_fhir_and_come_back(terminal: Terminal, tmp_path: Path) -> None:
    bundle = tmp_path / "out.fhir.json"
    said_out = terminal.json("export", ID, "-o", str(bundle))
    assert said_out["left_out"]["diagnosis"] == 2
    assert "course" not in said_out["left_out"]
    kept = len(read_history_file(EXAMPLE).of_kind(CourseRecord))
    n_left_out = sum(said_out["left_out"].values())  # type: ignore[attr-defined]
    assert n_left_out == len(read_history_file(EXAMPLE).records) - kept
    terminal.run("export", ID, "-o", str(bundle), "--alpha-beta", "3", "--alpha-beta", "10")
    other = Terminal(tmp_path / "other.db")
    renamed = tmp_path / "from-elsewhere.json"
    renamed.write_bytes(bundle.read_bytes())
    said = other.run("import", str(renamed))
    assert "note: " in said
    assert "'EQD2Gy(a/b=10)' does not fit the guide's pattern" in said
    assert "course-2, GTV: the sender's 25.92 EQD2Gy(a/b=3) has no place in a record" in said
    other.run("export", ID, "-o", str(tmp_path / "back.json"))
    back = read_history_file(tmp_path / "back.json")
    assert back.of_kind(CourseRecord) == read_history_file(EXAMPLE).of_kind(CourseRecord)
    assert back.patient == read_history_file(EXAMPLE).patient
    text = bundle.read_text(encoding="utf-8")
    assert "EQD2Gy(a/b=3)" in text
    bundle.write_text(text.replace('"cGy"', '"Gy"'), encoding="utf-8")
    said = Terminal(tmp_path / "third.db").json("import", str(bundle), code=1)
    assert "with UCUM code cGy" in str(said["error"])


def test_all_patients_go_out_as_tables(terminal: Terminal, tmp_path: Path) -> None:
    files = terminal.json("export", "-o", str(tmp_path / "tables"))["files"]
    names = {Path(file).name for file in files}  # type: ignore[attr-defined]
    assert {"course.csv", "symptom.csv", "systemic_therapy_drugs.csv"} <= names
    said = terminal.json("export", "-o", "all.json", code=1)
    assert "all patients were asked for" in str(said["error"])


def test_records_are_added_revised_and_withdrawn(terminal: Terminal) -> None:
    words = ("order=95", "text=Seen in clinic", "ecog=2", "is_alive=true", "date=2020-02-03")
    terminal.run("add", "follow_up", *words, "--patient", ID)
    terminal.run(
        "revise", ID, "follow-up-95", "ecog=3", "--from-revision", "1", "--reason", "misread"
    )
    document = terminal.json("show", ID)
    found = {r["key"]: r for r in document["records"]}  # type: ignore[attr-defined]
    assert found["follow-up-95"]["ecog"] == 3
    assert found["follow-up-95"]["revision"] == 2
    assert found["follow-up-95"]["date"] == "2020-02-03"
    terminal.run(
        "withdraw", ID, "follow-up-95", "--from-revision", "2", "--reason", "wrong patient"
    )
    assert "follow-up-95" not in terminal.run("show", ID)
    assert terminal.json("verify")["n_entries"] == 21


def test_what_is_worked_out_follows_a_revision(terminal: Terminal) -> None:
    terminal.run("revise", ID, "oxycodone", "dose_mg=80", "--from-revision", "1", "--reason", "x")
    words = ("grade=3", "--from-revision", "1", "--reason", "x")
    terminal.run("revise", ID, "strength-after", *words)
    terminal.run("revise", ID, "patient", "age_years=48", "--from-revision", "1", "--reason", "x")
    document = terminal.json("show", ID)
    found = {r["key"]: r for r in document["records"]}  # type: ignore[attr-defined]
    assert found["oxycodone"]["oral_morphine_mg_day"] == 240.0
    assert found["strength-after"]["ordinal"] == 7
    assert found["patient"]["age_years"] == 48


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["add", "cat", "order=1", "--patient", ID], "expected a kind of record among diagnosis"),
        (["add", "death", "order", "--patient", ID], "expected key=value, got 'order'"),
        (
            ["add", "death", "order=1", "colour=red", "--patient", ID],
            "unknown key 'colour'; see",
        ),
        (
            ["add", "follow_up", "order=1", "ecog=two", "--patient", ID],
            "follow_up: ecog: expected an integer or 'unknown'",
        ),
        (
            ["add", "follow_up", "order=1", "date=31.12.2020", "--patient", ID],
            "follow_up: date: expected a date or datetime or 'unknown', 'not applicable' or",
        ),
        (
            ["add", "death", "order=99", "--patient", ID],
            "a death is on record already, as 'death'",
        ),
        (["add", "death", "order=1", "--patient", "X"], "'X' is not in the ledger; add the pat"),
        (["import", str(EXAMPLE)], "'PUBLISHED-CASE' is in the ledger already"),
        (["show", "X"], "patient 'X' is not in"),
        (
            ["revise", ID, "death", "cause=x", "--from-revision", "2", "--reason", "r"],
            "revision 1",
        ),
        (["revise", ID, "death", "cause=x", "--from-revision", "1"], "needs a reason"),
        (["revise", ID, "death", "--from-revision", "1", "--reason", "r"], "nothing would change"),
        (["revise", ID, "death", "key=x", "--from-revision", "1"], "the key of a record stays"),
        (["export", ID, "-o", "x.xlsx"], "expected"),
        (["show", ID, "--ledger", "none.db"], "expected a ledger at none.db, found none"),
    ],
)
def test_a_refusal_is_one_sentence(terminal: Terminal, words: list[str], expected: str) -> None:
    said = terminal.json(*words, code=1)
    assert said["status"] == "failed"
    assert expected in str(said["error"])


def test_entries_cut_off_the_end_are_missed_by_a_noted_head(
    terminal: Terminal, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.txt"
    assert "entries cut off the end are not seen" in terminal.run("verify")
    before = (tmp_path / "ledger.db").read_bytes()
    terminal.run("verify", "--heads", str(heads))
    terminal.run("add", "follow_up", "order=200", "text=x", "ecog=1", "--patient", ID)
    terminal.run("verify", "--heads", str(heads))
    terminal.run("verify", "--heads", str(heads))
    assert len(heads.read_text(encoding="utf-8").splitlines()) == 2
    for beside in tmp_path.glob("ledger.db-*"):
        beside.unlink()
    (tmp_path / "ledger.db").write_bytes(before)
    assert "sound" in terminal.run("verify")
    said = terminal.run("verify", "--heads", str(heads), code=1)
    assert "no longer holds the head" in said
    assert len(heads.read_text(encoding="utf-8").splitlines()) == 2
    heads.write_text("a shopping list\n", encoding="utf-8")
    text = str(terminal.json("verify", "--heads", str(heads), code=1)["error"])
    assert "line 1: expected the note of a head" in text


def test_a_pain_on_another_scale_is_kept_and_not_judged(
    terminal: Terminal, tmp_path: Path
) -> None:
    words = ("lowest=50", "highest=55", "scale=VAS 0-100 mm")
    terminal.run("revise", ID, "pain-after", *words, "--from-revision", "1", "--reason", "in mm")
    shown = terminal.run("show", ID)
    assert "the record states 50 to 55 on VAS 0-100 mm, which is not from 0 to 10" in shown
    assert "indeterminate response" in shown
    terminal.run("timeline", ID, "-o", str(tmp_path / "story.png"))
    # 8 of 100 is no 8 of 10
    terminal.run(
        "revise",
        ID,
        "pain-after",
        "lowest=8",
        "highest=8",
        "--from-revision",
        "2",
        "--reason",
        "x",
    )
    assert "the record states 8 on VAS 0-100 mm" in terminal.run("show", ID)


def test_an_opioid_is_converted_by_the_table_that_its_record_names(terminal: Terminal) -> None:
    words = ("drug=tramadol", "dose_mg=100", "every_hours=8", "route=oral", "when=before course 2")
    terminal.run("revise", ID, "oxycodone", *words, "--from-revision", "1", "--reason", "x")

    def found(key: str) -> dict[str, object]:
        records = terminal.json("show", ID)["records"]
        return next(r for r in records if r["key"] == key)  # type: ignore[attr-defined]

    # 300 mg a day: 0.2 in CDC 2022, 0.1 in CDC 2016
    assert found("oxycodone")["oral_morphine_mg_day"] == pytest.approx(60.0)
    terminal.run(
        "revise", ID, "oxycodone", "conversion_table=cdc-2016",
        "--from-revision", "2", "--reason", "x",
    )  # fmt: skip
    assert found("oxycodone")["oral_morphine_mg_day"] == pytest.approx(30.0)
    assert found("oxycodone")["conversion_table"] == "cdc-2016"
    terminal.run("revise", ID, "opioid-after", *words, "--from-revision", "1", "--reason", "x")
    shown = terminal.run("show", ID)
    assert "60 mg oral morphine a day by table cdc-2022, but the earlier dose by cdc-2016" in shown
    said = terminal.json(
        "revise", ID, "opioid-after", "conversion_table=mine", "dose_mg=7",
        "--from-revision", "2", "--reason", "x", code=1,
    )  # fmt: skip
    assert "no opioid conversion table 'mine'; there are cdc-2022, cdc-2016" in str(said["error"])


def test_what_looks_odd_is_kept_and_said(terminal: Terminal) -> None:
    terminal.run(
        "revise", ID, "strength-after", "grade=fair", "--from-revision", "1", "--reason", "x"
    )
    terminal.run(
        "revise", ID, "course-2", "n_fractions_delivered=25", "--from-revision", "1",
        "--reason", "x",
    )  # fmt: skip
    shown = terminal.run("show", ID)
    assert "grade 'fair' is none of 0, 1, 1+" in shown
    assert "25 fractions are on record as given, 22 as planned: ask which is right" in shown
    assert "GTV prescribed_gy 40.0 planned_gy unknown delivered_gy 27.0" in shown


def test_an_edited_file_fails_the_check(terminal: Terminal) -> None:
    head = str(terminal.json("verify")["head"])
    terminal.run("verify", "--head", head)
    connection = sqlite3.connect(terminal.environment["RERAD_LEDGER"])
    connection.execute("DROP TRIGGER courses_no_update")
    connection.execute("UPDATE courses SET n_fractions_delivered = 22 WHERE title = 'Course 2'")
    connection.commit()
    connection.close()
    said = terminal.run("verify", code=1)
    assert "course 'course-2' of patient 'PUBLISHED-CASE', revision 1 was edited" in said
    assert "1 problem\n" in said


def test_what_was_known_then(terminal: Terminal) -> None:
    said = terminal.json("show", ID, "--as-of", "2020-01-01", code=1)
    assert "is not in" in str(said["error"])
