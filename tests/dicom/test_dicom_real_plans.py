"""Plans of a clinical planning system: an Agility with 80 leaf pairs and no x jaws."""

import dataclasses
import itertools

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.core import PatientPosition, Prescription
from rerad.dicom.plan_beams import read_plan_beams
from rerad.errors import DeliverabilityError


def test_open_fields(shared_data):
    plan = dicom.read_plan(shared_data / "elekta_6mv_water" / "06MV_plan.dcm")
    assert (plan.label, plan.n_fractions_planned) == ("AMC06MV", 1)
    assert plan.patient_position is PatientPosition.HFS
    assert plan.prescriptions == (Prescription("dose reference 1", 2.0),)
    assert plan.frame_uid == ""  # this system writes none
    assert plan.structure_set_uid == "1.2.840.10008.5.1.4.1.1.481.3.1563491295"
    sides = [20, 30, 40, 50, 70, 100, 150, 200, 300, 400]
    assert len(plan.beams) == 10
    for beam, side in zip(plan.beams, sides, strict=True):
        assert beam.meterset_mu == 1000.0
        assert beam.geometry.isocenter_mm == (0.0, -200.0, 0.0)
        for point in beam.control_points:
            assert point.leaf_positions_mm.shape == (2, 80)
            assert point.gantry_angle_deg is None
            assert point.jaw_y_mm == (-side / 2, side / 2)
            # The jaws that are not there close nothing: they stand at the outermost tips.
            assert point.jaw_x_mm[0] == point.leaf_positions_mm[0].min()
            assert point.jaw_x_mm[1] == point.leaf_positions_mm[1].max()
        open_mm = np.diff(beam.control_points[0].leaf_positions_mm, axis=0)
        assert open_mm[0, 39:41] == pytest.approx(side)  # leaves behind the y jaws stand by


def test_two_arcs(shared_data):
    plan = dicom.read_plan(shared_data / "elekta_6mv_water" / "vmat_example.dcm")
    first, second = plan.beams
    assert plan.n_fractions_planned == 2
    assert [len(b.control_points) for b in plan.beams] == [32, 31]
    assert plan.meterset_mu == pytest.approx(157.238693 + 158.782211)
    angles = [p.gantry_angle_deg for p in first.control_points]
    assert angles[0] == 90.0
    assert all(after > before for before, after in itertools.pairwise(angles))
    assert second.control_points[1].gantry_angle_deg < second.control_points[0].gantry_angle_deg
    weights = [p.cumulative_weight for p in first.control_points]
    assert weights[1] == pytest.approx(0.011904)
    assert first.control_points[0].jaw_y_mm == (-5.0, 8.0)
    assert first.control_points[1].jaw_y_mm == (-8.0, 8.0)


def test_what_the_plans_say_of_machine_and_dose(shared_data):
    path = shared_data / "elekta_6mv_water" / "06MV_plan.dcm"
    plan, described = dicom.read_plan(path), read_plan_beams(path)
    assert {(beam.energy_mv, beam.fluence_mode) for beam in plan.beams} == {(6.0, "")}
    assert [item.number for item in described] == [beam.number for beam in plan.beams]
    stated = [6.548, 6.857, 7.075, 7.269, 7.661, 8.119, 8.669, 8.865, 9.259, 9.400]
    assert [item.stated_dose_gy for item in described] == stated
    for item in described:
        assert item.leaf_boundaries_mm.tolist() == [5.0 * n - 200 for n in range(81)]
        assert (item.has_jaw_x, item.has_jaw_y, item.tilt) == (False, True, "")
        assert (item.machine_name, item.sad_mm) == ("2619", 1000.0)
        assert item.stated_at_mm == (0.0, -200.0, 0.0)


@pytest.mark.parametrize(("is_flattened", "mode"), [(True, "STANDARD"), (False, "FFF")])
def test_energy_fluence_mode_and_missing_jaws_survive_writing(tiny, is_flattened, mode):
    beam = dataclasses.replace(tiny.machine.beam, is_flattened=is_flattened)
    machine = dataclasses.replace(tiny.machine, jaw_x_limits_mm=None, beam=beam)
    path = tiny.folder / "no_x_jaws.dcm"
    dicom.write_plan(
        tiny.plan,
        machine,
        dicom.read_patient(tiny.path("rp")),
        path,
        study=tiny.header,
        image=tiny.ct,
    )
    again = dicom.read_plan(path)
    for written, read in zip(tiny.plan.beams, again.beams, strict=True):
        assert (read.energy_mv, read.fluence_mode) == (6.0, mode)
        for before, after in zip(written.control_points, read.control_points, strict=True):
            # Leaves are written to a ten-thousandth of a millimetre.
            assert after.leaf_positions_mm == pytest.approx(before.leaf_positions_mm, abs=1e-4)
            assert after.jaw_y_mm == before.jaw_y_mm
            # Jaws that are not there are read at the outermost tips.
            tips = after.leaf_positions_mm
            assert after.jaw_x_mm == (tips[0].min(), tips[1].max())
    described = read_plan_beams(path)
    assert not any(item.has_jaw_x for item in described)
    assert np.array_equal(described[0].leaf_boundaries_mm, machine.mlc.leaf_boundaries_mm)
    first = pydicom.dcmread(path).BeamSequence[0].ControlPointSequence[0]
    assert first.DoseRateSet == machine.dose_rate_mu_min


def test_a_plan_of_another_energy_is_not_written(tiny):
    beams = tuple(dataclasses.replace(beam, energy_mv=10.0) for beam in tiny.plan.beams)
    plan = dataclasses.replace(tiny.plan, beams=beams)
    with pytest.raises(DeliverabilityError, match="got 10 MV"):
        dicom.write_plan(
            plan,
            tiny.machine,
            dicom.read_patient(tiny.path("rp")),
            tiny.folder / "ten.dcm",
            study=tiny.header,
            image=tiny.ct,
        )


@pytest.mark.parametrize(("direction", "middle"), [("CW", [300.0, 60.0]), ("CC", [])])
def test_an_arc_takes_the_way_round_that_the_plan_says(tiny, edit, direction, middle):
    """181 to 179 degrees is nearly a whole turn clockwise, or 2 degrees the other way."""
    path = tiny.path("rp")
    dataset = pydicom.dcmread(path)
    arc = dataset.BeamSequence[1]
    arc.ControlPointSequence = [arc.ControlPointSequence[0], arc.ControlPointSequence[-1]]
    start, end = arc.ControlPointSequence
    end.ControlPointIndex = 1
    start.GantryAngle, end.GantryAngle, start.GantryRotationDirection = 181, 179, direction
    arc.NumberOfControlPoints = 2
    edit(path, BeamSequence=dataset.BeamSequence)
    points = dicom.read_plan(path).beams[1].control_points
    angles = [point.gantry_angle_deg for point in points]
    assert angles == pytest.approx([181.0, *middle, 179.0], abs=0.4)
    weights = [point.cumulative_weight for point in points]
    assert weights == pytest.approx(np.linspace(0, 1, len(points)).tolist())
    tips = np.array([point.leaf_positions_mm[0, 0] for point in points])
    assert np.diff(tips) == pytest.approx(np.diff(tips)[0])
