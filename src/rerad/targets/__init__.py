"""Target volumes: along nerves, around vessels, with margins, by a recipe that is kept."""

from rerad.targets.ctv import NerveMargin, nerve_ctv, nodal_ctv, span_of, tube_mask
from rerad.targets.ptv import make_prv, make_ptv, smooth_keeping_volume
from rerad.targets.recipe import (
    Recipe,
    Step,
    StepRecord,
    TargetVolumes,
    follow_recipe,
    parse_recipe,
)

__all__ = [
    "NerveMargin",
    "Recipe",
    "Step",
    "StepRecord",
    "TargetVolumes",
    "follow_recipe",
    "make_prv",
    "make_ptv",
    "nerve_ctv",
    "nodal_ctv",
    "parse_recipe",
    "smooth_keeping_volume",
    "span_of",
    "tube_mask",
]
