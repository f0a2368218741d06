"""``rerad dose`` on plans of a clinical system: ten open fields and two arcs, in water."""

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from rerad import dicom
from rerad.cli.console import ExitCode
from rerad.cli.main import app
from rerad.core import (
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    StructureKind,
    StructureSet,
)
from rerad.dicom import StudyHeader, UidFactory
from rerad.dicom.plan_beams import read_plan_beams
from rerad.structures import contours_from_mask

pytestmark = pytest.mark.workflow

RUNNER = CliRunner()


Point = tuple[float, float, float]


def water_case(folder: Path, plan: Path, low_mm: Point, high_mm: Point, spacing: float) -> Path:
    """Write the water that a plan was made in: a box around the isocentre.

    Structure set and patient take the identifiers that the plan refers to.
    """
    read = pydicom.dcmread(plan, force=True)
    isocenter = [float(v) for v in read.BeamSequence[0].ControlPointSequence[0].IsocenterPosition]
    low = np.add(isocenter, low_mm)
    high = np.add(isocenter, high_mm)
    n = [int(v) for v in np.rint((high - low + 40) / spacing)]
    start = [float(v) for v in low - 20 + 0.5 * spacing]
    uids = UidFactory(str(plan.name))
    grid = Grid(
        (n[2], n[1], n[0]),
        (start[0], start[1], start[2]),
        (spacing, spacing, spacing),
        uids.new("frame"),
    )
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    inside = np.ones(grid.shape, dtype=bool)
    for axis, first, last in zip((x, y, z), low, high, strict=True):
        inside &= (axis > first) & (axis < last)
    patient = Patient(str(read.PatientID), "Water^Box", sex="O")
    header = StudyHeader(study_uid=uids.new("study"), uids=uids)
    values = np.where(inside, 0, -1000).astype(np.int16)
    image = dicom.write_image(
        Image(values, grid, Modality.CT, ImageUnit.HU, description="water"),
        patient,
        folder / "ct",
        study=header,
    )
    body = contours_from_mask(inside, grid, name="Body", kind=StructureKind.EXTERNAL)
    path = folder / "rs.dcm"
    dicom.write_structure_set(StructureSet("water", (body,)), image, patient, path, study=header)
    drawn = pydicom.dcmread(path)
    uid = read.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID
    drawn.SOPInstanceUID = drawn.file_meta.MediaStorageSOPInstanceUID = uid
    drawn.save_as(path)
    return folder


MACHINE = "agility_like_6mv"


def run_dose(*arguments: object) -> dict:
    """Run the command without a dose to compare with, and return what it prints."""
    command = ["dose", *map(str, arguments), "--machine", MACHINE, "--beam", "6X"]
    command += ["--json", "--quiet"]
    result = RUNNER.invoke(app, command)
    assert result.exit_code == ExitCode.DONE, result.output
    return json.loads(result.stdout)


def test_ten_open_fields_of_a_clinical_system(shared_data: Path, tmp_path: Path) -> None:
    plan = shared_data / "elekta_6mv_water" / "06MV_plan.dcm"
    case = water_case(
        tmp_path / "water", plan, (-230.0, -100.0, -230.0), (230.0, 150.0, 230.0), 10.0
    )
    out = tmp_path / "out"
    document = run_dose(plan, "--case", case, "--grid", 10, "--out", out)
    beams = document["beams"]
    assert [beam["meterset_mu"] for beam in beams] == [1000.0] * 10
    stated = np.array([beam["stated_gy"] for beam in beams])
    assert stated.tolist() == [b.stated_dose_gy for b in read_plan_beams(plan)]
    found = np.array([beam["calculated_at_stated_gy"] for beam in beams])
    # Fields of 70 mm and more: on voxels of 10 mm smaller ones lose their middle.
    assert found[4:] / stated[4:] == pytest.approx(1.0, abs=0.02)
    assert np.all(np.diff(found) > 0)
    codes = {finding["code"] for finding in document["findings"]}
    assert {"no-planned-dose", "machine-not-commissioned", "machine-of-another-name"} <= codes
    assert "beam-quality-not-stated" in codes
    assert (out / "report.pdf").is_file()


def test_two_arcs_of_a_clinical_system(shared_data: Path, tmp_path: Path) -> None:
    plan = shared_data / "elekta_6mv_water" / "vmat_example.dcm"
    case = water_case(tmp_path / "water", plan, (-51.0, -51.0, -60.0), (51.0, 51.0, 60.0), 3.0)
    out = tmp_path / "out"
    document = run_dose(plan, "--case", case, "--grid", 4, "--out", out)
    first, second = document["beams"]
    assert first["direction"].startswith("arc 90 to ")
    assert first["n_control_points"] == 32
    # Fields of 16 mm on voxels of 4 mm, in a box for a phantom that is not on record.
    for beam in (first, second):
        assert beam["isocenter_gy"] == beam["calculated_at_stated_gy"]
        assert beam["calculated_at_stated_gy"] == pytest.approx(beam["stated_gy"], rel=0.06)


def test_a_plan_of_another_case_or_machine_is_refused(shared_data: Path, tmp_path: Path) -> None:
    plan = shared_data / "elekta_6mv_water" / "vmat_example.dcm"
    other = shared_data / "elekta_6mv_water" / "06MV_plan.dcm"
    case = water_case(tmp_path / "water", plan, (-50.0, -50.0, -60.0), (50.0, 50.0, 60.0), 5.0)
    command = ["dose", "--case", str(case), "--grid", "5", "--quiet"]
    for path, more, words in (
        (other, ["--machine", MACHINE], "got neither"),
        (plan, [], "is none that rerad knows"),
        (plan, ["--machine", "generic_6mv"], "60 leaf pairs, got 80"),
    ):
        result = RUNNER.invoke(app, [*command, str(path), *more])
        assert result.exit_code == ExitCode.FAILED
        assert words in " ".join(result.output.split())
    assert not (tmp_path / "water-dose-check").exists()
