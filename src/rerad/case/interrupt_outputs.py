"""What `rerad interrupt` leaves behind: a record, a picture, and plans for the rest."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rerad import dicom
from rerad.case.budget_outputs import known
from rerad.case.files import write_json
from rerad.case.goal_records import goal_record
from rerad.case.interrupt import CaseInterruption, ReplannedRest
from rerad.case.robust_record import robust_record
from rerad.dicom import StudyHeader, UidFactory
from rerad.evaluation import is_within_limits
from rerad.planning.interruption import InterruptionPlan, ResidualOption
from rerad.reporting.figures_interruption import write_interruption_figure


def interruption_document(
    found: CaseInterruption, rests: Sequence[ReplannedRest] = ()
) -> dict[str, object]:
    """Return an interruption as JSON, with new plans among the options; unknown is null."""
    solved = with_new_plans(found.solved, rests)
    factor = solved.plan.factor
    return {
        "status": "done",
        "n_planned": solved.plan.n_planned,
        "n_delivered": solved.plan.n_delivered,
        "partial_fractions": list(solved.plan.partial_fractions),
        "given_gy": solved.plan.given_gy,
        "is_from_treatment_records": solved.plan.has_records,
        "gap_days": solved.plan.gap_days,
        "tumor_alpha_beta_gy": solved.plan.alpha_beta_gy,
        "time_factor": None if factor is None else f"{factor.tumor}; {factor.source.text}",
        "bed_prescribed_gy": solved.bed_prescribed_gy,
        "bed_given_gy": solved.bed_given_gy,
        "bed_deficit_gy": solved.bed_deficit_gy,
        "options": [_option(option) for option in solved.options],
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text}
            for f in (*solved.findings, *found.budget.findings)
        ],
    }


def with_new_plans(solved: InterruptionPlan, rests: Sequence[ReplannedRest]) -> InterruptionPlan:
    """Return the ways to go on with new plans for the rest after the solved ones."""
    return replace(solved, options=(*solved.options, *(rest.option for rest in rests)))


def _option(option: ResidualOption) -> dict[str, object]:
    """Return one way to go on."""
    return {
        "label": option.label,
        "n_fractions": option.n_fractions,
        "fraction_gy": option.fraction_gy,
        "wanted_fraction_gy": option.wanted_gy,
        "is_new_plan": option.is_new_plan,
        "tumor_bed_gy": option.tumor_bed_gy,
        "coverage_percent": option.coverage_percent,
        "limited_by": option.limited_by or None,
        "is_within_limits": option.is_within_limits,
        "overall_days": option.overall_days,
        "levels_gy": dict(option.levels_gy),
        "organs": [
            {
                "structure": organ.structure,
                "metric": organ.metric,
                "value_gy": known(organ.value_gy),
                "at_least_gy": known(organ.at_least_gy),
                "limit_gy": organ.limit_gy,
                "is_within": organ.is_within,
                "is_accepted": organ.is_accepted,
                "is_lower_bound": organ.is_lower_bound,
                "is_upper_bound": organ.is_upper_bound,
                "grade": organ.grade,
            }
            for organ in option.organs
        ],
    }


def write_interruption(
    found: CaseInterruption, folder: Path, rests: Sequence[ReplannedRest] = ()
) -> tuple[Path, Path]:
    """Write ``interruption.json`` and ``interruption.png`` into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    record, picture = folder / "interruption.json", folder / "interruption.png"
    write_json(record, interruption_document(found, rests))
    write_interruption_figure(picture, with_new_plans(found.solved, rests))
    return record, picture


def rest_document(rest: ReplannedRest) -> dict[str, object]:
    """Return the plan for the rest and the judgement of the whole course as JSON."""
    return {
        "n_fractions": rest.option.n_fractions,
        "asked_fraction_gy": rest.asked.fraction_gy,
        "fraction_gy": rest.option.fraction_gy,
        "is_within_limits": is_within_limits(rest.goals),
        "goals": [goal_record(result) for result in rest.goals],
        "robust": robust_record(rest.robust),
        "optimisation": {
            "status": rest.outcome.convergence.status,
            "cap_violation_gy": known(rest.outcome.convergence.cap_violation_gy),
        },
        "findings": [
            {"severity": f.severity, "code": f.code, "text": f.text} for f in rest.findings
        ],
    }


def write_rest(found: CaseInterruption, rest: ReplannedRest, folder: Path) -> tuple[Path, ...]:
    """Write a plan for the rest as RTPLAN and RTDOSE, and ``rest_N.json`` beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    inputs = found.budget.loaded.inputs
    image = inputs.image
    header = StudyHeader(
        study_uid=image.study_uid, uids=UidFactory(), study_description="Rest of a course, rerad"
    )
    doses = tuple(
        prior.study.dose.instance_uid
        for prior in inputs.priors
        if prior.study.dose is not None and prior.study.dose.instance_uid
    )
    n = rest.option.n_fractions
    names = (f"RTPLAN_rest_{n}.dcm", f"RTDOSE_rest_{n}.dcm", f"rest_{n}.json")
    paths = tuple(folder / name for name in names)
    plan = replace(rest.outcome.plan, structure_set_uid=inputs.structures.instance_uid)
    plan = dicom.write_plan(
        plan,
        inputs.machine,
        found.budget.loaded.patient,
        paths[0],
        study=replace(header, series_number=401),
        image=image,
        prior=dicom.PriorReference(dose_uids=doses) if doses else None,
    )
    dicom.write_dose(
        rest.outcome.dose,
        found.budget.loaded.patient,
        paths[1],
        study=replace(header, series_number=402),
        plans=(plan,),
    )
    write_json(paths[2], rest_document(rest))
    return paths
