"""Work on images: densities, couch, resampling."""

from rerad.imaging.couch import (
    CouchPanel,
    CouchSource,
    CouchStructure,
    behind_body,
    enlarged,
    keep_imaged_couch,
    load_couch_layers,
    paint_panel,
    paint_structures,
)
from rerad.imaging.hounsfield import (
    AIR_HU,
    HounsfieldCurve,
    beyond_curve,
    clipped_finding,
    curve_findings,
    density_from_hu,
    load_hounsfield_curve,
    read_curve_points,
)
from rerad.imaging.materials import (
    DensityQuantity,
    Materials,
    electron_density,
    load_materials,
    mass_density,
    water_equivalent,
)
from rerad.imaging.overrides import DensityOverride, apply_overrides
from rerad.imaging.resample import index_map, resample_image

__all__ = [
    "AIR_HU",
    "CouchPanel",
    "CouchSource",
    "CouchStructure",
    "DensityOverride",
    "DensityQuantity",
    "HounsfieldCurve",
    "Materials",
    "apply_overrides",
    "behind_body",
    "beyond_curve",
    "clipped_finding",
    "curve_findings",
    "density_from_hu",
    "electron_density",
    "enlarged",
    "index_map",
    "keep_imaged_couch",
    "load_couch_layers",
    "load_hounsfield_curve",
    "load_materials",
    "mass_density",
    "paint_panel",
    "paint_structures",
    "read_curve_points",
    "resample_image",
    "water_equivalent",
]
