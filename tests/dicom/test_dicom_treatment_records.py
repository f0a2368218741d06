"""Delivered fractions from treatment records: whole, broken off, completed, doubled."""

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RTBeamsTreatmentRecordStorage, generate_uid

from rerad.dicom.treatment_records import read_treatment_records
from rerad.errors import DicomError

PLAN = "1.2.3.4.5"
BEAMS = {1: 100.0, 2: 60.0}


def record(folder, fraction, given, *, plan=PLAN, in_steps=False):
    beams = []
    for number, meterset in given.items():
        item = Dataset()
        item.ReferencedBeamNumber = number
        item.CurrentFractionNumber = fraction
        if in_steps:
            steps = []
            for share in (0.0, 0.5, 1.0):
                step = Dataset()
                step.DeliveredMeterset = meterset * share
                steps.append(step)
            item.ControlPointDeliverySequence = Sequence(steps)
        else:
            item.DeliveredPrimaryMeterset = meterset
        beams.append(item)
    reference = Dataset()
    reference.ReferencedSOPInstanceUID = plan
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = RTBeamsTreatmentRecordStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = "RTRECORD"
    dataset.ReferencedRTPlanSequence = Sequence([reference])
    dataset.TreatmentSessionBeamSequence = Sequence(beams)
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def test_whole_broken_and_completed_fractions(tmp_path):
    paths = [
        record(tmp_path, 1, {1: 100.0, 2: 60.0}),
        record(tmp_path, 2, {1: 100.0, 2: 59.8}, in_steps=True),
        record(tmp_path, 3, {1: 80.0}),
        record(tmp_path, 4, {1: 100.0}),
        record(tmp_path, 4, {2: 60.0}),  # completed in a second session
        record(tmp_path, 9, {1: 100.0, 2: 60.0}, plan="9.9.9"),
        record(tmp_path, 5, {1: 100.0, 2: 60.0, 77: 3.0}),  # with an imaging beam
    ]
    found = read_treatment_records(paths, BEAMS, PLAN)
    assert found.n_whole == 4
    assert found.partial == pytest.approx((0.5,))


def test_a_record_that_is_there_twice_is_refused(tmp_path):
    one = record(tmp_path, 1, {1: 100.0, 2: 60.0})
    two = record(tmp_path, 1, {1: 100.0, 2: 60.0})
    with pytest.raises(DicomError, match="there twice"):
        read_treatment_records([one, two], BEAMS, PLAN)


def test_a_broken_fraction_never_becomes_whole_by_a_copy(tmp_path):
    """Half a fraction, its file in two folders: half, not one; under two UIDs: refused."""
    half = record(tmp_path, 1, {1: 50.0, 2: 30.0})
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(half.read_bytes())
    found = read_treatment_records([half, copy], BEAMS, PLAN)
    assert (found.n_whole, found.partial) == (0, pytest.approx((0.5,)))
    # The small beam twice is less than a fraction, and still more than the beam.
    second = [record(tmp_path, 2, {2: 60.0}) for _ in range(2)]
    with pytest.raises(DicomError, match=r"200\.0 % of the monitor units of beam 2"):
        read_treatment_records(second, BEAMS, PLAN)


def test_what_says_nothing_is_refused(tmp_path):
    path = record(tmp_path, 1, {1: 100.0}, plan="9.9.9")
    with pytest.raises(DicomError, match="found none"):
        read_treatment_records([path], BEAMS, PLAN)
    with pytest.raises(DicomError, match="monitor units above 0"):
        read_treatment_records([path], {}, PLAN)
    dataset = pydicom.dcmread(record(tmp_path, 1, {1: 100.0}))
    del dataset.TreatmentSessionBeamSequence[0].DeliveredPrimaryMeterset
    dataset.save_as(tmp_path / "bare.dcm")
    with pytest.raises(DicomError, match="delivered meterset"):
        read_treatment_records([tmp_path / "bare.dcm"], BEAMS, PLAN)
    dataset.SOPClassUID = "1.2.840.10008.1.1"
    dataset.save_as(tmp_path / "other.dcm")
    with pytest.raises(DicomError, match="Treatment Record"):
        read_treatment_records([tmp_path / "other.dcm"], BEAMS, PLAN)
