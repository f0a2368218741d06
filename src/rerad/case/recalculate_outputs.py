"""What a dose check leaves behind: RTDOSE, record, pictures, report."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rerad import dicom
from rerad.case.files import write_json
from rerad.case.outputs import number_or_none
from rerad.case.recalculate_inputs import CHECK_FILE_NAME
from rerad.case.run import replacing
from rerad.dicom import StudyHeader, UidFactory
from rerad.evaluation import GammaMap
from rerad.planning.dose_check import DoseCheck, criterion_text
from rerad.planning.dose_comparison import StructureComparison
from rerad.planning.recalculation import BeamRecord
from rerad.reporting.content_recalculate import METRICS, check_content, dose_of
from rerad.reporting.figures_recalculate import draw_check_figures
from rerad.reporting.html import html_text
from rerad.reporting.pdf import pdf_bytes

DOSE_FILE_NAME = "RTDOSE_recalculated.dcm"
"""The recalculated dose of all fractions."""


@dataclass(frozen=True, slots=True)
class CheckFiles:
    """What was written.

    Parameters
    ----------
    folder : Path
        Where.
    html, pdf, json, dose : Path
        Report, record and recalculated RTDOSE.
    figures : tuple of Path
        Pictures.
    """

    folder: Path
    html: Path
    pdf: Path
    json: Path
    dose: Path
    figures: tuple[Path, ...]


def write_check(check: DoseCheck, folder: Path) -> CheckFiles:
    """Write everything about a check into a folder, complete or not at all.

    Parameters
    ----------
    check : DoseCheck
        What it found.
    folder : Path
        An earlier check there is replaced; anything else is not.

    Returns
    -------
    CheckFiles

    Raises
    ------
    CaseError
        If `folder` holds something else.
    """
    with replacing(folder, sign=CHECK_FILE_NAME) as temporary:
        _write_dose(check, temporary / DOSE_FILE_NAME)
        figures = temporary / "figures"
        figures.mkdir()
        drawn = draw_check_figures(check, figures)
        content = check_content(check)
        (temporary / "report.html").write_text(html_text(content, drawn), encoding="utf-8")
        (temporary / "report.pdf").write_bytes(pdf_bytes(content, drawn))
        write_json(temporary / CHECK_FILE_NAME, check_document(check))
    return CheckFiles(
        folder=folder,
        html=folder / "report.html",
        pdf=folder / "report.pdf",
        json=folder / CHECK_FILE_NAME,
        dose=folder / DOSE_FILE_NAME,
        figures=tuple(folder / "figures" / path.name for path in drawn.values()),
    )


def _write_dose(check: DoseCheck, path: Path) -> None:
    """Write the recalculated dose of all fractions; it refers to the plan as it was read."""
    header = StudyHeader(
        study_uid=check.image.study_uid or UidFactory().new("study"),
        uids=UidFactory(),
        study_description="Dose check, rerad",
        series_number=110,
        series_description="Recalculated, research, not approved",
    )
    dose = replace(check.recalculation.dose, label="")
    dicom.write_dose(
        dose,
        check.patient,
        path,
        study=header,
        plans=(check.plan,),
        comment="recalculated by rerad, research, not approved",
    )


def check_document(check: DoseCheck) -> dict[str, Any]:
    """Return the record of a check as what JSON can hold; unknown is null.

    Parameters
    ----------
    check : DoseCheck
        To describe.
    """
    provenance, plan, comparison = check.provenance, check.plan, check.comparison
    return {
        "research_use_only": True,
        "status": _status(check),
        "plan": {
            "label": plan.label,
            "uid": plan.instance_uid,
            "approval": plan.approval,
            "n_fractions_planned": plan.n_fractions_planned,
            "meterset_mu": number_or_none(plan.meterset_mu),
        },
        "engine": {"name": check.engine, "accuracy": check.accuracy},
        "planned_dose": check.planned_text or None,
        "pass_percent_asked": check.pass_percent,
        "pass_percent": None if comparison is None else number_or_none(comparison.pass_percent),
        "gamma": [] if comparison is None else [_gamma(item) for item in comparison.gammas],
        "median_ratio": None if comparison is None else number_or_none(comparison.ratio),
        "body_covered": None if comparison is None else number_or_none(comparison.covered),
        "structures": [_structure(item) for item in check.compared],
        "beams": [_beam(item) for item in check.recalculation.beams],
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text, "where": f.where}
            for f in check.findings
        ],
        "rerad_version": provenance.rerad_version,
        "library_versions": dict(provenance.library_versions),
        "settings": dict(provenance.settings),
        "inputs": [
            {"what": item.what, "uid": item.uid, "sha256": item.sha256}
            for item in provenance.inputs
        ],
        "steps": [{"step": item.step, "seconds": item.seconds} for item in provenance.steps],
    }


def _status(check: DoseCheck) -> str:
    if check.is_passed is None:
        return "nothing to compare with"
    return "passed" if check.is_passed else "below the pass rate"


def _gamma(gamma: GammaMap) -> dict[str, Any]:
    criterion = gamma.criterion
    return {
        "text": criterion_text(gamma),
        "dose_percent": criterion.dose_percent,
        "distance_mm": criterion.distance_mm,
        "is_local": criterion.is_local,
        "threshold_percent": criterion.lower_cutoff_percent,
        "normalization_gy": number_or_none(gamma.normalization_gy),
        "n_judged": gamma.n_judged,
        "pass_percent": number_or_none(100.0 * gamma.pass_rate),
    }


def _structure(item: StructureComparison) -> dict[str, Any]:
    return {
        "structure": item.name,
        "kind": str(item.kind),
        "volume_cc": number_or_none(item.recalculated.volume_cc),
        "planned_gy": None
        if item.planned is None
        else {name: number_or_none(dose_of(item.planned, p)) for name, p in METRICS},
        "recalculated_gy": {
            name: number_or_none(dose_of(item.recalculated, p)) for name, p in METRICS
        },
    }


def _beam(beam: BeamRecord) -> dict[str, Any]:
    stated = beam.stated_gy
    return {
        "number": beam.number,
        "name": beam.name,
        "machine": beam.machine,
        "energy_mv": beam.energy_mv,
        "direction": beam.gantry_text,
        "n_control_points": beam.n_control_points,
        "meterset_mu": number_or_none(beam.meterset_mu),
        "isocenter_mm": list(beam.isocenter_mm),
        "isocenter_gy": number_or_none(beam.isocenter_gy),
        "stated_gy": None if stated is None else number_or_none(stated),
        "stated_at_mm": None if beam.stated_at_mm is None else list(beam.stated_at_mm),
        "calculated_at_stated_gy": number_or_none(beam.calculated_at_stated_gy),
    }


def check_summary(check: DoseCheck, files: CheckFiles) -> dict[str, Any]:
    """Return what ``rerad dose --json`` prints: the record, and where everything is.

    Parameters
    ----------
    check : DoseCheck
        What it found.
    files : CheckFiles
        What was written.
    """
    return {
        **check_document(check),
        "folder": str(files.folder),
        "report_html": str(files.html),
        "report_pdf": str(files.pdf),
        "record": str(files.json),
        "recalculated_dose": str(files.dose),
        "figures": [str(path) for path in files.figures],
    }
