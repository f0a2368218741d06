"""Registrations as other systems write them, and what a dose says of its plans."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SpatialRegistrationStorage, generate_uid
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
