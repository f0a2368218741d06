"""PET and MR of another frame: by a REG as given, by the bones of their CT, or refused by name."""

from datetime import date

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SpatialRegistrationStorage, generate_uid

from rerad import dicom
from rerad.case import import_folder, read_case, write_case
from rerad.case.data_folder import DataFolder
from rerad.case.fusion import fuse
from rerad.case.load import load_case
from rerad.core import Grid, Image, ImageUnit, Modality, Patient, PetAcquisition, RigidTransform
from rerad.errors import FrameMismatchError, RegistrationError

TINY = Patient("TINY-1", "Test^Tiny", sex="F")
TODAY, OTHER = "1.2.3.4", "1.2.3.5"
SHIFT_MM = np.array([12.0, -7.0, 9.0])
SPOT_MM = np.array([3.0, 5.0, -4.0])
PATIENT = Patient("FUSE-1", sex="F")
FACTS = PetAcquisition(70.0, 350e6, 6586.2, 6586.2, "START", "FDG 18F")


def header(name):
    return dicom.StudyHeader("1.2.3.9", date(2024, 3, 5), uids=dicom.UidFactory(name))


def bones(frame_uid, shift_mm, seed=4):
    """A body with uneven bones, moved."""
    grid = Grid((44, 60, 72), (-106.5, -88.5, -64.5), (3.0, 3.0, 3.0), frame_uid)
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    x, y, z = x - shift_mm[0], y - shift_mm[1], z - shift_mm[2]
    hu = np.full(grid.shape, -1000.0)
    hu[(x / 88) ** 2 + (y / 66) ** 2 <= 1] = 30.0
    rng = np.random.default_rng(seed)
    for centre in rng.uniform((-50, -35, -45), (50, 35, 45), (16, 3)):
        away = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
        hu[away <= rng.uniform(7, 12)] = 700.0
    return Image(hu.astype(np.int16), grid, Modality.CT, ImageUnit.HU)


@pytest.fixture
def pet():
    """A hot spot at `SPOT_MM` of the planning frame, as its own frame sees it."""
    grid = Grid((34, 46, 54), (-106.0, -90.0, -66.0), (4.0, 4.0, 4.0), OTHER)
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    at = SPOT_MM + SHIFT_MM
    away = (x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2
    values = (5000 * np.exp(-away / 200)).astype(np.float32)
    return Image(values, grid, Modality.PET, ImageUnit.BQML, acquired=date(2024, 3, 5), pet=FACTS)


def written(folder, pet, *, has_partner):
    planning = dicom.write_image(
        bones(TODAY, np.zeros(3)), PATIENT, folder / "ct", study=header("a")
    )
    dicom.write_image(pet, PATIENT, folder / "pt", study=header("b"))
    if has_partner:
        dicom.write_image(bones(OTHER, SHIFT_MM), PATIENT, folder / "ct2", study=header("c"))
    return planning


def write_reg(path, to_frame_uid=TODAY, patient=PATIENT):
    step = Dataset()
    step.FrameOfReferenceTransformationMatrixType = "RIGID"
    matrix = np.eye(4)
    matrix[:3, 3] = -SHIFT_MM
    step.FrameOfReferenceTransformationMatrix = [f"{v:.10g}" for v in matrix.ravel()]
    whole, item = Dataset(), Dataset()
    whole.MatrixSequence = [step]
    item.FrameOfReferenceUID = OTHER
    item.MatrixRegistrationSequence = [whole]
    reg = Dataset()
    reg.file_meta = FileMetaDataset()
    reg.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    reg.SOPClassUID, reg.SOPInstanceUID = SpatialRegistrationStorage, generate_uid()
    reg.Modality, reg.FrameOfReferenceUID, reg.ContentLabel = "REG", to_frame_uid, "PET_TO_CT"
    reg.PatientID = patient.patient_id
    reg.StudyInstanceUID, reg.SeriesInstanceUID = generate_uid(), generate_uid()
    reg.RegistrationSequence = [item]
    pydicom.dcmwrite(path, reg, enforce_file_format=True)


def spot(image):
    """Centre of gravity of what is bright; NaN beyond the image."""
    values = np.where(np.nan_to_num(image.values) > 1000, np.nan_to_num(image.values), 0)
    kji = np.stack(np.meshgrid(*map(np.arange, values.shape), indexing="ij"), axis=-1)
    return (image.grid.points(kji) * values[..., None]).sum((0, 1, 2)) / values.sum()


def test_a_registration_is_used_as_given_and_said(tmp_path, pet):
    planning = written(tmp_path, pet, has_partner=False)
    write_reg(tmp_path / "reg.dcm")
    fused = fuse(pet, planning, DataFolder(tmp_path, tmp_path))
    assert fused.image.grid.frame_uid == TODAY
    np.testing.assert_allclose(spot(fused.image), SPOT_MM, atol=0.2)
    assert [f.code for f in fused.findings] == ["image-registered-as-given"]
    assert "PET_TO_CT" in fused.method


def test_the_bones_of_its_own_ct_lead_across_with_their_quality(tmp_path, pet):
    planning = written(tmp_path, pet, has_partner=True)
    fused = fuse(pet, planning, DataFolder(tmp_path, tmp_path))
    np.testing.assert_allclose(spot(fused.image), SPOT_MM, atol=1.0)
    assert isinstance(fused.transform, RigidTransform)
    np.testing.assert_allclose(fused.transform.apply(SPOT_MM + SHIFT_MM), SPOT_MM, atol=1.0)
    assert fused.quality is not None
    assert fused.quality.mean_surface_mm < 1.0
    assert "Dice" in fused.method


def test_bones_that_do_not_fit_are_refused_with_the_numbers(tmp_path, pet):
    """Another person's bones: no rigid move lays them on the planning CT's."""
    planning = written(tmp_path, pet, has_partner=False)
    stranger = bones(OTHER, SHIFT_MM, seed=11)
    dicom.write_image(stranger, PATIENT, tmp_path / "ct2", study=header("c"))
    with pytest.raises(RegistrationError, match=r"does not fit .* at most .* add the REG"):
        fuse(pet, planning, DataFolder(tmp_path, tmp_path))


def test_a_case_with_a_pet_of_another_frame_is_run_on_it_moved(tiny, fill, tmp_path, pet):
    """`rerad import` proposes it, `rerad run` reads it by the REG, and says so."""
    dicom.write_image(pet, TINY, tiny.folder / "pt", study=header("p"))
    write_reg(tiny.folder / "reg.dcm", tiny.today.grid.frame_uid, TINY)
    report = import_folder(tiny.folder, tmp_path / "case")
    file = read_case(report.case_file)
    assert file.data.pet_series_uid
    write_case(fill(file), report.case_file)
    loaded = load_case(tmp_path / "case")
    suv = loaded.inputs.pet_suv
    assert suv.grid.frame_uid == tiny.today.grid.frame_uid
    # The largest value, 5000 Bq/ml, as SUV: 70 kg over half of 350 MBq.
    assert np.nanmax(suv.values) == pytest.approx(5000 * 70e3 / 175e6, rel=0.05)
    k, j, i = np.unravel_index(np.nanargmax(suv.values), suv.values.shape)
    np.testing.assert_allclose(suv.grid.points((k, j, i)), SPOT_MM, atol=3.0)
    assert "image-registered-as-given" in {f.code for f in loaded.inputs.findings}
    assert "PET_TO_CT" in loaded.fused["PET"].method


def test_a_case_with_a_pet_that_cannot_be_moved_is_refused(tiny, fill, tmp_path, pet):
    """Import does not propose it; named all the same, it is refused with the remedy."""
    moved = dicom.write_image(pet, TINY, tiny.folder / "pt", study=header("p"))
    report = import_folder(tiny.folder, tmp_path / "case")
    file = fill(read_case(report.case_file))
    assert not file.data.pet_series_uid
    data = file.data.model_copy(update={"pet_series_uid": moved.series_uid})
    write_case(file.model_copy(update={"data": data}), report.case_file)
    with pytest.raises(FrameMismatchError, match="add the REG, or the CT of the PET/CT"):
        load_case(tmp_path / "case")


def test_without_either_it_is_refused_with_the_remedy(tmp_path, pet):
    planning = written(tmp_path, pet, has_partner=False)
    with pytest.raises(FrameMismatchError, match="add the REG, or the CT of the PET/CT"):
        fuse(pet, planning, DataFolder(tmp_path, tmp_path))
