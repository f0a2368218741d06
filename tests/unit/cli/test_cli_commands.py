"""Commands: exit codes, one JSON document on stdout, one sentence on failure."""

import json
from pathlib import Path

from typer.testing import CliRunner

from rerad import __version__
from rerad.cli.console import ExitCode
from rerad.cli.main import app

RUNNER = CliRunner()


def test_version() -> None:
    result = RUNNER.invoke(app, ["--version"])
    assert result.exit_code == ExitCode.DONE
    assert result.stdout.strip() == f"rerad {__version__}"


def test_usage_errors_leave_with_two() -> None:
    assert RUNNER.invoke(app, ["run"]).exit_code == ExitCode.USAGE
    assert RUNNER.invoke(app, ["no-such-command"]).exit_code == ExitCode.USAGE
    assert RUNNER.invoke(app, ["run", "x", "--no-such-option"]).exit_code == ExitCode.USAGE


def test_schema_is_json() -> None:
    result = RUNNER.invoke(app, ["schema"])
    assert result.exit_code == ExitCode.DONE
    assert "prior_course" in json.loads(result.stdout)["properties"]


def test_a_missing_case_fails_with_one_sentence(tmp_path: Path) -> None:
    for command in ("check", "run"):
        result = RUNNER.invoke(app, [command, str(tmp_path / "nowhere")])
        assert result.exit_code == ExitCode.FAILED
        assert "rerad import FOLDER --case" in result.stderr
        assert "Traceback" not in result.stderr


def test_failures_are_json_too(tmp_path: Path) -> None:
    result = RUNNER.invoke(app, ["check", str(tmp_path / "nowhere"), "--json"])
    assert result.exit_code == ExitCode.FAILED
    document = json.loads(result.stdout)
    assert document["status"] == "failed"
    assert document["kind"] == "CaseError"


def test_a_folder_that_is_not_ours_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "out" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("ten years of work", encoding="utf-8")
    result = RUNNER.invoke(app, ["demo", "--quick", "--quiet", "--out", str(precious.parent)])
    assert result.exit_code == ExitCode.FAILED
    assert "is not an earlier result of rerad" in result.stderr
    assert precious.read_text(encoding="utf-8") == "ten years of work"


def test_importing_nothing_fails(tmp_path: Path) -> None:
    result = RUNNER.invoke(
        app, ["import", str(tmp_path / "nowhere"), "--case", str(tmp_path / "case")]
    )
    assert result.exit_code == ExitCode.FAILED
    assert "expected a folder" in result.stderr
    assert not (tmp_path / "case").exists()
