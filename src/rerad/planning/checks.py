"""What a clinician must weigh before believing a plan: findings, in words."""

from collections.abc import Sequence
from math import isnan

from rerad.core import (
    DoseScope,
    Finding,
    Image,
    RecordGrade,
    Severity,
    Structure,
    StructureKind,
)
from rerad.dosecalc import border_share
from rerad.evaluation import GoalResult, Verdict
from rerad.planning.breach import breach_findings
from rerad.planning.budget import OrganLimit, limited_structures, shortest_interval_months
from rerad.planning.inputs import PlanningInputs
from rerad.planning.judge import outside_fractions
from rerad.planning.judgement import OUTSIDE_SUFFIX, SHARED_SUFFIX, Judgement, other_side
from rerad.planning.result import DeliveryState
from rerad.planning.value_text import value_text
from rerad.radiobiology import inconsistent_fraction_dose, limits_for

TRUST_WORDS = {
    "R2": "a transcription of the source",
    "M": "memory",
}
"""How a number was read, when it was not read in its source."""


def record_findings(inputs: PlanningInputs) -> list[Finding]:
    """Return what the record lacks or contradicts."""
    findings = []
    if inputs.priors and shortest_interval_months(inputs) is None:
        text = (
            "The interval since the earlier course is unknown. Recovery depends on it, so the "
            "budget shows every interval that cannot be excluded, and the plan was made under "
            "the assumption that leaves least."
        )
        findings.append(Finding(Severity.SERIOUS, "interval-unknown", text))
    for course in inputs.courses_without_dose:
        text = (
            f"{course.name} is on record without a dose distribution ({course.grade}). It is in "
            "no sum: every cumulative dose is a lower bound, no limit can be said to be met, and "
            "what is left is unknown."
        )
        findings.append(Finding(Severity.SERIOUS, "course-without-dose", text, course.name))
    for course in (prior.course for prior in inputs.priors):
        if course.grade is not RecordGrade.FULL_DICOM:
            text = f"The record of {course.name} is incomplete: {course.grade}."
            findings.append(Finding(Severity.CAUTION, "record-incomplete", text, course.name))
    inconsistent = inconsistent_fraction_dose(inputs.current)
    if inconsistent is not None:
        findings.append(inconsistent)
    if inputs.current.is_stopped_early:
        given, planned = inputs.current.n_fractions_delivered, inputs.current.n_fractions_planned
        text = f"{inputs.current.name} was stopped after {given} of {planned} fractions."
        findings.append(Finding(Severity.CAUTION, "stopped-early", text, inputs.current.name))
    return findings


def model_findings(inputs: PlanningInputs, density: Image) -> list[Finding]:
    """Return what the models behind the numbers have not been shown to do."""
    findings = []
    cut = border_share(density)
    if cut > 0:
        text = (
            f"The body reaches the border of the CT ({100 * cut:.0f} % of the border voxels are "
            "tissue): beyond it the dose model sees nothing, so dose behind is too high."
        )
        findings.append(Finding(Severity.CAUTION, "body-cut-off", text))
    if not inputs.machine.is_commissioned:
        text = (
            f"Machine {inputs.machine.name} is a generic model, not commissioned against "
            "measurements of any linear accelerator. Doses and monitor units must not be used "
            "for treatment."
        )
        findings.append(Finding(Severity.SERIOUS, "machine-not-commissioned", text))
    text = (
        "Dose is dose to water by collapsed cones. Against Monte Carlo in slabs of lung and dense "
        "material it agreed within about 1 % in the mean of a depth dose and 4 % in single "
        "centimetres (docs/validation.md); it has not been compared with measurements in tissue, "
        "and at metal and in air cavities it has not been tested."
    )
    findings.append(Finding(Severity.NOTE, "dose-model", text))
    return findings


def limit_findings(inputs: PlanningInputs, limits: Sequence[OrganLimit]) -> list[Finding]:
    """Return which organs have no limit, and which limits were not read in their source."""
    limited = {limit.structure for limit in limits}
    without = [pair for pair in limited_structures(inputs) if pair[0].name not in limited]
    findings = [*_organs_without_limit(inputs, without), *_names_without_limit(inputs)]
    for trust, words in TRUST_WORDS.items():
        names = sorted({item.structure for item in limits if item.goal.trust == trust})
        if names:
            text = f"The limits of {', '.join(names)} were read in {words}, not in the source."
            findings.append(Finding(Severity.NOTE, "limit-second-hand", text))
    return findings


def _organs_without_limit(
    inputs: PlanningInputs, without: Sequence[tuple[Structure, str]]
) -> list[Finding]:
    """Name known organs that the rule set states nothing for, or only what is not planned with."""
    settings = inputs.settings
    interval, level = shortest_interval_months(inputs), settings.spine_level
    spared, silent = [], []
    for structure, organ in without:
        stated = limits_for(organ, settings.rule_set, interval, level=level)
        volumes = [item for item in stated if item.spared_volume_cc is not None]
        if volumes:
            rules = [f"{v.spared_volume_cc:g} cc below {v.limit_gy:g} Gy" for v in volumes]
            spared.append(f"{structure.name} (at least {' and '.join(rules)} EQD2)")
        else:
            silent.append(structure.name)
    findings = []
    if spared:
        text = (
            f"Rule set {settings.rule_set} asks for volumes to be spared in {', '.join(spared)}: "
            "such limits are neither planned with nor judged here, so check them by hand."
        )
        findings.append(Finding(Severity.SERIOUS, "limit-not-judged", text))
    if silent:
        text = (
            f"Rule set {settings.rule_set} states no cumulative limit for "
            f"{', '.join(silent)}: these were planned without one, which is no permission."
        )
        findings.append(Finding(Severity.CAUTION, "no-limit", text))
    return findings


def _names_without_limit(inputs: PlanningInputs) -> list[Finding]:
    """Name organs that the tables of limits do not know by their name, and no goal bounds."""
    known = {structure.name for structure, _ in limited_structures(inputs)}
    known |= {goal.structure for goal in inputs.goals if goal.scope is DoseScope.CUMULATIVE}
    known |= {item.structure for item in inputs.current.prescriptions}
    organs = (StructureKind.OAR, StructureKind.PRV, StructureKind.OTHER)
    names = [
        item.name
        for item in inputs.structures.structures
        if item.kind in organs and not item.is_empty and item.name not in known
    ]
    if not names:
        return []
    text = (
        f"No table of limits knows an organ by the name of {', '.join(names)}: planned without a "
        "cumulative limit, which is no permission. Where one of them has a limit, give it its "
        "TG-263 name, or state the limit as a goal."
    )
    return [Finding(Severity.CAUTION, "name-without-limit", text)]


def goal_findings(judgement: Judgement, state: DeliveryState) -> list[Finding]:
    """Return every goal that is missed, knowingly or not, or that nobody can judge."""
    findings = breach_findings(judgement, state)
    for result in state.goals:
        name, goal = result.goal.structure, result.goal
        if result.verdict is Verdict.EXCEEDED:
            is_limit = goal.scope is DoseScope.CUMULATIVE or goal.is_hard
            severity = Severity.SERIOUS if is_limit else Severity.CAUTION
            text = (
                f"{state.label}: {name} {goal.text} is not met: {value_text(result)} "
                f"({goal.citation})."
            )
            code = "limit-exceeded" if is_limit else "goal-missed"
            findings.append(Finding(severity, code, text, name))
        elif result.verdict is Verdict.UNKNOWN:
            text = f"{state.label}: {name} {goal.text} cannot be judged, {_why_unknown(result)}."
            findings.append(Finding(Severity.SERIOUS, "goal-unknown", text, name))
    return findings


def _why_unknown(result: GoalResult) -> str:
    """Say why a goal has no verdict."""
    if isnan(result.low) and result.unknown_fraction == 0:
        return "because nothing of the structure is as large, or as far away, as the metric asks"
    return "because earlier dose there is unknown"


def overlap_findings(judgement: Judgement) -> list[Finding]:
    """Say how much of each organ with an accepted breach lies inside the target."""
    findings = []
    for name, share in outside_fractions(judgement, tuple(judgement.accepted)).items():
        text = (
            f"{100 * share:.0f} % of {name} lies inside a target. The part shared with the "
            f"targets is judged separately as {name}{SHARED_SUFFIX}, the rest as "
            f"{name}{OUTSIDE_SUFFIX}"
        )
        opposite = other_side(name)
        if opposite is not None:
            is_drawn = opposite in judgement.masks
            text += f", the other side as {opposite}" if is_drawn else f"; {opposite} is not drawn"
        findings.append(Finding(Severity.CAUTION, "target-in-organ", f"{text}.", name))
    return findings
