"""What a run writes besides the report: DICOM objects and the record of the run."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rerad import dicom
from rerad.case.goal_records import returned_record
from rerad.case.robust_record import number_or_none as number_or_none
from rerad.case.robust_record import prices_record, robust_record
from rerad.core import Dose, Grid, Mask, Patient, Plan, Structure, StructureKind
from rerad.dicom import DoseDerivation, StudyHeader, UidFactory
from rerad.planning import BudgetRow, CaseResult, DeliveryState, SummaryRow
from rerad.structures import contours_from_mask

if TYPE_CHECKING:
    from rerad.case.run import RunReport

MODEL = "linear-quadratic EQD2, each course at its own dose per fraction; no recovery"
"""What the written EQD2 doses are."""


UNKNOWN_NAME = "zPriorUnknown"
"""Structure of the body's part without a known earlier dose (leading z: not for evaluation)."""


def write_dicom(result: CaseResult, patient: Patient, folder: Path) -> tuple[Path, ...]:
    """Write structures, plan, physical dose and cumulative EQD2 under new UIDs.

    Parameters
    ----------
    result : CaseResult
        A finished run.
    patient : Patient
        As in the planning CT.
    folder : Path
        Made.

    Returns
    -------
    tuple of Path
        Every file. The EQD2 doses are raw sums: a recovery factor belongs to a limit, not to a
        dose that others read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = result.planning_image
    header = StudyHeader(
        study_uid=image.study_uid, uids=UidFactory(), study_description="Re-irradiation, rerad"
    )
    paths = [folder / "RTSTRUCT.dcm", folder / "RTPLAN.dcm"]
    structures = result.structures
    unknown = unknown_structure(result)
    if unknown is not None and UNKNOWN_NAME not in structures:
        structures = replace(structures, structures=(*structures.structures, unknown))
    structures = dicom.write_structure_set(
        structures, image, patient, paths[0], study=replace(header, series_number=101)
    )
    plan = replace(result.plan, structure_set_uid=structures.instance_uid)
    priors = tuple(prior.study.plan for prior in result.priors if prior.study.plan is not None)
    plan = dicom.write_plan(
        plan,
        result.machine,
        patient,
        paths[1],
        study=replace(header, series_number=102),
        image=image,
        prior=_prior_reference(result),
    )
    paths += _write_doses(result, patient, folder, header, (plan, priors))
    return tuple(paths)


def _prior_reference(result: CaseResult) -> dicom.PriorReference | None:
    """Return what the plan refers to as earlier dose."""
    doses = tuple(
        prior.study.dose.instance_uid
        for prior in result.priors
        if prior.study.dose is not None and prior.study.dose.instance_uid
    )
    return dicom.PriorReference(dose_uids=doses) if doses else None


def _write_doses(
    result: CaseResult,
    patient: Patient,
    folder: Path,
    header: StudyHeader,
    plans: tuple[Plan, tuple[Plan, ...]],
) -> list[Path]:
    """Write physical and cumulative doses, planned and delivered."""
    plan, priors = plans
    body = next(mask for mask in result.masks.values() if mask.kind is StructureKind.EXTERNAL)
    paths = [folder / "RTDOSE_physical_planned.dcm"]
    dicom.write_dose(
        result.planned.physical,
        patient,
        paths[0],
        study=replace(header, series_number=103),
        plans=(plan,),
    )
    number = 104
    summed = {prior.course.name for prior in result.priors}
    is_lower_bound = any(course.name not in summed for course in result.history.courses)
    states = [(result.planned, "planned"), (result.delivered, "delivered")]
    for state, word in states:
        for alpha_beta, dose in state.cumulative.items() if state is not None else ():
            known = known_part(dose, body)
            if known is None:
                continue
            path = folder / f"RTDOSE_EQD2_ab{alpha_beta:g}_{word}.dcm"
            dicom.write_dose(
                known,
                patient,
                path,
                study=replace(header, series_number=number),
                plans=(plan, *priors),
                derivation=DoseDerivation(
                    includes_prior=bool(result.priors),
                    is_weighted_for_fractions=word == "delivered",
                    model=MODEL,
                    grade=_grade(result),
                ),
                comment=f"{word}, lower bound" if is_lower_bound else word,
                unknown_as_zero=True,
            )
            paths.append(path)
            number += 1
    return paths


def _grade(result: CaseResult) -> str:
    """Return the poorest record that the sums stand on, in words."""
    return next((str(row.grade) for row in result.budget if row.grade is not None), "")


def known_part(dose: Dose, body: Mask) -> Dose | None:
    """Return a dose without the slices at either end in which nothing is known of the body.

    RTDOSE has no value for unknown; what remains unknown inside is written as 0, counted in the
    dose comment, and drawn as the structure `UNKNOWN_NAME`.

    Returns
    -------
    Dose or None
        None if no slice is left.
    """
    is_known = ~np.isnan(dose.values) & (body.on(dose.grid) > 0)
    slices = np.flatnonzero(np.any(is_known, axis=(1, 2)))
    if not len(slices):
        return None
    first, last = int(slices[0]), int(slices[-1]) + 1
    _, n_rows, n_columns = dose.grid.shape
    grid = dose.grid.crop((first, 0, 0), (last, n_rows, n_columns))
    return replace(dose, values=dose.values[first:last], grid=grid)


def unknown_structure(result: CaseResult) -> Structure | None:
    """Return the part of the body whose earlier dose is unknown, drawn on the CT's slices."""
    doses = list(result.planned.cumulative.values())
    if not result.priors or not doses:
        return None
    grid, ct = doses[0].grid, result.planning_image.grid
    body = next(mask for mask in result.masks.values() if mask.kind is StructureKind.EXTERNAL)
    unknown = np.isnan(doses[0].values) & (body.on(grid) > 0)
    x, y, _ = grid.origin_mm
    sx, sy, _ = grid.spacing_mm
    planes = Grid(
        (ct.shape[0], *grid.shape[1:]),
        (x, y, ct.origin_mm[2]),
        (sx, sy, ct.spacing_mm[2]),
        grid.frame_uid,
    )
    z = planes.axes_mm[2]
    nearest = np.rint((z - grid.origin_mm[2]) / grid.spacing_mm[2]).astype(int)
    inside = (nearest >= 0) & (nearest < grid.shape[0])
    on_planes = unknown[np.clip(nearest, 0, grid.shape[0] - 1)] & inside[:, None, None]
    if not np.any(on_planes):
        return None
    return contours_from_mask(
        on_planes, planes, name=UNKNOWN_NAME, kind=StructureKind.CONTROL, color=(255, 0, 255)
    )


def run_document(result: CaseResult, peak_memory_mb: float) -> dict[str, Any]:
    """Return the record of a run as JSON: versions, inputs, settings, steps, numbers, findings."""
    provenance = result.provenance
    steps = sorted(provenance.steps, key=lambda item: -item.seconds)
    return {
        "research_use_only": True,
        "title": result.title,
        "rerad_version": provenance.rerad_version,
        "library_versions": dict(provenance.library_versions),
        "settings": dict(provenance.settings),
        "inputs": [
            {"what": item.what, "uid": item.uid, "sha256": item.sha256}
            for item in provenance.inputs
        ],
        "steps": [{"step": item.step, "seconds": item.seconds} for item in steps],
        "total_seconds": round(sum(item.seconds for item in steps), 3),
        "peak_memory_mb": peak_memory_mb,
        "is_within_limits": result.is_within_limits,
        "summary": [_summary(row) for row in result.summary],
        "goals": {
            state.label: _goals(state)
            for state in (result.planned, result.delivered)
            if state is not None
        },
        "budget": [_budget(row) for row in result.budget],
        "registration": [
            {
                "course": prior.course.name,
                "grade": prior.course.grade,
                "matrix": prior.transform.matrix.tolist(),
                "is_deformable": prior.deformation is not None,
                "landmarks_mean_mm": (
                    None if prior.landmarks is None else number_or_none(prior.landmarks.mean_mm)
                ),
            }
            for prior in result.priors
        ],
        "optimisation": {
            "status": result.convergence.status,
            "passes": [asdict(item) for item in result.convergence.passes],
            "terms": {k: number_or_none(v) for k, v in result.convergence.term_values.items()},
            "cap_violation_gy": number_or_none(result.convergence.cap_violation_gy),
            "levels": [asdict(item) for item in result.convergence.levels],
            "refinement": [number_or_none(value) for value in result.convergence.refinement],
        },
        "prices": prices_record(result.prices),
        "robust": robust_record(result.robust),
        "returned_plan": None if result.returned is None else returned_record(result.returned),
        "complexity": {k: number_or_none(v) for k, v in result.complexity.items()},
        "assumptions": list(result.assumptions),
        "unknowns": list(result.history.unknowns),
        "findings": [
            {
                "severity": item.severity,
                "code": item.code,
                "text": item.text,
                "where": item.where,
            }
            for item in result.findings
        ],
    }


def _summary(row: SummaryRow) -> dict[str, Any]:
    """Return one line of the closing table."""
    return {
        "structure": row.structure,
        "is_target": row.is_target,
        "metric": row.metric,
        "physical_gy": number_or_none(row.physical_gy),
        "alpha_beta_gy": row.alpha_beta_gy,
        "prior_eqd2_gy": number_or_none(row.prior_eqd2_gy),
        "cumulative_eqd2_gy": number_or_none(row.cumulative_eqd2_gy),
        "is_lower_bound": row.planned.is_lower_bound,
        "delivered_cumulative_eqd2_gy": number_or_none(row.delivered_cumulative_eqd2_gy),
        "goal": row.planned.goal.text,
        "citation": row.planned.goal.citation,
        "grade": row.planned.grade,
        "verdict": row.planned.verdict,
        "verdict_delivered": row.delivered.verdict if row.delivered is not None else None,
    }


def _goals(state: DeliveryState) -> list[dict[str, Any]]:
    """Return every goal of one state."""
    return [
        {
            "structure": item.goal.structure,
            "goal": item.goal.text,
            "value": number_or_none(item.value),
            "unit": item.goal.unit,
            "priority": item.goal.priority,
            "is_hard": item.goal.is_hard,
            "verdict": item.verdict,
            "low": number_or_none(item.low),
            "is_upper_bound": item.is_upper_bound,
            "unknown_fraction": number_or_none(item.unknown_fraction),
            "grade": item.grade,
            "citation": item.goal.citation,
        }
        for item in state.goals
    ]


def _budget(row: BudgetRow) -> dict[str, Any]:
    """Return one row of the budget."""
    return {
        "structure": row.structure,
        "rule_set": row.rule_set,
        "metric": row.limit.metric,
        "alpha_beta_gy": row.limit.alpha_beta_gy,
        "grade": row.grade,
        "scenarios": [
            {
                "label": item.label,
                "recovery_fraction": item.recovery_fraction,
                "prior_eqd2_gy": number_or_none(item.prior_eqd2_gy),
                "limit_eqd2_gy": item.limit_eqd2_gy,
                "remaining_eqd2_gy": number_or_none(item.remaining_eqd2_gy),
                "remaining_physical_gy": number_or_none(item.remaining_physical_gy),
                "remaining_at_most_physical_gy": number_or_none(
                    item.remaining_at_most_physical_gy
                ),
                "is_planned_with": item.is_planned_with,
                "is_upper_bound": item.is_upper_bound,
                "citation": item.citation,
            }
            for item in row.scenarios
        ],
    }


def status_of(is_within_limits: bool | None) -> str:
    """Return in words whether limits are kept, for documents."""
    if is_within_limits is None:
        return "done, limits unknown"
    return "done" if is_within_limits else "limit exceeded"


def run_summary(report: "RunReport") -> dict[str, Any]:
    """Return what `rerad run --json` prints."""
    document = run_document(report.result, 0.0)
    return {
        "status": status_of(report.result.is_within_limits),
        "folder": str(report.folder),
        "report_html": str(report.html),
        "report_pdf": str(report.pdf),
        "run_json": str(report.run_json),
        "figures": [str(path) for path in report.figures],
        "dicom": [str(path) for path in report.dicom],
        "summary": document["summary"],
        "returned_plan": document["returned_plan"],
        "findings": document["findings"],
    }
