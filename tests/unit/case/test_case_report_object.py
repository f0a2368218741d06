"""The report of a run as a DICOM object in the study of its plan."""

import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pydicom

from rerad import dicom
from rerad.case.report_object import write_report_object
from rerad.core import Dose, DoseQuantity, Grid, Patient

PATIENT = Patient("P-1", "Doe^Jane", None, "F")


def test_the_report_refers_to_every_object_of_the_run(tmp_path: Path) -> None:
    study = dicom.UidFactory("report").new("study")
    grid = Grid((2, 3, 4), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0), "1.2.3")
    header = dicom.StudyHeader(study_uid=study)
    (tmp_path / "dicom").mkdir()
    doses = []
    for number in (1, 2):
        dose = Dose(np.full(grid.shape, 2.0 * number), grid, DoseQuantity.PHYSICAL)
        path = tmp_path / "dicom" / f"RTDOSE_{number}.dcm"
        reference = dicom.PlanReference(f"1.2.3.{number}")
        dicom.write_dose(
            dose,
            PATIENT,
            path,
            study=replace(header, series_number=number),
            plans=(reference,),
        )
        doses.append(path)
    (tmp_path / "report.pdf").write_bytes(b"%PDF-1.7 of this run")
    result = SimpleNamespace(planning_image=SimpleNamespace(study_uid=study))
    path = write_report_object(result, PATIENT, tmp_path, datetime(2026, 1, 2, 3, 4))  # type: ignore[arg-type]
    assert dicom.read_encapsulated_pdf(path).content == b"%PDF-1.7 of this run"
    read = pydicom.dcmread(path)
    assert (read.StudyInstanceUID, read.PatientID, read.Modality) == (study, "P-1", "DOC")
    named = [item.ReferencedSOPInstanceUID for item in read.SourceInstanceSequence]
    assert named == [pydicom.dcmread(item).SOPInstanceUID for item in doses]
    tool = Path(sys.executable).parent / "dciodvfy"
    if tool.exists():
        said = subprocess.run(
            [str(tool), str(path)], capture_output=True, text=True, check=False, timeout=60
        ).stderr
        assert [line for line in said.splitlines() if line.startswith("Error")] == []
