"""From DICOM to targets: nerves measured, volumes written with their holes, pictures drawn."""

import json
import tomllib
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
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
    PetAcquisition,
    StructureKind,
    StructureSet,
)
from rerad.phantoms.tubes import TubeScan, TubeShape, blurred_tube, scan_tube, tube_grid
from rerad.structures import contours_from_mask, rasterize

FRAME = "1.2.3"
RUNNER = CliRunner()
RECIPE = """
label = "Nerve targets of a test"
[nerves]
ct_fwhm_mm = [1.0, 1.0, 0.0]
pet_fwhm_mm = [5.0, 5.0, 5.0]
pet_fwhm_sd_mm = 0.3
[nerves.roots]
L5_R = "NervRoot_L5_R"
L5_L = "NervRoot_L5_L"
[nerves.references]
"blood pool" = ["Blood"]
[[step]]
name = "GTVn_4000"
kind = "GTV"
operation = "union"
of = ["Drawn"]
accepted_by = "Dr A. Reader"
[[step]]
name = "CTV_3600"
kind = "CTV"
operation = "along_nerve"
of = ["GTVn_4000"]
along = ["L5_R"]
towards_spine_mm = 4
outward_mm = 4
radial_mm = 5
nerve_radius_mm = 2.6
cut_at = ["Hole"]
[[step]]
name = "PTV_3600"
kind = "PTV"
operation = "margin"
of = ["CTV_3600"]
margin_mm = 3
"""


def shapes() -> tuple[TubeShape, TubeShape]:
    """A thick tube on the right, a normal one on the left."""
    right = TubeShape(9.0, tilt_deg=10, turn_deg=0, offset_mm=(-16.0, 0.3, 0.0))
    return right, TubeShape(5.2, tilt_deg=10, turn_deg=0, offset_mm=(16.0, 0.3, 0.0))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """CT, PET and structures of two tubes, as files."""
    out = tmp_path_factory.mktemp("two-nerves")
    ct_grid = tube_grid((1.0, 1.0, 2.0), (72, 44, 52), FRAME)
    pet_grid = tube_grid((4.0, 4.0, 4.0), (72, 48, 56), FRAME)
    right, left = shapes()
    ct = scan_tube(right, TubeScan(ct_grid, (1, 1, 0), -100, 134, 10.0), Modality.CT)
    hu = np.rint(ct.values + 134 * blurred_tube(left, ct_grid, (1, 1, 0))).astype(np.int16)
    suv = scan_tube(right, TubeScan(pet_grid, (5,) * 3, 0.5, 5.0, 0.05), Modality.PET).values
    suv = np.maximum(suv + 0.3 * blurred_tube(left, pet_grid, (5, 5, 5)), 0)
    facts = PetAcquisition(70.0, 350e6, 6586.2, 6586.2, "START", "FDG 18F")
    uids = dicom.UidFactory("two nerves")
    header = dicom.StudyHeader(uids.new("study"), date(2024, 3, 5), uids=uids)
    patient = Patient("NERVE-1", sex="F")
    image = dicom.write_image(
        Image(hu, ct_grid, Modality.CT, ImageUnit.HU), patient, out / "ct", study=header
    )
    pet = Image(
        suv * 2500, pet_grid, Modality.PET, ImageUnit.BQML, acquired=date(2024, 3, 5), pet=facts
    )
    dicom.write_image(pet, patient, out / "pt", study=header)
    dicom.write_structure_set(
        drawn(ct_grid, right, left), image, patient, out / "rs.dcm", study=header
    )
    return out


def drawn(grid: Grid, right: TubeShape, left: TubeShape) -> StructureSet:
    z, _, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    thick = right.inside(grid) > 0.5
    masks = {
        "NervRoot_L5_R": (thick, StructureKind.OAR),
        "NervRoot_L5_L": (left.inside(grid) > 0.5, StructureKind.OAR),
        "Drawn": (thick & (np.abs(z) <= 10), StructureKind.GTV),
        "Blood": ((np.abs(x) <= 6) & (np.abs(z) <= 20), StructureKind.OAR),
        # A bone in the middle of the volume, which leaves a hole.
        "Hole": ((np.abs(x + 10) <= 1.2) & (np.abs(z) <= 6), StructureKind.OAR),
    }
    return StructureSet(
        "drawn",
        tuple(contours_from_mask(m, grid, name=n, kind=k) for n, (m, k) in masks.items()),
    )


@pytest.fixture(scope="module")
def made(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    out = tmp_path_factory.mktemp("made") / "targets"
    recipe = out.parent / "recipe.toml"
    recipe.write_text(RECIPE, encoding="utf-8")
    result = RUNNER.invoke(
        app, ["target", str(folder), "--recipe", str(recipe), "--out", str(out), "--json", "-q"]
    )
    assert result.exit_code == ExitCode.DONE, result.stdout
    return json.loads(result.stdout), out


def test_the_thick_root_is_flagged_and_the_other_is_not(made) -> None:
    nerves = {row["name"]: row for row in made[0]["nerves"]}
    assert nerves["L5_R"]["is_flagged"]
    assert nerves["L5_R"]["diameter_mm"] == pytest.approx(9.0, abs=0.3)
    assert nerves["L5_R"]["suv_recovered"] == pytest.approx(5.5, rel=0.15)
    assert not nerves["L5_L"]["is_flagged"]
    assert nerves["L5_L"]["diameter_mm"] == pytest.approx(5.2, abs=0.3)
    assert all("not validated" in rule["text"] for rule in nerves["L5_R"]["rules"])
    assert "nerve-flagged" in {finding["code"] for finding in made[0]["findings"]}


def test_clicks_of_recipe_and_command_line_are_tracked(folder: Path, tmp_path: Path) -> None:
    """Three points on each root, 0.5 mm off; contours are used for neither path nor diameter."""
    right, left = (shape.centre_line(20.0, 20.0)[::-1] + 0.3 for shape in shapes())
    rows = ", ".join(f"[{x:.2f}, {y:.2f}, {z:.2f}]" for x, y, z in right)
    recipe = tmp_path / "recipe.toml"
    text = RECIPE.replace('L5_R = "NervRoot_L5_R"\nL5_L = "NervRoot_L5_L"\n', "")
    assert text != RECIPE
    clicked = f"[nerves.clicks]\nL5_R = [{rows}]\n[nerves.references]"
    recipe.write_text(text.replace("[nerves.references]", clicked), encoding="utf-8")
    out = tmp_path / "out"
    words = ["target", str(folder), "--recipe", str(recipe), "--out", str(out), "--json", "-q"]
    for x, y, z in left:
        words += ["--click", f"L5_L={x:.2f},{y:.2f},{z:.2f}"]
    result = RUNNER.invoke(app, words)
    assert result.exit_code == ExitCode.DONE, result.stdout
    document = json.loads(result.stdout)
    assert {p["from"] for p in document["paths"].values()} == {
        "clicked points, tracked between them"
    }
    assert document["images"]["PET"]["method"] == "shares the planning CT's frame of reference"
    nerves = {row["name"]: row for row in document["nerves"]}
    assert nerves["L5_R"]["diameter_mm"] == pytest.approx(9.0, abs=0.3)
    assert nerves["L5_L"]["diameter_mm"] == pytest.approx(5.2, abs=0.3)
    assert nerves["L5_R"]["is_flagged"]
    words[-1] = "L5_L=1,2"
    result = RUNNER.invoke(app, words)
    assert result.exit_code == ExitCode.FAILED
    assert "expected NAME=x,y,z in mm" in result.stdout


def test_bone_points_make_a_proposal_that_nothing_is_measured_along(
    folder: Path, tmp_path: Path
) -> None:
    """It is drawn and written as clicks to correct; a volume along it is refused."""
    points = "foramen_S1_R = [-6.0, 2.0, 18.0]\nsciatic_exit_R = [-20.0, 4.0, -18.0]\n"
    table = f"[nerves.bone_points]\n{points}[nerves.references]"
    text = RECIPE.replace("[nerves.references]", table)
    recipe, out = tmp_path / "recipe.toml", tmp_path / "out"
    recipe.write_text(text, encoding="utf-8")
    words = ["target", str(folder), "--recipe", str(recipe), "--out", str(out), "--json", "-q"]
    result = RUNNER.invoke(app, words)
    assert result.exit_code == ExitCode.DONE, result.stdout
    document = json.loads(result.stdout)
    assert document["paths"]["S1_R"]["from"] == "bone landmarks, first proposal"
    assert document["paths"]["S1_R"]["uncertainty_mm"] is None
    assert "S1_R" not in {row["name"] for row in document["nerves"]}
    assert "nerve-path-proposed" in {finding["code"] for finding in document["findings"]}
    assert (out / "proposal.png").is_file()
    clicks = tomllib.loads((out / "proposed_clicks.toml").read_text())["nerves"]["clicks"]
    assert clicks["S1_R"][0] == pytest.approx([-6.0, 2.0, 18.0], abs=0.1)
    assert clicks["S1_R"][-1] == pytest.approx([-20.0, 4.0, -18.0], abs=0.1)
    recipe.write_text(text.replace('along = ["L5_R"]', 'along = ["S1_R"]'), encoding="utf-8")
    result = RUNNER.invoke(app, words)
    assert result.exit_code == ExitCode.FAILED
    assert "S1_R is only a first proposal from bone points" in result.stdout


PROPOSED = """
[[proposal]]
name = "zPET_tube"
method = "region_in_tube"
along = "L5_R"
tube_radius_mm = 7
threshold = 2.5
seed_mm = [-16.0, 0.0, 0.0]
reach_mm = 20
[[proposal]]
name = "zPET_41"
method = "share_of_maximum"
share = 0.41
seed_mm = [-16.0, 0.0, 0.0]
reach_mm = 20
"""


def run_recipe(folder: Path, tmp_path: Path, text: str):
    recipe, out = tmp_path / "recipe.toml", tmp_path / "out"
    recipe.write_text(text, encoding="utf-8")
    words = ["target", str(folder), "--recipe", str(recipe), "--out", str(out), "--json", "-q"]
    return RUNNER.invoke(app, words), out


def test_outlines_on_pet_are_proposed_apart_and_labelled(folder: Path, tmp_path: Path) -> None:
    """In a structure set of their own, each with method, source and what is below resolution."""
    result, out = run_recipe(folder, tmp_path, RECIPE + PROPOSED)
    assert result.exit_code == ExitCode.DONE, result.stdout
    document = json.loads(result.stdout)
    rows = {row["name"]: row for row in document["proposals"]}
    assert rows["zPET_41"]["method"] == "share of the SUVmax"
    assert "doi" in rows["zPET_41"]["source"]
    assert rows["zPET_tube"]["threshold_suv"] == 2.5
    assert not any(row["is_accepted"] for row in rows.values())
    codes = [finding["code"] for finding in document["findings"]]
    assert codes.count("outline-proposed") == 2
    # The tube runs on beyond the 20 mm allowed.
    assert codes.count("outline-at-reach") == 2
    ct = dicom.read_image(sorted((folder / "ct").iterdir()))
    found = dicom.read_structure_set(out / "RTSTRUCT_proposals.dcm", ct)
    assert set(found.names) == set(rows)
    assert not {s.kind for s in found.structures} & {StructureKind.GTV, StructureKind.CTV}
    targets = dicom.read_structure_set(out / "RTSTRUCT_targets.dcm", ct)
    assert not set(targets.names) & set(rows)
    for name, row in rows.items():
        volume_cc = rasterize(found[name], ct.grid).volume_cc
        # PET voxels are 4 mm: their corners are cut where shares are interpolated.
        assert volume_cc == pytest.approx(row["volume_cc"], rel=0.25)


def test_a_proposal_becomes_a_target_on_the_word_of_a_person_only(
    folder: Path, tmp_path: Path
) -> None:
    taken = RECIPE.replace('of = ["Drawn"]', 'of = ["zPET_tube"]') + PROPOSED
    result, _ = run_recipe(folder, tmp_path, taken)
    assert result.exit_code == ExitCode.DONE, result.stdout
    steps = {step["name"]: step for step in json.loads(result.stdout)["steps"]}
    assert steps["GTVn_4000"]["of"] == ["zPET_tube"]
    assert steps["GTVn_4000"]["accepted_by"] == "Dr A. Reader"
    wrong = taken.replace('of = ["CTV_3600"]', 'of = ["zPET_tube"]')
    result, _ = run_recipe(folder, tmp_path, wrong)
    assert result.exit_code == ExitCode.FAILED
    assert "step PTV_3600: zPET_tube is only a proposal" in json.loads(result.stdout)["error"]


def test_every_step_is_kept_with_its_numbers(made) -> None:
    steps = {step["name"]: step for step in made[0]["steps"]}
    assert steps["GTVn_4000"]["accepted_by"] == "Dr A. Reader"
    assert steps["CTV_3600"]["numbers"]["radial_mm"] == 5
    assert steps["PTV_3600"]["volume_cc"] > steps["CTV_3600"]["volume_cc"]
    assert json.loads((made[1] / "targets.json").read_text())["steps"] == made[0]["steps"]


def test_the_structure_set_holds_what_was_made(made, folder: Path) -> None:
    ct = dicom.read_image(sorted((folder / "ct").iterdir()))
    found = dicom.read_structure_set(made[1] / "RTSTRUCT_targets.dcm", ct)
    kinds = {s.name: s.kind for s in found.structures}
    assert kinds == {
        "GTVn_4000": StructureKind.GTV,
        "CTV_3600": StructureKind.CTV,
        "PTV_3600": StructureKind.PTV,
    }
    gtv, ctv, ptv = (rasterize(found[n], ct.grid).on(ct.grid) >= 0.5 for n in kinds)
    assert ctv[gtv].all()
    assert ptv[ctv].all()
    z, _, x = np.meshgrid(*ct.grid.axes_mm[::-1], indexing="ij")
    bone = (np.abs(x + 10) <= 1.2) & (np.abs(z) <= 6)
    assert np.array_equal(ctv & bone, gtv & bone)
    volume = {step["name"]: step["volume_cc"] for step in made[0]["steps"]}
    assert ctv.sum() * ct.grid.voxel_volume_cc == pytest.approx(volume["CTV_3600"], rel=0.03)


def test_pictures_are_drawn_and_not_empty(made) -> None:
    names = {path.stem for path in made[1].glob("*.png")}
    assert names == {"fusion", "target", "straight_L5", "nerve_table"}
    for name in names:
        with Picture.open(made[1] / f"{name}.png") as picture:
            pixels = np.asarray(picture.convert("RGB"), dtype=float)
        assert pixels.shape[1] == 1540
        assert pixels.std() > 20
    target = np.asarray(Picture.open(made[1] / "target.png").convert("RGB"), dtype=int)
    is_red = (target[..., 0] > 200) & (target[..., 1] < 90) & (target[..., 2] < 90)
    is_yellow = (target[..., 0] > 200) & (target[..., 1] > 170) & (target[..., 2] < 60)
    assert is_red.sum() > 200
    assert is_yellow.sum() > 200


def test_a_recipe_that_is_no_recipe_fails_with_one_sentence(folder: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("label = 'x'\n", encoding="utf-8")
    out = tmp_path / "out"
    arguments = ["target", str(folder), "--recipe", str(recipe), "--out", str(out), "-q"]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == ExitCode.FAILED
    assert "expected a recipe with a label and steps" in result.stderr
    assert not out.exists()


def test_without_a_recipe_the_one_beside_the_case_is_followed(tmp_path: Path) -> None:
    case = tmp_path / "case"
    case.mkdir()
    arguments = ["target", str(case), "-q"]
    result = RUNNER.invoke(app, arguments)
    assert result.exit_code == ExitCode.FAILED
    assert f"expected a recipe of targets at {case / 'targets.toml'}, found none" in result.stderr
    (case / "targets.toml").write_text("label = 'x'\n", encoding="utf-8")
    for name in (case, case / "case.toml"):
        result = RUNNER.invoke(app, ["target", str(name), "-q"])
        assert result.exit_code == ExitCode.FAILED
        assert "expected a recipe with a label and steps" in result.stderr
    assert not (case / "targets").exists()
