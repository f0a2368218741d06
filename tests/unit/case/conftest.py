"""A tiny patient on disk: an earlier course, today's CT, structures; no planning is run on it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RTBeamsTreatmentRecordStorage, generate_uid

from rerad import dicom
from rerad.case import import_folder, read_case, write_case
from rerad.case.history_schema import CourseTable, PrescriptionTable
from rerad.case.schema import CaseFile
from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    PatientPosition,
    Plan,
    Prescription,
    StructureKind,
    StructureSet,
)
from rerad.dicom import StudyHeader, UidFactory
from rerad.dosecalc import load_machine
from rerad.structures import contours_from_mask

PATIENT = Patient("TINY-1", "Test^Tiny", sex="F")


@dataclass(frozen=True)
class TinyPatient:
    """Folder with DICOM files, and the UIDs in it."""

    folder: Path
    today: Image
    prior: Image
    prior_plan: Plan
    prior_dose: Dose


def _ct(frame_uid: str, shift_mm: float = 0.0) -> Image:
    grid = Grid((14, 24, 30), (-72.5 + shift_mm, -57.5, -39.0), (5.0, 5.0, 6.0), frame_uid)
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    values = np.full(grid.shape, -1000, dtype=np.int16)
    values[((x - shift_mm) / 60) ** 2 + (y / 45) ** 2 < 1] = 0
    bone = ((x - shift_mm - 25) / 12) ** 2 + ((y - 15) / 10) ** 2 + ((z - 5) / 30) ** 2 < 1
    bone |= ((x - shift_mm + 20) / 8) ** 2 + ((y - 20) / 14) ** 2 + ((z + 6) / 24) ** 2 < 1
    values[bone] = 700
    return Image(values, grid, Modality.CT, ImageUnit.HU, description="CT")


def _structures(image: Image, ptv_name: str) -> StructureSet:
    body = np.asarray(image.values > -500)
    z, y, x = np.meshgrid(*image.grid.axes_mm[::-1], indexing="ij")
    centre = float(np.mean(image.grid.axes_mm[0]))
    ptv = (x - centre) ** 2 + y**2 + z**2 < 20**2
    organ = (x - centre + 15) ** 2 + (y - 10) ** 2 + z**2 < 14**2

    def draw(mask: np.ndarray, name: str, kind: StructureKind) -> object:
        return contours_from_mask(mask, image.grid, name=name, kind=kind)

    return StructureSet(
        "set",
        (
            draw(body, "Body", StructureKind.EXTERNAL),
            draw(ptv, ptv_name, StructureKind.PTV),
            draw(organ, "SacralPlex_R", StructureKind.OAR),
        ),
    )


def _plan(image: Image) -> Plan:
    machine = load_machine("generic_6mv")
    leaves = np.zeros((2, machine.mlc.n_leaf_pairs))
    leaves[0], leaves[1] = -20.0, 20.0
    points = tuple(ControlPoint(w, (-20.0, 20.0), (-20.0, 20.0), leaves) for w in (0.0, 1.0))
    beam = Beam(1, BeamGeometry("AP", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)), points, 100.0)
    return Plan(
        "prior",
        image.grid.frame_uid,
        PatientPosition.HFS,
        machine.name,
        25,
        (Prescription("PTV_4500", 45.0),),
        (beam,),
    )


@pytest.fixture
def write_tiny(tmp_path: Path) -> Callable[..., TinyPatient]:
    """Write the tiny patient; keyword arguments change one thing."""

    def write(*, prior_patient: Patient = PATIENT, prior_date: date | None = None) -> TinyPatient:
        folder = tmp_path / "dicom"
        uids = UidFactory("tiny")
        header = StudyHeader(study_uid=uids.new("study"), uids=uids, study_date=prior_date)
        prior = dicom.write_image(
            _ct(uids.new("frame"), shift_mm=3.0), prior_patient, folder / "prior", study=header
        )
        structures = dicom.write_structure_set(
            _structures(prior, "PTV_4500"), prior, prior_patient, folder / "rs1.dcm", study=header
        )
        plan = _plan(prior)
        plan = Plan(
            **{
                name: getattr(plan, name)
                for name in Plan.__slots__
                if name not in {"structure_set_uid"}
            },
            structure_set_uid=structures.instance_uid,
        )
        plan = dicom.write_plan(
            plan,
            load_machine("generic_6mv"),
            prior_patient,
            folder / "rp1.dcm",
            study=header,
            image=prior,
            prior=None,
        )
        dose = dicom.write_dose(
            Dose(np.full(prior.grid.shape, 45.0), prior.grid),
            prior_patient,
            folder / "rd1.dcm",
            study=header,
            plans=(plan,),
        )
        header = StudyHeader(study_uid=uids.new("study"), uids=uids)
        today = dicom.write_image(_ct(uids.new("frame")), PATIENT, folder / "today", study=header)
        dicom.write_structure_set(
            _structures(today, "PTV_4000"), today, PATIENT, folder / "rs2.dcm", study=header
        )
        return TinyPatient(folder, today, prior, plan, dose)

    return write


@pytest.fixture
def tiny(write_tiny: Callable[..., TinyPatient]) -> TinyPatient:
    """The tiny patient as it should be."""
    return write_tiny()


@pytest.fixture
def tiny_case(tiny: TinyPatient, tmp_path: Path) -> Path:
    """A case folder for the tiny patient, filled in."""
    report = import_folder(tiny.folder, tmp_path / "case")
    write_case(filled(read_case(report.case_file)), report.case_file)
    return tmp_path / "case"


def filled(file: CaseFile) -> CaseFile:
    """Say what an import cannot know."""
    prior = file.prior_course[0].model_copy(update={"n_fractions_delivered": 25})
    current = CourseTable(
        name="Course 2",
        prescriptions=(PrescriptionTable(structure="PTV_4000", dose_gy=40.0),),
        n_fractions_planned=22,
        n_fractions_delivered=22,
        order=10,
    )
    return file.model_copy(update={"prior_course": (prior,), "current_course": current})


@pytest.fixture
def fill() -> Callable[[CaseFile], CaseFile]:
    """What fills in a proposed case file."""
    return filled


@pytest.fixture
def write_record() -> Callable[..., None]:
    """Return a writer of RT Beams Treatment Records."""

    def write(folder: Path, fraction: int, plan: Plan, share: float) -> None:
        """Write an RT Beams Treatment Record of a share of a plan's monitor units."""
        beams = []
        for beam in plan.beams:
            item = Dataset()
            item.ReferencedBeamNumber = beam.number
            item.CurrentFractionNumber = fraction
            item.DeliveredPrimaryMeterset = beam.meterset_mu * share
            beams.append(item)
        reference, dataset = Dataset(), Dataset()
        reference.ReferencedSOPInstanceUID = plan.instance_uid
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID = RTBeamsTreatmentRecordStorage
        dataset.SOPInstanceUID = generate_uid()
        dataset.ReferencedRTPlanSequence = Sequence([reference])
        dataset.TreatmentSessionBeamSequence = Sequence(beams)
        folder.mkdir(exist_ok=True)
        pydicom.dcmwrite(folder / f"{fraction}.dcm", dataset, enforce_file_format=True)

    return write
