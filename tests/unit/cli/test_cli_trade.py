"""rerad trade: what it wants to be told, and that errors are one sentence."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rerad.cli.console import ExitCode
from rerad.cli.main import app

runner = CliRunner()


@pytest.mark.parametrize("options", [[], ["--goal", "A D95%", "--at", "A D95%=3"]])
def test_either_goals_or_a_place(tmp_path: Path, options: list[str]) -> None:
    result = runner.invoke(app, ["trade", str(tmp_path), *options])
    assert result.exit_code == ExitCode.USAGE
    assert "--goal (two or three) or --at" in result.output.replace("\n", " ")


def test_one_goal_is_refused_as_json(tmp_path: Path) -> None:
    result = runner.invoke(app, ["trade", str(tmp_path), "--goal", "A D95%", "--json", "-q"])
    assert result.exit_code == ExitCode.FAILED
    document = json.loads(result.stdout)
    assert document["status"] == "failed"
    assert "two or three goals" in document["error"]


def test_a_place_that_is_no_number_is_said(tmp_path: Path) -> None:
    result = runner.invoke(app, ["trade", str(tmp_path), "--at", "A D95% 3", "-q"])
    assert result.exit_code == ExitCode.FAILED
    assert "GOAL=NUMBER" in result.stderr
