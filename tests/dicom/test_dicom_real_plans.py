"""Plans of a clinical planning system: an Agility with 80 leaf pairs and no x jaws."""

import itertools

import numpy as np
import pytest

from rerad import dicom
from rerad.core import PatientPosition, Prescription


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
