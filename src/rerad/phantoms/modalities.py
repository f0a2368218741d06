"""PET and MR of the second visit, painted from the same shapes on grids of their own."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.core import Grid, Image, ImageUnit, Modality, PetAcquisition
from rerad.phantoms import palettes
from rerad.phantoms.compose import Canvas, build_anatomy, paint_anatomy
from rerad.phantoms.placement import Placement
from rerad.phantoms.shapes import Spine
from rerad.phantoms.visit import PelvisVisit

PET_VOXEL_MM = 4.0
"""PET voxel size, the same along all axes."""

PET_FWHM_MM = 6.0
"""Full width at half maximum of the PET point spread."""

PET_WEIGHT_KG = 62.0
"""Body weight in the PET header."""

PET_ACTIVITY_BQ = 250e6
"""Injected activity of FDG."""

PET_DELAY_S = 3600.0
"""Time from injection to the start of the scan, to which the image is decay-corrected."""

F18_HALF_LIFE_S = 6586.2
"""Half life of fluorine-18."""

MR_SHAPE_JI = (384, 384)
"""Rows and columns of the MR."""

MR_VOXEL_MM = (1.0, 1.0, 4.0)
"""MR voxel size."""

MR_LOWEST_MM = -64.0
"""Lowest slice of the MR relative to the hip centre: below the symphysis."""

MR_NOISE = 14.0
"""Standard deviation of the noise in both channels of the MR, in units of its signal."""


def make_pet(visit: PelvisVisit, ct: Grid, spine: Spine, seed: int) -> Image:
    """Return the FDG-PET in Bq/ml: uptake, point spread, noise.

    Parameters
    ----------
    visit : PelvisVisit
        Pose and contents.
    ct : Grid
        CT grid, whose length the PET covers.
    spine : Spine
        Curve of the vertebral column.
    seed : int
        Of texture and noise.
    """
    coarse = _pet_grid(ct)
    # A fine grid to paint on, so that a root of a few millimetres keeps its activity.
    factor = 2 if ct.spacing_mm[0] < 2.0 else 1
    sx, sy, sz = coarse.spacing_mm
    fine = coarse.with_spacing((sx / factor, sy / factor, sz))
    place = Placement(fine, visit.from_anatomy(), spine)
    canvas = Canvas(place, seed, palettes.PET.air)
    paint_anatomy(build_anatomy(place, visit), canvas, palettes.PET)
    sigma = PET_FWHM_MM / np.sqrt(8 * np.log(2)) / np.asarray(fine.spacing_mm)[::-1]
    blurred = gaussian_filter(canvas.image, sigma)
    suv = np.maximum(_averaged(blurred, factor), 0)
    rng = np.random.default_rng([seed, 3])
    # Reconstructed noise: correlated over a voxel or two, growing with the square root of uptake.
    noise = gaussian_filter(rng.standard_normal(suv.shape, dtype=np.float32), 0.6)
    noise /= noise.std()
    suv = np.maximum(suv + 0.07 * np.sqrt(suv + 0.02) * noise, 0)
    decayed = PET_ACTIVITY_BQ * 0.5 ** (PET_DELAY_S / F18_HALF_LIFE_S)
    bqml = suv * np.float32(decayed / (PET_WEIGHT_KG * 1000.0))
    acquisition = PetAcquisition(
        patient_weight_kg=PET_WEIGHT_KG,
        injected_activity_bq=PET_ACTIVITY_BQ,
        half_life_s=F18_HALF_LIFE_S,
        injection_to_reference_s=PET_DELAY_S,
        decay_correction="START",
        radiopharmaceutical="Fluorodeoxyglucose F^18^",
        corrections=("DECY", "ATTN"),
    )
    return Image(
        bqml.astype(np.float32),
        coarse,
        Modality.PET,
        ImageUnit.BQML,
        description="FDG PET",
        pet=acquisition,
    )


def _pet_grid(ct: Grid) -> Grid:
    return ct.with_spacing((PET_VOXEL_MM, PET_VOXEL_MM, PET_VOXEL_MM))


def _averaged(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    k, j, i = values.shape
    blocks = values.reshape(k, j // factor, factor, i // factor, factor)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32))


def make_mr(visit: PelvisVisit, ct: Grid, spine: Spine, seed: int) -> Image:
    """Return the axial T2-weighted MR: contrast, coil shading, Rician noise.

    The nerves are drawn as they were before the disease: the MR is unremarkable.

    Parameters
    ----------
    visit, ct, spine, seed
        As in `make_pet`.
    """
    grid = _mr_grid(visit, ct)
    place = Placement(grid, visit.from_anatomy(), spine)
    healthy = build_anatomy(place, visit.without_lesion())
    canvas = Canvas(place, seed, palettes.MR.air)
    paint_anatomy(healthy, canvas, palettes.MR)
    signal = canvas.image
    rng = np.random.default_rng([seed, 4])
    signal *= _coil_shading(grid, rng)
    first = rng.standard_normal(signal.shape, dtype=np.float32)
    signal += np.float32(MR_NOISE) * first
    second = rng.standard_normal(signal.shape, dtype=np.float32)
    second *= np.float32(MR_NOISE)
    return Image(
        np.hypot(signal, second),
        grid,
        Modality.MR,
        ImageUnit.ARBITRARY,
        description="T2 TSE axial",
    )


def _mr_grid(visit: PelvisVisit, ct: Grid) -> Grid:
    """Return the MR grid: from L3 to below the symphysis, centred on the patient."""
    scale = max(1.0, ct.spacing_mm[0])
    sx, sy, sz = (
        MR_VOXEL_MM[0] * scale,
        MR_VOXEL_MM[1] * scale,
        max(MR_VOXEL_MM[2], ct.spacing_mm[2]),
    )
    j, i = (max(8, round(n / scale)) for n in MR_SHAPE_JI)
    low = max(ct.origin_mm[2], visit.offset_mm[2] + MR_LOWEST_MM)
    high = ct.end_mm[2]
    k = int((high - low) / sz) + 1
    x0 = visit.offset_mm[0] - 0.5 * (i - 1) * sx
    y0 = visit.offset_mm[1] + 8.0 - 0.5 * (j - 1) * sy
    return Grid((k, j, i), (x0, y0, low), (sx, sy, sz), ct.frame_uid)


def _coil_shading(grid: Grid, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a smooth factor between about 0.75 and 1.3: surface coils in front and behind."""
    x, y, z = (np.linspace(-1, 1, n) for n in grid.shape[::-1])
    a = rng.uniform(-0.08, 0.08, 3)
    field = (
        1.0
        + 0.22 * (y[None, :, None] ** 2 - 0.3)
        + a[0] * x[None, None, :]
        + a[1] * y[None, :, None]
        + (a[2] - 0.1 * z)[:, None, None] * z[:, None, None]
    )
    return np.asarray(field, dtype=np.float32)
