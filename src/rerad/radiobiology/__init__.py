"""What dose does: EQD2, recovery, tolerance."""

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
    "MyelopathyRisk",
    "NiederScore",
    "OrganRecovery",
    "RecoveryScenario",
    "RecoveryTable",
    "RuleSet",
    "SpineLevel",
    "bed",
    "check_basis",
    "eqd2",
    "fraction_size_finding",
    "hytec_factors",
    "inconsistent_fraction_dose",
    "limits_for",
    "load_recovery_tables",
    "nieder_score",
    "organ_of",
    "physical_from_bed",
    "physical_from_eqd2",
    "recovery_fraction",
    "recovery_scenarios",
    "recovery_table",
    "rule_set",
    "rule_sets",
    "to_bed",
    "to_eqd2",
    "tolerance_increase",
]
