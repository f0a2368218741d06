"""Real anatomy through import and run: a CT as two visits, roots and targets from the bones."""

import json
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage
from typer.testing import CliRunner

from rerad import dicom
from rerad.case import import_folder, read_case, write_case
from rerad.case.history_schema import CourseTable, PrescriptionTable
from rerad.case.schema import AcceptedBreachTable, BeamsTable, PlanningTable
from rerad.cli.main import app
from rerad.core import (
    Dose,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    PatientPosition,
    Plan,
    StructureKind,
    StructureSet,
)
from rerad.dicom import StudyHeader, UidFactory
from rerad.structures import contours_from_mask

pytestmark = [pytest.mark.workflow, pytest.mark.slow, pytest.mark.xdist_group("pelvis")]

PATIENT = Patient("REAL-PELVIS")
ROTATION_DEG = (2.0, -1.0, 3.0)
SHIFT_MM = (9.0, -6.0, 12.0)


@dataclass(frozen=True)
class Pelvis:
    """The CT in LPS order with the masks that are used."""

    hu: np.ndarray
    grid: Grid
    masks: dict[str, np.ndarray]


def read_lps(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return values [k, j, i] with x to the left and y to the back, and the affine in LPS."""
    image = nibabel.as_closest_canonical(nibabel.load(path))
    values = np.asarray(image.dataobj)[::-1, ::-1, :]
    affine = image.affine
    n = np.array(image.shape)
    last = affine[:3, :3] @ [n[0] - 1, n[1] - 1, 0] + affine[:3, 3]
    origin = np.array([-last[0], -last[1], last[2]])
    return values.transpose(2, 1, 0), origin


def load_pelvis(folder: Path, frame_uid: str) -> Pelvis:
    hu, origin = read_lps(folder / "ct.nii.gz")
    grid = Grid(hu.shape, tuple(origin), (3.0, 3.0, 3.0), frame_uid)
    names = {
        "Sacrum": "sacrum",
        "Bladder": "urinary_bladder",
        "Colon_Sigmoid": "colon",
        "Bowel_Small": "small_bowel",
    }
    masks = {
        ours: read_lps(folder / "masks" / f"{theirs}.nii.gz")[0] > 0
        for ours, theirs in names.items()
    }
    labels, _ = ndimage.label(hu > -400)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    body = ndimage.binary_fill_holes(labels == largest)
    masks["Body"] = np.stack([ndimage.binary_fill_holes(plane) for plane in body])
    return Pelvis(np.rint(hu).astype(np.int16), grid, masks | draw_root(masks["Sacrum"], grid))


def draw_root(sacrum: np.ndarray, grid: Grid) -> dict[str, np.ndarray]:
    """Draw a right root that leaves the sacrum's front and runs down and out to the right."""
    inside = grid.points(np.argwhere(sacrum))
    top, front = inside[:, 2].max(), np.percentile(inside[:, 1], 5)
    middle = inside[:, 0].mean()
    t = np.linspace(0, 1, 60)[:, None]
    path = np.array([middle - 18, front + 4, top - 15]) + t * np.array([-22.0, 12.0, -45.0])
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    distance = np.full(grid.shape, np.inf)
    for px, py, pz in path:
        np.minimum(distance, (x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2, out=distance)
    distance = np.sqrt(distance)
    return {
        "SacralPlex_R": distance < 8,
        "GTVn_3000": distance < 6,
        "PTV_3000": distance < 11,
    }


def structures(pelvis: Pelvis, names: list[str], label: str) -> StructureSet:
    kinds = {"Body": StructureKind.EXTERNAL, "GTVn_3000": StructureKind.GTV}
    kinds["PTV_3000"] = StructureKind.PTV
    return StructureSet(
        label,
        tuple(
            contours_from_mask(
                pelvis.masks[name],
                pelvis.grid,
                name=name,
                kind=kinds.get(name, StructureKind.OAR),
            )
            for name in names
        ),
    )


def moved(pelvis: Pelvis, values: np.ndarray, outside: float) -> np.ndarray:
    """Return values as they lay at the earlier visit: today's, moved by the known transform."""
    image = sitk.GetImageFromArray(values.astype(np.float32))
    image.SetSpacing(pelvis.grid.spacing_mm)
    image.SetOrigin(pelvis.grid.origin_mm)
    return sitk.GetArrayFromImage(
        sitk.Resample(image, image, to_today(pelvis), sitk.sitkLinear, outside)
    )


def to_today(pelvis: Pelvis) -> sitk.Euler3DTransform:
    centre = [
        float((a + b) / 2) for a, b in zip(pelvis.grid.origin_mm, pelvis.grid.end_mm, strict=True)
    ]
    transform = sitk.Euler3DTransform()
    transform.SetCenter(centre)
    transform.SetRotation(*np.deg2rad(ROTATION_DEG))
    transform.SetTranslation(SHIFT_MM)
    return transform


@pytest.fixture(scope="module")
def case(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pelvis]:
    folder = tmp_path_factory.mktemp("pelvis")
    uids = UidFactory("real pelvis")
    today = load_pelvis(shared_data / "pelvis_ct", uids.new("frame"))
    header = StudyHeader(study_uid=uids.new("study"), uids=uids)
    write_today(today, folder / "dicom", header)
    write_prior(today, folder / "dicom", uids)
    report = import_folder(folder / "dicom", folder / "case")
    assert not report.skipped
    file = read_case(report.case_file)
    prior = file.prior_course[0].model_copy(
        update={"n_fractions_planned": 25, "n_fractions_delivered": 25, "interval_months": 30.0}
    )
    write_case(
        file.model_copy(
            update={
                "prior_course": (prior,),
                "current_course": CourseTable(
                    name="Course 2",
                    prescriptions=(PrescriptionTable(structure="PTV_3000", dose_gy=30.0),),
                    n_fractions_planned=15,
                    n_fractions_delivered="unknown",
                ),
                "planning": PlanningTable(
                    **{
                        **file.planning.model_dump(),
                        "dose_grid_mm": 5.0,
                        "max_evaluations": 60,
                        "n_correction_passes": 1,
                    }
                ),
                "beams": BeamsTable(
                    **{
                        **file.beams.model_dump(),
                        "gantry_angles_deg": (0.0, 51.0, 103.0, 154.0, 206.0, 257.0, 309.0),
                    }
                ),
                "goals": ("1: PTV_3000 D95% >= 90%", "Body Dmax <= 36 Gy"),
                "accepted_breach": (
                    AcceptedBreachTable(structure="SacralPlex_R", reason="the target"),
                ),
            }
        ),
        report.case_file,
    )
    return folder, today


def write_today(pelvis: Pelvis, folder: Path, header: StudyHeader) -> None:
    image = Image(pelvis.hu, pelvis.grid, Modality.CT, ImageUnit.HU, description="today")
    image = dicom.write_image(image, PATIENT, folder / "today", study=header)
    names = ["Body", "GTVn_3000", "PTV_3000", "SacralPlex_R", "Bladder", "Colon_Sigmoid"]
    drawn = structures(pelvis, [*names, "Bowel_Small"], "today")
    dicom.write_structure_set(drawn, image, PATIENT, folder / "rs.dcm", study=header)


def prior_dose_today(pelvis: Pelvis) -> np.ndarray:
    """Return the earlier dose in today's geometry: 45 Gy in a block around the sacrum."""
    z, y, x = np.meshgrid(*pelvis.grid.axes_mm[::-1], indexing="ij")
    centre = pelvis.grid.points(np.argwhere(pelvis.masks["Sacrum"])).mean(axis=0)
    dose = np.full(pelvis.grid.shape, 45.0)
    for axis, half_mm, values in ((0, 70.0, x), (1, 60.0, y), (2, 80.0, z)):
        outside_mm = np.abs(values - centre[axis]) - half_mm
        dose *= 1 / (1 + np.exp(np.clip(outside_mm / 4, -50, 50)))
    return dose


def write_prior(pelvis: Pelvis, folder: Path, uids: UidFactory) -> None:
    """Write the earlier CT and its dose; plan and structures were not sent."""
    header = StudyHeader(study_uid=uids.new("study"), uids=uids)
    grid = Grid(pelvis.grid.shape, pelvis.grid.origin_mm, (3.0, 3.0, 3.0), uids.new("frame"))
    hu = np.rint(moved(pelvis, pelvis.hu, -1000.0)).astype(np.int16)
    image = Image(hu, grid, Modality.CT, ImageUnit.HU, description="earlier")
    image = dicom.write_image(image, PATIENT, folder / "earlier", study=header)
    not_sent = Plan(
        label="earlier",
        frame_uid=grid.frame_uid,
        patient_position=PatientPosition.HFS,
        machine_name="ELSEWHERE",
        n_fractions_planned=25,
        prescriptions=(),
        beams=(),
        instance_uid=uids.new("plan"),
    )
    dose = np.maximum(moved(pelvis, prior_dose_today(pelvis), 0.0), 0.0)
    dicom.write_dose(Dose(dose, grid), PATIENT, folder / "rd.dcm", study=header, plans=(not_sent,))


@pytest.fixture(scope="module")
def result(case: tuple[Path, Pelvis]) -> dict:
    folder, _ = case
    done = CliRunner().invoke(app, ["run", str(folder / "case"), "--json", "--quiet"])
    assert done.exit_code in {0, 3}, done.stderr
    run = (folder / "case" / "result" / "run.json").read_text(encoding="utf-8")
    return {**json.loads(done.stdout), "run": json.loads(run)}


def test_registration_finds_the_known_motion(case, result) -> None:
    _, pelvis = case
    matrix = np.array(result["run"]["registration"][0]["matrix"])
    bone = pelvis.grid.points(np.argwhere(pelvis.masks["Sacrum"])[::50])
    forward = to_today(pelvis)  # resampling pulls: today's point of each earlier point
    earlier = np.array([forward.GetInverse().TransformPoint(point) for point in bone])
    found = earlier @ matrix[:3, :3].T + matrix[:3, 3]
    assert np.linalg.norm(found - bone, axis=1).max() < 1.0


def test_the_earlier_dose_arrives_where_it_was_given(case, result) -> None:
    folder, pelvis = case
    written = dicom.read_effective_dose(
        folder / "case" / "result" / "dicom" / "RTDOSE_EQD2_ab2_planned.dcm"
    )
    plan = dicom.read_dose(folder / "case" / "result" / "dicom" / "RTDOSE_physical_planned.dcm")
    # Far from the new target, in the middle of the earlier block, the sum is the earlier EQD2.
    centre = pelvis.grid.points(np.argwhere(pelvis.masks["Sacrum"])).mean(axis=0)
    point = centre + np.array((45.0, -20.0, -30.0))
    k, j, i = np.rint(written.grid.indices(point)).astype(int)
    kp, jp, ip = np.rint(plan.grid.indices(written.grid.points((k, j, i)))).astype(int)
    own_gy = float(plan.values[kp, jp, ip])
    expected = 42.75 + own_gy * (own_gy / 15 + 2) / 4  # 45 Gy in 25 fractions, alpha/beta 2
    assert float(written.values[k, j, i]) == pytest.approx(expected, abs=0.5)


def test_target_is_covered_and_organs_respect_the_sum(result) -> None:
    rows = {(row["structure"], row["metric"]): row for row in result["summary"]}
    assert rows["PTV_3000", "D95%"]["verdict"] == "met"
    for organ in ("Colon_Sigmoid", "Bowel_Small", "Bladder"):
        row = rows[organ, "D0.5cc"]
        assert row["verdict"] in {"met", "unknown"}, row
    grades = {finding["code"] for finding in result["findings"]}
    assert "record-incomplete" in grades
    assert "interval-unknown" not in grades


def test_what_is_unknown_is_drawn(case, result) -> None:
    """The earlier CT, moved, does not cover all of today's: the rest is a structure, not zero."""
    folder, _ = case
    drawn = dicom.read_structure_set(folder / "case" / "result" / "dicom" / "RTSTRUCT.dcm")
    assert "zPriorUnknown" in drawn
    assert "prior-dose-outside-grid" in {finding["code"] for finding in result["findings"]}
