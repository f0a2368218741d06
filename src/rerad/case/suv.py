"""From PET files to SUV: which series, the factors and times used, the numbers of the image."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rerad import dicom
from rerad.core import Finding, Image
from rerad.errors import InputError
from rerad.pet import (
    SuppliedFacts,
    SuvFactor,
    SuvKind,
    SuvStatistics,
    supply_facts,
    suv_factor,
    suv_findings,
    suv_statistics,
    to_suv,
)


@dataclass(frozen=True, eq=False, slots=True)
class SuvReport:
    """One PET series as SUV.

    Parameters
    ----------
    image : Image
        As read, with the user's facts in it.
    factor : SuvFactor
        What values were multiplied by, and why.
    suv : Image
        The result.
    statistics : SuvStatistics
        Of the whole image.
    findings : tuple of Finding
        What to weigh.
    """

    image: Image
    factor: SuvFactor
    suv: Image
    statistics: SuvStatistics
    findings: tuple[Finding, ...]


def measure_suv(path: Path, *, supplied: SuppliedFacts, kind: SuvKind) -> SuvReport:
    """Read a PET file or the one PET series of a folder and turn it into SUV.

    Parameters
    ----------
    path : Path
        One slice, or a folder.
    supplied : SuppliedFacts
        What the user says in place of the header.
    kind : SuvKind
        By body weight, lean mass or surface.

    Returns
    -------
    SuvReport

    Raises
    ------
    InputError
        If the folder holds no PET series or several, or the header contradicts itself.
    MissingDataError
        If a fact is missing.
    DicomError
        If the files cannot be read.
    """
    image, supplied_findings = supply_facts(dicom.read_image(pet_files(path)), supplied)
    factor = suv_factor(image, kind)
    suv = to_suv(image, kind)
    return SuvReport(
        image=image,
        factor=factor,
        suv=suv,
        statistics=suv_statistics(suv),
        findings=(*supplied_findings, *suv_findings(image, factor)),
    )


def suv_of(pet: Image, supplied: SuppliedFacts) -> tuple[Image, tuple[Finding, ...]]:
    """Return a PET as SUV by body weight, with what a reader of it must weigh.

    Raises
    ------
    InputError, MissingDataError
        As `measure_suv`.
    """
    image, supplied_findings = supply_facts(pet, supplied)
    factor = suv_factor(image)
    return to_suv(image), (*supplied_findings, *suv_findings(image, factor))


def pet_files(path: Path) -> tuple[Path, ...]:
    """Return the files of the PET series at a path: the file itself, or a folder's only series."""
    if not Path(path).is_dir():
        return (Path(path),)
    series = dicom.scan_folder(Path(path)).of_kind("PT")
    if len(series) != 1:
        names = "; ".join(f"{s.description or s.uid} ({s.n_files} files)" for s in series)
        msg = (
            f"expected one PET series in {path}, got {len(series)}{': ' + names if names else ''}"
        )
        msg += "; give the folder of one series" if series else "; give a folder with PET files"
        raise InputError(msg)
    return series[0].paths


def suv_summary(report: SuvReport) -> dict[str, Any]:
    """Return a report as plain values for JSON; unknown is None."""
    pet, numbers, factor = report.image.pet, report.statistics, report.factor
    per_slice = factor.per_slice
    facts: dict[str, Any] = {}
    if pet is not None:
        facts = {
            "units_in_header": pet.header_unit,
            "decay_correction": pet.decay_correction,
            "patient_weight_kg": pet.patient_weight_kg,
            "patient_height_m": pet.patient_height_m,
            "patient_sex": pet.patient_sex or None,
            "injected_activity_bq": pet.injected_activity_bq,
            "half_life_s": pet.half_life_s,
            "injected_at": _iso(pet.injected_at),
            "reference_at": _iso(pet.reference_at),
            "reference_from": pet.reference_source or None,
            "injection_to_reference_s": pet.injection_to_reference_s,
            "injection_to_slice_s": list(pet.injection_to_slice_s) or None,
            "radiopharmaceutical": pet.radiopharmaceutical or None,
            "supplied_by_user": list(pet.supplied),
        }
    return {
        "status": "done",
        "series": report.image.description or report.image.series_uid,
        "n_slices": report.image.grid.shape[0],
        "kind": str(factor.kind),
        "unit": str(report.suv.unit),
        "factor": {
            "suv_per_unit": per_slice[0] if len(set(per_slice)) == 1 else list(per_slice),
            "spread_over": _number(factor.spread_over),
            "activity_at_reference_bq": sorted(set(factor.activity_bq)) or None,
            "source": factor.source,
        },
        "facts": facts,
        "suv": {
            "n_voxels": numbers.n_voxels,
            "minimum": numbers.minimum,
            "mean": numbers.mean,
            "maximum": numbers.maximum,
            "maximum_at_mm": list(numbers.maximum_at_mm),
            "percentiles": {f"{p:g}": v for p, v in numbers.percentiles},
            "peak_1cc": _number(numbers.peak),
            "peak_at_mm": [_number(v) for v in numbers.peak_at_mm],
        },
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text, "where": f.where}
            for f in report.findings
        ],
    }


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _iso(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat(sep=" ")
