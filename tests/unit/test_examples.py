"""The examples run and print the numbers that their text promises."""

import re
import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, list[float]]:
    """Return the numbers of each printed row by the words that it starts with."""
    runpy.run_path(str(EXAMPLES / "remaining_tolerance.py"), run_name="__main__")
    found: dict[str, list[float]] = {}
    for line in capsys.readouterr().out.splitlines():
        words = re.split(r"\s{2,}", line.strip())
        numbers = [float(n) for n in re.findall(r"\d+\.\d\d(?!\d)", " ".join(words[1:]))]
        if numbers:
            found[words[0]] = numbers
    return found


def test_courses_in_eqd2_and_bed(lines: dict[str, list[float]]) -> None:
    assert lines["course 1, tumour"] == [57.75, 67.10]
    assert lines["course 1, pelvis"] == [42.75, 53.10]
    assert lines["course 2, planned"] == [38.18, 47.27]
    assert lines["course 2, given"] == [25.65, 31.86]


def test_what_the_michigan_limit_leaves_in_22_fractions(lines: dict[str, list[float]]) -> None:
    assert lines["0-3 months"] == [17.21, 31.06]
    assert lines["3-6 months"] == [23.17, 34.59]
    assert lines["6-12 months"] == [30.99, 39.53]
    assert lines["12-36 months"] == [42.09, 47.05]


def test_sums_without_recovery(lines: dict[str, list[float]]) -> None:
    assert lines["after course 1, tumour"] == [95.93, 83.40]
    assert lines["after course 1, pelvis"] == [80.93, 68.40]


def test_limits_on_the_raw_sum_and_the_contradiction(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runpy.run_path(str(EXAMPLES / "remaining_tolerance.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "limit D0.1cc 67 Gy (a/b 2), any interval" in out
    assert "limit D0.1cc 85 Gy (a/b 2), 12 months or more" in out
    assert "15 make 27.27 Gy" in out
