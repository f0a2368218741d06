"""``rerad suv`` on written PET files."""

import json
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from rerad import dicom
from rerad.cli.console import ExitCode
from rerad.cli.main import app
from rerad.core import Grid, Image, ImageUnit, Modality, Patient, PetAcquisition

RUNNER = CliRunner()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A PET of uniform SUV 2 one half life after the injection of 350 MBq into 70 kg."""
    grid = Grid((9, 9, 9), (0.0, 0.0, 0.0), (4.0, 4.0, 4.0), "1.2.3")
    facts = PetAcquisition(70.0, 350e6, 6586.2, 6586.2, "START", "FDG 18F", 1.7)
    image = Image(
        np.full(grid.shape, 5000.0, np.float32),
        grid,
        Modality.PET,
        ImageUnit.BQML,
        acquired=date(2024, 3, 5),
        pet=facts,
    )
    header = dicom.StudyHeader("1.2.3.4", date(2024, 3, 5), uids=dicom.UidFactory("suv"))
    dicom.write_image(image, Patient("SUV-1", sex="F"), tmp_path / "pt", study=header)
    return tmp_path / "pt"


def run(*arguments: object) -> tuple[int, dict]:
    result = RUNNER.invoke(app, ["suv", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_a_folder(folder: Path) -> None:
    code, document = run(folder)
    assert code == ExitCode.DONE
    assert document["suv"]["mean"] == pytest.approx(2.0, rel=1e-4)
    assert document["suv"]["peak_1cc"] == pytest.approx(2.0, rel=1e-4)
    assert document["factor"]["suv_per_unit"] == pytest.approx(70e3 / 175e6)
    assert document["facts"]["injection_to_reference_s"] == pytest.approx(6586.2)
    assert document["facts"]["supplied_by_user"] == []


def test_a_single_file_by_surface(folder: Path) -> None:
    code, document = run(sorted(folder.iterdir())[4], "--kind", "bsa")
    assert code == ExitCode.DONE
    assert document["suv"]["mean"] == pytest.approx(
        5000 * 0.007184 * 70**0.425 * 170**0.725 * 1e4 / 175e6, rel=1e-4
    )
    assert document["suv"]["peak_1cc"] is None
    assert "pet-single-slice" in {finding["code"] for finding in document["findings"]}


def test_a_missing_weight_is_named_and_can_be_supplied(folder: Path) -> None:
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        del dataset.PatientWeight
        dataset.save_as(path)
    code, document = run(folder)
    assert code == ExitCode.FAILED
    assert "patient weight in kg" in document["error"]
    assert "--weight" in document["error"]
    code, document = run(folder, "--weight", 35)
    assert code == ExitCode.DONE
    assert document["suv"]["mean"] == pytest.approx(1.0, rel=1e-4)
    assert document["facts"]["supplied_by_user"] == ["patient_weight_kg"]
    assert any(f["code"] == "suv-fact-supplied" for f in document["findings"])


def test_text_output_says_factor_and_numbers(folder: Path) -> None:
    result = RUNNER.invoke(app, ["suv", str(folder)])
    assert result.exit_code == ExitCode.DONE
    assert "mean 2.000" in result.stdout
    assert "corrected to  START" in result.stdout


def test_bad_values_are_usage_errors(folder: Path) -> None:
    assert RUNNER.invoke(app, ["suv", str(folder), "--weight", "-3"]).exit_code == ExitCode.USAGE
    result = RUNNER.invoke(app, ["suv", str(folder), "--height", "168"])
    assert result.exit_code == ExitCode.USAGE
    assert "mind its unit" in result.stderr
    assert RUNNER.invoke(app, ["suv", str(folder), "--sex", "X"]).exit_code == ExitCode.USAGE


def test_a_folder_without_pet(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, document = run(tmp_path / "empty")
    assert code == ExitCode.FAILED
    assert "error" in document
