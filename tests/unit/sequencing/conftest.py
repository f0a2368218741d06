"""A machine and fluences to sequence."""

import numpy as np
import pytest

from rerad.core import (
    BeamGeometry,
    BixelGrid,
    ElectronContamination,
    Fluence,
    HeadScatter,
    Machine,
    Mlc,
    PatientPosition,
    PencilKernel,
    PhotonBeam,
    Plan,
    Prescription,
    ReferenceCondition,
    Spectrum,
)

BOUNDARIES_MM = np.concatenate(
    (np.arange(-200, -100, 10.0), np.arange(-100, 100, 5.0), np.arange(100, 201, 10.0))
)


@pytest.fixture(scope="session")
def make_machine():
    def make(
        transmission=0.015, dosimetric_leaf_gap_mm=1.8, leaf_span_max_mm=145.0, reach_mm=-160.0
    ):
        mlc = Mlc(
            leaf_boundaries_mm=BOUNDARIES_MM,
            leaf_position_min_mm=reach_mm,
            leaf_position_max_mm=200.0,
            leaf_span_max_mm=leaf_span_max_mm,
            leaf_speed_max_mm_s=25.0,
            leaf_gap_min_mm=0.5,
            transmission=transmission,
            dosimetric_leaf_gap_mm=dosimetric_leaf_gap_mm,
            tip_radius_mm=80.0,
            tongue_and_groove_mm=0.0,
            is_interdigitation_allowed=True,
        )
        kernel = PencilKernel([0.0, 300.0], [0.0, 10.0], np.ones((2, 1)), "flat, for tests")
        return Machine(
            name="TEST120",
            manufacturer="none",
            model="none",
            sad_mm=1000.0,
            jaw_x_limits_mm=(-200.0, 200.0),
            jaw_y_limits_mm=(-200.0, 200.0),
            jaw_transmission=0.0,
            mlc=mlc,
            beam=PhotonBeam(
                name="6X",
                energy_mv=6.0,
                is_flattened=True,
                dose_rate_mu_min=600.0,
                spectrum=Spectrum([2.0], [1.0]),
                kernel=kernel,
                off_axis_radius_mm=[0.0],
                off_axis_ratio=[1.0],
                off_axis_depth_scale=[1.0],
                focal_sigma_mm=(1.0, 1.0),
                head_scatter=HeadScatter(0.0, 50.0),
                electrons=ElectronContamination(0.0, 10.0, 20.0),
                reference=ReferenceCondition(100.0, 900.0, 100.0, 0.01),
            ),
            is_commissioned=False,
            source="test",
        )

    return make


@pytest.fixture(scope="session")
def machine(make_machine):
    return make_machine()


@pytest.fixture(scope="session")
def make_fluence():
    def make(values, column_mm=5.0, x_start_mm=-40.0, first_leaf=20):
        values = np.asarray(values, dtype=float)
        rows, columns = values.shape
        geometry = BeamGeometry("g040", 40.0, 0.0, 0.0, (0.0, 0.0, 0.0))
        x_edges = x_start_mm + column_mm * np.arange(columns + 1)
        y_edges = BOUNDARIES_MM[first_leaf : first_leaf + rows + 1]
        return Fluence(BixelGrid(geometry, x_edges, y_edges, np.ones(values.shape, bool)), values)

    return make


@pytest.fixture(scope="session")
def make_plan():
    def make(*beams, n_fractions=20, dose_gy=40.0):
        return Plan(
            label="test",
            frame_uid="1.2.3",
            patient_position=PatientPosition.HFS,
            machine_name="TEST120",
            n_fractions_planned=n_fractions,
            prescriptions=(Prescription("PTV", dose_gy),),
            beams=beams,
        )

    return make
