"""Work on images: densities, resampling."""
