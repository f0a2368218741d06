"""Standardised uptake values: factors, facts that a user supplies, numbers of an image."""

from rerad.pet.findings import suv_findings
from rerad.pet.statistics import SuvStatistics, sphere_means, suv_statistics
from rerad.pet.supplied import SuppliedFacts, supply_facts
from rerad.pet.suv import SuvFactor, SuvKind, suv_factor, to_suv

__all__ = [
    "SuppliedFacts",
    "SuvFactor",
    "SuvKind",
    "SuvStatistics",
    "sphere_means",
    "supply_facts",
    "suv_factor",
    "suv_findings",
    "suv_statistics",
    "to_suv",
]
