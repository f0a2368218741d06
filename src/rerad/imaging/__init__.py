"""Work on images: densities, resampling."""

from rerad.imaging.resample import index_map, resample_image

__all__ = ["index_map", "resample_image"]
