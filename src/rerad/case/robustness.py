"""Whether the sizes of `[robustness]` fit what the case is planned with."""

from pathlib import Path

from rerad.core import Finding, RecoveryBasis, Severity
from rerad.errors import CaseError, InputError
from rerad.planning import PlanningInputs
from rerad.planning.budget import (
    limited_structures,
    required_alpha_betas_gy,
    shortest_interval_months,
)
from rerad.radiobiology import limits_for


def robustness_findings(inputs: PlanningInputs, path: Path) -> tuple[Finding, ...]:
    """Say which sizes change nothing under the case's rule set; none without robustness.

    Parameters
    ----------
    inputs : PlanningInputs
        Settings, goals, structures, earlier courses.
    path : Path
        Of the case file, for errors.

    Raises
    ------
    CaseError
        If the interval of an alpha/beta that is planned with reaches 0.
    """
    settings = inputs.settings.robustness
    if settings is None:
        return ()
    try:
        required_alpha_betas_gy(inputs)
    except InputError as error:
        msg = f"{path}: {error}"
        raise CaseError(msg) from error
    said = []
    if not settings.is_about_the_past and not any(settings.setup_shift_mm):
        said.append("every size of [robustness] is 0: the plan is held against nothing")
    elif settings.is_about_the_past and not inputs.priors:
        said.append(
            "the [robustness] table states what is not known of earlier doses, and the case has "
            "none on record: only setup_shift_mm changes the plan"
        )
    elif settings.recovery_spread > 0 and not _counts_recovery(inputs):
        said.append(
            "the recovery_spread of [robustness] changes nothing: no limit of "
            f"{inputs.settings.rule_set} that the case is planned with is on a sum with recovery"
        )
    return tuple(
        Finding(Severity.NOTE, "robustness-without-effect", f"{text[0].upper()}{text[1:]}.")
        for text in said
    )


def _counts_recovery(inputs: PlanningInputs) -> bool:
    """Return whether any limit is on a sum in which earlier dose is forgotten in part."""
    interval, settings = shortest_interval_months(inputs), inputs.settings
    return any(
        limit.recovery_basis is RecoveryBasis.DISCOUNTED
        for _, organ in limited_structures(inputs)
        for limit in limits_for(organ, settings.rule_set, interval, level=settings.spine_level)
    )
