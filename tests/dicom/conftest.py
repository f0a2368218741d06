"""A tiny written study: CT, PET, MR, structures, plan, physical dose and EQD2."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.core import (
    Beam,
    BeamGeometry,
    Contour,
    ControlPoint,
    Dose,
    DoseQuantity,
    ElectronContamination,
    Grid,
    HeadScatter,
    Image,
    ImageUnit,
    Machine,
    Mlc,
    Modality,
    Patient,
    PatientPosition,
    PencilKernel,
    PetAcquisition,
    PhotonBeam,
    Plan,
    Prescription,
    ReferenceCondition,
    Spectrum,
    Structure,
    StructureKind,
    StructureSet,
)

PATIENT = Patient("TINY-1", "Doe^Jane", date(1970, 2, 3), "F")
VISIT_DAY = date(2024, 3, 5)


@dataclass(frozen=True)
class TinyStudy:
    """Where the files are, and what was written into them."""

    folder: Path
    ct: Image
    pet: Image
    mr: Image
    structures: StructureSet
    plan: Plan
    prior_plan: Plan
    dose: Dose
    eqd2: Dose
    machine: Machine
    header: dicom.StudyHeader

    @property
    def ct_paths(self) -> list[Path]:
        return sorted((self.folder / "ct").iterdir())

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.dcm"


def ct_grid(frame_uid: str) -> Grid:
    """Not square, and with unlike spacings, so that swapped axes show."""
    return Grid((6, 20, 28), (-31.25, -17.5, -40.0), (2.25, 1.75, 3.0), frame_uid)


def tiny_machine() -> Machine:
    kernel = PencilKernel(np.array([0.0, 100.0]), np.array([0.0, 1.0]), np.ones((2, 1)), "test")
    mlc = Mlc(
        np.linspace(-50, 50, 11), -200.0, 200.0, 150.0, 25.0, 0.5, 0.015, 1.5, 80.0, 0.8, True
    )
    beam = PhotonBeam(
        "6X",
        6.0,
        True,
        600.0,
        Spectrum([2.0], [1.0]),
        kernel,
        off_axis_radius_mm=[0.0],
        off_axis_ratio=[1.0],
        off_axis_depth_scale=[1.0],
        focal_sigma_mm=(1.5, 1.5),
        head_scatter=HeadScatter(0.0, 50.0),
        electrons=ElectronContamination(0.0, 10.0, 20.0),
        reference=ReferenceCondition(100.0, 900.0, 100.0, 0.008),
    )
    limits = (-200.0, 200.0)
    return Machine(
        "TestLinac", "none", "test", 1000.0, limits, limits, 0.004, mlc, beam, False, "test"
    )


def square(x: float, y: float, half: float) -> np.ndarray:
    return np.array(
        [[x - half, y - half], [x + half, y - half], [x + half, y + half], [x - half, y + half]]
    )


def tiny_structures(frame_uid: str, planes: np.ndarray) -> StructureSet:
    """A ring with an island in its hole, two parts, a sub-voxel contour, one never drawn."""
    ring, parts = [], []
    for z in planes[1:4]:
        ring += [Contour(z, square(0, 0, 12)), Contour(z, square(0, 0, 8))]
        ring += [Contour(z, square(1, 1, 3))]
        parts += [Contour(z, square(-15, 0, 4)), Contour(z, square(15.3, 2.1, 4))]
    return StructureSet(
        "tiny structures of a test",
        (
            Structure("Ring", StructureKind.OAR, frame_uid, tuple(ring), 3.0, (10, 20, 30)),
            Structure("GTV", StructureKind.GTV, frame_uid, tuple(parts), 3.0, (255, 0, 0)),
            Structure(
                "Seed",
                StructureKind.CONTROL,
                frame_uid,
                (Contour(planes[2], square(0.1, 0.2, 0.05)),),
                3.0,
            ),
            Structure("SacralPlex_R", StructureKind.OAR, frame_uid, (), 3.0),
        ),
    )


def tiny_plan(frame_uid: str, structure_set_uid: str, label: str = "TINY") -> Plan:
    def point(weight: float, angle: float | None = None) -> ControlPoint:
        leaves = np.stack([np.linspace(-20, -10, 10), np.linspace(5, 15, 10)]) + 10 * weight
        return ControlPoint(weight, (-25.5, 30.0), (-50.0, 50.0), leaves, angle)

    window = tuple(point(weight) for weight in (0.0, 0.1234, 0.5, 1.0))
    arc = tuple(point(w, a) for w, a in ((0.0, 350.0), (0.5, 0.0), (1.0, 10.0)))
    fixed = (point(0.0), ControlPoint(1.0, *_apertures(point(0.0))))
    isocenter = (1.5, -2.25, -34.0)
    return Plan(
        label=label,
        frame_uid=frame_uid,
        patient_position=PatientPosition.HFS,
        machine_name="TestLinac",
        n_fractions_planned=22,
        prescriptions=(Prescription("GTV", 40.0), Prescription("CTV", 33.0)),
        beams=(
            Beam(1, BeamGeometry("G040", 40.0, 5.0, 0.0, isocenter), window, 123.456),
            Beam(2, BeamGeometry("ARC", 350.0, 0.0, 0.0, isocenter), arc, 98.7),
            Beam(3, BeamGeometry("OPEN", 180.0, 0.0, 90.0, isocenter), fixed, 50.0),
        ),
        structure_set_uid=structure_set_uid,
    )


def _apertures(point: ControlPoint) -> tuple[Any, Any, Any]:
    return point.jaw_x_mm, point.jaw_y_mm, point.leaf_positions_mm


def write_tiny_study(folder: Path, seed: str | None = "tiny study") -> TinyStudy:
    uids = dicom.UidFactory(seed)
    frame_uid = uids.new("frame")
    header = dicom.StudyHeader(
        uids.new("study"), VISIT_DAY, study_description="tiny", study_id="1", uids=uids
    )
    rng = np.random.default_rng(7)
    grid = ct_grid(frame_uid)
    hu = rng.integers(-1000, 1500, grid.shape).astype(np.int16)
    ct = dicom.write_image(
        Image(hu, grid, Modality.CT, ImageUnit.HU, description="planning CT"),
        PATIENT,
        folder / "ct",
        study=header,
    )
    coarse = Grid((3, 5, 7), (-20.0, -10.0, -40.0), (5.0, 4.0, 6.0), frame_uid)
    facts = PetAcquisition(61.5, 3.7e8, 6586.2, 3605.5, "START", "FDG 18F")
    activity = (rng.random(coarse.shape) * 2e4).astype(np.float32)
    pet = dicom.write_image(
        Image(activity, coarse, Modality.PET, ImageUnit.BQML, acquired=VISIT_DAY, pet=facts),
        PATIENT,
        folder / "pt",
        study=header,
    )
    signal = rng.integers(0, 900, coarse.shape).astype(np.float32)
    mr = dicom.write_image(
        Image(signal, coarse, Modality.MR, ImageUnit.ARBITRARY),
        PATIENT,
        folder / "mr",
        study=header,
    )
    structures = dicom.write_structure_set(
        tiny_structures(frame_uid, grid.axes_mm[2]), ct, PATIENT, folder / "rs.dcm", study=header
    )
    machine = tiny_machine()
    blank = tiny_plan(frame_uid, structures.instance_uid, "PRIOR")
    prior_plan = dicom.write_plan(
        blank, machine, PATIENT, folder / "rp_prior.dcm", study=header, image=ct
    )
    dose_grid = Grid((4, 7, 9), (-20.0, -15.0, -38.5), (4.5, 3.5, 2.5), frame_uid)
    values = (rng.random(dose_grid.shape) * 55).astype(np.float32)
    prior_dose = dicom.write_dose(
        Dose(values, dose_grid, label="prior"),
        PATIENT,
        folder / "rd_prior.dcm",
        study=header,
        plans=[prior_plan],
    )
    plan = dicom.write_plan(
        tiny_plan(frame_uid, structures.instance_uid),
        machine,
        PATIENT,
        folder / "rp.dcm",
        study=header,
        image=ct,
        prior=dicom.PriorReference((prior_dose.instance_uid,)),
    )
    dose = dicom.write_dose(
        Dose(values * 0.8, dose_grid, label="physical dose"),
        PATIENT,
        folder / "rd.dcm",
        study=header,
        plans=[plan],
    )
    eqd2 = dicom.write_dose(
        Dose(values, dose_grid, DoseQuantity.EQD2, 2.5, label="cumulative"),
        PATIENT,
        folder / "rd_eqd2.dcm",
        study=header,
        plans=[prior_plan, plan],
        derivation=dicom.DoseDerivation(True, True, True, "linear-quadratic", "none"),
    )
    return TinyStudy(
        folder, ct, pet, mr, structures, plan, prior_plan, dose, eqd2, machine, header
    )


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> TinyStudy:
    """A tiny study that tests only read."""
    return write_tiny_study(tmp_path_factory.mktemp("written"))


@pytest.fixture
def tiny(tmp_path: Path) -> TinyStudy:
    """A tiny study that a test may spoil."""
    return write_tiny_study(tmp_path / "tiny")


@pytest.fixture
def edit() -> Callable[..., None]:
    """Return a function that changes attributes of a file in place; None deletes one."""

    def change(path: Path, **attributes: Any) -> None:
        dataset = pydicom.dcmread(path)
        for keyword, value in attributes.items():
            if value is None:
                delattr(dataset, keyword)
            else:
                setattr(dataset, keyword, value)
        dataset.save_as(path)

    return change


@pytest.fixture
def write_again() -> Callable[..., TinyStudy]:
    """Return the function that writes the tiny study."""
    return write_tiny_study
