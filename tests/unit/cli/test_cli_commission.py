"""``rerad commission``: numbers, files, comparison, exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rerad.case.measured import read_measured
from rerad.cli.console import ExitCode
from rerad.cli.main import app

RUNNER = CliRunner()
FIELD = ["commission", "generic_6mv", "--field", "50x100", "--ssd", "900"]
FIELD += ["--engine", "pencil-beam"]


@pytest.fixture(scope="module")
def calculated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV of a field, as the command writes it."""
    path = tmp_path_factory.mktemp("tank") / "calculated.csv"
    result = RUNNER.invoke(app, [*FIELD, "--depths", "100", "--csv", str(path), "--quiet"])
    assert result.exit_code == ExitCode.DONE
    assert "GENERIC_6MV is not a commissioned machine" in result.stdout
    return path


def test_what_is_written_compares_with_itself(calculated: Path, tmp_path: Path) -> None:
    assert [str(c.kind) for c in read_measured(calculated)] == [
        "depth_dose",
        "crossplane",
        "inplane",
    ]
    plot, table = tmp_path / "tank.png", tmp_path / "both.csv"
    more = ["--measured", str(calculated), "--plot", str(plot), "--csv", str(table), "--json"]
    result = RUNNER.invoke(app, [*FIELD, *more])
    assert result.exit_code == ExitCode.DONE
    document = json.loads(result.stdout)
    assert document["status"] == "done"
    assert document["machine"]["is_commissioned"] is False
    assert document["engine"] == "pencil-beam"
    assert document["setup"]["field_mm"] == [50.0, 100.0]
    assert document["n_measured_left_out"] == 0
    for curve in document["curves"]:
        assert np.abs(curve["difference_of_maximum_percent"]).max() < 1e-6
        assert curve["numbers"]["gamma_1_percent_1_mm_pass_percent"] == 100.0
    cross = next(c for c in document["curves"] if c["curve"] == "crossplane")
    # 100 mm deep at SSD 900 is the isocentre plane, where the jaws say the width.
    assert cross["numbers"]["field_width_mm"] == pytest.approx(50.0, abs=0.5)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert table.read_text().splitlines()[0].endswith(",measured,difference_of_maximum_percent")


def test_measurements_of_another_field_are_refused(calculated: Path) -> None:
    other = ["commission", "generic_6mv", "--field", "100x100", "--ssd", "900", "--json", "-q"]
    other += ["--engine", "pencil-beam"]
    result = RUNNER.invoke(app, [*other, "--measured", str(calculated)])
    assert result.exit_code == ExitCode.FAILED
    document = json.loads(result.stdout)
    assert document["kind"] == "CaseError"
    assert "50x100 at 900" in document["error"]


def test_a_profile_that_ends_in_the_field_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    rows = "".join(f"inplane,50,100,900,100,{x},1\n" for x in range(-30, 31, 10))
    path.write_text("curve,field_x_mm,field_y_mm,ssd_mm,depth_mm,position_mm,value\n" + rows)
    result = RUNNER.invoke(app, [*FIELD, "--measured", str(path), "--quiet"])
    assert result.exit_code == ExitCode.FAILED
    assert "inplane at 100 mm: expected a profile that falls below 80 %" in result.stderr


def test_a_slab_changes_the_dose_behind_it(calculated: Path, tmp_path: Path) -> None:
    slab = tmp_path / "slab.toml"
    slab.write_text("[[layers]]\nthickness_mm = 80\ndensity_g_cm3 = 0.26\n")
    result = RUNNER.invoke(app, [*FIELD, "--depths", "100", "--slab", str(slab), "--json", "-q"])
    assert result.exit_code == ExitCode.DONE
    document = json.loads(result.stdout)
    assert len(document["cautions"]) == 3
    assert "behind lung" in document["cautions"][1]
    assert "water of its density" in document["cautions"][2]
    assert document["setup"]["slabs"] == [{"thickness_mm": 80.0, "density_g_cm3": 0.26}]
    water = read_measured(calculated)[0]
    assert document["curves"][0]["dose_gy_per_mu"][150] > 1.1 * water.values[150]


def test_what_cannot_be_done_is_said(tmp_path: Path) -> None:
    for bad in (["--field", "50"], ["--field", "axb"], ["--field", "1x2x3"], ["--depths", "deep"]):
        assert RUNNER.invoke(app, [*FIELD, *bad]).exit_code == ExitCode.USAGE
    assert RUNNER.invoke(app, ["commission", "generic_6mv"]).exit_code == ExitCode.USAGE
    for bad, what in (
        (["--field", "900x50"], "within the jaws"),
        (["--field", "0x50"], "above 0 mm"),
        (["--ssd", "nan"], "above 0 mm"),
        (["--slab", str(tmp_path / "no.toml")], "cannot be read"),
        (["--measured", str(tmp_path / "no.mcc")], "cannot be read"),
    ):
        result = RUNNER.invoke(app, [*FIELD, *bad, "--quiet"])
        assert result.exit_code == ExitCode.FAILED
        assert what in result.stderr
        assert "Traceback" not in result.stderr
    no_beam = RUNNER.invoke(app, [*FIELD, "--beam", "15X", "--quiet"])
    assert no_beam.exit_code == ExitCode.FAILED
    assert "there is no beam 15X; the file has 6X, 6X-FFF" in no_beam.stderr
    nowhere = ["commission", "no_such_machine", "--field", "50x50", "--ssd", "900"]
    assert RUNNER.invoke(app, nowhere).exit_code == ExitCode.FAILED
    unwritable = [*FIELD, "--depths", "100", "--csv", str(tmp_path / "no" / "a.csv"), "-q"]
    result = RUNNER.invoke(app, unwritable)
    assert result.exit_code == ExitCode.FAILED
    assert "expected a place to write to" in result.stderr
