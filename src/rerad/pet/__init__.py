"""Standardised uptake values, facts that a user supplies, numbers of an image, outlines."""

from rerad.pet.delineate import (
    AcceptedOutline,
    DelineationProposal,
    DelineationTask,
    PetMethod,
    accept_proposal,
    by_adaptive_threshold,
    by_gradient,
    by_reference,
    by_region_in_tube,
    by_share_of_maximum,
    by_threshold,
)
from rerad.pet.findings import suv_findings
from rerad.pet.statistics import SuvStatistics, sphere_means, suv_statistics
from rerad.pet.supplied import SuppliedFacts, supply_facts
from rerad.pet.suv import SuvFactor, SuvKind, suv_factor, to_suv

__all__ = [
    "AcceptedOutline",
    "DelineationProposal",
    "DelineationTask",
    "PetMethod",
    "SuppliedFacts",
    "SuvFactor",
    "SuvKind",
    "SuvStatistics",
    "accept_proposal",
    "by_adaptive_threshold",
    "by_gradient",
    "by_reference",
    "by_region_in_tube",
    "by_share_of_maximum",
    "by_threshold",
    "sphere_means",
    "supply_facts",
    "suv_factor",
    "suv_findings",
    "suv_statistics",
    "to_suv",
]
