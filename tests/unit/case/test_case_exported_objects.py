"""What goes to another planning system: objects that its importer can take, judged from outside.

Eclipse takes structure names of at most 16 characters and closed planar contours on the slices of
the image; every system needs one frame of reference through image, structures, plan and dose.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.case import read_case, write_case
from rerad.case.budget import budget_case
from rerad.case.export_limits import export_limits
from rerad.case.files import CASE_FILE_NAME
from rerad.case.history_schema import PointDoseTable, PriorCourseTable
from rerad.core import Dose, DoseQuantity
from rerad.dicom import DoseDerivation


def quiet(_what, _share):
    """Say nothing."""


@pytest.fixture
def exported(tiny_case, tiny, tmp_path) -> tuple[Path, list[pydicom.Dataset]]:
    """Limits of the tiny patient, her earlier course known from one organ; and her CT."""
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    point = PointDoseTable(structure="SacralPlex_R", max_gy=45.0, source="summary sheet")
    blank = {"dose_uid": "", "plan_uid": "", "structure_set_uid": "", "ct_series_uid": ""}
    old = file.prior_course[0].model_dump()
    prior = PriorCourseTable(**{**old, **blank, "point_doses": (point,)})
    planning = file.planning.model_copy(update={"rule_set": "umich", "recovery_table": "umich"})
    write_case(file.model_copy(update={"prior_course": (prior,), "planning": planning}), path)
    budget = budget_case(tiny_case, progress=quiet)
    # Two limits hold for the one organ: that of the rule set and the case's own goal.
    assert [item.structure for item in budget.limits] == ["SacralPlex_R", "SacralPlex_R"]
    export_limits(budget, [35.0, 32.0], tmp_path / "limits")
    uid = budget.loaded.inputs.image.series_uid
    slices = [pydicom.dcmread(p, stop_before_pixels=True) for p in tiny.folder.rglob("*.dcm")]
    return tmp_path / "limits", [d for d in slices if d.SeriesInstanceUID == uid]


def test_an_importer_finds_what_it_needs(exported):
    folder, slices = exported
    heights = {d.SOPInstanceUID: float(d.ImagePositionPatient[2]) for d in slices}
    drawn = pydicom.dcmread(folder / "RTSTRUCT_limits.dcm")
    plan = pydicom.dcmread(folder / "RTPLAN_limits.dcm")
    doses = [pydicom.dcmread(path) for path in sorted(folder.glob("RTDOSE_*.dcm"))]
    names = [roi.ROIName for roi in drawn.StructureSetROISequence]
    assert len(set(names)) == len(names) > 1
    assert max(len(name) for name in [*names, drawn.StructureSetLabel]) <= 16
    kinds = {item.RTROIInterpretedType for item in drawn.RTROIObservationsSequence}
    assert kinds == {"AVOIDANCE"}
    for roi in drawn.ROIContourSequence:
        for contour in roi.ContourSequence:
            assert contour.ContourGeometricType == "CLOSED_PLANAR"
            points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
            assert contour.NumberOfContourPoints == len(points) >= 3
            (image,) = contour.ContourImageSequence
            assert set(points[:, 2]) == {heights[image.ReferencedSOPInstanceUID]}
    frames = {d.FrameOfReferenceUID for d in (drawn, plan, *doses, *slices)}
    frames |= {roi.ReferencedFrameOfReferenceUID for roi in drawn.StructureSetROISequence}
    frames |= {item.FrameOfReferenceUID for item in drawn.ReferencedFrameOfReferenceSequence}
    assert len(frames) == 1
    assert len({d.StudyInstanceUID for d in (drawn, plan, *doses, *slices)}) == 1
    assert len({d.PatientID for d in (drawn, plan, *doses, *slices)}) == 1
    for dose in doses:
        assert (dose.DoseUnits, dose.DoseType, dose.DoseSummationType) == (
            "GY",
            "PHYSICAL",
            "PLAN",
        )
        assert float(dose.DoseGridScaling) > 0
        assert float(dose.GridFrameOffsetVector[0]) == 0
        assert len(dose.GridFrameOffsetVector) == dose.NumberOfFrames
        assert dose.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID == plan.SOPInstanceUID
        # 16 bits: the step is far below what anybody plans to.
        assert float(dose.DoseGridScaling) < 0.005


@pytest.mark.parametrize("tool", ["dciodvfy", "dcmdump", "drtdump"])
def test_readers_that_are_not_rerad_find_no_fault(exported, tiny, tmp_path, tool):
    beside = Path(sys.executable).parent / tool
    found = str(beside) if beside.exists() else shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed here")
    folder, _ = exported
    whole = np.full(tiny.today.grid.shape, 40.0, dtype=np.float32)
    whole[:2] = np.nan
    plan = dicom.PlanReference("1.2.3.77", tiny.today.grid.frame_uid)
    dicom.write_dose(
        Dose(whole, tiny.today.grid, DoseQuantity.EQD2, 2.0),
        dicom.read_patient(folder / "RTSTRUCT_limits.dcm"),
        folder / "sum.dcm",
        study=dicom.StudyHeader(study_uid="1.2.3.8"),
        plans=(plan, dicom.PlanReference("1.2.3.78")),
        derivation=DoseDerivation(True, True, True, "linear-quadratic", "none", "paper record"),
        unknown_as_zero=True,
    )
    files = sorted(folder.glob("*.dcm"))
    assert len(files) >= 5
    for path in files:
        done = subprocess.run(
            [found, str(path)], capture_output=True, text=True, check=False, timeout=60
        )
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error")]
        assert (done.returncode, errors) == (0, []), path.name
        if tool != "dciodvfy":
            assert done.stderr == "", path.name


def test_plan_and_doses_carry_the_grade_of_the_record(exported):
    """Whoever gets the objects alone must see that the earlier course was known from points."""
    folder, _ = exported
    words = "poorest record of earlier courses: dvh or point doses only"
    plan = pydicom.dcmread(folder / "RTPLAN_limits.dcm")
    assert words in plan.RTPlanDescription.lower()
    doses = [pydicom.dcmread(path) for path in folder.glob("RTDOSE_*.dcm")]
    assert doses
    assert all(words in dose.DerivationDescription.lower() for dose in doses)
