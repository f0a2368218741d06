"""Which voxels are the body, and whether the image cuts it off."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from rerad.core import Dose, Grid, Image, Mask
from rerad.dosecalc.projection import require_density
from rerad.errors import InputError

AIR_DENSITY_G_CM3 = 0.05
"""Below this a voxel is air (rerad's choice: lung is above 0.1, noise of air in CT below 0.03)."""


def body_voxels(density: Image, grid: Grid) -> NDArray[np.bool_]:
    """Return which voxels of a grid belong to the body, the couch and what lies in between.

    Air that reaches the border of an axial slice of `density` is outside; air enclosed by
    tissue (bowel gas, airways) is inside, because its wall is of clinical interest.

    Parameters
    ----------
    density : Image
        Mass density in g/cm³.
    grid : Grid
        Where the answer is wanted, in the frame of `density` and within it.

    Returns
    -------
    ndarray of bool, shape ``grid.shape``

    Raises
    ------
    InputError
        If a voxel centre of `grid` lies more than one voxel beyond those of `density`.
    """
    require_density(density)
    density.grid.require_same_frame(grid, "density of the final dose")
    inside = np.empty(density.grid.shape, dtype=bool)
    for k, plane in enumerate(np.asarray(density.values)):
        parts, _ = label(plane < AIR_DENSITY_G_CM3)
        border = np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]])
        inside[k] = ~np.isin(parts, np.setdiff1d(border, 0))
    index = []
    for ours, theirs, spacing, n in zip(
        grid.axes_mm,
        density.grid.origin_mm,
        density.grid.spacing_mm,
        density.grid.shape[::-1],
        strict=True,
    ):
        place = (ours - theirs) / spacing
        if place[0] < -1.001 or place[-1] > n + 0.001:
            msg = (
                f"the dose grid reaches from {ours[0]:.1f} to {ours[-1]:.1f} mm, the density only "
                f"from {theirs:.1f} to {theirs + (n - 1) * spacing:.1f} mm; crop the dose grid"
            )
            raise InputError(msg)
        index.append(np.clip(np.rint(place).astype(int), 0, n - 1))
    return inside[np.ix_(index[2], index[1], index[0])]


def border_share(density: Image) -> float:
    """Return how much of the rim of the axial slices is tissue.

    Above 0 the body (or the couch) is cut off at the sides: rays that enter there miss what lies
    outside the image, and the dose behind is too high. Callers should say so to the reader.

    Parameters
    ----------
    density : Image
        Mass density in g/cm³.

    Returns
    -------
    float
        Share of the voxels in the first and last rows and columns of all slices that are not
        air, 0 to 1.
    """
    require_density(density)
    values = np.asarray(density.values, dtype=np.float32)
    rim = (values[:, 0], values[:, -1], values[:, :, 0], values[:, :, -1])
    n_tissue = sum(int(np.count_nonzero(face >= AIR_DENSITY_G_CM3)) for face in rim)
    return n_tissue / sum(face.size for face in rim)


def dose_in_body(dose: Dose, body: Mask) -> Dose:
    """Return a dose that is 0 outside the body outline: couch and bolus are not the patient.

    Parameters
    ----------
    dose : Dose
        On any grid of which the mask's is a crop.
    body : Mask
        Body outline.
    """
    return replace(dose, values=np.where(body.on(dose.grid) > 0, dose.values, np.float32(0)))
