"""Registrations as given: both directions, two that contradict, one that leads nowhere."""

from types import SimpleNamespace

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

from rerad.case import read_case, write_case
from rerad.case.accumulate_history import accumulate_case
from rerad.case.files import CASE_FILE_NAME
from rerad.case.history_schema import PrescriptionTable, PriorCourseTable
from rerad.case.prior_mapping import (
    read_registrations,
    registration_across,
    with_registrations,
)
from rerad.core import DisplacementField, RigidTransform
from rerad.errors import CaseError, DicomError

EARLIER, TODAY, OTHER = "1.2.3.5", "1.2.3.4", "1.2.3.6"


def matrix(degrees=(4, -3, 7), shift_mm=(10, -20, 30)):
    made = np.eye(4)
    made[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    made[:3, 3] = shift_mm
    return made


def written(path, sop_class, frame_uid):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.Modality, dataset.FrameOfReferenceUID = "REG", frame_uid
    return dataset


def step(one):
    made = Dataset()
    made.FrameOfReferenceTransformationMatrixType = "RIGID"
    made.FrameOfReferenceTransformationMatrix = [f"{v:.10g}" for v in np.ravel(one)]
    return made


def rigid(path, one, *, source=EARLIER, frame_uid=TODAY):
    dataset = written(path, SpatialRegistrationStorage, frame_uid)
    whole, item = Dataset(), Dataset()
    whole.MatrixSequence = Sequence([step(one)])
    item.FrameOfReferenceUID = source
    item.MatrixRegistrationSequence = Sequence([whole])
    dataset.RegistrationSequence = Sequence([item])
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def field(path, millimetres, *, source=EARLIER, frame_uid=TODAY):
    dataset = written(path, DeformableSpatialRegistrationStorage, frame_uid)
    grid, item = Dataset(), Dataset()
    grid.ImagePositionPatient, grid.GridResolution = [-10.0, -20.0, -30.0], [4.0, 5.0, 6.0]
    grid.ImageOrientationPatient, grid.GridDimensions = [1, 0, 0, 0, 1, 0], [5, 4, 3]
    vectors = np.full((3, 4, 5, 3), millimetres)
    grid.VectorGridData = vectors.astype("<f4").tobytes()
    item.SourceFrameOfReferenceUID = source
    item.DeformableRegistrationGridSequence = Sequence([grid])
    item.PostDeformationMatrixRegistrationSequence = Sequence([step(matrix())])
    dataset.DeformableRegistrationSequence = Sequence([item])
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def case_of(*earlier_frames):
    """What `with_registrations` asks of a case before it refuses."""

    def image(uid):
        return SimpleNamespace(grid=SimpleNamespace(frame_uid=uid))

    priors = [SimpleNamespace(study=SimpleNamespace(image=image(uid))) for uid in earlier_frames]
    return SimpleNamespace(inputs=SimpleNamespace(image=image(TODAY), priors=priors))


def test_a_rigid_registration_leads_whichever_way_it_was_written(tmp_path):
    forward = rigid(tmp_path / "f.dcm", matrix())
    backward = rigid(tmp_path / "b.dcm", np.linalg.inv(matrix()), source=TODAY, frame_uid=EARLIER)
    for path in (forward, backward):
        found = registration_across(EARLIER, TODAY, read_registrations([path]))
        assert isinstance(found, RigidTransform)
        np.testing.assert_allclose(found.matrix, matrix(), atol=1e-6)
    # Both at once are one registration.
    both = registration_across(EARLIER, TODAY, read_registrations([forward, backward]))
    np.testing.assert_allclose(both.matrix, matrix(), atol=1e-6)


def test_two_that_contradict_are_refused(tmp_path):
    one = rigid(tmp_path / "one.dcm", matrix())
    two = rigid(tmp_path / "two.dcm", matrix(shift_mm=(12, -20, 30)))
    with pytest.raises(CaseError, match="got 2 that differ"):
        registration_across(EARLIER, TODAY, read_registrations([one, two]))
    with pytest.raises(CaseError, match="got 2 that differ"):
        with_registrations(case_of(EARLIER), [one, two])
    fields = [field(tmp_path / f"{mm}.dcm", mm) for mm in (1.0, 2.0)]
    with pytest.raises(CaseError, match="got 2 that differ"):
        registration_across(EARLIER, TODAY, read_registrations(fields))


def test_a_field_goes_before_a_rigid_one_and_leads_one_way(tmp_path):
    paths = [rigid(tmp_path / "r.dcm", matrix()), field(tmp_path / "d.dcm", 1.0)]
    found = registration_across(EARLIER, TODAY, read_registrations(paths))
    assert isinstance(found, DisplacementField)
    # The other way, the rigid one leads: a field has no inverse here.
    back = registration_across(TODAY, EARLIER, read_registrations(paths))
    assert isinstance(back, RigidTransform)


def test_a_registration_that_leads_nowhere_is_never_ignored(tmp_path):
    """It would be taken for used, and the case registered by itself instead."""
    other = rigid(tmp_path / "other.dcm", matrix(), source=OTHER)
    with pytest.raises(CaseError, match=r"other\.dcm: expected a registration from the frame"):
        with_registrations(case_of(EARLIER), [other])
    backwards = field(tmp_path / "back.dcm", 1.0, source=TODAY, frame_uid=EARLIER)
    with pytest.raises(CaseError, match="a field leads one way only"):
        with_registrations(case_of(EARLIER), [backwards])
    with pytest.raises(CaseError, match="there is none"):
        with_registrations(case_of(), [rigid(tmp_path / "r.dcm", matrix())])


def test_what_is_not_rigid_is_refused_before_any_use(tmp_path):
    scaled = matrix()
    scaled[:3, :3] *= 1.02
    with pytest.raises(DicomError, match="scales or shears"):
        with_registrations(case_of(EARLIER), [rigid(tmp_path / "s.dcm", scaled)])
    mirrored = matrix()
    mirrored[:3, 0] *= -1
    with pytest.raises(DicomError, match="registration 1"):
        with_registrations(case_of(EARLIER), [rigid(tmp_path / "m.dcm", mirrored)])


def test_a_dose_that_contradicts_its_prescription_is_told(tiny_case, tiny, tmp_path):
    """The finding of the record reaches whoever sums: 190 Gy are prescribed here."""
    path = tiny_case / CASE_FILE_NAME
    file = read_case(path)
    levels = (PrescriptionTable(structure="PTV", dose_gy=190.0),)
    prior = PriorCourseTable(**{**file.prior_course[0].model_dump(), "prescriptions": levels})
    write_case(file.model_copy(update={"prior_course": (prior,)}), path)
    frames = tiny.prior_dose.grid.frame_uid, tiny.today.grid.frame_uid
    reg = rigid(tmp_path / "r.dcm", np.eye(4), source=frames[0], frame_uid=frames[1])
    found = accumulate_case(tiny_case, [2.0], registrations=[reg], progress=lambda *_: None)
    (doubt,) = [f for f in found.findings if f.code == "dose-contradicts-prescription"]
    assert "190 Gy were prescribed to PTV" in doubt.text
