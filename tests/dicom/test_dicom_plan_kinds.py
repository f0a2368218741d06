"""Plans of other kinds than the tiny study holds."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.core import Beam, ControlPoint
from rerad.errors import DeliverabilityError, DicomError, FrameMismatchError


def _write(plan, tiny, path):
    patient = dicom.read_patient(tiny.path("rs"))
    return dicom.write_plan(plan, tiny.machine, patient, path, study=tiny.header, image=tiny.ct)


def test_what_was_asked_for_is_said_where_it_was_more_than_prescribed(tmp_path, written):
    first, *rest = written.plan.prescriptions
    wanted = (replace(first, up_to_gy=first.dose_gy + 20), *rest)
    _write(replace(written.plan, prescriptions=wanted), written, tmp_path / "rp.dcm")
    said = pydicom.dcmread(tmp_path / "rp.dcm").PrescriptionDescription
    text = f"{first.structure} {first.dose_gy:g} Gy, as much as limits allow up to "
    assert said.startswith(f"{text}{first.dose_gy + 20:g} Gy")
    assert dicom.read_plan(tmp_path / "rp.dcm").prescriptions == written.plan.prescriptions


def test_step_and_shoot_keeps_its_pauses(tmp_path, written):
    first = written.plan.beams[0]
    shapes = [np.stack([np.full(10, -c), np.full(10, c)]) for c in (10.0, 20.0)]
    points = tuple(
        ControlPoint(weight, (-30.0, 30.0), (-50.0, 50.0), shape)
        for weight, shape in zip((0.0, 0.3, 0.3, 1.0), np.repeat(shapes, 2, axis=0), strict=True)
    )
    beam = Beam(1, first.geometry, points, 100.0)
    _write(replace(written.plan, beams=(beam,)), written, tmp_path / "rp.dcm")
    (read,) = dicom.read_plan(tmp_path / "rp.dcm").beams
    assert [p.cumulative_weight for p in read.control_points] == [0.0, 0.3, 0.3, 1.0]
    for got, wanted in zip(read.control_points, points, strict=True):
        np.testing.assert_array_equal(got.leaf_positions_mm, wanted.leaf_positions_mm)
    (item,) = pydicom.dcmread(tmp_path / "rp.dcm").BeamSequence
    said_again = ["BeamLimitingDevicePositionSequence" in p for p in item.ControlPointSequence]
    assert said_again == [True, False, True, False]
    assert item.BeamType == "STATIC"  # nothing moves while the beam is on


def test_leaves_that_move_in_the_beam_make_it_dynamic(tmp_path, written):
    first = written.plan.beams[0]
    shapes = [np.stack([np.full(10, -c), np.full(10, c)]) for c in (10.0, 20.0)]
    points = tuple(
        ControlPoint(weight, (-30.0, 30.0), (-50.0, 50.0), shape)
        for weight, shape in zip((0.0, 1.0), shapes, strict=True)
    )
    beam = Beam(1, first.geometry, points, 100.0)
    _write(replace(written.plan, beams=(beam,)), written, tmp_path / "rp.dcm")
    (item,) = pydicom.dcmread(tmp_path / "rp.dcm").BeamSequence
    assert item.BeamType == "DYNAMIC"


def test_weights_need_not_end_at_one(tmp_path, written):
    dataset = pydicom.dcmread(written.path("rp"))
    beam = dataset.BeamSequence[0]
    beam.FinalCumulativeMetersetWeight = 50
    for item in beam.ControlPointSequence:
        item.CumulativeMetersetWeight = float(item.CumulativeMetersetWeight) * 50
    dataset.save_as(tmp_path / "rp.dcm")
    weights = [
        p.cumulative_weight for p in dicom.read_plan(tmp_path / "rp.dcm").beams[0].control_points
    ]
    assert weights == pytest.approx([0.0, 0.1234, 0.5, 1.0])


def test_arc_says_which_way_it_turns(written):
    items = pydicom.dcmread(written.path("rp")).BeamSequence[1].ControlPointSequence
    assert [float(item.GantryAngle) for item in items] == [350.0, 0.0, 10.0]
    assert [item.GantryRotationDirection for item in items] == ["CW", "CW", "NONE"]


def test_setup_beams_are_left_out(tiny, edit):
    dataset = pydicom.dcmread(tiny.path("rp"))
    dataset.BeamSequence[0].TreatmentDeliveryType = "SETUP"
    dataset.save_as(tiny.path("rp"))
    assert [b.number for b in dicom.read_plan(tiny.path("rp")).beams] == [2, 3]


def test_wedges_are_a_serious_finding(tiny):
    assert dicom.check_plan(tiny.path("rp")) == ()
    dataset = pydicom.dcmread(tiny.path("rp"))
    dataset.BeamSequence[2].NumberOfWedges = 1
    del dataset.DoseReferenceSequence
    dataset.save_as(tiny.path("rp"))
    codes = {(f.code, f.where) for f in dicom.check_plan(tiny.path("rp"))}
    assert codes == {("beam-modifier-not-read", "OPEN"), ("plan-without-prescription", "")}


def test_plan_for_another_machine_is_not_written(tmp_path, written):
    point = ControlPoint(0.0, (0.0, 1.0), (0.0, 1.0), np.zeros((2, 60)))
    beam = Beam(
        1, written.plan.beams[0].geometry, (point, replace(point, cumulative_weight=1.0)), 1
    )
    with pytest.raises(DeliverabilityError, match="expected 10 leaf pairs of TestLinac, got 60"):
        _write(replace(written.plan, beams=(beam,)), written, tmp_path / "rp.dcm")
    with pytest.raises(DicomError, match="expected beams, got none"):
        _write(replace(written.plan, beams=()), written, tmp_path / "rp.dcm")
    with pytest.raises(FrameMismatchError, match="the image that it was planned on"):
        _write(replace(written.plan, frame_uid="1.2.3"), written, tmp_path / "rp.dcm")
    assert list(tmp_path.iterdir()) == []


def test_plan_without_structures_says_so(tmp_path, written):
    _write(replace(written.plan, structure_set_uid=""), written, tmp_path / "rp.dcm")
    dataset = pydicom.dcmread(tmp_path / "rp.dcm")
    assert dataset.RTPlanGeometry == "TREATMENT_DEVICE"
    assert "ReferencedStructureSetSequence" not in dataset
