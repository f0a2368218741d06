"""Registrations as other systems write them, and what a dose says of its plans."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeformableSpatialRegistrationStorage,
    ExplicitVRLittleEndian,
    SpatialRegistrationStorage,
    generate_uid,
)
from scipy.spatial.transform import Rotation

from rerad import dicom
from rerad.errors import DicomError, FrameMismatchError

TODAY, EARLIER = "1.2.3.4", "1.2.3.5"


def matrix(degrees=(4, -3, 7), shift_mm=(10, -20, 30)):
    made = np.eye(4)
    made[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    made[:3, 3] = shift_mm
    return made


def item(frame_uid, *matrices):
    steps = []
    for one in matrices:
        step = Dataset()
        step.FrameOfReferenceTransformationMatrixType = "RIGID"
        step.FrameOfReferenceTransformationMatrix = [f"{v:.10g}" for v in np.ravel(one)]
        steps.append(step)
    whole = Dataset()
    whole.MatrixSequence = Sequence(steps)
    made = Dataset()
    made.FrameOfReferenceUID = frame_uid
    made.MatrixRegistrationSequence = Sequence([whole])
    return made


def write(path: Path, items, *, sop_class=SpatialRegistrationStorage, frame_uid=TODAY):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "REG"
    dataset.FrameOfReferenceUID = frame_uid
    dataset.RegistrationSequence = Sequence(items)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def test_a_registration_leads_both_ways(tmp_path):
    path = write(tmp_path / "reg.dcm", [item(TODAY, np.eye(4)), item(EARLIER, matrix())])
    found = dicom.read_registration(path)
    there = found.between(EARLIER, TODAY)
    np.testing.assert_allclose(there.matrix, matrix(), atol=1e-8)
    back = found.between(TODAY, EARLIER)
    np.testing.assert_allclose(back.matrix @ there.matrix, np.eye(4), atol=1e-8)


def test_matrices_of_one_item_are_applied_in_order(tmp_path):
    turn, shift = matrix((0, 0, 90), (0, 0, 0)), matrix((0, 0, 0), (5, 0, 0))
    path = write(tmp_path / "reg.dcm", [item(EARLIER, turn, shift)])
    there = dicom.read_registration(path).between(EARLIER, TODAY)
    # (1, 0, 0) turns to (0, 1, 0), then moves to (5, 1, 0).
    np.testing.assert_allclose(there.apply((1, 0, 0)), (5, 1, 0), atol=1e-8)


def test_two_frames_meet_in_the_frame_of_the_object(tmp_path):
    third = "1.2.3.6"
    path = write(tmp_path / "reg.dcm", [item(EARLIER, matrix()), item(third, matrix((0, 0, 9)))])
    there = dicom.read_registration(path).between(EARLIER, third)
    expected = np.linalg.inv(matrix((0, 0, 9))) @ matrix()
    np.testing.assert_allclose(there.matrix, expected, atol=1e-8)


def test_what_is_no_rigid_registration_is_refused(tmp_path):
    scaled = matrix()
    scaled[:3, :3] *= 1.01
    path = write(tmp_path / "scaled.dcm", [item(EARLIER, scaled)])
    with pytest.raises(DicomError, match="scales or shears"):
        dicom.read_registration(path)
    path = write(tmp_path / "empty.dcm", [])
    with pytest.raises(DicomError, match="found none"):
        dicom.read_registration(path)
    path = write(tmp_path / "other.dcm", [item(EARLIER, matrix())], sop_class="1.2.840.10008.1.1")
    with pytest.raises(DicomError, match="expected a spatial registration"):
        dicom.read_registration(path)


def test_frames_it_does_not_name_are_refused(tmp_path):
    found = dicom.read_registration(write(tmp_path / "reg.dcm", [item(EARLIER, matrix())]))
    with pytest.raises(FrameMismatchError, match=r"does not name 9\.9"):
        found.between("9.9", TODAY)


def test_a_dose_names_its_plan(written):
    reference = dicom.read_dose_reference(written.folder / "rd.dcm")
    assert reference.plans[0].instance_uid == written.plan.instance_uid
    assert reference.patient.patient_id == "TINY-1"
    assert reference.frame_uid == written.dose.grid.frame_uid


def write_deformable(path: Path, vectors, *, before=None, orientation=(1, 0, 0, 0, 1, 0)):
    grid = Dataset()
    grid.ImagePositionPatient = [-10.0, -20.0, -30.0]
    grid.ImageOrientationPatient = list(orientation)
    grid.GridDimensions = list(vectors.shape[2::-1])
    grid.GridResolution = [4.0, 5.0, 6.0]
    grid.VectorGridData = vectors.astype("<f4").tobytes()
    one = Dataset()
    one.SourceFrameOfReferenceUID = EARLIER
    one.DeformableRegistrationGridSequence = Sequence([grid])
    after = item(TODAY, matrix())
    one.PostDeformationMatrixRegistrationSequence = Sequence(
        [_single(after.MatrixRegistrationSequence[0].MatrixSequence[0])]
    )
    if before is not None:
        step = item(TODAY, before).MatrixRegistrationSequence[0].MatrixSequence[0]
        one.PreDeformationMatrixRegistrationSequence = Sequence([_single(step)])
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = DeformableSpatialRegistrationStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "REG"
    dataset.FrameOfReferenceUID = TODAY
    dataset.DeformableRegistrationSequence = Sequence([one])
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def _single(step):
    """Matrices before and after the deformation stand in their item, not in a sequence."""
    made = Dataset()
    made.FrameOfReferenceTransformationMatrixType = "RIGID"
    made.FrameOfReferenceTransformationMatrix = step.FrameOfReferenceTransformationMatrix
    return made


def test_a_deformable_registration_leads_points_to_their_source(tmp_path):
    vectors = np.zeros((3, 4, 5, 3))
    vectors[1, 2, 3] = (1.0, -2.0, 3.0)
    path = write_deformable(tmp_path / "def.dcm", vectors)
    (field,) = dicom.read_deformable_registration(path)
    assert (field.from_frame_uid, field.to_frame_uid) == (EARLIER, TODAY)
    point = field.grid.points((1, 2, 3))
    np.testing.assert_allclose(point, (2.0, -10.0, -24.0))
    # The vector is added in today's frame, then the matrix leads to the source frame.
    x, y, z = point + np.array((1.0, -2.0, 3.0))
    expected = matrix() @ (x, y, z, 1.0)
    got = field.rigid.inverse().apply(point + field.vectors_mm[1, 2, 3])
    np.testing.assert_allclose(got, expected[:3], atol=1e-6)


def test_deformable_registrations_that_would_be_guessed_are_refused(tmp_path):
    vectors = np.zeros((3, 4, 5, 3))
    path = write_deformable(tmp_path / "pre.dcm", vectors, before=matrix())
    with pytest.raises(DicomError, match="before the deformation grid"):
        dicom.read_deformable_registration(path)
    path = write_deformable(tmp_path / "tilt.dcm", vectors, orientation=(0, 1, 0, 1, 0, 0))
    with pytest.raises(DicomError, match="along the patient axes"):
        dicom.read_deformable_registration(path)
    dataset = pydicom.dcmread(write_deformable(tmp_path / "short.dcm", vectors))
    grid = dataset.DeformableRegistrationSequence[0].DeformableRegistrationGridSequence[0]
    grid.VectorGridData = b"\0" * 16
    dataset.save_as(tmp_path / "short.dcm")
    with pytest.raises(DicomError, match="got 16 bytes"):
        dicom.read_deformable_registration(tmp_path / "short.dcm")
    rigid_file = write(tmp_path / "reg.dcm", [item(EARLIER, matrix())])
    with pytest.raises(DicomError, match="deformable spatial registration"):
        dicom.read_deformable_registration(rigid_file)
