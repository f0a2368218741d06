"""Fluence to leaves: sliding windows, still segments, and whether a machine can deliver them."""

from rerad.sequencing.complexity import (
    BeamComplexity,
    PlanComplexity,
    beam_complexity,
    complexity,
)
from rerad.sequencing.deliverability import (
    Violation,
    beam_violations,
    check_deliverable,
    deliverability_report,
)
from rerad.sequencing.sliding_window import (
    SequenceSettings,
    least_column_mm,
    sequence_sliding_window,
    sweep_mu_per_mm,
)
from rerad.sequencing.split import split_field, split_weights
from rerad.sequencing.step_and_shoot import StepAndShootSettings, sequence_step_and_shoot

__all__ = [
    "BeamComplexity",
    "PlanComplexity",
    "SequenceSettings",
    "StepAndShootSettings",
    "Violation",
    "beam_complexity",
    "beam_violations",
    "check_deliverable",
    "complexity",
    "deliverability_report",
    "least_column_mm",
    "sequence_sliding_window",
    "sequence_step_and_shoot",
    "split_field",
    "split_weights",
    "sweep_mu_per_mm",
]
