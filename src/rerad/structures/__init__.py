"""Work on structures: masks, contours, margins, samples, names."""

from rerad.structures.boolean import intersect, subtract, unite
from rerad.structures.contours import contours_from_mask
from rerad.structures.margin import Margin6, distance_from, margin
from rerad.structures.nomenclature import check_name, recognized_organ, suggest_name
from rerad.structures.planes import missing_planes_mm
from rerad.structures.rasterize import rasterize
from rerad.structures.samples import EndSlab, StructureSamples, sample_structure

__all__ = [
    "EndSlab",
    "Margin6",
    "StructureSamples",
    "check_name",
    "contours_from_mask",
    "distance_from",
    "intersect",
    "margin",
    "missing_planes_mm",
    "rasterize",
    "recognized_organ",
    "sample_structure",
    "subtract",
    "suggest_name",
    "unite",
]
