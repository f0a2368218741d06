"""What dose does: EQD2, recovery, tolerance, response."""

from rerad.radiobiology.cord_scores import (
    HytecFactor,
    MyelopathyRisk,
    NiederScore,
    SpineLevel,
    hytec_factors,
    nieder_score,
)
from rerad.radiobiology.linear_quadratic import (
    bed,
    eqd2,
    fraction_size_finding,
    physical_from_bed,
    physical_from_eqd2,
    to_bed,
    to_eqd2,
)
from rerad.radiobiology.organs import organ_of
from rerad.radiobiology.records import inconsistent_fraction_dose
from rerad.radiobiology.recovery import (
    IntervalClass,
    OrganRecovery,
    RecoveryScenario,
    RecoveryTable,
    load_recovery_tables,
    recovery_fraction,
    recovery_scenarios,
    recovery_table,
    tolerance_increase,
)
from rerad.radiobiology.recovery_models import (
    break_even_months,
    exponential_recovery,
    power_recovery,
    recovery_needed,
)
from rerad.radiobiology.response import (
    LkbParameters,
    geud,
    lkb_ntcp,
    load_lkb_parameters,
    log_logistic_probability,
    poisson_tcp,
)
from rerad.radiobiology.tolerance import (
    Limit,
    RuleSet,
    check_basis,
    limits_for,
    rule_set,
    rule_sets,
)

__all__ = [
    "HytecFactor",
    "IntervalClass",
    "Limit",
    "LkbParameters",
    "MyelopathyRisk",
    "NiederScore",
    "OrganRecovery",
    "RecoveryScenario",
    "RecoveryTable",
    "RuleSet",
    "SpineLevel",
    "bed",
    "break_even_months",
    "check_basis",
    "eqd2",
    "exponential_recovery",
    "fraction_size_finding",
    "geud",
    "hytec_factors",
    "inconsistent_fraction_dose",
    "limits_for",
    "lkb_ntcp",
    "load_lkb_parameters",
    "load_recovery_tables",
    "log_logistic_probability",
    "nieder_score",
    "organ_of",
    "physical_from_bed",
    "physical_from_eqd2",
    "poisson_tcp",
    "power_recovery",
    "recovery_fraction",
    "recovery_needed",
    "recovery_scenarios",
    "recovery_table",
    "rule_set",
    "rule_sets",
    "to_bed",
    "to_eqd2",
    "tolerance_increase",
]
