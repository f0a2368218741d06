"""The report as a DICOM object beside the plan that it speaks of."""

from datetime import datetime
from pathlib import Path

from rerad import dicom
from rerad.core import Patient
from rerad.planning import CaseResult

REPORT_OBJECT = "REPORT.dcm"
"""Name of the file; the PDF itself lies beside as ``report.pdf``."""

SERIES_NUMBER = 190
"""After the structures, plan and doses of a run."""


def write_report_object(
    result: CaseResult, patient: Patient, folder: Path, made: datetime
) -> Path:
    """Write ``report.pdf`` as DICOM Encapsulated PDF into the study of the plan.

    Parameters
    ----------
    result : CaseResult
        A finished run.
    patient : Patient
        As in the planning CT.
    folder : Path
        Of the run: it holds ``report.pdf`` and ``dicom/``.
    made : datetime
        When the report was made.

    Returns
    -------
    Path
        The object. It refers to every other object that the run wrote.
    """
    others = sorted((folder / "dicom").glob("*.dcm"))
    path = folder / "dicom" / REPORT_OBJECT
    header = dicom.StudyHeader(
        study_uid=result.planning_image.study_uid,
        study_description="Re-irradiation, rerad",
        series_description="Report, research only",
        series_number=SERIES_NUMBER,
    )
    dicom.write_encapsulated_pdf(
        (folder / "report.pdf").read_bytes(),
        "Re-irradiation planning report",
        patient,
        path,
        study=header,
        made=made,
        sources=tuple(dicom.object_identity(other) for other in others if other != path),
    )
    return path
