"""Work on images: densities, resampling."""

from rerad.imaging.hounsfield import HounsfieldCurve, density_from_hu, load_hounsfield_curve
from rerad.imaging.resample import index_map, resample_image

__all__ = [
    "HounsfieldCurve",
    "density_from_hu",
    "index_map",
    "load_hounsfield_curve",
    "resample_image",
]
