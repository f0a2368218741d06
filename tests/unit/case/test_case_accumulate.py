"""`rerad accumulate` on files: frames, fractions, grids, strategies, what is written."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydantic import ValidationError
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SpatialRegistrationStorage, generate_uid
from typer.testing import CliRunner

from rerad import dicom
from rerad.case import read_case, write_case
from rerad.case.accumulate import DoseFile, accumulate_files, write_sums
from rerad.case.accumulate_history import accumulate_case
from rerad.case.budget import budget_case
from rerad.case.deform import DeformableChoice
from rerad.case.files import CASE_FILE_NAME
from rerad.case.history_schema import PriorCourseTable
from rerad.case.load import load_case
from rerad.cli.console import ExitCode
from rerad.cli.main import app
from rerad.core import (
    Contour,
    DisplacementField,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    RecordGrade,
    RigidTransform,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.dicom import PlanReference, StudyHeader
from rerad.errors import CaseError
from rerad.planning import prepare_case
from rerad.radiobiology import eqd2

TODAY, EARLIER = "1.2.826.1", "1.2.826.2"
GRID = Grid((12, 20, 22), (-31.5, -28.5, -16.5), (3.0, 3.0, 3.0), TODAY)
RUNNER = CliRunner()


def quiet(_what, _share):
    """Say nothing."""


def write(path: Path, values, grid, *, patient="P1", plan="1.2.3.9"):
    dicom.write_dose(
        Dose(np.broadcast_to(np.asarray(values, dtype=np.float32), grid.shape).copy(), grid),
        Patient(patient),
        path,
        study=StudyHeader(study_uid="1.2.3.8"),
        plans=(PlanReference(plan, grid.frame_uid),),
        n_bits=32,
    )
    return path


def write_reg(path: Path, matrix, earlier=EARLIER, today=TODAY):
    step = Dataset()
    step.FrameOfReferenceTransformationMatrixType = "RIGID"
    step.FrameOfReferenceTransformationMatrix = [f"{v:.10g}" for v in np.ravel(matrix)]
    whole, one, dataset = Dataset(), Dataset(), Dataset()
    whole.MatrixSequence = Sequence([step])
    one.FrameOfReferenceUID = earlier
    one.MatrixRegistrationSequence = Sequence([whole])
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = SpatialRegistrationStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality, dataset.FrameOfReferenceUID = "REG", today
    dataset.RegistrationSequence = Sequence([one])
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def box(name, low, high):
    square = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    contours = tuple(
        Contour(float(z), square.astype(float)) for z in GRID.axes_mm[2] if low[2] < z < high[2]
    )
    return Structure(name, StructureKind.OAR, TODAY, contours, 3.0)


def test_the_published_course_by_hand(tmp_path):
    files = [
        DoseFile(write(tmp_path / "one.dcm", 45.0, GRID), 25),
        DoseFile(write(tmp_path / "two.dcm", 39.6, GRID, plan="1.2.3.10"), 22, 15),
    ]
    result = accumulate_files(files, [2.0, 10.0], progress=quiet)
    # 45/25 is 42.75 Gy; 15 of 1.8 Gy are 25.65 Gy: fractions are scaled.
    assert np.allclose(result.sums[0].values, 42.75 + 25.65, atol=1e-3)
    assert np.allclose(result.sums[1].values, 44.25 + 26.55, atol=1e-3)
    assert result.sums[0].n_unknown == 0


def test_three_unequal_grids_and_a_registration(tmp_path):
    """Public sum functions crash or reuse the first grid here."""
    matrix = np.eye(4)
    matrix[:3, 3] = (4.0, -2.0, 1.0)
    there = RigidTransform(matrix, EARLIER, TODAY)
    other = Grid((14, 25, 17), (-40.0, -33.0, -22.0), (4.1, 2.7, 3.3), EARLIER)
    third = Grid((9, 13, 16), (-32.0, -24.0, -17.0), (4.5, 4.0, 4.2), TODAY)
    ramp = 20.0 + 0.2 * other.points(np.indices(other.shape).transpose(1, 2, 3, 0))[..., 0]
    files = [
        DoseFile(write(tmp_path / "a.dcm", ramp, other, plan="1.2.3.11"), 10),
        DoseFile(write(tmp_path / "b.dcm", 30.0, third, plan="1.2.3.12"), 15, None, 0.5),
        DoseFile(write(tmp_path / "c.dcm", 20.0, GRID, plan="1.2.3.13"), 10),
    ]
    reg = write_reg(tmp_path / "reg.dcm", matrix)
    result = accumulate_files(files, [3.0], registrations=[reg], progress=quiet)
    total = result.sums[0]
    assert total.grid.has_same_voxels(GRID)
    index = (5, 9, 10)
    x = there.inverse().apply(GRID.points(index))[0]
    physical = 20.0 + 0.2 * x
    first = physical * (physical / 10 + 3) / 5
    expected = first + 0.5 * 30.0 + 20.0
    assert total.values[index] == pytest.approx(expected, abs=0.01)
    # The third grid is smaller than the sum's: unknown there, not zero.
    assert total.n_unknown > 0
    assert np.isnan(total.values[0, 0, 0])
    assert "sum-has-unknown-voxels" in {f.code for f in result.findings}


def test_frames_without_registration_are_never_added(tmp_path):
    other = Grid(GRID.shape, GRID.origin_mm, GRID.spacing_mm, EARLIER)
    files = [
        DoseFile(write(tmp_path / "a.dcm", 30.0, other), 15),
        DoseFile(write(tmp_path / "c.dcm", 20.0, GRID), 10),
    ]
    with pytest.raises(CaseError, match="give a REG with --reg"):
        accumulate_files(files, [3.0], progress=quiet)


def test_two_people_are_never_added(tmp_path):
    files = [
        DoseFile(write(tmp_path / "a.dcm", 30.0, GRID), 15),
        DoseFile(write(tmp_path / "c.dcm", 20.0, GRID, patient="P2"), 10),
    ]
    with pytest.raises(CaseError, match="two people"):
        accumulate_files(files, [3.0], progress=quiet)


def test_the_written_sum_says_what_it_is(tmp_path):
    files = [
        DoseFile(write(tmp_path / "one.dcm", 45.0, GRID), 25, recovery_fraction=0.25),
        DoseFile(write(tmp_path / "two.dcm", 40.0, GRID, plan="1.2.3.10"), 22, 15),
    ]
    result = accumulate_files(files, [2.5], progress=quiet)
    (path,) = write_sums(result, tmp_path / "sum.dcm")
    dataset = pydicom.dcmread(path)
    assert (dataset.DoseType, dataset.DoseSummationType) == ("EFFECTIVE", "MULTI_PLAN")
    codes = {item.CodeValue for item in dataset.DerivationCodeSequence}
    # CP-2379: composed from prior doses, with radiobiology, weighted for fractions delivered.
    assert codes == {"121370", "121377", "121378"}
    assert "25 % of one.dcm" in dataset.DerivationDescription
    again = dicom.read_effective_dose(path)
    assert again.alpha_beta_gy == 2.5
    assert np.allclose(again.values, result.sums[0].values, atol=0.002)


def test_strategies_of_an_organ_on_the_command_line(tmp_path):
    """Two half-organ fields: maxima add to more than any voxel has."""
    x = GRID.axes_mm[0]
    left = np.where(x < 0, 40.0, 5.0)[None, None, :]
    right = np.where(x < 0, 5.0, 30.0)[None, None, :]
    one = write(tmp_path / "one.dcm", left, GRID)
    two = write(tmp_path / "two.dcm", right, GRID, plan="1.2.3.10")
    drawn = StructureSet("rs", (box("SacralPlex_R", (-15, -10, -12), (15, 10, 12)),))
    image = image_of(GRID)
    dicom.write_structure_set(
        drawn, image, Patient("P1"), tmp_path / "rs.dcm", study=StudyHeader(study_uid="1.2.3.8")
    )
    words = ["accumulate", str(one), str(two), "-o", str(tmp_path / "sum.dcm"), "--json", "-q"]
    words += ["--fractions", "20", "--fractions", "15", "--alpha-beta", "2"]
    result = RUNNER.invoke(app, [*words, "--structures", str(tmp_path / "rs.dcm")])
    assert result.exit_code == ExitCode.DONE, result.stderr
    document = json.loads(result.stdout)
    (organ,) = document["organs"]
    high_one, high_two = 40.0, 30.0  # 2 Gy a fraction: EQD2 is the dose
    assert organ["course_maxima_gy"] == pytest.approx([high_one, high_two], abs=1e-3)
    assert organ["sum_of_maxima_gy"] == pytest.approx(70.0, abs=1e-3)
    assert organ["voxel_sum_gy"] < 45
    assert organ["voxel_sum_gy"] <= organ["search_within_gy"] <= organ["sum_of_maxima_gy"] + 1e-4
    # One frame: no registration, no interval.
    assert organ["low_gy"] is None
    assert (tmp_path / "sum.dcm").is_file()


def image_of(grid):
    """Return an empty CT that a structure set can refer to."""
    uids = tuple(generate_uid() for _ in range(grid.shape[0]))
    made = Image(np.zeros(grid.shape, np.int16), grid, Modality.CT, ImageUnit.HU)
    return replace(made, series_uid="1.2.3.7", study_uid="1.2.3.8", instance_uids=uids)


def test_numbers_must_be_given_for_each_file(tmp_path):
    one = write(tmp_path / "one.dcm", 45.0, GRID)
    words = ["accumulate", str(one), str(one), "-o", str(tmp_path / "s.dcm"), "--alpha-beta", "2"]
    result = RUNNER.invoke(app, [*words, "--fractions", "25"])
    assert result.exit_code == ExitCode.USAGE
    assert not (tmp_path / "s.dcm").exists()


def reg_of(tiny, path):
    """Return a registration of the tiny patient: her earlier CT lies 3 mm to the left."""
    matrix = np.eye(4)
    matrix[0, 3] = -3.0
    frames = tiny.prior.grid.frame_uid, tiny.today.grid.frame_uid
    return write_reg(path, matrix, *frames)


def test_a_case_is_mapped_by_its_registration_and_added(tiny_case, tiny, tmp_path):
    """A uniform course of 45/25 on a CT 3 mm off: 42.75 Gy wherever it is known."""
    reg = reg_of(tiny, tmp_path / "reg.dcm")
    result = accumulate_case(tiny_case, [2.0], registrations=[reg], progress=quiet)
    (total,) = result.sums
    known = total.values[~np.isnan(total.values)]
    assert known.size > 0.5 * total.values.size
    assert np.allclose(known, 42.75, atol=0.01)
    plexus = {row.name: row for row in result.organs}["SacralPlex_R"]
    assert plexus.value_gy == pytest.approx(42.75, abs=0.01)
    assert plexus.low_gy == pytest.approx(42.75, abs=0.01)
    assert "Body" not in {row.name for row in result.organs}
    assert "registration-as-given" in {f.code for f in result.findings}
    assert [str(course.grade) for course in result.courses] == [
        "full DICOM (CT, structures, plan, dose)"
    ]


def test_a_case_alone_is_summed_at_the_alpha_beta_of_its_limits(tiny_case, tiny, tmp_path):
    words = ["accumulate", str(tiny_case), "-o", str(tmp_path / "sum.dcm"), "--json", "-q"]
    result = RUNNER.invoke(app, [*words, "--reg", str(reg_of(tiny, tmp_path / "reg.dcm"))])
    assert result.exit_code == ExitCode.DONE, result.stderr
    document = json.loads(result.stdout)
    values = [item["alpha_beta_gy"] for item in document["sums"]]
    assert 2.0 in values  # of the plexus in Slevin 2021
    assert 10.0 in values  # of the tumour
    assert (tmp_path / "sum_ab2.dcm").is_file()


def test_a_sum_that_lacks_a_course_is_an_interval_without_an_end(tiny_case, tiny, tmp_path):
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    lost = PriorCourseTable(
        name="elsewhere", n_fractions_planned="unknown", n_fractions_delivered="unknown"
    )
    write_case(file.model_copy(update={"prior_course": (*file.prior_course, lost)}), path)
    words = ["accumulate", str(tiny_case), "-o", str(tmp_path / "sum.dcm"), "--alpha-beta", "2"]
    words += ["--reg", str(reg_of(tiny, tmp_path / "reg.dcm")), "-q"]
    document = json.loads(RUNNER.invoke(app, [*words, "--json"]).stdout)
    (plexus,) = [row for row in document["organs"] if row["name"] == "SacralPlex_R"]
    assert plexus["low_gy"] == pytest.approx(42.75, abs=0.01)
    assert plexus["high_gy"] is None
    assert plexus["grade"] == "unknown"
    written = pydicom.dcmread(tmp_path / "sum.dcm")
    assert "poorest record of earlier courses: unknown" in written.DerivationDescription
    assert "42.75 or more" in RUNNER.invoke(app, words).stdout


def test_a_registration_that_is_not_assured_leaves_point_doses(tiny_case, tmp_path):
    """Her two CTs of 5 mm voxels cannot be registered: no voxel sum, but each course's maximum."""
    result = accumulate_case(tiny_case, [2.0], progress=quiet)
    assert result.sums == ()
    (plexus,) = result.organs
    assert plexus.maxima.sum_of_maxima_gy == pytest.approx(42.75, abs=0.01)
    assert np.isnan(plexus.maxima.voxel_sum_gy)
    assert "registration-not-assured" in {f.code for f in result.findings}
    with pytest.raises(CaseError, match="no voxel sum"):
        write_sums(result, tmp_path / "sum.dcm")


def test_a_case_with_todays_plan_on_the_command_line(tiny_case, tiny, tmp_path):
    path = tmp_path / "today.dcm"
    write(path, 39.6, tiny.today.grid, patient="TINY-1")
    words = ["accumulate", str(tiny_case), "-o", str(tmp_path / "sum.dcm"), "--alpha-beta", "2"]
    words += ["--today", str(path), "--fractions", "22", "--delivered", "15", "--json", "-q"]
    result = RUNNER.invoke(app, [*words, "--reg", str(reg_of(tiny, tmp_path / "reg.dcm"))])
    assert result.exit_code == ExitCode.DONE, result.stderr
    document = json.loads(result.stdout)
    assert document["sums"][0]["max_gy"] == pytest.approx(42.75 + 25.65, abs=0.01)
    assert len(document["courses"]) == 2


def test_a_budget_takes_the_registration_as_given(tiny_case, tiny, tmp_path):
    """The same tiny patient, whose CTs cannot be registered here."""
    reg = reg_of(tiny, tmp_path / "reg.dcm")
    budget = budget_case(tiny_case, registrations=[reg], progress=quiet)
    (prior,) = budget.priors
    assert prior.registration is None
    assert "registration-as-given" in {finding.code for finding in budget.findings}
    plexus = [row for row in budget.rows if row.structure == "SacralPlex_R"]
    expected = eqd2(45, 25, plexus[0].limit.alpha_beta_gy)
    assert plexus[0].scenarios[0].prior_eqd2_gy == pytest.approx(expected, abs=0.02)
    assert plexus[0].grade is RecordGrade.FULL_DICOM


def test_a_budget_falls_back_to_point_doses_as_the_sum_does(tiny_case):
    """Registration is not assured: each organ's highest dose in the course's own structures."""
    budget = budget_case(tiny_case, progress=quiet)
    assert "registration-not-assured" in {finding.code for finding in budget.findings}
    (row, *_) = [row for row in budget.rows if row.structure == "SacralPlex_R"]
    expected = eqd2(45, 25, row.limit.alpha_beta_gy)
    assert row.scenarios[0].prior_eqd2_gy == pytest.approx(expected, abs=0.02)
    assert row.grade is RecordGrade.DVH_OR_POINTS
    (prior,) = budget.priors
    assert np.isnan(prior.physical_on_planning.values).mean() > 0.5  # unknown outside the organ
    (organ,) = budget.remaining.organs
    assert (organ.n_unknown, organ.limit.grade) == (0, RecordGrade.DVH_OR_POINTS)


def with_prior(case, **keys):
    """Rewrite the earlier course of a case with further keys."""
    path = case / CASE_FILE_NAME
    file = read_case(path)
    prior = PriorCourseTable(**{**file.prior_course[0].model_dump(), **keys})
    write_case(file.model_copy(update={"prior_course": (prior,)}), path)


def reg_in_data(tiny):
    """Put her registration among the DICOM files and return its UID."""
    path = reg_of(tiny, tiny.folder / "reg.dcm")
    dataset = pydicom.dcmread(path)
    dataset.PatientID = "TINY-1"
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = generate_uid(), generate_uid()
    dataset.save_as(path)
    return dataset.SOPInstanceUID


def landmark(off_mm):
    return {"name": "promontory", "earlier_mm": (10.0, 5.0, 0.0),
            "today_mm": (7.0 + off_mm, 5.0, 0.0)}  # fmt: skip


def test_the_case_file_names_registration_and_landmarks(tiny_case, tiny):
    """Her CTs differ by 3 mm along x; a landmark 1 mm off that judges the REG; one 9 mm off."""
    uid = reg_in_data(tiny)
    with_prior(tiny_case, registration_uid=uid, landmarks=(landmark(1.0),))
    budget = budget_case(tiny_case, progress=quiet)
    (prior,) = budget.priors
    assert prior.transform.matrix[0, 3] == pytest.approx(-3.0)
    assert prior.landmarks.mean_mm == pytest.approx(1.0, abs=1e-6)
    codes = {finding.code for finding in budget.findings}
    assert "landmarks" in codes
    assert not codes & {"registration-as-given", "registration-not-assured"}
    assert prior.course.grade is RecordGrade.FULL_DICOM
    # What `rerad run` plans with is the same.
    loaded = load_case(tiny_case)
    (planned,) = prepare_case(loaded.inputs, quiet).priors
    assert planned.transform.matrix[0, 3] == pytest.approx(-3.0)
    with_prior(tiny_case, landmarks=(landmark(9.0),))
    refused = budget_case(tiny_case, progress=quiet)
    assert refused.priors[0].course.grade is RecordGrade.DVH_OR_POINTS
    (finding,) = [f for f in refused.findings if f.code == "registration-not-assured"]
    assert "9.0 mm" in finding.text


def test_wrong_registration_keys_are_refused(tiny_case, tiny):
    with_prior(tiny_case, registration_uid="1.2.3.4")
    with pytest.raises(CaseError, match=r"registration_uid: no REG with UID"):
        load_case(tiny_case)
    path = tiny.folder / "other.dcm"
    write_reg(path, np.eye(4), EARLIER, TODAY)
    dataset = pydicom.dcmread(path)
    dataset.PatientID, dataset.StudyInstanceUID = "TINY-1", generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.save_as(path)
    with_prior(tiny_case, registration_uid=dataset.SOPInstanceUID)
    with pytest.raises(CaseError, match="does not lead from the frame of the course"):
        load_case(tiny_case)
    away = {**landmark(0.0), "today_mm": (500.0, 0.0, 0.0)}
    with_prior(tiny_case, registration_uid="", landmarks=(away,))
    with pytest.raises(CaseError, match=r"today_mm .* of promontory lies outside"):
        load_case(tiny_case)
    with pytest.raises(ValidationError, match="guides lead a deformable registration"):
        with_prior(tiny_case, guides=("SacralPlex_R",), landmarks=())
    with pytest.raises(ValidationError, match="need the dose_uid"):
        PriorCourseTable(
            name="c", n_fractions_planned=25, n_fractions_delivered=25, registration="deformable"
        )


def test_a_field_that_is_assured_takes_the_place_of_a_rigid_transform(
    tiny_case, tiny, monkeypatch
):
    """Rigid thresholds fail (here: too little bone), the field is judged by its own.

    Her plexus, drawn on both CTs, lies on itself under the field of the true motion and does not
    under one that is 20 mm off.
    """
    frames = tiny.prior.grid.frame_uid, tiny.today.grid.frame_uid
    matrix = np.eye(4)
    matrix[0, 3] = -3.0
    rigid = RigidTransform(matrix, *frames)
    module = "rerad.planning.prior_mapping"

    def register(fixed, moving, start, *, guides=()):
        grid = moving.grid if start.to_frame_uid == moving.grid.frame_uid else fixed.grid
        return DisplacementField(np.full((*grid.shape, 3), shift_mm), grid, start)

    calls = []

    def poor(*_args, **_more):
        calls.append(1)
        quality = SimpleNamespace(is_acceptable=False, findings=())
        return SimpleNamespace(transform=rigid, quality=quality)

    monkeypatch.setattr(f"{module}.register_rigid", poor)
    monkeypatch.setattr(f"{module}.register_deformable", register)
    shift_mm = 0.0
    with_prior(tiny_case, registration="deformable")
    result = accumulate_case(tiny_case, [2.0], progress=quiet)
    (total,) = result.sums
    assert np.nanmax(total.values) == pytest.approx(42.75, abs=0.01)
    assert isinstance(result.courses[0].transform, DisplacementField)
    assert len(calls) == 1  # what failed is not done again: the field starts from it
    codes = {finding.code for finding in result.findings}
    assert "registration-not-assured" not in codes
    assert "deformable-quality" in codes
    (prior,) = prepare_case(load_case(tiny_case).inputs, quiet).priors
    assert prior.deformation is not None
    assert prior.deformable.is_acceptable
    shift_mm = 20.0
    refused = accumulate_case(tiny_case, [2.0], deformable=DeformableChoice(), progress=quiet)
    assert refused.sums == ()
    codes = {finding.code for finding in refused.findings}
    assert {"registration-not-assured", "deformable-not-acceptable"} <= codes


def test_the_same_organ_has_the_same_dose_in_accumulate_and_budget(tiny_case, tiny, tmp_path):
    """Both read the contours: D0.1cc of the earlier course at the limit's own alpha/beta."""
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    planning = file.planning.model_copy(update={"rule_set": "slevin2021"})
    write_case(file.model_copy(update={"planning": planning}), path)
    matrix = np.eye(4)
    matrix[0, 3] = -3.0
    frames = tiny.prior.grid.frame_uid, tiny.today.grid.frame_uid
    reg = [write_reg(tmp_path / "reg.dcm", matrix, *frames)]
    budget = budget_case(tiny_case, registrations=reg, progress=quiet)
    row = next(row for row in budget.rows if row.rule_set == "slevin2021")
    result = accumulate_case(tiny_case, (), registrations=reg, progress=quiet)
    organs = {(item.name, item.alpha_beta_gy): item for item in result.organs}
    found = organs[row.structure, row.limit.alpha_beta_gy]
    assert row.limit.metric == found.metric == "D0.1cc"
    assert found.value_gy == pytest.approx(row.scenarios[0].prior_eqd2_gy, abs=1e-3)
    # An organ with a limit is not reported at the tumour's alpha/beta.
    assert (row.structure, 10.0) not in organs


def run(*words):
    return RUNNER.invoke(app, ["accumulate", *(str(word) for word in words), "-q"])


def test_without_a_file_to_write_the_sum_is_said(tmp_path):
    one = write(tmp_path / "one.dcm", 45.0, GRID)
    two = write(tmp_path / "two.dcm", 39.6, GRID, plan="1.2.3.10")
    words = [one, two, "--alpha-beta", 2, "--fractions", 25, "--fractions", 22]
    found = run(*words, "--delivered", 25, "--delivered", 13.5)
    assert found.exit_code == ExitCode.DONE
    given = 42.75 + 13 * 1.8 * 3.8 / 4 + 0.9 * 2.9 / 4
    assert f"highest voxel {given:.2f} Gy EQD2" in found.stdout
    assert "13 and 50 % of one of 22 fractions" in found.stdout
    assert set(tmp_path.glob("*.dcm")) == {one, two}
    more = run(*words, "--delivered", 25, "--delivered", 30)
    assert "serious: two.dcm: 30 fractions were given of 22 planned" in more.stdout
    twice = run(one, one, "--alpha-beta", 2, "--fractions", 25, "--fractions", 25)
    assert "was added twice" in twice.stdout


def test_no_dose_is_written_over_and_no_other_file_is_taken_for_one(tmp_path):
    one = write(tmp_path / "one.dcm", 45.0, GRID)
    before = one.read_bytes()
    words = ["--alpha-beta", 2, "--fractions", 25]
    over = run(one, *words, "-o", one)
    assert over.exit_code == ExitCode.USAGE
    assert "would be written over" in " ".join(over.stderr.split())
    assert one.read_bytes() == before
    nowhere = run(one, *words, "-o", tmp_path / "no" / "sum.dcm")
    assert "there is no folder" in " ".join(nowhere.stderr.split())
    reg = write_reg(tmp_path / "reg.dcm", np.eye(4))
    wrong = run(reg, one, *words, "--fractions", 3)
    assert "reg.dcm: expected an RTDOSE, got REG" in wrong.stderr


def test_fractions_come_from_the_plan_that_a_dose_refers_to(tiny, tmp_path):
    """25 of the earlier plan; another number contradicts it, none at all is asked for."""
    found = {}
    for path in tiny.folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path, stop_before_pixels=True)
        found[dataset.SOPInstanceUID] = path
    plan, dose = found[tiny.prior_plan.instance_uid], found[tiny.prior_dose.instance_uid]
    known = run(dose, "--alpha-beta", 2, "--plan", plan)
    assert "25 of 25 fractions" in known.stdout
    other = run(dose, "--alpha-beta", 2, "--plan", plan, "--fractions", 30)
    assert "[25, 30] planned" in other.stderr
    alone = write(tmp_path / "one.dcm", 45.0, GRID)
    lost = run(alone, "--alpha-beta", 2, "--plan", plan)
    assert "expected the planned number of fractions" in lost.stderr
