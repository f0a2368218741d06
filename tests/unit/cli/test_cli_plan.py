"""Plan and export on the terminal: the board of goals, and what export refuses."""

import math
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rerad.case import latest_plan_folder
from rerad.cli.goal_board import GoalBoard, board
from rerad.cli.main import app
from rerad.cli.plan import print_goals
from rerad.core import Finding, Severity
from rerad.evaluation import GoalResult, Verdict, parse_goal
from rerad.planning import GoalNow

GOALS = (
    GoalNow("PTV", "D95% >= 95 %", 96.2, True),
    GoalNow("Cord", "Dmax <= 50 Gy", 51.25, False),
    GoalNow("PTV", "CI >= 0.7", math.nan, None),
)


def test_board_shows_what_is_not_met_first() -> None:
    console = Console(width=80, record=True, file=None)
    with console.capture() as shown:
        console.print(board(GOALS))
    lines = [line for line in shown.get().splitlines() if "PTV" in line or "Cord" in line]
    assert "not yet" in lines[0]
    assert "51.25" in lines[0]
    assert "unknown" in lines[1]
    assert "96.2" in lines[2]


def test_lines_say_how_many_goals_are_met_and_only_when_that_changes(capsys) -> None:
    with GoalBoard(is_quiet=False) as steps:
        steps("optimising: objective 3", 0.1)
        steps("optimising: objective 2", 0.2)
        steps.goals(GOALS)
        steps.goals(GOALS)
    told = capsys.readouterr().err.splitlines()
    assert [line.split("] ")[1] for line in told] == [
        "optimising",
        "1 of 2 goals met in the optimiser",
    ]


def judged(text: str, value: float, verdict: Verdict) -> GoalResult:
    return GoalResult(parse_goal(text), value, value, value, verdict, 0.0, "EQD2")


def test_final_values_have_units_and_unknown_is_a_word(capsys) -> None:
    """Never nan, and what is exceeded knowingly says so."""
    goals = (
        judged("Cord Dmax <= 50 Gy", 41.258, Verdict.MET),
        judged("Plexus Dmax[EQD2] <= 67 ab=2", 82.0, Verdict.ACCEPTED),
        judged("Bladder D900cc <= 5 Gy", math.nan, Verdict.UNKNOWN),
        judged("PTV D95% >= 95%", 89.0, Verdict.EXCEEDED),
    )
    findings = (
        Finding(Severity.SERIOUS, "a", "Weigh this."),
        Finding(Severity.NOTE, "b", "And not this."),
    )
    result = SimpleNamespace(planned=SimpleNamespace(goals=goals), findings=findings)
    print_goals(SimpleNamespace(result=result, folder=Path("plan")))  # type: ignore[arg-type]
    cord, plexus, bladder, target = (
        line.split("│") for line in capsys.readouterr().out.splitlines() if line.startswith("│")
    )
    assert [cell.strip() for cell in cord[3:5]] == ["41.26 Gy", "met"]
    assert [cell.strip() for cell in plexus[3:5]] == ["82.00 Gy", "exceeded knowingly"]
    assert [cell.strip() for cell in bladder[3:5]] == ["unknown", "unknown"]
    assert [cell.strip() for cell in target[3:5]] == ["89.00 %", "not met"]


def test_export_wants_to_hear_that_it_is_for_research(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["export", str(tmp_path), "--to", str(tmp_path / "out")])
    assert found.exit_code == 1
    assert "--for-research" in found.stderr
    assert not (tmp_path / "out").exists()


def test_export_of_a_case_without_a_plan_says_how_to_make_one(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text("", encoding="utf-8")
    found = CliRunner().invoke(
        app, ["export", str(tmp_path), "--to", str(tmp_path / "out"), "--for-research"]
    )
    assert found.exit_code == 1
    assert "has no plan yet" in found.stderr


@pytest.mark.parametrize("command", ["plan", "run", "trade"])
def test_ctrl_c_is_one_sentence(tmp_path: Path, command: str, monkeypatch) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"rerad.cli.{command}.{command}_case", stopped)
    options = ["--goal", "a", "--goal", "b"] if command == "trade" else []
    found = CliRunner().invoke(app, [command, str(tmp_path), "-q", *options])
    assert found.exit_code == 130
    assert found.stderr.startswith("rerad: stopped; ")
    assert "goes on from here" in found.stderr
    assert found.stdout == ""


def test_export_takes_the_plan_made_last_on_a_trade_too(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_text("", encoding="utf-8")
    for age, name in ((30, "result"), (20, "plan"), (10, "trade")):
        folder = tmp_path / name
        (folder / "dicom").mkdir(parents=True)
        (folder / "dicom" / "RTPLAN.dcm").touch()
        (folder / "run.json").touch()
        os.utime(folder / "run.json", (1e9 - age, 1e9 - age))
    assert latest_plan_folder(tmp_path) == tmp_path / "trade"
    os.utime(tmp_path / "plan" / "run.json", (1e9, 1e9))
    assert latest_plan_folder(tmp_path) == tmp_path / "plan"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device"), "could not be written: No space left on device"),
        (PermissionError(13, "Permission denied", "/x/plan"), "/x/plan: Permission denied"),
    ],
)
def test_a_full_or_locked_disk_is_one_sentence(
    tmp_path: Path, monkeypatch, error: OSError, said: str
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("rerad.cli.plan.plan_case", fails)
    found = CliRunner().invoke(app, ["plan", str(tmp_path), "-q"])
    assert found.exit_code == 1
    assert found.stderr.startswith("rerad: ")
    assert found.stderr.endswith(f"{said}\n")
    assert found.stderr.count("\n") == 1
